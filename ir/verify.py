"""The rules that every graph keeps at every stage; a broken one is shown in the graph's text.

    VerifyError: %relu is f32[2] by inference, not f32[3]
      %relu : f32[3] = relu %x
      ^^^^^

Rules: values are defined before they are used; names are unique; declared types are those that inference
gives, symbolic sizes included; attributes, operands and regions are those of the op; regions see only their
own parameters; a kernel's parameters and results are its region's; updates give each weight at most one new
value of its type; every symbol stands in a parameter's shape; relations of sizes that inference needs are
listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NoReturn

from graphc.ir import dims
from graphc.ir.equalities import Equalities
from graphc.ir.errors import GraphcError, VerifyError
from graphc.ir.graph import Graph, Node, Update, Value
from graphc.ir.opdef import Kind
from graphc.ir.printer import print_lines, reference
from graphc.ir.result_types import result_types


def verify(graph: Graph) -> None:
    """Check every rule; VerifyError underlines the offending line of the graph's text."""
    symbols = frozenset(s for v in graph.parameters if v.declared for s in _symbols(v.declared.shape))
    _Verifier(graph, graph, Equalities(graph.requirements), symbols).check()


class _Verifier:
    """Checks one graph or region; `top` is the graph whose text is shown."""

    def __init__(self, graph: Graph, top: Graph, known: Equalities, symbols: frozenset[str]) -> None:
        self.graph, self.top, self.known, self.symbols = graph, top, known, symbols
        self.defined: set[Value] = set()
        self.names: set[str] = set()

    def check(self) -> None:
        for value in self.graph.parameters:
            self._define(value, self.graph)
        for node in self.graph.nodes:
            self._node(node)
        self._updates()
        for value in self.graph.outputs:
            if value not in self.defined:
                self._fail(f"the output {reference(value)} is not defined", self.graph, "return")

    def _define(self, value: Value, subject: Graph | Node) -> None:
        if value.name in self.names:
            self._fail(f"the name {reference(value)} stands for two values", subject, reference(value))
        if value.declared is None:
            message = f"the type of {reference(value)} is not known: run the pass `infer` first"
            self._fail(message, subject, reference(value))
        unknown = sorted(set(_symbols(value.type.shape)) - self.symbols)
        if unknown:
            message = f"the size {unknown[0]} of {value!r} stands in no parameter's shape"
            self._fail(message, subject, reference(value))
        self.names.add(value.name)
        self.defined.add(value)

    def _node(self, node: Node) -> None:
        for value in node.operands:
            if value not in self.defined:
                self._fail(self._undefined(value), node, reference(value))
        for region in node.regions:
            self._region(region, node)
        try:
            types = tuple(v.type for v in node.operands)
            inferred, needed = result_types(node.op, types, node.attrs, node.regions, self.known)
        except GraphcError as e:
            self._fail(str(e), node, node.op.name)
        for r in needed:
            self._fail(f"{node.op.name} needs {r.left} == {r.right}, which is not required", node)
        if len(inferred) != len(node.results):
            self._fail(f"{node.op.name} has {len(inferred)} results here, not {len(node.results)}", node)
        for value, right in zip(node.results, inferred):
            self._define(value, node)
            if not self.known.same_type(value.type, right):
                message = f"{reference(value)} is {right} by inference, not {value.type}"
                self._fail(message, node, reference(value))
        if node.op.kind is Kind.KERNEL:
            self._kernel(node)

    def _undefined(self, value: Value) -> str:
        if value.name in self.names:
            return f"{reference(value)} is another value than the one of this name that is defined before"
        if self.graph is not self.top:
            return f"{reference(value)} is not defined in this region: regions see only their own parameters"
        return f"{reference(value)} is used before it is defined"

    def _region(self, region: Graph, node: Node) -> None:
        if region.weights or region.updates:
            self._fail("a region has no weights and no updates: they pass as operands and results", node)
        for r in region.requirements:
            if not self.known.holds(r.left, r.right):
                self._fail(f"a region requires {r.left} == {r.right}, which the graph does not", node)
        _Verifier(region, self.top, self.known, self.symbols).check()

    def _kernel(self, node: Node) -> None:
        (region,) = node.regions
        for what, outside, inside in (
            ("operand", node.operands, region.inputs),
            ("result", node.results, region.outputs),
        ):
            if len(outside) != len(inside):
                self._fail(f"the kernel has {len(outside)} {what}s, its region {len(inside)}", node)
            for a, b in zip(outside, inside):
                if not self.known.same_type(a.type, b.type):
                    self._fail(f"the {what} {a!r} is {b!r} in the kernel's region", node, reference(a))

    def _updates(self) -> None:
        weights = {w.value for w in self.graph.weights}
        updated: set[Value] = set()
        for u in self.graph.updates:
            if u.target not in weights:
                self._fail(f"{reference(u.target)} is no weight, so it can't be updated", u)
            if u.target in updated:
                self._fail(f"{reference(u.target)} is updated twice", u)
            if u.new not in self.defined:
                self._fail(f"{reference(u.new)} is not defined", u, reference(u.new))
            if not self.known.same_type(u.new.type, u.target.type):
                self._fail(f"{u.new!r} can't become the value of {u.target!r}", u)
            updated.add(u.target)

    def _fail(self, message: str, subject: Graph | Node | Update, word: str = "") -> NoReturn:
        raise VerifyError("\n".join([message, *_underlined(self.top, subject, word), *_place(subject)]))


def _symbols(shape: Iterable[Any]) -> list[str]:
    return [s for d in shape for s in dims.symbols(d)]


def _place(subject: Graph | Node | Update) -> list[str]:
    return [f"  at {subject.location}"] if isinstance(subject, Node) and subject.location else []


def _underlined(top: Graph, subject: Graph | Node | Update, word: str) -> list[str]:
    """The subject's line with a marker under `word`, or under all of it."""
    try:
        lines = [line.text for line in print_lines(top, locations=False) if line.subject is subject]
    except GraphcError:
        return [f"  in {subject!r}"]  # an attribute that has no text
    if not lines:
        return [f"  in {subject!r}"]
    pattern = re.compile(re.escape(word) + r"(?![\w.])")
    line = next((text for text in lines if pattern.search(text)), lines[0]).strip()
    found = pattern.search(line) if word else None
    start, end = found.span() if found else (0, len(line))
    return [f"  {line}", "  " + " " * start + "^" * (end - start)]
