"""A layer called on functional tensors: a trial, then a `Call`; and called on arrays: computed at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc import structure
from graphc.functional import Call, Dag
from graphc.ir.dims import Dim, Size, symbol, symbols
from graphc.ir.errors import GraphcError
from graphc.ir.locations import Location, caller
from graphc.ir.types import BOOL, TensorType, dtype_of
from graphc.layers.blame import blame
from graphc.layers.spec import check_inputs
from graphc.ops.dispatch import evaluate
from graphc.tensor import Tensor
from graphc.trace import Trace

if TYPE_CHECKING:
    from graphc.layers.layer import Layer

BATCH = "B"
"""The symbol of the number of samples in a batch."""


_sizes = itertools.count()


def symbolic_type(shape: Any, dtype: Any) -> TensorType:
    """The type for a shape with None: the first is the batch size, each other one a size of its own."""
    sizes = [
        d
        if isinstance(d, Size)
        else int(d)
        if d is not None
        else symbol(f"n{next(_sizes)}" if axis else BATCH)
        for axis, d in enumerate(shape)
    ]
    return TensorType(dtype_of(dtype), tuple(sizes))


def canonical(types: Sequence[TensorType]) -> list[TensorType]:
    """The types with their sizes renamed by order of appearance, so that a graph's text does not depend on
    what else was made.
    """
    found = dict.fromkeys(s for t in types for d in t.shape for s in sorted(symbols(d)) if s != BATCH)
    names: dict[str, Dim] = {s: symbol(f"N{i or ''}") for i, s in enumerate(found)}
    return [t.substitute(names) for t in types]


def record(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any], place: Location | None = None) -> Any:
    """The functional outputs of a call, whose shapes a trial of `call` finds."""
    place = place or caller(layer.name)
    call = Call(layer, args, kwargs, place, len(layer._state.calls))
    if layer.built:
        _check(layer, args, place)
    try:
        traced = trial(layer, args, dict(kwargs), place)
    except Exception as error:
        traced = _declared(layer, args, kwargs, error)
    call.outputs = structure.transform(lambda leaf: leaf, traced)
    flat = [_functional(call, i, leaf) for i, leaf in enumerate(structure.leaves(traced))]
    call.outputs = structure.pack(traced, flat)
    layer._state.calls.append(call)
    return call.outputs


def _check(layer: Layer, args: tuple[Any, ...], place: Any) -> None:
    try:
        check_inputs(layer, args[0] if args else None)
    except GraphcError as error:
        blame(error, layer, place)
        raise


def trial(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any], place: Location | None = None) -> Any:
    known: dict[int, Tensor] = {}
    with Trace(layer.name) as trace:

        def enter(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            if id(leaf) not in known:
                known[id(leaf)] = trace.input("x", leaf.type)
                if leaf._mask is not None:
                    known[id(leaf)]._mask = trace.input("mask", leaf._mask.type)
            return known[id(leaf)]

        args, kwargs = structure.transform(enter, args), structure.transform(enter, kwargs)
        return layer.traced_call(args, kwargs, place or caller(layer.name))


def _declared(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> Any:
    """Outputs of the shape that a user's `compute_output_shape` gives, for a `call` that can't be traced."""
    from graphc.layers.layer import Layer as Base

    if type(layer).compute_output_shape is Base.compute_output_shape or isinstance(error, GraphcError):
        raise error
    shape = layer.compute_output_shape(structure.transform(lambda t: getattr(t, "shape", None), args[0]))
    several = isinstance(shape, list) or (
        isinstance(shape, tuple) and any(isinstance(s, tuple) for s in shape)
    )
    found = [Tensor(symbolic_type(s, layer.compute_dtype)) for s in (shape if several else [shape])]
    return found if several else found[0]


def _functional(call: Call, index: int, leaf: Any) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    tensor = Tensor(leaf.type, history=(call, index))
    if leaf._mask is not None:
        tensor._mask = Tensor(leaf._mask.type.with_dtype(BOOL), history=(call, index))
    return tensor


def begin_at_inputs(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """Inputs and outputs of a model, where an input that a layer computed is replaced by an `Input`, and the
    calls after it are repeated.
    """
    from graphc.layers.input import InputLayer

    given = structure.leaves(inputs)
    if all(t.history[0].is_input for t in given):
        return inputs, outputs
    new = [
        t if t.history[0].is_input else InputLayer(batch_shape=t.shape, dtype=t.dtype).output for t in given
    ]
    known = {id(t): n for t, n in zip(given, new)}

    def repeated(leaf: Any) -> Any:
        return known.get(id(leaf), leaf) if isinstance(leaf, Tensor) else leaf

    for call in Dag(given, structure.leaves(outputs)).executed:
        if any(id(t) in known for t in call.inputs):
            args, kwargs = (
                structure.transform(repeated, call.args),
                structure.transform(repeated, call.kwargs),
            )
            made = record(call.layer, args, kwargs, call.place)
            known.update(zip(map(id, call.tensors), structure.leaves(made)))
    return structure.pack(inputs, new), structure.transform(repeated, outputs)


def compute(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The arrays that a layer gives for arrays, by the NumPy evaluator."""
    inputs: dict[str, np.ndarray] = {}
    trace = Trace(layer.name)

    def enter(leaf: Any) -> Any:
        if not isinstance(leaf, (np.ndarray, np.generic)):
            return leaf
        array = np.asarray(leaf)
        name = f"x{len(inputs)}"
        inputs[name] = array
        return trace.input(name, TensorType(dtype_of(array.dtype), array.shape))

    args = tuple(_array(a) for a in args)
    with trace:
        args, kwargs = structure.transform(enter, args), structure.transform(enter, dict(kwargs))
        result = layer.traced_call(args, kwargs, caller(layer.name))
    return evaluate(trace, result, inputs)


def _array(argument: Any) -> Any:
    """A list of numbers means an array; a list of arrays stays a list of inputs."""
    from graphc.backend import floatx

    if isinstance(argument, (list, tuple)) and not any(
        hasattr(x, "shape") for x in structure.leaves(argument)
    ):
        array = np.asarray(argument)
        return array.astype(floatx()) if array.dtype.kind == "f" else array
    return argument


def output_shape(layer: Layer, *shapes: Any, **named: Any) -> Any:
    """The output's shape for input shapes, found by a trial on tensors of the layer's type."""

    def enter(shape: Any) -> Any:
        if _is_shape(shape):
            return Tensor(symbolic_type(shape, layer.compute_dtype))
        if isinstance(shape, dict):
            return {k: enter(v) for k, v in shape.items()}
        return [enter(s) for s in shape]

    traced = trial(layer, tuple(enter(s) for s in (*shapes, *named.values())), {})
    return structure.transform(lambda t: tuple(None if symbols(d) else d for d in t.type.shape), traced)


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, (list, tuple)) and all(
        d is None or isinstance(d, (int, np.integer)) for d in shape
    )
