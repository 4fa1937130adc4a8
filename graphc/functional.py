"""The DAG of layer calls: what a functional model is made of.

A `Call` is one call of one layer: its arguments, its outputs and the user's line. Tensors point to the call
that made them, so that the calls a model needs are found backwards from its outputs; nothing depends on
Python variables staying alive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphc import structure
from graphc.ir.errors import ArgumentError, StructureError
from graphc.ir.locations import Location
from graphc.tensor import Tensor

if TYPE_CHECKING:
    from graphc.layers.layer import Layer


@dataclass(eq=False)
class Call:
    """One call of a layer on functional tensors; `index` counts the layer's calls."""

    layer: Layer
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    place: Location
    index: int
    outputs: Any = None
    masks: dict[int, int] = field(default_factory=dict)

    @cached_property
    def inputs(self) -> list[Tensor]:
        """The tensors among the arguments, in order."""
        return [t for t in structure.leaves((self.args, self.kwargs)) if isinstance(t, Tensor)]

    @cached_property
    def tensors(self) -> list[Tensor]:
        """The outputs as a flat list."""
        return structure.leaves(self.outputs)

    @property
    def is_input(self) -> bool:
        """Whether this is an `Input`, which has no arguments."""
        return not self.inputs


class Dag:
    """The calls between some tensors and others, in an order of execution, and their layers in Keras's order.

    Raises:
        StructureError: an output needs an input that is not among `inputs`, or two layers have one name.
    """

    def __init__(self, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        self.inputs, self.outputs = inputs, outputs
        self._given = {id(t) for t in inputs}
        self.order: dict[int, int] = {}
        self.calls = list(self._walk())
        self._check_connected()
        self.depths = self._measure()
        self._check_names()

    def _walk(self) -> Iterator[Call]:
        """Calls so that each comes after those whose results it takes; layers are numbered when first met."""
        done: set[int] = set()
        for output in self.outputs:
            stack: list[tuple[Call, Iterator[Tensor]]] = []
            self._enter(output, stack, done)
            while stack:
                call, remaining = stack[-1]
                tensor = next(remaining, None)
                if tensor is not None:
                    self._enter(tensor, stack, done)
                    continue
                stack.pop()
                if id(call) not in done:
                    done.add(id(call))
                    yield call

    def _enter(self, tensor: Tensor, stack: list[tuple[Call, Iterator[Tensor]]], done: set[int]) -> None:
        assert tensor.history is not None
        call = tensor.history[0]
        if id(call) in done or (id(tensor) in self._given and not call.is_input):
            return
        self.order.setdefault(id(call.layer), len(self.order))
        stack.append((call, iter(call.inputs)))

    def _check_connected(self) -> None:
        for call in self.calls:
            for tensor in call.tensors if call.is_input else ():
                if id(tensor) not in self._given:
                    raise StructureError(self._disconnected(call, tensor))

    def _disconnected(self, source: Call, tensor: Tensor) -> str:
        user = next(c for c in self.calls if any(t.history and t.history[0] is source for t in c.inputs))
        given = ", ".join(f"'{t.layer.name}'" for t in self.inputs) or "none"
        return (
            "the graph is disconnected: the outputs need an input that the model does not have.\n"
            f"  missing  {tensor!r}, made at {_where(source.place)}\n"
            f"  taken    by '{user.layer.name}', called at {_where(user.place)}\n"
            f"  given    {given}\n"
            f"  fix      add '{source.layer.name}' to the model's inputs, "
            "or build the outputs from the given ones."
        )

    def _measure(self) -> dict[int, int]:
        """The depth of each call: the number of calls after it on the longest way to an output, per layer (as
        Keras).
        """
        calls: dict[int, int] = {}
        layers: dict[int, int] = {}
        for call in reversed(self.calls):
            depth = max(calls.get(id(call), 0), layers.get(id(call.layer), 0))
            calls[id(call)] = layers[id(call.layer)] = depth
            for tensor in call.inputs:
                if tensor.history is not None:
                    parent = id(tensor.history[0])
                    calls[parent] = max(depth + 1, calls.get(parent, 0))
        self._call_depths = calls
        return layers

    @cached_property
    def layers(self) -> list[Layer]:
        """Each layer once: by depth, the inputs first, then in the order in which a walk from the outputs
        meets them.
        """
        found = {id(c.layer): c.layer for c in self.calls}
        for tensor in self.inputs:
            layer = tensor.layer
            if layer is not None and id(layer) not in found:
                found[id(layer)] = layer
                self.depths[id(layer)], self.order[id(layer)] = 0, -1
        return sorted(found.values(), key=lambda layer: (-self.depths[id(layer)], self.order[id(layer)]))

    @cached_property
    def executed(self) -> list[Call]:
        """The calls that a replay runs: all but the inputs. Where a layer that is called several times keeps
        statistics, the order decides in which of its calls they begin: then it is Keras's, by depth.
        """
        found = [c for c in self.calls if not c.is_input]
        times = Counter(id(c.layer) for c in found)
        shared = {id(c.layer): c.layer for c in found if times[id(c.layer)] > 1}
        if any(not v.trainable for layer in shared.values() for v in layer.weights):
            met = {call: number for number, call in enumerate(self._call_depths)}
            found.sort(key=lambda c: (-self._call_depths[id(c)], met[id(c)]))
        return found

    def _check_names(self) -> None:
        names: dict[str, Any] = {}
        for call in self.calls:
            other = names.setdefault(call.layer.name, call.layer)
            if other is not call.layer:
                raise ArgumentError(
                    f"two layers of the model are called '{call.layer.name}': "
                    f"one made at {_where(other.created_at)}, one at {_where(call.layer.created_at)}.\n"
                    "  fix     give one of them another name=."
                )


def _where(place: Location) -> str:
    return f"{place.file}:{place.line}"


def run(dag: Dag, values: list[Any]) -> list[Any]:
    """The traced outputs of the DAG for traced inputs: each call again, on this trace's tensors."""
    known: dict[int, Any] = {id(t): v for t, v in zip(dag.inputs, values)}

    def traced(leaf: Any) -> Any:
        return known[id(leaf)] if isinstance(leaf, Tensor) else leaf

    for call in dag.executed:
        args, kwargs = structure.transform(traced, call.args), structure.transform(traced, call.kwargs)
        outputs = structure.leaves(call.layer.traced_call(args, kwargs, call.place))
        for tensor, value in zip(call.tensors, outputs, strict=True):
            known.setdefault(id(tensor), value)
            if tensor._mask is not None:
                known.setdefault(id(tensor._mask), value._mask)
    return [known[id(t)] for t in dag.outputs]


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> Any:
    """A functional tensor that a model takes as an input.

    Args:
        shape: the sizes of one sample; None for those that may differ from call to call.
        batch_size: the number of samples, if it is fixed.
        dtype: "float32" and so on; None is `backend.floatx()`.
        batch_shape: instead of `shape` and `batch_size`: the whole shape.
        name: of the input layer.

    >>> Input(shape=(28, 28, 1), name="image")
    <Tensor 'image' shape=(None, 28, 28, 1), dtype=float32, created by layer 'image'>
    """
    from graphc.layers.input import InputLayer

    return InputLayer(
        shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        batch_shape=batch_shape,
        name=name,
        optional=optional,
    ).output
