"""Gradients of NumPy programs against sixth-order differences of the same programs, plain."""

import contextlib
import copy
import io
import warnings

import npjit_cases  # noqa: F401  (its import registers the idioms)
import npjit_losses  # noqa: F401  (as does this one)
import numpy as np
import pytest
from npjit_gradients import CASES, Case
from npjit_harness import REGISTRY, diff

import graphc
from graphc.npjit.check import changed, floats

IDIOMS = [
    Case(
        c.fn,
        lambda r, c=c: c.inputs(int(r.integers(3)))[0],
        c.argnums,
        calls=4,
        breaks=c.name == "g_python_loop",
        accept=c.accept
        and (lambda g, x, c=c: None if c.accept(g, (x,)) is None else pytest.fail("no subgradient")),
    )
    for c in REGISTRY
    if c.kind == "grad"
]
WEIGHTS = ((1, 45), (2, -9), (3, 1))
ALL = {c.name: c for c in [*CASES, *IDIOMS]}


@contextlib.contextmanager
def quiet():
    with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def widened(x):
    return changed(
        x,
        lambda v: (
            np.array(v, float)[()]
            if np.ndim(v) == 0 and not isinstance(v, np.ndarray)
            else np.array(v, float)
        ),
    )


def moved(args, number, k, step):
    """The arguments with leaf k of one of them moved."""
    count = iter(range(10**6))
    new = changed(args[number], lambda v: v + step if next(count) == k else v)
    return (*args[:number], new, *args[number + 1 :])


def differences(fn, args, numbers):
    """For each floating leaf of the chosen arguments, the derivatives by differences of sixth order."""
    grads, h = [], 1e-3
    args = widened(args)

    def value(args):
        with quiet():
            return float(np.asarray(fn(*copy.deepcopy(args))).sum())

    for number in numbers:
        for k, (_, leaf) in enumerate(floats(args[number])):
            g = np.zeros(np.shape(leaf))
            for index in np.ndindex(*g.shape):
                step = np.zeros(g.shape)
                step[index] = h
                pairs = [
                    (w, moved(args, number, k, m * step), moved(args, number, k, -m * step))
                    for m, w in WEIGHTS
                ]
                g[index] = sum(w * (value(high) - value(low)) for w, high, low in pairs) / (60 * h)
            grads.append(g)
    return grads


def same_structure(like, got):
    """Containers like those of the argument, floating leaves of equal dtype and shape, None elsewhere."""
    if isinstance(like, np.ndarray) and like.dtype.kind == "f":
        assert type(got) is np.ndarray
        assert (got.dtype, got.shape) == (like.dtype, like.shape)
        assert got.flags.writeable
    elif isinstance(like, (float, np.floating)):
        assert type(got) is type(like)
    elif isinstance(like, dict):
        assert type(got) is type(like)
        assert list(got) == list(like)
        for k in like:
            same_structure(like[k], got[k])
    elif isinstance(like, (list, tuple)):
        assert type(got) is type(like)
        assert len(got) == len(like)
        for a, b in zip(like, got):
            same_structure(a, b)
    elif hasattr(like, "__dict__"):
        assert type(got) is type(like)
        same_structure(vars(like), vars(got))
    else:
        assert got is None


@pytest.mark.parametrize("name", sorted(ALL))
def test_gradient(name):
    case = ALL[name]
    one = isinstance(case.argnums, int)
    f = graphc.value_and_grad(case.fn, argnums=case.argnums)
    for call in range(case.calls):
        args = tuple(case.make(np.random.default_rng(call)))
        numbers = [n % len(args) for n in ([case.argnums] if one else case.argnums)]
        plain, mine = copy.deepcopy(args), copy.deepcopy(args)
        with quiet():
            state = np.random.get_state()
            value = case.fn(*plain)
            np.random.set_state(state)
            got_value, grads = f(*mine)
        assert type(got_value) is type(value)
        np.testing.assert_allclose(got_value, value, rtol=1e-6 if np.asarray(value).dtype == "f4" else 1e-11)
        assert diff(list(plain), list(mine), "reduce") is None
        grads = (grads,) if one else grads
        for number, g in zip(numbers, grads, strict=True):
            same_structure(args[number], g)
        if call > 1:
            continue
        if case.accept:
            case.accept(grads[0], args[0])
            continue
        found = [v for g in grads for _, v in floats(g)]
        expected = differences(case.fn, args, numbers)
        narrow = any(v.dtype == "f4" for _, v in floats(list(args)) if isinstance(v, np.ndarray))
        for mine_, theirs in zip(found, expected, strict=True):
            scale = max(1e-2, np.max(np.abs(theirs), initial=0))
            np.testing.assert_allclose(
                mine_, theirs, rtol=2e-4 if narrow else 1e-6, atol=(1e-4 if narrow else 1e-7) * scale
            )
    assert case.breaks or "graph break" not in f.explain(), f.explain()
