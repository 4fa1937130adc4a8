"""Functions, methods and immutable objects that are handed to a jitted function: each call uses its own."""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable
from enum import IntEnum
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from npjit_harness import diff

import graphc

X = np.arange(1.0, 5.0).reshape(2, 2)
P = functools.partial


class Scale:
    def __init__(self, k: float) -> None:
        self.k = k

    def method(self, x: np.ndarray) -> np.ndarray:
        return x * self.k


class Count(IntEnum):
    ONE = 1
    TWO = 2


CALLABLES = {
    "functions of NumPy": (np.mean, np.sum, np.max, np.linalg.norm),
    "partials": (P(np.power, 2.0), P(np.power, 3.0), P(np.add, 3.0), P(np.add, X), P(np.add, X * 2)),
    "keywords of partials": (P(np.sum, axis=0), P(np.sum, axis=1), P(np.sum, keepdims=True), P(np.sum)),
    "partials of partials": (P(P(np.add, 1), out=None), P(P(np.add, 2), out=None)),
    "methods": (Scale(1).method, Scale(2).method, Scale(3.0).method),
    "partials of methods": (P(Scale(1).method), P(Scale(2).method)),
    "methods of arrays": (X.dot, (X * 2).dot, X.__add__, (X * 2).__add__),
    "methods of numbers": (np.float64(1).__add__, np.float64(2).__add__, (2.0).__mul__),
    "vectorized": (np.vectorize(lambda v: v * 2), np.vectorize(lambda v: v * 3)),
    "jitted": (graphc.jit(lambda v: v * 2), graphc.jit(lambda v: v * 3)),
    "gradients": (graphc.grad(lambda v: np.sum(v * 2)), graphc.grad(lambda v: np.sum(v**2))),
    "getters": (operator.itemgetter(0), operator.itemgetter(1), operator.attrgetter("T")),
    "method callers": (operator.methodcaller("sum"), operator.methodcaller("mean")),
}
VALUES: dict[str, tuple[Callable[[Any, Any], Any], tuple[Any, ...]]] = {
    "slices": (lambda x, s: x[s], (slice(0, 1), slice(0, 2), slice(None, None, -1))),
    "ranges": (lambda x, s: sum(x * k for k in s), (range(3, 5), range(4, 5))),
    "first of a range": (lambda x, s: x * s[0], (range(3, 5), range(4, 5))),
    "enumerated numbers": (lambda x, s: x * s, (Count.ONE, Count.TWO, 1, 2)),
    "fractions": (lambda x, s: x * float(s), (Fraction(1, 2), Fraction(1, 3))),
}


def in_argument(x: np.ndarray, f: Any) -> Any:
    return f(x)


def in_dict(x: np.ndarray, d: Any) -> Any:
    return d["f"](x)


def in_attribute(x: np.ndarray, o: Any) -> Any:
    return o.f(x)


GIVEN: dict[Any, Callable[[Any], Any]] = {
    in_argument: lambda f: f,
    in_dict: lambda f: {"f": f},
    in_attribute: lambda f: SimpleNamespace(f=f),
}


@pytest.mark.parametrize("place", GIVEN)
@pytest.mark.parametrize("functions", CALLABLES.values(), ids=CALLABLES)
def test_another_function_at_each_call(functions: Any, place: Any) -> None:
    jitted = graphc.jit(place)
    for f in functions * 2:
        assert diff(place(X, GIVEN[place](f)), jitted(X, GIVEN[place](f))) is None


@pytest.mark.parametrize("kind", VALUES)
def test_another_value_at_each_call(kind: str) -> None:
    f, values = VALUES[kind]
    jitted = graphc.jit(f)
    for v in values * 2:
        assert diff(f(X, v), jitted(X, v)) is None


def test_the_object_of_a_kept_method_is_read_anew() -> None:
    scale, table, log = Scale(1), {"a": 0.0}, [0.0]
    o = SimpleNamespace(act=scale.method, get=table.get, push=log.append)

    @graphc.jit
    def step(x: np.ndarray, o: Any) -> Any:
        o.push(x.sum())
        return o.act(x)[0, 0] * o.get("a")

    for k in range(6):
        scale.k, table["a"] = k, k + 1.0
        assert step(X, o) == k * (k + 1)
    assert log == [0.0] + [10.0] * 6


def test_an_iterator_goes_on() -> None:
    numbers = iter([1, 2, 3, 4, 5])
    take = graphc.jit(lambda x, it: x * next(it))
    assert [take(X, numbers)[0, 0] for _ in range(5)] == [1, 2, 3, 4, 5]


def changed_before_errstate(a: np.ndarray) -> Any:
    a *= 2
    with np.errstate(divide="ignore"):
        z = np.log(a * 0)
    a += 1
    return z, a


def changed_inside_of_suppress(a: np.ndarray) -> Any:
    with contextlib.suppress(IndexError):
        a[0] = 5.0
        a[9] = 1
    return a.sum()


def changed_around_nullcontext(a: np.ndarray) -> Any:
    a *= 3
    with contextlib.nullcontext():
        a -= 1
    a += 4
    return a.sum()


def changed_before_a_caught_error(a: np.ndarray) -> Any:
    said = ""
    try:
        a *= 2
        a[9] = 1
    except IndexError as e:
        said = str(e)
    with np.errstate(all="ignore"):
        return np.log(a - a), said


def steered_by_what_errstate_computed(a: np.ndarray) -> Any:
    with np.errstate(all="ignore"):
        n = (a / 0 > 0).sum()
    return a * 2 if n > 2 else a * 3


MANAGED = (
    *(changed_before_errstate, changed_inside_of_suppress, changed_around_nullcontext),
    *(changed_before_a_caught_error, steered_by_what_errstate_computed),
)


@pytest.mark.parametrize("f", MANAGED)
def test_changes_beside_a_context_manager_are_done_at_each_call(f: Any) -> None:
    jitted = graphc.jit(f)
    for sign in (1, 1, -1, 1, 1, -1):
        plain = sign * np.array([1.0, 2.0, 3.0, -4.0])
        same = plain.copy()
        assert diff([f(plain), plain], [jitted(same), same]) is None


def test_polynomials_are_called() -> None:
    jitted = graphc.jit(lambda x, p: (p(x), np.poly1d([1, 2])(x)))
    for p in (np.poly1d([1.0, 2.0]), np.poly1d([3.0, 4.0])):
        assert diff((p(X), np.poly1d([1, 2])(X)), jitted(X, p)) is None


def test_isscalar_is_no_break() -> None:
    def kinds(x: np.ndarray, k: int) -> Any:
        return [np.isscalar(v) for v in (x, x[0, 0], x.sum(), k, 2.5, float(x[0, 0]), "a", [1], None)]

    jitted = graphc.jit(kinds)
    assert jitted(X, 3) == kinds(X, 3) == jitted(X, 4)
    assert "graph break" not in jitted.explain()


def test_errors_name_inner_functions_as_python_does() -> None:
    def outer(x: np.ndarray) -> Any:
        def inner(a: Any, b: Any) -> Any:
            return a + b

        return inner(x)

    messages = []
    for f in (outer, graphc.jit(outer)):
        with pytest.raises(TypeError) as caught:
            f(X)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_the_base_of_a_view_is_the_array() -> None:
    def based(a: np.ndarray) -> Any:
        a += 1
        c = a[1:]
        return c.base is a, a.base is None, a.copy().base is None

    jitted = graphc.jit(based)
    assert [jitted(np.zeros(3)) for _ in range(3)] == [(True, True, True)] * 3
