"""Values that known numbers alone decide: `np.arange(0, n, 32)[1]` needs no data, and no break.

Where Python needs such a value, the numbers that it was computed from are guarded, and it is a constant.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from graphc.npjit.log import Node, nodes_in, replaced
from graphc.npjit.values import Num

MOST = 200
"""Nodes that are looked at for one value: longer computations are data."""
SMALL = 4096
"""Elements of an array that is a constant."""
UNDETERMINED = object()


class Determined:
    """What is known of the nodes of one recording so far."""

    def __init__(self) -> None:
        self.values: dict[Node, Any] = {}
        self.data: set[Node] = set()

    def value(self, node: Node, numbers: list[Num]) -> Any:
        """The value, or UNDETERMINED if it depends on data; `numbers` gets the numbers that decide it."""
        order = self._order(node, numbers)
        if order is None:
            return UNDETERMINED
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                for n in order:
                    if n not in self.values:
                        self.values[n] = _computed(n, self.values)
        except Exception:  # it fails in its turn
            return UNDETERMINED
        return self.values[node]

    def _order(self, node: Node, numbers: list[Num]) -> list[Node] | None:
        """The nodes that the value is computed by, operands first; None if there are inputs among them."""
        order: list[Node] = []
        met: set[Node] = set()
        waiting: list[tuple[Node, bool]] = [(node, False)]
        while waiting:
            n, is_ready = waiting.pop()
            if is_ready:
                order.append(n)
                continue
            if n in met:
                continue
            met.add(n)
            if n.fn is None or n.impure or n in self.data or len(met) > MOST or not _is_small(n):
                self.data.update((node, n))
                return None
            waiting.append((n, True))
            for leaf in nodes_in([n.args, n.kwargs or {}], Num):
                if type(leaf) is Node:
                    waiting.append((leaf, False))
                else:
                    numbers.append(leaf)
        return order


def _is_small(node: Node) -> bool:
    shape = getattr(node.meta, "shape", None) or ()
    return all(n is not None for n in shape) and int(np.prod(shape, dtype=object)) <= SMALL


def _computed(node: Node, values: dict[Node, Any]) -> Any:
    """The value of a node whose operands have theirs."""
    alone = Node(node.fn, [replaced(a, values) for a in node.args], replaced(node.kwargs, values))
    alone.run()
    return alone.value
