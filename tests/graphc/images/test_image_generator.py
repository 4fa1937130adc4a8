"""`ImageDataGenerator`: changes, normalisation, and batches of arrays and of folders."""

import threading

import numpy as np
import pytest

import graphc
from graphc import utils
from graphc.ir.errors import ArgumentError, FileFormatError, ShapeError, StateError
from graphc.layers import Dense, Flatten
from graphc.preprocessing.image import ImageDataGenerator

X = np.random.default_rng(0).uniform(0, 255, (10, 6, 4, 3)).astype(np.float32)
Y = np.arange(10)
ALL = {
    "rotation_range": 20,
    "width_shift_range": 0.2,
    "height_shift_range": [1, 2],
    "shear_range": 5.0,
    "zoom_range": 0.2,
    "horizontal_flip": True,
    "vertical_flip": True,
    "channel_shift_range": 10.0,
    "brightness_range": (0.5, 1.5),
}


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("PIL")
    for label, name in enumerate(("no", "yes")):
        for number in range(5):
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            utils.save_img(path, np.full((5, 4, 3), 16 * label + number), scale=False)
    return tmp_path


# -- changes ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"flip_horizontal": True}, X[0][:, ::-1]),
        ({"flip_vertical": True}, X[0][::-1]),
        ({"tx": 1}, X[0][[1, 2, 3, 4, 5, 5]]),
        ({"theta": 180}, X[0][::-1, ::-1]),
        ({"brightness": 0.5}, X[0] / 2),
        ({"brightness": 3}, np.minimum(X[0] * 3, 255)),
        ({"channel_shift_intensity": 5}, np.minimum(X[0] + 5, X[0].max())),
        ({}, X[0]),
    ],
)
def test_changes(change, expected):
    before = X[0].copy()
    for data_format, axes in (("channels_last", (0, 1, 2)), ("channels_first", (2, 0, 1))):
        images = ImageDataGenerator(data_format=data_format)
        found = images.apply_transform(X[0].transpose(axes), change)
        np.testing.assert_array_equal(found, expected.transpose(axes))
    np.testing.assert_array_equal(X[0], before)


def test_draws_lie_in_their_ranges():
    images = ImageDataGenerator(**ALL)
    drawn = [images.get_random_transform((10, 20, 3), seed) for seed in range(200)]
    reach = {name: (min(d[name] for d in drawn), max(d[name] for d in drawn)) for name in drawn[0]}
    for name, low, high in [
        ("theta", -20, 20),
        ("ty", -4, 4),
        ("shear", -5, 5),
        ("zx", 0.8, 1.2),
        ("zy", 0.8, 1.2),
        ("channel_shift_intensity", -10, 10),
        ("brightness", 0.5, 1.5),
    ]:
        assert low <= reach[name][0] < low + 0.1 * (high - low), name
        assert high - 0.1 * (high - low) < reach[name][1] <= high, name
    assert {d["tx"] for d in drawn} == {-2.0, -1.0, 1.0, 2.0}
    assert {(d["flip_horizontal"], d["flip_vertical"]) for d in drawn} == {
        (a, b) for a in (True, False) for b in (True, False)
    }
    assert images.get_random_transform((10, 20, 3), 3) == drawn[3]


def test_whole_number_shifts_are_whole_pixels():
    images = ImageDataGenerator(width_shift_range=3)
    assert {images.get_random_transform((9, 9, 1), s)["ty"] for s in range(99)} == {-2, -1, 0, 1, 2}


# -- normalisation ------------------------------------------------------------------------------------------
def test_rescale_and_function_in_keras_order():
    images = ImageDataGenerator(rescale=0.5, preprocessing_function=lambda image: image + 2)
    np.testing.assert_array_equal(images.standardize(X[0]), (X[0] + 2) * np.float32(0.5))
    with pytest.raises(ShapeError, match=r"made an image of shape \(6, 4\) of one of \(6, 4, 3\)"):
        ImageDataGenerator(preprocessing_function=lambda image: image[..., 0]).standardize(X[0])


def test_samplewise():
    image = ImageDataGenerator(samplewise_std_normalization=True).standardize(X[0])
    assert abs(image.mean()) < 1e-6
    assert abs(image.std() - 1) < 1e-5


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_featurewise(data_format):
    images = ImageDataGenerator(featurewise_std_normalization=True, rescale=1 / 255, data_format=data_format)
    with pytest.raises(StateError, match="call fit"):
        images.standardize(X[0])
    x = X if data_format == "channels_last" else X.transpose(0, 3, 1, 2)
    images.fit(x)
    found = np.stack([images.standardize(image) for image in x])
    axes = (0, 1, 2) if data_format == "channels_last" else (0, 2, 3)
    np.testing.assert_allclose(found.mean(axes), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axes), 1, atol=1e-4)
    with pytest.raises(ShapeError, match="4 axes"):
        images.fit(X[0])


# -- batches ------------------------------------------------------------------------------------------------
def test_flow_in_order():
    flow = ImageDataGenerator().flow(X, Y, batch_size=4, shuffle=False, sample_weight=Y / 2)
    batches = [next(flow) for _ in range(len(flow))]
    for whole, parts in zip((X, Y, Y / 2), zip(*batches)):
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert [len(b[0]) for b in batches] == [4, 4, 2]
    np.testing.assert_array_equal(flow.next()[1], Y[:4])  # it begins again
    assert ImageDataGenerator().flow(X)[0].shape == (10, 6, 4, 3)


def test_flow_follows_from_the_seed():
    def bits(seed, workers):
        flow = ImageDataGenerator(**ALL).flow(X, Y, 3, seed=seed, workers=workers)
        epochs = []
        for _ in range(2):
            flow.on_epoch_begin()
            epochs.append([(x.tobytes(), y.tobytes()) for x, y in flow.read(range(len(flow)))])
        return epochs

    first = bits(1, 1)
    assert bits(1, 3) == first
    assert first[0] != first[1]
    assert bits(2, 1) != first


def test_flow_subsets():
    images = ImageDataGenerator(validation_split=0.3)
    labels = {s: images.flow(X, Y, 32, shuffle=False, subset=s)[0][1] for s in ("training", "validation")}
    assert labels["validation"].tolist() == [0, 1, 2]
    assert labels["training"].tolist() == [3, 4, 5, 6, 7, 8, 9]
    with pytest.raises(ArgumentError, match="needs a validation_split"):
        ImageDataGenerator().flow(X, subset="training")
    with pytest.raises(ArgumentError, match="subset must be one of"):
        images.flow(X, subset="test")
    with pytest.raises(ArgumentError, match="no images for the validation subset"):
        ImageDataGenerator(validation_split=0.01).flow(X, subset="validation")


def test_wrong_arrays():
    flow = ImageDataGenerator().flow
    for x in (X[0], np.array([["a"]])):
        with pytest.raises(ShapeError, match="4 axes"):
            flow(x)
    with pytest.raises(ShapeError, match=r"x has 10 images, but y has shape \(9,\)"):
        flow(X, Y[1:])
    with pytest.raises(ArgumentError, match="but y is None"):
        flow(X, sample_weight=Y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rotation_range", -1),
        ("shear_range", np.inf),
        ("width_shift_range", -0.1),
        ("zoom_range", (1.2, 0.8)),
        ("zoom_range", [1, 2, 3]),
        ("brightness_range", 0.5),
        ("fill_mode", "mirror"),
        ("data_format", "nchw"),
        ("validation_split", 1.0),
    ],
)
def test_wrong_arguments(name, value):
    with pytest.raises(ArgumentError, match=name):
        ImageDataGenerator(**{name: value})


def test_flow_from_directory(folder):
    flow = ImageDataGenerator(rescale=0.5).flow_from_directory(folder, (5, 4), batch_size=4, shuffle=False)
    assert flow.class_indices == {"no": 0, "yes": 1}
    assert flow.filenames[0].replace("\\", "/") == "no/0.png"
    assert (flow.samples, flow.n, flow.num_classes, flow.image_shape) == (10, 10, 2, (5, 4, 3))
    assert flow.classes.tolist() == flow.labels.tolist() == [0] * 5 + [1] * 5
    x, y = flow[1]
    assert (x[:, 0, 0, 0] * 2).tolist() == [4, 16, 17, 18]
    assert y.tolist() == [[1, 0], [0, 1], [0, 1], [0, 1]]


def test_class_modes(folder):
    def batch(**options):
        return ImageDataGenerator().flow_from_directory(folder, (5, 4), shuffle=False, **options)[0]

    sparse, binary = (batch(class_mode=mode)[1] for mode in ("sparse", "binary"))
    assert (sparse.dtype, binary.dtype) == (np.int32, np.float32)
    assert sparse.tolist() == binary.tolist() == [0] * 5 + [1] * 5
    x, same = batch(class_mode="input")
    np.testing.assert_array_equal(x, same)
    assert batch(class_mode=None).shape == (10, 5, 4, 3)
    assert batch(classes=["yes"], class_mode="sparse")[1].tolist() == [0] * 5
    with pytest.raises(ArgumentError, match="needs two classes"):
        batch(classes=["yes"], class_mode="binary")
    with pytest.raises(ArgumentError, match="class_mode must be one of"):
        batch(class_mode="multi")


def test_channels_first_and_grayscale(folder):
    images = ImageDataGenerator(data_format="channels_first", horizontal_flip=True)
    flow = images.flow_from_directory(folder, (5, 4), "grayscale")
    assert flow.image_shape == flow[0][0].shape[1:] == (1, 5, 4)


def test_subsets_split_each_class(folder):
    images = ImageDataGenerator(validation_split=0.4)
    parts = {s: images.flow_from_directory(folder, subset=s) for s in ("training", "validation")}
    assert [(p.samples, np.bincount(p.classes).tolist()) for p in parts.values()] == [
        (6, [3, 3]),
        (4, [2, 2]),
    ]
    assert not set(parts["training"].filenames) & set(parts["validation"].filenames)


def test_folder_without_classes(folder):
    flow = ImageDataGenerator().flow_from_directory(folder / "yes", (5, 4), class_mode=None)
    assert flow[0].shape == (5, 5, 4, 3)


def model():
    net = graphc.Sequential([graphc.Input((5, 4, 3)), Flatten(), Dense(2, activation="softmax")])
    net.compile("sgd", "categorical_crossentropy")
    return net


def test_fit_evaluate_predict(folder):
    flow = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True).flow_from_directory(
        folder, (5, 4), seed=1
    )
    net = model()
    history = net.fit(flow, epochs=3, validation_data=flow, verbose=0)
    assert len(history.history["val_loss"]) == 3
    assert net.fit(flow, epochs=2, steps_per_epoch=2, verbose=0).epoch == [0, 1]
    still = ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        folder, (5, 4), shuffle=False, class_mode=None
    )
    np.testing.assert_array_equal(net.predict(still, verbose=0), net.predict(still[0], verbose=0))
    del flow
    assert [t for t in threading.enumerate() if t.name.startswith("graphc-read")] == []


def test_same_seed_trains_to_the_same_bits(folder):
    def weights():
        utils.set_random_seed(0)
        net = model()
        net.fit(
            ImageDataGenerator(**ALL).flow_from_directory(folder, (5, 4), batch_size=3), epochs=3, verbose=0
        )
        return b"".join(w.tobytes() for w in net.get_weights())

    assert weights() == weights()


@pytest.mark.parametrize("steps", [None, 3])
@pytest.mark.parametrize("stop", [(0, 2), (1, 0), (2, 1)])
def test_interrupted_training_goes_on_to_the_same_bits(folder, tmp_path_factory, steps, stop):
    class Interrupt(graphc.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.epoch = getattr(self, "epoch", -1) + (batch == 0)
            if (self.epoch, batch) == stop:
                raise KeyboardInterrupt

    def train(*callbacks):
        utils.set_random_seed(0)
        net = model()
        flow = ImageDataGenerator(**ALL).flow_from_directory(folder, (5, 4), batch_size=3)
        net.fit(flow, epochs=4, steps_per_epoch=steps, callbacks=list(callbacks), verbose=0)
        return b"".join(w.tobytes() for w in net.get_weights())

    def backup():
        return graphc.callbacks.BackupAndRestore(path, save_freq=1)

    path = tmp_path_factory.mktemp("backup")
    whole = train()
    with pytest.raises(KeyboardInterrupt):
        train(backup(), Interrupt())
    assert train(backup()) == whole


def test_damaged_file_is_named(folder):
    (folder / "yes" / "2.png").write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"yes.2\.png"):
        model().fit(ImageDataGenerator().flow_from_directory(folder, (5, 4)), verbose=0)
