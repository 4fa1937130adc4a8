"""Random numbers of compiled functions: counter-based in (seed, step, number of the call, element), so that
no state is hidden.

A `Generator` has two variables, the seed and the step. Each call of a compiled function that draws from it
counts the step up by one. Layers without a seed of their own share the process's generator, which
`set_random_seed` starts again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ops.dispatch import emit, operation
from graphc.ops.promotion import tensor
from graphc.ops.shape import sizes_of
from graphc.variable import Variable


class Generator:
    """A stream of random numbers. `seed=None` takes the next seed of `graphc.seeds`."""

    def __init__(self, seed: int | None = None, name: str = "random") -> None:
        from graphc.seeds import fresh_seed

        self.given = seed
        self.seed = Variable(np.int64(fresh_seed() if seed is None else seed), trainable=False, name="seed")
        self.step = Variable(np.int64(0), trainable=False, name="step")
        self.seed.path, self.step.path = f"{name}/seed", f"{name}/step"

    def reset(self, seed: int) -> None:
        """Start again from this seed."""
        self.seed.assign(np.int64(seed))
        self.step.assign(np.int64(0))


_shared: list[Generator] = []


def shared_generator() -> Generator:
    """The generator of layers that were given no seed; made when first used."""
    from graphc import seeds

    if not _shared:
        _shared.append(Generator(seeds.base_seed()))
        seeds.on_reset(_shared[0].reset)
    return _shared[0]


def generator_for(seed: Any) -> Generator:
    """The generator that a layer's `seed` argument means: None, an int, or a generator."""
    if isinstance(seed, Generator):
        return seed
    return shared_generator() if seed is None else Generator(int(seed))


def _draw(seed: Any) -> tuple[Any, Any, int]:
    from graphc.trace import active

    trace = active()
    assert trace is not None
    return trace.random_call(generator_for(seed))


def _traced(function: Any) -> Any:
    return operation(function, traced_only=True)


@_traced
def uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Uniformly distributed in [minval, maxval)."""
    from graphc.backend import floatx
    from graphc.ir.types import dtype_of

    state, step, call = _draw(seed)
    attrs = {"low": float(minval), "high": float(maxval), "dtype": dtype_of(dtype or floatx())}
    return emit("random_uniform", state, step, shape=sizes_of(shape), call=call, **attrs)


@_traced
def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normally distributed."""
    from graphc.backend import floatx
    from graphc.ir.types import dtype_of

    state, step, call = _draw(seed)
    drawn = emit(
        "random_normal", state, step, shape=sizes_of(shape), call=call, dtype=dtype_of(dtype or floatx())
    )
    drawn = drawn if stddev == 1.0 else drawn * stddev
    return drawn if mean == 0.0 else drawn + mean


@_traced
def dropout(x: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Elements set to zero with probability `rate`, the others divided by 1 - rate.

    `noise_shape` gives sizes of 1 along which one decision holds for all.
    """
    x = tensor(x)
    if noise_shape is None:
        state, step, call = _draw(seed)
        return emit("dropout", x, state, step, rate=float(rate), call=call)
    sizes = [n if d is None else d for n, d in zip(x.shape, noise_shape, strict=True)]
    kept = uniform(sizes, dtype=x.dtype, seed=seed) >= rate
    from graphc import ops

    return ops.where(kept, x / (1.0 - rate), 0.0)
