"""The runtime's part for streams of random numbers: those that are made in the call, and Python's own."""

from __future__ import annotations

import functools
import random
from typing import Any

import numpy as np

from graphc.npjit.inputs import NUMBER, Known
from graphc.npjit.lookup import is_array, method_fn
from graphc.npjit.surface import Surface
from graphc.npjit.values import Num, Sym

MAKERS = (
    *(np.random.default_rng, np.random.RandomState, np.random.Generator, np.random.SeedSequence),
    *(np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64),
    random.Random,
)
"""What makes a stream from a seed."""
DRAWS = frozenset(
    {
        *("random", "uniform", "gauss", "normalvariate", "lognormvariate", "expovariate", "betavariate"),
        *("gammavariate", "triangular", "vonmisesvariate", "paretovariate", "weibullvariate"),
        *("randint", "randrange", "getrandbits", "seed"),
    }
)
"""Methods of Python's streams that take numbers and give one."""
OF_RANGES = frozenset(["sample", "choices"])
"""Those that draw from a population: where it is a range, they give numbers."""


class Streams(Surface):
    def new_stream(self, maker: Any, *args: Any, **kwargs: Any) -> Any:
        """A stream that is made in the call: later calls make it anew before everything else."""
        rec = self.rec
        if maker is np.random.default_rng and args and isinstance(args[0], np.random.Generator):
            return args[0]
        again = self.call_text(maker, args, kwargs, self._seed)
        if again is None:
            return self.opaque(maker, *args, **kwargs)
        try:
            made = maker(*map(_value, args), **{k: _value(v) for k, v in kwargs.items()})
        except Exception:
            rec.hold([args, kwargs])
            raise
        var = rec.new("o")
        rec.begun[var] = again
        rec.objects[id(made)] = Known(made, var)
        rec.kept.append(made)
        return made

    def _seed(self, a: Any) -> str | None:
        """The text of a seed; None where a later call does not find it."""
        if type(a) is Num:
            return a.expr
        if a is None or isinstance(a, (*NUMBER, str, bytes)):
            return self.rec.const(a)
        if type(a) in (tuple, list) and self.rec.var(a) is None:
            parts = [self._seed(x) for x in a]
            return None if None in parts else f"[{', '.join(map(str, parts))}]"
        return self.rec.var(a)

    def python_random(self, s: random.Random, name: str, args: Any, kwargs: Any) -> Any:
        """A draw from one of Python's streams."""
        if type(s) is not random.Random:
            return self.opaque(getattr(s, name), *args, **kwargs)
        given = [*args, *kwargs.values()]
        if name == "choice" and len(given) == 1 and (type(given[0]) is Sym or is_array(given[0])):
            place = self._drawn(s, "_randbelow", (self.steered(self.length(given[0])),), {})
            return self.getitem(given[0], place)
        numbers = given[name in OF_RANGES :]
        known = all(x is None or type(x) is Num or isinstance(x, NUMBER) for x in numbers)
        by_range = name in OF_RANGES and given and type(given[0]) is range
        if known and (name in DRAWS or by_range):
            return self._drawn(s, name, args, kwargs)
        return self.opaque(getattr(s, name), *args, **kwargs)

    def _drawn(self, s: random.Random, name: str, args: Any, kwargs: Any) -> Any:
        """A node that is never dropped nor moved."""
        source = Num(s, self.rec.var(s) or self.rec.const(s))
        counts = [self.steered(a) if name in OF_RANGES else a for a in args]
        options = {k: self.steered(v) if name in OF_RANGES else v for k, v in kwargs.items()}
        stand_in = functools.partial(_by_another, name)
        return self.rec.record(method_fn(name), (source, *counts), options, impure=True, stand_in=stand_in)


def _value(a: Any) -> Any:
    if type(a) in (tuple, list):
        return [_value(x) for x in a]
    return a.value if type(a) is Num else a


def _by_another(name: str, _source: Any, *args: Any, **kwargs: Any) -> Any:
    """The draw of a stream that nobody else uses."""
    return getattr(_spare, name)(*args, **kwargs)


_spare = random.Random(0)
