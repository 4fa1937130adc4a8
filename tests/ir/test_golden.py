"""Values chosen by hand: what each family of ops means at its edges."""

import math

import numpy as np
import pytest

from graphc.ir import Builder, tensor
from graphc.ir.errors import ArgumentError, DTypeError, ShapeError

NAN, INF = math.nan, math.inf


def apply(name, *arrays, **attrs):
    b = Builder("f")
    operands = [b.input(f"x{i}", tensor(x.dtype, *x.shape)) for i, x in enumerate(arrays)]
    out = b.op(name, *operands, **attrs)
    b.output(*(out if isinstance(out, tuple) else (out,)))
    return b.build().evaluate(**{f"x{i}": x for i, x in enumerate(arrays)})


def f32(*values):
    return np.array(values, np.float32)


def i32(*values):
    return np.array(values, np.int32)


@pytest.mark.parametrize(
    ("name", "operands", "expected"),
    [
        ("floor_divide", (i32(7, -7, 5), i32(2, 2, 0)), [3, -4, 0]),
        ("remainder", (i32(7, -7, 5), i32(2, 2, 0)), [1, 1, 0]),
        ("remainder", (f32(5.5, -5.5), f32(2, 2)), [1.5, 0.5]),
        ("add", (np.array([127], np.int8), np.array([1], np.int8)), [-128]),
        ("negative", (np.array([1], np.uint8),), [255]),
        ("abs", (np.array([-128], np.int8),), [-128]),
        ("power", (i32(2, -3, 0, 1, -1, 2), i32(10, 3, 0, -5, -3, -1)), [1024, -27, 1, 1, -1, 0]),
        ("maximum", (f32(NAN, 1, 2), f32(1, NAN, 3)), [NAN, NAN, 3]),
        ("minimum", (f32(NAN, 1, 2), f32(1, NAN, 3)), [NAN, NAN, 2]),
        ("sign", (f32(-2, 0, 3, NAN),), [-1, 0, 1, NAN]),
        ("clip", (f32(-5, 0.5, 5, NAN), f32(0), f32(1)), [0, 0.5, 1, NAN]),
        ("round", (f32(0.5, 1.5, 2.5, -0.5, -1.5),), [0, 2, 2, -0.0, -2]),
        ("trunc", (f32(-1.7, 1.7),), [-1, 1]),
        ("shift_left", (i32(1, 1, 3), i32(4, 32, -1)), [16, 0, 0]),
        ("shift_right", (i32(-8, -8, 8), i32(1, 40, 40)), [-4, -1, 0]),
        ("bitwise_not", (np.array([True, False]),), [False, True]),
        ("not_equal", (f32(NAN, 1), f32(NAN, 1)), [True, False]),
        ("less", (f32(NAN, 1), f32(1, 2)), [False, True]),
        ("isnan", (f32(NAN, INF, 1),), [True, False, False]),
        ("isinf", (f32(NAN, -INF, 1),), [False, True, False]),
        ("isfinite", (f32(NAN, -INF, 1),), [False, False, True]),
        ("logaddexp", (f32(-INF, INF, 0), f32(-INF, INF, 0)), [-INF, INF, math.log(2)]),
        ("logaddexp", (f32(1000, 0), f32(1000, -1000)), [1000 + math.log(2), 0]),
        ("erf", (f32(0, 1, -1, INF),), [0, math.erf(1), -math.erf(1), 1]),
        ("erfc", (np.array([0.0, 5.0, 20.0]),), [1, math.erfc(5), math.erfc(20)]),
        ("cbrt", (f32(-8, 27),), [-2, 3]),
        ("relu", (f32(-1, 0, 2, NAN),), [0, 0, 2, NAN]),
        ("relu6", (f32(-1, 3, 9),), [0, 3, 6]),
        ("leaky_relu", (f32(-1, 2),), [-0.2, 2]),
        ("elu", (f32(-1, 2, -INF),), [math.expm1(-1), 2, -1]),
        ("gelu", (np.array([1.0, -1.0]),), [0.8413447460685429, -0.15865525393145707]),
        ("sigmoid", (np.array([0.0, -800.0, 800.0, 1.0]),), [0.5, 0, 1, 0.7310585786300049]),
        ("hard_sigmoid", (f32(-4, 0, 1.5, 4),), [0, 0.5, 0.75, 1]),
        ("hard_silu", (f32(-4, 0, 1.5, 4),), [-0.0, 0, 1.125, 4]),
        ("softplus", (np.array([0.0, 800.0, -800.0]),), [math.log(2), 800, 0]),
        ("log_sigmoid", (np.array([0.0, -800.0, 800.0]),), [-math.log(2), -800, 0]),
        ("soft_shrink", (f32(-2, 0.3, 2),), [-1.5, 0, 1.5]),
        ("hard_shrink", (f32(-2, 0.3, 2),), [-2, 0, 2]),
        ("mish", (np.array([1.0]),), [0.8650983882673103]),
        ("squareplus", (f32(0, 1.5),), [1, 2]),
        ("sparse_plus", (f32(-2, 0, 2),), [0, 0.25, 2]),
        ("sparse_sigmoid", (f32(-2, 0, 2),), [0, 0.5, 1]),
        ("celu", (f32(-1, 2),), [math.expm1(-1), 2]),
        ("selu", (np.array([1.0, -1.0]),), [1.0507009873554805, -1.1113307378125625]),
    ],
)  # fmt: skip
def test_elementwise(name, operands, expected):
    got = apply(name, *operands)
    want = np.array(expected)
    if got.dtype.kind == "f":
        np.testing.assert_allclose(got, want, rtol=1e-6 if got.dtype == np.float32 else 1e-14)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(want))
    else:
        np.testing.assert_array_equal(got, want)


def test_fma_rounds_once():
    x = f32(1 + 2**-12)
    assert apply("fma", x, x, f32(-(1 + 2**-11))) == np.float32(2.0**-24)


@pytest.mark.parametrize(
    ("name", "x", "attrs", "expected"),
    [
        ("sum", f32(), {"axes": (0,)}, 0),
        ("prod", f32(), {"axes": (0,)}, 1),
        ("mean", f32(), {"axes": (0,)}, NAN),
        ("mean", f32(1, 2, 6), {"axes": (0,)}, 3),
        ("any", np.array([], bool), {"axes": (0,)}, False),
        ("all", np.array([], bool), {"axes": (0,)}, True),
        ("max", f32(1, NAN, 3), {"axes": (0,)}, NAN),
        ("sum", np.array([127, 1], np.int8), {"axes": (0,)}, -128),
        ("argmax", f32(1, 5, 5), {"axis": 0}, 1),
        ("argmax", f32(1, NAN, 5), {"axis": 0}, 1),
        ("argmin", f32(5, 1, 1), {"axis": 0}, 1),
        ("sum", f32(1, 2), {"axes": ()}, [1, 2]),
    ],
)
def test_reductions(name, x, attrs, expected):
    np.testing.assert_array_equal(apply(name, x, **attrs), expected)


def test_views():
    x = np.arange(12, dtype=np.int32).reshape(3, 4)
    cases = {
        "slice": ({"start": (2, 3), "stop": (-1, 0), "step": (-1, -2)}, x[::-1, 3:0:-2]),
        "pad": ({"low": (1, 0), "high": (0, 2), "value": 9}, np.pad(x, ((1, 0), (0, 2)), constant_values=9)),
        "reverse": ({"axes": (1,)}, x[:, ::-1]),
        "transpose": ({"axes": (1, 0)}, x.T),
        "reshape": ({"shape": (2, 6)}, x.reshape(2, 6)),
        "broadcast": ({"shape": (2, 3, 4)}, np.broadcast_to(x, (2, 3, 4))),
        "cumsum": ({"axis": 1, "exclusive": True}, [[0, 0, 1, 3], [0, 4, 9, 15], [0, 8, 17, 27]]),
    }
    for name, (attrs, expected) in cases.items():
        np.testing.assert_array_equal(apply(name, x, **attrs), expected, name)
    np.testing.assert_array_equal(apply("concatenate", x, x[:1], axis=0), np.concatenate([x, x[:1]]))


def test_indexing():
    x = np.arange(6, dtype=np.int32).reshape(3, 2)
    np.testing.assert_array_equal(apply("gather", x, np.array([2, -1, 0]), axis=0), x[[2, -1, 0]])
    added = apply("scatter_add", x, np.array([1, 1, -1]), np.ones((3, 2), np.int32), axis=0)
    np.testing.assert_array_equal(added, [[0, 1], [4, 5], [5, 6]])
    written = apply("update_slice", x, np.full((2, 1), 9, np.int32), start=(0, 1), step=(2, 1))
    np.testing.assert_array_equal(written, [[0, 9], [2, 3], [4, 9]])
    np.testing.assert_array_equal(
        apply("one_hot", np.array([1, 5, -1]), depth=2, dtype="f32"), [[0, 1], [0, 0], [0, 0]]
    )


@pytest.mark.parametrize(
    ("name", "types", "attrs", "error", "message"),
    [
        ("exp", ["i32[3]"], {}, DTypeError, r"exp: takes floating-point operands, got i32\[3\]"),
        ("add", ["f32[3]", "f64[3]"], {}, DTypeError, "needs equal element types"),
        ("add", ["f32[3]"], {}, ArgumentError, "add: takes 2 operands, got 1"),
        (
            "add",
            ["f32[3]", "f32[4]"],
            {},
            ShapeError,
            r"the shapes \(3\) and \(4\) can't be broadcast together",
        ),
        ("logical_and", ["i32[]", "i32[]"], {}, DTypeError, "takes bool operands"),
        ("matmul", ["f32[3]", "f32[3, 2]"], {}, ShapeError, "takes operands with at least 2 dimensions"),
        (
            "matmul",
            ["f32[2, 3]", "f32[4, 2]"],
            {},
            ShapeError,
            r"the inner sizes of f32\[2, 3\] and f32\[4, 2\]: 3 is not 4",
        ),
        (
            "sum",
            ["f32[3]"],
            {"axes": (-1,)},
            ShapeError,
            "axis -1 is out of range for a value with 1 dimensions",
        ),
        (
            "sum",
            ["f32[3, 2]"],
            {"axes": (1, 0)},
            ShapeError,
            r"axes must be sorted and distinct, got \(1, 0\)",
        ),
        (
            "reshape",
            ["f32[3, 2]"],
            {"shape": (5,)},
            ShapeError,
            r"reshape of f32\[3, 2\] to \(5\): 6 is not 5",
        ),
        (
            "slice",
            ["f32[3]"],
            {"start": (1,), "stop": (4,), "step": (1,)},
            ShapeError,
            "the slice 1:4:1 does not lie",
        ),
        ("slice", ["f32[3]"], {"start": (1,), "stop": (2,), "step": (0,)}, ArgumentError, "step of a slice"),
        ("pad", ["f32[3]"], {"low": (-1,), "high": (0,)}, ShapeError, "padding can't be negative"),
        (
            "concatenate",
            ["f32[3]", "f64[3]"],
            {"axis": 0},
            ShapeError,
            r"can't concatenate f32\[3\] and f64\[3\]",
        ),
        ("transpose", ["f32[3, 2]"], {"axes": (0, 0)}, ShapeError, "are not an order of the 2 axes"),
        ("broadcast", ["f32[3]"], {"shape": (2,)}, ShapeError, "broadcast: 3 is not 2"),
        ("update_slice", ["f32[3]", "f32[2]"], {"start": (2,), "step": (1,)}, ShapeError, "does not lie in"),
        (
            "check",
            ["f32[3]", "bool[]"],
            {"message": "m", "error": "odd"},
            ArgumentError,
            "there is no error 'odd'",
        ),
    ],
)
def test_operands_that_do_not_fit(name, types, attrs, error, message):
    b = Builder("f")
    operands = []
    for i, text in enumerate(types):
        dtype, sizes = text[:-1].split("[")
        shape = [int(s) for s in sizes.split(", ")] if sizes else []
        operands.append(b.input(f"x{i}", tensor(dtype, *shape)))
    with pytest.raises(error, match=message):
        b.op(name, *operands, **attrs)
