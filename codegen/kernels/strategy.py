"""The sizes that decide how a product is cut: tiles for the registers, blocks for the caches. All follow
from the target.

registers  a tile of `rows` x `vectors` accumulators, + vectors of B + 1 of A
L1         a panel of B: kc x (vectors * lanes)
L2         a block of A: mc x kc
L3         a block of B: kc x nc
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.element import Element, register
from graphc.codegen.target import Target

NEAR = ".near"
POLICIES = ("", NEAR)
"""Where operands of a product are taken to be: as its sizes suggest, or in a cache. The names of its entries
have them, as in `product.near_f32`.
"""
FAST = ".fast"
"""Convolutions without guards (`winograd_guards.py`), for `fast_math`."""
CLOSE = 128 << 10
"""Bytes of b that are taken to be in a cache when a product begins; of a, which is read more often, twice."""


@dataclass(frozen=True)
class Strategy:
    """How products of one element type are cut on one target; all counts are of elements unless they say
    otherwise.

    `rows` and `vectors` give the tile of large products, whose A and B are packed. `narrow` maps the
    vectors of a panel to the rows of a tile where A is read in place: for few rows (the widest panels, so
    that B is read in long runs) and few columns. Up to `few_columns` rows of A are read in place, since a
    copy would be read too seldom.
    """

    t: Element
    rows: int
    vectors: int
    narrow: dict[int, int]
    kc: int
    mc: int
    nc: int
    few_rows: int
    few_vectors: int
    few_columns: int
    run: int
    depth: int
    row_run: int
    most_taps: int
    few_channels: int
    together: int

    @property
    def width(self) -> int:
        """Columns of a panel of a large product."""
        return self.vectors * self.t.lanes

    @property
    def tile_gap(self) -> int:
        """Elements between packed tiles of A: room for what the last store of a tile writes too much."""
        return 64 // self.t.size

    @property
    def a_elements(self) -> int:
        """Room for a packed block of A."""
        tiles = -(-self.mc // self.rows) + 1
        return tiles * (self.rows * self.kc + self.tile_gap) + 2 * self.tile_gap

    @property
    def b_elements(self) -> int:
        """Room for a packed block of B, and a row more."""
        widest = max(self.vectors, *self.narrow) * self.t.lanes
        return (self.kc + 1) * max(self.nc, widest) + self.t.lanes

    @property
    def scratch_bytes(self) -> int:
        """What a product needs beside its operands, rounded to cache lines."""
        return -(-(self.a_elements + self.b_elements) * self.t.size // 64) * 64

    @property
    def places(self) -> int:
        """The most taps that a block has: one channel each."""
        return max(self.kc, self.mc)

    @property
    def table_bytes(self) -> int:
        """Room for the places of all taps of a block of windows."""
        tiles = -(-self.mc // self.rows) + 1
        return -(-8 * tiles * self.rows * self.most_taps // 64) * 64

    @property
    def windows_bytes(self) -> int:
        """What a convolution or a correlation needs beside its operands: packed B, and either the table and
        windows side by side, or packed A and some windows.
        """
        walked = (self.b_elements + self.mc * self.kc + self.t.lanes) * self.t.size + self.table_bytes
        turned = self.scratch_bytes + (self.together * self.mc + self.t.lanes) * self.t.size + 24 * self.kc
        return -(-(max(walked, turned) + 3 * 8 * self.places) // 64) * 64


def strategy(dtype: str, target: Target) -> Strategy:
    """The strategy for products of f32 or f64 on a target."""
    t = register(dtype, target)
    many = target.registers >= 32
    rows, vectors = (6, 4) if many else (6, 2)
    narrow = dict.fromkeys((1, 2, 3, 4), 6) if many else {1: 6, 2: 6, 3: 4}
    return Strategy(
        t,
        rows,
        vectors,
        narrow,
        kc=384 if t.size == 4 else 400,
        mc=144,
        nc=4096 // t.size,
        few_rows=8,
        few_vectors=3,
        few_columns=128,
        run=2048 // t.size,
        depth=8,
        row_run=16384 // t.size,
        most_taps=32,
        few_channels=16,
        together=32,
    )
