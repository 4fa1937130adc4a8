"""Which loop nests share a kernel.

Nests share a kernel when one reads what the other computes or both read the same array, and together they
have at most one product. `Kernels.against` gives its reason whenever it says no, and `passes/explain.py`
prints those.
"""

from __future__ import annotations

from itertools import pairwise

from graphc.ir import dims
from graphc.ir.dims import product
from graphc.ir.graph import Graph, Node, Value
from graphc.passes.acyclic import Groups
from graphc.passes.clusters import CYCLE, JOINED, PRODUCT_OPERAND, Part, Partition, Refusal, outside_reason
from graphc.passes.roles import is_single

NARROW = 64
"""Rows of a product up to this width stay in cache until the next loops fold them."""
LOOPS = ("map", "reduce", "rows")
PRODUCTS = "each product has a kernel of its own"
STORED_WHOLE = "the product's result is wider than a tile, so other loops read it from memory"
OTHER_LOOPS = "the two go over arrays of different shapes"
ONE_LOOP = "scatters and running folds have kernels of their own"


class Kernels:
    """Which parts share a kernel: groups over parts, merged by rules."""

    def __init__(self, graph: Graph, division: Partition) -> None:
        self.graph = graph
        self.parts = division.parts
        self.home = {v: i for i, p in enumerate(self.parts) for v in p.outputs}
        self.repeated = _repeated(graph, self.parts, self.home)
        self.readers: dict[Value, list[int]] = {}
        self.groups = Groups()
        self.refusals = list(division.refusals)
        self.product: dict[int, bool] = {}
        for i, part in enumerate(self.parts):
            sources = [] if i in self.repeated else [s for s, _ in self.sources(i)]
            self.groups.add(sources)
            self.product[i] = part.kind == "contract"
            for v in part.inputs:
                self.readers.setdefault(v, []).append(i)

    def sources(self, i: int) -> list[tuple[int, Value]]:
        """The parts that compute what part i reads, the latest first, each with the value."""
        found = {self.home[v]: v for v in self.parts[i].inputs if v in self.home}
        return sorted(((s, v) for s, v in found.items() if s not in self.repeated), key=lambda x: -x[0])

    def merge(self) -> None:
        """Apply the rules in the order of their worth."""
        self._operand_folds()
        for narrow in (True, False):
            for q in range(len(self.parts)):
                for p, v in [] if q in self.repeated else self.sources(q):
                    if self._is_narrow(p, q) or not narrow:
                        self._try(p, q, v)
        self._same_array()

    def against(self, p: int, q: int, v: Value) -> str:
        """Why part q, which reads v from part p, does not share its kernel; "" if it may."""
        first, second = self.parts[p], self.parts[q]
        kinds = {first.kind, second.kind}
        if "outside" in kinds:
            return outside_reason((second if second.kind == "outside" else first).anchor)
        if "join" in kinds:
            return JOINED
        if kinds & {"scatter", "scan"}:
            return ONE_LOOP
        if second.kind == "contract" and v in second.anchor.operands:
            return PRODUCT_OPERAND
        if _smaller(first, second) or _smaller(second, first) or self._is_narrow(p, q):
            return ""
        if "contract" in kinds:
            return PRODUCTS if len(kinds) == 1 else STORED_WHOLE
        return "" if first.shape == second.shape else OTHER_LOOPS

    def _is_narrow(self, p: int, q: int) -> bool:
        """Whether q works on the rows of a product p that fit a tile, and nothing folds all of its rows."""
        first, second = self.parts[p], self.parts[q]
        last = first.shape[-1] if first.shape else 1
        narrow = first.kind == "contract" and isinstance(last, int) and last <= NARROW
        rows = second.kind in LOOPS and second.shape == first.shape and not self.columns(p)
        return narrow and rows

    def columns(self, p: int) -> bool:
        """Whether statistics over all pixels are made of a product's result: the loops around them are the
        same for products of many sizes, and are compiled once if they are kernels of their own.
        """
        return any(
            self.parts[q].kind == "reduce" and self.parts[q].shape == self.parts[p].shape and self._is_wide(q)
            for v in self.parts[p].outputs
            for q in self.readers.get(v, ())
        )

    def _is_wide(self, q: int) -> bool:
        """Whether a part's loops go over several rows for each element of a batch."""
        part = self.parts[q]
        rows = product(part.shape[:-1])
        alone = dims.evaluate(rows, dict.fromkeys(dims.symbols(rows), 1))
        return 0 in part.reduced and not isinstance(rows, int) and alone > 1

    def _try(self, p: int, q: int, v: Value) -> None:
        a, b = self.groups.find(p), self.groups.find(q)
        if a == b:
            return
        reason = self.against(p, q, v)
        if not reason and self.product[a] and self.product[b]:
            reason = PRODUCTS
        if not reason and not self.groups.mergeable(a, b):
            reason = CYCLE
        if reason:
            self.refusals.append(Refusal(v, self.parts[q].anchor, reason))
        else:
            self._merge(a, b)

    def _merge(self, a: int, b: int) -> None:
        self.product[self.groups.merge(a, b)] = self.product[a] or self.product[b]

    def _operand_folds(self) -> None:
        """A fold of a product's operand over the axis that the product sums too (a bias gradient) joins the
        product.
        """
        folds: dict[tuple[Value, tuple[int, ...]], list[int]] = {}
        for q, part in enumerate(self.parts):
            for v in part.inputs if part.kind == "reduce" and q not in self.repeated else ():
                if part.shape == v.type.shape:
                    folds.setdefault((v, part.reduced), []).append(q)
        for c, part in enumerate(self.parts):
            for v, axis in _summed_axes(part.anchor) if part.kind == "contract" else ():
                for q in folds.get((v, (axis,)), ()):
                    if not self.product[self.groups.find(q)] and self.groups.mergeable(c, q):
                        self._merge(self.groups.find(c), self.groups.find(q))

    def _same_array(self) -> None:
        """Loops over one array that nothing else connects share a kernel."""
        for v, readers in self.readers.items():
            loops = [q for q in readers if self._goes_over(q, v)]
            for p, q in pairwise(loops):
                a, b = self.groups.find(p), self.groups.find(q)
                if a != b and not (self.product[a] or self.product[b]) and self.groups.mergeable(a, b):
                    self._merge(a, b)

    def _goes_over(self, q: int, v: Value) -> bool:
        part = self.parts[q]
        same = part.shape == v.type.shape and not is_single(part.shape)
        return part.kind in LOOPS and same and q not in self.repeated


def _repeated(graph: Graph, parts: tuple[Part, ...], home: dict[Value, int]) -> set[int]:
    """Parts that compute one number from parameters: every kernel that needs it computes it for itself."""
    found: set[int] = set()
    needed = {
        v
        for p in parts
        if p.kind in ("outside", "contract", "scatter", "scan", "join")
        for v in p.anchor.operands
    }
    for i, part in enumerate(parts):
        given = all(v not in graph.producers or home.get(v) in found for v in part.inputs)
        plain = part.kind == "map" and is_single(part.shape) and not any(n.op.can_fail for n in part.nodes)
        if given and plain and not needed.intersection(part.outputs):
            found.add(i)
    return found


def _smaller(a: Part, b: Part) -> bool:
    """Whether a loops over one element, or over some of the axes that b loops over."""
    if a.kind not in LOOPS:
        return False
    rest = [d for d in b.shape if d != 1]
    for d in a.shape:
        if d == 1:
            continue
        if d not in rest:
            return False
        rest.remove(d)
    return bool(rest) or is_single(a.shape)


def _summed_axes(product: Node) -> list[tuple[Value, int]]:
    """The operands of a matrix product, each with the axis that is summed over."""
    if product.op.name != "matmul":
        return []
    a, b = product.operands
    axis_a = a.type.rank - (2 if product.attrs.get("transpose_a") else 1)
    axis_b = b.type.rank - (1 if product.attrs.get("transpose_b") else 2)
    return [(a, axis_a), (b, axis_b)]
