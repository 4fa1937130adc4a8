"""Train a digit classifier on real digits, look at its compiled training step, and time it beside NumPy.

graphc run examples/digits.py
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one thread for NumPy too, before it is loaded

import numpy as np

import graphc
from graphc import Input, Sequential, utils
from graphc.datasets import mnist_5k
from graphc.layers import Dense

BATCH, RATE = 128, 0.1


def numpy_step(weights: list[np.ndarray], x: np.ndarray, labels: np.ndarray) -> None:
    """The same training step, written by hand: two hidden layers, softmax cross-entropy, plain SGD."""
    h = [x]
    for i in (0, 2, 4):
        z = h[-1] @ weights[i] + weights[i + 1]
        h.append(np.maximum(z, 0) if i < 4 else z)
    e = np.exp(h[3] - h[3].max(axis=1, keepdims=True))
    d = e / e.sum(axis=1, keepdims=True)
    d[np.arange(len(x)), labels] -= 1
    d /= np.float32(len(x))
    for i in (4, 2, 0):
        below = (d @ weights[i].T) * (h[i // 2] > 0) if i else d
        weights[i] -= np.float32(RATE) * (h[i // 2].T @ d)
        weights[i + 1] -= np.float32(RATE) * d.sum(axis=0)
        d = below


def seconds_each(functions: dict[str, object], rounds: int = 40) -> dict[str, float]:
    """The least time of each function, taken in turns so that a slow moment of the machine hits all alike."""
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()  # type: ignore[operator]
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def main() -> None:
    utils.set_random_seed(0)
    (x, y), (x_test, y_test) = mnist_5k.load_data()
    x, x_test = (a.reshape(-1, 784).astype("float32") / 255 for a in (x, x_test))
    y = y.astype("int64")

    model = Sequential(
        [
            Input((784,)),
            Dense(512, activation="relu"),
            Dense(256, activation="relu"),
            Dense(10, activation="softmax"),
        ],
        name="digits",
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.summary()
    model.fit(x, y, batch_size=BATCH, epochs=10)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"\nheld-out accuracy: {100 * accuracy:.1f} %  ({len(x_test)} digits that training never saw)\n")

    timed = graphc.models.clone_model(model)
    timed.layers[-1].activation = graphc.activations.linear
    loss = graphc.losses.SparseCategoricalCrossentropy(from_logits=True)
    timed.compile(graphc.optimizers.SGD(RATE), loss)
    step = graphc.compile(timed, step="train")
    print("The training step of the same network with plain SGD, stage by stage, and fused at the end:\n")
    print(step.stages(), "\n")
    print(step.ir("final"))

    xb, yb = np.ascontiguousarray(x[:BATCH]), np.ascontiguousarray(y[:BATCH])
    weights = [w.copy() for w in timed.get_weights()]
    step(xb, yb)
    times = seconds_each({"graphc": lambda: step(xb, yb), "NumPy": lambda: numpy_step(weights, xb, yb)})
    ours, plain = times["graphc"], times["NumPy"]
    print(
        f"\none step of {BATCH} digits, one thread:  graphc {1e3 * ours:.2f} ms,  NumPy {1e3 * plain:.2f} ms"
    )
    print(f"graphc is {plain / ours:.1f} times as fast")


if __name__ == "__main__":
    main()
