"""The driver for 3x3 convolutions with stride 1 by Winograd's algorithm F(2x2, 3x3): 16 multiplications where
sums of products need 36 (Lavin and Gray 2015, arXiv 1509.09308); and for 1x7 and 7x1: 10 for 14.

    @winograd_f32, @winograd.lines_f32(the arguments of @convolve_f32)

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

from graphc.codegen.element import Element
from graphc.codegen.kernels.convolve import convolve_arguments
from graphc.codegen.kernels.cuts import balanced, piece
from graphc.codegen.kernels.geometry import Geometry, read_geometry
from graphc.codegen.kernels.product import HOOK_ARGUMENTS
from graphc.codegen.kernels.strategy import FAST, Strategy
from graphc.codegen.kernels.winograd_forms import FORMS, Form
from graphc.codegen.kernels.winograd_guards import pixels_fit
from graphc.codegen.kernels.winograd_kernel import transform_kernel
from graphc.codegen.kernels.winograd_places import Scratch, panel_of_u
from graphc.codegen.kernels.winograd_tiles import (
    GAP,
    RUN,
    UNIT,
    find_position_kernel,
    position_kernels,
    position_table,
    widths,
)
from graphc.codegen.kernels.winograd_transforms import (
    POSITIONS,
    transform_input,
    transform_input_line,
    transform_output,
    transform_output_line,
)
from graphc.codegen.kernels.winograd_units import Block, Units
from graphc.codegen.text import Function


def winograd(s: Strategy, form: Form, policy: str = "") -> str:
    """The entry; `policy` FAST has no guards."""
    f = Function(f"winograd{form.suffix}{policy}_{s.t.dtype}", convolve_arguments(s.t))
    guarded = "false" if policy else "true"
    f.do(f"call void @winograd_units{form.suffix}_{s.t.dtype}({_names(s.t)}, i1 {guarded})")
    return f.text()


def winograd_units(s: Strategy, form: Form) -> str:
    """The kernel, and all units."""
    t = s.t
    f = Function(
        f"winograd_units{form.suffix}_{t.dtype}", f"{convolve_arguments(t)}, i1 %guarded", linkage="internal"
    )
    g = read_geometry(f)
    scratch = Scratch.of(f, s, g["channels"])
    taps = f"ptr %b, i64 %b_row, i64 %b_col, i64 %b_tap, i64 %n, i64 {g['channels']}"
    even = f(f"call i1 @transform_kernel{form.suffix}_{t.dtype}({taps}, ptr {scratch.taps}, ptr {scratch.u})")
    refused = f.both("%guarded", f.negate(even))
    with f.when(refused):
        f.do(f"call void @convolve_{t.dtype}({_names(t)})")
    f.give_up(refused, "void")
    tall, broad = form.tile(f, g)
    units = Units.of(f, g["out_height"], g["out_width"], (tall, broad))
    with f.loop(units.which(f, "%first"), units.which(f, f.add("%first", "%rows")), 1) as unit:
        divisor = f.maximum(units.count, 1)
        image, y = f.udiv(unit.i, divisor), f.mul(f.urem(unit.i, divisor), units.rows)
        tiles_high = f.minimum(units.rows, f.sub(units.high, y))
        high = f.minimum(f.mul(tiles_high, tall), f.sub(g["out_height"], f.mul(y, tall)))
        with f.loop(0, units.columns.count, 1) as column:
            x, tiles_wide = piece(f, column.i, units.columns)
            wide = f.minimum(f.mul(tiles_wide, broad), f.sub(g["out_width"], f.mul(x, broad)))
            first = f.sub(f.add(units.begin(f, unit.i), f.mul(x, broad)), "%first")
            block = Block(image, y, x, tiles_high, tiles_wide, high, wide, first)
            numbers = ", ".join(f"i64 {n}" for n in vars(block).values())
            f.do(f"call void @winograd_block{form.suffix}_{t.dtype}({_names(t)}, {numbers}, i1 %guarded)")
    return f.text()


def _names(t: Element) -> str:
    return convolve_arguments(t).replace(" noalias", "")


def winograd_block(s: Strategy, form: Form) -> str:
    """A block; see the module."""
    t = s.t
    names = [f"%{field}_" for field in Block.__dataclass_fields__]
    numbers = ", ".join(f"i64 {name}" for name in names)
    arguments = f"{convolve_arguments(t)}, {numbers}, i1 %guarded"
    f = Function(f"winograd_block{form.suffix}_{t.dtype}", arguments, linkage="internal")
    hook = f("alloca [3 x i64], align 8")
    g, block = read_geometry(f), Block(*names)
    scratch = Scratch.of(f, s, g["channels"])
    with f.when("%guarded", [("i1", "false")]) as w:
        w.next = [f.negate(_fits(f, t, g, form, block))]
    (refused,) = w.results
    with f.when(refused):
        _direct(f, t, g, block, hook)
    f.give_up(refused, "void")
    _read_tiles(f, s, g, form, block, scratch)
    panels = balanced(f, f.ceildiv("%n", t.lanes), s.vectors)
    with f.loop(0, panels.count, 1) as jc:
        first, nrv = piece(f, jc.i, panels)
        inner = f.mul(first, t.lanes)
        u = panel_of_u(f, t, form, scratch.u, g["channels"], (jc.i, inner))
        _multiply(f, s, g, form, block, scratch, u, nrv)
        _write(f, s, g, form, block, scratch, inner, nrv)
    _show(f, t, g, block)
    return f.text()


def _show(f: Function, t: Element, g: Geometry, block: Block) -> None:
    """Call on_tile for each row of results."""
    with f.when(f("icmp ne ptr %tile_context, null")), f.loop(0, block.high, 1) as row:
        r = f.add(block.first, f.mul(row.i, g["out_width"]))
        c = f.at(t.name, "%c", f.mul(r, "%c_row"))
        operands = f"ptr {c}, i64 %c_row, i64 {r}, i64 0, i64 {block.wide}, i64 %n"
        f.do(f"call void %on_tile(ptr %tile_context, {operands})")


def _reach(f: Function, g: Geometry, form: Form) -> tuple[str, str]:
    """Rows and columns of pixels from the first to the last one of a tile."""
    tall, broad = form.tile(f, g)
    return f.sub(f.add(tall, g["taps_high"]), 2), f.sub(f.add(broad, g["taps_wide"]), 2)


def _fits(f: Function, t: Element, g: Geometry, form: Form, block: Block) -> str:
    """The guard of a block's pixels."""
    tile, reach = form.tile(f, g), _reach(f, g, form)
    y, x = f.sub(f.mul(block.y, tile[0]), g["low_y"]), f.sub(f.mul(block.x, tile[1]), g["low_x"])
    rows, columns = (
        f.add(f.add(f.mul(f.sub(n, 1), each), more), 1)
        for n, each, more in zip((block.tiles_high, block.tiles_wide), tile, reach)
    )
    where = f"i64 {block.image}, i64 {y}, i64 {x}, i64 {rows}, i64 {columns}"
    return f(f"call i1 @pixels_fit_{t.dtype}(ptr %geometry, ptr %x, {where})")


def _direct(f: Function, t: Element, g: Geometry, block: Block, hook: str) -> None:
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
    f = Function(f"later_rows_{t.dtype}", HOOK_ARGUMENTS, linkage="internal")
    hook, context = (f.load("ptr", f.at("i64", "%context", i)) for i in range(2))
    row = f.add("%row", f.load("i64", f.at("i64", "%context", 2)))
    f.do(f"call void {hook}(ptr {context}, ptr %block, i64 %stride, i64 {row}, i64 %col, i64 %rows, i64 %n)")
    return f.text()


def _read_tiles(f: Function, s: Strategy, g: Geometry, form: Form, block: Block, scratch: Scratch) -> None:
    """V of a block."""
    t, channels = s.t, g["channels"]
    each = f.mul(channels, form.depth)
    pitch = f.add(f.mul(block.count(f), each), GAP)
    tile_size, reach = form.tile(f, g), _reach(f, g, form)
    patch_wide = f.add(reach[1], 1)
    line = f.mul(g["width"], g["pixel"])
    with f.loop(0, block.tiles_high, 1) as row:
        y = f.sub(f.mul(f.add(block.y, row.i), tile_size[0]), g["low_y"])
        start = f.mul(f.add(f.mul(block.image, g["height"]), y), g["width"])
        inside = f.both(f(f"icmp sge i64 {y}, 0"), f.less(f.add(y, reach[0]), g["height"]))
        with f.loop(0, block.tiles_wide, 1) as tile:
            x = f.sub(f.mul(f.add(block.x, tile.i), tile_size[1]), g["low_x"])
            there = f.both(f(f"icmp sge i64 {x}, 0"), f.less(f.add(x, reach[1]), g["width"]))
            there = f.both(inside, there)
            with f.when(f.negate(there)):
                where = f"i64 {block.image}, i64 {y}, i64 {x}, i64 {f.add(reach[0], 1)}, i64 {patch_wide}"
                f.do(f"call void @copy_patch_{t.dtype}(ptr %geometry, ptr %x, {where}, ptr {scratch.patch})")
            at = f.mul(f.add(start, x), g["pixel"])
            source = f.at(t.name, "%x", f.select("i64", there, at, 0))
            source = f.select("ptr", there, source, scratch.patch)
            down = f.select("i64", there, line, f.mul(channels, patch_wide))
            right = f.select("i64", there, g["pixel"], channels)
            number = f.add(f.mul(row.i, block.tiles_wide), tile.i)
            v = f.at(t.name, scratch.v, f.mul(number, each))
            steps = ", ".join(f"i64 {step}" for step in form.pixel_steps(f, g, down, right))
            rest = f"{steps}, i64 {channels}, ptr {v}, i64 {pitch}"
            f.do(f"call void @transform_input{form.suffix}_{t.dtype}(ptr {source}, {rest})")


def copy_patch(t: Element) -> str:
    """Some rows and columns of pixels from (top, left) on, zeros outside of the image."""
    arguments = (
        "ptr noalias %geometry, ptr noalias %x, i64 %image, i64 %top, i64 %left, i64 %rows, i64 %columns, "
        "ptr noalias %out"
    )
    f = Function(f"copy_patch_{t.dtype}", arguments, linkage="internal")
    g = read_geometry(f)
    channels = g["channels"]
    with f.loop(0, "%rows", 1) as row, f.loop(0, "%columns", 1) as column:
        y, x = f.add("%top", row.i), f.add("%left", column.i)
        out = f.at(t.name, "%out", f.mul(f.add(f.mul(row.i, "%columns"), column.i), channels))
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
    f: Function, s: Strategy, g: Geometry, form: Form, block: Block, scratch: Scratch, u: str, nrv: str
) -> None:
    """M of a panel."""
    t, width = s.t, f.mul(nrv, s.t.lanes)
    each = f.mul(g["channels"], form.depth)
    tiles = balanced(f, block.count(f), s.rows)
    size = f.add(tiles.size, 1)
    before = f.mul(tiles.larger, size)
    groups = (("0", tiles.larger, size), (before, f.sub(tiles.count, tiles.larger), tiles.size))
    pitch = f.add(f.mul(width, POSITIONS), GAP)
    with f.loop(0, form.positions, 1) as p:
        values = f.mul(g["channels"], form.parts_of(f, p.i))
        runs = balanced(f, f.udiv(values, UNIT), RUN // UNIT)
        with f.loop(0, runs.count, 1) as run:
            k, length = (f.mul(n, UNIT) for n in piece(f, run.i, runs))
            b = f.at(t.name, u, f.add(f.mul(p.i, f.add(f.mul(each, width), GAP)), f.mul(k, width)))
            v = f.at(t.name, scratch.v, f.add(f.mul(p.i, f.add(f.mul(block.count(f), each), GAP)), k))
            m = f.at(t.name, scratch.m, f.mul(p.i, width))
            for start, number, rows in groups:
                with f.when(f.less(0, number)):
                    a, out = f.at(t.name, v, f.mul(start, each)), f.at(t.name, m, f.mul(start, pitch))
                    kernel = find_position_kernel(f, s, nrv, rows)
                    operands = f"ptr {a}, i64 {each}, ptr {b}, ptr {out}, i64 {number}, i64 {length}"
                    f.do(f"call void {kernel}({operands}, i1 {f.less(0, run.i)})")


def _write(
    f: Function, s: Strategy, g: Geometry, form: Form, block: Block, scratch: Scratch, inner: str, nrv: str
) -> None:
    """The results of a panel, a row of tiles at a time."""
    t, tall = s.t, form.tile(f, g)[0]
    pitch = f.add(f.mul(nrv, POSITIONS * t.lanes), GAP)
    writer = f.load("ptr", f.at("ptr", f"@transforms{form.suffix}_{t.dtype}", nrv))
    with f.loop(0, block.tiles_high, 1) as row:
        y = f.mul(row.i, tall)
        r = f.add(block.first, f.mul(g["out_width"], y))
        m = f.at(t.name, scratch.m, f.mul(f.mul(row.i, block.tiles_wide), pitch))
        places = []
        for name in ("c", "init"):
            at = f.at(t.name, f"%{name}", f.add(inner, f.mul(r, f"%{name}_row")))
            first, second = form.result_steps(f, g, f"%{name}_row")
            places.append(f"ptr {at}, i64 {first}, i64 {second}")
        ends = ", ".join(f"i64 {size}" for size in form.result_sizes(f, g, block, y))
        operands = f"{', '.join(places)}, ptr {scratch.patch}, {t.name} %alpha, {t.name} %floor, {ends}"
        f.do(f"call void {writer}(ptr {m}, i64 {pitch}, {operands})")


def transform_table(s: Strategy, form: Form) -> str:
    """The table of the transforms of results by vectors."""
    t = s.t
    entries = ["ptr null"] * (s.vectors + 1)
    for nrv in widths(s):
        entries[nrv] = f"ptr @transform_output{form.suffix}_{t.dtype}_{nrv}"
    kind = f"[{len(entries)} x ptr]"
    return f"@transforms{form.suffix}_{t.dtype} = internal constant {kind} [{', '.join(entries)}], align 64"


def winograd_parts(s: Strategy) -> tuple[list[str], list[str]]:
    """The globals and the functions of the module, beside `pack_b_panels`."""
    t = s.t
    functions = [*position_kernels(s), transform_input(t), transform_input_line(t)]
    functions += [write(s, nrv) for nrv in widths(s) for write in (transform_output, transform_output_line)]
    functions += [pixels_fit(t, UNIT), copy_patch(t), later_rows(t)]
    for form in FORMS:
        functions += [transform_kernel(s, form), winograd_block(s, form), winograd_units(s, form)]
        functions += [winograd(s, form, policy) for policy in ("", FAST)]
    return [position_table(s), *(transform_table(s, form) for form in FORMS)], functions
