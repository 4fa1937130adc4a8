"""Transfer learning: InceptionV3 with a new classifier; the base frozen first, then its kernels trained, too.

The images are generated. Without a file of weights that were trained on ImageNet the base has random ones:

    graphc run examples/transfer_learning.py
    python examples/transfer_learning.py inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5
"""

import sys
import time

import numpy as np

from graphc import Model, optimizers, utils
from graphc.applications.inception_v3 import InceptionV3, preprocess_input
from graphc.layers import BatchNormalization, Dense, GlobalAveragePooling2D

SIZE = 75
FRUIT = {"lemon": (235, 205, 60), "lime": (110, 180, 60), "tomato": (205, 50, 40)}


def draw(name, rng):
    """A photograph, nearly, of a fruit of any place and size on a grey table."""
    radius = rng.uniform(15, 30)
    x, y = rng.uniform(radius, SIZE - radius, 2)
    columns, rows = np.meshgrid(np.arange(SIZE) - x, np.arange(SIZE) - y)
    inside = np.hypot(columns, rows) < radius
    colour, table = FRUIT[name] + rng.normal(0, 20, 3), np.full(3, rng.uniform(60, 220))
    return np.where(inside[..., None], colour, table) + rng.normal(0, 8, (SIZE, SIZE, 3))


class Images(utils.Sequence):
    """Batches of generated images with one-hot labels; the same ones in each epoch."""

    def __init__(self, batches, seed, batch_size=16):
        super().__init__()
        self.batches, self.seed, self.batch_size = batches, seed, batch_size

    def __len__(self):
        return self.batches

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, index))
        kinds = rng.integers(len(FRUIT), size=self.batch_size)
        images = np.array([draw(list(FRUIT)[k], rng) for k in kinds], "float32")
        return preprocess_input(np.clip(images, 0, 255)), np.eye(len(FRUIT), dtype="float32")[kinds]


def settle(base, images):
    """Give batch normalization the statistics of these images, which trained weights come with."""
    norms = [layer for layer in base.layers if isinstance(layer, BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
    base(images, training=True)
    for layer in norms:
        layer.momentum = 0.99


def fit(model, optimizer, batches, epochs):
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    trained = sum(w.size for w in model.trainable_weights)
    print(f"{trained:,} of {model.count_params():,} parameters are trained")
    model.fit(Images(batches, seed=1), epochs=epochs, validation_data=Images(4, seed=2))


utils.set_random_seed(0)
start = time.perf_counter()
weights = sys.argv[1] if len(sys.argv) > 1 else None
base = InceptionV3(include_top=False, input_shape=(SIZE, SIZE, 3), weights=weights)
x = GlobalAveragePooling2D()(base.output)
model = Model(base.input, Dense(len(FRUIT), activation="softmax")(x))
print(f"{len(model.layers)} layers made in {time.perf_counter() - start:.2f} s")
if weights is None:
    settle(base, Images(1, seed=3, batch_size=64)[0][0])

base.trainable = False
fit(model, "adam", batches=20, epochs=4)
for layer in base.layers:
    layer.trainable = not isinstance(
        layer, BatchNormalization
    )  # whose statistics so small batches would spoil
fit(model, optimizers.SGD(0.01, global_clipnorm=0.1), batches=5, epochs=1)
print(f"all in {time.perf_counter() - start:.0f} s")
