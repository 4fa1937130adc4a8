"""`graphc doctor`: this machine, this installation, and whether compiled code gives right numbers here."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable

import numpy as np

from graphc.ir import Builder, Graph, tensor

PACKAGES = ("graphc", "numpy", "numba", "llvmlite", "rich")


def report() -> tuple[list[str], bool]:
    """The lines of the report, and whether the self-tests passed."""
    lines = [f"{title:<10} {text}" for title, text in (*_machine(), *_packages())]
    tests = [_tested(backend) for backend in ("reference", "llvm")]
    lines += [f"{'self-test':<10} {backend}: {text}" for backend, text, _ in tests]
    return lines, all(fine for _, _, fine in tests)


def _machine() -> list[tuple[str, str]]:
    """CPU, vector registers, threads, cache; a line that fails says why."""
    return [
        ("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        ("cpu", _or_error(_cpu)),
        ("threads", _or_error(_threads)),
        ("cache", _or_error(_cache)),
    ]


def _or_error(line: Callable[[], str]) -> str:
    try:
        return line()
    except Exception as e:
        return f"error: {e}"


def _cpu() -> str:
    from graphc.codegen.target import host

    target = host()
    names = ("sse4.2", "avx", "avx2", "fma", "avx512f", "neon")
    known = [name for name in names if f"+{name}" in target.features.split(",")]
    bits, registers = target.register_bytes * 8, target.registers
    return f"{target.cpu}, {registers} vector registers of {bits} bits, {' '.join(known)}"


def _threads() -> str:
    from graphc.codegen.options import resolve
    from graphc.codegen.target import host
    from graphc.codegen.team import members, team

    cores = f"{resolve(None).threads} used, {os.cpu_count()} cores"
    if members(2, host()) == 1:
        return f"{cores}; several threads do not work on this system"
    found = team()
    barrier, grain = 1e9 * found.barrier_seconds, 1e-6 * found.grain
    return f"{cores}; a barrier of two takes {barrier:.0f} ns, kernels from {grain:.1f} us on are divided"


def _cache() -> str:
    from graphc.codegen import cache

    info = cache.default().info()
    problem = f"; not used: {info.problem}" if info.problem else ""
    return f"{info.folder}, {info.entries} entries, {info.bytes / 1e6:.1f} MB{problem}"


def _packages() -> list[tuple[str, str]]:
    return [("python", platform.python_version()), *((name, _version(name)) for name in PACKAGES)]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def small_graph() -> Graph:
    """A dense layer with relu and its row sums: a product, elementwise work and a fold."""
    b = Builder("self_test")
    x, w = b.input("x", tensor("f32", "B", 19)), b.input("w", tensor("f32", 19, 7))
    h = b.relu(b.matmul(x, w) + 0.25)
    b.output(h, b.sum(b.exp(-h), axes=(1,)))
    return b.build()


def _tested(backend: str) -> tuple[str, str, bool]:
    """Compile and run a small graph, and compare with NumPy."""
    from graphc import codegen
    from graphc.codegen.stats import STATS

    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 19), (19, 7)))
    graph, fallbacks = small_graph(), STATS.reference_fallbacks
    try:
        found = codegen.compile(graph, backend=backend, cache=False)(x, w)
    except Exception as e:
        return backend, f"failed: {type(e).__name__}: {e}", False
    if STATS.reference_fallbacks != fallbacks:
        return backend, "failed: the evaluator ran in its place; GRAPHC_LOG=compile says why", False
    close = [np.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(graph.evaluate(x=x, w=w), found)]
    return backend, "passed" if all(close) else "failed: wrong numbers", all(close)
