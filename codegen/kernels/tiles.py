"""The microkernels: a tile of C in registers, c = max(init + alpha * a @ b, floor), and the calls to them.

A tile has `mr` rows and `nrv` vectors. A packed tile of A holds mr values for each k, so that every address
is one pointer and a constant; A in place has two strides, so that A and its transpose are one kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.element import Element
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.text import Function, Operand

UNROLL = 4
AHEAD = 8  # rows of B that a kernel prefetches where it lies in place

ARGUMENTS = (
    "ptr noalias %a, i64 %a_row, i64 %a_col, ptr noalias %b, i64 %b_row, ptr noalias %copy, "
    "ptr %c, i64 %c_row, i64 %n, i64 %k, ptr %init, i64 %init_row, {T} %alpha, {T} %floor"
)


@dataclass(frozen=True)
class Kind:
    """A family of microkernels: where A lies, where B lies (packed, in place, or in place and copied to its
    packed form), and whether the last vector of C is masked.
    """

    name: str
    a_packed: bool
    b: str
    masked: bool


FULL = Kind("full", True, "packed", False)
EDGE = Kind("edge", True, "packed", True)
COPY = Kind("copy", True, "copied", False)
STRIDED = Kind("strided", False, "in place", True)
STREAM = Kind("stream", False, "in place", False)  # adds to accumulators at %copy, of row stride %c_row
KINDS = (FULL, EDGE, COPY, STRIDED, STREAM)


@dataclass(frozen=True)
class Tile:
    """Operands of one microkernel call, as names in the driver."""

    a: str
    a_row: Operand
    a_col: Operand
    b: str
    b_row: Operand
    copy: str
    c: str
    c_row: Operand
    n: Operand
    k: Operand
    init: str
    init_row: Operand
    floor: str


def kernel_name(kind: Kind, t: Element, nrv: int, mr: int) -> str:
    """The symbol of a microkernel."""
    return f"tile_{kind.name}_{t.dtype}_{nrv}_{mr}"


def microkernel(t: Element, kind: Kind, nrv: int, mr: int) -> str:
    """c[mr, n] for (nrv - 1) * lanes < n <= nrv * lanes; strides are in elements."""
    f = Function(kernel_name(kind, t, nrv, mr), ARGUMENTS.format(T=t.name), linkage="internal")
    if kind is STREAM:
        _add_to_sums(f, t, nrv, mr)
        return f.text()
    masks: list[str | None] = [None] * nrv
    if kind.masked:
        masks[-1] = f.lanes_below(t, f.sub("%n", (nrv - 1) * t.lanes))
    _prefetch_c(f, t, nrv, mr)
    acc = _sum_over_k(f, t, kind, nrv, mr, ["zeroinitializer"] * (mr * nrv))
    _write_c(f, t, masks, mr, acc)
    return f.text()


def _prefetch_c(f: Function, t: Element, nrv: int, mr: int) -> None:
    """C is written after the k loop, when B has driven it out of L1."""
    for i in range(mr):
        row = f.at(t.name, "%c", f.mul("%c_row", i))
        for v in range(0, nrv, max(1, 64 // (t.lanes * t.size))):
            f.prefetch(f.at(t.name, row, v * t.lanes))


def _add_to_sums(f: Function, t: Element, nrv: int, mr: int) -> None:
    rows = [f.at(t.name, "%copy", f.mul("%c_row", i)) for i in range(mr)]
    places = [f.at(t.name, row, v * t.lanes) for row in rows for v in range(nrv)]
    for p, x in zip(places, _sum_over_k(f, t, STREAM, nrv, mr, [f.vload(t, p) for p in places])):
        f.vstore(t, x, p)


def _sum_over_k(f: Function, t: Element, kind: Kind, nrv: int, mr: int, sums: list[str]) -> list[str]:
    pointers = [("ptr", "%a"), ("ptr", "%b"), ("ptr", "%copy")]
    carry = pointers + [(t.vec, x) for x in sums]
    main = f(f"and i64 %k, {-UNROLL}")
    with f.loop(0, main, UNROLL, carry) as l:
        l.next = _steps(f, t, kind, nrv, mr, l.values, UNROLL)
    carry = [(ty, v) for (ty, _), v in zip(carry, l.results)]
    with f.loop(main, "%k", 1, carry) as l:
        l.next = _steps(f, t, kind, nrv, mr, l.values, 1)
    return l.results[3:]


def _steps(
    f: Function, t: Element, kind: Kind, nrv: int, mr: int, values: list[str], count: int
) -> list[str]:
    """`count` steps of k: the pointers and accumulators after them."""
    a, b, copy, *acc = values
    a_row = "%a_row"
    for u in range(count):
        if not kind.a_packed:
            a = f(
                f"freeze ptr {a}"
            )  # hides the pointer from loop strength reduction, which would chain an add per row
        rows = [
            f.at(t.name, a, u * mr + i) if kind.a_packed else f.at(t.name, a, f.mul(a_row, i))
            for i in range(mr)
        ]
        acc = _step(f, t, kind, nrv, rows, (b, copy, u * nrv * t.lanes), acc)
        if not kind.a_packed:
            a = f.at(t.name, a, "%a_col")
        if kind.b != "packed":
            b = f.at(t.name, b, "%b_row")
    a = f.at(t.name, a, count * mr) if kind.a_packed else a
    b = f.at(t.name, b, count * nrv * t.lanes) if kind.b == "packed" else b
    copy = f.at(t.name, copy, count * nrv * t.lanes) if kind.b == "copied" else copy
    return [a, b, copy, *acc]


def _step(
    f: Function,
    t: Element,
    kind: Kind,
    nrv: int,
    rows: list[str],
    where: tuple[str, str, int],
    acc: list[str],
) -> list[str]:
    """One k: nrv loads of B, a broadcast of A per row, and their products."""
    b, copy, offset = where
    start = offset if kind.b == "packed" else 0
    if kind in (COPY, STRIDED):
        soon = f.at(t.name, b, f.mul("%b_row", AHEAD))
        for v in range(0, nrv, max(1, 64 // (t.lanes * t.size))):
            f.prefetch(f.at(t.name, soon, v * t.lanes))
    bs = [f.vload(t, f.at(t.name, b, start + v * t.lanes)) for v in range(nrv)]
    if kind.b == "copied":
        for v, x in enumerate(bs):
            f.vstore(t, x, f.at(t.name, copy, offset + v * t.lanes))
    out = []
    for i, p in enumerate(rows):
        a = f.broadcast(t, f.load(t.name, p, t.size))
        out += [f.fma(t, a, x, acc[i * nrv + v]) for v, x in enumerate(bs)]
    return out


def _write_c(f: Function, t: Element, masks: list[str | None], mr: int, acc: list[str]) -> None:
    nrv = len(masks)
    alpha, floor = f.broadcast(t, "%alpha"), f.broadcast(t, "%floor")
    for i in range(mr):
        c, init = f.at(t.name, "%c", f.mul("%c_row", i)), f.at(t.name, "%init", f.mul("%init_row", i))
        for v, mask in enumerate(masks):
            start = f.vload(t, f.at(t.name, init, v * t.lanes), mask)
            x = f.fma(t, alpha, acc[i * nrv + v], start)
            above = f(
                f"fcmp ogt {t.vec} {floor}, {x}"
            )  # one max instruction; false for NaN, which therefore stays
            x = f(f"select {t.mask} {above}, {t.vec} {floor}, {t.vec} {x}")
            f.vstore(t, x, f.at(t.name, c, v * t.lanes), mask)


def shapes(s: Strategy, kind: Kind) -> dict[int, int]:
    """The most rows of a tile of each number of vectors, of a kind."""
    return s.narrow if kind in (STRIDED, STREAM) else dict.fromkeys(range(1, s.vectors + 1), s.rows)


def table_name(kind: Kind, t: Element) -> str:
    """The symbol of the table of a kind's microkernels."""
    return f"tiles_{kind.name}_{t.dtype}"


def table(s: Strategy, kind: Kind) -> str:
    """The global table of a kind's microkernels by (vectors, rows)."""
    found = shapes(s, kind)
    most = max(found.values())
    entries = ["ptr null"] * ((max(found) + 1) * (most + 1))
    for nrv, rows in found.items():
        for mr in range(1, rows + 1):
            entries[nrv * (most + 1) + mr] = f"ptr @{kernel_name(kind, s.t, nrv, mr)}"
    name, size = table_name(kind, s.t), len(entries)
    return f"@{name} = internal constant [{size} x ptr] [{', '.join(entries)}], align 64"


def microkernels(s: Strategy) -> list[str]:
    """Every microkernel of a strategy."""
    found = []
    for kind in KINDS:
        for nrv, rows in shapes(s, kind).items():
            found += [microkernel(s.t, kind, nrv, mr) for mr in range(1, rows + 1)]
    return found


def call_tile(
    f: Function, s: Strategy, kinds: tuple[str, list[Kind]], nrv: Operand, mr: Operand, tile: Tile
) -> None:
    """Call the microkernel for a tile of mr rows and nrv vectors, from the table at kinds[0]."""
    address, (kind, *_) = kinds
    most = max(shapes(s, kind).values())
    kernel = f.load("ptr", f.at("ptr", address, f.add(f.mul(nrv, most + 1), mr)))
    T = s.t.name
    where = (
        f"ptr {tile.a}, i64 {tile.a_row}, i64 {tile.a_col}, ptr {tile.b}, i64 {tile.b_row}, ptr {tile.copy}"
    )
    result = (
        f"ptr {tile.c}, i64 {tile.c_row}, i64 {tile.n}, i64 {tile.k}, ptr {tile.init}, i64 {tile.init_row}"
    )
    f.do(f"call void {kernel}({where}, {result}, {T} %alpha, {T} {tile.floor})")
