"""Operations of one's own: a formula that is fused and differentiated, and a function of whole arrays.

graphc run examples/custom_op.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc
from graphc import Input, Sequential, layers


@graphc.op
def snake(x: Any) -> Any:
    """x + sin(x)^2: a scalar formula, so its gradient is found and both become part of the kernels."""
    return x + np.sin(x) ** 2


@graphc.op(infer=lambda x: (x.shape, x.dtype), vjp=lambda x, out, ct: (np.sort(ct, axis=-1),))
def ascending(x: np.ndarray) -> np.ndarray:
    """Each row sorted: a NumPy function of whole arrays, called between kernels."""
    return np.sort(x, axis=-1)


def main() -> None:
    graphc.set_random_seed(0)
    x = np.linspace(-4, 4, 512, dtype="float32")[:, None]
    y = np.sin(3 * x)
    model = Sequential(
        [
            Input((1,)),
            layers.Dense(64, activation=snake),
            layers.Dense(64, activation=snake),
            layers.Dense(1),
        ],
        name="waves",
    )
    model.compile(graphc.optimizers.Adam(0.005), "mse")
    loss = model.fit(x, y, batch_size=64, epochs=200, verbose=0).history["loss"]
    print(f"sin(3 x) by a network of snakes: loss {loss[0]:.3f} -> {loss[-1]:.5f}\n")

    print("The formula is part of the kernel of its layer:\n")
    print(graphc.compile(model).ir("final"))
    print("\nOn arrays, an operation computes at once:", ascending(np.array([[3.0, 1.0, 2.0]], "f4")))


if __name__ == "__main__":
    main()
