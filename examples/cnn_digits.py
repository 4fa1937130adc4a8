"""A convolutional network on real digits.

graphc run examples/cnn_digits.py
"""

import time

from graphc import Input, Sequential, utils
from graphc.datasets import mnist_5k
from graphc.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D

utils.set_random_seed(0)
(x_train, y_train), (x_test, y_test) = mnist_5k.load_data()
x_train, x_test = (a[..., None].astype("float32") / 255 for a in (x_train, x_test))

model = Sequential(
    [
        Input((28, 28, 1)),
        Conv2D(32, 3, activation="relu"),
        MaxPooling2D(2),
        Conv2D(64, 3, activation="relu"),
        MaxPooling2D(2),
        Dropout(0.25),
        Flatten(),
        Dense(128, activation="relu"),
        Dropout(0.5),
        Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.summary()

start = time.perf_counter()
model.fit(x_train, y_train, batch_size=64, epochs=5, validation_data=(x_test, y_test))
print(f"trained in {time.perf_counter() - start:.1f} s")
_, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"held-out accuracy: {100 * accuracy:.1f} %  ({len(x_test)} digits that training never saw)")
