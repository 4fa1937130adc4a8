"""Which turns of a nest each member does: a range of one of its outer axes."""

from __future__ import annotations

from graphc.codegen.emit_frame import Frame
from graphc.codegen.loops import Axis, Nest
from graphc.codegen.text import Operand

ENOUGH, PLENTY = 4, 8
"""Turns for each member with which an axis is divided well: one with fewer leaves it to a longer one inside
it (the rows of a single image). Turns, if they are known, with which no other axis is considered.
"""


def is_divided(nest: Nest) -> bool:
    """Whether members share a nest. One whose turns have an order can be shared along its lanes only, which
    never meet.
    """
    return bool(nest.outer) and (not nest.ordered or nest.outer[-1].name == nest.lane)


class Shares:
    """The shares of a nest's outer axes; `block` elements of the lane stay together."""

    def __init__(self, frame: Frame, nest: Nest, block: int) -> None:
        self.frame, self.nest, self.f, self.block = frame, nest, frame.f, block
        self.chosen: dict[str, str] = self._chosen() if is_divided(nest) else {}

    def _chosen(self) -> dict[str, str]:
        """By outer axis whether members divide it: the first of enough turns, else that of the most."""
        f, outer = self.f, self.nest.outer
        if self.nest.ordered:
            return {outer[-1].name: "true"}
        plenty = [i for i, a in enumerate(outer) if isinstance(a.extent, int) and a.extent >= PLENTY]
        axes = outer[: plenty[0] + 1 if plenty else len(outer)]
        if len(axes) == 1:
            return {axes[0].name: "true"}
        units = [self._units(axis) for axis in axes]
        enough = f.mul("%count", ENOUGH)
        chosen, most = str(len(axes) - 1), units[-1]
        for i in reversed(range(len(axes) - 1)):
            better = f.negate(f.less(units[i], f.minimum(enough, most)))
            chosen, most = f.select("i64", better, i, chosen), f.select("i64", better, units[i], most)
        return {axis.name: f.equal(chosen, i) for i, axis in enumerate(axes)}

    def _together(self, axis: Axis) -> int:
        return self.block if axis.name == self.nest.lane else 1

    def _units(self, axis: Axis) -> Operand:
        """In how many pieces an axis can be divided."""
        return self.f.ceildiv(self.frame.size(axis.extent), self._together(axis))

    def of(self, axis: Axis) -> tuple[Operand, Operand]:
        """The range of this member, in whole blocks: everything where the axis is not divided."""
        f, n = self.f, self.frame.size(axis.extent)
        chosen = self.chosen.get(axis.name)
        if chosen is None:
            return 0, n
        count, member = "%count", "%member"
        if chosen != "true":
            count, member = f.select("i64", chosen, count, 1), f.select("i64", chosen, member, 0)
        block = self._together(axis)
        each = f.mul(f.ceildiv(f.ceildiv(n, block), count), block)
        low = f.minimum(f.mul(member, each), n)
        return low, f.minimum(f.add(low, each), n)
