"""Dense, Activation, and the layers that do nothing, or what a function says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc import activations, constraints, initializers, ops, regularizers
from graphc.ir.errors import ArgumentError
from graphc.layers.configuration import is_whole
from graphc.layers.layer import Layer
from graphc.layers.spec import InputSpec


class Dense(Layer):
    """activation(x @ kernel + bias), over the last axis of `x`.

    Args:
        units: the size of the output's last axis.
        activation: a name or a function of a tensor; None leaves the values as they are.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
        bias_constraint: of the weights.

    Weights: `kernel` of shape (features, units), `bias` of shape (units,).

    >>> import graphc
    >>> Dense(4, activation="relu")(graphc.Input((7, 3))).shape
    (None, 7, 4)
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if not is_whole(units) or units <= 0:
            raise ArgumentError(f"Dense needs a whole number of units above 0, not {units!r}")
        if quantization_config is not None:
            raise ArgumentError("Dense can't be quantised: quantization_config must be None")
        self.units = int(units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.supports_masking = True
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        features = input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = (
            self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
            if self.use_bias
            else None
        )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def call(self, inputs: Any) -> Any:
        x = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            x = x + self.bias
        return self.activation(x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "quantization_config": None,
        }


class Activation(Layer):
    """A function, by name or as it is, of each element or along an axis."""

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class Identity(Layer):
    """The input itself."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs


class Lambda(Layer):
    """A function of tensors as a layer. It can't be stored in a file: write a `Layer` subclass for that.

    Args:
        function: takes the input, and `mask=` or `training=` if it has such arguments.
        output_shape: not needed; taken as Keras takes it.
        mask: the output's mask, or a function of (inputs, mask) that gives it.
        arguments: further keyword arguments of the function.

    >>> import graphc
    >>> Lambda(lambda x: x ** 2)(graphc.Input((3,))).shape
    (None, 3)
    """

    user_code_inside = True

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise ArgumentError(f"Lambda takes a function, not {function!r}")
        import inspect

        self.function, self.mask = function, mask
        self.arguments = dict(arguments or {})
        self.supports_masking = mask is not None
        try:
            self._takes = set(inspect.signature(function).parameters)
        except ValueError:
            self._takes = set()

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        given = {"mask": mask, "training": training}
        extra = {k: v for k, v in given.items() if k in self._takes}
        return self.function(inputs, **self.arguments, **extra)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        raise ArgumentError(
            f"{self} holds a Python function, which a file can't.\n"
            "  fix     write a subclass of Layer with get_config, and register it with custom_objects."
        )
