"""What `fit`, `evaluate` and `predict` show of their progress: a bar on a terminal, else a line per epoch.

The training loop calls `advance` after each batch. Between drawings, at most ten a second, that call only
looks at the clock, and metrics are read (through a function) only when they are drawn.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Self

import numpy as np

from graphc.ir.errors import ArgumentError

Metrics = Mapping[str, Any]

INTERVAL = 0.1
SHARE = 0.01
"""Seconds between drawings, and the share of the time that they take at most."""

BAR_WIDTH = 20


class Display:
    """Shows nothing; the base of what shows something.

    Args:
        epochs: how many there are, or None outside of `fit`.
        clock: gives seconds.
    """

    def __init__(self, epochs: int | None = None, clock: Callable[[], float] = perf_counter) -> None:
        self.epochs, self.clock = epochs, clock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the terminal as it was, also after Ctrl-C."""

    def begin_epoch(self, epoch: int, steps: int | None) -> None:
        """An epoch begins.

        Args:
            epoch: its number, from 0.
            steps: how many steps it will have, where that is known.
        """

    def advance(self, done: int, read: Callable[[], Metrics]) -> None:
        """`done` steps of the epoch are done; `read` gives the metrics so far, when they are drawn."""

    def end_epoch(self, metrics: Metrics) -> None:
        """The epoch ends with these metrics."""


class LineDisplay(Display):
    """One line per epoch, printed at its end.

    >>> seconds = iter([0.0, 1.5])
    >>> display = LineDisplay(epochs=3, clock=lambda: next(seconds))
    >>> display.begin_epoch(0, 100)
    >>> display.advance(100, dict)
    >>> display.end_epoch({"loss": 0.25, "accuracy": 0.9})
    Epoch 1/3 - 100/100 - 2s - 15ms/step - loss: 0.2500 - accuracy: 0.9000
    """

    def begin_epoch(self, epoch: int, steps: int | None) -> None:
        self._epoch, self._steps, self._start, self._done = epoch, steps, self.clock(), 0

    def advance(self, done: int, read: Callable[[], Metrics]) -> None:
        self._done = done

    def end_epoch(self, metrics: Metrics) -> None:
        seconds = self.clock() - self._start
        parts = [*self._head(), f"{self._done}/{self._steps or self._done}", format_seconds(seconds)]
        if self._done:
            parts.append(format_pace(seconds / self._done))
        self._print(" - ".join([*parts, *format_metrics(metrics)]))

    def _head(self) -> list[str]:
        return [] if self.epochs is None else [f"Epoch {self._epoch + 1}/{self.epochs}"]

    def _print(self, text: str) -> None:
        print(text, flush=True)


class BarDisplay(LineDisplay):
    """A bar with the time that is left and the metrics so far, and a line at the end of each epoch.

    Args:
        epochs: how many there are, or None outside of `fit`.
        clock: gives seconds.
        console: rich's console to draw on; its own on stdout when None.
    """

    def __init__(
        self,
        epochs: int | None = None,
        clock: Callable[[], float] = perf_counter,
        console: Any = None,
    ) -> None:
        super().__init__(epochs, clock)
        self._console = console
        self._bar: Any = None

    def __exit__(self, *error: object) -> None:
        self._close()

    def begin_epoch(self, epoch: int, steps: int | None) -> None:
        self._close()
        super().begin_epoch(epoch, steps)
        self._bar = self._open_bar()
        self._task = self._bar.add_task(" - ".join(self._head()), total=steps, info="")
        self._bar.start()
        self._due = self._start + INTERVAL

    def advance(self, done: int, read: Callable[[], Metrics]) -> None:
        self._done = done
        if self.clock() >= self._due:
            self._draw(done, read)

    def end_epoch(self, metrics: Metrics) -> None:
        self._close()
        super().end_epoch(metrics)

    def _open_bar(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._console = self._console or Console()
        info = TextColumn("{task.fields[info]}", markup=False)
        head = TextColumn("{task.description}", style="bold", markup=False)
        # Drawn by `advance` and not by a thread of rich's, which would take time from the training.
        columns = (head, BarColumn(BAR_WIDTH), MofNCompleteColumn(), info)
        return Progress(*columns, console=self._console, auto_refresh=False, transient=True)

    def _draw(self, done: int, read: Callable[[], Metrics]) -> None:
        now = self.clock()
        pace = (now - self._start) / done
        left = "" if self._steps is None else f"{format_seconds(pace * max(0, self._steps - done))} left"
        parts = [left, format_pace(pace), *format_metrics(read())]
        # Rich would take the room for a long text from the other columns.
        room = self._console.width - len(f"{self._head()} {self._steps}/{self._steps}") - BAR_WIDTH
        info = " - ".join(part for part in parts if part)[: max(0, room)]
        self._bar.update(self._task, completed=done, info=info)
        self._bar.refresh()
        after = self.clock()
        self._due = after + max(INTERVAL, (after - now) / SHARE)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def show_progress(verbose: int | str = "auto", epochs: int | None = None) -> Display:
    """What to show progress with.

    Args:
        verbose: 0 shows nothing, 1 or "auto" a bar on a terminal, else as 2, which is a line per epoch.
        epochs: how many there are, or None outside of `fit`.

    Raises:
        ArgumentError: `verbose` is none of these.
    """
    kinds = {0: Display, 1: BarDisplay if sys.stdout.isatty() else LineDisplay, 2: LineDisplay}
    level = 1 if verbose == "auto" else verbose
    if level not in kinds:
        raise ArgumentError(f"verbose should be 'auto', 0, 1 or 2, not {verbose!r}")
    return kinds[int(level)](epochs)


def format_metrics(metrics: Metrics) -> list[str]:
    """Each metric as Keras writes it; of one with several values their mean.

    >>> format_metrics({"loss": 0.123456, "tiny": 0.00012, "nan": float("nan")})
    ['loss: 0.1235', 'tiny: 1.2000e-04', 'nan: nan']
    """
    means = {name: float(np.mean(value)) for name, value in metrics.items()}
    return [
        f"{name}: {value:.4f}" if abs(value) > 1e-3 else f"{name}: {value:.4e}"
        for name, value in means.items()
    ]


def format_seconds(seconds: float) -> str:
    """A duration.

    >>> format_seconds(3.4), format_seconds(75), format_seconds(7384)
    ('3s', '1:15', '2:03:04')
    """
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest}s"


def format_pace(seconds: float) -> str:
    """The time that a step takes.

    >>> format_pace(2.2), format_pace(0.0153), format_pace(0.00002)
    ('2s/step', '15ms/step', '20us/step')
    """
    if seconds >= 1:
        return f"{seconds:.0f}s/step"
    return f"{seconds * 1e3:.0f}ms/step" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/step"
