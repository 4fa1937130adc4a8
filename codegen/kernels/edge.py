"""Tiles whose last vector is not whole, by way of the stack."""

from __future__ import annotations

from graphc.codegen.element import Element
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.kernels.tiles import ARGUMENTS, PARAMETERS, get_parameter, new_parameters
from graphc.codegen.text import Function


def edge(s: Strategy) -> str:
    """A tile of n columns, where n is no multiple of the vector: init to the stack, the microkernel there,
    the result from there to c.
    """
    t = s.t
    arguments = "ptr %kernel, i64 %mr, i64 %n, " + ARGUMENTS
    f = Function(f"edge_{t.dtype}", arguments, linkage="dso_local")
    most = max(vectors * rows for vectors, rows in s.narrow.items())
    copy, result = (f(f"alloca [{most} x {t.vec}], align 64") for _ in range(2))
    names = [name for name in PARAMETERS if name not in ("c_row", "init_row")]
    width = f.mul(f.ceildiv("%n", t.lanes), t.lanes)
    inner = {name: get_parameter(f, t, name) for name in names} | {"c_row": width}
    stride = get_parameter(f, t, "init_row")
    same = f.equal(stride, 0)  # one row of init serves all
    parameters = new_parameters(f, t, inner | {"init_row": f.select("i64", same, 0, width)})
    _copy_rows(f, t, f.select("i64", same, 1, "%mr"), ("%init", stride, True), (copy, width, False))
    f.do(f"call void %kernel(ptr %a, ptr %b, ptr {result}, ptr {copy}, ptr %extra, ptr {parameters})")
    _copy_rows(f, t, "%mr", (result, width, False), ("%c", get_parameter(f, t, "c_row"), True))
    return f.text()


def _copy_rows(
    f: Function, t: Element, rows: str, source: tuple[str, str, bool], target: tuple[str, str, bool]
) -> None:
    """%n elements of some rows, by vectors; the last one is cut where a place (start, stride, cut) asks for
    it: a load by a mask, a store into powers of two, since masked stores are slow on many CPUs.
    """
    whole = f(f"and i64 %n, {-t.lanes}")
    left = f.sub("%n", whole)
    mask = f.lanes_below(t, left)
    with f.loop(0, rows, 1) as row:
        (p, masked), (q, covered) = (
            (f.at(t.name, place, f.mul(row.i, stride)), wanted) for place, stride, wanted in (source, target)
        )
        with f.loop(0, whole, t.lanes) as column:
            f.vstore(t, f.vload(t, f.at(t.name, p, column.i)), f.at(t.name, q, column.i))
        last, out = f.at(t.name, p, whole), f.at(t.name, q, whole)
        if covered:
            _copy_part(f, t, left, last, out)
        else:
            with f.when(f.less(0, left)):
                f.vstore(t, f.vload(t, last, mask if masked else None), out)


def _copy_part(f: Function, t: Element, count: str, source: str, target: str) -> None:
    """Fewer elements than a vector has, by parts of one: the large ones first."""
    lanes = t.lanes // 2
    while lanes:
        part, at = t.with_lanes(lanes), f(f"and i64 {count}, {-2 * lanes}")
        with f.when(f(f"icmp ne i64 {f(f'and i64 {count}, {lanes}')}, 0")):
            f.vstore(part, f.vload(part, f.at(t.name, source, at)), f.at(t.name, target, at))
        lanes //= 2
