"""Calls of Winograd's algorithm: which convolutions it computes, and how members share one."""

from __future__ import annotations

from typing import TypeGuard

from graphc.codegen.emit_windows import ConvolveWriter
from graphc.codegen.kernels.strategy import FAST
from graphc.codegen.kernels.winograd_places import Units, winograd_scratch_bytes
from graphc.codegen.kernels.winograd_tiles import UNIT
from graphc.codegen.loops import Part, Product, Windows
from graphc.codegen.target import Target
from graphc.ir.types import F32

MOST_KERNEL = 512 * 512
"""Channels times columns, at most."""
LEAST_WINDOWS = 144
"""Windows of an image, at least: all taps are transformed in each call, which is worth it for as many."""


def is_winograd(part: Part) -> TypeGuard[Product]:
    """Whether a part is a convolution that Winograd's algorithm computes: 3x3 taps side by side, stride 1,
    one group, f32, whole units of channels and columns, and images that are not small.
    """
    if not isinstance(part, Product) or not isinstance(part.a, Windows):
        return False
    a, channels, columns = part.a, part.a.channels, part.n
    shape = (a.size, a.strides, a.dilation) == ((3, 3), (1, 1), (1, 1)) and not a.transposed
    if not shape or part.dtype is not F32 or part.batch:
        return False
    if not isinstance(channels, int) or not isinstance(columns, int):
        return False
    fits = channels % UNIT == columns % UNIT == 0 and min(channels, columns) > 0
    height, width = a.out
    small = isinstance(height, int) and isinstance(width, int) and height * width < LEAST_WINDOWS
    return fits and channels * columns <= MOST_KERNEL and not small


class WinogradWriter(ConvolveWriter):
    """3x3 windows times a kernel; members divide the driver's units, which are fixed, and so are all bits."""

    driver = "winograd"
    policies = (FAST,)

    @staticmethod
    def packed_bytes(part: Product, target: Target) -> int:
        assert isinstance(part.a, Windows)
        assert isinstance(part.a.channels, int)
        assert isinstance(part.n, int)
        return winograd_scratch_bytes(target, part.a.channels, part.n)

    def shares(self, m: int | str, n: int | str, by_rows: str, count: int | str) -> None:
        assert isinstance(self.part.a, Windows)
        f = self.f
        units = Units.of(f, *(self.frame.size(d) for d in self.part.a.out))
        images = f.udiv(m, f.maximum(units.image, 1))
        first, length = self._range(f.mul(images, units.count), count, 1)
        self.row = units.begin(f, first)
        self.rows = f.sub(units.begin(f, f.add(first, length)), self.row)
        self.column, self.columns = "0", n
