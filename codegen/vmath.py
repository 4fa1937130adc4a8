"""exp, log, tanh, ... on vectors of any width, written once for f32 and f64 as formulas over `Vector`.

No SVML: polynomials (`coefficients`), and the C library lane by lane for what is rare. NaN and Inf travel
as in NumPy: no flag promises their absence, clamps are "select on greater" (false for NaN), and no
float-to-int conversion sees a NaN, which would be poison: integers come out of the low bits of x + 1.5 *
2^23 (2^52).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal, localcontext

from graphc.codegen.coefficients import COEFFICIENTS
from graphc.codegen.element import Element, bits_of
from graphc.codegen.vector import Vector

MANTISSA = {"f32": 23, "f64": 52}
BIAS = {"f32": 127, "f64": 1023}
LN2 = Decimal("0.69314718055994530941723212145817656807550013436025525412068000949339362196969")
HALF_PI = Decimal("1.57079632679489661923132169163975144209858469968755291048747229615390820314310")
_LN2_ZEROS = {"f32": 9, "f64": 12}


def polynomial(x: Vector, name: str) -> Vector:
    """The polynomial `name` of `coefficients`."""
    return summed(x, COEFFICIENTS[name, x.t.dtype])


def summed(x: Vector, coefficients: Sequence[float]) -> Vector:
    """A polynomial, lowest coefficient first, by Estrin's scheme: pairs, pairs of pairs, ... of terms, which
    do not wait for each other.
    """
    terms = [x.like(c) for c in coefficients]
    while True:
        terms = [b.fma(x, a) for a, b in zip(terms[::2], terms[1::2])] + terms[len(terms) // 2 * 2 :]
        if len(terms) == 1:
            return terms[0]
        x = x * x


def parts(c: Decimal, t: Element, zeros: int, count: int) -> list[float]:
    """c as a sum of `count` floats; all but the last end in `zeros` zero bits, so that n * part is exact
    for n < 2^zeros.
    """
    found = []
    with localcontext() as context:
        context.prec = 100
        for _ in range(count - 1):
            step = Decimal(2) ** (math.frexp(float(c))[1] - MANTISSA[t.dtype] - 1 + zeros)
            part = (c / step).to_integral_value("ROUND_FLOOR") * step
            found.append(float(part))
            c -= part
        return [*found, float(c)]


def _nearest(x: Vector, scale: float, bias: int = 0) -> tuple[Vector, str]:
    """n = round(x * scale), and bits that end in the integer n + bias: a power of two needs no others."""
    magic = 1.5 * 2.0 ** MANTISSA[x.t.dtype] + bias
    shifted = x.fma(scale, magic)
    return shifted - magic, shifted.bits()


def _power_of_two(x: Vector, i: str) -> Vector:
    """2^n for bits that end in n + BIAS, n within the range of normal numbers."""
    return x.from_bits(x.integers("shl", i, MANTISSA[x.t.dtype]))


def _reduce_exp(x: Vector) -> tuple[Vector, str, Vector, Vector]:
    """x = n ln 2 + r + c with |r| <= ln(2) / 2 and a tiny c: (n, bits that end in n + BIAS, r, c)."""
    high, low = parts(LN2, x.t, _LN2_ZEROS[x.t.dtype], 2)
    n, i = _nearest(x, float(1 / LN2), BIAS[x.t.dtype])
    rough, tail = n.fma(-high, x), n * low
    r = rough - tail
    return n, i, r, (rough - r) - tail


def exp(x: Vector) -> Vector:
    """e^x, in 0.9 ulp: 2^n (1 + r + r^2 P(r)), where the sum 1 + r keeps what it rounds off."""
    low, high = {"f32": (-104.0, 89.0), "f64": (-746.0, 710.0)}[x.t.dtype]
    x = x.at_most(high).at_least(low)
    first, second = parts(LN2, x.t, _LN2_ZEROS[x.t.dtype], 2)
    n, i = _nearest(x, float(1 / LN2), 2 * BIAS[x.t.dtype])
    r = n.fma(-second, n.fma(-first, x))
    top = r + 1.0
    p = top + (r * r).fma(polynomial(r, "exp"), (1.0 - top) + r)
    half = x.integers("ashr", i, 1)  # 2^n in two factors: denormal results and overflow come out right
    return p * _power_of_two(x, half) * _power_of_two(x, x.integers("sub", i, half))


def expm1(x: Vector) -> Vector:
    """e^x - 1 without cancellation: 2^n q + (2^n - 1) with q = e^r - 1."""
    low, high = {"f32": (-20.0, 89.0), "f64": (-45.0, 710.0)}[x.t.dtype]
    a = x.at_most(high).at_least(low)
    n, i, r, c = _reduce_exp(a)
    rest = (r * r).fma(polynomial(r, "exp"), c)
    q = r + rest
    left = (r - q) + rest
    last = n.greater(BIAS[x.t.dtype] + 0.5)  # 2^n itself overflows although the result does not
    scale = _power_of_two(x, x.integers("sub", i, x.f(f"zext {x.t.mask} {last} to {x.t.integer.vec}")))
    twice = x.like(2.0).where(last, 1.0)
    base = scale - 1.0 / twice
    total = q.fma(scale, base)
    left = left.fma(scale, q.fma(scale, base - total))
    return ((total + left) * twice).copysign(x)


def _log_core(
    y: Vector, f_of_one: Vector | None = None, c: Vector | None = None, shift: Vector | None = None
) -> Vector:
    """log(y + c y) for normal y > 0 by fdlibm's form: y = 2^k (1 + f), s = f / (2 + f), log(1 + f) = f -
    f^2/2 + s (f^2/2 + R(s^2)).

    Where k = 0, `f_of_one` replaces f; `shift` is added to k.
    """
    t, m = y.t, MANTISSA[y.t.dtype]
    k = y.integers("ashr", y.integers("sub", y.bits(), bits_of(t, math.sqrt(0.5))), m)
    f = y.from_bits(y.integers("sub", y.bits(), y.integers("shl", k, m))) - 1.0
    n = y.of(f"sitofp {t.integer.vec} {k} to {t.vec}")
    if f_of_one is not None and c is not None:
        whole = n.equals(0.0)
        f, c = f_of_one.where(whole, f), y.like(0.0).where(whole, c)
    n = n if shift is None else n + shift
    s = f / (f + 2.0)
    z = s * s
    h = 0.5 * f * f
    high, low = parts(LN2, t, _LN2_ZEROS[t.dtype], 2)
    tail = n * low if c is None else n.fma(low, c)
    return n.fma(high, f - (h - s.fma(h + z * polynomial(z, "log"), tail)))


def log(x: Vector) -> Vector:
    """The natural logarithm; -inf at 0, NaN below."""
    m = MANTISSA[x.t.dtype]
    tiny = x.less(2.0 ** (2 - BIAS[x.t.dtype]))
    r = _log_core((x * 2.0**m).where(tiny, x), shift=x.like(-float(m)).where(tiny, 0.0))
    r = x.like(-math.inf).where(x.equals(0.0), r)
    r = x.like(math.nan).where(x.less(0.0), r)
    return x.where(x.f(f"fcmp ueq {x.t.vec} {x.name}, {x.like(math.inf).name}"), r)  # +inf and NaN pass


def log1p(x: Vector) -> Vector:
    """log(1 + x); -inf at -1, NaN below. The rounding error of 1 + x comes back as a correction (fdlibm's
    s_log1p).
    """
    u = x + 1.0
    c = (1.0 - (u - x)).where(x.greater(1.0), x - (u - 1.0)) / u
    r = _log_core(u, x, c)
    r = x.like(-math.inf).where(x.equals(-1.0), r)
    r = x.like(math.nan).where(x.less(-1.0), r)
    r = x.where(x.f(f"fcmp ueq {x.t.vec} {x.name}, {x.like(math.inf).name}"), r)
    return r.copysign(x)


def softplus(x: Vector) -> Vector:
    """log(1 + e^x), computed without overflow."""
    return x.at_least(0.0) + log1p(exp(-abs(x)))


def sigmoid(x: Vector) -> Vector:
    """1 / (1 + e^-x), with full relative precision below 0 as well."""
    e = exp(-abs(x))
    return e.where(x.less(0.0), 1.0) / (e + 1.0)


def tanh(x: Vector) -> Vector:
    """The hyperbolic tangent: m / (m + 2) with m = e^2|x| - 1 = 2^n q + (2^n - 1), q = e^2r - 1, without
    cancellation since n >= 0; 1 where that is nearer than any other number.

    f64 takes from the quotient t what m + 2 rounds off, by 1 / (m + 2) = (1 - t) / 2, where that can be seen.
    """
    y = abs(x).at_most({"f32": 10.0, "f64": 20.0}[x.t.dtype])
    n, i = _nearest(y, float(2 / LN2), BIAS[x.t.dtype])
    r = n.fma(-float(LN2 / 2), y)  # what this loses with a large n, tanh does not show
    q = (r * r).fma(summed(r, [4 * c * 2.0**k for k, c in enumerate(COEFFICIENTS["exp", x.t.dtype])]), r + r)
    scale = _power_of_two(x, i)
    m = q.fma(scale, scale - 1.0)
    above = m + 2.0
    if x.t.dtype == "f32":
        return m.with_sign(x) / above
    t = m / above
    lost = (m - (above - 2.0)).where(m.less(2.0), 0.0)
    return (t * lost).fma(t.fma(0.5, -0.5), t).with_sign(x)


def erf(x: Vector) -> Vector:
    """The error function: an odd polynomial near 0; beyond, 1 - exp(g(|x|)) with g fitted to log(erfc),
    whose error erfc scales down.
    """
    a, z = abs(x), x * x
    near = x.fma(polynomial(z, "erf"), x)
    if x.t.dtype == "f32":
        g = polynomial(a.at_most(4.0) - 1.0, "erfc_short")
    else:
        low, high = (
            polynomial(a.at_most(2.5) - 1.0, "erfc_low"),
            polynomial(a.at_most(6.0) - 2.5, "erfc_high"),
        )
        g = low.where(a.less(2.5), high)
    return near.where(a.less(1.0), (1.0 - exp(g)).with_sign(x))


# Below, n pi/2 has an n < 2^20, for which products with parts of pi/2 that end in 20 zero bits are exact.
_TURN_LIMIT = 1.5e6
_TURN_ZEROS = 20


def _two_sum(a: Vector, b: Vector) -> tuple[Vector, Vector]:
    """a + b and what its rounding left (Knuth)."""
    s = a + b
    other = s - a
    return s, (a - (s - other)) + (b - other)


def _reduce_turns(x: Vector) -> tuple[str, Vector, Vector]:
    """x = n pi/2 + r + c with |r| <= pi/4 and a tiny c: (bits of n, r, c), for |x| below the limit.

    After Cody and Waite. f64 keeps what each step rounds off; f32 does it in f64, where one step is enough.
    """
    if x.t.dtype == "f32":
        return _reduce_turns_in_f64(x)
    first, second, third, last = parts(HALF_PI, x.t, _TURN_ZEROS, 4)
    n, i = _nearest(x, float(1 / HALF_PI))
    r, left = _two_sum(x - n * first, n * -second)
    low = (left - n * third) - n * last
    total = r + low
    return i, total, (r - total) + low


def _reduce_turns_in_f64(x: Vector) -> tuple[str, Vector, Vector]:
    wide = Element("f64", x.t.lanes)
    first, second = parts(HALF_PI, wide, _TURN_ZEROS, 2)
    y = Vector(x.f, wide, x.f(f"fpext {x.t.vec} {x.name} to {wide.vec}"))
    n, i = _nearest(y, float(1 / HALF_PI))
    exact = (y - n * first) - n * second
    r = x.of(f"fptrunc {wide.vec} {exact.name} to {x.t.vec}")
    back = Vector(x.f, wide, x.f(f"fpext {x.t.vec} {r.name} to {wide.vec}"))
    c = x.of(f"fptrunc {wide.vec} {(exact - back).name} to {x.t.vec}")
    return x.f(f"trunc {wide.integer.vec} {i} to {x.t.integer.vec}"), r, c


def _sin_and_cos(r: Vector, c: Vector) -> tuple[Vector, Vector]:
    """sin(r + c) and cos(r + c) for |r| <= pi/4, after fdlibm's k_sin and k_cos."""
    z = r * r
    sine = r + ((r * z).fma(polynomial(z, "sin"), z.fma(-0.5 * c, c)))
    h = 0.5 * z
    w = 1.0 - h
    cosine = w + (((1.0 - w) - h) + ((z * z) * polynomial(z, "cos") - r * c))
    return sine, cosine


def _turn(x: Vector, shift: int, name: str) -> Vector:
    """sin(x + shift pi/2)."""
    i, r, c = _reduce_turns(x)
    i = x.integers("add", i, shift)
    sine, cosine = _sin_and_cos(r, c)
    odd = x.f(f"icmp ne {x.t.integer.vec} {x.integers('and', i, 1)}, {splat_zero(x.t)}")
    sign = x.integers("shl", x.integers("lshr", i, 1), x.t.bits - 1)
    y = cosine.where(odd, sine)
    y = y.from_bits(x.integers("xor", y.bits(), sign))
    return by_lane_where(abs(x).greater(_TURN_LIMIT), name, x, y)


def splat_zero(t: Element) -> str:
    """Zeros of any type."""
    return "0" if t.lanes == 1 else "zeroinitializer"


def sin(x: Vector) -> Vector:
    """The sine; huge arguments go to the C library."""
    small = {"f32": 2.0**-12, "f64": 2.0**-27}[x.t.dtype]
    return x.where(abs(x).less(small), _turn(x, 0, "sin"))


def cos(x: Vector) -> Vector:
    """The cosine; huge arguments go to the C library."""
    return _turn(x, 1, "cos")


def libm(name: str, t: Element, args: list[Vector]) -> Vector:
    """A function of the C library, lane by lane: `libm("pow", t, [x, y])` calls powf or pow."""
    f = args[0].f
    symbol = name + ("f" if t.dtype == "f32" else "")
    result = Vector(f, t, "poison")
    for lane in range(t.lanes):
        xs = [x.name if t.lanes == 1 else f(f"extractelement {t.vec} {x.name}, i64 {lane}") for x in args]
        one = f(f"call {t.name} @{symbol}({', '.join(f'{t.name} {x}' for x in xs)})")
        if t.lanes == 1:
            return Vector(f, t, one)
        result = result.of(f"insertelement {t.vec} {result.name}, {t.name} {one}, i64 {lane}")
    return result


def by_lane_where(mask: str, name: str, x: Vector, otherwise: Vector) -> Vector:
    """The C library's `name` of x where the mask holds; it is not called at all if no lane asks for it."""
    t, f = x.t, x.f
    some = mask if t.lanes == 1 else f(f"call i1 @llvm.vector.reduce.or.v{t.lanes}i1({t.mask} {mask})")
    with f.when(some, [(t.vec, otherwise.name)]) as w:
        w.next = [libm(name, t, [x]).where(mask, otherwise).name]
    return Vector(f, t, w.results[0])


FUNCTIONS = {
    function.__name__: function
    for function in (exp, expm1, log, log1p, softplus, sigmoid, tanh, erf, sin, cos)
}
