"""NumPy functions compiled for given types and sizes, ahead of their first call."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc
from graphc import structure
from graphc.codegen.signature import Parameter, Signature
from graphc.forward import Shown
from graphc.ir import dims
from graphc.ir.types import TensorType
from graphc.npjit.function import Jit
from graphc.npjit.known_sizes import Known

if TYPE_CHECKING:
    from graphc.codegen.compiled import Compiled

FIRST_SIZE, STEP = 11, 6
"""Symbolic sizes are 11, 17, 23, ... while the function is recorded, and one more in what is known before."""
OF_FUNCTIONS = ("jit", "grad", "value_and_grad", "vjp", "check_grads", "compile", "spec")
"""What graphc has for NumPy functions; all else is for symbolic tensors."""


class CompiledNumPy(Shown):
    """A NumPy function, compiled for arguments of given types.

    A call means what the function itself does with these arrays: changes of its arguments, too.
    """

    def __init__(self, jitted: Jit, specs: Sequence[Any], signature: Signature) -> None:
        self.jitted, self.specs, self.parameters = jitted, specs, signature

    def __call__(self, *args: Any) -> Any:
        """Run on arguments in the structure of the specs.

        Raises
        ------
        ArgumentError, DTypeError, ShapeError
            Arguments that do not fit the specs.
        """
        given = structure.leaves(args)
        arrays = self.parameters.convert(given)
        self.parameters.sizes(arrays, ())
        leaves = [_own(a, b) for a, b in zip(given, arrays)]
        return self.jitted(*structure.pack(self.specs, leaves))

    @property
    def compiled(self) -> Compiled:
        """The largest graph that was compiled, as an object that shows every step to machine code."""
        return self.jitted.compiled

    def explain(self) -> str:
        """What happened to the calls so far, and what was fused."""
        return f"{self.jitted.explain()}\n{self.compiled.explain()}"


def _own(given: Any, array: np.ndarray) -> Any:
    """The caller's own array where it has the right type; NumPy's scalars for numbers."""
    if not array.ndim:
        return array[()]
    return given if type(given) is np.ndarray and given.dtype == array.dtype else array


def ahead(fn: Callable[..., Any], specs: Sequence[Any], options: dict[str, Any]) -> CompiledNumPy:
    """The function, compiled for arguments of these types: now if that takes no values, else when it is
    first called.
    """
    jitted = Jit(fn, options)
    kinds = [s.type(i) for i, s in enumerate(structure.leaves(specs))]
    names = list(inspect.signature(fn).parameters)
    names = names if len(names) == len(kinds) else [f"x{i}" for i in range(len(kinds))]
    inputs = tuple(Parameter(f"input '{n}'", n, t) for n, t in zip(names, kinds))
    made = CompiledNumPy(jitted, specs, Signature(jitted.name, inputs, (), (), ()))
    symbols = list(dict.fromkeys(str(d) for t in kinds for d in t.shape if not isinstance(d, int)))
    nested = any(isinstance(s, list | tuple | dict) for s in specs)
    for sizes in _choices(symbols, kinds) if not (nested and symbols) else ():
        known = Known()
        others = {name: n + 1 for name, n in sizes.items()}
        known.shapes.append({f"args[{i}]": _shape(t, others) for i, t in enumerate(kinds)})
        examples = structure.pack(list(specs), [_example(t, sizes) for t in kinds])
        if jitted.prepare(examples, known):
            break
    return made


def _choices(symbols: list[str], kinds: Sequence[TensorType]) -> list[dict[str, int]]:
    """Sizes for the symbols: all different, and where the function may not take that, all equal."""
    taken = {d for t in kinds for d in t.shape if isinstance(d, int)}
    some = range(FIRST_SIZE, FIRST_SIZE + STEP * (len(symbols) + 2 * len(taken) + 1), STEP)
    free = [n for n in some if not {n, n + 1} & taken]
    different = dict(zip(symbols, free))
    return [different, dict.fromkeys(symbols, free[0])] if len(symbols) > 1 else [different]


def _shape(kind: TensorType, sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple(dims.evaluate(d, sizes) for d in kind.shape)


def _example(kind: TensorType, sizes: dict[str, int]) -> Any:
    """An array of a type, or a number."""
    made = np.ones(_shape(kind, sizes), kind.dtype.numpy)
    return made if made.ndim else made[()]


def is_of_arrays(fn: Callable[..., Any]) -> bool:
    """Whether a function is written for arrays: it names nothing of graphc that is for symbolic tensors.

    >>> is_of_arrays(lambda x: np.tanh(x)), is_of_arrays(lambda x: graphc.ops.tanh(x))
    (True, False)
    """
    while isinstance(fn, types.MethodType):
        fn = fn.__func__
    if not isinstance(fn, types.FunctionType):
        return False
    outside = inspect.getclosurevars(fn)
    values = [*outside.globals.values(), *outside.nonlocals.values()]
    named = [n for n in fn.__code__.co_names if n in dir(graphc) and n not in OF_FUNCTIONS]
    return not any(named if v is graphc else _is_for_tensors(v) for v in values)


def _is_for_tensors(value: Any) -> bool:
    if isinstance(value, Jit):
        return False
    named = value if isinstance(value, types.FunctionType | type) else type(value)
    module = value.__name__ if isinstance(value, types.ModuleType) else named.__module__
    ours = module == "graphc" or module.startswith("graphc.")
    return ours and getattr(value, "__name__", "") not in OF_FUNCTIONS
