"""Values made from nothing: constants and counters."""

from __future__ import annotations

import numpy as np

from graphc.ir.inference import require_axis
from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.samples import FLOATS, NUMBERS
from graphc.ir.types import DTYPES, TensorType, dtype_of


def _nothing(rng, dtype):
    return []


@op("constant", Kind.CREATION)
class Constant:
    """A number, an array, or the number that a symbolic size stands for."""

    def infer(*, value, dtype):
        return TensorType(dtype_of(dtype), value.shape if isinstance(value, np.ndarray) else ())

    def evaluate(value, dtype):
        return np.asarray(value).astype(dtype.numpy)

    samples = (
        *(
            Sample(_nothing, {"value": 3.0 if d in FLOATS else 3, "dtype": DTYPES[d]}, (d,), False)
            for d in NUMBERS
        ),
        Sample(_nothing, {"value": True, "dtype": DTYPES["bool"]}, ("bool",), False),
        Sample(_nothing, {"value": float("nan"), "dtype": DTYPES["f32"]}, ("f32",), False),
        Sample(_nothing, {"value": np.arange(6.0).reshape(2, 3), "dtype": DTYPES["f64"]}, ("f64",), False),
    )


@op("iota", Kind.CREATION)
class Iota:
    """The position along `axis`, for every element of `shape`."""

    def infer(*, shape, axis=0, dtype):
        require_axis(axis, len(shape))
        return TensorType(dtype_of(dtype), tuple(shape))

    def evaluate(shape, axis, dtype):
        column = [-1 if i == axis else 1 for i in range(len(shape))]
        return np.broadcast_to(np.arange(shape[axis]).astype(dtype.numpy).reshape(column), shape)

    samples = (
        *(Sample(_nothing, {"shape": (3, 5), "axis": 1, "dtype": DTYPES[d]}, (d,), False) for d in NUMBERS),
        Sample(_nothing, {"shape": (300,), "axis": 0, "dtype": DTYPES["u8"]}, ("u8",), False),
        Sample(_nothing, {"shape": (2, 0, 3), "axis": 2, "dtype": DTYPES["i64"]}, ("i64",), False),
        Sample(_nothing, {"shape": (4, 1, 3), "axis": 0, "dtype": DTYPES["i64"]}, ("i64",), False),
    )
