"""Built-in functions that know symbolic values: HANDLERS has function -> handler(runtime, *args)."""

from __future__ import annotations

import copy
import functools
import math
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.npjit.attributes import LIMITS
from graphc.npjit.library_calls import LIBRARY
from graphc.npjit.lookup import in_class, is_array
from graphc.npjit.streams import MAKERS
from graphc.npjit.texts import is_text
from graphc.npjit.values import Num, Sym

Handler = Callable[..., Any]

NATIVE = frozenset(
    [max, min, abs, any, all, round, pow, divmod, callable, id, next, issubclass, ord, chr, iter, hash]
)
"""Built-ins that run as they are, on symbolic values too: what they do goes through operators."""
SIMPLE = (int, float, bool, str, bytes, np.float64, np.float32, np.int64)
"""Classes whose values are compared as they are."""
NO_LISTS = frozenset([callable, id, issubclass, next, iter, hash])
"""Those of them that get an outside list itself, not its elements."""


def type_of(rt: Any, x: Any, *more: Any) -> Any:
    if more:
        return type(x, *more)
    if type(x) is Num:
        return type(x.value)
    if type(x) is not Sym:
        var = rt.rec.var(x)
        return type(x) if var is None else rt.rec.wrap(type(x), f"type({var})")
    if is_text(x):
        return str
    m = x.meta
    if m.kind == "array":
        return np.ndarray
    if m.kind == "scalar":
        return m.dtype.type
    return m.dtype if m.kind == "python" else type(rt.rec.force(x, "type of a Python object"))


def is_instance(rt: Any, x: Any, classes: Any) -> bool:
    return issubclass(type_of(rt, x), classes) if type(x) in (Sym, Num) else isinstance(x, classes)


def is_scalar(rt: Any, x: Any) -> bool:
    if type(x) is Sym and x.meta.kind != "object":
        return x.meta.kind in ("scalar", "python")
    return np.isscalar(x.value if type(x) is Num else rt.real(x))


def has_attr(rt: Any, x: Any, name: str) -> bool:
    name = rt.steered(name)
    if type(x) is Sym:
        return hasattr(type_of(rt, x), name)
    found, var = hasattr(x.value if type(x) is Num else x, name), rt.rec.var(x)
    if var and (id(x), name) not in rt.rec.written:
        rt.rec.guard(f"hasattr({var}, {name!r}) is not {found}")
    return found


def get_attr(rt: Any, x: Any, name: str, *default: Any) -> Any:
    if default and not has_attr(rt, x, name):
        return default[0]
    return rt.getattr(x, rt.steered(name))


def sum_(rt: Any, it: Any, start: Any = 0) -> Any:
    for v in rt.iter(it):
        start = rt.op("add", start, v)
    return start


def product(rt: Any, it: Any, *, start: Any = 1) -> Any:
    for v in rt.iter(it):
        start = rt.op("mul", start, v)
    return start


def convert(cls: Any) -> Handler:
    def handler(rt: Any, x: Any = 0, *more: Any, **kw: Any) -> Any:
        if type(x) is Sym and x.meta.kind != "object" and not more:
            return rt.rec.record(cls, (x,))
        if type(x) is Num and not more:
            return rt.scalar(cls, x)
        if type(x) is str and id(x) in rt.rec.tainted:
            return rt.rec.tainted[id(x)].tracked(cls(x, *more))
        if rt.rec.differentiating and any(type(v) is Sym for v in (x, *more)):
            return rt.opaque(cls, x, *more, **kw)
        return cls(rt.real(x), *[rt.real(m) for m in more], **kw)

    return handler


def recorded(fn: Any) -> Handler:
    """A built-in function of numbers, as one operation where one of them is deferred."""

    def handler(rt: Any, *args: Any) -> Any:
        if any(type(a) is Sym and a.meta.kind != "object" for a in args):
            return rt.rec.record(fn, args)
        return fn(*args)

    return handler


def collect(cls: Any) -> Handler:
    return lambda rt, *a: cls(*[rt.iter(x) for x in a])


def dict_(rt: Any, *args: Any, **kwargs: Any) -> Any:
    if args and isinstance(args[0], dict):
        return {**rt.snapshot(args[0]), **kwargs}
    return dict(*[[tuple(rt.iter(p)) for p in rt.iter(a)] for a in args], **kwargs)


def unrolled(cls: Any) -> Handler:
    return lambda rt, *a, **k: cls(*[rt.iter(x) for x in a], **k)


def map_(rt: Any, f: Any, *its: Any) -> Any:
    return (rt.call(f, *v) for v in zip(*[rt.iter(x) for x in its]))


def filter_(rt: Any, f: Any, it: Any) -> Any:
    return (v for v in rt.iter(it) if rt.truth(rt.call(f, v) if f else v))


class Ordered:
    """A key of a sort, which is compared as recorded code compares it."""

    __slots__ = ("key", "rt")

    def __init__(self, rt: Any, key: Any) -> None:
        self.rt, self.key = rt, key

    def __lt__(self, other: Ordered) -> bool:
        return bool(self.rt.truth(self.rt.op("lt", self.key, other.key)))


def in_order(rt: Any, keys: list[Any]) -> list[Any]:
    """Keys that Python's sort can compare."""
    return keys if all(type(k) in SIMPLE for k in keys) else [Ordered(rt, k) for k in keys]


def sorted_(rt: Any, it: Any, *, key: Any = None, reverse: Any = False) -> list[Any]:
    values = list(rt.iter(it))
    keys = in_order(rt, [rt.steered(rt.call(key, v) if key is not None else v) for v in values])
    return [values[i] for i in sorted(range(len(values)), key=keys.__getitem__, reverse=bool(reverse))]


def constructed(maker: Callable[..., Any]) -> Handler:
    """A maker of compiled functions (`grad`, ...), called inside of recorded code: it runs as it is."""

    def handler(rt: Any, *args: Any, **kwargs: Any) -> Any:
        options = {k: rt.steered(v) for k, v in kwargs.items()}
        return maker(*args[:1], *[rt.steered(a) for a in args[1:]], **options)

    return handler


def extreme(fn: Any) -> Handler:
    def handler(rt: Any, *args: Any, **kwargs: Any) -> Any:
        values = list(rt.iter(args[0])) if len(args) == 1 else list(args)
        if not values and "default" in kwargs:
            return kwargs["default"]
        key = kwargs.get("key")
        keys = values if key is None else [rt.steered(rt.call(key, v)) for v in values]
        if all(type(k) in SIMPLE for k in keys):
            return fn(keys) if key is None or not keys else values[keys.index(fn(keys))]
        best = 0
        for i in range(1, len(keys)):
            if rt.truth(rt.op("gt" if fn is max else "lt", keys[i], keys[best])):
                best = i
        return values[best]

    return handler


def div_mod(rt: Any, a: Any, b: Any) -> tuple[Any, Any]:
    if any(is_array(x) or (type(x) is Sym and x.meta.kind != "python") for x in (a, b)):
        return rt.call(np.divmod, a, b)
    return rt.op("floordiv", a, b), rt.op("mod", a, b)


def power(rt: Any, a: Any, b: Any, modulus: Any = None) -> Any:
    return rt.op("pow", a, b) if modulus is None else pow(*[rt.real(x) for x in (a, b, modulus)])


def next_(rt: Any, it: Any, *default: Any) -> Any:
    special = in_class(type(it), "__next__")
    try:
        if type(special) is types.FunctionType:
            return rt.call(special, it)
        return next(it) if rt.rec.var(it) is None else rt.given(next(it))
    except StopIteration:
        if not default:
            raise
        return default[0]


def reversed_(rt: Any, x: Any) -> Any:
    t = type(x)
    special = in_class(t, "__reversed__")
    if type(special) is types.FunctionType:
        return rt.call(special, x)
    if special is None and type(in_class(t, "__getitem__")) is types.FunctionType:
        return (rt.getitem(x, i) for i in range(int(rt.length(x)) - 1, -1, -1))
    if t is range or (t is not Sym and not hasattr(t, "__reversed__") and not hasattr(t, "__getitem__")):
        return reversed(x)  # or raises
    return reversed(list(rt.iter(x)))


def shallow_copy(rt: Any, x: Any) -> Any:
    if (type(x) is Sym and x.meta.kind == "array") or is_array(x):
        return rt.method(x, "copy", "K")
    if type(x) in (list, dict):
        return rt.method(x, "copy")
    return rt.opaque(copy.copy, x)


def making(maker: Any) -> Handler:
    return lambda rt, *args, **kwargs: rt.new_stream(maker, *args, **kwargs)


def global_stream(name: str) -> Handler:
    """A function of NumPy's own stream of random numbers that is no method of it."""
    return lambda rt, *args, **kwargs: rt.random(np.random.mtrand._rand, name, args, kwargs)


def array_text(fn: Callable[..., str]) -> Handler:
    """A function of NumPy that gives the text of an array."""

    def handler(rt: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        options = {k: rt.steered(v) for k, v in kwargs.items()}
        return rt.shown(functools.partial(_text, fn, options), x, *[rt.steered(a) for a in args])

    return handler


def _text(fn: Callable[..., str], options: dict[str, Any], *args: Any) -> str:
    return fn(*args, **options)


def limits(cls: Any) -> Handler:
    """`np.finfo` and `np.iinfo`, of which a type, an array or a number is asked."""

    def handler(rt: Any, x: Any) -> Any:
        deferred = type(x) is Sym and x.meta.kind in ("array", "scalar", "python")
        return cls(x.meta.dtype if deferred else x.dtype if is_array(x) else rt.steered(x))

    return handler


HANDLERS: dict[Any, Handler] = {
    **{cls: limits(cls) for cls in LIMITS},
    np.array2string: array_text(np.array2string),
    np.array_str: array_text(np.array_str),
    np.array_repr: array_text(np.array_repr),
    **{maker: making(maker) for maker in MAKERS},
    np.random.seed: global_stream("seed"),
    np.random.ranf: global_stream("random_sample"),
    np.random.sample: global_stream("random_sample"),
    len: lambda rt, x: rt.length(x),
    isinstance: is_instance,
    super: lambda rt, *a: super(*a) if a else rt.opaque(super),
    type: type_of,
    np.isscalar: is_scalar,
    hasattr: has_attr,
    getattr: get_attr,
    vars: lambda rt, x: rt.getattr(x, "__dict__"),
    setattr: lambda rt, x, name, v: rt.setattr(v, x, rt.steered(name)),
    delattr: lambda rt, x, name: rt.delattr(x, rt.steered(name)),
    object.__setattr__: lambda rt, x, name, v: rt.store_attr(v, x, rt.steered(name)),
    print: lambda rt, *args, **kwargs: rt.print(args, kwargs),
    sum: sum_,
    math.prod: product,
    slice: lambda _rt, *a: slice(*a),
    divmod: div_mod,
    pow: power,
    max: extreme(max),
    min: extreme(min),
    float: convert(float),
    int: convert(int),
    complex: convert(complex),
    bool: lambda rt, x=False: rt.truth(x),
    str: lambda rt, *a: rt.as_text(str, a[0]) if len(a) == 1 else str(*map(rt.real, a)),
    repr: lambda rt, x: rt.as_text(repr, x),
    ascii: lambda rt, x: rt.as_text(ascii, x),
    format: lambda rt, x, spec="": rt.fstring((x, -1, spec)),
    list: collect(list),
    tuple: collect(tuple),
    set: lambda rt, *a: set(map(rt.steered, *map(rt.iter, a))) if a else set(),
    frozenset: lambda rt, *a: frozenset(map(rt.steered, *map(rt.iter, a))) if a else frozenset(),
    dict: dict_,
    zip: unrolled(zip),
    enumerate: lambda rt, x, start=0: enumerate(rt.iter(x), rt.steered(start)),
    range: lambda rt, *a: range(*[rt.steered(x) for x in a]),
    next: next_,
    reversed: reversed_,
    map: map_,
    filter: filter_,
    sorted: sorted_,
    round: recorded(round),
    np.errstate: constructed(np.errstate),
    abs: lambda rt, x: rt.uop("abs", x),
    iter: lambda rt, x, *a: iter(x, *a) if a else iter(rt.iter(x)),
    copy.deepcopy: lambda rt, x, *memo: rt.deep_copy(x, *memo),
    copy.copy: shallow_copy,
    **LIBRARY,
}
