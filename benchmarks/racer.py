"""One candidate of a workload in a process of its own, for `race.py`: `python racer.py WORKLOAD CANDIDATE`.

Writes one line of JSON when it is ready, with its first answer, or with why it can't take part. For each line
that it then reads, a number of calls, it answers with their seconds.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from harness import threads
from workloads import WORKLOADS, Candidate


def made(candidate: Candidate, arguments: tuple[Any, ...]) -> Callable[[], object]:
    """The candidate's call."""
    module = importlib.import_module(candidate.module)
    found = getattr(module, candidate.function)(*arguments)
    if candidate.key not in found:
        raise ImportError(f"{candidate.name} can't do this here")
    call: Callable[[], object] = found[candidate.key]
    return call


def answer_of(result: object) -> float:
    """The first number of a result."""
    import numpy as np

    if isinstance(result, dict):
        result = next(iter(result.values()))
    if isinstance(result, (list, tuple)):
        result = result[0]
    if hasattr(result, "detach"):
        result = result.detach().numpy()
    return float(np.asarray(result).ravel()[0])


def main(workload: str, candidate: str) -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr
    work = WORKLOADS[workload]
    mine = work.candidate(candidate)
    try:
        call = made(mine, work.arguments)
        ready = {"answer": answer_of(call())}
        call()
    except Exception as e:
        print(json.dumps({"missing": f"{type(e).__name__}: {e}".splitlines()[0]}), file=replies, flush=True)
        return
    clock = time.process_time if threads() == 1 else time.perf_counter
    print(json.dumps(ready), file=replies, flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = clock()
            call()
            seconds.append((clock() - start) / mine.calls)
        print(json.dumps(seconds), file=replies, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
