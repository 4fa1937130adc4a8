"""Running pending nodes in a recording: NumPy's own functions, in program order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from graphc.npjit.log import Node
from graphc.npjit.warned import noticing


def run_nodes(
    log: list[Node],
    start: int,
    noticed: Callable[[], None],
    check: Callable[[Node], None] | None = None,
) -> tuple[int, Exception | None]:
    """Compute the nodes of `log` from `start` on; (how far it came, the exception that stopped it).

    `noticed` is called where NumPy warns of a floating-point error, `check` with each node that has run.
    """
    i = start
    try:
        with noticing(lambda: log[i], noticed):
            while i < len(log):
                log[i].run()
                if check is not None:
                    check(log[i])
                i += 1
    except Exception as error:  # the user's, at its place in the program
        return i, error
    return i, None


def preserve(log: Sequence[Node], real: np.ndarray, history: Sequence[tuple[int, Node]]) -> None:
    """Before `real` is overwritten: private copies for the recorded values in its memory, which
    gradients read."""
    for node in [*(n for _, n in history), *log]:
        v = node.value
        if type(v) is np.ndarray and np.may_share_memory(v, real):
            node.value = v.copy(order="K")
