"""`Forward`: a model compiled for inference (or for a forward pass in training mode), sharing the model's
variables.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc import structure
from graphc.data.arrays import ranked
from graphc.ir.dims import symbol
from graphc.ir.errors import ArgumentError, DTypeError, ShapeError
from graphc.ir.types import TensorType, dtype_of
from graphc.replay import Traced, trace_model
from graphc.revision import EPOCH
from graphc.variable import Calls

if TYPE_CHECKING:
    from graphc.codegen.compiled import Compiled
    from graphc.codegen.profile import Profile
    from graphc.models import Model


@dataclass(frozen=True)
class Bound:
    """A traced graph compiled and bound to its variables."""

    traced: Traced
    compiled: Compiled
    calls: Calls

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs, as arrays in a list; variables that the call changes are counted up."""
        result = self.compiled(*arrays)
        self.calls.count += 1
        results = result if isinstance(result, tuple) else (result,)
        return [np.asarray(r) for r in results]


def bind(traced: Traced, options: dict[str, Any]) -> Bound:
    """Compile a traced graph, and bind it to the storage of its variables."""
    from graphc import codegen

    compiled = codegen.compile(traced.graph, **options)
    calls = Calls()
    for variable in traced.assigned:
        variable.count(calls)
    return Bound(traced, compiled.bind([v.array for v in traced.variables]), calls)


class Shown:
    """What is made from a model or a function: every member of its compiled function is a member of it."""

    @property
    @abstractmethod
    def compiled(self) -> Compiled:
        """The compiled function as it is now."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.compiled, name)

    @property
    def _numba_type_(self) -> Any:
        """What Numba asks for, so that `@njit` code may call it: the compiled function as it is now."""
        from numba import types

        return types.Dispatcher(self.compiled.njit_function)


class Forward(Shown):
    """`f(x1, x2, ...)`: the model's outputs for arrays; made by `graphc.compile(model)`.

    Gives an array, or a list of arrays for several outputs. The model's weights are read when it is called,
    so training or `set_weights` shows at once. All members of `graphc.codegen.Compiled` (`ir`, `source`,
    `cost`, ...) are members of it.
    """

    def __init__(self, model: Model, training: bool = False, options: dict[str, Any] | None = None) -> None:
        self.model, self.training, self.options = model, training, dict(options or {})
        self._bound: dict[Any, Bound] = {}
        self._version = model.structure_version()
        self._quick: tuple[Bound, tuple[np.dtype, ...], int] | None = None

    def __repr__(self) -> str:
        return f"<Forward of '{self.model.name}'{', training' if self.training else ''}>"

    def __call__(self, *inputs: Any) -> Any:
        """Run; inputs by position, or one list or dict of them."""
        results = self.quick(inputs)
        if results is None:
            results = self.run(self.model.arrange(inputs[0] if len(inputs) == 1 else list(inputs)))
        return results[0] if len(results) == 1 else results

    def profile(self, *inputs: Any, rounds: int | None = None) -> Profile:
        """The time of each kernel of a call with these inputs; the model stays as it is. See
        `graphc.codegen.Compiled.profile`.
        """
        arrays = self.model.arrange(inputs[0] if len(inputs) == 1 else list(inputs))
        return self._find(arrays).compiled.profile(*self._converted(arrays), rounds=rounds)

    def quick(self, inputs: tuple[Any, ...]) -> list[np.ndarray] | None:
        """The outputs for arrays of just the declared types, if nothing changed since the last call; else
        None.
        """
        if self._quick is None:
            return None
        bound, dtypes, epoch = self._quick
        if epoch != EPOCH.count or len(inputs) != len(dtypes):
            return None
        for array, dtype in zip(inputs, dtypes):
            if type(array) is not np.ndarray or array.dtype != dtype:
                return None
        try:
            return bound(inputs)
        except ShapeError:
            return None

    def run(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Run on the model's inputs in order."""
        bound = self._find(arrays)
        results = bound(self._converted(arrays))
        if self.model.has_own_inputs:
            self._quick = (bound, tuple(t.type.dtype.numpy for t in self.model.inputs), EPOCH.count)
        return results

    def _converted(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        types, names = [t.type for t in self.model.inputs], self.model.input_names
        return [convert(a, t, n) for a, t, n in zip(arrays, types, names)]

    def _find(self, arrays: list[np.ndarray]) -> Bound:
        model = self.model
        if self._version != (version := model.structure_version()):
            self._bound, self._version = {}, version
        fixed = model.has_own_inputs
        key = None if fixed else tuple((a.shape[1:], a.dtype) for a in arrays)
        found = self._bound.get(key)
        if found is None:
            types = None if fixed else [batch_type(a) for a in arrays]
            found = self._bound[key] = bind(trace_model(model, self.training, types), self.options)
        return found

    @property
    def compiled(self) -> Compiled:
        """The compiled function of the model's declared (or last seen) input types."""
        if not self._bound:
            self._bound[None] = bind(trace_model(self.model, self.training), self.options)
        return next(reversed(self._bound.values())).compiled


def batch_type(array: np.ndarray) -> TensorType:
    """The type of arrays like this one, with any number of samples."""
    sizes = (symbol("B"), *array.shape[1:]) if array.ndim else ()
    return TensorType(dtype_of(array.dtype), sizes)


def convert(array: np.ndarray, wanted: TensorType, name: str) -> np.ndarray:
    """An array in the element type of an input.

    Raises:
        ShapeError: a number of axes, or a size, that the input does not have.
        DTypeError: floating-point values that are no integers for an input of integers, or no numbers at all.
    """
    target = wanted.dtype.numpy
    array = ranked(array, wanted.shape)
    known = [d if isinstance(d, int) else None for d in wanted.shape]
    if array.ndim != len(known) or any(d is not None and d != n for d, n in zip(known, array.shape)):
        raise ShapeError(
            f"the input '{name}' has the shape {tuple(known)}, but got an array of shape {array.shape}."
            + ("\n  fix     of a single sample x, give x[None]." if array.shape == tuple(known[1:]) else "")
        )
    if array.dtype == target:
        return array
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"the input '{name}' takes {target} numbers, but got an array of {array.dtype}.")
    if array.dtype.kind == "f" and target.kind != "f":
        with np.errstate(invalid="ignore"):
            whole = array.astype(target)
        if not np.array_equal(whole, array):
            raise DTypeError(
                f"the input '{name}' takes {target} numbers, but got {array.dtype} values that are not whole."
                f"\n  fix     convert them as you mean it: x.astype('{target}')."
            )
        return whole
    return array.astype(target)


def as_arrays(values: Any) -> Any:
    """Leaves as arrays; a list of plain numbers is one array.

    Raises:
        ArgumentError: something that is neither numbers nor a list of arrays.
    """
    if isinstance(values, dict):
        return {k: as_arrays(v) for k, v in values.items()}
    if isinstance(values, (list, tuple)) and any(hasattr(v, "shape") for v in structure.leaves(values)):
        return [as_arrays(v) for v in values]
    array = np.asarray(values)
    if array.dtype.kind == "O":
        raise ArgumentError(
            f"expected arrays of numbers, but got {type(values).__name__} with other things in it."
        )
    return array
