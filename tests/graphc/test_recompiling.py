"""Nothing is compiled again when only names or places in the source change: layers, models, variables,
functions, arguments, lines.
"""

import linecache

import numpy as np
import pytest

import graphc
from graphc.codegen import loader
from graphc.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten

PLAIN = """
def step(x, y, w, rate):
    h = np.tanh(x @ w)
    error = h - y
    w -= rate * (x.T @ (error * (1 - h * h)))
    return (error * error).mean()
"""
RENAMED = """
# another file, other lines


def renewed(data, target, matrix, speed):

    hidden = np.tanh(data @ matrix)

    wrong = hidden - target  # longer
    matrix -= speed * (data.T @ (wrong * (1 - hidden * hidden)))

    return (wrong * wrong).mean()
"""


@pytest.fixture
def compiled(monkeypatch, tmp_path):
    """How many modules were compiled so far, with a cache of the test's own."""
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))
    texts = []

    def count(text, *rest, compile_object=loader.compile_object):
        texts.append(text)
        return compile_object(text, *rest)

    monkeypatch.setattr(loader, "compile_object", count)
    return texts


def trained(names, model_name):
    """One step of a model; its loss and weights."""
    graphc.utils.set_random_seed(3)
    first, second, third = names
    layers = [
        Conv2D(4, 3, activation="relu", name=first),
        BatchNormalization(),
        Flatten(),
        Dropout(0.5, name=second),
        Dense(3, activation="softmax", name=third),
    ]
    model = graphc.Sequential([graphc.Input((8, 8, 2)), *layers], name=model_name)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = np.random.default_rng(0).standard_normal((6, 8, 8, 2)).astype("f4")
    losses = [model.train_on_batch(x, np.arange(6) % 3), model.evaluate(x, np.arange(6) % 3, verbose=0)]
    return [*np.ravel(losses), *(np.ravel(w) for w in model.get_weights())]


def test_layers_and_models_of_other_names_and_places(compiled):
    before = trained(("a", "b", "c"), "one")
    count = len(compiled)
    assert count > 1
    after = trained(("first", "second", "third"), "another")
    assert len(compiled) == count
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def defined(source, name, file):
    """A function from a text, with its source where tracebacks look for it."""
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope = {"np": np}
    exec(compile(source, file, "exec"), scope)
    return graphc.jit(scope[name])


def called(function):
    """Some calls; the results and what became of the weights."""
    rng = np.random.default_rng(1)
    x, y, w = (rng.standard_normal(s).astype("f4") for s in ((64, 48), (64, 32), (48, 32)))
    return [function(x, y, w, 1e-3) for _ in range(4)], w


def test_functions_of_other_names_arguments_and_lines(compiled):
    before, weights = called(defined(PLAIN, "step", "<plain>"))
    count = len(compiled)
    assert count
    after, same = called(defined(RENAMED, "renewed", "<renamed>"))
    assert len(compiled) == count
    assert before == after
    np.testing.assert_array_equal(weights, same)
