"""A batch, or a whole data set, from inputs, targets, sample weights and class weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from graphc.backend import floatx
from graphc.data.arrays import Slot, Slots, check_lengths, is_array, to_arrays
from graphc.ir.errors import ArgumentError


class Batch(NamedTuple):
    """Samples for one step.

    Attributes:
        x: one C-contiguous array per input.
        y: one per output; empty when there are no targets.
        weights: one per output, or None where an output's samples weigh the same; None when all do.
    """

    x: list[np.ndarray]
    y: list[np.ndarray]
    weights: list[np.ndarray | None] | None

    @property
    def size(self) -> int:
        """How many samples the batch has."""
        return len(self.x[0])


def make_batch(
    x: Any,
    y: Any,
    weight: Any,
    inputs: Slots,
    outputs: Slots,
) -> Batch:
    """Checked and cast arrays: of a batch, or of a whole data set.

    Args:
        x: inputs; an array, or a list or dict of arrays.
        y: targets, likewise, or None.
        weight: sample weights, likewise, or None.
        inputs: the model's inputs.
        outputs: the model's outputs.

    Raises:
        ArgumentError, DTypeError, ShapeError: what was given does not fit, and how.
    """
    xs = to_arrays(x, inputs, "x")
    if not xs:
        raise ArgumentError("x is None: there are no inputs")
    ys = to_arrays(y, outputs, "y")
    weights = _weights(weight, outputs, len(ys))
    parts = {"x": xs, "y": ys, "sample_weight": [w for w in weights or [] if w is not None]}
    check_lengths({name: len(arrays[0]) for name, arrays in parts.items() if arrays})
    return Batch(xs, ys, weights)


def _weights(weight: Any, outputs: Slots, targets: int) -> list[Any] | None:
    """Sample weights per output; a dict or list may leave outputs out with None."""
    if weight is None:
        return None
    names = [slot.name for slot in outputs] if outputs else [str(i) for i in range(max(1, targets))]
    slots = [Slot(name, floatx()) for name in names]
    if isinstance(weight, Mapping):
        weight = [weight.get(name) for name in names]
    if isinstance(weight, (list, tuple)) and any(item is None or is_array(item) for item in weight):
        if len(weight) != len(slots):
            raise ArgumentError(f"sample_weight has {len(weight)} entries for {len(slots)} outputs")
        return [
            None if item is None else to_arrays(item, [slot], "sample_weight")[0]
            for item, slot in zip(weight, slots)
        ]
    return to_arrays(weight, slots, "sample_weight")


def unpack(item: Any) -> tuple[Any, Any, Any]:
    """x, y and the sample weights of what a generator gave: x alone, or a tuple or list of up to three.

    Raises:
        ArgumentError: more than three parts.

    >>> unpack(("x", "y")), unpack(["x"]), unpack({"a": 1})
    (('x', 'y', None), ('x', None, None), ({'a': 1}, None, None))
    """
    if not isinstance(item, (tuple, list)):
        return item, None, None
    if not 1 <= len(item) <= 3:
        raise ArgumentError(f"a batch is x, (x, y) or (x, y, sample_weight), not {len(item)} parts")
    x, y, weight = (*item, None, None)[:3]
    return x, y, weight


def with_class_weight(batch: Batch, class_weight: Mapping[int, float] | None) -> Batch:
    """The batch with its sample weights multiplied by the weight of each sample's class.

    Raises:
        ArgumentError: several outputs, or targets that are not one class per sample.
    """
    if class_weight is None:
        return batch
    by_class = to_sample_weights(class_weight, batch.y)
    given = batch.weights[0] if batch.weights else None
    if given is not None:
        by_class = given * by_class.reshape(by_class.shape + (1,) * (given.ndim - 1))
    return batch._replace(weights=[by_class])


def to_sample_weights(class_weight: Mapping[int, float], y: list[np.ndarray]) -> np.ndarray:
    """The weight of each sample: that of its class, and 1 for a class that is not named.

    Args:
        class_weight: class number -> weight.
        y: the targets: one array of class numbers, (n,) or (n, 1), or of one row per class, (n, classes).

    Raises:
        ArgumentError: several outputs, targets of more axes, or class numbers that are not whole.

    >>> to_sample_weights({0: 1.0, 1: 3.0}, [np.array([0, 1, 1, 2])]).tolist()
    [1.0, 3.0, 3.0, 1.0]
    """
    if len(y) != 1:
        raise ArgumentError(f"class_weight needs one output, but there are targets for {len(y)}")
    labels = _labels(y[0])
    weights = np.ones(labels.shape, floatx())
    for label, weight in class_weight.items():
        weights[labels == label] = weight
    return weights


def _labels(y: np.ndarray) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] > 1:
        return y.argmax(axis=1)
    if y.ndim > 2:
        raise ArgumentError(f"class_weight needs one class per sample, but the targets have shape {y.shape}")
    labels = y.reshape(-1)
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels)):
        raise ArgumentError("class_weight needs class numbers as targets, but some are not whole")
    return labels
