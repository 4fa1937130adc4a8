"""What every operation does with its arguments: record, trace, or compute at once.

- functional tensors among them: an `Operation` layer call is recorded, and becomes part of the model;
- tensors of the trace that is active, or variables while one is: nodes are appended to its graph;
- arrays and numbers only: a small graph is made and evaluated, so that values are the same everywhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from graphc import structure
from graphc.ir.dims import Size
from graphc.ir.errors import TraceError
from graphc.ir.types import TensorType, dtype_of
from graphc.tensor import Tensor
from graphc.trace import Trace, active
from graphc.variable import Variable

Function = TypeVar("Function", bound=Callable[..., Any])

OPERATIONS: dict[str, Callable[..., Any]] = {}
"""Every operation by name, as recorded calls in a model's JSON name them."""


def operation(function: Function, *, traced_only: bool = False) -> Function:
    """Decorator: the body is written for traced tensors, the result takes functional ones and arrays as well.

    With `traced_only`, a call without tensors is also traced when a trace is active (random numbers are no
    constants).
    """

    @functools.wraps(function)
    def dispatch(*args: Any, **kwargs: Any) -> Any:
        trace = active()
        kinds = {_kind(leaf) for leaf in _leaves(args, kwargs)}
        if "functional" in kinds:
            from graphc.layers.operation import Operation

            return Operation(function.__name__)(*args, **kwargs)
        if trace is not None and (traced_only or kinds & {"traced", "state"}):
            return function(*args, **kwargs)
        if "traced" in kinds:
            raise TraceError(
                f"{function.__name__} got a tensor of a trace that has ended.\n"
                "  fix     don't keep tensors from inside a `call`: return them, or make them a Variable."
            )
        return _now(function, args, kwargs)

    OPERATIONS[function.__name__] = dispatch
    return dispatch  # type: ignore[return-value]


def _leaves(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
    for argument in (*args, *kwargs.values()):
        if isinstance(argument, (list, tuple, dict)):
            yield from structure.leaves(argument)
        elif isinstance(argument, slice):
            yield from (argument.start, argument.stop, argument.step)
        else:
            yield argument


def _kind(leaf: Any) -> str:
    if isinstance(leaf, Tensor):
        return "functional" if leaf.trace is None else "traced"
    return "state" if isinstance(leaf, (Variable, Size)) else "value"


def _now(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The values of an operation on arrays."""
    inputs: dict[str, np.ndarray] = {}
    trace = Trace(function.__name__)

    def lift(leaf: Any) -> Any:
        if not isinstance(leaf, (np.ndarray, np.generic, Variable)):
            return leaf
        array = np.asarray(leaf)
        name = f"x{len(inputs)}"
        inputs[name] = array
        return trace.input(name, TensorType(dtype_of(array.dtype), array.shape))

    with trace:
        result = function(*structure.transform(lift, args), **structure.transform(lift, kwargs))
    return evaluate(trace, result, inputs)


def evaluate(trace: Trace, result: Any, inputs: dict[str, np.ndarray]) -> Any:
    """The arrays of a structure of traced tensors, by the NumPy evaluator; what was assigned is committed."""
    from graphc.ir.evaluate import run

    tensors = [leaf for leaf in structure.leaves(result) if isinstance(leaf, Tensor)]
    graph = trace.finish(tensors)
    state = {w.value.name: v.array for w, v in zip(graph.weights, trace.variables)}
    done = run(graph, {**inputs, **state})
    assigned = {id(v) for v in trace.assigned}
    for weight, variable in zip(graph.weights, trace.variables):
        if id(variable) in assigned:
            variable.array[...] = done.updates[weight.value.name]
            variable.changed()
    values = {id(t): v for t, v in zip(tensors, done.outputs)}
    return structure.transform(
        lambda leaf: np.array(values[id(leaf)]) if id(leaf) in values else leaf, result
    )


def emit(op: str, *operands: Any, **attrs: Any) -> Any:
    """Append a node to the active trace."""
    trace = active()
    assert trace is not None, "an operation's body runs in a trace only"
    return trace.op(op, *operands, **attrs)
