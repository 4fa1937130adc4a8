"""`profile` of a jitted function: its native runs, measured with the arrays that a call hands to them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.codegen.native import NativeProgram
from graphc.codegen.options import resolve
from graphc.codegen.profile import Profile, joined, profile_of
from graphc.codegen.signature import Sizes
from graphc.codegen.stages import Stages
from graphc.ir.errors import StateError
from graphc.npjit.native.call import WATCH, NativeCall

if TYPE_CHECKING:
    from graphc.npjit.function import Jit

CALLS = 4
"""After so many calls native code has run, if there is any."""
Run = tuple[NativeCall, list[np.ndarray], Sizes]


def profile(jit: Jit, args: tuple[Any, ...], kwargs: dict[str, Any], rounds: int | None) -> Profile:
    """The kernels of all native runs of a call; see `Jit.profile`."""
    runs = _runs(jit, args, kwargs)
    options = resolve(**jit.options)
    found = []
    for call, arrays, sizes in runs:
        program = NativeProgram(Stages(call.graph, options), options, passed=True).with_own_names()
        found.append(profile_of(program, (), arrays, sizes, rounds))
    return joined(found)


def _runs(jit: Jit, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Run]:
    """The native runs of a call with copies of the arguments, by a function without earlier calls."""
    fresh: Jit = type(jit)(getattr(jit, "work", jit.fn), jit.options)
    runs: list[Run] = []

    def watch(call: NativeCall, arrays: list[np.ndarray], sizes: Sizes) -> None:
        runs.append((call, [x.copy() for x in arrays], dict(sizes)))

    token, state = WATCH.set(watch), np.random.get_state()
    try:
        for _ in range(CALLS):
            given = copy.deepcopy((args, kwargs))
            fresh(*given[0], **given[1])
            if runs:
                return runs
    finally:
        WATCH.reset(token)
        np.random.set_state(state)
    raise StateError("\n  ".join([f"nothing of {jit.name} runs natively for these arguments:", *fresh.notes]))
