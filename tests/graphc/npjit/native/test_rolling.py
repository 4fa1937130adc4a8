"""Unrolled loops become scans that give the same numbers."""

import numpy as np
import pytest

from graphc.codegen.compiled import compile
from graphc.ir import Builder, tensor
from graphc.ir.evaluate import run
from graphc.npjit.native.rolling import roll

T, H = 16, 3


def row(b, x, t, axis=0):
    start = [0] * x.rank
    stop = list(x.shape)
    start[axis], stop[axis] = t, t + 1
    piece = b.slice(x, start=tuple(start), stop=tuple(stop), step=(1,) * x.rank)
    return b.reshape(piece, shape=tuple(d for i, d in enumerate(x.shape) if i != axis))


def cell(b, x, h):
    """Some nodes, so that a loop of it is worth its while."""
    y = b.tanh(x * 0.5 + h * h)
    return y - b.exp(-(y * y)) + 0.25 * h


def last(b, x, z):
    h = z
    for t in range(T):
        h = cell(b, row(b, x, t), h)
    return [h]


def all_of_them(b, x, z):
    h, hs = z, []
    for t in range(T):
        h = cell(b, row(b, x, t), h)
        hs.append(b.reshape(h, shape=(1, H)))
    return [b.concatenate(*hs, axis=0), hs[3]]


def backwards(b, x, z):
    h, hs = z, []
    for t in reversed(range(T)):
        h = cell(b, row(b, x, t), h)
        hs.append(b.reshape(h, shape=(1, H)))
    return [b.concatenate(*reversed(hs), axis=0)]


def there_and_back(b, x, z):
    h, kept = z, []
    for t in range(T):
        before = h
        h = cell(b, row(b, x, t), h)
        kept.append((before, h))
    total, d = z, z
    for before, now in reversed(kept):
        d = cell(b, before, d) * now
        total = total + d
    return [total, h]


def two_back(b, x, z):
    h, g = z, z + 1
    for t in range(T):
        h, g = cell(b, row(b, x, t), h) + g, h
    return [h, g]


def first_is_special(b, x, z):
    total = z
    for t in range(T):
        y = cell(b, row(b, x, t), z if t == 0 else total)
        total = total + y if t else y
    return [total]


def columns(b, x, z):
    turned, h, hs = b.transpose(x, axes=(1, 0)), z, []
    for t in range(T):
        h = cell(b, row(b, turned, t, axis=1), h)
        hs.append(b.reshape(h, shape=(H, 1)))
    return [b.concatenate(*hs, axis=1)]


def own_numbers(b, x, z):
    h = z
    for t in range(T):
        h = cell(b, row(b, x, t) * (t * t + 0.5), h)
    return [h]


def steps_of_two(b, x, z):
    h = z
    for t in range(0, T, 2):
        h = cell(b, row(b, x, t), cell(b, row(b, x, t + 1), h))
    return [h]


def nested(b, x, z):
    h = z
    for t in range(T):
        r = row(b, x, t)
        for i in range(8):
            h = cell(b, r + i, h)
        h = h * 0.5
    return [h]


def a_window_behind(b, x, z):
    values = [z, z, z]
    for t in range(T):
        values.append(cell(b, row(b, x, t), values[-1]) + values[-3])
    return values[-2:]


def nobody_reads(b, x, z):
    for t in range(T):
        cell(b, row(b, x, t), z)
    return [z + 1]


def products(b, x, z, flags=(True, False)):
    """Sums of products of values of each iteration, as of gradients of weights."""
    h = b.reshape(z, shape=(1, H))
    dw = b.broadcast(b.constant(0.25, "f64"), shape=(H, H))
    outer = dw
    for t in range(T):
        r = b.reshape(row(b, x, t), shape=(1, H))
        h = cell(b, r, h)
        left = h if flags[0] else b.transpose(h, axes=(1, 0))
        right = r if not flags[1] else b.transpose(r, axes=(1, 0))
        dw = dw + b.matmul(left, right, transpose_a=flags[0], transpose_b=flags[1])
        outer = outer + b.transpose(r, axes=(1, 0)) * h
    return [dw, outer, h]


def products_turned(b, x, z):
    return products(b, x, z, (False, True))


def products_read_inside(b, x, z):
    """The sum itself is used in the loop: it has to be carried."""
    dw, h = b.broadcast(b.constant(0.25, "f64"), shape=(H, H)), z
    for t in range(T):
        r = b.reshape(row(b, x, t), shape=(1, H))
        dw = dw + b.matmul(r, r, transpose_a=True)
        h = cell(b, row(b, dw, 0), h)
    return [dw, h]


PROGRAMS = [
    last,
    all_of_them,
    backwards,
    there_and_back,
    two_back,
    first_is_special,
    columns,
    own_numbers,
    steps_of_two,
    nested,
    a_window_behind,
    products_read_inside,
]


def graph_of(program):
    b = Builder(program.__name__)
    x, z = b.input("x", tensor("f64", T, H)), b.input("z", tensor("f64", H))
    b.output(*program(b, x, z))
    return b.build()


def arrays():
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(T, H)), "z": rng.normal(size=H)}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_rolled_loop_gives_the_same_bits(program):
    graph = graph_of(program)
    rolled = roll(graph)
    rolled.verify()
    assert any(n.op.name == "scan" for n in rolled.nodes)
    assert len(rolled.nodes) < len(graph.nodes) / 2
    for got, want in zip(run(rolled, arrays()).outputs, run(graph, arrays()).outputs, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("program", [products, products_turned])
def test_sums_of_products_are_one_product_behind_the_loop(program):
    graph = graph_of(program)
    rolled = roll(graph)
    rolled.verify()
    (scan,) = [n for n in rolled.nodes if n.op.name == "scan"]
    assert not any(n.op.name == "matmul" for n in scan.regions[0].nodes)
    assert sum(n.op.name == "matmul" for n in rolled.nodes) == 2
    for got, want in zip(run(rolled, arrays()).outputs, run(graph, arrays()).outputs, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)


@pytest.mark.parametrize("program", [there_and_back, two_back, nested, products])
def test_a_rolled_loop_by_machine_code(program):
    graph = graph_of(program)
    results = compile(roll(graph))(*arrays().values())
    wanted = run(graph, arrays()).outputs
    for got, want in zip(results if isinstance(results, tuple) else (results,), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_buffers_of_rows_are_the_scans_results():
    (scan,) = [n for n in roll(graph_of(all_of_them)).nodes if n.op.name == "scan"]
    assert [r.type.shape for r in scan.results] == [(H,), (T, 1, H)]


def test_reads_of_rows_are_scanned_without_copies():
    ops = [n.op.name for n in roll(graph_of(there_and_back)).nodes]
    assert ops.count("scan") == 2
    assert "concatenate" not in ops


def test_loops_without_results_stay_for_other_passes():
    graph = graph_of(nobody_reads)
    np.testing.assert_array_equal(run(roll(graph), arrays()).outputs[0], arrays()["z"] + 1)


def test_layers_with_weights_of_their_own_stay_unrolled():
    b = Builder("layers")
    h = b.input("x", tensor("f64", 64, 64))
    weights = [b.weight(f"w{i}", tensor("f64", 64, 64)) for i in range(8)]
    for w in weights:
        h = cell(b, b.matmul(h, w), h)
    b.output(h)
    graph = b.build()
    assert roll(graph) is graph


def test_short_and_irregular_graphs_stay_as_they_are():
    b = Builder("short")
    x = b.input("x", tensor("f64", 3))
    b.output(b.tanh(x) + b.exp(x))
    graph = b.build()
    assert roll(graph) is graph
