"""Text of data is deferred: printed in order, right at each call, and never a number without a gradient."""
# ruff: noqa: UP031, UP032

from __future__ import annotations

import contextlib
import io
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.ir.errors import GradientError


def shown(f: Any, x: np.ndarray, o: Any) -> list[Any]:
    """What a call gives, raises, prints and leaves behind."""
    text, result = io.StringIO(), None
    with contextlib.redirect_stdout(text):
        try:
            result = repr(f(x, o))
        except Exception as e:  # any: it is compared
            result = type(e), str(e)
    return [result, text.getvalue(), repr(x), dict(vars(o))]


def conversions(x: np.ndarray, o: Any) -> Any:
    return (
        str(x.sum()),
        repr(x),
        "{} {:.2f}".format([x.sum()], x[0]),
        "%s %r" % ([x.sum()], o.t),
        format(x[1], ".1f"),
    )


def f_strings(x: np.ndarray, o: Any) -> Any:
    o.t += 1
    width = 9
    return f"{x.sum():.3f} {x!r:>30} {o.t} {o.t=} {x[0]:{width}.2f} {{}}"


def joins(x: np.ndarray, o: Any) -> Any:
    return ", ".join(f"{v:.1f}" for v in x) + "|" + ", ".join([str(v) for v in x]).upper()


def epochs(x: np.ndarray, o: Any) -> Any:
    for i in range(3):
        x = x * 0.5
        print("i", i, x.sum(), x, [x.mean(), (x[0],)], {"a": x.max()}, sep="|", end="!\n")
        o.t += 1
        print(f"{o.t=} {x.mean():8.3f}" + " end", o.t, flush=True)
    print("%d %.2f %s" % (o.t, x.sum(), x.shape), file=sys.stdout)
    return x


def versions(x: np.ndarray, o: Any) -> Any:
    print(x)
    x += 1
    view = x[1:]
    print(view, end=" ")
    view[:] = 3
    print(x, view)


def fails_afterwards(x: np.ndarray, o: Any) -> Any:
    print(x.sum())
    x[0] = 5
    print(x)
    raise ValueError(f"bad {x.sum():.3f}")


def caught(x: np.ndarray, o: Any) -> Any:
    try:
        raise ValueError(f"{x.sum():.2f}", o.t)
    except ValueError as e:
        return str(e), repr(e), f"{e}", e.args


def wrong_format(x: np.ndarray, o: Any) -> Any:
    o.t += 1
    text = f"{x.sum():d}"
    o.t += 1
    return text


def whole(x: np.ndarray, o: Any) -> Any:
    return "%d|%5.1f" % (x.sum(), x[0])


def used_as_text(x: np.ndarray, o: Any) -> Any:
    s = f"{x.sum():.1f}"
    return (
        len(s),
        s.split("."),
        s.upper(),
        isinstance(s, str),
        type(s),
        s == "6.0",
        s + "a" + s,
        s * 2,
        {s: 1},
    )


class Named:
    def __init__(self, n: Any) -> None:
        self.n = n

    def __repr__(self) -> str:
        return f"Named({self.n})"


def own_repr(x: np.ndarray, o: Any) -> Any:
    o.t += 1
    print(Named(x[0]), Named(o.t))
    return f"{Named(x.sum())} {Named(o.t)!s:>12}"


PROGRAMS = [
    *(conversions, f_strings, joins, epochs, versions, fails_afterwards, caught, wrong_format, whole),
    *(used_as_text, own_repr),
]


@pytest.mark.parametrize("f", PROGRAMS)
def test_as_plain(f: Any) -> None:
    jitted = graphc.jit(f)
    plain, mine = SimpleNamespace(t=1), SimpleNamespace(t=1)
    for i in range(8):
        x = np.arange(3.0) + i
        if i == 5 and f is whole:
            x[1] = np.nan
        y = x.copy()
        assert shown(f, x, plain) == shown(jitted, y, mine)


@pytest.mark.parametrize("f", [conversions, f_strings, joins, epochs, versions, own_repr])
def test_no_break(f: Any) -> None:
    jitted, o = graphc.jit(f), SimpleNamespace(t=1)
    for i in range(8):
        shown(jitted, np.arange(3.0) + i, o)
    assert jitted.recordings == 1
    assert "break" not in jitted.explain()


READERS = [
    lambda x: float(str(x[0])),
    lambda x: float(f"{x[0]}"),
    lambda x: float("%s" % x[0]),
    lambda x: float(repr(x[0]).split("(")[-1].strip(")")),
    lambda x: np.float64(str(x[0])),
    lambda x: float(" ".join([str(v) for v in x]).split()[0]),
]


@pytest.mark.parametrize("read", READERS)
def test_numbers_read_from_text_have_no_gradient(read: Any) -> None:
    def loss(x: np.ndarray) -> Any:
        return read(x) * 2.0

    with pytest.raises(GradientError, match="no gradient of"):
        graphc.grad(loss)(np.array([1.5, 2.0]))


def test_printing_in_a_gradient(capsys: pytest.CaptureFixture[str]) -> None:
    def loss(x: np.ndarray) -> Any:
        y = np.sum(x * x)
        print(f"loss {y:.2f}", x)
        return y

    f = graphc.value_and_grad(loss)
    for i in range(5):
        x = np.arange(2.0) + i
        value, gradient = f(x)
        assert gradient.tolist() == (2 * x).tolist()
        assert capsys.readouterr().out == f"loss {value:.2f} {x}\n"
    assert f.recordings == 1
