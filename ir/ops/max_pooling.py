"""The greatest element of each channel in every window, and its gradients."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.ops.phases import few_phases, in_phases
from graphc.ir.ops.pools import CASES, folded, numpy_windows, pooled, require_pool, require_shape, taps_of
from graphc.ir.ops.window import elements, few, returned_windows, take_windows, taken_windows, window_counts
from graphc.ir.samples import distinct, values


def _spread_over_taps(b, x, rank):
    """A value per window beside each of its elements."""
    return b.reshape(x, shape=(*x.shape[:-1], *(1,) * rank, x.shape[-1]))


def _numbers(b, size):
    """The number of each element of a window, in row-major order."""
    total, step = None, 1
    for axis in reversed(range(len(size))):
        shape = tuple(k if i == axis else 1 for i, k in enumerate((*size, 1)))
        part = b.iota(shape=shape, axis=axis, dtype="i32") * step
        total = part if total is None else total + part
        step *= size[axis]
    return total, step


def _first(b, x, y, size, strides, padding):
    """The number of the first element of each window that equals its greatest (or is NaN)."""
    rank, out = len(size), y.shape[1:-1]
    attributes = taken_windows(out, size, strides, padding, (1,) * rank)
    if few(size):
        return _first_of_few(b, elements(b, x, attributes, float("-inf")), y)
    windows = b.windows(x, **attributes, value=float("-inf"))
    numbers, count = _numbers(b, size)
    here = b.logical_or(b.equal(windows, _spread_over_taps(b, y, rank)), b.isnan(windows))
    return b.min(b.select(here, b.broadcast(numbers, shape=windows.shape), count), axes=taps_of(rank))


def _first_of_few(b, parts, y):
    result = b.broadcast(b.constant(len(parts), "i32"), shape=y.shape)
    for number, part in reversed(list(enumerate(parts))):
        here = b.logical_or(b.equal(part, y), b.isnan(part))
        result = b.select(here, b.constant(number, "i32"), result)
    return result


def _chosen(b, first, z, attributes, turned):
    """The sum of the elements of z's windows whose number is what the windows of `first` have there; these
    numbers run backwards if `turned`. Without windows of its own, `first` has one number per window.
    """
    count = int(np.prod(attributes["size"]))
    firsts = elements(b, first, attributes, -1) if turned else [first] * count
    parts = [
        b.select(b.equal(f, count - 1 - number if turned else number), part, 0.0)
        for number, (f, part) in enumerate(zip(firsts, elements(b, z, attributes)))
    ]
    return functools.reduce(b.add, parts)


def _returned_in_phases(b, wanted, first, ct, size, strides, padding):
    """For each element the sum of ct where `first` has its number in the window, by phases."""

    def one_phase(firsts, attributes):
        total = None
        taps = itertools.product(*(range(n - 1, -1, -1) for n in attributes["size"]))
        parts = zip(taps, elements(b, first, attributes, -1), elements(b, ct, attributes))
        for tap, mine, part in parts:
            number = 0
            for t, start, step, k in zip(tap, firsts, strides, size):
                number = number * k + start + t * step
            term = b.select(b.equal(mine, number), part, 0.0)
            total = term if total is None else total + term
        return total

    return in_phases(b, wanted, size, strides, padding, one_phase)


LARGE = 16
"""Elements of a window from which on the gradient goes axis by axis; those of smaller ones are gone through
sooner than further values come from memory.
"""


def _is_large(size, strides):
    several = sum(k > 1 for k in size) > 1
    return several and np.prod(size) >= LARGE and (all(s == 1 for s in strides) or not few(size))


def _axis_by_axis(b, x, y, ct, size, strides, padding):
    """The gradient of `max_pool` as that of two pools, along the last axis of the windows, then along the
    others: the first of the lines that have the greatest element, and the first such element of this line, is
    the first one of the window, padding and NaN included.
    """
    last = max(axis for axis, k in enumerate(size) if k > 1)
    along, across = ({}, {})
    for name, given, rest in (("size", size, 1), ("strides", strides, 1), ("padding", padding, (0, 0))):
        along[name] = tuple(g if axis == last else rest for axis, g in enumerate(given))
        across[name] = tuple(rest if axis == last else g for axis, g in enumerate(given))
    lines = b.max_pool(x, **along)
    return b.max_pool_gradient(x, lines, b.max_pool_gradient(lines, y, ct, **across), **along)


def _pool_samples():
    """Samples of x alone: all numbers distinct, and many equal ones."""

    def tied(shape):
        return lambda rng, dtype: [rng.integers(0, 2, shape).astype(dtype)]

    def untied(shape):
        return lambda rng, dtype: [distinct(rng, dtype, shape)]

    found = [Sample(untied(x), a) for x, _, a in CASES]
    found += [Sample(tied(x), a, differentiable=False) for x, _, a in CASES]
    special = {"size": (2,), "strides": (2,), "padding": ((0, 0),)}
    numbers = [1, np.nan, np.nan, 2, -np.inf, -np.inf, np.inf, np.inf, -np.inf, np.nan]
    found.append(
        Sample(lambda rng, dtype: [np.array(numbers, dtype).reshape(1, -1, 1)], special, differentiable=False)
    )
    return tuple(found)


def _pooled_samples(last):
    """Samples of x, what `max_pool` gives for it, and a third operand of the shape of x (0) or y (1)."""

    def sample(case, ties):
        *shapes, attributes = case

        def make(rng, dtype):
            x = rng.integers(0, 2, shapes[0]).astype(dtype) if ties else distinct(rng, dtype, shapes[0])
            return [x, MaxPool.evaluate(x, **attributes), values(rng, dtype, shapes[last])]

        return Sample(make, attributes, differentiable=False)

    return tuple(sample(case, ties) for case in CASES for ties in (False, True))


@op("max_pool", Kind.COARSE)
class MaxPool:
    """The greatest element of each window; NaN if there is one among them."""

    def infer(x, *, size, strides, padding):
        return pooled(x, require_pool(x, size, strides, padding))

    def evaluate(x, size, strides, padding):
        return numpy_windows(x, size, strides, padding, -np.inf).max(axis=taps_of(len(size)))

    def decompose(b, x, size, strides, padding):
        rank = len(size)
        out = window_counts(x.shape[1:-1], size, strides, padding, (1,) * rank)
        attributes = taken_windows(out, size, strides, padding, (1,) * rank)
        return folded(b, x, attributes, b.max, b.maximum, float("-inf"))

    def vjp(b, x, out, ct, **attributes):
        return (b.max_pool_gradient(x, out, ct, **attributes),)

    samples = _pool_samples()


@op("max_pool_gradient", Kind.COARSE)
class MaxPoolGradient:
    """The gradient of `max_pool`, of which y is the result: each ct goes to the first greatest element."""

    def infer(x, y, ct, *, size, strides, padding):
        out = pooled(x, require_pool(x, size, strides, padding))
        require_shape(y, out)
        require_shape(ct, out)
        return x

    def evaluate(x, y, ct, size, strides, padding):
        rank, out, ones = len(size), y.shape[1:-1], (1,) * len(size)
        windows = take_windows(x, **taken_windows(out, size, strides, padding, ones), value=-np.inf)
        flat = windows.reshape(*windows.shape[: rank + 1], int(np.prod(size)), x.shape[-1])
        here = (flat == y[..., None, :]) | np.isnan(flat)
        first = here.argmax(axis=rank + 1) if flat.size else np.zeros(y.shape, int)
        taps = np.unravel_index(first, size)
        result = np.zeros_like(x)
        index = list(np.indices(y.shape, sparse=True))
        inside = here.any(axis=rank + 1)
        for axis in range(rank):
            place = index[1 + axis] * strides[axis] + taps[axis] - padding[axis][0]
            inside = inside & (place >= 0) & (place < x.shape[1 + axis])
            index[1 + axis] = place
        chosen = tuple(np.broadcast_to(i, y.shape)[inside] for i in index)
        np.add.at(result, chosen, ct[inside])
        return result

    def decompose(b, x, y, ct, size, strides, padding):
        rank = len(size)
        if _is_large(size, strides):
            return _axis_by_axis(b, x, y, ct, size, strides, padding)
        first = _first(b, x, y, size, strides, padding)
        if few(size) and few_phases(strides, padding, (1,) * rank):
            return _returned_in_phases(b, x.type, first, ct, size, strides, padding)
        back = returned_windows(x.shape[1:-1], size, strides, padding, (1,) * rank)
        if few(size):
            return _chosen(b, first, ct, back, turned=True)
        numbers, count = _numbers(b, size)
        mine = b.equal(b.windows(first, **back, value=-1), (count - 1) - numbers)
        return b.sum(b.select(mine, b.windows(ct, **back), 0.0), axes=taps_of(rank))

    def vjp(b, x, y, ct, out, other, **attributes):
        return None, None, b.max_pool_take(x, y, other, **attributes)

    samples = _pooled_samples(1)


@op("max_pool_take", Kind.COARSE)
class MaxPoolTake:
    """The elements of z where `max_pool` of x, of which y is the result, found its first greatest ones."""

    def infer(x, y, z, *, size, strides, padding):
        require_shape(z, x)
        require_shape(y, pooled(x, require_pool(x, size, strides, padding)))
        return y

    def evaluate(x, y, z, size, strides, padding):
        rank, ones = len(size), (1,) * len(size)
        attributes = taken_windows(y.shape[1:-1], size, strides, padding, ones)
        windows, found = (
            take_windows(x, **attributes, value=-np.inf),
            take_windows(z, **attributes, value=0.0),
        )
        flat = (*windows.shape[: rank + 1], int(np.prod(size)), x.shape[-1])
        here = (windows.reshape(flat) == y[..., None, :]) | np.isnan(windows.reshape(flat))
        here &= np.cumsum(here, axis=rank + 1) == 1
        return np.where(here, found.reshape(flat), 0).sum(axis=rank + 1, dtype=z.dtype)

    def decompose(b, x, y, z, size, strides, padding):
        rank = len(size)
        first = _first(b, x, y, size, strides, padding)
        attributes = taken_windows(y.shape[1:-1], size, strides, padding, (1,) * rank)
        if few(size):
            return _chosen(b, first, z, attributes, turned=False)
        numbers, _ = _numbers(b, size)
        first = _spread_over_taps(b, first, rank)
        mine = b.equal(b.broadcast(numbers, shape=(*y.shape[:-1], *size, 1)), first)
        return b.sum(b.select(mine, b.windows(z, **attributes), 0.0), axes=taps_of(rank))

    def vjp(b, x, y, z, out, ct, **attributes):
        return None, None, b.max_pool_gradient(x, y, ct, **attributes)

    samples = _pooled_samples(0)
