"""Saving the model, or its weights, while it is trained."""

from __future__ import annotations

import os
from typing import Any

from graphc.callbacks.callback import Logs
from graphc.callbacks.monitor import MonitorCallback
from graphc.ir.errors import ArgumentError

MODEL_ENDINGS = (".keras",)
WEIGHT_ENDINGS = (".weights.h5", ".npz", ".safetensors")


class ModelCheckpoint(MonitorCallback):
    """Saves the model after each epoch, or after every so many batches.

    Args:
        filepath: where to; "{epoch}", "{batch}" (from 1) and metrics are filled in, as in
            "m-{epoch:02d}-{val_loss:.2f}.keras".
        monitor: the metric, as it is called in the logs.
        verbose: 1 to print each saving.
        save_best_only: save only when the metric is better than ever before.
        save_weights_only: save weights (".weights.h5", ".npz", ".safetensors"), not the model (".keras").
        mode: "min", "max", or "auto" to tell from the metric's name.
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: with `save_best_only`, the value that the first one must be better than.

    Raises:
        ArgumentError: the path's ending does not fit, or `save_freq` is neither; while training, `filepath`
            asks for a metric that is not there.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = os.fspath(filepath)
        endings = WEIGHT_ENDINGS if save_weights_only else MODEL_ENDINGS
        if not self.filepath.endswith(endings):
            what = "the weights" if save_weights_only else "a model"
            raise ArgumentError(
                f"the path to save {what} to should end in {' or '.join(endings)}: {self.filepath!r}"
            )
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ArgumentError(f"save_freq should be 'epoch' or a number of batches, not {save_freq!r}")
        self.verbose, self.save_best_only, self.save_weights_only = verbose, save_best_only, save_weights_only
        self.save_freq, self.best = save_freq, initial_value_threshold
        self._epoch = self._batches = 0
        if save_freq != "epoch":
            # A hook of this object only, so that saving by epoch costs nothing per batch.
            vars(self)["on_train_batch_end"] = self._after_batch

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save(logs)

    def _after_batch(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if self._batches >= int(self.save_freq):
            self._batches = 0
            self._save(logs, batch)

    def _save(self, logs: Logs, batch: int | None = None) -> None:
        path = self._path(logs, batch)
        told = f"saving model to {path}"
        if self.save_best_only:
            value = self.current(logs)
            if value is None:
                return
            if not self.improves(value, self.best):
                self._say(f"{self.monitor} did not improve from {_shown(self.best)}")
                return
            told = f"{self.monitor} improved from {_shown(self.best)} to {_shown(value)}, {told}"
            self.best = value
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(path)
        self._say(told)

    def _path(self, logs: Logs, batch: int | None) -> str:
        known: dict[str, Any] = {**(logs or {}), "epoch": self._epoch + 1}
        if batch is not None:
            known["batch"] = batch + 1
        try:
            return self.filepath.format(**known)
        except KeyError as error:
            raise ArgumentError(
                f"{self.filepath!r} asks for {error}, but there are: {', '.join(known)}"
            ) from error

    def _say(self, text: str) -> None:
        if self.verbose:
            print(f"\nEpoch {self._epoch + 1}: {text}")


def _shown(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.5f}"
