"""Random numbers from counters: functions of seed, step, call and the element's place, whatever the order.

The generator is Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy
as 1, 2, 3", SC 2011, section 4.1). The key is made of seed, step and call; the counter is the element's row
(along axis 0) and its place in that row.
"""

from __future__ import annotations

import math

import numpy as np

from graphc.ir.dims import product
from graphc.ir.errors import ArgumentError
from graphc.ir.formulas import on_arrays
from graphc.ir.inference import operands, require_kind
from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.samples import FLOATS, arrays
from graphc.ir.types import DTYPES, F32, I64, U32, TensorType, dtype_of

PARITY = 0x1BD11BDA
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
# odd numbers far from powers of two: they spread small numbers over a whole word of the key
CALL, HIGH_STEP, HIGH_SEED, STREAM = 0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F
TWO_PI = 2 * math.pi
SCALAR = TensorType(I64, ())


def rounds(key0, key1, x0, x1):
    """Both words of Threefry-2x32-20, for u32 arrays and for values of that type alike."""
    keys = (key0, key1, key0 ^ key1 ^ PARITY)
    x0, x1 = x0 + key0, x1 + key1
    for group in range(5):
        for r in ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = ((x1 << r) | (x1 >> (32 - r))) ^ x0
        x0 = x0 + keys[(group + 1) % 3]
        x1 = x1 + keys[(group + 2) % 3] + (group + 1)
    return x0, x1


@op("threefry", Kind.ELEMENTWISE)
class Threefry:
    """threefry(key0, key1, counter0, counter1), all u32.

    Word 0 or 1 of the 64 random bits for this key and counter.
    """

    def infer(*words, word=0):
        if word not in (0, 1) or any(w.dtype != U32 for w in words):
            raise ArgumentError(f"gives word 0 or 1 of four u32 operands, got word {word} of {words}")
        return _FOUR_WORDS(*words)

    def evaluate(*words, word):
        return np.asarray(rounds(*words)[word])

    def scalar(b, *words, word):
        return rounds(*words)[word]

    samples = tuple(
        Sample(
            lambda rng, dtype: [rng.integers(0, 2**32, s, dtype) for s in ((), (), (5, 1), (7,))],
            {"word": w},
            ("u32",),
            False,
        )
        for w in (0, 1)
    )


_FOUR_WORDS = operands("u", 4)


class Generator:
    """The words for one call, made by a builder or, at once, by `formulas.ARRAYS`."""

    def __init__(self, b, seed, step, shape, call):
        self.b, self.shape, self.call = b, shape, call
        self.seed, self.step = (self._halves(v) for v in (seed, step))

    def _halves(self, value):
        cast = self.b.cast
        return cast(value, dtype=U32), cast(value >> 32, dtype=U32)

    def _along(self, axis):
        return self.b.iota(shape=self.shape, axis=axis, dtype=U32)

    def words(self, word, stream=0):
        """Word 0 or 1 for every element of the shape, from an independent stream."""
        key0 = self.seed[0] + (self.call * CALL + stream * STREAM) % 2**32
        key1 = (self.step[0] + self.step[1] * HIGH_STEP) ^ (self.seed[1] * HIGH_SEED)
        return self.b.threefry(key0, key1, *self._counter(), word=word)

    def _counter(self):
        row = place = self.b.constant(0, U32)
        if self.shape:
            row = self._along(0)
        for axis in range(1, len(self.shape)):
            place = place + self._along(axis) * self.b.constant(product(self.shape[axis + 1 :]), U32)
        return row, place

    def fractions(self, dtype, stream=0, word=0):
        """Numbers in [0, 1): multiples of 2**-24, or of 2**-53 for f64."""
        if dtype == F32:
            return self._float(self.words(word, stream) >> 8, dtype) * 2.0**-24
        high, low = self.words(0, stream + word), self.words(1, stream + word)
        return self._float(high >> 5, dtype) * 2.0**-27 + self._float(low >> 6, dtype) * 2.0**-53

    def _float(self, bits, dtype):
        # below 2**31, and a signed number is converted faster
        return self.b.cast(self.b.cast(bits, dtype=DTYPES["i32"]), dtype=dtype)


def _infer_random(seed, step, shape, dtype):
    if seed != SCALAR or step != SCALAR:
        raise ArgumentError(f"seed and step are {SCALAR}, got {seed} and {step}")
    return TensorType(dtype, tuple(shape))


def _no_gradient(b, seed, step, out, ct, **attrs):
    return None, None


def _states(**attrs):
    def make(rng, dtype):
        return [np.array(-7 * 2**33 + 12345), np.array(2**32 + 17)]

    return tuple(
        Sample(make, {"shape": shape, **attrs}, ("i64",), False)
        for shape in ((), (1,), (0,), (33,), (3, 5), (2, 3, 7))
    )


@op("random_bits", Kind.COARSE)
class RandomBits:
    """32 random bits for every element of `shape`; two calls in a graph differ by `call`."""

    def infer(seed, step, *, shape, call):
        return _infer_random(seed, step, shape, U32)

    def decompose(b, seed, step, shape, call):
        return Generator(b, seed, step, shape, call).words(0)

    evaluate = on_arrays(decompose)
    vjp = _no_gradient
    samples = _states(call=3)


@op("random_uniform", Kind.COARSE)
class RandomUniform:
    """Numbers in [low, high), from 24 random bits (f32) or 53 (f64)."""

    def infer(seed, step, *, shape, call, low=0.0, high=1.0, dtype=F32):
        require_kind("f", TensorType(dtype_of(dtype), ()))
        if not low < high:
            raise ArgumentError(f"low must be below high, got {low} and {high}")
        return _infer_random(seed, step, shape, dtype_of(dtype))

    def decompose(b, seed, step, shape, call, low, high, dtype):
        u = Generator(b, seed, step, shape, call).fractions(dtype)
        # rounding may reach `high`, which is not in the range
        below = float(np.nextafter(dtype.numpy.type(high), dtype.numpy.type(low)))
        return b.minimum(u * (high - low) + low, below)

    evaluate = on_arrays(decompose)
    vjp = _no_gradient
    samples = tuple(s for d in FLOATS for s in _states(call=1, low=-0.3, high=1.0, dtype=DTYPES[d]))


@op("random_normal", Kind.COARSE)
class RandomNormal:
    """Normal numbers with mean 0 and variance 1: sqrt(-2 log(1 - u)) cos(2 pi v) (Box, Muller 1958)."""

    def infer(seed, step, *, shape, call, dtype=F32):
        require_kind("f", TensorType(dtype_of(dtype), ()))
        return _infer_random(seed, step, shape, dtype_of(dtype))

    def decompose(b, seed, step, shape, call, dtype):
        words = Generator(b, seed, step, shape, call)
        u, v = words.fractions(dtype), words.fractions(dtype, word=1)
        return b.sqrt(b.log(1 - u) * -2) * b.cos(v * TWO_PI)

    evaluate = on_arrays(decompose)
    vjp = _no_gradient
    samples = tuple(s for d in FLOATS for s in _states(call=2, dtype=DTYPES[d]))


def kept_bits(rate: float) -> int:
    """An element is dropped where its 24 random bits, as a number, are below this."""
    return round(rate * 2**24)


@op("dropout", Kind.COARSE)
class Dropout:
    """x / (1 - rate) where an element is kept, else 0; each is dropped with the probability `rate`."""

    def infer(x, seed, step, *, rate, call):
        require_kind("f", x)
        if not 0 <= rate <= 1:
            raise ArgumentError(f"the rate of dropout lies in [0, 1], got {rate}")
        _infer_random(seed, step, x.shape, x.dtype)
        return x

    def decompose(b, x, seed, step, rate, call):
        bits = b.cast(Generator(b, seed, step, x.shape, call).words(0) >> 8, dtype=DTYPES["i32"])
        return b.select(bits >= kept_bits(rate), x * _scale(rate), 0)

    evaluate = on_arrays(decompose)

    def vjp(b, x, seed, step, out, ct, rate, call):
        # the same seed, step and call: the same mask, without keeping it
        return b.dropout(ct, seed, step, rate=rate, call=call), None, None

    samples = tuple(
        Sample(
            lambda rng, dtype, shape=shape: [*arrays(shape)(rng, dtype), np.array(11), np.array(2)],
            {"rate": rate, "call": 5},
        )
        for rate in (0.0, 0.25, 0.5, 1.0)
        for shape in ((), (0,), (33,), (4, 9))
    )


def _scale(rate):
    return 1 / (1 - rate) if rate < 1 else 0.0
