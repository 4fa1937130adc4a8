"""Every op that lives in kernels: lowered, emitted and run natively, it gives what the evaluator gives, as
does the interpreter.
"""

import numpy as np
import pytest

from graphc.ir import OPS, Kind
from graphc.ir.types import TensorType, dtype_of

NATIVE = (
    Kind.ELEMENTWISE,
    Kind.CREATION,
    Kind.VIEW,
    Kind.REDUCTION,
    Kind.GATHER,
    Kind.SCATTER,
    Kind.CUMULATIVE,
)
NAMES = sorted(n for n, op in OPS.items() if op.kind in NATIVE and op.samples)


def _cases(op):
    """(attrs, arrays) of all samples: the first with every element type, the others with one or two by
    turns.
    """
    for number, sample in enumerate(op.samples):
        for dtype in sample.dtypes if number == 0 else sample.dtypes[number % len(sample.dtypes) :: 4]:
            rng = np.random.default_rng(number)
            yield sample.attrs, [np.asarray(a) for a in sample.make(rng, dtype_of(dtype).numpy)]


def _kernels(op, lab):
    for number, (attrs, arrays) in enumerate(_cases(op)):
        types = [TensorType(dtype_of(a.dtype), a.shape) for a in arrays]
        lowered, region = lab.kernel(lambda b, *xs, a=attrs: b.op(op, *xs, **a), types, f"k{number}")
        yield lab.running(lowered, region, arrays)


@pytest.mark.parametrize("name", NAMES)
def test_an_op_gives_what_the_evaluator_gives(name, lab):
    cases = list(_kernels(OPS[name], lab))
    code = lab.load([c.kernel for c in cases])
    for case in cases:
        assert case.native(code) == 0
        for got, want in zip(case.outputs, case.want):
            # formulas of several ops may cancel, and so may sums; NumPy rounds their parts as well
            lab.check(got, want, near_zero=2 if OPS[name].scalar else 8 if name in ("sum", "mean") else 0)


@pytest.mark.parametrize("name", NAMES)
def test_the_interpreter_gives_what_the_evaluator_gives(name, lab):
    for case in list(_kernels(OPS[name], lab))[::5]:
        assert case.interpreted() == 0
        for got, want in zip(case.outputs, case.want):
            lab.check(got, want)
