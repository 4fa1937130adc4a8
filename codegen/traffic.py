"""How much of its buffers a kernel reads and writes: the bytes of `f.cost()`.

Each element counts once, however often it is read: loops that an offset does not depend on read the same
elements again, and overlapping windows are no more than the whole image. What is looked up by a computed
index (a gather) is as many elements as there are turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graphc.codegen.loops import Axis, Instruction, Kernel, Load, Matrix, Nest, Offset, Product, Store
from graphc.ir.dims import Dim, minimum, never_less, product

Access = tuple[str, bool, Dim | None]
"""A buffer, whether it is written, and how many elements; None: all of them."""


def kernel_bytes(kernel: Kernel) -> Dim:
    """Bytes that a kernel reads and writes. A result that it reads before it wrote all of it (a sum into
    places) counts for both.
    """
    read: dict[str, Dim | None] = {}
    written: dict[str, Dim | None] = {}
    for part in kernel.parts:
        for name, is_write, elements in _nest(part) if isinstance(part, Nest) else _product(part):
            where = written if is_write else read
            before = where.get(name, 0)
            where[name] = None if elements is None or before is None else before + elements
    total: Dim = 0
    for b in kernel.buffers:
        stored = _bounded(written.get(b.name, 0), b.size)
        loaded = 0 if b.name in written and stored == b.size else _bounded(read.get(b.name, 0), b.size)
        total = total + (stored + loaded) * b.dtype.itemsize
    return total


def _bounded(elements: Dim | None, size: Dim) -> Dim:
    """No more than all elements of a buffer."""
    if elements is None or never_less(elements, size):
        return size
    return elements if never_less(size, elements) else minimum(elements, size)


def _nest(nest: Nest, around: Iterable[Axis] = ()) -> Iterator[Access]:
    outer = (*around, *nest.outer)
    yield from _code(nest.start, around)
    for stage in nest.stages:
        yield from _code(stage.body, (*outer, *stage.axes))
        yield from _code(stage.finish, outer)


def _code(code: Iterable[Instruction], axes: Iterable[Axis]) -> Iterator[Access]:
    extents = _extents(axes)
    for i in code:
        if isinstance(i, Load | Store):
            yield i.buffer, isinstance(i, Store), _elements(i.offset, extents)


def _extents(axes: Iterable[Axis]) -> dict[str, Dim]:
    """The counts of loops; the pieces of a loop together have those of all of it."""
    found: dict[str, Dim] = {}
    for axis in axes:
        if axis.piece is None:
            found[axis.name] = axis.extent
        else:
            found |= {axis.name: axis.piece[1], axis.piece[0]: 1}
    return found


def _elements(offset: Offset, extents: Mapping[str, Dim]) -> Dim:
    """How many elements an offset means in these loops."""
    names = [name for name, _ in offset.terms]
    if any(name not in extents for name in names):
        return product(extents.values())
    return product(extents[name] for name in names)


def _product(p: Product) -> Iterator[Access]:
    """The operands, the result, and the work on its tiles. Pieces of k are no more elements than k."""
    extents = _extents(p.batch)
    if p.piece is not None:
        extents[p.batch[0].name] = 1

    def matrix(x: Matrix, size: Dim) -> Dim:
        return size * _elements(x.offset, extents)

    yield from _code(p.start, p.batch)
    yield p.a.buffer, False, matrix(p.a, p.m * p.k) if isinstance(p.a, Matrix) else None
    yield p.b.buffer, False, matrix(p.b, p.k * p.n)
    yield p.c.buffer, True, matrix(p.c, p.m * p.n)
    if p.init is not None:
        yield p.init.buffer, False, matrix(p.init, p.m * p.n if p.init.row != 0 else p.n)
    if p.tile is not None:
        yield from _nest(p.tile, p.batch)
