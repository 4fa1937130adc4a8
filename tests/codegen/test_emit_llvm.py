"""Every op that lives in kernels: lowered, emitted and run natively, it gives what the evaluator gives, as
does the interpreter.
"""

import numpy as np
import pytest

from graphc.codegen import loader, target
from graphc.codegen.emit_llvm import default_slots, default_symbols, emit_kernel, module_text, scratch
from graphc.codegen.interpret import interpret
from graphc.codegen.lower import lower
from graphc.ir import OPS, Builder, Kind, get_op
from graphc.ir.dims import evaluate
from graphc.ir.types import TensorType, dtype_of

HOST = target.host()


def kernel(make, types, name="k"):
    """(kernel in loop-nest form, its region) of what `make(builder, *inputs)` returns."""
    inner, outer = Builder("region"), Builder("graph")
    outputs = make(inner, *(inner.input(f"x{i}", t) for i, t in enumerate(types)))
    inner.output(*(outputs if isinstance(outputs, tuple) else (outputs,)))
    region = inner.build()
    operands = [outer.input(f"a{i}", t) for i, t in enumerate(types)]
    names = [f"out{i}" for i in range(len(region.outputs))]
    node = outer.node(get_op("kernel"), operands, {"strategy": "map"}, (region,), names=names)
    return lower(node, name), region


class Running:
    """A kernel on arrays: inputs, fresh outputs, sizes, scratch memory."""

    def __init__(self, lowered, region, inputs, sizes=None):
        self.kernel, self.sizes = lowered, sizes or {}
        self.inputs = [np.ascontiguousarray(x) for x in inputs]
        shapes = [tuple(evaluate(d, self.sizes) for d in v.type.shape) for v in region.outputs]
        self.outputs = [np.full(s, 1, v.type.dtype.numpy) for s, v in zip(shapes, region.outputs)]
        self.want = [
            np.asarray(x) for x in _tuple(region.evaluate(**{f"x{i}": x for i, x in enumerate(inputs)}))
        ]
        names = {f"a{i}": x for i, x in enumerate(self.inputs)}
        self.buffers = names | {f"out{i}": x for i, x in enumerate(self.outputs)}

    def native(self, code, members=1):
        """Run machine code; the status of the last member."""
        lowered = self.kernel
        size = evaluate(scratch(lowered, code.target), self.sizes)
        memory = np.zeros(members * size + 64, np.uint8)
        addresses = {n: x.ctypes.data for n, x in self.buffers.items()}
        addresses["scratch"] = memory.ctypes.data + -memory.ctypes.data % 64
        table = np.array([addresses[n] for n in default_slots(lowered)], np.uint64)
        sizes = np.array([self.sizes[s] for s in default_symbols(lowered)] or [0], np.int64)
        function = code.function(lowered.name, "ppii", "i")
        return [function(table, sizes, m, members) for m in range(members)][-1]

    def interpreted(self):
        return interpret(self.kernel, self.buffers, self.sizes)


def _tuple(x):
    return x if isinstance(x, tuple) else (x,)


def load(kernels, cpu=HOST):
    """The machine code of kernels."""
    return loader.load([module_text([emit_kernel(k, cpu) for k in kernels], cpu)], cpu)


def check(got, want, ulps=4, near_zero=0.0):
    """Equal where NaN is NaN; floats to a few units in the last place, and `near_zero` units of 1 more."""
    assert got.dtype == want.dtype
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
        return
    eps = np.finfo(got.dtype).eps
    np.testing.assert_allclose(got, want, rtol=ulps * eps, atol=near_zero * eps)


def run(make, types, arrays, sizes=None, members=1, cpu=HOST):
    """Outputs of the native kernel and what the evaluator gives."""
    lowered, region = kernel(make, types)
    running = Running(lowered, region, arrays, sizes)
    assert running.native(load([lowered], cpu), members) == 0
    return running.outputs, running.want


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


def _kernels(op):
    for number, (attrs, arrays) in enumerate(_cases(op)):
        types = [TensorType(dtype_of(a.dtype), a.shape) for a in arrays]
        lowered, region = kernel(lambda b, *xs, a=attrs: b.op(op, *xs, **a), types, f"k{number}")
        yield Running(lowered, region, arrays)


@pytest.mark.parametrize("name", NAMES)
def test_an_op_gives_what_the_evaluator_gives(name):
    cases = list(_kernels(OPS[name]))
    code = load([c.kernel for c in cases])
    for case in cases:
        assert case.native(code) == 0
        for got, want in zip(case.outputs, case.want):
            # formulas of several ops may cancel; NumPy rounds their parts as well
            check(got, want, near_zero=2 if OPS[name].scalar else 0)


@pytest.mark.parametrize("name", NAMES)
def test_the_interpreter_gives_what_the_evaluator_gives(name):
    for case in list(_kernels(OPS[name]))[::5]:
        assert case.interpreted() == 0
        for got, want in zip(case.outputs, case.want):
            check(got, want)
