"""Weights that come with each call, and numbers as arguments."""

import numpy as np
import pytest

from graphc.codegen import options
from graphc.codegen.native import NativeProgram
from graphc.codegen.stages import Stages
from graphc.ir import Builder, tensor


@pytest.fixture(scope="module")
def runner():
    b = Builder("descend")
    x, rate = b.input("x", tensor("f32", 3)), b.input("rate", tensor("f64"))
    w = b.weight("w", tensor("f32", 3))
    b.update(w, w - x * b.cast(rate, dtype="f32"))
    b.output(b.sum(w, axes=(0,)))
    chosen = options.resolve("llvm", cache=False)
    return NativeProgram(Stages(b.build(), chosen), chosen, passed=True).bind(())


def called(runner, *arguments):
    result = runner.fast(*arguments)
    if result is NotImplemented:
        arrays = [np.asarray(a) for a in arguments]
        return runner.run(arrays, {})[0][()]
    return result


def test_each_call_updates_the_arrays_that_come_with_it(runner):
    x, first, second = np.ones(3, "f4"), np.zeros(3, "f4"), np.full(3, 2, "f4")
    assert called(runner, x, 0.5, first) == 0
    assert called(runner, x, 0.5, second) == 6
    assert first.tolist() == [-0.5] * 3
    assert second.tolist() == [1.5] * 3


@pytest.mark.parametrize("rate", [0.25, np.float64(0.25), np.array(0.25)], ids=["float", "scalar", "array"])
def test_numbers_come_as_python_floats_scalars_or_arrays(runner, rate):
    x, w = np.ones(3, "f4"), np.zeros(3, "f4")
    called(runner, x, rate, w)  # the first call makes the frame
    assert runner.fast(x, rate, w) == pytest.approx(-0.75)
    assert w.tolist() == [-0.5] * 3


@pytest.mark.parametrize(
    ("x", "rate", "w"),
    [
        (np.ones(3, "f4"), np.float32(1), np.zeros(3, "f4")),
        (np.ones(3, "f4"), 1, np.zeros(3, "f4")),
        (np.ones(3, "f4"), 1.0, np.zeros(6, "f4")[::2]),
        (np.ones(3, "f4"), 1.0, np.zeros(3)),
        (np.ones(3, "f4"), "1.0", np.zeros(3, "f4")),
    ],
    ids=["another scalar", "int", "strides", "dtype", "text"],
)
def test_what_does_not_fit_exactly_is_left_to_the_caller(runner, x, rate, w):
    called(runner, np.ones(3, "f4"), 0.5, np.zeros(3, "f4"))
    assert runner.fast(x, rate, w) is NotImplemented
    assert not w.any()


def test_a_read_only_weight_is_left_to_the_caller(runner):
    w = np.zeros(3, "f4")
    called(runner, np.ones(3, "f4"), 0.5, np.zeros(3, "f4"))
    w.flags.writeable = False
    assert runner.fast(np.ones(3, "f4"), 0.5, w) is NotImplemented
