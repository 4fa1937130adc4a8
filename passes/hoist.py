"""Work out of scans: what is the same in all turns; one large product instead of a small one in every turn.

    exp(w)                                         once, before the loop
    x_t @ w, where x_t is a slice of an array      one product of the whole array before the loop
    a result that is g_t @ w in each turn          one product of the stacked g_t after it
    total + transpose(x_t) @ g_t, carried on       one product over all turns after it

`w` is the same in all turns. The sum over all turns is taken in another order than turn by turn, so it may
differ in its last bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import product
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind
from graphc.passes.dce import can_fail, dce
from graphc.passes.manager import register
from graphc.passes.recall import is_cheap
from graphc.passes.rewrite import in_regions
from graphc.passes.scan_form import Carried, Piece, ScanForm, has_scans, with_nodes


@register("hoist")
def hoist(graph: Graph) -> Graph:
    """The graph with products taken out of its scans; the same object if there are none to take."""
    if not has_scans(graph):
        return graph
    b = Builder()
    for value in graph.values():
        b.fresh(value.name)
    new: dict[Value, Value] = {}
    changed = False
    for node in graph.nodes:
        if node.op.kind is Kind.CONTROL:
            regions = in_regions(node, hoist)
            if any(a is not b for a, b in zip(regions, node.regions)):
                node, changed = replace(node, regions=regions), True
        if node.op.name == "scan":
            taken = _Scan(b, node, new)
            if taken.run():
                changed = True
                continue
        b.nodes.append(node)
    return with_nodes(graph, b.nodes, new) if changed else graph


class _Scan:
    """One scan; what is taken out of it becomes nodes before and after it."""

    def __init__(self, b: Builder, node: Node, new: dict[Value, Value]) -> None:
        self.b, self.node, self.new = b, node, new
        self.form = ScanForm.of(node, b.fresh)
        self.constants = {c.parameter: c.operand for c in self.form.constants}

    def run(self) -> bool:
        """Add the nodes to the builder if there is anything to take out."""
        with self.b.at(self.node.location):
            before = self._invariant() | self._before()
            products = [self._product_of(p) for p in self.form.pieces]
            sums = self._without_new_stacks([self._terms(c) for c in self.form.carries], products)
            if not before and not any(sums) and not any(products):
                return False
            self._take(sums, products)
        return True

    # -- before the loop ------------------------------------------------------------------------------------
    def _invariant(self) -> bool:
        """Compute before the loop what is dear and made of constants; of what is cheap, what that needs."""
        form, known = self.form, dict(self.constants)
        outside: dict[Value, Node] = {}
        for n in form.nodes:
            if not can_fail(n) and all(v in known or v in outside for v in n.operands):
                outside.update(dict.fromkeys(n.results, n))
        found = {}
        for n in form.nodes:
            wanted = [r for r in n.results if outside.get(r) is n and not is_cheap(n)]
            for value in wanted:
                found[value] = form.constant(self._outside(value, outside, known))
        form.replace(found)
        self.constants = {c.parameter: c.operand for c in form.constants}
        return bool(found)

    def _outside(self, value: Value, nodes: dict[Value, Node], known: dict[Value, Value]) -> Value:
        """The value that a value of the region is around the loop."""
        if value not in known:
            n = nodes[value]
            operands = [self._outside(v, nodes, known) for v in n.operands]
            names = [r.name for r in n.results]
            made = self.b.node(n.op, operands, n.attrs, n.regions, names, location=n.location)
            known.update(zip(n.results, made.results, strict=True))
        return known[value]

    def _before(self) -> bool:
        slices = {x.parameter: x.operand for x in self.form.xs}
        taken = [
            n
            for n in self.form.nodes
            if n.op.name == "matmul" and n.operands[0] in slices and self._by_weight(n)
        ]
        for n in taken:
            whole, sums = self._with_constants(n, self._times(slices[n.operands[0]], n))
            slice_ = self.form.scanned(whole.value)
            self.form.replace({n.result: slice_} | {old: new or slice_ for old, new in sums.items()})
        return bool(taken)

    def _with_constants(self, n: Node, whole: Expr) -> tuple[Expr, dict[Value, Value | None]]:
        """The product of all turns with the constants that every turn adds to it, as (a + h_t @ u) + bias
        does; and what stands for the region's sums then: another sum, or (None) the product.
        """
        users, outputs = self.form.users(), self.form.outputs
        sums: dict[Value, Value | None] = {}
        value, now = n.result, None
        while len(users.get(value, [])) == 1 and value not in outputs:
            (above,) = users[value]
            if above.op.name != "add" or above.result.type != value.type or above.operands.count(value) != 1:
                break
            (other,) = (v for v in above.operands if v is not value)
            if other in self.constants:
                whole = whole + Expr(self.b, self.constants[other])
                sums[above.result] = now
            else:
                now = above.result
            value = above.result
        return whole, sums

    def _by_weight(self, n: Node) -> bool:
        """Whether a product's right operand is a matrix that is the same in all turns, and the left one is as
        it lies.
        """
        a, w = n.operands
        return w in self.constants and w.type.rank == 2 and a.type.rank >= 2 and not n.attrs["transpose_a"]

    def _times(self, array: Value, n: Node) -> Expr:
        whole: Expr = self.b.matmul(array, self.constants[n.operands[1]], transpose_b=n.attrs["transpose_b"])
        return whole

    # -- after the loop -------------------------------------------------------------------------------------
    def _product_of(self, piece: Piece) -> Node | None:
        """The product that a piece is, if nothing else reads it."""
        node = self.form.producers().get(piece.output)
        alone = piece.output not in self.form.users() and self.form.outputs.count(piece.output) == 1
        if node is None or node.op.name != "matmul" or not alone or not self._by_weight(node):
            return None
        return node

    def _terms(self, carry: Carried) -> list[Node]:
        """The products and folds that every turn adds to a carry, if it does nothing else with it."""
        users, producers = self.form.users(), self.form.producers()
        outputs = self.form.outputs
        if carry.parameter in outputs or len(users.get(carry.parameter, [])) != 1:
            return []
        terms: list[Node] = []
        todo, reads = [carry.output], 0
        while todo:
            value = todo.pop()
            if value is carry.parameter:
                reads += 1
                continue
            node = producers.get(value)
            shared = len(users.get(value, [])) != (value is not carry.output) or outputs.count(value) != (
                value is carry.output
            )
            if node is None or shared:
                return []
            if node.op.name == "add" and all(v.type == value.type for v in node.operands):
                todo += node.operands
            elif self._is_outer_product(node) or (node.op.name == "sum" and not node.attrs["keepdims"]):
                terms.append(node)
            else:
                return []
        return terms if reads == 1 else []

    def _without_new_stacks(
        self, sums: list[list[Node]], products: Sequence[Node | None]
    ) -> list[list[Node]]:
        """Sums that are worth it: a fold is, if what it folds is stacked anyway."""
        plain = [terms for terms in sums if all(n.op.name == "matmul" for n in terms)]
        stacked = {v for terms in plain for n in terms for v in n.operands}
        stacked |= {n.operands[0] for n in products if n is not None}
        stacked |= {p.output for p in self.form.pieces}
        return [
            terms if all(n.op.name == "matmul" or n.operands[0] in stacked for n in terms) else []
            for terms in sums
        ]

    def _is_outer_product(self, n: Node) -> bool:
        """Whether a node is transpose(x) @ g of two matrices that differ from turn to turn."""
        turned = n.op.name == "matmul" and n.attrs["transpose_a"] and not n.attrs["transpose_b"]
        return turned and all(v.type.rank == 2 and v not in self.constants for v in n.operands)

    def _take(self, sums: Sequence[list[Node]], products: Sequence[Node | None]) -> None:
        form = self.form
        summed = [(c, terms) for c, terms in zip(form.carries, sums) if terms]
        taken = [(p, n) for p, n in zip(form.pieces, products) if n is not None]
        form.carries = [c for c, terms in zip(form.carries, sums) if not terms]
        form.pieces = [p for p, n in zip(form.pieces, products) if n is None]
        stacks = {v: form.piece(v) for _, terms in summed for n in terms for v in n.operands}
        stacks |= {n.operands[0]: form.piece(n.operands[0]) for _, n in taken}
        node = form.build()
        self.b.nodes.append(replace(node, regions=(dce(node.regions[0]),)))
        for c, terms in summed:
            total = Expr(self.b, c.first)
            for n in reversed(terms):
                total = total + self._over_turns(n, stacks)
            self.new[c.result] = total.value
        for p, n in taken:
            self.new[p.result] = self._times(stacks[n.operands[0]], n).value

    def _over_turns(self, n: Node, stacks: dict[Value, Value]) -> Expr:
        if n.op.name == "sum":
            axes = (0, *(axis + 1 for axis in n.attrs["axes"]))
            folded: Expr = self.b.sum(stacks[n.operands[0]], axes=axes)
            return folded
        flat = []
        for v in n.operands:
            shape = v.type.shape
            rows = product((self.form.length, shape[0]))
            flat.append(self.b.reshape(stacks[v], shape=(rows, shape[1])))
        total: Expr = self.b.matmul(*flat, transpose_a=True)
        return total
