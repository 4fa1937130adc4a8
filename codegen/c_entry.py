"""The step as a C function: `int64_t f(void **inputs, int64_t *sizes, void **outputs)`, without Python.

It takes its own memory for each call, so that any number of threads may be inside at once; weights are those
that are bound to the compiled graph at that moment.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.codegen.buffers import ALIGNMENT
from graphc.codegen.emit_frame import Frame
from graphc.codegen.layout import Layout
from graphc.codegen.loader import Code, load
from graphc.codegen.loops import Kernel
from graphc.codegen.module_text import module
from graphc.codegen.native import NativeProgram
from graphc.codegen.program import Arrays
from graphc.codegen.report import Text
from graphc.codegen.report import table as text_table
from graphc.codegen.signature import Parameter
from graphc.codegen.target import Target
from graphc.codegen.text import Function, Operand
from graphc.ir.dims import Dim, ceildiv
from graphc.ir.types import TensorType

NAME, WEIGHTS, STEP = "graphc_call", "graphc_weights", "graphc_step"
NO_MEMORY = -1
C_TYPES = {
    "bool": "bool",
    "f32": "float",
    "f64": "double",
    **{f"i{n}": f"int{n}_t" for n in (8, 16, 32, 64)},
    **{f"u{n}": f"uint{n}_t" for n in (8, 16, 32, 64)},
}


class CEntry:
    """The loaded C function of a program."""

    def __init__(self, program: NativeProgram, weights: Arrays) -> None:
        self.pointers = np.zeros(max(1, len(weights)), np.int64)
        self.bind(weights)
        program.prepare_all()
        step = ctypes.cast(program.step, ctypes.c_void_p).value or 0
        bound = {WEIGHTS: self.pointers.ctypes.data, STEP: step}
        text = module(call_text(program.layout, program.target), target=program.target, top=_TOP)
        self.code: Code = load([text], program.target, 0, bound)
        self.keep = program
        self.address = self.code.address(NAME)

    def bind(self, weights: Arrays) -> None:
        """Calls from now on use these weights."""
        self.pointers[: len(weights)] = [w.ctypes.data for w in weights]

    def function(self) -> Any:
        """The function for ctypes; keep the compiled graph alive while it is used."""
        pointers = ctypes.POINTER(ctypes.c_void_p)
        prototype = ctypes.CFUNCTYPE(ctypes.c_int64, pointers, ctypes.POINTER(ctypes.c_int64), pointers)
        return prototype(self.address)


_TOP = "\n".join(
    [
        f"@{WEIGHTS} = external global i64",
        f"declare i64 @{STEP}(ptr)",
        "declare ptr @malloc(i64)",
        "declare void @free(ptr)",
    ]
)


def call_text(layout: Layout, target: Target) -> str:
    """The function: memory for all temporaries, the table, the step."""
    f = Function(NAME, "ptr %inputs, ptr %sizes, ptr %outputs", "i64")
    frame = Frame(Kernel(NAME, (), ()), target, f, {}, {name: i for i, name in enumerate(layout.symbols)})
    arena = [(p, _rounded(s.size)) for p, s in zip(layout.places, layout.plan.slots) if s.kind == "arena"]
    total: Dim = ALIGNMENT + layout.scratch
    for _, size in arena:
        total = total + size
    place = f(f"alloca [{max(1, layout.slots)} x i64], align {ALIGNMENT}")
    memory = f(f"call ptr @malloc(i64 {frame.size(total)})")
    f.give_up(f(f"icmp eq ptr {memory}, null"), f"i64 {NO_MEMORY}")
    number = f.add(f(f"ptrtoint ptr {memory} to i64"), ALIGNMENT - 1)
    _fill_pointers(f, layout, place)
    base = f(f"and i64 {number}, -{ALIGNMENT}")
    _fill_arena(frame, [*arena, (layout.scratch_at, 0)], base, place)
    for i in range(len(layout.symbols)):
        _put(f, place, layout.symbols_at + i, f.load("i64", f.at("i64", "%sizes", i)))
    for i, copy in enumerate(layout.plan.copies):
        _put(f, place, layout.copies_at + i, frame.size(layout.plan.slots[copy.source].size))
    status = f(f"call i64 @{STEP}(ptr {place})")
    f.do(f"call void @free(ptr {memory})")
    f.lines[1:1] = frame.head
    return f.text(f"i64 {status}")


def _put(f: Function, table: str, place: int, value: Operand) -> None:
    f.store("i64", str(value), f.at("i64", table, place))


def _fill_pointers(f: Function, layout: Layout, table: str) -> None:
    sources = {"input": "%inputs", "output": "%outputs", "weight": f"@{WEIGHTS}"}
    for place, slot in zip(layout.places, layout.plan.slots):
        if slot.kind in sources:
            _put(f, table, place, f.load("i64", f.at("i64", sources[slot.kind], slot.index)))


def _fill_arena(frame: Frame, slots: Sequence[tuple[int, Dim]], base: str, table: str) -> None:
    offset: Dim = 0
    for place, size in slots:
        _put(frame.f, table, place, frame.f.add(base, frame.size(offset)))
        offset = offset + size


def _rounded(size: Dim) -> Dim:
    return ceildiv(size, ALIGNMENT) * ALIGNMENT


def c_signature(
    name: str, inputs: Sequence[Parameter], outputs: Sequence[TensorType], symbols: Sequence[str]
) -> Text:
    """The C prototype with what each pointer must point to."""
    rows = [[f"inputs[{i}]", f"{p.name}: {_c_array(p.type)}"] for i, p in enumerate(inputs)]
    rows += [[f"sizes[{i}]", s] for i, s in enumerate(symbols)]
    rows += [[f"outputs[{i}]", _c_array(t)] for i, t in enumerate(outputs)]
    rows += [
        ["returns", f"0; {NO_MEMORY} without memory; else number of the failing kernel << 32 | its status"]
    ]
    prototype = f"int64_t {name}(void **inputs, int64_t *sizes, void **outputs);"
    return Text(f"{prototype}\n\n{text_table(['argument', 'is'], rows)}")


def _c_array(t: TensorType) -> str:
    return C_TYPES[t.dtype.name] + "".join(f"[{d}]" for d in t.shape)
