"""The microkernels: a tile of C in registers, c = max(init + alpha * (start + a @ b), floor), and the calls.

A tile has `mr` rows and `nrv` whole vectors. A and B have any strides between rows, so that packed operands,
operands in place, and a transposed A are one kernel. Its operands are six pointers, all in registers; what
stays the same from tile to tile lies in a table of `PARAMETERS`. A tile whose last vector is not whole goes
through a whole one on the stack (`edge`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from graphc.codegen.element import Element
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.text import Carried, Function, Operand

AHEAD = 8  # rows of B that are fetched before they are read, where B lies in place

PARAMETERS = (
    "a_row", "a_col", "b_row", "ahead", "c_row", "init_row", "start_row", "k", "taps", "alpha", "floor",
    "rows", "vectors", "next", "next_row",
)  # fmt: skip
ARGUMENTS = "ptr noalias %a, ptr noalias %b, ptr %c, ptr %init, ptr %extra, ptr noalias %parameters"


@dataclass(frozen=True)
class Kind:
    """A family of microkernels: whether A and B are packed; what is unrolled over k."""

    name: str
    a_packed: bool
    b_packed: bool
    unroll: int


FULL = Kind("full", True, True, 4)
FETCH = Kind("fetch", True, True, 4)  # FULL, and fetches to L2 what is at `next`, a row in each turn
ROWS = Kind("rows", False, True, 4)  # FETCH with A in place, whose rows are contiguous
COPY = Kind("copy", True, False, 2)  # stores B at %extra as it reads it, in its packed form
PLAIN = Kind("plain", False, False, 1)  # the sums begin with what is at %extra
WALK = Kind(
    "walk", False, True, 4
)  # %a is a table: for each tap, where each row of A goes on (`rows` of them)
WALK_COPY = Kind("walk_copy", False, False, 2)  # WALK, and COPY
RUNS = Kind("runs", True, True, 4)  # A in runs, of which %extra has `taps`, as (first k, length)
WALKS = (WALK, WALK_COPY)
LARGE = (FULL, FETCH, ROWS)  # of large products; in their tables PLAIN stands in for other sizes


@dataclass(frozen=True)
class Tile:
    """Operands of one microkernel call, as names in the driver."""

    a: str
    b: str
    c: str
    init: str
    extra: str
    n: Operand


def kernel_name(kind: Kind, t: Element, nrv: int, mr: int) -> str:
    """The symbol of a microkernel."""
    return f"tile_{kind.name}_{t.dtype}_{nrv}_{mr}"


def microkernel(s: Strategy, kind: Kind, nrv: int, mr: int) -> str:
    """c[mr, nrv * lanes]; strides are in elements."""
    t = s.t
    f = Function(kernel_name(kind, t, nrv, mr), ARGUMENTS, linkage="dso_local")
    p = {name: get_parameter(f, t, name) for name in PARAMETERS if name not in ("rows", "vectors")}
    _prefetch_c(f, t, nrv, mr, p["c_row"])
    zeros = ["zeroinitializer"] * (mr * nrv)
    if kind in WALKS:
        acc = _sum_over_taps(f, s, kind, nrv, mr, p, zeros)
    elif kind is RUNS:
        acc = _sum_over_runs(f, t, kind, nrv, mr, p, zeros)
    elif kind is ROWS:
        acc = _sum_along_rows(f, t, nrv, mr, p, zeros)
    else:
        sums = zeros if kind.a_packed else _begin(f, t, nrv, mr, p["start_row"])
        third = p["next"] if kind is FETCH else "%extra"
        start = [("ptr", "%a"), ("ptr", "%b"), ("ptr", third), *((t.vec, x) for x in sums)]
        acc = _sum_over_k(f, t, kind, nrv, mr, p, start, p["k"])[3:]
    _write_c(f, t, nrv, mr, p, acc)
    return f.text()


def _place(f: Function, parameters: str, name: str) -> str:
    return f.at("i64", parameters, PARAMETERS.index(name))


def _type(t: Element, name: str) -> str:
    return {"alpha": t.name, "floor": t.name, "next": "ptr"}.get(name, "i64")


def get_parameter(f: Function, t: Element, name: str, parameters: str = "%parameters") -> str:
    """Load one entry of a table of parameters."""
    return f.load(_type(t, name), _place(f, parameters, name))


def new_parameters(f: Function, t: Element, given: Mapping[str, Operand]) -> str:
    """A table of parameters on the stack, with those that the whole driver shares; at its entry only."""
    parameters = f(f"alloca [{len(PARAMETERS)} x i64], align 8")
    set_parameters(f, t, parameters, given)
    return parameters


def set_parameters(f: Function, t: Element, parameters: str, given: Mapping[str, Operand]) -> None:
    """Write some of the entries."""
    for name, value in given.items():
        f.store(_type(t, name), str(value), _place(f, parameters, name))


def _prefetch_c(f: Function, t: Element, nrv: int, mr: int, c_row: str) -> None:
    """C is written after the k loop, when B has driven it out of L1."""
    for i in range(mr):
        row = f.at(t.name, "%c", f.mul(c_row, i))
        for v in range(0, nrv, max(1, 64 // (t.lanes * t.size))):
            f.prefetch(f.at(t.name, row, v * t.lanes))


def _begin(f: Function, t: Element, nrv: int, mr: int, start_row: str) -> list[str]:
    rows = [f.at(t.name, "%extra", f.mul(start_row, i)) for i in range(mr)]
    return [f.vload(t, f.at(t.name, row, v * t.lanes)) for row in rows for v in range(nrv)]


def _sum_over_k(
    f: Function,
    t: Element,
    kind: Kind,
    nrv: int,
    mr: int,
    p: Mapping[str, str],
    carry: Carried,
    length: str,
) -> list[str]:
    """The three pointers and the sums after `length` steps of k."""
    main = f(f"and i64 {length}, {-kind.unroll}") if kind.unroll > 1 else length
    with f.loop(0, main, kind.unroll, carry) as l:
        l.next = _steps(f, t, kind, nrv, mr, p, l.values, kind.unroll)
    if kind.unroll == 1:
        return l.results
    carry = [(ty, v) for (ty, _), v in zip(carry, l.results)]
    with f.loop(main, length, 1, carry) as l:
        l.next = _steps(f, t, kind, nrv, mr, p, l.values, 1)
    return l.results


def _sum_over_runs(
    f: Function, t: Element, kind: Kind, nrv: int, mr: int, p: Mapping[str, str], sums: list[str]
) -> list[str]:
    """Run after run; B goes on from one to the next."""
    kinds = [t.vec] * len(sums)
    with f.loop(0, p["taps"], 1, [("ptr", "%b"), *zip(kinds, sums)]) as run:
        entry = f.at("i64", "%extra", f.mul(run.i, 2))
        a = f.at(t.name, "%a", f.mul(f.load("i64", entry), mr))
        b, *inner = run.values
        carry = [("ptr", a), ("ptr", b), ("ptr", "%extra"), *zip(kinds, inner)]
        _, b, _, *inner = _sum_over_k(f, t, kind, nrv, mr, p, carry, f.load("i64", f.at("i64", entry, 1)))
        run.next = [b, *inner]
    return run.results[1:]


def _steps(
    f: Function,
    t: Element,
    kind: Kind,
    nrv: int,
    mr: int,
    p: Mapping[str, str],
    values: list[str],
    count: int,
) -> list[str]:
    """`count` steps of k: the pointers and accumulators after them."""
    a, b, copy, *acc = values
    for u in range(count):
        rows = _rows(f, t, kind, mr, (a, u), p["a_row"])
        at = f.at(t.name, b, u * nrv * t.lanes) if kind.b_packed else b
        bs = [f.vload(t, f.at(t.name, at, v * t.lanes)) for v in range(nrv)]
        if kind is COPY:
            _copy(f, t, bs, f.at(t.name, b, p["ahead"]), f.at(t.name, copy, u * nrv * t.lanes))
        acc = _multiply(f, t, rows, bs, acc)
        a = a if kind.a_packed else f.at(t.name, a, p["a_col"])
        b = b if kind.b_packed else f.at(t.name, b, p["b_row"])
    a = f.at(t.name, a, count * mr) if kind.a_packed else a
    b = f.at(t.name, b, count * nrv * t.lanes) if kind.b_packed else b
    copy = f.at(t.name, copy, count * nrv * t.lanes) if kind is COPY else copy
    if kind is FETCH and count > 1:
        copy = _fetch(f, t, nrv, copy, p["next_row"])
    return [a, b, copy, *acc]


def _fetch(f: Function, t: Element, nrv: int, row: str, step: str) -> str:
    """Fetch a row of a panel to L2; the next one. In the loops over k, since fetches that follow each other
    wait for each other.
    """
    for line in range(0, nrv * t.lanes * t.size, 64):
        f.prefetch(f.at("i8", row, line), 2)
    return f.at(t.name, row, step)


def _sum_along_rows(
    f: Function, t: Element, nrv: int, mr: int, p: Mapping[str, str], sums: list[str]
) -> list[str]:
    """A pointer for each row of A."""
    kinds = ["ptr"] * (mr + 2) + [t.vec] * len(sums)
    values = [*(f.at(t.name, "%a", f.mul(p["a_row"], i)) for i in range(mr)), "%b", p["next"], *sums]
    start, main = "0", f(f"and i64 {p['k']}, {-ROWS.unroll}")
    for stop, count in ((main, ROWS.unroll), (p["k"], 1)):
        with f.loop(start, stop, count, list(zip(kinds, values))) as l:
            (b, soon), acc = l.values[mr : mr + 2], l.values[mr + 2 :]
            rows = [f(f"freeze ptr {row}") for row in l.values[:mr]]  # as in `_rows`
            for u in range(count):
                bs = [f.vload(t, f.at(t.name, b, (u * nrv + v) * t.lanes)) for v in range(nrv)]
                acc = _multiply(f, t, [f.at(t.name, row, u) for row in rows], bs, acc)
            soon = _fetch(f, t, nrv, soon, p["next_row"]) if count > 1 else soon
            rows = [f.at(t.name, row, count) for row in rows]
            l.next = [*rows, f.at(t.name, b, count * nrv * t.lanes), soon, *acc]
        start, values = stop, l.results
    return values[mr + 2 :]


def _sum_over_taps(
    f: Function, s: Strategy, kind: Kind, nrv: int, mr: int, p: Mapping[str, str], sums: list[str]
) -> list[str]:
    """For each tap k steps along every row, from where the table says; B goes on from tap to tap."""
    t, kinds = s.t, ["ptr", "ptr"] + [s.t.vec] * len(sums)
    if (nrv, mr) not in sizes(s, FULL):
        kind = replace(kind, unroll=1)  # seldom used: less code to compile
    main = f(f"and i64 {p['k']}, {-kind.unroll}") if kind.unroll > 1 else p["k"]
    with f.loop(0, p["taps"], 1, list(zip(kinds, ["%b", "%extra", *sums]))) as tap:
        place = f.at("ptr", "%a", f.mul(tap.i, s.rows))
        rows = [f.load("ptr", f.at("ptr", place, i)) for i in range(mr)]
        with f.loop(0, main, kind.unroll, list(zip(kinds, tap.values))) as l:
            l.next = walk(f, t, kind, nrv, rows, l.i, l.values, p)
        tap.next = l.results
        if kind.unroll > 1:
            with f.loop(main, p["k"], 1, list(zip(kinds, l.results))) as rest:
                rest.next = walk(f, t, replace(kind, unroll=1), nrv, rows, rest.i, rest.values, p)
            tap.next = rest.results
    return tap.results[2:]


def walk(
    f: Function,
    t: Element,
    kind: Kind,
    nrv: int,
    rows: list[str],
    i: str,
    values: list[str],
    p: Mapping[str, str],
) -> list[str]:
    """Some steps along rows that have a pointer each: the places in B and its copy, and the accumulators
    after them.
    """
    b, copy, *acc = values
    at = f(f"freeze i64 {i}")  # one counter for all rows, instead of pointers that all move
    here = [f.at(t.name, row, at) for row in rows]
    for u in range(kind.unroll):
        bs = [f.vload(t, f.at(t.name, b, v * t.lanes)) for v in range(nrv)]
        if not kind.b_packed:
            _copy(f, t, bs, f.at(t.name, b, p["ahead"]), f.at(t.name, copy, u * nrv * t.lanes))
        acc = _multiply(f, t, [f.at(t.name, row, u) for row in here], bs, acc)
        b = f.at(t.name, b, nrv * t.lanes if kind.b_packed else p["b_row"])
    copy = copy if kind.b_packed else f.at(t.name, copy, kind.unroll * nrv * t.lanes)
    return [b, copy, *acc]


def _rows(f: Function, t: Element, kind: Kind, mr: int, where: tuple[str, int], a_row: str) -> list[str]:
    """The addresses of one column of A."""
    a, u = where
    if kind.a_packed:
        return [f.at(t.name, a, u * mr + i) for i in range(mr)]
    a = f(f"freeze ptr {a}")  # hides it from loop strength reduction, which would chain an add per row
    return [f.at(t.name, a, f.mul(a_row, i)) for i in range(mr)]


def _copy(f: Function, t: Element, bs: list[str], soon: str, target: str) -> None:
    for v in range(0, len(bs), max(1, 64 // (t.lanes * t.size))):
        f.prefetch(f.at(t.name, soon, v * t.lanes))
    for v, x in enumerate(bs):
        f.vstore(t, x, f.at(t.name, target, v * t.lanes))


def _multiply(f: Function, t: Element, rows: list[str], bs: list[str], acc: list[str]) -> list[str]:
    """One k: a broadcast of A per row, and its products."""
    out = []
    for i, row in enumerate(rows):
        a = f.broadcast(t, f.load(t.name, row, t.size))
        out += [f.fma(t, a, x, acc[i * len(bs) + v]) for v, x in enumerate(bs)]
    return out


def _write_c(f: Function, t: Element, nrv: int, mr: int, p: Mapping[str, str], acc: list[str]) -> None:
    alpha, floor = f.broadcast(t, p["alpha"]), f.broadcast(t, p["floor"])
    for i in range(mr):
        c, init = f.at(t.name, "%c", f.mul(p["c_row"], i)), f.at(t.name, "%init", f.mul(p["init_row"], i))
        for v in range(nrv):
            places = (f.at(t.name, base, v * t.lanes) for base in (init, c))
            write_vector(f, t, (alpha, floor), acc[i * nrv + v], *places)


def write_vector(f: Function, t: Element, ends: tuple[str, str], total: str, init: str, c: str) -> None:
    """One vector of the result; `ends`: alpha and floor in all lanes."""
    alpha, floor = ends
    x = f.fma(t, alpha, total, f.vload(t, init))
    # One max instruction; false for NaN, which therefore stays.
    above = f(f"fcmp ogt {t.vec} {floor}, {x}")
    f.vstore(t, f(f"select {t.mask} {above}, {t.vec} {floor}, {t.vec} {x}"), c)


def sizes(s: Strategy, kind: Kind) -> list[tuple[int, int]]:
    """The tiles (vectors, rows) of a kind: of large products only the large ones, the rest is PLAIN."""
    if kind is RUNS:
        return [(nrv, mr) for nrv in range(1, s.vectors + 1) for mr in (s.rows - 1, s.rows)]
    if kind in (*LARGE, COPY, WALK_COPY):
        return [(s.vectors, mr) for mr in (s.rows - 1, s.rows)]
    if kind is WALK:
        return [(nrv, mr) for nrv in range(1, s.vectors + 1) for mr in range(1, s.rows + 1)]
    return [(nrv, mr) for nrv, rows in s.narrow.items() for mr in range(1, rows + 1)]


def _width(s: Strategy) -> int:
    return 1 + max(s.narrow.values())


def table_name(kind: Kind, t: Element) -> str:
    """The symbol of the table of a kind's microkernels."""
    return f"tiles_{kind.name}_{t.dtype}"


def table_size(s: Strategy) -> int:
    """How many entries a table of microkernels has."""
    return (max(s.narrow) + 1) * _width(s)


def table_place(s: Strategy, nrv: int, mr: int) -> int:
    """The entry of a microkernel."""
    return nrv * _width(s) + mr


def table(s: Strategy, kind: Kind) -> str:
    """The table of a kind's microkernels, all of which are in the module: null where it has none."""
    entries = ["ptr null"] * table_size(s)
    for nrv, mr in sizes(s, kind):
        entries[table_place(s, nrv, mr)] = f"ptr @{kernel_name(kind, s.t, nrv, mr)}"
    name = table_name(kind, s.t)
    return f"@{name} = dso_local constant [{len(entries)} x ptr] [{', '.join(entries)}], align 64"


def open_table(s: Strategy, kind: Kind) -> str:
    """The same table, which is filled as parts of the library are loaded."""
    kinds = f"[{table_size(s)} x ptr]"
    return f"@{table_name(kind, s.t)} = dso_local global {kinds} zeroinitializer, align 64"


def foreign_table(s: Strategy, kind: Kind) -> str:
    """The same table, which another module defines."""
    return f"@{table_name(kind, s.t)} = external global [{table_size(s)} x ptr]"


def constants(s: Strategy) -> str:
    """A row of zeros where sums begin, and one of negative zeros, which leave what they are added to."""
    t, count = s.t, max(s.narrow)
    negative = ", ".join([f"{t.name} -0.0"] * (count * t.lanes))
    kind = f"[{count * t.lanes} x {t.name}]"
    zeros = f"@zeros_{t.dtype} = internal constant {kind} zeroinitializer, align 64"
    return f"{zeros}\n@negative_zeros_{t.dtype} = internal constant {kind} [{negative}], align 64"


def microkernels(s: Strategy, kinds: Iterable[Kind]) -> list[str]:
    """Every microkernel of some kinds."""
    return [microkernel(s, kind, nrv, mr) for kind in kinds for nrv, mr in sizes(s, kind)]


def find_kernel(f: Function, s: Strategy, kind: Kind, nrv: Operand, mr: Operand) -> str:
    """The microkernel for a tile; null if there is none."""
    place = f.at("ptr", f"@{table_name(kind, s.t)}", f.add(f.mul(nrv, _width(s)), mr))
    return f.load("ptr", place)


def find_or_any(f: Function, s: Strategy, kind: Kind, nrv: Operand, mr: Operand) -> str:
    """The microkernel for a tile, or the one for any tile, whose size is to be among the parameters."""
    found = find_kernel(f, s, kind, nrv, mr)
    return f.select("ptr", f(f"icmp eq ptr {found}, null"), f"@tile_any_{s.t.dtype}", found)


def call_tile(
    f: Function, s: Strategy, kernel: str, size: tuple[Operand, str], tile: Tile, parameters: str
) -> None:
    """Call a microkernel for a tile of size (rows, are all vectors whole)."""
    mr, whole = size
    operands = (
        f"ptr {tile.a}, ptr {tile.b}, ptr {tile.c}, ptr {tile.init}, ptr {tile.extra}, ptr {parameters}"
    )
    with f.when(whole):
        f.do(f"call void {kernel}({operands})")
    if whole != "true":
        with f.when(f.negate(whole)):
            f.do(f"call void @edge_{s.t.dtype}(ptr {kernel}, i64 {mr}, i64 {tile.n}, {operands})")
