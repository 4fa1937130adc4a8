"""How wide and how deep a nest is vectorised: by the element types it touches, and by how much it
computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from graphc.codegen.loops import Compute, Fold, Instruction, Load, Nest, Running
from graphc.codegen.target import Target
from graphc.ir import DType

FORMULAS = frozenset(
    {"exp", "expm1", "log", "log1p", "sigmoid", "tanh", "erf", "sin", "cos", "power", "remainder"}
)
LONG = 4
"""Rows of at least so many vectors are long."""
CHEAP = 4
"""Up to so many computations a body keeps four vectors at once in 16 registers."""


def _instructions(nest: Nest) -> Iterator[Instruction]:
    for stage in nest.stages:
        yield from stage.body
        yield from stage.finish


def _touched(nest: Nest) -> set[DType]:
    """The element types of values that come from memory or are computed; i64 only where nothing else is."""
    types = {i.dtype for i in _instructions(nest) if isinstance(i, (Load, Compute))}
    others = {t for t in types if t.name != "i64" and t.kind != "b"}
    return others or types


def vector_lanes(nest: Nest, target: Target) -> int:
    """Lanes of the vectors of a nest: as many as one or two registers have of its main element type."""
    types = _touched(nest)
    sizes = [t.itemsize for t in types if t.is_floating] or [t.itemsize for t in types] or [8]
    main = min(sizes) if any(t.is_floating for t in types) else max(sizes)
    lanes = max(1, target.register_bytes // main)
    return 2 * lanes if len(set(sizes)) == 1 and _waits(nest, lanes) else lanes


def _waits(nest: Nest, lanes: int) -> bool:
    """Whether each instruction waits for the one before it, as in formulas: then two vectors side by side
    hide half of that, if rows are long enough for both.
    """
    deep = any(isinstance(i, Compute) and i.op in FORMULAS for s in nest.stages for i in s.body)
    axes = [a for own in (nest.outer, *(s.axes for s in nest.stages)) for a in own if a.name == nest.lane]
    return deep and all(not isinstance(a.extent, int) or a.extent >= LONG * lanes for a in axes)


def masked_tail(nest: Nest, target: Target) -> bool:
    """Whether what is left of a row is done by one masked turn; else it is done element by element."""
    sizes = {i.dtype.itemsize for i in _instructions(nest) if isinstance(i, (Load, Compute))}
    return all(target.masks(size) for size in sizes) and target.register_bytes > 16


def unrolled(code: Sequence[Instruction], most: int) -> int:
    """How many vectors at once: cheap bodies with folds hide the latency of the fold that way."""
    work = [i for i in code if isinstance(i, Compute)]
    if not _folds(code) or any(i.op in FORMULAS for i in work):
        return 1
    wanted = 4 if len(work) <= CHEAP else 2 if len(work) <= 2 * CHEAP else 1
    return min(wanted, 1 << (max(1, most).bit_length() - 1))


def _folds(code: Iterable[Instruction]) -> bool:
    return any(isinstance(i, (Fold, Running)) for i in code)
