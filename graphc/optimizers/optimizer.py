"""`Optimizer`: its state, and what all optimizers share around one update rule.

The rule itself is an op of the IR (`ir/ops/train`), so that the update is part of the compiled step and fuses
with the gradient that feeds it.
An optimizer's learning rate is a `Variable` that the step reads: setting it never recompiles anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from graphc import ops
from graphc.ir.errors import ArgumentError, StateError
from graphc.lookup import Configured, snake_case
from graphc.optimizers import schedules
from graphc.variable import Variable

if TYPE_CHECKING:
    from graphc.trace import Trace

Schedule = schedules.LearningRateSchedule


SHARED: dict[str, Any] = {
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "gradient_accumulation_steps": None,
}
"""Arguments that all optimizers have, of which most programs use none, and their defaults."""
KERAS_ONLY: dict[str, Any] = {"loss_scale_factor": None}
"""Arguments of Keras's optimizers that have no effect here, and the only values that they may have."""
FEWEST_STEPS = 2


class Optimizer(Configured):
    """Base of all optimizers: learning rate and schedule, clipping, weight decay, slots.

    `learning_rate` is a number, a schedule, or a function without arguments. `clipvalue` clips each element
    of each gradient, `clipnorm` each
    gradient's norm, `global_clipnorm` the norm of all together. `weight_decay` subtracts `weight_decay *
    learning_rate * w` from each weight first. With `gradient_accumulation_steps` = n, only every n-th step
    changes weights, by the mean of n gradients. With `use_ema`, a running mean of each weight (of
    `ema_momentum`) is kept; the weights become these means at the end of `fit`, and every
    `ema_overwrite_frequency` steps.
    """

    rule: ClassVar[str] = ""
    """The op of the IR that computes the update."""
    hyperparameters: ClassVar[tuple[str, ...]] = ()
    """The constructor's arguments that are attributes of `rule`."""
    together: ClassVar[int] = 1
    """How many slots of a weight stand side by side in files; each further kind follows for all weights."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
        **hyperparameters: Any,
    ) -> None:
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        if sum(c is not None for c in clips.values()) > 1:
            raise ArgumentError("only one of clipnorm, clipvalue and global_clipnorm can be given")
        for key, value in clips.items():
            if value is not None and not value >= 0:
                raise ArgumentError(f"{key} must not be negative, got {value}")
        self.name = name or snake_case(type(self).__name__)
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema: bool
        self.ema_momentum: float
        self.ema_overwrite_frequency: int | None
        self.gradient_accumulation_steps: int | None
        for key, value in {**SHARED, **hyperparameters}.items():
            if key in self.hyperparameters and not isinstance(value, Real):
                raise ArgumentError(f"{type(self).__name__}: {key} should be a number, not {value!r}")
            if key in self.hyperparameters or key in SHARED:
                setattr(self, key, value)
            elif key not in KERAS_ONLY:
                raise TypeError(f"{type(self).__name__} has no argument {key!r}")
            elif value != KERAS_ONLY[key]:
                raise ArgumentError(
                    f"{type(self).__name__}: {key}={value!r} is not possible; only {KERAS_ONLY[key]!r} is"
                )
        if self.gradient_accumulation_steps is not None and self.gradient_accumulation_steps < FEWEST_STEPS:
            raise ArgumentError(
                f"gradient_accumulation_steps must be at least {FEWEST_STEPS}, got "
                f"{self.gradient_accumulation_steps}."
            )
        if isinstance(learning_rate, dict):
            learning_rate = schedules.deserialize(learning_rate)
        self.schedule = learning_rate if callable(learning_rate) else None
        self._rate = Variable(
            np.float32(self._scheduled(0)) if self.schedule else _rate(learning_rate),
            trainable=False,
            name="learning_rate",
        )
        self.iterations = Variable(np.int64(0), trainable=False, name="iteration")
        self.slots: dict[int, list[Variable]] = {}
        self.averages: dict[int, Variable] = {}
        self.accumulated: dict[int, Variable] = {}
        self.trained: list[Variable] = []
        self._not_decayed: list[Any] = []

    # -- the learning rate --------------------------------------------------------------------------
    @property
    def learning_rate(self) -> Any:
        """The learning rate in use, as a `Variable` (with a schedule: its value at the present step)."""
        if self.schedule is not None:
            self.follow_schedule()
        return self._rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if callable(value):
            self.schedule = value
        elif self.schedule is not None:
            raise StateError(
                f"the learning rate of '{self.name}' follows a schedule and can't be set; give the "
                "constructor a number to set it later"
            )
        else:
            self._rate.assign(_rate(value))

    lr = learning_rate

    def _scheduled(self, step: int) -> float:
        assert self.schedule is not None
        return float(self.schedule(step) if isinstance(self.schedule, Schedule) else self.schedule())

    def follow_schedule(self) -> None:
        """Set the learning rate to the schedule's value at the present step; called before each step."""
        if self.schedule is not None:
            self._rate.array[...] = self._scheduled(int(self.iterations.array))

    # -- state --------------------------------------------------------------------------------------
    @property
    def variables(self) -> list[Variable]:
        """Iterations, learning rate, running means, sums of gradients, then the slots: the order of Keras's
        files.
        """
        slots = [self.slots[id(v)] for v in self.trained]
        together = [slot for own in slots for slot in own[: self.together]]
        kinds = zip(*(own[self.together :] for own in slots))
        shared = [*self.averages.values(), *self.accumulated.values()]
        return [self.iterations, self._rate, *shared, *together, *(slot for kind in kinds for slot in kind)]

    def slot_names(self) -> tuple[str, ...]:
        """The names of the slots that each weight has, in the order of the rule's operands."""
        return ()

    def initial_slot(self, name: str, weight: Variable) -> np.ndarray:
        """The values with which a slot starts."""
        return np.zeros(weight.shape, weight.dtype)

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the slots of weights that have none yet."""
        for v in variables:
            if id(v) not in self.slots:
                self.slots[id(v)] = [_slot(v, n, self.initial_slot(n, v)) for n in self.slot_names()]
                if self.use_ema:
                    self.averages[id(v)] = _slot(v, "average")
                if self.gradient_accumulation_steps:
                    self.accumulated[id(v)] = _slot(v, "gradient_accumulator")
                self.trained.append(v)

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """No weight decay for these weights, or for those whose path contains one of the names."""
        self._not_decayed += [id(v) for v in var_list or ()] + list(var_names or ())

    def _decays(self, variable: Variable) -> bool:
        return not any(
            key == id(variable) if isinstance(key, int) else key in variable.path for key in self._not_decayed
        )

    # -- the update, in a trace ----------------------------------------------------------------------
    def apply(self, trace: Trace, gradients: Sequence[Any], variables: Sequence[Variable]) -> None:
        """Record the update of `variables` by traced `gradients`."""
        self.build(variables)
        iteration = trace.read(self.iterations)
        if self.gradient_accumulation_steps:
            self._accumulate(trace, gradients, variables, iteration)
        else:
            self._update_all(trace, gradients, variables, iteration)
        if self.use_ema:
            self._average(trace, variables, iteration)
        for variable in variables:
            if variable.constraint is not None:
                trace.assign(variable, variable.constraint(trace.read(variable)))
        trace.assign(self.iterations, iteration + 1)

    def _update_all(
        self, trace: Trace, gradients: Sequence[Any], variables: Sequence[Variable], step: Any
    ) -> None:
        rate = trace.read(self._rate)
        for gradient, variable in zip(self._clipped(gradients), variables, strict=True):
            self._update(trace, gradient, variable, rate, step)

    def _accumulate(
        self, trace: Trace, gradients: Sequence[Any], variables: Sequence[Variable], iteration: Any
    ) -> None:
        """Add to the sums of gradients; at the last step of each round, update by their means instead."""
        steps = int(self.gradient_accumulation_steps or 1)
        last = ops.equal((iteration + 1) % steps, 0)
        sums = [g + trace.read(self.accumulated[id(v)]) for g, v in zip(gradients, variables)]
        changed = [*variables, *(s for v in variables for s in self.slots[id(v)]), *self.shared_slots()]
        before = [trace.read(v) for v in changed]
        self._update_all(trace, [s / steps for s in sums], variables, iteration // steps)
        for variable, old in zip(changed, before):
            trace.assign(variable, ops.where(last, trace.read(variable), old))
        for variable, total in zip(variables, sums):
            trace.assign(self.accumulated[id(variable)], ops.where(last, ops.zeros_like(total), total))

    def _average(self, trace: Trace, variables: Sequence[Variable], iteration: Any) -> None:
        """Follow the weights with their running means; now and then the weights become the means."""
        step = iteration // int(self.gradient_accumulation_steps or 1)
        every = self.ema_overwrite_frequency
        for variable in variables:
            own = self.averages[id(variable)]
            weight = trace.read(variable)
            momentum = ops.cast(ops.not_equal(step, 0), weight.dtype) * self.ema_momentum
            mean = momentum * trace.read(own) + (1.0 - momentum) * weight
            trace.assign(own, mean)
            if every is not None:
                trace.assign(variable, ops.where(ops.equal((step + 1) % int(every), 0), mean, weight))

    def shared_slots(self) -> Sequence[Variable]:
        """State of the rule that all weights share."""
        return ()

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """With `use_ema`, give the weights their running means; `fit` does so at its end."""
        for variable in var_list:
            if id(variable) in self.averages:
                variable.assign(self.averages[id(variable)].array)

    def _clipped(self, gradients: Sequence[Any]) -> list[Any]:
        if self.clipvalue is not None:
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        if self.clipnorm is not None:
            return [_clip_by_norm(g, self.clipnorm) for g in gradients]
        if self.global_clipnorm is not None and gradients:
            squares = [ops.sum(ops.square(g)) for g in gradients]
            norm = ops.sqrt(sum(squares[1:], squares[0]))
            scale = self.global_clipnorm / ops.maximum(norm, self.global_clipnorm)
            return [g * scale for g in gradients]
        return list(gradients)

    def _update(self, trace: Trace, gradient: Any, variable: Variable, rate: Any, step: Any) -> None:
        weight = trace.read(variable)
        rate = ops.cast(rate, weight.dtype)
        if self.weight_decay is not None and self._decays(variable):
            weight = weight - weight * self.weight_decay * rate
        slots = self.slots[id(variable)]
        scalars = self.scalars(trace, weight.dtype)
        operands = (weight, gradient, *(trace.read(s) for s in slots), *scalars, rate, step)
        results = trace.op(self.rule, *operands, **self.attributes())
        results = results if isinstance(results, tuple) else (results,)
        for target, new in zip((variable, *slots), results, strict=True):
            trace.assign(target, new)

    def scalars(self, trace: Trace, dtype: Any) -> tuple[Any, ...]:
        """Further numbers that the rule takes after the slots."""
        return ()

    def attributes(self) -> dict[str, Any]:
        """The attributes of the rule's op."""
        return {name: getattr(self, name) for name in self.hyperparameters}

    def get_config(self) -> dict[str, Any]:
        rate = schedules.serialize(self.schedule) if self.schedule is not None else float(self._rate.array)
        own = {name: getattr(self, name) for name in self.hyperparameters}
        shared = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm")
        return {
            "name": self.name,
            "learning_rate": rate,
            **{n: getattr(self, n) for n in (*shared, *SHARED)},
            **own,
        }


def _rate(value: Any) -> np.float32:
    array = np.asarray(value)
    if array.shape != () or array.dtype.kind not in "biuf":
        raise ArgumentError(f"the learning rate should be a number, a schedule or a function, not {value!r}")
    return np.float32(array)


def _slot(weight: Variable, name: str, values: np.ndarray | None = None) -> Variable:
    """State beside a weight, zeros if no values are given."""
    start = np.zeros(weight.shape, weight.dtype) if values is None else values
    return Variable(start, trainable=False, name=f"{weight.path.replace('/', '_')}_{name}")


def _clip_by_norm(gradient: Any, most: float) -> Any:
    """gradient * most / max(norm, most), where the norm of zeros is 0."""
    norm = ops.sqrt(ops.sum(ops.square(gradient)))
    return gradient * most / ops.maximum(norm, most)
