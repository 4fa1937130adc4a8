"""`clone_model`: a model of the same layers, with weights of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from graphc import structure
from graphc.functional import Call, Dag
from graphc.ir.errors import ArgumentError
from graphc.layers.input import InputLayer
from graphc.layers.layer import Layer
from graphc.layers.recording import record
from graphc.models import Functional, Model
from graphc.sequential import Sequential
from graphc.tensor import Tensor


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    recursive: bool = False,
) -> Any:
    """A model with the same layers, names and calls, and new weights.

    Args:
        model: functional or sequential; a subclassed one is made again from its `get_config`.
        input_tensors: functional tensors to begin with, instead of new inputs.
        clone_function: gives the layer that stands in for a layer; by default one of the same class and
            configuration. Inputs are not passed to it.
        recursive: whether `clone_function` also gets the layers of models within the model, one by one,
            instead of these models.

    Raises:
        ArgumentError: `input_tensors` or `clone_function` with a subclassed model, or another number of
            tensors than the model has inputs.

    >>> import graphc
    >>> model = graphc.Sequential([graphc.Input((3,)), graphc.layers.Dense(2, name="head")])
    >>> twin = clone_model(model)
    >>> twin.get_layer("head").kernel is model.get_layer("head").kernel
    False
    """
    if not (isinstance(model, Sequential) or type(model) is Functional):
        if input_tensors is not None or clone_function is not None:
            raise ArgumentError(
                f"'{model.name}' is made by its own class {type(model).__name__}, so it can be cloned only "
                "as a whole, without input_tensors and clone_function."
            )
        return type(model).from_config(model.get_config())

    def copied(layer: Layer) -> Layer:
        if isinstance(layer, Model) and (clone_function is None or recursive):
            return clone_model(layer, None, clone_function, recursive)
        return _twin(layer) if clone_function is None else clone_function(layer)

    clone = _sequential if isinstance(model, Sequential) else _functional
    twin = clone(model, input_tensors, copied)
    twin.__dict__["_trainable"] = model.trainable
    return twin


def _twin(layer: Layer) -> Layer:
    """A layer of the same class and configuration; or, where a file could not hold that (Lambda), of the
    arguments that its constructor got.
    """
    try:
        return type(layer).from_config(layer.get_config())
    except ArgumentError:
        args, kwargs = layer._state.first_arguments
        return type(layer)(*args, **{**kwargs, "name": layer.name, "trainable": layer.trainable})


def _sequential(model: Model, tensors: Any, copied: Callable[[Layer], Layer]) -> Model:
    start = [] if tensors is None else structure.leaves(tensors)
    if not start and model.has_own_inputs:
        start = _inputs(model.inputs)
    return Sequential([*start, *map(copied, model.layers)], name=model.name)


def _functional(model: Model, tensors: Any, copied: Callable[[Layer], Layer]) -> Model:
    dag = model._dag
    assert dag is not None, "a functional model has calls"
    given = _inputs(dag.inputs) if tensors is None else structure.leaves(tensors)
    if len(given) != len(dag.inputs):
        raise ArgumentError(f"'{model.name}' takes {len(dag.inputs)} inputs, but got {len(given)} tensors.")
    known = {id(old): new for old, new in zip(dag.inputs, given)}
    twins: dict[int, Layer] = {}

    def new(leaf: Any) -> Any:
        return known[id(leaf)] if isinstance(leaf, Tensor) else leaf

    for call in _in_order(dag):
        layer = twins.get(id(call.layer)) or twins.setdefault(id(call.layer), copied(call.layer))
        args, kwargs = structure.transform(new, call.args), structure.transform(new, call.kwargs)
        made = structure.leaves(record(layer, args, kwargs, call.place))
        known.update((id(t), m) for t, m in zip(call.tensors, made, strict=True))
    inputs, outputs = structure.pack(model.input, given), structure.transform(new, model.output)
    return Functional(inputs, outputs, name=model.name)


def _inputs(tensors: list[Tensor]) -> list[Tensor]:
    """New inputs like those of a model."""
    return [InputLayer.from_config(t.layer.get_config()).output for t in tensors]


def _in_order(dag: Dag) -> Iterator[Call]:
    """The calls, those of one layer in their own order, which gives them the same numbers again."""
    indices: dict[int, list[int]] = {}
    for call in dag.executed:
        indices.setdefault(id(call.layer), []).append(call.index)
    following = {key: iter(sorted(found)) for key, found in indices.items()}
    turn = {key: next(found) for key, found in following.items()}
    made = {id(t) for t in dag.inputs}
    waiting = dag.executed
    while waiting:
        later = []
        for call in waiting:
            key = id(call.layer)
            if call.index != turn[key] or any(id(t) not in made for t in call.inputs):
                later.append(call)
                continue
            turn[key] = next(following[key], -1)
            made.update(map(id, call.tensors))
            yield call
        waiting = later
