"""How Winograd's algorithm divides images: into units, which threads share, and blocks, computed at once.

Everything follows from the size of an image, so that neither threads nor the size of a batch change a bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.kernels.cuts import Cut, balanced
from graphc.codegen.text import Function, Operand

TILES, WIDE = 54, 18
"""Tiles of a block, and columns of them, at most."""


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
