"""Plots as SVG text: dots on a logarithmic axis, and bars beside their limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT, ROW = 860, 300, 40, 22
TOP, BOTTOM = 92, 34
FONT = "12px ui-sans-serif,system-ui,'DejaVu Sans',sans-serif"
COLOURS = {
    "graphc": "#d1242f",
    "graphc, warm cache": "#ff9a98",
    "NumPy": "#4d77cf",
    "numba": "#00a3af",
    "torch": "#bf5700",
    "torch.compile": "#e3a008",
    "jax.jit": "#6639ba",
    "jax scan": "#b083f0",
    "jax.jit, cached": "#b083f0",
    "Keras on JAX": "#0f7b3f",
    "Keras on TensorFlow": "#57ab5a",
    "ONNX Runtime": "#57606a",
    "OpenVINO": "#a0a8b0",
    "autograd": "#8b5a2b",
}
"""Whose dot has which colour."""
VERDICTS = {"goal": "#2da44e", "limit": "#4d9de0", "missed": "#d1242f"}


def line(x: float, y: float, to_x: float, to_y: float, colour: str = "#d0d7de", width: float = 1) -> str:
    return f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" stroke="{colour}" stroke-width="{width:g}"/>'


def text(x: float, y: float, what: str, anchor: str = "start", style: str = "") -> str:
    more = f' style="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(what)}</text>'


def picture(title: str, height: float, parts: Sequence[str]) -> str:
    """A whole file, on white."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}">',
            f"<style>text{{font:{FONT};fill:#1f2328}}</style>",
            f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>',
            text(16, 24, title, style="font-weight:600;font-size:14px"),
            *parts,
            "</svg>\n",
        ]
    )


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` across the picture, logarithmic or not."""

    low: float
    high: float
    logarithmic: bool = True

    def x(self, value: float) -> float:
        a, b, v = (math.log10(n) if self.logarithmic else n for n in (self.low, self.high, value))
        return LEFT + (WIDTH - LEFT - RIGHT) * (v - a) / (b - a)

    def ticks(self) -> list[float]:
        """1, 2, 5 in each decade, or tenths."""
        if not self.logarithmic:
            return [n / 5 for n in range(math.ceil(self.low * 5), int(self.high * 5) + 1)]
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if self.high / self.low < 300 else (1,)
        found = [s * 10.0**d for d in decades for s in steps]
        return [v for v in found if self.low <= v <= self.high]

    def drawn(self, bottom: float, label: Callable[[float], str]) -> list[str]:
        parts = []
        for value in self.ticks():
            x = self.x(value)
            parts += [line(x, TOP - 8, x, bottom), text(x, bottom + 16, label(value), "middle")]
        return parts


def dots(title: str, rows: Mapping[str, Mapping[str, float]], label: Callable[[float], str]) -> str:
    """A row of dots for each entry, with a colour for each candidate; values on a logarithmic axis."""
    values = [v for row in rows.values() for v in row.values()]
    axis, bottom = Axis(min(values) / 1.25, max(values) * 1.25), TOP + ROW * len(rows)
    parts = axis.drawn(bottom, label)
    for i, (name, row) in enumerate(rows.items()):
        y = TOP + ROW * (i + 0.5)
        parts += [text(LEFT - 12, y + 4, name, "end"), line(LEFT, y, WIDTH - RIGHT, y, "#eaeef2")]
        for candidate in sorted(row, key=lambda c: c.startswith("graphc")):
            size = 6 if candidate.startswith("graphc") else 4.5
            place = f'cx="{axis.x(row[candidate]):.1f}" cy="{y:.1f}" r="{size}"'
            named = f"<title>{escape(candidate)}: {label(row[candidate])}</title>"
            parts.append(f'<circle {place} fill="{COLOURS[candidate]}" fill-opacity=".9">{named}</circle>')
    shown = [c for c in COLOURS if any(c in row for row in rows.values())]
    return picture(title, bottom + BOTTOM, [*parts, *legend({c: COLOURS[c] for c in shown})])


def legend(colours: Mapping[str, str]) -> list[str]:
    """Names beside their colours, below the title, in up to two lines."""
    parts, x, y = [], 16.0, 46
    for name, colour in colours.items():
        wide = 26 + 6.8 * len(name)
        if x + wide > WIDTH:
            x, y = 16.0, y + 18
        parts += [f'<circle cx="{x + 5:.1f}" cy="{y}" r="5" fill="{colour}"/>', text(x + 14, y + 4, name)]
        x += wide
    return parts


@dataclass(frozen=True)
class Bar:
    """A ratio, what it should be at most, and a word of `VERDICTS` about it."""

    name: str
    ratio: float
    limit: float
    goal: float
    verdict: str


def bars(title: str, given: Sequence[Bar]) -> str:
    """A bar for each ratio, with its limit (a thick mark) and its goal (a thin one)."""
    bottom = TOP + ROW * len(given)
    axis = Axis(0.0, max(1.1, *(b.ratio * 1.08 for b in given)), logarithmic=False)
    parts = axis.drawn(bottom, lambda v: f"{v:.1f}")
    parts.append(line(axis.x(1), TOP - 8, axis.x(1), bottom, "#57606a", 1.5))
    for i, bar in enumerate(given):
        y = TOP + ROW * i
        wide = axis.x(bar.ratio) - LEFT
        fill = VERDICTS[bar.verdict]
        parts += [
            text(LEFT - 12, y + 15, bar.name, "end"),
            f'<rect x="{LEFT}" y="{y + 4}" width="{wide:.1f}" height="{ROW - 8}" fill="{fill}"/>',
            line(axis.x(bar.limit), y + 1, axis.x(bar.limit), y + ROW - 1, "#1f2328", 3),
            line(axis.x(bar.goal), y + 1, axis.x(bar.goal), y + ROW - 1, "#1f2328", 1),
            text(LEFT + 6, y + 15, f"{bar.ratio:.2f}", style="fill:#ffffff;font-weight:600"),
        ]
    words = {
        "goal": "reaches the goal (thin mark)",
        "limit": "within the limit (thick mark)",
        "missed": "missed",
    }
    return picture(title, bottom + BOTTOM, [*parts, *legend({words[v]: c for v, c in VERDICTS.items()})])
