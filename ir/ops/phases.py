"""Transposed convolutions with strides, without the products of zeros that spreading a value gives.

Along an axis with stride s, the elements r, r + s, r + 2s, ... of the result depend on every s-th tap of the
kernel only: one phase. Each is a small convolution of its own with stride 1, and the phases interleave.
"""

from __future__ import annotations

import itertools

from graphc.ir.dims import ceildiv


def can_divide(strides, padding, dilation):
    """Whether there are phases, and their taps are known."""
    known = all(isinstance(low, int) for low, _ in padding)
    return known and any(s > 1 for s in strides) and all(d == 1 for d in dilation)


def by_phases(b, ct, kernel, sizes, size, strides, padding, product):
    """The gradient of a convolution's input; `product(ct, kernel, size, attributes)` makes a phase's."""
    rank = len(size)
    counts = tuple(ceildiv(n, s) for n, s in zip(sizes, strides))
    found = {}
    for phase in itertools.product(*map(range, strides)):
        axes = [_axis(*entry) for entry in zip(phase, size, strides, padding)]
        firsts, taps, lows = zip(*axes)
        shape = (ct.shape[0], *counts, kernel.shape[-2])
        if 0 in taps:
            found[phase] = b.broadcast(b.constant(0, ct.dtype), shape=shape)
            continue
        stop = (*(t + (n - 1) * s + 1 for t, n, s in zip(firsts, taps, strides)), *kernel.shape[-2:])
        part = b.slice(kernel, start=(*firsts, 0, 0), stop=stop, step=(*strides, 1, 1))
        ones = (1,) * rank
        attributes = {
            "size": taps,
            "out": counts,
            "strides": ones,
            "low": lows,
            "dilation": ones,
            "spread": ones,
        }
        found[phase] = product(ct, part, taps, attributes)
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
    for axis in reversed(range(len(strides))):
        merged = {}
        inner = [d for n, s in zip(counts[axis + 1 :], strides[axis + 1 :]) for d in (n, s)]
        shape = (batch, *counts[: axis + 1], 1, *inner, channels)
        for outer in itertools.product(*map(range, strides[:axis])):
            parts = [b.reshape(found[(*outer, r)], shape=shape) for r in range(strides[axis])]
            merged[outer] = b.concatenate(*parts, axis=axis + 2)
        found = merged
    sizes = tuple(n * s for n, s in zip(counts, strides))
    return b.reshape(found[()], shape=(batch, *sizes, channels))


def _cut(b, x, sizes):
    """The first elements along each spatial axis."""
    if tuple(x.shape[1:-1]) == tuple(sizes):
        return x
    stop = (x.shape[0], *sizes, x.shape[-1])
    return b.slice(x, start=(0,) * x.rank, stop=stop, step=(1,) * x.rank)
