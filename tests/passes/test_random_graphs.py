"""Random graphs: fusion, its inverse, parts run turn by turn, and memory plans, all against the evaluator.

The generator here favours what loop nests can share: few shapes, folds along any axis, views and products.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphc.ir import Builder, Expr, Graph, Kind, dims, symbol, tensor
from graphc.ir.evaluate import bind_sizes, evaluate_node, run
from graphc.ir.graph import Node, Value
from graphc.passes.clusters import Part, partition
from graphc.passes.fuse import fuse
from graphc.passes.inline import inline
from graphc.passes.memory import plan
from graphc.passes.plan_check import check_plan
from graphc.passes.schedule import schedule

SIZES = {"B": 3, "N": 4}
SEEDS = range(60)
B, N = symbol("B"), symbol("N")
SHAPES = [(), (B,), (N,), (B, N), (N, N), (B, 1), (1, N), (2, B, N), (N, 3)]


class Generator:
    """Builds one graph from a seed: every op that loop nests know, with values shared at will."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.b = Builder(f"random{seed}")
        inputs = [self.b.input(f"x{i}", tensor("f32", *self.pick(SHAPES))) for i in range(3)]
        self.weights = [self.b.weight(f"w{i}", tensor("f32", *self.pick(SHAPES))) for i in range(3)]
        self.indices = self.b.input("indices", tensor("i64", B))
        self.values: list[Expr] = [*inputs, *self.weights]

    def pick(self, choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]

    def value(self, rank: int = 0) -> Expr:
        recent = [v for v in self.values if v.rank >= rank]
        return recent[-1 - int(min(self.rng.geometric(0.25), len(recent)) - 1)] if recent else self.matrix()

    def matrix(self) -> Expr:
        return self.b.broadcast(self.b.constant(0.5, "f32"), shape=(B, N))

    def build(self, nodes: int = 18) -> Graph:
        makers = [
            self.unary,
            self.unary,
            self.binary,
            self.binary,
            self.fold,
            self.fold,
            self.view,
            self.view,
        ]
        makers += [self.product, self.gather, self.scatter, self.running, self.joined, self.mask]
        for _ in range(nodes):
            made = self.pick(makers)()
            if made is not None:
                self.values.append(made)
        for w in self.weights:
            same = [v for v in self.values if v.shape == w.shape and v is not w]
            if same:
                self.b.update(w, self.pick(same))
        self.b.output(*self.values[-1:], *(self.pick(self.values) for _ in range(3)))
        return self.b.build()

    def unary(self) -> Expr:
        return self.b.op(
            self.pick(["tanh", "negative", "relu", "exp", "square", "sigmoid"]), self.value() * 0.5
        )

    def binary(self) -> Expr | None:
        x = self.value()
        for y in sorted(self.values, key=lambda _: self.rng.random()):
            if all(a == 1 or c == 1 or a == c for a, c in zip(reversed(x.shape), reversed(y.shape))):
                return self.b.op(self.pick(["add", "subtract", "multiply", "maximum"]), x, y)
        return None

    def mask(self) -> Expr:
        x = self.value()
        return self.b.select(self.b.greater(x, 0.0), x, self.b.constant(-1.0, "f32"))

    def fold(self) -> Expr:
        x = self.value(1)
        axis = int(self.rng.integers(x.rank))
        axes = (axis,) if self.rng.random() < 0.8 else tuple(range(x.rank))
        return self.b.op(self.pick(["sum", "max"]), x, axes=axes, keepdims=bool(self.rng.random() < 0.5))

    def view(self) -> Expr:
        x = self.value(1)
        axis = int(self.rng.integers(x.rank))
        ends = tuple(range(x.rank))
        start, step = (0,) * x.rank, (1,) * x.rank
        return self.pick(
            [
                lambda: self.b.transpose(x, axes=ends[::-1]),
                lambda: self.b.reverse(x, axes=(axis,)),
                lambda: self.b.reshape(x, shape=(*x.shape[:axis], 1, *x.shape[axis:])[: x.rank + 1]),
                lambda: self.b.reshape(x, shape=(dims.product(x.shape),)),
                lambda: self.b.broadcast(x, shape=(2, *x.shape)) if x.rank < 3 else x * 1.5,
                lambda: self.b.pad(x, low=start, high=(1,) * x.rank, value=0.5),
                lambda: self.b.slice(
                    x, start=start, stop=tuple(d if i else 1 for i, d in enumerate(x.shape)), step=step
                ),
            ]
        )()

    def product(self) -> Expr | None:
        x = self.value(2)
        transposed = [v for v in self.values if v.rank == 2 and v.shape[0] == x.shape[-1]]
        return self.b.matmul(x, self.pick(transposed)) * 0.1 if transposed else None

    def gather(self) -> Expr | None:
        able = [v for v in self.values if v.rank and v.shape[0] == N]
        return self.b.gather(self.pick(able), self.indices, axis=0) if able else None

    def scatter(self) -> Expr | None:
        able = [v for v in self.values if v.rank and v.shape[0] == B]
        if not able:
            return None
        x = self.pick(able)
        zeros = self.b.broadcast(self.b.constant(0.0, "f32"), shape=(N, *x.shape[1:]))
        return self.b.scatter_add(zeros, self.indices, x, axis=0)

    def running(self) -> Expr:
        x = self.value(1)
        return self.b.cumsum(x, axis=int(self.rng.integers(x.rank)), reverse=False, exclusive=False) * 0.2

    def joined(self) -> Expr:
        x = self.value(1)
        return self.b.concatenate(x, self.b.exp(x * 0.1), axis=int(self.rng.integers(x.rank)))


@pytest.fixture(scope="module", params=SEEDS)
def random_graph(request: pytest.FixtureRequest) -> Graph:
    return Generator(request.param).build()


@pytest.fixture
def given(random_graph: Graph, arrays_for: Callable[..., dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    arrays = arrays_for(random_graph, SIZES)
    return arrays | {"indices": arrays["indices"] % SIZES["N"]}


def test_fusion_and_its_inverse(random_graph, given, same_bits):
    expected = run(random_graph, given)
    fused = schedule(fuse(random_graph))
    fused.verify()
    same_bits(expected, run(fused, given))
    restored = inline(fused)
    restored.verify()
    same_bits(expected, run(restored, given))
    assert {n.op.name for n in fused.nodes} <= {"kernel", "reshape"}


def test_memory(random_graph, given, same_bits, machine):
    fused = schedule(fuse(random_graph))
    memory = plan(fused)
    check_plan(fused, memory, SIZES)
    same_bits(run(random_graph, given), machine(fused, memory, given).run())


def test_turn_by_turn(random_graph, given):
    """Every part can be computed by loops: each turn sees memory, its own element, and the folds of its own
    row.
    """
    fused = fuse(random_graph)
    shapes = [given[v.name].shape for v in fused.parameters]
    sizes = bind_sizes([v.type for v in fused.parameters], shapes, [v.name for v in fused.parameters])
    known = {v: given[v.name] for v in fused.parameters}
    for node in fused.nodes:
        operands = [known[v] for v in node.operands]
        known.update(zip(node.results, evaluate_node(node, operands, sizes)))
        if node.op.kind is Kind.KERNEL:
            region = node.regions[0]
            memory = dict(zip(region.inputs, operands))
            for n in region.nodes:
                memory.update(zip(n.results, evaluate_node(n, [memory[v] for v in n.operands], sizes)))
            for part in partition(region):
                if part.kind not in ("scatter", "scan"):
                    check_turns(part, {v: memory[v] for v in part.inputs}, memory, sizes)


def check_turns(
    part: Part, memory: dict[Value, np.ndarray], expected: dict[Value, np.ndarray], sizes: dict
) -> None:
    extents = [dims.evaluate(d, sizes) for d in part.shape]
    for turn in itertools.product(*map(range, extents)):
        turns = Turn(part, memory, sizes, turn)
        for v in part.outputs:
            place = turns.place(v)
            np.testing.assert_allclose(turns.element(v, place), expected[v][place], rtol=1e-3, atol=1e-4)


class Turn:
    """One turn of a part's loops, computed element by element."""

    def __init__(
        self, part: Part, memory: dict[Value, np.ndarray], sizes: dict, turn: tuple[int, ...]
    ) -> None:
        self.part, self.memory, self.sizes, self.turn = part, memory, sizes, turn
        self.producers = {r: n for n in part.nodes for r in n.results}
        self.found: dict = {}

    def place(self, v: Value) -> tuple[int, ...]:
        """The element of an output that this turn stores."""
        if v.type.shape == self.part.shape:
            return self.turn
        kept = tuple(t for i, t in enumerate(self.turn) if i not in self.part.reduced)
        if v.type.rank == len(kept):
            return kept
        return tuple(0 if i in self.part.reduced else t for i, t in enumerate(self.turn))

    def element(self, v: Value, index: tuple[int, ...]) -> Any:
        if v in self.memory:
            return self.memory[v][index]
        if (v, index) not in self.found:
            self.found[v, index] = self.compute(self.producers[v], index)
        return self.found[v, index]

    def compute(self, node: Node, index: tuple[int, ...]) -> Any:
        if node.op.kind is Kind.REDUCTION:
            return self.fold(node)
        if node.op.name == "matmul":
            a, b = (self.memory[v] for v in node.operands)
            return (a @ b)[self.turn]
        if node.op.kind is Kind.ELEMENTWISE:
            operands = [self.element(v, self.aligned(v, index)) for v in node.operands]
            return node.op.evaluate(*map(np.asarray, operands), **node.attrs)
        if node.op.name == "constant":
            return node.attrs["value"]
        return self.read(node, index)

    def aligned(self, v: Value, index: tuple[int, ...]) -> tuple[int, ...]:
        tail = index[len(index) - v.type.rank :]
        return tuple(0 if d == 1 else i for d, i in zip(v.type.shape, tail))

    def fold(self, node: Node) -> Any:
        """A fold always runs over this turn's row: a request for another row would give a wrong number."""
        ranges = [
            range(dims.evaluate(d, self.sizes)) if i in self.part.reduced else [t]
            for i, (d, t) in enumerate(zip(self.part.shape, self.turn))
        ]
        others = [Turn(self.part, self.memory, self.sizes, t) for t in itertools.product(*ranges)]
        elements = [o.element(node.operands[0], o.turn) for o in others]
        return (np.sum if node.op.name == "sum" else np.max)(elements)

    def read(self, node: Node, index: tuple[int, ...]) -> Any:
        x, attrs = node.operands[0], node.attrs
        shape = [dims.evaluate(d, self.sizes) for d in x.type.shape]
        name = node.op.name
        if name == "broadcast":
            return self.element(x, self.aligned(x, index))
        if name == "reshape":
            kept = iter([i for i, d in zip(index, node.results[0].type.shape) if d != 1])
            return self.element(x, tuple(0 if d == 1 else next(kept) for d in x.type.shape))
        if name == "transpose":
            return self.element(x, tuple(index[attrs["axes"].index(i)] for i in range(x.type.rank)))
        if name == "reverse":
            return self.element(
                x, tuple(n - 1 - i if a in attrs["axes"] else i for a, (i, n) in enumerate(zip(index, shape)))
            )
        if name == "slice":
            return self.element(x, tuple(s + i * t for s, i, t in zip(attrs["start"], index, attrs["step"])))
        if name == "pad":
            inner = tuple(i - low for i, low in zip(index, attrs["low"]))
            inside = all(0 <= i < n for i, n in zip(inner, shape))
            return self.element(x, inner) if inside else np.float32(attrs["value"])
        if name == "gather":
            position = self.element(node.operands[1], index[:1])
            return self.element(x, (int(position), *index[1:]))
        assert name == "concatenate"
        position = list(index)
        for v in node.operands:
            n = dims.evaluate(v.type.shape[attrs["axis"]], self.sizes)
            if position[attrs["axis"]] < n:
                return self.element(v, tuple(position))
            position[attrs["axis"]] -= n
        raise AssertionError("past the end")
