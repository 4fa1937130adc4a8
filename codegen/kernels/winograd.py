"""The driver for 3x3 convolutions with stride 1 by Winograd's algorithm F(2x2, 3x3): 16 multiplications where
sums of products need 36 (Lavin and Gray 2015, arXiv 1509.09308).

    @winograd_f32(the arguments of @convolve_f32)

    kernel  all taps to U: [panel][position][channel][column]; its guard
     unit    some rows of tiles of an image
      block   the unit, or columns of tiles of it; the guard of its pixels
       tile    pixels to V: [position][tile][channel]                      stays in L2
       jc      panels of `vectors` vectors of columns                      a position's part of U stays in L1
        p       16 positions
         ir      tiles of up to `rows` rows of V: microkernel to M: [tile][position][column]
        tile    M to c, with init, alpha and floor

Where a guard fails (`winograd_guards.py`), `convolve` computes the block, or everything. Units and blocks
follow from the size of an image alone: `first` begins a unit, and so does the window after the last one.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.element import Element
from graphc.codegen.kernels.convolve import convolve_arguments
from graphc.codegen.kernels.cuts import Cut, balanced, piece
from graphc.codegen.kernels.geometry import Geometry, read_geometry
from graphc.codegen.kernels.packers import call_pack_b
from graphc.codegen.kernels.strategy import FAST, Strategy, strategy
from graphc.codegen.kernels.winograd_guards import greatest, magnitude, taps_fit
from graphc.codegen.kernels.winograd_tiles import GAP, find_position_kernel
from graphc.codegen.kernels.winograd_transforms import POSITIONS, transform_taps
from graphc.codegen.target import Target
from graphc.codegen.text import Function, Operand

TILES, WIDE = 54, 18
"""Tiles of a block, and columns of them, at most."""
TAPS = 9
UNIT = 16
"""What channels and columns are multiples of."""
MOST_KERNEL = 512 * 512
"""Channels times columns, at most."""
LEAST_WINDOWS = 144
"""Windows of an image, at least."""
_KERNEL = (
    "ptr noalias %b, i64 %b_row, i64 %b_col, i64 %b_tap, i64 %n, i64 %channels, ptr noalias %taps, "
    "ptr noalias %u"
)
_HOOK = "ptr %context, ptr %block, i64 %stride, i64 %row, i64 %col, i64 %rows, i64 %n"


@dataclass(frozen=True)
class Units:
    """How an image is cut: rows of tiles, columns of tiles in blocks, rows of a unit, units; and the windows
    of a unit and of an image.
    """

    high: str
    columns: Cut
    rows: str
    count: str
    windows: str
    image: str

    @classmethod
    def of(cls, f: Function, height: Operand, width: Operand) -> Units:
        """Of images with so many rows and columns of results."""
        high, columns = f.ceildiv(height, 2), balanced(f, f.ceildiv(width, 2), WIDE)
        widest = f.add(columns.size, f(f"zext i1 {f.less(0, columns.larger)} to i64"))
        most = f.minimum(f.udiv(TILES, f.maximum(widest, 1)), f.maximum(f.ceildiv(high, 2), 1))
        rows = f.ceildiv(high, f.maximum(f.ceildiv(high, most), 1))
        count = f.ceildiv(high, f.maximum(rows, 1))
        return cls(high, columns, rows, count, f.mul(f.mul(rows, 2), width), f.mul(height, width))

    def begin(self, f: Function, unit: Operand) -> str:
        """The first window of a unit; they are numbered through all images."""
        divisor = f.maximum(self.count, 1)
        return f.add(f.mul(f.udiv(unit, divisor), self.image), f.mul(f.urem(unit, divisor), self.windows))

    def which(self, f: Function, window: Operand) -> str:
        """The unit that begins with a window."""
        image = f.maximum(self.image, 1)
        unit = f.udiv(f.urem(window, image), f.maximum(self.windows, 1))
        return f.add(f.mul(f.udiv(window, image), self.count), unit)


@dataclass(frozen=True)
class Scratch:
    """The parts of scratch memory: that of `convolve`, norms of pixels, a tile of pixels, taps of a panel, V,
    M, and U.
    """

    direct: str
    norms: str
    patch: str
    taps: str
    v: str
    m: str
    u: str

    @classmethod
    def of(cls, f: Function, s: Strategy, channels: str) -> Scratch:
        """Where they are in %scratch."""
        places, at = ["%scratch"], f.at("i8", "%scratch", s.windows_bytes)
        for elements in _parts(s):
            places.append(at)
            fixed, each = elements
            at = f.at(s.t.name, at, f.add(f.mul(channels, each), fixed))
        return cls(*places, at)


def _parts(s: Strategy) -> list[tuple[int, int]]:
    """Elements of each part but the first and the last: a number, and how many more for each channel."""
    norms = 8 * (TILES + 1) * s.t.lanes
    width = s.width
    return [
        (norms, 0),
        (0, 16),
        (64, TAPS * width),
        (16 * GAP, 16 * TILES),
        (TILES * (POSITIONS * width + GAP), 0),
    ]


def winograd_scratch_bytes(target: Target, channels: int, columns: int) -> int:
    """The size of the scratch buffer (64-byte aligned) that `winograd_f32` needs for whole units of channels
    and columns, however many images there are.
    """
    s = strategy("f32", target)
    fixed = s.windows_bytes + s.t.size * sum(n for n, _ in _parts(s))
    each = sum(n for _, n in _parts(s))
    taps = POSITIONS * (channels * columns + GAP * (-(-columns // s.t.lanes)))
    return fixed + s.t.size * (each * channels + taps)


# -- kernels -------------------------------------------------------------------------------------------------
def transform_kernel(s: Strategy, policy: str) -> str:
    """U, and whether taps are such that it may be used."""
    t = s.t
    f = Function(f"transform_kernel{policy}_{t.dtype}", _KERNEL, ret="i1", linkage="internal")
    panels = balanced(f, f.ceildiv("%n", t.lanes), s.vectors)
    with f.loop(0, panels.count, 1, [("i1", "true")]) as jc:
        first, nrv = piece(f, jc.i, panels)
        inner, width = f.mul(first, t.lanes), f.mul(nrv, t.lanes)
        each = f.mul("%channels", width)
        with f.loop(0, TAPS, 1) as tap:
            at = f.add(f.mul(tap.i, "%b_tap"), f.mul(inner, "%b_col"))
            out = f.at(t.name, "%taps", f.mul(tap.i, each))
            n = f.minimum(width, f.sub("%n", inner))
            call_pack_b(f, s, f.at(t.name, "%b", at), out, width, n, "%channels")
        u = _panel_of_u(f, t, "%u", "%channels", (jc.i, inner))
        with f.loop(0, width, t.lanes, [("i1", jc.values[0])]) as v:
            fits = _transform_columns(f, t, v.i, width, u, policy)
            v.next = [f.both(v.values[0], fits)]
        jc.next = v.results
    return f.text(f"i1 {jc.results[0]}")


def _panel_of_u(f: Function, t: Element, u: str, channels: str, panel: tuple[str, str]) -> str:
    """Where the panel of that number and first column is."""
    number, inner = panel
    return f.at(t.name, u, f.mul(f.add(f.mul(inner, channels), f.mul(number, GAP)), POSITIONS))


def _transform_columns(f: Function, t: Element, at: str, width: str, u: str, policy: str) -> str:
    """A vector of columns of a panel; whether they fit."""
    pitch = f.mul("%channels", width)
    norms = [] if policy else [(t.integer.vec, "zeroinitializer")] * TAPS
    with f.loop(0, "%channels", 1, norms) as l:
        here = f.add(at, f.mul(l.i, width))
        taps = [f.vload(t, f.at(t.name, "%taps", f.add(here, f.mul(pitch, i)))) for i in range(TAPS)]
        out = f.at(t.name, u, here)
        for p, x in enumerate(transform_taps(f, t, taps)):
            f.vstore(t, x, f.at(t.name, out, f.mul(f.add(pitch, GAP), p)))
        l.next = [greatest(f, t, old, magnitude(f, t, x)) for old, x in zip(l.values, taps)]
    return "true" if policy else taps_fit(f, t, l.results)


# -- the driver ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Tiles:
    """A block: its image, first rows and columns of tiles and their numbers, and its results."""

    image: str
    y: str
    x: str
    tiles_high: str
    tiles_wide: str
    high: str
    wide: str
    first: str

    def count(self, f: Function) -> str:
        """How many tiles it has."""
        return f.mul(self.tiles_high, self.tiles_wide)


def winograd(s: Strategy, policy: str = "") -> str:
    """The entry; `policy` FAST has no guards."""
    t = s.t
    f = Function(f"winograd{policy}_{t.dtype}", convolve_arguments(t))
    g = read_geometry(f)
    scratch = Scratch.of(f, s, g["channels"])
    taps = f"ptr %b, i64 %b_row, i64 %b_col, i64 %b_tap, i64 %n, i64 {g['channels']}"
    fits = f(f"call i1 @transform_kernel{policy}_{t.dtype}({taps}, ptr {scratch.taps}, ptr {scratch.u})")
    with f.when(f.negate(fits)):
        f.do(f"call void @convolve_{t.dtype}({convolve_arguments(t).replace(' noalias', '')})")
    f.give_up(f.negate(fits), "void")
    units = Units.of(f, g["out_height"], g["out_width"])
    with f.loop(units.which(f, "%first"), units.which(f, f.add("%first", "%rows")), 1) as unit:
        divisor = f.maximum(units.count, 1)
        image, y = f.udiv(unit.i, divisor), f.mul(f.urem(unit.i, divisor), units.rows)
        tiles_high = f.minimum(units.rows, f.sub(units.high, y))
        high = f.minimum(f.mul(tiles_high, 2), f.sub(g["out_height"], f.mul(y, 2)))
        with f.loop(0, units.columns.count, 1) as column:
            x, tiles_wide = piece(f, column.i, units.columns)
            wide = f.minimum(f.mul(tiles_wide, 2), f.sub(g["out_width"], f.mul(x, 2)))
            first = f.sub(f.add(units.begin(f, unit.i), f.mul(x, 2)), "%first")
            block = Tiles(image, y, x, tiles_high, tiles_wide, high, wide, first)
            numbers = ", ".join(f"i64 {n}" for n in vars(block).values())
            f.do(f"call void @winograd_block{policy}_{t.dtype}({_names(t)}, {numbers})")
    return f.text()


def _names(t: Element) -> str:
    return convolve_arguments(t).replace(" noalias", "")


_BLOCK = list(Tiles.__dataclass_fields__)


def winograd_block(s: Strategy, policy: str) -> str:
    """A block; see the module."""
    t = s.t
    numbers = ", ".join(f"i64 %{name}_" for name in _BLOCK)
    f = Function(
        f"winograd_block{policy}_{t.dtype}", f"{convolve_arguments(t)}, {numbers}", linkage="internal"
    )
    hook = f("alloca [3 x i64], align 8")
    g = read_geometry(f)
    scratch = Scratch.of(f, s, g["channels"])
    block = Tiles(*(f"%{name}_" for name in _BLOCK))
    if not policy:
        fits = _fits(f, t, g, block, scratch)
        with f.when(f.negate(fits)):
            _direct(f, t, g, block, hook)
        f.give_up(f.negate(fits), "void")
    _read_tiles(f, s, g, block, scratch)
    panels = balanced(f, f.ceildiv("%n", t.lanes), s.vectors)
    with f.loop(0, panels.count, 1) as jc:
        first, nrv = piece(f, jc.i, panels)
        inner = f.mul(first, t.lanes)
        u = _panel_of_u(f, t, scratch.u, g["channels"], (jc.i, inner))
        _multiply(f, s, g, block, scratch, u, nrv)
        _write_tiles(f, s, g, block, scratch, inner, nrv)
    with f.when(f("icmp ne ptr %tile_context, null")), f.loop(0, block.high, 1) as row:
        r = f.add(block.first, f.mul(row.i, g["out_width"]))
        c = f.at(t.name, "%c", f.mul(r, "%c_row"))
        operands = f"ptr {c}, i64 %c_row, i64 {r}, i64 0, i64 {block.wide}, i64 %n"
        f.do(f"call void %on_tile(ptr %tile_context, {operands})")
    return f.text()


def _fits(f: Function, t: Element, g: Geometry, block: Tiles, scratch: Scratch) -> str:
    """The guard of a block's pixels."""
    y, x = f.sub(f.mul(block.y, 2), g["low_y"]), f.sub(f.mul(block.x, 2), g["low_x"])
    rows, columns = (f.add(f.mul(n, 2), 2) for n in (block.tiles_high, block.tiles_wide))
    where = f"i64 {block.image}, i64 {y}, i64 {x}, i64 {rows}, i64 {columns}, ptr {scratch.norms}"
    f.do(f"call void @pixel_norms_{t.dtype}(ptr %geometry, ptr %x, {where})")
    sizes = f"i64 {block.tiles_high}, i64 {block.tiles_wide}, i64 {block.high}, i64 {block.wide}"
    return f(f"call i1 @tiles_fit_{t.dtype}(ptr {scratch.norms}, {sizes})")


def _direct(f: Function, t: Element, g: Geometry, block: Tiles, hook: str) -> None:
    """The windows of a block, row by row; finished tiles count from the first row on."""
    for i, (kind, value) in enumerate((("ptr", "%on_tile"), ("ptr", "%tile_context"))):
        f.store(kind, value, f.at("i64", hook, i))
    context = f.select("ptr", f("icmp ne ptr %tile_context, null"), hook, "null")
    with f.loop(0, block.high, 1) as row:
        r = f.add(block.first, f.mul(row.i, g["out_width"]))
        f.store("i64", r, f.at("i64", hook, 2))
        c, init = (f.at(t.name, f"%{n}", f.mul(r, f"%{n}_row")) for n in ("c", "init"))
        given = {
            "%c,": f"{c},",
            "%init,": f"{init},",
            "%first": f.add("%first", r),
            "%rows": block.wide,
            "%on_tile": f"@later_rows_{t.dtype}",
            "%tile_context": context,
        }
        arguments = _names(t)
        for name, value in given.items():
            arguments = arguments.replace(name, value)
        f.do(f"call void @convolve_{t.dtype}({arguments})")


def later_rows(t: Element) -> str:
    """The hook for finished tiles whose rows count from a later one on."""
    f = Function(f"later_rows_{t.dtype}", _HOOK, linkage="internal")
    hook, context = (f.load("ptr", f.at("i64", "%context", i)) for i in range(2))
    row = f.add("%row", f.load("i64", f.at("i64", "%context", 2)))
    f.do(f"call void {hook}(ptr {context}, ptr %block, i64 %stride, i64 {row}, i64 %col, i64 %rows, i64 %n)")
    return f.text()


def _read_tiles(f: Function, s: Strategy, g: Geometry, block: Tiles, scratch: Scratch) -> None:
    """V of a block."""
    t, channels = s.t, g["channels"]
    pitch = f.add(f.mul(block.count(f), channels), GAP)
    line = f.mul(g["width"], g["pixel"])
    with f.loop(0, block.tiles_high, 1) as row:
        y = f.sub(f.mul(f.add(block.y, row.i), 2), g["low_y"])
        start = f.mul(f.add(f.mul(block.image, g["height"]), y), g["width"])
        inside = f.both(f(f"icmp sge i64 {y}, 0"), f.less(f.add(y, 3), g["height"]))
        with f.loop(0, block.tiles_wide, 1) as tile:
            x = f.sub(f.mul(f.add(block.x, tile.i), 2), g["low_x"])
            there = f.both(f(f"icmp sge i64 {x}, 0"), f.less(f.add(x, 3), g["width"]))
            there = f.both(inside, there)
            with f.when(f.negate(there)):
                where = f"i64 {block.image}, i64 {y}, i64 {x}, ptr {scratch.patch}"
                f.do(f"call void @copy_patch_{t.dtype}(ptr %geometry, ptr %x, {where})")
            at = f.mul(f.add(start, x), g["pixel"])
            source = f.at(t.name, "%x", f.select("i64", there, at, 0))
            source = f.select("ptr", there, source, scratch.patch)
            down = f.select("i64", there, line, f.mul(channels, 4))
            right = f.select("i64", there, g["pixel"], channels)
            number = f.add(f.mul(row.i, block.tiles_wide), tile.i)
            v = f.at(t.name, scratch.v, f.mul(number, channels))
            strides = f"i64 {down}, i64 {right}, i64 {channels}"
            f.do(f"call void @transform_input_{t.dtype}(ptr {source}, {strides}, ptr {v}, i64 {pitch})")


def copy_patch(t: Element) -> str:
    """The 4 x 4 pixels from (y, x) on, zeros outside of the image."""
    arguments = "ptr noalias %geometry, ptr noalias %x, i64 %image, i64 %top, i64 %left, ptr noalias %out"
    f = Function(f"copy_patch_{t.dtype}", arguments, linkage="internal")
    g = read_geometry(f)
    channels = g["channels"]
    with f.loop(0, 4, 1) as row, f.loop(0, 4, 1) as column:
        y, x = f.add("%top", row.i), f.add("%left", column.i)
        out = f.at(t.name, "%out", f.mul(f.add(f.mul(row.i, 4), column.i), channels))
        above = f(f"icmp ult i64 {y}, {g['height']}")
        there = f.both(above, f(f"icmp ult i64 {x}, {g['width']}"))
        line = f.add(f.mul("%image", g["height"]), y)
        pixel = f.at(t.name, "%x", f.mul(f.add(f.mul(line, g["width"]), x), g["pixel"]))
        with f.when(there), f.loop(0, channels, t.lanes) as l:
            f.vstore(t, f.vload(t, f.at(t.name, pixel, l.i)), f.at(t.name, out, l.i))
        with f.when(f.negate(there)), f.loop(0, channels, t.lanes) as l:
            f.do(f"store {t.memory} zeroinitializer, ptr {f.at(t.name, out, l.i)}, align {t.size}")
    return f.text()


def _multiply(
    f: Function, s: Strategy, g: Geometry, block: Tiles, scratch: Scratch, u: str, nrv: str
) -> None:
    """M of a panel."""
    t, channels = s.t, g["channels"]
    count, width = block.count(f), f.mul(nrv, t.lanes)
    tiles = balanced(f, count, s.rows)
    pitch = f.add(f.mul(width, POSITIONS), GAP)
    with f.loop(0, POSITIONS, 1) as p:
        b = f.at(t.name, u, f.mul(p.i, f.add(f.mul(channels, width), GAP)))
        v = f.at(t.name, scratch.v, f.mul(p.i, f.add(f.mul(count, channels), GAP)))
        m = f.at(t.name, scratch.m, f.mul(p.i, width))
        mr = f.add(tiles.size, 1)
        before = f.mul(tiles.larger, mr)
        groups = (("0", tiles.larger, mr), (before, f.sub(tiles.count, tiles.larger), tiles.size))
        for start, number, rows in groups:
            with f.when(f.less(0, number)):
                a, out = f.at(t.name, v, f.mul(start, channels)), f.at(t.name, m, f.mul(start, pitch))
                kernel = find_position_kernel(f, s, nrv, rows)
                operands = f"ptr {a}, i64 {channels}, ptr {b}, ptr {out}, i64 {number}, i64 {channels}"
                f.do(f"call void {kernel}({operands})")


def _write_tiles(
    f: Function, s: Strategy, g: Geometry, block: Tiles, scratch: Scratch, inner: str, nrv: str
) -> None:
    """The results of a panel."""
    t = s.t
    pitch = f.add(f.mul(nrv, POSITIONS * t.lanes), GAP)
    steps = [(f.mul(f"%{n}_row", g["out_width"]), f"%{n}_row") for n in ("c", "init")]
    writer = f.load("ptr", f.at("ptr", f"@transforms_{t.dtype}", nrv))
    with f.loop(0, block.tiles_high, 1) as row:
        r = f.add(block.first, f.mul(f.mul(row.i, g["out_width"]), 2))
        high = f.sub(block.high, f.mul(row.i, 2))
        m = f.at(t.name, scratch.m, f.mul(f.mul(row.i, block.tiles_wide), pitch))
        places = []
        for name, (down, right) in zip(("c", "init"), steps):
            at = f.at(t.name, f"%{name}", f.add(inner, f.mul(r, f"%{name}_row")))
            places.append(f"ptr {at}, i64 {down}, i64 {right}")
        ends = f"{t.name} %alpha, {t.name} %floor, i64 {high}, i64 {block.wide}"
        f.do(f"call void {writer}(ptr {m}, i64 {pitch}, {', '.join(places)}, ptr {scratch.patch}, {ends})")


def transform_table(s: Strategy) -> str:
    """The table of the transforms of results by vectors."""
    t = s.t
    entries = ["ptr null", *(f"ptr @transform_output_{t.dtype}_{v}" for v in range(1, s.vectors + 1))]
    return (
        f"@transforms_{t.dtype} = internal constant [{len(entries)} x ptr] [{', '.join(entries)}], align 64"
    )


def winograd_functions(s: Strategy) -> list[str]:
    """What both entries need, and the entries."""
    from graphc.codegen.kernels.winograd_guards import pixel_norms, tiles_fit
    from graphc.codegen.kernels.winograd_tiles import position_kernels
    from graphc.codegen.kernels.winograd_transforms import transform_input, transform_output

    t = s.t
    shared = [*position_kernels(s), transform_input(t), pixel_norms(t, UNIT), tiles_fit(t)]
    shared += [transform_output(s, nrv) for nrv in range(1, s.vectors + 1)]
    shared += [copy_patch(t), later_rows(t)]
    return shared + [
        text
        for policy in ("", FAST)
        for text in (transform_kernel(s, policy), winograd_block(s, policy), winograd(s, policy))
    ]
