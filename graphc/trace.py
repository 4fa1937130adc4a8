"""`Trace`: one graph in the making, from the calls of layers and of `graphc.ops`.

A trace maps variables to weights of the graph when they are first read, remembers what was assigned to them,
numbers the random calls, collects losses, and gives every node the user's file and line and the path of the
layer.

    >>> import numpy as np
    >>> from graphc.variable import Variable
    >>> from graphc.ir import tensor
    >>> scale = Variable(np.float32(3), name="scale")
    >>> trace = Trace("f")
    >>> with trace:
    ...     x = trace.input("x", tensor("f32", "B"))
    ...     y = x * scale                          # reads the variable: a weight of the graph
    ...     scale.assign(scale + 1)                # an update, committed when a call succeeds
    ...     z = y + scale                          # sees the new value
    >>> graph = trace.finish([z])
    >>> [w.path for w in graph.weights], len(graph.updates)
    (['scale'], 1)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.ir.errors import ShapeError, TraceError
from graphc.ir.graph import Graph, Value
from graphc.ir.locations import Location, caller
from graphc.ir.opdef import get_op
from graphc.ir.types import TensorType, dtype_of
from graphc.tensor import Tensor
from graphc.variable import Variable

_active: ContextVar[Trace | None] = ContextVar("trace", default=None)


def active() -> Trace | None:
    """The trace that is being made in this thread, if any."""
    return _active.get()


@contextmanager
def suspended() -> Iterator[None]:
    """No trace is active inside: variables read as arrays, and assignments take effect at once (`build`)."""
    token = _active.set(None)
    try:
        yield
    finally:
        _active.reset(token)


@dataclass(frozen=True)
class Scope:
    """A layer whose `call` is running: its path, its place, whether it trains.

    `place` is None where `call` is the user's own code: each node is then placed at the user's line that made
    it.
    """

    path: str
    place: Location | None
    training: bool


class Region:
    """The body of a loop in the making. It stands alone: values from outside that it uses become operands
    of the loop, after those that the loop carries and scans.
    """

    def __init__(self, name: str) -> None:
        self.builder = Builder(name)
        self.captured: dict[Value, Expr] = {}
        self._own: dict[Value, Expr] = {}

    def capture(self, outer: Expr) -> Expr:
        """The region's name for a value from outside."""
        if outer.value not in self._own:
            self._own[outer.value] = self.builder.input(outer.value.name, outer.type)
            self.captured[outer.value] = outer
        return self._own[outer.value]


class Trace:
    """One graph in the making; `with trace:` makes it the active one.

    Args:
        name: of the graph.
        training: what layers see as `training` unless their call says otherwise.
    """

    def __init__(self, name: str = "", training: bool = False) -> None:
        self.root = Builder(name)
        self._regions: list[Region] = []
        self.variables: list[Variable] = []
        self.losses: list[Tensor] = []
        self._weights: dict[Variable, Expr] = {}
        self._values: dict[Variable, Expr] = {}
        self._scopes = [Scope("", None, training)]
        self._calls: dict[int, int] = {}
        self._tokens: list[Token[Trace | None]] = []

    def __enter__(self) -> Trace:
        self._tokens.append(_active.set(self))
        return self

    def __exit__(self, *error: object) -> None:
        _active.reset(self._tokens.pop())

    @property
    def builder(self) -> Builder:
        """Where nodes are appended now: the graph, or the body of a loop."""
        return self._regions[-1].builder if self._regions else self.root

    @contextmanager
    def region(self, name: str = "") -> Iterator[Region]:
        """Nodes made inside belong to the body of a loop."""
        made = Region(name)
        self._regions.append(made)
        try:
            yield made
        finally:
            self._regions.pop()

    # -- places -----------------------------------------------------------------------------------
    @property
    def training(self) -> bool:
        """Whether the layer whose call is running trains."""
        return self._scopes[-1].training

    @property
    def path(self) -> str:
        """The path of the layer whose call is running, such as 'encoder/conv2d_1'."""
        return self._scopes[-1].path

    def place(self) -> Location:
        """Where a node that is made now comes from."""
        scope = self._scopes[-1]
        return caller(scope.path) if scope.place is None else scope.place

    @contextmanager
    def inside(self, path: str, place: Location | None, training: bool) -> Iterator[None]:
        """Nodes made inside belong to the layer at `path`; see `Scope`."""
        self._scopes.append(Scope(path, place, training))
        try:
            yield
        finally:
            self._scopes.pop()

    # -- values -----------------------------------------------------------------------------------
    def input(self, name: str, type: TensorType) -> Tensor:
        """A new input of the graph. Sizes that are symbols with one name are equal."""
        return self.tensor(self.root.input(_identifier(name), type))

    def tensor(self, expr: Expr) -> Tensor:
        """The traced tensor of an expression of this trace's builder."""
        return Tensor(expr.type, trace=self, expr=expr)

    def op(self, op: Any, *operands: Any, **attrs: Any) -> Any:
        """Append a node of the IR at the present place. Operands are tensors of this trace, or numbers, which
        are weak.
        """
        exprs = [self.expr(x) if isinstance(x, (Tensor, Variable)) else x for x in operands]
        with self.builder.at(self.place()):
            result = self.builder.op(op, *exprs, **attrs)
        if isinstance(result, tuple):
            return tuple(self.tensor(r) for r in result)
        return self.tensor(result)

    def loop(self, op: str, operands: Sequence[Tensor], body: Graph, **attrs: Any) -> tuple[Tensor, ...]:
        """Append a node of an op that has a region."""
        exprs = [self.expr(x) for x in operands]
        with self.builder.at(self.place()):
            node = self.builder.node(get_op(op), exprs, attrs, regions=(body,))
        return tuple(self.tensor(Expr(self.builder, r)) for r in node.results)

    def expr(self, x: Tensor | Variable) -> Expr:
        """The expression of a tensor of this trace, or of a variable's present value.

        Raises:
            TraceError: the tensor is functional, or belongs to another trace.
        """
        if isinstance(x, Variable):
            return self._read(x)
        if x.trace is not self or x.expr is None:
            kind = "a functional tensor" if x.trace is None else "a tensor of another trace"
            raise TraceError(
                f"{x!r} is {kind}: it can't be used inside a `call` that is being traced.\n"
                "  fix     pass it to the layer as an input of its call."
            )
        return self._inside(x.expr)

    def _inside(self, expr: Expr) -> Expr:
        """A value for use at the present place, which may lie within loops that it comes from outside of."""
        builders = [self.root, *(r.builder for r in self._regions)]
        depth = next((i for i, b in enumerate(builders) if b is expr.builder), None)
        if depth is None:
            raise TraceError(
                f"{expr!r} was made in the body of a loop that has ended.\n"
                "  fix     give it to the loop's results."
            )
        for region in self._regions[depth:]:
            expr = region.capture(expr)
        return expr

    def read(self, variable: Variable) -> Tensor:
        """The present value of a variable: the last one assigned, else the one at entry."""
        return self.tensor(self._read(variable))

    def _read(self, variable: Variable) -> Expr:
        found = self._values[variable] if variable in self._values else self.weight(variable)
        return self._inside(found)

    def weight(self, variable: Variable) -> Expr:
        """The weight of the graph that holds the variable's value at entry."""
        if variable not in self._weights:
            self._weights[variable] = self.root.weight(
                _identifier(variable.name), variable.type, variable.path
            )
            self.variables.append(variable)
        return self._weights[variable]

    def assign(self, variable: Variable, value: Any) -> None:
        """Give the variable a new value when the compiled function is called; later reads see it.

        Raises:
            ShapeError: the value's shape differs from the variable's.
            TraceError: it is in the body of a loop.
        """
        from graphc.ops.promotion import tensor

        if self._regions:
            raise TraceError(
                f"'{variable.path}' can't be assigned in the body of a loop.\n"
                "  fix     carry its value from step to step, and assign the last one after the loop."
            )

        new = tensor(value, variable.dtype)
        if new.shape != variable.shape:
            raise ShapeError(
                f"'{variable.path}' has the shape {variable.shape}, "
                f"but was assigned a value of shape {new.shape}."
            )
        self.weight(variable)
        self._values[variable] = self.expr(new)

    def constant(self, value: Any, dtype: Any = None) -> Tensor:
        """A constant; a Python float takes `floatx`."""
        from graphc.backend import floatx

        if dtype is None and isinstance(value, float):
            dtype = floatx()
        with self.builder.at(self.place()):
            return self.tensor(self.builder.constant(value, None if dtype is None else dtype_of(dtype)))

    def random_call(self, generator: Any) -> tuple[Tensor, Tensor, int]:
        """The seed, the step and the number of the next random op on `generator` (a
        `graphc.randomness.Generator`).

        The generator's step counts one up with each call of the compiled function, however many random ops it
        has.
        """
        seed, step = self.weight(generator.seed), self.weight(generator.step)
        number = self._calls.get(id(generator), 0)
        self._calls[id(generator)] = number + 1
        if number == 0:
            with self.root.at(self.place()):
                self._values[generator.step] = self.root.op("add", step, np.int64(1))
        return self.tensor(seed), self.tensor(step), number

    # -- result -----------------------------------------------------------------------------------
    @property
    def assigned(self) -> list[Variable]:
        """The variables that a call of the graph changes."""
        return list(self._values)

    def finish(self, outputs: list[Tensor]) -> Graph:
        """The graph with these outputs, and an update for each variable that was assigned."""
        for variable, value in self._values.items():
            self.root.update(self._weights[variable], value)
        self.root.output(*(self.expr(y) for y in outputs))
        return self.root.build()


def _identifier(name: str) -> str:
    """A name as the text form of the IR takes it."""
    cleaned = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    return cleaned if cleaned and not cleaned[0].isdigit() else f"_{cleaned}"
