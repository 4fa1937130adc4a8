"""What `f.cost()` says beside what `f.profile()` measures: every kernel of some workloads under the roofline.

    python benchmarks/roofline.py            # measure: results/roofline.json, docs/roofline.md and .svg
    python benchmarks/roofline.py --draw     # the page and the picture again, from the JSON

One thread. The roof of a kernel is the time that its operations take at the measured peak of fused
multiply-adds, or its bytes at the measured bandwidth of the level of memory that they fit into, whichever is
longer (S. Williams, A. Waterman, D. Patterson, "Roofline", 2009).
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness import one_thread

ROOT = Path(__file__).parent.parent
RESULT, PAGE, PICTURE = (
    ROOT / path for path in ("benchmarks/results/roofline.json", "docs/roofline.md", "docs/roofline.svg")
)
CASES: dict[str, tuple[str, bool, int]] = {
    "MLP, training b128": ("mlp", True, 128),
    "autoencoder, training b32": ("autoencoder", True, 32),
    "InceptionV3, inference b1": ("inception", False, 1),
    "InceptionV3, fine-tuning b8": ("finetune", True, 8),
}
"""A network of `workloads`, whether it is trained, and the batch size."""
LISTED = 12
"""Kernels of a workload that the page lists: the slowest."""
KINDS = {
    "contract": ("products and convolutions", "#1f77b4"),
    "map": ("element by element", "#2ca02c"),
    "rows": ("row by row", "#9467bd"),
    "reduce": ("folds", "#ff7f0e"),
    "other": ("others", "#7f7f7f"),
}

Row = dict[str, Any]


# -- measuring -----------------------------------------------------------------------------------------------
def measured() -> dict[str, Any]:
    """All workloads, as the JSON has them."""
    from graphc.codegen.peak import peak
    from graphc.codegen.target import host

    found = {title: profile(*case) for title, case in CASES.items()}
    return {
        "cpu": host().cpu,
        "flops": dict(peak().flops),
        "reading": dict(peak().reading),
        "workloads": found,
    }


def profile(name: str, train: bool, batch: int) -> dict[str, Any]:
    """The kernels of one workload."""
    from workloads.networks import NETWORKS

    import graphc

    graphc.utils.set_random_seed(0)
    network = NETWORKS[name]
    model = network.build(graphc)
    loss: Any = network.loss
    if loss == "crossentropy":
        loss = graphc.losses.SparseCategoricalCrossentropy(from_logits=network.logits)
    model.compile("adam" if network.adam else graphc.optimizers.SGD(network.rate), loss)
    step = graphc.compile(model, step="train" if train else "predict", threads=1)
    given = step.example(batch)
    found = step.profile(given.x, given.y or None)
    kept = ("name", "kind", "seconds", "calls", "flops", "bytes", "dtype", "estimate", "roof")
    rows = [{key: getattr(row, key) for key in kept} | {"layers": row.layers[:2]} for row in found]
    return {"call": found.call, "total": found.total, "rounds": found.rounds, "rows": rows}


# -- the page ------------------------------------------------------------------------------------------------
HEAD = """\
# Roofline: what kernels take beside what they would have to

`python benchmarks/roofline.py` measured this and wrote this page; the figures are in
`benchmarks/results/roofline.json`. Operations and bytes are those of `f.cost()`, times of `f.profile()`:
each kernel's least, on one thread, inside the step.

| measured on one core ({cpu}) | |
| --- | --- |
| multiply-adds in registers | {f32:.1f} GFLOP/s in f32, {f64:.1f} in f64 |
| reading | {reading} |

- *Roof*: the time that a kernel's operations take at the first rate, or its bytes at the second, whichever
  is longer; % of it: the roof over the measured time. An operation of an elementwise kernel is one, be it an
  addition or an exponential, and no half of a multiply-add: such kernels stay far below the roof of
  multiply-adds. More than 100 % means that the bytes lay nearer than their number lets one expect.
- *Estimate*: what `codegen/kernel_time.py` takes the kernel to need, by which threads share it or not, over
  the measured time.

![Each kernel's rate over its intensity, under the measured roofs](roofline.svg)
"""


def page(data: dict[str, Any]) -> str:
    """The whole page."""
    reading = ", ".join(f"{1e-9 * rate:.1f} GB/s from {name}" for name, rate in data["reading"].items())
    flops = {name: 1e-9 * rate for name, rate in data["flops"].items()}
    parts = [HEAD.format(cpu=data["cpu"], reading=reading, **flops)]
    for title, workload in data["workloads"].items():
        rows = [row for row in workload["rows"] if row["bytes"]]
        whole = f"{1e3 * workload['call']:.3f} ms, its {len(rows)} kernels {1e3 * workload['total']:.3f} ms"
        parts.append(f"## {title}\n\nThe call takes {whole}.\n\n{kinds(rows)}\n\n{slowest(rows)}\n")
    parts.append(f"## Estimated and measured times\n\n{estimates(data)}\n")
    return "\n".join(parts)


def kinds(rows: list[Row]) -> str:
    """The sums by kind of kernel."""
    lines = [
        "| kernels | number | ms | share | GFLOP/s | GB/s | % of the roof |",
        "| --- " + "| ---: " * 6 + "|",
    ]
    total = sum(row["seconds"] for row in rows)
    for kind, (title, _) in KINDS.items():
        mine = [row for row in rows if kind_of(row) == kind]
        if not mine:
            continue
        seconds, flops, size, roof = (
            sum(row[key] for row in mine) for key in ("seconds", "flops", "bytes", "roof")
        )
        rates = f"{1e-9 * flops / seconds:.1f} | {1e-9 * size / seconds:.1f} | {100 * roof / seconds:.0f}"
        lines.append(
            f"| {title} | {len(mine)} | {1e3 * seconds:.3f} | {100 * seconds / total:.0f} % | {rates} |"
        )
    return "\n".join(lines)


def slowest(rows: list[Row]) -> str:
    """The kernels that take longest."""
    head = "| kernel | layer | MFLOP | MB | FLOP/byte | roof, us | measured, us | % of the roof | estimate |"
    lines = [head, "| --- | --- " + "| ---: " * 7 + "|"]
    for row in sorted(rows, key=lambda r: -r["seconds"])[:LISTED]:
        layer = row["layers"][0] if row["layers"] else ""
        name = row["name"] + (f" x{row['calls']}" if row["calls"] != 1 else "")
        cost = f"{1e-6 * row['flops']:.2f} | {1e-6 * row['bytes']:.2f} | {row['flops'] / row['bytes']:.1f}"
        times = (
            f"{1e6 * row['roof']:.1f} | {1e6 * row['seconds']:.1f} | {100 * row['roof'] / row['seconds']:.0f}"
        )
        lines.append(f"| {name} | {layer} | {cost} | {times} | {row['estimate'] / row['seconds']:.2f} |")
    return "\n".join(lines)


def estimates(data: dict[str, Any]) -> str:
    """How far estimates are off, by how long kernels take."""
    rows = [
        row for w in data["workloads"].values() for row in w["rows"] if row["estimate"] and row["seconds"]
    ]
    lines = [
        "Estimate over measured time, by how long a kernel takes. Threads share a kernel, or not, from some\n"
        "microseconds on; the model takes operands to lie in L2, so large ones take longer than it says.\n",
        "| measured | kernels | median | within a factor of 2 | of 3 |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for low, high in ((0, 2e-6), (2e-6, 2e-5), (2e-5, 2e-4), (2e-4, 2e-3), (2e-3, math.inf)):
        ratios = sorted(r["estimate"] / r["seconds"] for r in rows if low <= r["seconds"] < high)
        if ratios:
            span = f"{1e6 * low:g} us" + (f" to {1e6 * high:g} us" if high < math.inf else " and more")
            near = [sum(1 / f <= r <= f for r in ratios) / len(ratios) for f in (2, 3)]
            middle = ratios[len(ratios) // 2]
            shares = f"{100 * near[0]:.0f} % | {100 * near[1]:.0f} %"
            lines.append(f"| {span} | {len(ratios)} | {middle:.2f} | {shares} |")
    return "\n".join(lines)


def kind_of(row: Row) -> str:
    return row["kind"] if row["kind"] in KINDS else "other"


# -- the picture ---------------------------------------------------------------------------------------------
WIDTH, HEIGHT, LEFT, TOP = 400, 260, 56, 34
LOW, HIGH = (-6.0, -2.0), (11.0, 7.5)
"""Powers of two at the edges: FLOP per byte, GFLOP/s."""


def picture(data: dict[str, Any]) -> str:
    """A panel for each workload: a dot for each kernel, whose area is its time."""
    panels = [
        f'<g transform="translate({i % 2 * (WIDTH + 76) + LEFT},{i // 2 * (HEIGHT + 84) + TOP})">'
        + "".join(panel(title, workload["rows"], data))
        + "</g>"
        for i, (title, workload) in enumerate(data["workloads"].items())
    ]
    lines = math.ceil(len(panels) / 2)
    width, height = 2 * (WIDTH + 76), lines * (HEIGHT + 84) + 30
    legend = "".join(
        f'<circle cx="{LEFT + 190 * i}" cy="{height - 16}" r="5" fill="{colour}"/>'
        f'<text x="{LEFT + 10 + 190 * i}" y="{height - 12}">{title}</text>'
        for i, (title, colour) in enumerate(KINDS.values())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(panels)}{legend}</svg>\n'
    )


def place(intensity: float, gflops: float) -> tuple[float, float]:
    """Where a rate lies in a panel, both in powers of two."""
    at = (math.log2(max(intensity, 2.0 ** LOW[0])), math.log2(max(gflops, 2.0 ** LOW[1])))
    x, y = ((min(v, high) - low) / (high - low) for v, low, high in zip(at, LOW, HIGH))
    return WIDTH * x, HEIGHT * (1 - y)


def panel(title: str, rows: list[Row], data: dict[str, Any]) -> Iterable[str]:
    """The frame, the roofs, and the dots of one workload."""
    yield f'<text x="0" y="-12" font-size="13" font-weight="bold">{title}</text>'
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>'
    for power in range(int(LOW[0]) + 2, int(HIGH[0]), 2):
        x, _ = place(2.0**power, 1)
        label = f"{2**power}" if power >= 0 else f"1/{2**-power}"
        yield f'<text x="{x:.1f}" y="{HEIGHT + 15}" text-anchor="middle">{label}</text>'
        yield f'<path d="M{x:.1f} 0V{HEIGHT}" stroke="#eee"/>'
    for gflops in (1, 4, 16, 64):
        _, y = place(1, gflops)
        yield f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{gflops}</text>'
        yield f'<path d="M0 {y:.1f}H{WIDTH}" stroke="#eee"/>'
    yield f'<text x="{WIDTH / 2}" y="{HEIGHT + 31}" text-anchor="middle">FLOP per byte</text>'
    yield f'<text transform="translate(-34,{HEIGHT / 2}) rotate(-90)" text-anchor="middle">GFLOP/s</text>'
    yield from roofs(data)
    longest = max(row["seconds"] for row in rows)
    for row in sorted((r for r in rows if r["flops"] and r["seconds"]), key=lambda r: -r["seconds"]):
        x, y = place(row["flops"] / row["bytes"], 1e-9 * row["flops"] / row["seconds"])
        radius = max(1.5, 14 * math.sqrt(row["seconds"] / longest))
        colour = KINDS[kind_of(row)][1]
        text = f"{row['name']}: {1e6 * row['seconds']:.1f} us, {', '.join(row['layers'])}"
        yield (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.5" '
            f'stroke="{colour}"><title>{text}</title></circle>'
        )


def roofs(data: dict[str, Any]) -> Iterable[str]:
    """The multiply-adds of a core, and a slope for each level of memory up to there."""
    top = 1e-9 * data["flops"]["f32"]
    for name, rate in data["reading"].items():
        gbytes = 1e-9 * rate
        start = max(2.0 ** LOW[0], 2.0 ** LOW[1] / gbytes)
        (x0, y0), (x1, y1) = place(start, start * gbytes), place(top / gbytes, top)
        yield f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="#555" fill="none"/>'
        x, y = place(start * 4, start * 4 * gbytes)
        turn = f"translate({x:.1f},{y - 4:.1f}) rotate({math.degrees(math.atan2(y1 - y0, x1 - x0)):.0f})"
        yield f'<text transform="{turn}" fill="#555">{name}</text>'
    x, y = place(top * 1e9 / max(data["reading"].values()), top)
    yield f'<path d="M{x:.1f} {y:.1f}H{WIDTH}" stroke="#555"/>'
    yield f'<text x="{x + 4:.1f}" y="{y - 5:.1f}" fill="#555">{top:.0f} GFLOP/s</text>'


def main() -> None:
    if "--draw" not in sys.argv:
        one_thread()
        text = json.dumps(measured())
        RESULT.write_text(text.replace('{"name"', '\n{"name"') + "\n")  # a line for each row
    data = json.loads(RESULT.read_text())
    PAGE.write_text(page(data))
    PICTURE.write_text(picture(data))


if __name__ == "__main__":
    main()
