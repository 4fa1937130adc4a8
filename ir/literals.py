"""Attribute values as text: numbers, words, element types, tuples, sizes and arrays.

    >>> literal_text((1, 2.5, True, None, "a"))
    '(1, 2.5, true, none, "a")'
    >>> literal_text(np.ones((1, 2), np.float32))
    'array(f32[1, 2], 1.0, 1.0)'

`ir/parser` reads them. A float is the shortest text that gives the same number back; arrays of more than 256
elements are written as their bytes in base 64.
"""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

import numpy as np

from graphc.ir.dims import Size
from graphc.ir.errors import ArgumentError
from graphc.ir.types import DType, TensorType, dtype_of

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*")
WORDS: dict[str, Any] = {"true": True, "false": False, "none": None, "nan": math.nan, "inf": math.inf}
_SHORT = 256


def literal_text(value: Any, dtype: DType | None = None) -> str:
    """The literal that reads as `value`; a float of the type `dtype` needs only that type's digits."""
    if value is None:
        return "none"
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return float_text(value, dtype)
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, (DType, Size, TensorType)):
        return str(value)
    if isinstance(value, (tuple, list)):
        inner = ", ".join(literal_text(v) for v in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, np.ndarray):
        return _array_text(value)
    raise ArgumentError(f"an attribute can't be a {type(value).__name__}: {value!r} has no text")


def float_text(value: float | np.floating, dtype: DType | None = None) -> str:
    """The shortest text of a floating-point number, with a sign for a negative NaN."""
    if math.isnan(value):
        return "-nan" if math.copysign(1.0, value) < 0 else "nan"
    number = np.float32(value) if dtype is not None and dtype.name == "f32" else float(value)
    return "inf" if number == math.inf else "-inf" if number == -math.inf else str(number)


def _array_text(array: np.ndarray) -> str:
    kind = TensorType(dtype_of(array.dtype), array.shape)
    if array.size > _SHORT:
        data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
        return f'array({kind}, "{base64.b64encode(data).decode()}")'
    items = [literal_text(v, kind.dtype) for v in array.ravel()]
    return f"array({', '.join([str(kind), *items])})"


def quoted(text: str) -> str:
    """A path in single quotes."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + "'"
