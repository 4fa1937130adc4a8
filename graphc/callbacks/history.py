"""The record of a training run, which `fit` returns."""

from __future__ import annotations

from typing import Any

from graphc.callbacks.callback import Callback, Logs


class History(Callback):
    """Records each epoch's metrics.

    Attributes:
        history: name of a metric -> its value after each epoch.
        epoch: the numbers of the epochs, from 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
