"""Matrix products of training beside NumPy and torch, one thread each: `python benchmarks/products.py [f32
| f64] [--quick]`.

Every round measures the core's FMA peak as well (never from a data sheet), since the clock drifts with what
the neighbours do. Times are CPU time of the calling thread, the least of all rounds. torch is left out if
it is not installed.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable

import numpy as np
from harness import one_thread, side_by_side
from peak import peak_probe

from graphc.codegen.buffers import aligned_empty
from graphc.codegen.element import register
from graphc.codegen.kernels.library import driver_symbols, product_scratch_bytes
from graphc.codegen.kernels.product import arguments
from graphc.codegen.loader import load
from graphc.codegen.module_text import module
from graphc.codegen.target import host
from graphc.codegen.text import Function

# label, m, k, n, A transposed, B transposed
SHAPES = [
    ("forward NN", 128, 784, 512, False, False),
    ("forward NN", 128, 512, 256, False, False),
    ("dgrad NT", 128, 256, 512, False, True),
    ("dgrad NT", 128, 512, 784, False, True),
    ("wgrad TN", 784, 128, 512, True, False),
    ("wgrad TN", 512, 128, 256, True, False),
    ("logits NN", 128, 256, 10, False, False),
    ("batch 1", 1, 784, 512, False, False),
    ("batch 8", 8, 784, 512, False, False),
    ("square NN", 512, 512, 512, False, False),
    ("square NN", 1024, 1024, 1024, False, False),
    ("square TN", 1024, 1024, 1024, True, False),
    ("square NT", 1024, 1024, 1024, False, True),
    ("square NN", 2048, 2048, 2048, False, False),
]
NUMPY = {"f32": "f4", "f64": "f8"}


def ours(dtype: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray], Callable[[], None]]:
    """A maker of closures c = a @ b on our library, called from native code as a compiled step does."""
    t = register(dtype, host())
    f = Function("run", "ptr %table")
    types = [part.split(" ")[0] for part in arguments(t).split(", ")]
    values = [f"{ty} {f.load(ty, f.at('i64', '%table', i))}" for i, ty in enumerate(types)]
    f.do(f"call void @product_{dtype}({', '.join(values)})")
    symbols = driver_symbols([f"product_{dtype}"], host())
    run = load([module(f.text(), target=host())], host(), symbols=symbols).function("run", "p")
    scratch = aligned_empty((product_scratch_bytes(dtype, host()),), "u1")
    zeros = np.zeros(1 << 12, NUMPY[dtype])
    unit, floor = (np.array([x], NUMPY[dtype]).view(f"u{t.size}")[0] for x in (1.0, -np.inf))

    def bind(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Callable[[], None]:
        sa, sb, sc = ([stride // x.itemsize for stride in x.strides] for x in (a, b, c))
        at_a, at_b, at_c, at_init, at_scratch = (x.ctypes.data for x in (a, b, c, zeros, scratch))
        sizes = (a.shape[0], b.shape[1], a.shape[1])
        fields = [at_a, *sa, at_b, *sb, at_c, sc[0], *sizes, at_init, 0, unit, floor, at_scratch, 0, 0, 0, 0]
        table = np.array(fields, "u8")
        address = table.ctypes.data
        return lambda keep=(a, b, c, table): run(address)

    return bind


def operands(dtype: str, shape: tuple[int, int, int], ta: bool, tb: bool) -> list[np.ndarray]:
    """a, b, and results for two libraries."""
    m, k, n = shape
    rng = np.random.default_rng(0)
    sizes = ((k, m) if ta else (m, k), (n, k) if tb else (k, n), (m, n), (m, n))
    a, b, c, d = (aligned_empty(size, NUMPY[dtype]) for size in sizes)
    a[:], b[:] = rng.standard_normal(a.shape), rng.standard_normal(b.shape)
    return [a.T if ta else a, b.T if tb else b, c, d]


def candidates(
    dtype: str, bind: Callable[..., Callable[[], None]], shape: tuple[int, int, int], ta: bool, tb: bool
) -> dict[str, Callable[[], object]]:
    """The product by each library, whose results are compared first."""
    a, b, c, d = operands(dtype, shape, ta, tb)
    found: dict[str, Callable[[], object]] = {
        "graphc": bind(a, b, c),
        "numpy": lambda: np.matmul(a, b, out=d),
    }
    for run in found.values():
        run()
    if not np.allclose(c, d, atol=1e-3 if dtype == "f32" else 1e-10):
        raise SystemExit(f"{shape}: the results differ")
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        x, y, z = torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(d)
        found["torch"] = lambda: torch.mm(x, y, out=z)
    return found


def measure(dtype: str, rounds: int) -> None:
    """Print the table of one element type."""
    bind = ours(dtype)
    probe, probe_flops = peak_probe(dtype)
    print(f"{dtype}: % of the measured peak; time of graphc as a multiple of the faster peer's")
    for label, m, k, n, ta, tb in SHAPES:
        flops = 2.0 * m * k * n
        runs = {"peak": probe, **candidates(dtype, bind, (m, k, n), ta, tb)}
        timings = side_by_side(runs, rounds if flops < 1e9 else 5)
        least = {name: timing.least for name, timing in timings.items()}
        top = probe_flops / least.pop("peak")
        shares = "  ".join(f"{name} {100 * flops / s / top:5.1f}" for name, s in least.items())
        ratio = least["graphc"] / min(s for name, s in least.items() if name != "graphc")
        size = f"{label:11}{m:5}{k:5}{n:5}"
        print(
            f"  {size}   {shares}   x{ratio:.2f}  {1e6 * least['graphc']:9.1f} us   peak {top / 1e9:.0f}",
            flush=True,
        )


def main() -> None:
    """Start again with one thread for everybody, since the libraries read the environment when they are
    imported.
    """
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        one_thread()
        os.execv(sys.executable, [sys.executable, *sys.argv])
    chosen = [argument for argument in sys.argv[1:] if argument in NUMPY]
    for dtype in chosen or NUMPY:
        measure(dtype, rounds=10 if "--quick" in sys.argv else 40)


if __name__ == "__main__":
    main()
