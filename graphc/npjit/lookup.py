"""Small look-ups: functions made once per name, what a class has, keys that can be hashed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

import numpy as np

from graphc.npjit.log import foreign
from graphc.npjit.values import Num, Sym

CLASS_ATTRIBUTES: dict[tuple[type, str], Any] = {}
"""(class, name) -> what look-up in the class finds; emptied at each recording and after each opaque call."""

_MISSING = object()


def in_class(t: type, name: str) -> Any:
    """The attribute `name` of the class t or its bases as it stands there; None if there is none."""
    got = CLASS_ATTRIBUTES.get((t, name), _MISSING)
    if got is _MISSING:
        got = next((c.__dict__[name] for c in t.__mro__ if name in c.__dict__), None)
        CLASS_ATTRIBUTES[t, name] = got
    return got


def dunder(t: type, name: str) -> Any:
    """The operator method of a user's class."""
    if t is Sym or t is Num or t.__module__ in ("builtins", "numpy"):
        return None
    return in_class(t, f"__{name.strip('_')}__")


@functools.cache
def method_fn(name: str) -> Callable[..., Any]:
    """The function x, ... -> x.name(...)."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x, name)(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.is_method = True  # type: ignore[attr-defined]
    return call


@functools.cache
def attr_fn(name: str) -> Callable[[Any], Any]:
    """The function x -> x.name."""

    def get(x: Any) -> Any:
        return getattr(x, name)

    get.__name__ = get.__qualname__ = name
    get.is_attribute = True  # type: ignore[attr-defined]
    return get


@functools.cache
def out_fn(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function (out, ...) -> fn(..., out=out); `fn` is kept as `.function`."""

    def call(out: Any, *args: Any, **kwargs: Any) -> Any:
        return fn(*args, out=out, **kwargs)

    call.__name__ = call.__qualname__ = getattr(fn, "__name__", "out")
    call.function = fn  # type: ignore[attr-defined]
    return call


@functools.cache
def bound(u: np.ufunc, name: str) -> Callable[..., Any]:
    """The method of a ufunc (np.add.at, np.add.reduce, ...), always the same object."""
    return getattr(u, name)


@functools.cache
def spare(kind: type) -> Any:
    """A stream of random numbers that nobody else uses."""
    return np.random.default_rng(0) if kind is np.random.Generator else np.random.RandomState(0)


def key(k: Any) -> Any:
    """k, or a text in its place where it can't be hashed."""
    try:
        hash(k)
    except TypeError:
        return repr(k)
    return k


def is_array(x: Any) -> bool:
    """Whether x is a real array that recorded code may defer operations on."""
    return type(x) is np.ndarray and not foreign(x.dtype)


def raw_method(x: Any, name: str) -> Callable[..., Any]:
    """The method of the built-in class that the class of x derives from, past what is written in Python."""
    found = (c.__dict__[name] for c in type(x).__mro__ if name in c.__dict__)
    return next(f for f in found if not isinstance(f, FunctionType)).__get__(x)


def store_raw(x: Any, k: Any, v: Any) -> None:
    """x[k] = v, past what the class of x says in Python."""
    raw_method(x, "__setitem__")(k, v)


@functools.cache
def slots_of(t: type) -> tuple[str, ...]:
    """The names of the slots that a class and its bases have.

    >>> slots_of(type("Point", (), {"__slots__": ("x", "__y", "__dict__")}))
    ('x', '_Point__y')
    """
    found = []
    for c in reversed(t.__mro__):
        names = c.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            private = name[:2] == "__" and name[-2:] != "__"
            found.append(f"_{c.__name__.lstrip('_')}{name}" if private else name)
    return tuple(n for n in found if n not in ("__dict__", "__weakref__"))


def attributes(x: Any) -> list[str]:
    """The names of an object's own attributes, in slots and in its dict.

    >>> attributes(functools.partial(print)), attributes(3.0)
    ([], [])
    """
    inside, cls = getattr(x, "__dict__", None), cast(Any, type(x))
    return [*(n for n in slots_of(cls) if hasattr(x, n)), *(inside if isinstance(inside, dict) else ())]
