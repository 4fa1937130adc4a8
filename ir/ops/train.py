"""Gradients as nodes."""

from __future__ import annotations

from graphc.ir.errors import ArgumentError, DTypeError
from graphc.ir.inference import require_kind
from graphc.ir.opdef import Kind, op
from graphc.ir.relations import same


@op("gradient", Kind.COARSE)
class Gradient:
    """gradient(outputs..., cotangents..., targets...): for each target, a sum of cotangent times derivative.

    Zeros for a target on which no output depends. `differentiate.expand_gradients` replaces it before a graph
    runs.
    """

    def infer(*types, outputs):
        heads, cotangents, targets = types[:outputs], types[outputs : 2 * outputs], types[2 * outputs :]
        if not targets or len(cotangents) != outputs:
            raise ArgumentError(
                f"{len(types)} operands are too few for {outputs} outputs and their cotangents"
            )
        require_kind("f", *heads, *targets)
        for head, ct in zip(heads, cotangents):
            if head.dtype != ct.dtype or head.rank != ct.rank:
                raise DTypeError(f"the cotangent of an output {head} has the type {ct}")
            for d, e in zip(head.shape, ct.shape):
                same(d, e, "the shape of a cotangent")
        return tuple(targets)

    def evaluate(*operands, outputs):
        raise ArgumentError("a gradient node inside a region can't run: expand_gradients comes first")
