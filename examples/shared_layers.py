"""A graph of layers: two digits through one shared layer, a gate, and two outputs with a loss each.

The model sees two digits and says whether they are the same one, and what their sum is.

    graphc run examples/shared_layers.py
"""

from __future__ import annotations

import numpy as np

import graphc
from graphc import Input, Model, layers
from graphc.datasets import mnist_5k


def pairs(images: np.ndarray, labels: np.ndarray, count: int, seed: int) -> tuple[dict, dict]:
    """Pairs of digits, every other one of the same class; whether they are, and their sum."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, len(labels), (2, count))
    by_class = [np.flatnonzero(labels == c) for c in range(10)]
    for i in range(0, count, 2):
        second[i] = rng.choice(by_class[labels[first[i]]])
    same = (labels[first] == labels[second]).astype("float32")
    total = (labels[first].astype("float32") + labels[second]) / 18
    return {"left": images[first], "right": images[second]}, {"same": same, "total": total}


def make_model() -> Model:
    left, right = Input((784,), name="left"), Input((784,), name="right")
    look = layers.Dense(64, activation="relu", name="look")
    name_it = layers.Dense(32, activation="relu", name="name_it")
    a, b = name_it(look(left)), name_it(look(right))
    difference = layers.Subtract(name="difference")([a, b])
    gate = layers.Dense(32, activation="sigmoid", name="gate")(difference)
    opened = layers.Multiply(name="opened")([gate, difference])
    squares = layers.Multiply(name="squares")([opened, opened])
    same = layers.Dense(1, activation="sigmoid", name="same")(squares)
    total = layers.Dense(1, name="total")(layers.Concatenate(name="both")([a, b]))
    return Model([left, right], [same, total], name="pairs")


def main() -> None:
    graphc.set_random_seed(0)
    (x, y), (x_test, y_test) = mnist_5k.load_data()
    x, x_test = (a.reshape(-1, 784).astype("float32") / 255 for a in (x, x_test))

    model = make_model()
    model.summary()
    model.compile(
        "adam",
        {"same": "binary_crossentropy", "total": "mse"},
        metrics={"same": ["accuracy"]},
        loss_weights={"same": 1.0, "total": 5.0},
    )
    model.fit(*pairs(x, y, 8000, seed=1), batch_size=64, epochs=8)
    inputs, targets = pairs(x_test, y_test, 2000, seed=2)
    found = model.evaluate(inputs, targets, verbose=0, return_dict=True)
    print(f"\npairs never seen: same or not is right in {100 * found['same_accuracy']:.1f} %,")
    print(f"and the sum is wrong by {18 * found['total_loss'] ** 0.5:.2f} (root of the mean square)")


if __name__ == "__main__":
    main()
