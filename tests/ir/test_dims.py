"""Symbolic sizes beside Python's integers."""

import random

import pytest

from graphc.ir import dims
from graphc.ir.dims import ceildiv, evaluate, parse, product, substitute, symbol, symbols
from graphc.ir.errors import ArgumentError, ShapeError

NAMES = ("B", "H", "W")


def random_size(rng, depth):
    """A size and the function of the symbols' values that it stands for."""
    if depth == 0 or rng.random() < 0.2:
        if rng.random() < 0.5:
            number = rng.randint(-4, 9)
            return number, lambda v: number
        name = rng.choice(NAMES)
        return symbol(name), lambda v: v[name]
    (a, f), (b, g) = random_size(rng, depth - 1), random_size(rng, depth - 1)
    divisor = rng.randint(1, 7)
    return rng.choice(
        [
            lambda: (a + b, lambda v: f(v) + g(v)),
            lambda: (a - b, lambda v: f(v) - g(v)),
            lambda: (a * b, lambda v: f(v) * g(v)),
            lambda: (a // divisor, lambda v: f(v) // divisor),
            lambda: (a % divisor, lambda v: f(v) % divisor),
            lambda: (dims.maximum(a, b), lambda v: max(f(v), g(v))),
            lambda: (dims.minimum(a, b), lambda v: min(f(v), g(v))),
        ]
    )()


@pytest.mark.parametrize("seed", range(8))
def test_arithmetic_agrees_with_integers_and_text_gives_the_size_back(seed):
    rng = random.Random(seed)
    for _ in range(60):
        size, meaning = random_size(rng, 4)
        values = {n: rng.randint(0, 12) for n in NAMES}
        assert evaluate(size, values) == meaning(values)
        assert parse(str(size)) == size
        assert substitute(size, values) == meaning(values)
        renamed = substitute(size, {"B": symbol("H") * 2})
        assert evaluate(renamed, values) == meaning({**values, "B": values["H"] * 2})


def test_equal_sizes_have_one_form():
    b, h = symbol("B"), symbol("H")
    assert (b + 1) * (b - 1) == b * b - 1
    assert (b * 4 + 8) // 4 == b + 2
    assert (b * h) // h == b
    assert (b * 6) % 3 == 0
    assert b - b == 0
    assert hash(b + h) == hash(h + b)
    assert ceildiv(h, 2) == (h + 1) // 2
    assert product((2, b, 3)) == b * 6
    assert symbols((b + 1) // 2 * h) == {"B", "H"}


def test_sizes_do_not_steer_and_do_not_divide_by_zero():
    with pytest.raises(ShapeError, match="the size B is not known while tracing"):
        bool(symbol("B"))
    with pytest.raises(ShapeError):
        range(symbol("B"))
    with pytest.raises(ArgumentError, match="division of the size B by zero"):
        symbol("B") // 0
    with pytest.raises(ValueError, match="not a size: 'B \\+'"):
        parse("B +")


@pytest.mark.parametrize("seed", range(20))
def test_the_largest_of_many_sizes(seed):
    rng = random.Random(seed)
    b, h = dims.symbol("B"), dims.symbol("H")
    makers = [
        lambda: rng.randint(0, 50),
        lambda: b * rng.randint(0, 9) + rng.randint(0, 9),
        lambda: b * h * rng.randint(0, 3) + h,
        lambda: (b * rng.randint(1, 9) + 63) // 64 * 64,
        lambda: dims.maximum(h - 3, 0),
    ]
    sizes = [rng.choice(makers)() for _ in range(rng.randint(0, 40))]
    most = dims.largest(sizes)
    for _ in range(10):
        values = {"B": rng.randint(0, 9), "H": rng.randint(0, 9)}
        assert dims.evaluate(most, values) == max((dims.evaluate(s, values) for s in sizes), default=0)


def test_the_largest_of_hundreds_is_printed_and_parsed():
    b = dims.symbol("B")
    sizes = [(b * i + 63) // 64 * 64 for i in range(1, 301)]
    most = dims.largest(sizes)
    assert dims.parse(str(most)) == most
    assert dims.evaluate(most, {"B": 5}) == 1536
