"""Types, sizes and attribute values from IR text: the other direction of `literals`.

An attribute value is a number, a word, a string, an element type, a tuple, an array, or a size such as
`(B + 1) // 2`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.ir.dims import APPLY, Dim, Size, symbol
from graphc.ir.errors import GraphcError
from graphc.ir.literals import WORDS
from graphc.ir.opdef import OpDef
from graphc.ir.tokens import Reader, Token
from graphc.ir.types import DTYPES, TensorType, dtype_of

_DEPTH = 32
_PYTHON: dict[str, tuple[type, ...]] = {"b": (bool,), "i": (int,), "u": (int,), "f": (int, float)}
_FITS = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}
_SUMS = {"+": lambda a, b: a + b, "-": lambda a, b: a - b}
_TERMS = {"*": lambda a, b: a * b, "//": APPLY["//"], "%": APPLY["%"]}


def text_of(reader: Reader, token: Token, skip: int = 0) -> str:
    """The text that a token stands for, without its quotes and its first `skip` characters."""
    text = token.text[skip:]
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        raise reader.error("this string has an escape that is not one of JSON's", token) from None


def parse_type(reader: Reader) -> TensorType:
    """`f32[B, 3]`."""
    token = reader.expect_kind("word", "a type such as f32[B, 3]")
    if token.text not in DTYPES:
        raise reader.error(f"there is no element type {token.text}; there are {', '.join(DTYPES)}", token)
    return TensorType(DTYPES[token.text], _shape(reader))


def _shape(reader: Reader) -> tuple[Dim, ...]:
    reader.expect("[")
    shape: list[Dim] = []
    while not reader.at("]"):
        first = reader.here
        size = parse_size(reader)
        if isinstance(size, int) and size < 0:
            raise reader.error(f"a size can't be negative: {size}", first)
        shape.append(size)
        if not reader.accept(","):
            break
    reader.expect("]")
    return tuple(shape)


def parse_size(reader: Reader) -> Dim:
    """A size: an integer, or arithmetic with symbols."""
    first = reader.here
    size = _value(reader, 0)
    if isinstance(size, bool) or not isinstance(size, (int, Size)):
        raise reader.error("expected a size", first)
    return size


def parse_attributes(reader: Reader, op: OpDef) -> dict[str, Any]:
    """`{axis = 1, keepdims = true}`."""
    reader.expect("{")
    attrs: dict[str, Any] = {}
    places: dict[str, Token] = {}
    while not reader.at("}"):
        token = reader.expect_kind("word", "the name of an attribute")
        if token.text not in op.attributes:
            listed = ", ".join(op.attributes) or "none"
            raise reader.error(f"{op.name} has no attribute {token.text!r}; it has: {listed}", token)
        if token.text in attrs:
            raise reader.error(f"the attribute {token.text} is given twice", token)
        reader.expect("=")
        places[token.text] = reader.here
        attrs[token.text] = _value(reader, 0)
        if not reader.accept(","):
            break
    reader.expect("}")
    if op.name == "constant" and {"value", "dtype"} <= attrs.keys():
        attrs["value"] = _of_dtype(reader, places["value"], attrs["value"], attrs["dtype"])
    return attrs


def _of_dtype(reader: Reader, token: Token, value: Any, dtype: Any) -> Any:
    """A constant's value as its element type holds it: `0.1` of f32 is the f32 number next to 0.1."""
    message = "this value does not fit the constant's element type"
    if isinstance(value, Size):
        return value
    try:
        target = dtype_of(dtype)
        array = np.asarray(value)
        if array.dtype.kind not in _FITS[target.kind] and array.size:
            raise TypeError("the kinds differ")
        with np.errstate(all="ignore"):
            literal = np.array(value, target.numpy)
    except (OverflowError, TypeError, ValueError) as e:
        raise reader.error(f"{message}: {_first_line(e)}", token) from e
    return literal.item() if literal.ndim == 0 else literal


def _value(reader: Reader, depth: int) -> Any:
    """An attribute value; between sizes `+ - * // %` may stand."""
    if depth > _DEPTH:
        raise reader.error(f"this is nested more than {_DEPTH} deep")
    return _chain(reader, _SUMS, lambda: _chain(reader, _TERMS, lambda: _signed(reader, depth)))


def _chain(reader: Reader, signs: dict[str, Callable[[Dim, Dim], Dim]], part: Callable[[], Any]) -> Any:
    first = reader.here
    left = part()
    while reader.here.kind == "sign" and reader.here.text in signs:
        sign = reader.take()
        right = part()
        if any(isinstance(v, bool) or not isinstance(v, (int, Size)) for v in (left, right)):
            raise reader.error(f"`{sign.text}` stands between sizes only", sign)
        try:
            left = signs[sign.text](left, right)
        except (GraphcError, ZeroDivisionError) as e:
            raise reader.error(f"this size can't be computed: {e}", first, sign) from e
    return left


def _signed(reader: Reader, depth: int) -> Any:
    if not reader.at("-"):
        return _primary(reader, depth)
    sign = reader.take()
    value = _primary(reader, depth)
    if isinstance(value, bool) or not isinstance(value, (int, float, Size)):
        raise reader.error("`-` stands before numbers and sizes only", sign)
    return -value


def _primary(reader: Reader, depth: int) -> Any:
    token = reader.here
    if token.kind == "number":
        return _number(reader, reader.take())
    if token.kind == "string":
        return text_of(reader, reader.take())
    if token.kind == "word":
        return _word(reader, reader.take(), depth)
    if reader.at("("):
        return _tuple(reader, depth)
    raise reader.error(f"expected a value, found {token}")


def _number(reader: Reader, token: Token) -> int | float:
    try:
        return int(token.text) if token.text.isdigit() else float(token.text)
    except ValueError as e:
        raise reader.error(_first_line(e), token) from e


def _word(reader: Reader, token: Token, depth: int) -> Any:
    if token.text in WORDS:
        return WORDS[token.text]
    if token.text == "array" and reader.at("("):
        return _array(reader, token)
    if token.text in DTYPES:
        dtype = DTYPES[token.text]
        return TensorType(dtype, _shape(reader)) if reader.at("[") else dtype
    if token.text in ("max", "min") and reader.accept("("):
        left = _operand(reader, depth)
        reader.expect(",")
        right = _operand(reader, depth)
        reader.expect(")")
        return APPLY[token.text](left, right)
    return symbol(token.text)


def _operand(reader: Reader, depth: int) -> Dim:
    first = reader.here
    size = _value(reader, depth + 1)
    if isinstance(size, bool) or not isinstance(size, (int, Size)):
        raise reader.error("expected a size", first)
    return size


def _tuple(reader: Reader, depth: int) -> Any:
    reader.expect("(")
    items: list[Any] = []
    comma = True
    while not reader.at(")"):
        items.append(_value(reader, depth + 1))
        comma = reader.accept(",")
        if not comma:
            break
    reader.expect(")")
    return tuple(items) if comma or len(items) != 1 else items[0]


def _array(reader: Reader, token: Token) -> np.ndarray:
    """`array(f32[2], 1.0, 2.0)`, or the bytes in base 64."""
    reader.expect("(")
    kind = parse_type(reader)
    if not all(isinstance(d, int) for d in kind.shape):
        raise reader.error("an array's sizes are numbers", token)
    items: list[Any] = []
    while reader.accept(","):
        items.append(_signed(reader, 0))
    last = reader.expect(")")
    try:
        flat = _elements(items, kind)
    except (OverflowError, TypeError, ValueError) as e:
        raise reader.error(f"not an array of {kind}: {_first_line(e)}", token, last) from None
    if flat.size != math.prod(int(d) for d in kind.shape):
        raise reader.error(f"{kind} has {kind.size} elements, here are {flat.size}", token, last)
    return flat.reshape(kind.shape)


def _elements(items: list[Any], kind: TensorType) -> np.ndarray:
    if len(items) != 1 or not isinstance(items[0], str):
        return np.array([_element(v, kind) for v in items], kind.dtype.numpy)
    little = kind.dtype.numpy.newbyteorder("<")
    return np.frombuffer(base64.b64decode(items[0], validate=True), little).astype(kind.dtype.numpy)


def _element(value: Any, kind: TensorType) -> Any:
    if not isinstance(value, _PYTHON[kind.dtype.kind]) or (
        isinstance(value, bool) and kind.dtype.kind != "b"
    ):
        raise TypeError(f"{value!r} is no {kind.dtype}")
    return value


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
