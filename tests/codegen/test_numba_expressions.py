import numpy as np
import pytest

from graphc.codegen import compile
from graphc.codegen.numba_expressions import FLOAT, expression
from graphc.ir import Builder, dtype_of, tensor
from graphc.ir.errors import CompileError
from graphc.ir.ops import PRIMITIVES


def test_every_primitive_op_of_floats_that_vector_code_knows_has_an_expression():
    from graphc.codegen.primitives import TABLE

    known = {op for op, kind in TABLE if kind == "f" and op in PRIMITIVES}
    result_is_bool = {op for op in known if op in ("isnan", "isinf", "isfinite", "equal", "not_equal")}
    result_is_bool |= {op for op in known if op.startswith(("less", "greater", "logical"))}
    assert known - result_is_bool - {"cast", "select"} - set(FLOAT) == set()


def test_an_op_without_expression():
    with pytest.raises(CompileError) as caught:
        expression("sort", dtype_of("f32"), ["x"])
    assert str(caught.value) == "backend=\"numba\" has no expression for the op 'sort' on f32."


def test_sigmoid_and_softplus_at_their_limits():
    b = Builder("f")
    x = b.input("x", tensor("f32", "B"))
    b.output(b.sigmoid(x), b.softplus(x))
    values = np.array([-np.inf, -200, -1, 0, 2, 200, np.inf, np.nan], "f4")
    for got, want in zip(
        compile(b.build(), backend="numba")(values), compile(b.build(), backend="reference")(values)
    ):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-30)
