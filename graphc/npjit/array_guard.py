"""One native check of all arrays of a call: `fit(table, a, b, ...)` is True where they are as recorded.

Some 10 ns an array, where Python's attributes cost 250. The table is an int64 array of a row per array:

    first of all: how many of the arrays are written, which come first
    0  the size of an element                1  the address of the dtype object
    2  flags that must be set                3  rank
    4 ... 4 + rank - 1                       sizes; -1 for any
    then: how many strides are checked (0 or the rank), and these strides

What is written must lie apart from all other arrays, from its lowest to its highest address; arrays that are
only read may overlap. The layout of arrays is that of `graphc.codegen.entry`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from graphc.codegen import target as targets
from graphc.codegen.entry import layout_is_known, python_callable, symbols
from graphc.codegen.loader import Code, stored_object

CONTIGUOUS, WRITEABLE = 0x1, 0x400
_TEXT = """
@graphc_ndarray_type = external global i8
@graphc_true = external global i8
@graphc_false = external global i8
declare void @Py_IncRef(ptr)
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)

define ptr @fit(ptr %self, ptr %args, i64 %count) nounwind {
entry:
  %frame = load ptr, ptr %args
  %datap = getelementptr i8, ptr %frame, i64 16
  %table = load ptr, ptr %datap
  %written = load i64, ptr %table
  %first = getelementptr i64, ptr %table, i64 1
  %lows = alloca i64, i64 %count
  %highs = alloca i64, i64 %count
  br label %head
head:
  %i = phi i64 [ 1, %entry ], [ %i.next, %fits ]
  %row = phi ptr [ %first, %entry ], [ %row.next, %fits ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %body, label %good
body:
  %ap = getelementptr ptr, ptr %args, i64 %i
  %a = load ptr, ptr %ap
  %typep = getelementptr i8, ptr %a, i64 8
  %type = load ptr, ptr %typep
  %is.array = icmp eq ptr %type, @graphc_ndarray_type
  br i1 %is.array, label %fields, label %bad
fields:
  %dtypep = getelementptr i8, ptr %a, i64 56
  %dtype = load i64, ptr %dtypep
  %want.dtypep = getelementptr i64, ptr %row, i64 1
  %want.dtype = load i64, ptr %want.dtypep
  %same.dtype = icmp eq i64 %dtype, %want.dtype
  %flagsp = getelementptr i8, ptr %a, i64 64
  %flags32 = load i32, ptr %flagsp
  %flags = zext i32 %flags32 to i64
  %want.flagsp = getelementptr i64, ptr %row, i64 2
  %want.flags = load i64, ptr %want.flagsp
  %set = and i64 %flags, %want.flags
  %same.flags = icmp eq i64 %set, %want.flags
  %rankp = getelementptr i8, ptr %a, i64 24
  %rank32 = load i32, ptr %rankp
  %rank = zext i32 %rank32 to i64
  %want.rankp = getelementptr i64, ptr %row, i64 3
  %want.rank = load i64, ptr %want.rankp
  %same.rank = icmp eq i64 %rank, %want.rank
  %two = and i1 %same.dtype, %same.flags
  %three = and i1 %two, %same.rank
  br i1 %three, label %sizes, label %bad
sizes:
  %dimsp = getelementptr i8, ptr %a, i64 32
  %dims = load ptr, ptr %dimsp
  %want.dims = getelementptr i64, ptr %row, i64 4
  br label %size
size:
  %j = phi i64 [ 0, %sizes ], [ %j.next, %size.fits ]
  %size.more = icmp slt i64 %j, %rank
  br i1 %size.more, label %size.body, label %steps
size.body:
  %np = getelementptr i64, ptr %dims, i64 %j
  %n = load i64, ptr %np
  %wp = getelementptr i64, ptr %want.dims, i64 %j
  %w = load i64, ptr %wp
  %equal = icmp eq i64 %n, %w
  %any = icmp eq i64 %w, -1
  %large = icmp sgt i64 %n, 1
  %any.large = and i1 %any, %large
  %size.ok = or i1 %equal, %any.large
  br i1 %size.ok, label %size.fits, label %bad
size.fits:
  %j.next = add i64 %j, 1
  br label %size
steps:
  %stridesp = getelementptr i8, ptr %a, i64 40
  %strides = load ptr, ptr %stridesp
  %countp = getelementptr i64, ptr %want.dims, i64 %rank
  %checked = load i64, ptr %countp
  %want.strides = getelementptr i64, ptr %countp, i64 1
  br label %step
step:
  %k = phi i64 [ 0, %steps ], [ %k.next, %step.fits ]
  %step.more = icmp slt i64 %k, %checked
  br i1 %step.more, label %step.body, label %apart
step.body:
  %sp = getelementptr i64, ptr %strides, i64 %k
  %s = load i64, ptr %sp
  %vp = getelementptr i64, ptr %want.strides, i64 %k
  %v = load i64, ptr %vp
  %same.step = icmp eq i64 %s, %v
  br i1 %same.step, label %step.fits, label %bad
step.fits:
  %k.next = add i64 %k, 1
  br label %step
apart:
  %row.next = getelementptr i64, ptr %want.strides, i64 %checked
  %i.next = add i64 %i, 1
  %look = icmp ne i64 %written, 0
  br i1 %look, label %bounds, label %fits
bounds:
  %datap.a = getelementptr i8, ptr %a, i64 16
  %data = load i64, ptr %datap.a
  %element = load i64, ptr %row
  %end = add i64 %data, %element
  br label %axis
axis:
  %x = phi i64 [ 0, %bounds ], [ %x.next, %axis.body ]
  %low = phi i64 [ %data, %bounds ], [ %low.next, %axis.body ]
  %high = phi i64 [ %end, %bounds ], [ %high.next, %axis.body ]
  %elements = phi i64 [ 1, %bounds ], [ %elements.next, %axis.body ]
  %axis.more = icmp slt i64 %x, %rank
  br i1 %axis.more, label %axis.body, label %compare
axis.body:
  %lengthp = getelementptr i64, ptr %dims, i64 %x
  %length = load i64, ptr %lengthp
  %elements.next = mul i64 %elements, %length
  %last = sub i64 %length, 1
  %stridep = getelementptr i64, ptr %strides, i64 %x
  %stride = load i64, ptr %stridep
  %span = mul i64 %last, %stride
  %down = call i64 @llvm.smin.i64(i64 %span, i64 0)
  %up = call i64 @llvm.smax.i64(i64 %span, i64 0)
  %low.next = add i64 %low, %down
  %high.next = add i64 %high, %up
  %x.next = add i64 %x, 1
  br label %axis
compare:
  %empty = icmp eq i64 %elements, 0
  %from = select i1 %empty, i64 0, i64 %low
  %to = select i1 %empty, i64 0, i64 %high
  %low.slot = getelementptr i64, ptr %lows, i64 %i
  store i64 %from, ptr %low.slot
  %high.slot = getelementptr i64, ptr %highs, i64 %i
  store i64 %to, ptr %high.slot
  %before = sub i64 %i, 1
  %some = call i64 @llvm.smin.i64(i64 %before, i64 %written)
  br label %others
others:
  %m = phi i64 [ 1, %compare ], [ %m.next, %differs ]
  %others.more = icmp sle i64 %m, %some
  br i1 %others.more, label %others.body, label %fits
others.body:
  %other.lowp = getelementptr i64, ptr %lows, i64 %m
  %other.low = load i64, ptr %other.lowp
  %other.highp = getelementptr i64, ptr %highs, i64 %m
  %other.high = load i64, ptr %other.highp
  %above = icmp sge i64 %from, %other.high
  %below = icmp sge i64 %other.low, %to
  %clear = or i1 %above, %below
  br i1 %clear, label %differs, label %bad
differs:
  %m.next = add i64 %m, 1
  br label %others
fits:
  br label %head
good:
  call void @Py_IncRef(ptr @graphc_true)
  ret ptr @graphc_true
bad:
  call void @Py_IncRef(ptr @graphc_false)
  ret ptr @graphc_false
}
"""


class Geometry(NamedTuple):
    """What an array must be: `shape` may have -1 for any size from 2 on; no `strides`: in C order."""

    dtype: np.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    writeable: bool = False


def geometry_of(v: np.ndarray) -> Geometry:
    """The geometry of a real array."""
    return Geometry(v.dtype, v.shape, None if v.flags.c_contiguous else v.strides)


def table(rows: Sequence[Geometry]) -> np.ndarray:
    """The table of `fit`, for arrays of which those that are written come first; the caller keeps the dtypes
    alive.
    """
    written = sum(g.writeable for g in rows)
    numbers: list[int] = [written if len(rows) > 1 else 0]
    for g in rows:
        in_order = g.strides is None and any(n != 1 for n in g.shape)
        flags = (CONTIGUOUS if in_order else 0) | (WRITEABLE if g.writeable else 0)
        numbers += [g.dtype.itemsize, id(g.dtype), flags, len(g.shape), *g.shape]
        numbers += [len(g.strides), *g.strides] if g.strides is not None else [0]
    return np.array(numbers, np.int64)


@functools.cache
def fit() -> Callable[..., bool] | None:
    """The native function; None where this NumPy's arrays are laid out otherwise."""
    if not layout_is_known():
        return None
    machine = targets.host()
    known = {"graphc_true": id(True), "graphc_false": id(False)}
    bound: dict[str, Any] = symbols() | known
    names = ("graphc_ndarray_type", "graphc_true", "graphc_false", "Py_IncRef")
    data = stored_object(_TEXT, lambda: _TEXT, machine)
    code = Code([data], machine, {name: bound[name] for name in names})
    return python_callable(code, "fit")
