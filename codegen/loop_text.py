"""Loop nests as text: what `str(kernel)` gives, a line for each loop and instruction."""

from __future__ import annotations

from collections.abc import Iterator

from graphc.codegen.loops import (
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
    Product,
    Running,
    Store,
    Windows,
)


def kernel_lines(kernel: Kernel) -> Iterator[str]:
    """A kernel as lines of text."""
    buffers = ", ".join(f"{'out ' if b.output else ''}%{b.name}: {b.dtype}[{b.size}]" for b in kernel.buffers)
    yield f"kernel @{kernel.name}({buffers})"
    for i, failure in enumerate(kernel.failures):
        yield f"  status {i + 1}: {failure.error} {failure.message!r}"
    for temporary in kernel.shared:
        yield f"  temporary %{temporary.name}: {temporary.dtype}[{temporary.extent}]"
    for table in kernel.tables:
        yield f"  table %{table.name}: {table.dtype}[{len(table.values)}]"
    for part in kernel.parts:
        lines = _nest_lines(part, "nest") if isinstance(part, Nest) else _product_lines(part)
        yield from ("  " + line for line in lines)


def _nest_lines(nest: Nest, word: str) -> Iterator[str]:
    head = [word, ", ".join(map(str, nest.outer))] if nest.outer else [word]
    marks = ([f"lane = {nest.lane}"] if nest.lane else []) + (["ordered"] if nest.ordered else [])
    yield " ".join(head) + (" : " + ", ".join(marks) if marks else "")
    for t in nest.temporaries:
        yield f"  temporary %{t.name}: {t.dtype}[{t.extent}]"
    yield from (f"  {print_instruction(i)}" for i in nest.start)
    for stage in nest.stages:
        yield "  stage" + (" " + ", ".join(map(str, stage.axes)) if stage.axes else "")
        yield from (f"    {print_instruction(i)}" for i in stage.body)
        if stage.finish:
            yield "  finish"
            yield from (f"    {print_instruction(i)}" for i in stage.finish)


def _product_lines(p: Product) -> Iterator[str]:
    batch = "".join(f" {axis}," for axis in p.batch).rstrip(",")
    pieces = "" if p.piece is None else f", {p.piece} of k in a turn"
    yield f"product {p.dtype}{batch} : m = {p.m}, n = {p.n}, k = {p.k}{pieces}"
    if p.accumulator is not None:
        yield f"  temporary %{p.accumulator.name}: {p.dtype}[{p.accumulator.extent}]"
    yield from (f"  {print_instruction(i)}" for i in p.start)
    term = f"{_matrix(p.a)} @ {_matrix(p.b)}"
    term = term if p.alpha is None else f"%{p.alpha} * ({term})"
    term = term if p.init is None else f"{_matrix(p.init)} + {term}"
    yield f"  {_matrix(p.c)} = " + (term if p.floor is None else f"max({term}, {p.floor})")
    if p.tile is not None:
        yield from ("  " + line for line in _nest_lines(p.tile, "tile"))


def _matrix(m: Matrix | Windows) -> str:
    if isinstance(m, Windows):
        (high, wide), (height, width) = m.size, m.out
        turned = "^T" if m.transposed else ""
        return f"%{m.buffer}[{m.offset} : {height} x {width} windows of {high} x {wide}]{turned}"
    return f"%{m.buffer}[{m.offset} : {m.row}, {m.column}]"


def print_instruction(i: Instruction) -> str:
    """One instruction as a line of text."""
    match i:
        case Constant():
            return f"%{i.result} : {i.dtype} = {i.value}"
        case Index():
            return f"%{i.result} : i64 = index {i.axis}"
        case Load():
            guard = f" when %{i.when} else %{i.fill}" if i.when else ""
            return f"%{i.result} : {i.dtype} = load %{i.buffer}[{i.offset}]{guard}"
        case Compute():
            return f"%{i.result} : {i.dtype} = {i.op} {', '.join('%' + a for a in i.args)}"
        case Fold():
            return f"%{i.result} : {i.dtype} = fold {i.kind} %{i.value}"
        case Running():
            return f"%{i.result} : {i.dtype} = running {i.kind} %{i.value}" + (
                " exclusive" if i.exclusive else ""
            )
        case Store():
            return f"store %{i.value} -> %{i.buffer}[{i.offset}]" + (f" when %{i.when}" if i.when else "")
        case Check():
            return f"check %{i.condition} else status {i.code}"
