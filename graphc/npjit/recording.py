"""One recording of one call: the log of nodes, the effects, and the runs of what is pending (at a break).

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

from graphc.npjit.breaks import REMEDIES, Break, may_fail
from graphc.npjit.current import runtime
from graphc.npjit.deciding import BY_ARRAYS, FIRST_TOO, by_array, decides, inside, known, name_of
from graphc.npjit.determined import UNDETERMINED, Determined
from graphc.npjit.infer import Alias, ForeignError, Tree, UnknownError, masks, meta_of
from graphc.npjit.inputs import where
from graphc.npjit.known_sizes import Known
from graphc.npjit.log import OBJECT, PLACE, Chain, Meta, Node, Parts, follow, mutate, pick
from graphc.npjit.outside import Outside
from graphc.npjit.overlaps import before_change
from graphc.npjit.pieces import Pieces
from graphc.npjit.promotion import only_arithmetic
from graphc.npjit.running import preserve, run_nodes
from graphc.npjit.shadows import part
from graphc.npjit.values import Num, Storage, Sym

LIMIT = 20_000
"""Nodes in one segment: then it is run, as at a break."""


SIZED_BY_FLOATS = (np.arange,)
"""Functions whose result has a size that a float decides."""


class Recording(Outside):
    """See the module. `name` is that of the graphs which are made of it."""

    is_ahead = False
    name = "segment"

    def __init__(
        self,
        known: Known | None = None,
        pieces: Pieces | None = None,
        branching: bool = True,
    ) -> None:
        super().__init__(known)
        self.pieces = pieces if pieces is not None else Pieces({})
        self.line, self.quiet = "", False  # of what is recorded now, where it is known
        self.tainted: dict[int, Any] = {}
        self.dirty: list[Storage] = []
        self.marks: list[list[int]] = []
        self.noisy = False
        self.trying = 0
        self.tests: dict[Node, bool] = {}
        self.branching = branching
        self.states: list[tuple[int, dict[str, Any]]] = []
        self.found = Determined()

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
        if len(self.log) - self.done > LIMIT:
            self.stop(f"more than {LIMIT} operations", "write the loop with arrays")
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
            return self._aliased(fn, args, kwargs, tree, alias, shadow)
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

    def _aliased(
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
            args = [args[0], self._sized(args, True)[1], args[2]]
        elif not only_arithmetic(fn):
            args = [a if a is s else self._frozen(a) for a in args]
        if check and not (fn is operator.setitem and masks((args[1],))):
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

    # ---- running

    def flush(self) -> None:
        """Run what is pending, and write back into the caller's arrays."""
        if self.done == len(self.log) and not self.dirty:
            return
        self._settle(*self._run())

    def run_pending(self, singly: bool = False) -> None:
        """Run what is pending, where nobody looks at the caller's arrays: these are written later."""
        end, error = self._run(singly)
        if error is not None:
            self._settle(end, error)
        self.done = len(self.log)

    def _run(self, singly: bool = False) -> tuple[int, Exception | None]:
        end, error = run_nodes(self.log, self.done, self.warned) if singly else self.pieces.run(self)
        if error is not None:
            self.leak("an operation that failed")
            while self.effects and self.effects[-1].position > end:
                self.effects.pop().undo()  # what the program did after the node that failed
        return end, error

    def _settle(self, end: int, error: Exception | None) -> None:
        """Write back what was computed, up to the node `end` where one failed.

        A change in place that failed has written what NumPy writes before it fails.
        """
        if error is not None and self.log[end].fn is mutate and self.log[end].value is not None:
            end += 1
        self.settled = True
        for storage in self.dirty:
            while error is not None and storage.history and storage.history[-1][0] > end:
                storage.node = storage.history.pop()[1]
            self._write_back(storage)
            storage.history.clear()
        self.dirty.clear()
        self.done = len(self.log)
        if error is not None:
            raise error

    def warned(self) -> None:
        """NumPy warned of a floating-point error."""
        self.noisy = True

    def _write_back(self, storage: Storage) -> None:
        real = storage.real
        if real is None or real is storage.node.value:
            return
        if not self.breaks:
            self.leak("an array that was written before the end")
        if self.differentiating:
            preserve(self.log, real, storage.history)
        np.copyto(real, storage.node.value)
        written, storage.node = storage.node, Node(None, meta=storage.node.meta)
        storage.node.value, storage.node.var, storage.node.origin = real, storage.var, written

    def stop(self, why: str, remedy: str = "") -> None:
        """Note a break."""
        self.breaks.append(
            Break(where(), why, remedy or REMEDIES.get(why, "compute it outside of the function"))
        )

    def determined(self, s: Sym, kinds: Any = object) -> Any:
        """The value of s if known numbers decide it, all of them of `kinds`, which are guarded then."""
        numbers: list[Num] = []
        found = self.found.value(self.read(s), numbers)
        kinds = (int, np.integer) if self.differentiating else kinds  # others may be what is differentiated
        if found is UNDETERMINED or not all(isinstance(n.value, kinds) for n in numbers):
            return UNDETERMINED
        for n in numbers:
            n.steer()
        return found

    def fixed(self, a: Any) -> Any:
        """An argument that says a size, as a constant if it is determined."""
        if type(a) is not Sym or a.meta.kind == "object":
            return a
        found = self.determined(a)
        if found is UNDETERMINED:
            return a
        return found.tolist() if type(found) is np.ndarray else found

    def force(self, s: Sym, why: str) -> Any:
        """The value itself is needed now: a break, unless known numbers decide it."""
        if s.meta.kind in ("python", "scalar"):
            found = self.determined(s)
            if found is not UNDETERMINED:
                return found
        computed = s.storage is None and s.node is not None and s.node.value is not None
        if s.meta.kind != "none" and not (computed and self.breaks):
            self.stop(why)
        found = self.real(s)
        if self.differentiating and s.meta.kind == "object" and s.node is not None:
            from graphc.npjit.foreign import Foreign

            self.tainted[id(found)] = Foreign.of(self, s.node)
        return found

    def truth(self, s: Sym) -> bool:
        """A test on data: later calls whose outcome is another take another recording."""
        unknown = s.meta.kind == "object" or (s.meta.kind == "array" and None in s.meta.shape)
        known = UNDETERMINED if unknown else self.determined(s, (int, np.integer))
        if known is not UNDETERMINED:
            return bool(known)
        if unknown or self.breaks or not self.branching:
            return bool(self.force(s, "a test on data"))
        if s.meta.dtype is not bool:
            s = self.record(bool, (s,))
        assert s.node is not None
        self.run_pending()
        outcome = self.tests[s.node] = s.node.value
        return outcome

    def real(self, s: Sym) -> Any:
        """The real object behind s, always the same one."""
        self.flush()
        storage = s.storage
        if storage is None:
            assert s.node is not None
            return s.node.value
        if s.real is None:
            if storage.real is None:
                storage.real = storage.node.value
            s.real = follow(storage.real, s.chain)
            self.kept.append(s.real)
            self.syms.setdefault(id(s.real), s)
        return s.real

    def boundary(self) -> None:
        """In front of `with`: what may fail must fail here."""
        if "raise" in np.geterr().values() or any(map(may_fail, self.log[self.done :])):
            self.run_pending()

    def hold(self, a: Any) -> None:
        """An operation has failed on account of types, sizes or known numbers: these steer the program."""
        if self.all_symbols:
            self.settle_sizes()
        for x in inside(a):
            if type(x) is Num:
                x.steer()
