"""Gradients through `scan` and `cond`: a region's own reverse sweep becomes the region of another node.

A scan runs twice more: forwards again to keep the carries of every step, then the other way round with the
cotangents as carries. The cotangents of constants are summed on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphc.ir.builder import Builder, Expr
from graphc.ir.differentiate import gradients, zeros
from graphc.ir.dims import Dim
from graphc.ir.graph import Graph, Value
from graphc.ir.opdef import get_op

Cotangent = Expr | None


class RegionSweep:
    """A region under construction that holds a copy of another one's nodes and their reverse sweep."""

    def __init__(self, region: Graph) -> None:
        self.region = region
        self.builder = Builder(region.name)
        for value in region.values():
            self.builder.fresh(value.name)
        self.builder.nodes = list(region.nodes)

    def parameters(self, like: Sequence[Value], name: str) -> list[Expr]:
        """New parameters with the types of these values, after those there are."""
        return [self.builder.input(name, v.type) for v in like]

    def sweep(self, cotangents: Sequence[Cotangent], targets: Sequence[Value]) -> list[Expr]:
        """The gradient of the region's outputs for each target; zeros where there is none."""
        found = gradients(self.builder, self.region.nodes, self.region.outputs, cotangents, targets)
        return [zeros(self.builder, t) if g is None else g for g, t in zip(found, targets)]


def _floating(values: Sequence[Value]) -> list[int]:
    return [i for i, v in enumerate(values) if v.type.dtype.is_floating]


def _spread(count: int, places: Sequence[int], found: Sequence[Expr]) -> list[Cotangent]:
    """`count` entries: what was found at its place, None elsewhere."""
    at = dict(zip(places, found, strict=True))
    return [at.get(i) for i in range(count)]


def cond_vjp(
    b: Builder, operands: Sequence[Expr], cts: Sequence[Cotangent], regions: Sequence[Graph]
) -> list[Cotangent]:
    """The cotangents of a cond's operands: another cond, whose branches are the sweeps of its branches."""
    given = [i for i, ct in enumerate(cts) if ct is not None]
    places = _floating([x.value for x in operands[1:]])
    branches = []
    for region in regions:
        inner = RegionSweep(region)
        inner.builder.inputs = list(region.inputs)
        parameters = inner.parameters([region.outputs[i] for i in given], "ct")
        inner.builder.output(
            *inner.sweep(_spread(len(cts), given, parameters), [region.inputs[i] for i in places])
        )
        branches.append(inner.builder.build())
    values = [*operands, *(ct for ct in cts if ct is not None)]
    node = b.node(get_op("cond"), values, {}, regions=tuple(branches))
    return [None, *_spread(len(operands) - 1, places, [Expr(b, r) for r in node.results])]


def scan_vjp(
    b: Builder,
    operands: Sequence[Expr],
    cts: Sequence[Cotangent],
    region: Graph,
    carries: int,
    scanned: int,
    length: Dim,
    reverse: bool,
) -> list[Cotangent]:
    """The cotangents of a scan's operands."""
    attrs = {"carries": carries, "scanned": scanned, "length": length, "reverse": reverse}
    keep = replace(region, outputs=region.outputs[:carries] + region.inputs[:carries])
    history = b.node(get_op("scan"), operands, attrs, regions=(keep,)).results[carries:]

    ends = carries + scanned
    state, slices, constants = (region.inputs[a:z] for a, z in ((0, carries), (carries, ends), (ends, None)))
    moved, shared = _floating(state), _floating(constants)
    sliced = _floating(slices)
    pieces = [i for i in range(carries, len(region.outputs)) if cts[i] is not None]

    inner = RegionSweep(region)
    carried = inner.parameters([state[i] for i in moved], "ct")
    totals = inner.parameters([constants[i] for i in shared], "total")
    inner.builder.inputs += (*state, *slices)
    rows = inner.parameters([region.outputs[i] for i in pieces], "ct")
    inner.builder.inputs += constants
    heads = _spread(len(region.outputs), [*moved, *pieces], [*carried, *rows])
    targets = [state[i] for i in moved] + [constants[i] for i in shared] + [slices[i] for i in sliced]
    found = inner.sweep(heads, targets)
    ahead = [inner.builder.add(t, g) for t, g in zip(totals, found[len(moved) :])]
    inner.builder.output(*found[: len(moved)], *ahead, *found[len(moved) + len(shared) :])

    first = [ct if (ct := cts[i]) is not None else zeros(b, state[i]) for i in moved]
    first += [zeros(b, constants[i]) for i in shared]
    xs: list[Expr | Value] = [*history, *operands[carries:ends]]
    xs += [ct for i in pieces if (ct := cts[i]) is not None]
    back = {"carries": len(first), "scanned": len(xs), "length": length, "reverse": not reverse}
    node = b.node(get_op("scan"), [*first, *xs, *operands[ends:]], back, regions=(inner.builder.build(),))
    places = [*moved, *(ends + i for i in shared), *(carries + i for i in sliced)]
    return _spread(len(operands), places, [Expr(b, r) for r in node.results])
