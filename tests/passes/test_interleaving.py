"""Maps that are interleaved along an axis: one loop nest computes them where they belong."""

from __future__ import annotations

import pytest

from graphc.ir import Builder, symbol, tensor
from graphc.ir.types import F32
from graphc.passes import run
from graphc.passes.clusters import divide

B = symbol("B")
POOL = {"size": (3, 3), "strides": (2, 2), "padding": ((1, 1), (1, 1))}


def parts_of(graph):
    """The parts of a graph before fusion, with the names of their ops."""
    ready = run(graph, "default,-fuse,-schedule")
    found = [p for p in divide(ready).parts if p.kind != "outside"]
    return [(p.kind, p.shape, {n.op.name for n in p.nodes}) for p in found]


def interleaved(count, last=None):
    """`count` maps of two arrays each, put beside each other."""
    b = Builder("g")
    x, y = b.input("x", tensor(F32, B, 5, 8)), b.input("y", tensor(F32, B, 5, 8))
    maps = [b.exp(x * float(n + 2)) + b.sin(y * float(n + 2)) for n in range(count)]
    z = b.concatenate(*(b.reshape(m, shape=(B, 5, 1, 8)) for m in maps), axis=2)
    b.output(last(b, z) if last else z)
    return b.build()


def test_a_nest_computes_what_it_interleaves():
    ((kind, shape, names),) = parts_of(interleaved(2))
    assert (kind, shape) == ("map", (B, 5, 2, 8))
    assert {"exp", "sin", "concatenate"} <= names


@pytest.mark.parametrize(
    ("count", "last"),
    [
        pytest.param(5, None, id="too many for code of each"),
        pytest.param(2, lambda b, z: b.sum(z, axes=(3,)), id="folded in loops over all"),
    ],
)
def test_others_are_stored_first(count, last):
    stacks = [names for _, _, names in parts_of(interleaved(count, last)) if "concatenate" in names]
    assert stacks
    assert not any("exp" in names for names in stacks)


def test_a_repeated_map_is_stored_first():
    b = Builder("g")
    x, y = b.input("x", tensor(F32, B, 5, 8)), b.input("y", tensor(F32, B, 5, 1))
    dear = b.broadcast(b.exp(y) + b.sin(y), shape=(B, 5, 8))
    b.output(b.concatenate(*(b.reshape(m, shape=(B, 5, 1, 8)) for m in (dear, x)), axis=2))
    parts = parts_of(b.build())
    assert [shape for _, shape, names in parts if "exp" in names] == [(B, 5, 1)]


@pytest.mark.parametrize("n", [8, 7])
def test_the_gradient_of_a_pool_is_computed_once(n):
    b = Builder("g")
    x, dy = b.input("x", tensor(F32, B, n, n, 8)), b.input("dy", tensor(F32, B, 4, 4, 8))
    mean = b.sum(x, axes=(0, 1, 2), keepdims=True)
    dx = b.max_pool_gradient(x, b.max_pool(x, **POOL), dy, **POOL)
    centred = dx - b.mean(dx, axes=(0, 1, 2), keepdims=True)
    b.output(centred * b.sum(dx * (x - mean), axes=(0, 1, 2), keepdims=True))
    parts = parts_of(b.build())
    takes = [(kind, shape) for kind, shape, names in parts if "windows" in names and "concatenate" in names]
    assert takes == [("map", (B, 4, 2, 4, 2, 8))]


def test_a_strided_depthwise_gradient_is_one_nest():
    b = Builder("g")
    dy, kernel = b.input("dy", tensor(F32, B, 4, 4, 8)), b.input("kernel", tensor(F32, 3, 3, 1, 8))
    b.output(b.conv_data_gradient(dy, kernel, sizes=(8, 8), **POOL, dilation=(1, 1), groups=8))
    assert [(kind, shape) for kind, shape, _ in parts_of(b.build())] == [("map", (B, 4, 2, 4, 2, 8))]
