"""Rows put together of pieces: each range of columns has loops of its own."""

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.codegen.loops import Load, Nest
from graphc.ir import Builder, tensor
from graphc.ir.evaluate import run


def compiled(make, shapes, backend="llvm"):
    b = Builder("f")
    found = make(b, *(b.input(f"x{i}", tensor("f32", *s)) for i, s in enumerate(shapes)))
    b.output(*(found if isinstance(found, tuple) else (found,)))
    return compile(b.build(), backend=backend, cache=False)


def check(f, rows):
    rng = np.random.default_rng(rows)
    shapes = [tuple(rows if d == "B" else d for d in map(_plain, p.type.shape)) for p in f.parameters.inputs]
    given = [rng.normal(size=s).astype("f4") for s in shapes]
    for x in given:
        x.reshape(-1)[:1] = np.nan
    want = run(f.graph, {p.name: x for p, x in zip(f.parameters.inputs, given)}).outputs
    got = f(*given)
    for x, y in zip(want, got if isinstance(got, tuple) else (got,)):
        np.testing.assert_allclose(y, x, rtol=1e-6, atol=1e-6)


def _plain(d):
    return d if isinstance(d, int) else str(d)


def nests(f):
    return [p for k in f.lowered.kernels for p in k.kernel.parts if isinstance(p, Nest)]


def conditions(f):
    stages = [s for n in nests(f) for s in n.stages]
    return [i for s in stages for i in s.body if isinstance(i, Load) and i.when is not None]


def pads(b, *xs):
    """The sum of what stands side by side, zeros elsewhere."""
    width = sum(x.shape[1] for x in xs)
    total, low = None, 0
    for x in xs:
        high = width - low - x.shape[1]
        one = b.pad(x, low=(0, low), high=(0, high), value=0.0)
        total, low = one if total is None else total + one, low + x.shape[1]
    return total


CASES = {
    "pads": (lambda b, x, y, z: pads(b, x, y, z), [("B", 8), ("B", 17), ("B", 9)], 3),
    "a concatenation": (lambda b, x, y: b.concatenate(b.tanh(x), y, axis=1) * 2.0, [("B", 9), ("B", 64)], 2),
    "one of three axes": (lambda b, x, y: b.concatenate(x, y, axis=2) + 1.0, [(2, "B", 8), (2, "B", 8)], 2),
    "both at the same places": (
        lambda b, x, y: b.concatenate(x, y, axis=1) + pads(b, b.sin(x), y),
        [("B", 16), ("B", 8)],
        2,
    ),
    "a gap": (lambda b, x: b.pad(x, low=(0, 16), high=(0, 16), value=3.0) * 2.0, [("B", 8)], 3),
}


@pytest.mark.parametrize(("case", "backend"), [*((case, "llvm") for case in CASES), ("pads", "numba")])
def test_each_range_has_its_loops(case, backend):
    make, shapes, ranges = CASES[case]
    f = compiled(make, shapes, backend)
    assert len(nests(f)) >= ranges
    assert not conditions(f)
    for rows in (0, 1, 5):
        check(f, rows)


KEPT = {
    "few columns": (lambda b, x, y: b.concatenate(x, y, axis=1) * 2.0, [("B", 3), ("B", 64)]),
    "rows": (lambda b, x, y: b.concatenate(x, y, axis=0) * 2.0, [("B", 16), ("B", 16)]),
    "padded rows": (lambda b, x: b.pad(x, low=(1, 0), high=(2, 0), value=1.0) * 2.0, [("B", 16)]),
    "columns of unknown number": (lambda b, x, y: b.concatenate(x, y, axis=1) * 2.0, [(4, "B"), (4, 16)]),
    "elsewhere": (
        lambda b, x, y: b.reverse(b.concatenate(x, y, axis=1), axes=(1,)) * 2.0,
        [("B", 8), ("B", 24)],
    ),
}


@pytest.mark.parametrize("case", KEPT)
def test_other_pieces_have_the_same_values(case):
    f = compiled(*KEPT[case])
    for rows in (0, 1, 5):
        check(f, rows)
