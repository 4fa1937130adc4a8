"""Saving and loading 100 MB of weights in each format, as a share of a plain write with fsync, and of a plain
read, of as many bytes in the same run. Weights are read into memory that is there, so the plain read is too;
a `.keras` file makes a new model, so it stands beside a read into new memory.

    python benchmarks/saving.py
"""

from __future__ import annotations

from harness import one_thread, save

one_thread()

import mmap
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import graphc
from graphc.layers import Dense
from graphc.models import load_model

ROUNDS = 7
SIZE = 100 * 2**20
ENDINGS = (".keras", ".weights.h5", ".safetensors", ".npz")


def network() -> graphc.Sequential:
    """25 layers of 4 MB each."""
    return graphc.Sequential([graphc.Input((1024,)), *(Dense(1024, use_bias=False) for _ in range(25))])


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def plain_write(path: Path, contents: bytes) -> None:
    """What any program has to do for bytes that last."""
    with open(path, "wb", buffering=0) as file:
        file.write(contents)
        os.fsync(file.fileno())


def plain_read(path: Path, memory: mmap.mmap | None = None) -> None:
    """What any program has to do for bytes that it wants to look at, in new memory if none is given."""
    with open(path, "rb", buffering=0) as file:
        file.readinto(memory or mmap.mmap(-1, SIZE))  # type: ignore[attr-defined]


def measure(folder: Path, model: graphc.Sequential) -> list[dict]:
    """The best of some rounds; plain and ours take turns, so that a busy disk is busy for both."""
    contents, memory = np.random.default_rng(0).bytes(SIZE), mmap.mmap(-1, SIZE)
    plain = folder / "plain"
    best: dict[tuple[str, str], float] = {}
    for _ in range(ROUNDS):
        times = {
            ("plain", "save"): seconds(lambda: plain_write(plain, contents)),
            ("plain", "load"): seconds(lambda: plain_read(plain, memory)),
            ("plain", "load new"): seconds(lambda: plain_read(plain)),
        }
        for ending in ENDINGS:
            path = folder / f"w{ending}"
            whole = ending == ".keras"
            times[ending, "save"] = seconds(
                lambda p=path, w=whole: model.save(p) if w else model.save_weights(p)
            )
            times[ending, "load"] = seconds(
                lambda p=path, w=whole: load_model(p) if w else model.load_weights(p)
            )
        best = {key: min(value, best.get(key, value)) for key, value in times.items()}
    return [
        {
            "format": ending,
            **{f"{what} ms": round(1e3 * best[ending, what], 1) for what in ("save", "load")},
            "save share": round(best["plain", "save"] / best[ending, "save"], 3),
            "load share": round(
                best["plain", "load new" if ending == ".keras" else "load"] / best[ending, "load"], 3
            ),
        }
        for ending in ENDINGS
    ] + [
        {
            "format": "plain",
            **{f"{what} ms": round(1e3 * best["plain", what], 1) for what in ("save", "load", "load new")},
        }
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=".") as folder:
        rows = measure(Path(folder), network())
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    save("saving", [{"title": "100 MB of weights: time, and share of a plain write or read", "rows": rows}])
