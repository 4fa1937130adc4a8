"""The seed program on a Sequential without input shape, with 60,000 digits scaled to [0, 1]."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc import Sequential
from graphc.datasets import mnist_5k
from graphc.layers import Dense

PROGRAMS = Path(__file__).parent / "programs"

SUMMARY = """\
Model: "sequential"
_________________________________________________________________
Layer (type)                 Output Shape              Param #   
=================================================================
dense (Dense)                (None, 512)               401920    
_________________________________________________________________
dense_1 (Dense)              (None, 10)                5130      
=================================================================
Total params: 407,050
Trainable params: 407,050
Non-trainable params: 0
_________________________________________________________________
"""  # noqa: W291 - the table's columns are padded


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A dataset folder with a file like the full MNIST: the shipped digits, as often as fills it."""
    folder = tmp_path_factory.mktemp("datasets")
    (x, y), (x_test, y_test) = mnist_5k.load_data()
    np.savez(
        folder / "mnist.npz",
        x_train=np.tile(x, (15, 1, 1)),
        y_train=np.tile(y, 15),
        x_test=np.tile(x_test, (10, 1, 1)),
        y_test=np.tile(y_test, 10),
    )
    return folder


@pytest.fixture
def hundred_steps(monkeypatch, digits):
    """The calls of `fit`, which make a hundred steps, whatever the program asks for."""
    monkeypatch.setenv("GRAPHC_DATA_DIR", str(digits))
    graphc.backend.clear_session()
    graphc.set_random_seed(0)
    asked, fit = [], Sequential.fit

    def short(self, *args, **kwargs):
        asked.append(kwargs)
        return fit(self, *args, **kwargs | {"epochs": 1, "steps_per_epoch": 100})

    monkeypatch.setattr(Sequential, "fit", short)
    return asked


@pytest.mark.parametrize("program", ["build_before_compile", "compile_before_build"])
def test_program(program, hundred_steps, capsys):
    found = runpy.run_path(str(PROGRAMS / f"{program}.py"))
    assert hundred_steps == [{"batch_size": 128, "epochs": 5}]
    model, printed = found["model"], capsys.readouterr().out
    assert printed.startswith(SUMMARY)
    assert "Epoch 1/1" in printed
    assert list(model.history.history) == ["loss", "accuracy"]
    assert found["test_acc"] > 0.88
    assert found["test_loss"] < 0.5
    assert int(model.optimizer.iterations) == 100


def test_build_without_a_shape_is_an_error():
    model = Sequential([Dense(10)], name="digits")
    with pytest.raises(ValueError, match=r"digits\.build\(input_shape=\(None, 784\)\)"):
        model.build()
    assert not model.built
