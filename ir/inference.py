"""Types of results: the functions that ops share as their `infer`.

>>> from graphc.ir import tensor
>>> comparison(tensor("f32", "B", 3), tensor("f32", 3))
bool[B, 3]
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from graphc.ir.dims import Dim, Shape
from graphc.ir.errors import ArgumentError, DTypeError, ShapeError
from graphc.ir.relations import broadcast_types
from graphc.ir.types import BOOL, DType, TensorType

KINDS = {"f": "floating-point", "i": "integer", "u": "unsigned", "b": "bool"}


def require_kind(kinds: str, *types: TensorType) -> None:
    """DTypeError unless every element type is of one of these kinds."""
    for t in types:
        if t.dtype.kind not in kinds:
            wanted = " or ".join(KINDS[k] for k in kinds)
            raise DTypeError(f"takes {wanted} operands, got {t}")


def operands(kinds: str, count: int, result: DType | None = None) -> Callable[..., TensorType]:
    """The `infer` of an elementwise op: `count` operands of one element type, of these kinds, broadcast."""

    def infer(*types: TensorType, **attrs: Any) -> TensorType:
        if len(types) != count:
            raise ArgumentError(f"takes {count} operand{'s' * (count > 1)}, got {len(types)}")
        require_kind(kinds, *types)
        common = broadcast_types(*types)
        return common.with_dtype(result) if result else common

    return infer


def with_attributes(infer: Callable[..., Any], defaults: Mapping[str, Any]) -> Callable[..., Any]:
    """`infer` under a signature with these attributes and their defaults, which it gets as keywords."""

    def typed(*types: TensorType, **attrs: Any) -> Any:
        return infer(*types, **attrs)

    kind = inspect.Parameter.KEYWORD_ONLY
    types = inspect.Parameter("types", inspect.Parameter.VAR_POSITIONAL)
    keywords = [inspect.Parameter(name, kind, default=value) for name, value in defaults.items()]
    typed.__signature__ = inspect.Signature([types, *keywords])  # type: ignore[attr-defined]
    return typed


unary_float, binary_float, ternary_float = operands("f", 1), operands("f", 2), operands("f", 3)
unary_number, binary_number, ternary_number = operands("iuf", 1), operands("iuf", 2), operands("iuf", 3)
unary_bits, binary_bits = operands("biu", 1), operands("biu", 2)
unary_bool, binary_bool = operands("b", 1), operands("b", 2)
binary_integer = operands("iu", 2)
comparison, classification = operands("biuf", 2, BOOL), operands("f", 1, BOOL)


def require_axis(axis: int, rank: int) -> int:
    """The axis itself; ShapeError unless it is from 0 to rank - 1."""
    if not (isinstance(axis, int) and 0 <= axis < rank):
        raise ShapeError(
            f"axis {axis!r} is out of range for a value with {rank} dimensions (axes count from 0)"
        )
    return axis


def require_axes(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The axes themselves; ShapeError unless they are sorted, distinct and from 0 to rank - 1."""
    for axis in axes:
        require_axis(axis, rank)
    if list(axes) != sorted(set(axes)):
        raise ShapeError(f"axes must be sorted and distinct, got {axes}")
    return axes


def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape after folding `axes`."""
    require_axes(axes, len(shape))
    kept: list[Dim] = [1 if i in axes else d for i, d in enumerate(shape) if keepdims or i not in axes]
    return tuple(kept)


def reduction(kinds: str, empty: bool) -> Callable[..., TensorType]:
    """The `infer` of a reduction that keeps the element type.

    `empty` says whether a fold of nothing has a value.
    """

    def infer(x: TensorType, *, axes: tuple[int, ...], keepdims: bool = False) -> TensorType:
        require_kind(kinds, x)
        shape = reduced_shape(x.shape, axes, keepdims)
        if not empty:
            for axis in axes:
                require_nonempty(x.shape[axis], x)
        return x.with_shape(shape)

    return infer


def require_nonempty(size: Dim, x: TensorType) -> None:
    """ShapeError if a fold that has no neutral element meets the size 0."""
    if size == 0:
        raise ShapeError(f"can't fold an empty axis of {x}: there is no neutral element")
