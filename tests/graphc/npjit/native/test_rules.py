"""Every rule against NumPy itself, by the evaluator and as machine code."""

import operator

import numpy as np
import pytest

from graphc.ir.evaluate import run
from graphc.npjit.lookup import attr_fn, bound, method_fn
from graphc.npjit.native import segments
from graphc.npjit.native.operands import Unexpressed
from graphc.npjit.native.translate import Translator
from graphc.npjit.vjps.calls import sum_to

FLOATS, INTEGERS = ("float32", "float64"), ("int32", "int64", "uint8")
NUMBERS = FLOATS + INTEGERS
ALL = (*NUMBERS, "bool")
SPECIAL = [np.nan, np.inf, -np.inf, -0.0, 0.0, 0.5, -1.5, 2.5]


def numbers(shape, dtype, seed=0, low=-3, high=4):
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype in FLOATS:
        return rng.uniform(low, high, shape).astype(dtype)
    return rng.integers(0 if dtype[0] == "u" else low, high, shape).astype(dtype)


def m(name):
    return method_fn(name)


SHAPES = [(3, 4), (0, 4), (1, 1), (17, 33)]

EXPONENTIALS = ("exp", "exp2", "expm1", "tanh", "sin", "cos", "sinh", "cosh", "arctan", "arcsinh")
LOGARITHMS = ("log", "log2", "log10", "log1p", "sqrt", "cbrt", "arcsin", "arccosh", "arctanh")

# name -> (function, dtypes, arguments from an array and one like it)
UNARY = {
    **{n: (getattr(np, n), FLOATS) for n in EXPONENTIALS},
    **{n: (getattr(np, n), FLOATS) for n in LOGARITHMS},
    **{n: (getattr(np, n), (*FLOATS, "int64")) for n in ["exp", "log", "sqrt", "tanh"]},
    **{
        n: (getattr(np, n), NUMBERS)
        for n in ["abs", "sign", "square", "floor", "ceil", "trunc", "rint", "isnan", "isinf", "isfinite"]
    },
    "fabs": (np.fabs, FLOATS),
    "negative": (operator.neg, NUMBERS),
    "positive": (operator.pos, NUMBERS),
    "invert": (operator.invert, (*INTEGERS, "bool")),
    "logical_not": (np.logical_not, ALL),
    "reciprocal": (np.reciprocal, FLOATS),
    "deg2rad": (np.deg2rad, FLOATS),
    "round": (np.round, FLOATS),
    "nan_to_num": (np.nan_to_num, FLOATS),
}
BINARY = {
    **{n: (getattr(operator, n), NUMBERS) for n in ["add", "sub", "mul", "truediv", "floordiv", "mod"]},
    **{n: (getattr(operator, n), ALL) for n in ["lt", "le", "gt", "ge", "eq", "ne"]},
    **{n: (getattr(operator, n), (*INTEGERS, "bool")) for n in ("and_", "or_", "xor")},
    **{
        f"np.{n}": (getattr(np, n), ALL)
        for n in ["add", "multiply", "maximum", "minimum", "logical_and", "logical_or"]
    },
    **{n: (getattr(np, n), FLOATS) for n in ["power", "arctan2", "logaddexp", "fmax", "fmin"]},
}


def unary_cases():
    for name, (fn, dtypes) in UNARY.items():
        for dtype in dtypes:
            for shape in SHAPES:
                yield f"{name} {dtype} {shape}", fn, (numbers(shape, dtype),), {}
            if dtype in FLOATS:
                yield f"{name} {dtype} special", fn, (np.array(SPECIAL, dtype),), {}


def binary_cases():
    for name, (fn, dtypes) in BINARY.items():
        for dtype in dtypes:
            x = numbers((3, 4), dtype)
            for other in (numbers((3, 4), dtype, 1), numbers((4,), dtype, 2), numbers((3, 1), dtype, 3)):
                yield f"{name} {dtype} {other.shape}", fn, (x, other), {}
            if dtype in FLOATS:
                a, b = np.meshgrid(SPECIAL, SPECIAL)
                yield f"{name} {dtype} special", fn, (a.astype(dtype), b.astype(dtype)), {}
            yield f"{name} {dtype} empty", fn, (numbers((0, 4), dtype), numbers((4,), dtype)), {}


def promotion_cases():
    values = {d: numbers((3, 4), d) for d in ALL}
    others = [2, 2.5, True, np.float64(2.5), np.float32(1.5), np.int64(3), np.array(2.0), *values.values()]
    for dtype, x in values.items():
        for i, other in enumerate(others):
            for fn in (operator.add, operator.mul, operator.truediv, np.maximum, operator.lt):
                yield f"{fn.__name__} {dtype} with {i}", fn, (x, other), {}
            yield f"where {dtype} with {i}", np.where, (x > 1, x, other), {}
    for power in (2, 3, 0.5, 1, -1, 2.5, 0):
        yield f"float32 ** {power}", operator.pow, (values["float32"], power), {}
        yield f"np.power {power}", np.power, (np.abs(values["float64"]), power), {}
    yield "int64 ** 3", operator.pow, (values["int64"], 3), {}
    yield "2.0 ** float64", operator.pow, (2.0, values["float64"]), {}
    for wanted in ALL:
        for dtype in ALL:
            x = np.abs(values[dtype]) if dtype != "bool" else values[dtype]
            yield f"{dtype} astype {wanted}", m("astype"), (x, wanted), {}
            yield f"add {dtype} dtype=float64", np.add, (x, x), {"dtype": np.float64}
    for lo, hi in ((-1, 1), (None, 1.5), (0, None), (np.float32(0), 2)):
        for dtype in ("float32", "float64", "int64"):
            yield f"clip {dtype} {lo} {hi}", np.clip, (values[dtype], lo, hi), {}
    yield "method clip", m("clip"), (values["float32"], -1, 1), {}
    yield "round to two digits", np.round, (values["float64"], 2), {}
    for cls in (np.float32, np.float64, np.int64):
        yield f"{cls.__name__}()", cls, (np.float64(2.75),), {}
    yield "float()", float, (np.float32(0.1),), {}
    yield "item", m("item"), (np.array([[3]], np.int32),), {}


def reduction_cases():
    x = numbers((3, 4, 5), "float64")
    folds = {"sum": ALL, "prod": ALL, "mean": ALL, "max": ALL, "min": ALL, "any": ALL, "all": ALL}
    folds |= {"std": ALL, "var": ALL, "argmax": NUMBERS, "argmin": NUMBERS}
    for name, dtypes in folds.items():
        fn = getattr(np, name)
        for dtype in dtypes:
            y = numbers((3, 4, 5), dtype, high=3)
            for axis in (None, 0, -1, 1):
                yield f"{name} {dtype} {axis}", fn, (y,), {"axis": axis}
            yield f"method {name} {dtype}", m(name), (y,), {"axis": 1, "keepdims": True}
        if not name.startswith("arg"):
            yield f"{name} of two axes", fn, (x,), {"axis": (0, 2)}
        rows = np.array([[1, np.nan, 2], [np.inf, 3, -np.inf], [-0.0, 0.0, 1]], "f4")
        yield f"{name} special", fn, (rows,), {"axis": 1}
        yield f"{name} of a long row", fn, (numbers((2, 1000), "float32"),), {"axis": 1}
    for name in ("sum", "prod", "any", "all"):
        yield f"{name} of nothing", getattr(np, name), (np.zeros((0, 3)),), {"axis": 0}
    yield "ddof", np.var, (x,), {"axis": 0, "ddof": 1}
    yield "std in float64", np.std, (x.astype("f4"),), {"dtype": np.float64}
    yield "sum in float32", np.sum, (numbers((4, 4), "int64"),), {"dtype": np.float32}
    yield "average", np.average, (x[0],), {"axis": 0, "weights": np.arange(4.0)}
    yield "count_nonzero", np.count_nonzero, (x[0] > 0,), {"axis": 1}
    yield "ptp", np.ptp, (x,), {"axis": 0}
    for axis in (None, 0, 1):
        for dtype in NUMBERS:
            yield f"cumsum {dtype} {axis}", np.cumsum, (numbers((3, 4), dtype),), {"axis": axis}
    for name, order in (("norm", None), ("norm 1", 1), ("norm 2", 2), ("norm inf", np.inf)):
        yield name, np.linalg.norm, (x[0], order), {"axis": 1, "keepdims": True}
    yield "norm of all", np.linalg.norm, (x,), {}
    yield "norm of ints", np.linalg.norm, (np.arange(6),), {}
    yield "sum_to", sum_to, (x, x[:1, :, :1]), {}
    yield "sum_to fewer axes", sum_to, (x, x[0, 0]), {}
    yield "add.reduce", bound(np.add, "reduce"), (x,), {}
    yield "maximum.reduce", bound(np.maximum, "reduce"), (x,), {"axis": 2}


def product_cases():
    for dtype in (*FLOATS, "int64"):
        a, b = numbers((5, 3), dtype), numbers((3, 4), dtype, 1)
        u, v = numbers(3, dtype, 2), numbers(5, dtype, 3)
        deep, other = numbers((2, 5, 3), dtype, 4), numbers((2, 3, 4), dtype, 5)
        for name, fn in (("matmul", operator.matmul), ("np.matmul", np.matmul), ("dot", np.dot)):
            yield f"{name} {dtype}", fn, (a, b), {}
            yield f"{name} {dtype} vector right", fn, (a, u), {}
            yield f"{name} {dtype} vector left", fn, (v, a), {}
            yield f"{name} {dtype} vectors", fn, (u, u), {}
            yield f"{name} {dtype} column", fn, (a, u[:, None]), {}
            yield f"{name} {dtype} row by column", fn, (u[None], u[:, None]), {}
            yield f"{name} {dtype} deep", fn, (deep, b), {}
        yield f"deep by deep {dtype}", np.matmul, (deep, other), {}
        yield f"dot deep by deep {dtype}", np.dot, (deep, other), {}
        yield f"dot with a number {dtype}", np.dot, (a, 2), {}
        yield f"method dot {dtype}", m("dot"), (a, b), {}
        yield f"outer {dtype}", np.outer, (a, u), {}
        yield f"inner {dtype}", np.inner, (a, numbers((2, 3), dtype)), {}
        yield f"inner of vectors {dtype}", np.inner, (u, u), {}
        yield f"vdot {dtype}", np.vdot, (a, a), {}
        yield f"tensordot {dtype}", np.tensordot, (a, b), {"axes": 1}
        yield f"tensordot of axes {dtype}", np.tensordot, (deep, other), {"axes": ([0, 2], [0, 1])}
        for text, *ops in (
            ("ij,jk->ik", a, b),
            ("ij->ji", a),
            ("ij,ij->i", a, a),
            ("ij,ij", a, a),
            ("i,j->ij", u, v),
            ("bij,bjk->bik", deep, other),
            ("ij,jk,kl->il", a, b, numbers((4, 2), dtype)),
            ("ijk->j", deep),
            ("ij,j->i", a, u),
            ("bij,jk->bik", deep, b),
        ):
            yield f"einsum {text} {dtype}", np.einsum, (text, *ops), {}
    yield "mixed", operator.matmul, (numbers((2, 3), "float32"), numbers((3, 2), "int64")), {}
    yield "empty sum", operator.matmul, (np.zeros((2, 0)), np.zeros((0, 3))), {}


def shape_cases():
    x, v = numbers((3, 4), "float32"), np.arange(5)
    deep = numbers((2, 3, 4), "float64")
    for a in (x, numbers((0, 4), "float32"), numbers((1, 1), "bool")):
        yield f"ravel {a.shape}", np.ravel, (a,), {}
        yield f"flatten {a.shape}", m("flatten"), (a,), {}
        yield f"T {a.shape}", attr_fn("T"), (a,), {}
        yield f"stack {a.shape}", np.stack, ([a, a],), {"axis": 1}
        yield f"vstack {a.shape}", np.vstack, ([a, a],), {}
        yield f"hstack {a.shape}", np.hstack, ((a, a),), {}
        yield f"copy {a.shape}", m("copy"), (a,), {}
        yield f"flip {a.shape}", np.flip, (a,), {"axis": 0}
        yield f"tile {a.shape}", np.tile, (a, (2, 1)), {}
        yield f"repeat {a.shape}", np.repeat, (a, 2), {"axis": 0}
        yield f"pad {a.shape}", np.pad, (a, ((1, 0), (2, 3))), {}
        yield f"roll {a.shape}", np.roll, (a, 1), {"axis": 1}
        yield f"zeros_like {a.shape}", np.zeros_like, (a,), {}
        yield f"ones_like {a.shape}", np.ones_like, (a,), {"dtype": np.float64}
    yield "reshape", np.reshape, (deep, (4, -1)), {}
    yield "method reshape", m("reshape"), (deep, -1, 2), {}
    yield "squeeze", np.squeeze, (deep[:1],), {}
    yield "method squeeze", m("squeeze"), (deep[:, :1], 1), {}
    yield "expand_dims", np.expand_dims, (x, (0, -1)), {}
    yield "transpose", np.transpose, (deep, (2, 0, 1)), {}
    yield "method transpose", m("transpose"), (deep, 1, 0, 2), {}
    yield "swapaxes", np.swapaxes, (deep, 0, -1), {}
    yield "moveaxis", np.moveaxis, (deep, 0, -1), {}
    yield "moveaxis of two", np.moveaxis, (deep, (0, 1), (2, 0)), {}
    yield "fliplr", np.fliplr, (x,), {}
    yield "flip all", np.flip, (deep,), {}
    yield "broadcast_to", np.broadcast_to, (v, (2, 5)), {}
    yield "concatenate of kinds", np.concatenate, ([x, x.astype("i8")],), {"axis": -1}
    yield "concatenate flat", np.concatenate, ([x, v],), {"axis": None}
    yield "concatenate rows", np.concatenate, (deep,), {}
    yield "append", np.append, (v, 3.5), {}
    yield "column_stack", np.column_stack, ((v, v * 2),), {}
    yield "hstack of vectors", np.hstack, ([v, v],), {}
    yield "atleast_2d", np.atleast_2d, (v,), {}
    yield "roll flat", np.roll, (x, -3), {}
    yield "roll two", np.roll, (x, (1, 2)), {"axis": (0, 1)}
    yield "tile vector", np.tile, (v, (2, 3)), {}
    yield "repeat flat", np.repeat, (x, 3), {}
    yield "pad with a number", np.pad, (x, 2), {"constant_values": 7}
    yield "diag of a vector", np.diag, (v,), {}
    yield "diag of a matrix", np.diag, (x,), {}
    yield "trace", np.trace, (x,), {}
    yield "tril", np.tril, (x, -1), {}
    yield "triu", np.triu, (deep,), {"k": 1}
    yield "take", np.take, (x, np.array([2, 0, -1]), 0), {}
    yield "take flat", np.take, (x, np.array([[5, 1]])), {}
    for name, fn, args in (
        ("zeros", np.zeros, ((2, 3),)),
        ("ones", np.ones, (4, np.float32)),
        ("full", np.full, ((2, 2), 7)),
        ("full float", np.full, (3, 1.5)),
        ("eye", np.eye, (4,)),
        ("eye of", np.eye, (2, 3, 1)),
        ("identity", np.identity, (3,)),
        ("arange", np.arange, (5,)),
        ("arange by", np.arange, (7, 1, -2)),
        ("arange of floats", np.arange, (0, 1, 0.1)),
        ("linspace", np.linspace, (0, 1, 11)),
        ("array", np.array, ([[1, 2], [3, 4]],)),
        ("array of floats", np.array, ([1, 2.5],)),
        ("array of a range", np.asarray, (range(4),)),
    ):
        yield name, fn, args, {}
    yield "c_", np.c_.__getitem__, ((v, x.T[:1].ravel().repeat(2)[:5]),), {}
    yield "r_", np.r_.__getitem__, ((v * 1.0, 0.5, v[::-1]),), {}
    yield "diff", np.diff, (x,), {}
    yield "diff down", np.diff, (x,), {"axis": 0}
    yield "take by a list", np.take, (v, [0, 2]), {}
    yield "outer sum", bound(np.add, "outer"), (v, x), {}
    yield "accumulate", bound(np.add, "accumulate"), (x,), {}
    yield "array of scalars", np.array, ([np.float32(1), 2.5, np.float64(3)],), {}
    yield "array of rows", np.array, ([v, [1, 2, 3, 4, 5]],), {}
    yield "full of a scalar", np.full, ((2, 3), np.float32(1.5)), {}


class Indexed:
    def __getitem__(self, key):
        return key


at = Indexed()


def index_cases():
    x = numbers((6, 7), "float32")
    deep = numbers((4, 5, 6), "float64")
    i, j = np.array([0, 5, -1, 2]), np.array([1, -7, 3, 3])
    keys = [
        at[2],
        at[-1],
        at[1, 2],
        at[1:4],
        at[::2],
        at[::-1],
        at[4:0:-2],
        at[:, 3],
        at[..., 0],
        at[:, None],
        at[None, ..., None],
        at[5:2],
        at[1:3, None, 2:],
        at[-3:, -2:],
        at[100:],
        at[:, ::-3],
        at[()],
        at[i],
        at[:, i],
        at[i, j],
        at[i, 1:3],
        at[[0, 2]],
        at[i[:, None], j],
        at[np.arange(6), np.array([0, 1, 2, 3, 4, -1])],
        at[i, 2],
        at[range(3)],
        at[[0, 2], [1, 3]],
    ]
    for n, key in enumerate(keys):
        yield f"read {n}: {key}", operator.getitem, (x, key), {}
    for n, key in enumerate(
        [
            at[:, i[2:]],
            at[0, :, i],
            at[i % 4, :, j % 6],
            at[:, i % 5, j % 6],
            at[i % 4, j % 5, i % 6],
            at[..., i],
        ]
    ):
        yield f"deep read {n}", operator.getitem, (deep, key), {}


FAMILIES = {
    "unary": unary_cases,
    "binary": binary_cases,
    "promotion": promotion_cases,
    "reductions": reduction_cases,
    "products": product_cases,
    "shapes": shape_cases,
    "indices": index_cases,
}
EXACT = ("unary", "shapes", "indices")


def recorded(new_log, family, share=1):
    """Every n-th case as a node of a log; what NumPy refuses, or does in float16, is left out."""
    log, found = new_log(), []
    for name, fn, args, kwargs in list(FAMILIES[family]())[::share]:
        with np.errstate(all="ignore"):
            try:
                node = log.op(fn, *log.inputs(list(args)), **log.inputs(kwargs))
            except (TypeError, ValueError):
                continue
        if getattr(node.meta, "dtype", None) != np.float16:
            found.append((name, node))
    return log, found


@pytest.mark.parametrize("family", FAMILIES)
def test_by_the_evaluator(family, new_log, same):
    _, found = recorded(new_log, family)
    assert found
    for name, node in found:
        translator = Translator(name)
        try:
            translator.translate(node)
        except Unexpressed as e:
            pytest.fail(f"{name}: {e}")
        translator.b.output(translator.output(node))
        graph = translator.b.build()
        values = {v.name: leaf.value for v, leaf in zip(graph.inputs, translator.inputs, strict=True)}
        with np.errstate(all="ignore"):
            (got,) = run(graph, values).outputs
        try:
            same(got, np.asarray(node.value), family in EXACT)
        except AssertionError as e:
            pytest.fail(f"{name}: {e}")


@pytest.mark.parametrize("family", FAMILIES)
def test_by_machine_code(family, new_log, same):
    """A share of the cases: each op's code is tested with the backend."""
    log, found = recorded(new_log, family, 1 if family == "indices" else 5)
    kept = {node for _, node in found}
    program = segments.compile([n for n in log.nodes if n in kept], [node for _, node in found])
    assert len(program.calls) == 1
    assert not any(line.reason for line in program.explain())
    results = program(*(leaf.value for leaf in program.leaves))
    for (name, node), got in zip(found, results, strict=True):
        try:
            same(got, node.value, family in EXACT)
        except AssertionError as e:
            pytest.fail(f"{name}: {e}")
