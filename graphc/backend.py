"""The few process-wide settings, and the names that scripts take from `keras.backend`.

>>> floatx(), epsilon(), image_data_format()
('float32', 1e-07, 'channels_last')
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ir.errors import ArgumentError
from graphc.naming import reset_names

_settings: dict[str, Any] = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
FLOATS = ("float32", "float64")
DATA_FORMATS = ("channels_last", "channels_first")


def _choice(value: str, allowed: tuple[str, ...], what: str) -> str:
    if value not in allowed:
        raise ArgumentError(f"{what} must be one of {', '.join(allowed)}, not {value!r}")
    return value


def floatx() -> str:
    """The floating-point type of new layers and inputs."""
    return _settings["floatx"]


def set_floatx(value: str) -> None:
    """Set `floatx` to "float32" or "float64"."""
    _settings["floatx"] = _choice(value, FLOATS, "floatx")


def epsilon() -> float:
    """The small number that losses and norms add or clip with."""
    return _settings["epsilon"]


def set_epsilon(value: float) -> None:
    """Set `epsilon`."""
    _settings["epsilon"] = float(value)


def image_data_format() -> str:
    """The order of image axes of new layers: "channels_last" or "channels_first"."""
    return _settings["image_data_format"]


def set_image_data_format(value: str) -> None:
    """Set `image_data_format`."""
    _settings["image_data_format"] = _choice(value, DATA_FORMATS, "the data format")


def int_shape(x: Any) -> tuple[int | None, ...]:
    """The shape of a tensor, variable or array, with None where a size is not known."""
    return tuple(d if isinstance(d, int) else None for d in x.shape)


def clear_session() -> None:
    """Restart the counters that name layers, so that a program gives the same names when it runs again."""
    reset_names()


def get_uid(prefix: str = "") -> int:
    """A number that has not been given for `prefix` yet, from 1."""
    from graphc.naming import unique_name

    name = unique_name(prefix)
    return 1 if name == prefix else int(name.rsplit("_", 1)[1]) + 1


def get_value(x: Any) -> np.ndarray:
    """The values of a variable or array, as a new array."""
    return np.array(x)


def set_value(x: Any, value: Any) -> None:
    """Give the variable `x` new values."""
    x.assign(value)


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is a symbolic tensor made by `Input` or a layer call."""
    from graphc.tensor import Tensor

    return isinstance(x, Tensor) and x.trace is None
