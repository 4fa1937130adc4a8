"""`compile`, `fit`, `evaluate`, `predict` and the `*_on_batch` calls of a model.

The loop is Python around one native call per batch: batches come from `graphc.data`, steps from
`graphc.steps`, what is shown from `graphc.progress`, and what happens between batches and epochs from
`graphc.callbacks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc import optimizers
from graphc.data import Data
from graphc.data.batches import with_class_weight
from graphc.feeding import Feeding, split
from graphc.ir.errors import ArgumentError, StateError
from graphc.layers.blame import blaming
from graphc.objective import Objective
from graphc.steps import Step

if TYPE_CHECKING:
    from graphc.callbacks import History


class Trainer(Feeding):
    """The part of `Model` that trains."""

    name: str
    stop_training: bool = False
    _objective: Objective | None = None
    _optimizer: optimizers.Optimizer | None = None
    _steps: dict[str, Step] | None = None
    _options: Mapping[str, Any] = MappingProxyType({})
    training_data: Data | None = None
    """While `fit` runs: the source of its batches."""
    resume_at: tuple[int, int] | None = None
    """Set by a callback as training begins: the epoch to begin with, and how many of its batches are past."""

    # -- compile ----------------------------------------------------------------------------------------
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        **options: Any,
    ) -> None:
        """Say how the model is trained.

        Args:
            optimizer: a name or an `Optimizer`.
            loss: a name, a function of (y_true, y_pred) or a `Loss`; a list or dict of them for several
                outputs.
            metrics: names, functions or `Metric` objects; per output as a list or dict.
            loss_weights: factors of the outputs' losses.
            weighted_metrics: metrics that sample weights apply to.
            run_eagerly, steps_per_execution, jit_compile, auto_scale_loss: taken as Keras takes them; the
                step is always one native call.
            options: options of `graphc.compile`, such as backend="numba" or check="nan".

        Raises:
            ArgumentError: an unknown name, or an option that there is not.

        >>> from graphc import Sequential, Input
        >>> from graphc.layers import Dense
        >>> model = Sequential([Input((3,)), Dense(1)])
        >>> model.compile("adam", "mse", metrics=["mae"]); model.compiled
        True
        """
        from graphc.codegen.options import check_names

        check_names(options)
        optimizer = optimizers.get(optimizer)
        objective = Objective(loss, metrics, loss_weights, weighted_metrics)
        objective.check_names()
        self._optimizer, self._objective = optimizer, objective
        self._options = options
        self._compile_arguments = {"optimizer": optimizer, **objective.given}
        self._steps = None

    @property
    def compiled(self) -> bool:
        """Whether `compile` has been called."""
        return self._objective is not None

    @property
    def optimizer(self) -> Any:
        """The optimizer; None before `compile`."""
        return self._optimizer

    @property
    def objective(self) -> Objective:
        """Losses and metrics; StateError before `compile`."""
        if self._objective is None:
            raise StateError(
                f"the model '{self.name}' is not compiled, so there is nothing to train or evaluate it by.\n"
                f"  fix     call {self.name}.compile(optimizer, loss, metrics) first."
            )
        return self._objective

    @property
    def loss(self) -> Any:
        """What `compile` was given as the loss."""
        return self._objective.given["loss"] if self._objective else None

    @property
    def metrics(self) -> list[Any]:
        """The loss's tracker, then every metric."""
        return list(self._objective.named().values()) if self._objective else []

    @property
    def metrics_names(self) -> list[str]:
        """The names under which they are logged."""
        return list(self._objective.named()) if self._objective else []

    def reset_metrics(self) -> None:
        """Start the running sums of loss and metrics again."""
        self.objective.reset()

    def step(self, mode: str) -> Step:
        """The compiled step of a mode ("train", "evaluate", "predict"), made when it is first asked for."""
        if mode != "predict":
            self.objective  # noqa: B018 - raises the error that says what to do
        if self._steps is None:
            self._steps = {}
        if mode not in self._steps:
            self._steps[mode] = Step(self, mode, self._options)  # type: ignore[arg-type]
        return self._steps[mode]

    def forget_steps(self) -> None:
        """Trace again at the next call: the layers have changed."""
        self._steps = None

    # -- fit ------------------------------------------------------------------------------------------------
    @blaming
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Iterable[int] = 1,
    ) -> History:
        """Train for `epochs` epochs; gives the `History` with loss and metrics per epoch.

        Args are Keras's. `x` may be an array, a list or dict of arrays, a generator or other iterable of
        batches, or a `utils.Sequence`.
        The logged loss is the mean over the epoch's samples; `validation_split` takes the last fraction
        before shuffling.

        Raises:
            ArgumentError, ShapeError, DTypeError: data that do not fit the model or each other.
            IndexRangeError: a label that is no class; nothing has changed for that batch.
        """
        from graphc.callbacks import CallbackList

        _check_epochs(epochs)
        step = self.step("train")
        data: Any = self._open(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            shuffle=shuffle,
            steps=steps_per_epoch,
            class_weight=class_weight,
        )
        validation: Data | None = None
        if validation_data is not None:
            size = validation_batch_size or batch_size
            validation = self._open_validation(validation_data, size, validation_steps)
        elif validation_split:
            data, validation = split(data, validation_split)
        params = {"epochs": epochs, "steps": data.steps, "verbose": verbose}
        hooks = CallbackList(callbacks, self, params)
        self.stop_training, self.training_data, self.resume_at = False, data, None
        hooks.on_train_begin()
        first, past = self.resume_at or (initial_epoch, 0)
        logs = self._train_epochs(
            step, data, hooks, range(first, epochs), past, validation, validation_freq, verbose
        )
        self.optimizer.finalize_variable_values(self.optimizer.trained)
        hooks.on_train_end(logs)
        self.training_data = None
        return hooks.history

    def _train_epochs(
        self,
        step: Step,
        data: Data,
        hooks: Any,
        epochs: range,
        past: int,
        validation: Data | None,
        validation_freq: int | Iterable[int],
        verbose: Any,
    ) -> dict[str, float]:
        """The logs of the last of these epochs; `past` batches of the first one are over."""
        from graphc.progress import show_progress

        logs: dict[str, float] = {}
        with show_progress(verbose, epochs.stop) as display:
            for epoch in epochs:
                hooks.on_epoch_begin(epoch)
                display.begin_epoch(epoch, data.steps)
                logs = self._train_epoch(step, data, hooks, display, past if epoch == epochs.start else 0)
                if validation is not None and _validates(validation_freq, epoch):
                    logs |= {f"val_{k}": v for k, v in self._evaluate_on(validation, hooks).items()}
                display.end_epoch(logs)
                hooks.on_epoch_end(epoch, logs)
                if self.stop_training or data.exhausted:
                    break
        return logs

    def _train_epoch(
        self, step: Step, data: Data, hooks: Any, display: Any, past: int = 0
    ) -> dict[str, float]:
        """One epoch; its first `past` batches were trained on before, and their metrics are there."""
        objective, run = self.objective, step.run
        if not past:
            objective.reset()
        begin, end = hooks.batch_hooks("train")
        for number, batch in enumerate(data.epoch()):
            if number < past:
                if number + 1 == past:
                    step.prepare(batch)
                continue
            if begin:
                begin(number)
            run(batch)
            display.advance(number + 1, objective.results)
            if end:
                end(number, objective.results())
            if self.stop_training:
                break
        return objective.results()

    # -- evaluate ----------------------------------------------------------------------------------
    @blaming
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics on data: a number, a list in the order of `metrics_names`, or a dict with
        `return_dict`.
        """
        from graphc.callbacks import CallbackList
        from graphc.progress import show_progress

        self.step("evaluate")
        data = self._open(x, y, sample_weight, batch_size=batch_size, steps=steps)
        hooks = CallbackList(callbacks, self, {"steps": data.steps, "verbose": verbose})
        with show_progress(verbose) as display:
            display.begin_epoch(0, data.steps)
            logs = self._evaluate_on(data, hooks, display)
            display.end_epoch(logs)
        if return_dict:
            return logs
        values = list(logs.values())
        return values[0] if len(values) == 1 else values

    def _evaluate_on(self, data: Data, hooks: Any, display: Any = None) -> dict[str, float]:
        objective, run = self.objective, self.step("evaluate").run
        objective.reset()
        data.restart()
        hooks.on_test_begin()
        begin, end = hooks.batch_hooks("test")
        for number, batch in enumerate(data.epoch()):
            if begin:
                begin(number)
            run(batch)
            if display is not None:
                display.advance(number + 1, objective.results)
            if end:
                end(number, objective.results())
        logs = objective.results()
        hooks.on_test_end(logs)
        return logs

    # -- predict -----------------------------------------------------------------------------------
    @blaming
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for data, batch by batch: an array, or a list or dict of them, as the model says."""
        from graphc.callbacks import CallbackList
        from graphc.progress import show_progress

        data = self._open(x, batch_size=batch_size, steps=steps)
        hooks = CallbackList(callbacks, self, {"steps": data.steps, "verbose": verbose})
        run, parts = self.step("predict").run, []
        hooks.on_predict_begin()
        begin, end = hooks.batch_hooks("predict")
        with show_progress(verbose) as display:
            display.begin_epoch(0, data.steps)
            for number, batch in enumerate(data.epoch()):
                if begin:
                    begin(number)
                parts.append(run(batch))
                display.advance(number + 1, dict)
                if end:
                    end(number, {"outputs": parts[-1]})
            display.end_epoch({})
        hooks.on_predict_end()
        if not parts:
            raise ArgumentError("x gave no batch: there is nothing to predict")
        return self._predicted([np.concatenate(p) if len(p) > 1 else p[0] for p in zip(*parts)])

    def _predicted(self, outputs: list[np.ndarray]) -> Any:
        """An array for one output; else a list or dict, as the model has them."""
        found = self.arranged(outputs)  # type: ignore[attr-defined]
        return outputs[0] if len(outputs) == 1 and not isinstance(found, dict) else found

    # -- single batches ----------------------------------------------------------------------------
    @blaming
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """One training step on one batch; gives the running loss and metrics since they were last reset."""
        batch = self.make_batch(x, y, sample_weight)
        if class_weight is not None:
            batch = with_class_weight(batch, class_weight)
        self.step("train").run(batch)
        return self._logged(return_dict)

    @blaming
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics with one more batch added to the running sums."""
        self.step("evaluate").run(self.make_batch(x, y, sample_weight))
        return self._logged(return_dict)

    @blaming
    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch."""
        return self._predicted(self.step("predict").run(self.make_batch(x)))

    def _logged(self, return_dict: bool) -> Any:
        logs = self.objective.results()
        if return_dict:
            return logs
        values = list(logs.values())
        return values[0] if len(values) == 1 else values


def _check_epochs(epochs: Any) -> None:
    if not isinstance(epochs, (int, np.integer)) or epochs < 0:
        raise ArgumentError(f"epochs should be a whole number from 0 on, not {epochs!r}")


def _validates(frequency: int | Iterable[int], epoch: int) -> bool:
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    return epoch + 1 in frequency
