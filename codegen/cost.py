"""What a step costs: operations and bytes of each kernel, as sizes or, for given sizes, as numbers.

An elementwise op or a fold counts one operation per element, a product two per multiply-add. Bytes are what a
kernel reads of its operands and writes of its results, each element once (`traffic`). What a scan runs counts
once per turn; a `while`, of which nobody knows how many turns it takes, counts as one, and a `cond` as both
of its branches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.codegen.kernel_list import KernelStep
from graphc.codegen.report import table
from graphc.codegen.traffic import kernel_bytes
from graphc.ir import dims
from graphc.ir.dims import Dim
from graphc.ir.graph import Node
from graphc.ir.opdef import Kind


@dataclass(frozen=True)
class KernelCost:
    """Operations and bytes of one kernel."""

    name: str
    flops: Dim
    bytes: Dim

    @property
    def intensity(self) -> float | None:
        """Operations per byte; None while sizes are symbols."""
        if isinstance(self.flops, int) and isinstance(self.bytes, int):
            return self.flops / self.bytes if self.bytes else 0.0
        return None


class CostTable(list[KernelCost]):
    """The cost of each kernel, in order; prints as a table with the total."""

    @property
    def total(self) -> KernelCost:
        """The sums."""
        flops: Dim = 0
        size: Dim = 0
        for k in self:
            flops, size = flops + k.flops, size + k.bytes
        return KernelCost("total", flops, size)

    def __repr__(self) -> str:
        rows = [(k.name, _text(k.flops), _text(k.bytes), _ratio(k.intensity)) for k in [*self, self.total]]
        return table(["kernel", "flops", "bytes", "flops/byte"], rows, right="lrrr")

    __str__ = __repr__


def cost_table(kernels: Sequence[KernelStep], sizes: Mapping[str, int]) -> CostTable:
    """The cost of kernels, with the symbols replaced whose sizes are given."""
    known: dict[str, Dim] = dict(sizes)
    return CostTable(
        KernelCost(
            k.name,
            dims.substitute(k.trips * _flops(k), known),
            dims.substitute(k.trips * kernel_bytes(k.kernel), known),
        )
        for k in kernels
    )


def _flops(step: KernelStep) -> Dim:
    total: Dim = 0
    for region in step.node.regions:
        for node in region.nodes:
            total = total + _operations(node)
    return total


def _operations(node: Node) -> Dim:
    kind = node.op.kind
    if kind is Kind.ELEMENTWISE:
        return node.results[0].type.size
    if kind is Kind.CONTRACTION:
        return 2 * node.results[0].type.size * _terms(node)
    if kind in (Kind.REDUCTION, Kind.CUMULATIVE):
        return node.operands[0].type.size
    if kind is Kind.SCATTER:
        return node.operands[-1].type.size
    return 0


def _terms(node: Node) -> Dim:
    """How many products an element of a product's result is the sum of."""
    a = node.operands[0].type.shape
    if node.op.name == "window_product":
        return dims.product(node.attrs["size"]) * a[-1] // node.attrs["groups"]
    if node.op.name == "window_correlation":
        return dims.product(node.operands[1].type.shape[:-1])
    return a[-2 if node.attrs.get("transpose_a") else -1]


def _text(size: Dim) -> str:
    return f"{size:,}" if isinstance(size, int) else str(size)


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
