"""Callbacks that set the learning rate."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from numbers import Real
from typing import Any

from graphc.callbacks.callback import Callback, Logs
from graphc.callbacks.monitor import MonitorCallback
from graphc.ir.errors import ArgumentError


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Args:
        schedule: a function of the epoch (from 0), or of it and the present rate, that gives the new rate.
        verbose: 1 to print each new rate.

    Raises:
        ArgumentError: the schedule gives something that is not a number.

    >>> import graphc
    >>> import numpy as np
    >>> from graphc.layers import Dense
    >>> model = graphc.Sequential([graphc.Input((2,)), Dense(1)])
    >>> model.compile(graphc.optimizers.SGD(0.5), "mse", backend="reference")
    >>> halve = LearningRateScheduler(lambda epoch, rate: rate / 2)
    >>> _ = model.fit(np.ones((4, 2)), np.zeros(4), epochs=3, callbacks=[halve], verbose=0)
    >>> float(model.optimizer.learning_rate)
    0.0625
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule, self.verbose = schedule, verbose
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        present = (float(optimizer.learning_rate),) if self._takes_rate else ()
        rate: Any = self.schedule(epoch, *present)
        if not isinstance(rate, Real) or isinstance(rate, bool) or not math.isfinite(rate):
            raise ArgumentError(
                f"the schedule should give a finite number, but for epoch {epoch} it gave {rate!r}"
            )
        optimizer.learning_rate = float(rate)
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {float(rate)}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _takes_two(function: Callable[..., Any]) -> bool:
    """Whether a function can be called with two arguments."""
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` when a metric has not become better for `patience` epochs.

    Args:
        monitor: the metric, as it is called in the logs.
        factor: the new rate over the old, less than 1.
        patience: epochs without a better value after which the rate is reduced.
        verbose: 1 to print each reduction.
        mode: "min", "max", or "auto" to tell from the metric's name.
        min_delta: how much better a value must be to count as better.
        cooldown: epochs to wait after a reduction before counting again.
        min_lr: the rate is never reduced below this.

    Raises:
        ArgumentError: `factor` is not below 1.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not factor < 1:
            raise ArgumentError(f"factor should be less than 1, not {factor!r}")
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        value = self.current(logs)
        if value is None:
            return
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best, self.wait = value, 0
        elif not self.cooldown_counter:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        old = float(optimizer.learning_rate)
        new = max(old * self.factor, self.min_lr)
        # A rate is stored in float32, so that min_lr may come back slightly larger than it was set.
        if new >= old or math.isclose(new, old, rel_tol=1e-6):
            return
        optimizer.learning_rate = new
        self.cooldown_counter, self.wait = self.cooldown, 0
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
