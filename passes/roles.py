"""What part a node can play in a kernel: computed on the way, stored once, folded, a product, or outside of
kernels.

A *virtual* node is never stored: every loop nest that reads it computes it again. Creation ops and views
(index maps) are virtual; so is cheap arithmetic on values that lie in memory anyway (a relu mask, a random
mask, a scaled learning rate). Values that a product, an outside node or the graph's results read are always
stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from graphc.ir.dims import Shape
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind


class Role(Enum):
    """The part that a node plays."""

    VIRTUAL = "virtual"
    POINTWISE = "map"
    REDUCTION = "reduce"
    CONTRACTION = "contract"
    SCATTER = "scatter"
    SCAN = "scan"
    JOIN = "join"
    OUTSIDE = "outside"


_BY_KIND = {
    Kind.ELEMENTWISE: Role.POINTWISE,
    Kind.CREATION: Role.POINTWISE,
    Kind.VIEW: Role.POINTWISE,
    Kind.GATHER: Role.POINTWISE,
    Kind.REDUCTION: Role.REDUCTION,
    Kind.CONTRACTION: Role.CONTRACTION,
    Kind.SCATTER: Role.SCATTER,
    Kind.CUMULATIVE: Role.SCAN,
}

_SIMPLE = """
add subtract multiply negative abs sign square maximum minimum fma clip relu relu6 leaky_relu
cast select stop_gradient floor ceil round trunc one_hot isnan isinf isfinite
equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor logical_not
bitwise_and bitwise_or bitwise_xor bitwise_not shift_left shift_right
"""
COSTS: Mapping[str, int] = dict.fromkeys(_SIMPLE.split(), 1) | {"divide": 4, "reciprocal": 4, "sqrt": 4}
"""Instructions per element, roughly; ops that are not listed are dear."""
DEAR = 20
RANDOM = ("threefry",)
"""Ops that are computed again rather than stored whatever they cost: random bits come from the element's
number.
"""
VIRTUAL_LIMIT = 8
"""A virtual array costs at most so much per element, with all virtual arrays that it is made of."""
SINGLE_LIMIT = 400
"""The same for one number, which is computed once before the loops."""


def is_unit_reshape(node: Node) -> bool:
    """Whether a reshape only adds or removes axes of size 1."""
    kept = [[d for d in v.type.shape if d != 1] for v in (node.operands[0], node.results[0])]
    return node.op.name == "reshape" and kept[0] == kept[1]


def is_join(node: Node) -> bool:
    """Whether a node concatenates the channels of images: whatever computes these can write them in place."""
    if node.op.name != "concatenate" or node.results[0].type.rank < 3 or len(node.operands) < 2:
        return False
    last = node.results[0].type.rank - 1
    channels = [v.type.shape[-1] for v in node.operands]
    return node.attrs["axis"] == last and all(isinstance(c, int) and c > 1 for c in channels)


MOST_INTERLEAVED = 4


def is_interleaving(node: Node) -> bool:
    """Whether a node puts few values beside each other along an axis that is not the last and that they do
    not have: code for each of them reads that one alone.
    """
    if node.op.name != "concatenate" or not 1 < len(node.operands) <= MOST_INTERLEAVED:
        return False
    axis: int = node.attrs["axis"]
    inner = axis < node.results[0].type.rank - 1
    return inner and all(v.type.shape[axis] == 1 for v in node.operands)


def is_single(shape: Shape) -> bool:
    """Whether a value of this shape has one element for certain."""
    return all(d == 1 for d in shape)


@dataclass(frozen=True)
class Roles:
    """The role of every node of a graph, and the values that must lie in memory."""

    role: Mapping[Node, Role]
    stored: frozenset[Value]


@dataclass(frozen=True)
class _Virtual:
    """What computing a virtual value again takes: instructions per element, and the stored values that it
    reads.
    """

    cost: int
    sources: frozenset[Value]


def roles_of(graph: Graph) -> Roles:
    """Give every node its role."""
    role, stored = _needs(graph)
    virtual: dict[Value, _Virtual] = {}
    for node in graph.nodes:
        if role[node] is Role.POINTWISE and _is_virtual(graph, node, stored, virtual):
            role[node] = Role.VIRTUAL
    return Roles(role, frozenset(stored))


def _needs(graph: Graph) -> tuple[dict[Node, Role], set[Value]]:
    """From the last node to the first: which values must be stored, and what follows for roles."""
    stored = set(graph.results)
    role: dict[Node, Role] = {}
    for node in reversed(graph.nodes):
        r = _BY_KIND.get(node.op.kind, Role.OUTSIDE)
        if node.op.name == "reshape" and (node.results[0] in stored or not is_unit_reshape(node)):
            r = Role.OUTSIDE
        if is_join(node):
            r = Role.JOIN
        role[node] = r
        if r in (Role.OUTSIDE, Role.CONTRACTION, Role.JOIN):
            stored.update(node.operands)
        elif node.op.kind is Kind.GATHER or node.op.name == "windows":
            # read at several places each, so never computed on the way
            stored.add(node.operands[0])
    return role, stored


def _is_virtual(graph: Graph, node: Node, stored: set[Value], virtual: dict[Value, _Virtual]) -> bool:
    """Decide for one node; virtual results are entered in `virtual`, from which later nodes take theirs."""
    kind = node.op.kind
    if node.op.can_fail or len(node.results) != 1 or node.results[0] in stored or kind is Kind.GATHER:
        return False
    result = node.results[0]
    parts = [virtual[v] for v in node.operands if v in virtual]
    sources = frozenset(v for v in node.operands if v not in virtual).union(*(p.sources for p in parts))
    if kind is Kind.ELEMENTWISE:
        known = all(v in stored or v not in graph.producers for v in sources)
        if not known or sum(_as_large(v, result) for v in sources) > 1:
            return False
    cost, limit = _cost(node, virtual)
    if cost > limit:
        return False
    virtual[result] = _Virtual(cost, sources)
    return True


def _cost(node: Node, virtual: Mapping[Value, _Virtual]) -> tuple[int, int]:
    """What computing a node's result again costs, and how much that may be."""
    single = is_single(node.results[0].type.shape)
    # in loops over an array, single numbers cost nothing
    counted = [v for v in node.operands if v in virtual and (single or not is_single(v.type.shape))]
    cost = sum(virtual[v].cost for v in counted)
    if node.op.name in RANDOM:
        cost = 1
    elif node.op.kind is Kind.VIEW:
        cost += len(node.operands)
    elif node.op.kind is Kind.ELEMENTWISE:
        cost += COSTS.get(node.op.name, DEAR)
    return cost, SINGLE_LIMIT if single else VIRTUAL_LIMIT


def _as_large(v: Value, result: Value) -> bool:
    """Whether a value is about as large as another one that has more than one element."""
    return 0 < extent(result) <= extent(v)


def extent(v: Value) -> int:
    """By how many axes a value is more than one number: a rough measure of size."""
    return sum(d != 1 for d in v.type.shape)
