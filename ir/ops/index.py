"""Reading and writing at positions."""

from __future__ import annotations

import numpy as np

from graphc.ir.errors import DTypeError, IndexRangeError, ShapeError
from graphc.ir.inference import require_axis, require_kind
from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.relations import same
from graphc.ir.samples import COMMON, NUMBERS, arrays, values
from graphc.ir.types import DTYPES, I32, I64, dtype_of, tensor


def in_range(indices: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Indices with negative ones counted from the end.

    IndexRangeError names the first that is out of range.
    """
    wrong = np.argwhere((indices < -size) | (indices >= size))
    if len(wrong):
        position = tuple(map(int, wrong[0]))
        raise range_failure(int(indices[position]), position, size, axis)
    places = indices.astype(np.int64)
    return np.where(places < 0, places + size, places)


def range_failure(index: int, position: tuple[int, ...], size: int, axis: int) -> IndexRangeError:
    """The exception for one index out of range, at its position in the array of indices."""
    return IndexRangeError(
        f"index {index} at position {position} is out of range for axis {axis} of size {size}"
    )


def _inserted(x, indices, axis):
    require_kind("iu", indices)
    require_axis(axis, x.rank)
    return (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _indices(rng, shape, size):
    return rng.integers(-size, size, shape)


@op("gather", Kind.GATHER, can_fail=True)
class Gather:
    """The slices of x at `indices` along `axis`, as np.take; negative indices count from the end.

    The axis is replaced by the axes of `indices`. IndexRangeError for an index out of range.
    """

    def infer(x, indices, *, axis=0):
        return x.with_shape(_inserted(x, indices, axis))

    def evaluate(x, indices, axis):
        return np.take(x, in_range(indices, x.shape[axis], axis), axis)

    def vjp(b, x, indices, out, ct, axis):
        zeros = b.broadcast(b.constant(0, x.dtype), shape=x.shape)
        return b.scatter_add(zeros, indices, ct, axis=axis), None

    samples = (
        Sample(lambda rng, dtype: [values(rng, dtype, (5, 3)), _indices(rng, (4,), 5)], {"axis": 0}, COMMON),
        Sample(
            lambda rng, dtype: [values(rng, dtype, (3, 7)), _indices(rng, (2, 4), 7)], {"axis": 1}, COMMON
        ),
        Sample(lambda rng, dtype: [values(rng, dtype, (2, 7, 3)), _indices(rng, (), 7)], {"axis": 1}, COMMON),
        Sample(lambda rng, dtype: [values(rng, dtype, (300,)), np.array([-1, 5], np.int8)], {"axis": 0}),
        Sample(lambda rng, dtype: [values(rng, dtype, (7,)), _indices(rng, (0,), 7)], {"axis": 0}, COMMON),
        Sample(
            lambda rng, dtype: [values(rng, dtype, (7, 33)), _indices(rng, (9,), 7).astype(np.int32)],
            {"axis": 0},
            COMMON,
        ),
    )


@op("scatter_add", Kind.SCATTER, can_fail=True)
class ScatterAdd:
    """x with each slice of `updates` added at its index along `axis`; an index may stand several times.

    `updates` has the shape that gather(x, indices) gives. IndexRangeError for an index out of range.
    """

    def infer(x, indices, updates, *, axis=0):
        require_kind("iuf", x)
        expected = _inserted(x, indices, axis)
        if updates.dtype != x.dtype or updates.rank != len(expected):
            raise DTypeError(f"updates must be {x.with_shape(expected)}, got {updates}")
        for d, wanted in zip(updates.shape, expected):
            same(d, wanted, "scatter_add, the shape of updates")
        return x

    def evaluate(x, indices, updates, axis):
        result = x.copy()
        positions = in_range(indices, x.shape[axis], axis)
        np.add.at(result, (slice(None),) * axis + (positions,), updates)
        return result

    def vjp(b, x, indices, updates, out, ct, axis):
        return ct, None, b.gather(ct, indices, axis=axis)

    samples = (
        Sample(
            lambda rng, dtype: [
                values(rng, dtype, (5, 3)),
                _indices(rng, (9,), 5),
                values(rng, dtype, (9, 3)),
            ],
            {},
            NUMBERS,
        ),
        Sample(
            lambda rng, dtype: [
                values(rng, dtype, (3, 7)),
                _indices(rng, (2, 4), 7),
                values(rng, dtype, (3, 2, 4)),
            ],
            {"axis": 1},
            COMMON,
        ),
        Sample(
            lambda rng, dtype: [values(rng, dtype, (7,)), _indices(rng, (0,), 7), values(rng, dtype, (0,))],
            {},
            COMMON,
        ),
        Sample(
            lambda rng, dtype: [values(rng, dtype, (7,)), _indices(rng, (), 7), values(rng, dtype, ())],
            {},
            COMMON,
        ),
    )


@op("update_slice", Kind.SCATTER)
class UpdateSlice:
    """x with its elements at start, start + step, ... along every axis replaced by those of `new`.

    Steps are positive.
    """

    def infer(x, new, *, start, step):
        if new.dtype != x.dtype or not len(start) == len(step) == new.rank == x.rank:
            raise ShapeError(f"can't write {new} into {x} at {start} with steps {step}")
        for size, n, a, s in zip(x.shape, new.shape, start, step):
            last = a + (n - 1) * s
            if s < 1 or (isinstance(a, int) and a < 0) or (n != 0 and _beyond(last, size)):
                raise ShapeError(f"{new} at {start} with steps {step} does not lie in {x}")
        return x

    def evaluate(x, new, start, step):
        UpdateSlice.infer(_typed(x), _typed(new), start=start, step=step)
        result = x.copy()
        result[tuple(slice(a, a + n * s, s) for a, n, s in zip(start, new.shape, step))] = new
        return result

    def vjp(b, x, new, out, ct, start, step):
        zeros = b.broadcast(b.constant(0, x.dtype), shape=new.shape)
        # one past the last position, but not before the first where there is none
        stop = tuple(a if n == 0 else a + (n - 1) * s + 1 for a, n, s in zip(start, new.shape, step))
        return b.update_slice(ct, zeros, start=start, step=step), b.slice(
            ct, start=start, stop=stop, step=step
        )

    samples = (
        Sample(arrays((5, 7), (2, 3)), {"start": (1, 2), "step": (1, 1)}, (*COMMON, "bool")),
        Sample(arrays((5, 7), (2, 3)), {"start": (0, 1), "step": (3, 2)}, COMMON),
        Sample(arrays((5, 7), (0, 3)), {"start": (2, 0), "step": (1, 1)}, COMMON),
        Sample(arrays((33,), (33,)), {"start": (0,), "step": (1,)}, COMMON),
    )


def _beyond(last, size):
    return isinstance(last, int) and isinstance(size, int) and last >= size


def _typed(x):
    return tensor(x.dtype, *x.shape)


@op("one_hot", Kind.COARSE)
class OneHot:
    """1 where the last position equals the index, else 0; an index out of range gives zeros only."""

    def infer(indices, *, depth, dtype):
        require_kind("iu", indices)
        return indices.with_dtype(dtype_of(dtype)).with_shape((*indices.shape, depth))

    def evaluate(indices, depth, dtype):
        return (indices[..., None] == np.arange(depth)).astype(dtype.numpy)

    def decompose(b, indices, depth, dtype):
        return b.cast(is_class(b, indices, depth), dtype=dtype)

    def vjp(b, indices, out, ct, depth, dtype):
        return (None,)

    samples = (
        Sample(
            arrays((4,), low=-1, high=6), {"depth": 5, "dtype": DTYPES["f32"]}, ("i32", "i64", "u8"), False
        ),
        Sample(arrays((2, 3), low=0, high=4), {"depth": 4, "dtype": DTYPES["f64"]}, ("i32", "i64"), False),
        Sample(arrays((), low=0, high=2), {"depth": 3, "dtype": DTYPES["bool"]}, ("i64",), False),
        Sample(arrays((0,)), {"depth": 3, "dtype": DTYPES["i32"]}, ("i64",), False),
    )


def is_class(b, indices, depth):
    """The bool of shape (*indices.shape, depth): whether the last position equals the index."""
    # 32 bits where the indices fit: twice as many lanes
    dtype = I32 if indices.dtype.name in ("i8", "i16", "i32", "u8", "u16") else I64
    column = b.reshape(
        indices if indices.dtype == dtype else b.cast(indices, dtype=dtype), shape=(*indices.shape, 1)
    )
    return b.equal(column, b.iota(shape=(*indices.shape, depth), axis=indices.rank, dtype=dtype))
