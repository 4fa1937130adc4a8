"""The runtime's part for NumPy: functions, ufunc methods, array methods, random numbers."""

from __future__ import annotations

import functools
import random
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.npjit.determined import UNDETERMINED
from graphc.npjit.inputs import NUMBER
from graphc.npjit.lookup import bound, is_array, method_fn, out_fn, spare
from graphc.npjit.outputs import (
    METHODS,
    OLD_FORMS,
    UFUNC_METHODS,
    by_position,
    named_out,
    overwrites,
    place_of,
)
from graphc.npjit.spelled_out import is_plain, vectorized
from graphc.npjit.surface import Surface
from graphc.npjit.texts import is_text
from graphc.npjit.values import IN_PLACE, Num, Sym

ARRAY_MUTATORS = frozenset(["fill", "sort", "put", "partition", "itemset"])
ARRAY_OPAQUE = frozenset(["setflags", "tofile", "dump", "dumps", "resize", "byteswap", "tobytes", "tolist"])
OPAQUE = {
    *("set_printoptions", "seterr", "load", "save", "savez", "savez_compressed", "loadtxt", "savetxt"),
    *("genfromtxt", "vectorize", "fromfunction", "apply_along_axis", "apply_over_axes", "nditer"),
    *("ndenumerate", "ndindex", "get_state", "set_state", "frompyfunc", "errstate", "piecewise"),
    *("printoptions", "array2string", "array_str", "array_repr", "may_share_memory", "shares_memory"),
    *("geterr", "get_printoptions", "fromiter", "frombuffer", "memmap", "poly1d"),
    *("testing", "setbufsize"),
    *("eig", "eigvals", "roots", "real_if_close"),  # real or complex, as the data say
    "trim_zeros",  # a view of what the data say
}
FIRST_IS_CHANGED = frozenset(["copyto", "put", "place", "putmask", "fill_diagonal", "put_along_axis"])
RANDOM_OPAQUE = frozenset(["get_state", "set_state", "spawn"])
ITEM_METHODS: dict[str, Callable[..., Any]] = {
    "__getitem__": lambda rt, x, k: rt.getitem(x, k),
    "__setitem__": lambda rt, x, k, v: rt.setitem(v, x, k),
    "__len__": lambda rt, x: rt.length(x),
}
IN_PLACE_METHODS = {f"__i{name.strip('_')}__": name for name in IN_PLACE}


def _choice(args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    given = {**dict(zip(("a", "size", "replace", "p", "axis", "shuffle"), args)), **kwargs}
    if given.pop("p", None) is not None:
        given["replace"] = True
    return given


def _multinomial(args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    given = {**dict(zip(("n", "pvals", "size"), args)), **kwargs}
    p = np.asarray(given["pvals"], float)
    return {**given, "pvals": np.full(p.shape, 1 / max(p.shape[-1], 1))}


DISTRIBUTED: dict[str, Callable[..., dict[str, Any]]] = {"choice": _choice, "multinomial": _multinomial}
"""Draws by probabilities: the arguments for stand-ins, which are no distribution."""
OF_SHAPES = {"shape": (1,), "ndim": (1,), "size": (1, 2)}
"""Functions that ask for no elements, by how many arguments they have."""
OF_SIZES: dict[Any, Callable[[Any], Callable[[Any, Any], Any]]] = {
    np.prod: lambda rt: functools.partial(rt.op, "mul"),
    np.sum: lambda rt: functools.partial(rt.op, "add"),
}
"""What functions of several known integers are in Python, so that the result is a known integer too."""
CONVERTIBLE = (Sym, np.ndarray, Num, list, tuple, range, *NUMBER)


class NumpyCalls(Surface):
    def numpy(self, f: Any, args: Any, kwargs: Any) -> Any:
        """A call of a NumPy function, class or ufunc."""
        name = getattr(f, "__name__", "")
        if type(f) is np.vectorize and self.rec.differentiating and is_plain(f, args, kwargs):
            return vectorized(self, f, args)
        if self._is_opaque(f, name, args):
            return self.opaque(f, *args, **kwargs)
        first: Any = args[0] if args else None
        if name in OF_SHAPES and not kwargs and len(args) in OF_SHAPES[name]:
            if type(first) in (list, tuple):
                first = self.call(np.array, first)
            if _is_data(first):
                return self.sym_attr(first, name) if len(args) == 1 else self.size_along(first, args[1])
        if not kwargs and args and self._of_scalars(f, args):
            return self.scalar(f, *args)
        args, kwargs = [self.absorb(a) for a in args], {k: self.absorb(v) for k, v in kwargs.items()}
        if f in OF_SIZES and len(args) == 1 and not kwargs and _are_sizes(args[0]):
            return self.scalar(np.int64, functools.reduce(OF_SIZES[f](self), args[0]))
        if any(type(a) is str and id(a) in self.rec.tainted for a in args):
            return self.opaque(f, *args, **kwargs)
        if overwrites(name, args, kwargs) or (
            type(f) is not np.ufunc and not named_out(place_of(f), args, kwargs)
        ):
            return self.opaque(f, *args, **kwargs)
        if type(f) is np.ufunc and len(args) > f.nin:
            kwargs["out"] = args.pop() if len(args) == f.nin + 1 else tuple(args[f.nin :])
            del args[f.nin :]
            f = by_position(f) if f in OLD_FORMS and not self.rec.differentiating else f
        if kwargs.get("out") is not None:
            return self.with_out(f, args, kwargs)
        kwargs.pop("out", None)
        if name in FIRST_IS_CHANGED and (type(args[0]) is Sym or is_array(args[0])):
            return self.changes(f, args, kwargs)
        return self.rec.record(f, args, kwargs)

    def _is_opaque(self, f: Any, name: str, args: Any) -> bool:
        if type(f).__hash__ is None:  # polynomials
            return True
        if (
            name in OPAQUE
            or "scimath" in (getattr(f, "__module__", None) or "")
            or (isinstance(f, type) and not issubclass(f, np.generic))
        ):
            return True
        if f is np.asarray and args and not isinstance(args[0], CONVERTIBLE):
            return True
        return any(isinstance(a, types.FunctionType | types.GeneratorType) for a in args)

    def _of_scalars(self, f: Any, args: Any) -> bool:
        known = all(type(a) is Num or isinstance(a, NUMBER) for a in args)
        if type(f) is np.ufunc:
            return known and f.nout == 1 and len(args) == f.nin
        return known and isinstance(f, type) and len(args) == 1

    def size_along(self, x: Sym, axis: Any) -> Any:
        """`np.size(x, axis)`."""
        shape, axes = self.sym_attr(x, "shape"), self.steered(axis)
        if type(axes) is tuple:
            return functools.reduce(functools.partial(self.op, "mul"), [shape[a] for a in axes], 1)
        return shape[axes] if axes is not None else self.sym_attr(x, "size")

    def with_out(self, f: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A call with `out=`."""
        out = kwargs.pop("out")
        if type(out) is tuple and len(out) == 1:
            out = out[0]
        if is_array(out):
            out = self.rec.array(out, None)
        if type(out) is not Sym:
            return self.opaque(f, *args, out=out, **kwargs)
        self.rec.change(out, out_fn(f), (out, *args), kwargs)
        return out

    def changes(self, f: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> None:
        """A function that writes into its first argument."""
        first = args[0] if type(args[0]) is Sym else self.rec.array(args[0], None)
        self.rec.change(first, f, (first, *args[1:]), kwargs)

    # ---- random numbers

    def random(self, s: Any, name: str, args: Any, kwargs: Any) -> Any:
        """A draw: a node that is never dropped nor moved."""
        rec = self.rec
        if name in RANDOM_OPAQUE or isinstance(s, random.Random):
            return self.opaque(getattr(s, name), *args, **kwargs)
        given = args
        args, kwargs = [self.absorb(a) for a in args], {k: self.absorb(v) for k, v in kwargs.items()}
        source = Num(s, rec.var(s) or rec.const(s))
        if name == "shuffle":
            if type(args[0]) is not Sym:
                return self.opaque(getattr(s, name), *given, **kwargs)
            return rec.change(
                args[0], shuffle, (args[0], source, *args[1:]), kwargs, impure=True, check=False
            )
        if kwargs.get("out") is not None:
            return self.opaque(getattr(s, name), *args, **kwargs)
        kind: Any = type(s)
        draw = getattr(spare(kind), name)

        def stand_in(_source: Any, *a: Any, **k: Any) -> Any:
            return draw(**DISTRIBUTED[name](a, k)) if name in DISTRIBUTED else draw(*a, **k)

        try:
            return rec.record(
                method_fn(name),
                (source, *args),
                kwargs,
                impure=True,
                stand_in=stand_in,
            )
        except Exception:  # stand-ins may be no distribution: only real values can tell
            return self.opaque(getattr(s, name), *args, **kwargs)

    # ---- methods

    def ufunc_method(self, u: np.ufunc, name: str, args: Any, kwargs: Any) -> Any:
        args, f = [self.absorb(a) for a in args], bound(u, name)
        kwargs = {k: self.absorb(v) for k, v in kwargs.items()}
        if name == "at":
            return self.changes(f, args, kwargs)
        if not named_out(UFUNC_METHODS.get(name), args, kwargs):
            return self.opaque(f, *args, **kwargs)
        if kwargs.get("out") is not None:
            return self.with_out(f, args, kwargs)
        return self.rec.record(f, args, kwargs)

    def array_method(self, x: Sym, name: str, args: Any, kwargs: Any) -> Any:
        rec = self.rec
        if is_text(x):
            return self.text_method(x, name, args, kwargs)
        if x.meta.kind == "object":
            return self.call(
                getattr(rec.force(x, f"method {name} of a Python object"), name), *args, **kwargs
            )
        if name in ITEM_METHODS:
            return ITEM_METHODS[name](self, x, *args)
        if name in IN_PLACE_METHODS:
            return self.iop(IN_PLACE_METHODS[name], x, args[0])
        args, kwargs = [self.absorb(a) for a in args], {k: self.absorb(v) for k, v in kwargs.items()}
        if not named_out(METHODS.get(name), args, kwargs):
            return self.opaque(method_fn(name), x, *args, **kwargs)
        if x.meta.kind == "array" and name in ARRAY_MUTATORS:
            return rec.change(x, method_fn(name), (x, *args), kwargs)
        if kwargs.get("out") is not None:
            return self.with_out(method_fn(name), [x, *args], kwargs)
        if name in ARRAY_OPAQUE and name != "tolist":
            return self.opaque(getattr(rec.real(x), name), *args, **kwargs)
        if name == "tolist" and rec.differentiating:
            return self.listed_items(x)
        if name == "tolist" and not args:
            found = rec.determined(x, (int, np.integer))
            if found is not UNDETERMINED:
                return found.tolist()
        return rec.record(method_fn(name), (x, *args), kwargs)

    def listed_items(self, x: Any) -> Any:
        """`tolist` whose numbers stay deferred, as a gradient needs them."""
        if x.meta.kind != "array" or not x.meta.shape:
            return self.rec.record(method_fn("item"), (x,))
        return [self.listed_items(self.getitem(x, i)) for i in range(int(self.length(x)))]


def _are_sizes(a: Any) -> bool:
    """Whether a is a tuple or list of known integers, at least one of which may change."""
    if type(a) not in (tuple, list) or not any(type(x) is Num for x in a):
        return False
    numbers = [x.value if type(x) is Num else x for x in a]
    return all(type(x) is int and abs(x) < 1 << 31 for x in numbers)


def _is_data(x: Any) -> bool:
    return type(x) is Sym and x.meta.kind in ("array", "scalar")


def shuffle(array: np.ndarray, source: Any, *args: Any, **kwargs: Any) -> None:
    """Shuffle an array in place by a stream of random numbers."""
    source.shuffle(array, *args, **kwargs)
