"""How much of `fit` is spent inside the native step: the digit model, batch 128, with and without the
progress bar.

    python benchmarks/fit.py
"""

from __future__ import annotations

from harness import one_thread, save

one_thread()

import time

import graphc
from graphc import datasets, forward
from graphc.layers import Dense

ROUNDS = 5


def share(verbose: int) -> float:
    """The largest share over some rounds of two epochs each."""
    (x, y), _ = datasets.mnist_5k.load_data()
    x, y = x.reshape(-1, 784).astype("float32") / 255, y.astype("int64")
    hidden = [Dense(512, activation="relu"), Dense(256, activation="relu")]
    model = graphc.Sequential([graphc.Input((784,)), *hidden, Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=128, verbose=0)
    inside = 0.0
    plain = forward.Bound.__call__

    def timed(bound: forward.Bound, arrays: list) -> list:
        nonlocal inside
        start = time.process_time()
        results = plain(bound, arrays)
        inside += time.process_time() - start
        return results

    best = 0.0
    forward.Bound.__call__ = timed  # type: ignore[method-assign]
    try:
        for _ in range(ROUNDS):
            inside, start = 0.0, time.process_time()
            model.fit(x, y, batch_size=128, epochs=2, verbose=verbose)
            best = max(best, inside / (time.process_time() - start))
    finally:
        forward.Bound.__call__ = plain  # type: ignore[method-assign]
    return best


if __name__ == "__main__":
    shares = {"verbose=0": share(0), "verbose=1": share(1)}
    for name, value in shares.items():
        print(f"fit on 4,000 digits, {name}: {100 * value:.1f} % of the time inside the native step")
    save("fit", [{"title": "share of fit inside the native step", **shares}])
