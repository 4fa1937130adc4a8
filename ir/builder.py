"""The Builder makes graphs. It infers types as it goes, gives each value a name and each node a location.

>>> from graphc.ir import Builder, tensor
>>> b = Builder("f")
>>> x = b.input("x", tensor("f32", "B", 3))
>>> b.output(b.relu(x * 2 + 1))
>>> print(b.build())
graph @f(%x: f32[B, 3])
{
  %constant   : f32[]     = constant {value = 2.0, dtype = f32}
  %multiply   : f32[B, 3] = multiply %x, %constant
  %constant.1 : f32[]     = constant {value = 1.0, dtype = f32}
  %add        : f32[B, 3] = add %multiply, %constant.1
  %relu       : f32[B, 3] = relu %add
  return %relu
}
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from graphc.ir.dims import Dim, Shape, Size
from graphc.ir.errors import ArgumentError, DTypeError, GraphcError
from graphc.ir.graph import Graph, Node, Requirement, Update, Value, Weight
from graphc.ir.locations import NOWHERE, Location
from graphc.ir.opdef import OpDef, get_op
from graphc.ir.relations import collect_requirements
from graphc.ir.types import BOOL, DType, TensorType, dtype_of

Operand = Union["Expr", Value, float, int, bool, Size, np.generic, np.ndarray]


class Expr:
    """A value and the builder that makes more of it: has Python operators, with weak Python numbers."""

    __slots__ = ("builder", "value")
    __array_ufunc__ = None  # NumPy scalars on the left must not take over

    def __init__(self, builder: Builder, value: Value) -> None:
        self.builder, self.value = builder, value

    def __repr__(self) -> str:
        return repr(self.value)

    @property
    def type(self) -> TensorType:
        return self.value.type

    @property
    def dtype(self) -> DType:
        return self.value.type.dtype

    @property
    def shape(self) -> Shape:
        return self.value.type.shape

    @property
    def rank(self) -> int:
        return len(self.value.type.shape)

    def __neg__(self) -> Expr:
        return self.builder.negative(self)

    def __abs__(self) -> Expr:
        return self.builder.abs(self)

    if TYPE_CHECKING:  # OPERATORS and COMPARISONS below make them

        def __add__(self, other: Operand) -> Expr: ...
        def __radd__(self, other: Operand) -> Expr: ...
        def __sub__(self, other: Operand) -> Expr: ...
        def __rsub__(self, other: Operand) -> Expr: ...
        def __mul__(self, other: Operand) -> Expr: ...
        def __rmul__(self, other: Operand) -> Expr: ...
        def __truediv__(self, other: Operand) -> Expr: ...
        def __rtruediv__(self, other: Operand) -> Expr: ...


def _binary(name: str, swapped: bool = False) -> Callable[[Expr, Operand], Expr]:
    def method(self: Expr, other: Operand) -> Expr:
        left, right = (other, self) if swapped else (self, other)
        return self.builder.op(name, left, right)

    return method


OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "shift_left",
    "rshift": "shift_right",
}
COMPARISONS = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}

for _python, _name in OPERATORS.items():
    setattr(Expr, f"__{_python}__", _binary(_name))
    setattr(Expr, f"__r{_python}__", _binary(_name, swapped=True))
for _python, _name in COMPARISONS.items():
    setattr(Expr, f"__{_python}__", _binary(_name))


class Builder:
    """Makes one graph, or one region of a graph. Every op is a method: `b.matmul(x, w, transpose_b=True)`."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.inputs: list[Value] = []
        self.weights: list[Weight] = []
        self.nodes: list[Node] = []
        self.updates: dict[Value, Value] = {}
        self.outputs: list[Value] = []
        self.requirements: dict[Requirement, None] = {}
        self.location: Location = NOWHERE
        self._taken: dict[str, int] = {}

    # -- names and places -------------------------------------------------------------------------
    def fresh(self, hint: str) -> str:
        """A name that is not taken: the hint itself, or `hint.1`, `hint.2`, ..."""
        if hint not in self._taken:
            self._taken[hint] = 0
            return hint
        while True:
            self._taken[hint] += 1
            name = f"{hint}.{self._taken[hint]}"
            if name not in self._taken:
                self._taken[name] = 0
                return name

    def reserve(self, names: Iterable[str]) -> None:
        """Take names that differ from each other and from all that are taken."""
        self._taken.update(dict.fromkeys(names, 0))

    @contextmanager
    def at(self, location: Location) -> Iterator[None]:
        """Nodes made inside get this location."""
        before, self.location = self.location, location
        try:
            yield
        finally:
            self.location = before

    # -- parameters and results -------------------------------------------------------------------
    def input(self, name: str, type: TensorType | None) -> Expr:
        value = Value(self.fresh(name), type)
        self.inputs.append(value)
        return Expr(self, value)

    def weight(self, name: str, type: TensorType, path: str = "") -> Expr:
        value = Value(self.fresh(name), type)
        self.weights.append(Weight(value, path or name))
        return Expr(self, value)

    def update(self, target: Expr | Value, new: Operand) -> None:
        """The weight `target` takes the value `new` when the call succeeds; the last update counts."""
        target_value = self.value(target)
        new_value = self.value(new, target_value.type.dtype)
        if new_value.type != target_value.type:
            raise ArgumentError(f"can't update {target_value!r} with {new_value!r}: the types differ")
        self.updates[target_value] = new_value

    def output(self, *values: Operand) -> None:
        self.outputs.extend(self.value(v) for v in values)

    def require(self, left: Dim, right: Dim, reason: str = "") -> None:
        """`left == right` must hold; what can't be proved is checked when a call enters."""
        if left != right:
            self.requirements[Requirement(left, right, reason)] = None

    def build(self) -> Graph:
        """The finished graph."""
        return Graph(
            self.name,
            tuple(self.inputs),
            tuple(self.weights),
            tuple(self.nodes),
            tuple(Update(t, n) for t, n in self.updates.items()),
            tuple(self.outputs),
            tuple(self.requirements),
        )

    # -- operations -------------------------------------------------------------------------------
    def value(self, x: Operand, dtype: DType | None = None) -> Value:
        """The SSA value of an operand; numbers and arrays become constants, weak ones of type `dtype`."""
        if isinstance(x, Expr):
            return x.value
        if isinstance(x, Value):
            return x
        return self.constant(x, dtype).value

    def constant(self, value: Any, dtype: DType | str | None = None) -> Expr:
        """A constant. A Python number or size takes `dtype`, or f32/i64/bool by its own kind."""
        if isinstance(value, Size):
            return self.op("constant", value=value, dtype=dtype_of(dtype or "i64"))
        if dtype is None:
            weak = {bool: BOOL, int: dtype_of("i64"), float: dtype_of("f32")}
            dtype = weak.get(type(value)) or dtype_of(np.asarray(value).dtype)
        dtype = dtype_of(dtype)
        array = np.asarray(value)
        if dtype.kind != "f" and array.dtype.kind == "f":
            raise DTypeError(f"the constant {value!r} does not fit the element type {dtype}")
        literal = array.astype(dtype.numpy)
        return self.op("constant", value=literal.item() if literal.ndim == 0 else literal, dtype=dtype)

    def op(self, op: str | OpDef, *operands: Operand, name: str = "", **attrs: Any) -> Any:
        """Append a node. Gives an Expr, or a tuple of them for several results."""
        node = self.node(get_op(op) if isinstance(op, str) else op, operands, attrs, name=name)
        results = tuple(Expr(self, r) for r in node.results)
        return results[0] if len(results) == 1 else results

    def node(
        self,
        op: OpDef,
        operands: Sequence[Operand],
        attrs: Mapping[str, Any],
        regions: tuple[Graph, ...] = (),
        names: Iterable[str] = (),
        types: Iterable[TensorType | None] | None = None,
        location: Location | None = None,
        name: str = "",
    ) -> Node:
        """Append a node in full detail. `types` overrules inference: a parser's written types."""
        strong = _strong_dtype(operands)
        values = tuple(self.value(x, _weak_dtype(x, strong)) for x in operands)
        attrs = _complete(op, attrs)
        for r in (r for region in regions for r in region.requirements):
            self.require(r.left, r.right, r.reason)
        place = self.location if location is None else location
        if types is None:
            types = self._infer(op, [v.type for v in values], attrs, regions, place)
        types = tuple(types)
        given = tuple(names)
        hints = given or tuple([name or op.name] * len(types))
        results = tuple(Value(self.fresh(h), t) for h, t in zip(hints, types, strict=True))
        node = Node(op, values, attrs, results, regions, place)
        self.nodes.append(node)
        return node

    def _infer(
        self,
        op: OpDef,
        types: Sequence[TensorType],
        attrs: Mapping[str, Any],
        regions: tuple[Graph, ...],
        place: Location,
    ) -> tuple[TensorType, ...]:
        """The types of an op's results; an error names the op and the place."""
        extra = {"regions": regions} if regions else {}
        try:
            with collect_requirements(self.require):
                try:
                    inferred = op.infer(*types, **attrs, **extra)
                except TypeError:
                    _check_call(op, types, {**attrs, **extra})
                    raise
        except GraphcError as e:
            if not getattr(e, "located", False):
                e.args = (f"{op.name}: {e}" + (f"\n  at {place}" if place else ""),)
                e.located = True  # type: ignore[attr-defined]
            raise
        return inferred if isinstance(inferred, tuple) else (inferred,)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        definition = get_op(name)
        return lambda *operands, **attrs: self.op(definition, *operands, **attrs)


def _strong_dtype(operands: Sequence[Operand]) -> DType | None:
    """The element type that numbers take: the first that is not bool (a select's condition is), else bool."""
    values = [x.value if isinstance(x, Expr) else x for x in operands if isinstance(x, (Expr, Value))]
    found = [v.declared.dtype for v in values if v.declared is not None]
    return next((d for d in found if d != BOOL), found[0] if found else None)


def _weak_dtype(x: Operand, strong: DType | None) -> DType | None:
    """Python numbers and sizes take the others' element type; NumPy scalars and arrays keep their own."""
    if isinstance(x, (bool, int, float, Size)) and not isinstance(x, np.generic):
        return strong
    return None


def _complete(op: OpDef, attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes in the op's order, with its defaults; unknown ones come last: `infer` refuses them."""
    order = [k for k in op.attributes if k in attrs or k in op.defaults]
    order += [k for k in attrs if k not in op.attributes]
    return {k: _canonical(k, attrs[k] if k in attrs else op.defaults[k]) for k in order}


def _check_call(op: OpDef, types: Sequence[TensorType], keywords: Mapping[str, Any]) -> None:
    """ArgumentError if the number of operands or the names of attributes are not the op's."""
    try:
        inspect.signature(op.infer).bind(*types, **keywords)
    except TypeError as e:
        listed = f"; its attributes are {', '.join(op.attributes)}" if op.attributes else ""
        raise ArgumentError(f"{e}{listed}") from None


def _canonical(name: str, value: Any) -> Any:
    """An attribute's value in its one form: tuples, Python's numbers, `DType`."""
    if name == "dtype":
        return dtype_of(value)
    if isinstance(value, (list, tuple)):
        return tuple(_canonical("", v) for v in value)
    return value.item() if isinstance(value, np.generic) else value
