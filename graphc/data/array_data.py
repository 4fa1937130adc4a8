"""Arrays in memory: batches, shuffling, and splitting off the samples to validate with."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from graphc.data.batches import Batch, with_class_weight
from graphc.ir.errors import ArgumentError
from graphc.seeds import generator
from graphc.variable import aligned


class ArrayData:
    """Batches of arrays that lie in memory.

    Without shuffling, batches are views of the arrays. With it, each epoch has a new order, and rows are
    gathered into two buffers in turn: a batch stays valid while the next one is made, and no longer.

    Args:
        arrays: all samples, as one batch.
        batch_size: samples per batch; the last batch has what remains.
        shuffle: True for a new order of the samples each epoch, "batch" for a new order of the batches only.
        steps: batches per epoch, going on from epoch to epoch; None for all samples once. As in Keras 3, an
            epoch ends where the data do, and the next one begins them anew.
        class_weight: class number -> weight.
    """

    exhausted = False

    def __init__(
        self,
        arrays: Batch,
        batch_size: int = 32,
        shuffle: bool | str = False,
        steps: int | None = None,
        class_weight: Mapping[int, float] | None = None,
    ) -> None:
        if isinstance(shuffle, str) and shuffle != "batch":
            raise ArgumentError(f"shuffle should be True, False or 'batch', not {shuffle!r}")
        self.arrays = with_class_weight(arrays, class_weight)
        self._given, self._class_weight = arrays, class_weight
        self.batch_size, self.shuffle = batch_size, shuffle
        self.samples = arrays.size
        self.steps = steps or math.ceil(self.samples / batch_size)
        self._endless = steps is not None
        self._random = generator() if shuffle else None
        self._running: Iterator[Batch] | None = None
        self._before, self._past = self._state(), 0
        self._buffers: list[Batch] = []

    def epoch(self) -> Iterator[Batch]:
        """The batches of one epoch."""
        if not self._endless:
            yield from self._once()
            return
        for number in range(1, self.steps + 1):
            if self._running is None:
                self._before = self._state()
                self._running = self._once()
            self._past += 1
            yield next(self._running)
            if self._past * self.batch_size >= self.samples:
                self.restart()
                if number < self.steps:
                    warnings.warn(
                        f"the data ended after {number} of {self.steps} steps of an epoch", stacklevel=2
                    )
                return

    def restart(self) -> None:
        """Let the next epoch begin with the first batch."""
        self._running, self._past = None, 0

    def position(self) -> dict[str, Any]:
        """Where the next epoch begins, as JSON can hold it: the random state from which the order of the
        samples follows, and how many batches of that order are past.
        """
        return {"random": self._before if self._past else self._state(), "past": self._past}

    def go_to(self, position: Mapping[str, Any]) -> None:
        """Go on where `position` was taken, of data like these."""
        if self._random is not None:
            self._random.bit_generator.state = position["random"]
        if position["past"]:
            self._before, self._past = self._state(), int(position["past"])
            self._running = self._once()
            for _ in range(self._past):
                next(self._running, None)

    def _state(self) -> Any:
        return None if self._random is None else self._random.bit_generator.state

    def split(self, fraction: float) -> tuple[ArrayData, ArrayData]:
        """Two views: the first samples, to train with, and the last `fraction`, to validate with, in order.

        Raises:
            ArgumentError: `fraction` is not between 0 and 1, or one part would be empty.
        """
        if not 0 < fraction < 1:
            raise ArgumentError(f"validation_split should be between 0 and 1, not {fraction!r}")
        at = math.floor(self.samples * (1 - fraction))
        if at in (0, self.samples):
            raise ArgumentError(
                f"validation_split={fraction} of {self.samples} samples leaves one part without any"
            )
        steps = self.steps if self._endless else None
        first, last = _rows(self._given, slice(0, at)), _rows(self._given, slice(at, None))
        # Class weights are for training: they do not change what validation measures.
        training = ArrayData(first, self.batch_size, self.shuffle, steps, self._class_weight)
        return training, ArrayData(last, self.batch_size)

    def _part(self, start: int) -> Batch:
        return _rows(self.arrays, slice(start, start + self.batch_size))

    def _once(self) -> Iterator[Batch]:
        """All samples once, in this epoch's order."""
        starts = range(0, self.samples, self.batch_size)
        if self._random is None:
            return map(self._part, starts)
        if self.shuffle == "batch":
            return (self._part(starts[i]) for i in self._random.permutation(len(starts)))
        return self._gathered(starts)

    def _gathered(self, starts: range) -> Iterator[Batch]:
        assert self._random is not None
        order = self._random.permutation(self.samples)
        if not self._buffers:
            size = min(self.batch_size, self.samples)
            self._buffers = [
                _map(lambda a: aligned((size, *a.shape[1:]), a.dtype), self.arrays) for _ in "ab"
            ]
        for number, start in enumerate(starts):
            rows = order[start : start + self.batch_size]
            yield _map(partial(_take, rows), self.arrays, self._buffers[number % 2])


def _take(rows: np.ndarray, array: np.ndarray, buffer: np.ndarray) -> np.ndarray:
    # mode="clip" writes straight into the buffer; "raise" would gather into a temporary array first.
    return np.take(array, rows, axis=0, out=buffer[: len(rows)], mode="clip")


def _rows(batch: Batch, rows: slice) -> Batch:
    return _map(lambda array: array[rows], batch)


def _map(change: Callable[..., np.ndarray], *batches: Batch) -> Batch:
    """A batch of what `change` makes of each array, or of the arrays of several batches side by side."""
    weights = None
    if batches[0].weights is not None:
        columns = zip(*(batch.weights or [] for batch in batches))
        weights = [None if column[0] is None else change(*column) for column in columns]
    x = [change(*column) for column in zip(*(batch.x for batch in batches))]
    y = [change(*column) for column in zip(*(batch.y for batch in batches))]
    return Batch(x, y, weights)
