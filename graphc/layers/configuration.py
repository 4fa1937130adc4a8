"""Constructor arguments of layers, read and written: dtype policies, first layers' shapes, captured
arguments.
"""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.ir.errors import ArgumentError, DTypeError

if TYPE_CHECKING:
    from graphc.layers.layer import Layer

FIRST_LAYER_ARGUMENTS = ("input_shape", "batch_input_shape", "input_dim", "input_length", "batch_size")

HALF_PRECISION = ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
"""Keras's policies that there is no element type for."""


def tuples(shape: Any) -> Any:
    """A stored shape with tuples for lists."""
    if isinstance(shape, (list, tuple)):
        return tuple(tuples(d) for d in shape)
    return {k: tuples(v) for k, v in shape.items()} if isinstance(shape, dict) else shape


def policy_name(dtype: Any) -> str | None:
    """The element type that a `dtype` argument names: a string, a dtype, or a stored policy.

    Raises:
        DTypeError: layers do not compute in that type.
    """
    if dtype is None:
        return None
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name", "float32")
    name = getattr(dtype, "name", dtype)
    name = name if isinstance(name, str) else np.dtype(name).name
    if name in HALF_PRECISION:
        raise DTypeError(
            f"layers do not compute in {name}; they do in float32 and float64.\n"
            "  fix     leave dtype out, or give dtype='float32'."
        )
    return np.dtype(name).name


def is_whole(number: Any) -> bool:
    """Whether this is a number without a fraction; 8.0 is."""
    return (
        isinstance(number, (int, float, np.integer, np.floating))
        and not isinstance(number, bool)
        and number == number // 1
    )


def sizes_of(what: str, given: Any) -> tuple[int | None, ...]:
    """The sizes of an Input, None where they are not known; one number is one size.

    Raises:
        ArgumentError: something else than whole numbers from 0 on.
    """
    sizes = list(given) if hasattr(given, "__iter__") and not isinstance(given, str) else [given]
    if not all(d is None or (is_whole(d) and d >= 0) for d in sizes):
        raise ArgumentError(f"the {what} of an Input has whole numbers from 0 on, or None, not {given!r}")
    return tuple(None if d is None else int(d) for d in sizes)


def first_shape(kwargs: dict[str, Any]) -> tuple[int | None, ...] | None:
    """The whole input shape that the Keras 2 arguments of a first layer give."""
    if kwargs.get("batch_input_shape") is not None:
        return tuple(kwargs["batch_input_shape"])
    shape = kwargs.get("input_shape")
    if shape is None and kwargs.get("input_dim") is not None:
        lead = (kwargs["input_length"],) if kwargs.get("input_length") is not None else ()
        shape = (*lead, kwargs["input_dim"])
    if shape is None and kwargs.get("input_length") is not None:
        shape = (kwargs["input_length"],)
    if shape is None:
        return None
    return (kwargs.get("batch_size"), *((shape,) if isinstance(shape, int) else tuple(shape)))


def file_of(cls: type) -> str:
    """The file in which a class is defined."""
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or "<stdin>"


def captured(layer: Layer) -> dict[str, Any]:
    """The arguments that a user's layer was made with, by name."""
    args, kwargs = layer._state.first_arguments
    bound = inspect.signature(type(layer).__init__).bind(layer, *args, **kwargs).arguments
    plain: dict[str, Any] = {}
    for key, value in list(bound.items())[1:]:
        plain.update(value if isinstance(value, dict) and key == "kwargs" else {key: value})
    return {k: v for k, v in plain.items() if k not in ("name", "trainable", "dtype")}
