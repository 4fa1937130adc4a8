"""Reverse-mode differentiation of nodes: each op's `vjp`, from the last node to the first.

>>> from graphc.ir import Builder, tensor
>>> b = Builder("f")
>>> x = b.input("x", tensor("f32", 3))
>>> y = b.sin(x)
>>> (dx,) = gradients(b, list(b.nodes), [y], [1 + b.cos(y)], [x])
>>> [node.op.name for node in b.nodes]
['sin', 'cos', 'constant', 'add', 'cos', 'multiply']
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from graphc.ir.builder import Builder, Expr
from graphc.ir.errors import ArgumentError, DTypeError
from graphc.ir.graph import Graph, Node, Update, Value
from graphc.ir.opdef import Kind
from graphc.ir.ops.shape import sum_to

Cotangents = dict[Value, Expr]


def gradients(
    builder: Builder,
    nodes: Sequence[Node],
    outputs: Sequence[Expr | Value],
    cotangents: Sequence[Expr | Value | None],
    targets: Sequence[Expr | Value],
) -> list[Expr | None]:
    """The sum over `outputs` of cotangent times derivative, for each target; None if no output depends on it.

    `nodes` are the ones to differentiate, in order; new nodes are appended to `builder`, only for nodes that
    lie on a path from a target to an output. A target may be any value; outputs and targets that are not
    floating point have no gradient. Raises DTypeError if such a path meets an op that has no derivative.
    """
    wanted = [builder.value(t) for t in targets]
    reached = _depending(nodes, {t for t in wanted if t.type.dtype.is_floating})
    found: Cotangents = {}
    for output, ct in zip(outputs, cotangents, strict=True):
        if ct is not None:
            _accumulate(builder, found, builder.value(output), Expr(builder, builder.value(ct)), reached)
    for node in reversed(nodes):
        if any(r in found for r in node.results):
            _transpose(builder, node, found, reached)
    return [found.get(t) for t in wanted]


def _depending(nodes: Iterable[Node], sources: set[Value]) -> set[Value]:
    """The floating-point values that depend on `sources`, and these."""
    reached = set(sources)
    for node in nodes:
        if any(v in reached for v in node.operands):
            reached.update(r for r in node.results if r.type.dtype.is_floating)
    return reached


def _accumulate(builder: Builder, found: Cotangents, value: Value, ct: Expr, reached: set[Value]) -> None:
    if value not in reached:
        return
    if ct.type != value.type and (ct.dtype != value.type.dtype or ct.rank != value.type.rank):
        raise ArgumentError(f"the cotangent {ct!r} does not have the type of {value!r}")
    found[value] = builder.add(found[value], ct) if value in found else ct


def _transpose(builder: Builder, node: Node, found: Cotangents, reached: set[Value]) -> None:
    """Add to `found` what one node hands from its results to its operands."""
    if not any(v in reached for v in node.operands):
        return
    with builder.at(node.location.derive(f"vjp of %{node.results[0].name}")):
        given = _operand_cotangents(builder, node, [found.get(r) for r in node.results], reached)
        for operand, ct in zip(node.operands, given, strict=True):
            if ct is None or operand not in reached:
                continue
            if node.op.kind is Kind.ELEMENTWISE:
                ct = sum_to(builder, ct, operand.type.shape)
            _accumulate(builder, found, operand, ct, reached)


def _operand_cotangents(
    builder: Builder, node: Node, cts: list[Expr | None], reached: set[Value]
) -> Sequence[Expr | None]:
    operands = [Expr(builder, v) for v in node.operands]
    if node.op.vjp is not None:
        outs: Any = tuple(Expr(builder, r) for r in node.results)
        single = len(outs) == 1
        extra = {"regions": node.regions} if node.regions else {}
        return node.op.vjp(
            builder,
            *operands,
            outs[0] if single else outs,
            cts[0] if single else tuple(cts),
            **node.attrs,
            **extra,
        )
    formula = node.op.decompose or node.op.scalar
    if formula is None:
        place = f"\n  at {node.location}" if node.location else ""
        raise DTypeError(f"there is no gradient of {node.op.name} (%{node.results[0].name}){place}")
    # recompute the result by the formula, and differentiate that; equal nodes are merged later
    start = len(builder.nodes)
    results = formula(builder, *operands, **node.attrs)
    results = results if isinstance(results, tuple) else (results,)
    targets = [v for v in dict.fromkeys(node.operands) if v in reached]
    parts = dict(zip(targets, gradients(builder, builder.nodes[start:], results, cts, targets)))
    # an operand that stands twice got the whole sum once
    return [parts.pop(v, None) for v in node.operands]


def expand_gradients(graph: Graph) -> Graph:
    """The graph with every `gradient` node replaced by the nodes that compute it.

    All other nodes keep their names.
    """
    builder = Builder(graph.name)
    for value in graph.values():
        builder.fresh(value.name)
    builder.inputs, builder.weights = list(graph.inputs), list(graph.weights)
    builder.outputs = list(graph.outputs)
    builder.requirements = dict.fromkeys(graph.requirements)
    new: dict[Value, Value] = {}
    for node in graph.nodes:
        moved = replace(node, operands=tuple(new.get(v, v) for v in node.operands))
        if node.op.name == "gradient":
            new.update(zip(node.results, _expand(builder, moved), strict=True))
        else:
            builder.nodes.append(node if moved.operands == node.operands else moved)
    return replace(
        builder.build(),
        updates=tuple(Update(u.target, new.get(u.new, u.new)) for u in graph.updates),
        outputs=tuple(new.get(v, v) for v in graph.outputs),
    )


def _expand(builder: Builder, node: Node) -> list[Value]:
    n = node.attrs["outputs"]
    outputs, cotangents, targets = node.operands[:n], node.operands[n : 2 * n], node.operands[2 * n :]
    with builder.at(node.location):
        found = gradients(builder, list(builder.nodes), outputs, cotangents, targets)
        return [
            g.value if g is not None else zeros(builder, t).value for g, t in zip(found, targets, strict=True)
        ]


def zeros(builder: Builder, like: Value) -> Expr:
    """Zeros of a value's type."""
    zero = builder.constant(0, like.type.dtype)
    return builder.broadcast(zero, shape=like.type.shape) if like.type.rank else zero
