"""Random graphs whose work is done in loops and branches: nested scan, while and cond with several carries.

    program = generate(7)

Carries may stay, change places, come back as pieces, or be the same value twice; regions have products,
folds, views and control ops of their own. Numbers stay small, so that two backends can be compared.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np

from graphc.ir import OPS, Builder, Expr, Graph, TensorType, symbol, tensor
from graphc.ir.dims import evaluate

T, B = symbol("T"), symbol("B")
SHAPES = ((), (), (3,), (B,), (B, 4), (B, 4), (4, 4), (1, 4))
LENGTHS = (T, T, 1, 2, 3, 0)
RUN_SIZES = ({"T": 0, "B": 2}, {"T": 1, "B": 3}, {"T": 4, "B": 1}, {"T": 5, "B": 3}, {"T": 6, "B": 0})


@dataclass(frozen=True)
class Program:
    """A graph and arrays for its inputs and weights."""

    graph: Graph
    arrays: dict[str, np.ndarray]


def generate(
    seed: int, loops: tuple[str, ...] = ("scan", "scan", "while", "cond"), nodes: int = 5
) -> Program:
    """The program of a seed."""
    rng = random.Random(seed)
    maker = _Block(rng, Builder("loops"), rng.choice(("f32", "f64", "f64")), loops, depth=0)
    maker.parameters()
    maker.fill(nodes)
    maker.control()
    maker.fill(2)
    maker.results()
    graph = maker.b.build()
    sizes = rng.choice(RUN_SIZES)
    arrays = np.random.default_rng(seed)
    return Program(graph, {v.name: _array(arrays, v.type, sizes) for v in graph.parameters})


def _array(rng: np.random.Generator, type: TensorType, sizes: dict[str, int]) -> np.ndarray:
    shape = tuple(evaluate(d, sizes) for d in type.shape)
    if type.dtype.kind == "f":
        return np.asarray(rng.normal(size=shape), type.dtype.numpy)
    return np.asarray(rng.integers(0, 5, shape), type.dtype.numpy)


class _Block:
    """Makes one graph or region; `values` are those that later nodes may read."""

    def __init__(
        self, rng: random.Random, b: Builder, dtype: str, loops: tuple[str, ...], depth: int
    ) -> None:
        self.rng, self.b, self.dtype, self.loops, self.depth = rng, b, dtype, loops, depth
        self.values: list[Expr] = []
        self.made: list[Expr] = []

    def parameters(self) -> None:
        shapes = [(B, 4), (4, 4), (T, B, 4), *self.rng.sample(SHAPES, 3), (T, *self.rng.choice(SHAPES))]
        self.values = [self.b.input(f"x{i}", tensor(self.dtype, *s)) for i, s in enumerate(shapes)]
        self.values.append(self.b.input("n", tensor("i64")))
        self.values += [
            self.b.weight(f"w{i}", tensor(self.dtype, *s)) for i, s in enumerate([(B, 4), (4, 4)])
        ]

    def results(self) -> None:
        for w in self.b.weights:
            fitting = [v for v in self.values if v.type == w.value.type]
            if self.rng.random() < 0.6:
                self.b.update(w.value, self.rng.choice(fitting[-4:]))
        last = list(dict.fromkeys([*self.made, *self.values[-3:]]))
        self.b.output(*self.rng.sample(last, min(len(last), 4)))

    # -- plain nodes ------------------------------------------------------------------------------
    def fill(self, count: int) -> None:
        """Random nodes, some of them control ops."""
        for _ in range(self.rng.randint(1, count)):
            if self.depth < 3 and self.rng.random() < 0.25:
                self.control()
            else:
                makers = (self.unary, self.binary, self.fold, self.product, self.view, self.changed)
                self.values.append(self.rng.choice(makers)())

    def pick(self, like: Expr | None = None) -> Expr:
        found = [v for v in self.values if v.dtype.kind == "f" and (like is None or v.type == like.type)]
        if not found:
            return self.b.constant(0.5, self.dtype)
        return self.rng.choice(found[-10:])

    def unary(self) -> Expr:
        return getattr(self.b, self.rng.choice(("tanh", "sin", "sigmoid", "negative")))(self.pick())

    def binary(self) -> Expr:
        x = self.pick()
        y = self.pick(x) if self.rng.random() < 0.7 else self.b.constant(0.5, self.dtype)
        return self.b.tanh(getattr(self.b, self.rng.choice(("add", "subtract", "multiply", "maximum")))(x, y))

    def fold(self) -> Expr:
        x = self.pick()
        if not x.rank:
            return self.b.sin(x)
        axis = self.rng.randrange(x.rank)
        total = self.b.sum(x, axes=(axis,), keepdims=True)
        return self.b.tanh(x - total) if self.rng.random() < 0.6 else self.b.tanh(self.b.sum(x, axes=(axis,)))

    def product(self) -> Expr:
        left = [v for v in self.values if v.rank == 2 and v.shape[1] == 4 and v.dtype.kind == "f"]
        right = [v for v in left if v.shape == (4, 4)]
        if not right:
            return self.unary()
        y = self.b.matmul(self.rng.choice(left), self.rng.choice(right)) * 0.3
        return y if self.rng.random() < 0.5 else self.b.tanh(y)

    def view(self) -> Expr:
        x = self.pick()
        if x.rank != 2:
            return self.b.reshape(x, shape=(1, *x.shape)) if x.rank == 1 else self.unary()
        if self.rng.random() < 0.5:
            flat = self.b.reshape(x, shape=(x.shape[0] * x.shape[1],))
            return self.b.reshape(flat if self.rng.random() < 0.5 else self.b.sin(flat), shape=x.shape)
        return self.b.reverse(x, axes=(self.rng.randrange(2),))

    def changed(self) -> Expr:
        """An array with some other elements."""
        x = self.pick()
        if not x.rank or not isinstance(x.shape[0], int) or x.shape[0] == 0:
            return self.unary()
        if self.rng.random() < 0.5:
            rows = self.b.constant(np.array([self.rng.randrange(x.shape[0]) for _ in range(2)]), "i64")
            return self.b.scatter_add(x, rows, self.b.tanh(self.b.gather(x, rows, axis=0)), axis=0)
        first = self.b.slice(x, start=(0,) * x.rank, stop=(1, *x.shape[1:]), step=(1,) * x.rank)
        start = (self.rng.randrange(x.shape[0]), *(0,) * (x.rank - 1))
        return self.b.update_slice(x, self.b.sin(first), start=start, step=(1,) * x.rank)

    # -- control ops ------------------------------------------------------------------------------
    def control(self) -> None:
        results = getattr(self, self.rng.choice(self.loops).replace("while", "repeat"))()
        self.values += results
        self.made += results

    def inner(self, types: list[TensorType], count: int = 4) -> _Block:
        """A region with these parameters and some nodes."""
        region = _Block(self.rng, Builder("body"), self.dtype, self.loops, self.depth + 1)
        region.values = [region.b.input(f"p{i}", t) for i, t in enumerate(types)]
        region.fill(count)
        return region

    def some(self, least: int, most: int) -> list[Expr]:
        return [self.pick() for _ in range(self.rng.randint(least, most))]

    def carried(self, region: _Block, count: int) -> list[Expr]:
        """What a region carries on: new values, old ones, or another carry's."""
        found = []
        for old in region.values[:count]:
            fitting = [v for v in region.values if v.type == old.type]
            new = [v for v in fitting if v not in region.values[:count]]
            found.append(self.rng.choice(new[-4:] if new and self.rng.random() < 0.8 else fitting))
        return found

    def scan(self) -> list[Expr]:
        carries, constants = self.some(1, 3), self.some(0, 3)
        length = self.rng.choice(LENGTHS)
        given = [v for v in self.values if v.rank and v.shape[0] == length]
        xs = self.rng.sample(given, min(len(given), self.rng.randint(0, 3)))
        types = [v.type for v in carries] + [x.type.with_shape(x.shape[1:]) for x in xs]
        region = self.inner(types + [v.type for v in constants])
        new = self.carried(region, len(carries))
        pieces = [self.rng.choice(region.values) for _ in range(self.rng.randint(0, 3))]
        region.b.output(*new, *pieces)
        attrs = {"carries": len(carries), "scanned": len(xs), "length": length}
        attrs["reverse"] = self.rng.random() < 0.5
        return self.node("scan", [*carries, *xs, *constants], attrs, region.b.build())

    def repeat(self) -> list[Expr]:
        """A `while` that counts to a small number."""
        carries, constants = self.some(1, 3), self.some(0, 2)
        count = self.b.constant(self.rng.randrange(4), "i64")
        types = [tensor("i64"), *(v.type for v in (*carries, *constants))]
        condition = _Block(self.rng, Builder("condition"), self.dtype, (), 9)
        i, *_ = (condition.b.input(f"p{k}", t) for k, t in enumerate(types))
        condition.b.output(i < self.rng.randint(1, 5))
        region = self.inner(types)
        new = self.carried(region, len(carries) + 1)[1:]
        region.b.output(region.values[0] + 1, *new)
        attrs = {"carries": len(carries) + 1}
        operands = [count, *carries, *constants]
        return self.node("while", operands, attrs, condition.b.build(), region.b.build())[1:]

    def cond(self) -> list[Expr]:
        operands = self.some(1, 4)
        x = self.pick()
        predicate = self.b.sum(x, axes=tuple(range(x.rank))) > self.rng.choice((-9.0, 0.0, 9.0))
        wanted = [self.rng.choice(operands).type for _ in range(self.rng.randint(1, 3))]
        regions = []
        for _ in range(2):
            region = self.inner([v.type for v in operands])
            fitting = [[v for v in region.values if v.type == t] for t in wanted]
            region.b.output(*(self.rng.choice(f[-4:]) for f in fitting))
            regions.append(region.b.build())
        return self.node("cond", [predicate, *operands], {}, *regions)

    def node(self, name: str, operands: list[Expr], attrs: dict, *regions: Graph) -> list[Expr]:
        node = self.b.node(OPS[name], operands, attrs, regions)
        return [Expr(self.b, r) for r in node.results]


def with_gradient(program: Program) -> Program:
    """The program with the gradients of its floating-point outputs' sum in the place of its outputs."""
    b = Builder(program.graph.name)
    b.inputs, b.weights = list(program.graph.inputs), list(program.graph.weights)
    b.requirements = dict.fromkeys(program.graph.requirements)
    for value in program.graph.values():
        b.fresh(value.name)
    b.nodes = list(program.graph.nodes)
    heads = [Expr(b, v) for v in program.graph.outputs if v.type.dtype.is_floating]
    targets = [Expr(b, v) for v in program.graph.parameters if v.type.dtype.is_floating]
    total = b.constant(0.0, targets[0].dtype)
    for head in heads:
        total = total + b.sum(b.sin(head), axes=tuple(range(head.rank)))
    found = b.op("gradient", total, b.constant(1.0, total.dtype), *targets, outputs=1)
    b.output(total, *(found if isinstance(found, tuple) else (found,)))
    return replace(program, graph=b.build())
