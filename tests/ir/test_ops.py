"""Every op against its own definition: types, formulas and gradients, over all samples."""

import numpy as np
import pytest

from graphc.ir import OPS, Builder, Kind, parse, tensor
from graphc.ir.evaluate import run
from graphc.ir.samples import Case, cases

SAMPLED = sorted(name for name, op in OPS.items() if op.samples)
FORMULAS = sorted(name for name in SAMPLED if OPS[name].scalar or OPS[name].decompose)
DIFFERENTIABLE = sorted(
    name
    for name in SAMPLED
    if (OPS[name].vjp or OPS[name].scalar or OPS[name].decompose)
    and any(s.differentiable for s in OPS[name].samples)
)
UNITS = {np.dtype("f4"): 2.0**-23, np.dtype("f8"): 2.0**-52}


def graph_of(case: Case, make, symbolic=False):
    """A graph with the case's operands as inputs, and these by name; `make` gives the outputs.

    With `symbolic`, sizes above 1 are symbols, equal ones the same.
    """
    b = Builder("case")
    names = [f"x{i}" for i in range(len(case.operands))]
    shapes = [[f"S{n}" if symbolic and n > 1 else n for n in x.shape] for x in case.operands]
    operands = [b.input(n, tensor(x.dtype, *shape)) for n, x, shape in zip(names, case.operands, shapes)]
    outputs = make(b, *operands)
    b.output(*(outputs if isinstance(outputs, (tuple, list)) else [outputs]))
    return b.build(), dict(zip(names, case.operands))


def evaluate(case: Case, make, symbolic=False):
    graph, inputs = graph_of(case, make, symbolic)
    return run(graph, inputs).outputs


def close(got, want, scale=None, units=8.0):
    """Equal integers; floats equal to some units of the last place of the largest finite number."""
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    if want.dtype not in UNITS:
        np.testing.assert_array_equal(got, want)
        return
    with np.errstate(all="ignore"):
        tiny = np.finfo(want.dtype).tiny
        bound = units * UNITS[want.dtype] * np.maximum(np.abs(want), scale if scale is not None else tiny)
        wrong = ~((np.abs(got - want) <= bound) | (got == want) | (np.isnan(got) & np.isnan(want)))
    assert not wrong.any(), f"{got[wrong]} is not {want[wrong]}"


@pytest.mark.parametrize("name", SAMPLED)
def test_evaluate_gives_the_inferred_types(name):
    """The evaluator compares each result with the inferred type, so running is the test."""
    for case in cases(OPS[name]):
        for symbolic in (False, True):
            assert evaluate(case, lambda b, *xs, a=case.attrs: b.op(name, *xs, **a), symbolic)


@pytest.mark.parametrize("name", SAMPLED)
def test_views_give_the_values_of_contiguous_arrays(name):
    pairs = list(zip(cases(OPS[name]), cases(OPS[name], views=True), strict=True))
    assert pairs
    for case, viewed in pairs:
        want = evaluate(case, lambda b, *xs, a=case.attrs: b.op(name, *xs, **a))
        got = evaluate(viewed, lambda b, *xs, a=case.attrs: b.op(name, *xs, **a))
        for g, w in zip(got, want, strict=True):
            # sums in another order round otherwise
            close(g, w, max([1.0, *(_largest(x) for x in case.operands)]))


@pytest.mark.parametrize("name", SAMPLED)
def test_graphs_of_samples_verify_and_survive_their_text(name):
    for case in list(cases(OPS[name]))[::5]:
        graph, _ = graph_of(case, lambda b, *xs, a=case.attrs: b.op(name, *xs, **a), symbolic=True)
        graph.verify()
        assert parse(str(graph)) == graph


@pytest.mark.parametrize("name", FORMULAS)
def test_formula_gives_the_same_values(name):
    op = OPS[name]
    formula = op.decompose or op.scalar
    samples = list(cases(op))
    assert samples
    for case in samples:
        got = evaluate(case, lambda b, *xs, a=case.attrs: formula(b, *xs, **_complete(op, a)), symbolic=True)
        want = evaluate(case, lambda b, *xs, a=case.attrs: b.op(name, *xs, **a))
        scale = max([1.0, *(_largest(x) for x in case.operands)])
        for g, w in zip(got, want, strict=True):
            close(g, w, scale)


ROUNDED = sorted(
    name
    for name in SAMPLED
    if OPS[name].kind in (Kind.ELEMENTWISE, Kind.REDUCTION, Kind.COARSE)
    and not name.startswith("random")
    and any("f32" in s.dtypes for s in OPS[name].samples)
)


@pytest.mark.parametrize("name", ROUNDED)
def test_single_precision_is_double_precision_rounded(name):
    """Operands of ordinary size, the same in both; the error counts beside the largest operand or result."""
    for case in cases(OPS[name], ["f32"]):
        if (
            not case.differentiable
            or case.attrs.get("dtype")
            or any(x.dtype.kind != "f" for x in case.operands)
        ):
            continue
        double = [x.astype(np.float64) for x in case.operands]
        got = evaluate(case, lambda b, *xs, a=case.attrs: b.op(name, *xs, **a))
        want = evaluate(
            Case("f64", double, case.attrs, True), lambda b, *xs, a=case.attrs: b.op(name, *xs, **a)
        )
        for g, w in zip(got, want, strict=True):
            scale = max([np.abs(w).max(initial=0.0), *(np.abs(x).max(initial=0.0) for x in double), 1e-30])
            assert np.abs(g - w).max(initial=0.0) <= 16 * 2.0**-23 * scale


def _largest(x):
    if x.dtype.kind != "f":
        return 0.0
    finite = np.abs(x[np.isfinite(x)])
    return float(finite.max(initial=0.0)) if finite.max(initial=0.0) < 1e6 else 0.0


def _complete(op, attrs):
    return {**{k: v for k, v in op.defaults.items() if k != "regions"}, **attrs}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient_agrees_with_finite_differences(name):
    for case in cases(OPS[name], ["f64"]):
        if case.differentiable:
            check_gradient(case, name)


def check_gradient(case: Case, name: str) -> None:
    rng = np.random.default_rng(3)
    floats = [i for i, x in enumerate(case.operands) if x.dtype == np.float64]
    results = evaluate(case, lambda b, *xs: b.op(name, *xs, **case.attrs))
    weights = [rng.uniform(0.5, 1.5, y.shape) for y in results]

    def differentiated(b, *xs):
        ys = b.op(name, *xs, **case.attrs)
        heads = [y for y in (ys if isinstance(ys, tuple) else (ys,)) if y.dtype.is_floating]
        cts = [
            b.constant(w)
            for w, y in zip(weights, ys if isinstance(ys, tuple) else (ys,))
            if y.dtype.is_floating
        ]
        return b.op("gradient", *heads, *cts, *(xs[i] for i in floats), outputs=len(heads))

    gradients = evaluate(case, differentiated)
    for got, want in zip(evaluate(case, differentiated, symbolic=True), gradients, strict=True):
        np.testing.assert_array_equal(got, want)

    def total(operands):
        ys = evaluate(
            Case(case.dtype, operands, case.attrs, True), lambda b, *xs: b.op(name, *xs, **case.attrs)
        )
        return sum(np.sum(w * y) for w, y in zip(weights, ys) if y.dtype == np.float64)

    for i, gradient in zip(floats, gradients, strict=True):
        x = case.operands[i]
        assert gradient.shape == x.shape
        direction = rng.uniform(0.5, 1.0, x.shape) * rng.choice([-1, 1], x.shape)
        h = 1e-5
        moved = [[*case.operands[:i], x + s * h * direction, *case.operands[i + 1 :]] for s in (1, -1)]
        numeric = (total(moved[0]) - total(moved[1])) / (2 * h)
        analytic = np.sum(gradient * direction)
        size = np.sum(np.abs(gradient * direction))
        assert abs(numeric - analytic) <= 1e-6 * max(1.0, size), (
            f"operand {i} of {case.attrs}: {numeric} {analytic}"
        )


def test_every_op_has_samples_or_runs_a_region():
    # users' own operators, which other tests define, have none
    own = {name: op for name, op in OPS.items() if not name.startswith("custom.")}
    without = {name for name, op in own.items() if not op.samples}
    assert without <= {name for name, op in OPS.items() if op.regions} | {"gradient"}


def test_every_elementwise_op_is_differentiable_or_gives_no_float():
    for name, op in OPS.items():
        if op.kind is Kind.ELEMENTWISE and any("f64" in s.dtypes for s in op.samples):
            case = next(cases(op, ["f64"]))
            gives_floats = evaluate(case, lambda b, *xs: b.op(name, *xs, **case.attrs))[0].dtype.kind == "f"  # noqa: B023
            assert not gives_floats or op.vjp or op.scalar, name
