"""The base class of callbacks, and the list of them that a training loop talks to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from graphc.ir.errors import ArgumentError

Logs = dict[str, Any] | None
Listener = Callable[..., Any]


class Callback:
    """Told about the course of `fit`, `evaluate` and `predict`; subclass it and define the hooks that matter.

    Attributes:
        model: the model, from before the first hook on.
        params: "epochs", "steps" and "verbose" of the run.

    A hook that no callback defines costs nothing, so that one may train with batches of microseconds.
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before training, with "epochs", "steps" and "verbose"."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called before training, with the model."""
        self.model = model

    def on_train_begin(self, logs: Logs = None) -> None:
        """Called as `fit` begins."""

    def on_train_end(self, logs: Logs = None) -> None:
        """Called as `fit` ends, with the last epoch's metrics."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Called before each epoch; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Called after each epoch, with its metrics; those of validation begin with "val_"."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Another name for `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Another name for `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before each training step; batches count from 0."""

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after each training step, with the metrics of the epoch so far."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Called as `evaluate`, or validation, begins."""

    def on_test_end(self, logs: Logs = None) -> None:
        """Called as `evaluate`, or validation, ends, with its metrics."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before each batch of `evaluate` or validation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after each batch of `evaluate` or validation, with the metrics so far."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Called as `predict` begins."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """Called as `predict` ends."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before each batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after each batch of `predict`, with {"outputs": the batch's results}."""


class History(Callback):
    """Records each epoch's metrics.

    Attributes:
        history: name of a metric -> its value after each epoch.
        epoch: the numbers of the epochs, from 0.

    The model's `history` is the one of its last training.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []
        if self.model is not None:
            self.model.history = self

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
OTHER_NAMES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class CallbackList(Callback):
    """Several callbacks as one, which calls only those that define a hook.

    Args:
        callbacks: in the order in which they are called; nested lists are flattened.
        model: given to each of them.
        params: "epochs", "steps" and "verbose", given to each of them.

    A `History` is added at the end if there is none, so that it records what the others add to the logs.

    Raises:
        ArgumentError: something in the list is not a callback.

    >>> calls = CallbackList([LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))])
    >>> calls.on_epoch_end(3, {"loss": 0.5})
    3 0.5
    >>> calls.batch_hooks("train")
    (None, None)
    """

    def __init__(
        self, callbacks: Any = None, model: Any = None, params: dict[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.callbacks: list[Any] = list(_flat(callbacks))
        found = [callback for callback in self.callbacks if isinstance(callback, History)]
        self.history = found[0] if found else History()
        if not found:
            self.callbacks.append(self.history)
        self._listeners: dict[str, tuple[Listener, ...]] = {}
        self.set_params(params or {})
        self.set_model(model)

    def append(self, callback: Any) -> None:
        """Add a callback at the end."""
        callback.set_params(self.params)
        callback.set_model(self.model)
        self.callbacks.append(callback)
        self._listeners.clear()

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        self.model = model
        for callback in self.callbacks:
            callback.set_model(model)
        self._listeners.clear()

    def listeners(self, hook: str) -> tuple[Listener, ...]:
        """The methods to call for a hook: those that callbacks define, in order."""
        if hook not in self._listeners:
            found = (_defined(callback, hook) for callback in self.callbacks)
            self._listeners[hook] = tuple(listener for listener in found if listener is not None)
        return self._listeners[hook]

    def batch_hooks(self, kind: str) -> tuple[Listener | None, Listener | None]:
        """What to call before and after a batch of "train", "test" or "predict"; None if nobody listens."""
        return self._joined(f"on_{kind}_batch_begin"), self._joined(f"on_{kind}_batch_end")

    def _joined(self, hook: str) -> Listener | None:
        listeners = self.listeners(hook)
        if len(listeners) < 2:
            return listeners[0] if listeners else None
        return getattr(self, hook)


def _forward(hook: str) -> Callable[..., None]:
    def call(self: CallbackList, *arguments: Any, **named: Any) -> None:
        for listener in self.listeners(hook):
            listener(*arguments, **named)

    call.__name__ = hook
    call.__doc__ = getattr(Callback, hook).__doc__
    return call


for _hook in HOOKS:
    setattr(CallbackList, _hook, _forward(_hook))


def _defined(callback: Any, hook: str) -> Listener | None:
    """The callback's own method for a hook, under either of its names."""
    for name in (hook, OTHER_NAMES.get(hook)):
        method = getattr(callback, name, None) if name else None
        if method is not None and getattr(method, "__func__", method) is not getattr(Callback, str(name)):
            return method
    return None


def _flat(callbacks: Any) -> Iterable[Any]:
    if callbacks is None:
        return
    if isinstance(callbacks, (list, tuple)):
        for item in callbacks:
            yield from _flat(item)
        return
    if isinstance(callbacks, type) or not hasattr(callbacks, "set_model"):
        raise ArgumentError(f"callbacks should be Callback objects, but one is {callbacks!r}")
    yield callbacks


class LambdaCallback(Callback):
    """A callback from functions: `LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs))`.

    Raises:
        ArgumentError: there is no such hook.
    """

    def __init__(self, **hooks: Listener | None) -> None:
        super().__init__()
        for name, function in hooks.items():
            if name not in HOOKS:
                raise ArgumentError(f"there is no hook '{name}'; there are {', '.join(HOOKS)}")
            if function is not None:
                setattr(self, name, function)
