"""Loop nests -> Python source that a person can read, and that Numba compiles.

Kernels become plain nested loops over flat arrays, one statement per scalar instruction. Products call
`product`, which runs the same tiles as the default backend; what happens to finished tiles follows as loops.

    # softmax                                                          model.py:8 'probabilities'
    for r in range(B):
        top = np.float32(-np.inf)
        for j in range(10):
            x_1 = x[10*r + j]
            top = greater(x_1, top)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from keyword import iskeyword

from graphc.codegen import numba_folds as folds
from graphc.codegen.loops import (
    Axis,
    Check,
    Compute,
    Constant,
    Fold,
    Index,
    Instruction,
    Kernel,
    Load,
    Matrix,
    Nest,
    Offset,
    Product,
    Running,
    Stage,
    Store,
    Windows,
    grouped,
)
from graphc.codegen.numba_expressions import CUSTOM, expression
from graphc.ir.dims import Dim
from graphc.ir.types import I64, DType

HEADER = """\
import math

import numpy as np
from numba import njit

from graphc.codegen.numba_products import product, window_correlation, window_product
from graphc.codegen.numba_scalars import (
    beats_max,
    beats_min,
    float_quotient,
    float_rest,
    greater,
    integer_power,
    quotient,
    rest,
    shifted_left,
    shifted_right,
    smaller,
    unsigned_quotient,
    unsigned_rest,
)
"""

_RESERVED = {
    "np",
    "math",
    "njit",
    "product",
    "window_correlation",
    "window_product",
    "range",
    "abs",
    "bool",
    "max",
    "min",
    "None",
    "True",
    "False",
} | set(re.findall(r"^    (\w+),$", HEADER, re.MULTILINE))


class Names:
    """Python identifiers for names of the IR; no two names get the same one."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = _RESERVED | set(CUSTOM.values()) | set(taken)

    def new(self, name: str) -> str:
        """An identifier that reads like the name and is not taken yet.

        >>> names = Names()
        >>> names.new("add.1"), names.new("add_1"), names.new("lambda")
        ('add_1', 'add_1_2', 'lambda_')
        """
        base = re.sub(r"\W", "_", name) or "value"
        base = f"v{base}" if base[0].isdigit() else base
        base = f"{base}_" if iskeyword(base) else base
        unique, count = base, 2
        while unique in self._taken:
            unique, count = f"{base}_{count}", count + 1
        self._taken.add(unique)
        return unique


@dataclass
class Writer:
    """Lines of one function, with their depth, and what each name of the loop-nest form is called there.

    `failure` gives the value that the function returns for a kernel's status. `before` collects the lines
    that take memory, where they shall not stand in a loop.
    """

    names: Names
    buffers: Mapping[str, str]
    failure: int = 0
    lines: list[str] = field(default_factory=list)
    depth: int = 1
    scalars: dict[str, str] = field(default_factory=dict)
    types: dict[str, DType] = field(default_factory=dict)
    totals: dict[str, str] = field(default_factory=dict)
    axes: dict[str, str] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    long: bool = False
    before: list[str] | None = None

    def put(self, text: str) -> None:
        """A line at the present depth."""
        self.lines.append("    " * self.depth + text)

    def put_all(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.put(line)

    def name(self, scalar: str) -> str:
        """The identifier of a scalar or an axis; a new one at its first use."""
        if scalar not in self.scalars:
            self.scalars[scalar] = self.names.new(scalar)
        return self.scalars[scalar]

    def axis(self, name: str) -> str:
        """The identifier of a loop's count; loops that follow one another share it."""
        if name not in self.axes:
            self.axes[name] = self.names.new(name)
        return self.axes[name]

    def offset(self, offset: Offset) -> str:
        """The expression for an element's position."""
        terms = [_times(stride, self.name(variable)) for variable, stride in offset.terms]
        if offset.constant != 0 or not terms:
            terms.append(str(offset.constant) if not terms else grouped(offset.constant))
        return " + ".join(terms)

    def element(self, buffer: str, offset: Offset) -> str:
        """The expression for an element of a buffer."""
        return f"{self.buffers[buffer]}[{self.offset(offset)}]"

    # -- parts ----------------------------------------------------------------------------------------
    def kernel(self, kernel: Kernel) -> None:
        """All parts of a kernel, in order."""
        self.buffers = dict(self.buffers)
        for t in kernel.temporaries:
            text = f"{self.local(t.name)} = np.empty({t.extent}, np.{t.dtype.numpy})"
            self.put(text) if self.before is None else self.before.append(text)
        for table in kernel.tables:
            values = ", ".join(folds.number(v, table.dtype) for v in table.values)
            self.tables.append(f"{self.local(table.name)} = np.array([{values}], np.{table.dtype.numpy})")
        for part in kernel.parts:
            self.scalars, self.types = {}, {}
            if isinstance(part, Nest):
                self.nest(part)
            else:
                self.product(part)

    def local(self, name: str) -> str:
        """The identifier of a buffer that only this kernel knows."""
        self.buffers = {**self.buffers, name: self.names.new(name)}
        return self.buffers[name]

    def nest(self, nest: Nest) -> None:
        """Stages inside their shared outer loops."""
        self.body(nest.start)
        depth = self.depth
        self.loops(nest.outer)
        for stage in nest.stages:
            self.stage(stage)
        self.depth = depth

    def loops(self, axes: Sequence[Axis]) -> None:
        for axis in axes:
            name = self.scalars[axis.name] = self.axis(axis.name)
            self.put(f"for {name} in range({self._length(axis)}):")
            self.depth += 1

    def _length(self, axis: Axis) -> str:
        if axis.piece is None:
            return str(axis.extent)
        number, total = axis.piece
        return f"min({axis.extent}, {total} - {grouped(axis.extent)}*{self.scalars[number]})"

    def stage(self, stage: Stage) -> None:
        """Start values of the folds, the loops, and what follows them."""
        depth = self.depth
        found = [i for i in stage.body if isinstance(i, (Fold, Running))]
        self.long = not _is_short(stage.axes)
        for f in found:
            self.start_fold(f, stage)
        self.loops(stage.axes)
        self.body(stage.body)
        self.depth = depth
        for f in found:
            if isinstance(f, Fold):
                self.put_all(folds.finish(f.kind, self.totals[f.result], f.dtype, self.long))
                self.scalars[f.result] = folds.result(f.kind, self.totals[f.result], f.dtype)
        self.body(stage.finish)

    def product(self, p: Product) -> None:
        """The product itself by the tile library, then the loops over its finished elements."""
        depth = self.depth
        self.loops(p.batch)
        self.body(p.start)
        b, c, first, length = self.matrix(p.b), self.matrix(p.c), "0", str(p.k)
        if p.piece is not None:
            first = f"{grouped(p.piece)}*{self.scalars[p.batch[0].name]}"
            length = f"min({p.piece}, {p.k} - {first})"
        alpha = "1" if p.alpha is None else self.name(p.alpha)
        limit = "None" if p.floor is None else folds.literal(p.floor, p.dtype)
        init = "None" if p.init is None else self.matrix(p.init)
        rest = f"{b}, {c}, {init}, ({p.m}, {p.n}, {length}), {alpha}, {limit}"
        if isinstance(p.a, Matrix):
            self.put(f"product({self.matrix(p.a)}, {rest})")
        elif p.a.transposed:
            self.put(f"window_correlation({self.windows(p.a)}, {rest}, {first})")
        else:
            self.put(f"window_product({self.windows(p.a)}, {rest}, {p.a.tap})")
        if p.tile is not None:
            self.nest(p.tile)
        self.depth = depth

    def windows(self, w: Windows) -> str:
        numbers = ", ".join(map(str, w.geometry))
        return f"({self.buffers[w.buffer]}, {self.offset(w.offset)}, ({numbers}))"

    def matrix(self, m: Matrix) -> str:
        return f"({self.buffers[m.buffer]}, {self.offset(m.offset)}, {m.row}, {m.column})"

    # -- instructions ---------------------------------------------------------------------------------
    def body(self, instructions: Sequence[Instruction]) -> None:
        for i in instructions:
            self.instruction(i)

    def define(self, scalar: str, dtype: DType, text: str) -> None:
        self.types[scalar] = dtype
        self.put(f"{self.name(scalar)} = {text}")

    def instruction(self, i: Instruction) -> None:
        """The statements for one instruction."""
        match i:
            case Constant():
                self.define(i.result, i.dtype, folds.literal(i.value, i.dtype))
            case Index():
                self.scalars[i.result], self.types[i.result] = self.name(i.axis), I64
            case Load():
                text = self.element(i.buffer, i.offset)
                guard = "" if i.when is None else f" if {self.name(i.when)} else {self.name(i.fill or '')}"
                self.define(i.result, i.dtype, text + guard)
            case Compute():
                self.define(i.result, i.dtype, expression(i.op, i.dtype, [self.name(a) for a in i.args]))
            case Fold():
                self.fold(i)
            case Running():
                self.running(i)
            case Store():
                text = f"{self.element(i.buffer, i.offset)} = {self.name(i.value)}"
                self.put(text if i.when is None else f"if {self.name(i.when)}:")
                self.put_all([] if i.when is None else [f"    {text}"])
            case Check():
                self.put(f"if not {self.name(i.condition)}:")
                self.put(f"    return {self.failure + i.code}")

    def start_fold(self, f: Fold | Running, stage: Stage) -> None:
        total = self.totals[f.result] = self.names.new(
            f.result if isinstance(f, Fold) else f"{f.result}_so_far"
        )
        running = isinstance(f, Running)
        types = {i.result: i.dtype for i in stage.body if isinstance(i, (Constant, Load, Compute))}
        value_type = types.get(f.value) or self.types.get(f.value, f.dtype)
        self.types[f.value] = value_type
        self.put_all(folds.start(f.kind, total, f.dtype, value_type, self.long and not running))

    def fold(self, f: Fold) -> None:
        total, value = self.totals[f.result], self.name(f.value)
        self.put_all(folds.step(f.kind, total, f.dtype, value, self.types[f.value], self.long))

    def running(self, f: Running) -> None:
        total, value = self.totals[f.result], self.name(f.value)
        current = f"np.{f.dtype.numpy}({total})" if f.dtype.is_floating else total
        if f.exclusive:
            self.define(f.result, f.dtype, current)
        self.put_all(folds.step(f.kind, total, f.dtype, value, self.types[f.value], False))
        if not f.exclusive:
            self.define(f.result, f.dtype, current)


def _is_short(axes: Sequence[Axis]) -> bool:
    count: Dim = 1
    for axis in axes:
        count = count * axis.extent
    return isinstance(count, int) and count <= folds.BLOCK


def _times(stride: Dim, variable: str) -> str:
    return variable if stride == 1 else f"{grouped(stride)}*{variable}"


def kernel_source(kernel: Kernel, symbols: Sequence[str], note: str = "") -> str:
    """One kernel as a function of its flat buffers and of the sizes; it returns the kernel's status."""
    function = Names().new(kernel.name)
    names = Names((*symbols, function))
    buffers = {b.name: names.new(b.name) for b in kernel.buffers}
    writer = Writer(names, buffers)
    writer.kernel(kernel)
    head = [
        *writer.tables,
        '@njit(error_model="numpy", nogil=True)',
        f"def {function}({', '.join([*buffers.values(), *symbols])}):",
        *([f"    # {note}"] if note else []),
    ]
    return "\n".join([*head, *writer.lines, "    return 0"]) + "\n"
