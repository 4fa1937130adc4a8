"""Batches of images that are made when they are asked for, some of them ahead of time by a thread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from graphc.backend import floatx
from graphc.data.encoding import to_categorical
from graphc.data.sequence import PyDataset, read_ahead
from graphc.images.pillow import choice
from graphc.ir.errors import ArgumentError
from graphc.seeds import fresh_seed

ORDER, CHANGE = 0, 1


class Epoch(NamedTuple):
    """What an epoch is: its number, and the order of the samples in it."""

    number: int
    order: np.ndarray


class ImageBatches(PyDataset):
    """Batches by number over samples by number, in an order of its own each epoch.

    Order and contents follow from the seed, the number of the epoch and the number of the batch alone: never
    from when a thread was ready.

    Args:
        samples: how many there are.
        batch_size: samples per batch; the last batch has what remains.
        shuffle: a new order each epoch.
        seed: None is a fresh one, which `utils.set_random_seed` determines.
        workers: threads that make batches; one is enough unless a step takes less time than its images.
        max_queue_size: batches ready or in the making at most.

    Raises:
        ArgumentError: a batch size or a number of threads that is not positive, a negative seed.
    """

    def __init__(
        self,
        samples: int,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        workers: int = 1,
        max_queue_size: int = 4,
    ) -> None:
        for value, what in ((batch_size, "batch_size"), (workers, "workers")):
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise ArgumentError(f"{what} should be a positive whole number, not {value!r}")
        if seed is not None and (not isinstance(seed, (int, np.integer)) or seed < 0):
            raise ArgumentError(f"seed should be a whole number from 0 on, not {seed!r}")
        super().__init__(workers, max_queue_size=max_queue_size)
        self.samples, self.batch_size, self.shuffle = samples, int(batch_size), shuffle
        self.seed = fresh_seed() if seed is None else int(seed)
        self._epoch = self._plan(0)
        self._begun = False

    def __len__(self) -> int:
        return math.ceil(self.samples / self.batch_size)

    def __getitem__(self, index: int) -> Any:
        """Batch `index` of the epoch that was begun last."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} batches, so none has the number {index}")
        return self._batch(self._epoch, index % len(self))

    def __iter__(self) -> Iterator[Any]:
        """The batches of one further epoch."""
        self.on_epoch_begin()
        yield from self.read(range(len(self)))
        self.on_epoch_end()

    def on_epoch_begin(self) -> None:
        """Go on to the next epoch's order."""
        self._epoch = self._plan(self._epoch.number + 1 if self._begun else 0)
        self._begun = True

    def reading_state(self) -> dict[str, int]:
        """The seed, and the number of the epoch that was begun last, or -1: all that is random follows."""
        return {"seed": self.seed, "epoch": self._epoch.number if self._begun else -1}

    def restore_reading(self, state: Mapping[str, int]) -> None:
        """Go on as where `reading_state` was taken, of the same images."""
        self.seed, self._begun = int(state["seed"]), state["epoch"] >= 0
        self._epoch = self._plan(max(int(state["epoch"]), 0))

    def read(self, order: Iterable[int]) -> Iterator[Any]:
        """The batches of these numbers, in this order, made ahead of time by `workers` threads."""
        # Bound to this epoch: another pass over the same images may begin while this one is under way.
        return read_ahead(partial(self._batch, self._epoch), order, self.workers, self.max_queue_size)

    def make(self, rows: np.ndarray, random: np.random.Generator) -> Any:
        """The batch of these samples; random numbers come from `random` only."""
        raise TypeError(f"{type(self).__name__} does not define make")

    def _plan(self, number: int) -> Epoch:
        if not self.shuffle:
            return Epoch(number, np.arange(self.samples))
        random = np.random.default_rng((self.seed, ORDER, number))
        return Epoch(number, random.permutation(self.samples))

    def _batch(self, epoch: Epoch, index: int) -> Any:
        rows = epoch.order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.make(rows, np.random.default_rng((self.seed, CHANGE, epoch.number, index)))


def _int(labels: np.ndarray, classes: int) -> np.ndarray:
    return labels.astype(np.int32)


def _binary(labels: np.ndarray, classes: int) -> np.ndarray:
    return labels.astype(floatx())[:, None]


def _categorical(labels: np.ndarray, classes: int) -> np.ndarray:
    return to_categorical(labels, classes).astype(floatx())


Encoding = Callable[[np.ndarray, int], np.ndarray]
ENCODINGS: dict[str, Encoding] = {"int": _int, "binary": _binary, "categorical": _categorical}


def encode(labels: np.ndarray, mode: str, classes: int) -> np.ndarray:
    """Class numbers as targets: "int" i32 (n,), "binary" floats (n, 1), "categorical" floats (n, classes).

    Raises:
        ArgumentError: another mode, or "binary" with other than two classes.

    >>> encode(np.array([1, 0]), "binary", 2).tolist()
    [[1.0], [0.0]]
    """
    encoding = ENCODINGS[choice(mode, ENCODINGS, "label_mode")]
    if mode == "binary" and classes != 2:
        raise ArgumentError(f"binary labels need two classes, but there are {classes}")
    return encoding(labels, classes)
