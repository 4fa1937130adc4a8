"""Operands for generated tests: what the ops' samples are made with, and `cases`, which lists them all.

>>> from graphc.ir import OPS
>>> case = next(cases(OPS["add"]))
>>> case.dtype, [x.shape for x in case.operands]
('f32', [(), ()])
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.ir.opdef import OpDef, Sample
from graphc.ir.types import dtype_of

FLOATS = ("f32", "f64")
INTEGERS = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")
NUMBERS = FLOATS + INTEGERS
ALL = (*NUMBERS, "bool")
COMMON = ("f32", "f64", "i32", "i64", "u8")

Shape = tuple[int, ...]
SHAPES: tuple[Shape, ...] = ((), (1,), (0,), (7,), (33,), (3, 5), (2, 0, 3), (2, 3, 17))
PAIRS: tuple[tuple[Shape, Shape], ...] = (
    ((), ()),
    ((7,), (7,)),
    ((0,), (1,)),
    ((3, 5), (5,)),
    ((4, 1), (1, 9)),
    ((2, 1, 3), (5, 1)),
    ((1, 1), (2, 33)),
)
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-30, 1e30, -1e30)


@dataclass(frozen=True)
class Case:
    """One call of an op: arrays for its operands, and its attributes."""

    dtype: str
    operands: list[np.ndarray]
    attrs: dict[str, Any]
    differentiable: bool


def cases(op: OpDef, dtypes: Sequence[str] | None = None, views: bool = False) -> Iterator[Case]:
    """All samples of an op as arrays, the same in every run.

    `dtypes` narrows the element types; with `views` the arrays are not contiguous in memory.
    """
    for number, sample in enumerate(op.samples):
        for dtype in sample.dtypes:
            if dtypes is None or dtype in dtypes:
                rng = np.random.default_rng(zlib.crc32(f"{op.name} {number}".encode()))
                arrays = [np.asarray(x) for x in sample.make(rng, dtype_of(dtype).numpy)]
                arrays = [strided(x) for x in arrays] if views else arrays
                yield Case(dtype, arrays, dict(sample.attrs), sample.differentiable)


def values(
    rng: np.random.Generator,
    dtype: np.dtype,
    shape: Shape,
    low: float = -3,
    high: float = 3,
    kinks: Sequence[float] = (),
) -> np.ndarray:
    """Random numbers from low to high, at least 0.05 away from every kink.

    Integers where the element type is one.
    """
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(max(int(low), info.min), min(int(high), info.max), shape, dtype, endpoint=True)
    x = rng.uniform(low, high, shape)
    for kink in kinks:
        x = np.where(np.abs(x - kink) < 0.05, kink + np.where(x < kink, -0.05, 0.05), x)
    return np.asarray(x, dtype)


def strided(x: np.ndarray) -> np.ndarray:
    """The same values in memory that is not contiguous.

    Every second element, backwards, of a larger array.
    """
    if x.ndim == 0:
        return x
    room = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    view = room[..., ::-2]
    view[...] = x
    return view


def distinct(rng: np.random.Generator, dtype: np.dtype, shape: Shape, gap: float = 0.25) -> np.ndarray:
    """Numbers in random order of which no two are nearer than `gap` (an integer: 1): no ties."""
    n = int(np.prod(shape))
    x = rng.permutation(n) - n // 2
    return (x * (gap if dtype.kind == "f" else 1)).astype(dtype).reshape(shape)


def arrays(
    *shapes: Shape, low: float = -3, high: float = 3, kinks: Sequence[float] = ()
) -> Callable[..., Any]:
    """A `make` that gives random arrays of these shapes."""
    return lambda rng, dtype: [values(rng, dtype, s, low, high, kinks) for s in shapes]


def unary(
    low: float = -3,
    high: float = 3,
    dtypes: tuple[str, ...] = FLOATS,
    kinks: Sequence[float] = (),
    differentiable: bool = True,
    special: bool = True,
    **attrs: Any,
) -> tuple[Sample, ...]:
    """Samples of an op of one operand.

    All shapes, a strided view, and NaN, Inf and zeros where it takes floats.
    """

    def shaped(shape: Shape) -> Callable[..., Any]:
        return lambda rng, dtype: [values(rng, dtype, shape, low, high, kinks)]

    found = [Sample(shaped(s), attrs, dtypes, differentiable) for s in SHAPES]
    found.append(
        Sample(
            lambda rng, dtype: [strided(values(rng, dtype, (4, 9), low, high, kinks))], attrs, dtypes, False
        )
    )
    floats = tuple(d for d in dtypes if d in FLOATS)
    if special and floats:
        found.append(Sample(lambda rng, dtype: [np.array(SPECIAL, dtype)], attrs, floats, False))
    return tuple(found)


def binary(
    low: float = -3,
    high: float = 3,
    dtypes: tuple[str, ...] = FLOATS,
    kinks: Sequence[float] = (),
    right: tuple[float, float] | None = None,
    differentiable: bool = True,
    special: bool = True,
) -> tuple[Sample, ...]:
    """Samples of an op of two operands: broadcast shapes, a strided view, all pairs of special values."""
    second = right or (low, high)

    def shaped(a: Shape, b: Shape) -> Callable[..., Any]:
        return lambda rng, dtype: [
            values(rng, dtype, a, low, high, kinks),
            values(rng, dtype, b, *second, kinks),
        ]

    def views(rng: np.random.Generator, dtype: np.dtype) -> list[np.ndarray]:
        x, y = values(rng, dtype, (4, 9), low, high, kinks), values(rng, dtype, (9, 4), *second, kinks)
        return [strided(x), y.T]

    found = [Sample(shaped(a, b), {}, dtypes, differentiable) for a, b in PAIRS]
    found.append(Sample(views, {}, dtypes, False))
    floats = tuple(d for d in dtypes if d in FLOATS)
    if special and floats:
        n = len(SPECIAL)
        pairs = np.array(SPECIAL).repeat(n), np.tile(SPECIAL, n)
        found.append(Sample(lambda rng, dtype: [p.astype(dtype) for p in pairs], {}, floats, False))
    return tuple(found)
