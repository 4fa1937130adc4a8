"""Readable log lines on stderr, by topic: `GRAPHC_LOG=compile,cache,fusion,trace` or `all`."""

from __future__ import annotations

import os
import sys

TOPICS = ("compile", "cache", "fusion", "trace")


def wants(topic: str) -> bool:
    """Whether lines of this topic are printed, as the environment has it now."""
    chosen = {part.strip() for part in os.environ.get("GRAPHC_LOG", "").split(",")}
    return topic in chosen or "all" in chosen


def log(topic: str, text: str) -> None:
    """Print a line of a topic if it is wanted."""
    if wants(topic):
        print(f"graphc {topic}: {text}", file=sys.stderr, flush=True)
