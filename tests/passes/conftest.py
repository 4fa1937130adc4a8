"""Programs that fusion and the memory plan are tested on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import pytest

from graphc.ir import Builder, Expr, Graph, dims, get_op, symbol, tensor
from graphc.ir.evaluate import Run, bind_sizes, evaluate_node, run
from graphc.ir.graph import Node, Value
from graphc.passes.clusters import partition
from graphc.passes.plan import Plan
from graphc.passes.times import times_of

PROGRAMS: dict[str, Callable[[], Graph]] = {}
SIZES = {"B": 5, "N": 7, "T": 3}


def program(function: Callable[[Builder], None]) -> Callable[[], Graph]:
    """Register a program under its function's name."""

    def build() -> Graph:
        b = Builder(function.__name__)
        function(b)
        return b.build()

    PROGRAMS[function.__name__] = build
    return build


def softmax_loss(b: Builder, logits: Expr, y: Expr, classes: int) -> tuple[Expr, Expr]:
    """The cross-entropy per row, and its gradient with respect to the logits."""
    rows = logits.shape[0]
    shifted = logits - b.max(logits, axes=(1,), keepdims=True)
    e = b.exp(shifted)
    total = b.sum(e, axes=(1,), keepdims=True)
    hot = b.equal(b.iota(shape=(rows, classes), axis=1, dtype="i64"), b.reshape(y, shape=(rows, 1)))
    loss = -b.sum(b.select(hot, shifted - b.log(total), 0.0), axes=(1,), keepdims=False)
    return loss, e / total - b.cast(hot, dtype="f32")


def sgd(b: Builder, weight: Expr, gradient: Expr, rate: Expr) -> None:
    b.update(weight, weight - rate * gradient)


def adam(b: Builder, weight: Expr, gradient: Expr, rate: Expr) -> None:
    name = weight.value.name
    m, v = (b.weight(name + suffix, weight.type) for suffix in ("_m", "_v"))
    m_new, v_new = m + (gradient - m) * 0.1, v + (b.square(gradient) - v) * 0.001
    b.update(m, m_new)
    b.update(v, v_new)
    b.update(weight, weight - rate * m_new / (b.sqrt(v_new) + 1e-7))


def mlp_step(b: Builder, sizes: tuple[int, ...], optimizer: str) -> None:
    """A training step: relu, softmax cross-entropy with its mean, accuracy, SGD or Adam."""
    x, y = b.input("x", tensor("f32", "B", sizes[0])), b.input("y", tensor("i64", "B"))
    shapes = list(pairwise(sizes))
    kernels = [b.weight(f"kernel{i}", tensor("f32", *s)) for i, s in enumerate(shapes)]
    biases = [b.weight(f"bias{i}", tensor("f32", s[1])) for i, s in enumerate(shapes)]
    rate, loss_sum, hits = (b.weight(n, tensor("f32")) for n in ("rate", "loss_sum", "hits"))
    hidden = [x]
    for kernel, bias in zip(kernels, biases):
        logits = b.matmul(hidden[-1], kernel) + bias
        hidden.append(b.relu(logits))
    losses, gradient = softmax_loss(b, logits, y, sizes[-1])
    mean = b.sum(losses, axes=(0,), keepdims=False) / 128.0
    hit = b.cast(b.equal(b.argmax(logits, axis=1, keepdims=False), y), dtype="f32")
    b.update(loss_sum, loss_sum + mean)
    b.update(hits, hits + b.sum(hit, axes=(0,), keepdims=False))
    update, step_rate = sgd, rate
    if optimizer == "adam":
        step = b.weight("step", tensor("i64"))
        b.update(step, step + 1)
        count = b.cast(step + 1, dtype="f32")
        decay = [b.power(b.constant(beta, "f32"), count) for beta in (0.9, 0.999)]
        update, step_rate = adam, rate * b.sqrt(1 - decay[1]) / (1 - decay[0])
    gradient = gradient / 128.0
    for i in reversed(range(len(kernels))):
        update(b, kernels[i], b.matmul(hidden[i], gradient, transpose_a=True), step_rate)
        update(b, biases[i], b.sum(gradient, axes=(0,), keepdims=False), step_rate)
        if i:
            before = b.matmul(gradient, kernels[i], transpose_b=True)
            gradient = b.select(b.greater(hidden[i], 0.0), before, 0.0)
    b.output(mean)


@program
def mlp_sgd(b: Builder) -> None:
    mlp_step(b, (784, 512, 256, 10), "sgd")


@program
def mlp_adam(b: Builder) -> None:
    mlp_step(b, (20, 16, 12, 10), "adam")


@program
def softmax(b: Builder) -> None:
    x = b.input("x", tensor("f32", "B", "N"))
    e = b.exp(x - b.max(x, axes=(1,), keepdims=True))
    b.output(e / b.sum(e, axes=(1,), keepdims=True))


@program
def layer_norm_both_ways(b: Builder) -> None:
    x, g = (b.input(n, tensor("f32", "B", 33)) for n in ("x", "g"))
    gamma, beta = (b.weight(n, tensor("f32", 33)) for n in ("gamma", "beta"))
    mean = b.sum(x, axes=(1,), keepdims=True) / 33.0
    centred = x - mean
    scale = b.rsqrt(b.sum(b.square(centred), axes=(1,), keepdims=True) / 33.0 + 1e-3)
    hat = centred * scale
    b.output(hat * gamma + beta)
    g_hat = g * gamma
    share = b.sum(g_hat, axes=(1,), keepdims=True) + hat * b.sum(g_hat * hat, axes=(1,), keepdims=True)
    b.output(scale * (g_hat - share / 33.0))
    sgd(b, gamma, b.sum(g * hat, axes=(0,), keepdims=False), b.constant(0.1, "f32"))
    sgd(b, beta, b.sum(g, axes=(0,), keepdims=False), b.constant(0.1, "f32"))


@program
def batch_norm_training(b: Builder) -> None:
    x = b.input("x", tensor("f32", "B", 4, 6))
    gamma, beta, moving = (b.weight(n, tensor("f32", 6)) for n in ("gamma", "beta", "moving"))
    mean = b.sum(x, axes=(0, 1), keepdims=True) / 20.0
    centred = x - mean
    variance = b.sum(b.square(centred), axes=(0, 1), keepdims=False) / 20.0
    b.update(moving, moving * 0.99 + b.reshape(mean, shape=(6,)) * 0.01)
    b.output(b.relu(centred * (gamma * b.rsqrt(variance + 1e-3)) + beta))


@program
def views(b: Builder) -> None:
    """Every view, around values that are dear, cheap, shared and not."""
    x = b.input("x", tensor("f32", "N", "N"))
    e = b.exp(x)
    b.output(e + b.transpose(e, axes=(1, 0)))
    b.output(b.reverse(b.tanh(x), axes=(0,)) * 2.0)
    padded = b.pad(x, low=(1, 0), high=(0, 2), value=1.5)
    b.output(b.sum(padded, axes=(1,), keepdims=False))
    joined = b.concatenate(b.sqrt(b.abs(x)), x * 2.0, axis=1)
    b.output(joined - 1.0, b.reshape(joined, shape=(2 * symbol("N") * symbol("N"),)))
    part = b.slice(x, start=(1, 0), stop=(3, symbol("N")), step=(1, 1))
    b.output(b.matmul(b.exp(part), x), b.max(part, axes=(0, 1), keepdims=False))


@program
def shared_square(b: Builder) -> None:
    """Equal sizes on both axes, so that only the alignment tells rows from columns."""
    x = b.input("x", tensor("f32", "N", "N"))
    rows = b.sum(x, axes=(1,), keepdims=False)
    b.output(x - rows)
    b.output(x - b.reshape(rows, shape=(symbol("N"), 1)))
    b.output(b.sum(b.exp(x) * rows, axes=(1,), keepdims=False))
    b.output(b.transpose(x - b.sum(x, axes=(0,), keepdims=True), axes=(1, 0)) * x)


@program
def attention(b: Builder) -> None:
    q, k, v = (b.input(n, tensor("f32", "B", 2, "T", 8)) for n in "qkv")
    scores = b.matmul(q, k, transpose_b=True) * 0.35
    e = b.exp(scores - b.max(scores, axes=(3,), keepdims=True))
    b.output(b.matmul(e / b.sum(e, axes=(3,), keepdims=True), v))


@program
def aliases(b: Builder) -> None:
    """Results that are parameters, twice the same value, aliases, constants; weights that exchange values."""
    x = b.input("x", tensor("f32", "B", 4))
    first, second = (b.weight(n, tensor("f32", 4)) for n in ("first", "second"))
    y = b.tanh(x)
    b.output(x, y, y, b.reshape(y, shape=(4 * symbol("B"),)), b.reshape(x, shape=(symbol("B"), 2, 2)), first)
    b.output(b.constant(3.0, "f32"), b.broadcast(b.constant(1, "i64"), shape=(symbol("B"),)))
    b.update(first, second)
    b.update(second, first)


@program
def joined_images(b: Builder) -> None:
    """Concatenations of channels: of products, of maps, of concatenations; of inputs and of results."""
    x, y = b.input("x", tensor("f32", "B", 3, 4)), b.input("y", tensor("f32", "B", 3, 5))
    h = b.concatenate(b.tanh(x), b.matmul(y, b.weight("w", tensor("f32", 5, 6))), axis=2)
    for i in range(2):
        new = b.matmul(b.tanh(h), b.weight(f"w{i}", tensor("f32", h.shape[-1], 3)))
        h = b.concatenate(h, new, axis=2)
    b.output(b.sum(b.exp(h), axes=(1,)))
    copied = b.concatenate(x, b.tanh(y), axis=2)
    b.output(b.max(copied, axes=(1,)), b.concatenate(b.tanh(x), b.tanh(y), axis=2))
    rows = b.reshape(b.concatenate(b.exp(x), b.exp(y), axis=2), shape=(3 * symbol("B"), 9))
    b.output(b.matmul(rows, b.weight("v", tensor("f32", 9, 2))))


@program
def scalars_only(b: Builder) -> None:
    step = b.weight("step", tensor("i64"))
    b.update(step, step + 1)
    b.output(b.exp(b.cast(step + 1, dtype="f32")))


@program
def recurrence(b: Builder) -> None:
    """A loop whose body has a product, an activation and a fold."""
    step = Builder()
    h, x = step.input("h", tensor("f32", "B", 4)), step.input("x_t", tensor("f32", "B", 4))
    w = step.input("w_in", tensor("f32", 4, 4))
    new = step.tanh(step.matmul(h, w) + x * 0.5)
    step.output(new, step.sum(new, axes=(1,), keepdims=False))
    xs, start = b.input("xs", tensor("f32", "T", "B", 4)), b.input("start", tensor("f32", "B", 4))
    weight = b.weight("w", tensor("f32", 4, 4))
    attrs = {"carries": 1, "scanned": 1, "length": symbol("T"), "reverse": False}
    scan = b.node(get_op("scan"), [b.relu(start), xs, weight], attrs, (step.build(),))
    last, sums = (Expr(b, r) for r in scan.results)
    b.output(b.exp(last), sums)


@pytest.fixture(params=sorted(PROGRAMS))
def any_program(request: pytest.FixtureRequest) -> Graph:
    """Each program in turn."""
    return PROGRAMS[request.param]()


@pytest.fixture
def programs() -> dict[str, Callable[[], Graph]]:
    """All programs by name."""
    return PROGRAMS


def make_arrays(graph: Graph, sizes: dict[str, int] = SIZES, seed: int = 0) -> dict[str, np.ndarray]:
    """Random arrays for the graph's inputs and weights."""
    rng = np.random.default_rng(seed)
    found = {}
    for v in graph.parameters:
        shape = tuple(dims.evaluate(d, sizes) for d in v.type.shape)
        kind = v.type.dtype.numpy
        if v.type.dtype.is_floating:
            found[v.name] = rng.normal(size=shape).astype(kind)
        else:
            found[v.name] = rng.integers(0, 2 if kind == np.bool_ else 10, shape).astype(kind)
    return found


def compare_runs(a: Run, b: Run) -> None:
    """Fail unless two runs gave the same bits."""
    assert a.updates.keys() == b.updates.keys()
    pairs = [*zip(a.outputs, b.outputs, strict=True), *((a.updates[n], b.updates[n]) for n in a.updates)]
    for x, y in pairs:
        assert x.dtype == y.dtype
        assert x.shape == y.shape
        assert x.tobytes() == y.tobytes()


class Machine:
    """Runs a fused graph part by part in one arena and the caller's arrays, as native code does."""

    def __init__(self, graph: Graph, memory: Plan, arrays: Mapping[str, np.ndarray]) -> None:
        self.graph, self.plan = graph, memory
        shapes = [arrays[v.name].shape for v in graph.parameters]
        self.sizes = bind_sizes(
            [v.type for v in graph.parameters], shapes, [v.name for v in graph.parameters]
        )
        layout = memory.layout(self.sizes)
        arena = np.full(layout.arena_bytes, 0xA5, np.uint8)
        self.bytes = []
        for slot, offset in zip(memory.slots, layout.offsets):
            size = dims.evaluate(slot.size, self.sizes)
            self.bytes.append(arena[offset : offset + size] if offset >= 0 else np.full(size, 0x5A, np.uint8))
        for v in graph.parameters:
            self.write(memory.places[v.name], arrays[v.name])

    def write(self, slot: int, array: np.ndarray, name: str = "") -> None:
        if name in self.plan.strips:
            self.strip(slot, name, array.dtype, array.shape)[...] = array
        else:
            self.bytes[slot][:] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)

    def read(self, slot: int, value: Value, name: str = "") -> np.ndarray:
        shape = tuple(dims.evaluate(d, self.sizes) for d in value.type.shape)
        if name in self.plan.strips:
            return self.strip(slot, name, value.type.dtype.numpy, shape).copy()
        return self.bytes[slot].view(value.type.dtype.numpy).reshape(shape).copy()

    def strip(self, slot: int, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """A view of the columns in which a value lies."""
        strip = self.plan.strips[name]
        width, column = (dims.evaluate(d, self.sizes) for d in (strip.width, strip.column))
        rows = self.bytes[slot].view(dtype).reshape(*shape[:-1], width)
        return rows[..., column : column + shape[-1]]

    def run(self) -> Run:
        for node, (step, _) in times_of(self.graph).nodes.items():
            if node.results and node.results[0].name in self.plan.joined:
                continue
            if node.op.name == "kernel":
                self.kernel(step, node)
            elif node.op.name != "reshape":
                operands = [self.read(self.plan.places[v.name], v) for v in node.operands]
                for r, x in zip(node.results, evaluate_node(node, operands, self.sizes)):
                    self.write(self.plan.places[r.name], x)
        for copy in self.plan.copies:
            self.bytes[copy.target][:] = self.bytes[copy.source]
        outputs = [i for i, s in enumerate(self.plan.slots) if s.kind == "output"]
        outputs.sort(key=lambda i: self.plan.slots[i].index)
        return Run(
            tuple(self.read(i, v) for i, v in zip(outputs, self.graph.outputs)),
            {u.target.name: self.read(self.plan.places[u.target.name], u.target) for u in self.graph.updates},
        )

    def kernel(self, step: int, node: Node) -> None:
        region = node.regions[0]
        place = {v: self.plan.places[o.name] for v, o in zip(region.inputs, node.operands)}
        names = {v: o.name for v, o in zip(region.inputs, node.operands)}
        names |= {v: r.name for v, r in zip(region.outputs, node.results)}
        for part in partition(region):
            place |= {
                v: self.plan.places[node.results[region.outputs.index(v)].name]
                if v in region.outputs
                else self.plan.scratch[step][v.name]
                for v in part.outputs
            }
            values = {v: self.read(place[v], v, names.get(v, "")) for v in part.inputs}
            for n in part.nodes:
                results = evaluate_node(n, [values[v] for v in n.operands], self.sizes)
                values.update(zip(n.results, results))
            for v in part.outputs:
                self.write(place[v], values[v], names.get(v, ""))


@pytest.fixture
def machine() -> type[Machine]:
    """`Machine`."""
    return Machine


@pytest.fixture
def arrays_for() -> Callable[..., dict[str, np.ndarray]]:
    """`make_arrays`."""
    return make_arrays


@pytest.fixture
def same_bits() -> Callable[[Run, Run], None]:
    """`compare_runs`."""
    return compare_runs


@pytest.fixture
def assert_same_values() -> Callable[[Graph, Graph], None]:
    """A function that runs two graphs on the same arrays and compares every bit."""

    def compare(before: Graph, after: Graph) -> None:
        arrays = make_arrays(before)
        compare_runs(run(before, arrays), run(after, arrays))

    return compare
