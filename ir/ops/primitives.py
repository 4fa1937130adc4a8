"""The elementwise ops that have no formula in terms of others: what every backend implements itself."""

from __future__ import annotations

from graphc.ir.opdef import OPS, Kind

PRIMITIVES: frozenset[str] = frozenset(
    name for name, op in OPS.items() if op.kind is Kind.ELEMENTWISE and op.scalar is None and not op.can_fail
)
