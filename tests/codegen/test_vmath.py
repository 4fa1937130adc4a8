import functools
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from graphc.codegen import coefficients, fit, vmath
from graphc.codegen.element import Element, register
from graphc.codegen.loader import load
from graphc.codegen.module_text import module
from graphc.codegen.target import host, named
from graphc.codegen.text import Function
from graphc.codegen.vector import Vector

TARGETS = {"native": host(), "baseline": named("x86-64")}
NUMPY = {"f32": "f4", "f64": "f8"}
TINY = {"f32": 1e-45, "f64": 5e-324}
RANGE = {"f32": {"exp": 110, "expm1": 100, "sigmoid": 80, "softplus": 100, "tanh": 12}}
RANGE["f64"] = {"exp": 760, "expm1": 740, "sigmoid": 700, "softplus": 740, "tanh": 25}


def reference(name, x):
    """What a NumPy user would write, in the precision of x."""
    if name == "softplus":
        return np.logaddexp(x, np.zeros(1, x.dtype))
    return 1 / (1 + np.exp(-x)) if name == "sigmoid" else getattr(np, name)(x)


def map_function(name, t):
    f = Function(f"{name}_{t.dtype}_{t.lanes}", "ptr noalias %x, ptr noalias %y, i64 %n")

    def body(i, lanes, mask, values):
        u = t.with_lanes(lanes)
        x = Vector(f, u, f.vload(u, f.at(t.name, "%x", i), mask))
        f.vstore(u, vmath.FUNCTIONS[name](x).name, f.at(t.name, "%y", i), mask)
        return []

    f.vector_loop("%n", t.lanes, body, masked=True)
    return f.text()


@functools.cache
def compiled(target_name):
    target = TARGETS[target_name]
    types = [u for d in NUMPY for u in {register(d, target), Element(d, 1)}]
    return load(
        [module(*[map_function(name, t) for name in vmath.FUNCTIONS for t in types], target=target)], target
    )


def apply(name, x, dtype, target="native", lanes=None):
    y = np.empty_like(x)
    lanes = lanes or TARGETS[target].lanes(dtype)
    compiled(target).function(f"{name}_{dtype}_{lanes}", "ppi")(x, y, x.size)
    return y


def inputs(name, dtype):
    rng, info = np.random.default_rng(1), np.finfo(NUMPY[dtype])
    span = [np.log(float(v)) * 0.999 for v in (info.smallest_subnormal, info.max)]
    magnitudes = np.exp(rng.uniform(*span, 20_001))
    if name == "log":
        return np.concatenate([magnitudes, rng.uniform(0.5, 2, 20_000)]).astype(NUMPY[dtype])
    if name == "log1p":
        parts = [magnitudes, rng.uniform(-1, 1, 20_000), -np.minimum(magnitudes, 0.99)]
    elif name in ("sin", "cos"):
        parts = [
            magnitudes,
            rng.uniform(-9000, 9000, 20_000),
            np.arange(-3000, 3000) * np.pi / 2,
            rng.uniform(-1, 1, 9000),
        ]
    else:
        wide = RANGE[dtype][name]
        parts = [rng.uniform(-wide, wide, 20_000), rng.uniform(-2, 2, 20_000), -np.minimum(magnitudes, 1)]
    return np.concatenate(parts).astype(NUMPY[dtype])


def ulps(got, exact, np_type):
    rounded = exact.astype(np_type)
    ok = np.isfinite(rounded)
    return np.abs(
        (got.astype(exact.dtype) - exact)[ok] / np.spacing(np.abs(rounded[ok])).astype(exact.dtype)
    ).max()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", NUMPY)
@pytest.mark.parametrize("name", [n for n in vmath.FUNCTIONS if n != "erf"])
def test_error_is_at_most_twice_numpys(name, dtype, target):
    x = inputs(name, dtype)
    with np.errstate(all="ignore"):
        exact = reference(name, x.astype("f8" if dtype == "f32" else np.longdouble))
        numpy_error = ulps(reference(name, x), exact, NUMPY[dtype])
        got = apply(name, x, dtype, target)
        assert ulps(got, exact, NUMPY[dtype]) <= 2 * max(numpy_error, 0.5)
        infinite = ~np.isfinite(exact.astype(NUMPY[dtype]))
        np.testing.assert_array_equal(got[infinite], exact[infinite].astype(NUMPY[dtype]))


def exact_erf(v):
    with localcontext() as context:
        context.prec = 60
        x = Decimal(v)
        return x * (1 + fit._erf_tail(x * x)) if abs(x) < 1 else 1 - fit._log_erfc(x).exp()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", NUMPY)
def test_erf_against_sixty_digits(dtype, target):
    x = np.concatenate(
        [np.random.default_rng(0).uniform(0, 5, 300), [1e-30, 0.999, 1.001, 2.499, 2.501, 5.9]]
    )
    x = x.astype(NUMPY[dtype])
    y = apply("erf", x, dtype, target)
    errors = [
        abs(Decimal(float(b)) - exact_erf(float(a))) / Decimal(float(np.spacing(b))) for a, b in zip(x, y)
    ]
    assert max(errors) < 1.3
    assert np.array_equal(apply("erf", -x, dtype, target), -y)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", NUMPY)
@pytest.mark.parametrize("name", vmath.FUNCTIONS)
def test_special_values_are_numpys(name, dtype, target):
    values = [
        np.nan,
        np.inf,
        -np.inf,
        0.0,
        -0.0,
        1e4,
        -1e4,
        TINY[dtype],
        -TINY[dtype],
        -1.0,
        -2.0,
        1e30,
        -1e30,
    ]
    x = np.array(values, NUMPY[dtype])
    with np.errstate(all="ignore"):
        want = np.array([math.erf(v) for v in x], x.dtype) if name == "erf" else reference(name, x)
        for lanes in (TARGETS[target].lanes(dtype), 1):
            got = apply(name, x, dtype, target, lanes)
            np.testing.assert_array_max_ulp(got, want, 2)
            numbers = ~np.isnan(want)
            assert np.array_equal(np.signbit(got)[numbers], np.signbit(want)[numbers])


@pytest.mark.parametrize("dtype", NUMPY)
@pytest.mark.parametrize("name", vmath.FUNCTIONS)
def test_one_lane_and_many_give_the_same_bits(name, dtype):
    x = np.abs(np.random.default_rng(2).standard_normal(1003).astype(NUMPY[dtype])) * 3
    assert apply(name, x, dtype).tobytes() == apply(name, x, dtype, lanes=1).tobytes()


@pytest.mark.parametrize("lanes", [1, 4])
def test_libm_is_called_for_each_lane(lanes):
    t = Element("f64", lanes)
    f = Function("power", "ptr %x, ptr %y, ptr %out")
    x, y = (Vector(f, t, f.vload(t, p)) for p in ("%x", "%y"))
    f.vstore(t, vmath.libm("pow", t, [x, y]).name, "%out")
    power = load([module(f.text(), target=host())], host()).function("power", "ppp")
    x, y, out = np.array([2.0, 3.0, 0.5, 7.0]), np.array([10.0, 3.0, -2.0, 0.0]), np.zeros(4)
    power(x, y, out)
    assert np.array_equal(out[:lanes], np.array([1024.0, 27.0, 4.0, 1.0])[:lanes])


def test_avx512_text_compiles():
    from graphc.codegen.loader import assembly

    target = named("skylake-avx512")
    assert "zmm" in assembly(module(map_function("exp", register("f32", target)), target=target), target)


def test_coefficients_are_what_the_fit_gives():
    rows = fit.every_row()
    assert set(rows) == set(coefficients.COEFFICIENTS)
    for name, dtype in rows:
        assert fit.coefficients_of(fit.RECIPES[name], dtype) == coefficients.COEFFICIENTS[name, dtype]
