"""What a backend makes of a graph: something that runs on checked arrays.

`Compiled` does the rest: arguments, sizes, and the shape of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from graphc.codegen.signature import Sizes

Arrays = Sequence[np.ndarray]


class Runner(Protocol):
    """A program with the arrays of its weights. Several threads may call it at once.

    `fast` is a function of a call's arguments with the call's result, or with NotImplemented where `run`
    must look; None if the backend has no such short cut.
    """

    fast: Callable[..., Any] | None

    def run(self, inputs: Arrays, sizes: Sizes) -> tuple[np.ndarray, ...]:
        """Compute fresh outputs and update the weights in place; a failure raises and changes nothing."""
        ...


class Program(Protocol):
    """Compiled code of one graph, for any arrays of weights."""

    def bind(self, weights: Arrays) -> Runner:
        """The program on these weights, which are kept by reference."""
        ...


def result_of(outputs: Arrays) -> Any:
    """What a call returns for these outputs: one array or a tuple, NumPy scalars where there are no
    dimensions.
    """
    values = tuple(o if o.ndim else o[()] for o in outputs)
    return values[0] if len(values) == 1 else values
