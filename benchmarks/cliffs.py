"""Where jitted functions are slower than plain ones: `python benchmarks/cliffs.py [--save] [NAME ...]`.

The cases of `tests/graphc/npjit`, and small functions that each settle in another way. Plain and jitted calls
take turns, each with fresh copies of the arguments; before that, jitted ones are called until they have
settled. Printed are those that are slower than plain Python, and what each settled way costs beside the work.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness import one_thread, save

one_thread()

import numpy as np

import graphc

TESTS = Path(__file__).parent.parent / "tests" / "graphc" / "npjit"
SETTLED, ROUNDS, TURNS, SECONDS = 80, 40, 4, 4.0
SLOWER, LIMIT = 1.05, 0.15e-6
SIZE = 16
Calls = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def small(x: Any) -> Any:
    return x + 1


def scaled(x: Any, scale: float = 2.0) -> Any:
    return x * scale


def steered(x: Any) -> Any:
    return x * 2 if x.sum() > 0 and x.tolist() else x


def failing(x: Any) -> Any:
    return x @ np.ones(SIZE + 1)


def batches(x: Any) -> Iterator[Any]:
    yield x


class Net:
    @graphc.jit
    def jitted(self, x: Any) -> Any:
        return x + 1

    def plain(self, x: Any) -> Any:
        return x + 1


def ways() -> dict[str, tuple[Calls, Calls]]:
    """Plain and jitted calls of functions that plain Python does in the end, by how it came to that."""
    x, net = np.ones(SIZE), Net()
    found: dict[str, tuple[Calls, Calls]] = {
        "a generator": ((batches, (x,), {}), (graphc.jit(batches), (x,), {})),
        "the reference backend": ((small, (x,), {}), (graphc.jit(small, backend="reference"), (x,), {})),
        "a method that won": ((net.plain, (x,), {}), (net.jitted, (x,), {})),
        "keywords": ((scaled, (x,), {"scale": 3.0}), (graphc.jit(scaled), (x,), {"scale": 3.0})),
    }
    for name, f in {"won": small, "breaks": steered, "always fails": failing}.items():
        found[name] = (f, (x,), {}), (graphc.jit(f), (x,), {})
    return found


def cases(names: list[str]) -> dict[str, tuple[Calls, Calls]]:
    """The cases of the tests."""
    sys.path.insert(0, str(TESTS))
    for path in sorted(TESTS.glob("npjit_*.py")):
        importlib.import_module(path.stem)
    registry = sys.modules["npjit_harness"].REGISTRY
    chosen = [c for c in registry if c.kind == "case" and (not names or c.name in names)]
    found = {}
    for c in chosen:
        arguments = c.inputs(0)
        found[c.name] = (c.fn, *arguments), (graphc.jit(c.fn), *arguments)
    return found


def seconds(calls: Calls, turns: int) -> float:
    """The least time of a call, each with its own copies of the arguments."""
    f, args, kwargs = calls
    least = float("inf")
    for a, k in [copy.deepcopy((args, kwargs)) for _ in range(turns)]:
        begin = time.perf_counter()
        with contextlib.suppress(Exception):
            f(*a, **k)
        least = min(least, time.perf_counter() - begin)
    return least


def repeated(calls: Calls, turns: int) -> float:
    """The least time of a call among many with the same arguments."""
    f, args, kwargs = calls
    begin = time.perf_counter()
    for _ in range(turns):
        try:
            f(*args, **kwargs)
        except ValueError:
            continue
    return (time.perf_counter() - begin) / turns


def compared(pair: tuple[Calls, Calls], timed: Callable[[Calls, int], float], turns: int) -> list[float]:
    """The least times of plain and jitted calls."""
    begin, least = time.perf_counter(), [float("inf")] * 2
    for _ in range(SETTLED):
        timed(pair[1], 1)
        if time.perf_counter() - begin > SECONDS:
            break
    for _ in range(ROUNDS):
        for i, calls in enumerate(pair):
            least[i] = min(least[i], timed(calls, turns))
        if time.perf_counter() - begin > 2 * SECONDS:
            break
    return least


def main(arguments: list[str]) -> None:
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    names = [a for a in arguments if not a.startswith("--")]
    with contextlib.redirect_stdout(io.StringIO()):
        beside = {} if names else {n: compared(p, repeated, 500) for n, p in ways().items()}
        times = {n: compared(p, seconds, TURNS) for n, p in cases(names).items()}
    for name, (plain, jitted) in beside.items():
        print(f"{name:24} {1e6 * plain:6.2f} us plain, {1e6 * (jitted - plain):6.2f} us more when jitted")
    slower = {n: (p, j) for n, (p, j) in times.items() if j > SLOWER * p and j - p > LIMIT}
    for name, (plain, jitted) in sorted(slower.items(), key=lambda item: -item[1][1] / item[1][0]):
        print(f"{name:40} {1e6 * plain:8.1f} us plain, {1e6 * jitted:8.1f} us jitted: {jitted / plain:.2f}")
    print(f"{len(times)} cases, {len(slower)} slower than {SLOWER} x plain by more than {1e6 * LIMIT:g} us")
    if "--save" in arguments:
        save("cliffs", [{"beside": beside, "slower": slower, "cases": len(times)}])


if __name__ == "__main__":
    main(sys.argv[1:])
