"""The way from the arguments of `fit`, `evaluate` and `predict` to a source of batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any, Protocol

from graphc.data.array_data import ArrayData
from graphc.data.arrays import Slots, is_arrays
from graphc.data.batches import Batch, make_batch, unpack
from graphc.data.sequence import PyDataset
from graphc.data.stream_data import StreamData
from graphc.ir.errors import ArgumentError


class Data(Protocol):
    """A source of batches."""

    @property
    def steps(self) -> int | None:
        """Batches per epoch, where that is known."""

    @property
    def samples(self) -> int | None:
        """Samples in all, where that is known."""

    @property
    def exhausted(self) -> bool:
        """Whether the data ended, so that there is no further epoch."""
        ...

    def epoch(self) -> Iterator[Batch]:
        """The batches of one epoch; a batch is valid until the one after the next is made."""
        ...

    def restart(self) -> None:
        """Let the next epoch begin with the first batch, if that can be had again."""
        ...

    def position(self) -> dict[str, Any]:
        """Where the next epoch begins, as JSON can hold it."""
        ...

    def go_to(self, position: Mapping[str, Any]) -> None:
        """Go on where `position` was taken."""
        ...


def open_data(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    inputs: Slots = None,
    outputs: Slots = None,
    batch_size: int | None = None,
    shuffle: bool | str = False,
    steps: int | None = None,
    class_weight: Mapping[int, float] | None = None,
) -> ArrayData | StreamData:
    """A source of batches for what the user gave.

    Args:
        x: an array, a list or dict of arrays, a generator, an iterable of batches, or a `Sequence`.
        y: targets, for arrays only.
        sample_weight: weights per sample, for arrays only.
        inputs: the model's inputs; None takes what comes.
        outputs: the model's outputs; None takes what comes.
        batch_size: samples per batch, 32 when None; for arrays only.
        shuffle: a new order each epoch; for arrays and `Sequence` objects.
        steps: batches per epoch.
        class_weight: class number -> weight.

    Raises:
        ArgumentError, DTypeError, ShapeError: what was given does not fit, and how.

    >>> import numpy as np
    >>> data = open_data(np.arange(10.0).reshape(5, 2), np.arange(5), batch_size=2)
    >>> [batch.y[0].tolist() for batch in data.epoch()]
    [[0, 1], [2, 3], [4]]
    """
    for value, name in ((batch_size, "batch_size"), (steps, "steps_per_epoch")):
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ArgumentError(f"{name} should be a positive whole number, not {value!r}")
    if class_weight is not None:
        _check_weights(class_weight)
    if x is None or is_arrays(x):
        arrays = make_batch(x, y, sample_weight, inputs, outputs)
        return ArrayData(arrays, batch_size or 32, shuffle, steps, class_weight)
    if y is not None or sample_weight is not None:
        name = "y" if y is not None else "sample_weight"
        raise ArgumentError(f"{name} belongs into the batches when x is a {type(x).__name__}")
    if not isinstance(x, PyDataset) and not (hasattr(x, "__iter__") or hasattr(x, "__getitem__")):
        raise ArgumentError(f"x is a {type(x).__name__}, where arrays or batches of arrays were meant")
    return StreamData(x, inputs, outputs, steps, class_weight, shuffle)


def _check_weights(class_weight: Any) -> None:
    named = isinstance(class_weight, Mapping)
    if not named or not all(isinstance(n, Real) for pair in class_weight.items() for n in pair):
        raise ArgumentError(
            f"class_weight should be a dict of class numbers and weights, not {class_weight!r}"
        )


def open_validation(
    data: Any,
    *,
    inputs: Slots = None,
    outputs: Slots = None,
    batch_size: int | None = None,
    steps: int | None = None,
) -> ArrayData | StreamData:
    """A source of batches for `validation_data`: `(x, y)`, `(x, y, sample_weight)`, or batches.

    Raises:
        ArgumentError, DTypeError, ShapeError: what was given does not fit, and how.
    """
    x, y, weight = unpack(data)
    return open_data(x, y, weight, inputs=inputs, outputs=outputs, batch_size=batch_size, steps=steps)
