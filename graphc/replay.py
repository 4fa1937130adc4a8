"""Replay: a model's calls again, in a trace, for one way of running it.

Whoever needs a graph of a model (inference, the training step, a gradient) makes a `Trace`, gives it inputs,
replays the model, and appends what else belongs into the graph:

    trace = Trace("train", training=True)
    with trace:
        inputs = model_inputs(model, trace)                # traced tensors: one graph input each
        target = trace.input("y", tensor("i64", "B"))
        (prediction,) = replay(model, inputs, training=True)
        loss = ops.mean(ops.sparse_categorical_crossentropy(target, prediction))
        ...
        trace.assign(variable, new_value)                  # committed when a call of the graph succeeds
    graph = trace.finish([loss])                           # outputs, updates of all that was assigned
    compiled = codegen.compile(graph).bind([v.array for v in trace.variables])

`trace.variables` are the variables of `graph.weights`, in their order; `trace.assigned` those that a call
changes (whoever calls the compiled function counts their `version` up); `trace.losses` what layers added by
`add_loss` or an activity regularizer; `prediction._mask` an output's mask, or None; `trace.weight(v)` the
value of a variable at entry, for `gradient` nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphc import structure
from graphc.ir.errors import ArgumentError, StateError
from graphc.ir.graph import Graph
from graphc.ir.types import TensorType
from graphc.layers.recording import canonical
from graphc.tensor import Tensor
from graphc.trace import Trace
from graphc.variable import Variable

if TYPE_CHECKING:
    from graphc.models import Model

MODES = ("train", "evaluate", "predict")


@dataclass(frozen=True)
class Traced:
    """A model's graph; `variables` are those of `graph.weights`, `assigned` those that a call changes."""

    graph: Graph
    variables: list[Variable]
    assigned: list[Variable] = field(default_factory=list)


def model_inputs(model: Model, trace: Trace, types: Sequence[TensorType] | None = None) -> list[Tensor]:
    """Inputs of the graph for the model's inputs, of the given types or of the model's own.

    Raises:
        StateError: the model is not built, and no types are given.
        ArgumentError: the number of types is wrong.
    """
    model.prepare(types)
    expected = [t.type for t in model.inputs]
    chosen = canonical(expected) if types is None else list(types)
    if len(chosen) != len(expected):
        raise ArgumentError(f"the model '{model.name}' has {len(expected)} inputs, but got {len(chosen)}")
    return [trace.input(name, t) for name, t in zip(model.input_names, chosen)]


def replay(model: Model, inputs: Sequence[Tensor], training: bool) -> list[Tensor]:
    """The model's outputs for traced inputs, as a flat list; masks are at their `_mask`.

    Layers see `training` unless their own call says otherwise.
    """
    packed = structure.pack(model.input_structure, inputs)
    kwargs = {"training": training}
    result = model.traced_call((packed,), kwargs, path="")
    return [t for t in structure.leaves(result) if isinstance(t, Tensor)]


def trace_model(
    model: Model, training: bool = False, types: Sequence[TensorType] | None = None, name: str = ""
) -> Traced:
    """The graph of the model alone: inputs to outputs.

    Raises:
        StateError: the model is not built, and no types are given.
    """
    trace = Trace(name or ("forward_train" if training else "forward"), training=training)
    with trace:
        outputs = replay(model, model_inputs(model, trace, types), training)
        graph = trace.finish(outputs)
    return Traced(graph, list(trace.variables), trace.assigned)


def require_built(model: Any, what: str) -> None:
    """StateError if the model's inputs are not known yet."""
    if not model.built:
        raise StateError(
            f"the model '{model.name}' is not built yet, so {what}.\n"
            f"  fix     call it on data, or {model.name}.build(input_shape=(None, ...)), first."
        )
