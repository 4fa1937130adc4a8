"""The meaning of the loop-nest form, as a slow program: one NumPy scalar at a time, in order.

    interpret(kernel, {"x": x, "y": y}, {"B": 4})        # writes y; gives the status

Sums and products of floats are folded in extended precision, so that an emitter's order of summation has
something to be measured against.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    Store,
    Temporary,
    Windows,
)
from graphc.ir import DType, get_op
from graphc.ir.dims import Dim, Size, evaluate

Scalars = dict[str, Any]


class _Failed(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


def interpret(kernel: Kernel, buffers: Mapping[str, np.ndarray], sizes: Mapping[str, int]) -> int:
    """Run a kernel on flat arrays, by the names of its buffers, and give its status.

    `sizes` has the value of each symbol. A load or store outside its buffer raises IndexError.
    """
    machine = _Machine({name: array.reshape(-1) for name, array in buffers.items()}, sizes)
    for table in kernel.tables:
        machine.arrays[table.name] = np.array(table.values, table.dtype.numpy)
    for temporary in kernel.temporaries:
        machine.allocate(temporary)
    try:
        with np.errstate(all="ignore"):
            for part in kernel.parts:
                if isinstance(part, Nest):
                    machine.nest(part, {})
                else:
                    machine.product(part, {})
    except _Failed as failure:
        return failure.code
    return 0


@dataclass(frozen=True)
class _Machine:
    arrays: dict[str, np.ndarray]
    sizes: Mapping[str, int]

    def allocate(self, temporary: Temporary) -> None:
        self.arrays[temporary.name] = np.zeros(self.size(temporary.extent), temporary.dtype.numpy)

    def size(self, d: Dim) -> int:
        return evaluate(d, self.sizes)

    def turns(self, axes: Sequence[Axis], around: Scalars | None = None) -> Iterator[Scalars]:
        for counts in itertools.product(*(range(self.length(a, around or {})) for a in axes)):
            yield dict(zip((a.name for a in axes), counts))

    def length(self, axis: Axis, around: Scalars) -> int:
        whole = self.size(axis.extent)
        if axis.piece is None:
            return whole
        number, total = axis.piece
        return min(whole, self.size(total) - whole * int(around[number]))

    def element(self, buffer: str, offset: Offset, scalars: Scalars) -> int:
        at = self.size(offset.constant) + sum(int(scalars[v]) * self.size(d) for v, d in offset.terms)
        if not 0 <= at < self.arrays[buffer].size:
            raise IndexError(f"%{buffer}[{offset}] is element {at} of {self.arrays[buffer].size}")
        return at

    def nest(self, nest: Nest, scalars: Scalars) -> None:
        scalars = dict(scalars)
        for instruction in nest.start:
            self.step(instruction, scalars, {})
        for turn in self.turns(nest.outer):
            local = scalars | turn
            for stage in nest.stages:
                self.stage(stage.axes, stage.body, stage.finish, local)

    def stage(
        self, axes: Sequence[Axis], body: Sequence[Instruction], finish: Sequence[Instruction], local: Scalars
    ) -> None:
        folded: dict[str, list[Any]] = {i.result: [] for i in body if isinstance(i, (Fold, Running))}
        for turn in self.turns(axes, local):
            inner = local | turn
            for instruction in body:
                self.step(instruction, inner, folded)
            if not axes:
                local.update(inner)  # without loops the body's scalars stay visible
        for instruction in body:
            if isinstance(instruction, Fold):
                local[instruction.result] = fold(
                    instruction.kind, folded[instruction.result], instruction.dtype
                )
        for instruction in finish:
            self.step(instruction, local, folded)

    def step(self, i: Instruction, scalars: Scalars, folded: dict[str, list[Any]]) -> None:
        match i:
            case Constant():
                number = self.size(i.value) if isinstance(i.value, Size) else i.value
                scalars[i.result] = np.asarray(number).astype(i.dtype.numpy)[()]
            case Index():
                scalars[i.result] = np.int64(scalars[i.axis])
            case Load():
                scalars[i.result] = self.load(i, scalars)
            case Compute():
                scalars[i.result] = compute(i.op, i.dtype, [scalars[a] for a in i.args])
            case Fold():
                folded[i.result].append(scalars[i.value])
            case Running():
                before = folded[i.result][-1] if folded[i.result] else fold(i.kind, [], i.dtype)
                after = compute(_STEP[i.kind], i.dtype, [before, scalars[i.value]])
                folded[i.result].append(after)
                scalars[i.result] = before if i.exclusive else after
            case Store():
                if i.when is None or scalars[i.when]:
                    self.arrays[i.buffer][self.element(i.buffer, i.offset, scalars)] = scalars[i.value]
            case Check():
                if not scalars[i.condition]:
                    raise _Failed(i.code)

    def load(self, i: Load, scalars: Scalars) -> Any:
        if i.when is not None and not scalars[i.when]:
            return scalars[i.fill or ""]
        return self.arrays[i.buffer][self.element(i.buffer, i.offset, scalars)]

    def product(self, p: Product, scalars: Scalars) -> None:
        wide = np.longdouble if p.dtype.is_floating else p.dtype.numpy
        m, n, k = self.size(p.m), self.size(p.n), self.size(p.k)
        for turn in self.turns(p.batch):
            local = scalars | turn
            for instruction in p.start:
                self.step(instruction, local, {})
            first, most = self.piece(p, local)
            terms = min(k - first, most)
            a, b = (x.astype(wide) for x in (self.left(p, m, terms, local), self.right(p, terms, n, local)))
            result = (a[:, :, None] * b).sum(1) * (1 if p.alpha is None else local[p.alpha])
            if p.init is not None:
                result = self.matrix(p.init, m, n, local) + result
            if p.floor is not None:
                result = np.maximum(result, p.floor)
            for (row, column), x in np.ndenumerate(result.astype(p.dtype.numpy)):
                offset = self.element(p.c.buffer, p.c.offset, local)
                self.arrays[p.c.buffer][offset + row * self.size(p.c.row) + column] = x
            if p.tile is not None:
                self.nest(p.tile, local)

    def piece(self, p: Product, scalars: Scalars) -> tuple[int, int]:
        """Where a piece of k begins, and how long it is at most."""
        length = self.size(p.k if p.piece is None else p.piece)
        return (0 if p.piece is None else length * int(scalars[p.batch[0].name])), length

    def left(self, p: Product, rows: int, columns: int, scalars: Scalars) -> np.ndarray:
        if isinstance(p.a, Matrix):
            return self.matrix(p.a, rows, columns, scalars)
        first, _ = self.piece(p, scalars)
        windows = self.windows(p.a, first + (columns if p.a.transposed else rows), scalars)[first:]
        return windows.T if p.a.transposed else windows

    def windows(self, x: Windows, count: int, scalars: Scalars) -> np.ndarray:
        """One row for each window."""
        height, width, out_height, out_width, *places, channels, pixel = map(self.size, x.geometry)
        high, wide, stride_y, stride_x, low_y, low_x, dilation_y, dilation_x = places
        window, tap = np.arange(count)[:, None], np.arange(high * wide)
        row = window // out_width % out_height * stride_y + tap // wide * dilation_y - low_y
        column = window % out_width * stride_x + tap % wide * dilation_x - low_x
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        at = ((window // out_width // out_height * height + row) * width + column) * pixel
        at = np.where(inside, at, 0)[..., None] + np.arange(channels)
        array = self.arrays[x.buffer]
        if not at.size or not inside.any():
            return np.zeros((count, high * wide * channels), array.dtype)
        found = array[self.element(x.buffer, x.offset, scalars) + at]
        return np.where(inside[..., None], found, 0).reshape(count, -1)

    def right(self, p: Product, rows: int, columns: int, scalars: Scalars) -> np.ndarray:
        if isinstance(p.a, Matrix) or p.a.transposed or not rows:
            return self.matrix(p.b, rows, columns, scalars)
        channels, tap = self.size(p.a.channels), self.size(p.a.tap)
        at = self.element(p.b.buffer, p.b.offset, scalars)
        row, column = np.ogrid[:rows, :columns]
        at = at + row // channels * tap + row % channels * self.size(p.b.row)
        return self.arrays[p.b.buffer][at + column * self.size(p.b.column)]

    def matrix(self, x: Matrix, rows: int, columns: int, scalars: Scalars) -> np.ndarray:
        array = self.arrays[x.buffer]
        if rows * columns == 0:
            return np.empty((rows, columns), array.dtype)
        at = self.element(x.buffer, x.offset, scalars)
        row, column = np.ogrid[:rows, :columns]
        return array[at + row * self.size(x.row) + column * self.size(x.column)]


def compute(op: str, dtype: DType, args: Sequence[Any]) -> Any:
    """One primitive op of NumPy scalars."""
    if op == "index_divide":
        return args[0] // args[1]
    if op == "index_remainder":
        return args[0] % args[1]
    arrays = [np.asarray(a) for a in args]
    attrs = {"dtype": dtype} if op == "cast" else {}
    return np.asarray(get_op(op).evaluate(*arrays, **attrs)).astype(dtype.numpy)[()]


def _lowest(dtype: DType) -> Any:
    return -np.inf if dtype.is_floating else False if dtype.kind == "b" else np.iinfo(dtype.numpy).min


def _highest(dtype: DType) -> Any:
    return np.inf if dtype.is_floating else True if dtype.kind == "b" else np.iinfo(dtype.numpy).max


def _widened(function: Callable[..., Any]) -> Callable[[np.ndarray, DType], Any]:
    return lambda x, dtype: function(x, dtype=np.longdouble if dtype.is_floating else dtype.numpy)


_FOLDS: dict[str, Callable[[np.ndarray, DType], Any]] = {
    "sum": _widened(np.sum),
    "prod": _widened(np.prod),
    "max": lambda x, dtype: np.max(x, initial=_lowest(dtype)),
    "min": lambda x, dtype: np.min(x, initial=_highest(dtype)),
    "any": lambda x, dtype: np.any(x),
    "all": lambda x, dtype: np.all(x),
    "argmax": lambda x, dtype: np.argmax(x) if x.size else 0,
    "argmin": lambda x, dtype: np.argmin(x) if x.size else 0,
}


_STEP = {
    "sum": "add",
    "prod": "multiply",
    "max": "maximum",
    "min": "minimum",
    "any": "bitwise_or",
    "all": "bitwise_and",
}


def fold(kind: str, values: Sequence[Any], dtype: DType) -> Any:
    """The fold of a list of scalars, as an element of `dtype`."""
    return np.asarray(_FOLDS[kind](np.asarray(values), dtype)).astype(dtype.numpy)[()]
