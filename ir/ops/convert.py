"""Changing the element type, choosing between values, cutting gradients."""

from __future__ import annotations

import numpy as np

from graphc.ir.inference import require_kind
from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.relations import broadcast_shapes, broadcast_types
from graphc.ir.samples import ALL, COMMON, FLOATS, arrays, unary
from graphc.ir.types import DTYPES, dtype_of

_WHOLE = (-300.0, -1.5, -1.0, -0.0, 0.0, 0.5, 1.0, 1.5, 100.0, 250.0)


@op("cast", Kind.ELEMENTWISE)
class Cast:
    """x in another element type: floats are cut towards zero, integers wrap around, bool is x != 0.

    A float outside the range of an integer type gives an unspecified integer, as in NumPy.
    """

    def infer(x, *, dtype):
        return x.with_dtype(dtype_of(dtype))

    def evaluate(x, dtype):
        return x.astype(dtype.numpy)

    def vjp(b, x, out, ct, dtype):
        return (b.cast(ct, dtype=x.dtype) if dtype.is_floating and x.dtype.is_floating else None,)

    samples = (
        *unary(-3, 3, FLOATS, dtype=DTYPES["f64"]),
        *unary(-3, 3, FLOATS, differentiable=False, dtype=DTYPES["f32"]),
        *(
            s
            for d in ALL
            for s in unary(
                -3 if d[0] != "u" else 0, 3, ALL, differentiable=False, special=False, dtype=DTYPES[d]
            )[:5]
        ),
        Sample(lambda rng, dtype: [np.array(_WHOLE, dtype)], {"dtype": DTYPES["i32"]}, FLOATS, False),
        Sample(
            lambda rng, dtype: [np.array([0, 1, 127, 200, 255]).astype(dtype)],
            {"dtype": DTYPES["i8"]},
            ("i32", "i64", "u8"),
            False,
        ),
    )


@op("select", Kind.ELEMENTWISE)
class Select:
    """select(condition, x, y): x where the bool condition is true, else y."""

    def infer(condition, x, y):
        require_kind("b", condition)
        return broadcast_types(x, y).with_shape(
            broadcast_shapes(condition.shape, x.shape, y.shape, reason="select")
        )

    evaluate = np.where

    def vjp(b, condition, x, y, out, ct):
        return None, b.select(condition, ct, 0), b.select(condition, 0, ct)

    samples = tuple(
        Sample(_make, dtypes=(*COMMON, "bool"))
        for _make in (
            lambda rng, dtype: [rng.random((3, 7)) < 0.5, *arrays((3, 7), (7,))(rng, dtype)],
            lambda rng, dtype: [rng.random((4, 1)) < 0.5, *arrays((), (1, 5))(rng, dtype)],
            lambda rng, dtype: [rng.random(()) < 0.5, *arrays((0,), ())(rng, dtype)],
            lambda rng, dtype: [rng.random(33) < 0.5, *arrays((33,), (33,))(rng, dtype)],
        )
    )


@op("stop_gradient", Kind.ELEMENTWISE)
class StopGradient:
    """x, through which no gradient flows."""

    def infer(x):
        return x

    def evaluate(x):
        return x

    def scalar(b, x):
        return x

    def vjp(b, x, out, ct):
        return (None,)

    samples = unary(-3, 3, ALL, differentiable=False)
