"""Where what Winograd's algorithm needs lies in scratch memory, whose size depends on channels and columns
alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.element import Element
from graphc.codegen.kernels.strategy import Strategy, strategy
from graphc.codegen.kernels.winograd_forms import SQUARE, Form
from graphc.codegen.kernels.winograd_tiles import GAP
from graphc.codegen.kernels.winograd_transforms import POSITIONS
from graphc.codegen.kernels.winograd_units import TILES
from graphc.codegen.target import Target
from graphc.codegen.text import Function


@dataclass(frozen=True)
class Scratch:
    """The parts of scratch memory: that of `convolve`, a tile of pixels, taps of a panel, V,
    M, and U.
    """

    direct: str
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
        places.append(at)
        return cls(*places)


def _parts(s: Strategy) -> list[tuple[int, int]]:
    """Elements of each part but the first and the last: a number, and how many more for each channel."""
    width = s.width
    return [
        (0, 16),
        (64, SQUARE.taps * width),
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


def panel_of_u(f: Function, t: Element, form: Form, u: str, channels: str, panel: tuple[str, str]) -> str:
    """Where the panel of that number and first column is."""
    number, inner = panel
    each = f.mul(f.mul(inner, channels), form.depth)
    return f.at(t.name, u, f.mul(f.add(each, f.mul(number, GAP)), form.positions))
