"""The mean of each channel in every window, and its gradient."""

from __future__ import annotations

import numpy as np

from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.ops.phases import few_phases, in_phases
from graphc.ir.ops.pools import CASES, folded, numpy_windows, pooled, require_pool, require_shape, taps_of
from graphc.ir.ops.window import few, one_axis, returned_windows, take_windows, taken_windows, window_counts
from graphc.ir.samples import arrays


def _is_padded(padding):
    return any(p != 0 for pair in padding for p in pair)


def _counts(b, spatial, size, strides, padding, dtype):
    """How many elements each window has, without padding: one number, or an array (out..., 1)."""
    out = window_counts(spatial, size, strides, padding, (1,) * len(size))
    if not _is_padded(padding):
        return float(np.prod(size))
    total = None
    for axis, (n, k, o, s, (low, _)) in enumerate(zip(spatial, size, out, strides, padding)):
        shape = tuple(o if i == axis else 1 for i in range(len(size) + 1))
        start = b.iota(shape=shape, axis=axis, dtype="i64") * s - low
        count = b.cast(b.minimum(start + k, n) - b.maximum(start, 0), dtype=dtype)
        total = count if total is None else total * count
    return total


def _numpy_counts(spatial, size, strides, padding, out):
    total = np.ones((1,))
    for n, k, o, s, (low, _) in zip(spatial, size, out, strides, padding):
        _, inside = one_axis(n, k, o, s, low, 1, 1)
        total = total[..., None, :] * inside.sum(axis=1)[:, None]
    return total


@op("average_pool", Kind.COARSE)
class AveragePool:
    """The mean of each window's elements."""

    def infer(x, *, size, strides, padding):
        return pooled(x, require_pool(x, size, strides, padding))

    def evaluate(x, size, strides, padding):
        rank = len(size)
        windows = numpy_windows(x, size, strides, padding, 0.0)
        counts = _numpy_counts(x.shape[1:-1], size, strides, padding, windows.shape[1 : rank + 1])
        return (windows.sum(axis=taps_of(rank)) / counts).astype(x.dtype)

    def decompose(b, x, size, strides, padding):
        rank = len(size)
        out = window_counts(x.shape[1:-1], size, strides, padding, (1,) * rank)
        attributes = taken_windows(out, size, strides, padding, (1,) * rank)
        total = folded(b, x, attributes, b.sum, b.add)
        return total / _counts(b, x.shape[1:-1], size, strides, padding, x.dtype)

    def vjp(b, x, out, ct, **attributes):
        return (b.average_pool_gradient(ct, sizes=x.shape[1:-1], **attributes),)

    samples = tuple(Sample(arrays(x), a) for x, _, a in CASES)


@op("average_pool_gradient", Kind.COARSE)
class AveragePoolGradient:
    """The gradient of `average_pool` of a value with the spatial sizes `sizes`."""

    def infer(ct, *, sizes, size, strides, padding):
        x = ct.with_shape((ct.shape[0], *sizes, ct.shape[-1]))
        require_shape(ct, pooled(x, require_pool(x, size, strides, padding)))
        return x

    def evaluate(ct, sizes, size, strides, padding):
        rank, out = len(size), ct.shape[1:-1]
        each = (ct / _numpy_counts(sizes, size, strides, padding, out)).astype(ct.dtype)
        attributes = returned_windows(sizes, size, strides, padding, (1,) * rank)
        return take_windows(each, **attributes, value=0.0).sum(axis=taps_of(rank))

    def decompose(b, ct, sizes, size, strides, padding):
        rank = len(size)
        each = ct / _counts(b, sizes, size, strides, padding, ct.dtype)
        if few(size) and few_phases(strides, padding, (1,) * rank):
            wanted = ct.type.with_shape((ct.shape[0], *sizes, ct.shape[-1]))
            return in_phases(
                b, wanted, size, strides, padding, lambda _, at: folded(b, each, at, b.sum, b.add)
            )
        attributes = returned_windows(sizes, size, strides, padding, (1,) * rank)
        return folded(b, each, attributes, b.sum, b.add)

    def vjp(b, ct, out, other, sizes, **attributes):
        return (b.average_pool(other, **attributes),)

    samples = tuple(Sample(arrays(y), {"sizes": x[1:-1], **a}) for x, y, a in CASES)
