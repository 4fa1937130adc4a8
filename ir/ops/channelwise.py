"""Convolutions as sums of views: one channel per group (depthwise), or few products per element."""

from __future__ import annotations

import itertools

from graphc.ir.dims import product
from graphc.ir.ops.window import elements, few, with_border

FEW_TERMS = 16


def repeated(b, x, times):
    """Every channel so many times."""
    if times == 1:
        return x
    wide = b.broadcast(b.reshape(x, shape=(*x.shape, 1)), shape=(*x.shape, times))
    return b.reshape(wide, shape=(*x.shape[:-1], x.shape[-1] * times))


def gathered(b, x, times):
    """The transpose of `repeated`: the sum over the copies of a channel."""
    if times == 1:
        return x
    parts = b.reshape(x, shape=(*x.shape[:-1], x.shape[-1] // times, times))
    return b.sum(parts, axes=(len(x.shape),))


def is_depthwise(groups, kernel_shape):
    return groups > 1 and kernel_shape[-2] == 1


def per_channel(b, kernel):
    return b.reshape(kernel, shape=(*kernel.shape[:-2], kernel.shape[-1]))


def weighted(b, x, attributes, weights):
    """The sum over the taps of windows times weights (size..., C)."""
    size, rank = attributes["size"], len(attributes["size"])
    if not few(size):
        terms = b.windows(x, **attributes) * weights
        return b.sum(terms, axes=tuple(range(rank + 1, 2 * rank + 1)))
    total = None
    for tap, element in zip(itertools.product(*map(range, size)), elements(b, x, attributes)):
        start, stop = (*tap, 0), (*(t + 1 for t in tap), weights.shape[-1])
        weight = b.slice(weights, start=start, stop=stop, step=(1,) * (rank + 1))
        weight = b.reshape(weight, shape=(weights.shape[-1],))
        total = element * weight if total is None else b.fma(element, weight, total)
    return total


def per_channel_sums(b, x, ct, attributes):
    """The sum over all windows of each of their elements times ct: (size..., C)."""
    size, rank = attributes["size"], len(attributes["size"])
    if not few(size):
        terms = b.windows(x, **attributes) * b.reshape(ct, shape=(*ct.shape[:-1], *(1,) * rank, ct.shape[-1]))
        return b.sum(terms, axes=tuple(range(rank + 1)))
    # row by row first, so that what is read for one tap is in the cache for the others
    sums = [b.sum(element * ct, axes=(rank,)) for element in elements(b, x, attributes)]
    sums = [b.sum(s, axes=tuple(range(rank))) for s in sums]
    channels = ct.shape[-1]
    stacked = b.concatenate(*(b.reshape(s, shape=(1, channels)) for s in sums), axis=0)
    return b.reshape(stacked, shape=(*size, channels))


def has_few_terms(x, size, groups):
    """Whether an element of the result is a sum of so few products that a matrix of windows does not pay."""
    terms = product(size) * x.shape[-1]
    return groups == 1 and product(size) > 1 and isinstance(terms, int) and 0 < terms <= FEW_TERMS


def term_by_term(b, x, attributes, kernel, shape):
    """The convolution as a sum over taps and channels of a pixel's value times a row of the kernel."""
    total = None
    x, attributes = with_border(b, x, attributes)
    taps = itertools.product(*map(range, attributes["size"]))
    for tap, element in zip(taps, elements(b, x, attributes)):
        for channel in range(x.shape[-1]):
            value = element
            if x.shape[-1] > 1:
                start, stop = (*(0,) * (element.rank - 1), channel), (*element.shape[:-1], channel + 1)
                value = b.slice(element, start=start, stop=stop, step=(1,) * element.rank)
            place = (*tap, channel)
            start, stop = (*place, 0), (*(i + 1 for i in place), shape[-1])
            row = b.slice(kernel, start=start, stop=stop, step=(1,) * kernel.rank)
            row = b.reshape(row, shape=(shape[-1],))
            total = value * row if total is None else b.fma(value, row, total)
    return total
