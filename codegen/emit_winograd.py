"""Calls of Winograd's algorithm: which convolutions it computes, and how members share one."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.codegen.emit_windows import ConvolveWriter
from graphc.codegen.kernels.strategy import FAST
from graphc.codegen.kernels.winograd_forms import LINE, SQUARE, Form
from graphc.codegen.kernels.winograd_places import winograd_scratch_bytes
from graphc.codegen.kernels.winograd_tiles import UNIT
from graphc.codegen.kernels.winograd_units import Units
from graphc.codegen.loops import Part, Product, Windows
from graphc.codegen.target import Target
from graphc.codegen.text import Operand
from graphc.ir.dims import Dim
from graphc.ir.types import F32

MOST_KERNEL = 512 * 512
"""Channels times columns, at most."""
LEAST_WINDOWS = 144
"""Windows of an image, at least: all taps are transformed in each call, which is worth it for as many."""

_FORMS: Mapping[tuple[Dim, Dim], tuple[Form, tuple[int, int]]] = {
    (3, 3): (SQUARE, (2, 2)),
    (1, 7): (LINE, (1, 2)),
    (7, 1): (LINE, (2, 1)),
}
"""The form for windows of a size, and the results of a tile."""


def form_of(part: Part) -> Form | None:
    """The form in which Winograd's algorithm computes a part: a convolution of 3x3, 1x7 or 7x1 taps side by
    side, stride 1, one group, f32, whole units of channels and columns, and images that are not small.
    """
    if not isinstance(part, Product) or not isinstance(part.a, Windows):
        return None
    a, channels, columns = part.a, part.a.channels, part.n
    if (a.strides, a.dilation) != ((1, 1), (1, 1)) or a.transposed or part.dtype is not F32 or part.batch:
        return None
    if not isinstance(channels, int) or not isinstance(columns, int):
        return None
    fits = channels % UNIT == columns % UNIT == 0 and min(channels, columns) > 0
    height, width = a.out
    small = isinstance(height, int) and isinstance(width, int) and height * width < LEAST_WINDOWS
    if not fits or channels * columns > MOST_KERNEL or small:
        return None
    return _FORMS[a.size][0] if a.size in _FORMS else None


class WinogradWriter(ConvolveWriter):
    """Windows times a kernel; members divide the driver's units, which are fixed, and so are all bits."""

    driver = "winograd"
    policies = (FAST,)

    @classmethod
    def symbol(cls, part: Product) -> str:
        form = form_of(part)
        assert form is not None
        return super().symbol(part).replace(cls.driver, f"{cls.driver}{form.suffix}")

    @staticmethod
    def packed_bytes(part: Product, target: Target) -> int:
        assert isinstance(part.a, Windows)
        assert isinstance(part.a.channels, int)
        assert isinstance(part.n, int)
        return winograd_scratch_bytes(target, part.a.channels, part.n)

    def shares(self, m: Operand, n: Operand, by_rows: str, count: Operand) -> None:
        assert isinstance(self.part.a, Windows)
        f, (height, width) = self.f, self.part.a.out
        tile = _FORMS[self.part.a.size][1]
        units = Units.of(f, self.frame.size(height), self.frame.size(width), tile)
        images = f.udiv(m, f.maximum(units.image, 1))
        first, length = self._range(f.mul(images, units.count), count, 1)
        self.row = units.begin(f, first)
        self.rows = f.sub(units.begin(f, f.add(first, length)), self.row)
        self.column, self.columns = "0", n
