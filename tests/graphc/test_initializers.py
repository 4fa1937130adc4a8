"""Initializers: moments, fans, determinism, Keras's names and JSON."""

import json
import math

import numpy as np
import pytest

from graphc import initializers
from graphc.initializers import INITIALIZERS, compute_fans
from graphc.ir.errors import ArgumentError, DTypeError, GraphcError, ShapeError
from graphc.seeds import fresh_seed, set_random_seed
from graphc.variable import Variable

SHAPE = (300, 500)
N = SHAPE[0] * SHAPE[1]
TRUNCATED = 0.87962566103423978
PRESETS = [f"{who}{how}" for who in ("Glorot", "He", "Lecun") for how in ("Uniform", "Normal")]
RANDOM = ["RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal", *PRESETS]

MOMENTS = [  # name, arguments, standard deviation, bound on |x - mean|
    ("RandomNormal", {"mean": 1.0, "stddev": 2.0}, 2.0, None),
    ("TruncatedNormal", {"mean": -1.0, "stddev": 2.0}, 2.0 * TRUNCATED, 4.0),
    ("RandomUniform", {"minval": 1.0, "maxval": 4.0}, 3.0 / math.sqrt(12), 1.5),
    ("GlorotUniform", {}, math.sqrt(2 / 800), math.sqrt(6 / 800)),
    ("GlorotNormal", {}, math.sqrt(2 / 800), 2 * math.sqrt(2 / 800) / TRUNCATED),
    ("HeUniform", {}, math.sqrt(2 / 300), math.sqrt(6 / 300)),
    ("HeNormal", {}, math.sqrt(2 / 300), 2 * math.sqrt(2 / 300) / TRUNCATED),
    ("LecunUniform", {}, math.sqrt(1 / 300), math.sqrt(3 / 300)),
    ("LecunNormal", {}, math.sqrt(1 / 300), 2 * math.sqrt(1 / 300) / TRUNCATED),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_out"}, math.sqrt(3 / 500), None),
    ("VarianceScaling", {"distribution": "untruncated_normal"}, math.sqrt(1 / 300), None),
    ("VarianceScaling", {"mode": "fan_avg", "distribution": "uniform"}, math.sqrt(1 / 400), None),
]
MEANS = {"RandomNormal": 1.0, "TruncatedNormal": -1.0, "RandomUniform": 2.5}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(("name", "arguments", "stddev", "bound"), MOMENTS)
def test_moments(name, arguments, stddev, bound, dtype):
    values = getattr(initializers, name)(**arguments, seed=11)(SHAPE, dtype)
    assert values.shape == SHAPE
    assert values.dtype == dtype
    wide = values.astype(np.float64)
    mean = MEANS.get(name, 0.0)
    # Five standard errors: of the mean stddev / sqrt(N), of the deviation at most stddev / sqrt(2 N).
    assert abs(wide.mean() - mean) < 5 * stddev / math.sqrt(N) + 1e-3 * stddev
    assert abs(wide.std() / stddev - 1) < 5 / math.sqrt(2 * N) + 1e-3
    if bound is not None:
        distance = np.abs(wide - mean).max()
        assert distance <= bound * 1.001
        assert distance > bound * 0.99, "the whole range is used"


@pytest.mark.parametrize(
    ("shape", "fans"),
    [
        ((), (1, 1)),
        ((7,), (7, 7)),
        ((3, 5), (3, 5)),
        ((4, 3, 5), (12, 20)),
        ((3, 3, 16, 32), (144, 288)),
        ((2, 3, 4, 5, 6), (120, 144)),
        ((0, 5), (0, 5)),
    ],
)
def test_fans(shape, fans):
    assert compute_fans(shape) == fans


def test_fans_of_named_axes():
    assert compute_fans((2, 3, 4), (0, 1), (2,)) == (6, 4)
    wide = initializers.HeNormal(seed=1, input_axes=[1], output_axes=[0])((10, 4000))
    assert abs(float(wide.std()) / math.sqrt(2 / 4000) - 1) < 0.03


def test_uniform_leaves_its_upper_end_out():
    values = initializers.RandomUniform(0.0, 1.0, seed=3)((100_000,), "float16")
    assert values.min() >= 0
    assert values.max() < 1


@pytest.mark.parametrize("name", RANDOM)
def test_a_seed_gives_the_same_values_and_none_gives_others(name):
    make = getattr(initializers, name)
    seeded = make(seed=5)
    np.testing.assert_array_equal(seeded((6, 7)), seeded((6, 7)))
    np.testing.assert_array_equal(seeded((6, 7)), make(seed=5)((6, 7)))
    assert not np.array_equal(make(seed=5)((6, 7)), make(seed=6)((6, 7)))
    free = make()
    assert not np.array_equal(free((6, 7)), free((6, 7)))
    set_random_seed(42)
    first = free((6, 7))
    set_random_seed(42)
    np.testing.assert_array_equal(first, make()((6, 7)))


def test_set_random_seed_reaches_python_and_numpy_too():
    import random

    def draws():
        set_random_seed(9)
        return fresh_seed(), fresh_seed(), random.random(), np.random.rand()

    first = draws()
    assert first == draws()
    assert first[0] != first[1]


@pytest.mark.parametrize("name", INITIALIZERS.classes)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1), (5, 1)])
def test_empty_and_single_shapes(name, shape):
    values = initializers.get(name)(shape)
    assert values.shape == shape
    assert values.dtype == np.float32
    assert np.isfinite(values).all()


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (2, 3, 4)])
def test_orthogonal(shape):
    w = initializers.Orthogonal(gain=2.0, seed=2)(shape, "float64").reshape(-1, shape[-1])
    small = w @ w.T if w.shape[0] < w.shape[1] else w.T @ w
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_constants():
    assert initializers.Zeros()((2, 2), "int32").tolist() == [[0, 0], [0, 0]]
    assert initializers.Ones()((2,), "bool").tolist() == [True, True]
    assert initializers.Constant(3)((2,)).tolist() == [3.0, 3.0]
    assert initializers.Identity(gain=2)((2, 3)).tolist() == [[2, 0, 0], [0, 2, 0]]


def test_an_array_is_an_initializer_for_its_shape_only():
    given = np.arange(6.0).reshape(2, 3)
    init = initializers.get(given)
    values = init((2, 3))
    assert values.dtype == np.float32
    assert not np.shares_memory(values, given)
    np.testing.assert_array_equal(values, given)
    with pytest.raises(ShapeError, match=r"the initial value has shape \(2, 3\), but the weight \(3, 2\)"):
        init((3, 2))
    again = initializers.deserialize(json.loads(json.dumps(initializers.serialize(init))))
    np.testing.assert_array_equal(again((2, 3)), given)


NAMES = {
    "zeros": "Zeros",
    "zero": "Zeros",
    "Ones": "Ones",
    "constant": "Constant",
    "glorot_uniform": "GlorotUniform",
    "he_normal": "HeNormal",
    "lecun_normal": "LecunNormal",
    "random_normal": "RandomNormal",
    "normal": "RandomNormal",
    "uniform": "RandomUniform",
    "truncated_normal": "TruncatedNormal",
    "variance_scaling": "VarianceScaling",
    "orthogonal": "Orthogonal",
    "identity": "Identity",
    "IdentityInitializer": "Identity",
}


@pytest.mark.parametrize(("name", "class_name"), NAMES.items())
def test_names(name, class_name):
    assert type(initializers.get(name)).__name__ == class_name
    assert getattr(initializers, name).__name__ == class_name


def test_get_passes_objects_through():
    def own(shape, dtype=None):
        return np.full(shape, 7.0, dtype)

    he = initializers.HeUniform()
    assert initializers.get(he) is he
    assert initializers.get(None) is None
    assert initializers.get(own) is own
    assert isinstance(initializers.get(initializers.Ones), initializers.Ones)


KERAS_3_JSON = [
    ({}, "Zeros"),
    ({"seed": 3, "input_axes": None, "output_axes": None}, "GlorotUniform"),
    ({"value": 2.0}, "Constant"),
    ({"seed": None, "gain": 1.0}, "Orthogonal"),
    ({"seed": None, "mean": 0.0, "stddev": 0.05}, "TruncatedNormal"),
    ({"seed": None, "minval": -0.05, "maxval": 0.05}, "RandomUniform"),
    (
        {
            "seed": None,
            "scale": 1.0,
            "mode": "fan_in",
            "distribution": "truncated_normal",
            "input_axes": None,
            "output_axes": None,
        },
        "VarianceScaling",
    ),
]


@pytest.mark.parametrize(("config", "name"), KERAS_3_JSON)
def test_json_is_keras_3s(config, name):
    stored = {
        "module": "keras.initializers",
        "class_name": name,
        "config": config,
        "registered_name": None,
    }
    init = initializers.deserialize(stored)
    assert type(init).__name__ == name
    assert json.loads(json.dumps(initializers.serialize(init))) == stored


@pytest.mark.parametrize("name", INITIALIZERS.classes)
def test_json_round_trip(name):
    init = initializers.get(name)
    stored = json.loads(json.dumps(initializers.serialize(init)))
    assert initializers.serialize(initializers.get(stored)) == stored
    assert init.clone().get_config() == init.get_config()


def test_an_own_class_comes_back_through_custom_objects():
    class Sevens(initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return np.full(shape, 7, dtype)

    stored = initializers.serialize(Sevens())
    assert stored["class_name"] == "Sevens"
    assert isinstance(initializers.deserialize(stored, {"Sevens": Sevens}), Sevens)
    with pytest.raises(ArgumentError, match="unknown initializer 'Sevens'"):
        initializers.deserialize(stored)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (
            lambda: initializers.get("glorot_unifrom"),
            ValueError,
            "unknown initializer 'glorot_unifrom': did you mean 'glorot_uniform' or ",
        ),
        (lambda: initializers.get(3.5), ValueError, "3.5 is no initializer: give a name such as "),
        (lambda: initializers.get({}), ValueError, "a stored initializer is a dict with 'class_name'"),
        (lambda: initializers.VarianceScaling(scale=0.0), ValueError, "scale should be positive, not 0.0"),
        (
            lambda: initializers.VarianceScaling(mode="fan"),
            ValueError,
            "mode should be one of 'fan_in', 'fan_out', 'fan_avg', not 'fan'",
        ),
        (lambda: initializers.RandomNormal(seed=1.5), ValueError, "seed should be a whole number or None"),
        (lambda: initializers.Identity()((2, 2, 2)), ShapeError, "Identity makes a matrix"),
        (lambda: initializers.Orthogonal()((2,)), ShapeError, "Orthogonal needs at least two axes"),
        (lambda: initializers.RandomNormal()((2,), "int32"), DTypeError, "are floating point, not int32"),
        (lambda: initializers.no_such, AttributeError, "has no attribute 'no_such'"),
    ],
)
def test_errors(act, error, message):
    with pytest.raises(error, match=message.replace("(", r"\(")) as caught:
        act()
    assert isinstance(caught.value, (GraphcError, AttributeError))


def test_variables_have_memory_of_their_own():
    draw = initializers.GlorotUniform(seed=3)
    first, second = (Variable(draw, (64, 64)) for _ in range(2))
    kept = np.ones((4, 4), "float32")

    class Kept(initializers.GlorotUniform):
        def __call__(self, shape, dtype=None):
            return kept

    third = Variable(Kept(), (4, 4))
    assert not np.shares_memory(first.array, second.array)
    assert not np.shares_memory(third.array, kept)
    assert all(v.array.ctypes.data % 64 == 0 and v.array.flags.writeable for v in (first, second, third))
