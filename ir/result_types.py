"""The result types of one node, with errors a person can use: who meets a node that may be wrong asks here.

The parser, the verifier and the pass `infer` do; the Builder calls an op's `infer` itself, since its callers
are code whose mistakes should surface as they are.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graphc.ir.dims import Dim
from graphc.ir.equalities import Equalities
from graphc.ir.errors import ArgumentError, GraphcError
from graphc.ir.graph import Graph, Requirement
from graphc.ir.opdef import OpDef
from graphc.ir.relations import collect_requirements
from graphc.ir.types import TensorType

Results = tuple[tuple[TensorType, ...], tuple[Requirement, ...]]


def check_attributes(op: OpDef, attrs: Iterable[str]) -> None:
    """ArgumentError if the op does not know an attribute, or lacks one that has no default."""
    given = set(attrs)
    for name in sorted(given - set(op.attributes)):
        listed = ", ".join(op.attributes) or "none"
        raise ArgumentError(f"{op.name} has no attribute {name!r}; it has: {listed}")
    for name in op.attributes:
        if name not in given and name not in op.defaults:
            raise ArgumentError(f"{op.name} needs the attribute {name!r}")


def check_operands(op: OpDef, count: int, regions: int) -> None:
    """ArgumentError if the op does not take this number of operands or regions."""
    least, most_named, any_number = _arity(op.infer)
    if count < least or (count > most_named and not any_number):
        most = "or more" if any_number else f"to {most_named}" if most_named > least else ""
        wanted = f"{least} {most}".strip()
        raise ArgumentError(f"{op.name} takes {wanted} operand{'s' * (wanted != '1')}, got {count}")
    if regions != op.regions:
        raise ArgumentError(f"{op.name} has {op.regions} region{'s' * (op.regions != 1)}, got {regions}")


@functools.cache
def _arity(infer: Callable[..., Any]) -> tuple[int, int, bool]:
    """How many operands an `infer` takes at least, how many it names, and whether it takes any number."""
    parameters = inspect.signature(infer).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    named = [p for p in parameters if p.kind in plain]
    least = sum(p.default is inspect.Parameter.empty for p in named)
    return least, len(named), any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)


def result_types(
    op: OpDef,
    types: tuple[TensorType, ...],
    attrs: Mapping[str, Any],
    regions: tuple[Graph, ...] = (),
    known: Equalities | None = None,
) -> Results:
    """The result types, and the relations of sizes that `known` does not hold; GraphcError on any failure."""
    check_attributes(op, attrs)
    check_operands(op, len(types), len(regions))
    found: dict[Requirement, None] = {}
    known = known or Equalities()

    def collect(left: Dim, right: Dim, reason: str) -> None:
        if not known.holds(left, right):
            found[Requirement(left, right, reason)] = None

    extra = {"regions": regions} if op.regions else {}
    try:
        with collect_requirements(collect):
            result = op.infer(*types, **attrs, **extra)
    except GraphcError:
        raise
    except Exception as e:
        listed = ", ".join(map(str, types))
        raise ArgumentError(f"{op.name} can't take ({listed}) with {dict(attrs)}: {e}") from e
    return (result if isinstance(result, tuple) else (result,)), tuple(found)
