"""Products whose left operand is the windows of images: what is multiplied, and where the result goes.

Groups of channels are a batch of products; a value with one spatial axis has images of height 1.
"""

from __future__ import annotations

from graphc.codegen.index_maps import ZERO, Indices, combine, variable
from graphc.codegen.loops import Matrix, Offset, Windows
from graphc.codegen.scalar import START
from graphc.codegen.values import Values
from graphc.codegen.view_rules import split
from graphc.ir import Node, Value
from graphc.ir.dims import Dim, Shape, product
from graphc.ir.errors import CompileError


def _pair(entries: Shape, missing: Dim) -> tuple[Dim, Dim]:
    """The entries of two axes; the first one may be missing."""
    return (entries[0], entries[1]) if len(entries) == 2 else (missing, entries[0])


class WindowOperands:
    """The operands of a `window_product` or a `window_correlation`; the members are those of the operands of
    a matrix product.
    """

    flat = False

    def __init__(self, values: Values, node: Node) -> None:
        self.values, self.node = values, node
        x, other = node.operands
        if x not in values.buffers or other not in values.buffers:
            raise CompileError(f"an operand of %{node.result.name} is not in memory")
        self.shape: Shape = node.result.type.shape
        self.groups: int = node.attrs["groups"]
        self.group = values.axis("group", self.groups, START)
        self.batch: Indices = (self.group,) if self.groups > 1 else ()
        self.m: Dim = product(self.shape[:-1])
        self.n: Dim = self.shape[-1] // self.groups
        # The channels of one group.
        self.channels: Dim = x.type.shape[-1] // self.groups
        taps = product(node.attrs["size"])
        if node.op.name == "window_correlation":
            self.k: Dim = product(other.type.shape[:-1])
            self.a = self._windows(x, other.type.shape[1:-1], transposed=True)
            self.b = self._strided(values.buffers[other], other.type.shape)
        else:
            self.k = taps * self.channels
            self.a, self.b = self._multiplied(x, other, taps)

    def _multiplied(self, x: Value, kernel: Value, taps: Dim) -> tuple[Windows, Matrix]:
        out, buffer = self.node.attrs["out"], self.values.buffers[kernel]
        rows, columns = kernel.type.shape[-2:]
        tap = rows * columns
        if self.node.attrs["turned"]:
            last = combine([(self._at(self.channels), 1)], (taps - 1) * tap)
            return self._windows(x, out, tap=-tap), Matrix(buffer, last, 1, columns)
        return self._windows(x, out, tap=tap), Matrix(buffer, self._at(self.n), columns, 1)

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(i.terms[0][0] for i in self.batch)

    def _at(self, each: Dim) -> Offset:
        """Where the group begins, if one has so many elements."""
        return combine([(self.group, each)])

    def _windows(self, x: Value, out: Shape, tap: Dim = 0, transposed: bool = False) -> Windows:
        attrs, shape, buffer = self.node.attrs, x.type.shape, self.values.buffers[x]
        return Windows(
            buffer,
            combine([(self.values.first(buffer), 1), (self.group, self.channels)]),
            _pair(shape[1:-1], 1),
            _pair(out, 1),
            _pair(attrs["size"], 1),
            _pair(attrs["strides"], 1),
            _pair(attrs["low"], 0),
            _pair(attrs["dilation"], 1),
            self.channels,
            self.values.strides(buffer, shape)[-2],
            tap,
            transposed,
        )

    def _strided(self, buffer: str, shape: Shape) -> Matrix:
        """The group's columns of a value with a row per pixel."""
        start = combine([(self.values.first(buffer), 1), (self.group, self.n)])
        return Matrix(buffer, start, self.values.strides(buffer, shape)[-2], 1)

    def indices(self, row: str, column: str) -> Indices:
        """The place of an element of the product in its result."""
        outer = split(self.values, variable(row) if self.m != 1 else ZERO, self.shape[:-1])
        inner = variable(column) if self.n != 1 else ZERO
        return (*outer, combine([(self.group, self.n), (inner, 1)]))

    def row(self, buffer: str) -> Matrix:
        """A buffer of a value per column, as a matrix of equal rows."""
        return Matrix(buffer, self._at(self.n), 0, 1)

    def whole(self, buffer: str) -> Matrix:
        """A buffer of the shape of the result, as a matrix."""
        return self._strided(buffer, self.shape)
