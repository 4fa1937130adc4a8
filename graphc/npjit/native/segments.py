"""`compile(nodes, wanted, written) -> Program`: a segment of a log as native runs and NumPy calls."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphc.codegen import options as option
from graphc.codegen.forks import free_in_children
from graphc.codegen.options import Options
from graphc.ir.errors import GraphcError
from graphc.ir.graph import Graph
from graphc.npjit.log import Meta, Node, Valued, follow, pick
from graphc.npjit.native.call import WATCH, NativeCall, Retry
from graphc.npjit.native.families import Families, TooLargeError
from graphc.npjit.native.operands import Unexpressed
from graphc.npjit.native.packs import Argument
from graphc.npjit.native.program import Line, Program, Writer
from graphc.npjit.native.schedule import Schedule, Step, schedule
from graphc.npjit.native.structure import Structure, uses
from graphc.npjit.native.symbols import Symbols, lowest, symbolic_sizes
from graphc.npjit.native.translate import Translator, memory_order, name_of, order_of_axes

MOST_NODES = 3000
"""Larger graphs are cut in halves: the time to compile one would grow faster than its size."""
MOST_PIECES = 2
"""Graphs that would be cut into more pieces than this are not compiled: it takes a minute, which few programs
run long enough to win back.
"""
PROGRAMS = 256
"""How many structures a process remembers."""

_programs: dict[Any, tuple[Program, tuple[Any, ...]]] = {}
_lock = free_in_children(threading.Lock())


def compile(
    nodes: Sequence[Node],
    wanted: Sequence[Node],
    written: Mapping[Node, Node] | None = None,
    options: Options | None = None,
    name: str = "segment",
    symbols: Symbols | None = None,
    families: Families | None = None,
    always: bool = False,
) -> Program:
    """A program for a log; with `symbols` for all sizes that these may take. `always`: native code also where
    it is not worth its call.

    `wanted`: the nodes whose values a call gives. `written`: input -> the node whose value its memory takes;
    such nodes should be wanted too. Logs of one structure share what was compiled.
    """
    chosen = options if options is not None else option.resolve()
    pairs = dict(written or {})
    structure = Structure.of(nodes, wanted, pairs, symbols)
    key = (structure.key, chosen, always)
    with _lock:
        found = _programs.get(key)
    if found is not None and WATCH.get() is None:
        return replace(found[0], leaves=structure.leaves)
    program = Assembly(nodes, wanted, pairs, structure, chosen, name, symbols, families, always).program()
    with _lock:
        while len(_programs) >= PROGRAMS:
            _programs.pop(next(iter(_programs)))
        # without the leaves, which have the values of one call
        _programs[key] = replace(program, leaves=()), structure.kept
    return program


class Assembly:
    """The making of one program."""

    def __init__(
        self,
        nodes: Sequence[Node],
        wanted: Sequence[Node],
        written: dict[Node, Node],
        structure: Structure,
        options: Options,
        name: str,
        symbols: Symbols | None = None,
        families: Families | None = None,
        always: bool = False,
    ) -> None:
        self.always = always
        self.symbols, self.families = symbols, families if families is not None else Families()
        self.nodes, self.wanted, self.written = nodes, wanted, written
        self.structure, self.options, self.name = structure, options, name
        self.parameters = [f"a{i}" for i in range(len(structure.leaves))]
        self.calls: list[NativeCall] = []
        self.in_place: set[int] = set()
        self.explanation: list[Line] = []

    def program(self) -> Program:
        """The program; where a graph can't be compiled, NumPy's calls stay."""
        plan = self._scheduled()
        writer = self._writer()
        impure = any(n.impure for n in self.nodes)
        number = 0
        while number < len(plan.steps):
            step = plan.steps[number]
            if step.native:
                try:
                    self._native(writer, step, plan, number == len(plan.steps) - 1)
                except TooLargeError as e:
                    plan.whole = None
                    if e.nodes > MOST_PIECES * MOST_NODES:
                        plan.reasons.update(dict.fromkeys(step.nodes, "too many operations to compile"))
                        plan.steps[number] = Step(False, step.nodes)
                        continue
                    plan.steps[number : number + 1] = halves(step)
                    continue
                except (GraphcError, Unexpressed) as e:
                    plan.reasons.update(dict.fromkeys(step.nodes, f"not compiled: {e}"))
                    self._by_numpy(writer, step, plan)
            else:
                self._by_numpy(writer, step, plan)
            number += 1
        self._returned(writer)
        if self.calls and not impure:
            writer.objects["reference"] = self.reference()
            call = f"reference({', '.join(self.parameters)})"
            writer.lines = [
                "try:",
                *(f"    {x}" for x in writer.lines),
                "except Retry:",
                f"    return {call}",
            ]
        run = writer.function("run", self.parameters)
        return Program(
            run,
            self.structure.leaves,
            frozenset(self.in_place),
            tuple(self.calls),
            tuple(self.explanation),
            writer.objects["SOURCE"],
        )

    def _scheduled(self) -> Schedule:
        if self.options.backend == "reference" and not self.always:
            everything = dict.fromkeys(self.nodes, "the backend is NumPy")
            return Schedule([Step(False, list(self.nodes))], everything)
        return schedule(self.nodes, self.wanted, self.name, self._writeable(), self.symbols, self.always)

    def _writer(self) -> Writer:
        writer = Writer()
        for leaf, parameter in zip(self.structure.leaves, self.parameters, strict=True):
            writer.names[leaf if type(leaf) is Node else leaf.expr] = parameter
        return writer

    def reference(self) -> Any:
        """The whole segment by NumPy, which at its end writes the same inputs in place."""
        writer = self._writer()
        for i, node in enumerate(self.nodes):
            writer.names[node] = f"r{i}"
            writer.numpy_call(node, f"r{i}")
        for leaf, final in self.written.items():
            if leaf in self.structure.leaves and self.structure.leaves.index(leaf) in self.in_place:
                writer.lines.append(f"copyto({writer.leaf(leaf)}, {writer.leaf(final)})")
                writer.names[final] = writer.leaf(leaf)
        self._returned(writer)
        return writer.later("reference", self.parameters)

    def _returned(self, writer: Writer) -> None:
        writer.lines.append(f"return ({''.join(f'{writer.leaf(n)}, ' for n in self.wanted)})")

    def _by_numpy(self, writer: Writer, step: Step, plan: Schedule) -> None:
        for node in step.nodes:
            variable = writer.names[node] = f"r{len(writer.names)}"
            writer.numpy_call(node, variable)
            if node.fn not in (follow, pick):
                self.explanation.append(Line(False, name_of(node.fn), node.line, plan.reasons.get(node, "")))

    # -- native runs ----------------------------------------------------------------------------------
    def _native(self, writer: Writer, step: Step, plan: Schedule, last: bool) -> None:
        outputs = self._needed(step, plan)
        stores = self._stores(step, plan) if last else {}
        translator = self._translated(step, plan, stores)
        graph = finished(translator, [n for n in outputs if n not in stores], stores)
        bounds = dict(self.symbols.bounds) if self.symbols is not None else {}
        bounds.update(dict.fromkeys(size - 1 for size in symbolic_sizes(graph) if lowest(size - 1) is None))
        most = MOST_NODES if len(step.nodes) > 1 else None
        code = self.families.call(graph, self.options, tuple(bounds), most)
        self.calls.append(code.call)
        given = [self._given(writer, translator.inputs, a) for a in code.arguments]
        given += [writer.name(x) for x in code.extras]
        given += [_argument(writer, leaf) for leaf in translator.targets]
        self._call_lines(writer, code.call, ", ".join(given), outputs, stores)
        self.explanation.append(Line(True, f"{len(step.nodes)} operations", step.nodes[0].line))

    def _given(self, writer: Writer, leaves: Sequence[Any], argument: Argument) -> str:
        """An argument of a native call: a leaf, or several as one array."""
        if isinstance(argument, int):
            return _argument(writer, leaves[argument])
        values = ", ".join(_row(writer, leaves[i]) for i in argument.places)
        return f"pack({writer.name(argument.dtype)}, ({values},))"

    def _translated(self, step: Step, plan: Schedule, stores: dict[Node, Node]) -> Translator:
        if plan.whole is not None and set(stores.values()) == set(self._writeable()):
            return plan.whole
        translator = Translator(self.name, set(stores.values()), self.symbols)
        for node in step.nodes:
            translator.translate(node)
        return translator

    def _writeable(self) -> set[Node]:
        """The inputs whose memory native code may write."""
        return {leaf for leaf in self.written if contiguous(leaf.meta)}

    def _needed(self, step: Step, plan: Schedule) -> list[Node]:
        """The nodes of a step whose values somebody else needs."""
        own = set(step.nodes)
        elsewhere = [n for s in plan.steps if s is not step for n in s.nodes]
        used = {u for n in elsewhere for u in uses(n)} | set(self.wanted)
        return [n for n in step.nodes if n in used and n in own]

    def _stores(self, step: Step, plan: Schedule) -> dict[Node, Node]:
        """New version -> input, where the last native run may write over the input itself."""
        own = set(step.nodes)
        found: dict[Node, Node] = {}
        read = {*self.wanted, *(u for n in step.nodes for u in uses(n))}
        views = {n for s in plan.steps if not s.native for n in s.nodes if n in read}
        for leaf, final in self.written.items():
            if final not in own or final in found or leaf not in self.structure.leaves:
                continue
            if contiguous(leaf.meta) and not _may_view(leaf, views):
                found[final] = leaf
        return found

    def _call_lines(
        self,
        writer: Writer,
        call: NativeCall,
        arguments: str,
        outputs: list[Node],
        stores: dict[Node, Node],
    ) -> None:
        number = len(self.calls) - 1
        writer.objects[f"fast{number}"], writer.objects[f"slow{number}"] = call.fast, call.slow
        writer.lines.append(f"r = fast{number}({arguments})")
        writer.lines.append(f"if r is NotImplemented: r = slow{number}({arguments})")
        fresh = [n for n in outputs if n not in stores]
        for node in fresh:
            writer.names[node] = f"r{len(writer.names)}"
        if fresh:
            targets = ", ".join(writer.names[n] for n in fresh)
            writer.lines.append(f"{targets} = r")
        for node in fresh:
            writer.lines += _as_kind(node.meta, writer.names[node])
        for final, leaf in stores.items():
            writer.names[final] = writer.names[leaf]
            self.in_place.add(self.structure.leaves.index(leaf))


def halves(step: Step) -> list[Step]:
    """A native step as two."""
    middle = len(step.nodes) // 2
    return [Step(True, step.nodes[:middle]), Step(True, step.nodes[middle:])]


def finished(translator: Translator, outputs: Iterable[Node], stores: Mapping[Node, Node]) -> Graph:
    """The graph of a translation: outputs, and updates of the inputs that are written."""
    b = translator.b
    translator.carry_all()
    for final, leaf in stores.items():
        b.update(translator.target(leaf), translator.output(final))
    for node in outputs:
        value, axes = translator.output(node), order_of_axes(node.meta)
        b.output(value if axes is None else b.transpose(value, axes=axes))
    return b.build()


def contiguous(meta: Any) -> bool:
    """Whether an input's memory is in row-major order, so that native code may write it."""
    return isinstance(meta, Meta) and meta.strides is not None and memory_order(meta) == "C"


def _may_view(leaf: Node, views: set[Node]) -> bool:
    """Whether a value that is wanted, or read by the run, may be a view of an input's memory, which must keep
    its old elements.
    """
    return any(n.fn in (follow, pick) and leaf in set(uses(n)) for n in views)


def _row(writer: Writer, leaf: Any) -> str:
    """A leaf as a row of an array."""
    is_array = isinstance(leaf, Node) and isinstance(leaf.meta, Meta) and leaf.meta.kind == "array"
    return _argument(writer, leaf) if is_array else writer.leaf(leaf)


def _argument(writer: Writer, leaf: Any) -> str:
    """A leaf as an argument of a native call: Python ints and bools as NumPy scalars."""
    name = writer.leaf(leaf)
    order = "C" if isinstance(leaf, Valued) else memory_order(leaf.meta)
    if order != "C":
        return f"{name}.T" if order == "F" else f"rows({name})"
    kind = type(leaf.value) if isinstance(leaf, Valued) else leaf.meta.dtype
    if isinstance(leaf, Valued) and kind not in (int, bool):
        return name
    if kind in (int, bool) and (isinstance(leaf, Valued) or leaf.meta.kind == "python"):
        return f"{writer.name(_NUMBER_CLASSES[kind])}({name})"
    return name


def _int64(value: int) -> np.int64:
    try:
        return np.int64(value)
    except OverflowError as e:
        raise Retry(str(e)) from e


_NUMBER_CLASSES: dict[type, Any] = {int: _int64, bool: np.bool_}


def _as_kind(meta: Any, name: str) -> list[str]:
    """A result of the right class and order: arrays without dimensions, by columns, Python numbers."""
    axes = order_of_axes(meta)
    if axes is not None:
        return [f"{name} = {name}.transpose({tuple([axes.index(d) for d in range(len(axes))])})"]
    if meta.kind == "array" and meta.shape == ():
        return [f"{name} = asarray({name})"]
    return [f"{name} = {name}.item()"] if meta.kind == "python" else []
