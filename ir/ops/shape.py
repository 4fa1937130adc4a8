"""Views: every element of the result is one of the operand's, or a fill value."""

from __future__ import annotations

import numpy as np

from graphc.ir.dims import ceildiv, product
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.ir.inference import require_axes, require_axis
from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.relations import same
from graphc.ir.samples import COMMON, arrays

EVERY = (*COMMON, "bool")


def sum_to(b, ct, shape):
    """The transposed broadcast: `ct` summed so that it has the shape that was broadcast to its own."""
    extra = ct.rank - len(shape)
    stretched = [extra + i for i, d in enumerate(shape) if d == 1 and ct.shape[extra + i] != 1]
    if not extra and not stretched:
        return ct
    total = b.sum(ct, axes=(*range(extra), *stretched), keepdims=not extra)
    return b.reshape(total, shape=shape) if total.rank != len(shape) else total


@op("broadcast", Kind.VIEW)
class Broadcast:
    """x repeated to `shape`, by NumPy's rule."""

    def infer(x, *, shape):
        if x.rank > len(shape):
            raise ShapeError(f"can't broadcast {x} to fewer dimensions {shape}")
        for d, wanted in zip(x.shape, shape[len(shape) - x.rank :]):
            if d != 1:
                same(d, wanted, "broadcast")
        return x.with_shape(shape)

    evaluate = np.broadcast_to

    def vjp(b, x, out, ct, shape):
        return (sum_to(b, ct, x.shape),)

    samples = (
        Sample(arrays((3, 1)), {"shape": (2, 3, 5)}, EVERY),
        Sample(arrays(()), {"shape": (4,)}, EVERY),
        Sample(arrays((7,)), {"shape": (3, 7)}, EVERY),
        Sample(arrays((1, 4)), {"shape": (0, 4)}, EVERY),
        Sample(arrays((2, 3)), {"shape": (2, 3)}, EVERY),
    )


@op("reshape", Kind.VIEW)
class Reshape:
    """The same elements in row-major order under another shape; no copy."""

    def infer(x, *, shape):
        same(product(x.shape), product(shape), f"reshape of {x} to ({', '.join(map(str, shape))})")
        return x.with_shape(shape)

    evaluate = np.reshape

    def vjp(b, x, out, ct, shape):
        return (b.reshape(ct, shape=x.shape),)

    samples = (
        Sample(arrays((3, 4)), {"shape": (2, 6)}, EVERY),
        Sample(arrays((3, 4)), {"shape": (12,)}, EVERY),
        Sample(arrays((1,)), {"shape": ()}, EVERY),
        Sample(arrays((0, 3)), {"shape": (0, 5)}, EVERY),
        Sample(arrays((5, 3)), {"shape": (5, 1, 3, 1)}, EVERY),
    )


@op("transpose", Kind.VIEW)
class Transpose:
    """Axis i of the result is axis axes[i] of x."""

    def infer(x, *, axes):
        if sorted(axes) != list(range(x.rank)):
            raise ShapeError(f"axes {axes} are not an order of the {x.rank} axes of {x}")
        return x.with_shape(tuple(x.shape[a] for a in axes))

    evaluate = np.transpose

    def vjp(b, x, out, ct, axes):
        return (b.transpose(ct, axes=tuple(sorted(range(len(axes)), key=axes.__getitem__))),)

    samples = (
        Sample(arrays((3, 5)), {"axes": (1, 0)}, EVERY),
        Sample(arrays((2, 3, 4)), {"axes": (2, 0, 1)}, EVERY),
        Sample(arrays((2, 3, 4)), {"axes": (0, 2, 1)}, EVERY),
        Sample(arrays(()), {"axes": ()}, EVERY),
        Sample(arrays((0, 3)), {"axes": (1, 0)}, EVERY),
        Sample(arrays((33, 17)), {"axes": (1, 0)}, EVERY),
    )


@op("reverse", Kind.VIEW)
class Reverse:
    """x with the order along `axes` turned round."""

    def infer(x, *, axes):
        require_axes(axes, x.rank)
        return x

    def evaluate(x, axes):
        return np.flip(x, axes)

    def vjp(b, x, out, ct, axes):
        return (b.reverse(ct, axes=axes),)

    samples = (
        Sample(arrays((3, 5)), {"axes": (1,)}, EVERY),
        Sample(arrays((3, 5)), {"axes": (0, 1)}, EVERY),
        Sample(arrays((0, 2)), {"axes": (0,)}, EVERY),
        Sample(arrays((33,)), {"axes": (0,)}, EVERY),
    )


def _slice_extent(size, start, stop, step):
    """How many positions start, start + step, ... there are before stop.

    ShapeError where a literal one lies outside.
    """
    if not isinstance(step, int) or step == 0:
        raise ArgumentError(f"the step of a slice is a number other than 0, got {step}")
    first, last = (start, stop) if step > 0 else (stop + 1, start + 1)
    ordered = ((0, first), (first, last), (last, size))
    if any(isinstance(lo, int) and isinstance(hi, int) and lo > hi for lo, hi in ordered):
        raise ShapeError(f"the slice {start}:{stop}:{step} does not lie in an axis of {size}")
    return ceildiv(last - first, abs(step))


def take_slice(x, start, stop, step):
    """NumPy's view for a `slice` node's attributes; ShapeError where they leave the array."""
    for entry in zip(x.shape, start, stop, step):
        _slice_extent(*entry)
    return x[tuple(slice(a, None if z < 0 else z, s) for a, z, s in zip(start, stop, step))]


@op("take_of_groups", Kind.VIEW)
class TakeOfGroups:
    """One element of every group along the last axis, `results` times: number (c // results) * each + number.

    Groups are `each` neighbours; (..., groups * each) -> (..., groups * results).
    """

    def infer(x, *, each, number, results):
        if not all(isinstance(n, int) for n in (each, number, results)) or not 0 <= number < each:
            raise ArgumentError(f"there is no element {number} in groups of {each}")
        if x.rank == 0 or (isinstance(x.shape[-1], int) and x.shape[-1] % each) or results < 1:
            raise ShapeError(f"{x} has no groups of {each} that can be repeated {results} times")
        return x.with_shape((*x.shape[:-1], x.shape[-1] // each * results))

    def evaluate(x, each, number, results):
        return np.repeat(x[..., number::each], results, axis=-1)

    def vjp(b, x, out, ct, each, number, results):
        groups, last = x.shape[-1] // each, x.rank
        totals = b.reshape(ct, shape=(*x.shape[:-1], groups, results))
        totals = b.sum(totals, axes=(last,), keepdims=True)
        low, high = ((*(0,) * last, n) for n in (number, each - 1 - number))
        return (b.reshape(b.pad(totals, low=low, high=high), shape=x.shape),)

    samples = (
        Sample(arrays((3, 8)), {"each": 4, "number": 1, "results": 4}, EVERY),
        Sample(arrays((2, 3, 24)), {"each": 3, "number": 2, "results": 2}, EVERY),
        Sample(arrays((5, 16)), {"each": 2, "number": 0, "results": 16}, EVERY),
        Sample(arrays((0, 6)), {"each": 1, "number": 0, "results": 3}, EVERY),
        Sample(arrays((33,)), {"each": 1, "number": 0, "results": 1}, EVERY),
    )


@op("slice", Kind.VIEW)
class Slice:
    """The elements at start, start + step, ... before stop, along every axis.

    One entry per axis; 0 <= start <= stop <= size. A negative step counts down: then start >= stop >= -1, and
    -1 is before the first.
    """

    def infer(x, *, start, stop, step):
        if not len(start) == len(stop) == len(step) == x.rank:
            raise ShapeError(f"a slice of {x} needs {x.rank} entries for each of start, stop and step")
        return x.with_shape(tuple(map(_slice_extent, x.shape, start, stop, step)))

    evaluate = take_slice

    def vjp(b, x, out, ct, start, stop, step):
        down = tuple(i for i, s in enumerate(step) if s < 0)
        if down:
            ct = b.reverse(ct, axes=down)
        low = tuple(a + (n - 1) * s if s < 0 else a for a, n, s in zip(start, out.shape, step))
        if all(abs(s) == 1 for s in step):
            high = tuple(size - a - n for size, a, n in zip(x.shape, low, out.shape))
            return (b.pad(ct, low=low, high=high, value=0.0),)
        zeros = b.broadcast(b.constant(0, x.dtype), shape=x.shape)
        return (b.update_slice(zeros, ct, start=low, step=tuple(map(abs, step))),)

    samples = (
        Sample(arrays((7, 9)), {"start": (1, 2), "stop": (6, 9), "step": (1, 1)}, EVERY),
        Sample(arrays((7, 9)), {"start": (1, 0), "stop": (7, 8), "step": (2, 3)}, EVERY),
        Sample(arrays((7, 9)), {"start": (6, 7), "stop": (-1, 1), "step": (-1, -3)}, EVERY),
        Sample(arrays((7, 9)), {"start": (5, 0), "stop": (1, 9), "step": (-1, 1)}, EVERY),
        Sample(arrays((7, 9)), {"start": (3, 0), "stop": (3, 9), "step": (1, 1)}, EVERY),
        Sample(arrays((33,)), {"start": (32,), "stop": (-1,), "step": (-1,)}, EVERY),
    )


@op("pad", Kind.VIEW)
class Pad:
    """x with `low` elements of `value` before and `high` after it, along every axis."""

    def infer(x, *, low, high, value=0.0):
        if not len(low) == len(high) == x.rank:
            raise ShapeError(f"padding {x} needs {x.rank} entries for each of low and high")
        if any(isinstance(p, int) and p < 0 for p in (*low, *high)):
            raise ShapeError(f"padding can't be negative, got low {low} and high {high}")
        return x.with_shape(tuple(d + p + q for d, p, q in zip(x.shape, low, high)))

    def evaluate(x, low, high, value):
        return np.pad(x, tuple(zip(low, high)), constant_values=np.asarray(value).astype(x.dtype))

    def vjp(b, x, out, ct, low, high, value):
        stop = tuple(p + d for p, d in zip(low, x.shape))
        return (b.slice(ct, start=low, stop=stop, step=(1,) * len(low)),)

    samples = (
        Sample(arrays((3, 5)), {"low": (1, 0), "high": (2, 3), "value": 0.0}, EVERY),
        Sample(
            arrays((3, 5)), {"low": (0, 2), "high": (0, 0), "value": -float("inf")}, ("f32", "f64"), False
        ),
        Sample(arrays((3, 5)), {"low": (0, 2), "high": (1, 0), "value": 7}, COMMON),
        Sample(arrays((0,)), {"low": (2,), "high": (1,), "value": 1.0}, EVERY),
        Sample(arrays((2, 33)), {"low": (0, 3), "high": (0, 4), "value": 0.0}, EVERY),
    )


@op("concatenate", Kind.VIEW)
class Concatenate:
    """The operands one after the other along `axis`."""

    def infer(*parts, axis):
        if not parts:
            raise ArgumentError("takes at least one operand")
        first = parts[0]
        require_axis(axis, first.rank)
        total = 0
        for p in parts:
            if p.dtype != first.dtype or p.rank != first.rank:
                raise ShapeError(f"can't concatenate {' and '.join(map(str, parts))}")
            total = total + p.shape[axis]
        shape = [total if i == axis else _common((p.shape[i] for p in parts), i) for i in range(first.rank)]
        return first.with_shape(shape)

    def evaluate(*parts, axis):
        return np.concatenate(parts, axis)

    def vjp(b, *parts, axis):
        *parts, _, ct = parts
        found, start = [], 0
        for p in parts:
            stop = start + p.shape[axis]
            along = [(start, stop) if i == axis else (0, d) for i, d in enumerate(p.shape)]
            low, high = zip(*along)
            found.append(b.slice(ct, start=low, stop=high, step=(1,) * p.rank))
            start = stop
        return tuple(found)

    samples = (
        Sample(arrays((3, 2), (3, 5), (3, 1)), {"axis": 1}, EVERY),
        Sample(arrays((3, 2), (1, 2)), {"axis": 0}, EVERY),
        Sample(arrays((0,), (4,)), {"axis": 0}, EVERY),
        Sample(arrays((2, 3, 4)), {"axis": 2}, EVERY),
        Sample(arrays((2, 33), (2, 17)), {"axis": 1}, EVERY),
    )


def _common(sizes, axis):
    first, *others = sizes
    for d in others:
        first = same(first, d, f"concatenate, axis {axis}")
    return first
