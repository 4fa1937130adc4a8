"""`image_dataset_from_directory`, and reading ahead."""

import threading
import time

import numpy as np
import pytest

import graphc
from graphc import utils
from graphc.images.batches import ImageBatches
from graphc.ir.errors import ArgumentError, FileFormatError
from graphc.layers import Dense, Flatten

pytest.importorskip("PIL")


@pytest.fixture
def folder(tmp_path):
    """Five images in each of three classes; each has one grey value of its own, 16 * class + number."""
    for label, name in enumerate(("ant", "bee", "cat")):
        for number in range(5):
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            utils.save_img(path, np.full((4, 4, 1), 16 * label + number), scale=False)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def read(folder, **options):
    options = {"color_mode": "grayscale", "image_size": (4, 4), "batch_size": 4} | options
    return utils.image_dataset_from_directory(folder, **options)


def values(batches):
    """The grey value of each image, in order."""
    return [int(v) for x in batches for v in (x[0] if isinstance(x, tuple) else x)[:, 0, 0, 0]]


def readers():
    return [t for t in threading.enumerate() if t.name.startswith("graphc-read")]


def model():
    net = graphc.Sequential([graphc.Input((4, 4, 1)), Flatten(), Dense(3, activation="softmax")])
    net.compile("sgd", "sparse_categorical_crossentropy")
    return net


IN_ORDER = [16 * label + number for label in range(3) for number in range(5)]


def test_batches_in_order(folder):
    data = read(folder, shuffle=False)
    assert data.class_names == ["ant", "bee", "cat"]
    assert len(data) == 4
    for _ in range(2):  # it can be read again
        batches = list(data)
        assert values(batches) == IN_ORDER
        assert [len(x) for x, _ in batches] == [4, 4, 4, 3]
        assert np.concatenate([y for _, y in batches]).tolist() == [0] * 5 + [1] * 5 + [2] * 5
    x, y = data[-1]
    assert (x.dtype, y.dtype) == (np.float32, np.int32)
    with pytest.raises(IndexError, match="none has the number 4"):
        data[4]


def test_label_modes(folder):
    _, y = read(folder, shuffle=False, label_mode="categorical", batch_size=15)[0]
    np.testing.assert_array_equal(y, np.repeat(np.eye(3), 5, axis=0))
    assert read(folder, shuffle=False, label_mode=None)[0].shape == (4, 4, 4, 1)
    with pytest.raises(ArgumentError, match="binary labels need two classes, but there are 3"):
        read(folder, label_mode="binary")
    unlabelled = read(folder, labels=None, label_mode=None, shuffle=False)
    assert values(unlabelled) == IN_ORDER
    assert unlabelled.class_names == []
    given = read(folder, labels=list(range(15)), shuffle=False, batch_size=15)
    assert given[0][1].tolist() == list(range(15))
    with pytest.raises(ArgumentError, match="one class number for each of the 15 images"):
        read(folder, labels=[0, 1])


def test_class_names(folder):
    data = read(folder, class_names=["cat", "ant", "bee"], shuffle=False, batch_size=15)
    assert data[0][1].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert values([data[0]])[0] == 32
    with pytest.raises(ArgumentError, match=r"leaves out sub-folders of .*: \['bee'\]"):
        read(folder, class_names=["cat", "ant"])
    with pytest.raises(ArgumentError, match="has no 'dog'; its sub-folders are 'ant', 'bee', 'cat'"):
        read(folder, class_names=["cat", "ant", "bee", "dog"])


def test_order_follows_from_the_seed(folder):
    first, again, other = (read(folder, seed=seed) for seed in (1, 1, 2))
    epochs = [values(first) for _ in range(3)]
    assert [values(again) for _ in range(3)] == epochs
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert all(sorted(epoch) == IN_ORDER for epoch in epochs)
    assert values(other) != epochs[0]
    utils.set_random_seed(3)
    unseeded = values(read(folder))
    utils.set_random_seed(3)
    assert values(read(folder)) == unseeded


def test_subsets_are_disjoint_and_complete(folder):
    options = {"validation_split": 0.2, "seed": 5}
    training, validation = (values(read(folder, subset=s, **options)) for s in ("training", "validation"))
    assert (len(training), len(validation)) == (12, 3)
    assert sorted(training + validation) == IN_ORDER
    both = read(folder, subset="both", **options)
    assert [sorted(values(part)) for part in both] == [sorted(training), sorted(validation)]
    with pytest.raises(ArgumentError, match="would overlap"):
        read(folder, validation_split=0.2, subset="training")
    with pytest.raises(ArgumentError, match="go together"):
        read(folder, validation_split=0.2)
    with pytest.raises(ArgumentError, match="leaves one part without any"):
        read(folder, validation_split=0.01, subset="training", seed=1)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"image_size": (4, 0)},
        {"seed": -1},
        {"color_mode": "cmyk"},
        {"interpolation": "cubic"},
        {"label_mode": "sparse"},
        {"workers": 0},
        {"labels": "given"},
    ],
)
def test_bad_arguments(folder, options):
    with pytest.raises(ArgumentError, match=next(iter(options))):
        read(folder, **options)


def test_folders_without_images(tmp_path):
    with pytest.raises(ArgumentError, match="no sub-folder with images"):
        read(tmp_path)
    with pytest.raises(ArgumentError, match="has no images"):
        read(tmp_path, labels=None)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read(tmp_path / "nowhere")


def test_fit_evaluate_predict(folder):
    net, data = model(), read(folder, shuffle=False)
    history = net.fit(data, epochs=2, validation_data=data, verbose=0)
    assert len(history.history["val_loss"]) == 2
    x, y = (np.concatenate(parts) for parts in zip(*data))
    np.testing.assert_allclose(net.evaluate(data, verbose=0), net.evaluate(x, y, batch_size=4, verbose=0))
    np.testing.assert_array_equal(net.predict(data, verbose=0), net.predict(x, batch_size=4, verbose=0))
    assert readers() == []


class Slow(ImageBatches):
    """Batches of numbers that take a random time to make."""

    def make(self, rows, random):
        time.sleep(random.random() / 500)
        return rows, random.random(len(rows))


def test_timing_changes_nothing():
    runs = [
        [[part.tolist() for part in batch] for _ in range(2) for batch in Slow(50, 3, seed=4, workers=n)]
        for n in (1, 4)
    ]
    assert runs[0] == runs[1]


def test_reading_ahead_is_bounded():
    made = []

    class Counting(ImageBatches):
        def make(self, rows, random):
            made.append(int(rows[0]))
            return rows

    batches = iter(Counting(100, 1, shuffle=False, max_queue_size=3))
    assert next(batches).tolist() == [0]
    time.sleep(0.05)
    assert len(made) <= 3
    batches.close()
    assert readers() == []


def test_damaged_file_surfaces_in_fit(folder):
    broken = folder / "bee" / "3.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(FileFormatError, match=r"bee.3\.png"):
        model().fit(read(folder), verbose=0)
    assert readers() == []


@pytest.mark.parametrize("steps", [None, 9])
def test_early_stop_and_interrupt_end_the_thread(folder, steps):
    class Stop(graphc.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    class Interrupt(graphc.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model().fit(read(folder), steps_per_epoch=steps, callbacks=[Stop()], verbose=0)
    assert readers() == []
    with pytest.raises(KeyboardInterrupt) as held:
        model().fit(read(folder), steps_per_epoch=steps, callbacks=[Interrupt()], verbose=0)
    assert held.traceback is not None
    assert readers() == []


def test_limited_steps_leave_no_thread(folder):
    net, data = model(), read(folder)
    net.fit(data, steps_per_epoch=3, epochs=3, verbose=0)
    net.evaluate(data, steps=1, verbose=0)
    net.predict(data, steps=2, verbose=0)
    assert readers() == []
