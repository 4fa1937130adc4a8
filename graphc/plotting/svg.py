"""Boxes and arrows as the text of an SVG picture."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import pairwise

from graphc.plotting.boxes import Box, Diagram
from graphc.plotting.layout import Point, arrange

FONT, CHARACTER, LINE, PADDING = 12, 7.3, 16.0, 9.0
"""Sizes in pixels: the font, the width of a character of it, the height of a line, a box's padding."""
MARGIN = 16.0
COLOURS = {
    "Input": "#e8eaed",
    "Conv": "#d3e5fb",
    "Dense": "#fbe2cf",
    "Pool": "#d8f0d8",
    "Norm": "#f5ecc8",
    "Concatenate": "#ead9f5",
    "Add": "#ead9f5",
    "Multiply": "#ead9f5",
    "LSTM": "#fbd5de",
    "GRU": "#fbd5de",
    "RNN": "#fbd5de",
    "Attention": "#fbd5de",
    "Functional": "#f6f8fa",
    "Sequential": "#f6f8fa",
}
"""The fill of boxes whose class has this in its name; others are white."""
FONTS = "ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace"
STYLE = (
    f"text{{font:{FONT}px {FONTS};fill:#1f2328}}"
    ".t{font-weight:600}.s{fill:#57606a}rect{stroke:#8c959f}path{fill:none;stroke:#57606a;stroke-width:1.3}"
    ".f{stroke-dasharray:4 3}"
)


@dataclass(frozen=True)
class Drawing:
    """Elements of SVG, at their places from the upper left corner, and the size of what they fill."""

    elements: tuple[str, ...]
    width: float
    height: float


def render(diagram: Diagram, sideways: bool = False) -> str:
    """The picture of a diagram, from top to bottom, or from left to right if `sideways`."""
    drawing = draw(diagram, sideways)
    width, height = drawing.width + 2 * MARGIN, drawing.height + 2 * MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-MARGIN:g} {-MARGIN:g} {width:.1f} {height:.1f}">'
    )
    marker = (
        '<marker id="arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8z" style="fill:#57606a;stroke:none"/></marker>'
    )
    paper = (
        f'<rect x="{-MARGIN:g}" y="{-MARGIN:g}" width="{width:.1f}" height="{height:.1f}" '
        'style="fill:#fff;stroke:none"/>'
    )
    body = "\n".join(drawing.elements)
    return f"{head}\n<style>{STYLE}</style>\n<defs>{marker}</defs>\n{paper}\n{body}\n</svg>\n"


def draw(diagram: Diagram, sideways: bool = False) -> Drawing:
    """The elements of a diagram: its arrows, then its boxes with the diagrams within them."""
    inner = [None if box.inside is None else draw(box.inside, sideways) for box in diagram.boxes]
    sizes = [_size(box, inside) for box, inside in zip(diagram.boxes, inner)]
    layout = arrange([(h, w) if sideways else (w, h) for w, h in sizes], diagram.arrows)
    elements = [_arrow(points, sideways) for points in layout.routes]
    for box, inside, (width, height), centre in zip(diagram.boxes, inner, sizes, layout.centres):
        x, y = _turned(centre, sideways)
        elements += _box(box, inside, x - width / 2, y - height / 2, width, height)
    whole = _turned((layout.width, layout.height), sideways)
    return Drawing(tuple(elements), *whole)


def _turned(point: Point, sideways: bool) -> Point:
    return (point[1], point[0]) if sideways else point


def _size(box: Box, inside: Drawing | None) -> Point:
    width = max(map(len, (box.title, *box.lines))) * CHARACTER + 2 * PADDING
    height = (1 + len(box.lines)) * LINE + 2 * PADDING - 4
    if inside is not None:
        return max(width, inside.width + 2 * PADDING), height + inside.height + PADDING
    return width, height


def _box(box: Box, inside: Drawing | None, x: float, y: float, width: float, height: float) -> list[str]:
    fill = next((c for part, c in COLOURS.items() if part in box.kind), "#ffffff")
    style = ' class="f"' if box.frozen else ""
    elements = [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="5" '
        f'fill="{fill}"{style}/>'
    ]
    for i, line in enumerate((box.title, *box.lines)):
        where = f'x="{x + PADDING:.1f}" y="{y + PADDING + FONT - 2 + i * LINE:.1f}"'
        elements.append(
            f'<text {where} class="{"s" if i else "t"}" xml:space="preserve">{escape(line)}</text>'
        )
    if inside is not None:
        left = x + (width - inside.width) / 2
        top = y + height - inside.height - PADDING
        elements += [f'<g transform="translate({left:.1f} {top:.1f})">', *inside.elements, "</g>"]
    return elements


def _arrow(points: tuple[Point, ...], sideways: bool) -> str:
    """A curve that leaves and enters each row at a right angle."""

    def at(x: float, y: float) -> str:
        return f"{y:.1f} {x:.1f}" if sideways else f"{x:.1f} {y:.1f}"

    path = f"M{at(*points[0])}"
    for (x, y), (u, v) in pairwise(points):
        middle = (y + v) / 2
        path += f"L{at(u, v)}" if abs(x - u) < 0.05 else f"C{at(x, middle)} {at(u, middle)} {at(u, v)}"
    return f'<path d="{path}" marker-end="url(#arrow)"/>'
