"""Training that is interrupted and started again gives the same bits as training that was not."""

import json

import numpy as np
import pytest

import graphc
from graphc import Input, Sequential, layers
from graphc.callbacks import BackupAndRestore, Callback, ModelCheckpoint
from graphc.models import load_model
from graphc.utils import Sequence, set_random_seed

X = np.random.default_rng(1).normal(size=(50, 4)).astype("f4")
Y = np.random.default_rng(2).integers(0, 3, 50)


class Power(Callback):
    """Fails after so many batches, as a cut of power would."""

    def __init__(self, batches):
        super().__init__()
        self.left = batches

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


class Batches(Sequence):
    def __len__(self):
        return 7

    def __getitem__(self, index):
        return X[index * 7 : index * 7 + 7], Y[index * 7 : index * 7 + 7]


def endless():
    number = 0
    while True:
        yield X[number % 40 :][:8], Y[number % 40 :][:8]
        number += 3


DATA = {
    "arrays": lambda: {"x": X, "y": Y, "batch_size": 8},
    "batches": lambda: {"x": X, "y": Y, "batch_size": 8, "shuffle": "batch", "validation_split": 0.2},
    "steps": lambda: {"x": X, "y": Y, "batch_size": 3, "steps_per_epoch": 6},
    "sequence": lambda: {"x": Batches()},
    "generator": lambda: {"x": endless(), "steps_per_epoch": 6},
}


def start(folder, data, power=None, save_freq="epoch", epochs=5):
    """What a program does: the same from the first line on, each time that it is started."""
    set_random_seed(5)
    stack = [
        layers.Dense(8, "relu"),
        layers.Dropout(0.4),
        layers.Dropout(0.2, seed=3),
        layers.Dense(3, "softmax"),
    ]
    model = Sequential([Input((4,)), *stack])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    hooks = [BackupAndRestore(folder, save_freq), *([Power(power)] if power else [])]
    history = model.fit(**DATA[data](), epochs=epochs, callbacks=hooks, verbose=0).history
    return model, history, graphc.seeds.fresh_seed()


@pytest.mark.parametrize("save_freq", ["epoch", 2])
@pytest.mark.parametrize("data", DATA)
def test_training_goes_on_with_the_same_bits(tmp_path, data, save_freq):
    folder = tmp_path / "backup"
    whole, history, seed = start(tmp_path / "other", data)
    with pytest.raises(KeyboardInterrupt):
        start(folder, data, 17, save_freq)
    with pytest.raises(KeyboardInterrupt):
        start(folder, data, 4, save_freq)
    assert [p.name for p in folder.iterdir()] == ["training.h5"]
    resumed, rest, again = start(folder, data, None, save_freq)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(whole.optimizer.variables, resumed.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    assert rest == {name: values[-len(rest["loss"]) :] for name, values in history.items()}
    assert 1 < len(rest["loss"]) < 5
    assert again == seed
    assert not folder.exists()


def test_a_backup_of_another_model_is_told(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path, "arrays", 17)
    model = Sequential([Input((4,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"training\.h5 does not fit the model"):
        model.fit(X, X[:, :2], callbacks=[BackupAndRestore(tmp_path)], verbose=0)


def test_a_damaged_backup_is_told(tmp_path):
    (tmp_path / "training.h5").write_bytes(b"not that")
    with pytest.raises(graphc.GraphcError, match="no HDF5 file"):
        start(tmp_path, "arrays")


def test_the_backup_may_be_kept(tmp_path):
    model = Sequential([Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    keep = BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    for _ in range(2):
        model.fit(X, Y, epochs=2, callbacks=[keep], verbose=0)
    assert keep.path.exists()
    assert int(model.optimizer.iterations) == 4, "the second fit had nothing left to do"
    with pytest.raises(ValueError, match="save_freq should be"):
        BackupAndRestore(tmp_path, save_freq=0)


def test_positions_can_be_stored_as_json():
    from graphc.data import open_data

    for data in (open_data(X, Y, shuffle=True), open_data(Batches(), shuffle=True)):
        first = list(data.epoch())
        position = json.loads(json.dumps(data.position()))
        second = [b.x[0].copy() for b in data.epoch()]
        data.go_to(position)
        for a, b in zip(second, data.epoch(), strict=True):
            np.testing.assert_array_equal(a, b.x[0])
        assert len(first) == len(second)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".npz", ".safetensors"])
def test_checkpoints_of_every_kind_can_be_loaded(tmp_path, ending):
    model = Sequential([Input((4,)), layers.Dense(1)])
    model.compile("adam", "mse")
    path = str(tmp_path / "m-{epoch}") + ending
    check = ModelCheckpoint(path, save_weights_only=ending != ".keras")
    model.fit(X, Y, epochs=2, callbacks=[check], verbose=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"m-1{ending}", f"m-2{ending}"]
    last = tmp_path / f"m-2{ending}"
    if ending == ".keras":
        twin = load_model(last)
    else:
        twin = Sequential([Input((4,)), layers.Dense(1)])
        twin.compile("adam", "mse")
        twin.load_weights(last)
    np.testing.assert_array_equal(twin(X), model(X))
    assert int(twin.optimizer.iterations) == int(model.optimizer.iterations) == 4
