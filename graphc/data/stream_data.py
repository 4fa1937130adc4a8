"""Batches that somebody else makes: generators, iterables of batches, `Sequence` objects."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from graphc.data.arrays import Slots
from graphc.data.batches import Batch, make_batch, unpack, with_class_weight
from graphc.data.sequence import PyDataset
from graphc.ir.errors import ArgumentError
from graphc.seeds import generator

_END = object()


class StreamData:
    """Batches from an iterable.

    Without `steps`, an epoch is all that the iterable gives. With them, it goes on from epoch to epoch, and
    begins again at its end if it can. `exhausted` tells, after an epoch, that there is nothing left.

    Args:
        source: gives x, (x, y) or (x, y, sample_weight) per batch.
        inputs: the model's inputs.
        outputs: the model's outputs.
        steps: batches per epoch; None for all that come.
        class_weight: class number -> weight.
        shuffle: whether a `Sequence` gives its batches in another order each epoch.
    """

    def __init__(
        self,
        source: Iterable[Any],
        inputs: Slots = None,
        outputs: Slots = None,
        steps: int | None = None,
        class_weight: Mapping[int, float] | None = None,
        shuffle: bool | str = False,
    ) -> None:
        self.source, self.inputs, self.outputs = source, inputs, outputs
        self.class_weight = class_weight
        self.samples = None
        self.exhausted = False
        self._limit = steps
        self.steps = steps if steps is not None else _length(source)
        # Keras's image iterators can be asked for the next batch and begin again all the same.
        self._once_only = hasattr(source, "__next__") and not isinstance(source, PyDataset)
        self._random = generator() if shuffle and isinstance(source, PyDataset) else None
        self._running: Generator[Any, None, None] | None = None
        self._before, self._past = self._state(), 0
        self._begun = False

    def epoch(self) -> Iterator[Batch]:
        """The batches of one epoch.

        Raises:
            ArgumentError: there is no batch at all, or a batch is not what the model takes.
        """
        count, whole = 0, False
        try:
            while self._limit is None or count < self._limit:
                item = self._next()
                if item is _END:
                    break
                count += 1
                yield self._batch(item)
            whole = True
        finally:
            # An epoch that was left early or failed must not leave threads behind.
            if not (whole and self._limit is not None):
                self.restart()
        self._begun = self._begun or count > 0
        if not self._begun:
            raise ArgumentError(f"the {type(self.source).__name__} gave no batch")
        short = self._limit is not None and count < self._limit
        self.exhausted = short or (self._limit is None and self._once_only)
        if short:
            warnings.warn(f"the data ended after {count} of {self._limit} steps of an epoch", stacklevel=2)

    def position(self) -> dict[str, Any]:
        """Where the next epoch begins, as JSON can hold it: the random state from which the order of the
        batches follows, and how many of them are past.
        """
        return {**(self._before if self._past else self._state()), "past": self._past}

    def go_to(self, position: Mapping[str, Any]) -> None:
        """Go on where `position` was taken, of a source that gives the same; batches that are past are read
        again.
        """
        if self._random is not None:
            self._random.bit_generator.state = position["random"]
        if isinstance(self.source, PyDataset):
            self.source.restore_reading(position["source"])
        for _ in range(int(position["past"])):
            self._next()
        self._begun = self._begun or position["past"] > 0

    def _state(self) -> dict[str, Any]:
        return {
            "random": None if self._random is None else self._random.bit_generator.state,
            "source": self.source.reading_state() if isinstance(self.source, PyDataset) else None,
        }

    def _next(self) -> Any:
        """The next item; with a number of steps, data that can begin again does so at their end."""
        if self._running is not None:
            item = next(self._running, _END)
            if item is not _END or self._limit is None or self._once_only:
                self._past += item is not _END
                return item
        self._before, self._past = self._state(), 1
        self._running = _start(self.source, self._random)
        return next(self._running, _END)

    def restart(self) -> None:
        """Let the next epoch begin anew, if the source can, and end the threads that read ahead."""
        if self._once_only:
            return
        if self._running is not None:
            self._running.close()
        self._running, self._past = None, 0

    def _batch(self, item: Any) -> Batch:
        batch = make_batch(*unpack(item), self.inputs, self.outputs)
        return with_class_weight(batch, self.class_weight)


def _start(source: Any, random: np.random.Generator | None) -> Generator[Any, None, None]:
    """One pass over the source. A function of its own, so that a pass that was not finished, with its
    threads, ends where nobody needs the data any more.
    """
    if not isinstance(source, PyDataset):
        # An object with only __getitem__ need not raise IndexError at its end, as Python's own loop expects.
        yield from source if hasattr(source, "__iter__") else map(source.__getitem__, range(len(source)))
        return
    source.on_epoch_begin()
    order = range(len(source)) if random is None else random.permutation(len(source)).tolist()
    yield from source.read(order)
    source.on_epoch_end()


def _length(source: Any) -> int | None:
    """How many batches there are, where that is known."""
    try:
        return len(source)
    except TypeError:
        return None
