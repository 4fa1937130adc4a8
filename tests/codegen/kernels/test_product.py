import numpy as np
import pytest

from graphc.codegen.buffers import aligned_empty
from graphc.codegen.cache import Cache, Counters
from graphc.codegen.element import const, register
from graphc.codegen.kernels.library import library, library_object, product_scratch_bytes
from graphc.codegen.kernels.library_text import library_text
from graphc.codegen.kernels.parts import parts
from graphc.codegen.kernels.product import HOOK_ARGUMENTS
from graphc.codegen.kernels.strategy import POLICIES, strategy
from graphc.codegen.loader import assembly, load
from graphc.codegen.module_text import module
from graphc.codegen.target import host, named
from graphc.codegen.text import Function

TARGETS = {"native": host(), "baseline": named("x86-64"), "haswell": named("haswell")}
NUMPY = {"f32": "f4", "f64": "f8"}
GUARD = 7


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("cache"), Counters())


class Product:
    """c = max(init + alpha * a @ b, floor) on one target, with guards around the scratch buffer and c."""

    def __init__(self, dtype, target, store, policy=""):
        self.dtype, self.np, self.target = dtype, NUMPY[dtype], TARGETS[target]
        letter = "f" if dtype == "f32" else "d"
        code = library("product", dtype, self.target, store)
        self.run = code.function(f"product{policy}_{dtype}", f"piipiipiiiipi{letter}{letter}ppppp")
        self.bytes = product_scratch_bytes(dtype, self.target)
        self.scratch = aligned_empty((self.bytes + 64,), "u1")
        self.scratch[self.bytes :] = GUARD

    def __call__(self, a, b, c, init, init_row, alpha=1.0, floor=-np.inf, hooks=(0, 0, 0, 0)):
        rows, columns = c.strides[0] // c.itemsize, [[s // x.itemsize for s in x.strides] for x in (a, b)]
        sizes = (a.shape[0], b.shape[1], a.shape[1])
        self.run(
            a,
            *columns[0],
            b,
            *columns[1],
            c,
            rows,
            *sizes,
            init,
            init_row,
            alpha,
            floor,
            self.scratch,
            *hooks,
        )
        assert (self.scratch[self.bytes :] == GUARD).all()
        return c


@pytest.fixture(params=[(d, t) for t in TARGETS for d in NUMPY], ids=lambda p: f"{p[0]}-{p[1]}")
def product(request, store):
    return Product(*request.param, store)


@pytest.fixture(params=NUMPY)
def native(request, store):
    return Product(request.param, "native", store)


def matrix(rng, np_type, rows, columns, layout):
    """A matrix in C order, in Fortran order, or with both strides larger than one."""
    if layout == "transposed":
        return rng.standard_normal((columns, rows)).astype(np_type).T
    if layout == "strided":
        return rng.standard_normal((2 * rows, 3 * columns)).astype(np_type)[::2, ::3]
    return rng.standard_normal((rows, columns)).astype(np_type)


def guarded(rng, np_type, m, n, gap=3):
    """(whole buffer, c inside it with a gap after each row and rows of guards around)."""
    whole = np.full((m + 2, n + gap), GUARD, np_type)
    c = whole[1 : m + 1, :n]
    c[:] = rng.standard_normal((m, n))
    return whole, c


def untouched(whole, m, n):
    return (whole[0] == GUARD).all() and (whole[m + 1] == GUARD).all() and (whole[:, n:] == GUARD).all()


SHAPES = [
    *[(1, 1, 1), (3, 50, 300), (8, 90, 41), (9, 40, 90), (1, 784, 512), (7, 5, 3), (64, 300, 100)],
    *[(13, 100, 65), (33, 900, 130), (128, 10, 40), (97, 128, 10), (6, 17, 64), (29, 1, 31)],
    *[(150, 70, 70), (300, 33, 17), (20, 30, 1100), (2, 2000, 5)],
]
LAYOUTS = ["plain", "transposed", "strided"]


def compare(product, shape, a_layout, b_layout):
    m, k, n = shape
    rng = np.random.default_rng(m * 1000 + k + n)
    a, b = matrix(rng, product.np, m, k, a_layout), matrix(rng, product.np, k, n, b_layout)
    bias = rng.standard_normal(n).astype(product.np)
    exact = a.astype("f8") @ b.astype("f8")
    bound = (np.abs(a.astype("f8")) @ np.abs(b.astype("f8")) + 10) * np.finfo(product.np).eps * 16
    whole, c = guarded(rng, product.np, m, n)
    product(a, b, c, bias, 0, 1.0, 0.0)
    assert (np.abs(c - np.maximum(exact + bias, 0)) <= bound).all()
    whole, c = guarded(rng, product.np, m, n)
    before = c.copy()
    product(a, b, c, c, n + 3, -0.1)
    assert (np.abs(c - (before - 0.1 * exact)) <= bound).all()
    assert untouched(whole, m, n)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bias_relu_and_update(product, shape):
    for layouts in (("plain", "plain"), ("transposed", "plain"), ("plain", "transposed")):
        compare(product, shape, *layouts)


@pytest.mark.parametrize("a_layout", LAYOUTS)
@pytest.mark.parametrize("b_layout", LAYOUTS)
def test_any_strides(product, a_layout, b_layout):
    for shape in ((40, 37, 35), (3, 37, 35), (40, 37, 3)):
        compare(product, shape, a_layout, b_layout)


@pytest.mark.parametrize(
    "shape", [(0, 3, 4), (3, 0, 40), (30, 0, 40), (3, 4, 0), (30, 4, 0), (0, 0, 0)], ids=str
)
def test_empty_sizes(product, shape):
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b, bias = (rng.standard_normal(s).astype(product.np) for s in ((m, k), (k, n), (n,)))
    whole, c = guarded(rng, product.np, m, n)
    product(a, b, c, bias, 0, 1.0, 0.25)
    assert np.array_equal(c, np.broadcast_to(np.maximum(bias, 0.25), (m, n)).astype(product.np))
    assert untouched(whole, m, n)


@pytest.mark.parametrize("floor", [0.0, -np.inf])
def test_nan_and_infinity_travel(native, floor):
    for m, n in ((3, 5), (40, 50), (40, 3)):
        a, b = np.ones((m, 30), native.np), np.ones((30, n), native.np)
        a[0, 7], a[1, 2], a[2, 9] = np.nan, np.inf, -np.inf
        c = native(a, b, np.empty((m, n), native.np), np.zeros(n, native.np), 0, 1.0, floor)
        with np.errstate(invalid="ignore"):
            want = a @ b
        want[2] = np.maximum(want[2], floor)
        np.testing.assert_array_equal(c, want)


@pytest.mark.parametrize("layout", ["plain", "transposed"])
def test_an_element_has_the_same_bits_in_products_of_any_size(native, layout):
    rng = np.random.default_rng(5)
    a, b = matrix(rng, native.np, 160, 1000, "plain"), matrix(rng, native.np, 1000, 90, layout)
    zeros = np.zeros(90, native.np)
    whole = native(a, b, np.empty((160, 90), native.np), zeros, 0)
    for m, n in ((1, 90), (2, 90), (7, 90), (8, 33), (9, 90), (160, 5), (160, 17), (100, 64), (1, 1)):
        part = native(a[:m], b[:, :n], np.empty((m, n), native.np), zeros, 0)
        assert part.tobytes() == whole[:m, :n].tobytes()


def hook_code(dtype, target):
    """on_tile doubles the tile and counts its elements; on_panel adds up the panel's columns into context."""
    t = register(dtype, target).scalar()
    tile = Function("on_tile", HOOK_ARGUMENTS)
    with tile.loop(0, "%rows", 1) as i, tile.loop(0, "%n", 1) as j:
        p = tile.at(t.name, "%block", tile.add(tile.mul(i.i, "%stride"), j.i))
        tile.store(t.name, tile(f"fmul {t.name} {tile.load(t.name, p)}, {const(t, 2.0)}"), p)
        at = tile.add(tile.mul(tile.add("%row", i.i), 2000), tile.add("%col", j.i))
        seen = tile.at("i8", "%context", at)
        tile.store("i8", tile(f"add i8 {tile.load('i8', seen)}, 1"), seen)
    panel = Function("on_panel", HOOK_ARGUMENTS)
    with panel.loop(0, "%rows", 1) as i, panel.loop(0, "%n", 1) as j:
        p = panel.at(t.name, "%block", panel.add(panel.mul(i.i, "%stride"), j.i))
        total = panel.at(t.name, "%context", panel.add("%col", j.i))
        panel.store(
            t.name, panel(f"fadd {t.name} {panel.load(t.name, total)}, {panel.load(t.name, p)}"), total
        )
    return load([module(tile.text(), panel.text(), target=target)], target)


@pytest.mark.parametrize("layout", ["plain", "transposed"])
def test_hooks_see_every_tile_and_panel_once(product, layout):
    hooks = hook_code(product.dtype, product.target)
    for m, k, n in (
        (1, 70, 90),
        (5, 700, 33),
        (150, 700, 70),
        (40, 20, 3),
        (20, 30, 1500),
        (0, 5, 20),
        (4, 0, 9),
    ):
        rng = np.random.default_rng(m)
        a, b = matrix(rng, product.np, m, k, "plain"), matrix(rng, product.np, k, n, layout)
        seen, sums = np.zeros((max(m, 1), 2000), "u1"), np.zeros(n, product.np)
        zeros, c = np.zeros(n, product.np), np.empty((m, n), product.np)
        plain = product(a, b, np.empty((m, n), product.np), zeros, 0)
        product(a, b, c, zeros, 0, hooks=(hooks.address("on_tile"), seen, hooks.address("on_panel"), sums))
        assert np.array_equal(c, 2 * plain)
        assert (seen[:m, :n] == 1).all()
        assert seen.sum() == m * n
        in_order = np.zeros(n, product.np)
        for row in b:
            in_order += row
        assert np.array_equal(sums, in_order)


def test_hooks_without_a_context_are_off(native):
    a = np.ones((20, 30), native.np)
    c = native(
        a,
        np.ones((30, 40), native.np),
        np.empty((20, 40), native.np),
        np.zeros(40, native.np),
        0,
        hooks=(1, 0, 1, 0),
    )
    assert (c == 30).all()


@pytest.mark.parametrize("dtype", NUMPY)
def test_avx512_library_compiles_to_wide_registers(dtype):
    target = named("skylake-avx512")
    s = strategy(dtype, target)
    texts = {part: assembly(library_text(part, s, target), target) for part in ("product", *parts(s))}
    assert all("%zmm" in text for part, text in texts.items() if part != "narrow")
    assert texts["packed"].count("%zmm") > 500
    assert f"product_{dtype}:" in texts["product"]


def test_the_library_comes_from_the_cache(tmp_path):
    counters = Counters()
    store = Cache(tmp_path / "cache", counters)
    first, second = (library_object("product", "f32", TARGETS["baseline"], store) for _ in range(2))
    assert first == second
    assert (counters.misses, counters.hits) == (1, 1)


def test_no_tile_of_the_large_product_spills():
    """Of the k loop of the largest tile: as many multiply-adds as the tile has accumulators, and no store
    to the stack.
    """
    target = named("haswell")
    text = assembly(library_text("packed", strategy("f32", target), target), target)
    body = text[text.index("tile_full_f32_2_6:") :].split(".Lfunc_end")[0]
    loops = [block for block in body.split("\n.LBB") if block.count("vfmadd") >= 48]
    assert loops
    assert all("(%rsp), %ymm" not in block and "(%rsp)\n" not in block for block in loops)


@pytest.mark.parametrize("dtype", NUMPY)
@pytest.mark.parametrize(
    "shape", [(1, 70, 300), (5, 300, 301), (8, 400, 100), (40, 17, 23), (37, 500, 61), (0, 3, 2)]
)
def test_policies_differ_in_nothing_but_time(dtype, shape, store):
    m, k, n = shape
    rng = np.random.default_rng(3)
    for layout in ("C", "transposed", "strided"):
        a, b = (matrix(rng, NUMPY[dtype], *size, layout) for size in ((m, k), (k, n)))
        init, found = rng.standard_normal(n).astype(NUMPY[dtype]), []
        for policy in POLICIES:
            run = Product(dtype, "native", store, policy)
            found.append(run(a, b, np.full((m, n), GUARD, NUMPY[dtype]), init, 0, 0.5, 0.0).tobytes())
        assert len(set(found)) == 1
