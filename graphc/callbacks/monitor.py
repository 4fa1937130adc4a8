"""Callbacks that watch one metric: what counts as better, and stopping when nothing gets better any more."""

from __future__ import annotations

import math
import warnings

from graphc.callbacks.callback import Callback, Logs
from graphc.ir.errors import ArgumentError

LOWER_IS_BETTER = (
    *("loss", "error", "mse", "mae", "mape", "msle", "crossentropy", "divergence", "poisson", "hinge"),
    *("log_cosh", "huber", "false_positives", "false_negatives"),
)
HIGHER_IS_BETTER = (
    *("acc", "accuracy", "auc", "precision", "recall", "score", "iou", "io_u", "similarity"),
    *("specificity", "sensitivity", "true_positives", "true_negatives"),
)
"""How the names of metrics end of which a low, or a high, value is better."""


class MonitorCallback(Callback):
    """Base of the callbacks that watch one metric.

    Args:
        monitor: the metric, as it is called in the logs.
        mode: "min", "max", or "auto" to tell from the metric's name.
        min_delta: how much better a value must be to count as better.

    Raises:
        ArgumentError: no such mode; or, at the first epoch's end, the name does not tell the direction.
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0.0) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ArgumentError(f"mode should be 'auto', 'min' or 'max', not {mode!r}")
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)
        self.best: float | None = None

    def improves(self, value: float, reference: float | None) -> bool:
        """Whether `value` is better than `reference` by more than `min_delta`; NaN never is."""
        highest = self.direction == "max"
        if math.isnan(value):
            return False
        if reference is None or math.isnan(reference):
            return True
        gain = value - reference if highest else reference - value
        return gain > self.min_delta

    @property
    def direction(self) -> str:
        """ "min" or "max"."""
        if self.mode != "auto":
            return self.mode
        name = self.monitor.removeprefix("val_").lower().rstrip("_0123456789")
        for mode, endings in (("max", HIGHER_IS_BETTER), ("min", LOWER_IS_BETTER)):
            if name.endswith(endings):
                return mode
        raise ArgumentError(
            f"{type(self).__name__} cannot tell whether a high or a low '{self.monitor}' is better: "
            f"give mode='max' or mode='min'"
        )

    def current(self, logs: Logs) -> float | None:
        """The metric's value, or None with a warning where the logs do not have it."""
        known = logs or {}
        if self.monitor not in known:
            names = ", ".join(known) or "none"
            warnings.warn(
                f"{type(self).__name__} watches '{self.monitor}', which is not there; there are: {names}",
                stacklevel=3,
            )
            return None
        return float(known[self.monitor])


class EarlyStopping(MonitorCallback):
    """Stops training when a metric has not become better for `patience` epochs.

    Args:
        monitor: the metric, as it is called in the logs.
        min_delta: how much better a value must be to count as better.
        patience: epochs without a better value after which training stops.
        verbose: 1 to print when it stops.
        mode: "min", "max", or "auto" to tell from the metric's name.
        baseline: a value to be better than; epochs that are not count against `patience`.
        restore_best_weights: whether the model gets the best epoch's weights at the end.
        start_from_epoch: epochs before this one are not looked at.

    >>> import graphc
    >>> import numpy as np
    >>> from graphc.layers import Dense
    >>> model = graphc.Sequential([graphc.Input((2,)), Dense(1)])
    >>> model.compile(graphc.optimizers.SGD(0.0), "mse", backend="reference")
    >>> stop = EarlyStopping(monitor="loss", patience=2)
    >>> history = model.fit(np.ones((4, 2)), np.zeros(4), epochs=9, callbacks=[stop], verbose=0)
    >>> len(history.history["loss"])
    3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: list | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.current(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        better = self.improves(value, self.best)
        if better:
            self.best, self.best_epoch = value, epoch
        if self.restore_best_weights and (better or self.best_weights is None):
            self.best_weights = self.model.get_weights()
        if better and (self.baseline is None or self.improves(value, self.baseline)):
            self.wait = 0
            return
        self.wait += 1
        if not better and self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
