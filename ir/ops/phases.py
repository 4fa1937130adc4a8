"""Transposed convolutions without products by zeros, in two ways.

With few channels in the result: each pixel times the whole kernel gives a window, and windows are added where
they overlap (`added_windows`; plain convolutions to few channels are computed so as well).

With many, and strides: along an axis with stride s, the elements r, r + s, r + 2s, ... of the result depend
on every s-th tap of the kernel only: one phase. Each is a small convolution of its own with stride 1, and the
phases interleave.
"""

from __future__ import annotations

import itertools

from graphc.ir.dims import ceildiv, product

MOST_PHASES = 16
"""More phases of sums of views would be too much code."""


def added_windows(b, ct, kernel, sizes, size, lows, spread):
    """The sum over taps of the products of ct with kernel[tap, k, c] over c, each at its place.

    `lows` has the padding before ct for each tap, `spread` the distance of its elements.
    """
    rank, (each, channels) = len(size), kernel.shape[-2:]
    taps, outer = product(size), ct.shape[:-1]
    rows = b.reshape(ct, shape=(product(outer), channels))
    matrix = b.reshape(kernel, shape=(taps * each, channels))
    if each == 1:
        # one row of pixels per tap, which lie side by side
        parts = b.matmul(matrix, rows, transpose_b=True)
        parts = b.reshape(parts, shape=(taps * outer[0], *outer[1:], 1))
    else:
        parts = b.reshape(b.matmul(rows, matrix, transpose_b=True), shape=(*outer, taps * each))
    total, shape = None, (outer[0], *sizes, each)
    for number, low in enumerate(lows):
        ones = (1,) * rank
        attributes = {"size": ones, "out": sizes, "strides": ones, "low": low, "dilation": ones}
        view = b.windows(parts, **attributes, spread=spread)
        axis, width = (0, outer[0]) if each == 1 else (view.rank - 1, each)
        start = tuple(number * width if i == axis else 0 for i in range(view.rank))
        stop = tuple((number + 1) * width if i == axis else d for i, d in enumerate(view.shape))
        view = b.reshape(b.slice(view, start=start, stop=stop, step=(1,) * view.rank), shape=shape)
        total = view if total is None else total + view
    return total


def lows_of(size, padding, dilation, sign):
    """The padding for each tap: sign * (its distance from the first one - the padding of the convolution)."""
    return [
        tuple(sign * (t * d - p) for t, d, (p, _) in zip(tap, dilation, padding))
        for tap in itertools.product(*map(range, size))
    ]


def can_divide(strides, padding, dilation):
    """Whether there are phases, and their taps are known."""
    known = all(isinstance(low, int) for low, _ in padding)
    return known and any(s > 1 for s in strides) and all(d == 1 for d in dilation)


def few_phases(strides, padding, dilation):
    """Whether there are phases, each of which may have code of its own."""
    return can_divide(strides, padding, dilation) and product(strides) <= MOST_PHASES


def by_phases(b, ct, kernel, sizes, size, strides, padding, groups, convolve):
    """The gradient of a convolution's input; `convolve(ct, kernel, size, attributes)` makes a phase's."""
    rank = len(size)

    def one_phase(firsts, attributes):
        taps = attributes["size"]
        stop = tuple(t + (n - 1) * s + 1 for t, n, s in zip(firsts, taps, strides))
        stop = (*stop, *kernel.shape[rank:])
        rest = (0,) * (kernel.rank - rank), (1,) * (kernel.rank - rank)
        part = b.slice(kernel, start=(*firsts, *rest[0]), stop=stop, step=(*strides, *rest[1]))
        return convolve(ct, part, taps, attributes)

    wide = ct.type.with_shape((ct.shape[0], *sizes, kernel.shape[-2] * groups))
    return in_phases(b, wide, size, strides, padding, one_phase)


def in_phases(b, wanted, size, strides, padding, one_phase):
    """A value like `wanted`, (N, spatial..., C), that is put together of its phases. `one_phase(firsts,
    attributes)` computes one: the windows with these attributes have its elements, that of the tap `firsts`
    last, and every `strides`-th of the following ones before it.
    """
    rank, sizes = len(size), wanted.shape[1:-1]
    counts = tuple(ceildiv(n, s) for n, s in zip(sizes, strides))
    found = {}
    for phase in itertools.product(*map(range, strides)):
        axes = [_axis(*entry) for entry in zip(phase, size, strides, padding)]
        firsts, taps, lows = zip(*axes)
        if 0 in taps:
            shape = (wanted.shape[0], *counts, wanted.shape[-1])
            found[phase] = b.broadcast(b.constant(0, wanted.dtype), shape=shape)
            continue
        ones = (1,) * rank
        found[phase] = one_phase(
            firsts,
            {"size": taps, "out": counts, "strides": ones, "low": lows, "dilation": ones, "spread": ones},
        )
    return _cut(b, _interleaved(b, found, counts, strides), sizes)


def _axis(phase, size, stride, padding):
    """Of one axis: the first tap of a phase, its number of taps, and the padding before the value."""
    low, _ = padding
    first = (phase + low) % stride
    taps = max(0, ceildiv(size - first, stride))
    return first, taps, taps - 1 - (phase + low - first) // stride


def _interleaved(b, found, counts, strides):
    """One value from those of all phases."""
    batch, channels = found[(0,) * len(strides)].shape[0], found[(0,) * len(strides)].shape[-1]
    apart = (batch, *(d for n in counts for d in (n, 1)), channels)
    found = {phase: b.reshape(value, shape=apart) for phase, value in found.items()}
    for axis in reversed(range(len(strides))):
        found = {
            outer: b.concatenate(*(found[(*outer, r)] for r in range(strides[axis])), axis=2 * axis + 2)
            for outer in itertools.product(*map(range, strides[:axis]))
        }
    sizes = tuple(n * s for n, s in zip(counts, strides))
    return b.reshape(found[()], shape=(batch, *sizes, channels))


def _cut(b, x, sizes):
    """The first elements along each spatial axis."""
    if tuple(x.shape[1:-1]) == tuple(sizes):
        return x
    stop = (x.shape[0], *sizes, x.shape[-1])
    return b.slice(x, start=(0,) * x.rank, stop=stop, step=(1,) * x.rank)
