"""Operations as functions: of symbolic tensors (they become part of the model), of arrays (computed at once),
and inside `call`.

    >>> import numpy as np
    >>> from graphc import ops
    >>> ops.matmul(np.ones((2, 3), "float32"), np.ones((3, 1), "float32")).tolist()
    [[3.0], [3.0]]

`dispatch` is what all of them share, `promotion` the rules for element types; then one file per family:
`elementwise`, `reduce`, `shape`, `index`, `linear`, `creation`, `neural`, `window`; random ones are in
`graphc.randomness`. Names are those of NumPy and of `keras.ops`.
"""

from __future__ import annotations

from typing import Any

from graphc.ops import creation, elementwise, index, linear, neural, reduce, window
from graphc.ops import shape as _shape
from graphc.ops.dispatch import OPERATIONS

FAMILIES = (elementwise, reduce, _shape, index, linear, creation, neural, window)
"""The modules that define operations."""

for _family in FAMILIES:
    globals().update(
        {name: f for name, f in vars(_family).items() if OPERATIONS.get(getattr(f, "__name__", "")) is f}
    )
    globals().update(getattr(_family, "FUNCTIONS", {}))

pow = OPERATIONS["power"]
conj = OPERATIONS["positive"]


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module 'graphc.ops' has no operation {name!r}")
