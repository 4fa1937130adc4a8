"""What an operator is: one definition, from which everything else is derived.

    @op("softplus", ELEMENTWISE)
    class Softplus:
        '''log(1 + exp(x)), computed without overflow.'''

        infer = unary_float                                # types -> type, or a tuple of types
        def evaluate(x): return np.logaddexp(x, 0)          # arrays -> array, or a tuple: the meaning
        def scalar(b, x): return b.maximum(x, 0) + b.log1p(b.exp(-abs(x)))
        def vjp(b, x, out, ct): return (ct * b.sigmoid(x),)
        samples = unary(-9, 9)

Attributes follow as keyword arguments in every function. `scalar` (elementwise ops) and `decompose` (coarse
ops) give the same values from simpler ops; an elementwise op without `scalar` is primitive: the emitters know
it. `vjp` gives one cotangent per operand, None where there is no gradient; for several results `out` and `ct`
are tuples (a ct may be None). The cotangents of an elementwise op may have the result's shape:
`differentiate` sums them to the operand's. An op with `scalar` or `decompose` and without `vjp` is
differentiated through that formula. Ops with regions get them as `regions=`: `infer` as graphs, `evaluate` as
functions of arrays that give a tuple of arrays.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from graphc.ir.errors import ArgumentError


class Kind(Enum):
    """How an op touches elements: the class that fusion and code generation go by."""

    ELEMENTWISE = "elementwise"  # out[i] = f(x[i], ...), operands broadcast as in NumPy
    CREATION = "creation"  # out[i] = f(i): constant, iota, random bits
    VIEW = "view"  # out[i] = x[map(i)], maybe a fill value: broadcast, transpose, slice, pad, ...
    REDUCTION = "reduction"  # out[i] = fold of x[i, j] over j
    CONTRACTION = "contraction"  # sums of products: matmul
    GATHER = "gather"  # out[i] = x[index[i]]
    SCATTER = "scatter"  # out[index[i]] gets x[i]
    CUMULATIVE = "cumulative"  # a running fold along one axis
    COARSE = "coarse"  # carries its decomposition
    CONTROL = "control"  # has regions that run a number of times
    KERNEL = "kernel"  # one fused kernel, its region the unfused subgraph


@dataclass(frozen=True)
class Sample:
    """Operands and attributes with which generated tests run an op.

    `make(rng, dtype)` gives a list of arrays. `dtypes` names the element types that the op takes here;
    `differentiable` says whether the gradient check applies (away from ties and kinks).
    """

    make: Callable[..., list[Any]]
    attrs: dict[str, Any] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ("f32", "f64")
    differentiable: bool = True


@dataclass(frozen=True, eq=False)
class OpDef:
    """An operator. `results` is how many values a node has (None: it depends on the node)."""

    name: str
    kind: Kind
    doc: str
    infer: Callable[..., Any]
    evaluate: Callable[..., Any]
    scalar: Callable[..., Any] | None = None
    decompose: Callable[..., Any] | None = None
    vjp: Callable[..., Any] | None = None
    samples: tuple[Sample, ...] = ()
    regions: int = 0
    can_fail: bool = False
    commutative: bool = False
    attributes: tuple[str, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


OPS: dict[str, OpDef] = {}
"""All operators by name. Filled by importing `graphc.ir.ops`, and by users' own definitions."""

_PARTS = ("infer", "evaluate", "scalar", "decompose", "vjp")


def define(
    name: str,
    kind: Kind,
    doc: str,
    *,
    infer: Callable[..., Any],
    evaluate: Callable[..., Any],
    **rest: Any,
) -> OpDef:
    """Register an operator; `rest` are further fields of `OpDef`. ArgumentError if the name is taken."""
    if name in OPS:
        raise ArgumentError(f"there is an op {name!r} already")
    parameters = inspect.signature(infer).parameters.values()
    keywords = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    OPS[name] = OpDef(
        name,
        kind,
        inspect.cleandoc(doc),
        infer,
        evaluate,
        attributes=tuple(p.name for p in keywords if p.name != "regions"),
        defaults={p.name: p.default for p in keywords if p.default is not inspect.Parameter.empty},
        **rest,
    )
    return OPS[name]


def op(name: str, kind: Kind, **rest: Any) -> Callable[[type], type]:
    """Class decorator that registers an operator; the class is a plain table of functions."""

    def register(table: type) -> type:
        parts = {p: table.__dict__[p] for p in _PARTS if p in table.__dict__}
        parts = {p: getattr(f, "__func__", f) for p, f in parts.items()}
        samples = tuple(table.__dict__.get("samples", ()))
        define(name, kind, table.__doc__ or "", samples=samples, **parts, **rest)
        return table

    return register


def get_op(name: str) -> OpDef:
    """The operator called `name`; ArgumentError with the nearest names if there is none."""
    if name in OPS:
        return OPS[name]
    import difflib

    near = difflib.get_close_matches(name, OPS, n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ArgumentError(f"there is no op {name!r}{hint}")
