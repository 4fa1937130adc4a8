"""A race as a table in the terminal."""

from __future__ import annotations

from results import Reached, Result, Row

STYLES = {"goal": "green", "limit": "green", "missed": "red", "not measured": "yellow"}
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
NOTHING = "-"


def seconds(value: float | None) -> str:
    """A time in its unit, with three digits.

    >>> seconds(0.00123), seconds(12.0), seconds(None)
    ('1.23 ms', '12.0 s', '-')
    """
    if value is None:
        return NOTHING
    scale, unit = next((u for u in UNITS if value >= u[0]), UNITS[-1])
    return f"{digits(value / scale)} {unit}"


def digits(value: float) -> str:
    """Three digits, and no more than the point needs.

    >>> digits(1.234), digits(12.34), digits(1234.5)
    ('1.23', '12.3', '1234')
    """
    return f"{value:.{max(0, 2 - (value >= 10) - (value >= 100))}f}"


def cells(result: Result, row: Row) -> list[str]:
    """Name, least, median, ratio to the best peer, share of the peak, compile time, memory."""
    best, share = result.best, result.share(row)
    ratio = row.least / best.least if best and best.least and row.least else None
    return [
        row.name,
        seconds(row.least),
        seconds(row.median),
        NOTHING if ratio is None else f"{ratio:.2f}",
        NOTHING if share is None else f"{100 * share:.0f} %",
        seconds(row.compile),
        NOTHING if row.memory is None else f"{row.memory:.0f} MB",
    ]


def by_time(result: Result) -> list[Row]:
    """The rows, quickest first; those without a time at the end."""
    return sorted(result.rows, key=lambda r: (r.least is None, r.least or 0.0))


def sentence(figure: Reached) -> str:
    """A figure, what it should be, and whether it is."""
    value = NOTHING if figure.ratio is None else f"{figure.ratio:.3f}"
    what = f"{figure.what}: " if figure.what else ""
    aim = f"at most {figure.limit:g}" + (f", goal {figure.goal:g}" if figure.goal != figure.limit else "")
    return f"{what}{value} of {figure.beside or 'nobody'} ({aim}): {figure.verdict}"


def show(result: Result) -> None:
    """Print a race."""
    from rich.console import Console
    from rich.table import Table

    several = "s" * (result.threads > 1)
    table = Table(
        title=f"{result.name}: {result.title}, {result.threads} thread{several}", title_justify="left"
    )
    table.add_column("candidate", no_wrap=True)
    for name in ("least", "median", "x best peer", "of the peak", "compile", "memory"):
        table.add_column(name, justify="right")
    for row in by_time(result):
        table.add_row(*cells(result, row), style="bold" if row.name.startswith("graphc") else "")
    console = Console()
    console.print(table)
    for figure in result.figures:
        console.print(f"  {sentence(figure)}", style=STYLES[figure.verdict], highlight=False)
    for name, reason in result.left_out.items():
        console.print(f"  {name} left out: {reason}", style="dim", highlight=False)
