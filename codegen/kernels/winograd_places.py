"""How Winograd's algorithm divides images, and where what it needs lies in scratch memory.

Everything follows from the size of an image and the channels, so that neither threads nor the size of a batch
change a bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.element import Element
from graphc.codegen.kernels.cuts import Cut, balanced
from graphc.codegen.kernels.geometry import Geometry
from graphc.codegen.kernels.strategy import Strategy, strategy
from graphc.codegen.kernels.winograd_tiles import GAP
from graphc.codegen.kernels.winograd_transforms import POSITIONS
from graphc.codegen.target import Target
from graphc.codegen.text import Function, Operand

TILES, WIDE = 54, 18
"""Tiles of a block, and columns of them, at most."""


@dataclass(frozen=True)
class Form:
    """Squares of 3x3 taps, or lines of 7: what symbols have at their ends, the taps, and for each position
    how many values of a channel are multiplied. `percent`: about its share of the time of sums of products.
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

    def tile(self, f: Function, g: Geometry) -> tuple[str, str]:
        """Rows and columns of a tile's results."""
        if self is SQUARE:
            return "2", "2"
        across = f.equal(g["taps_high"], 1)
        return f.select("i64", across, 1, 2), f.select("i64", across, 2, 1)


SQUARE = Form("", 9, (1,) * POSITIONS, 60)
LINE = Form(".lines", 7, (3, 2, 2, 3), 85)
FORMS = (SQUARE, LINE)


@dataclass(frozen=True)
class Units:
    """How an image is cut: rows of tiles, columns of tiles in blocks, rows of a unit, units; and the windows
    of a unit and of an image.
    """

    high: str
    columns: Cut
    rows: str
    count: str
    windows: str
    image: str

    @classmethod
    def of(cls, f: Function, height: Operand, width: Operand, tile: tuple[Operand, Operand]) -> Units:
        """Of images with so many rows and columns of results, and tiles of so many."""
        high, columns = f.ceildiv(height, tile[0]), balanced(f, f.ceildiv(width, tile[1]), WIDE)
        widest = f.add(columns.size, f(f"zext i1 {f.less(0, columns.larger)} to i64"))
        most = f.minimum(f.udiv(TILES, f.maximum(widest, 1)), f.maximum(f.ceildiv(high, 2), 1))
        rows = f.ceildiv(high, f.maximum(f.ceildiv(high, most), 1))
        count = f.ceildiv(high, f.maximum(rows, 1))
        return cls(high, columns, rows, count, f.mul(f.mul(rows, tile[0]), width), f.mul(height, width))

    def begin(self, f: Function, unit: Operand) -> str:
        """The first window of a unit; they are numbered through all images."""
        divisor = f.maximum(self.count, 1)
        return f.add(f.mul(f.udiv(unit, divisor), self.image), f.mul(f.urem(unit, divisor), self.windows))

    def which(self, f: Function, window: Operand) -> str:
        """The unit that begins with a window."""
        image = f.maximum(self.image, 1)
        unit = f.udiv(f.urem(window, image), f.maximum(self.windows, 1))
        return f.add(f.mul(f.udiv(window, image), self.count), unit)


@dataclass(frozen=True)
class Scratch:
    """The parts of scratch memory: that of `convolve`, a tile of pixels, taps of a panel, V,
    M, and U.
    """

    direct: str
    patch: str
    taps: str
    v: str
    m: str
    u: str

    @classmethod
    def of(cls, f: Function, s: Strategy, channels: str) -> Scratch:
        """Where they are in %scratch."""
        places, at = ["%scratch"], f.at("i8", "%scratch", s.windows_bytes)
        for elements in _parts(s):
            places.append(at)
            fixed, each = elements
            at = f.at(s.t.name, at, f.add(f.mul(channels, each), fixed))
        places.append(at)
        return cls(*places)


def _parts(s: Strategy) -> list[tuple[int, int]]:
    """Elements of each part but the first and the last: a number, and how many more for each channel."""
    width = s.width
    return [
        (0, 16),
        (64, SQUARE.taps * width),
        (16 * GAP, 16 * TILES),
        (TILES * (POSITIONS * width + GAP), 0),
    ]


def winograd_scratch_bytes(target: Target, channels: int, columns: int) -> int:
    """The size of the scratch buffer (64-byte aligned) that `winograd_f32` needs for whole units of channels
    and columns, however many images there are.
    """
    s = strategy("f32", target)
    fixed = s.windows_bytes + s.t.size * sum(n for n, _ in _parts(s))
    each = sum(n for _, n in _parts(s))
    taps = POSITIONS * (channels * columns + GAP * (-(-columns // s.t.lanes)))
    return fixed + s.t.size * (each * channels + taps)


@dataclass(frozen=True)
class Block:
    """A block: its image, first rows and columns of tiles and their numbers, and its results."""

    image: str
    y: str
    x: str
    tiles_high: str
    tiles_wide: str
    high: str
    wide: str
    first: str

    def count(self, f: Function) -> str:
        """How many tiles it has."""
        return f.mul(self.tiles_high, self.tiles_wide)


def panel_of_u(f: Function, t: Element, form: Form, u: str, channels: str, panel: tuple[str, str]) -> str:
    """Where the panel of that number and first column is."""
    number, inner = panel
    each = f.mul(f.mul(inner, channels), form.depth)
    return f.at(t.name, u, f.mul(f.add(each, f.mul(number, GAP)), form.positions))
