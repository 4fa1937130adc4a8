"""Running pending nodes in a recording: NumPy's own functions, in program order."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.ir.errors import StateError
from graphc.npjit.log import Meta, Node, Parts, nodes_in
from graphc.npjit.warned import noticing

LARGE = 1 << 14
"""Elements of a value that is worth dropping as soon as nobody needs it."""


class Lost:
    """The value of a node that nothing referred to when it was computed, or dropped."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise StateError("a value inside of a compiled piece was asked for")

    __array_ufunc__ = None


LOST = Lost()


def is_large(meta: Any) -> bool:
    """Whether a value may take much memory."""
    if isinstance(meta, Parts):
        return any(map(is_large, meta.parts))
    if not isinstance(meta, Meta) or meta.kind != "array":
        return False
    return None in meta.shape or math.prod(meta.shape) >= LARGE


def last_uses(nodes: Sequence[Node], kept: Collection[Node]) -> dict[int, list[Node]]:
    """Position -> large values that no node behind it needs, without those that are kept."""
    last = {n: i for i, n in enumerate(nodes) if n not in kept and is_large(n.meta)}
    if last:
        for i, node in enumerate(nodes):
            for used in nodes_in([node.args, node.kwargs or {}]):
                if used in last:
                    last[used] = i
    found: dict[int, list[Node]] = {}
    for n, i in last.items():
        found.setdefault(i, []).append(n)
    return found


def run_nodes(
    log: list[Node],
    start: int,
    noticed: Callable[[], None],
    check: Callable[[Node], None] | None = None,
    dropped: Mapping[int, list[Node]] | None = None,
) -> tuple[int, Exception | None]:
    """Compute the nodes of `log` from `start` on; (how far it came, the exception that stopped it).

    `noticed` is called where NumPy warns of a floating-point error, `check` with each node that has run;
    `dropped`: which values go behind which node, counted from `start`.
    """
    i = start
    try:
        with noticing(lambda: log[i], noticed):
            while i < len(log):
                log[i].run()
                if check is not None:
                    check(log[i])
                for node in dropped.get(i - start, ()) if dropped else ():
                    node.value = LOST
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
