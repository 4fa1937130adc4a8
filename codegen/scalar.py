"""Scalar code under construction: instructions that are folded, shared and placed as far out as their
operands allow.

`Scalars` has the method names of the IR's Builder, so that the `scalar` formula of an op writes primitive
instructions:

    >>> from graphc.codegen.loop_text import print_instruction
    >>> scalars = Scalars()
    >>> x = scalars.load("x", F32, Offset())
    >>> y = scalars.square(x * (2 + 1.0)) + x * 3
    >>> print("\\n".join(print_instruction(i) for i in scalars.code[START]))
    %x : f32 = load %x[0]
    %c : f32 = 3.0
    %multiply : f32 = multiply %x, %c
    %multiply.1 : f32 = multiply %multiply, %multiply
    %add : f32 = add %multiply.1, %multiply
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.codegen.interpret import compute as fold_constants
from graphc.codegen.loops import Compute, Constant, Index, Instruction, Load, Offset
from graphc.ir import DType, TensorType, dtype_of, get_op
from graphc.ir.builder import OPERATORS
from graphc.ir.dims import Size
from graphc.ir.types import BOOL, F32, I64

START, OUTER, BODY = 0, 1, 2
"""Where an instruction may stand: before all loops, once per turn of the outer axes, or in the stage's
loops.
"""

FORMULAS = frozenset(
    {"exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp", "erf", "erfc", "power", "cbrt"}
    | {"sin", "cos", "tan", "asin", "acos", "atan", "atan2"}
    | {"sinh", "cosh", "tanh", "asinh", "acosh", "atanh"}
    | {"sigmoid", "softplus", "log_sigmoid", "silu", "gelu", "mish", "elu", "selu", "celu"}
)
"""Ops that take many instructions: better computed once and kept."""

COMPARISONS = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}


@dataclass(frozen=True)
class Scalar:
    """A scalar of the loop-nest form, with Python operators; Python numbers are weak."""

    scalars: Scalars
    name: str
    dtype: DType

    @property
    def type(self) -> TensorType:
        return TensorType(self.dtype, ())

    @property
    def shape(self) -> tuple[()]:
        return ()

    def __neg__(self) -> Scalar:
        return self.scalars.op("negative", self)

    def __abs__(self) -> Scalar:
        return self.scalars.op("abs", self)


def _binary(name: str, swapped: bool = False) -> Callable[[Scalar, Any], Scalar]:
    def method(self: Scalar, other: Any) -> Scalar:
        return self.scalars.op(name, other, self) if swapped else self.scalars.op(name, self, other)

    return method


for _python, _name in (OPERATORS | COMPARISONS).items():
    setattr(Scalar, f"__{_python}__", _binary(_name))
    if _python in OPERATORS:
        setattr(Scalar, f"__r{_python}__", _binary(_name, swapped=True))


class Scalars:
    """Writes instructions into three lists, by depth; equal instructions are written once."""

    def __init__(self) -> None:
        self.code: tuple[list[Instruction], ...] = ([], [], [])
        self.depth: dict[str, int] = {}
        self._made: dict[Any, str] = {}
        self._numbers: dict[str, Any] = {}
        self._dtypes: dict[str, DType] = {}
        self._count: dict[str, int] = {}
        self._taken: set[str] = set()

    # -- names ---------------------------------------------------------------------------------------------
    def fresh(self, hint: str) -> str:
        """A name that no other scalar, axis or temporary of this kernel has."""
        name = hint
        while name in self._taken:
            self._count[hint] = self._count.get(hint, 0) + 1
            name = f"{hint}.{self._count[hint]}"
        self._taken.add(name)
        return name

    def axis(self, hint: str, depth: int) -> str:
        """A fresh name for an axis whose count is known at that depth."""
        name = self.fresh(hint)
        self.depth[name] = depth
        return name

    def named(self, name: str, dtype: DType, depth: int) -> Scalar:
        """A scalar that something else defines."""
        self.depth[name], self._dtypes[name] = depth, dtype
        return Scalar(self, name, dtype)

    def scalar(self, name: str) -> Scalar:
        """The scalar of that name."""
        return Scalar(self, name, self._dtypes[name])

    def start(self) -> None:
        """Begin another nest."""
        self._made.clear()
        self._numbers.clear()
        self.code = ([], [], [])

    def forget(self) -> None:
        """Begin another body: what was written into the last one is not visible in the next."""
        self._made = {key: name for key, name in self._made.items() if self.depth[name] < BODY}
        self.code[BODY].clear()

    def number(self, x: Scalar) -> Any:
        """The value of a scalar that is a constant number, else None."""
        return self._numbers.get(x.name)

    # -- instructions --------------------------------------------------------------------------------------
    def write(
        self, key: Any, hint: str, dtype: DType, depth: int, make: Callable[[str], Instruction]
    ) -> Scalar:
        """The scalar that an equal instruction gave already, or that of a new one."""
        if key not in self._made:
            name = self._made[key] = self.fresh(hint)
            self.named(name, dtype, depth)
            self.code[depth].append(make(name))
        return self.scalar(self._made[key])

    def constant(self, value: Any, dtype: DType | str | None = None) -> Scalar:
        """A number or a size as a scalar."""
        if dtype is None:
            dtype = I64 if isinstance(value, Size) else {bool: BOOL, int: I64, float: F32}[type(value)]
        kind = dtype_of(dtype)
        if isinstance(value, Size):
            return self.write(
                ("size", value, kind), "size", kind, START, lambda name: Constant(name, kind, value)
            )
        item = np.asarray(value).astype(kind.numpy)[()]
        made = self.write(
            ("constant", kind, item.tobytes()),
            "c",
            kind,
            START,
            lambda name: Constant(name, kind, item.item()),
        )
        self._numbers[made.name] = item
        return made

    def load(
        self,
        buffer: str,
        dtype: DType,
        offset: Offset,
        when: Scalar | None = None,
        fill: Scalar | None = None,
        least: int = START,
    ) -> Scalar:
        """An element of a buffer; one that the loops overwrite is read at `least` within them."""
        used = [v for v, _ in offset.terms] + [x.name for x in (when, fill) if x is not None]
        depth = max([least, *(self.depth[v] for v in used)])
        guard = (when.name if when else None, fill.name if fill else None)
        return self.write(
            ("load", buffer, offset, guard),
            buffer,
            dtype,
            depth,
            lambda name: Load(name, dtype, buffer, offset, *guard),
        )

    def index(self, offset: Offset) -> Scalar:
        """An index as an i64 scalar."""
        total: Scalar | None = None
        for variable, stride in offset.terms:
            term = self._variable(variable)
            term = term if stride == 1 else self.primitive("multiply", I64, term, self.constant(stride, I64))
            total = term if total is None else self.primitive("add", I64, total, term)
        if total is None:
            return self.constant(offset.constant, I64)
        if offset.constant == 0:
            return total
        return self.primitive("add", I64, total, self.constant(offset.constant, I64))

    def _variable(self, name: str) -> Scalar:
        if name in self._dtypes:
            return self.scalar(name)
        return self.write(("index", name), f"{name}_index", I64, self.depth[name], lambda n: Index(n, name))

    def primitive(self, op: str, dtype: DType, *args: Scalar) -> Scalar:
        """One primitive instruction, computed now if its operands are numbers."""
        numbers = [self.number(a) for a in args]
        if all(n is not None for n in numbers):
            with np.errstate(all="ignore"):
                return self.constant(fold_constants(op, dtype, numbers), dtype)
        names = tuple(a.name for a in args)
        depth = max(self.depth[n] for n in names)
        return self.write((op, dtype, names), op, dtype, depth, lambda name: Compute(name, dtype, op, names))

    # -- the Builder's methods -----------------------------------------------------------------------------
    def op(self, name: str, *operands: Any, **attrs: Any) -> Scalar:
        """An elementwise op of scalars: by its `scalar` formula, or as a primitive."""
        definition = get_op(name)
        strong = _strong([x.dtype for x in operands if isinstance(x, Scalar)])
        args = [x if isinstance(x, Scalar) else self.constant(x, _weak(x, strong)) for x in operands]
        attrs = definition.defaults | attrs
        if definition.scalar is not None:
            result = definition.scalar(self, *args, **attrs)
            return result if isinstance(result, Scalar) else self.constant(result, strong)
        return self.primitive(name, self.result(name, args, attrs), *args)

    def result(self, name: str, args: list[Scalar], attrs: Mapping[str, Any]) -> DType:
        """The element type of an op's result."""
        return get_op(name).infer(*(a.type for a in args), **attrs).dtype

    def __getattr__(self, name: str) -> Callable[..., Scalar]:
        if name.startswith("_"):
            raise AttributeError(name)
        get_op(name)
        return lambda *operands, **attrs: self.op(name, *operands, **attrs)


def _strong(dtypes: list[DType]) -> DType | None:
    """The element type that numbers take: the first operand's that is not bool (the condition of a
    select).
    """
    return next((d for d in dtypes if d != BOOL), dtypes[0] if dtypes else None)


def _weak(x: Any, strong: DType | None) -> DType | None:
    if isinstance(x, (bool, int, float, Size)) and not isinstance(x, np.generic):
        return strong
    return dtype_of(np.asarray(x).dtype)
