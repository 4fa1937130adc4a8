"""About how long a part of a kernel takes on one core, as a size in picoseconds: what decides whether threads
share it.

Counts of vector instructions and bytes, times what they take on a core of some 3 GHz: `f.profile` measured
them, on AMD Zen 3. Its rows have these estimates beside measured times, and `docs/roofline.md` says how far
they are off; they have to be right within a factor of two or three around the time of some barriers, since
both choices cost about the same there.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphc.codegen.emit_lanes import vector_lanes
from graphc.codegen.loops import (
    Compute,
    Fold,
    Instruction,
    Kernel,
    Load,
    Matrix,
    Nest,
    Part,
    Product,
    Running,
    Store,
)
from graphc.codegen.scalar import FORMULAS
from graphc.codegen.target import Target
from graphc.ir.dims import Dim, ceildiv, product

CHEAP, DIVIDE = 100, 1000
"""Picoseconds of a vector instruction, of a division or a square root."""
BYTE = 18
"""Picoseconds of a byte that is read or written, in L2 or a little further away."""
STRAY = 700
"""Picoseconds of an element that is not its neighbours' neighbour in memory."""
TURN = 2000
"""Picoseconds of a turn of the loops around vectors."""
_TIMES = {
    DIVIDE: "divide sqrt rsqrt reciprocal",
    6000: "exp expm1 log log1p sigmoid silu elu celu selu",
    10_000: "tanh sin cos",
    17_000: "erf gelu softplus log_sigmoid logaddexp exp2 log2 threefry",
    50_000: " ".join(FORMULAS),  # those that are computed in f64, or in several branches
    40_000: "floor_divide remainder",
}
TIME = {op: time for time, ops in sorted(_TIMES.items(), reverse=True) for op in ops.split()}
"""Picoseconds of other operations, for a vector of f32; formulas in f64 take up to twice as long."""


def kernel_picoseconds(kernel: Kernel, target: Target) -> Dim:
    """The time of all parts of a kernel."""
    total: Dim = 0
    for part in kernel.parts:
        total = total + picoseconds(part, target)
    return total


def picoseconds(part: Part, target: Target) -> Dim:
    """The time of a nest or a product."""
    return _product(part, target) if isinstance(part, Product) else _nest(part, target)


def _nest(nest: Nest, target: Target) -> Dim:
    lanes = vector_lanes(nest, target) if nest.lane is not None else 1
    outer = product(a.extent for a in nest.outer)
    by_columns = bool(nest.outer) and nest.outer[-1].name == nest.lane
    total: Dim = 0
    for stage in nest.stages:
        turns = product(a.extent for a in stage.axes)
        axes = frozenset(a.name for a in (*nest.outer, *stage.axes))
        total = total + outer * turns * _element(stage.body, nest.lane, lanes, axes)
        total = total + outer * _element(stage.finish, nest.lane if by_columns else None, lanes, axes)
    rows = outer if not by_columns else product(a.extent for a in nest.outer[:-1])
    return total + rows * TURN


def _element(code: Iterable[Instruction], lane: str | None, lanes: int, axes: frozenset[str]) -> int:
    """The time of one turn of the innermost loop, for one of its lanes."""
    work = memory = stray = 0
    near: set[tuple[str, bool]] = set()
    for i in code:
        match i:
            case Compute():
                work += TIME.get(i.op, CHEAP)
            case Fold() | Running():
                work += CHEAP
            case Load() | Store():
                size = i.dtype.itemsize if isinstance(i, Load) else 4
                stride = i.offset.stride(lane) if lane is not None else 0
                if stride not in (0, 1) or any(name not in axes for name, _ in i.offset.terms):
                    stray += STRAY
                elif stride == 0 or (place := (i.buffer, isinstance(i, Load))) in near:
                    work += CHEAP  # a number, or what lies beside something that is in L1 by now
                else:
                    near.add(place)
                    memory += BYTE * size
    return work // lanes + memory + stray


def _percent(p: Product) -> int:
    """The time of a convolution among that of a direct one."""
    if isinstance(p.a, Matrix):
        return 100
    from graphc.codegen.emit_winograd import form_of  # most programs have no windows

    form = form_of(p)
    return form.percent if form is not None else 100


def _product(p: Product, target: Target) -> Dim:
    """Multiply-adds at most of a core's rate, what is packed, and the finished tiles. Windows are looked up,
    or copied side by side; Winograd's algorithm takes less.
    """
    lanes = target.register_bytes // p.dtype.itemsize
    batch = product(a.extent for a in (p.batch if p.piece is None else p.batch[1:]))
    columns = ceildiv(p.n, lanes) * lanes
    rate, moved = (180, 1) if isinstance(p.a, Matrix) else (220, 3)
    rate = rate * _percent(p) // 100
    total = p.m * columns * p.k * (rate // lanes)
    total = total + (p.m * p.k + p.k * p.n + p.m * p.n) * (moved * BYTE * p.dtype.itemsize)
    if p.tile is not None:
        total = total + _nest(p.tile, target)
    return batch * total
