"""Functions of itertools, functools, operator and contextlib on symbolic values: (function -> handler)."""

from __future__ import annotations

import contextlib
import functools
import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any

from graphc.npjit.values import OPERATORS, UNARY

Handler = Callable[..., Any]
_MISSING = object()


def reduce_(rt: Any, f: Any, it: Any, start: Any = _MISSING) -> Any:
    elements = rt.iter(it)
    if start is _MISSING:
        start = next(elements, _MISSING)
        if start is _MISSING:
            return functools.reduce(f, ())  # raises
    for v in elements:
        start = rt.call(f, start, v)
    return start


def accumulate(rt: Any, it: Any, func: Any = None, *, initial: Any = _MISSING) -> Iterator[Any]:
    elements = rt.iter(it)
    total = next(elements, _MISSING) if initial is _MISSING or initial is None else initial
    if total is _MISSING:
        return
    yield total
    for v in elements:
        total = rt.op("add", total, v) if func is None else rt.call(func, total, v)
        yield total


def over(cls: Any) -> Handler:
    """A class of itertools that takes iterables."""
    return lambda rt, *its, **options: cls(*[rt.iter(x) for x in its], **options)


def first_over(cls: Any) -> Handler:
    """One that takes an iterable, and then numbers."""
    return lambda rt, it, *numbers: cls(rt.iter(it), *[rt.steered(n) for n in numbers])


def steered(cls: Any) -> Handler:
    """One that takes only numbers and names."""
    return lambda rt, *values: cls(*[rt.steered(v) for v in values])


def by_operator(name: str) -> Handler:
    return lambda rt, a, b: rt.op(name, a, b)


def by_unary(name: str) -> Handler:
    return lambda rt, a: rt.uop(name, a)


def get_items(rt: Any, getter: Any, x: Any) -> Any:
    """operator.itemgetter(...)(x)."""
    found = [rt.getitem(x, k) for k in getter.__reduce__()[1]]
    return found[0] if len(found) == 1 else tuple(found)


def get_attributes(rt: Any, getter: Any, x: Any) -> Any:
    """operator.attrgetter(...)(x)."""
    found = [functools.reduce(rt.getattr, name.split("."), x) for name in getter.__reduce__()[1]]
    return found[0] if len(found) == 1 else tuple(found)


GETTERS: dict[type, Handler] = {operator.itemgetter: get_items, operator.attrgetter: get_attributes}
LIBRARY: dict[Any, Handler] = {
    functools.reduce: reduce_,
    itertools.accumulate: accumulate,
    itertools.chain: over(itertools.chain),
    itertools.product: over(itertools.product),
    itertools.zip_longest: over(itertools.zip_longest),
    itertools.pairwise: over(itertools.pairwise),
    itertools.compress: lambda rt, it, chosen: (
        v for v, c in zip(rt.iter(it), rt.iter(chosen)) if rt.truth(c)
    ),
    itertools.starmap: lambda rt, f, it: (rt.call(f, *rt.iter(v)) for v in rt.iter(it)),
    itertools.takewhile: lambda rt, f, it: itertools.takewhile(
        lambda v: rt.truth(rt.call(f, v)), rt.iter(it)
    ),
    itertools.dropwhile: lambda rt, f, it: itertools.dropwhile(
        lambda v: rt.truth(rt.call(f, v)), rt.iter(it)
    ),
    itertools.repeat: lambda rt, x, *times: itertools.repeat(x, *map(rt.steered, times)),
    functools.partial: lambda _rt, f, *args, **kwargs: functools.partial(f, *args, **kwargs),
    itertools.cycle: over(itertools.cycle),
    itertools.islice: first_over(itertools.islice),
    itertools.combinations: first_over(itertools.combinations),
    itertools.combinations_with_replacement: first_over(itertools.combinations_with_replacement),
    itertools.permutations: first_over(itertools.permutations),
    itertools.count: steered(itertools.count),
    operator.itemgetter: steered(operator.itemgetter),
    operator.attrgetter: steered(operator.attrgetter),
    contextlib.suppress: lambda _rt, *classes: contextlib.suppress(*classes),
    contextlib.nullcontext: lambda _rt, x=None: contextlib.nullcontext(x),
    operator.getitem: lambda rt, x, k: rt.getitem(x, k),
    operator.setitem: lambda rt, x, k, v: rt.setitem(v, x, k),
    **{fn: by_operator(name) for name, fn in OPERATORS.items()},
    **{fn: by_unary(name) for name, fn in UNARY.items() if fn is not abs},
}
