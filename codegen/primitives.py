"""The primitive ops as LLVM text: a table from (op, kind of element) to a function of operands.

Every function takes `(f, t, *operands)` with operands of the element type t, one lane or many, and gives the
name of the result. Integers follow NumPy: they wrap around, and division by zero gives 0. No operation has an
undefined result.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from graphc.codegen import vmath
from graphc.codegen.element import Element, splat
from graphc.codegen.text import Function
from graphc.codegen.vector import Vector
from graphc.ir.errors import CompileError

Emit = Callable[..., str]


def emit(f: Function, op: str, t: Element, args: list[str]) -> str:
    """Write a primitive op of operands of one element type (the type of the last operand of a select)."""
    kind = "i" if t.kind == "u" else t.kind
    found = TABLE.get((op, t.kind)) or TABLE.get((op, kind))
    if found is None:
        raise CompileError(f"no code for '{op}' of {t.dtype}")
    return found(f, t, *args)


def _instruction(name: str) -> Emit:
    return lambda f, t, x, y: f(f"{name} {t.vec} {x}, {y}")


def _compare(predicate: str) -> Emit:
    return lambda f, t, x, y: f(f"{predicate} {t.vec} {x}, {y}")


def _intrinsic(name: str, *more: str) -> Emit:
    def emit_call(f: Function, t: Element, *args: str) -> str:
        operands = ", ".join([f"{t.vec} {x}" for x in args] + list(more))
        return f(f"call {t.vec} @llvm.{name}.{t.suffix}({operands})")

    return emit_call


def _formula(function: Callable[..., Vector]) -> Emit:
    return lambda f, t, *args: function(*(Vector(f, t, x) for x in args)).name


def _libm(name: str) -> Emit:
    return lambda f, t, *args: vmath.libm(name, t, [Vector(f, t, x) for x in args]).name


def select(f: Function, t: Element, condition: str, x: str, y: str) -> str:
    """x where the condition holds, else y."""
    return f(f"select {t.mask} {condition}, {t.vec} {x}, {t.vec} {y}")


# -- floats --------------------------------------------------------------------------------------------------


def _maximum(predicate: str) -> Emit:
    def emit_select(f: Function, t: Element, x: str, y: str) -> str:
        wins = f(f"fcmp {predicate} {t.vec} {x}, {y}")
        nan = f(f"fcmp uno {t.vec} {x}, {x}")
        return select(f, t, f(f"or {t.mask} {wins}, {nan}"), x, y)

    return emit_select


def _round_even(f: Function, t: Element, x: str) -> str:
    return _intrinsic("roundeven")(f, t, x)


def _float_floor_divide(f: Function, t: Element, x: str, y: str) -> str:
    """NumPy's npy_divmod: the quotient of the exact remainder, so that floor_divide * y + remainder is x."""
    rest = f(f"frem {t.vec} {x}, {y}")
    quotient = f(f"fdiv {t.vec} {f(f'fsub {t.vec} {x}, {rest}')}, {y}")
    lower = f(f"fsub {t.vec} {quotient}, {splat(t, 1.0)}")
    quotient = select(f, t, _wrong_sign(f, t, rest, y), lower, quotient)
    down = _intrinsic("floor")(f, t, quotient)
    near = f(f"fcmp ogt {t.vec} {f(f'fsub {t.vec} {quotient}, {down}')}, {splat(t, 0.5)}")
    snapped = select(f, t, near, f(f"fadd {t.vec} {down}, {splat(t, 1.0)}"), down)
    plain = f(f"fdiv {t.vec} {x}, {y}")
    zero = _intrinsic("copysign")(f, t, splat(t, 0.0), plain)
    snapped = select(f, t, f(f"fcmp oeq {t.vec} {quotient}, {splat(t, 0.0)}"), zero, snapped)
    return select(f, t, f(f"fcmp oeq {t.vec} {y}, {splat(t, 0.0)}"), plain, snapped)


def _wrong_sign(f: Function, t: Element, rest: str, y: str) -> str:
    """Whether a remainder is not zero and has another sign than the divisor."""
    zero = splat(t, 0.0)
    one = f(f"fcmp olt {t.vec} {rest}, {zero}")
    other = f(f"fcmp olt {t.vec} {y}, {zero}")
    differ = f(f"xor {t.mask} {one}, {other}")
    return f(f"and {t.mask} {differ}, {f(f'fcmp une {t.vec} {rest}, {zero}')}")


def _float_remainder(f: Function, t: Element, x: str, y: str) -> str:
    rest = f(f"frem {t.vec} {x}, {y}")
    moved = select(f, t, _wrong_sign(f, t, rest, y), f(f"fadd {t.vec} {rest}, {y}"), rest)
    zero = _intrinsic("copysign")(f, t, splat(t, 0.0), y)
    is_zero = f(f"fcmp oeq {t.vec} {rest}, {splat(t, 0.0)}")
    moved = select(f, t, is_zero, zero, moved)
    by_zero = f(f"fcmp oeq {t.vec} {y}, {splat(t, 0.0)}")
    return select(f, t, by_zero, splat(t, math.nan), moved)


# -- integers ------------------------------------------------------------------------------------------------


def _lowest(t: Element) -> str:
    return splat(t, -(1 << (t.bits - 1)))


def _safe_divisor(f: Function, t: Element, x: str, y: str) -> tuple[str, str]:
    """A divisor that can neither trap nor overflow, and where the true one is zero."""
    zero = f(f"icmp eq {t.vec} {y}, {splat(t, 0)}")
    bad = zero
    if t.kind == "i":
        lowest = f(f"icmp eq {t.vec} {x}, {_lowest(t)}")
        minus = f(f"icmp eq {t.vec} {y}, {splat(t, -1)}")
        bad = f(f"or {t.mask} {zero}, {f(f'and {t.mask} {lowest}, {minus}')}")
    return select(f, t, bad, splat(t, 1), y), zero


def _integer_floor_divide(f: Function, t: Element, x: str, y: str) -> str:
    divisor, zero = _safe_divisor(f, t, x, y)
    if t.kind == "u":
        return select(f, t, zero, splat(t, 0), f(f"udiv {t.vec} {x}, {divisor}"))
    quotient = f(f"sdiv {t.vec} {x}, {divisor}")
    rest = f(f"sub {t.vec} {x}, {f(f'mul {t.vec} {quotient}, {divisor}')}")
    lower = f(f"sub {t.vec} {quotient}, {splat(t, 1)}")
    return select(
        f, t, zero, splat(t, 0), select(f, t, _integer_wrong_sign(f, t, rest, divisor), lower, quotient)
    )


def _integer_wrong_sign(f: Function, t: Element, rest: str, divisor: str) -> str:
    differ = f(f"icmp slt {t.vec} {f(f'xor {t.vec} {rest}, {divisor}')}, {splat(t, 0)}")
    return f(f"and {t.mask} {differ}, {f(f'icmp ne {t.vec} {rest}, {splat(t, 0)}')}")


def _integer_remainder(f: Function, t: Element, x: str, y: str) -> str:
    divisor, zero = _safe_divisor(f, t, x, y)
    if t.kind == "u":
        return select(f, t, zero, splat(t, 0), f(f"urem {t.vec} {x}, {divisor}"))
    rest = f(f"srem {t.vec} {x}, {divisor}")
    moved = f(f"add {t.vec} {rest}, {divisor}")
    return select(
        f, t, zero, splat(t, 0), select(f, t, _integer_wrong_sign(f, t, rest, divisor), moved, rest)
    )


def _integer_power(f: Function, t: Element, x: str, y: str) -> str:
    """By squaring; to a negative power the truncated quotient 1 / x^-y."""
    left = y
    if t.kind == "i":
        left = _intrinsic("smax")(f, t, y, splat(t, 0))
    carry = [(t.vec, splat(t, 1)), (t.vec, x), (t.vec, left)]
    with f.loop(0, t.bits, 1, carry) as loop:
        result, base, rest = loop.values
        odd = f(f"trunc {t.vec} {rest} to {t.mask}")
        loop.next = [
            select(f, t, odd, f(f"mul {t.vec} {result}, {base}"), result),
            f(f"mul {t.vec} {base}, {base}"),
            f(f"lshr {t.vec} {rest}, {splat(t, 1)}"),
        ]
    power = loop.results[0]
    if t.kind == "u":
        return power
    odd = f(f"trunc {t.vec} {y} to {t.mask}")
    minus = select(f, t, odd, splat(t, -1), splat(t, 1))
    inverse = select(f, t, f(f"icmp eq {t.vec} {x}, {splat(t, -1)}"), minus, splat(t, 0))
    inverse = select(f, t, f(f"icmp eq {t.vec} {x}, {splat(t, 1)}"), splat(t, 1), inverse)
    return select(f, t, f(f"icmp slt {t.vec} {y}, {splat(t, 0)}"), inverse, power)


def shift(f: Function, t: Element, x: str, y: str, left: bool) -> str:
    """x shifted by y, which lies in 0 .. bits - 1."""
    word = "shl" if left else "ashr" if t.kind == "i" else "lshr"
    return f(f"{word} {t.vec} {x}, {y}")


def _shift(left: bool) -> Emit:
    """Shifts by too much, or by a negative number, give what shifting out all bits gives."""

    def emit_shift(f: Function, t: Element, x: str, y: str) -> str:
        outside = f(f"icmp uge {t.vec} {y}, {splat(t, t.bits)}")
        amount = select(f, t, outside, splat(t, t.bits - 1), y)
        moved = shift(f, t, x, amount, left)
        return moved if not left and t.kind == "i" else select(f, t, outside, splat(t, 0), moved)

    return emit_shift


# -- changing the type ---------------------------------------------------------------------------------------


def cast(f: Function, source: Element, target: Element, x: str) -> str:
    """x in another element type; floats out of an integer's range give what x86 gives: the lowest integer of
    32 or 64 bits, cut to the size.
    """
    if source.dtype == target.dtype:
        return x
    if target.kind == "b":
        compare = "fcmp une" if source.kind == "f" else "icmp ne"
        return f(f"{compare} {source.vec} {x}, {splat(source, 0)}")
    if source.kind == "b":
        word = "uitofp" if target.kind == "f" else "zext"
        return f(f"{word} {source.vec} {x} to {target.vec}")
    if source.kind == "f" and target.kind == "f":
        return f(f"{'fpext' if target.bits > source.bits else 'fptrunc'} {source.vec} {x} to {target.vec}")
    if target.kind == "f":
        return f(f"{'uitofp' if source.kind == 'u' else 'sitofp'} {source.vec} {x} to {target.vec}")
    if source.kind == "f":
        return _float_to_integer(f, source, target, x)
    if target.bits == source.bits:
        return x
    word = "trunc" if target.bits < source.bits else "zext" if source.kind == "u" else "sext"
    return f(f"{word} {source.vec} {x} to {target.vec}")


def _float_to_integer(f: Function, source: Element, target: Element, x: str) -> str:
    if target.dtype == "u64":
        return _float_to_u64(f, source, x)
    wide = Element("i32" if target.bits < 32 or target.dtype == "i32" else "i64", target.lanes)
    whole = _checked_conversion(f, source, wide, x)
    return whole if wide.bits == target.bits else f(f"trunc {wide.vec} {whole} to {target.vec}")


def _checked_conversion(f: Function, source: Element, wide: Element, x: str) -> str:
    """fptosi, and the lowest integer where x does not fit or is NaN."""
    limit = 2.0 ** (wide.bits - 1)
    low = f(f"fcmp oge {source.vec} {x}, {splat(source, -limit)}")
    high = f(f"fcmp olt {source.vec} {x}, {splat(source, limit)}")
    fits = f(f"and {source.mask} {low}, {high}")
    safe = select(f, source, fits, x, splat(source, 0.0))
    return select(f, wide, fits, f(f"fptosi {source.vec} {safe} to {wide.vec}"), _lowest(wide))


def _float_to_u64(f: Function, source: Element, x: str) -> str:
    """Below 2^63 as a signed number, above by taking 2^63 off first."""
    wide, half = Element("i64", source.lanes), 2.0**63
    small = f(f"fcmp olt {source.vec} {x}, {splat(source, half)}")
    low = _checked_conversion(f, source, wide, x)
    rest = _checked_conversion(f, source, wide, f(f"fsub {source.vec} {x}, {splat(source, half)}"))
    high = f(f"xor {wide.vec} {rest}, {_lowest(wide)}")
    return select(f, wide, small, low, high)


def _not(f: Function, t: Element, x: str) -> str:
    return f(f"xor {t.vec} {x}, {splat(t, 1 if t.kind == 'b' else -1)}")


def _integer_abs(f: Function, t: Element, x: str) -> str:
    return x if t.kind == "u" else _intrinsic("abs", "i1 false")(f, t, x)


_FLOAT: dict[str, Emit] = {
    "add": _instruction("fadd"),
    "subtract": _instruction("fsub"),
    "multiply": _instruction("fmul"),
    "divide": _instruction("fdiv"),
    "floor_divide": _float_floor_divide,
    "remainder": _float_remainder,
    "power": _libm("pow"),
    "negative": lambda f, t, x: f(f"fneg {t.vec} {x}"),
    "abs": _intrinsic("fabs"),
    "maximum": _maximum("ogt"),
    "minimum": _maximum("olt"),
    "fma": _intrinsic("fma"),
    "equal": _compare("fcmp oeq"),
    "not_equal": _compare("fcmp une"),
    "less": _compare("fcmp olt"),
    "less_equal": _compare("fcmp ole"),
    "greater": _compare("fcmp ogt"),
    "greater_equal": _compare("fcmp oge"),
    "floor": _intrinsic("floor"),
    "ceil": _intrinsic("ceil"),
    "round": _round_even,
    "trunc": _intrinsic("trunc"),
    "sqrt": _intrinsic("sqrt"),
    **{
        n: _formula(getattr(vmath, n))
        for n in ("exp", "expm1", "log", "log1p", "sigmoid", "tanh", "erf", "sin", "cos")
    },
    **{
        n: _libm(n) for n in ("exp2", "log2", "log10", "cbrt", "erfc", "tan", "asin", "acos", "atan", "atan2")
    },
    **{n: _libm(n) for n in ("sinh", "cosh", "asinh", "acosh", "atanh")},
}

_INTEGER: dict[str, Emit] = {
    "add": _instruction("add"),
    "subtract": _instruction("sub"),
    "multiply": _instruction("mul"),
    "floor_divide": _integer_floor_divide,
    "remainder": _integer_remainder,
    "index_divide": _instruction("udiv"),
    "index_remainder": _instruction("urem"),
    "power": _integer_power,
    "negative": lambda f, t, x: f(f"sub {t.vec} {splat(t, 0)}, {x}"),
    "abs": _integer_abs,
    "maximum": _intrinsic("smax"),
    "minimum": _intrinsic("smin"),
    "equal": _compare("icmp eq"),
    "not_equal": _compare("icmp ne"),
    "less": _compare("icmp slt"),
    "less_equal": _compare("icmp sle"),
    "greater": _compare("icmp sgt"),
    "greater_equal": _compare("icmp sge"),
    "bitwise_and": _instruction("and"),
    "bitwise_or": _instruction("or"),
    "bitwise_xor": _instruction("xor"),
    "bitwise_not": _not,
    "shift_left": _shift(left=True),
    "shift_right": _shift(left=False),
    **{n: (lambda f, t, x: x) for n in ("floor", "ceil", "round", "trunc")},
}

_UNSIGNED: dict[str, Emit] = {
    "maximum": _intrinsic("umax"),
    "minimum": _intrinsic("umin"),
    "less": _compare("icmp ult"),
    "less_equal": _compare("icmp ule"),
    "greater": _compare("icmp ugt"),
    "greater_equal": _compare("icmp uge"),
}

_BOOL: dict[str, Emit] = {
    "equal": _compare("icmp eq"),
    "not_equal": _compare("icmp ne"),
    "less": _compare("icmp ult"),
    "less_equal": _compare("icmp ule"),
    "greater": _compare("icmp ugt"),
    "greater_equal": _compare("icmp uge"),
    "maximum": _instruction("or"),
    "minimum": _instruction("and"),
    "bitwise_and": _instruction("and"),
    "bitwise_or": _instruction("or"),
    "bitwise_xor": _instruction("xor"),
    "bitwise_not": _not,
}

TABLE: dict[tuple[str, str], Emit] = {
    (op, kind): function
    for kind, table in (("f", _FLOAT), ("i", _INTEGER), ("u", _UNSIGNED), ("b", _BOOL))
    for op, function in table.items()
}
"""(op, kind of element) -> emitter; what is missing for unsigned integers is as for signed ones."""
