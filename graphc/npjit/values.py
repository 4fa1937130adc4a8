"""What flows through recorded code in the place of arrays and numbers.

Num      a scalar that came in by a path, or was computed from such: known now, recomputed by `expr`
Storage  one piece of memory: the node of its current version, and the real array behind it, if any
Sym      a deferred array (a view of a Storage: `chain` leads from its base to the view), or a deferred
         scalar or Python object
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from graphc.npjit.current import recording, runtime
from graphc.npjit.log import Meta, Node, Step, Valued, follow

SIGNS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "matmul": "@",
    "lshift": "<<",
    "rshift": ">>",
    "and_": "&",
    "or_": "|",
    "xor": "^",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "eq": "==",
    "ne": "!=",
}
COMPARISONS = frozenset(["lt", "le", "gt", "ge", "eq", "ne"])
OPERATORS: dict[str, Callable[..., Any]] = {name: getattr(operator, name) for name in SIGNS}
IN_PLACE: dict[str, Callable[..., Any]] = {
    name: getattr(operator, "i" + name.strip("_")) for name in SIGNS if name not in COMPARISONS
}
UNARY: dict[str, Callable[..., Any]] = {
    name: getattr(operator, name) for name in ("neg", "pos", "invert", "abs")
}


class Storage:
    """One piece of memory. `history` has the versions since the last flush: (position in the log, node)."""

    __slots__ = ("history", "members", "mutated", "node", "overlaps", "real", "var")

    def __init__(self, node: Node, real: np.ndarray | None = None) -> None:
        self.node, self.real = node, real
        self.history: list[tuple[int, Node]] = []
        self.members, self.mutated = 1, False  # `members`: arrays from outside in it, where they overlap
        # another storage of this recording may have the same memory: then nothing may wait
        self.overlaps = False
        self.var: str | None = None


class _Operators:
    """The operators of Sym and Num, for code that is not rewritten: each goes to the runtime."""

    __slots__ = ()


def _binary(name: str, swapped: bool) -> Callable[[Any, Any], Any]:
    if swapped:
        return lambda a, b: runtime().op(name, b, a)
    return lambda a, b: runtime().op(name, a, b)


def _unary(name: str) -> Callable[[Any], Any]:
    return lambda a: runtime().uop(name, a)


for _name in OPERATORS:
    _bare = _name.strip("_")
    setattr(_Operators, f"__{_bare}__", _binary(_name, False))
    if _name not in COMPARISONS:
        setattr(_Operators, f"__r{_bare}__", _binary(_name, True))
for _name in UNARY:
    setattr(_Operators, f"__{_name}__", _unary(_name))


class Num(_Operators, Valued):
    """A Python or NumPy scalar whose value is known; `expr` computes it from the inputs of another call."""

    __slots__ = ("expr", "other", "value")
    __array_ufunc__: ClassVar[None] = None

    def __init__(self, value: Any, expr: str, other: Any = None) -> None:
        self.value, self.expr = value, expr
        # the value for other sizes (see sizes.py), where it depends on symbolic sizes
        self.other = other

    def steer(self) -> Any:
        """The value, which Python needs: from now on a guard holds it."""
        if recording() is not None:
            recording().guard_value(self)
        return self.value

    def __bool__(self) -> bool:
        return recording().guard_truth(self) if recording() is not None else bool(self.value)

    def __float__(self) -> float:
        return float(self.steer())

    def __int__(self) -> int:
        return int(self.steer())

    def __index__(self) -> int:
        return operator.index(self.steer())

    def __complex__(self) -> complex:
        return complex(self.steer())

    def __str__(self) -> str:
        return str(self.steer())

    def __repr__(self) -> str:
        return repr(self.steer())

    def __format__(self, spec: str) -> str:
        return format(self.steer(), spec)

    def __hash__(self) -> int:
        return hash(self.steer())

    def __round__(self, *digits: int) -> Any:
        return round(self.steer(), *digits)

    def __trunc__(self) -> int:
        return self.steer().__trunc__()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.steer(), dtype)


class Sym(_Operators):
    """A deferred value. `at` is the version of the storage that `node` was read from, `real` the view."""

    __slots__ = ("__weakref__", "at", "chain", "meta", "node", "readonly", "real", "shadow", "storage")
    # so that np.float64 * Sym and ndarray + Sym come here
    __array_ufunc__: ClassVar[None] = None

    def __init__(
        self, meta: Meta, node: Node | None, storage: Storage | None = None, chain: tuple[Step, ...] = ()
    ) -> None:
        self.meta, self.node, self.storage, self.chain = meta, node, storage, chain
        self.at: Node | None = storage.node if storage is not None else None
        self.real: Any = None
        self.readonly = False
        # the meta for other sizes (see sizes.py), where it differs
        self.shadow: Meta | None = None
        rec = recording()
        if rec is not None:
            rec.made.append(weakref.ref(self))

    def force(self, why: str) -> Any:
        """The value itself, now: a break."""
        return recording().force(self, why) if recording() is not None else settled(self)

    def __bool__(self) -> bool:
        return recording().truth(self) if recording() is not None else bool(settled(self))

    def __float__(self) -> float:
        return float(self.force("float() of data"))

    def __int__(self) -> int:
        return int(self.force("int() of data"))

    def __index__(self) -> int:
        return operator.index(self.force("an index from data"))

    def __complex__(self) -> complex:
        return complex(self.force("complex() of data"))

    def __str__(self) -> str:
        return str(self.force("text of data"))

    def __repr__(self) -> str:
        return repr(self.force("text of data"))

    def __format__(self, spec: str) -> str:
        return format(self.force("text of data"), spec)

    def __hash__(self) -> int:
        return hash(self.force("hash of data"))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.force("passed to C code as an array"), dtype)

    def __len__(self) -> int:
        return int(runtime().length(self))

    def __iter__(self) -> Iterator[Any]:
        return iter(runtime().iter(self))

    def __getitem__(self, key: Any) -> Any:
        return runtime().getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        runtime().setitem(value, self, key)


def settled(x: Any) -> Any:
    """The value of a Sym or Num after its recording has ended (in a generator that outlives the call)."""
    if type(x) is Num:
        return x.value
    if type(x) is not Sym:
        return x
    if x.storage is None:
        return x.node.value if x.node is not None else None
    if x.real is None:
        base = x.storage.real
        x.real = follow(x.storage.node.value if base is None else base, x.chain)
    return x.real
