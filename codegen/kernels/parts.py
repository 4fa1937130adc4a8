"""The parts of the library of products, and which of them a product of some sizes uses.

A part is an object file of its own, compiled when a product first wants it, since a program seldom wants all.
The core can do every product, with the same bits: `large` takes the place of another driver, `any_tile` that
of a microkernel. So what is told here decides speed alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.kernels.strategy import CLOSE, NEAR, Strategy
from graphc.codegen.kernels.tiles import COPY, FULL, LARGE, PLAIN, Kind, sizes
from graphc.ir.dims import Dim

DRIVERS = ("narrow", "stream", "row")
"""Drivers that are parts, in the order of their table."""
PACKED, COPIED = "packed", "copied"
"""The microkernels of large products, and the one for rare numbers of rows that packs B."""


@dataclass(frozen=True)
class Call:
    """A call of the library: a function's name, the sizes, and whether rows of b are contiguous."""

    name: str
    m: Dim
    n: Dim
    k: Dim
    along: bool


def parts(s: Strategy) -> list[str]:
    """All parts beside the core."""
    plain = dict.fromkeys(_part_of(s, PLAIN, nrv, mr) for nrv, mr in sizes(s, PLAIN))
    return [PACKED, COPIED, *plain, *DRIVERS]


def tiles_of(s: Strategy, part: str) -> list[tuple[Kind, int, int]]:
    """The microkernels of a part: kind, vectors, rows."""
    kinds = (PLAIN,) if part not in (PACKED, COPIED) else (*LARGE, COPY)
    return [(kind, *size) for kind in kinds for size in sizes(s, kind) if _part_of(s, kind, *size) == part]


def _part_of(s: Strategy, kind: Kind, nrv: int, mr: int) -> str:
    """The part of a microkernel. Where there are many rows, tiles have as many as they can or one less."""
    if kind is PLAIN:
        return f"{'plain' if mr >= s.narrow[nrv] - 1 else 'short'}{nrv}"
    return COPIED if kind is COPY and mr < s.rows else PACKED


def parts_for(s: Strategy, policy: str, m: int, n: int, k: int, along: bool) -> set[str]:
    """The parts that a product uses, as `product` and the drivers choose them."""
    if m < 1 or n < 1 or k < 1:
        return set()
    few = m <= s.few_rows
    if few and along and m == 1:
        return {"row"}
    if few and along and policy != NEAR and k * n > CLOSE // s.t.size:
        widths = {min(s.run, n), n % s.run or s.run}
        return {"stream", *_plain(s, m, _vectors(s, widths, s.few_vectors))}
    if few or _is_thin(s, policy, m, n, k):
        return {"narrow", *_plain(s, m, _vectors(s, {n}, s.few_vectors if few else s.vectors))}
    vectors = _vectors(s, {min(s.nc, n), n % s.nc or s.nc}, s.vectors)
    return {part for length in _pieces(m, s.mc) for part in _packed(s, _pieces(length, s.rows), vectors)}


def _packed(s: Strategy, rows: set[int], vectors: set[int]) -> set[str]:
    """The parts for a block of A: the first tile of a panel, which may pack it, has the most rows."""
    found = {COPIED} if max(rows) == s.rows - 1 and s.vectors in vectors else set()
    whole = sizes(s, FULL)
    return found | {_part_of(s, FULL if (v, r) in whole else PLAIN, v, r) for v in vectors for r in rows}


def _is_thin(s: Strategy, policy: str, m: int, n: int, k: int) -> bool:
    close = policy == NEAR or m * k <= 2 * CLOSE // s.t.size
    return n <= s.width or (close and n <= 4 * s.width)


def _plain(s: Strategy, m: int, vectors: set[int]) -> set[str]:
    """The parts for operands in place."""
    return {_part_of(s, PLAIN, v, mr) for v in vectors for mr in _pieces(m, s.narrow[v])}


def _vectors(s: Strategy, columns: set[int], most: int) -> set[int]:
    """The widths of panels, in vectors, where so many columns are cut."""
    return {nrv for n in columns for nrv in _pieces(-(-n // s.t.lanes), most)}


def _pieces(total: int, most: int) -> set[int]:
    """The lengths that `cuts.balanced` gives."""
    count = -(-total // most)
    return {total // count, -(-total // count)}
