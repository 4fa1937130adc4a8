"""Running folds along one axis."""

from __future__ import annotations

import numpy as np

from graphc.ir.inference import require_axis, require_kind
from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.samples import COMMON, NUMBERS, arrays


@op("cumsum", Kind.CUMULATIVE)
class Cumsum:
    """Sums of all elements up to each one along `axis`, in the element type of x.

    `exclusive` leaves the element itself out, `reverse` sums from the end.
    """

    def infer(x, *, axis=0, reverse=False, exclusive=False):
        require_kind("iuf", x)
        require_axis(axis, x.rank)
        return x

    def evaluate(x, axis, reverse, exclusive):
        x = np.flip(x, axis) if reverse else x
        total = np.cumsum(x, axis, dtype=x.dtype)
        if exclusive:
            before = np.zeros_like(total)
            along = (slice(None),) * axis
            before[(*along, slice(1, None))] = total[(*along, slice(None, -1))]
            total = before
        return np.flip(total, axis) if reverse else total

    def vjp(b, x, out, ct, axis, reverse, exclusive):
        return (b.cumsum(ct, axis=axis, reverse=not reverse, exclusive=exclusive),)

    samples = (
        *(
            Sample(arrays((3, 7)), {"axis": axis, "reverse": r, "exclusive": e}, COMMON)
            for axis in (0, 1)
            for r in (False, True)
            for e in (False, True)
        ),
        Sample(arrays((33,)), {}, NUMBERS),
        Sample(arrays((0, 3)), {"exclusive": True}, COMMON),
        Sample(arrays((1,)), {"exclusive": True}, COMMON),
    )
