"""Embedding and Masking: where masks begin."""

from __future__ import annotations

from typing import Any

from graphc import constraints, initializers, ops, regularizers
from graphc.ir.errors import ArgumentError
from graphc.layers.configuration import is_whole
from graphc.layers.layer import Layer


class Embedding(Layer):
    """The row of a table for each index.

    Args:
        input_dim: the number of rows; an index out of range fails when the model runs.
        output_dim: the length of a row.
        mask_zero: whether index 0 means "no value here": the output gets a mask.
        weights: initial values of the table, as an array or a list with one.

    Weights: `embeddings` of shape (input_dim, output_dim).

    >>> import graphc
    >>> Embedding(100, 8)(graphc.Input((5,), dtype="int32")).shape
    (None, 5, 8)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        if quantization_config is not None:
            raise ArgumentError("Embedding can't be quantised: quantization_config must be None")
        length = kwargs.pop("input_length", None)
        if length is not None and "input_shape" not in kwargs:
            kwargs["input_shape"] = (length,)
        super().__init__(**kwargs)
        for what, size in (("input_dim", input_dim), ("output_dim", output_dim)):
            if not is_whole(size) or size <= 0:
                raise ArgumentError(f"Embedding: {what} must be a whole number above 0, not {size!r}")
        self.input_dim, self.output_dim = int(input_dim), int(output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.autocast = False
        self._given = weights
        self.input_dtype = "int32"

    def build(self, input_shape: Any = None) -> None:
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        if self._given is not None:
            given = self._given[0] if isinstance(self._given, (list, tuple)) else self._given
            self.embeddings.array[...] = given

    def call(self, inputs: Any) -> Any:
        if inputs.dtype.kind not in "iu":
            inputs = ops.cast(inputs, "int32")
        return ops.take(self.embeddings, inputs, axis=0)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }


class Masking(Layer):
    """Steps whose features all equal `mask_value` are masked, and set to zero."""

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        valid = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return inputs * ops.cast(valid, inputs.dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
