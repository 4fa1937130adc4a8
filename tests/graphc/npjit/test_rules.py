"""Each gradient rule against central differences in float64, on arrays, without a recording."""

import operator

import numpy as np
import pytest

from graphc.npjit.lookup import attr_fn, method_fn
from graphc.npjit.vjps.find import find
from graphc.npjit.vjps.mutation import change_of
from graphc.npjit.vjps.table import pull, unbroadcast

R = np.random.default_rng(0)


def n(*shape):
    return R.normal(size=shape)


def p(*shape):
    return R.uniform(0.3, 2.0, size=shape)


def unit(*shape):
    return R.uniform(-0.9, 0.9, size=shape)


def spd(k, *lead):
    x = n(*lead, k, k)
    return x @ np.swapaxes(x, -1, -2) + k * np.eye(k)


def parts(x):
    """The floating arrays and numbers of an argument, with setters."""
    if isinstance(x, (list, tuple)):
        return [leaf for item in x for leaf in parts(item)]
    return [x] if isinstance(x, np.ndarray) and x.dtype.kind == "f" else []


def outputs(result):
    return [np.asarray(r, float) for r in (result if isinstance(result, (tuple, list)) else [result])]


def differences(fn, args, kwargs, cts, step=1e-5):
    """The gradient of sum(result * ct) for each floating array among the arguments."""

    def value():
        found = outputs(fn(*args, **kwargs))
        return sum(np.sum(r * c) for r, c in zip(found, cts) if c is not None)

    grads = []
    for x in parts(args):
        g = np.zeros_like(x)
        for k in np.ndindex(x.shape):
            old = x[k]
            x[k] = old + step
            high = value()
            x[k] = old - step
            g[k] = (high - value()) / (2 * step)
            x[k] = old
        grads.append(g)
    return grads


def given(cts, args):
    """Cotangents in the order of `parts(args)`."""
    if isinstance(args, (list, tuple)):
        cts = [None] * len(args) if cts is None else list(cts) + [None] * (len(args) - len(cts))
        return [leaf for c, a in zip(cts, args) for leaf in given(c, a)]
    return [cts] if isinstance(args, np.ndarray) and args.dtype.kind == "f" else []


def check(fn, args, kwargs=None, skip=()):
    """The rule of fn at these arguments; floats in them are made 0-d arrays so that they can be moved."""
    kwargs, args = kwargs or {}, list(args)
    out = fn(*args, **kwargs)
    cts = [None if i in skip else np.asarray(R.normal(size=o.shape)) for i, o in enumerate(outputs(out))]
    found = find(fn, args, kwargs)
    assert found is not None, fn
    ct = cts if isinstance(out, (tuple, list)) else cts[0]
    if found.rules.name == "zero":
        return
    mine = given(pull(found.rules, ct, out, found.args, dict(found.kwargs)), found.args)
    for g, d, x in zip(mine, differences(fn, args, kwargs, cts), parts(args)):
        assert g is not None or not d.any(), fn
        if g is not None:
            assert np.shape(g) == x.shape
            assert np.asarray(g).dtype == x.dtype
            np.testing.assert_allclose(g, d, rtol=2e-5, atol=2e-6 * max(1, np.max(np.abs(d), initial=0)))


UNARY = {
    "negative positive exp exp2 expm1 sin cos tan sinh cosh tanh arctan arcsinh square absolute fabs sinc": n,
    "deg2rad rad2deg radians degrees nan_to_num cbrt": n,
    "log log2 log10 log1p sqrt reciprocal": p,
    "arcsin arccos arctanh": unit,
}


@pytest.mark.parametrize(("name", "draw"), [(f, d) for names, d in UNARY.items() for f in names.split()])
def test_unary(name, draw):
    for shape in ((), (3,), (2, 3), (0,)):
        check(getattr(np, name), [np.asarray(draw(*shape))])


def test_arccosh():
    check(np.arccosh, [1 + p(4)])


BINARY = (
    "add subtract multiply divide arctan2 hypot logaddexp logaddexp2 maximum minimum fmax fmin fmod remainder"
)


@pytest.mark.parametrize("name", [*BINARY.split(), "copysign"])
def test_binary_broadcast(name):
    for a, b in (
        ((2, 3), (3,)),
        ((2, 1), (1, 3)),
        ((), (4,)),
        ((3, 1, 2), (2, 1)),
        ((1,), (0,)),
        ((1, 1), ()),
    ):
        if name == "copysign":
            out = np.copysign(x := n(*a), y := n(*b))
            g = pull(find(np.copysign, [x, y], {}).rules, np.ones_like(out), out, [x, y], {})[0]
            np.testing.assert_allclose(g, unbroadcast(np.sign(x) * np.sign(y), x))
        else:
            check(getattr(np, name), [np.asarray(n(*a)), np.asarray(n(*b))])


def test_power():
    check(np.power, [p(2, 3), n(3)])
    check(np.float_power, [p(3), n(3)])
    for exponent in (2, 3, -1, 0, 1, 0.5, 2.5, np.array([0, 1, 2, 3])):
        check(
            np.power,
            [*[p(4), exponent if np.ndim(exponent) else float(exponent)][:1], np.asarray(exponent, float)],
        )
    for exponent in (2, 3, 1, 0):  # a negative base with whole exponents
        rules = find(operator.pow, [0, exponent], {}).rules
        x = np.array([-1.5, 0.0, 2.0])
        g = pull(rules, np.ones(3), x**exponent, [x, exponent], {}, [True, False])[0]
        np.testing.assert_allclose(g, 0 * x if exponent == 0 else exponent * x ** (exponent - 1))
    x, y = np.zeros(2), np.zeros(2)
    assert [g.tolist() for g in pull(rules, np.ones(2), x**y, [x, y], {})] == [[0, 0], [0, 0]]


def test_ufunc_keywords():
    x, y, mask = n(3), n(3), np.array([True, False, True])
    found = find(np.multiply, [x, y], {"where": mask})
    g = pull(found.rules, np.ones(3), x * y, found.args, found.kwargs)
    assert g[0].tolist() == np.where(mask, y, 0).tolist()
    x32 = n(3).astype("f4")
    g = pull(find(np.add, [x32, y], {}).rules, np.ones(3), x32 + y, [x32, y], {})
    assert [v.dtype for v in g] == ["f4", "f8"]
    assert (
        pull(find(np.multiply, [x, np.arange(3)], {}).rules, np.ones(3), x, [x, np.arange(3)], {})[1] is None
    )


def test_a_choice_keeps_infinite_derivatives_out():
    x = np.array([-1.0, 0.0, 4.0])
    with np.errstate(all="ignore"):
        for name, at in (("sqrt", 0.25), ("log", 0.25), ("reciprocal", -1 / 16)):
            fn = getattr(np, name)
            g = pull(find(fn, [x], {}).rules, np.array([0.0, 0.0, 1.0]), fn(x), [x], {})[0]
            np.testing.assert_array_equal(g, [0, 0, at])
        g = pull(find(np.divide, [x, x], {}).rules, np.zeros(3), x / x, [x, x], {})
    assert [v.tolist() for v in g] == [[0, 0, 0]] * 2


REDUCE = [
    {},
    {"axis": 0},
    {"axis": -1, "keepdims": True},
    {"axis": (0, 2)},
    {"axis": (-1, 0), "keepdims": True},
]


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "amax", "amin", "var", "std"])
def test_reductions(name):
    fn = getattr(np, name)
    for kwargs in REDUCE:
        check(fn, [n(2, 3, 2)], kwargs)
        check(method_fn(name if name[0] != "a" else name[1:]), [n(2, 3, 2)], kwargs)
    check(fn, [n(2, 3, 2), 1])
    check(fn, [n(1, 3)], {"axis": 0})
    mask = np.array([[True, False, True], [True, True, False]])
    if name in ("sum", "mean", "prod", "var", "std"):
        check(fn, [n(2, 3)], {"axis": 1, "where": mask})
    if name in ("max", "min"):
        check(fn, [n(2, 3)], {"axis": 1, "where": mask, "initial": {"max": -9.0, "min": 9.0}[name]})


def test_reduction_options():
    check(np.var, [n(4, 3)], {"axis": 0, "ddof": 1})
    check(np.std, [n(4, 3)], {"ddof": 2, "keepdims": True})
    check(np.sum, [n(3)], {"initial": 2.0})
    check(np.prod, [n(3)], {"initial": 2.0})
    check(np.sum, [np.zeros((0, 3))], {"axis": 0})
    check(np.add.reduce, [n(2, 3)])
    check(np.multiply.reduce, [n(2, 3)], {"axis": 1})
    check(np.maximum.reduce, [n(2, 3)], {"axis": None})
    check(np.logaddexp.reduce, [n(4, 3)], {"axis": 1})
    check(np.nansum, [n(4)])
    x = n(2, 3).astype("f4")
    for fn in (np.mean, np.var, np.std, np.max, np.prod):
        g = pull(find(fn, [x], {}).rules, np.float32(1), fn(x), [x], {})[0]
        assert g.dtype == np.float32


def test_prod_of_zeros():
    for x in (np.array([2.0, 0, 3]), np.array([0.0, 2, 0]), np.array([0.0]), np.array([[1.0, 0], [3, 4]])):
        check(np.prod, [x])
        check(np.cumprod, [x])
        check(np.multiply.accumulate, [x])
    check(np.cumprod, [np.array([[1.0, 0, 2, 0, 3], [1, 2, 3, 4, 5]])], {"axis": 1})


def test_ties_are_shared():
    x = np.array([1.0, 3, 3, 2, 3])
    g = pull(find(np.max, [x], {}).rules, 1.0, 3.0, [x], {})[0]
    np.testing.assert_allclose(g, np.array([0, 1, 1, 0, 1]) / 3)
    g = pull(find(np.maximum, [x, 3.0], {}).rules, np.ones(5), np.maximum(x, 3), [x, 3.0], {})
    assert g[0].tolist() == [0, 0.5, 0.5, 0, 0.5]
    assert g[1] == 3.5
    g = pull(find(np.clip, [x, 1, 2], {}).rules, np.ones(5), np.clip(x, 1, 2), [x, 1, 2], {})[0]
    assert g.tolist() == [0.5, 0, 0, 0.5, 0]
    g = pull(find(np.abs, [np.zeros(2)], {}).rules, np.ones(2), np.zeros(2), [np.zeros(2)], {})[0]
    assert g.tolist() == [0, 0]
    same = np.full(3, 2.0)
    assert pull(find(np.std, [same], {}).rules, 1.0, np.std(same), [same], {})[0].tolist() == [0, 0, 0]
    origin = np.zeros(3)
    assert pull(find(np.linalg.norm, [origin], {}).rules, 1.0, np.float64(0), [origin], {})[0].tolist() == [
        0,
        0,
        0,
    ]


I = np.array([[2, 0], [1, 1]])
SHAPES = [
    (np.reshape, [n(2, 6), (3, -1)], {}),
    (np.reshape, [n(2, 6), (4, 3)], {"order": "F"}),
    (method_fn("reshape"), [n(2, 6), 3, 4], {}),
    (method_fn("reshape"), [n(2, 6), (3, 4)], {"order": "F"}),
    (method_fn("flatten"), [n(2, 3)], {}),
    (method_fn("ravel"), [n(2, 3), "F"], {}),
    (method_fn("transpose"), [n(2, 3, 4), 1, 2, 0], {}),
    (method_fn("transpose"), [n(2, 3, 4), (1, -1, 0)], {}),
    (method_fn("transpose"), [n(2, 3)], {}),
    (attr_fn("T"), [n(2, 3, 4)], {}),
    (attr_fn("mT"), [n(2, 3, 4)], {}),
    (np.transpose, [n(2, 3, 4)], {"axes": (2, 0, 1)}),
    (np.ravel, [n(2, 3)], {}),
    (np.squeeze, [n(1, 3, 1)], {"axis": 0}),
    (np.expand_dims, [n(3, 2)], {"axis": (0, -1)}),
    (np.swapaxes, [n(2, 3, 4), 0, -1], {}),
    (np.moveaxis, [n(2, 3, 4), (0, 1), (-1, 0)], {}),
    (np.rollaxis, [n(2, 3, 4), 2], {}),
    (np.rollaxis, [n(2, 3, 4), 0, 3], {}),
    (np.broadcast_to, [n(3, 1), (2, 3, 4)], {}),
    (np.flip, [n(2, 3)], {}),
    (np.flip, [n(2, 3)], {"axis": (0, 1)}),
    (np.fliplr, [n(2, 3)], {}),
    (np.rot90, [n(2, 3)], {"k": 3}),
    (np.roll, [n(2, 3), 4], {}),
    (np.roll, [n(2, 3), (1, -1)], {"axis": (0, 1)}),
    (np.tril, [n(3, 3), -1], {}),
    (np.triu, [n(2, 3)], {"k": 1}),
    (np.tile, [n(2, 3), (2, 1, 2)], {}),
    (np.tile, [n(2, 3), 2], {}),
    (np.tile, [np.asarray(n()), 3], {}),
    (np.repeat, [n(2, 3), 2], {}),
    (np.repeat, [n(2, 3), 2], {"axis": 1}),
    (np.repeat, [n(3, 2), np.array([0, 2, 1])], {"axis": 0}),
    (method_fn("repeat"), [n(2, 3), 2, -1], {}),
    (np.pad, [n(2, 3), 1], {}),
    (np.pad, [n(2, 3), ((1, 0), (2, 1))], {"mode": "constant", "constant_values": 3}),
    (np.pad, [n(4, 3), (2, 1)], {"mode": "reflect"}),
    (np.pad, [n(4, 3), (2, 1)], {"mode": "edge"}),
    (np.pad, [n(4, 3), ((2, 1), (0, 3))], {"mode": "symmetric"}),
    (np.pad, [n(4), 3, "wrap"], {}),
    (np.diagonal, [n(3, 4)], {"offset": 1}),
    (np.diagonal, [n(2, 3, 3)], {"axis1": 1, "axis2": 2}),
    (np.diag, [n(3)], {"k": -1}),
    (np.diag, [n(3, 4), 1], {}),
    (np.diagflat, [n(2, 2)], {}),
    (np.trace, [n(3, 4)], {}),
    (np.trace, [n(2, 3, 3), 0, 1, 2], {}),
    (np.lib.stride_tricks.sliding_window_view, [n(5, 4), (3, 2)], {}),
    (np.lib.stride_tricks.sliding_window_view, [n(5, 4), 3], {"axis": 0}),
    (np.meshgrid, [n(3), n(2)], {}),
    (np.meshgrid, [n(3), n(2), n(2)], {"indexing": "ij"}),
    (np.broadcast_arrays, [n(3, 1), n(2)], {}),
    (np.atleast_2d, [n(3)], {}),
    (np.atleast_3d, [n(3, 2)], {}),
    (method_fn("copy"), [n(3)], {}),
    (method_fn("astype"), [n(3), np.float64], {}),
    (method_fn("item"), [n(1, 1)], {}),
    (method_fn("item"), [n(2, 2), 1, 0], {}),
    (float, [np.asarray(n())], {}),
    (np.concatenate, [[n(2, 3), n(1, 3)]], {}),
    (np.concatenate, [(n(2, 3), n(2, 1)), 1], {}),
    (np.concatenate, [[n(2, 3), n(2)]], {"axis": None}),
    (np.concatenate, [n(2, 3, 2)], {"axis": 1}),
    (np.stack, [[n(2, 3), n(2, 3)]], {"axis": -1}),
    (np.stack, [[n(3), n(3)]], {}),
    (np.vstack, [[n(3), n(2, 3)]], {}),
    (np.hstack, [[n(3), n(2)]], {}),
    (np.hstack, [[n(2, 3), n(2, 1)]], {}),
    (np.dstack, [[n(2, 3), n(2, 3)]], {}),
    (np.column_stack, [[n(3), n(3, 2)]], {}),
    (np.append, [n(3), n(2, 2)], {}),
    (np.append, [n(2, 3), n(1, 3), 0], {}),
    (np.array, [[n(3), n(3)]], {}),
    (np.array, [[[np.asarray(n()), np.asarray(n())], [np.asarray(n()), 2.0]][:1]], {}),
    (np.asarray, [n(3)], {}),
    (np.split, [n(6, 2), 3], {}),
    (np.split, [n(6, 2), [1, 4]], {}),
    (np.array_split, [n(5), 2], {}),
    (np.hsplit, [n(2, 4), 2], {}),
    (np.vsplit, [n(4, 2), 2], {}),
    (np.c_.__getitem__, [(n(3), n(3, 2))], {}),
    (np.r_.__getitem__, [(n(3), np.asarray(n()), n(2))], {}),
    (np.block, [[[n(2, 2), n(2, 1)], [n(1, 2), n(1, 1)]]], {}),
    (np.block, [[n(2), n(3)]], {}),
    (np.take, [n(4, 3), I], {}),
    (np.take, [n(4, 3), I, 1], {}),
    (np.take, [n(4, 3), [0, 5, -1]], {"axis": 0, "mode": "wrap"}),
    (method_fn("take"), [n(4, 3), 2], {"axis": 0}),
    (np.take_along_axis, [n(3, 2), np.array([[0, 1], [0, 0], [2, 1]])], {"axis": 0}),
    (np.compress, [[True, False, True], n(3, 2)], {"axis": 0}),
    (np.extract, [n(2, 3) > 0, n(2, 3)], {}),
    (np.delete, [n(4, 3), 1], {"axis": 0}),
    (np.delete, [n(4), [0, 2]], {}),
    (np.insert, [n(4), 1, np.asarray(n())], {}),
    (np.insert, [n(4), [1, 3], n(2)], {}),
    (np.sort, [n(4, 3)], {"axis": 0}),
    (np.sort, [n(4, 3)], {"axis": None}),
    (np.partition, [n(7), 3], {}),
    (np.unique, [n(5)], {}),
    (np.maximum.accumulate, [n(4, 3)], {"axis": 1}),
    (np.minimum.accumulate, [n(6)], {}),
    (np.cumsum, [n(2, 3)], {}),
    (np.cumsum, [n(2, 3)], {"axis": -1}),
    (method_fn("cumsum"), [n(2, 3), 0], {}),
    (np.cumprod, [n(2, 3)], {"axis": 1}),
    (np.cumprod, [n(2, 3)], {}),
    (np.add.accumulate, [n(3)], {}),
    (np.add.reduceat, [n(6, 2), [0, 3, 2, 5]], {}),
    (np.diff, [n(2, 4)], {}),
    (np.diff, [n(4, 2)], {"n": 2, "axis": 0}),
    (np.diff, [n(1)], {}),
    (np.ediff1d, [n(4)], {}),
    (np.where, [n(2, 3) > 0, n(3), n(2, 1)], {}),
    (np.clip, [n(5), -0.5, 0.5], {}),
    (np.clip, [n(2, 3), n(3) - 1, None], {}),
    (np.clip, [n(2, 3)], {"max": 0.3, "min": -0.2}),
    (method_fn("clip"), [n(5)], {"max": 0.5}),
    (method_fn("clip"), [n(5), -0.1, 0.5], {}),
    (np.select, [[n(4) > 0, n(4) > -1], [n(4), n(4)]], {"default": 2.0}),
    (np.choose, [np.array([0, 1, 1]), [n(3), n(3)]], {}),
    (np.full, [(2, 3), n(3)], {}),
    (np.unwrap, [unit(4)], {}),
    (np.ldexp, [n(3), 2], {}),
]


@pytest.mark.parametrize(
    ("fn", "args", "kwargs"), SHAPES, ids=[f"{i}-{c[0].__name__}" for i, c in enumerate(SHAPES)]
)
def test_rearranging(fn, args, kwargs):
    check(fn, args, kwargs)


KEYS = [
    2,
    slice(1, None),
    (slice(None), None, 1),
    (Ellipsis, 1),
    (slice(None, None, -2), slice(0, 2)),
    np.array([1, 1, 3, 0]),
    [0, -1, 0],
    (np.array([0, 1, 1]), np.array([2, 0, 0])),
    (slice(None), np.array([0, 0, 2])),
    (np.array([[0], [2]]), None, np.array([1, 1])),
    np.ix_([0, 3, 0], [1, 2]),
    R.normal(size=(4, 3)) > 0,
    (R.normal(size=4) > 0, 1),
    (Ellipsis, np.array([True, False, True])),
    (),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_index(key):
    check(operator.getitem, [n(4, 3), key])


PRODUCTS = [
    ((4,), (4,)),
    ((4,), (4, 3)),
    ((3, 4), (4,)),
    ((2, 4), (4, 3)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (4, 5)),
    ((4,), (2, 4, 3)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 2)),
]


@pytest.mark.parametrize(("a", "b"), PRODUCTS)
def test_products(a, b):
    check(np.matmul, [n(*a), n(*b)])
    check(operator.matmul, [n(*a), n(*b)])
    check(np.dot, [n(*a), n(*b)])
    check(method_fn("dot"), [n(*a), n(*b)])
    if a[-1] == b[-1] or len(b) > 1:
        check(np.inner, [n(*a), n(*b[:-2], *b[-1:], *b[-2:-1])] if len(b) > 1 else [n(*a), n(*b)])


def test_other_products():
    check(np.dot, [np.asarray(n()), n(3)])
    check(np.inner, [n(3), np.asarray(n())])
    check(np.outer, [n(3), n(2, 2)])
    check(np.vdot, [n(2, 2), n(2, 2)])
    check(np.kron, [n(2, 3), n(2, 2)])
    check(np.kron, [n(3), n(2, 2)])
    for name in ("add", "subtract", "multiply", "divide"):
        check(getattr(np, name).outer, [n(2, 2), p(3)])
    for axes in (1, 0, 2, ([1], [0]), ((0, 1), (1, 0)), ((1, 0), (0, 1)), (-1, 0)):
        b = n(3, 3)
        check(np.tensordot, [n(3, 3), b, axes])
    check(np.tensordot, [n(2, 3, 4), n(4, 5, 3)], {"axes": ([2, 1], [0, 2])})


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk,ik->", (2, 3), (3, 4), (2, 4)),
    ("ij->ji", (2, 3)),
    ("ij->j", (2, 3)),
    ("ij->", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->j", (3, 3, 2)),
    ("ij,ij->ij", (2, 3), (2, 3)),
    ("i,j->ij", (2,), (3,)),
    ("bij,bjk", (2, 2, 3), (2, 3, 2)),
    ("...ij,jk->...ik", (2, 2, 3), (3, 2)),
    ("...i,...i->...", (2, 1, 3), (4, 3)),
    ("ij,kl->i", (2, 3), (2, 2)),
    ("i,i", (3,), (3,)),
    ("ij,jk", (2, 1), (3, 2)),
]


@pytest.mark.parametrize("case", EINSUMS, ids=lambda c: c[0])
def test_einsum(case):
    check(np.einsum, [case[0], *(n(*s) for s in case[1:])])


def test_einsum_by_lists():
    check(np.einsum, [n(2, 3), [0, 1], n(3, 4), [1, 2], [0, 2]])
    check(np.einsum, [n(2, 3), [0, 1], n(3), [1]])
    check(np.einsum, ["ij,jk,kl->il", n(2, 3), n(3, 2), n(2, 2)], {"optimize": True})


def symmetric(fn):
    """fn of the symmetric part, as the rules of eigh and cholesky mean their argument."""

    def of(x, *rest, **options):
        return fn(0.5 * (x + np.swapaxes(x, -1, -2)), *rest, **options)

    return of


def check_symmetric(fn, x, skip=()):
    out = fn(x)
    cts = [None if i in skip else R.normal(size=o.shape) for i, o in enumerate(outputs(out))]
    g = pull(find(fn, [x], {}).rules, cts if isinstance(out, tuple) else cts[0], out, [x], {})[0]
    np.testing.assert_allclose(g, differences(symmetric(fn), [x], {}, cts)[0], rtol=1e-4, atol=1e-6)


def test_linalg():
    check(np.linalg.inv, [spd(3, 2)])
    check(np.linalg.det, [n(2, 3, 3)])
    check(np.linalg.slogdet, [n(3, 3)])
    check(np.linalg.solve, [n(3, 3), n(3)])
    check(np.linalg.solve, [n(2, 3, 3), n(2, 3, 2)])
    check(np.linalg.solve, [n(3, 3), n(2, 3, 1)])
    check(np.linalg.pinv, [n(4, 2)])
    check(np.linalg.pinv, [n(2, 4)])
    check(np.linalg.norm, [n(2, 3)])
    check(np.linalg.norm, [n(2, 3)], {"axis": 1, "keepdims": True})
    check_symmetric(np.linalg.cholesky, spd(3))
    check_symmetric(np.linalg.cholesky, spd(2, 2))
    check_symmetric(np.linalg.eigvalsh, spd(3))
    check(np.linalg.qr, [n(4, 3)])
    check(np.linalg.qr, [n(3, 3)])


def test_vectors_of_decompositions():
    check_symmetric(np.linalg.eigh, spd(3))
    check_symmetric(np.linalg.eigh, spd(3, 2), skip=(0,))
    for shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2)):
        check(np.linalg.svd, [n(*shape)], {"full_matrices": False})
        check(np.linalg.svd, [n(*shape)], {"compute_uv": False})


A = np.array([3, 0, 3, 1])
CHANGES = [
    (operator.setitem, [1, n(3)]),
    (operator.setitem, [slice(1, 3), n(3)]),
    (operator.setitem, [(slice(None), 0), np.asarray(n())]),
    (operator.setitem, [A, n(4, 3)]),
    (operator.setitem, [A, n(3)]),
    (operator.setitem, [0, n(1, 3)]),
    (operator.setitem, [(A, np.array([0, 1, 0, 2])), n(4)]),
    (operator.setitem, [n(4, 3) > 0, np.asarray(n())]),
    (operator.setitem, [slice(0, 2), [n(3), n(3)]]),
    (operator.setitem, [Ellipsis, 0]),
    (operator.iadd, [n(3)]),
    (operator.isub, [n(4, 1)]),
    (operator.imul, [n(4, 3)]),
    (operator.itruediv, [p(3)]),
    (operator.ipow, [2]),
    (method_fn("fill"), [np.asarray(n())]),
    (method_fn("sort"), [0]),
    (np.add.at, [A, n(4, 3)]),
    (np.subtract.at, [(A, 1), np.asarray(n())]),
    (np.put, [[0, 5, 0], n(3)]),
    (np.fill_diagonal, [np.asarray(n())]),
    (np.putmask, [n(4, 3) > 0, np.asarray(n())]),
    (np.copyto, [n(3)]),
    (np.put_along_axis, [np.array([[0], [2], [1], [1]]), n(4, 1), 1]),
]


@pytest.mark.parametrize(("fn", "args"), CHANGES, ids=[f"{i}-{c[0].__name__}" for i, c in enumerate(CHANGES)])
def test_changes(fn, args):
    x = np.abs(n(4, 3)) + 0.1

    def changed(x, *args):
        x = x.copy()
        fn(x, *args)
        return x

    ct = n(4, 3)
    before, given_args = change_of(fn)(ct.copy(), x, changed(x, *args), args, {})
    expected = differences(changed, [x, *args], {}, [ct])
    mine = [np.zeros_like(x) if before is None else before, *given(given_args, args)]
    for g, d in zip(mine, expected, strict=True):
        np.testing.assert_allclose(g, d, rtol=1e-5, atol=1e-8)


def test_out_and_where():
    from graphc.npjit.lookup import out_fn

    x, y, mask = n(3), n(3), np.array([True, False, True])
    rule = change_of(out_fn(np.multiply))
    before, g = rule(np.ones(3), x, x * y, [x, y], {})
    assert before is None
    assert g[0].tolist() == y.tolist()
    before, g = rule(np.ones(3), x, x * y, [x, y], {"where": mask})
    assert before.tolist() == [0, 1, 0]
    assert g[1].tolist() == np.where(mask, x, 0).tolist()


def test_functions_without_rules_are_not_found():
    assert find(np.apply_along_axis, [], {}) is None
    assert find(np.fft.fft, [n(3)], {}) is None
    assert change_of(np.random.shuffle) is None
