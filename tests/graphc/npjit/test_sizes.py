"""Other sizes: one recording for many of them, right at every size; frequent ones get code of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from npjit_harness import copy_tree, diff

import graphc
from graphc.npjit.array_guard import _TEXT, fit, geometry_of, table
from graphc.npjit.function import HOT
from graphc.npjit.settled import SELDOM


def softmax_step(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Any:
    n = x.shape[0]
    e = np.exp(x @ w)
    p = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(n), y]).sum() / len(y)
    d = p.copy()
    d[np.arange(n), y] -= 1
    w -= 0.1 * x.T @ d / n
    return loss, d.reshape(n * 3), d.size, np.zeros((n, 2)), p.shape, n


def slices(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Any:
    half = len(x) // 2
    return x[:4].shape, x[-3:].shape[0], x[::2].shape, x[:half], x[half:].sum(), min(len(x), 6), x[1:-1].size


def branches(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Any:
    if len(x) > 6:
        x = x[1:]
    if x.shape == (5, 4):
        return "five", x.shape
    return f"{len(x)} rows", x.shape[0] * 2, np.vstack([x, x]).shape, np.concatenate([x, w.T]).shape


def loops(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Any:
    total = np.zeros(4)
    for row in x:
        total = total * 0.5 + row
    return total, [x[i, 0] for i in range(0, len(x), 2)]


def statistics(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Any:
    z = (x - x.mean(axis=0)) / (x.std(axis=0) + 1)
    gram, outer = z @ z.T, np.outer(y, y)
    return (
        gram.shape,
        outer.sum(),
        np.diag(gram).shape,
        np.tile(y, 2).shape,
        z.ravel().size,
        x.T.reshape(-1)[:3],
    )


@pytest.mark.parametrize("f", [softmax_step, slices, branches, loops, statistics])
def test_right_at_every_size(f: Any) -> None:
    jitted, r = graphc.jit(f), np.random.default_rng(0)
    for n in (8, 5, 6, 7, 9, 4, 3, 12, 2, 1, 8, 5, 99, 100, 104, 10):
        args = (r.normal(size=(n, 4)), r.integers(0, 3, n), r.normal(size=(4, 3)))
        plain, mine = copy_tree(args), copy_tree(args)
        assert diff([f(*plain), plain], [jitted(*mine), mine]) is None, n


def test_one_recording_for_many_sizes() -> None:
    f, r = graphc.jit(softmax_step), np.random.default_rng(0)
    for n in (8, 5, *range(10, 40)):
        f(r.normal(size=(n, 4)), r.integers(0, 3, n), r.normal(size=(4, 3)))
    assert f.recordings == 2, f.explain()


def test_frequent_sizes_get_their_own() -> None:
    f, x = graphc.jit(lambda x: np.sort(x, axis=0) * 2), {n: np.ones((n, 3)) for n in (8, 5, 6)}
    f(x[8])
    f(x[5])
    for _ in range(SELDOM * (HOT + 2)):  # where plain Python is the fastest, guards are seldom asked
        f(x[6])
    assert f.recordings == 3


def test_equal_sizes_are_checked() -> None:
    def gather(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return x[np.arange(len(x)), y]

    f = graphc.jit(gather)
    for n in (8, 5, 6):
        f(np.ones((n, 3)), np.zeros(n, int))
    with pytest.raises(IndexError):
        f(np.ones((6, 3)), np.zeros(4, int))


def test_array_guard() -> None:
    a, b = np.ones((4, 8)), np.ones(8, np.float32)
    check = fit()
    assert check is not None
    rows = table([geometry_of(a), geometry_of(b)])
    assert check(rows, a, b)
    for x, y in ((a[:3], b), (a.T, b), (a, b.astype(float)), (a, None), (a, a), (np.asfortranarray(a), b)):
        assert not check(rows, x, y)
    big = np.ones(40)
    read = geometry_of(big[:8])
    written = read._replace(writeable=True)
    assert check(table([read, read]), big[:8], big[4:12])
    for first in (written, read):
        apart = table([written, first, read])
        assert check(apart, big[:8], big[8:16], big[16:24])
        for x, y, z in ((big[:8], big[4:12], big[16:24]), (big[:8], big[8:16], big[7:15]), (big[:8],) * 3):
            assert not check(apart, x, y, z)
    assert check(table([written, read, read]), big[:8], big[8:16], big[9:17])
    buffer = bytearray(128)
    ends = np.frombuffer(buffer)[:8], np.frombuffer(buffer)[8:], np.frombuffer(buffer)[7:15]
    assert check(table([written, read]), *ends[:2])
    assert not check(table([written, read]), ends[0], ends[2])
    backwards = geometry_of(big[7::-1])._replace(writeable=True)
    assert check(table([backwards, read]), big[7::-1], big[8:16])
    assert not check(table([backwards, read]), big[8:0:-1], big[:8])
    empty = table([geometry_of(big[:0].reshape(0, 9))._replace(writeable=True), read])
    assert check(empty, big[8:8].reshape(0, 9), big[:8])
    free = table([geometry_of(a)._replace(shape=(-1, 8))])
    assert [bool(check(free, np.ones((n, 8)))) for n in (0, 1, 2, 9)] == [False, False, True, True]
    assert "define ptr @fit" in _TEXT


def test_guards_without_native_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.npjit.emit.fit", lambda: None)
    f = graphc.jit(softmax_step)
    r = np.random.default_rng(0)
    for n in (8, 8, 8, 5, 6, 5):
        args = (r.normal(size=(n, 4)), r.integers(0, 3, n), r.normal(size=(4, 3)))
        plain, mine = copy_tree(args), copy_tree(args)
        assert diff([softmax_step(*plain), plain], [f(*mine), mine]) is None
    assert f.hits >= 2
