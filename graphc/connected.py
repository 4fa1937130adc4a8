"""The DAG of a model, as seen from outside: its layers by name, its inputs and outputs."""

from __future__ import annotations

import difflib
from typing import Any

from graphc import structure
from graphc.functional import Dag
from graphc.ir.errors import ArgumentError, StateError, StructureError
from graphc.layers.layer import Layer
from graphc.layers.recording import begin_at_inputs
from graphc.layers.spec import InputSpec
from graphc.tensor import Tensor


class Connected(Layer):
    """The part of `Model` that knows between which tensors it lies.

    `_dag` holds the calls of a functional model, and None in a subclassed one; `_placeholders` the inputs and
    outputs as they were given, and None before the model is built.
    """

    _dag: Dag | None
    _placeholders: Any

    def _connect(self, inputs: Any, outputs: Any) -> None:
        """Make this a functional model between these tensors."""
        for what, given in (("input", inputs), ("output", outputs)):
            for leaf in structure.leaves(given):
                _require_tensor(leaf, what, self.name)
        inputs, outputs = begin_at_inputs(inputs, outputs)
        self.__dict__["_dag"] = Dag(structure.leaves(inputs), structure.leaves(outputs))
        self.__dict__["_placeholders"] = (inputs, outputs)
        specs = [InputSpec(shape=t.shape) for t in structure.leaves(inputs)]
        self.__dict__["input_spec"] = specs
        self.built = True

    @property
    def has_own_inputs(self) -> bool:
        """Whether the model declares its inputs (a functional model, or a Sequential with an input shape)."""
        return self._dag is not None

    @property
    def layers(self) -> list[Layer]:
        """The layers: by depth in a functional model, else in order of their attributes."""
        return list(self._dag.layers) if self._dag is not None else self._sublayers()

    def _sublayers(self) -> list[Layer]:
        extra = [
            layer for layer in super()._sublayers() if self._dag is None or layer not in self._dag.layers
        ]
        return extra if self._dag is None else [*self._dag.layers, *extra]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that index of `layers`.

        Raises:
            ArgumentError: there is none; the message proposes the nearest names.
        """
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ArgumentError(
                    f"the model '{self.name}' has {len(self.layers)} layers, there is none at {index}."
                )
            return self.layers[index]
        names = [layer.name for layer in self.layers]
        if name in names:
            return self.layers[names.index(name)]
        models = [layer for layer in self.layers if isinstance(layer, Connected)]
        within = [model.name for model in models if name in [layer.name for layer in model.layers]]
        if within:
            raise ArgumentError(
                f"the model '{self.name}' has no layer '{name}' of its own; '{within[0]}' has one.\n"
                f"  fix     {self.name}.get_layer('{within[0]}').get_layer('{name}')"
            )
        near = difflib.get_close_matches(str(name), names, n=3) or names[:5]
        raise ArgumentError(
            f"the model '{self.name}' has no layer '{name}'; did you mean {', '.join(map(repr, near))}?"
        )

    @property
    def input_structure(self) -> Any:
        """The inputs as the model takes them: a tensor, or a list or dict of them."""
        return self._known("it has no inputs yet")[0]

    @property
    def inputs(self) -> list[Tensor]:
        """The input tensors; an empty list before the model is built."""
        return structure.leaves(self._placeholders[0]) if self._placeholders else []

    @property
    def outputs(self) -> list[Tensor]:
        """The output tensors; an empty list before the model is built."""
        return structure.leaves(self._placeholders[1]) if self._placeholders else []

    @property
    def input(self) -> Any:
        return self._known("it has no input yet")[0]

    @property
    def output(self) -> Any:
        return self._known("it has no output yet")[1]

    def _known(self, what: str) -> Any:
        if self._placeholders is None:
            raise StateError(
                f"the model '{self.name}' is not built yet, so {what}.\n"
                f"  fix     call it on data, or {self.name}.build(input_shape=(None, ...)), first."
            )
        return self._placeholders

    @property
    def input_names(self) -> list[str]:
        """The keys of a dict of inputs; else the names of the input layers, or of the arguments of a
        subclassed model's `call`.
        """
        given = self._placeholders[0] if self._placeholders else []
        names = [t.name or f"input_{i}" for i, t in enumerate(self.inputs)]
        return _keys(given, len(names)) or _distinct(names)

    @property
    def output_names(self) -> list[str]:
        """The keys of a dict of outputs; else the names of the layers that make them."""
        given = self._placeholders[1] if self._placeholders else []
        names = [t.layer.name if t.layer is not None else f"output_{i}" for i, t in enumerate(self.outputs)]
        return _keys(given, len(names)) or _distinct(names)

    def flat_inputs(self, inputs: Any) -> list[Any]:
        """Inputs given as one value, a list, or a dict by name, in the model's order.

        Raises:
            ArgumentError: a number of inputs, or a name, that the model does not have.
        """
        own = self.input_structure
        names = self.input_names
        if isinstance(inputs, dict):
            keys = sorted(own) if isinstance(own, dict) else names
            missing = [k for k in keys if k not in inputs]
            if missing:
                raise ArgumentError(
                    f"the model '{self.name}' has an input '{missing[0]}', but got "
                    f"{', '.join(map(repr, inputs))}."
                )
            return [inputs[k] for k in keys]
        flat = structure.leaves(inputs)
        if len(flat) != len(names):
            raise ArgumentError(
                f"the model '{self.name}' takes {len(names)} inputs ({', '.join(names)}), "
                f"but got {len(flat)}."
            )
        return flat

    def arranged(self, results: list[Any]) -> Any:
        """A value for each output, in the structure of the model's outputs."""
        output = self._placeholders[1]
        return results[0] if type(output) is Tensor else structure.pack(output, results)


def _require_tensor(leaf: Any, what: str, name: str) -> None:
    if isinstance(leaf, Layer):
        raise StructureError(
            f"the {what} of the model '{name}' is {leaf} itself, not a tensor.\n"
            f"  fix     give what its call returned: {leaf.name}(...)."
        )
    if not isinstance(leaf, Tensor) or leaf.history is None:
        raise StructureError(
            f"the {what} of the model '{name}' must be a tensor made by Input or a layer call, "
            f"not {type(leaf).__name__}."
        )


def _keys(given: Any, count: int) -> list[str]:
    """The keys of a dict of that many tensors, in the order of its leaves; else nothing."""
    return [str(key) for key in sorted(given)] if isinstance(given, dict) and len(given) == count else []


def _distinct(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    result = []
    for n in names:
        count = seen.get(n, 0)
        seen[n] = count + 1
        result.append(n if not count else f"{n}_{count}")
    return result
