"""The base class for data sets that make one batch at a time: Keras 2's `Sequence`, Keras 3's `PyDataset`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class PyDataset:
    """Batches by number; subclass it and define `__len__` and `__getitem__`.

    Args:
        workers: with more than one, batches are read ahead by that many threads.
        use_multiprocessing: accepted for Keras's sake; threads read ahead all the same, as they need not copy
            batches between processes, and NumPy lets them run side by side.
        max_queue_size: how many batches are read ahead at most.

    >>> import numpy as np
    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, index):
    ...         return np.full((2, 1), index), np.full((2, 1), index**2)
    >>> [y.tolist() for x, y in Squares().read([0, 2])]
    [[[0], [0]], [[4], [4]]]
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers, self.max_queue_size = workers, max_queue_size
        self.use_multiprocessing = use_multiprocessing

    def __getitem__(self, index: int) -> Any:
        """Batch `index`: `(x, y)` or `(x, y, sample_weight)`."""
        raise TypeError(f"{type(self).__name__} does not define __getitem__")

    def __len__(self) -> int:
        """The number of batches."""
        raise TypeError(f"{type(self).__name__} does not define __len__")

    @property
    def num_batches(self) -> int:
        """The number of batches of an epoch."""
        return len(self)

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""

    def reading_state(self) -> Any:
        """What the epochs that follow depend on besides the numbers of the batches, as JSON can hold it."""
        return None

    def restore_reading(self, state: Any) -> None:
        """Go on as where `reading_state` was taken."""

    def read(self, order: Iterable[int]) -> Iterator[Any]:
        """The batches of these numbers, in this order."""
        # A subclass need not have called __init__, as in Keras 2.
        workers = getattr(self, "workers", 1)
        if workers < 2:
            return (self[index] for index in order)
        return read_ahead(self.__getitem__, order, workers, self.max_queue_size)


def read_ahead(get: Callable[[int], Any], order: Iterable[int], threads: int, ahead: int) -> Iterator[Any]:
    """`get(index)` for each index in order, computed by threads while the caller works on earlier ones.

    Args:
        get: gives an item; what it raises is raised here, at the item's place in the order.
        order: of the items.
        threads: how many; they end with the iterator, also when it is closed early.
        ahead: how many items are ready or in the making at most.

    >>> list(read_ahead(str, range(3), threads=2, ahead=2))
    ['0', '1', '2']
    """
    pending: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="graphc-read") as pool:
        try:
            for index in order:
                pending.append(pool.submit(get, index))
                if len(pending) >= max(threads, ahead):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


Sequence = PyDataset
