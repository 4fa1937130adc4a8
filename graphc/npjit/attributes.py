"""The runtime's part for attributes: of arrays, of modules, of the user's objects."""

from __future__ import annotations

import enum
import functools
import types
from typing import Any

import numpy as np

from graphc.ir.errors import GradientError
from graphc.npjit.cached import CachedFunction
from graphc.npjit.infer import meta_of
from graphc.npjit.inputs import where
from graphc.npjit.log import PLACE, Meta, Node
from graphc.npjit.lookup import CLASS_ATTRIBUTES, attr_fn, in_class, is_array
from graphc.npjit.rewrite import Slots
from graphc.npjit.surface import Surface
from graphc.npjit.values import Num, Sym, settled

SIZES = frozenset(["shape", "ndim", "size", "nbytes", "itemsize"])
OF_TYPES = frozenset(["dtype", "shape", "ndim", "size", "itemsize", "nbytes", "strides", "__class__"])
"""Attributes of NumPy scalars that their type tells."""
VIEWS = frozenset(["T", "real", "imag", "mT"])
PLAIN = (int, float, str, bool, complex, type(None), bytes)
HARMLESS = (
    *(types.FunctionType, property, classmethod, staticmethod, types.MemberDescriptorType),
    *(types.GetSetDescriptorType, types.WrapperDescriptorType, types.MethodDescriptorType, type),
    *(types.BuiltinFunctionType, type(vars(Meta)["kind"]), enum.property, CachedFunction),
)
"""Class attributes whose `__get__` runs no code of the user's."""
FLAGS = type(np.empty(0).flags)
STREAMS = (np.random.Generator, np.random.RandomState, np.random.BitGenerator)
"""What draws that are pending change: its attributes are those of the state until then."""
_MISSING = object()
OF_DICTS: dict[Any, str] = {
    dict.__getitem__: "getitem",
    dict.get: "dict_get",
    dict.__setitem__: "setitem",
    dict.__delitem__: "delitem",
}
"""Methods that classes of dicts have as `__getattr__`, `__setattr__` and `__delattr__`, and the runtime's."""

LIMITS = (np.finfo, np.iinfo)
"""What tells the limits of an element type: constants, where the call made it."""


class Attributes(Surface):
    def getattr(self, x: Any, name: str) -> Any:
        rec = self.rec
        if rec is None:
            return getattr(settled(x), name)
        t = type(x)
        if t is Sym:
            return self.sym_attr(x, name)
        if t is Num:
            return getattr(x.value if name in OF_TYPES else x.steer(), name)
        if t is np.ndarray and is_array(x):
            return self.sym_attr(rec.array(x, None), name)
        if t is types.ModuleType:
            v = getattr(x, name)
            return v if x.__name__.split(".")[0] == "numpy" else rec.wrap(v, f"{rec.const(x)}.{name}")
        if t in LIMITS and rec.var(x) is None:
            return getattr(x, name)
        return self._object_attr(x, t, name)

    def _object_attr(self, x: Any, t: type, name: str) -> Any:
        rec = self.rec
        d = in_class(t, name)
        if type(d) is property and d.fget is not None:
            if rec.var(x) is not None:
                rec.guard(f"type({rec.var(x)}).{name} is not {rec.const(d)}")
            return self.call(d.fget, x)
        own = getattr(x, "__dict__", ())
        if name == "__dict__" and rec.var(x) is not None and isinstance(own, dict):
            return self._namespace(x, own)
        otherwise = in_class(t, "__getattr__") if d is None and name not in own else None
        if otherwise is not None:
            if rec.var(x) is not None and own != () and (id(x), name) not in rec.written:
                rec.guard(f"{name!r} in {rec.var(x)}.__dict__")
            return self._by_special(otherwise, x, name)
        if type(d) is functools.cached_property and name not in own:
            v = self.call(d.func, x)
            self.store_attr(v, x, name)
            return v
        dynamic = d is not None and not isinstance(d, HARMLESS) and hasattr(type(d), "__get__")
        if (
            (
                dynamic
                and getattr(d, "__graphc_fn__", None) is None
                and type(d) is not functools.cached_property
            )
            or type(in_class(t, "__getattribute__")) is types.FunctionType
            or isinstance(x, STREAMS)
        ):
            return self.opaque(getattr, x, name)
        v = getattr(x, name)
        if type(v) is types.MethodType and type(d) is types.FunctionType:
            self.guard_method(x, name, d)
            return v
        var = rec.var(x)
        path = None if var is None or (id(x), name) in rec.written else f"{var}.{name}"
        if id(x) in rec.tainted:
            return rec.tainted[id(x)].tracked(v)
        return rec.wrap(v, path)

    def _by_special(self, special: Any, x: Any, *args: Any) -> Any:
        """What a class has as `__getattr__` and its like; methods of dicts make attributes of the items."""
        name = OF_DICTS.get(special)
        return getattr(self, name)(*args[1:], x, args[0]) if name else self.call(special, x, *args)

    def _namespace(self, x: Any, own: dict[str, Any]) -> Any:
        """The attributes as a dict, to be read: what is stored in one way is read in the other, which no path
        tells.
        """
        rec, var = self.rec, self.rec.var(x)
        if any(of == id(x) for of, _ in rec.written):
            rec.entangled()
        found = rec.wrap(own, f"{var}.__dict__")
        rec.namespaces.update(v for v in (var, rec.var(own)) if v is not None)
        return found

    def guard_method(self, x: Any, name: str, f: Any) -> None:
        """A later call must find the same function."""
        var = self.rec.var(x)
        if var is not None:
            self.rec.guard(f"{var}.{name}.__func__ is not {self.rec.const(f)}")

    def sym_attr(self, x: Sym, name: str) -> Any:
        m = x.meta
        if m.kind not in ("array", "scalar"):
            return getattr(self.rec.force(x, f"attribute {name} of data"), name)
        if name == "dtype":
            return m.dtype
        if name in SIZES:
            return self._size(x, name)
        if (
            name == "strides"
            and m.kind == "array"
            and all(n and n > 1 for n in m.shape)
            and not self.rec.all_symbols
        ):
            return m.strides
        if name in VIEWS:
            return self.rec.record(attr_fn(name), (x,))
        if name == "flat" and self.rec.differentiating:
            return self.flat(x)
        if callable(getattr(np.ndarray, name, None)):
            return functools.partial(self.method, x, name)
        found = getattr(self.rec.force(x, f"attribute {name} of data"), name)
        return self.rec.syms.get(id(found), found) if name == "base" else found

    def flat(self, x: Sym) -> Any:
        """The elements as a view, as a gradient needs them."""
        line = self.method(x, "reshape", -1)
        if line.storage is not x.storage:
            raise GradientError(
                f"graphc has no gradient of `flat` where that is no view.\n  called  at {where()}\n"
                "  fix     use x.copy().flat, or indices."
            )
        return line

    def _size(self, x: Sym, name: str) -> Any:
        m = x.meta
        if None in m.shape and name not in ("ndim", "itemsize"):
            v = self.rec.force(x, "a shape that depends on data")
            m = x.meta = m._replace(shape=v.shape, strides=v.strides)
        shape = self.rec.shape_of(x)
        if name == "shape":
            return shape
        if name == "ndim":
            return len(m.shape)
        if name == "itemsize":
            return m.dtype.itemsize
        size: Any = 1
        for n in shape:
            size = n if type(size) is int and size == 1 else self.op("mul", size, n)
        return size if name == "size" else self.op("mul", size, m.dtype.itemsize)

    def setattr(self, v: Any, x: Any, name: str) -> None:
        t, rec = type(x), self.rec
        if rec is None:
            setattr(settled(x), name, settled(v))
            return
        if t is Sym or is_array(x):
            self._set_of_array(x if t is Sym else rec.array(x, None), name, v)
            return
        if t is FLAGS or isinstance(x, STREAMS):
            self.opaque(setattr, x, name, v)
            return
        d = in_class(t, name)
        if type(d) is property:
            if d.fset is None:
                setattr(x, name, None)  # raises what Python raises
            self.call(d.fset, x, v)
            return
        custom = in_class(t, "__setattr__")
        if custom is not None and type(custom) is not types.WrapperDescriptorType:
            self.call(custom, x, name, v)
        elif custom in OF_DICTS:
            self._by_special(custom, x, name, v)
        elif d is not None and not isinstance(d, HARMLESS) and hasattr(type(d), "__set__"):
            self.opaque(setattr, x, name, v)
        else:
            self.store_attr(v, x, name)

    def _set_of_array(self, s: Sym, name: str, v: Any) -> None:
        """`x.shape = ...` and its like: other views keep the old form of their base."""
        real, storage = self.rec.real(s), s.storage
        if storage is None or s.meta.kind != "array":
            self.opaque(setattr, s, name, v)
            return
        if not s.chain:
            storage.real = real[...]
            before, storage.node = storage.node, Node(None, meta=storage.node.meta)
            storage.node.value, storage.node.origin = storage.real, before
        self.opaque(setattr, s, name, v)
        if meta_of(real) != s.meta:
            s.meta = meta_of(real)
            s.chain = (*s.chain, (as_form, (PLACE, real.dtype, real.shape), None))
            s.node = s.at = None

    def store_attr(self, v: Any, x: Any, name: str) -> None:
        """The store itself, as object.__setattr__ does it."""
        rec, var = self.rec, self.rec.var(x)
        put = functools.partial(setattr if isinstance(x, type) else object.__setattr__, x, name)
        if var is None and isinstance(x, type):  # there before the call, or seen by others behind it
            rec.leak("a class without a path")
            var = rec.const(x)
        if var is None:
            put(v)
            return
        old = self._own(x, name)
        put(v)
        if isinstance(x, type | types.ModuleType):
            CLASS_ATTRIBUTES.clear()
        if old is _MISSING and (id(x), name) not in rec.written:
            rec.added.add((id(x), name))
        rec.written.add((id(x), name))
        undo = functools.partial(delattr, x, name) if old is _MISSING else functools.partial(put, old)
        kind = "attr" if type(in_class(type(x), "__setattr__")) is not types.FunctionType else "rawattr"
        rec.effect(kind, var, name, v, undo)
        if type(v) not in PLAIN:
            rec.slots.append((functools.partial(self._held, x, name), put))

    def _own(self, x: Any, name: str) -> Any:
        if isinstance(getattr(x, "__dict__", None), dict | types.MappingProxyType):
            own = x.__dict__.get(name, _MISSING)
            if own is not _MISSING or not hasattr(type(in_class(type(x), name)), "__set__"):
                return own
        return getattr(x, name, _MISSING)

    def _held(self, x: Any, name: str) -> Any:
        """What the object itself has: where it was deleted, its class may have another."""
        found = self._own(x, name)
        if found is _MISSING:
            raise AttributeError(name)
        return found

    def delattr(self, x: Any, name: str) -> None:
        rec = self.rec
        x = settled(x)
        if rec is None or rec.var(x) is None:
            delattr(x, name)
            return
        CLASS_ATTRIBUTES.clear()
        custom = in_class(type(x), "__delattr__")
        if custom in OF_DICTS:
            self._by_special(custom, x, name)
            return
        old = self.getattr(x, name)  # also its path: a later call must have it
        if type(custom) is types.FunctionType:
            self.opaque(delattr, x, name)
            return
        delattr(x, name)
        rec.written.add((id(x), name))
        rec.effect("delattr", rec.var(x) or "", name, None, functools.partial(setattr, x, name, old))

    def attrs(self, x: Any) -> Slots:
        """For attributes as parts of targets: `attrs(x)["name"] = v`."""
        return Slots(lambda name, v: self.setattr(v, x, name), lambda name: self.delattr(x, name))

    def attr_slot(self, x: Any, name: str) -> tuple[Any, str, Any]:
        """The place `x.name` of an augmented assignment, and the value that stands there."""
        return x, name, self.getattr(x, name)

    def iattr(self, op: str, slot: tuple[Any, str, Any], v: Any) -> None:
        x, name, old = slot
        self.setattr(self.iop(op, old, v), x, name)


def as_form(x: np.ndarray, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The view of x that has this element type and shape."""
    return x.view(dtype).reshape(shape)
