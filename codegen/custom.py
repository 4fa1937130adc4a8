"""Operations that users write in Python, where their body can't be traced into the IR.

- a scalar function with loops, branches or `math.*`: Numba compiles it, and it is linked and inlined into
the loops
  of kernels like any other elementwise op;
- a function of whole arrays in NumPy: an opaque node, which runs between kernels.

Both are computed anew by each process: code that calls them is not kept in the object cache.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.ir.errors import DTypeError, ShapeError
from graphc.ir.graph import Graph
from graphc.ir.opdef import OPS, Kind, OpDef, define
from graphc.ir.relations import broadcast_types
from graphc.ir.types import TensorType, dtype_of

if TYPE_CHECKING:
    from graphc.codegen.element import Element
    from graphc.codegen.kernel_list import KernelStep
    from graphc.codegen.numba_bridge import Scalar
    from graphc.codegen.target import Target
    from graphc.codegen.text import Function

PREFIX = "custom."


@dataclass(frozen=True)
class ScalarFunction:
    """A scalar function of floats: computed in f64, whatever the element type around it."""

    name: str
    function: Callable[..., Any]
    arity: int

    @property
    def identifier(self) -> str:
        """Its name in generated Python source and in LLVM text."""
        return self.name.replace(".", "_")

    def linked(self) -> Scalar:
        """Compiled by Numba, to be called as `double @identifier(double, ...)`."""
        from graphc.codegen.numba_bridge import link_scalar

        return link_scalar(self.in_f64(), self.identifier, ["f64"] * self.arity, "f64")

    def in_f64(self) -> Callable[..., Any]:
        """The function as a Python function whose result is always a float64; Numba compiles it."""
        import numba

        names = ", ".join(f"x{i}" for i in range(self.arity))
        body = numba.njit(error_model="numpy")(self.function)
        scope: dict[str, Any] = {"body": body, "np": np}
        exec(f"def {self.identifier}({names}):\n    return np.float64(body({names}))", scope)
        function: Callable[..., Any] = scope[self.identifier]
        return function


SCALARS: dict[str, ScalarFunction] = {}
"""The scalar functions by the names of their ops."""


def scalar_op(function: Callable[..., Any], vjp: Callable[..., Any] | None = None) -> OpDef:
    """An elementwise op from a Python function of numbers, which Numba must be able to compile.

    `vjp(b, *operands, out, ct)` is as in `OpDef`; without it a gradient through the op is a DTypeError.
    """
    name = _fresh(function.__name__)
    arity = len(inspect.signature(function).parameters)

    def evaluate(*arrays: np.ndarray) -> np.ndarray:
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        flat = [np.broadcast_to(a, shape).ravel().tolist() for a in arrays]
        compiled = _compiled(name)
        values = [compiled(*numbers) for numbers in zip(*flat)]
        return np.array(values, np.float64).astype(arrays[0].dtype).reshape(shape)

    def no_gradient(b: Any, *operands: Any, out: Any, ct: Any) -> Any:
        raise DTypeError(
            f"the operation {function.__name__!r} has no gradient: its body can't be traced.\n"
            "  fix     give one, with @graphc.op(vjp=...), or write it without branches, loops and math.*."
        )

    op = define(
        name,
        Kind.ELEMENTWISE,
        inspect.getdoc(function) or function.__name__,
        infer=_infer_scalar(arity),
        evaluate=evaluate,
        vjp=_positional(vjp or no_gradient, arity),
    )
    SCALARS[name] = ScalarFunction(name, function, arity)
    _teach_emitters(SCALARS[name])
    return op


def _infer_scalar(arity: int) -> Callable[..., TensorType]:
    def infer(*types: TensorType) -> TensorType:
        if len(types) != arity or not all(t.dtype.is_floating for t in types):
            listed = ", ".join(map(str, types))
            raise DTypeError(f"it takes {arity} floating-point values, but got {listed}.")
        return broadcast_types(*types)

    return infer


def _positional(vjp: Callable[..., Any], arity: int) -> Callable[..., Any]:
    """`OpDef.vjp` is called as (b, *operands, out, ct)."""
    return lambda b, *rest: vjp(b, *rest[:arity], out=rest[arity], ct=rest[arity + 1])


def _compiled(name: str) -> Callable[..., float]:
    import numba

    if name not in _COMPILED:
        _COMPILED[name] = numba.njit(error_model="numpy")(SCALARS[name].in_f64())
    return _COMPILED[name]


_COMPILED: dict[str, Callable[..., float]] = {}


def _teach_emitters(scalar: ScalarFunction) -> None:
    from graphc.codegen import numba_expressions, primitives

    def emit(f: Function, t: Element, *args: str) -> str:
        result = "poison"
        for lane in range(t.lanes):
            wide = [_lane_in_f64(f, t, x, lane) for x in args]
            value = f(f"call double @{scalar.identifier}({', '.join(f'double {x}' for x in wide)})")
            if t.name != "double":
                value = f(f"fptrunc double {value} to {t.name}")
            if t.lanes == 1:
                return value
            result = f(f"insertelement {t.vec} {result}, {t.name} {value}, i64 {lane}")
        return result

    primitives.TABLE[scalar.name, "f"] = emit
    numba_expressions.CUSTOM[scalar.name] = scalar.identifier


def _lane_in_f64(f: Function, t: Element, x: str, lane: int) -> str:
    one = x if t.lanes == 1 else f(f"extractelement {t.vec} {x}, i64 {lane}")
    return one if t.name == "double" else f(f"fpext {t.name} {one} to double")


def array_op(
    function: Callable[..., Any], infer: Callable[..., Any], vjp: Callable[..., Any] | None = None
) -> OpDef:
    """An opaque op from a NumPy function of arrays.

    `infer(*types)` gives the result's type: a TensorType, or (shape, dtype). `vjp(*arrays, out, ct)` gives,
    in NumPy, one array per operand (or None).
    """
    name = _fresh(function.__name__)

    def result_type(*types: TensorType) -> TensorType:
        return _as_type(infer(*types))

    def evaluate(*arrays: np.ndarray) -> np.ndarray:
        return np.asarray(function(*arrays))

    gradient = None if vjp is None else _array_vjp(name, vjp)
    return define(
        name,
        Kind.COARSE,
        inspect.getdoc(function) or function.__name__,
        infer=result_type,
        evaluate=evaluate,
        vjp=gradient,
    )


def _as_type(given: Any) -> TensorType:
    if isinstance(given, TensorType):
        return given
    try:
        shape, dtype = given
        return TensorType(dtype_of(dtype), tuple(shape))
    except (TypeError, ValueError):
        raise ShapeError(f"its infer must give (shape, dtype) or a TensorType, but gave {given!r}.") from None


def _array_vjp(name: str, vjp: Callable[..., Any]) -> Callable[..., Any]:
    """The gradient as one more opaque op, with a result for each floating-point operand."""

    def floating(types: tuple[TensorType, ...]) -> list[TensorType]:
        return [t for t in types if t.dtype.is_floating]

    def infer(*types: TensorType) -> tuple[TensorType, ...]:
        return tuple(floating(types[:-2]))

    def evaluate(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        given = vjp(*arrays[:-2], out=arrays[-2], ct=arrays[-1])
        given = given if isinstance(given, tuple) else (given,)
        pairs = [(g, a) for g, a in zip(given, arrays[:-2]) if a.dtype.kind == "f"]
        return tuple(np.zeros_like(a) if g is None else np.asarray(g, a.dtype) for g, a in pairs)

    backward = define(_fresh(f"{name[len(PREFIX) :]}_vjp"), Kind.COARSE, "", infer=infer, evaluate=evaluate)

    def gradient(b: Any, *rest: Any) -> tuple[Any, ...]:
        results = b.op(backward, *rest)
        found = iter(results if isinstance(results, tuple) else (results,))
        return tuple(next(found) if x.dtype.is_floating else None for x in rest[:-2])

    return gradient


def _fresh(name: str) -> str:
    base = PREFIX + re.sub(r"\W", "", name)
    unique, count = base, 2
    while unique in OPS:
        unique, count = f"{base}.{count}", count + 1
    return unique


# -- for the backends ----------------------------------------------------------------------------------------


def is_opaque(op: OpDef) -> bool:
    """Whether an op runs between kernels, in NumPy."""
    return op.name.startswith(PREFIX) and op.kind is Kind.COARSE


def uses_custom(graph: Graph) -> bool:
    """Whether a graph calls Python code of the user's, which no cache key describes."""
    return any(
        n.op.name.startswith(PREFIX) or any(uses_custom(region) for region in n.regions) for n in graph.nodes
    )


def scalars_of(kernels: Iterable[KernelStep]) -> list[ScalarFunction]:
    """The scalar functions that kernels call."""
    names = {n.op.name for k in kernels for region in k.node.regions for n in region.nodes}
    return [SCALARS[name] for name in sorted(names) if name in SCALARS]


def compile_text(text: str, scalars: list[ScalarFunction], target: Target) -> bytes:
    """The object file of a module that calls these scalar functions."""
    from graphc.codegen.loader import compile_object
    from graphc.codegen.numba_bridge import linked_object

    if not scalars:
        return compile_object(text, target)
    declared = {
        f"declare double @{s.identifier}(" for s in scalars
    }  # which would clash with their definitions
    lines = [line for line in text.splitlines() if not line.startswith(tuple(declared))]
    return linked_object("\n".join(lines), [s.linked() for s in scalars], target)
