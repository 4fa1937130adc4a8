"""Random graphs from the op definitions: mixed shapes, symbolic sizes, element types, updates, gradients.

    program = generate(7)
    print(program.graph)
    run(program.graph, program.arrays)

Elementwise ops are taken from the table of ops with the attributes of their samples, all others by a recipe
here. The same seed gives the same program.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphc.ir import OPS, Builder, Expr, Graph, Kind, Size, symbol, tensor
from graphc.ir.dims import Dim, Shape, evaluate
from graphc.ir.errors import GraphcError
from graphc.ir.evaluate import run
from graphc.ir.opdef import OpDef
from graphc.ir.samples import cases

B, N = symbol("B"), symbol("N")
SIZES: tuple[Dim, ...] = (B, N, 1, 3, 4, 7, 17)
RUN_SIZES = ({"B": 0, "N": 5}, {"B": 1, "N": 7}, {"B": 8, "N": 1}, {"B": 5, "N": 16}, {"B": 33, "N": 3})
FALLBACK = ({"B": 5, "N": 4}, {"B": 4, "N": 4}, {"B": 1, "N": 1}, {"B": 3, "N": 3})
SPECIAL = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -1.0, 0.5, 88.0, -88.0, 1e-30, 1e30)
COMPARISONS = frozenset({"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"})
DISCONTINUOUS = COMPARISONS | {
    *("floor", "ceil", "round", "trunc", "sign", "floor_divide", "remainder", "cast", "isinf"),
    *("threshold", "hard_shrink", "sparse_sigmoid", "argmax", "argmin"),
}
"""Ops that turn a difference in the last place into another number."""

ILL_CONDITIONED = frozenset({"sin", "cos", "tan", "sinh", "cosh", "power", "square", "prod"}) | {
    *("exp", "exp2", "expm1", "divide", "reciprocal", "rsqrt"),
}
"""Ops that make a difference in the last place of a large number, or near a pole, a large one."""


@dataclass(frozen=True)
class Program:
    """A graph and arrays for its inputs and weights."""

    graph: Graph
    arrays: dict[str, np.ndarray]
    sizes: dict[str, int]


@dataclass(frozen=True)
class Style:
    """What graphs are like. `smooth`: rounding does not grow, so that two backends can be compared."""

    floats: tuple[str, ...] = ("f32", "f32", "f32", "f64")
    others: tuple[str, ...] = ("i32", "i64", "u8", "bool")
    smooth: bool = False
    special: bool = True
    control: bool = False


EXACT = Style(control=True)
SMOOTH = Style(smooth=True, special=False)
WILD = Style(others=("bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"), smooth=True)


def generate(seed: int, style: Style = EXACT, nodes: int = 10) -> Program:
    """The program of a seed."""
    maker = _Maker(random.Random(seed), style)
    graph = maker.graph(nodes)
    rng = np.random.default_rng(seed)
    for sizes in (maker.rng.choice(RUN_SIZES), *FALLBACK):
        arrays = {v.name: _array(rng, v.type, sizes, style) for v in graph.parameters}
        try:
            run(graph, arrays)
        except (GraphcError, ValueError):
            continue  # sizes that a requirement forbids, or an empty axis that has no largest element
        return Program(graph, arrays, dict(sizes))
    return generate(seed + 1_000_003, style, nodes)


def _array(rng: np.random.Generator, type: Any, sizes: dict[str, int], style: Style) -> np.ndarray:
    shape = tuple(evaluate(d, sizes) for d in type.shape)
    kind = type.dtype.numpy
    if kind.kind == "b":
        return rng.random(shape) < 0.5
    if kind.kind != "f":
        return rng.integers(0 if kind.kind == "u" else -9, 9, shape).astype(kind)
    x = rng.normal(size=shape)
    if style.special:
        x = np.where(rng.random(shape) < 0.1, rng.choice(SPECIAL, shape), x)
    return np.asarray(x, kind)


class _Maker:
    """Makes one graph; `values` are those that later nodes may read."""

    def __init__(self, rng: random.Random, style: Style) -> None:
        self.rng, self.style = rng, style
        self.b = Builder("fuzz")
        self.values: list[Expr] = []
        self.calls = 0
        self.elementwise = [
            op
            for op in OPS.values()
            if op.kind is Kind.ELEMENTWISE
            and op.samples
            and self._allowed(op.name)
            and op.name not in RECIPES
        ]

    def graph(self, nodes: int) -> Graph:
        self._parameters()
        recipes = [r for name, r in RECIPES.items() if self._allowed(name)]
        recipes += [_scanned, _branched] if self.style.control else []
        for _ in range(self.rng.randint(1, nodes)):
            recipe = _elementwise if self.rng.random() < 0.5 else self.rng.choice(recipes)
            try:
                made = recipe(self)
            except GraphcError:
                continue  # operands that do not fit this op
            self.values += made if isinstance(made, (tuple, list)) else [made] if made is not None else []
        self._gradient()
        self._results()
        return self.b.build()

    def _allowed(self, name: str) -> bool:
        return not (self.style.smooth and name in DISCONTINUOUS | ILL_CONDITIONED)

    def _parameters(self) -> None:
        self.values.append(self.b.input("x0", tensor(self.rng.choice(self.style.floats), B, N)))
        for i in range(1, self.rng.randint(2, 4)):
            dtype = self.rng.choice(self.style.floats + self.style.others)
            self.values.append(self.b.input(f"x{i}", tensor(dtype, *self.shape())))
        for i in range(self.rng.randint(0, 2)):
            self.values.append(
                self.b.weight(f"w{i}", tensor(self.rng.choice(self.style.floats), *self.shape()))
            )

    def _gradient(self) -> None:
        """Sometimes the gradient of a sum."""
        heads = [v for v in self.values[-4:] if v.dtype.is_floating]
        targets = [v for v in self.values[:5] if v.dtype.is_floating]
        if self.rng.random() < 0.6 or not heads:
            return
        from graphc.ir.differentiate import expand_gradients

        head = self.rng.choice(heads)
        loss = self.b.sum(head, axes=tuple(range(head.rank)))
        found = self.b.op("gradient", loss, 1.0, *targets, outputs=1)
        try:
            expand_gradients(self.b.build())
        except GraphcError:
            self.b.nodes.pop()  # something on the way has no derivative
        else:
            self.values += found if isinstance(found, tuple) else [found]

    def _results(self) -> None:
        for w in self.b.weights:
            fitting = [v for v in self.values if v.type == w.value.type]
            if self.rng.random() < 0.7:
                self.b.update(w.value, self.rng.choice(fitting))
        last = self.values[-6:]
        self.b.output(*self.rng.sample(last, self.rng.randint(1, min(3, len(last)))))

    # -- choices ----------------------------------------------------------------------------------
    def shape(self, most: int = 3) -> Shape:
        """A random shape; one size of 0 now and then."""
        sizes = [self.rng.choice(SIZES) for _ in range(self.rng.randint(0, most))]
        if sizes and self.rng.random() < 0.04:
            sizes[self.rng.randrange(len(sizes))] = 0
        return tuple(sizes)

    def pick(self, kinds: str = "fiub", least: int = 0, dtypes: tuple[str, ...] = ()) -> Expr:
        """A value of one of these kinds with at least this many axes; a constant if there is none."""
        found = [
            v
            for v in self.values
            if v.dtype.kind in kinds and v.rank >= least and (not dtypes or v.dtype.name in dtypes)
        ]
        if found:
            return self.rng.choice(found[-8:])
        dtype = self.rng.choice(dtypes or [d for d in ("f32", "i64", "u8", "bool") if d[0] in kinds])
        return self.b.broadcast(self.b.constant(1, dtype), shape=(B, N, 3)[: max(2, least)])

    def partner(self, x: Expr) -> Expr:
        """A value of the same element type that may broadcast with x, or a number."""
        found = [v for v in self.values if v.dtype == x.dtype and _broadcast(v.shape, x.shape)]
        if not found or self.rng.random() < 0.2:
            number = self.rng.choice((0, 1, 2, 3))
            return self.b.constant(number if x.dtype.kind != "b" else number > 1, x.dtype)
        return self.rng.choice(found)

    def axes(self, x: Expr) -> tuple[int, ...]:
        return tuple(sorted(self.rng.sample(range(x.rank), self.rng.randint(0, x.rank))))

    def axis(self, x: Expr) -> int:
        return self.rng.randrange(x.rank)

    def call(self) -> int:
        """The number of the next random call."""
        self.calls += 1
        return self.calls


def _broadcast(left: Shape, right: Shape) -> bool:
    return all(a == b or 1 in (a, b) for a, b in zip(left[::-1], right[::-1]))


def _elementwise(m: _Maker) -> Expr:
    op: OpDef = m.rng.choice(m.elementwise)
    case = m.rng.choice(_CASES.setdefault(op.name, list(cases(op))))
    first = m.pick(dtypes=tuple({c.dtype for c in _CASES[op.name]}))
    return m.b.op(op, first, *(m.partner(first) for _ in case.operands[1:]), **case.attrs)


_CASES: dict[str, list[Any]] = {}


def _fold(name: str, kinds: str) -> Callable[[_Maker], Any]:
    def make(m: _Maker) -> Expr:
        x = m.pick(kinds)
        return m.b.op(name, x, axes=m.axes(x), keepdims=m.rng.random() < 0.5)

    return make


def _position(name: str) -> Callable[[_Maker], Any]:
    def make(m: _Maker) -> Expr:
        x = m.pick("fiu", 1)
        return m.b.op(name, x, axis=m.axis(x), keepdims=m.rng.random() < 0.5)

    return make


def _broadcasted(m: _Maker) -> Expr:
    x = m.pick()
    wider = tuple(m.rng.choice(SIZES) if d == 1 else d for d in x.shape)
    return m.b.broadcast(x, shape=m.shape(1) + wider)


def _reshaped(m: _Maker) -> Expr:
    x = m.pick(least=1)
    i = m.axis(x)
    head, d, tail = x.shape[:i], x.shape[i], x.shape[i + 1 :]
    options: list[Shape] = [(*head, 1, d, *tail), (*head, d, 1, *tail), tuple(d for d in x.shape if d != 1)]
    if tail:
        options.append((*head, d * tail[0], *tail[1:]))
    if d == 4:
        options.append((*head, 2, 2, *tail))
    return m.b.reshape(x, shape=m.rng.choice(options))


def _transposed(m: _Maker) -> Expr:
    x = m.pick(least=2)
    return m.b.transpose(x, axes=tuple(m.rng.sample(range(x.rank), x.rank)))


def _sliced(m: _Maker) -> Expr:
    x = m.pick(least=1)
    entries = [m.rng.choice(_cuts(d)) for d in x.shape]
    start, stop, step = zip(*entries)
    return m.b.slice(x, start=start, stop=stop, step=step)


def _cuts(d: Dim) -> list[tuple[Dim, Dim, int]]:
    """Slices of an axis: all of it, every second element, backwards, a part."""
    whole: list[tuple[Dim, Dim, int]] = [(0, d, 1), (0, d, 2), (d - 1, -1, -1)]
    return whole + ([(1, d - 1, 1), (d - 1, 0, -2), (1, 1, 1)] if isinstance(d, int) and d > 2 else [])


def _padded(m: _Maker) -> Expr:
    x = m.pick(least=1)
    low, high = (tuple(m.rng.choice((0, 0, 1, 3)) for _ in x.shape) for _ in range(2))
    value = m.rng.choice((0.0, 1.0)) if x.dtype.is_floating else m.rng.choice((0, 1))
    return m.b.pad(x, low=low, high=high, value=bool(value) if x.dtype.kind == "b" else value)


def _concatenated(m: _Maker) -> Expr:
    x = m.pick(least=1)
    return m.b.concatenate(*[x] * m.rng.randint(1, 3), axis=m.axis(x))


def _selected(m: _Maker) -> Expr:
    x = m.pick()
    fitting = [v for v in m.values if v.dtype.kind == "b" and _broadcast(v.shape, x.shape)]
    condition = m.rng.choice(fitting) if fitting else m.b.constant(m.rng.random() < 0.5)
    return m.b.select(condition, x, m.partner(x))


def _casted(m: _Maker) -> Expr:
    return m.b.cast(m.pick("iub"), dtype=m.rng.choice(("f32", "f64", "i8", "i32", "i64", "u8", "bool")))


def _product(m: _Maker) -> Expr:
    x = m.pick("f", 2)
    turned = m.rng.random() < 0.5
    size = x.shape[-2] if turned else x.shape[-1]
    other = [
        v for v in m.values if v.dtype == x.dtype and v.rank >= 2 and size in v.shape[-2:] and v.rank <= 3
    ]
    if not other:
        return m.b.matmul(x, x, transpose_a=turned, transpose_b=not turned)
    y = m.rng.choice(other)
    return m.b.matmul(x, y, transpose_a=turned, transpose_b=y.shape[-2] != size)


def _windowed(name: str) -> Callable[[_Maker], Any]:
    """A convolution or a pool along the middle of three axes; padding makes windows fit axes of any size."""

    def recipe(m: _Maker) -> Expr | None:
        x = m.pick("f", 1)
        if x.rank > 3:
            return None
        x = m.b.reshape(x, shape=(*(1,) * (3 - x.rank), *x.shape))
        size, channels = m.rng.choice((1, 2, 3)), x.shape[-1]
        step = {"size": (size,), "strides": (m.rng.choice((1, 2)),), "padding": ((size - 1, size - 1),)}
        if name != "conv":
            return m.b.op(name, x, **step)
        kernel = m.b.iota(shape=(size, channels, m.rng.choice((1, 3, 17))), axis=0, dtype=x.dtype)
        return m.b.conv(x, kernel * 0.25 - 0.5, **step, dilation=(1,))

    return recipe


def _running(m: _Maker) -> Expr:
    x = m.pick("fi", 1)
    flags = {"reverse": m.rng.random() < 0.5, "exclusive": m.rng.random() < 0.5}
    return m.b.cumsum(x, axis=m.axis(x), **flags)


def _counted(m: _Maker) -> Expr:
    shape = m.shape() or (B,)
    return m.b.iota(shape=shape, axis=m.rng.randrange(len(shape)), dtype=m.rng.choice(("i32", "i64", "f32")))


def _positions(m: _Maker, size: Dim) -> Expr:
    """Indices that lie in an axis of this size."""
    shape = m.shape(2)
    total = m.b.constant(size if isinstance(size, Size) else int(size), "i64")
    count = m.b.iota(shape=shape, axis=0, dtype="i64") if shape else m.b.constant(0, "i64")
    return m.b.remainder(count * 5 + 2, total)


def _gathered(m: _Maker) -> Expr:
    x = m.pick(least=1)
    axis = m.axis(x)
    return m.b.gather(x, _positions(m, x.shape[axis]), axis=axis)


def _scattered(m: _Maker) -> Expr:
    x = m.pick("fi", 1)
    axis = m.axis(x)
    indices = _positions(m, x.shape[axis])
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    return m.b.scatter_add(x, indices, m.b.broadcast(m.b.constant(2, x.dtype), shape=shape), axis=axis)


def _hot(m: _Maker) -> Expr:
    return m.b.one_hot(_positions(m, 5), depth=5, dtype=m.rng.choice(("f32", "i32", "bool")))


def _softmax(name: str) -> Callable[[_Maker], Any]:
    def make(m: _Maker) -> Expr:
        x = m.pick("f", 1)
        return m.b.op(name, x, axis=m.axis(x))

    return make


def _normalized(name: str) -> Callable[[_Maker], Any]:
    def make(m: _Maker) -> Any:
        x = m.pick("f", 2)
        axis = x.rank - 1
        gamma, beta = (m.b.broadcast(m.b.constant(v, x.dtype), shape=(x.shape[axis],)) for v in (1.5, 0.25))
        more = (beta, gamma) if name == "batch_norm" else ()
        return m.b.op(name, x, gamma, beta, *more, axis=axis, epsilon=1e-3)

    return make


def _labelled(m: _Maker) -> Expr:
    x = m.pick("f", 2)
    count = m.b.iota(shape=x.shape[:-1], axis=0, dtype="i64")
    size = m.b.constant(x.shape[-1], "i64")
    return m.b.sparse_softmax_cross_entropy(x, m.b.remainder(count, size))


def _random(name: str) -> Callable[[_Maker], Any]:
    def make(m: _Maker) -> Expr:
        seed, step = m.b.constant(11, "i64"), m.b.constant(3, "i64")
        if name == "dropout":
            return m.b.dropout(m.pick("f"), seed, step, rate=0.4, call=m.call())
        return m.b.op(name, seed, step, shape=m.shape(), call=m.call())

    return make


def _checked(m: _Maker) -> Expr:
    x = m.pick()
    return m.b.check(
        x, m.b.equal(x, x) if x.dtype.kind != "f" else m.b.constant(True), message="no", error="value"
    )


def _region(m: _Maker, types: list[Any], carries: int) -> Graph:
    """A region of a few random nodes; its first outputs have the types of its first parameters."""
    inner = _Maker(m.rng, m.style)
    inner.values = [inner.b.input(f"p{i}", t) for i, t in enumerate(types)]
    carried = inner.values[:carries]
    for _ in range(m.rng.randint(1, 4)):
        with contextlib.suppress(GraphcError):
            inner.values.append(_elementwise(inner))
    for i, old in enumerate(carried):
        carried[i] = m.rng.choice([v for v in inner.values if v.type == old.type])
    inner.b.output(*carried, inner.values[-1])
    return inner.b.build()


def _scanned(m: _Maker) -> list[Expr]:
    carry, xs = m.pick("f"), m.pick("fi", 1)
    types = [carry.type, xs.type.with_shape(xs.shape[1:])]
    attrs = {"carries": 1, "scanned": 1, "length": xs.shape[0], "reverse": m.rng.random() < 0.5}
    node = m.b.node(OPS["scan"], [carry, xs], attrs, (_region(m, types, 1),))
    return [Expr(m.b, r) for r in node.results]


def _branched(m: _Maker) -> list[Expr]:
    x, condition = m.pick("f"), m.b.constant(m.rng.random() < 0.5)
    regions = []
    for _ in range(2):
        region = _region(m, [x.type], 1)
        regions.append(replace(region, outputs=region.outputs[:1]))
    node = m.b.node(OPS["cond"], [condition, x], {}, tuple(regions))
    return [Expr(m.b, r) for r in node.results]


RECIPES: dict[str, Callable[[_Maker], Any]] = {
    **{name: _fold(name, "fiu") for name in ("sum", "max", "min", "prod")},
    **{name: _fold(name, "b") for name in ("any", "all")},
    "mean": _fold("mean", "f"),
    **{name: _position(name) for name in ("argmax", "argmin")},
    "broadcast": _broadcasted,
    "reshape": _reshaped,
    "transpose": _transposed,
    "slice": _sliced,
    "pad": _padded,
    "reverse": lambda m: (lambda x: m.b.reverse(x, axes=m.axes(x)))(m.pick()),
    "concatenate": _concatenated,
    "select": _selected,
    "cast": _casted,
    "matmul": _product,
    **{name: _windowed(name) for name in ("conv", "max_pool", "average_pool")},
    "cumsum": _running,
    "iota": _counted,
    "gather": _gathered,
    "scatter_add": _scattered,
    "one_hot": _hot,
    "softmax": _softmax("softmax"),
    "log_softmax": _softmax("log_softmax"),
    "layer_norm": _normalized("layer_norm"),
    "batch_norm": _normalized("batch_norm"),
    "batch_norm_train": _normalized("batch_norm_train"),
    "sparse_softmax_cross_entropy": _labelled,
    "random_uniform": _random("random_uniform"),
    "random_normal": _random("random_normal"),
    "dropout": _random("dropout"),
    "check": _checked,
}
