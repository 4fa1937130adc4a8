"""Regions that run a number of times. Everything that a region uses is an operand."""

from __future__ import annotations

import numpy as np

from graphc.ir.errors import ArgumentError, ShapeError
from graphc.ir.inference import require_kind
from graphc.ir.opdef import Kind, op
from graphc.ir.ops.fused import match_parameters
from graphc.ir.relations import same


def _require_scalar_bool(type, what):
    require_kind("b", type)
    if type.rank:
        raise ShapeError(f"{what} is a scalar, got {type}")


def _require_carried(types, region, count):
    given = tuple(v.type for v in region.outputs[:count])
    if given != tuple(types[:count]):
        raise ArgumentError(f"the region carries {tuple(types[:count])} on as {given}")


@op("scan", Kind.CONTROL, regions=1)
class Scan:
    """scan(carries..., xs..., constants...): the region runs `length` times, on slice i of each of the xs.

    `scanned` is the number of xs. The region takes carries, slices and constants, and gives new carries and
    pieces; results are the last carries and the pieces stacked along axis 0. `reverse` runs from the last
    slice to the first; pieces keep their slice's place.
    """

    def infer(*types, carries, scanned, length, reverse=False, regions):
        (region,) = regions
        xs = types[carries : carries + scanned]
        for x in xs:
            if not x.rank:
                raise ShapeError(f"can't scan along axis 0 of {x}")
            same(x.shape[0], length, "scan, the length")
        slices = [x.with_shape(x.shape[1:]) for x in xs]
        match_parameters(region, (*types[:carries], *slices, *types[carries + scanned :]))
        _require_carried(types, region, carries)
        pieces = [v.type for v in region.outputs[carries:]]
        return (*types[:carries], *(p.with_shape((length, *p.shape)) for p in pieces))

    def evaluate(*operands, carries, scanned, length, reverse, regions):
        state, xs, constants = (
            operands[:carries],
            operands[carries : carries + scanned],
            operands[carries + scanned :],
        )
        rows = []
        for i in reversed(range(length)) if reverse else range(length):
            results = regions[0](*state, *(x[i] for x in xs), *constants)
            state = results[:carries]
            rows.append(results[carries:])
        if not rows:
            return (*state, *regions[0].empty(carries))
        return (*state, *(np.stack(column[::-1] if reverse else column) for column in map(list, zip(*rows))))

    def vjp(b, *rest, regions, **attrs):
        from graphc.ir.region_gradients import scan_vjp  # it needs the ops, which are being defined here

        *operands, _, cts = rest
        return scan_vjp(b, operands, cts if isinstance(cts, tuple) else (cts,), regions[0], **attrs)


@op("while", Kind.CONTROL, regions=2)
class While:
    """while(carries..., constants...).

    The second region makes new carries for as long as the first gives true.
    """

    def infer(*types, carries, regions):
        condition, body = regions
        for region in regions:
            match_parameters(region, types)
        _require_scalar_bool(condition.outputs[0].type, "the condition")
        _require_carried(types, body, carries)
        return tuple(types[:carries])

    def evaluate(*operands, carries, regions):
        condition, body = regions
        state, constants = operands[:carries], operands[carries:]
        while condition(*state, *constants)[0]:
            state = body(*state, *constants)
        return tuple(state)


@op("cond", Kind.CONTROL, regions=2)
class Cond:
    """cond(predicate, operands...).

    The results of the first region if the bool[] predicate is true, else of the second.
    """

    def infer(predicate, *types, regions):
        _require_scalar_bool(predicate, "the predicate")
        for region in regions:
            match_parameters(region, types)
        first, second = (tuple(v.type for v in r.outputs) for r in regions)
        if first != second:
            raise ArgumentError(f"the branches give different types: {first} and {second}")
        return first

    def evaluate(predicate, *operands, regions):
        return regions[0 if predicate else 1](*operands)

    def vjp(b, *rest, regions):
        from graphc.ir.region_gradients import cond_vjp  # it needs the ops, which are being defined here

        *operands, _, cts = rest
        return cond_vjp(b, operands, cts if isinstance(cts, tuple) else (cts,), regions)
