"""docs/benchmarks.md and its plots, from the results that `graphc bench` left: `python benchmarks/page.py`.

`--results FOLDER` and `--docs FOLDER` read and write elsewhere.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import chart
import results
from results import Reached, Result
from table import NOTHING, by_time, cells, digits, seconds
from workloads import WORKLOADS
from workloads.definition import OURS

DOCS = Path(__file__).parents[1] / "docs"
FAMILIES = {
    "training": "Training steps",
    "inference": "Inference",
    "NumPy": "NumPy code",
    "start": "Cold start and second process",
}
HEAD = ("", "least", "median", "times the best peer", "share of the peak", "compile", "peak memory")
SAME_RUN = timedelta(minutes=10)
VERDICTS = {
    "goal": "goal reached",
    "limit": "within the limit",
    "missed": "**missed**",
    "not measured": "not measured",
}
INTRODUCTION = """\
# Benchmarks

graphc beside what people can install instead. Written by `python benchmarks/page.py` from the measurements in
`benchmarks/results/race/`; nothing here is typed by hand.

Every candidate runs in a process of its own, which is stopped while it is not its turn, with the same number
of threads, the same data and the same weights. Before anything is timed, all answers are compared: three
losses of a training step, so that the updates of the weights count too, or a sample of all outputs; they
agree within the tolerance below each table. Then rounds go through all candidates; "least" and "median" are
those of all rounds. With one thread times are CPU time of the whole process, with two they are wall time.
"Compile" is what the first two calls take beyond two later ones, in CPU seconds, with empty caches, and with
what they import (libraries are imported, and functions decorated, before), in one process: such times
differ by a third from process to process here; "peak memory" is that of the
process after it. The share of the peak is the operations that `f.cost()` counts for graphc's step, over the
time and this machine's multiply-adds per second in registers, measured in the same rounds; Winograd's
algorithm needs fewer than are counted. What bounds graphc's kernels one by one: [roofline.md](roofline.md).
"""


def named(result: Result) -> str:
    """A race's title with its threads, if it has several."""
    return result.title + (f", {result.threads} threads" if result.threads > 1 else "")


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells_) + " |" for cells_ in lines)


def conditions(found: Sequence[Result]) -> str:
    """The machine, versions, dates and commands."""
    versions: dict[str, str] = {}
    for row in (row for result in found for row in result.rows):
        versions |= row.versions
    parts = [
        "## Conditions",
        "\n".join(
            f"- {name}: {', '.join(sorted({r.machine[name] for r in found}))}" for name in found[0].machine
        )
        + "\n- versions: "
        + ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        + f"\n- measured: {min(r.date for r in found)} to {max(r.date for r in found)}",
        "To repeat it, with interpreters that have the peers:",
        "```\n" + "\n".join(dict.fromkeys(r.command for r in found)) + "\npython benchmarks/page.py\n```",
    ]
    return "\n\n".join(parts)


# -- figures -------------------------------------------------------------------------------------------------
def figures(found: Sequence[Result]) -> str:
    """All figures with their limits; first, how many are reached."""
    listed = [(r, f) for r in found for f in r.figures]
    count = {word: sum(f.verdict == word for _, f in listed) for word in VERDICTS}
    words = {"goal": "reach their goal", "limit": "more are within the limit", "missed": "are missed"}
    said = [f"{count[word]} {text}" for word, text in words.items()]
    said += [f"{count['not measured']} are not measured"] * bool(count["not measured"])
    summary = f"Of {len(listed)} figures {', '.join(said)}"
    head = ("workload", "graphc is", "of", "limit", "goal", "")
    return "\n\n".join(
        [
            "## Figures to reach",
            summary
            + ". Ratios of graphc to the best peer of the same run, or to the peer named; less is better.",
            "![Ratios to the best peer beside limits and goals](benchmarks-ratios.svg)",
            grid(head, [figure_cells(r, f) for r, f in listed]),
        ]
    )


def figure_cells(result: Result, figure: Reached) -> list[str]:
    ratio = (
        NOTHING
        if figure.ratio is None
        else f"{figure.ratio:.2f}"
        if figure.ratio >= 0.1
        else f"{figure.ratio:.3f}"
    )
    what = f"{named(result)}: {figure.what}" if figure.what else named(result)
    return [what, ratio, figure.beside, f"{figure.limit:g}", f"{figure.goal:g}", VERDICTS[figure.verdict]]


def bars(found: Sequence[Result]) -> str:
    """The figures of time as a picture."""
    given = [
        chart.Bar(": ".join(filter(None, [short(r), f.what])), f.ratio, f.limit, f.goal, f.verdict)
        for r in found
        for f in r.figures
        if f.measure == "least" and f.ratio is not None
    ]
    return chart.bars("graphc's time over the best peer's", given)


def short(result: Result) -> str:
    """A title that fits beside a plot."""
    title = result.title.split(" (")[0].replace("value and gradient", "gradient")
    if "gradient" in result.title and "gradient" not in title:
        title += ", gradient"
    return title + (", 2 threads" if result.threads == 2 else "")


# -- tables --------------------------------------------------------------------------------------------------
def family(found: Sequence[Result], name: str) -> str:
    """A table for each race of a family."""
    parts = [f"## {FAMILIES[name]}"]
    for result in found:
        if result.family == name:
            parts += [f"### {named(result)}", grid(HEAD, [dated(result, row) for row in by_time(result)])]
            parts.append(notes(result))
    return "\n\n".join(parts)


def dated(result: Result, row: results.Row) -> list[str]:
    """A row's cells; an earlier measurement, and ours, can be told from the others."""
    name, *rest = cells(result, row)
    if row.name.startswith(OURS):
        name = f"**{name}**"
    apart = abs(datetime.fromisoformat(result.date) - datetime.fromisoformat(row.date))
    return [name if apart < SAME_RUN else f"{name} (another run, {row.date[:16]})", *rest]


def notes(result: Result) -> str:
    """Rounds, tolerance, operations, and who is not there."""
    said = [f"{result.rounds} rounds; answers within {result.tolerance:g}"]
    if result.flops:
        said.append(f"{digits(result.flops / 1e9)} GFLOP, peak {digits(result.peak / 1e9)} GFLOP/s per core")
    said += [f"{name} left out: {reason}" for name, reason in result.left_out.items()]
    return "; ".join(said) + "."


def by_candidate(
    found: Sequence[Result], value: Callable[[results.Row], float | None], show: Callable[[float], str]
) -> str:
    """A table of races and candidates."""
    names = [n for n in chart.COLOURS if any(r.name == n and value(r) for f in found for r in f.rows)]
    rows = []
    for result in found:
        known = {r.name: value(r) for r in result.rows}
        size = (
            f" ({result.size['layers']} layers, {result.size['parameters']:,} parameters)"
            if result.size
            else ""
        )
        rows.append([named(result) + size, *(show(v) if (v := known.get(n)) else NOTHING for n in names)])
    return grid(["", *names], rows)


def compiling(found: Sequence[Result]) -> str:
    """Compile time, smallest network first."""
    chosen = sorted((r for r in single(found) if r.family != "start"), key=lambda r: r.size.get("layers", 0))
    return "\n\n".join(
        [
            "## Compile time",
            "![Compile time of all candidates](benchmarks-compile.svg)",
            by_candidate(chosen, compile_time, seconds),
        ]
    )


def memory(found: Sequence[Result]) -> str:
    chosen = [r for r in single(found) if r.family == "training"]
    return "\n\n".join(
        [
            "## Memory of training",
            "Peak of the process in MB, after compiling and some steps.",
            "![Peak memory of training processes](benchmarks-memory.svg)",
            by_candidate(chosen, lambda row: row.memory, lambda v: f"{v:.0f}"),
        ]
    )


def two_threads(found: Sequence[Result]) -> str:
    """How many times quicker each candidate is with two threads."""
    alone = {r.name: r for r in single(found)}
    rows = []
    for result in found:
        if result.threads == 2 and result.name in alone:
            before = {r.name: r.least for r in alone[result.name].rows}
            gains = [
                f"{r.name} {one / r.least:.2f}"
                for r in by_time(result)
                if r.least and (one := before.get(r.name))
            ]
            rows.append([result.title, ", ".join(gains)])
    if not rows:
        return ""
    said = "Times quicker than with one thread: the one's CPU time over the two's wall time."
    return "\n\n".join(["## Two threads", said, grid(("", "quicker by"), rows)])


def single(found: Sequence[Result]) -> list[Result]:
    return [r for r in found if r.threads == 1]


# -- plots ---------------------------------------------------------------------------------------------------
def plots(found: Sequence[Result]) -> dict[str, str]:
    """Files of pictures."""

    def rows(chosen: Sequence[Result], value: Callable[[Result, results.Row], float | None]) -> dict:
        known = {short(r): {w.name: v for w in r.rows if (v := value(r, w))} for r in chosen}
        return {name: row for name, row in known.items() if OURS in row and len(row) > 1}

    def relative(result: Result, row: results.Row) -> float | None:
        ours = next((r.least for r in result.rows if r.name == OURS), None)
        return row.least / ours if ours and row.least else None

    training = [r for r in single(found) if r.family == "training"]
    compiled = [r for r in single(found) if r.family != "start"]
    return {
        "ratios": bars(found),
        "speed": chart.dots(
            "Time of a call, in multiples of graphc's", rows(found, relative), lambda v: f"{v:.3g}x"
        ),
        "compile": chart.dots(
            "Compile time, CPU seconds", rows(compiled, lambda _, w: compile_time(w)), seconds
        ),
        "memory": chart.dots(
            "Peak memory of training", rows(training, lambda _, w: w.memory), lambda v: f"{v:.0f} MB"
        ),
    }


def compile_time(row: results.Row) -> float | None:
    """None for those who compile nothing."""
    return row.compile if row.name not in ("NumPy", "torch", "autograd") else None


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    parser.add_argument("--docs", type=Path, default=DOCS)
    args = parser.parse_args(argv)
    order = list(WORKLOADS)
    found = [results.load(path) for path in args.results.glob("*.json")]
    found = sorted((r for r in found if r.name in order), key=lambda r: (order.index(r.name), r.threads))
    if not found:
        raise SystemExit(f"there are no results in {args.results}: graphc bench makes them")
    speed = "![Times of all candidates, in multiples of graphc's](benchmarks-speed.svg)"
    shown = [name for name in FAMILIES if any(r.family == name for r in found)]
    tables = [two_threads(found), *(family(found, name) for name in shown)]
    parts = [INTRODUCTION, conditions(found), figures(found), speed, compiling(found), memory(found), *tables]
    (args.docs / "benchmarks.md").write_text("\n\n".join(p.strip() for p in parts if p) + "\n")
    for name, drawn in plots(found).items():
        (args.docs / f"benchmarks-{name}.svg").write_text(drawn)


if __name__ == "__main__":
    main()
