"""Algebra that keeps every bit: the new graph gives the same numbers, NaN, infinities and signs of zero
included.

`x + 0.0` is not `x` (it makes 0.0 of -0.0), so it is not in the table; `x - 0.0` and `x + -0.0` are. Which of
the two signs a NaN has may change: no operation but `abs`, `negative` and casts of its bits can tell.
"""

from __future__ import annotations

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Shape
from graphc.ir.graph import Graph
from graphc.ir.types import DType, TensorType
from graphc.passes.log import log, wants
from graphc.passes.manager import register
from graphc.passes.patterns import Rule, apply_rules

Result = Expr | None


def _same(b: Builder, x: Expr) -> Result:
    return x


def _first(b: Builder, x: Expr, y: Expr) -> Result:
    return x


def _second(b: Builder, x: Expr, y: Expr) -> Result:
    return y


def _if_integer(b: Builder, x: Expr) -> Result:
    return x if x.dtype.is_integer else None


def _if_bool(b: Builder, x: Expr) -> Result:
    return x if x.dtype.kind == "b" else None


def _abs_of_negative(b: Builder, x: Expr) -> Result:
    return None if x.dtype.kind == "u" else b.abs(x)


# -- casts ----------------------------------------------------------------------------------------
_SIGNIFICANT = {"f32": 24, "f64": 53}


def holds_exactly(source: DType, target: DType) -> bool:
    """Whether every value of the type `source` is one of `target`."""
    if source == target or source.kind == "b":
        return True
    if target.is_floating:
        return significant_bits(source) <= _SIGNIFICANT[target.name]
    wider = source.bits < target.bits and source.is_integer
    return wider and target.is_integer and (source.kind == "u" or target.kind == "i")


def significant_bits(dtype: DType) -> int:
    """How many binary digits the numbers of a type have, at most."""
    return _SIGNIFICANT.get(dtype.name) or dtype.bits - (dtype.kind == "i")


def _cast_of_cast(b: Builder, x: Expr, middle: DType, dtype: DType) -> Result:
    """A cast to a type that holds every value may be left out, unless a float then becomes an integer of
    another range, where the outcome depends on the type that it comes from.
    """
    if not holds_exactly(x.dtype, middle):
        return None
    if dtype == x.dtype:
        return x
    to_integer = middle.is_floating and dtype.is_integer
    return None if to_integer else b.cast(x, dtype=dtype)


# -- shapes ---------------------------------------------------------------------------------------
def _transpose(b: Builder, x: Expr, axes: tuple[int, ...]) -> Result:
    """Nothing, where axes stay; a reshape, where only axes of size 1 move."""
    if axes == tuple(range(x.rank)):
        return x
    moved = [axis for axis in axes if x.shape[axis] != 1]
    return b.reshape(x, shape=tuple(x.shape[a] for a in axes)) if moved == sorted(moved) else None


def _transpose_of_transpose(b: Builder, x: Expr, first: tuple[int, ...], second: tuple[int, ...]) -> Result:
    return b.transpose(x, axes=tuple(first[axis] for axis in second))


def _swaps_last(axes: tuple[int, ...]) -> bool:
    rank = len(axes)
    return rank >= 2 and axes == (*range(rank - 2), rank - 1, rank - 2)


def _matmul_of_left(b: Builder, x: Expr, y: Expr, axes: tuple[int, ...], left: bool, right: bool) -> Result:
    return b.matmul(x, y, transpose_a=not left, transpose_b=right) if _swaps_last(axes) else None


def _matmul_of_right(b: Builder, x: Expr, y: Expr, axes: tuple[int, ...], left: bool, right: bool) -> Result:
    return b.matmul(x, y, transpose_a=left, transpose_b=not right) if _swaps_last(axes) else None


def _slice(b: Builder, x: Expr, start: Shape, stop: Shape, step: Shape) -> Result:
    everything = all(d == 0 for d in start) and stop == x.shape and all(d == 1 for d in step)
    return x if everything else None


def _pad(b: Builder, x: Expr, low: Shape, high: Shape) -> Result:
    return x if all(d == 0 for d in (*low, *high)) else None


def _reverse(b: Builder, x: Expr, axes: tuple[int, ...]) -> Result:
    return x if all(x.shape[axis] == 1 for axis in axes) else None


def _reverse_of_reverse(b: Builder, x: Expr, first: tuple[int, ...], second: tuple[int, ...]) -> Result:
    return b.reverse(x, axes=tuple(sorted(set(first) ^ set(second))))


def _fold_of_one(b: Builder, x: Expr, axes: tuple[int, ...], out: TensorType) -> Result:
    """A product or extremum over axes of size 1 is what is there."""
    alone = all(x.shape[axis] == 1 for axis in axes)
    return b.reshape(x, shape=out.shape) if alone and x.dtype == out.dtype else None


def _sum_of_one(b: Builder, x: Expr, axes: tuple[int, ...], out: TensorType) -> Result:
    """A sum starts from 0.0, so that of -0.0 alone is 0.0."""
    same = _fold_of_one(b, x, axes, out)
    return b.add(same, 0.0) if same is not None and out.dtype.is_floating else same


def _broadcast_of_reshape(b: Builder, x: Expr, middle: Shape, out: TensorType) -> Result:
    """A broadcast adds axes of size 1 in front by itself."""
    extra = len(middle) - x.rank
    in_front = extra >= 0 and middle == (1,) * extra + x.shape
    return b.broadcast(x, shape=out.shape) if in_front else None


def _reshape_of_broadcast(b: Builder, x: Expr, out: TensorType) -> Result:
    """All elements are one, in whatever shape."""
    return b.broadcast(x, shape=out.shape) if x.rank == 0 else None


def _implicit(name: str) -> tuple[Rule, Rule]:
    """An elementwise op broadcasts by itself, where its other operand has the result's shape."""
    return (
        Rule(f"{name}(broadcast(x), y)", lambda b, x, y: b.op(name, x, y)),
        Rule(f"{name}(x, broadcast(y))", lambda b, x, y: b.op(name, x, y)),
    )


def _reshape(b: Builder, x: Expr, out: TensorType) -> Result:
    return b.reshape(x, shape=out.shape)


def _broadcast(b: Builder, x: Expr, out: TensorType) -> Result:
    return b.broadcast(x, shape=out.shape)


def _idempotent(name: str) -> Rule:
    return Rule(f"{name}({name}(x))", lambda b, x: b.op(name, x))


BINARY: tuple[str, ...] = (
    *("add", "subtract", "multiply", "divide", "maximum", "minimum", "equal", "not_equal"),
    *("less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or"),
)

RULES: tuple[Rule, ...] = (
    Rule("multiply(x, 1)", _same),
    Rule("multiply(x, -1)", lambda b, x: b.negative(x)),
    Rule("divide(x, 1)", _same),
    Rule("divide(x, -1)", lambda b, x: b.negative(x)),
    Rule("floor_divide(x, 1)", _if_integer),
    Rule("add(x, -0.0)", _same),
    Rule("add(x, 0)", _if_integer),
    Rule("subtract(x, 0)", _same),
    Rule("add(x, negative(y))", lambda b, x, y: b.subtract(x, y)),
    Rule("subtract(x, negative(y))", lambda b, x, y: b.add(x, y)),
    Rule("power(x, 1)", _same),
    Rule("power(x, 2)", lambda b, x: b.square(x)),
    Rule("negative(negative(x))", _same),
    Rule("abs(negative(x))", _abs_of_negative),
    Rule("square(negative(x))", lambda b, x: b.square(x)),
    Rule("square(abs(x))", lambda b, x: b.square(x)),
    *(_idempotent(name) for name in ("abs", "sign", "floor", "ceil", "round", "trunc", "relu", "relu6")),
    Rule("maximum(x, x)", _same),
    Rule("minimum(x, x)", _same),
    Rule("logical_and(x, x)", _if_bool),
    Rule("logical_or(x, x)", _if_bool),
    Rule("logical_and(x, True)", _if_bool),
    Rule("logical_or(x, False)", _if_bool),
    Rule("logical_not(logical_not(x))", _if_bool),
    Rule("bitwise_not(bitwise_not(x))", _same),
    Rule("bitwise_or(x, 0)", _same),
    Rule("bitwise_xor(x, 0)", _same),
    Rule("select(condition, x, x)", _same),
    Rule("select(True, x, y)", _first),
    Rule("select(False, x, y)", _second),
    Rule("cast(x)", _same),
    Rule("cast(cast(x, dtype=middle), dtype=dtype)", _cast_of_cast),
    Rule("transpose(x, axes=axes)", _transpose),
    Rule("transpose(transpose(x, axes=first), axes=second)", _transpose_of_transpose),
    Rule("matmul(transpose(x, axes=axes), y, transpose_a=left, transpose_b=right)", _matmul_of_left),
    Rule("matmul(x, transpose(y, axes=axes), transpose_a=left, transpose_b=right)", _matmul_of_right),
    Rule("reshape(x)", _same),
    Rule("reshape(reshape(x))", _reshape),
    Rule("broadcast(x)", _same),
    Rule("broadcast(broadcast(x))", _broadcast),
    Rule("slice(x, start=start, stop=stop, step=step)", _slice),
    Rule("pad(x, low=low, high=high)", _pad),
    Rule("reverse(x, axes=axes)", _reverse),
    Rule("reverse(reverse(x, axes=first), axes=second)", _reverse_of_reverse),
    Rule("concatenate(x)", _same),
    Rule("broadcast(reshape(x, shape=middle))", _broadcast_of_reshape),
    Rule("reshape(broadcast(x))", _reshape_of_broadcast),
    *(rule for name in BINARY for rule in _implicit(name)),
    *(Rule(f"{fold}(x, axes=axes)", _fold_of_one) for fold in ("prod", "max", "min", "any", "all")),
    *(Rule(f"{fold}(x, axes=axes)", _sum_of_one) for fold in ("sum", "mean")),
)
"""A replacement applies only where its type is the result's: `cast(x) -> x` is the cast to the type of x."""


@register("simplify")
def simplify(graph: Graph) -> Graph:
    """The graph after every rule of the table, until none applies."""
    counts: dict[str, int] = {}
    after = apply_rules(graph, RULES, counts)
    if counts and wants("compile"):
        log("compile", "simplify: " + ", ".join(f"{pattern} x{n}" for pattern, n in sorted(counts.items())))
    return after
