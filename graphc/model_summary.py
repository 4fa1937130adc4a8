"""A model as rows of the summary table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphc import backend, structure
from graphc.functional import Call
from graphc.layers.input import InputLayer
from graphc.layers.layer import Layer
from graphc.summary import Summary, SummaryRow

if TYPE_CHECKING:
    from graphc.models import Model


def summarise(model: Model, layer_range: Any = None) -> Summary:
    """The table's data: a row per layer, and the totals. `layer_range` gives names of a first and a last
    layer.
    """
    layers = model.layers
    if layer_range is not None:
        names = [layer.name for layer in layers]
        layers = layers[names.index(layer_range[0]) : names.index(layer_range[1]) + 1]
    calls = _calls(model)
    return Summary(
        model.name,
        [_row(layer, calls) for layer in layers],
        trainable_params=sum(v.size for v in model.trainable_weights),
        non_trainable_params=sum(v.size for v in model.non_trainable_weights),
        branched=_branched(model, calls),
    )


def _calls(model: Model) -> dict[int, list[Call]]:
    """The calls of each layer within the model."""
    found: dict[int, list[Call]] = {}
    for call in sorted(model._dag.calls if model._dag is not None else (), key=lambda c: c.index):
        found.setdefault(id(call.layer), []).append(call)
    return found


def _branched(model: Model, calls: dict[int, list[Call]]) -> bool:
    """Whether the table needs "Connected to": a Sequential and a plain chain do not."""
    from graphc.sequential import Sequential

    if model._dag is None or isinstance(model, Sequential):
        return False
    by_depth: dict[int, int] = {}
    for layer in model.layers:
        depth = model._dag.depths[id(layer)]
        by_depth[depth] = by_depth.get(depth, 0) + 1
    several = any(len(call.inputs) > 1 for made in calls.values() for call in made)
    return max(by_depth.values()) > 1 or several or any(len(made) > 1 for made in calls.values())


def _row(layer: Layer, calls: dict[int, list[Call]]) -> SummaryRow:
    from graphc.models import Model

    made = calls.get(id(layer), [])
    connected = [_name(t, calls) for call in made for t in call.inputs]
    nested = [_row(inner, _calls(layer)) for inner in layer.layers] if isinstance(layer, Model) else []
    params = layer.count_params() if layer.built else "0 (unused)"
    return SummaryRow(
        layer.name, type(layer).__name__, _shape(layer, made), params, connected, layer.trainable, nested
    )


def _name(tensor: Any, calls: dict[int, list[Call]]) -> str:
    call, index = tensor.history
    made = calls.get(id(call.layer), [call])
    number = next((i for i, c in enumerate(made) if c is call), 0)
    return f"{call.layer.name}[{number}][{index}]"


def _shape(layer: Layer, made: list[Call]) -> str:
    shapes = {str(structure.transform(backend.int_shape, call.outputs)) for call in made}
    if len(shapes) > 1:
        return "multiple"
    if isinstance(layer, InputLayer):
        return f"[{layer.batch_shape}]"
    if shapes:
        return shapes.pop()
    known = {str(structure.transform(backend.int_shape, c.outputs)) for c in layer._state.calls}
    return known.pop() if len(known) == 1 else "multiple" if known or layer.built else "?"
