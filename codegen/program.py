"""What a backend makes of a graph: something that runs on checked arrays.

`Compiled` does the rest: arguments, sizes, weights and the shape of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from graphc.codegen.signature import Sizes

Arrays = Sequence[np.ndarray]


class Program(Protocol):
    """Runs one graph. Both methods may be called by several threads at once."""

    def run(self, inputs: Arrays, weights: Arrays, sizes: Sizes) -> tuple[np.ndarray, ...]:
        """Compute fresh outputs and update `weights` in place; a failure raises and changes nothing."""
        ...

    def fast(self, weights: Arrays) -> Callable[..., Any] | None:
        """A function of the call's arguments with a call's result, or with NotImplemented where `run` must
        look.

        None if the backend has no such short cut.
        """
        ...


def commit(weights: Arrays, new: dict[int, np.ndarray]) -> None:
    """Write new values of weights, by their index, in place."""
    for index, value in new.items():
        np.copyto(weights[index], value, casting="no")
