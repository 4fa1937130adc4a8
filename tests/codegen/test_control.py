"""Loops and branches in compiled steps: how carries travel, sizes, failures, weights, cache, and views."""

import threading

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.codegen.stats import stats
from graphc.ir import OPS, Builder, Expr, Location, parse, symbol, tensor
from graphc.ir.errors import ArgumentError, IndexRangeError, NumericsError
from graphc.ir.evaluate import run
from graphc.passes.infer import infer

T = symbol("T")
BACKENDS = ["llvm", "numba"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "control"))


def region(make, types):
    b = Builder("body")
    found = make(b, *(b.input(f"p{i}", t) for i, t in enumerate(types)))
    b.output(*(found if isinstance(found, tuple) else (found,)))
    return b.build()


def scan(make, carries=1, scanned=1, shapes=((3,), (T, 3)), length=T, reverse=False, dtype="f64"):
    """A graph that is one scan; `make` makes its body from carries, slices and constants."""
    b = Builder("loop")
    values = [b.input(f"x{i}", tensor(dtype, *s)) for i, s in enumerate(shapes)]
    types = [
        v.type.with_shape(v.shape[1:]) if carries <= i < carries + scanned else v.type
        for i, v in enumerate(values)
    ]
    attrs = {"carries": carries, "scanned": scanned, "length": length, "reverse": reverse}
    node = b.node(OPS["scan"], values, attrs, (region(make, types),))
    b.output(*node.results)
    return b.build()


def arrays(graph, **sizes):
    rng = np.random.default_rng(1)
    found = {}
    for v in graph.parameters:
        shape = tuple(sizes.get(str(d), d) for d in v.type.shape)
        found[v.name] = np.asarray(rng.normal(size=shape) * 3).astype(v.type.dtype.numpy)
    return found


def check(graph, given, f, rtol=1e-12, atol=1e-12):
    """A call of f has the evaluator's values."""
    found = f(*(given[v.name] for v in graph.inputs))
    found = found if isinstance(found, tuple) else (found,)
    for x, y in zip(run(graph, given).outputs, found, strict=True):
        np.testing.assert_allclose(y, x, rtol=rtol, atol=atol)


def ways(f):
    return [c.way for control in f.lowered.plan.controls.values() for c in control.carries]


BODIES = {
    "over": lambda b, h, x: h * 0.5 + x,
    "swap": lambda b, h, x: b.reverse(h, axes=(0,)) * 0.5 + x,
    "follows": lambda b, h, x: ((y := b.reverse(h, axes=(0,)) + x), y),
    "history": lambda b, h, x: (h * 0.5 + x, h),
}


@pytest.mark.parametrize("way", BODIES)
@pytest.mark.parametrize("reverse", [False, True])
def test_each_way_of_a_carry_at_each_length(way, reverse):
    graph = scan(BODIES[way], reverse=reverse)
    f = compile(graph)
    assert ways(f) == [way]
    for length in (0, 1, 2, 3, 8):
        check(graph, arrays(graph, T=length), f)
    assert stats()["reference_fallbacks"] == 0 or not f.fallback


def test_numba_runs_the_same_loops():
    def body(b, h, k, x):
        return b.reverse(h, axes=(0,)) + x, k + h, k

    graph = scan(body, carries=2, shapes=((3,), (3,), (T, 3)))
    f = compile(graph, backend="numba")
    assert not f.fallback
    assert ways(f) == ["swap", "history"]
    for length in (0, 1, 2, 3):
        check(graph, arrays(graph, T=length), f)


def test_carries_change_places():
    graph = scan(lambda b, h, k, m, x: (k, m + x, h, h), carries=3, shapes=((3,), (3,), (3,), (T, 3)))
    f = compile(graph)
    for length in (0, 1, 2, 5):
        check(graph, arrays(graph, T=length), f)


def test_one_value_for_everything():
    graph = scan(
        lambda b, h, k, x: ((y := b.sin(h + k) + x), y, y, y, x), carries=2, shapes=((3,), (3,), (T, 3))
    )
    f = compile(graph)
    for length in (0, 1, 2, 5):
        check(graph, arrays(graph, T=length), f)


def test_sizes_that_are_empty():
    graph = scan(lambda b, h, x: (b.reverse(h, axes=(0,)) + x, h), shapes=(("N",), (T, "N")))
    f = compile(graph)
    for length, n in ((0, 0), (3, 0), (0, 3), (3, 1)):
        check(graph, arrays(graph, T=length, N=n), f)


def test_bodies_with_products_and_folds():
    def body(b, h, x, w, bias):
        y = b.tanh(b.matmul(x, w) + b.matmul(h, w) + bias)
        centred = y - b.mean(y, axes=(1,), keepdims=True)
        return centred, b.sum(centred * centred, axes=(0,)), b.max(y, axes=(0, 1))

    graph = scan(body, shapes=((5, 7), (T, 5, 7), (7, 7), (7,)))
    f = compile(graph)
    assert len(f.lowered.kernels) == 2  # a product before the loop, and one kernel in it
    for length in (0, 1, 9):
        check(graph, arrays(graph, T=length), f, rtol=1e-10)


def test_nested_loops_and_branches():
    def inner(b, h, x, k):
        low, high = (region(m, [h.type, x.type]) for m in (lambda b, h, x: h * x, lambda b, h, x: b.sin(x)))
        node = b.node(OPS["cond"], [b.sum(h, axes=(0,)) > 0.0, h, x], {}, (low, high))
        return Expr(b, node.result) + k, h

    def outer(b, h, xs):
        body = region(inner, [h.type, h.type, h.type])
        attrs = {"carries": 1, "scanned": 1, "length": 4, "reverse": False}
        results = b.node(OPS["scan"], [h * 0.1, xs, h], attrs, (body,)).results
        last, rows = (Expr(b, r) for r in results)
        return last, b.sum(rows, axes=(0,)), rows

    graph = scan(outer, shapes=((3,), (T, 4, 3)))
    f = compile(graph)
    for length in (0, 1, 2, 5):
        check(graph, arrays(graph, T=length), f)


WHILE = """\
graph @collatz(%n: i64[], %x: f64[4])
{
  %end, %steps, %y = while %n, %n, %x {carries = 3} (%a, %b, %c) {
    %one = constant {value = 1, dtype = i64}
    %more = greater %a, %one
    return %more
  } (%a, %b, %c) {
    %one = constant {value = 1, dtype = i64}
    %two = constant {value = 2, dtype = i64}
    %rest = remainder %a, %two
    %odd = equal %rest, %one
    %half = floor_divide %a, %two
    %three = constant {value = 3, dtype = i64}
    %triple = multiply %a, %three
    %next = add %triple, %one
    %new = select %odd, %next, %half
    %turned = reverse %c {axes = (0,)}
    %d = sin %turned
    return %new, %a, %d
  }
  return %end, %steps, %y
}"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_while_of_unknown_length(backend):
    graph = infer(parse(WHILE))
    f = compile(graph, backend=backend)
    assert not f.fallback
    x = np.arange(4.0)
    for n in (1, 2, 3, 6, 27):
        given = {"n": np.array(n), "x": x}
        check(graph, given, f)
    np.testing.assert_array_equal(x, np.arange(4.0))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cond_runs_one_branch(backend):
    b = Builder("either")
    p, x, i = b.input("p", tensor("bool")), b.input("x", tensor("f64", 4)), b.input("i", tensor("i64", 2))
    types = [x.type, i.type]
    picked = region(lambda b, x, i: (b.gather(x, i, axis=0), x), types)
    other = region(lambda b, x, i: (b.constant(np.zeros(2)), x + 1), types)
    node = b.node(OPS["cond"], [p, x, i], {}, (picked, other))
    b.output(*node.results)
    graph = b.build()
    f = compile(graph, backend=backend)
    assert not f.fallback
    x = np.arange(4.0)
    for p, i in ((True, [3, 1]), (False, [3, 1]), (False, [9, 1])):  # the branch that would fail does not run
        check(graph, {"p": np.array(p), "x": x, "i": np.array(i)}, f)
    with pytest.raises(IndexRangeError):
        f(True, x, np.array([9, 1]))


# -- failures and weights ------------------------------------------------------------------------------------


def counting(message="x is {value}"):
    """A loop that fails at values above 9, and counts its turns in a weight."""
    b = Builder("count")
    xs, w = b.input("xs", tensor("f64", "T")), b.weight("w", tensor("f64", 2))
    with b.at(Location("loop.py", 7)):
        body = Builder("body")
        h, x = body.input("h", w.type), body.input("x", tensor("f64"))
        with body.at(Location("loop.py", 9)):
            x = body.check(x, x <= 9.0, message=message, error="value")
        body.output(body.reverse(h, axes=(0,)) + x)
        attrs = {"carries": 1, "scanned": 1, "length": xs.shape[0], "reverse": False}
        (last,) = b.node(OPS["scan"], [w, xs], attrs, (body.build(),)).results
    b.update(w, last)
    b.output(b.sum(Expr(b, last), axes=(0,)))
    return b.build()


@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
@pytest.mark.parametrize("checked", [None, "nan"])
def test_a_failing_turn_changes_nothing(backend, checked):
    f = compile(counting(), backend=backend, check=checked if backend != "reference" else None)
    w = np.array([1.0, 2.0])
    f.bind([w])
    assert f(np.array([1.0, 2.0, 3.0])) == 15.0
    np.testing.assert_array_equal(w, [6.0 + 2.0, 6.0 + 1.0])
    with pytest.raises(ArgumentError) as caught:
        f(np.array([1.0, 2.0, 10.0, 3.0]))
    assert str(caught.value) == "x is 10.0\n  at loop.py:9"
    np.testing.assert_array_equal(w, [8.0, 7.0])


@pytest.mark.parametrize("body", ["over", "swap"])
def test_a_carry_that_begins_and_ends_as_a_weight(body):
    """No other memory is needed for it, and nothing is copied after the loop."""
    b = Builder("state")
    xs, w = b.input("xs", tensor("f64", "T", 3)), b.weight("w", tensor("f64", 3))
    attrs = {"carries": 1, "scanned": 1, "length": xs.shape[0], "reverse": False}
    types = [w.type, w.type]
    (last,) = b.node(OPS["scan"], [w, xs], attrs, (region(BODIES[body], types),)).results
    b.update(w, last)
    b.output(b.sum(xs, axes=(0, 1)))
    graph = b.build()
    f = compile(graph)
    assert f.lowered.plan.copies == ()
    for length in (0, 1, 2, 5):
        given = arrays(graph, T=length)
        f.bind([given["w"].copy()])
        f(given["xs"])
        np.testing.assert_allclose(f.weights[0], run(graph, given).updates["w"], rtol=1e-12)


def test_a_carry_that_dies_leaves_its_memory_to_the_result():
    b = Builder("chain")
    x, xs = b.input("x", tensor("f64", 64)), b.input("xs", tensor("f64", "T", 64))
    attrs = {"carries": 1, "scanned": 1, "length": xs.shape[0], "reverse": False}
    (last,) = b.node(OPS["scan"], [b.sin(x), xs], attrs, (region(BODIES["over"], [x.type] * 2),)).results
    b.output(b.sum(Expr(b, last), axes=(0,)))
    f = compile(b.build())
    assert f.lowered.plan.layout({"T": 100}).arena_bytes == 64 * 8


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_array_that_turns_write_into_is_not_copied(backend):
    """A turn reads its element before it writes others, although the text has it the other way round."""

    def body(b, h, i):
        return b.scatter_add(h, i, b.gather(h, i, axis=0) * 2.0 + 1.0, axis=0), b.gather(h, i, axis=0)

    b = Builder("marks")
    h, i = b.input("h", tensor("f64", 1000, 3)), b.input("i", tensor("i64", "T", 2))
    types = [h.type, i.type.with_shape((2,))]
    attrs = {"carries": 1, "scanned": 1, "length": i.shape[0], "reverse": False}
    b.output(*b.node(OPS["scan"], [h, i], attrs, (region(body, types),)).results)
    graph = b.build()
    f = compile(graph, backend=backend)
    assert ways(f) == ["over"]
    stores = [p for k in f.lowered.kernels for p in k.kernel.parts]
    assert not any(axis.extent == 3000 for p in stores for axis in p.outer)
    given = {"h": np.zeros((1000, 3)), "i": np.array([[1, 5], [5, 5], [0, 999], [5, 1]])}
    check(graph, given, f)


def test_memory_does_not_grow_with_the_number_of_turns():
    def body(b, h, x):
        y = b.sin(b.reverse(h, axes=(0,))) + x
        return b.cumsum(y, axis=0, reverse=False, exclusive=False) * 0.1

    f = compile(scan(body))
    assert f.memory(T=10).arena == f.memory(T=100_000).arena


def test_a_nan_in_a_turn_is_found_with_its_place():
    def body(b, h, x):
        with b.at(Location("cell.py", 3, "cell")):
            return h + b.log(x)

    f = compile(scan(body), check="nan")
    x = np.ones((4, 3))
    f(np.zeros(3), x)
    x[2, 1] = -1
    with pytest.raises(NumericsError) as caught:
        f(np.zeros(3), x)
    assert "gave a NaN" in str(caught.value)
    assert "made by log\n  at cell.py:3 'cell'" in str(caught.value)


def test_checked_loops_have_the_same_values():
    graph = scan(BODIES["history"])
    check(graph, arrays(graph, T=5), compile(graph, check="reference"))


# -- cache, threads, sizes -----------------------------------------------------------------------------------


def test_a_warm_start_runs_no_pass():
    graph = scan(BODIES["follows"])
    given = arrays(graph, T=4)
    check(graph, given, compile(graph))
    before = stats()["cache_hits"]
    f = compile(graph)
    assert stats()["cache_hits"] > before
    assert not f.pipeline._kept
    check(graph, given, f)
    check(graph, arrays(graph, T=7), f)


@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_threads(threads):
    def body(b, h, x, w):
        return b.tanh(b.matmul(h, w) + x), h

    graph = scan(body, shapes=((64, 96), (T, 64, 96), (96, 96)), dtype="f32")
    f = compile(graph, threads=threads)
    given = arrays(graph, T=6)
    given["x2"] *= 0.05
    check(graph, given, f, rtol=1e-4, atol=1e-5)
    expected = f(*given.values())[0]
    wrong = []

    def work():
        for _ in range(20):
            if not np.array_equal(f(*given.values())[0], expected):
                wrong.append(1)

    callers = [threading.Thread(target=work) for _ in range(3)]
    for t in callers:
        t.start()
    for t in callers:
        t.join()
    assert not wrong


def test_the_c_entry_runs_loops():
    f = compile(scan(BODIES["swap"]))
    h, xs, last = np.zeros(3), np.ones((4, 3)), np.empty(3)
    pointers = [np.array([x.ctypes.data for x in group], np.uint64).ctypes for group in ((h, xs), (last,))]
    import ctypes

    table = [p.data_as(ctypes.POINTER(ctypes.c_void_p)) for p in pointers]
    sizes = (ctypes.c_int64 * 1)(4)
    assert f.ctypes(table[0], sizes, table[1]) == 0
    np.testing.assert_array_equal(last, f(h, xs))


# -- views ---------------------------------------------------------------------------------------------------


def test_the_source_is_a_loop_that_a_person_can_read():
    f = compile(scan(BODIES["swap"]))
    text = str(f.source())
    assert "    for turn in range(T):\n        p1 = x1[(turn)*(3):(turn + 1)*(3)]" in text
    scope = {}
    exec(text, scope)
    h, xs, last = np.zeros(3), np.arange(12.0), np.empty(3)
    assert scope["loop"].py_func(h, xs, last, 4) == 0
    np.testing.assert_allclose(last, f(h, xs.reshape(4, 3)), rtol=1e-12)


def test_the_source_takes_no_memory_in_a_loop():
    def body(b, h, x):
        y = b.exp(x - b.max(x, axes=(1,), keepdims=True))
        return h + y / b.sum(y, axes=(1,), keepdims=True), b.matmul(y, b.matmul(h, y))

    graph = scan(body, shapes=((8, 8), (T, 8, 8)))
    f = compile(graph, backend="numba")
    taken = [line for line in str(f.source()).splitlines() if "np.empty" in line]
    assert taken
    assert not [line for line in taken if line.startswith("     ")]
    check(graph, arrays(graph, T=3), f)


def test_views_know_what_runs_in_loops():
    f = compile(scan(lambda b, h, x, w: (b.matmul(h, w) + x,), shapes=((4, 8), (T, 4, 8), (8, 8))))
    (kernel,) = f.lowered.kernels
    assert kernel.name == "scan.add"
    assert f.cost(T=5).total.flops == 5 * (2 * 4 * 8 * 8 + 4 * 8)
    assert str(f.cost()[0].flops) == "544*T"
    assert "1  scan.add (contract): matmul, add" in str(f.explain())
    assert "define internal i64 @control.scan(" in str(f.llvm())
    assert "@kernel.scan.add(" in str(f.llvm("scan.add"))
    assert "def scan_add(" in str(f.source("scan.add"))
    assert {b.first for b in f.memory(T=5).buffers} == {"start", "scan"}


def test_a_body_that_no_kernel_computes_runs_by_kernel(monkeypatch):
    """With passes that leave something over, the values are the same."""
    graph = scan(BODIES["follows"])
    check(graph, arrays(graph, T=3), compile(graph, passes="default,-fuse"))
