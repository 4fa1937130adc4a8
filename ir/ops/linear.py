"""Sums of products."""

from __future__ import annotations

import numpy as np

from graphc.ir.errors import DTypeError, ShapeError
from graphc.ir.inference import require_kind
from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.ops.shape import sum_to
from graphc.ir.relations import broadcast_shapes, same
from graphc.ir.samples import COMMON, arrays


def _turned(x, turn):
    return np.swapaxes(x, -1, -2) if turn else x


@op("matmul", Kind.CONTRACTION)
class Matmul:
    """The matrix product over the last two axes; the axes before them broadcast.

    `transpose_a`, `transpose_b` swap an operand's last two.
    """

    def infer(x, y, *, transpose_a=False, transpose_b=False):
        require_kind("iuf", x, y)
        if x.rank < 2 or y.rank < 2:
            raise ShapeError(f"takes operands with at least 2 dimensions, got {x} and {y}")
        if x.dtype != y.dtype:
            raise DTypeError(f"needs equal element types, got {x} and {y}; add a cast")
        m, inner = x.shape[-2:] if not transpose_a else x.shape[:-3:-1]
        other, n = y.shape[-2:] if not transpose_b else y.shape[:-3:-1]
        same(inner, other, f"the inner sizes of {x} and {y}")
        return x.with_shape((*broadcast_shapes(x.shape[:-2], y.shape[:-2]), m, n))

    def evaluate(x, y, transpose_a, transpose_b):
        return np.matmul(_turned(x, transpose_a), _turned(y, transpose_b))

    def vjp(b, x, y, out, ct, transpose_a, transpose_b):
        if transpose_a:
            dx = b.matmul(y, ct, transpose_a=transpose_b, transpose_b=True)
        else:
            dx = b.matmul(ct, y, transpose_b=not transpose_b)
        if transpose_b:
            dy = b.matmul(ct, x, transpose_a=True, transpose_b=transpose_a)
        else:
            dy = b.matmul(x, ct, transpose_a=not transpose_a)
        return sum_to(b, dx, x.shape), sum_to(b, dy, y.shape)

    samples = (
        Sample(arrays((3, 5), (5, 4)), {}, COMMON),
        Sample(arrays((5, 3), (5, 4)), {"transpose_a": True}, COMMON),
        Sample(arrays((3, 5), (4, 5)), {"transpose_b": True}, COMMON),
        Sample(arrays((5, 3), (4, 5)), {"transpose_a": True, "transpose_b": True}),
        Sample(arrays((1, 7), (7, 1))),
        Sample(arrays((2, 0), (0, 3))),
        Sample(arrays((0, 3), (3, 2))),
        Sample(arrays((33, 17), (17, 19))),
        Sample(arrays((2, 1, 3, 5), (4, 5, 2))),
        Sample(arrays((2, 5, 3), (5, 4)), {"transpose_a": True}),
        Sample(arrays((3, 5), (2, 4, 5)), {"transpose_b": True}),
        Sample(
            lambda rng, dtype: [np.array([[1, np.nan], [np.inf, 2]], dtype), np.eye(2, dtype=dtype)],
            differentiable=False,
        ),
    )
