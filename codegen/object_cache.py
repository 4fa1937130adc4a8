"""Compiled steps on disk: the key of a graph, and what an entry holds.

The key is made of named parts, so that a miss can say what differs from the nearest entry. Names of values,
paths of weights and places in source files are no part of it: a model that is built again in another file is
a hit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from graphc.codegen.cache import Cache, Entry, default, key_of, llvm_stamp, source_stamp
from graphc.codegen.choices import Choices, to_text
from graphc.codegen.errors import EntryFormatError
from graphc.codegen.layout import Layout
from graphc.codegen.options import Options
from graphc.codegen.target import Target
from graphc.ir.graph import Graph, Value
from graphc.ir.literals import literal_text
from graphc.passes.log import log, wants


@dataclass(frozen=True)
class Artifact:
    """The object file of a step, and where its memory is."""

    data: bytes
    layout: Layout


def canonical_text(graph: Graph) -> str:
    """The graph without names and locations: values are numbered in order of definition.

    >>> from graphc.ir import Builder, tensor
    >>> b = Builder("f")
    >>> b.output(-b.input("x", tensor("f32", 3)))
    >>> print(canonical_text(b.build()))
    0: f32[3]
    1: f32[3] = negative 0
    return 1
    """
    return "\n".join(_lines(graph))


def _lines(graph: Graph) -> list[str]:
    numbers = {v: i for i, v in enumerate(graph.values())}

    def listed(values: tuple[Value, ...]) -> str:
        return " ".join(str(numbers[v]) for v in values)

    lines = [f"{numbers[v]}: {v.declared}" for v in graph.inputs]
    lines += [f"weight {numbers[w.value]}: {w.value.declared}" for w in graph.weights]
    lines += [f"require {r.left} == {r.right}" for r in graph.requirements]
    for node in graph.nodes:
        results = ", ".join(f"{numbers[r]}: {r.declared}" for r in node.results)
        attrs = "".join(f" {k}={literal_text(v)}" for k, v in sorted(node.attrs.items()))
        lines.append(f"{results} = {node.op.name} {listed(node.operands)}{attrs}")
        for region in node.regions:
            lines += ["(", *_lines(region), ")"]
    lines += [f"update {numbers[u.target]} {numbers[u.new]}" for u in graph.updates]
    return [*lines, f"return {listed(graph.outputs)}"]


def key_parts(graph: Graph, options: Options, target: Target) -> dict[str, str]:
    """Everything that the machine code of a graph depends on, by name."""
    cpu, features, triple, *registers = target.key()
    return {
        "graph": hashlib.sha256(canonical_text(graph).encode()).hexdigest(),
        "passes": options.pipeline,
        "fast_math": str(options.fast_math),
        "threads": str(options.threads),
        "cpu": cpu,
        "features": hashlib.sha256(features.encode()).hexdigest(),
        "triple": triple,
        "registers": ", ".join(registers),
        "llvm": hashlib.sha256(llvm_stamp().encode()).hexdigest(),
        "graphc": source_stamp(),
    }


class ObjectCache:
    """The entries of steps in the cache folder."""

    def __init__(
        self,
        graph: Graph,
        options: Options,
        target: Target,
        passed: bool = False,
        choices: Choices | None = None,
    ) -> None:
        self.name = graph.name
        self.cache: Cache = default()
        self.parts = key_parts(graph, options, target)
        if passed:
            self.parts["weights"] = "passed"
        if choices:
            self.parts["choices"] = to_text(choices)
        self.hit = False
        self.key = key_of(target, "step", json.dumps(self.parts))

    def get(self) -> Artifact | None:
        """The stored step; None if there is none that fits, or the entry is damaged."""
        entry = self.cache.get(self.key)
        try:
            found = _read(entry) if entry is not None else None
        except (KeyError, ValueError, TypeError, AttributeError):
            self.cache.counters.count("damaged")
            found = None
        self.hit = found is not None
        if wants("cache"):
            log("cache", f"@{self.name} {self.story()}")
        return found

    def story(self) -> str:
        """Whether the entry was there, and if not, why."""
        return "hit" if self.hit else f"miss: {self.why_missed()}"

    def put(self, artifact: Artifact) -> None:
        """Store a step."""
        sections = {"object": artifact.data, "plan": artifact.layout.to_json().encode()}
        self.cache.put(self.key, Entry({**sections, "key": json.dumps(self.parts).encode()}))

    def why_missed(self) -> str:
        """Which part of the key differs from that of the nearest entry."""
        nearest: list[str] | None = None
        for parts in self._stored_parts():
            different = [name for name, value in self.parts.items() if parts.get(name) != value]
            if different and (nearest is None or len(different) < len(nearest)):
                nearest = different
        if nearest is None:
            return "the cache has no other entry to compare with"
        return f"the nearest entry differs in {', '.join(nearest)}"

    def _stored_parts(self) -> list[Mapping[str, str]]:
        found = []
        for path in self.cache.folder.glob("?" * len(self.key)) if self.cache.folder.is_dir() else []:
            try:
                sections = Entry.from_bytes(path.read_bytes()).sections
                found.append(json.loads(sections["key"]))
            except (OSError, EntryFormatError, KeyError, ValueError):
                continue
        return found


def _read(entry: Entry) -> Artifact:
    return Artifact(entry.sections["object"], Layout.from_json(entry.sections["plan"].decode()))
