"""How every kind of kernel is divided among members: who writes what, without any clock."""

import numpy as np
import pytest

from graphc import passes
from graphc.codegen.emit_llvm import default_slots, default_symbols, phase_names, scratch
from graphc.codegen.lower import lower
from graphc.codegen.phases import phases
from graphc.ir import Builder, tensor
from graphc.ir.dims import evaluate

SENTINEL, NINE = 171, np.arange(9) % 7
WINDOWS = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
POOL = {"size": (3, 3), "strides": (1, 1), "padding": ((1, 1), (1, 1))}


def convolution(b, x, kernel, **more):
    return b.conv(x, kernel, **{"size": (3, 3)} | WINDOWS | more)


def kernel_gradient(b, x, ct):
    return b.conv_weight_gradient(x, ct, **{"size": (3, 3)} | WINDOWS)


def average(b, x):
    return b.mean(b.windows(x, size=(3, 3), out=x.shape[1:3], **PLACES), axes=(3, 4))


PLACES = {"strides": (1, 1), "low": (1, 1), "dilation": (1, 1), "spread": (1, 1), "value": 0.0}


def draws(b, seed, step):
    return b.random_uniform(seed, step, shape=(60, 50), call=1, low=0.0, high=1.0, dtype="f32")


KINDS = {
    "product by columns": (lambda b, x, y: b.matmul(x, y), [(40, 30), (30, 320)]),
    "product by rows": (lambda b, x, y: b.matmul(x, y), [(320, 30), (30, 40)]),
    "batch of products": (lambda b, x, y: b.matmul(x, y), [(7, 20, 30), (7, 30, 64)]),
    "product with an epilogue": (lambda b, x, y: b.relu(b.matmul(x, y) + 1.0), [("B", 30), (30, 320)]),
    "convolution of one image": (convolution, [("B", 17, 17, 8), (3, 3, 8, 5)]),
    "convolution of few pixels": (convolution, [("B", 5, 5, 8), (3, 3, 8, 192)]),
    "kernel gradient, few channels": (kernel_gradient, [("B", 130, 130, 3), ("B", 130, 130, 5)]),
    "kernel gradient, many channels": (kernel_gradient, [("B", 6, 6, 64), ("B", 6, 6, 96)]),
    "average pool of one image": (average, [("B", 17, 17, 8)]),
    "max pool of one image": (lambda b, x: b.max_pool(x, **POOL), [("B", 17, 17, 8)]),
    "pool of channels": (lambda b, x: b.mean(x, axes=(1, 2)), [("B", 3, 3, 256)]),
    "rows": (lambda b, x: b.softmax(x, axis=1), [(50, 33)]),
    "rows of one image": (lambda b, x: b.softmax(x, axis=2), [("B", 50, 33)]),
    "sum of all": (lambda b, x: b.sum(x, axes=(0, 1)), [(300, 333)]),
    "sums of columns": (lambda b, x: b.sum(x, axes=(0,)), [(300, 512)]),
    "few long columns": (lambda b, x: b.sum(x, axes=(0,)), [(40000, 3)]),
    "update": (lambda b, w, g: w - g * 0.1, [(5000,), (5000,)]),
    "gather": (lambda b, x, y: b.gather(x, b.constant(np.arange(99) % 7, "i64"), axis=0) + y, [(7, 9), (9,)]),
    "scatter": (lambda b, x, y: b.scatter_add(x, b.constant(NINE, "i64"), y, axis=0), [(7, 99), (9, 99)]),
    "running sums down columns": (lambda b, x: b.cumsum(x, axis=0), [(20, 99)]),
    "running sums along rows": (lambda b, x: b.cumsum(x, axis=1), [(20, 99)]),
    "join": (lambda b, x, y: b.concatenate(x, y, axis=1), [(31, 5), (31, 8)]),
    "join of one row": (lambda b, x, y: b.concatenate(x, y, axis=2), [("B", 31, 5), ("B", 31, 8)]),
    "transpose": (lambda b, x: b.transpose(x, axes=(0, 3, 1, 2)), [("B", 9, 20, 3)]),
    "pad": (lambda b, x: b.pad(x, low=(0, 1, 1, 0), high=(0, 1, 1, 0), value=0.5), [("B", 17, 17, 3)]),
}  # fmt: skip
IN_ORDER = {"running sum of one row": (lambda b, x: b.cumsum(x, axis=0), [(999,)])}


class Divided:
    """A kernel on arrays, phase by phase and member by member; memory that it writes begins as sentinels."""

    def __init__(self, lab, node, buffers, sizes, members):
        lowered = lower(node, node.results[0].name)
        code = lab.load([lowered])
        self.outputs, self.members = [buffers[v.name] for v in node.results], members
        self.memory = np.full(
            evaluate(scratch(lowered, code.target, members), sizes) + 64, SENTINEL, np.uint8
        )
        slots = default_slots(lowered)
        names = phase_names(lowered.name, len(phases(lowered, slots)))
        self.functions = [code.function(name, "ppii", "i") for name in names]
        addresses = {n: x.ctypes.data for n, x in buffers.items()}
        addresses["scratch"] = self.memory.ctypes.data + -self.memory.ctypes.data % 64
        self.table = np.array([addresses[n] for n in slots], np.uint64)
        self.sizes = np.array([sizes[s] for s in default_symbols(lowered)] or [0], np.int64)

    def shares(self):
        """By phase: how many bytes each member changes, of results or, where it changes none, of scratch."""
        return [self._phase(f) for f in self.functions]

    def _phase(self, function):
        places = [*self.outputs, self.memory]
        found = np.zeros((self.members, len(places)), int)
        for member in range(self.members):
            before = [x.tobytes() for x in places]
            assert function(self.table, self.sizes, member, self.members) == 0
            found[member] = [
                np.sum(np.frombuffer(a, "u1") != np.frombuffer(x, "u1")) for a, x in changes(before, places)
            ]
        *results, scratch = found.T
        return sum(results) if sum(x.sum() for x in results) else scratch


def changes(before, places):
    return zip(before, (x.tobytes() for x in places), strict=True)


def kernels_of(lab, make, arrays, types, members):
    """Every kernel of what `make(builder, *inputs)` returns; each is to be run before the next one."""
    b = Builder("f")
    inputs = [b.input(f"x{i}", t) for i, t in enumerate(types)]
    b.output(make(b, *inputs))
    graph = passes.run(b.build())
    sizes = {"B": 1}
    values = {f"x{i}": x for i, x in enumerate(arrays)}
    for node in graph.nodes:
        shapes = [[evaluate(d, sizes) for d in v.type.shape] for v in node.results]
        if node.op.name != "kernel":
            values[node.results[0].name] = values[node.operands[0].name].reshape(shapes[0])
            continue
        for v, shape in zip(node.results, shapes, strict=True):
            values[v.name] = np.full(shape, SENTINEL, v.type.dtype.numpy)
        yield Divided(lab, node, values, sizes, members)
    want = graph.evaluate(**{f"x{i}": x for i, x in enumerate(arrays)})
    np.testing.assert_allclose(values[graph.outputs[0].name], want, rtol=1e-4, atol=1e-4)


def divided(lab, case, members):
    """The shares of the phase that changes most."""
    make, shapes = case
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=[1 if d == "B" else d for d in s]).astype(np.float32) for s in shapes]
    types = [tensor("f32", *s) for s in shapes]
    found = [k.shares() for k in kernels_of(lab, make, arrays, types, members)]
    return max((share for shares in found for share in shares), key=np.sum)


@pytest.mark.parametrize("members", [2, 3, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_every_member_has_its_share(lab, kind, members):
    first = divided(lab, KINDS[kind], members)
    assert first.sum() > 0
    assert first.max() <= (1.3 if members == 2 else 2) * first.sum() / members


@pytest.mark.parametrize("kind", IN_ORDER)
def test_what_has_an_order_is_one_members(lab, kind):
    shares = divided(lab, IN_ORDER[kind], 2)
    assert shares[0] > 0
    assert shares[1] == 0


def test_random_draws_are_divided(lab):
    types = [tensor("i64"), tensor("i64")]
    ((shares,),) = [k.shares() for k in kernels_of(lab, draws, [np.array(7), np.array(3)], types, 2)]
    assert shares.max() <= 0.6 * shares.sum()


def test_members_that_are_many_divide_rows_and_columns(lab):
    shapes = [(256, 30), (30, 512)]
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s).astype(np.float32) for s in shapes]
    types = [tensor("f32", *s) for s in shapes]
    for kernel in kernels_of(lab, lambda b, x, y: b.matmul(x, y), arrays, types, 8):
        (result,) = kernel.outputs
        corners = {corner(kernel, member, result) for member in range(8)}
    assert corners == {(r, r + 127, c, c + 127) for r in (0, 128) for c in (0, 128, 256, 384)}


def corner(kernel, member, result):
    """The first and the last row and column that a member writes."""
    before = result.copy()
    kernel.functions[0](kernel.table, kernel.sizes, member, kernel.members)
    rows, columns = np.nonzero(before != result)
    return rows.min(), rows.max(), columns.min(), columns.max()
