"""Conditions that stop a call."""

from __future__ import annotations

import numpy as np

from graphc.ir.errors import ArgumentError, GraphcError, IndexRangeError, ShapeError
from graphc.ir.inference import require_kind
from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.relations import broadcast_shapes
from graphc.ir.samples import COMMON, arrays

ERRORS: dict[str, type[GraphcError]] = {"index": IndexRangeError, "value": ArgumentError}


def failure(message: str, error: str, x: np.ndarray, position: tuple[int, ...]) -> GraphcError:
    """The exception for the element of x at `position`.

    "{value}" and "{position}" in the message are filled in.
    """
    place = position[0] if len(position) == 1 else position
    return ERRORS[error](message.replace("{value}", str(x[position])).replace("{position}", str(place)))


@op("check", Kind.ELEMENTWISE, can_fail=True)
class Check:
    """x itself, if every element of the bool `condition` is true; else the call fails with `message`.

    `error` is "index" (IndexRangeError) or "value" (ArgumentError). "{value}" and "{position}" in the message
    stand for the first element of x, in row-major order, whose condition is false.
    """

    def infer(x, condition, *, message, error="value"):
        require_kind("b", condition)
        if error not in ERRORS:
            raise ArgumentError(f"there is no error {error!r}; there are {', '.join(ERRORS)}")
        if broadcast_shapes(x.shape, condition.shape, reason="check") != x.shape:
            raise ShapeError(f"the condition {condition} does not broadcast to {x}")
        return x

    def evaluate(x, condition, message, error):
        wrong = np.argwhere(~np.broadcast_to(condition, x.shape))
        if len(wrong):
            raise failure(message, error, x, tuple(map(int, wrong[0])))
        return x

    def vjp(b, x, condition, out, ct, message, error):
        return ct, None

    samples = (
        Sample(
            lambda rng, dtype: [*arrays((3, 7))(rng, dtype), np.ones((3, 7), bool)],
            {"message": "bad"},
            COMMON,
        ),
        Sample(lambda rng, dtype: [*arrays((0,))(rng, dtype), np.ones((), bool)], {"message": "bad"}, COMMON),
    )
