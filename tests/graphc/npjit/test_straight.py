"""Calls that plain Python does for good: they go straight to it, and some of them are looked at."""

from __future__ import annotations

import copy
import functools
import gc
import pickle
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.npjit import straight
from graphc.npjit.function import PATIENT, Jit
from graphc.npjit.settled import OFTEN, ROUNDS, SELDOM, Aside, Plain
from graphc.npjit.straight import ANY, Straight, form_of

X = np.arange(20.0)
pytestmark = pytest.mark.skipif(not straight.is_known(), reason="all calls go the long way in this Python")


class Counted(Straight):
    """Calls it, and what `go_straight` sends elsewhere."""

    def __init__(self, fn: Callable[..., Any] = lambda *args, **kwargs: ("straight", args, kwargs)) -> None:
        self.fn, self.looks = fn, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return "long", args, kwargs

    def look(self, *args: Any, **kwargs: Any) -> Any:
        self.looks += 1
        return "look", args, kwargs


def test_each_so_manieth_call_is_looked_at() -> None:
    f = Counted()
    assert f(1) == ("long", (1,), {})
    assert f.go_straight(f.fn, f.look, 4)
    kinds = [f(i, k=i) for i in range(8)]
    assert [k[0] for k in kinds] == (["straight"] * 3 + ["look"]) * 2
    assert [k[1:] for k in kinds] == [((i,), {"k": i}) for i in range(8)]
    assert f.straight_calls == 8
    assert f.go_long() == 8
    assert f(1)[0] == "long"
    assert f.go_long() == f.straight_calls == 0


def test_calls_of_other_forms_go_the_long_way() -> None:
    f = Counted()
    f.go_straight(f.fn, f.look, 64, form_of(2))
    calls = [f(1, 2), f(1), f(1, 2, 3), f(1, 2, k=3), f(*(1, 2)), f(1, k=2)]
    assert [c[0] for c in calls] == ["straight", "long", "long", "long", "straight", "long"]
    f.go_straight(f.fn, f.look, 64, form_of(1, "k"))
    assert [f(1, k=2)[0], f(1, 2)[0], f(1)[0], f(1, j=2)[0]] == ["straight", "long", "long", "straight"]
    f.go_straight(f.fn, f.look, 64, ANY)
    assert [f()[0], f(1, 2)[0], f(k=1)[0], f(k=1, j=2)[2]] == [*3 * ["straight"], {"k": 1, "j": 2}]


def test_the_class_in_c_is_like_its_base() -> None:
    f = Counted()
    assert isinstance(f, Counted)
    assert type(f).__name__ == "Counted"
    assert type(type(f)()) is type(f)
    assert type(f).__module__ == Counted.__module__
    f.anything = f
    assert vars(f)["anything"] is f
    seen = weakref.ref(f)
    f.go_straight(f.fn, f.look, 64)
    del f
    gc.collect()
    assert seen() is None


def test_methods_are_found_as_those_of_functions() -> None:
    class Net:
        step = Counted()

    for _ in range(2):
        net = Net()
        assert Net.step is Net.__dict__["step"]
        assert type(net.step) is types.MethodType
        assert net.step.__func__ is Net.step
        assert net.step(3)[1:] == ((net, 3), {})
        Net.step.go_straight(Net.step.fn, Net.step.look, 64)


def test_without_machine_code_calls_go_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(straight, "KNOWN", ())
    monkeypatch.setattr(straight, "_CLASSES", {})
    f = Counted()
    assert type(f) is Counted
    assert not f.go_straight(f.fn, f.look, 4)
    assert (f(1)[0], f.straight_calls, f.go_long()) == ("long", 0, 0)


def settled(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Jit:
    """A jitted function whose calls of a form plain Python does."""
    jitted = graphc.jit(fn)
    key = (len(args), *kwargs)
    jitted(*args, **kwargs)
    (choice,) = jitted.fast[key]
    jitted.settle(key, choice, "plain", Plain(fn, 90_000, (choice.fast.guards,)))
    return jitted


def test_settled_calls_go_straight_and_guards_are_asked_now_and_then() -> None:
    callers: list[str] = []

    def f(x: np.ndarray) -> Any:
        callers.append(sys._getframe(1).f_code.co_name)
        return x + 1

    def doubled(x: np.ndarray) -> Any:
        return x * 2

    jitted = settled(doubled, X)
    jitted.fn = f
    jitted.arrange((1,), [Plain(f, 90_000, jitted.fast[1,][0].guards)])
    for _ in range(OFTEN):
        jitted(X)
    assert callers == [sys._getframe().f_code.co_name] * (OFTEN - 1) + ["look"]
    assert jitted.hits == OFTEN
    assert f"{jitted.recordings} recordings, {jitted.hits} fast calls" in jitted.explain()


def test_calls_of_other_kinds_are_recorded_in_the_end() -> None:
    jitted = settled(lambda x: x * 2, X)
    for _ in range(OFTEN):
        assert np.array_equal(jitted(X[:5].astype("f4")), X[:5] * 2)
    assert jitted.recordings == 2
    for _ in range(40):
        assert np.array_equal(jitted(X), X * 2)
        assert np.array_equal(jitted(X[:5].astype("f4")), X[:5] * 2)
    assert jitted.recordings == 2


def test_data_that_have_grown_are_recorded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def halved(x: np.ndarray, n: int) -> np.ndarray:
        for _ in range(int(x.sum())):
            x = x * 0.5
        return x

    now = [0]
    monkeypatch.setattr("graphc.npjit.settled.perf_counter_ns", lambda: now[0])
    jitted = graphc.jit(halved)
    jitted(X, 0)
    before = jitted.recordings
    aside = jitted.aside[2,]
    aside.add(90_000)
    aside.plain = [5_000] * 3
    jitted.step_aside((2,), aside, halved)
    for _ in range(3 * OFTEN):
        jitted(X, 0)
    assert jitted.recordings == before

    def slow(x: np.ndarray, n: int) -> np.ndarray:
        now[0] += 10_000_000
        return halved(x, n)

    (plain,) = jitted.fast[2,]
    plain.fn = slow
    for _ in range(2 * OFTEN):
        jitted(X, 0)
    assert jitted.recordings > before


def test_a_choice_that_was_made_meanwhile_does_not_come_back() -> None:
    def first(args: Any, kwargs: Any) -> Any: ...
    def second(args: Any, kwargs: Any) -> Any: ...
    def gone(args: Any, kwargs: Any) -> Any: ...

    jitted = graphc.jit(module_level)
    jitted.fast[1,] = [first, second]
    jitted._to_front((1,), gone)
    assert jitted.fast[1,] == [first, second]
    jitted._to_front((1,), second)
    assert jitted.fast[1,] == [second, first]


def test_other_forms_than_the_settled_one_are_as_fast_as_ever() -> None:
    def f(x: np.ndarray, scale: float = 2.0) -> Any:
        return x * scale

    jitted = settled(f, X)
    for _ in range(3 * OFTEN):
        assert np.array_equal(jitted(X, 3.0), X * 3)
        assert np.array_equal(jitted(X, scale=3.0), X * 3)
        assert np.array_equal(jitted(X), X * 2)
    assert jitted.recordings == 3
    assert jitted.hits == 9 * OFTEN - 2


def batches(x: np.ndarray, n: int) -> Iterator[np.ndarray]:
    for i in range(0, len(x), n):
        yield x[i : i + n] * 2


def test_generators_stay_right() -> None:
    jitted = graphc.jit(batches)
    for n in range(1, 2 * SELDOM):
        k = n % 7 + 1
        found = jitted(X, n=k)
        assert isinstance(found, types.GeneratorType)
        assert [b.tolist() for b in found] == [b.tolist() for b in batches(X, k)]
        assert (jitted.straight_calls > 0) == (n > PATIENT)
    assert jitted.hits == 0
    assert jitted.explain().count("generator") == 1
    with pytest.raises(TypeError, match="missing 1 required"):
        jitted(X)


def test_the_backend_is_asked_for_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    jitted = graphc.jit(lambda x: np.tanh(x) + 1)
    monkeypatch.setenv("GRAPHC_BACKEND", "reference")
    for _ in range(2 * PATIENT):
        assert np.array_equal(jitted(X), np.tanh(X) + 1)
    assert (jitted.recordings, jitted.straight_calls) == (0, PATIENT)
    monkeypatch.delenv("GRAPHC_BACKEND")
    for _ in range(SELDOM):
        assert np.array_equal(jitted(X), np.tanh(X) + 1)
    assert jitted.recordings == 1


def test_errors_of_straight_calls_are_pythons() -> None:
    def f(x: np.ndarray) -> Any:
        return x + 1

    jitted = settled(f, X)
    for call in (f, jitted):
        with pytest.raises(TypeError, match=r"f\(\) missing 1 required positional argument: 'x'"):
            call()
        with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
            call(z=1)
        with pytest.raises(TypeError, match="unsupported operand"):
            call("a" and [None][0])


def test_copies_pickles_and_numba_do_not_notice() -> None:
    jitted = settled(module_level, X)
    assert jitted.__wrapped__ is module_level
    assert copy.copy(jitted) is copy.deepcopy(jitted) is jitted
    twin = pickle.loads(pickle.dumps(jitted))
    assert isinstance(twin, Jit)
    assert np.array_equal(twin(X), X + 3)
    assert "jit of" in repr(jitted)
    assert np.array_equal(functools.partial(jitted)(X), X + 3)
    assert jitted._numba_type_ is not None


def module_level(x: np.ndarray) -> Any:
    return x + 3


def test_an_inner_call_of_a_recursion_may_step_aside_first() -> None:
    def down(n: int) -> int:
        return 0 if n == 0 else 1 + jitted(n - 1)

    jitted = graphc.jit(down)
    aside = jitted.aside[1,] = Aside()
    for _ in range(ROUNDS + 1):
        aside.add(10**12)
    assert jitted(2 * ROUNDS) == 2 * ROUNDS
    assert not jitted.aside
    assert jitted.explain().count("steps aside") == 1
    assert jitted(300) == 300


def test_recursion_and_threads() -> None:
    def down(x: np.ndarray, n: int) -> Any:
        return x if n == 0 else jitted(x, n - 1) + 1

    jitted = graphc.jit(down)
    jitted.arrange((2,), [Plain(down, 90_000)])
    assert np.array_equal(jitted(X, 300), X + 300)
    wrong: list[Any] = []

    def run(k: int) -> None:
        for i in range(300):
            if not np.array_equal(jitted(X, k), X + k):
                wrong.append(i)
            if i % 50 == k:
                jitted.arrange((2,), [Plain(down, 90_000)])

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
