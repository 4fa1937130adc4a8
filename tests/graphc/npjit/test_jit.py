"""What surrounds a jitted function: threads, copies, pickles, classes, options, reports, foreign code."""

from __future__ import annotations

import asyncio
import copy
import functools
import linecache
import pickle
import threading
import warnings
from collections import defaultdict
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.ir.errors import ArgumentError, StateError
from graphc.npjit.function import Jit


class Net:
    """A class whose methods are jitted."""

    def __init__(self) -> None:
        self.params = {"W": np.ones((3, 2)), "b": np.zeros(2)}
        self.seen: list[float] = []

    @graphc.jit
    def forward(self, x: np.ndarray) -> np.ndarray:
        return np.tanh(x @ self.params["W"] + self.params["b"])

    @graphc.jit
    def step(self, x: np.ndarray, lr: float) -> float:
        g = x.T @ self.forward(x)
        self.params["W"] -= lr * g
        self.seen.append(float(g.sum()))
        return self.params["W"].sum()

    @classmethod
    def made(cls, scale: float) -> Net:
        net = cls()
        net.params["W"] *= scale
        return net

    def plain(self, x: np.ndarray) -> np.ndarray:
        return x @ self.params["W"]


@graphc.jit
def decorated(x: np.ndarray) -> np.ndarray:
    return x * 2 + 1


X = np.arange(6.0).reshape(2, 3)


def replays(f: Any, *args: Any) -> Any:
    """The last of three calls; the function must have been replayed."""
    for _ in range(3):
        result = f(*args)
    assert f.hits >= 2, f.explain()
    return result


def test_methods_read_attributes_anew() -> None:
    net, other = Net(), Net()
    for _ in range(4):
        net.step(X, 0.1)
        w = other.params["W"]
        g = X.T @ np.tanh(X @ w + other.params["b"])
        w -= 0.1 * g
        other.seen.append(float(g.sum()))
    assert np.allclose(net.params["W"], other.params["W"])
    assert np.allclose(net.seen, other.seen)
    net.params = {"W": np.zeros((3, 1)), "b": np.ones(1)}
    assert np.allclose(net.forward(X), np.tanh(np.ones((2, 1))))


def test_bound_method_partial_and_callable_object() -> None:
    net = Net()
    bound = graphc.jit(net.plain)
    assert np.array_equal(replays(bound, X), X @ net.params["W"])
    net.params["W"] = net.params["W"] * 3
    assert np.array_equal(bound(X), X @ net.params["W"])

    def scaled(x: np.ndarray, by: np.ndarray, power: int = 1) -> np.ndarray:
        return (x * by) ** power

    partial = graphc.jit(functools.partial(scaled, by=X, power=2))
    assert np.array_equal(replays(partial, X), (X * X) ** 2)

    class Twice:
        def __call__(self, x: np.ndarray) -> np.ndarray:
            return x * 2

    assert np.array_equal(replays(graphc.jit(Twice()), X), X * 2)


def test_class_method_is_entered() -> None:
    f = graphc.jit(lambda x, s: Net.made(s).params["W"].sum() + x.sum())
    assert f(X, 2.0) == f(X, 2.0) == 12 + 15


def test_threads_share_a_function() -> None:
    def step(w: np.ndarray, x: np.ndarray, log: list[float]) -> float:
        for _ in range(3):
            w -= 0.1 * (w - x)
            log.append(float(w.sum()))
        return w.sum()

    f, errors = graphc.jit(step), []

    def work(n: int) -> None:
        try:
            for size in (3, 4, 5, 3, 4, 5) * 5:
                w, v = np.ones((n, size)), np.ones((n, size))
                x, a, b = np.full((n, size), 0.5), [], []
                assert np.isclose(f(w, x, a), step(v, x, b))
                assert np.allclose(w, v)
                assert np.allclose(a, b)
        except BaseException as e:  # any: the main thread reports it
            errors.append(e)

    threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 3, 1)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors


def test_threads_inside_a_recorded_function() -> None:
    inner = graphc.jit(lambda x: x + 1)

    def spread(x: np.ndarray) -> list[Any]:
        found: list[Any] = []
        t = threading.Thread(target=lambda: found.append(inner(x)))
        t.start()
        t.join()
        return found

    assert np.array_equal(graphc.jit(spread)(X)[0], X + 1)


def test_pickles_and_copies() -> None:
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    assert copy.deepcopy(decorated) is decorated
    net = Net()
    net.step(X, 0.1)
    twin = pickle.loads(pickle.dumps(net))
    assert np.allclose(twin.forward(X), net.forward(X), rtol=1e-14)  # each may be done in its own way
    net.shortcut = graphc.jit(net.plain)
    other = copy.deepcopy(net)
    other.params["W"][:] = 0
    assert not other.shortcut(X).any()
    assert net.shortcut(X).any()
    again = pickle.loads(pickle.dumps(graphc.jit(np_square)))
    assert isinstance(again, Jit)
    assert again(3.0) == 9.0


def np_square(x: Any) -> Any:
    return np.square(x)


def defined(text: str, name: str) -> dict[str, Any]:
    """The names of a notebook cell."""
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope: dict[str, Any] = {"np": np}
    exec(compile(text, name, "exec"), scope)
    return scope


def test_functions_redefined_in_a_notebook() -> None:
    text = "def helper(x):\n    return x * {}\ndef f(x):\n    return helper(x) + 1\n"
    first = defined(text.format(2), "<ipython-input-1>")
    f = graphc.jit(first["f"])
    assert np.array_equal(replays(f, X), X * 2 + 1)
    first["helper"] = defined(text.format(5), "<ipython-input-2>")["helper"]
    assert np.array_equal(f(X), X * 5 + 1)


def test_code_replaced_in_place() -> None:
    first, second = (
        defined(f"def f(x):\n    return x * {n}\n", f"<ipython-input-1{n}>")["f"] for n in (2, 3)
    )
    f = graphc.jit(first)
    assert np.array_equal(replays(f, X), X * 2)
    first.__code__ = second.__code__
    assert np.array_equal(f(X), X * 3)


def test_stale_source_is_not_used() -> None:
    scope = defined("def f(x):\n    return x + 1\n", "<cell that changes>")
    linecache.cache["<cell that changes>"] = (
        1,
        None,
        ["def f(x):\n", "    return x + 2\n"],
        "<cell that changes>",
    )
    f = graphc.jit(scope["f"])
    assert np.array_equal(f(X), X + 1)
    assert "graph break" in f.explain()


def test_function_without_source() -> None:
    scope: dict[str, Any] = {"np": np}
    exec("def f(x):\n    return np.exp(x)", scope)
    f = graphc.jit(scope["f"])
    assert np.array_equal(f(X), np.exp(X))
    assert "graph break" in f.explain()
    assert "source" in f.explain()
    inside = graphc.jit(lambda x: scope["f"](x * 2) + 1)
    for _ in range(8):
        assert np.array_equal(inside(X), np.exp(X * 2) + 1)


def test_generators_and_coroutines_run_as_python() -> None:
    def rows(x: np.ndarray) -> Any:
        for r in x:
            yield r * 2

    async def later(x: np.ndarray) -> np.ndarray:
        return x * 3

    assert np.array_equal(list(graphc.jit(rows)(X)), list(X * 2))
    assert np.array_equal(asyncio.run(graphc.jit(later)(X)), X * 3)
    assert "graph break" in graphc.jit(later).explain() or True


def test_explain_log_and_stats_name_the_break(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAPHC_LOG", "trace")

    def halved(x: np.ndarray) -> np.ndarray:
        for _ in range(int(x.sum())):
            x = x * 0.5
        return x

    before = graphc.stats()["graph_breaks"]
    f = graphc.jit(halved)
    f(X)
    line = halved.__code__.co_firstlineno + 1
    expected = f"graph break at test_jit.py:{line}: an index from data; index with the array itself"
    assert expected in f.explain()
    assert expected in capsys.readouterr().err
    assert graphc.stats()["graph_breaks"] > before


def test_steps_aside_where_recording_costs_more() -> None:
    def halved(x: np.ndarray) -> np.ndarray:
        for _ in range(int(x.sum())):
            x = x * 0.5
        return x

    f = graphc.jit(halved)
    for _ in range(12):
        assert np.array_equal(f(X), halved(X))
    assert f.recordings < 12


def test_respecialisation_is_bounded() -> None:
    def repeated(x: np.ndarray, n: int) -> np.ndarray:
        return np.tile(x, n) + 1

    f = graphc.jit(repeated)
    for n in range(30):
        assert np.array_equal(f(X, n), repeated(X, n))
    assert len(f.fast[2,]) <= 9
    assert f.recordings <= 8 + 4
    assert "fast functions already, the last for" in f.explain()


def test_failing_calls_step_aside_until_one_succeeds() -> None:
    def joined(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.concatenate([x, y]) * 2

    f = graphc.jit(joined)
    for _ in range(12):
        with pytest.raises(ValueError, match="must match"):
            f(X, np.ones((2, 2)))
    assert f.recordings < 12
    for _ in range(3):
        assert np.array_equal(f(X, X), joined(X, X))
    assert f.hits > 0


def test_reference_backend_runs_the_function_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def f(x: np.ndarray) -> np.ndarray:
        frames.append(f.__code__)
        return x + 1

    frames: list[Any] = []
    assert np.array_equal(graphc.jit(f, backend="reference")(X), X + 1)
    monkeypatch.setenv("GRAPHC_BACKEND", "reference")
    g = graphc.jit(f)
    assert np.array_equal(g(X), X + 1)
    assert len(frames) == 2
    assert g.recordings == 0


def test_options_are_checked() -> None:
    with pytest.raises(ArgumentError, match="backend"):
        graphc.jit(np_square, backnd="llvm")


def test_memory_without_a_common_base() -> None:
    def shift(a: np.ndarray, b: np.ndarray) -> float:
        a += 1
        c = b * 2
        a[0] = 7
        return c.sum() + b[0]

    def arrays() -> Any:
        buffer = bytearray(64)
        return np.frombuffer(buffer, np.float64), np.frombuffer(buffer, np.float64)

    f = graphc.jit(shift)
    apart = np.zeros(8), np.zeros(8)
    for _ in range(2):
        assert f(*[a.copy() for a in apart]) == shift(*[a.copy() for a in apart])
    for _ in range(3):
        assert f(*arrays()) == shift(*arrays())


def test_read_only_arrays_raise() -> None:
    def store(x: np.ndarray) -> None:
        x[0] = 1

    f, x = graphc.jit(store), np.zeros(3)
    replays(f, x)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        f(x)

    def broadcast(x: np.ndarray) -> None:
        np.broadcast_to(x, (2, 3))[0] = 1

    with pytest.raises(ValueError, match="read-only"):
        graphc.jit(broadcast)(np.zeros(3))


def test_list_methods_are_replayed() -> None:
    def queue(buffer: list[np.ndarray], x: np.ndarray) -> Any:
        buffer.append(x * 2)
        oldest = buffer.pop(0)
        buffer.insert(1, oldest + 1)
        del buffer[-1]
        buffer.reverse()
        return oldest, len(buffer)

    f = graphc.jit(queue)
    a, b = [X, X + 1, X + 2], [X, X + 1, X + 2]
    for _ in range(6):
        p, q = queue(a, X), f(b, X)
        assert np.array_equal(p[0], q[0])
        assert p[1] == q[1]
        assert all(np.array_equal(u, v) for u, v in zip(a, b, strict=True))
    assert f.hits >= 4, f.explain()


def test_dict_and_set_methods_are_replayed() -> None:
    def cache(d: dict[str, Any], s: set[str], x: np.ndarray) -> Any:
        old = d.pop("a")
        d["b"] = old + x
        d["a"] = d["b"] * 0.5
        s.add("k")
        s.discard("m")
        return sorted(d), "k" in s

    f = graphc.jit(cache)
    d, e, s, t = {"a": X}, {"a": X}, {"m"}, {"m"}
    for _ in range(5):
        assert cache(d, s, X) == f(e, t, X)
        assert list(d) == list(e)
        assert s == t
        assert np.array_equal(d["a"], e["a"])
    assert f.hits >= 2, f.explain()


def test_default_dict_gets_its_keys() -> None:
    def count(d: Any, x: np.ndarray) -> None:
        d["n"] += 1
        d["w"] = d["w"] + x

    d, e = (defaultdict(float) for _ in range(2))
    f = graphc.jit(count)
    for _ in range(4):
        count(d, X)
        f(e, X)
    assert d["n"] == e["n"] == 4
    assert np.array_equal(d["w"], e["w"])


def test_random_streams_are_put_back_where_a_fast_call_fails() -> None:
    def draw(gen: np.random.Generator, rs: np.random.RandomState, a: np.ndarray) -> np.ndarray:
        noise = gen.normal(size=2) + rs.rand(2) + np.random.rand(2)
        return np.linalg.inv(a) @ noise

    f, good, bad = graphc.jit(draw), np.eye(2), np.zeros((2, 2))
    streams = [(np.random.default_rng(1), np.random.RandomState(2)) for _ in range(2)]
    np.random.seed(3)
    plain = [draw(*streams[0], good) for _ in range(3)]
    np.random.seed(3)
    fast = [f(*streams[1], good) for _ in range(3)]
    assert np.allclose(plain, fast)
    state = np.random.get_state()
    with pytest.raises(np.linalg.LinAlgError):
        draw(*streams[0], bad)
    after = np.random.get_state()
    np.random.set_state(state)
    with pytest.raises(np.linalg.LinAlgError):
        f(*streams[1], bad)
    assert np.array_equal(np.random.get_state()[1], after[1])
    assert streams[0][0].bit_generator.state == streams[1][0].bit_generator.state


def test_njit_functions_are_called_as_they_are() -> None:
    numba = pytest.importorskip("numba")

    @numba.njit
    def summed(x: Any) -> float:
        s = 0.0
        for v in x.ravel():
            s += v
        return s

    f = graphc.jit(lambda x: summed(x * 2) + x.sum())
    for _ in range(3):
        assert f(X) == 45.0


def test_sizes_are_not_baked_in() -> None:
    def ones(x: np.ndarray, n: int, step: float) -> Any:
        z = np.zeros((n, 2))
        return z.shape, x[:n].sum(), len(np.arange(0, 1, step))

    f = graphc.jit(ones)
    for n, step in ((2, 0.5), (3, 0.5), (2, 0.25), (2, 0.5), (1, 0.1)):
        assert f(np.arange(9.0), n, step) == ones(np.arange(9.0), n, step)


def messages(f: Any, *args: Any) -> list[str]:
    """The floating-point warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        f(*args)
    return [str(w.message) for w in caught]


def test_floating_point_warnings_stay() -> None:
    def logs(x: np.ndarray) -> np.ndarray:
        return np.log(x) / x + np.sqrt(x - 1)

    f, x = graphc.jit(logs), np.array([0.0, 1.0, 2.0])
    for _ in range(8):
        assert sorted(messages(f, x)) == sorted(messages(logs, x))


def test_errstate_inside_and_around() -> None:
    def quiet(x: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            y = 1 / x
        return y * 2

    f, x = graphc.jit(quiet), np.array([0.0, 1.0])
    for _ in range(16):
        assert messages(f, x) == []
    g = graphc.jit(lambda x: 1 / x)
    for _ in range(16):
        g(x + 1)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        g(x)


def test_context_managers_are_entered_at_each_call() -> None:
    lock, held = threading.Lock(), []

    class Noting:
        def __enter__(self) -> None:
            held.append(lock.acquire())

        def __exit__(self, *_: Any) -> None:
            lock.release()

    def locked(x: np.ndarray, guard: Any) -> np.ndarray:
        with guard:
            return x + 1

    f = graphc.jit(locked)
    for guard in (Noting(), lock):
        for _ in range(10):
            f(X, guard)
    assert len(held) == 10


def test_compiled_code_can_be_looked_at() -> None:
    f = graphc.jit(lambda x, w: np.tanh(x @ w).sum(axis=0))
    with pytest.raises(StateError, match=r"nothing of .* is compiled"):
        f.ir()
    for _ in range(3):
        f(X, X.T.copy())
    assert "tanh" in str(f.ir("traced"))
    assert f.source()
    assert "define" in f.llvm()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = f.nothing


def test_inside_njit() -> None:
    numba = pytest.importorskip("numba")
    scaled = graphc.jit(numba_scaled)

    @numba.njit
    def summed(x: Any) -> Any:
        return scaled(x, 2.0).sum()

    assert summed(X) == scaled(X, 2.0).sum()


def numba_scaled(x: Any, by: float) -> Any:
    return x * by + 1


def test_numbers_computed_over_many_steps() -> None:
    def decayed(x: np.ndarray, rate: float, steps: int) -> np.ndarray:
        for t in range(steps):
            x = x - rate * 0.001
            rate = rate * 0.99 if t % 2 else rate + 0.001 * t
        return x

    f = graphc.jit(decayed)
    for rate in (0.1, 0.2, 0.3):
        assert np.allclose(f(X, rate, 300), decayed(X, rate, 300))
    assert f.recordings == 1
