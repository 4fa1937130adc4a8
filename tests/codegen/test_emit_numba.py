"""Each form of the loop nests, as Numba compiles it, against the slow interpreter."""

import numpy as np
import pytest

from graphc.codegen.emit_numba import HEADER, kernel_source
from graphc.codegen.interpret import interpret
from graphc.codegen.loops import (
    Axis,
    Buffer,
    Check,
    Compute,
    Constant,
    Fold,
    Index,
    Kernel,
    Load,
    Nest,
    Offset,
    Running,
    Stage,
    Store,
)
from graphc.ir import dtype_of, symbol

F32, F64, I64, BOOL = map(dtype_of, ("f32", "f64", "i64", "bool"))
B = symbol("B")
ROW = Offset((("r", 3), ("j", 1)))


def both(kernel, arrays, sizes):
    """(status, arrays) by the interpreter and by Numba."""
    expected = {k: v.copy() for k, v in arrays.items()}
    status = interpret(kernel, expected, sizes)
    scope = {}
    exec(HEADER + kernel_source(kernel, tuple(sizes)), scope)
    found = {k: v.copy() for k, v in arrays.items()}
    got = scope[kernel.name](*(found[b.name] for b in kernel.buffers), *sizes.values())
    return (status, expected), (got, found)


def softmax_rows():
    load = Load("x1", F32, "x", ROW)
    return Kernel(
        "softmax",
        (Buffer("x", F32, B * 3), Buffer("y", F32, B * 3, True)),
        (
            Nest(
                (Axis("r", B),),
                (
                    Stage((Axis("j", 3),), (load, Fold("top", F32, "max", "x1"))),
                    Stage(
                        (Axis("j", 3),),
                        (
                            load,
                            Compute("d", F32, "subtract", ("x1", "top")),
                            Compute("e", F32, "exp", ("d",)),
                            Fold("total", F32, "sum", "e"),
                        ),
                    ),
                    Stage(
                        (Axis("j", 3),),
                        (
                            load,
                            Compute("d", F32, "subtract", ("x1", "top")),
                            Compute("e", F32, "exp", ("d",)),
                            Compute("p", F32, "divide", ("e", "total")),
                            Store("y", ROW, "p"),
                        ),
                    ),
                ),
                "j",
            ),
        ),
    )


SOFTMAX = """\
@njit(error_model="numpy", nogil=True)
def softmax(x, y, B):
    # model.py:3 'head'
    for r in range(B):
        top = np.float32(-np.inf)
        for j in range(3):
            x1 = x[3*r + j]
            top = greater(top, x1)
        total = 0.0
        for j in range(3):
            x1 = x[3*r + j]
            d = x1 - top
            e = np.float32(np.exp(d))
            total += e
        total_sum = np.float32(total)
        for j in range(3):
            x1 = x[3*r + j]
            d = x1 - top
            e = np.float32(np.exp(d))
            p = e / total_sum
            y[3*r + j] = p
    return 0
"""


def test_the_source_reads_like_the_loops():
    assert kernel_source(softmax_rows(), ("B",), "model.py:3 'head'") == SOFTMAX


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_rows(rows):
    x = np.linspace(-3, 3, rows * 3, dtype="f4")
    (status, expected), (got, found) = both(softmax_rows(), {"x": x, "y": np.zeros_like(x)}, {"B": rows})
    assert status == got == 0
    np.testing.assert_allclose(found["y"], expected["y"], rtol=1e-6)


def fold_kernel(kind, value_type, result_type):
    body = (Load("v", value_type, "x", Offset((("i", 1),))), Fold("f", result_type, kind, "v"))
    nest = Nest((), (Stage((Axis("i", B),), body, (Store("y", Offset(), "f"),)),), None)
    return Kernel("folded", (Buffer("x", value_type, B), Buffer("y", result_type, 1, True)), (nest,))


VALUES = {
    "f4": [2.5, -1.0, 7.0, 7.0],
    "f8": [2.5, np.nan, 7.0, np.nan],
    "i4": [2**31 - 1, 5, -(2**31), 3],
    "u1": [200, 100, 0, 255],
    "?": [True, False, True, True],
}


FOLDS = [(k, d) for k in ["sum", "prod", "max", "min", "argmax", "argmin"] for d in VALUES if d != "?"]


@pytest.mark.parametrize(("kind", "dtype"), [*FOLDS, ("any", "?"), ("all", "?")])
def test_every_fold_is_numpy_s(kind, dtype):
    value_type = dtype_of(np.dtype(dtype))
    result_type = I64 if kind.startswith("arg") else value_type
    kernel = fold_kernel(kind, value_type, result_type)
    arrays = {"x": np.array(VALUES[dtype], dtype), "y": np.zeros(1, result_type.numpy)}
    (_, expected), (_, found) = both(kernel, arrays, {"B": 4})
    np.testing.assert_array_equal(found["y"], expected["y"])


@pytest.mark.parametrize("bad", [np.inf, np.nan, 1.0])
def test_a_long_sum_in_f64_keeps_its_last_digits(bad):
    x = np.full(100_001, 0.1)
    x[5000] = bad
    (_, expected), (_, found) = both(fold_kernel("sum", F64, F64), {"x": x, "y": np.zeros(1)}, {"B": x.size})
    np.testing.assert_allclose(found["y"], expected["y"], rtol=5e-15)


def test_running_folds_checks_and_guards():
    at = Offset((("i", 1),))
    body = (
        Index("n", "i"),
        Load("v", F32, "x", at),
        Running("s", F32, "sum", "v", exclusive=True),
        Constant("two", I64, 2),
        Compute("late", BOOL, "greater_equal", ("n", "two")),
        Constant("zero", F32, 0.0),
        Load("back", F32, "x", Offset((("i", 1),), -2), when="late", fill="zero"),
        Compute("sum", F32, "add", ("s", "back")),
        Store("y", at, "sum", when="late"),
        Constant("limit", F32, 50.0),
        Compute("fine", BOOL, "less", ("s", "limit")),
        Check("fine", 3),
    )
    nest = Nest((), (Stage((Axis("i", B),), body),), None, ordered=True)
    kernel = Kernel("run", (Buffer("x", F32, B), Buffer("y", F32, B, True)), (nest,))
    x = np.arange(9, dtype="f4")
    (status, expected), (got, found) = both(kernel, {"x": x, "y": np.full(9, -1, "f4")}, {"B": 9})
    assert (status, got) == (0, 0)
    np.testing.assert_array_equal(found["y"], expected["y"])
    (status, _), (got, _) = both(kernel, {"x": x * 4, "y": np.zeros(9, "f4")}, {"B": 9})
    assert (status, got) == (3, 3)


BINARY = {
    "i4": (
        "add subtract multiply floor_divide remainder maximum minimum bitwise_xor shift_left shift_right",
        I64,
    ),
    "u1": (
        "add subtract multiply floor_divide remainder maximum minimum bitwise_or shift_left shift_right",
        I64,
    ),
    "f4": ("add divide floor_divide remainder power maximum minimum atan2", F32),
    "f8": ("subtract divide floor_divide remainder power maximum minimum logaddexp", F64),
}
OPERANDS = {
    "i4": ([7, -7, 7, -7, 5, -(2**31), 2**31 - 1, -9, 3], [2, 2, -2, -2, 0, -1, 31, 33, 40]),
    "u1": ([7, 255, 200, 9, 5, 1, 128, 3, 3], [2, 2, 100, 0, 0, 8, 7, 9, 40]),
    "f4": ([7, -7, 7, -7, 0, np.inf, np.nan, 1, -0.0], [2, 2, -2, -2, 0, 3, 1, np.nan, 0]),
    "f8": ([7, -7, 7, -7, 0, np.inf, np.nan, 1, -0.0], [2, 2, -2, -2, 0, 3, 1, np.nan, 0]),
}


@pytest.mark.parametrize("dtype", BINARY)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_binary_ops_are_numpy_s(dtype):
    kind, ops = dtype_of(np.dtype(dtype)), BINARY[dtype][0].split()
    at = Offset((("i", 1),))
    loads = (Load("a", kind, "x", at), Load("b", kind, "y", at))
    body = [x for op in ops for x in (Compute(op, kind, op, ("a", "b")), Store(f"to_{op}", at, op))]
    outs = tuple(Buffer(f"to_{op}", kind, B, True) for op in ops)
    nest = Nest((Axis("i", B),), (Stage((), (*loads, *body)),), "i")
    kernel = Kernel("ops", (Buffer("x", kind, B), Buffer("y", kind, B), *outs), (nest,))
    x, y = (np.array(v, dtype) for v in OPERANDS[dtype])
    arrays = {"x": x, "y": y} | {o.name: np.zeros_like(x) for o in outs}
    (_, expected), (_, found) = both(kernel, arrays, {"B": x.size})
    for op in ops:
        np.testing.assert_allclose(found[f"to_{op}"], expected[f"to_{op}"], rtol=3e-7, err_msg=op)
