"""Workloads beside whatever peers are installed: `python benchmarks/race.py [NAME ...]`, or `graphc bench`.

Every candidate has a process of its own, which is stopped while it is not its turn, and the same number of
cores. All answers are compared before anything is timed. Rounds go through all candidates, so that what
changes on the machine meets all of them; the least and the median time are told. With one thread the time
is CPU time, with more it is wall time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import OURS, Timing, report, save
from workloads import WORKLOADS, Workload

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Racer:
    """A candidate in its process, which is stopped except while it answers."""

    name: str
    process: subprocess.Popen[str]

    @staticmethod
    def start(workload: Workload, name: str, threads: int, python: str) -> Racer:
        """Begin to build a candidate; ours runs on this interpreter, peers on `python`."""
        command = [sys.executable if name == OURS else python, str(HERE / "racer.py"), workload.name, name]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | environment(threads),
            preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:]),
        )
        return Racer(name, process)

    def reply(self) -> object:
        """The next line that it writes; then it stops."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return {"missing": "its process ended"}
        self.process.send_signal(signal.SIGSTOP)
        return json.loads(line)

    def turn(self, calls: int) -> list[float]:
        """The seconds of some calls; the first one, which finds cold caches, is left out."""
        assert self.process.stdin is not None
        self.process.send_signal(signal.SIGCONT)
        print(calls + 1, file=self.process.stdin, flush=True)
        found = self.reply()
        if not isinstance(found, list):
            raise RuntimeError(f"{self.name} ended while it was timed")
        return found[1:]

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def environment(threads: int) -> dict[str, str]:
    """What makes every library use so many threads."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    several = str(threads > 1).lower()
    flags = f"--xla_cpu_multi_thread_eigen={several} intra_op_parallelism_threads={threads}"
    ours = {"GRAPHC_THREADS": str(threads), "GRAPHC_BENCH_THREADS": str(threads)}
    return dict.fromkeys(names, str(threads)) | ours | {"XLA_FLAGS": flags}


def line_up(workload: Workload, threads: int, python: str) -> tuple[list[Racer], dict[str, str]]:
    """The candidates that can take part, with the same answer as ours; and why others can't."""
    racers: list[Racer] = []
    missing: dict[str, str] = {}
    expected = math.nan
    for candidate in workload.candidates:
        racer = Racer.start(workload, candidate.name, threads, python)
        ready = racer.reply()
        assert isinstance(ready, dict)
        if "missing" in ready:
            missing[racer.name] = ready["missing"]
            racer.end()
            continue
        racers.append(racer)
        expected = ready["answer"] if len(racers) == 1 else expected
        if not math.isclose(ready["answer"], expected, rel_tol=workload.answer_rtol):
            first = f"{racers[0].name} {expected}"
            for other in racers:
                other.end()
            raise SystemExit(f"{workload.name}: answers differ: {racer.name} {ready['answer']}, {first}")
    return racers, missing


def race(workload: Workload, rounds: int, calls: int, threads: int, python: str) -> dict[str, object]:
    """Time a workload and print its table; what goes into the JSON file."""
    racers, missing = line_up(workload, threads, python)
    seconds: dict[str, list[float]] = {racer.name: [] for racer in racers}
    try:
        for _ in range(rounds):
            for racer in racers:
                seconds[racer.name] += racer.turn(calls)
    finally:
        for racer in racers:
            racer.end()
    timings = {n: Timing(n, min(s), statistics.median(s)) for n, s in seconds.items()}
    found = report(f"{workload.title}, {threads} thread{'s' * (threads > 1)}", timings)
    for name, reason in missing.items():
        print(f"  {name:24} left out: {reason}")
    return found | {"name": workload.name, "threads": threads, "rounds": rounds, "left_out": missing}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("graphc bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKLOADS)}; default: all")
    parser.add_argument("--threads", type=int, default=1, help="threads of every candidate")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=5, help="calls of each candidate in a round")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has the peers")
    parser.add_argument("--save", metavar="NAME", help="write benchmarks/results/NAME.json")
    args = parser.parse_args(argv)
    unknown = [name for name in args.names if name not in WORKLOADS]
    if unknown:
        parser.error(f"there is no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}")
    chosen = [WORKLOADS[name] for name in args.names or WORKLOADS]
    results = [race(w, args.rounds, args.calls, args.threads, args.python) for w in chosen]
    if args.save:
        machine = {"machine": platform.platform(), "command": " ".join(sys.argv)}
        save(args.save, [{**machine, **result} for result in results])


if __name__ == "__main__":
    main()
