"""The two forms of Winograd's algorithm: squares of 3x3 taps, and lines of seven, across (1x7) or down (7x1).

What the driver does alike for both, it does by asking the form for what differs: the results of a tile, the
transform of taps, and how far apart pixels and results lie.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from graphc.codegen.element import Element
from graphc.codegen.kernels.geometry import Geometry
from graphc.codegen.kernels.winograd_transforms import POSITIONS, transform_line_taps, transform_taps
from graphc.codegen.kernels.winograd_units import Block
from graphc.codegen.text import Function, Operand


@dataclass(frozen=True)
class Form(ABC):
    """What symbols have at their ends, the taps, and for each position how many values of a channel are
    multiplied. `percent`: about its share of the time of sums of products.
    """

    suffix: str
    taps: int
    parts: tuple[int, ...]
    percent: int

    @property
    def positions(self) -> int:
        """How many products there are."""
        return len(self.parts)

    @property
    def depth(self) -> int:
        """Room for the values of a channel."""
        return max(self.parts)

    @abstractmethod
    def tile(self, f: Function, g: Geometry) -> tuple[str, str]:
        """Rows and columns of a tile's results."""

    @abstractmethod
    def parts_of(self, f: Function, position: str) -> Operand:
        """The entry of `parts` for a position."""

    @abstractmethod
    def transform_taps(self, f: Function, t: Element, g: Sequence[str]) -> list[list[str]]:
        """For each position the values of a vector of columns, whose taps are `g`."""

    @abstractmethod
    def pixel_steps(self, f: Function, g: Geometry, down: str, right: str) -> tuple[str, ...]:
        """The distances of pixels that `transform_input` takes, of those from row to row and in a row."""

    @abstractmethod
    def result_steps(self, f: Function, g: Geometry, each: str) -> tuple[Operand, Operand]:
        """The distances of results that `transform_output` takes, of that of neighbours in a row."""

    @abstractmethod
    def result_sizes(self, f: Function, g: Geometry, block: Block, y: str) -> tuple[Operand, Operand]:
        """What `transform_output` takes to know which results there are of the row of tiles that begins with
        row `y` of a block.
        """


class Square(Form):
    """3x3 taps: a tile is 2x2 results."""

    def tile(self, f: Function, g: Geometry) -> tuple[str, str]:
        return "2", "2"

    def parts_of(self, f: Function, position: str) -> Operand:
        return 1

    def transform_taps(self, f: Function, t: Element, g: Sequence[str]) -> list[list[str]]:
        return transform_taps(f, t, g)

    def pixel_steps(self, f: Function, g: Geometry, down: str, right: str) -> tuple[str, ...]:
        return down, right

    def result_steps(self, f: Function, g: Geometry, each: str) -> tuple[Operand, Operand]:
        return f.mul(each, g["out_width"]), each

    def result_sizes(self, f: Function, g: Geometry, block: Block, y: str) -> tuple[Operand, Operand]:
        return f.sub(block.high, y), block.wide


class Line(Form):
    """Seven taps in a line: a tile is two results along it."""

    def tile(self, f: Function, g: Geometry) -> tuple[str, str]:
        across = _across(f, g)
        return f.select("i64", across, 1, 2), f.select("i64", across, 2, 1)

    def parts_of(self, f: Function, position: str) -> Operand:
        return f.select("i64", f.equal(f.urem(position, 3), 0), self.depth, self.depth - 1)

    def transform_taps(self, f: Function, t: Element, g: Sequence[str]) -> list[list[str]]:
        return transform_line_taps(f, t, g)

    def pixel_steps(self, f: Function, g: Geometry, down: str, right: str) -> tuple[str, ...]:
        return (f.select("i64", _across(f, g), right, down),)

    def result_steps(self, f: Function, g: Geometry, each: str) -> tuple[Operand, Operand]:
        across = _across(f, g)
        following = f.select("i64", across, f.mul(each, 2), each)
        return following, f.select("i64", across, each, f.mul(each, g["out_width"]))

    def result_sizes(self, f: Function, g: Geometry, block: Block, y: str) -> tuple[Operand, Operand]:
        below = f.select("i64", f.less(f.add(y, 1), block.high), block.tiles_wide, 0)
        return block.tiles_wide, f.select("i64", _across(f, g), f.udiv(block.wide, 2), below)


def _across(f: Function, g: Geometry) -> str:
    return f.equal(g["taps_high"], 1)


SQUARE = Square("", 9, (1,) * POSITIONS, 60)
LINE = Line(".lines", 7, (3, 2, 2, 3), 85)
FORMS = (SQUARE, LINE)
