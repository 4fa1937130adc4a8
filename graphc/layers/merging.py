"""Layers that join several inputs, and the functions that make and call them: `add([a, b])`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc import ops
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.ir.relations import normalize_axis
from graphc.layers.layer import Layer


class Merge(Layer):
    """Base: a list of inputs, which broadcast; those of lower rank get axes of size 1 after the batch."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if (
            not isinstance(input_shape, (list, tuple))
            or not input_shape
            or not isinstance(input_shape[0], (list, tuple))
        ):
            raise ArgumentError(f"{self} takes a list of inputs.\n  fix     {self.name}([a, b]).")

    def merge(self, inputs: list[Any]) -> Any:
        """The joined value of inputs of one rank."""
        total = inputs[0]
        for x in inputs[1:]:
            total = self.combine(total, x)
        return total

    def combine(self, left: Any, right: Any) -> Any:
        """Two inputs joined; subclasses define this, or `merge`."""
        raise ArgumentError(f"{type(self).__name__} does not define combine(left, right)")

    def call(self, inputs: Any) -> Any:
        inputs = _same_rank(list(inputs))
        try:
            return self.merge(inputs)
        except ShapeError:
            shapes = ", ".join(_shape(x) for x in inputs)
            error = ShapeError(f"{self} takes inputs whose shapes broadcast, but got {shapes}.")
            error.fix = "bring them to one shape first, for example by a Dense layer."  # type: ignore[attr-defined]
            raise error from None

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Valid where any input is: masks are joined by "or"; an input without a mask makes all valid."""
        masks = list(previous_mask) if isinstance(previous_mask, (list, tuple)) else [previous_mask]
        if any(m is None for m in masks):
            return None
        joined = masks[0]
        for m in masks[1:]:
            joined = ops.logical_or(joined, m)
        return joined


def _shape(x: Any) -> str:
    """A tensor's shape and type, as people read them: None where a size is not known."""
    sizes = tuple(d if isinstance(d, int) else None for d in x.shape)
    return f"{sizes} ({x.dtype})"


def _same_rank(inputs: list[Any]) -> list[Any]:
    rank = max(x.ndim for x in inputs)
    return [x if x.ndim == rank else ops.expand_dims(x, list(range(1, 1 + rank - x.ndim))) for x in inputs]


class Add(Merge):
    """The sum of the inputs.

    >>> import graphc
    >>> a, b = graphc.Input((3,)), graphc.Input((3,))
    >>> Add()([a, b]).shape
    (None, 3)
    """

    def combine(self, left: Any, right: Any) -> Any:
        return left + right


class Subtract(Merge):
    """The first input minus the second."""

    def merge(self, inputs: list[Any]) -> Any:
        if len(inputs) != 2:
            raise ArgumentError(f"{self} takes two inputs, but got {len(inputs)}.")
        return inputs[0] - inputs[1]


class Multiply(Merge):
    """The product of the inputs."""

    def combine(self, left: Any, right: Any) -> Any:
        return left * right

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Valid where every input that has a mask is."""
        masks = [
            m
            for m in (previous_mask if isinstance(previous_mask, (list, tuple)) else [previous_mask])
            if m is not None
        ]
        joined = masks[0] if masks else None
        for m in masks[1:]:
            joined = ops.logical_and(joined, m)
        return joined


class Average(Merge):
    """The mean of the inputs."""

    def merge(self, inputs: list[Any]) -> Any:
        total = inputs[0]
        for x in inputs[1:]:
            total = total + x
        return total / len(inputs)


class Maximum(Merge):
    """The largest of the inputs, element by element."""

    def combine(self, left: Any, right: Any) -> Any:
        return ops.maximum(left, right)


class Minimum(Merge):
    """The smallest of the inputs, element by element."""

    def combine(self, left: Any, right: Any) -> Any:
        return ops.minimum(left, right)


class Concatenate(Merge):
    """The inputs one after another along `axis`."""

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        parts = list(inputs)
        if len({x.ndim for x in parts}) > 1:
            raise ShapeError(
                f"{self} takes inputs of one rank, but got the shapes "
                + ", ".join(str(x.shape) for x in parts)
            )
        axis = normalize_axis(self.axis, parts[0].ndim)
        for position in range(parts[0].ndim):
            sizes = {x.shape[position] for x in parts if isinstance(x.shape[position], int)}
            if position != axis and len(sizes) > 1:
                shapes = ", ".join(
                    str(tuple(d if isinstance(d, int) else None for d in x.shape)) for x in parts
                )
                raise ShapeError(
                    f"{self} takes inputs of equal sizes but along axis {axis}, and got the shapes {shapes}."
                )
        return ops.concatenate(parts, axis)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The masks one after another, all valid where an input has none; along another axis than time,
        joined by "or".
        """
        masks = list(previous_mask) if isinstance(previous_mask, (list, tuple)) else [previous_mask]
        if all(m is None for m in masks):
            return None
        parts = []
        for x, m in zip(inputs, masks):
            if m is None:
                parts.append(ops.ones_like(x, "bool"))
            else:
                wide = ops.reshape(m, (*m.shape, *(1,) * (x.ndim - m.ndim)))
                parts.append(ops.broadcast_to(wide, x.shape))
        return ops.any(ops.concatenate(parts, self.axis), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class Dot(Merge):
    """Sums of products of two inputs over one axis of each, sample by sample.

    Args:
        axes: an axis of both, or a pair (axis of the first, axis of the second); the batch is axis 0.
        normalize: scale each vector along its axis to norm 1 first: the cosine.
    """

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axes, int) and (len(axes) != 2 or not all(isinstance(a, int) for a in axes)):
            raise ArgumentError(f"Dot takes an axis or a pair of axes, not {axes!r}")
        self.axes = axes if isinstance(axes, int) else list(axes)
        self.normalize = normalize
        self.supports_masking = False

    def call(self, inputs: Any) -> Any:
        if len(inputs) != 2:
            raise ArgumentError(f"{self} takes two inputs, but got {len(inputs)}.")
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        a, b = inputs
        left, right = normalize_axis(pair[0], a.ndim), normalize_axis(pair[1], b.ndim)
        if (
            isinstance(a.shape[left], int)
            and isinstance(b.shape[right], int)
            and a.shape[left] != b.shape[right]
        ):
            raise ShapeError(f"{self} sums over sizes {a.shape[left]} and {b.shape[right]}, which differ.")
        if self.normalize:
            a, b = _unit(a, left), _unit(b, right)
        return _batched_dot(a, b, left, right)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def _unit(x: Any, axis: int) -> Any:
    squared = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squared, 1e-12))


def _batched_dot(a: Any, b: Any, left: int, right: int) -> Any:
    """Sums over axis `left` of a and `right` of b, for each sample: the other axes of a, then those of b."""
    rows = [i for i in range(1, a.ndim) if i != left]
    columns = [i for i in range(1, b.ndim) if i != right]
    first = ops.transpose(a, (0, *rows, left))
    second = ops.transpose(b, (0, right, *columns))
    sizes = [a.shape[i] for i in rows] + [b.shape[i] for i in columns]
    first = ops.reshape(first, (a.shape[0], _times(a, rows), a.shape[left]))
    second = ops.reshape(second, (b.shape[0], b.shape[right], _times(b, columns)))
    product = ops.matmul(first, second)
    return ops.reshape(product, (a.shape[0], *(sizes or [1])))


def _times(x: Any, axes: list[int]) -> Any:
    total: Any = 1
    for i in axes:
        total = total * x.shape[i]
    return total


def _function(layer: type[Merge], name: str) -> Callable[..., Any]:
    def function(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return layer(*args, **kwargs)(inputs)

    function.__name__ = name
    function.__doc__ = f"`{layer.__name__}(...)(inputs)`."
    return function


FUNCTIONS = {
    layer.__name__.lower(): _function(layer, layer.__name__.lower())
    for layer in (Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot)
}
globals().update(FUNCTIONS)
