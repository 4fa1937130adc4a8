"""Outputs behind a matrix product: what the product's own formula can do, and a nest over finished tiles for
the rest.

c = max(init + alpha * a @ b, floor)       a bias, a residual, relu, and an update in place are part of the
formula
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphc.codegen import index_maps
from graphc.codegen.index_maps import ZERO, Indices, combine, variable
from graphc.codegen.loops import Fold, Matrix, Nest, Offset, Product, Stage, Store, Temporary
from graphc.codegen.lower_map import Outputs
from graphc.codegen.lower_windows import WindowOperands
from graphc.codegen.scalar import BODY, OUTER, START, Scalar
from graphc.codegen.values import Guard, Values
from graphc.codegen.view_rules import split
from graphc.ir import Node, Value
from graphc.ir.dims import Dim, Shape, product
from graphc.ir.errors import CompileError


def lower_product(
    values: Values, node: Node, outputs: Outputs, in_place: Mapping[str, str] | None
) -> Product | Nest:
    """A product, with everything that follows it element by element."""
    if not node.result.type.dtype.is_floating:
        return _integer_product(values, node, outputs)
    operands = _Operands(values, node) if node.op.name == "matmul" else WindowOperands(values, node)
    if len(outputs) == 1:
        formula = _match(values, node, outputs[0][1])
        each = formula is not None and formula.init is not None and not formula.whole
        if formula is not None and not (operands.flat and each):
            return _by_formula(values, operands, outputs[0][0], formula)
    return _Tile(values, operands, outputs, in_place).product()


class _Operands:
    """The matrices of a product, the axes of its batch, and what its rows are."""

    def __init__(self, values: Values, node: Node) -> None:
        self.values, self.node = values, node
        a, b = node.operands
        if a not in values.buffers or b not in values.buffers:
            raise CompileError(f"an operand of %{node.result.name} is not in memory")
        self.shape: Shape = node.result.type.shape
        self.turned = bool(node.attrs["transpose_a"]), bool(node.attrs["transpose_b"])
        self.k: Dim = a.type.shape[-2 if self.turned[0] else -1]
        self.n: Dim = self.shape[-1]
        stacked = not self.turned[0] and all(d == 1 for d in b.type.shape[:-2])
        if stacked and a.type.shape[:-2] == self.shape[:-2]:
            self.batch: Indices = ()
            self.m = product(self.shape[:-1])
        else:
            self.batch = tuple(values.axis(f"b{i}", d, START) for i, d in enumerate(self.shape[:-2]))
            self.m = self.shape[-2]
        self.a, self.b = (self._matrix(x, turn) for x, turn in zip((a, b), self.turned))
        # One column, where A lies by columns: as one row, which is vectors to the product and its tile.
        self.flat = self.n == 1 and self.m != 1 and self.turned[0] and len(self.shape) == 2
        if self.flat:
            self.m, self.n = self.n, self.m
            self.a, self.b = _transposed(self.b), _transposed(self.a)

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(i.terms[0][0] for i in self.batch if i.terms)

    def _matrix(self, x: Value, turned: bool) -> Matrix:
        shape, buffer = x.type.shape, self.values.buffers[x]
        strides, offset = self.values.strides(buffer, shape), self.values.first(buffer)
        row, column = (1, strides[-2]) if turned else (strides[-2], 1)
        if self.batch:
            outer = index_maps.broadcast(self.batch, shape[:-2])
            outside = [(i, s) for i, s, d in zip(outer, strides, shape[:-2]) if d != 1]
            offset = combine([(offset, 1), *outside])
        return Matrix(buffer, offset, row, column)

    def indices(self, row: str, column: str) -> Indices:
        """The place of an element of the product in its result."""
        if self.flat:
            return (variable(column), ZERO)
        outer: Indices = (variable(row) if self.m != 1 else ZERO,)
        if len(self.shape) > 2 and not self.batch:
            outer = split(self.values, outer[0], self.shape[:-1])
        return (*self.batch, *outer, variable(column) if self.n != 1 else ZERO)

    def row(self, buffer: str) -> Matrix:
        """A buffer of a value per column, as a matrix of equal rows."""
        return Matrix(buffer, ZERO, 0, 1)

    def whole(self, buffer: str) -> Matrix:
        """A buffer of the shape of the result, as a matrix."""
        strides = self.values.strides(buffer, self.shape)
        outside = [(i, s) for i, s, d in zip(self.batch, strides, self.shape) if d != 1]
        row = self.n if self.flat else strides[-2]
        return Matrix(buffer, combine([(self.values.first(buffer), 1), *outside]), row, 1)


def _transposed(x: Matrix) -> Matrix:
    return Matrix(x.buffer, x.offset, x.column, x.row)


AnyOperands = _Operands | WindowOperands


# -- by the formula ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Formula:
    init: Value | None = None
    whole: bool = False
    rate: Value | None = None
    minus: bool = False
    floor: float | None = None


def _match(values: Values, node: Node, value: Value) -> _Formula | None:
    """The formula that an output is, if it is one."""
    floor: float | None = None
    above = values.region.producers.get(value)
    if above is not None and above.op.name == "relu":
        floor, value = 0.0, above.operands[0]
    inner = _match_sum(values, node, value)
    return None if inner is None else _Formula(inner.init, inner.whole, inner.rate, inner.minus, floor)


def _match_sum(values: Values, node: Node, value: Value) -> _Formula | None:
    if value is node.result:
        return _Formula()
    above = values.region.producers.get(value)
    if above is None:
        return None
    if above.op.name == "add" and node.result in above.operands:
        other = above.operands[1 if above.operands[0] is node.result else 0]
        return _with_init(values, node, other)
    if above.op.name == "subtract":
        scaled = _scaled(values, node, above.operands[1])
        inner = _with_init(values, node, above.operands[0])
        if scaled is not None and inner is not None:
            return _Formula(inner.init, inner.whole, scaled.rate, True)
    return None


def _with_init(values: Values, node: Node, x: Value) -> _Formula | None:
    """The formula with x as `init`: a row, or a whole matrix, in memory."""
    while x not in values.buffers:
        above = values.region.producers.get(x)
        if above is None or above.op.name != "broadcast":
            return None
        (x,) = above.operands
    shape = x.type.shape
    if shape == node.result.type.shape:
        return _Formula(x, True)
    if shape and shape[-1] == node.result.type.shape[-1] and all(d == 1 for d in shape[:-1]):
        return _Formula(x, False)
    return None


def _scaled(values: Values, node: Node, x: Value) -> _Formula | None:
    """The product times one number."""
    if x is node.result:
        return _Formula()
    above = values.region.producers.get(x)
    if above is None or above.op.name != "multiply" or node.result not in above.operands:
        return None
    rate = above.operands[1 if above.operands[0] is node.result else 0]
    return _Formula(rate=rate) if all(d == 1 for d in rate.type.shape) and rate is not node.result else None


def _by_formula(values: Values, o: AnyOperands, buffer: str, formula: _Formula) -> Product:
    init: Matrix | None = None
    if formula.init is not None:
        name = values.buffers[formula.init]
        init = o.whole(name) if formula.whole else o.row(name)
    alpha: Scalar | None = None
    if formula.rate is not None:
        alpha = values.at(formula.rate, (ZERO,) * formula.rate.type.rank)
    elif formula.minus:
        alpha = values.scalars.constant(1, o.node.result.type.dtype)
    if alpha is not None and formula.minus:
        alpha = -alpha
    return Product(
        o.node.result.type.dtype,
        o.a,
        o.b,
        o.whole(buffer),
        o.m,
        o.n,
        o.k,
        tuple(values.loop(name) for name in o.axes),
        init,
        alpha.name if alpha is not None else None,
        formula.floor,
        tuple(values.scalars.code[START]),
    )


# -- by a nest over finished tiles ---------------------------------------------------------------------------


class _Tile:
    """A product into memory of its own kind, and a nest that reads it and writes the outputs."""

    def __init__(
        self, values: Values, o: AnyOperands, outputs: Outputs, in_place: Mapping[str, str] | None
    ) -> None:
        self.values, self.o, self.outputs, self.in_place = values, o, outputs, in_place
        scalars = values.scalars
        self.row, self.column = (scalars.axis(n, OUTER) for n in ("row", "column"))
        values.extents |= {self.row: o.m, self.column: o.n}
        self.read: set[Value] = set()

    def product(self) -> Product:
        o, values = self.o, self.values
        dtype = o.node.result.type.dtype
        c, accumulator = self._target(dtype)
        here = combine([(c.offset, 1), (variable(self.row), c.row), (variable(self.column), 1)])
        result = values.scalars.load(c.buffer, dtype, here)
        indices = self._indices()
        values.known[o.node.result] = (indices, result)
        values.hook = self._same_place
        for buffer, value in self.outputs:
            element = values.at(value, indices)
            store = Store(buffer, self._place(buffer), element.name)
            values.scalars.code[OUTER].append(store)
        values.hook = None
        start, body, _ = values.scalars.code
        outer = (values.loop(self.row), values.loop(self.column))
        tile = Nest(outer, (Stage((), tuple(body)),), self.column)
        axes = tuple(values.loop(name) for name in o.axes)
        return Product(
            dtype, o.a, o.b, c, o.m, o.n, o.k, axes, start=tuple(start), tile=tile, accumulator=accumulator
        )

    def _indices(self) -> Indices:
        return self.o.indices(self.row, self.column)

    def _place(self, buffer: str) -> Offset:
        """The place of the element in an array of the result's shape."""
        c = self.o.whole(buffer)
        return combine([(c.offset, 1), (variable(self.row), c.row), (variable(self.column), 1)])

    def _same_place(self, value: Value, indices: Indices, guard: Guard) -> Scalar | None:
        if value not in self.values.buffers or value.type.shape != self.o.shape or guard is not None:
            return None
        if indices != self._indices():
            return None
        buffer = self.values.buffers[value]
        return self.values.scalars.load(buffer, value.type.dtype, self._place(buffer))

    def _target(self, dtype: object) -> tuple[Matrix, Temporary | None]:
        """Where the product goes: to an output that is not the memory of anything read later, else to a
        temporary.
        """
        used = self._memory_read()
        for buffer, value in self.outputs:
            if value.type == self.o.node.result.type and not self._may_overlap(buffer, value, used):
                return self.o.whole(buffer), None
        name = self.values.scalars.fresh("product")
        temporary = Temporary(name, self.o.node.result.type.dtype, self.o.m * self.o.n)
        return Matrix(name, ZERO, self.o.n, 1), temporary

    def _may_overlap(self, buffer: str, value: Value, used: set[Value]) -> bool:
        names = {self.values.buffers[v] for v in used}
        if self.in_place is not None:
            return self.in_place.get(buffer) in names
        return any(v.type == value.type for v in used) or buffer in names

    def _memory_read(self) -> set[Value]:
        """The region's inputs that the tile reads."""
        found: set[Value] = set()
        seen: set[Value] = set()
        todo = [v for _, v in self.outputs]
        while todo:
            value = todo.pop()
            if value in seen or value is self.o.node.result:
                continue
            seen.add(value)
            if value in self.values.buffers:
                found.add(value)
            node = self.values.region.producers.get(value)
            todo += node.operands if node is not None else ()
        return found


# -- integers ------------------------------------------------------------------------------------------------


def _integer_product(values: Values, node: Node, outputs: Outputs) -> Nest:
    """A nest of plain loops: columns are the lane, k the stage."""
    shape = node.result.type.shape
    a, b = node.operands
    indices = tuple(values.axis(f"i{axis}", d, OUTER) for axis, d in enumerate(shape))
    inner = values.axis("k", a.type.shape[-2 if node.attrs["transpose_a"] else -1], BODY)
    left, right = (indices[-2], inner), (inner, indices[-1])
    left = left[::-1] if node.attrs["transpose_a"] else left
    right = right[::-1] if node.attrs["transpose_b"] else right
    factors = [
        values.at(x, index_maps.broadcast((*indices[:-2], *place), x.type.shape))
        for x, place in ((a, left), (b, right))
    ]
    scalars = values.scalars
    dtype = node.result.type.dtype
    term = scalars.primitive("multiply", dtype, *factors)
    fold = scalars.named(scalars.fresh("sum"), dtype, OUTER)
    scalars.code[BODY].append(Fold(fold.name, dtype, "sum", term.name))
    body = tuple(scalars.code[BODY])
    before = tuple(scalars.code[OUTER])
    scalars.code[OUTER].clear()
    values.forget()
    values.known[node.result] = (indices, fold)
    for buffer, value in outputs:
        element = values.at(value, indices)
        scalars.code[OUTER].append(Store(buffer, values.place(buffer, indices, shape), element.name))
    axes = tuple(values.loop(i.terms[0][0]) for i in indices if i.terms)
    loops = (values.loop(inner.terms[0][0]),) if inner.terms else ()
    stages = ([Stage((), before)] if before else []) + [Stage(loops, body, tuple(scalars.code[OUTER]))]
    return Nest(axes, tuple(stages), axes[-1].name if axes else None, start=tuple(scalars.code[START]))
