"""`Tensor`: the symbolic tensor, which layer calls and a layer's `call` see instead of an array.

A tensor is in one of two states:

- *functional*: made by `Input` or by a layer call, with a `history` (the call that made it). Models are built
from these.
  Their `shape` shows None where a size is not known.
- *traced*: a value of the graph that is being made, while a layer's `call` runs. Their `shape` shows sizes
that can be
  calculated with (`x.shape[0] * 2`), also where they are only known when the compiled function is called.

Both take Python operators, NumPy's functions and the methods of arrays; each is the function of `graphc.ops`
with that name.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from graphc.ir.errors import AttributeMissingError, TraceError
from graphc.ir.locations import caller
from graphc.ir.types import TensorType

if TYPE_CHECKING:
    from graphc.functional import Call
    from graphc.ir.builder import Expr
    from graphc.trace import Trace


def _op(name: str) -> Callable[..., Any]:
    """An operation by name; `graphc.ops` imports this module, so it can't be imported at the top."""
    from graphc import ops

    return getattr(ops, name)


class Operators:
    """Python operators, NumPy protocols and array methods, all through `graphc.ops`; for tensors and
    variables.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # made below, from the tables of names
        __add__: Any
        __radd__: Any
        __sub__: Any
        __rsub__: Any
        __mul__: Any
        __rmul__: Any
        __truediv__: Any
        __rtruediv__: Any
        __floordiv__: Any
        __rfloordiv__: Any
        __mod__: Any
        __rmod__: Any
        __pow__: Any
        __rpow__: Any
        __matmul__: Any
        __rmatmul__: Any
        __and__: Any
        __rand__: Any
        __or__: Any
        __ror__: Any
        __xor__: Any
        __rxor__: Any
        __lshift__: Any
        __rlshift__: Any
        __rshift__: Any
        __rrshift__: Any
        __lt__: Any
        __le__: Any
        __gt__: Any
        __ge__: Any
        __neg__: Any
        __abs__: Any
        __invert__: Any
        __pos__: Any

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from graphc.numpy_table import call_ufunc

        return call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from graphc.numpy_table import call_function

        return call_function(function, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        return _op("getitem")(self, key)

    @property
    def T(self) -> Any:
        return _op("transpose")(self)

    def astype(self, dtype: Any) -> Any:
        """The values as another element type (`ops.cast`)."""
        return _op("cast")(self, dtype)

    def reshape(self, *shape: Any) -> Any:
        """`ops.reshape`; the sizes may be given one by one."""
        return _op("reshape")(self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)

    def transpose(self, *axes: Any) -> Any:
        """`ops.transpose`; the axes may be given one by one."""
        if len(axes) == 1 and not isinstance(axes[0], int):
            axes = axes[0]
        return _op("transpose")(self, axes or None)

    def flatten(self) -> Any:
        """All elements in one dimension."""
        return self.reshape(-1)

    ravel = flatten


def _operator(name: str, swapped: bool = False) -> Any:
    def method(self: Any, other: Any) -> Any:
        return _op(name)(other, self) if swapped else _op(name)(self, other)

    return method


def _unary(name: str) -> Any:
    def method(self: Any) -> Any:
        return _op(name)(self)

    return method


def _method(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _op(name)(self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"`graphc.ops.{name}` of this tensor."
    return method


BINARY = {
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
    "lshift": "left_shift",
    "rshift": "right_shift",
}
COMPARE = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
EQUALITY = {"eq": "equal", "ne": "not_equal"}
UNARY = {"neg": "negative", "abs": "absolute", "invert": "bitwise_not", "pos": "positive"}
METHODS = [
    "sum",
    "mean",
    "max",
    "min",
    "prod",
    "any",
    "all",
    "argmax",
    "argmin",
    "std",
    "var",
    "clip",
    "round",
    "dot",
    "cumsum",
    "squeeze",
    "swapaxes",
    "repeat",
    "take",
]

for _python, _name in BINARY.items():
    setattr(Operators, f"__{_python}__", _operator(_name))
    setattr(Operators, f"__r{_python}__", _operator(_name, swapped=True))
for _python, _name in {**COMPARE, **EQUALITY}.items():
    setattr(Operators, f"__{_python}__", _operator(_name))
for _python, _name in UNARY.items():
    setattr(Operators, f"__{_python}__", _unary(_name))
for _name in METHODS:
    setattr(Operators, _name, _method(_name))


class Tensor(Operators):
    """A symbolic tensor; see the module. Make one with `Input` or a layer call, never directly."""

    __slots__ = ("__weakref__", "_mask", "expr", "history", "name", "trace", "type")
    __hash__ = object.__hash__

    def __init__(
        self,
        type: TensorType,
        *,
        name: str = "",
        history: tuple[Call, int] | None = None,
        trace: Trace | None = None,
        expr: Expr | None = None,
    ) -> None:
        self.type, self.name = type, name
        self.history, self.trace, self.expr = history, trace, expr
        self._mask: Any = None

    @property
    def shape(self) -> tuple[Any, ...]:
        """The sizes; unknown ones are None in a functional tensor and symbolic in a traced one."""
        if self.trace is not None:
            return self.type.shape
        return tuple(d if isinstance(d, int) else None for d in self.type.shape)

    @property
    def dtype(self) -> np.dtype:
        return self.type.dtype.numpy

    @property
    def ndim(self) -> int:
        return self.type.rank

    @property
    def size(self) -> Any:
        """The number of elements, if it is known."""
        return self.type.size

    def get_shape(self) -> tuple[Any, ...]:
        """`shape`, as TensorFlow programs ask for it."""
        return self.shape

    @property
    def layer(self) -> Any:
        """The layer whose call made this tensor; None for a traced one."""
        return self.history[0].layer if self.history else None

    def __repr__(self) -> str:
        shape = ", ".join("None" if d is None else str(d) for d in self.shape)
        shape = f"({shape},)" if len(self.shape) == 1 else f"({shape})"
        origin = f", created by layer '{self.layer.name}'" if self.history else ""
        named = f" '{self.name}'" if self.name else ""
        return f"<Tensor{named} shape={shape}, dtype={self.dtype}{origin}>"

    def __len__(self) -> int:
        first = self.type.shape[0] if self.type.shape else None
        if not isinstance(first, int):
            self._unknown("len(x)", "use x.shape[0], which stays symbolic")
        return first

    def __iter__(self) -> Iterator[Any]:
        if not self.type.shape:
            self._unknown("iteration", "it has no dimensions")
        if not isinstance(self.type.shape[0], int):
            self._unknown(
                "iteration", "its first size is not known; write the loop as an operation on the whole tensor"
            )
        return (self[i] for i in range(self.type.shape[0]))

    def __bool__(self) -> bool:
        self._unknown(
            "`if`, `and`, `or` and `not`", "use graphc.ops.where(condition, a, b), or logical_and/logical_or"
        )

    def __float__(self) -> float:
        self._unknown("float(x)", "keep it a tensor, and convert what the compiled function returns")

    def __int__(self) -> int:
        self._unknown("int(x)", "keep it a tensor, and convert what the compiled function returns")

    __index__ = __int__

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        self._unknown("conversion to an array", "use graphc.ops or np functions, or call the model on arrays")

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TraceError(
            f"{self!r} can't be changed in place.\n"
            "  fix     make a new tensor: graphc.ops.where(condition, a, b), "
            "or graphc.ops.slice_update(x, start, new)."
        )

    def numpy(self) -> np.ndarray:
        """Always raises: a symbolic tensor has no values yet."""
        self._unknown("x.numpy()", "call the model on arrays to get values")

    def item(self) -> Any:
        """Always raises: a symbolic tensor has no values yet."""
        self._unknown("x.item()", "call the model on arrays to get values")

    tolist = item

    def _unknown(self, what: str, remedy: str) -> NoReturn:
        raise TraceError(
            f"{what} needs values, but {self!r} has none while the graph is being made.\n"
            f"  fix     {remedy}.\n  at {caller()}"
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name, name=name, obj=self)
        near = difflib.get_close_matches(name, dir(type(self)), n=1)
        hint = f"did you mean '{near[0]}'" if near else "is there a function for it in graphc.ops"
        raise AttributeMissingError(
            f"{self!r} has no attribute '{name}'; {hint}?\n  at {caller()}", name=name, obj=self
        )
