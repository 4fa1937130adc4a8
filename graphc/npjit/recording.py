"""One recording of one call: the log of nodes, the effects, and the runs of what is pending (`pending`).

Containers and objects are the user's own and are written through at once; an undo list takes back what came
after a node that failed. Only slots that hold Syms or Nums are remembered as dirty: they get real values
before anyone else can look.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.npjit.current import runtime
from graphc.npjit.deciding import BY_ARRAYS, FIRST_TOO, by_array, decides, inside, known, name_of
from graphc.npjit.infer import Alias, ForeignError, Tree, UnknownError, masks, meta_of
from graphc.npjit.inputs import where
from graphc.npjit.known_sizes import Known
from graphc.npjit.log import OBJECT, PLACE, Chain, Meta, Node, Parts, follow, mutate, pick
from graphc.npjit.overlaps import before_change
from graphc.npjit.pieces import Pieces
from graphc.npjit.promotion import only_arithmetic
from graphc.npjit.shadows import part
from graphc.npjit.values import Num, Storage, Sym
from graphc.npjit.windows import Windows

LIMIT = 20_000
"""Nodes in one segment: then it is run, as at a break."""
WHOLE = 10 * LIMIT
"""The same while a gradient is recorded: each node has some more on the way back, and a segment in the middle
would be recorded at each call."""


SIZED_BY_FLOATS = (np.arange,)
"""Functions whose result has a size that a float decides."""
INDEXED = frozenset(["setitem", "at"])
"""Names of functions that change what an index names."""


class Recording(Windows):
    """See the module. `name` is that of the graphs which are made of it."""

    is_ahead = False
    name = "segment"

    def __init__(
        self,
        known: Known | None = None,
        pieces: Pieces | None = None,
        branching: bool = True,
    ) -> None:
        super().__init__(known, pieces, branching)
        self.line, self.quiet = "", False  # of what is recorded now, where it is known
        self.marks: list[list[int]] = []
        self.states: list[tuple[int, dict[str, Any]]] = []

    def taint(self, x: Any, node: Node) -> None:
        """An object that Python gets is differentiated like a call of an unknown function."""
        from graphc.npjit.foreign import Foreign

        self.tainted[id(x)] = Foreign.of(self, node)

    # ---- operations

    def read(self, s: Sym) -> Node:
        """The node of s as of now: views are read again when their memory was written."""
        storage = s.storage
        if storage is None:
            assert s.node is not None
            return s.node
        if s.at is storage.node and s.node is not None:
            return s.node
        if s.chain:
            s.node = self.add(Node(follow, (storage.node, Chain(s.chain)), meta=s.meta))
            self.shadows[s.node] = s.shadow
        else:
            s.node = storage.node
        s.at = storage.node
        return s.node

    def lower(self, a: Any) -> Any:
        """An argument with nodes in the place of Syms and arrays."""
        t = type(a)
        if t is Sym:
            return self.read(a)
        if t is np.ndarray:
            return self.read(self.array(a, None))
        if t is tuple or t is list:
            return t([self.lower(x) for x in a])
        if t is slice:
            return slice(self.lower(a.start), self.lower(a.stop), self.lower(a.step))
        if t is dict:
            return {k: self.lower(v) for k, v in a.items()}
        return a

    def add(self, node: Node) -> Node:
        """The node, appended to the log."""
        self._append(node)
        self._attempted(node)
        return node

    def _append(self, node: Node) -> None:
        node.line, node.quiet = self.line or where(), self.quiet
        self.log.append(node)

    def _attempted(self, node: Node) -> None:
        """What may fail in a `try` is computed at once, and the log is kept from growing without bound."""
        if self.trying:  # a handler must find everything as it is now
            self.run_pending(singly=True)
        if len(self.log) > LIMIT:
            self.is_long = True
            self.give_up(f"more than {LIMIT} operations")
        limit = WHOLE if self.differentiating else LIMIT
        if len(self.log) - self.done > limit:
            self.stop(f"more than {limit} operations", "write the loop with arrays")
            self.flush()

    def record(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any] | None = None,
        *,
        getitem: bool = False,
        impure: bool = False,
        stand_in: Callable[..., Any] | None = None,
    ) -> Any:
        """The deferred result of fn(*args, **kwargs)."""
        kwargs = kwargs or {}
        if getitem:
            whole, args = args[0], self.windowed(*args)
            if args[0] is not whole and args[1] is ...:
                return args[0]
        if fn in SIZED_BY_FLOATS:
            args = [self.fixed(a) for a in args]
            if any(type(a) is Sym for a in args):
                return runtime().opaque(fn, *args, **kwargs)
            args = [self._frozen(a, (int, float, np.number)) for a in args]
        elif not only_arithmetic(fn):
            if not getitem and by_array(fn, args, kwargs, BY_ARRAYS):
                first = args[:1] if name_of(fn) not in FIRST_TOO else []
                args = [*first, *[self.fixed(a) for a in args[len(first) :]]]
                if by_array(fn, args, kwargs, BY_ARRAYS):
                    return runtime().opaque(fn, *args, **kwargs)
            if not getitem and decides(fn, args, kwargs):
                value = functools.partial(self.force, why="a size that depends on data")
                first = args[:1] if name_of(fn) not in FIRST_TOO else []
                args = [*first, *[known(a, value) for a in args[len(first) :]]]
                kwargs = known(kwargs, value)
            args, kwargs = self._sized(args, getitem), {k: self._frozen(v) for k, v in kwargs.items()}
        try:
            tree, alias, shadow = self.inferred(fn, args, kwargs, getitem, stand_in)
        except UnknownError:
            try:
                tree, alias, shadow = self._late(fn, args, kwargs, getitem, stand_in)
            except UnknownError:
                return runtime().opaque(fn, *args, **kwargs)
        except ForeignError:
            return runtime().opaque(fn, *args, **kwargs)
        except Exception:
            self.hold([args, kwargs])
            raise
        if alias is not None:
            return self.aliased(fn, args, kwargs, tree, alias, shadow)
        keywords = {k: self.lower(v) for k, v in kwargs.items()} if kwargs else None
        node = self.add(Node(fn, [self.lower(a) for a in args], keywords, tree, impure))
        return self.result(node, tree, shadow)

    def _sized(self, args: Sequence[Any], getitem: bool) -> list[Any]:
        """Numbers that may decide sizes are guarded by value; an index of one element need not be."""
        if not getitem:
            return [self._frozen(a) for a in args]
        key = args[1]
        if type(key) is tuple:
            return [args[0], tuple([k if type(k) is Num else self._frozen(k) for k in key])]
        return [args[0], key if type(key) is Num else self._frozen(key)]

    def _frozen(self, a: Any, kinds: Any = (int, np.integer)) -> Any:
        t = type(a)
        if t is Num:
            symbolic = a.other is not None and self.all_symbols
            return a.steer() if isinstance(a.value, kinds) and not symbolic else a
        if t is tuple or t is list:
            return t([self._frozen(x) for x in a])
        if t is slice:
            return slice(self._frozen(a.start), self._frozen(a.stop), self._frozen(a.step))
        return a

    def aliased(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        tree: Tree,
        alias: Alias,
        shadow: Any,
    ) -> Any:
        """A view: no node, but a step more from its storage."""
        i = alias.position
        if len(set(alias.positions)) > 1:
            assert not isinstance(tree, Meta)
            each = [alias._replace(position=k, positions=()) for k in alias.positions]
            parts = [self.aliased(fn, args, kwargs, tree, a, shadow)[j] for j, a in enumerate(each)]
            return tree.cls(parts)
        s = args[i] if type(args[i]) is Sym else self.array(args[i], None)
        if alias.kind == "same":
            return s
        step = tuple(PLACE if j == i else self.lower(a) for j, a in enumerate(args))
        chain = (*s.chain, (fn, step, kwargs or None))
        if isinstance(tree, Meta):
            view = self._view(tree, s, chain, alias, shadow)
            if any(type(a) is Sym for a in inside([*args[:i], *args[i + 1 :]])):
                self.read(view)  # an index from data may fail, here
            return view
        steps = [(*chain, (pick, (PLACE, j), None)) for j in range(len(tree.parts))]
        views = enumerate(zip(tree.parts, steps))
        return tree.cls([self._view(m, s, c, alias, part(shadow, j)) for j, (m, c) in views])

    def _view(self, meta: Meta, s: Sym, chain: tuple[Any, ...], alias: Alias, shadow: Meta | None) -> Sym:
        view = Sym(meta, None, s.storage, chain)
        view.shadow = shadow
        view.readonly = s.readonly or not alias.writeable
        return view

    def _late(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        getitem: bool = False,
        stand_in: Callable[..., Any] | None = None,
        changes_first: bool = False,
    ) -> tuple[Tree, Alias | None, Tree | None]:
        """Shapes that depend on data: run what there is, then ask again with real values."""
        for a in [*args, *kwargs.values()]:
            for s in a if type(a) in (tuple, list) else [a]:
                unknown = type(s) is Sym and (
                    s.meta.kind == "object" or (s.meta.kind == "array" and None in s.meta.shape)
                )
                if unknown:
                    s.meta = meta_of(self.force(s, "a shape that depends on data"))
        return self.inferred(fn, args, kwargs, getitem, stand_in, changes_first)

    def result(self, node: Node, tree: Tree, shadow: Any = None) -> Any:
        """What recorded code gets for a node."""
        if isinstance(tree, Parts):
            cls = tree.cls
            if not (cls in (tuple, list) or hasattr(cls, "_fields")):
                return Sym(OBJECT, node)
            parts = [
                self.result(self.add(Node(pick, (node, i), meta=m)), m, part(shadow, i))
                for i, m in enumerate(tree.parts)
            ]
            return cls(*parts) if hasattr(cls, "_fields") else cls(parts)
        if tree.kind == "none":
            return None
        made = Sym(tree, node, Storage(node) if tree.kind == "array" else None)
        made.shadow = self.shadows[node] = shadow
        return made

    def change(
        self,
        s: Sym,
        fn: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any] | None = None,
        *,
        impure: bool = False,
        check: bool = True,
    ) -> None:
        """fn(*args) changes s, which is among args, in place: a new version of its memory."""
        kwargs = kwargs or {}
        if s.readonly:
            runtime().opaque(fn, *args, **kwargs)  # raises what NumPy raises
            return
        if fn is operator.setitem:
            s, key = self.windowed(s, args[1])
            args = [s, self._sized([s, key], True)[1], args[2]]
        elif not only_arithmetic(fn):
            args = [a if a is s else self._frozen(a) for a in args]
        if check and not (getattr(fn, "__name__", "") in INDEXED and masks((args[1],))):
            try:
                self.inferred(fn, args, kwargs, changes_first=True)
            except UnknownError:
                self._late(fn, args, kwargs, changes_first=True)
            except ForeignError:
                runtime().opaque(fn, *args, **kwargs)
                return
            except Exception:
                self.hold([args, kwargs])
                raise
        if s.storage is not None and not s.storage.mutated:
            before_change(self, s)
        storage = s.storage
        assert storage is not None
        lowered = [PLACE if a is s else self.lower(a) for a in args]
        keywords = {k: self.lower(v) for k, v in kwargs.items()}
        arguments = (storage.node, Chain(s.chain), fn, lowered, keywords)
        node = Node(mutate, arguments, None, storage.node.meta, impure)
        self._append(node)
        self.shadows[node] = self.shadows.get(storage.node)
        storage.history.append((len(self.log), storage.node))
        storage.node, storage.mutated = node, True
        self.dirty.append(storage)
        self._attempted(node)
        if storage.overlaps:
            self.flush()
