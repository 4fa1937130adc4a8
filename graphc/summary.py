"""The table of a model's layers: Keras 2's text table, byte for byte, or a box table.

In comes a `Summary`: plain rows, one per layer, that a model fills in. Out come lines of text. Nothing here
knows layers, so a table can be made, and tested, from data alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from graphc.ir.errors import ArgumentError

PLAIN_WIDTH, PLAIN_POSITIONS = 65, (0.45, 0.85, 1.0)
BRANCHED_WIDTH, BRANCHED_POSITIONS = 98, (0.33, 0.55, 0.67, 1.0)
TRAINABLE_WIDTH = 11
HEADINGS = ("Layer (type)", "Output Shape", "Param #", "Connected to")


@dataclass(frozen=True)
class SummaryRow:
    """One layer of the table.

    Args:
        name: the layer's name.
        class_name: its class.
        output_shape: as it is printed: "(None, 10)", "[(None, 28, 28, 1)]" for an input, "multiple", "?".
        params: how many numbers its weights have, or a text such as "0 (unused)".
        connected_to: "name[node][tensor]" per input, in order.
        trainable: whether the layer is trainable.
        nested: the rows of a model that is used as a layer.
    """

    name: str
    class_name: str
    output_shape: str
    params: int | str
    connected_to: Sequence[str] = ()
    trainable: bool = True
    nested: Sequence[SummaryRow] = ()


@dataclass(frozen=True)
class Summary:
    """A model as its table shows it.

    Args:
        name: the model's name.
        rows: its layers.
        trainable_params: how many numbers its trainable weights have.
        non_trainable_params: the same for its other weights.
        branched: whether some layer has several inputs, several calls, or stands beside another: the table
            then has a column "Connected to".
    """

    name: str
    rows: Sequence[SummaryRow]
    trainable_params: int
    non_trainable_params: int
    branched: bool = False

    @property
    def totals(self) -> list[str]:
        """The closing lines."""
        counts = {
            "Total": self.trainable_params + self.non_trainable_params,
            "Trainable": self.trainable_params,
            "Non-trainable": self.non_trainable_params,
        }
        return [f"{name} params: {count:,}" for name, count in counts.items()]


def print_summary(
    summary: Summary,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    style: str = "keras2",
) -> None:
    """Print the table, one call of `print_fn` per line.

    Args:
        summary: what to print.
        line_length: the width; 65, or 98 with "Connected to".
        positions: where the columns end, in characters or as shares of the width.
        print_fn: takes a line; `print` when None.
        expand_nested: show the layers of models that are used as layers, too.
        show_trainable: a further column, "Y" or "N".
        style: "keras2" or "rich".

    Raises:
        ArgumentError: no such style, or `positions` has not one number per column.
    """
    if style not in STYLES:
        raise ArgumentError(f"style should be {' or '.join(map(repr, STYLES))}, not {style!r}")
    for line in STYLES[style](summary, line_length, positions, expand_nested, show_trainable):
        (print_fn or print)(line)


@dataclass(frozen=True)
class _Layout:
    """The width of the text table, where its columns end, and which columns it has."""

    width: int
    ends: tuple[int, ...]
    headings: tuple[str, ...]

    def line(self, fields: Sequence[str], level: int = 0) -> str:
        """One line: each field cut so that a blank remains before the next column, as Keras 2 cuts it."""
        bars = "|" * level
        text = bars + " " if level else ""
        for index, (content, end) in enumerate(zip(fields, self.ends)):
            if index:
                text = text[:-1] + " "
            text = (text + content)[:end].ljust(end)
        return text[: self.width - level].ljust(self.width - level) + bars if level else text

    def rule(self, mark: str, level: int = 0) -> str:
        bars = "|" * level
        return bars + mark * (self.width - 2 * level) + bars


def render_classic(
    summary: Summary,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
) -> list[str]:
    """The lines of Keras 2's table.

    >>> row = SummaryRow("dense", "Dense", "(None, 10)", 7850)
    >>> print("\\n".join(line.rstrip() for line in render_classic(Summary("net", [row], 7850, 0))))
    Model: "net"
    _________________________________________________________________
    Layer (type)                 Output Shape              Param #
    =================================================================
    dense (Dense)                (None, 10)                7850
    =================================================================
    Total params: 7,850
    Trainable params: 7,850
    Non-trainable params: 0
    _________________________________________________________________
    """
    layout = _layout(summary.branched, line_length, positions, show_trainable)
    lines = [f'Model: "{summary.name}"', layout.rule("_"), layout.line(layout.headings), layout.rule("=")]
    lines += _classic_rows(summary, summary.rows, layout, expand_nested, 0)
    lines += [layout.rule("="), *summary.totals, layout.rule("_")]
    return lines


def _layout(
    branched: bool, line_length: int | None, positions: Sequence[float] | None, show_trainable: bool
) -> _Layout:
    width = line_length or (BRANCHED_WIDTH if branched else PLAIN_WIDTH)
    shares = positions or (BRANCHED_POSITIONS if branched else PLAIN_POSITIONS)
    headings = HEADINGS if branched else HEADINGS[:3]
    if len(shares) != len(headings):
        raise ArgumentError(
            f"positions should have {len(headings)} numbers, one per column, not {len(shares)}"
        )
    ends = tuple(int(width * share) if shares[-1] <= 1 else int(share) for share in shares)
    if show_trainable:
        width += TRAINABLE_WIDTH
        ends, headings = (*ends, width), (*headings, "Trainable")
    return _Layout(width, ends, headings)


def _classic_rows(
    summary: Summary, rows: Sequence[SummaryRow], layout: _Layout, expand_nested: bool, level: int
) -> Iterator[str]:
    for index, row in enumerate(rows):
        if index:
            yield layout.rule("_", level)
        for fields in _fields(row, summary.branched, "Trainable" in layout.headings):
            yield layout.line(fields, level)
        if expand_nested and row.nested:
            yield layout.rule("¯", level + 1)
            yield from _classic_rows(summary, row.nested, layout, expand_nested, level + 1)
            yield layout.rule("¯", level + 1)


def _fields(row: SummaryRow, branched: bool, show_trainable: bool) -> Iterator[list[str]]:
    """The fields of a row's first line, and of a line for each further input."""
    first = [f"{row.name} ({row.class_name})", row.output_shape, str(row.params)]
    inputs = list(row.connected_to) or [""]
    if branched:
        first.append(inputs[0])
    if show_trainable:
        first.append("Y" if row.trainable else "N")
    yield first
    if branched:
        for name in inputs[1:]:
            yield ["", "", "", name, *[""] * show_trainable]


def render_rich(
    summary: Summary,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
) -> list[str]:
    """The lines of a box table as wide as the terminal, or `line_length`; `positions` has no meaning here."""
    from rich.box import ROUNDED
    from rich.console import Console
    from rich.table import Table

    table = Table(box=ROUNDED, title=f'Model: "{summary.name}"', title_justify="left", show_lines=False)
    headings = (HEADINGS if summary.branched else HEADINGS[:3]) + ("Trainable",) * show_trainable
    for heading in headings:
        table.add_column(heading, justify="right" if heading == "Param #" else "left", overflow="fold")
    for level, row in _walk(summary.rows, expand_nested):
        table.add_row(*_rich_fields(row, level, summary.branched, show_trainable))
    console = Console(width=line_length, highlight=False, no_color=True)
    with console.capture() as capture:
        console.print(table, *summary.totals, sep="\n", markup=False)
    return capture.get().rstrip("\n").split("\n")


def _rich_fields(row: SummaryRow, level: int, branched: bool, show_trainable: bool) -> list[Any]:
    from rich.text import Text

    params = f"{row.params:,}" if isinstance(row.params, int) else row.params
    fields = ["  " * level + f"{row.name} ({row.class_name})", row.output_shape, params]
    fields += ["\n".join(row.connected_to)] * branched + ["Y" if row.trainable else "N"] * show_trainable
    # Shapes have brackets, which rich would take for markup.
    return [Text(content) for content in fields]


def _walk(
    rows: Sequence[SummaryRow], expand_nested: bool, level: int = 0
) -> Iterator[tuple[int, SummaryRow]]:
    for row in rows:
        yield level, row
        if expand_nested:
            yield from _walk(row.nested, expand_nested, level + 1)


STYLES: dict[str, Callable[..., list[str]]] = {"keras2": render_classic, "rich": render_rich}
