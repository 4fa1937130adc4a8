"""Code for other CPUs: what runs here gives the same results; what does not run here is read as assembly."""

import collections
import os
import re

import numpy as np
import pytest

import graphc
from graphc import codegen, layers
from graphc.codegen.kernels.library_text import library_text
from graphc.codegen.kernels.strategy import strategy
from graphc.codegen.loader import assembly
from graphc.codegen.target import named
from graphc.ir import Builder, tensor

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="names of x86 CPUs")

HERE = {}
"""What models learn as code for this machine."""
NARROWER = ("baseline", "haswell")
WIDER = ("skylake-avx512", "x86-64-v4", "znver4")


def runs_here(cpu):
    """Whether this machine has what the code needs."""
    return cpu == "baseline" or {"avx2", "fma"} <= features()


def features():
    import llvmlite.binding as llvm

    return {name for name, there in llvm.get_host_cpu_features().items() if there}


def perceptron():
    inner = [layers.Dense(70, "gelu"), layers.BatchNormalization(), layers.Dropout(0.2)]
    return [layers.Input((30,)), *inner, layers.Dense(5, "softmax")], "adam"


def convolutional():
    down = [layers.Conv2D(9, 3, activation="relu"), layers.MaxPooling2D(2), layers.DepthwiseConv2D(3)]
    end = [layers.Flatten(), layers.Dense(5, "softmax")]
    return [layers.Input((12, 12, 3)), *down, layers.Conv2D(20, 1, strides=2), *end], "sgd"


def recurrent():
    return [layers.Input((6, 8)), layers.LSTM(20), layers.Dense(5, "softmax")], "rmsprop"


def trained(make, cpu, monkeypatch):
    """Weights, losses and predictions after some steps."""
    monkeypatch.setenv("GRAPHC_CPU", cpu)
    graphc.utils.set_random_seed(3)
    made, optimizer = make()
    model = graphc.Sequential(made)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    x = rng.random((40, *model.input_shape[1:])).astype(np.float32)
    history = model.fit(x, rng.integers(0, 5, 40), batch_size=16, epochs=2, verbose=0)
    return [np.array(history.history["loss"]), *model.get_weights(), model.predict(x, verbose=0)]


@pytest.mark.parametrize("make", [perceptron, convolutional, recurrent])
@pytest.mark.parametrize("cpu", NARROWER)
def test_models_learn_the_same(make, cpu, monkeypatch):
    if not runs_here(cpu):
        pytest.skip("this machine lacks AVX2 or FMA")
    if make not in HERE:
        HERE[make] = trained(make, "native", monkeypatch)
    for a, x in zip(HERE[make], trained(make, cpu, monkeypatch), strict=True):
        np.testing.assert_allclose(x, a, rtol=2e-3, atol=2e-5)


def numpy_step(x, y, w, rate):
    p = np.exp(x @ w - (x @ w).max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(len(y)), y]).sum()
    p[np.arange(len(y)), y] -= 1
    w -= rate * (x.T @ p)
    return loss, np.sort(p, axis=1)[:, ::-1], np.cumsum(p, axis=0)


@pytest.mark.parametrize("cpu", NARROWER)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_functions_give_the_same(cpu, dtype, monkeypatch):
    if not runs_here(cpu):
        pytest.skip("this machine lacks AVX2 or FMA")
    monkeypatch.setenv("GRAPHC_CPU", cpu)
    rng = np.random.default_rng(0)
    x, y = rng.random((33, 21)).astype(dtype), rng.integers(0, 7, 33)
    w, v = np.zeros((21, 7), dtype), np.zeros((21, 7), dtype)
    f = graphc.jit(numpy_step)
    for _ in range(6):
        got, want = f(x, y, w, 0.01), numpy_step(x, y, v, 0.01)
        for a, b in zip((*got, w), (*want, v), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def arithmetic(text):
    """How many instructions of floating-point arithmetic there are, by the width of their registers."""
    found = collections.Counter()
    for line in text.splitlines():
        match = re.match(r"\s+v(?:fn?m\w+|add|mul|max|min|sub|div)[ps][sd]\s.*?%(x|y|z)mm", line)
        if match:
            found[match[1]] += 1
    return found


@pytest.mark.parametrize("cpu", WIDER)
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("driver", ["packed", "convolve"])
def test_tiles_use_whole_registers_of_avx512(driver, dtype, cpu):
    target = named(cpu)
    found = arithmetic(assembly(library_text(driver, strategy(dtype, target), target), target))
    assert found["z"] > 400
    assert set(found) == {"z"}


@pytest.mark.parametrize("cpu", WIDER)
def test_winograd_uses_whole_registers_of_avx512(cpu):
    target = named(cpu)
    found = arithmetic(assembly(library_text("winograd", strategy("f32", target), target), target))
    assert found["z"] > 500
    assert found["y"] == 0


@pytest.mark.parametrize("cpu", WIDER)
def test_loops_use_whole_registers_of_avx512(cpu, monkeypatch):
    monkeypatch.setenv("GRAPHC_CPU", cpu)
    b = Builder("f")
    x, w = b.input("x", tensor("f32", "B", 300)), b.input("w", tensor("f32", 300))
    h = b.tanh(x * w) + b.exp(x)
    mean = b.mean(h, axes=(1,), keepdims=True)
    b.output((h - mean) * b.rsqrt(b.mean((h - mean) * (h - mean), axes=(1,), keepdims=True) + 1e-5))
    text = str(codegen.compile(b.build(), cache=False).asm())
    found = arithmetic(text)
    assert found["z"] > 50
    assert found["x"] + found["y"] < found["z"]
    assert re.search(r"%zmm\d+ \{%k\d\}", text), "the end of a row is masked"
