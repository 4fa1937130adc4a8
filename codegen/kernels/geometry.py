"""Where the windows of an image lie in memory: the table that convolution drivers take, and walking over the
windows one after the other.

An image is height x width pixels, `pixel` elements apart, of which `channels` are read. Window (y, x) of
out_height x out_width has taps_high x taps_wide pixels; its tap (i, j) is the pixel (y * stride_y + i *
dilation_y - low_y, x * stride_x + j * dilation_x - low_x), or zeros where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.text import Carried, Function, Operand

FIELDS = (
    "height", "width", "out_height", "out_width", "taps_high", "taps_wide", "stride_y", "stride_x",
    "low_y", "low_x", "dilation_y", "dilation_x", "channels", "pixel",
)  # fmt: skip

Geometry = dict[str, str]


def read_geometry(f: Function) -> Geometry:
    """The entries of the table %geometry, as i64."""
    return {name: f.load("i64", f.at("i64", "%geometry", i)) for i, name in enumerate(FIELDS)}


@dataclass(frozen=True)
class Window:
    """A window: its image, its row and its column."""

    image: str
    y: str
    x: str

    @property
    def carried(self) -> Carried:
        """The window as what a loop carries."""
        return [("i64", self.image), ("i64", self.y), ("i64", self.x)]

    def next(self, f: Function, g: Geometry) -> Window:
        """The window after this one."""
        x = f.add(self.x, 1)
        ends = f.equal(x, g["out_width"])
        y = f.add(self.y, f(f"zext i1 {ends} to i64"))
        last = f.equal(y, g["out_height"])
        image = f.add(self.image, f(f"zext i1 {last} to i64"))
        return Window(image, f.select("i64", last, 0, y), f.select("i64", ends, 0, x))


def window_at(f: Function, g: Geometry, number: Operand) -> Window:
    """The window of that number."""
    row = f.udiv(number, g["out_width"])
    return Window(f.udiv(row, g["out_height"]), f.urem(row, g["out_height"]), f.urem(number, g["out_width"]))


@dataclass(frozen=True)
class Corner:
    """The first tap of a window: its row, its column, the element where it is or would be, and whether all of
    the window lies inside.
    """

    y: str
    x: str
    element: str
    inside: str


def corner(f: Function, g: Geometry, window: Window) -> Corner:
    """Where a window begins."""
    y = f.sub(f.mul(window.y, g["stride_y"]), g["low_y"])
    x = f.sub(f.mul(window.x, g["stride_x"]), g["low_x"])
    row = f.add(f.mul(window.image, g["height"]), y)
    element = f.mul(f.add(f.mul(row, g["width"]), x), g["pixel"])
    return Corner(y, x, element, f.both(_within(f, g, y, "height"), _within(f, g, x, "width")))


def _within(f: Function, g: Geometry, low: str, extent: str) -> str:
    taps, dilation = ("taps_high", "dilation_y") if extent == "height" else ("taps_wide", "dilation_x")
    high = f.add(low, f.mul(f.sub(g[taps], 1), g[dilation]))
    return f.both(f(f"icmp sge i64 {low}, 0"), f.less(high, g[extent]))


def tap_of(f: Function, g: Geometry, tap: str) -> tuple[str, str, str]:
    """Of a tap: the rows and columns from a window's first tap to it, and the elements."""
    y = f.mul(f.udiv(tap, g["taps_wide"]), g["dilation_y"])
    x = f.mul(f.urem(tap, g["taps_wide"]), g["dilation_x"])
    return y, x, f.mul(f.add(f.mul(y, g["width"]), x), g["pixel"])


def inside(f: Function, g: Geometry, start: Corner, y: str, x: str) -> str:
    """Whether the tap (y, x) from a window's first one is a pixel of the image."""
    rows, columns = f.add(start.y, y), f.add(start.x, x)
    row = f(f"icmp ult i64 {rows}, {g['height']}")
    return f.both(row, f(f"icmp ult i64 {columns}, {g['width']}"))
