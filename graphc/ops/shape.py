"""Operations that move elements: shapes, axes, joining, repeating."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from graphc.ir.dims import Dim, Size, product
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.ir.relations import normalize_axis
from graphc.ops.dispatch import emit, operation
from graphc.ops.promotion import tensor, unify


def sizes_of(shape: Any) -> tuple[Dim, ...]:
    """A shape given as an int or a sequence."""
    if isinstance(shape, (Size, int)) or not hasattr(shape, "__iter__"):
        shape = (shape,)
    return tuple(d if isinstance(d, Size) else int(d) for d in shape)


@operation
def shape(x: Any) -> tuple[Dim, ...]:
    """The sizes of `x`; inside a `call`, unknown ones are symbols that can be calculated with."""
    return tensor(x).shape


@operation
def ndim(x: Any) -> int:
    """The number of axes of `x`."""
    return tensor(x).ndim


@operation
def size(x: Any) -> Dim:
    """The number of elements of `x`."""
    return tensor(x).type.size


@operation
def reshape(x: Any, newshape: Any) -> Any:
    """The elements in another shape, in which one size may be -1.

    >>> import numpy as np
    >>> reshape(np.arange(6), (2, -1))
    array([[0, 1, 2],
           [3, 4, 5]])
    """
    x = tensor(x)
    wanted = list(sizes_of(newshape))
    open_axes = [i for i, d in enumerate(wanted) if isinstance(d, int) and d == -1]
    if len(open_axes) > 1:
        raise ShapeError(f"reshape: only one size may be -1, got {tuple(wanted)}")
    if open_axes:
        rest = product(d for i, d in enumerate(wanted) if i != open_axes[0])
        wanted[open_axes[0]] = _remaining(x, rest, newshape)
    return x if tuple(wanted) == x.shape else emit("reshape", x, shape=tuple(wanted))


def _remaining(x: Any, rest: Dim, newshape: Any) -> Dim:
    total = x.type.size
    if isinstance(rest, int) and rest == 0:
        raise ShapeError(f"reshape to {newshape}: the size -1 can't be told where another is 0")
    if isinstance(rest, int) and isinstance(total, int) and total % rest:
        raise ShapeError(f"reshape: {total} elements of shape {x.shape} don't fit the shape {newshape}")
    return total // rest


@operation
def transpose(x: Any, axes: Any = None) -> Any:
    """The axes in another order; reversed when None.

    >>> import numpy as np
    >>> transpose(np.ones((2, 3, 4)), (0, 2, 1)).shape
    (2, 4, 3)
    """
    x = tensor(x)
    order = (
        tuple(reversed(range(x.ndim)))
        if axes is None
        else tuple(normalize_axis(int(a), x.ndim) for a in axes)
    )
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"transpose: {tuple(axes)} is not an order of the {x.ndim} axes of shape {x.shape}")
    return x if order == tuple(range(x.ndim)) else emit("transpose", x, axes=order)


@operation
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    x = tensor(x)
    order = list(range(x.ndim))
    a, b = normalize_axis(axis1, x.ndim), normalize_axis(axis2, x.ndim)
    order[a], order[b] = b, a
    return transpose(x, order)


@operation
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other places; the others keep their order."""
    x = tensor(x)
    sources, targets = ([normalize_axis(int(a), x.ndim) for a in sizes_of(s)] for s in (source, destination))
    order = [a for a in range(x.ndim) if a not in sources]
    for target, origin in sorted(zip(targets, sources)):
        order.insert(target, origin)
    return transpose(x, order)


@operation
def expand_dims(x: Any, axis: Any) -> Any:
    """New axes of size 1 at the given places of the result.

    >>> import numpy as np
    >>> expand_dims(np.ones((2, 3)), 1).shape
    (2, 1, 3)
    """
    x = tensor(x)
    given = sizes_of(axis)
    rank = x.ndim + len(given)
    places = {normalize_axis(int(a), rank) for a in given}
    old = iter(x.shape)
    return reshape(x, [1 if i in places else next(old) for i in range(rank)])


@operation
def squeeze(x: Any, axis: Any = None) -> Any:
    """Without axes of size 1: those given, or all."""
    x = tensor(x)
    if axis is None:
        places = {i for i, d in enumerate(x.shape) if isinstance(d, int) and d == 1}
    else:
        places = {normalize_axis(int(a), x.ndim) for a in sizes_of(axis)}
    for i in places:
        if x.shape[i] != 1:
            raise ShapeError(f"squeeze: axis {i} of shape {x.shape} has not the size 1")
    return reshape(x, [d for i, d in enumerate(x.shape) if i not in places])


@operation
def broadcast_to(x: Any, shape: Any) -> Any:
    """`x` repeated along missing axes and axes of size 1."""
    x = tensor(x)
    wanted = sizes_of(shape)
    return x if wanted == x.shape else emit("broadcast", x, shape=wanted)


@operation
def concatenate(xs: Sequence[Any], axis: int = -1) -> Any:
    """Tensors one after another along `axis`.

    >>> import numpy as np
    >>> concatenate([np.zeros(2), np.ones(1)], axis=0)
    array([0., 0., 1.])
    """
    parts = unify(*xs)
    if len(parts) == 1:
        return parts[0]
    return emit("concatenate", *parts, axis=normalize_axis(int(axis), parts[0].ndim))


@operation
def stack(xs: Sequence[Any], axis: int = 0) -> Any:
    """Tensors of one shape along a new axis.

    >>> import numpy as np
    >>> stack([np.zeros(2), np.ones(2)], axis=1)
    array([[0., 1.],
           [0., 1.]])
    """
    parts = unify(*xs)
    place = normalize_axis(int(axis), parts[0].ndim + 1)
    return concatenate([expand_dims(p, place) for p in parts], place)


@operation
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Equal parts along `axis` (an int: how many), or the parts between the given positions.

    >>> import numpy as np
    >>> split(np.arange(5), [2])
    [array([0, 1]), array([2, 3, 4])]
    """
    x = tensor(x)
    place = normalize_axis(int(axis), x.ndim)
    length = x.shape[place]
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if not isinstance(length, int) or count < 1 or length % count:
            raise ShapeError(
                f"split: the size {length} of axis {place} does not fall into {count} equal parts"
            )
        bounds: list[Dim] = [i * (length // count) for i in range(count + 1)]
    else:
        bounds = [0, *(int(i) for i in indices_or_sections), length]
    lead = (slice(None),) * place
    return [x[(*lead, slice(a, b))] for a, b in pairwise(bounds)]


@operation
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """The slices along `axis`, without it."""
    x = tensor(x)
    place = normalize_axis(int(axis), x.ndim)
    count = x.shape[place] if num is None else num
    if not isinstance(count, int):
        raise ShapeError(f"unstack: the size of axis {place} of shape {x.shape} is not known; give num=")
    return [x[(*(slice(None),) * place, i)] for i in range(count)]


@operation
def flip(x: Any, axis: Any = None) -> Any:
    """The elements in reverse along `axis`, or along all axes."""
    from graphc.ops.reduce import axes_of

    x = tensor(x)
    return emit("reverse", x, axes=axes_of(x, axis))


@operation
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    """`x` with (before, after) elements of a constant added to each axis."""
    if mode != "constant":
        raise ArgumentError(f"pad: the mode {mode!r} is not known; there is 'constant'")
    x = tensor(x)
    pairs = _pairs(pad_width, x.ndim)
    low, high = tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)
    value = float(constant_values) if x.type.dtype.kind == "f" else int(constant_values)
    return emit("pad", x, low=low, high=high, value=value)


def _pairs(pad_width: Any, rank: int) -> list[tuple[int, int]]:
    if isinstance(pad_width, int):
        return [(pad_width, pad_width)] * rank
    pairs = [(p, p) if isinstance(p, int) else (int(p[0]), int(p[1])) for p in pad_width]
    if len(pairs) == 1 and rank != 1:
        pairs *= rank
    if len(pairs) != rank:
        raise ShapeError(f"pad: {len(pairs)} pairs for {rank} axes")
    return pairs


@operation
def repeat(x: Any, repeats: int, axis: int | None = None) -> Any:
    """Each element `repeats` times in a row along `axis`, or of the flattened tensor."""
    x = tensor(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    place = normalize_axis(int(axis), x.ndim)
    wide = expand_dims(x, place + 1)
    wide = broadcast_to(wide, (*x.shape[: place + 1], repeats, *x.shape[place + 1 :]))
    return reshape(wide, (*x.shape[:place], x.shape[place] * repeats, *x.shape[place + 1 :]))


@operation
def tile(x: Any, repeats: Any) -> Any:
    """The whole tensor repeated along each axis."""
    x = tensor(x)
    counts = sizes_of(repeats)
    rank = max(x.ndim, len(counts))
    counts = (1,) * (rank - len(counts)) + counts
    old = (1,) * (rank - x.ndim) + x.shape
    wide = reshape(x, [d for size in old for d in (1, size)])
    wide = broadcast_to(wide, [d for count, size in zip(counts, old) for d in (count, size)])
    return reshape(wide, [c * d for c, d in zip(counts, old)])


@operation
def roll(x: Any, shift: int, axis: int | None = None) -> Any:
    """The elements moved `shift` places along `axis`; what leaves at the end enters at the start."""
    x = tensor(x)
    if axis is None:
        return reshape(roll(reshape(x, (-1,)), shift, 0), x.shape)
    place = normalize_axis(int(axis), x.ndim)
    length = x.shape[place]
    if not isinstance(length, int):
        raise ShapeError(f"roll: the size of axis {place} of shape {x.shape} must be known")
    cut = (-shift) % length if length else 0
    if cut == 0:
        return x
    lead = (slice(None),) * place
    return concatenate([x[(*lead, slice(cut, None))], x[(*lead, slice(None, cut))]], place)
