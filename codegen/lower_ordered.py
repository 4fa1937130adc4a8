"""Outputs that need an order: scatters, updates of a slice, running sums."""

from __future__ import annotations

from graphc.codegen.loops import Nest
from graphc.codegen.lower_map import Outputs
from graphc.codegen.values import Values

ORDERED = frozenset({"scatter_add", "update_slice", "cumsum"})


def lower_ordered(values: Values, outputs: Outputs) -> list[Nest]:
    raise AssertionError
