"""Convolutions and pools as compiled code: every sample of every op, on both backends, beside the
evaluator.
"""

import numpy as np
import pytest

from graphc import passes
from graphc.codegen import compile
from graphc.codegen.interpret import interpret
from graphc.codegen.loops import Store
from graphc.codegen.lower import lower
from graphc.ir import OPS, Builder, Kind, symbol, tensor
from graphc.ir.dims import evaluate
from graphc.ir.evaluate import run
from graphc.ir.ops.window import window_counts
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
    got = got if isinstance(got, tuple) else (got,)
    for g, want in zip(got, run(graph, inputs).outputs, strict=True):
        close(g, want)


@pytest.mark.parametrize(("size", "stride", "low"), [(3, 2, 1), (2, 2, 0), (3, 4, 0), (5, 3, 2)])
def test_phases_of_a_pool(size, stride, low):
    compare("llvm", *strided("max_pool_gradient", size, stride, low))


@pytest.mark.parametrize(("size", "stride", "low"), [(3, 2, 1), (1, 2, 0), (2, 4, 0), (5, 3, 2)])
def test_phases_of_a_depthwise_convolution(size, stride, low):
    compare("llvm", *strided("conv_data_gradient", size, stride, low))


@pytest.mark.parametrize("name", ["max_pool_gradient", "conv_data_gradient"])
def test_phases_by_numba(name):
    compare("numba", *strided(name, 3, 2, 1))


def strided(name, size, stride, low, spatial=(9, 12), channels=5):
    """A graph of a gradient by an input of any number of images, and arrays for it."""
    b, rng = Builder("strided"), np.random.default_rng(2)
    attributes = {"size": (size,) * 2, "strides": (stride,) * 2, "padding": ((low, 0), (low, low))}
    out = window_counts(spatial, *attributes.values(), (1, 1))
    ct = rng.standard_normal((3, *out, channels)).astype("f4")
    of_ct = b.input("ct", tensor("f32", symbol("B"), *out, channels))
    if name == "conv_data_gradient":
        kernel = rng.standard_normal((size, size, 1, channels)).astype("f4")
        attributes |= {"sizes": spatial, "dilation": (1, 1), "groups": channels}
        b.output(b.op(name, of_ct, b.input("kernel", tensor("f32", *kernel.shape)), **attributes))
        return b.build(), {"ct": ct, "kernel": kernel}
    # few different numbers, some of them NaN: windows with several greatest elements
    x = rng.integers(0, 4, (3, *spatial, channels)).astype("f4")
    x[rng.random(x.shape) < 0.02] = np.nan
    of_x = b.input("x", tensor("f32", symbol("B"), *spatial, channels))
    b.output(b.op(name, of_x, b.max_pool(of_x, **attributes), of_ct, **attributes))
    return b.build(), {"ct": ct, "x": x}


@pytest.mark.parametrize("name", ["max_pool_gradient", "conv_data_gradient"])
def test_one_turn_of_the_loops_computes_all_phases(name):
    graph, inputs = strided(name, 3, 2, 1, (8, 12))
    arrays, sizes = dict(inputs), {"B": 3}
    for node in passes.run(graph).nodes:
        if node.op.name == "kernel":
            kernel = lower(node)
            for buffer in kernel.buffers:
                empty = np.full(evaluate(buffer.size, sizes), 7, buffer.dtype.numpy)
                arrays.setdefault(buffer.name, empty)
            assert interpret(kernel, {b.name: arrays[b.name] for b in kernel.buffers}, sizes) == 0
    assert sum(isinstance(i, Store) for stage in kernel.parts[-1].stages for i in stage.body) == 4
    (want,) = run(graph, inputs).outputs
    (got,) = (arrays[b.name] for b in kernel.buffers if b.output)
    close(got.reshape(want.shape), want)


NARROW = (
    {"size": (3, 3), "strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)},
    {"size": (3, 2), "strides": (1, 1), "padding": ((0, 2), (1, 0)), "dilation": (2, 1)},
    {"size": (2, 3), "strides": (2, 1), "padding": ((1, 0), (1, 1)), "dilation": (1, 1)},
    {"size": (2, 2), "strides": (1, 1), "padding": ((2, 0), (3, 1)), "dilation": (1, 1)},
    {"size": (3,), "strides": (1,), "padding": ((1, 1),), "dilation": (1,)},
)


def narrow(attributes, channels, few):
    """A graph of a convolution to few channels and both of its gradients, and arrays for it."""
    b, rng = Builder("narrow"), np.random.default_rng(3)
    spatial = (7, 6)[: len(attributes["size"])]
    out = window_counts(spatial, *attributes.values())
    shapes = {
        "x": (2, *spatial, channels),
        "kernel": (*attributes["size"], channels, few),
        "ct": (2, *out, few),
    }
    arrays = {n: rng.standard_normal(s).astype("f4") for n, s in shapes.items()}
    dims = {n: s if n == "kernel" else (symbol("B"), *s[1:]) for n, s in shapes.items()}
    x, kernel, ct = (b.input(n, tensor("f32", *d)) for n, d in dims.items())
    b.output(
        b.relu(b.conv(x, kernel, **attributes)),
        b.conv_weight_gradient(x, ct, **attributes),
        b.conv_data_gradient(ct, kernel, sizes=spatial, **attributes),
    )
    return b.build(), arrays


@pytest.mark.parametrize("attributes", NARROW)
def test_one_channel(attributes):
    compare("llvm", *narrow(attributes, 16, 1))


@pytest.mark.parametrize("attributes", NARROW[1:3])
def test_few_channels(attributes):
    compare("llvm", *narrow(attributes, 6, 3))


def test_one_channel_by_numba():
    compare("numba", *narrow(NARROW[1], 6, 1))


def test_no_product_has_one_column():
    graph, _ = narrow(NARROW[0], 16, 1)
    products = [
        n for n in passes.run(graph, "default,-fuse,-schedule").nodes if n.op.kind is Kind.CONTRACTION
    ]
    assert sorted(n.op.name for n in products) == ["matmul", "window_correlation"]
    assert all(n.result.type.shape[-1] != 1 for n in products)
