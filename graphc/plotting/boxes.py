"""A model as boxes and arrows: a box for each call of a layer, an arrow for each tensor from call to call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphc import backend, structure
from graphc.functional import Call
from graphc.layers.layer import Layer

if TYPE_CHECKING:
    from graphc.models import Model


@dataclass(frozen=True)
class Shown:
    """What a box says besides the layer's class."""

    names: bool = True
    shapes: bool = False
    dtypes: bool = False
    activations: bool = False
    trainable: bool = False
    nested: bool = False


@dataclass(frozen=True)
class Box:
    """A call: its title, further lines, the class that gives it a colour, and the model within it."""

    title: str
    lines: tuple[str, ...] = ()
    kind: str = ""
    frozen: bool = False
    inside: Diagram | None = None


@dataclass(frozen=True)
class Diagram:
    """Boxes, and arrows (from, to) between their numbers."""

    boxes: tuple[Box, ...]
    arrows: tuple[tuple[int, int], ...] = field(default=())


def diagram(model: Model, shown: Shown) -> Diagram:
    """The boxes of a model. If its calls are not known: a chain of layers (Sequential), or one box."""
    from graphc.sequential import Sequential

    if model._dag is None:
        layers: list[Layer] = model.layers if isinstance(model, Sequential) else [model]
        boxes = tuple(_box(layer, None, "", shown) for layer in layers)
        return Diagram(boxes, tuple((i, i + 1) for i in range(len(boxes) - 1)))
    calls = model._dag.calls
    counts: dict[int, list[Call]] = {}
    for call in sorted(calls, key=lambda c: c.index):
        counts.setdefault(id(call.layer), []).append(call)
    number = {id(call): i for i, call in enumerate(calls)}
    boxes = tuple(_box(call.layer, call, _which(call, counts[id(call.layer)]), shown) for call in calls)
    arrows = [
        (number[id(tensor.history[0])], number[id(call)])
        for call in calls
        for tensor in call.inputs
        if tensor.history is not None and id(tensor.history[0]) in number
    ]
    return Diagram(boxes, tuple(dict.fromkeys(arrows)))


def _which(call: Call, all_calls: list[Call]) -> str:
    """Which of a shared layer's calls this is."""
    if len(all_calls) == 1:
        return ""
    number = next(i for i, c in enumerate(all_calls, 1) if c is call)
    return f"call {number} of {len(all_calls)}"


def _box(layer: Layer, call: Call | None, which: str, shown: Shown) -> Box:
    from graphc.models import Model

    kind = type(layer).__name__
    lines = [which] if which else []
    activation = getattr(layer, "activation", None)
    if shown.activations and callable(activation):
        lines.append(f"activation: {getattr(activation, '__name__', activation)}")
    if call is not None and shown.shapes:
        if not call.is_input:
            lines.append(f"in:  {_shapes(call.inputs)}")
        lines.append(f"out: {_shapes(call.tensors)}")
    if call is not None and shown.dtypes:
        lines.append("dtype: " + ", ".join(str(t.dtype) for t in call.tensors))
    if shown.trainable:
        lines.append("trainable" if layer.trainable else "not trainable")
    inside = diagram(layer, shown) if isinstance(layer, Model) and shown.nested else None
    title = f"{layer.name} ({kind})" if shown.names else kind
    frozen = shown.trainable and not layer.trainable
    return Box(title, tuple(lines), kind, frozen, inside)


def _shapes(tensors: Any) -> str:
    return ", ".join(str(structure.transform(backend.int_shape, t)) for t in tensors)
