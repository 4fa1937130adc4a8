"""One candidate of a workload in a process of its own: `python racer.py WORKLOAD CANDIDATE FOLDER`.

Writes a line of JSON when it is ready: its answer, the CPU seconds that it took to compile, its peak memory;
or why it can't take part. For each line that it then reads, a number of calls, it answers with their least
and median time. With `--prepare` in place of a candidate it writes the workload's data.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from workloads import WORKLOADS
from workloads.definition import Ready, Workload

SAMPLE = 500
"""How many numbers of an array are compared."""
LATER, SECONDS = 30, 1.0
"""How many calls follow the first two at most, before somebody is ready, and for how long."""


def made(where: str) -> Callable[..., Any]:
    """The function of "module:function"."""
    module, function = where.split(":")
    found: Callable[..., Any] = getattr(importlib.import_module(f"workloads.{module}"), function)
    return found


def spent() -> float:
    """CPU seconds of this process and of the compilers that it started and waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_memory() -> float:
    """Megabytes, since the process began."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def arrays(result: Any) -> Iterator[Any]:
    """The arrays and numbers of a result, in order."""
    import numpy as np

    if isinstance(result, dict):
        result = [result[key] for key in sorted(result)]
    if isinstance(result, (list, tuple)):
        for part in result:
            yield from arrays(part)
    else:
        yield np.asarray(result.numpy() if hasattr(result, "numpy") else result, "f8").ravel()


def answer_of(work: Workload, results: list[Any]) -> list[list[float]]:
    """The first three losses; or of each array some numbers, and the sum of all without their signs."""
    import numpy as np

    if work.answer == "losses":
        losses = np.concatenate([next(arrays(r)) for r in results])[:3]
        return [losses.tolist()]
    found = []
    for x in arrays(results[0]):
        places = np.linspace(0, x.size - 1, min(x.size, SAMPLE)).astype(int)
        found += [x[places].tolist(), [float(np.abs(x).sum())]]
    return found


def begin(work: Workload, candidate: str, folder: Path) -> tuple[Ready, dict[str, Any]]:
    """Build a candidate and call it until it has settled; and what it tells then."""
    mine = work.candidate(candidate)
    build = made(mine.make)(work.case, folder, **mine.options)
    start = spent()
    ready = build()
    results = [ready.call(), ready.call()]
    first, until = spent() - start, time.monotonic() + SECONDS
    later: list[float] = []
    while len(later) < mine.settle or (len(later) < LATER and time.monotonic() < until):
        start = time.process_time()
        results[2:] = [*results[2:3], ready.call()][:1]
        later.append(time.process_time() - start)
    told = {
        "answer": answer_of(work, results),
        "compile": max(0.0, first - 2 * min(later)),
        "later": min(later),
        "memory": peak_memory(),
        "flops": float(ready.flops()),
    }
    return ready, told


def main(workload: str, candidate: str, folder: str) -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr
    work = WORKLOADS[workload]
    if candidate == "--prepare":
        made(work.prepare)(work.case, Path(folder))
        return
    try:
        ready, told = begin(work, candidate, Path(folder))
    except Exception as e:
        print(json.dumps({"missing": f"{type(e).__name__}: {e}".splitlines()[0]}), file=replies, flush=True)
        return
    clock = time.process_time if os.environ["GRAPHC_THREADS"] == "1" else time.perf_counter
    steps, call = work.candidate(candidate).steps, ready.call
    print(json.dumps(told), file=replies, flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = clock()
            call()
            seconds.append((clock() - start) / steps)
        seconds = seconds[1:] or seconds  # the first one finds cold caches
        print(json.dumps([min(seconds), statistics.median(seconds)]), file=replies, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
