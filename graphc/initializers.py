"""First values of weights: every initializer of Keras, by name, by object or from JSON.

An initializer is called with a shape and a dtype and returns a new array. One without a seed gives other
values at each call, following `graphc.utils.set_random_seed`; one with a seed gives the same at each call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphc import distributions
from graphc.backend import floatx
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.lookup import Configured, Lookup
from graphc.seeds import generator
from graphc.variable import NEW

Shape = Sequence[int]


class Initializer(Configured):
    """Makes the first values of a weight; subclass it and define `__call__(shape, dtype)`."""

    def __call__(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> np.ndarray:
        """A new array of that shape and dtype (`backend.floatx()` when None)."""
        raise TypeError(f"{type(self).__name__} does not define __call__(shape, dtype)")

    def clone(self) -> Any:
        """Another initializer with the same configuration."""
        return self.from_config(self.get_config())


class Constant(Initializer):
    """Every element is `value`, which may also be an array of the weight's shape.

    >>> Constant(2.5)((2,)).tolist()
    [2.5, 2.5]
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> np.ndarray:
        given = np.shape(self.value)
        if given and given != tuple(shape):
            raise ShapeError(f"the initial value has shape {given}, but the weight {tuple(shape)}")
        return np.full(tuple(shape), self.value, dtype or floatx())

    def get_config(self) -> dict[str, Any]:
        value = np.asarray(self.value)
        if value.ndim == 0:
            return {"value": value.item()}
        stored = {"value": value.tolist(), "dtype": value.dtype.name}
        return {"value": {"class_name": "__numpy__", "config": stored}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constant:
        value = config["value"]
        if isinstance(value, dict):
            value = np.array(value["config"]["value"], value["config"].get("dtype"))
        return cls(value)


class Zeros(Initializer):
    """Every element is 0."""

    def __call__(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> np.ndarray:
        return np.zeros(tuple(shape), dtype or floatx())


class Ones(Initializer):
    """Every element is 1."""

    def __call__(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> np.ndarray:
        return np.ones(tuple(shape), dtype or floatx())


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 elsewhere; the matrix need not be square.

    >>> Identity(3.0)((2, 3)).tolist()
    [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]]
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> np.ndarray:
        if len(shape) != 2:
            raise ShapeError(f"Identity makes a matrix, but the weight has shape {tuple(shape)}")
        matrix = np.eye(*shape, dtype=np.dtype(dtype or floatx()))
        matrix *= np.asarray(self.gain, matrix.dtype)
        return matrix

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


class RandomInitializer(Initializer):
    """Base of the initializers that draw random numbers: holds the seed."""

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer))):
            raise ArgumentError(f"seed should be a whole number or None, not {seed!r}")
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        return {"seed": None if self.seed is None else int(self.seed)}


class RandomNormal(RandomInitializer):
    """Normally distributed elements.

    >>> RandomNormal(stddev=2.0, seed=1)((3, 4)).shape
    (3, 4)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> np.ndarray:
        return distributions.normal(shape, self.mean, self.stddev, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Normally distributed elements; those beyond two standard deviations are drawn again."""

    def __call__(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> np.ndarray:
        return distributions.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)


class RandomUniform(RandomInitializer):
    """Elements uniformly distributed in [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> np.ndarray:
        return distributions.uniform(shape, self.minval, self.maxval, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class VarianceScaling(RandomInitializer):
    """Random elements whose variance is `scale` divided by a fan, so that activations keep their size.

    Args:
        scale: a positive factor.
        mode: which fan: "fan_in", "fan_out" or "fan_avg", their mean.
        distribution: "truncated_normal" (or "normal"), "untruncated_normal" or "uniform".
        seed: a whole number, or None for other values at each call.
        input_axes: the axes whose sizes make up the fan in; the last but one, and the window's, when None.
        output_axes: the axes whose sizes make up the fan out; the last, and the window's, when None.

    >>> abs(float(VarianceScaling(2.0, seed=1)((400, 300)).var()) - 2.0 / 400) < 1e-4
    True
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        distribution = {"normal": "truncated_normal"}.get(distribution.lower(), distribution.lower())
        if not scale > 0:
            raise ArgumentError(f"scale should be positive, not {scale!r}")
        for value, table, what in ((mode, FANS, "mode"), (distribution, DISTRIBUTIONS, "distribution")):
            if value not in table:
                raise ArgumentError(f"{what} should be one of {', '.join(map(repr, table))}, not {value!r}")
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    def __call__(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> np.ndarray:
        fan = FANS[self.mode](*compute_fans(shape, self.input_axes, self.output_axes))
        return DISTRIBUTIONS[self.distribution](shape, self.scale / max(1.0, fan), dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


NEW.add(VarianceScaling.__call__)


class _Preset(VarianceScaling):
    """A `VarianceScaling` whose scale, fan and distribution have a name of their own."""

    preset: tuple[float, str, str]

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self.preset, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {name: config[name] for name in ("seed", "input_axes", "output_axes")}


class GlorotUniform(_Preset):
    """Uniform within sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010, equation 16)."""

    preset = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Preset):
    """Truncated normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010, equation 12)."""

    preset = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Preset):
    """Uniform within sqrt(6 / fan_in) (He et al., 2015, equation 10)."""

    preset = (2.0, "fan_in", "uniform")


class HeNormal(_Preset):
    """Truncated normal with variance 2 / fan_in (He et al., 2015, equation 10)."""

    preset = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Preset):
    """Uniform within sqrt(3 / fan_in) (LeCun et al., Efficient BackProp, 1998, equation 16)."""

    preset = (1.0, "fan_in", "uniform")


class LecunNormal(_Preset):
    """Truncated normal with variance 1 / fan_in (LeCun et al., Efficient BackProp, 1998, equation 16)."""

    preset = (1.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """A random matrix with orthonormal rows or columns, whichever are fewer, times `gain` (Saxe, 2014).

    A shape of more than two axes is taken as a matrix of all but the last axis by the last.

    >>> w = Orthogonal(seed=1)((3, 5), "float64")
    >>> bool(np.allclose(w @ w.T, np.eye(3)))
    True
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> np.ndarray:
        if len(shape) < 2:
            raise ShapeError(f"Orthogonal needs at least two axes, but the weight has shape {tuple(shape)}")
        target = distributions.floating(dtype)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        random = generator(self.seed).standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(random)
        # The sign makes the decomposition unique, and with it the distribution uniform (Mezzadri, 2007).
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
        matrix = q if rows >= columns else q.T
        return np.ascontiguousarray((self.gain * matrix).reshape(tuple(shape)), target)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain}


def compute_fans(
    shape: Shape, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """How many inputs feed one output, and how many outputs one input feeds, for a weight of that shape.

    A vector counts as both; with more than two axes, the leading ones are the window of a convolution.

    >>> compute_fans((784, 10)), compute_fans((3, 3, 16, 32)), compute_fans((5,)), compute_fans(())
    ((784, 10), (144, 288), (5, 5), (1, 1))
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


FANS = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
}

DISTRIBUTIONS = {
    "uniform": lambda shape, var, dtype, seed: distributions.uniform(
        shape, -math.sqrt(3 * var), math.sqrt(3 * var), dtype, seed
    ),
    "truncated_normal": lambda shape, var, dtype, seed: distributions.truncated_normal(
        shape, 0.0, math.sqrt(var) / distributions.TRUNCATED_STDDEV, dtype, seed
    ),
    "untruncated_normal": lambda shape, var, dtype, seed: distributions.normal(
        shape, 0.0, math.sqrt(var), dtype, seed
    ),
}

INITIALIZERS = Lookup(
    "initializer",
    "keras.initializers",
    (
        Zeros,
        Ones,
        Constant,
        Identity,
        RandomNormal,
        RandomUniform,
        TruncatedNormal,
        VarianceScaling,
        GlorotUniform,
        GlorotNormal,
        HeUniform,
        HeNormal,
        LecunUniform,
        LecunNormal,
        Orthogonal,
    ),
    {
        "zero": Zeros,
        "one": Ones,
        "normal": RandomNormal,
        "uniform": RandomUniform,
        "IdentityInitializer": Identity,
        "OrthogonalInitializer": Orthogonal,
    },
)
serialize = INITIALIZERS.serialize
deserialize = INITIALIZERS.deserialize


def get(identifier: Any) -> Any:
    """The initializer that is meant: by None, a name, a configuration, an array, a class, or a callable.

    Raises:
        ArgumentError: no initializer has this name, or `identifier` is none of these.

    >>> get("he_normal").get_config()
    {'seed': None, 'input_axes': None, 'output_axes': None}
    """
    if isinstance(identifier, (np.ndarray, np.generic)):
        return Constant(np.asarray(identifier))
    return INITIALIZERS.get(identifier)


def __getattr__(name: str) -> Any:
    """Keras's other spellings: `glorot_uniform`, `zeros`, `IdentityInitializer`, ..."""
    if name in INITIALIZERS.named:
        return INITIALIZERS.named[name]
    raise AttributeError(f"module 'graphc.initializers' has no attribute {name!r}")
