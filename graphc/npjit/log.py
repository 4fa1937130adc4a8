"""The log of a recording: one node for each NumPy operation, in the order of the program.

    Meta     what is known of a value before it is computed: kind, dtype, shape, strides
    Node     one operation; its `args` may nest tuples, lists, slices and dicts, whose leaves are nodes,
             `Num`s (`values.py`), the mark PLACE, and constants
    Chain    the steps from a piece of memory to a view of it

The meaning of a node is `fn(*args, **kwargs)` on real values. Three functions have a special form:

    follow(base, chain)                      the view of `base` that the chain leads to
    mutate(base, chain, fn, args, kwargs)    a new version of `base`, in which fn(view, ...) was done
    pick(result, i)                          one of several results

An input is a node without `fn`: its `var` names the path, its `value` is what the recorded call found there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Step = tuple[Callable[..., Any], tuple[Any, ...], "dict[str, Any] | None"]
"""One step of a chain: function, arguments (PLACE stands for the array that is viewed), keywords."""


class Meta(NamedTuple):
    """What is known of a value. `kind` is one of

    "array"    an ndarray of `dtype` (np.dtype), `shape` and `strides`; None in a shape: depends on data
    "scalar"   a NumPy scalar: `dtype` (np.dtype), shape ()
    "python"   a float, int, bool or complex: `dtype` is that class
    "none"     None
    "object"   any other Python object
    """

    kind: str
    dtype: Any = None
    shape: Any = None
    strides: Any = None


OBJECT, NONE = Meta("object"), Meta("none")


def foreign(dtype: np.dtype) -> bool:
    """Whether values of these elements can't be deferred: objects, dates, texts, records."""
    return dtype.hasobject or dtype.kind in "VMmUS"


class Parts(NamedTuple):
    """The metas of several results; `cls` is the tuple or list class that holds them."""

    cls: type
    parts: tuple[Any, ...]


class Place:
    """Stands for the viewed array in a step of a chain, and for the view in a mutation's arguments."""

    def __repr__(self) -> str:
        return "PLACE"


PLACE = Place()


class Chain(tuple[Step, ...]):
    """The steps from the base of a storage to a view; evaluated by `follow` alone."""


class Node:
    """One recorded operation. `line` is the user's "file:line"; `impure` ones are never dropped nor moved."""

    __slots__ = ("args", "fn", "impure", "kwargs", "line", "meta", "origin", "quiet", "value", "var")

    def __init__(
        self,
        fn: Callable[..., Any] | None,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
        meta: Meta | Parts = OBJECT,
        impure: bool = False,
        line: str = "",
    ) -> None:
        self.fn, self.args, self.kwargs, self.meta = fn, args, kwargs, meta
        self.impure, self.line = impure, line
        self.value: Any = None
        self.var: str | None = None
        self.quiet = False  # whether NumPy's warnings of it are nobody's business
        self.origin: Node | None = None  # of an input: the node whose value a break wrote there

    def run(self) -> None:
        """Compute the value from those of the arguments, by NumPy.

        A change in place that fails leaves what it has done so far in `value`.
        """
        assert self.fn is not None
        if self.fn is mutate:
            base, *change = [evaluate(a) for a in self.args]
            self.value = base.copy(order="K")
            changed(self.value, *change)
            return
        keywords = {n: evaluate(v) for n, v in self.kwargs.items()} if self.kwargs else {}
        self.value = self.fn(*[evaluate(a) for a in self.args], **keywords)

    def __repr__(self) -> str:
        name = getattr(self.fn, "__name__", self.fn) if self.fn is not None else f"input {self.var}"
        return f"<{name}: {self.meta}>"


class Valued:
    """A leaf with a `value`: what `Num` derives from."""

    __slots__ = ()
    value: Any


def evaluate(a: Any, place: Any = None) -> Any:
    """An argument with the values of its nodes and Nums; `place` takes the place of PLACE."""
    t = type(a)
    if t is Node or isinstance(a, Valued):
        return a.value
    if t is Place:
        return a if place is None else place
    if t is tuple:
        return tuple([evaluate(x, place) for x in a])
    if t is list:
        return [evaluate(x, place) for x in a]
    if t is slice:
        return slice(evaluate(a.start), evaluate(a.stop), evaluate(a.step))
    if t is dict:
        return {k: evaluate(v, place) for k, v in a.items()}
    return a


def follow(base: Any, chain: Sequence[Step]) -> Any:
    """The view of `base` that the chain leads to."""
    for fn, args, kwargs in chain:
        base = fn(*[evaluate(a, base) for a in args], **(evaluate(kwargs) if kwargs else {}))
    return base


def window(
    base: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """The first step of arrays that are views of one owner: `offset` in bytes."""
    return np.ndarray(shape, dtype, base, offset, strides)


def mutate(
    base: np.ndarray,
    chain: Sequence[Step],
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> np.ndarray:
    """A new version of `base`, in which fn(view, *args) was done to the view (PLACE among the arguments)."""
    new = base.copy(order="K")
    changed(new, chain, fn, args, kwargs)
    return new


def changed(
    memory: np.ndarray,
    chain: Sequence[Step],
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> None:
    """Do fn(view, *args) to the view of `memory` that the chain leads to."""
    view = follow(memory, chain)
    fn(*[view if type(a) is Place else a for a in args], **kwargs)


def pick(results: Sequence[Any], i: int) -> Any:
    """One of several results."""
    return results[i]


def replaced(a: Any, table: Mapping[Node, Any]) -> Any:
    """An argument with others in the place of some nodes."""
    t = type(a)
    if t is Node:
        return table.get(a, a)
    if t is tuple or t is list or t is Chain:
        return t([replaced(x, table) for x in a])
    if t is slice:
        return slice(replaced(a.start, table), replaced(a.stop, table), replaced(a.step, table))
    if t is dict:
        return {k: replaced(v, table) for k, v in a.items()}
    return a


def apart(nodes: Sequence[Node]) -> dict[Node, Node]:
    """Copies of nodes that stand on their own: what others computed comes in as an input."""
    made: dict[Node, Node] = {}
    for node in nodes:
        for used in nodes_in([node.args, node.kwargs or {}]):
            if used.fn is not None and used not in made:
                made[used] = Node(None, meta=used.meta)
        copy = Node(
            node.fn,
            [replaced(a, made) for a in node.args],
            replaced(node.kwargs, made),
            node.meta,
            node.impure,
            node.line,
        )
        copy.quiet, made[node] = node.quiet, copy
    return made


def source(node: Node) -> Node:
    """The node that computed the memory which a break wrote back."""
    while node.fn is None and node.origin is not None:
        node = node.origin
    return node


def nodes_in(a: Any, more: type = Node) -> Iterator[Any]:
    """The nodes in an argument, and what is of class `more`."""
    t = type(a)
    if t is Node or t is more:
        yield a
    elif isinstance(a, (tuple, list)):
        for x in a:
            yield from nodes_in(x, more)
    elif t is slice:
        yield from nodes_in((a.start, a.stop, a.step), more)
    elif t is dict:
        yield from nodes_in(list(a.values()), more)


def operands(a: Any) -> Iterator[Node]:
    """The nodes that computed what is in an argument."""
    return map(source, nodes_in(a))
