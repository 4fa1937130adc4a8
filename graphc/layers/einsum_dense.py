"""A dense layer over any axes, in the notation of `einsum`."""

from __future__ import annotations

from string import ascii_letters
from typing import Any

from graphc import activations, constraints, initializers, ops, regularizers
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.layers.layer import Layer

KINDS = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}


class EinsumDense(Layer):
    """activation(einsum(equation, inputs, kernel) + bias).

    Args:
        equation: such as "abc,cd->abd", or "...x,xy->...y".
        output_shape: without the batch (and what "..." stands for); None where the input's size stays.
        activation: a name or a function; None leaves the values as they are.
        bias_axes: the output's letters that the bias has; None for no bias.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
        bias_constraint: of the weights.

    >>> import graphc
    >>> EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de")(graphc.Input((5, 4))).shape
    (None, 5, 2, 3)
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.equation = equation.replace(" ", "")
        if self.equation.count(",") != 1 or self.equation.count("->") != 1:
            raise ArgumentError(f"EinsumDense takes an equation such as 'abc,cd->abd', not {equation!r}")
        whole = [output_shape] if isinstance(output_shape, int) else list(output_shape)
        self.partial_output_shape = tuple(whole)
        self.activation, self.bias_axes = activations.get(activation), bias_axes
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Any) -> None:
        given, kernel, output = self._letters(len(input_shape))
        sizes = dict(zip(given, input_shape))
        told = self.partial_output_shape
        last = "->..." in self.equation
        for letter, size in zip(output[len(output) - len(told) :] if last else output[1:], told):
            if size is not None:
                sizes[letter] = size
        unknown = [c for c in kernel if sizes.get(c) is None]
        if unknown:
            raise ShapeError(
                f"{self}: {self.equation!r} does not tell the kernel's size along {unknown[0]!r}."
            )
        self.kernel = self._weight("kernel", [sizes[c] for c in kernel])
        self.bias = None
        if self.bias_axes:
            wrong = [c for c in self.bias_axes if c not in output]
            if wrong:
                raise ArgumentError(f"{self}: the output of {self.equation!r} has no axis {wrong[0]!r}.")
            tail = output[min(output.index(c) for c in self.bias_axes) :]
            self.bias = self._weight("bias", [sizes[c] if c in self.bias_axes else 1 for c in tail])

    def _letters(self, rank: int) -> tuple[str, str, str]:
        """The letters of input, kernel and output, with letters for an ellipsis."""
        terms, output = self.equation.split("->")
        given, kernel = terms.split(",")
        count = rank - len(given.replace("...", ""))
        if (count and "..." not in given) or count < 0:
            raise ShapeError(f"{self}: {self.equation!r} does not fit an input of {rank} axes.")
        free = "".join(c for c in ascii_letters if c not in self.equation)[:count]
        return given.replace("...", free), kernel, output.replace("...", free)

    def _weight(self, name: str, shape: list[int]) -> Any:
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
        )

    def call(self, inputs: Any) -> Any:
        given, kernel, output = self._letters(inputs.ndim)
        y = ops.einsum(f"{given},{kernel}->{output}", inputs, self.kernel)
        return self.activation(y if self.bias is None else y + self.bias)

    def get_config(self) -> dict[str, Any]:
        base = super().get_config()
        activity = base.pop("activity_regularizer", None)
        weights = {
            f"{name}_{kind}": module.serialize(getattr(self, f"{name}_{kind}"))
            for kind, module in KINDS.items()
            for name in ("kernel", "bias")
        }
        constrained = {n: weights.pop(n) for n in ("kernel_constraint", "bias_constraint")}
        return {
            **base,
            "output_shape": self.partial_output_shape,
            "equation": self.equation,
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            **weights,
            "activity_regularizer": activity,
            **constrained,
            "quantization_config": None,
        }
