"""The library of products by parts: all bits are those of the whole, and the sizes of a call tell what it
uses.
"""

import ctypes
import functools
import gc
import itertools
import threading
import weakref

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.codegen.buffers import aligned_empty
from graphc.codegen.kernels import library as library_module
from graphc.codegen.kernels.library import ProductLibrary, product_library, product_scratch_bytes
from graphc.codegen.kernels.parts import DRIVERS, parts, parts_for, tiles_of
from graphc.codegen.kernels.strategy import POLICIES, strategy
from graphc.codegen.kernels.tiles import FULL, LARGE, PLAIN, sizes, table_place
from graphc.codegen.layout import Layout
from graphc.codegen.target import host, named
from graphc.ir import Builder, tensor

TARGETS = {"native": host(), "baseline": named("x86-64")}
M = (1, 2, 7, 8, 9, 13, 25, 31, 64, 145, 150)
N = (1, 5, 8, 10, 16, 24, 40, 64, 65, 130)
K = (2, 9, 64, 1500)


class Calls:
    """Products by one library, with the parts that it has at the moment."""

    def __init__(self, dtype, target):
        self.library = ProductLibrary(dtype, target)
        self.np = {"f32": np.float32, "f64": np.float64}[dtype]
        letter = {"f32": "f", "f64": "d"}[dtype]
        self.functions = {
            policy: self.library.core.function(f"product{policy}_{dtype}", f"piipiipiiiipi{letter * 2}ppppp")
            for policy in POLICIES
        }
        self.scratch = aligned_empty((product_scratch_bytes(dtype, target),), "u1")

    def __call__(self, a, b, policy=""):
        (m, k), n = a.shape, b.shape[1]
        c = np.full((m, n), 7, self.np)
        rows = [s // a.itemsize for s in (*a.strides, *b.strides)]
        bias = np.arange(n).astype(self.np)
        hooks = (0, 0, 0, 0)
        self.functions[policy](
            a, *rows[:2], b, *rows[2:], c, n, m, n, k, bias, 0, 1.5, -1.0, self.scratch, *hooks
        )
        return c


def operands(rng, kind, m, n, k, along):
    a = rng.standard_normal((m, k)).astype(kind)
    return a, rng.standard_normal((k, n)).astype(kind) if along else rng.standard_normal((n, k)).astype(
        kind
    ).T


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_bits_are_the_same_with_any_parts(dtype, target):
    rng = np.random.default_rng(5)
    bare, whole = Calls(dtype, TARGETS[target]), Calls(dtype, TARGETS[target])
    whole.library.require(parts(whole.library.strategy))
    shapes = [
        (1, 40, 900),
        (3, 33, 1200),
        (7, 20, 30),
        (8, 300, 200),
        (30, 10, 64),
        (64, 130, 410),
        (29, 65, 3),
    ]
    pairs = [operands(rng, bare.np, *shape, along) for shape in shapes for along in (True, False)]
    for wanted in ((), ("plain2",), DRIVERS, ("packed",)):
        bare.library.require(wanted)
        for a, b in pairs:
            for policy in POLICIES:
                assert bare(a, b, policy).tobytes() == whole(a, b, policy).tobytes()


def trapped(calls, wanted):
    """Loads these parts, and lets all others tell when they are called; the names of those that did."""
    library, s, called = calls.library, calls.library.strategy, []
    library.require(wanted)

    def trap(part):
        return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 6)(lambda *_: called.append(part))

    traps = {part: trap(part) for part in parts(s) if part not in wanted}
    for part in traps:
        address = ctypes.cast(traps[part], ctypes.c_void_p).value
        if part in DRIVERS:
            library._enter("drivers", DRIVERS.index(part), address)
        for kind, nrv, mr in tiles_of(s, part):
            library._enter(f"tiles_{kind.name}", table_place(s, nrv, mr), address)
            if kind is PLAIN and (nrv, mr) not in sizes(s, FULL):
                for large in LARGE:
                    library._enter(f"tiles_{large.name}", table_place(s, nrv, mr), address)
    return called, traps


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("policy", POLICIES)
def test_the_parts_of_a_size_are_those_that_are_called(policy, dtype):
    rng, s = np.random.default_rng(3), strategy(dtype, host())
    by_parts = {}
    for m, n, k, along in itertools.product(M, N, K, (True, False)):
        found = frozenset(parts_for(s, policy, m, n, k, along))
        by_parts.setdefault(found, []).append((m, n, k, along))
    assert len(by_parts) > 4
    for wanted, shapes in by_parts.items():
        calls = Calls(dtype, host())
        called, _traps = trapped(calls, wanted)
        for shape in shapes[:: max(1, len(shapes) // 12)]:
            calls(*operands(rng, calls.np, *shape), policy)
            assert called == [], shape


def test_a_few_sizes_want_a_few_parts():
    s = strategy("f32", named("haswell"))
    assert parts_for(s, "", 128, 512, 784, True) == {"packed"}
    assert parts_for(s, "", 128, 10, 256, True) == {"narrow", "plain2"}
    assert parts_for(s, "", 25, 512, 784, True) == {"packed", "copied"}
    assert parts_for(s, "", 9, 72, 700, True) == {"packed", "copied", "short1", "short2", "plain1"}
    assert parts_for(s, "", 1, 512, 784, True) == {"row"}
    assert parts_for(s, "", 8, 512, 784, True) == {"stream", "short2", "plain3"}
    assert parts_for(s, ".near", 8, 512, 784, True) == {"narrow", "short2", "plain3"}
    assert parts_for(s, "", 0, 512, 784, True) == parts_for(s, "", 3, 5, 0, True) == set()


@pytest.fixture
def fresh_libraries(monkeypatch, tmp_path):
    """Nothing is loaded, and nothing is in the cache; what other tests have loaded stays theirs."""
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(library_module, "_products", functools.cache(library_module.ProductLibrary))


def test_what_keeps_the_core_keeps_its_parts():
    library = ProductLibrary("f32", host())
    library.require(["narrow"])
    core, part = library.core, weakref.ref(library._loaded["narrow"])
    del library
    gc.collect()
    assert part() is not None
    del core
    gc.collect()
    assert part() is None


@pytest.mark.usefixtures("fresh_libraries")
def test_a_step_loads_what_its_sizes_want():
    b = Builder("f")
    b.output(b.matmul(b.input("x", tensor("f32", "B", 40)), b.input("w", tensor("f32", 40, 64))))
    f = compile(b.build())
    assert Layout.from_json(f.program.layout.to_json()) == f.program.layout
    library, rng = product_library("f32", host()), np.random.default_rng(0)
    assert set(library._loaded) == set()
    w = rng.standard_normal((40, 64)).astype("f4")
    for rows in (48, 1, 48, 5):
        x = rng.standard_normal((rows, 40)).astype("f4")
        np.testing.assert_allclose(f(x, w), x @ w, rtol=1e-4, atol=1e-5)
        wanted = parts_for(library.strategy, "", rows, 64, 40, True)
        assert wanted <= set(library._loaded)
    assert set(library._loaded) < set(parts(library.strategy))
    assert f.address
    assert set(library._loaded) == set(parts(library.strategy))


@pytest.mark.usefixtures("fresh_libraries")
def test_code_for_several_threads_has_the_whole_library():
    b = Builder("f")
    b.output(b.matmul(b.input("x", tensor("f64", "B", 40)), b.input("w", tensor("f64", 40, 64))))
    compile(b.build(), threads=2)
    library = product_library("f64", host())
    assert set(library._loaded) == set(parts(library.strategy))


@pytest.mark.usefixtures("fresh_libraries")
def test_threads_share_one_library():
    found, start = [], threading.Barrier(6)

    def work():
        start.wait()
        found.append(product_library("f32", host()))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(map(id, found))) == 1
