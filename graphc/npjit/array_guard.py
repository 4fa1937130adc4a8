"""One native check of all arrays of a call: `fit(table, a, b, ...)` is True where they are as recorded.

Some 10 ns an array, where Python's attributes cost 250. The table is an int64 array of a row per array:

    0  in the first row: 1 if the memory of all arrays must be apart, else 0
    1  the address of the dtype object       2  flags that must be set       3  rank
    4 ... 4 + rank - 1                       sizes; -1 for any
    then: how many strides are checked (0 or the rank), and these strides

Owners are the arrays themselves or their `base`; memory that is not NumPy's own never fits where owners must
differ. The layout of arrays is that of `graphc.codegen.entry`.
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

define ptr @fit(ptr %self, ptr %args, i64 %count) nounwind {
entry:
  %frame = load ptr, ptr %args
  %datap = getelementptr i8, ptr %frame, i64 16
  %table = load ptr, ptr %datap
  %apart = load i64, ptr %table
  %owners = alloca ptr, i64 %count
  br label %head
head:
  %i = phi i64 [ 1, %entry ], [ %i.next, %fits ]
  %row = phi ptr [ %table, %entry ], [ %row.next, %fits ]
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
  br i1 %step.more, label %step.body, label %owner
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
owner:
  %row.next = getelementptr i64, ptr %want.strides, i64 %checked
  %i.next = add i64 %i, 1
  %look = icmp ne i64 %apart, 0
  br i1 %look, label %find, label %fits
find:
  %basep = getelementptr i8, ptr %a, i64 48
  %base = load ptr, ptr %basep
  %own = icmp eq ptr %base, null
  br i1 %own, label %compare, label %based
based:
  %base.typep = getelementptr i8, ptr %base, i64 8
  %base.type = load ptr, ptr %base.typep
  %base.array = icmp eq ptr %base.type, @graphc_ndarray_type
  br i1 %base.array, label %based.owner, label %bad
based.owner:
  %further = getelementptr i8, ptr %base, i64 48
  %further.base = load ptr, ptr %further
  %ends = icmp eq ptr %further.base, null
  br i1 %ends, label %compare, label %bad
compare:
  %who = phi ptr [ %a, %find ], [ %base, %based.owner ]
  %slot = getelementptr ptr, ptr %owners, i64 %i
  store ptr %who, ptr %slot
  br label %others
others:
  %m = phi i64 [ 1, %compare ], [ %m.next, %differs ]
  %others.more = icmp slt i64 %m, %i
  br i1 %others.more, label %others.body, label %fits
others.body:
  %otherp = getelementptr ptr, ptr %owners, i64 %m
  %other = load ptr, ptr %otherp
  %apart.too = icmp ne ptr %other, %who
  br i1 %apart.too, label %differs, label %bad
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


def table(rows: Sequence[Geometry], apart: bool) -> np.ndarray:
    """The table of `fit`; the caller keeps the dtypes alive."""
    numbers: list[int] = []
    for i, g in enumerate(rows):
        in_order = g.strides is None and any(n != 1 for n in g.shape)
        flags = (CONTIGUOUS if in_order else 0) | (WRITEABLE if g.writeable else 0)
        numbers += [int(apart and i == 0), id(g.dtype), flags, len(g.shape), *g.shape]
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
