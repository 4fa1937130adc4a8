import numpy as np
import pytest

from graphc.codegen.element import Element, const, register, splat
from graphc.codegen.loader import load
from graphc.codegen.module_text import module
from graphc.codegen.target import host, named
from graphc.codegen.text import Function

TARGETS = {"native": host(), "baseline": named("x86-64"), "haswell": named("haswell")}
DTYPES = {
    "f32": "f4",
    "f64": "f8",
    "i8": "i1",
    "i16": "i2",
    "i32": "i4",
    "i64": "i8",
    "u8": "u1",
    "bool": "?",
}


def build(target, *functions, top=""):
    return load([module(*[f.text() for f in functions], target=target, top=top)], target)


def sample(np_type, n, seed=0):
    return np.random.default_rng(seed).integers(0, 2 if np_type == "?" else 100, n).astype(np_type)


def copy_function(t, masked):
    f = Function("copy", "ptr %x, ptr %y, i64 %n")

    def body(i, lanes, mask, values):
        u = t.with_lanes(lanes)
        f.vstore(u, f.vload(u, f.at(t.stored, "%x", i), mask), f.at(t.stored, "%y", i), mask)
        return []

    f.vector_loop("%n", t.lanes, body, masked)
    return f


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_vector_loop_touches_each_element_once_and_nothing_else(dtype, masked, target):
    target, np_type = TARGETS[target], DTYPES[dtype]
    code = build(target, copy_function(register(dtype, target), masked))
    copy = code.function("copy", "ppi")
    for n in (0, 1, 2, 7, 8, 31, 32, 33, 100):
        x, y = sample(np_type, n), np.ones(n + 70, np_type)
        copy(x, y, n)
        assert np.array_equal(y[:n], x)
        assert (y[n:] == 1).all()


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("dtype", DTYPES)
def test_masked_lanes_are_filled_and_not_written(dtype, lanes):
    t, np_type = Element(dtype, lanes), DTYPES[dtype]
    f = Function("some", "ptr %x, ptr %y, i64 %n")
    mask = f.lanes_below(t, "%n")
    f.vstore(t, f.vload(t, "%x", mask, fill=splat(t, 1)), "%y")
    f.vstore(t, splat(t, 0), f.at(t.stored, "%y", lanes), mask)
    some = build(host(), f).function("some", "ppi")
    x = sample(np_type, lanes, seed=1)
    for n in (-3, 0, 1, lanes - 1, lanes, lanes + 1, 1 << 40):
        y = np.ones(2 * lanes, np_type)
        some(x, y, n)
        kept = np.arange(lanes) < n
        assert np.array_equal(y[:lanes], np.where(kept, x, np.ones(1, np_type)))
        assert np.array_equal(y[lanes:], np.where(kept, 0, 1).astype(np_type))


@pytest.mark.parametrize("lanes", [1, 4, 8])
@pytest.mark.parametrize("dtype", ["f32", "f64", "i16", "bool"])
def test_gather_reads_by_index(dtype, lanes):
    t = Element(dtype, lanes)
    f = Function("pick", "ptr %x, ptr %index, ptr %y, i64 %n")
    index = f.vload(Element("i64", lanes), "%index")
    f.vstore(t, f.gather(t, "%x", index, f.lanes_below(t, "%n")), "%y")
    f.vstore(t, f.gather(t, "%x", index), f.at(t.stored, "%y", lanes))
    pick = build(host(), f).function("pick", "pppi")
    x, index = sample(DTYPES[dtype], 50), np.array([3, 49, 0, 7, 7, 21, 48, 30][:lanes], "i8")
    y = np.ones(2 * lanes, DTYPES[dtype])
    pick(x, index, y, lanes - 1)
    assert np.array_equal(y[lanes:], x[index])
    assert np.array_equal(y[: lanes - 1], x[index][:-1])
    assert not y[lanes - 1]


def test_loops_carry_values_and_may_not_run():
    f = Function("total", "ptr %x, i64 %n", ret="double")
    with f.loop(0, "%n", 1, [("double", const(Element("f64", 1), 0))]) as l:
        l.next = [f(f"fadd double {l.values[0]}, {f.load('double', f.at('double', '%x', l.i))}")]
    code = load([module(f.text(f"double {l.results[0]}"), target=host())], host())
    total, x = code.function("total", "pi", "d"), np.arange(10.0)
    assert [total(x, n) for n in (0, 1, 10)] == [0, 0, 45]


def test_when_runs_its_body_only_if_the_condition_holds():
    f = Function("pick", "i64 %x, ptr %seen", ret="i64")
    with f.when(f.less("%x", 0), [("i64", "%x")]) as w:
        f.store("i64", "1", "%seen")
        w.next = [f.sub(0, "%x")]
    f.give_up(f.equal(w.results[0], 5), "i64 -1")
    code = load([module(f.text(f"i64 {w.results[0]}"), target=host())], host())
    pick, seen = code.function("pick", "ip", "i"), np.zeros(1, "i8")
    assert (pick(3, seen), seen[0]) == (3, 0)
    assert (pick(-4, seen), seen[0]) == (4, 1)
    assert pick(-5, seen) == -1


@pytest.mark.parametrize("masked", [False, True])
def test_vector_loop_reduces(masked):
    target = host()
    t = register("f64", target)
    f = Function("total", "ptr %x, i64 %n", ret="double")
    zero = const(t, 0)

    def body(i, lanes, mask, values):
        u = t.with_lanes(lanes)
        return [f(f"fadd {u.vec} {values[0]}, {f.vload(u, f.at('double', '%x', i), mask)}")]

    def fold(v):
        return f(f"call double @llvm.vector.reduce.fadd.{t.suffix}(double {zero}, {t.vec} {v})")

    carry = [(t.vec, "zeroinitializer")]
    (v,) = f.vector_loop("%n", t.lanes, body, masked, carry, lambda values: [("double", fold(values[0]))])
    code = load([module(f.text(f"double {fold(v) if masked else v}"), target=target)], target)
    total, x = code.function("total", "pi", "d"), np.arange(101.0)
    assert [total(x, n) for n in (0, 1, 5, 8, 101)] == [0, 0, 10, 28, 5050]


def test_forgotten_carried_value_is_an_error():
    f = Function("f", "i64 %n")
    with (
        pytest.raises(ValueError, match="the loop carries 1 values, but next has 0"),
        f.loop(0, "%n", 1, [("i64", "0")]),
    ):
        pass
    with (
        pytest.raises(ValueError, match="the condition carries 1 values, but next has 0"),
        f.when("true", [("i64", "0")]),
    ):
        pass


def test_constants_are_exact():
    f32, f64 = Element("f32", 1), Element("f64", 1)
    values = [0.1, -0.0, 1e-45, 1e300, float("inf"), float("nan"), 3.0]
    top = f"@a = constant [7 x float] [{', '.join('float ' + const(f32, v) for v in values)}]\n"
    top += f"@b = constant [7 x double] [{', '.join('double ' + const(f64, v) for v in values)}]"
    f = Function("get", "ptr %x, ptr %y")
    for i in range(7):
        f.store("float", f.load("float", f.at("float", "@a", i)), f.at("float", "%x", i))
        f.store("double", f.load("double", f.at("double", "@b", i)), f.at("double", "%y", i))
    x, y = np.empty(7, "f4"), np.empty(7, "f8")
    build(host(), f, top=top).function("get", "pp")(x, y)
    with np.errstate(over="ignore"):
        assert x.tobytes() == np.array(values).astype("f4").tobytes()
    assert y.tobytes() == np.array(values).tobytes()
