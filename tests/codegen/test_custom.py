"""Users' Python functions inside graphs, on every backend."""

import math

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.codegen.custom import array_op, scalar_op
from graphc.ir import Builder, tensor
from graphc.ir.errors import DTypeError, ShapeError


def halvings(x, y):
    count = 0
    while x > 1:
        x = x / 2
        count += 1
    return count + math.sin(y)


HALVINGS = scalar_op(halvings)
DESCENDING = array_op(lambda x: np.sort(x, axis=-1)[..., ::-1], lambda t: t, lambda x, out, ct: (ct * 2,))


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("backend", ["llvm", "numba", "reference"])
def test_a_scalar_function_with_a_loop_is_part_of_the_kernel(backend, dtype):
    b = Builder("f")
    x, y = b.input("x", tensor(dtype, "B")), b.input("y", tensor(dtype, "B"))
    b.output(b.op(HALVINGS, x * 2, y) + 1)
    f = compile(b.build(), backend=backend)
    values = np.arange(37.0)
    expected = [halvings(2 * v, 0.5) + 1 for v in values]
    np.testing.assert_allclose(f(values, np.full(37, 0.5)), expected, rtol=3e-7)
    assert not f.fallback
    assert backend == "reference" or len(f.lowered.kernels) == 1


def test_a_scalar_function_takes_floats():
    b = Builder("f")
    x = b.input("x", tensor("i64", 3))
    with pytest.raises(DTypeError) as caught:
        b.op(HALVINGS, x, x)
    assert str(caught.value) == "custom.halvings: it takes 2 floating-point values, but got i64[3], i64[3]."


@pytest.mark.parametrize("backend", ["llvm", "numba", "reference"])
def test_an_opaque_function_runs_between_kernels_and_has_a_gradient(backend):
    b = Builder("f")
    x, w = b.input("x", tensor("f32", "B", 4)), b.weight("w", tensor("f32", 4))
    y = b.op(DESCENDING, x * w)
    loss = b.sum(y * y, axes=(0, 1))
    b.update(w, w - 0.1 * b.op("gradient", loss, b.constant(1.0, "f32"), w, outputs=1))
    b.output(loss)
    f = compile(b.build(), backend=backend).bind([np.ones(4, "f4")])
    assert f(np.arange(8.0).reshape(2, 4)) == 140
    np.testing.assert_allclose(f.weights[0], [-10.2, -11.8, -11.8, -10.2], rtol=1e-6)


def test_infer_must_give_a_type():
    wrong = array_op(lambda x: x, lambda t: "nothing of the kind")
    b = Builder("f")
    with pytest.raises(ShapeError) as caught:
        b.op(wrong, b.input("x", tensor("f32", 3)))
    assert str(caught.value) == (
        "custom.lambda.2: its infer must give (shape, dtype) or a TensorType, but gave 'nothing of the kind'."
    )
