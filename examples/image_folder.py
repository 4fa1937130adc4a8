"""Train on a folder of image files, which a thread decodes while the model computes.

The digits that ship with graphc are written as PNG files, a sub-folder for each class, and read back.

graphc run examples/image_folder.py
"""

import sys
import tempfile
import time
from pathlib import Path

from graphc import Input, Sequential, utils
from graphc.datasets import mnist_5k
from graphc.layers import Conv2D, Dense, Flatten, MaxPooling2D, Rescaling

try:
    import PIL  # noqa: F401 - only whether it is there
except ImportError:
    print("This example writes and reads image files with Pillow: pip install graphc[images]")
    sys.exit(0)


def write_images(folder, images, labels):
    """One PNG file per image, in a sub-folder named after its class."""
    for number, (image, label) in enumerate(zip(images, labels)):
        path = Path(folder, f"digit_{label}", f"{number:04}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        utils.save_img(path, image[..., None], scale=False)


utils.set_random_seed(0)
(x_train, y_train), (x_test, y_test) = mnist_5k.load_data()

with tempfile.TemporaryDirectory() as folder:
    write_images(f"{folder}/train", x_train, y_train)
    write_images(f"{folder}/test", x_test, y_test)
    options = {"color_mode": "grayscale", "image_size": (28, 28), "batch_size": 64}
    training = utils.image_dataset_from_directory(f"{folder}/train", seed=0, **options)
    held_out = utils.image_dataset_from_directory(f"{folder}/test", shuffle=False, **options)
    print(f"{training.samples} files for training, {held_out.samples} held out: {training.class_names}")

    model = Sequential(
        [
            Input((28, 28, 1)),
            Rescaling(1 / 255),
            Conv2D(16, 3, activation="relu"),
            MaxPooling2D(2),
            Flatten(),
            Dense(64, activation="relu"),
            Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    start = time.perf_counter()
    model.fit(training, epochs=3, validation_data=held_out)
    print(f"trained in {time.perf_counter() - start:.1f} s")
    _, accuracy = model.evaluate(held_out, verbose=0)
    print(f"held-out accuracy: {100 * accuracy:.1f} %  ({held_out.samples} digits that training never saw)")
