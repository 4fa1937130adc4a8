"""What tests of kernels share: from a function of a builder to a kernel that ran."""

import numpy as np
import pytest

from graphc.codegen import loader, target
from graphc.codegen.emit_llvm import (
    default_slots,
    default_symbols,
    emit_kernel,
    module_text,
    phase_names,
    scratch,
)
from graphc.codegen.emit_product import drivers
from graphc.codegen.interpret import interpret
from graphc.codegen.kernels.library import driver_symbols
from graphc.codegen.lower import lower
from graphc.codegen.phases import phases
from graphc.codegen.team import team
from graphc.ir import Builder, get_op
from graphc.ir.dims import evaluate

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

    def __init__(self, lowered, region, inputs, sizes=None, evaluated=True):
        self.kernel, self.sizes = lowered, sizes or {}
        self.inputs = [np.ascontiguousarray(x) for x in inputs]
        shapes = [tuple(evaluate(d, self.sizes) for d in v.type.shape) for v in region.outputs]
        self.outputs = [np.full(s, 1, v.type.dtype.numpy) for s, v in zip(shapes, region.outputs)]
        values = {f"x{i}": x for i, x in enumerate(inputs)}
        self.want = [np.asarray(x) for x in _tuple(region.evaluate(**values))] if evaluated else []
        names = {f"a{i}": x for i, x in enumerate(self.inputs)}
        self.buffers = names | {f"out{i}": x for i, x in enumerate(self.outputs)}

    def native(self, code, members=1):
        """Run machine code, phase after phase, one member after the other; the last status that is not 0."""
        lowered = self.kernel
        memory = np.zeros(evaluate(scratch(lowered, code.target, members), self.sizes) + 64, np.uint8)
        addresses = {n: x.ctypes.data for n, x in self.buffers.items()}
        addresses["scratch"] = memory.ctypes.data + -memory.ctypes.data % 64
        table = np.array([addresses[n] for n in default_slots(lowered)], np.uint64)
        sizes = np.array([self.sizes[s] for s in default_symbols(lowered)] or [0], np.int64)
        names = phase_names(lowered.name, len(phases(lowered, default_slots(lowered))))
        functions = [code.function(name, "ppii", "i") for name in names]
        found = [f(table, sizes, m, members) for f in functions for m in range(members)]
        return next((status for status in reversed(found) if status), 0)

    def interpreted(self):
        return interpret(self.kernel, self.buffers, self.sizes)


def _tuple(x):
    return x if isinstance(x, tuple) else (x,)


def load(kernels, cpu=HOST):
    """The machine code of kernels."""
    symbols = driver_symbols(drivers(kernels), cpu)
    return loader.load([module_text([emit_kernel(k, cpu) for k in kernels], cpu)], cpu, symbols=symbols)


def check(got, want, ulps=4, near_zero=0.0):
    """Equal where NaN is NaN; floats to a few units in the last place, and `near_zero` units of 1 more."""
    assert got.dtype == want.dtype
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
        return
    eps = np.finfo(got.dtype).eps
    np.testing.assert_allclose(got, want, rtol=ulps * eps, atol=near_zero * eps)


class Lab:
    """Kernels made, loaded and run; `cpu` may be another target than this machine."""

    kernel, load, check, running = staticmethod(kernel), staticmethod(load), staticmethod(check), Running

    @staticmethod
    def run(make, types, arrays, sizes=None, members=1, cpu=HOST):
        """A native run of what `make(builder, *inputs)` returns; the kernel's outputs and the evaluator's."""
        lowered, region = kernel(make, types)
        running = Running(lowered, region, arrays, sizes)
        assert running.native(load([lowered], cpu), members) == 0
        return running.outputs, running.want


@pytest.fixture
def lab():
    return Lab


@pytest.fixture
def divide_everything():
    """However small a kernel is, all members work at it."""
    grain = team().grain
    team().grain = 0
    yield
    team().grain = grain
