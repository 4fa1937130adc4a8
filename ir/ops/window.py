"""Windows: the elements of a value with spatial axes and channels that sliding windows cover, as a view.

Values are N x spatial... x C, with any number of spatial axes; all attributes have one entry per spatial
axis.
"""

from __future__ import annotations

import itertools

import numpy as np

from graphc.ir.dims import minimum, product
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.relations import same
from graphc.ir.samples import COMMON, arrays


def require_entries(rank, **attributes):
    """ArgumentError unless each attribute has one whole number above 0 for each spatial axis."""
    for name, entries in attributes.items():
        if len(entries) != rank:
            raise ArgumentError(f"{name} needs one entry for each of the {rank} spatial axes, got {entries}")
        if any(not isinstance(e, int) or e < 1 for e in entries):
            raise ArgumentError(f"{name} takes whole numbers above 0, got {entries}")


def window_counts(spatial, size, strides, padding, dilation):
    """How many windows lie along each spatial axis."""
    return tuple(
        (n + low + high - (k - 1) * d - 1) // s + 1
        for n, k, s, (low, high), d in zip(spatial, size, strides, padding, dilation)
    )


def require_windows(spatial, size, strides, padding, dilation):
    """`window_counts`, once it is sure that there is at least one window: of symbolic axes that is checked
    at entry, of others by ShapeError.
    """
    if len(padding) != len(spatial) or any(isinstance(p, int) and p < 0 for pair in padding for p in pair):
        raise ArgumentError(f"padding needs a pair (low, high) of at least 0 per spatial axis, got {padding}")
    for n, k, (low, high), d in zip(spatial, size, padding, dilation):
        reach = (k - 1) * d + 1
        spread = f" ({k} elements, {d} apart)" if d > 1 else ""
        around = f" with {low} before and {high} after them" if low != 0 or high != 0 else ""
        room = n + low + high - reach
        if isinstance(room, int) and room < 0:
            raise ShapeError(f"a window of size {reach}{spread} does not fit an axis of {n} elements{around}")
        if not isinstance(n, int) and isinstance(low, int) and isinstance(high, int) and low + high < reach:
            least = reach - low - high
            same(minimum(n, least), least, f"a window of size {reach} must fit")
    return window_counts(spatial, size, strides, padding, dilation)


def one_axis(n, size, out, stride, low, dilation, spread):
    """Two arrays (out, size): the place in x of each window's elements, and whether there is one."""
    at = np.arange(out)[:, None] * stride + np.arange(size) * dilation - low
    inside = (at % spread == 0) & (at >= 0) & (at // spread < n)
    return np.where(inside, at // spread, 0), inside


def take_windows(x, size, out, strides, low, dilation, spread, value):
    """The array that a `windows` node gives."""
    found, inside = x, np.ones((), bool)
    rank = len(size)
    for axis, entries in enumerate(zip(x.shape[1:-1], size, out, strides, low, dilation, spread)):
        places, here = one_axis(*entries)
        at = 1 + 2 * axis
        if x.shape[1 + axis]:
            found = np.take(found, places, at)
        else:
            found = np.zeros((*found.shape[:at], *places.shape, *found.shape[at + 1 :]), x.dtype)
        inside = inside[..., None, None] & here
    filled = np.where(inside[..., None], found, np.asarray(value).astype(x.dtype))
    order = (0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1)
    return np.ascontiguousarray(filled.transpose(order))


def taken_windows(out, size, strides, padding, dilation):
    """The attributes of the `windows` of a convolution's or a pool's input."""
    return {
        "size": size,
        "out": out,
        "strides": strides,
        "low": tuple(low for low, _ in padding),
        "dilation": dilation,
        "spread": (1,) * len(size),
    }


def returned_windows(sizes, size, strides, padding, dilation):
    """Those of the results that an input of these sizes had a part in, in reverse order of the windows'
    elements.
    """
    return {
        "size": size,
        "out": sizes,
        "strides": (1,) * len(size),
        "low": tuple((k - 1) * d - low for k, d, (low, _) in zip(size, dilation, padding)),
        "dilation": dilation,
        "spread": strides,
    }


UNROLLED = 32
"""Windows of up to so many elements become one view per element, larger ones a loop over a view of all."""


def elements(b, x, attributes, value=0.0):
    """A view of x for each element of a window, of the shape (N, out..., C)."""
    size, out = attributes["size"], attributes["out"]
    found = []
    for tap in itertools.product(*map(range, size)):
        low = tuple(p - t * d for p, t, d in zip(attributes["low"], tap, attributes["dilation"]))
        moved = {**attributes, "size": (1,) * len(size), "low": low, "dilation": (1,) * len(size)}
        found.append(b.reshape(b.windows(x, **moved, value=value), shape=(x.shape[0], *out, x.shape[-1])))
    return found


FEW_CHANNELS = 16


def with_border(b, x, attributes, most=FEW_CHANNELS):
    """The value with its zeros around it in memory, and the windows of that, where channels are so few (at
    `most`) that rows of a window are worth more than to ask at each element whether it lies inside.
    """
    low, n = attributes["low"], x.shape[1:-1]
    known = all(isinstance(d, int) for d in (*low, *n, *attributes["out"], x.shape[-1]))
    if not known or x.shape[-1] > most or any(s > 1 for s in attributes["spread"]):
        return x, attributes
    steps = zip(attributes["out"], attributes["strides"], attributes["size"], attributes["dilation"], low, n)
    high = [max(0, (o - 1) * s + (k - 1) * d + 1 - p - m) for o, s, k, d, p, m in steps]
    if not any(low + tuple(high)) or any(p < 0 for p in low):
        return x, attributes
    padded = b.pad(x, low=(0, *low, 0), high=(0, *high, 0))
    return padded, {**attributes, "low": (0,) * len(low)}


def few(size):
    """Whether a window has so few elements that each gets a view of its own."""
    return product(size) <= UNROLLED


def _view(shape, differentiable=True, **attributes):
    rank = len(shape) - 2
    plain = {"strides": (1,) * rank, "low": (0,) * rank, "dilation": (1,) * rank, "spread": (1,) * rank}
    return Sample(arrays(shape), {**plain, **attributes}, (*COMMON, "bool"), differentiable)


@op("windows", Kind.VIEW)
class Windows:
    """The elements that each window covers: (N, spatial..., C) -> (N, out..., size..., C).

    Element t of window o lies at position p = o * strides + t * dilation - low of x with its elements
    `spread` apart: it is x[p / spread] where there is such an element, and `value` elsewhere.
    """

    def infer(x, *, size, out, strides, low, dilation, spread, value=0.0):
        rank = x.rank - 2
        require_entries(rank, size=size, strides=strides, dilation=dilation, spread=spread)
        if not len(out) == len(low) == rank or any(isinstance(d, int) and d < 0 for d in out):
            raise ShapeError(f"{x} has no windows with out = {out} and low = {low}")
        return x.with_shape((x.shape[0], *out, *size, x.shape[-1]))

    evaluate = take_windows

    def vjp(b, x, result, ct, size, out, strides, low, dilation, spread, value):
        rank = len(size)
        outer = ct.shape[: rank + 1]
        total = None
        for tap in itertools.product(*map(range, size)):
            start = (*(0,) * (rank + 1), *tap, 0)
            stop = (*outer, *(t + 1 for t in tap), ct.shape[-1])
            part = b.reshape(
                b.slice(ct, start=start, stop=stop, step=(1,) * ct.rank), shape=(*outer, ct.shape[-1])
            )
            part = b.windows(
                part,
                size=(1,) * rank,
                out=x.shape[1:-1],
                strides=spread,
                low=tuple(t * d - p for t, d, p in zip(tap, dilation, low)),
                dilation=(1,) * rank,
                spread=strides,
            )
            part = b.reshape(part, shape=x.shape)
            total = part if total is None else total + part
        return (total,)

    samples = (
        _view((2, 7, 3), size=(3,), out=(5,)),
        _view((2, 7, 1), size=(2,), out=(4,), strides=(2,), low=(1,), value=1.0),
        _view((1, 5, 6, 3), size=(2, 3), out=(4, 4)),
        _view((2, 5, 6, 17), size=(3, 3), out=(3, 6), strides=(2, 1), low=(1, 1)),
        _view((2, 3, 4, 3), size=(2, 2), out=(5, 4), low=(1, 0), spread=(2, 1), dilation=(1, 2)),
        _view((1, 4, 3), size=(3,), out=(8,), low=(2,), spread=(3,)),
        _view((1, 9, 3), size=(2,), out=(3,), strides=(2,), low=(-3,), dilation=(2,)),
        _view((2, 1, 1, 33), size=(1, 1), out=(1, 1)),
        _view((2, 1, 1, 5), size=(3, 3), out=(1, 1), low=(1, 1)),
        _view((2, 3, 0), size=(2,), out=(2,)),
        _view((2, 0, 3), size=(2,), out=(1,), low=(1,)),
        _view((0, 4, 3), size=(2,), out=(3,)),
        Sample(
            arrays((1, 3, 2)),
            {
                "size": (3,),
                "out": (3,),
                "strides": (1,),
                "low": (1,),
                "dilation": (1,),
                "spread": (1,),
                "value": -float("inf"),
            },
            ("f32", "f64"),
            False,
        ),
    )
