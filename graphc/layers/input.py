"""`InputLayer`: where arrays enter a model."""

from __future__ import annotations

from typing import Any

from graphc.backend import floatx
from graphc.functional import Call
from graphc.ir.errors import ArgumentError
from graphc.ir.types import dtype_of
from graphc.layers.configuration import sizes_of
from graphc.layers.layer import Layer
from graphc.layers.recording import symbolic_type
from graphc.naming import unique_name
from graphc.tensor import Tensor


class InputLayer(Layer):
    """The layer behind `Input`; see there. Its `output` is the tensor."""

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        batch_shape: Any = None,
        name: str | None = None,
        ragged: bool | None = None,
        optional: bool = False,
        **kwargs: Any,
    ) -> None:
        legacy = {
            k: kwargs.pop(k) for k in ("input_shape", "batch_input_shape", "input_dtype") if k in kwargs
        }
        shape = legacy.get("input_shape", shape)
        batch_shape = legacy.get("batch_input_shape", batch_shape)
        if shape is None and batch_shape is None:
            raise ArgumentError("an Input needs a shape: Input(shape=(28, 28, 1)), without the batch size.")
        if shape is not None and batch_shape is not None:
            raise ArgumentError("give an Input either shape= or batch_shape=, not both.")
        if batch_shape is None:
            batch_shape = (*sizes_of("batch_size", batch_size), *sizes_of("shape", shape))
        super().__init__(name=name or unique_name("input_layer"), **kwargs)
        wanted = dtype_of(dtype or legacy.get("input_dtype") or floatx())
        self.__dict__["_dtype"] = wanted.numpy.name
        self.batch_shape = sizes_of("batch_shape", batch_shape)
        self.sparse, self.ragged, self.optional = bool(sparse), bool(ragged), optional
        self.built = True
        call = Call(self, (), {}, self.created_at, 0)
        call.outputs = Tensor(symbolic_type(self.batch_shape, wanted), name=self.name, history=(call, 0))
        self._state.calls.append(call)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise ArgumentError(f"{self} is an input: it is not called; use its output.")

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": list(self.batch_shape),
            "dtype": self.dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }
