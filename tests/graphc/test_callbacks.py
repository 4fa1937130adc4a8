"""Callbacks: the list's dispatch and each callback's rules, with a model that only keeps what it is told."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from graphc import callbacks as cb
from graphc.callbacks.callback import HOOKS
from graphc.ir.errors import ArgumentError, NumericsError


class Model:
    """The few members that callbacks use."""

    def __init__(self):
        self.stop_training = False
        self.optimizer = SimpleNamespace(learning_rate=0.1)
        self.weights, self.saved = 0, []

    def get_weights(self):
        return [np.array(self.weights)]

    def set_weights(self, weights):
        self.weights = int(weights[0])

    def save(self, path):
        self.saved.append(path)

    def save_weights(self, path):
        self.saved.append("w:" + path)


def run(callback, values, name="val_loss"):
    """Epochs with these values of one metric; returns the model and how many epochs it trained."""
    model = Model()
    calls = cb.CallbackList([callback], model, {"epochs": len(values)})
    calls.on_train_begin()
    for epoch, value in enumerate(values):
        calls.on_epoch_begin(epoch)
        model.weights = epoch
        calls.on_epoch_end(epoch, {name: value})
        if model.stop_training:
            break
    calls.on_train_end()
    return model, epoch + 1, calls.history.history


# CallbackList


def test_only_defined_hooks_are_called_in_order():
    log = []

    class Ends(cb.Callback):
        def on_epoch_end(self, epoch, logs=None):
            log.append(("class", epoch, logs["loss"]))

    calls = cb.CallbackList(
        [Ends(), [cb.LambdaCallback(on_epoch_end=lambda epoch, logs: log.append(("lambda", epoch)))]]
    )
    calls.set_model(Model())
    assert [hook for hook in HOOKS if calls.listeners(hook)] == ["on_train_begin", "on_epoch_end"]
    assert calls.batch_hooks("train") == calls.batch_hooks("test") == (None, None)
    calls.on_epoch_end(2, {"loss": 0.5})
    calls.on_train_batch_end(0, {})
    assert log == [("class", 2, 0.5), ("lambda", 2)]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_reaches_its_listener(hook):
    got = []
    calls = cb.CallbackList([cb.LambdaCallback(**{hook: lambda *arguments: got.append(arguments)})])
    for listener in calls.listeners(hook)[:1]:
        listener(1, {"loss": 2.0})
    assert got == [(1, {"loss": 2.0})]


def test_on_batch_is_another_name_for_the_training_hooks():
    got = []

    class Old(cb.Callback):
        def on_batch_begin(self, batch, logs=None):
            got.append(("begin", batch))

        def on_batch_end(self, batch, logs=None):
            got.append(("end", batch))

    calls = cb.CallbackList([Old()])
    calls.on_train_batch_begin(3)
    calls.on_train_batch_end(3, logs={})
    assert got == [("begin", 3), ("end", 3)]
    assert calls.batch_hooks("test") == (None, None)


def test_model_and_params_reach_every_callback_also_later_ones():
    first, second, model = cb.Callback(), cb.LambdaCallback(on_test_batch_end=print), Model()
    params = {"epochs": 2, "steps": 5, "verbose": 0}
    calls = cb.CallbackList([first], model, params)
    assert calls.batch_hooks("test") == (None, None)
    calls.append(second)
    assert first.model is second.model is model
    assert first.params == second.params == params
    assert calls.batch_hooks("test") == (None, print)


def test_batch_hooks_join_several_listeners():
    got = []
    both = [cb.LambdaCallback(on_train_batch_end=lambda i, logs, tag=t: got.append((tag, i))) for t in "ab"]
    begin, end = cb.CallbackList(both).batch_hooks("train")
    assert begin is None
    end(4, {})
    assert got == [("a", 4), ("b", 4)]


@pytest.mark.parametrize("wrong", [3, "EarlyStopping", cb.EarlyStopping, [cb.History(), None, 5]])
def test_what_is_no_callback(wrong):
    with pytest.raises(ArgumentError, match="callbacks should be Callback objects, but one is"):
        cb.CallbackList(wrong)


def test_an_unknown_hook():
    with pytest.raises(ArgumentError, match="there is no hook 'on_epoch_finish'; there are on_train_begin, "):
        cb.LambdaCallback(on_epoch_finish=print)
    assert cb.CallbackList(cb.LambdaCallback(on_test_end=None)).listeners("on_test_end") == ()


def test_history():
    model, _, history = run(cb.Callback(), [3.0, 2.0], "loss")
    assert history == {"loss": [3.0, 2.0]}
    assert model.history.epoch == [0, 1]
    own = cb.History()
    assert cb.CallbackList([own]).history is own
    assert cb.CallbackList([own]).callbacks == [own]


# EarlyStopping

NAN = float("nan")


@pytest.mark.parametrize(
    ("options", "values", "epochs"),
    [
        ({}, [3, 2, 1, 1, 0], 4),
        ({"patience": 2}, [3, 2, 2.5, 2.4, 1], 4),
        ({"patience": 2}, [3, 2, 2.5, 1.9, 2, 2, 0], 6),
        ({"min_delta": 0.5}, [3, 2.4, 2.0, 1.0], 3),
        ({"mode": "max"}, [1, 2, 3, 3, 9], 4),
        ({"start_from_epoch": 3}, [1, 2, 3, 4, 3, 4, 0], 6),
        ({"patience": 2, "baseline": 1.0}, [3, 2, 1.5, 1.6, 0], 4),
        ({"patience": 2}, [NAN, 2, NAN, 1, NAN, NAN, 0], 6),
        ({"patience": 1}, [NAN, NAN, 1], 2),
        ({}, [3, 2, 1], 3),
    ],
)
def test_early_stopping(options, values, epochs):
    model, trained, _ = run(cb.EarlyStopping(**options), values)
    assert trained == epochs
    assert model.stop_training == (trained < len(values))


def test_early_stopping_gives_the_best_weights_back(capsys):
    model, _, _ = run(cb.EarlyStopping(patience=2, restore_best_weights=True, verbose=1), [3, 1, 2, 2, 0])
    assert model.weights == 1
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "Epoch 4: early stopping",
        "Restoring model weights from the end of the best epoch: 2.",
    ]
    model, _, _ = run(cb.EarlyStopping(patience=9, restore_best_weights=True), [3, 1, 2])
    assert model.weights == 1, "also when training came to its own end"


def test_early_stopping_starts_anew_in_a_second_fit():
    callback = cb.EarlyStopping()
    assert run(callback, [1, 2])[1] == 2
    assert run(callback, [9, 8, 7])[1] == 3


def test_a_missing_metric_warns_and_does_not_stop():
    with pytest.warns(
        UserWarning, match="EarlyStopping watches 'val_loss', which is not there; there are: loss"
    ):
        model, _, _ = run(cb.EarlyStopping(), [1.0], "loss")
    assert not model.stop_training


@pytest.mark.parametrize(
    ("monitor", "direction"),
    [
        ("val_loss", "min"),
        ("loss", "min"),
        ("out_accuracy", "max"),
        ("val_acc", "max"),
        ("val_auc_1", "max"),
        ("sparse_categorical_crossentropy", "min"),
        ("mean_absolute_error", "min"),
        ("f1_score", "max"),
        ("false_positives", "min"),
    ],
)
def test_the_direction_follows_from_the_name(monitor, direction):
    assert cb.EarlyStopping(monitor).direction == direction


def test_an_unclear_direction_is_an_error():
    with pytest.raises(
        ArgumentError, match="cannot tell whether a high or a low 'temperature' is better: give mode"
    ):
        run(cb.EarlyStopping("temperature"), [1.0], "temperature")
    with pytest.raises(ArgumentError, match="mode should be 'auto', 'min' or 'max', not 'low'"):
        cb.EarlyStopping(mode="low")


# Learning rates


def test_plateau_reduces_and_records_the_rate(capsys):
    model, _, history = run(cb.ReduceLROnPlateau(factor=0.5, patience=2, verbose=1), [3, 2, 2, 2, 2, 2, 1])
    assert history["learning_rate"] == [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025]
    assert model.optimizer.learning_rate == 0.025
    assert "Epoch 4: ReduceLROnPlateau reducing learning rate to 0.05." in capsys.readouterr().out


def test_plateau_waits_in_its_cooldown_and_stops_at_min_lr():
    _, _, history = run(cb.ReduceLROnPlateau(factor=0.5, patience=1, cooldown=2, min_lr=0.04), [1.0] * 9)
    assert history["learning_rate"] == [0.1, 0.1, 0.05, 0.05, 0.04, 0.04, 0.04, 0.04, 0.04]
    with pytest.raises(ArgumentError, match=r"factor should be less than 1, not 1.0"):
        cb.ReduceLROnPlateau(factor=1.0)


def test_scheduler_takes_one_or_two_arguments(capsys):
    _, _, history = run(cb.LearningRateScheduler(lambda epoch: 0.5 / (epoch + 1), verbose=1), [0, 0])
    assert history["learning_rate"] == [0.5, 0.25]
    assert "Epoch 2: LearningRateScheduler setting learning rate to 0.25." in capsys.readouterr().out
    _, _, history = run(cb.LearningRateScheduler(lambda epoch, rate: rate / 2), [0, 0])
    assert history["learning_rate"] == [0.05, 0.025]


def test_scheduler_lets_the_schedules_own_errors_through():
    def broken(epoch, rate):
        return "a" + 1

    with pytest.raises(TypeError, match="can only concatenate"):
        run(cb.LearningRateScheduler(broken), [0])
    for wrong in (None, NAN, True):
        with pytest.raises(ArgumentError, match="the schedule should give a finite number"):
            run(cb.LearningRateScheduler(lambda epoch, rate, wrong=wrong: wrong), [0])


# ModelCheckpoint


def test_checkpoint_each_epoch(tmp_path):
    path = str(tmp_path / "new" / "m-{epoch:02d}-{val_loss:.1f}.keras")
    model, _, _ = run(cb.ModelCheckpoint(path), [3.0, 2.0])
    assert model.saved == [str(tmp_path / "new" / name) for name in ("m-01-3.0.keras", "m-02-2.0.keras")]
    assert (tmp_path / "new").is_dir()


def test_checkpoint_of_the_best_only(tmp_path, capsys):
    path = str(tmp_path / "w.weights.h5")
    callback = cb.ModelCheckpoint(path, save_best_only=True, save_weights_only=True, verbose=1)
    model, _, _ = run(callback, [3.0, 4.0, 2.0])
    assert model.saved == ["w:" + path] * 2
    assert [line for line in capsys.readouterr().out.splitlines() if line] == [
        f"Epoch 1: val_loss improved from nothing to 3.00000, saving model to {path}",
        "Epoch 2: val_loss did not improve from 3.00000",
        f"Epoch 3: val_loss improved from 3.00000 to 2.00000, saving model to {path}",
    ]
    threshold = cb.ModelCheckpoint(
        str(tmp_path / "m.keras"), save_best_only=True, initial_value_threshold=2.5
    )
    assert len(run(threshold, [3.0, 2.0])[0].saved) == 1


def test_checkpoint_by_batches(tmp_path):
    callback = cb.ModelCheckpoint(str(tmp_path / "m-{epoch}-{batch}.keras"), save_freq=3)
    model = Model()
    calls = cb.CallbackList([callback], model)
    for epoch in range(2):
        calls.on_epoch_begin(epoch)
        for batch in range(4):
            calls.on_train_batch_end(batch, {"loss": 1.0})
        calls.on_epoch_end(epoch, {"loss": 1.0})
    assert [path.rsplit("/", 1)[1] for path in model.saved] == ["m-1-3.keras", "m-2-2.keras"]
    assert cb.CallbackList([cb.ModelCheckpoint("m.keras")]).batch_hooks("train") == (None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filepath": "m.txt"}, "the path to save a model to should end in .keras: 'm.txt'"),
        (
            {"filepath": "m.keras", "save_weights_only": True},
            "the path to save the weights to should end in .weights.h5 or .npz or .safetensors",
        ),
        (
            {"filepath": "m.keras", "save_freq": 0},
            "save_freq should be 'epoch' or a number of batches, not 0",
        ),
    ],
)
def test_checkpoint_errors(options, message):
    with pytest.raises(ArgumentError, match=message):
        cb.ModelCheckpoint(**options)


def test_checkpoint_asks_for_a_metric_that_is_not_there(tmp_path):
    with pytest.raises(ArgumentError, match="asks for 'auc', but there are: val_loss, epoch"):
        run(cb.ModelCheckpoint(str(tmp_path / "{auc}.keras")), [1.0])


# CSVLogger and TerminateOnNaN


def rows(path, **options):
    with open(path, newline="") as file:
        return list(csv.reader(file, **options))


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    model, calls = Model(), cb.CallbackList([cb.CSVLogger(path, separator=";")])
    calls.set_model(model)
    calls.on_train_begin()
    calls.on_epoch_end(0, {"loss": 2.0, "accuracy": 0.5})
    assert len(rows(path)) == 2, "whole after each epoch"
    calls.on_epoch_end(1, {"loss": 1.0, "accuracy": 0.6, "val_loss": 3.0})
    calls.on_train_end()
    assert rows(path, delimiter=";") == [
        ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"],
        ["0", "0.5", "2.0", "NA", "NA"],
        ["1", "0.6", "1.0", "NA", "3.0"],
    ]


def test_csv_logger_appends_without_a_second_header(tmp_path):
    path = tmp_path / "log.csv"
    for _ in range(2):
        run(cb.CSVLogger(path, append=True), [1.0])
    assert rows(path) == [["epoch", "val_loss"], ["0", "1.0"], ["0", "1.0"]]
    run(cb.CSVLogger(path), [5.0])
    assert rows(path) == [["epoch", "val_loss"], ["0", "5.0"]]


def test_csv_logger_tells_an_unusable_path_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        run(cb.CSVLogger(tmp_path / "none" / "log.csv"), [1.0])


@pytest.mark.parametrize("loss", [NAN, float("inf"), -float("inf"), np.float32("nan")])
def test_terminate_on_nan(loss, capsys):
    model = Model()
    calls = cb.CallbackList([cb.TerminateOnNaN()], model)
    calls.on_train_batch_end(0, {"loss": 1.0})
    assert not model.stop_training
    calls.on_train_batch_end(7, {"loss": loss})
    assert model.stop_training
    assert capsys.readouterr().out == "Batch 7: Invalid loss, terminating training\n"
    with pytest.raises(NumericsError, match="the loss of batch 7 is"):
        cb.CallbackList([cb.TerminateOnNaN(raise_error=True)], model).on_train_batch_end(7, {"loss": loss})
