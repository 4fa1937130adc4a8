"""What a call of a jitted function costs beside its work: `python benchmarks/calls.py [--save]`.

The functions add a few numbers up, so that a call is nearly all overhead. Beside graphc's native way: NumPy
itself, and Numba's dispatcher on the same function. A guard's cost is the slope over the number of paths:
arrays that a function finds in a dict of an object.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from harness import OURS, one_thread, save, side_by_side

one_thread()

import numpy as np

import graphc
from graphc.npjit.choice import Choice

ELEMENTS, CALLS, ROUNDS = 16, 200, 30
CALL_LIMIT, GUARD_LIMIT = 5e-6, 0.2e-6
FEW, MANY = 2, 22


def ten(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, i: Any, j: Any) -> Any:
    return a + b + c + d + e + f + g + h + i + j


class Net:
    """Arrays by name."""

    def __init__(self, count: int) -> None:
        self.params = {f"w{i}": array() for i in range(count)}

    def total(self, x: Any) -> Any:
        for w in self.params.values():
            x = x + w
        return x


def array() -> np.ndarray:
    return np.ones(ELEMENTS)


def native_only(choice: Choice, fast: Any, plain: Any, settle: Any, _: bool = False) -> None:
    """A `Choice` that takes native code without measuring: NumPy might win where there is nothing to do."""
    begin(choice, fast, plain, settle, is_sure=True)


begin = Choice.__init__


def repeated(f: Callable[..., Any], *arguments: Any) -> Callable[[], None]:
    """Many calls, after some that compile and choose."""
    for _ in range(20):
        f(*arguments)

    def run() -> None:
        for _ in range(CALLS):
            f(*arguments)

    return run


def candidates() -> dict[str, Callable[[], None]]:
    arguments = [array() for _ in range(10)]
    found = {f"{OURS}, ten arrays": repeated(graphc.jit(ten), *arguments)}
    for count in (FEW, MANY):
        found[f"{OURS}, {count} paths"] = repeated(graphc.jit(Net(count).total), array())
    found["numpy, ten arrays"] = repeated(ten, *arguments)
    try:
        import numba
    except ImportError:
        return found
    return found | {"numba, ten arrays": repeated(numba.njit(ten), *arguments)}


def main(arguments: list[str]) -> None:
    Choice.__init__ = native_only  # type: ignore[method-assign,assignment]
    timings = side_by_side(candidates(), rounds=ROUNDS)
    least = {name: t.least / CALLS for name, t in timings.items()}
    for name, seconds in least.items():
        print(f"{name:24} {1e6 * seconds:6.2f} us")
    call = least[f"{OURS}, ten arrays"]
    guard = (least[f"{OURS}, {MANY} paths"] - least[f"{OURS}, {FEW} paths"]) / (MANY - FEW)
    print(f"a call with ten arrays: {1e6 * call:.2f} us (limit {1e6 * CALL_LIMIT:g}); ", end="")
    print(f"a path: {1e6 * guard:.3f} us (limit {1e6 * GUARD_LIMIT:g})")
    if "--save" in arguments:
        save("calls", [least | {"call": call, "guard": guard}])


if __name__ == "__main__":
    main(sys.argv[1:])
