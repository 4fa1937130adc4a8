"""`Sequential`: a model whose layers follow one another."""

from __future__ import annotations

from typing import Any

from graphc import structure
from graphc.ir.errors import ArgumentError, StructureError
from graphc.layers.input import InputLayer
from graphc.layers.layer import Layer
from graphc.layers.recording import record, symbolic_type
from graphc.layers.rollback import unchanged_on_error
from graphc.models import Functional, Model
from graphc.tensor import Tensor


class Sequential(Functional):
    """Layers, each called on the output of the one before.

    The input's shape comes from an `Input` at the front, from a first layer's `input_shape`, from
    `build(input_shape)`, or from the first data.

    Args:
        layers: the layers, or nothing; `add` appends more.
        name: by default "sequential", counted.

    >>> from graphc.layers import Dense
    >>> model = Sequential([Dense(2), Dense(1)], name="two")
    >>> model.build((None, 3)); model.output_shape, model.count_params()
    ((None, 1), 11)
    """

    _stack: list[Layer]
    _tensors: list[Tensor]

    def __init__(
        self, layers: Any = None, trainable: bool = True, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(trainable=trainable, name=name, **kwargs)
        self.__dict__.update(_stack=[], _tensors=[])
        for layer in layers if isinstance(layers, (list, tuple)) else [layers] if layers is not None else []:
            self._append(layer)
        self._changed()

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the input."""
        return list(self._stack)

    def _sublayers(self) -> list[Layer]:
        return list(dict.fromkeys(self._stack))

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Append a layer.

        Raises:
            StructureError: it is no layer, or has the name of another one.
        """
        with unchanged_on_error(self):
            self._append(layer)
            self._changed()

    def _append(self, layer: Any) -> None:
        """Append a layer to a model that is then to be connected."""
        if isinstance(layer, Tensor) and isinstance(layer.layer, InputLayer):
            layer = layer.layer
        if isinstance(layer, InputLayer):
            if self._tensors or self._stack:
                raise StructureError(f"the model '{self.name}' has layers already: an Input must come first.")
            self._begin(layer)
            return
        if not isinstance(layer, Layer):
            raise StructureError(
                f"a Sequential is made of layers, but got {type(layer).__name__}: {layer!r}."
            )
        if any(other.name == layer.name and other is not layer for other in self._stack):
            raise StructureError(
                f"the model '{self.name}' has a layer called '{layer.name}' already; give one another name=."
            )
        shape = layer.__dict__.get("first_shape")
        if not self._stack and not self._tensors:
            if shape is not None:
                self._begin(InputLayer(batch_shape=shape, dtype=_input_dtype(layer)))
            elif isinstance(layer, Model) and layer.has_own_inputs:
                self._begin(InputLayer(batch_shape=layer.inputs[0].shape, dtype=layer.inputs[0].dtype))
        self._stack.append(layer)
        if self._tensors:
            self._extend(layer)

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer, and give it.

        Raises:
            StructureError: there is none.
        """
        if not self._stack:
            raise StructureError(f"the model '{self.name}' has no layer to remove.")
        layer = self._stack.pop()
        if self._tensors:
            self._tensors.pop()
        self._changed()
        return layer

    def build(self, input_shape: Any = None) -> None:
        """Make the weights for an input of this shape, the number of samples included: (None, 784)."""
        if self._tensors:
            return
        if input_shape is None:
            raise ArgumentError(
                f"build() of the model '{self.name}' needs the shape of its input.\n"
                f"  fix     {self.name}.build(input_shape=(None, 784)), None being the number of samples."
            )
        dtype = _input_dtype(self._stack[0]) if self._stack else None
        self._build_after(InputLayer(batch_shape=input_shape, dtype=dtype))

    def _try(self, inputs: Any) -> None:
        (tensor,) = structure.leaves(inputs)
        dtype = tensor.dtype if tensor.dtype.kind != "f" else None
        self._build_after(InputLayer(batch_shape=tensor.shape, dtype=dtype))

    def _build_after(self, layer: InputLayer) -> None:
        """Call the layers one after the other; if one fails, none is built."""
        with unchanged_on_error(self):
            self._begin(layer)
            for following in self._stack:
                self._extend(following)
            self._changed()

    def _begin(self, layer: InputLayer) -> None:
        self._tensors.append(layer.output)

    def _extend(self, layer: Layer) -> None:
        self._tensors.append(record(layer, (self._tensors[-1],), {}, layer.created_at))

    def _changed(self) -> None:
        """Connect the model anew between its input and its last output."""
        self.forget_steps()
        self._forward.clear()
        self.__dict__["_checked"] = -1
        if self._tensors and self._stack:
            self._connect(self._tensors[0], self._tensors[-1])
        else:
            self.__dict__.update(_dag=None, _placeholders=None, built=False)

    def _build_for(self, arguments: dict[str, Any]) -> None:
        (tensor,) = (t for t in structure.leaves(arguments.get("inputs")) if isinstance(t, Tensor))
        self._try(
            Tensor(
                symbolic_type(tuple(d if isinstance(d, int) else None for d in tensor.shape), tensor.dtype)
            )
        )

    def get_config(self) -> dict[str, Any]:
        from graphc.saving.models import sequential_config

        return sequential_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The model that `get_config` described, with new weights."""
        from graphc.saving.models import sequential_from_config

        return sequential_from_config(cls, config, custom_objects)


def _input_dtype(layer: Layer) -> Any:
    return getattr(layer, "input_dtype", None)
