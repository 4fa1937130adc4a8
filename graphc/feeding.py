"""What a model is trained on and applied to: arrays as checked batches, anything else as a source of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.data import ArrayData, Batch, Data, Slot, open_data, open_validation
from graphc.data.batches import make_batch
from graphc.ir.errors import ArgumentError


class Feeding:
    """The part of `Model` that takes data."""

    _unchanged: tuple[Any, ...] | None = None

    def _slots(self) -> tuple[Sequence[Slot] | None, Sequence[Slot] | None]:
        """Names and element types of inputs and outputs; None where the model is not built."""
        if not getattr(self, "inputs", None):
            return None, None
        declared = self.has_own_inputs  # type: ignore[attr-defined]
        inputs = [
            Slot(name, str(t.dtype), tuple(t.shape) if declared else None)
            for name, t in zip(self.input_names, self.inputs)  # type: ignore[attr-defined]
        ]
        return inputs, [Slot(n) for n in self.output_names]  # type: ignore[attr-defined]

    def make_batch(self, x: Any, y: Any = None, sample_weight: Any = None) -> Batch:
        """One batch of checked arrays, cast to the model's element types."""
        if sample_weight is None and self._passes(x, y):
            return Batch([x], [y], None)
        inputs, outputs = self._slots()
        batch = make_batch(x, y, sample_weight, inputs, outputs)
        if len(batch.x) == len(batch.y) == 1 and batch.x[0] is x and batch.y[0] is y and inputs is not None:
            self._unchanged = (x.dtype, x.ndim, y.dtype, y.ndim)
        return batch

    def _passes(self, x: Any, y: Any) -> bool:
        """Whether these are arrays like those that passed unchanged: a check costs more than a step."""
        if not (type(x) is type(y) is np.ndarray):
            return False
        seen = self._unchanged == (x.dtype, x.ndim, y.dtype, y.ndim)
        return seen and 0 < len(x) == len(y) and _dense(x) and _dense(y)

    def _open(self, x: Any, y: Any = None, sample_weight: Any = None, **options: Any) -> Data:
        """A source of batches; a model that is not built yet is built for the shapes of arrays among them."""
        if not self.built and isinstance(x, dict) and x:  # type: ignore[attr-defined]
            self.arrange(x)  # type: ignore[attr-defined]
        inputs, outputs = self._slots()
        data = open_data(x, y, sample_weight, inputs=inputs, outputs=outputs, **options)
        if not self.built and isinstance(data, ArrayData):  # type: ignore[attr-defined]
            xs = data.arrays.x
            self.arrange(xs[0] if len(xs) == 1 else xs)  # type: ignore[attr-defined]
        return data

    def _open_validation(self, given: Any, batch_size: int | None, steps: int | None) -> Data:
        inputs, outputs = self._slots()
        return open_validation(given, inputs=inputs, outputs=outputs, batch_size=batch_size, steps=steps)


def _dense(array: np.ndarray) -> bool:
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def split(data: Data, fraction: float) -> tuple[Data, Data]:
    """The data without a last fraction, and that fraction."""
    if not isinstance(data, ArrayData):
        raise ArgumentError(
            "validation_split needs arrays; give validation_data with generators and iterables"
        )
    return data.split(fraction)
