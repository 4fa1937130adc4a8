"""`graphc.compile`: a model, a step of it, or a function of tensors, to a compiled callable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc import structure
from graphc.forward import Bound, Forward, Shown, bind
from graphc.ir.dims import Size, symbol
from graphc.ir.errors import ArgumentError
from graphc.ir.types import TensorType, dtype_of
from graphc.models import Model
from graphc.replay import Traced
from graphc.tensor import Tensor
from graphc.trace import Trace

if TYPE_CHECKING:
    from graphc.codegen.compiled import Compiled
    from graphc.codegen.profile import Profile


@dataclass(frozen=True)
class Spec:
    """The shape and element type of an argument. None is a size of its own; equal names are equal sizes."""

    shape: tuple[Any, ...]
    dtype: str

    def type(self, position: int) -> TensorType:
        """The IR's type; unnamed sizes get a name from the argument's position."""
        sizes: list[Any] = []
        for axis, d in enumerate(self.shape):
            name = f"N{position}_{axis}" if d is None else d
            sizes.append(
                symbol(name) if isinstance(name, str) else name if isinstance(name, Size) else int(name)
            )
        return TensorType(dtype_of(self.dtype), tuple(sizes))


def spec(shape: Any, dtype: Any = "float32") -> Spec:
    """An argument of a function that is compiled ahead of its first call.

    >>> spec((None, 784)), spec(("B", 3), "int64")
    (Spec(shape=(None, 784), dtype='float32'), Spec(shape=('B', 3), dtype='int64'))
    """
    return Spec(
        tuple(shape) if hasattr(shape, "__iter__") and not isinstance(shape, str) else (shape,),
        dtype_of(dtype).numpy.name,
    )


class CompiledFunction(Shown):
    """A function of tensors, compiled for given specs. All members of `graphc.codegen.Compiled` are members
    of it.
    """

    def __init__(self, function: Callable[..., Any], specs: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.function, self.specs = function, specs
        trace = Trace(getattr(function, "__name__", "function").strip("<>"))
        leaves = structure.leaves(specs)
        with trace:
            flat = [trace.input(f"x{i}" if len(leaves) > 1 else "x", s.type(i)) for i, s in enumerate(leaves)]
            self._result = function(*structure.pack(specs, flat))
            outputs = [ensure(leaf) for leaf in structure.leaves(self._result)]
            graph = trace.finish(outputs)
        self._bound: Bound = bind(Traced(graph, list(trace.variables), trace.assigned), options)

    def __call__(self, *args: Any) -> Any:
        """Run on arrays in the structure of the specs."""
        results = self._bound(_arrays(args))
        if not isinstance(self._result, (list, tuple, dict)):
            return results[0]
        return structure.pack(self._result, results)

    def profile(self, *args: Any, rounds: int | None = None) -> Profile:
        """The time of each kernel of a call with these arguments; see `graphc.codegen.Compiled.profile`."""
        return self.compiled.profile(*_arrays(args), rounds=rounds)

    @property
    def compiled(self) -> Compiled:
        """The compiled function of arrays, without the structure of arguments and results."""
        return self._bound.compiled


def _arrays(args: tuple[Any, ...]) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in structure.leaves(args)]


def ensure(leaf: Any) -> Tensor:
    """A result as a tensor: numbers and arrays become constants."""
    from graphc.ops.promotion import tensor

    return tensor(leaf)


def compile(target: Any, *specs: Any, step: str | None = None, training: bool = False, **options: Any) -> Any:
    """Compile a model, a step of it, or a function.

    Args:
        target: a model; or a function, with a `spec` for each argument. One that is written with NumPy alone
            means what it means in Python (see `jit`) and is compiled now where that takes no values; one
            that names graphc's operations, layers or models is a function of symbolic tensors.
        step: "train", "evaluate" or "predict": that step of a compiled model, `step(x, y,
        sample_weight=None)`.
        training: for a model without step: whether layers see training=True.
        options: backend="llvm" (default), "numba" or "reference"; check=None, "nan" or "reference"; threads;
        passes; cache;
            fast_math (no guards for Winograd's algorithm in convolutions); tune.

    Raises:
        ArgumentError: something else than a model or a function with specs, or an option that there is not.

    >>> from graphc import Sequential, Input, ops
    >>> from graphc.layers import Dense
    >>> f = compile(Sequential([Input((3,)), Dense(2)]), backend="reference")
    >>> f(np.ones((5, 3))).shape
    (5, 2)
    >>> g = compile(lambda a, b: ops.sum(a * b), spec((None,)), spec((None,)), backend="reference")
    >>> float(g(np.ones(4, "f4"), np.arange(4, dtype="f4")))
    6.0
    """
    from graphc.codegen.options import check_names

    check_names(options)
    if isinstance(target, Model):
        if step is None:
            return Forward(target, training, options)
        from graphc.steps import Step

        if step != "predict":
            target.objective  # noqa: B018 - raises the error that says what to do
        return Step(target, step, options)
    if callable(target) and specs:
        if not all(isinstance(leaf, Spec) for leaf in structure.leaves(specs)):
            raise ArgumentError(
                "compile takes a graphc.spec(shape, dtype) for each argument of the function."
            )
        from graphc.npjit.ahead import ahead, is_of_arrays

        return (ahead if is_of_arrays(target) else CompiledFunction)(target, specs, options)
    raise ArgumentError(
        f"compile takes a model, or a function and a graphc.spec for each of its arguments, not {target!r}."
    )
