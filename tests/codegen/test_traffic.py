"""The bytes of kernels: each element that is read or written once."""

import pytest

from graphc.codegen import compile
from graphc.ir import Builder, get_op, tensor

ROWS = 100


def kernel_bytes(make, *types, **sizes):
    """The bytes of all kernels of a graph."""
    b = Builder("f")
    found = make(b, *(b.input(f"x{i}", t) for i, t in enumerate(types)))
    b.output(*(found if isinstance(found, tuple) else (found,)))
    return compile(b.build(), cache=False).cost(**sizes).total.bytes


def part(b, x, *ranges):
    """x[start:stop, ...]"""
    start, stop = zip(*ranges)
    return b.slice(x, start=start, stop=stop, step=(1,) * len(ranges))


def two_parts(b, x):
    return b.exp(part(b, x, (0, ROWS), (0, 3))) * b.exp(part(b, x, (0, ROWS), (5, 8)))


CASES = {
    "each operand once": (lambda b, x: x * x + x, [(ROWS, 8)], 2 * ROWS * 8),
    "a row for all rows": (lambda b, x, y: x + y, [(ROWS, 8), (8,)], 2 * ROWS * 8 + 8),
    "a part of an operand": (lambda b, x: b.exp(part(b, x, (10, 20), (0, 8))), [(ROWS, 8)], 2 * 10 * 8),
    "two parts of an operand": (two_parts, [(ROWS, 8)], 3 * ROWS * 3),
    "overlapping parts": (
        lambda b, x: part(b, x, (0, ROWS - 1)) + part(b, x, (1, ROWS)),
        [(ROWS,)],
        ROWS + ROWS - 1,
    ),
    "a fold": (lambda b, x: b.sum(x, axes=(1,)), [(ROWS, 8)], ROWS * 8 + ROWS),
    "a long fold in pieces": (lambda b, x: b.sum(x, axes=(0,)), [(100_000,)], 100_000 + 1),
    "a product": (lambda b, x, y: b.matmul(x, y), [(5, 7), (7, 3)], 35 + 21 + 15),
    "a batch that shares an operand": (
        lambda b, x, y: b.matmul(x, y),
        [(4, 5, 7), (7, 3)],
        4 * 35 + 21 + 4 * 15,
    ),
}


@pytest.mark.parametrize(("make", "shapes", "elements"), CASES.values(), ids=CASES)
def test_elements(make, shapes, elements):
    assert kernel_bytes(make, *(tensor("f32", *s) for s in shapes)) == 4 * elements


def test_a_gather_reads_what_it_looks_up():
    def make(b, x, i):
        return b.gather(x, i, axis=0)

    assert kernel_bytes(make, tensor("f32", 1000, 8), tensor("i64", 5)) == 4 * (5 * 8 + 5 * 8) + 8 * 5
    assert kernel_bytes(make, tensor("f32", 3, 8), tensor("i64", 50)) == 4 * (3 * 8 + 50 * 8) + 8 * 50


def test_rows_that_are_written_in_place():
    b = Builder("f")
    w, new = b.weight("w", tensor("f32", 1000, 8)), b.input("new", tensor("f32", 5, 8))
    written = b.node(get_op("update_slice"), [w, new], {"start": (10, 0), "step": (1, 1)})
    b.update(w, written.results[0])
    assert compile(b.build(), cache=False).cost().total.bytes == 4 * (40 + 40)


def test_symbols_stay_readable():
    b = Builder("f")
    x = b.input("x", tensor("f32", "B", 8))
    b.output(b.sum(x, axes=(0,)), b.relu(x))
    f = compile(b.build(), cache=False)
    assert str(f.cost().total.bytes) == "64*B + 32"
    assert f.cost(B=7).total.bytes == 64 * 7 + 32
