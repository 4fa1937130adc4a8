"""The kernels of Winograd's algorithm: all taps as U, which lies [panel][position][channel][column], and the
guard of them.
"""

from __future__ import annotations

from graphc.codegen.element import Element
from graphc.codegen.kernels.cuts import balanced, piece
from graphc.codegen.kernels.packers import call_pack_b
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.kernels.winograd_forms import Form
from graphc.codegen.kernels.winograd_guards import greatest, magnitude, some_zero, taps_fit
from graphc.codegen.kernels.winograd_places import panel_of_u
from graphc.codegen.kernels.winograd_tiles import GAP
from graphc.codegen.text import Function

_KERNEL = (
    "ptr noalias %b, i64 %b_row, i64 %b_col, i64 %b_tap, i64 %n, i64 %channels, ptr noalias %taps, "
    "ptr noalias %u"
)


def transform_kernel(s: Strategy, form: Form) -> str:
    """U, and whether taps are such that it may be used."""
    t = s.t
    f = Function(f"transform_kernel{form.suffix}_{t.dtype}", _KERNEL, ret="i1", linkage="internal")
    panels = balanced(f, f.ceildiv("%n", t.lanes), s.vectors)
    with f.loop(0, panels.count, 1, [("i1", "true")]) as jc:
        first, nrv = piece(f, jc.i, panels)
        inner, width = f.mul(first, t.lanes), f.mul(nrv, t.lanes)
        each = f.mul("%channels", width)
        with f.loop(0, form.taps, 1) as tap:
            at = f.add(f.mul(tap.i, "%b_tap"), f.mul(inner, "%b_col"))
            out = f.at(t.name, "%taps", f.mul(tap.i, each))
            n = f.minimum(width, f.sub("%n", inner))
            call_pack_b(f, s, f.at(t.name, "%b", at), out, width, n, "%channels")
        u = panel_of_u(f, t, form, "%u", "%channels", (jc.i, inner))
        with f.loop(0, width, t.lanes, [("i1", jc.values[0])]) as v:
            fits = _transform_columns(f, t, form, v.i, width, u)
            v.next = [f.both(v.values[0], fits)]
        jc.next = v.results
    return f.text(f"i1 {jc.results[0]}")


def _transform_columns(f: Function, t: Element, form: Form, at: str, width: str, u: str) -> str:
    """A vector of columns of a panel; whether they fit."""
    pitch = f.mul("%channels", width)
    norms = [(t.integer.vec, "zeroinitializer")] * (form.taps + 1)
    with f.loop(0, "%channels", 1, norms) as l:
        here = f.add(at, f.mul(l.i, width))
        taps = [f.vload(t, f.at(t.name, "%taps", f.add(here, f.mul(pitch, i)))) for i in range(form.taps)]
        out = f.at(t.name, u, here)
        for p, values in enumerate(form.transform_taps(f, t, taps)):
            start = f.mul(f.add(f.mul(pitch, form.depth), GAP), p)
            for part, x in enumerate(values):
                f.vstore(t, x, f.at(t.name, out, f.add(start, f.mul(pitch, part))))
        *old, holes = l.values
        found = [magnitude(f, t, x) for x in taps]
        holes = f(f"or {t.integer.vec} {holes}, {some_zero(f, t, found)}")
        l.next = [*(greatest(f, t, a, b) for a, b in zip(old, found)), holes]
    return taps_fit(f, t, l.results[:-1], l.results[-1])
