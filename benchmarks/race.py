"""Workloads beside whatever peers are installed: `python benchmarks/race.py [NAME ...]`, or `graphc bench`.

Every candidate has a process of its own, which is stopped while it is not its turn, the same number of
threads, the same data and weights. All answers are compared before anything is timed. Rounds go through all
candidates, so that what changes on the machine meets all of them; the least and the median time are told.
With one thread the time is CPU time, with more it is wall time. Each workload's result is written as soon as
it is there, to benchmarks/results/race; `python benchmarks/page.py` makes docs/benchmarks.md of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

import results
from lineup import LineUp, Setting, line_up, write_byte_code
from results import Result, Row
from table import show
from workloads import WORKLOADS
from workloads.definition import OURS, PEAK, Candidate, Workload

ROUNDS, QUICK = 12, 0.02
MOST = 500
"""Calls in one turn, at most."""
CHEAP = 0.3
"""Seconds of a call up to which a turn begins with one that is not timed."""
RECENT = timedelta(hours=3)


def disqualify(work: Workload, field: LineUp) -> list[str]:
    """Leave out who could not begin, or whose answer is not that of the first; who had a wrong one."""
    wrong, expected = [], None
    for runner in list(field.runners):
        told = field.told[runner.name]
        reason = told.get("missing", "")
        if not reason and runner.name != PEAK:
            expected = expected or told["answer"]
            reason = results.differs(told["answer"], expected, work.tolerance)
            wrong += [runner.name] * bool(reason)
        if reason:
            field.missing[runner.name] = reason
            field.runners.remove(runner)
            runner.end()
    return wrong


Turns = dict[str, list[tuple[float, float]]]


def timed(work: Workload, field: LineUp, rounds: int, budget: float) -> tuple[Turns, int]:
    """Go through all candidates in rounds, some `budget` seconds for each: times and number of rounds."""
    runners = {r.name: r for r in field.runners if r.name == PEAK or work.candidate(r.name).timed}
    later = {name: max(field.told[name]["later"], 1e-6) for name in runners}
    rounds = min(rounds, max(2, ceil(budget / statistics.median(later.values() or [1.0]))))
    calls = {n: max(1, min(MOST, round(budget / rounds / s))) + (s < CHEAP) for n, s in later.items()}
    turns: Turns = {name: [] for name in runners}
    for i in range(rounds):
        for name in [n for n in runners if n not in field.missing]:
            if i >= 2 and i * calls[name] * later[name] > 2 * budget:
                continue  # who is far behind has fewer turns
            try:
                turns[name].append(runners[name].turn(calls[name]))
            except RuntimeError as e:
                field.missing[name] = str(e)
    return turns, rounds


def rows_of(field: LineUp, turns: Turns) -> dict[str, Row]:
    """What each candidate needs."""
    found = {}
    for runner in (r for r in field.runners if r.name not in field.missing):
        told, seconds = field.told[runner.name], turns.get(runner.name)
        found[runner.name] = Row(
            runner.name,
            min(s[0] for s in seconds) if seconds else None,
            statistics.median(s[1] for s in seconds) if seconds else None,
            told.get("compile"),
            told.get("memory"),
            runner.versions,
            results.now(),
        )
    return found


def measured_before(path: Path, slow: Sequence[Candidate]) -> list[Row]:
    """The rows of slow candidates from an earlier run, with their dates."""
    if not path.is_file():
        return []
    names = [c.name for c in slow]
    return [row for row in results.load(path).rows if row.name in names]


def race(work: Workload, setting: Setting, args: argparse.Namespace) -> tuple[Result, list[str]]:
    """Time a workload; what was found, and who had a wrong answer."""
    absent = [c for c in work.candidates if (c.slow and not args.slow) or c.name in args.without]
    field = line_up(work, [c for c in work.candidates if c not in absent], setting)
    try:
        wrong = disqualify(work, field)
        budget = work.seconds * (QUICK if args.quick else args.seconds)
        turns, rounds = timed(work, field, args.rounds, budget)
    finally:
        field.end()
    rows = rows_of(field, turns)
    probe = rows.pop(PEAK, None)
    peak = field.told[PEAK]["flops"] / probe.least if probe and probe.least else 0.0
    before = measured_before(results.place(work.name, setting.threads, args.out), absent)
    for name in {c.name for c in absent} - {row.name for row in before}:
        field.missing[name] = "not asked for"
    return result_of(work, setting, args, field, [*rows.values(), *before], rounds, peak), wrong


def result_of(
    work: Workload,
    setting: Setting,
    args: argparse.Namespace,
    field: LineUp,
    rows: list[Row],
    rounds: int,
    peak: float,
) -> Result:
    """All that is kept of a race."""
    figures = [f for f in work.figures if f.measure == "least" or setting.threads == 1]
    return Result(
        work.name,
        work.title,
        work.family,
        setting.threads,
        rounds,
        results.now(),
        command(args),
        machine(),
        work.tolerance,
        field.told.get(OURS, {}).get("flops", 0.0),
        peak,
        size_of(setting.folder),
        rows,
        field.missing,
        [results.reached(figure, rows) for figure in figures],
    )


def size_of(folder: Path) -> dict[str, int]:
    """Layers and parameters of the network that was prepared there."""
    path = folder / "size.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def machine() -> dict[str, str]:
    """What it runs on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    family = [line.split(":")[1].strip() for line in lines if line.startswith(("cpu family", "model\t"))][:2]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": f"{cpu} (family {', model '.join(family)})",
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GB",
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def command(args: argparse.Namespace) -> str:
    """How this was run; of interpreters only the environments' names."""
    rounds = not args.quick and args.rounds != ROUNDS
    words = ["graphc bench", *args.names]
    words += [f"--threads {args.threads}"] * bool(args.threads) + [f"--rounds {args.rounds}"] * rounds
    words += [f"--python {'/'.join(Path(p).parts[-3:])}" for p in args.python]
    words += [f'--without "{name}"' for name in args.without]
    return " ".join(words + ["--slow"] * args.slow + ["--quick"] * args.quick)


def plan(args: argparse.Namespace) -> list[tuple[Workload, int]]:
    """Which workloads with how many threads: first all with the fewest."""
    chosen = [WORKLOADS[name] for name in args.names or WORKLOADS]
    pairs = [(w, n) for w in chosen for n in ((args.threads,) if args.threads else w.threads)]
    if args.resume:
        pairs = [(w, n) for w, n in pairs if not is_recent(results.place(w.name, n, args.out))]
    return sorted(pairs, key=lambda pair: pair[1])


def is_recent(path: Path) -> bool:
    """Whether there is a result of the last hours, of all who can take part."""
    if not path.is_file():
        return False
    found = results.load(path)
    date = datetime.fromisoformat(found.date)
    partial = "--quick" in found.command or "--without" in found.command
    return not partial and datetime.now(date.tzinfo) - date < RECENT


YES: dict[str, Any] = {"action": "store_true"}
OPTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("threads", "of every candidate; default: 1, for some also 2", {"type": int}),
    ("rounds", "how often each has its turn, at most", {"type": int, "default": ROUNDS}),
    ("seconds", "time all for longer, or shorter", {"type": float, "default": 1.0, "metavar": "FACTOR"}),
    ("python", "an interpreter with peers", {"action": "append", "default": [], "metavar": "PATH"}),
    ("limit", "seconds in which a candidate has to be ready", {"type": float, "default": 600.0}),
    ("without", "leave one out", {"action": "append", "default": [], "metavar": "CANDIDATE"}),
    ("slow", "also who takes minutes", YES),
    ("quick", "two short rounds, to see that it works; not kept", YES),
    ("resume", "only what has no result of the last three hours", YES),
    ("out", "where results go", {"type": Path, "metavar": "FOLDER"}),
)


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("graphc bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKLOADS)}; default: all")
    for name, text, settings in OPTIONS:
        parser.add_argument(f"--{name}", help=text, **settings)
    args = parser.parse_args(argv)
    unknown = [name for name in args.names if name not in WORKLOADS]
    if unknown:
        parser.error(f"there is no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}")
    args.rounds = 2 if args.quick else args.rounds
    args.kept = args.out is not None or not args.quick
    args.out = args.out or results.FOLDER
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Race; 1 if somebody had a wrong answer, or nobody could be given the data."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that processes which are stopped end too
    args = parsed(argv)
    pythons = tuple(dict.fromkeys([sys.executable, *args.python]))
    status = 0
    write_byte_code()
    for work, threads in plan(args):
        with tempfile.TemporaryDirectory() as folder:
            try:
                found, wrong = race(work, Setting(threads, pythons, args.limit, Path(folder)), args)
            except subprocess.CalledProcessError as e:
                print(f"{work.name}: {e}", file=sys.stderr)
                status = 1
                continue
        show(found)
        status = 1 if wrong else status
        if args.kept:
            results.save(found, args.out)
    return status


if __name__ == "__main__":
    sys.exit(main())
