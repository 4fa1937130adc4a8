"""What scans read and give, as memory and products like it.

    x_t over reverse(xs)                 the turns in the other order, over xs itself
    slice(h_t @ w), transpose(w)         a product with those columns of w that are read, rows as they lie
    a result that is transpose(x_t)      a transposition of the stacked x_t behind the loop

Behind the loops, products and sums over all turns do not mind in which order the turns are. Runs behind
`hoist`, which leaves in the loops only the products that must be there.
"""

from __future__ import annotations

from dataclasses import replace

from graphc.ir.builder import Builder, Expr
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind
from graphc.passes.dce import dce
from graphc.passes.manager import register
from graphc.passes.rewrite import in_regions
from graphc.passes.scan_form import Piece, ScanForm, has_scans, replaced, with_nodes


@register("straighten")
def straighten(graph: Graph) -> Graph:
    """The graph with straight scans; the same object if there is nothing to do."""
    return _Straightening(graph).graph() if has_scans(graph) else graph


class _Straightening:
    """A walk over the nodes; `new` has what stands for old values."""

    def __init__(self, graph: Graph) -> None:
        self.old = graph
        self.b = Builder()
        for value in graph.values():
            self.b.fresh(value.name)
        self.new: dict[Value, Value] = {}
        self.producers: dict[Value, Node] = {}
        self.known = 0
        self.changed = False

    def graph(self) -> Graph:
        """The whole graph."""
        for node in self.old.nodes:
            node = replaced(node, self.new)
            if node.op.kind is Kind.CONTROL:
                node = self._with_straight_regions(node)
            rule = RULES.get(node.op.name)
            with self.b.at(node.location):
                if rule is not None and rule(self, node):
                    self.changed = True
                else:
                    self.b.nodes.append(node)
        return with_nodes(self.old, self.b.nodes, self.new) if self.changed else self.old

    def _with_straight_regions(self, node: Node) -> Node:
        regions = in_regions(node, straighten)
        if all(a is b for a, b in zip(regions, node.regions)):
            return node
        self.changed = True
        return replace(node, regions=regions)

    def producer(self, value: Value) -> Node | None:
        """The node before this place that makes a value."""
        for node in self.b.nodes[self.known :]:
            self.producers.update(dict.fromkeys(node.results, node))
        self.known = len(self.b.nodes)
        return self.producers.get(value)

    # -- scans ---------------------------------------------------------------------------------------------
    def scan(self, node: Node) -> bool:
        """Add the scan and what stands before and behind it, if anything is to be changed."""
        form = ScanForm.of(node, self.b.fresh)
        products = self._products(form)
        turned = self._turn(form)
        views = [(p, chain) for p in form.pieces if (chain := _views_of(p, form))]
        if not (products or turned or views):
            return False
        behind = [p.result for p in form.pieces] if turned else []
        form.pieces = [p for p in form.pieces if all(p is not q for q, _ in views)]
        stacks = [form.piece(chain[-1].operands[0]) for _, chain in views]
        around = {result: Value(self.b.fresh(result.name), result.declared) for result in behind}
        for p in form.pieces:
            p.result = around.get(p.result, p.result)
        made = form.build()
        self.b.nodes.append(replace(made, regions=(dce(made.regions[0]),)))
        inside = [around.get(s, s) for s in stacks]
        for (p, chain), stack in zip(views, inside, strict=True):
            self.new[p.result] = self._viewed(self._reversed(stack, turned), chain).value
        for old, value in around.items():
            if old not in self.new:
                self.new[old] = self._reversed(value, True).value
        return True

    def _reversed(self, value: Value, turned: bool) -> Expr:
        x: Expr = Expr(self.b, value)
        return self.b.reverse(x, axes=(0,)) if turned else x

    def _viewed(self, stack: Expr, chain: list[Node]) -> Expr:
        """The views of a turn, for all turns at once."""
        for n in reversed(chain):
            if n.op.name == "transpose":
                stack = self.b.transpose(stack, axes=(0, *(a + 1 for a in n.attrs["axes"])))
            else:
                stack = self.b.reshape(stack, shape=(stack.shape[0], *n.attrs["shape"]))
        return stack

    def _turn(self, form: ScanForm) -> bool:
        """Let the scan go the other way if all that it scans is reversed."""
        makers = [self.producer(x.operand) for x in form.xs]
        if not makers or not all(n is not None and _is_reversal(n) for n in makers):
            return False
        for x, n in zip(form.xs, makers, strict=True):
            assert n is not None
            x.operand = n.operands[0]
        form.node = replace(form.node, attrs={**form.node.attrs, "reverse": not form.node.attrs["reverse"]})
        return True

    def _products(self, form: ScanForm) -> bool:
        """Products by constants, of those columns that are read, and not transposed."""
        constants = {c.parameter: c.operand for c in form.constants}
        users, outputs = form.users(), form.outputs
        found: dict[Node, Node] = {}
        for n in form.nodes:
            if n.op.name != "matmul" or n.operands[1] not in constants or n.operands[1].type.rank != 2:
                continue
            readers = users.get(n.result, [])
            alone = len(readers) == 1 and n.result not in outputs
            last = readers[0] if alone and _is_cut_of_columns(readers[0]) else n
            if last is n and not n.attrs["transpose_b"]:
                continue
            w = self._columns(Expr(self.b, constants[n.operands[1]]), n, last)
            attrs = {**n.attrs, "transpose_b": False}
            operands = (n.operands[0], form.constant(w.value))
            found[n] = replace(n, operands=operands, attrs=attrs, results=last.results)
            if last is not n:
                found[last] = found[n]
        if found:
            kept = [found.get(n, n) for n in form.nodes]
            form.nodes = list(dict.fromkeys(kept))
        return bool(found)

    def _columns(self, w: Expr, n: Node, last: Node) -> Expr:
        turned = bool(n.attrs["transpose_b"])
        if last is not n:
            low, high = last.attrs["start"][-1], last.attrs["stop"][-1]
            rows, columns = w.shape
            start, stop = ((low, 0), (high, columns)) if turned else ((0, low), (rows, high))
            w = self.b.slice(w, start=start, stop=stop, step=(1, 1))
        return self.b.transpose(w, axes=(1, 0)) if turned else w

    # -- what stands behind scans -------------------------------------------------------------
    def transpose(self, node: Node) -> bool:
        """A transposition of a transposition that turns it back."""
        inner = self.producer(node.operands[0])
        if inner is None or inner.op.name != "transpose":
            return False
        axes = tuple(inner.attrs["axes"][a] for a in node.attrs["axes"])
        if axes != tuple(range(len(axes))):
            return False
        self.new[node.result] = inner.operands[0]
        return True

    def reverse(self, node: Node) -> bool:
        """A reversal of what is reversed."""
        x = self.straight(node.operands[0]) if _is_reversal(node) else None
        if x is not None:
            self.new[node.result] = x.value
        return x is not None

    def sum(self, node: Node) -> bool:
        """A sum over all turns, in the other order."""
        x = self.straight(node.operands[0]) if 0 in node.attrs["axes"] else None
        if x is None:
            return False
        self.new[node.result] = self.b.sum(x, axes=node.attrs["axes"], keepdims=node.attrs["keepdims"]).value
        return True

    def matmul(self, node: Node) -> bool:
        """A product of stacked factors over all turns, in the other order."""
        if not node.attrs["transpose_a"] or node.attrs["transpose_b"]:
            return False
        makers = [self.producer(v) for v in node.operands]
        if any(n is None or n.op.name != "reshape" for n in makers):
            return False
        stacks = [n.operands[0] for n in makers if n is not None]
        if not all(_rows_merged(v, s) for v, s in zip(node.operands, stacks, strict=True)):
            return False
        straight = [self.straight(s) for s in stacks]
        if stacks[0].type.shape[:2] != stacks[1].type.shape[:2] or any(s is None for s in straight):
            return False
        flat = [self.b.reshape(s, shape=v.type.shape) for s, v in zip(straight, node.operands, strict=True)]
        self.new[node.result] = self.b.matmul(*flat, transpose_a=True).value
        return True

    def straight(self, value: Value) -> Expr | None:
        """The value without the reversal of its first axis, if there is one."""
        node = self.producer(value)
        if node is None:
            return None
        if _is_reversal(node):
            return Expr(self.b, node.operands[0])
        inner = self.straight(node.operands[0]) if _keeps_turns(node) else None
        if inner is None:
            return None
        made = self.b.node(node.op, [inner.value], node.attrs)
        return Expr(self.b, made.result)


RULES = {
    "scan": _Straightening.scan,
    "transpose": _Straightening.transpose,
    "reverse": _Straightening.reverse,
    "sum": _Straightening.sum,
    "matmul": _Straightening.matmul,
}


def _views_of(piece: Piece, form: ScanForm) -> list[Node]:
    """The views that make a piece of another value of the region, the last first; those that end with a
    reshape only turn nothing, and are left.
    """
    producers, chain = form.producers(), list[Node]()
    value = piece.output
    while (node := producers.get(value)) is not None and node.op.name in ("transpose", "reshape"):
        chain.append(node)
        value = node.operands[0]
    return chain if any(n.op.name == "transpose" for n in chain) else []


def _is_reversal(node: Node) -> bool:
    return node.op.name == "reverse" and tuple(node.attrs["axes"]) == (0,)


def _keeps_turns(node: Node) -> bool:
    """Whether a view leaves the first axis as it is."""
    if node.op.name == "transpose":
        return node.attrs["axes"][0] == 0
    shapes = [v.type.shape for v in (*node.operands, *node.results)]
    return node.op.name == "reshape" and all(shapes) and shapes[0][0] == shapes[1][0]


def _rows_merged(flat: Value, stack: Value) -> bool:
    """Whether a matrix has the rows of all turns one after the other."""
    shape, rows = stack.type.shape, flat.type.shape
    return len(shape) == 3 and len(rows) == 2 and rows == (shape[0] * shape[1], shape[2])


def _is_cut_of_columns(node: Node) -> bool:
    if node.op.name != "slice" or any(s != 1 for s in node.attrs["step"]):
        return False
    shape = node.operands[0].type.shape
    whole = zip(node.attrs["start"][:-1], node.attrs["stop"][:-1], shape[:-1], strict=True)
    return all(low == 0 and high == d for low, high, d in whole)
