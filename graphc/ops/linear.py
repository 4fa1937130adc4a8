"""Products of matrices and tensors."""

from __future__ import annotations

from typing import Any

from graphc.ir.errors import ArgumentError, ShapeError
from graphc.ir.relations import normalize_axis
from graphc.ops.dispatch import emit, operation
from graphc.ops.promotion import unify
from graphc.ops.reduce import FUNCTIONS as REDUCTIONS
from graphc.ops.shape import expand_dims, reshape, squeeze, transpose


@operation
def matmul(x1: Any, x2: Any) -> Any:
    """The matrix product by NumPy's rules: leading axes broadcast, a vector is a row (left) or a column
    (right).

    >>> import numpy as np
    >>> matmul(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 2.],
           [3., 4.]])
    """
    a, b = unify(x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"matmul of the shapes {a.shape} and {b.shape}: a scalar is no matrix; use *")
    if a.ndim == 1:
        return squeeze(matmul(expand_dims(a, 0), b), -1 if b.ndim == 1 else -2)
    if b.ndim == 1:
        return squeeze(matmul(a, expand_dims(b, 1)), -1)
    if a.ndim > 2 and b.ndim == 2:
        rows = reshape(a, (-1, a.shape[-1])) if _flattens(a) else None
        if rows is not None:
            return reshape(emit("matmul", rows, b), (*a.shape[:-1], b.shape[-1]))
    return emit("matmul", a, b)


def _flattens(a: Any) -> bool:
    last = a.shape[-1]
    return not (isinstance(last, int) and last == 0)


@operation
def dot(x1: Any, x2: Any) -> Any:
    """NumPy's `dot`: the last axis of x1 with the last but one of x2."""
    a, b = unify(x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if a.ndim <= 2 and b.ndim <= 2:
        return matmul(a, b)
    return tensordot(a, b, ((-1,), (max(b.ndim - 2, 0),)))


@operation
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """The sum of products over pairs of axes: an int (the last n with the first n), or two sequences.

    >>> import numpy as np
    >>> tensordot(np.ones((2, 3, 4)), np.ones((4, 3)), ((1, 2), (1, 0)))
    array([12., 12.])
    """
    a, b = unify(x1, x2)
    if isinstance(axes, int):
        left, right = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        left, right = ([normalize_axis(i, x.ndim) for i in _several(s)] for x, s in zip((a, b), axes))
    if len(left) != len(right):
        raise ShapeError(f"tensordot: {len(left)} axes of {a.shape} against {len(right)} of {b.shape}")
    kept_a = [i for i in range(a.ndim) if i not in left]
    kept_b = [i for i in range(b.ndim) if i not in right]
    inner: Any = 1
    for i in left:
        inner = inner * a.shape[i]
    rows = reshape(transpose(a, [*kept_a, *left]), (_size(a, kept_a), inner))
    columns = reshape(transpose(b, [*right, *kept_b]), (_size(b, right), _size(b, kept_b)))
    product = emit("matmul", rows, columns)
    return reshape(product, (*(a.shape[i] for i in kept_a), *(b.shape[i] for i in kept_b)))


def _several(axes: Any) -> list[int]:
    return [int(axes)] if isinstance(axes, int) else [int(i) for i in axes]


def _size(x: Any, axes: list[int]) -> Any:
    total: Any = 1
    for i in axes:
        total = total * x.shape[i]
    return total


@operation
def outer(x1: Any, x2: Any) -> Any:
    """All products of an element of x1 and one of x2, both flattened."""
    a, b = unify(x1, x2)
    return expand_dims(reshape(a, (-1,)), 1) * expand_dims(reshape(b, (-1,)), 0)


@operation
def einsum(subscripts: str, *operands: Any) -> Any:
    """Sums of products by NumPy's notation ("bij,bjk->bik"); operands are joined from the left.

    Raises:
        ArgumentError: a label occurs twice in one operand, or the notation has an ellipsis.
    """
    terms, _, output = subscripts.replace(" ", "").partition("->")
    labels = terms.split(",")
    if "." in subscripts or any(len(set(t)) != len(t) for t in [*labels, output]):
        raise ArgumentError(
            f"einsum {subscripts!r}: ellipses and repeated labels in one operand are not possible"
        )
    if "->" not in subscripts:
        joined = "".join(labels)
        output = "".join(sorted(c for c in set(joined) if joined.count(c) == 1))
    values = unify(*operands)
    if len(values) != len(labels):
        raise ArgumentError(f"einsum {subscripts!r} has {len(labels)} terms, but got {len(values)} operands")
    for t, v in zip(labels, values):
        if len(t) != v.ndim:
            raise ShapeError(
                f"einsum {subscripts!r}: the term {t!r} is for {len(t)} axes, got the shape {v.shape}"
            )
    label, value = labels[0], values[0]
    for k in range(1, len(values)):
        wanted = set(output).union(*labels[k + 1 :]) if labels[k + 1 :] else set(output)
        label, value = _join(label, value, labels[k], values[k], wanted)
    extra = [i for i, c in enumerate(label) if c not in output]
    if extra:
        value = REDUCTIONS["sum"](value, extra)
        label = "".join(c for c in label if c in output)
    return transpose(value, [label.index(c) for c in output])


def _join(la: str, a: Any, lb: str, b: Any, wanted: set[str]) -> tuple[str, Any]:
    """The product of two einsum terms, summed over the labels that nobody wants: a batched matrix product."""
    a, la = _summed(a, la, set(lb) | wanted)
    b, lb = _summed(b, lb, set(la) | wanted)
    batch = [c for c in la if c in lb and c in wanted]
    inner = [c for c in la if c in lb and c not in wanted]
    rows, columns = [c for c in la if c not in lb], [c for c in lb if c not in la]
    sizes = {**dict(zip(lb, b.shape)), **dict(zip(la, a.shape))}
    left = transpose(a, [la.index(c) for c in (*batch, *rows, *inner)])
    right = transpose(b, [lb.index(c) for c in (*batch, *inner, *columns)])
    lead = [sizes[c] for c in batch]
    left = reshape(left, (*lead, _count(sizes, rows), _count(sizes, inner)))
    right = reshape(
        right,
        (
            *(b.shape[lb.index(c)] for c in batch),
            _count(dict(zip(lb, b.shape)), inner),
            _count(sizes, columns),
        ),
    )
    result = emit("matmul", left, right)
    return "".join([*batch, *rows, *columns]), reshape(result, [sizes[c] for c in (*batch, *rows, *columns)])


def _summed(x: Any, label: str, keep: set[str]) -> tuple[Any, str]:
    extra = [i for i, c in enumerate(label) if c not in keep]
    return (REDUCTIONS["sum"](x, extra) if extra else x), "".join(c for c in label if c in keep)


def _count(sizes: dict[str, Any], labels: list[str]) -> Any:
    total: Any = 1
    for c in labels:
        total = total * sizes[c]
    return total
