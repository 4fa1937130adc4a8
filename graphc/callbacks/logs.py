"""Callbacks that write the logs to a file, or look through them for trouble."""

from __future__ import annotations

import csv
import math
import os
from typing import Any

from graphc.callbacks.callback import Callback, Logs
from graphc.ir.errors import NumericsError


class CSVLogger(Callback):
    """Writes each epoch's metrics as a line of a CSV file, so that it is whole after each epoch.

    Args:
        filename: where to; its folder must be there.
        separator: between the columns.
        append: go on with a file that is there, and write the header only at its beginning.

    The columns are "epoch" and the first epoch's metrics in alphabetical order, and those of validation
    beside them if they have not come yet; a value that an epoch does not have is "NA".
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        self._columns: list[str] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        self._columns = []
        # An unusable path is told now, and not after the first epoch.
        open(self.filename, "a" if self.append else "w").close()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        known: dict[str, Any] = logs or {}
        self._columns = self._columns or _columns(known)
        with open(self.filename, "a", newline="") as file:
            writer = csv.writer(file, delimiter=self.separator)
            if file.tell() == 0:
                writer.writerow(["epoch", *self._columns])
            writer.writerow([epoch, *(known.get(name, "NA") for name in self._columns)])


def _columns(logs: dict[str, Any]) -> list[str]:
    names = sorted(logs)
    if any(name.startswith("val_") for name in names):
        return names
    return names + [f"val_{name}" for name in names]


class TerminateOnNaN(Callback):
    """Stops training after a step whose loss is NaN or infinite.

    Args:
        raise_error: raise instead of stopping quietly.

    Raises:
        NumericsError: the loss is NaN or infinite, and `raise_error` is set.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if math.isfinite(loss):
            return
        if self.raise_error:
            raise NumericsError(f"the loss of batch {batch} is {loss}")
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
