"""IR text to graph: recursive descent over `tokens`, with an error that underlines the place.

    >>> graph = parse_graph('''
    ... graph @f(%x: f32[B, 3])      # a comment
    ... {
    ...   %y : f32[B, 3] = negative %x
    ...   return %y
    ... }''')
    >>> graph.outputs
    (%y: f32[B, 3],)

Types after `:` may be left out; written ones must be what inference gives. Relations of sizes that inference
needs and the text does not list under `requires` are added.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from graphc.ir.builder import Builder
from graphc.ir.equalities import Equalities
from graphc.ir.errors import GraphcError
from graphc.ir.graph import Graph, Requirement, Value
from graphc.ir.literal_parser import parse_attributes, parse_size, parse_type, text_of
from graphc.ir.locations import NOWHERE, Location
from graphc.ir.opdef import OpDef, get_op
from graphc.ir.result_types import check_attributes, check_operands, result_types
from graphc.ir.tokens import Reader, Token
from graphc.ir.types import TensorType

T = TypeVar("T")
_DEPTH = 32
_LOCATION = re.compile(
    r"@\s*(?:(?P<file>\S.*?):(?P<line>\d+)(?=\s|$))?\s*(?:'(?P<layer>.*)'(?=\s*\(|\s*$))?\s*(?:\((?P<derived>.*)\))?\s*$"
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")


def parse_graph(text: str) -> Graph:
    """The graph of an IR text; ParseError for every text that is not one."""
    reader = Reader(text)
    reader.expect("graph")
    needed: dict[Requirement, None] = {}
    parser = _GraphParser(reader, Equalities(), needed, 0)
    parser.parameters()
    parser.body()
    parser.builder.requirements |= needed
    if reader.here.kind != "end":
        raise reader.error(f"the graph has ended, but here is {reader.here}")
    return parser.builder.build()


@dataclass(frozen=True)
class _Written:
    """A result as the text has it: its name and, if given, its type."""

    token: Token
    name: str
    declared: TensorType | None
    type_token: Token


class _GraphParser:
    """Parses one graph or region, with the names that are defined in it so far."""

    def __init__(
        self, reader: Reader, known: Equalities, needed: dict[Requirement, None], depth: int
    ) -> None:
        self.reader, self.known, self.needed, self.depth = reader, known, needed, depth
        self.builder = Builder(self._graph_name())
        self.values: dict[str, Value] = {}

    def _graph_name(self) -> str:
        if self.reader.here.kind != "name":
            return ""
        return text_of(self.reader, self.reader.take(), skip=1)

    # -- parameters -------------------------------------------------------------------------------
    def parameters(self) -> None:
        """`(%x: f32[B]) weights (...) requires (...)`."""
        self._listed("(", self._input)
        if self.reader.accept("weights"):
            self._listed("(", self._weight)
        if self.reader.accept("requires"):
            self._listed("(", self._requirement)
        self.known = Equalities((*self.builder.requirements, *self.known.given))

    def _listed(self, start: str, item: Callable[[], None]) -> None:
        self.reader.expect(start)
        while not self.reader.at(")"):
            item()
            if not self.reader.accept(","):
                break
        self.reader.expect(")")

    def _input(self) -> None:
        token, name = self._new_name()
        self._define(token, self.builder.input(name, self._optional_type()).value)

    def _weight(self) -> None:
        token, name = self._new_name()
        self.reader.expect(":")
        declared = parse_type(self.reader)
        path = _unescaped(self.reader.take().text[1:-1]) if self.reader.here.kind == "path" else name
        self._define(token, self.builder.weight(name, declared, path).value)

    def _requirement(self) -> None:
        left = parse_size(self.reader)
        self.reader.expect("==")
        right = parse_size(self.reader)
        reason = text_of(self.reader, self.reader.take()) if self.reader.here.kind == "string" else ""
        self.builder.require(left, right, reason)

    # -- names ------------------------------------------------------------------------------------
    def _new_name(self) -> tuple[Token, str]:
        token = self.reader.expect_kind("value", "a value such as %x")
        return token, text_of(self.reader, token, skip=1)

    def _define(self, token: Token, value: Value) -> None:
        if value.name in self.values or value.name != text_of(self.reader, token, skip=1):
            raise self.reader.error(f"the name {token.text} is taken already", token)
        self.values[value.name] = value

    def _use(self) -> tuple[Token, Value]:
        token, name = self._new_name()
        if name not in self.values:
            hint = "; a region sees only its own values: pass it as an operand" if self.depth else ""
            raise self.reader.error(f"there is no value {token.text} before this line{hint}", token)
        return token, self.values[name]

    def _optional_type(self) -> TensorType | None:
        return parse_type(self.reader) if self.reader.accept(":") else None

    # -- body -------------------------------------------------------------------------------------
    def body(self) -> None:
        """`{`, the nodes, updates and `return` of a graph, `}`."""
        self.reader.expect("{")
        while not self.reader.at("return"):
            if self.reader.at("update"):
                self._update()
            elif self.reader.here.kind in ("value", "word") and not self.builder.updates:
                self._node()
            else:
                raise self.reader.error(f"expected a node, `update` or `return`, found {self.reader.here}")
        self.reader.take()
        while self.reader.here.kind == "value":
            self.builder.outputs.append(self._use()[1])
            if not self.reader.accept(","):
                break
        self.reader.expect("}")

    def _update(self) -> None:
        self.reader.take()
        token, target = self._use()
        self.reader.expect("<-")
        new_token, new = self._use()
        if all(w.value is not target for w in self.builder.weights):
            raise self.reader.error(f"{token.text} is no weight, so it can't be updated", token)
        if target in self.builder.updates:
            raise self.reader.error(f"{token.text} is updated twice", token)
        if new.declared is not None and not self.known.same_type(new.type, target.type):
            raise self.reader.error(f"{new!r} can't become the value of {target!r}", new_token)
        self.builder.updates[target] = new

    def _node(self) -> None:
        results = self._results()
        op_token = self.reader.expect_kind("word", "the name of an op")
        op = self._guarded(lambda: get_op(op_token.text), op_token)
        operands = self._operands()
        attrs = parse_attributes(self.reader, op) if self.reader.at("{") else {}
        self._guarded(lambda: check_attributes(op, attrs), op_token)
        regions = self._regions()
        self._guarded(lambda: check_operands(op, len(operands), len(regions)), op_token)
        types = self._types(op, op_token, operands, op.defaults | attrs, regions, results)
        for i, r in enumerate(results):
            if r.name in self.values or any(r.name == other.name for other in results[:i]):
                raise self.reader.error(f"the name {r.token.text} is taken already", r.token)
        names, place = [r.name for r in results], self._location()
        node = self.builder.node(op, operands, attrs, regions, names, types, place)
        self.values |= {v.name: v for v in node.results}

    def _results(self) -> list[_Written]:
        results: list[_Written] = []
        while self.reader.here.kind == "value":
            token, name = self._new_name()
            typed = self.reader.accept(":")
            type_token = self.reader.here
            results.append(_Written(token, name, parse_type(self.reader) if typed else None, type_token))
            if not self.reader.accept(","):
                break
        if results:
            self.reader.expect("=")
        return results

    def _operands(self) -> list[Value]:
        operands: list[Value] = []
        while self.reader.here.kind == "value":
            operands.append(self._use()[1])
            if not self.reader.accept(","):
                break
        return operands

    def _regions(self) -> tuple[Graph, ...]:
        regions = []
        while self.reader.here.kind == "name" or self.reader.at("("):
            if self.depth == _DEPTH:
                raise self.reader.error(f"regions are nested more than {_DEPTH} deep")
            parser = _GraphParser(self.reader, self.known, self.needed, self.depth + 1)
            parser.parameters()
            parser.body()
            regions.append(parser.builder.build())
        return tuple(regions)

    def _location(self) -> Location:
        if self.reader.here.kind != "location":
            return NOWHERE
        token = self.reader.take()
        match = _LOCATION.fullmatch(token.text)
        if match is None:
            raise self.reader.error("a location reads: @ file.py:8 'layer' (derived from)", token)
        file, line, layer, derived = match.groups(default="")
        return Location(file, int(line or 0), layer, derived)

    def _types(
        self,
        op: OpDef,
        at: Token,
        operands: list[Value],
        attrs: Mapping[str, Any],
        regions: tuple[Graph, ...],
        results: list[_Written],
    ) -> list[TensorType | None]:
        """The written types, which must be those that inference gives wherever it can be asked."""
        written = [r.declared for r in results]
        types = tuple(v.declared for v in operands if v.declared is not None)
        if (results and not any(written)) or len(types) != len(operands):
            return written
        inferred, needed = self._guarded(lambda: result_types(op, types, attrs, regions, self.known), at)
        if len(inferred) != len(results):
            raise self.reader.error(f"{op.name} has {len(inferred)} results here, not {len(results)}", at)
        self.needed.update(dict.fromkeys(needed))
        known = Equalities((*self.known.given, *needed))
        for r, right in zip(results, inferred):
            if r.declared is not None and not known.same_type(r.declared, right):
                raise self.reader.error(f"%{r.name} is {right} by inference, not {r.declared}", r.type_token)
        return written

    def _guarded(self, action: Callable[[], T], token: Token) -> T:
        """What `action` gives; its errors become a ParseError at the token."""
        try:
            return action()
        except GraphcError as e:
            raise self.reader.error(str(e), token) from e


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1][1:], 16)) if len(m[1]) > 1 else m[1], text)
