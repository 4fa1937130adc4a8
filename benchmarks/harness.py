"""Side-by-side timing in one run: every candidate in turn, least and median over rounds, ratios to the best
peer.

Machines are shared and their clocks drift, so candidates are interleaved, and only ratios of one run are
worth quoting.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

OURS = "graphc"


def one_thread() -> None:
    """One core and one thread for everybody, set before any peer is imported."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


@dataclass(frozen=True)
class Timing:
    """Seconds of one call."""

    name: str
    least: float
    median: float


def side_by_side(
    candidates: dict[str, Callable[[], object]], rounds: int = 40, turns: int = 4
) -> dict[str, Timing]:
    """The time of one call of each candidate. `turns` calls follow each other, since the first after somebody
    else's finds cold caches.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for run in candidates.values():
        run()
        run()
    for _ in range(rounds):
        for name, run in candidates.items():
            for _ in range(turns):
                start = time.process_time()
                run()
                seconds[name].append(time.process_time() - start)
    return {n: Timing(n, min(s), statistics.median(s)) for n, s in seconds.items()}


def report(title: str, timings: dict[str, Timing], flops: float = 0.0) -> dict[str, object]:
    """Print a table; gives what goes into the JSON file."""
    peers = [t.least for n, t in timings.items() if n != OURS and not n.startswith(OURS)]
    best = min(peers) if peers else float("nan")
    print(f"\n{title}")
    for t in sorted(timings.values(), key=lambda t: t.least):
        times = f"{1e6 * t.least:10.1f} us (median {1e6 * t.median:10.1f})"
        print(f"  {t.name:24} {times}   {t.least / best:5.2f} x best peer")
    return {"title": title, "flops": flops, "timings": [asdict(t) for t in timings.values()]}


def save(name: str, results: list[dict[str, object]]) -> None:
    """Write results beside the benchmarks, for the docs."""
    path = Path(__file__).parent / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
