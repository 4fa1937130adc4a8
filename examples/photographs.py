"""Remove noise from photographs: trained on small patches of one, applied to the whole of another.

The network takes images of any size. The photographs come with scikit-learn: a temple in China by
danielbuechele and a flower by vultilion, under the licence CC BY 2.0.

graphc run examples/photographs.py
python examples/photographs.py folder-for-pictures
"""

import sys
import time
from pathlib import Path

import numpy as np

from graphc import Input, Model, utils
from graphc.layers import Add, Conv2D

try:
    from sklearn.datasets import load_sample_image
except ImportError:
    print("This example takes photographs that come with scikit-learn: pip install scikit-learn pillow")
    sys.exit(0)

NOISE, PATCH = 25 / 255, 32


def noisy(images, rng):
    return (images + rng.normal(0, NOISE, images.shape)).astype("float32")


def patches(photograph, count, rng):
    """Squares from all over a photograph, half of them mirrored."""
    rows = rng.integers(photograph.shape[0] - PATCH, size=count)
    columns = rng.integers(photograph.shape[1] - PATCH, size=count)
    found = np.array([photograph[r : r + PATCH, c : c + PATCH] for r, c in zip(rows, columns)])
    found[::2] = found[::2, :, ::-1]
    return found


def decibels(image, truth):
    """The ratio of signal to noise: greater is better."""
    return -10 * np.log10(np.mean((np.clip(image, 0, 1) - truth) ** 2))


utils.set_random_seed(0)
rng = np.random.default_rng(0)
temple, flower = (load_sample_image(f"{name}.jpg").astype("float32") / 255 for name in ("china", "flower"))

picture = Input((None, None, 3), name="picture")
x = Conv2D(24, 3, padding="same", activation="relu")(picture)
x = Conv2D(24, 3, padding="same", activation="relu")(x)
noise = Conv2D(3, 3, padding="same", kernel_initializer="zeros", name="noise")(x)
model = Model(picture, Add()([picture, noise]), name="denoiser")
model.summary()

clean = patches(temple, 1024, rng)
model.compile("adam", "mse")
start = time.perf_counter()
model.fit(noisy(clean, rng), clean, batch_size=16, epochs=6)
print(f"trained on {len(clean)} patches of {PATCH} x {PATCH} in {time.perf_counter() - start:.1f} s")

given = noisy(flower, rng)
found = model.predict(given[None], verbose=0)[0]
height, width = flower.shape[:2]
print(
    f"a photograph of {width} x {height} that training never saw: "
    f"{decibels(given, flower):.1f} dB with noise, {decibels(found, flower):.1f} dB after the network"
)
if len(sys.argv) > 1:
    for name, image in (("noisy", given), ("denoised", found)):
        path = Path(sys.argv[1], f"flower_{name}.png")
        utils.save_img(path, 255 * np.clip(image, 0, 1), scale=False)
        print(f"written: {path}")
