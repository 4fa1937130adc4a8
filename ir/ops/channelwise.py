"""Convolutions as sums of views: one channel per group (depthwise), few channels per group, or few products
per element.
"""

from __future__ import annotations

import itertools

from graphc.ir.dims import product
from graphc.ir.ops.window import elements, few, with_border

FEW_TERMS = 16
FEW_IN_GROUPS, SMALL, WIDTHS = 72, 10_000, (1, 2, 4, 8, 16)
"""Products per element that are worth code of their own where channels come in groups, elements of a kernel
that is read again for each pixel, and how many results of a group lie side by side so that vectors begin with
a group.
"""


WIDE_IMAGE = 1 << 18
"""Elements of an image of many channels up to which its border is worth a copy, and one loop goes over it."""


def repeated(b, x, times):
    """Every channel so many times."""
    if times == 1:
        return x
    if isinstance(times, int):
        return b.take_of_groups(x, each=1, number=0, results=times)
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
    image = product(ct.shape[1:])
    near = isinstance(image, int) and image <= WIDE_IMAGE
    if near and attributes["strides"] == attributes["dilation"] == (1,) * rank:
        x, attributes = with_border(b, x, attributes, x.shape[-1])
    # image by image first, or row by row, so that what is read for one tap is in the cache for the others
    inner = tuple(range(1, rank + 1)) if near else (rank,)
    sums = [b.sum(element * ct, axes=inner, keepdims=True) for element in elements(b, x, attributes)]
    return b.reshape(totals(b, sums), shape=(*size, ct.shape[-1]))


def totals(b, sums):
    """The sums of values over all axes but the last one, side by side: one loop over what lies side by side
    in memory.
    """
    rows = b.concatenate(*sums, axis=sums[0].rank - 1)
    return b.sum(rows, axes=tuple(range(rows.rank - 1)))


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


MOST_SUMS, IMAGE = 75, 1 << 17
"""Sums that loops hold side by side; elements of an image that stays in a cache."""


def has_few_sums(x, ct, size):
    """Whether the gradient by a kernel has so few sums that loops hold all of them: then no windows are
    copied.
    """
    sums, known = product(size) * x.shape[-1], (*x.shape[1:], *ct.shape[1:])
    fits = all(isinstance(d, int) and d > 0 for d in known) and 0 < sums <= MOST_SUMS
    return fits and product(size) > 1 and ct.shape[-1] >= 8


def summed_by_terms(b, x, ct, attributes):
    """The gradient by a kernel of few channels: for each tap and channel the sum over all windows of the
    pixel's value times ct, (size..., C).
    """
    x, attributes = with_border(b, x, attributes)
    rank, shape = len(attributes["size"]), (*attributes["size"], x.shape[-1], ct.shape[-1])
    # image by image first, or row by row, so that what is read for one tap is in the cache for the others
    inner = tuple(range(1, rank + 1)) if product(ct.shape[1:]) <= IMAGE else (rank,)
    sums = []
    for element in elements(b, x, attributes):
        for channel in range(x.shape[-1]):
            start, stop = (*(0,) * (rank + 1), channel), (*element.shape[:-1], channel + 1)
            value = b.slice(element, start=start, stop=stop, step=(1,) * element.rank)
            sums.append(b.sum(value * ct, axes=inner, keepdims=True))
    return b.reshape(totals(b, sums), shape=shape)


# -- groups of few channels ----------------------------------------------------------------------------------


def has_small_groups(size, groups, each, results):
    """Whether groups have so few channels, `each`, that sums of views are better than a product per group."""
    terms = product(size) * each
    known = isinstance(each, int) and isinstance(results, int) and groups > 1 and product(size) > 1
    fits = known and each > 1 and terms <= FEW_IN_GROUPS and results in WIDTHS
    return fits and terms * groups * results <= SMALL


def _row(b, rows, number):
    """A row of a matrix that lies in memory, whatever it is computed from."""
    view = {"size": (1,), "out": (1,), "strides": (1,), "dilation": (1,), "spread": (1,)}
    row = b.windows(b.reshape(rows, shape=(1, *rows.shape)), **view, low=(-number,))
    return b.reshape(row, shape=(rows.shape[-1],))


def grouped(b, x, attributes, rows, groups, results):
    """The convolution of groups of few channels: `rows` (taps * C / groups, groups * results) has for each
    tap and channel of a group the factors of all results.
    """
    each, taps = x.shape[-1] // groups, elements(b, x, attributes)
    total = None
    for number in range(each):  # sums of their own, none of which waits for another
        part = None
        for tap, element in enumerate(taps):
            value, row = (
                b.take_of_groups(element, each=each, number=number, results=results),
                _row(b, rows, tap * each + number),
            )
            part = value * row if part is None else b.fma(value, row, part)
        total = part if total is None else total + part
    return total


def grouped_sums(b, x, ct, attributes, groups):
    """The gradient of that convolution by its kernel: (size..., C / groups, channels)."""
    rank, channels = len(attributes["size"]), ct.shape[-1]
    each, results = x.shape[-1] // groups, channels // groups
    sums = []
    for element in elements(b, x, attributes):
        for number in range(each):
            terms = b.take_of_groups(element, each=each, number=number, results=results) * ct
            sums.append(b.sum(terms, axes=(rank,), keepdims=True))
    return b.reshape(totals(b, sums), shape=(*attributes["size"], each, channels))
