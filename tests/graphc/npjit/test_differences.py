"""Programs of many kinds leave the same behind under jit as plainly, with new and with the same arguments."""

from __future__ import annotations

import npjit_classes
import npjit_containers
import npjit_forms
import npjit_memory
import npjit_models
import npjit_printing
import npjit_records
import npjit_specials
import npjit_state
import npjit_streams
import pytest
from npjit_differences import PROGRAMS, first_difference

import graphc

COLLECTED = (
    npjit_classes,
    npjit_containers,
    npjit_forms,
    npjit_memory,
    npjit_models,
    npjit_printing,
    npjit_records,
    npjit_specials,
    npjit_state,
    npjit_streams,
)


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_plain(name: str) -> None:
    f, make, calls, persistent = PROGRAMS[name]
    jitted = graphc.jit(f)
    assert first_difference(f, jitted, make, calls) is None, jitted.explain()
    assert "can't be recorded" not in jitted.explain()
    if persistent:
        assert first_difference(f, graphc.jit(f), make, calls, fresh=False) is None
