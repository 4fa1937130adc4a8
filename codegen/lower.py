"""A `kernel` node of the final graph -> loop nests.

`passes/clusters` says how the region divides into parts; each part becomes one nest (or product), and every
value inside is computed backwards from where it is stored. What one part computes for another lies in memory
of the kernel's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphc.codegen import window_rule as _window_rule  # noqa: F401, its import registers the rule
from graphc.codegen.chunks import in_pieces
from graphc.codegen.collapse import collapse
from graphc.codegen.loops import Buffer, Kernel, Nest, Product, Stage, Store, Temporary
from graphc.codegen.loops import Part as Loops
from graphc.codegen.lower_map import lower_map
from graphc.codegen.lower_ordered import lower_ordered
from graphc.codegen.lower_product import lower_product
from graphc.codegen.lower_reduce import lower_reduce
from graphc.codegen.scalar import OUTER, Scalars
from graphc.codegen.values import Values
from graphc.ir import Kind, Node, Value
from graphc.ir.errors import CompileError
from graphc.passes.clusters import Part, divide
from graphc.passes.plan import Strip


def lower(
    node: Node,
    name: str = "",
    in_place: Mapping[str, str] | None = None,
    strips: Mapping[str, Strip] | None = None,
    policy: str = "",
) -> Kernel:
    """The loop nests of a `kernel` node; its buffers bear the names of the node's operands and results.

    `in_place` says which results take the place of which operands in memory; where it is not given, any
    result may take the place of any operand of its type. `strips` has the operands and results that are
    columns of wider rows. `policy` is that of its product.
    """
    kernel = _Lowering(node, in_place, strips or {}).kernel(name or node.results[0].name)
    if not policy:
        return kernel
    parts = (replace(p, policy=policy) if isinstance(p, Product) else p for p in kernel.parts)
    return replace(kernel, parts=tuple(parts))


class _Lowering:
    def __init__(self, node: Node, in_place: Mapping[str, str] | None, strips: Mapping[str, Strip]) -> None:
        (region,) = node.regions
        self.node, self.region, self.in_place = node, region, in_place
        self.inputs = {v: x.name for v, x in zip(region.inputs, node.operands)}
        self.results: dict[Value, list[str]] = {}
        for result, value in zip(node.results, region.outputs):
            self.results.setdefault(value, []).append(result.name)
        self.scalars = Scalars()
        for buffer in dict.fromkeys([*self.inputs.values(), *(r.name for r in node.results)]):
            self.scalars.fresh(buffer)
        self.values = Values(region, dict(self.inputs), self.scalars, strips=strips)
        self.shared: list[Temporary] = []
        self.loops: list[Loops] = []
        self.copies: list[tuple[str, str, Value]] = []

    def kernel(self, name: str) -> Kernel:
        """All parts in order, then the copies of results that had to wait."""
        parts = divide(self.region).parts
        for i, part in enumerate(parts):
            later = {v for p in parts[i + 1 :] for v in p.inputs}
            self._part(part, later)
        for target, source, value in self.copies:
            self.loops.append(self._copy(target, source, value))
        pieces: list[Loops] = []
        for loops in map(collapse, self.loops):
            found, memory = in_pieces(loops, self.scalars.fresh)
            pieces += found
            self.shared += memory
        return Kernel(
            name,
            _buffers(self.node),
            tuple(pieces),
            tuple(self.values.failures),
            tuple(self.values.tables.values()),
            tuple(self.shared),
        )

    def _part(self, part: Part, later: set[Value]) -> None:
        outputs = []
        for value in part.outputs:
            names = self.results.get(value, [])
            waits = not names or any(self._overwrites(n, later) for n in names)
            if waits:
                names, wanted = [self._temporary(value)], names
                self.copies += [(n, names[0], value) for n in wanted]
            outputs += [(n, value) for n in names]
        self.values.start()
        self.loops += self._loops(part, outputs)
        for name, value in reversed(outputs):
            self.values.buffers[value] = name

    def _overwrites(self, result: str, later: set[Value]) -> bool:
        """Whether a result takes the place of something that a later part reads."""
        read = {self.inputs[v]: v for v in later if v in self.inputs}
        if self.in_place is not None:
            return self.in_place.get(result) in read
        own = next(r.type for r in self.node.results if r.name == result)
        return any(v.type == own for v in read.values())

    def _temporary(self, value: Value) -> str:
        name = self.scalars.fresh(value.name)
        self.shared.append(Temporary(name, value.type.dtype, value.type.size))
        return name

    def _loops(self, part: Part, outputs: list[tuple[str, Value]]) -> list[Loops]:
        values = self.values
        if part.kind == "contract":
            return [lower_product(values, part.anchor, outputs, self.in_place)]
        if part.kind in ("scatter", "scan"):
            return list(lower_ordered(values, outputs, self.in_place))
        if part.kind in ("reduce", "rows"):
            return [lower_reduce(values, outputs, part.shape, part.reduced, self.in_place)]
        if part.kind == "outside" and part.anchor.op.kind is not Kind.VIEW:
            raise CompileError(f"'{part.anchor.op.name}' can't be computed in a kernel")
        return [*lower_map(values, outputs, part.shape, part.nodes)]

    def _copy(self, target: str, source: str, value: Value) -> Nest:
        self.values.start()
        self.values.buffers[value] = source
        indices = tuple(self.values.axis(f"i{axis}", d, OUTER) for axis, d in enumerate(value.type.shape))
        element = self.values.at(value, indices)
        store = Store(target, self.values.place(target, indices, value.type.shape), element.name)
        axes = tuple(self.values.loop(i.terms[0][0]) for i in indices if i.terms)
        body = (*self.scalars.code[OUTER], store)
        lane = axes[-1].name if axes else None
        return Nest(axes, (Stage((), body),), lane, start=tuple(self.scalars.code[0]))


def _buffers(node: Node) -> tuple[Buffer, ...]:
    found = {x.name: Buffer(x.name, x.type.dtype, x.type.size) for x in node.operands}
    found |= {r.name: Buffer(r.name, r.type.dtype, r.type.size, output=True) for r in node.results}
    return tuple(found.values())
