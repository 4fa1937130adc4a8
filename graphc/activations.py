"""Activation functions by name, with Keras's defaults. They work on tensors and on arrays:

>>> import numpy as np
>>> relu(np.array([-1.0, 2.0], "float32")).tolist()
[0.0, 2.0]
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from graphc import ops
from graphc.ir.errors import ArgumentError


def linear(x: Any) -> Any:
    """`x` itself."""
    return x


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """max(x, 0); or with a slope below `threshold`, zero there, and an upper bound.

    f(x) = max_value for x >= max_value, x for threshold <= x < max_value, negative_slope * (x - threshold)
    else.
    """
    if not negative_slope and not threshold:
        if max_value == 6.0:
            return ops.relu6(x)
        return ops.relu(x) if max_value is None else ops.minimum(ops.relu(x), max_value)
    if not threshold and max_value is None:
        return ops.leaky_relu(x, negative_slope)
    below = (x - threshold) * negative_slope if negative_slope else 0.0
    above = x if max_value is None else ops.minimum(x, max_value)
    return ops.where(x >= threshold if negative_slope else x > threshold, above, below)


def relu6(x: Any) -> Any:
    """min(max(x, 0), 6)."""
    return ops.relu6(x)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x where positive, else negative_slope * x."""
    return ops.leaky_relu(x, negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where positive, else alpha * (exp(x) - 1) (Clevert et al., 2015)."""
    return ops.elu(x, alpha)


def celu(x: Any, alpha: float = 1.0) -> Any:
    """x where positive, else alpha * (exp(x / alpha) - 1)."""
    return ops.celu(x, alpha)


def gelu(x: Any, approximate: bool = False) -> Any:
    """x times the normal distribution's cumulative function (Hendrycks and Gimpel, 2016)."""
    return ops.gelu(x, approximate)


def softmax(x: Any, axis: Any = -1) -> Any:
    """exp(x) / sum(exp(x)) along `axis`."""
    return ops.softmax(x, axis)


def log_softmax(x: Any, axis: Any = -1) -> Any:
    """log(softmax(x)) along `axis`."""
    return ops.log_softmax(x, axis)


def glu(x: Any, axis: Any = -1) -> Any:
    """The first half along `axis` times the sigmoid of the second (Dauphin et al., 2017)."""
    first, second = ops.split(x, 2, axis=axis)
    return first * ops.sigmoid(second)


def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """x where x > threshold, else default_value."""
    return ops.threshold(x, threshold, default_value)


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x where |x| > threshold, else zero."""
    return ops.hard_shrink(x, threshold)


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x moved towards zero by `threshold`, zero within it."""
    return ops.soft_shrink(x, threshold)


def squareplus(x: Any, b: float = 4.0) -> Any:
    """(x + sqrt(x^2 + b)) / 2."""
    return ops.squareplus(x, b)


def sparsemax(x: Any, axis: int = -1) -> Any:
    """The projection onto the probability simplex (Martins and Astudillo, 2016, algorithm 1), by pairwise
    comparison.
    """
    values = ops.expand_dims(ops.moveaxis(x, axis, -1), -1)
    others = ops.swapaxes(values, -1, -2)
    not_less = ops.cast(others >= values, x.dtype)
    count = ops.sum(not_less, axis=-1)
    total = ops.sum(not_less * others, axis=-1)
    inside = ops.cast(1.0 + count * ops.squeeze(values, -1) > total, x.dtype)
    size = ops.sum(inside, axis=-1, keepdims=True)
    level = (ops.sum(inside * ops.squeeze(values, -1), axis=-1, keepdims=True) - 1.0) / size
    return ops.moveaxis(ops.relu(ops.squeeze(values, -1) - level), -1, axis)


def _named(name: str) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        return ops.OPERATIONS[name](x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = ops.OPERATIONS[name].__doc__
    return function


PLAIN = [
    "exp",
    "sigmoid",
    "hard_sigmoid",
    "silu",
    "hard_silu",
    "tanh",
    "hard_tanh",
    "softplus",
    "softsign",
    "tanh_shrink",
    "mish",
    "log_sigmoid",
    "selu",
    "sparse_plus",
    "sparse_sigmoid",
]
"""Activations without parameters, which are operations as they stand."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _named(name) for name in PLAIN},
    **{
        f.__name__: f
        for f in (
            linear, relu, relu6, leaky_relu, elu, celu, gelu, glu, softmax, log_softmax, threshold,
            hard_shrink, soft_shrink, squareplus, sparsemax,
        )
    },
}  # fmt: skip
FUNCTIONS["exponential"] = FUNCTIONS.pop("exp")
FUNCTIONS["exponential"].__name__ = "exponential"
ALIASES = {"swish": "silu", "hard_swish": "hard_silu", "log_soft_max": "log_softmax"}
globals().update(FUNCTIONS | {alias: FUNCTIONS[name] for alias, name in ALIASES.items()})


def get(identifier: Any) -> Callable[..., Any]:
    """The activation for a name, a configuration, a layer or a function; None is `linear`.

    Raises:
        ArgumentError: no activation has this name; the message proposes the nearest ones.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    name = ALIASES.get(identifier, identifier) if isinstance(identifier, str) else identifier
    if isinstance(name, str) and name in FUNCTIONS:
        return FUNCTIONS[name]
    near = difflib.get_close_matches(str(name), FUNCTIONS, n=3) or sorted(FUNCTIONS)[:5]
    raise ArgumentError(f"unknown activation {identifier!r}: did you mean {' or '.join(map(repr, near))}?")


def serialize(activation: Any) -> Any:
    """The activation as JSON holds it: its name, or a layer's configuration."""
    if hasattr(activation, "get_config"):
        from graphc.saving.registry import serialize as serialize_object

        return serialize_object(activation)
    name = getattr(activation, "__name__", None)
    if name in FUNCTIONS and FUNCTIONS[name] is activation:
        return name
    from graphc.saving.registry import serialize_function

    return serialize_function(activation)


def deserialize(config: Any, custom_objects: Any = None) -> Callable[..., Any]:
    """The activation that `serialize` stored."""
    if isinstance(config, dict):
        from graphc.saving.registry import deserialize as deserialize_object

        return deserialize_object(config, custom_objects)
    if custom_objects and config in custom_objects:
        return custom_objects[config]
    return get(config)
