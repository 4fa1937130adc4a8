"""Windows that move: slices like `x[k:k + b]` whose bounds are run-time numbers.

The first recording guards the bounds by value. Where a later one finds at the same place a slice of the same
length with other bounds, these move from call to call: then only the length is guarded, so that one recording
does an epoch of batches. A window is taken by a step of its own, which clips its bounds as Python does; what
else an index says comes after it.
"""

from __future__ import annotations

import operator
import types
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from graphc.npjit.infer import infer, meta_of
from graphc.npjit.inputs import where
from graphc.npjit.log import Meta, Node
from graphc.npjit.pending import Pending
from graphc.npjit.rewrite import OURS
from graphc.npjit.values import Num, Sym


class Windows(Pending):
    """The part of a recording that takes windows."""

    line: str

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.visits: Counter[str] = Counter()
        self.freed: set[tuple[str | None, ...]] = set()

    def moves(self, bounds: Sequence[Any], length: Any) -> bool:
        """Whether numbers move from call to call, so that they are not guarded."""
        texts = tuple([b.expr if type(b) is Num else None for b in bounds])
        values = tuple([b.value if type(b) is Num else b for b in bounds])
        line = self.line or where()
        site = line, self.visits[line]
        self.visits[line] += 1
        if texts in self.freed:
            return True
        held = all(f"{b.expr} != {b.value!r}" in self.lines for b in bounds if type(b) is Num)
        if not self.pieces.moves.moves(site, values, length) or held:
            return False
        self.freed.add(texts)
        return True

    def is_renewed(self, f: types.FunctionType, path: str) -> bool:
        return f.__code__ not in OURS and self.pieces.moves.moves((path, -1), id(f), id(f.__code__))

    def windowed(self, x: Any, key: Any) -> tuple[Any, Any]:
        """An array and an index of it, after its moving windows are taken: what is left of the index.

        An index of which nothing is left is `...`.
        """
        entries = list(key) if type(key) is tuple else [key]
        if not any(map(self._is_candidate, entries)):
            return x, key
        s = x if type(x) is Sym else self.array(x, None)
        axes = axes_of(entries, s.meta) if s.meta.kind == "array" else None
        if axes is None:
            return x, key
        taken = False
        for i, axis in axes:
            if not self._is_candidate(entries[i]) or s.meta.shape[axis] is None:
                continue
            bounds = self._steady_step(entries[i])
            size = s.meta.shape[axis]
            length = len(range(size)[_real(bounds)])
            if self.moves((bounds.start, bounds.stop, bounds.step, axis), length):
                s, taken = self._window(s, axis, bounds, length), True
                entries[i] = slice(None)
        if not taken:
            return x, key
        whole = all(type(e) is type(...) or (type(e) is slice and e == slice(None)) for e in entries)
        return s, ... if whole else tuple(entries)

    def _is_candidate(self, k: Any) -> bool:
        """Whether an entry of an index is a slice by numbers, at least one of which may move."""
        if type(k) is not slice:
            return False
        if not all(b is None or _is_int(b) for b in (k.start, k.stop, k.step)) or _real(k).step == 0:
            return False
        return any(type(b) is Num and not self._is_size(b) for b in (k.start, k.stop))

    def _is_size(self, num: Num) -> bool:
        return num.other is not None and bool(self.all_symbols)

    def _steady_step(self, k: slice) -> slice:
        return slice(k.start, k.stop, k.step.steer() if type(k.step) is Num else k.step)

    def _window(self, s: Sym, axis: int, k: slice, length: int) -> Any:
        """The part of s that a slice takes along one axis."""
        index: Any = k if not axis else (*[slice(None)] * axis, k)
        tree, alias = infer(operator.getitem, (s, index), {}, True)
        assert isinstance(tree, Meta)
        size = self.shape_of(s)[axis]
        texts = [_text(b) for b in (k.start, k.stop, k.step)]
        self.guard(f"len(range({_text(size)})[{':'.join(t or '' for t in texts)}]) != {length}")
        shadow = None
        if s.shadow is not None:
            sizes = [*s.shadow.shape[:axis], length, *s.shadow.shape[axis + 1 :]]
            steps = [*s.shadow.strides]
            steps[axis] *= tree.strides[axis] // s.meta.strides[axis] if s.meta.strides[axis] else 1
            shadow = tree._replace(shape=tuple(sizes), strides=tuple(steps))
            shadow = shadow if shadow != tree else None
        if alias is None:  # nothing, or what shares no memory
            node = self.add(Node(operator.getitem, [self.read(s), self.lower(index)], None, tree))
            return self.result(node, tree, shadow)
        return self.aliased(operator.getitem, (s, index), {}, tree, alias, shadow)

    def lower(self, a: Any) -> Any:
        raise AssertionError("a recording has the log")

    def add(self, node: Node) -> Node:
        raise AssertionError("a recording has the log")

    def result(self, node: Node, tree: Any, shadow: Any = None) -> Any:
        raise AssertionError("a recording has the log")

    def aliased(self, *args: Any) -> Any:
        raise AssertionError("a recording has the log")


def _is_int(b: Any) -> bool:
    value = b.value if type(b) is Num else b
    return isinstance(value, int | np.integer) and type(value) is not bool


def _real(k: slice) -> slice:
    return slice(*[b.value if type(b) is Num else b for b in (k.start, k.stop, k.step)])


def _text(b: Any) -> str:
    return "" if b is None else b.expr if type(b) is Num else str(int(b))


def axes_of(entries: Sequence[Any], meta: Meta) -> list[tuple[int, int]] | None:
    """The slices of an index by their numbers, each with its axis; None where that can't be said."""
    used = [_axes_used(e) for e in entries]
    if None in used or sum(type(e) is type(...) for e in entries) > 1:
        return None
    rest = len(meta.shape) - sum(n for n in used if n is not None)
    if rest < 0:
        return None
    return list(_placed(entries, [n or 0 for n in used], rest))


def _placed(entries: Sequence[Any], used: Sequence[int], rest: int) -> Iterator[tuple[int, int]]:
    axis = 0
    for i, (e, n) in enumerate(zip(entries, used)):
        if type(e) is slice:
            yield i, axis
        axis += rest if type(e) is type(...) else n


def _axes_used(e: Any) -> int | None:
    """How many axes an entry of an index stands for; None where that is not plain."""
    if e is None or type(e) is type(...):
        return 0
    if type(e) is slice:
        return 1
    if type(e) is np.ndarray or (type(e) is Sym and e.meta.kind == "array"):
        meta = e.meta if type(e) is Sym else meta_of(e)
        return len(meta.shape) if meta.dtype == bool else 1
    if type(e) is Sym:
        return 1 if e.meta.kind in ("scalar", "python") and np.dtype(e.meta.dtype).kind in "iu" else None
    if type(e) is list:
        return None if any(isinstance(v, list | bool | np.bool_ | Sym) for v in e) else 1
    return 1 if _is_int(e) else None
