"""Convolutions and pools as compiled code: every sample of every op, on both backends, beside the
evaluator.
"""

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.ir import OPS, Builder, tensor
from graphc.ir.evaluate import run
from graphc.ir.samples import cases

NAMES = (
    "windows",
    "window_product",
    "window_correlation",
    "conv",
    "conv_data_gradient",
    "conv_weight_gradient",
    "max_pool",
    "max_pool_gradient",
    "max_pool_take",
    "average_pool",
    "average_pool_gradient",
)
BOUNDS = {"f4": 2e-5, "f8": 1e-12}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


def all_in_one(name, dtype, step=1):
    """One graph with every sample of an op (or every `step`-th), and its inputs."""
    b, inputs, outputs = Builder("samples"), {}, []
    for case in list(cases(OPS[name], (dtype,)))[::step]:
        names = [f"x{len(inputs) + i}" for i in range(len(case.operands))]
        operands = [b.input(n, tensor(x.dtype, *x.shape)) for n, x in zip(names, case.operands)]
        inputs |= dict(zip(names, case.operands))
        outputs.append(b.op(name, *operands, **case.attrs))
    b.output(*outputs)
    return b.build(), inputs


def close(got, want):
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    bound = BOUNDS[want.dtype.str[1:]]
    np.testing.assert_allclose(got, want, rtol=bound, atol=bound * 4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_samples(dtype, name):
    compare("llvm", *all_in_one(name, dtype))


@pytest.mark.parametrize("name", NAMES[:4] + NAMES[5:6])
def test_some_samples_by_numba(name):
    compare("numba", *all_in_one(name, "f32", step=8))


def compare(backend, graph, inputs):
    """The compiled graph gives what the evaluator gives."""
    f = compile(graph, backend=backend)
    assert not f.fallback
    got = f(*inputs.values())
    for g, want in zip(got, run(graph, inputs).outputs, strict=True):
        close(g, want)
