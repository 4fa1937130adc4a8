"""Convolutions and pools, forward and both gradients, beside torch (channels last), one thread each:
`python benchmarks/convolutions.py [f32 | f64] [--quick] [NAME ...]`.

Every round measures the core's FMA peak as well. Times are CPU time of the calling thread, the least of all
rounds. Results are compared first. NAME selects the cases whose label has it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from harness import one_thread, side_by_side

from graphc.codegen import compile
from graphc.codegen.buffers import aligned_empty
from graphc.ir import Builder, tensor

NUMPY = {"f32": "f4", "f64": "f8"}
Run = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """A layer on images: its batch, their size and channels, and the window."""

    batch: int
    size: int
    channels: int
    filters: int
    window: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def out(self) -> int:
        return (self.size + 2 * self.padding - self.window) // self.stride + 1

    @property
    def label(self) -> str:
        kind = f"g{self.groups}" if self.groups > 1 else ""
        image = f"b{self.batch} {self.size}x{self.size} {self.channels}->{self.filters}"
        return f"{image} k{self.window}s{self.stride}{kind}"

    @property
    def attributes(self) -> dict[str, object]:
        return {
            "size": (self.window,) * 2,
            "strides": (self.stride,) * 2,
            "padding": ((self.padding, self.padding),) * 2,
        }

    @property
    def flops(self) -> float:
        pixels = self.batch * self.out**2 * self.filters
        return 2.0 * pixels * self.window**2 * self.channels / self.groups


CONVOLUTIONS = [
    Case(64, 28, 1, 32, 3),
    Case(64, 26, 32, 64, 3),
    Case(4, 112, 3, 64, 3, 1, 1),
    Case(4, 56, 64, 64, 3, 1, 1),
    Case(4, 28, 128, 128, 3, 1, 1),
    Case(4, 14, 256, 256, 3, 1, 1),
    Case(4, 7, 512, 512, 3, 1, 1),
    Case(4, 56, 64, 128, 3, 2, 1),
    Case(4, 56, 64, 256, 1),
    Case(32, 32, 3, 32, 3, 1, 1),
    Case(4, 28, 128, 128, 3, 1, 1, groups=32),
    Case(8, 28, 64, 64, 3, 1, 1, groups=8),
    Case(8, 56, 64, 64, 3, 1, 1, groups=64),
    Case(8, 56, 64, 64, 3, 2, 1, groups=64),
]
POOLS = [Case(8, 56, 64, 64, 2, 2), Case(8, 56, 64, 64, 3, 2, 1), Case(8, 56, 64, 64, 3, 1, 1)]


def array(dtype: str, *shape: int) -> np.ndarray:
    """Random numbers, aligned as a weight is."""
    x = aligned_empty(shape, NUMPY[dtype])
    x[:] = np.random.default_rng(0).standard_normal(shape)
    return x


def ours(dtype: str, make: Callable[..., object], arrays: list[np.ndarray]) -> Run:
    """A compiled graph of inputs that `make` gives the output of."""
    b = Builder("bench")
    inputs = [b.input(f"x{i}", tensor(dtype, *a.shape)) for i, a in enumerate(arrays)]
    b.output(make(b, *inputs))  # type: ignore[arg-type]
    f = compile(b.build())
    return lambda: f(*arrays)


def convolution(dtype: str, case: Case) -> dict[str, tuple[Run, Run]]:
    """(ours, torch's) for the forward pass with bias and relu, and for both gradients."""
    import torch

    attributes = {**case.attributes, "dilation": (1, 1), "groups": case.groups}
    each = case.channels // case.groups
    x = array(dtype, case.batch, case.size, case.size, case.channels)
    w = array(dtype, case.window, case.window, each, case.filters)
    bias, dy = array(dtype, case.filters), array(dtype, case.batch, case.out, case.out, case.filters)
    tx, tdy = (torch.from_numpy(a).permute(0, 3, 1, 2) for a in (x, dy))
    tw = torch.from_numpy(w).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    tb, s, p, g = torch.from_numpy(bias), case.stride, case.padding, case.groups

    def back(mask: list[bool]) -> Run:
        arguments = (tdy, tx, tw, None, [s, s], [p, p], [1, 1], False, [0, 0], g, mask)
        place = mask.index(True)
        return lambda: torch.ops.aten.convolution_backward(*arguments)[place]

    def forward(b, x, w, c):
        return b.relu(b.conv(x, w, **attributes) + c)

    def data(b, dy, w):
        return b.conv_data_gradient(dy, w, sizes=(case.size,) * 2, **attributes)

    return {
        "forward": (
            ours(dtype, forward, [x, w, bias]),
            lambda: torch.relu_(torch.conv2d(tx, tw, tb, s, p, 1, g)),
        ),
        "weights": (
            ours(dtype, lambda b, x, dy: b.conv_weight_gradient(x, dy, **attributes), [x, dy]),
            back([False, True, False]),
        ),
        "data": (ours(dtype, data, [dy, w]), back([True, False, False])),
    }


def pool(dtype: str, case: Case, kind: str) -> dict[str, tuple[Run, Run]]:
    """(ours, torch's) for the forward pass and the gradient."""
    import torch

    x = array(dtype, case.batch, case.size, case.size, case.channels)
    dy = array(dtype, case.batch, case.out, case.out, case.filters)
    tx, tdy = (torch.from_numpy(a).permute(0, 3, 1, 2) for a in (x, dy))
    k, t, p = ([n, n] for n in (case.window, case.stride, case.padding))
    attributes, sizes = case.attributes, (case.size,) * 2
    if kind == "max":
        y, places = torch.nn.functional.max_pool2d(tx, k, t, p, return_indices=True)
        found = np.ascontiguousarray(y.permute(0, 2, 3, 1).numpy())
        arrays = [x, found, dy]
        gradient = ours(dtype, lambda b, x, y, dy: b.max_pool_gradient(x, y, dy, **attributes), arrays)
        peers: tuple[Run, Run] = (
            lambda: torch.nn.functional.max_pool2d(tx, k, t, p),
            lambda: torch.ops.aten.max_pool2d_with_indices_backward(tdy, tx, k, t, p, [1, 1], False, places),
        )
    else:
        gradient = ours(dtype, lambda b, dy: b.average_pool_gradient(dy, sizes=sizes, **attributes), [dy])
        peers = (
            lambda: torch.nn.functional.avg_pool2d(tx, k, t, p, count_include_pad=False),
            lambda: torch.ops.aten.avg_pool2d_backward(tdy, tx, k, t, p, False, False, None),
        )
    op = f"{'max' if kind == 'max' else 'average'}_pool"
    forward = ours(dtype, lambda b, x: b.op(op, x, **attributes), [x])
    return {"forward": (forward, peers[0]), "gradient": (gradient, peers[1])}


def agree(label: str, mine: Run, theirs: Run, dtype: str) -> None:
    """Stop if the two results differ."""
    a, b = np.asarray(mine()), theirs().numpy()  # type: ignore[attr-defined]
    order = (2, 3, 1, 0) if "weights" in label else (0, 2, 3, 1)
    b = b.transpose(order)
    scale = max(1.0, float(np.abs(b).max()))
    if a.shape != b.shape or not np.allclose(a / scale, b / scale, atol=1e-4 if dtype == "f32" else 1e-11):
        raise SystemExit(f"{label}: the results differ")


def measure(dtype: str, rounds: int, wanted: list[str]) -> None:
    """Print the table of one element type."""
    from peak import peak_probe

    probe, probe_flops = peak_probe(dtype)
    print(f"{dtype}: us, % of the measured peak, and time as a multiple of torch's")
    cases = [(c.label, c, convolution) for c in CONVOLUTIONS]
    cases += [
        (f"{k} pool {c.label}", c, lambda d, c, k=k: pool(d, c, k)) for k in ("max", "average") for c in POOLS
    ]
    for label, case, make in cases:
        if wanted and not any(w in label for w in wanted):
            continue
        for direction, (mine, theirs) in make(dtype, case).items():
            agree(f"{label} {direction}", mine, theirs, dtype)
            timings = side_by_side({"peak": probe, "graphc": mine, "torch": theirs}, rounds, turns=3)
            top = probe_flops / timings["peak"].least
            least = {n: timings[n].least for n in ("graphc", "torch")}
            share = {n: 100 * case.flops / s / top for n, s in least.items()}
            percent = "" if "pool" in label else f"  {share['graphc']:5.1f} {share['torch']:5.1f} %"
            times = f"{1e6 * least['graphc']:9.0f} {1e6 * least['torch']:9.0f} us"
            print(
                f"  {label:30} {direction:8} {times}{percent}  x{least['graphc'] / least['torch']:.2f}",
                flush=True,
            )


def main() -> None:
    """Start again with one thread for everybody, since the libraries read the environment when they are
    imported.
    """
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        one_thread()
        os.execv(sys.executable, [sys.executable, *sys.argv])
    import torch

    torch.set_num_threads(1)
    arguments = [a for a in sys.argv[1:] if a != "--quick"]
    chosen = [a for a in arguments if a in NUMPY]
    for dtype in chosen or NUMPY:
        measure(dtype, 6 if "--quick" in sys.argv else 20, [a for a in arguments if a not in NUMPY])


if __name__ == "__main__":
    main()
