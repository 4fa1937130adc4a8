"""The compiled steps of a model: one native call for forward, backward, weight update, losses and metrics.

A `Step` traces the model for its mode when it first sees arrays of some element types and ranks, compiles the
graph, and binds it to the
model's variables. Losses and metrics are running sums in variables, so a call returns nothing but the model's
outputs in "predict" mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc import ops
from graphc.data import Batch
from graphc.forward import Bound, Shown, batch_type, bind
from graphc.ir.errors import ArgumentError, GraphcError, StateError
from graphc.ir.locations import caller
from graphc.ir.types import TensorType
from graphc.layers.blame import blame
from graphc.losses import SparseCategoricalCrossentropy
from graphc.replay import MODES, Traced, model_inputs, replay, require_built
from graphc.revision import EPOCH
from graphc.trace import Trace
from graphc.variable import Variable

if TYPE_CHECKING:
    from graphc.codegen.compiled import Compiled
    from graphc.codegen.profile import Profile
    from graphc.models import Model

Signature = tuple[Any, ...]


@dataclass(frozen=True)
class Seen:
    """A compiled step, and the arrays that it was last called with: while nothing has changed, arrays of the
    same types and sizes need no other look, which would take longer than a small step.
    """

    bound: Bound
    epoch: int
    inputs: int
    forms: list[tuple[np.dtype, tuple[int, ...]]]

    def fits(self, arrays: Sequence[Any]) -> bool:
        """Whether these are such arrays, and no layer has changed."""
        if self.epoch != EPOCH.count or len(arrays) != len(self.forms):
            return False
        for array, (dtype, shape) in zip(arrays, self.forms):
            if type(array) is not np.ndarray or array.shape != shape or array.dtype != dtype:
                return False
        return True


def _require_autodiff(pipeline: str | None) -> None:
    """ArgumentError if a pipeline leaves out what makes gradients of a training step."""
    from graphc.passes.pipelines import pass_names

    if "autodiff" not in pass_names(pipeline):
        raise ArgumentError(
            f"passes={pipeline!r} has no 'autodiff', without which a training step has no gradients.\n"
            "  fix     add it, or compile another step: step='predict'."
        )


class Step(Shown):
    """One mode of a compiled model. `step(x, y, sample_weight)` gives the batch's loss and metrics as floats;
    in "predict" mode the outputs.

    The members of `graphc.codegen.Compiled` (`ir`, `stages`, `source`, `cost`, ...) are members of a step
    too.
    """

    def __init__(self, model: Model, mode: str, options: Mapping[str, Any] | None = None) -> None:
        if mode not in MODES:
            raise ArgumentError(f"there is no step {mode!r}; there are {', '.join(map(repr, MODES))}")
        self.model, self.mode, self.options = model, mode, dict(options or {})
        if mode == "train":
            _require_autodiff(self.options.get("passes"))
        self._bound: dict[Signature, Bound] = {}
        self._last: Bound | None = None
        self._seen: Seen | None = None
        self._version = model.structure_version()

    # -- calls --------------------------------------------------------------------------------------
    def __call__(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Run one batch; see the class."""
        predict, seen = self.mode == "predict", self._seen
        try:
            given = [x] if predict else [x, y]
            if seen is not None and sample_weight is None and seen.inputs == 1 and seen.fits(given):
                self._reset()
                outputs = self._run(seen, given)
            else:
                batch = self.model.make_batch(x, y, sample_weight)
                self._reset()
                outputs = self.run(batch)
            if predict:
                return outputs[0] if len(outputs) == 1 else outputs
        except GraphcError as error:
            blame(error, self.model, caller(self.model.name))
            raise
        return self.model.objective.results()

    def profile(self, x: Any, y: Any = None, sample_weight: Any = None, rounds: int | None = None) -> Profile:
        """The time of each kernel of a call with this batch; the model stays as it is. See
        `graphc.codegen.Compiled.profile`.
        """
        try:
            batch = self.model.make_batch(x, y, sample_weight)
            self.prepare(batch)
            compiled = self._bound[self._signature(batch)].compiled
            return compiled.profile(*self._arrays(batch), rounds=rounds)
        except GraphcError as error:
            blame(error, self.model, caller(self.model.name))
            raise

    def _reset(self) -> None:
        """Losses and metrics are those of one batch."""
        if self.mode != "predict":
            self.model.objective.reset()

    def run(self, batch: Batch) -> list[np.ndarray]:
        """Run a batch of checked arrays, without looking at losses and metrics; gives the outputs in
        "predict" mode.
        """
        arrays, seen = self._arrays(batch), self._seen
        if seen is None or batch.weights is not None or not seen.fits(arrays):
            seen = self._look(batch, arrays)
        return self._run(seen, arrays)

    def _run(self, seen: Seen, arrays: list[np.ndarray]) -> list[np.ndarray]:
        if self.mode == "train":
            self.model.optimizer.follow_schedule()
        return seen.bound(arrays)

    def _look(self, batch: Batch, arrays: list[np.ndarray]) -> Seen:
        key = self._signature(batch)
        bound = self._bound.get(key)
        if bound is None or self._version != self.model.structure_version():
            bound = self._specialise(key, batch)
        self._last, self._seen = bound, None
        seen = Seen(bound, EPOCH.count, len(batch.x), [(a.dtype, a.shape) for a in arrays])
        if batch.weights is None:
            self._seen = seen
        return seen

    def prepare(self, batch: Batch) -> None:
        """Trace and compile for arrays like this batch's, so that losses and metrics are there."""
        key = self._signature(batch)
        if key not in self._bound or self._version != self.model.structure_version():
            self._specialise(key, batch)

    def _arrays(self, batch: Batch) -> list[np.ndarray]:
        """The arrays that the step takes of a batch."""
        xs, ys, weights = batch
        return xs if self.mode == "predict" else [*xs, *ys, *(w for w in weights or () if w is not None)]

    def _signature(self, batch: Batch) -> Signature:
        """What the step is specialised for."""
        key: Signature = tuple([(a.dtype, a.shape[1:]) for a in self._arrays(batch)])
        if batch.weights is not None:
            key = (*key, tuple([w is None for w in batch.weights]))
        return key

    # -- tracing and compiling ------------------------------------------------------------------------
    def _specialise(self, key: Signature, batch: Batch) -> Bound:
        """Trace and compile for arrays like this batch's; what was compiled before layers changed is
        forgotten.
        """
        if self._version != (version := self.model.structure_version()):
            self._bound, self._version = {}, version
        xs, ys = [batch_type(a) for a in batch.x], [batch_type(a) for a in batch.y]
        weights = [None if a is None else batch_type(a) for a in batch.weights or ()]
        # data that have targets can be predicted on; they are left out, as `_signature` does
        traced = self.trace(xs) if self.mode == "predict" else self.trace(xs, ys, weights)
        self._bound[key] = bind(traced, self.options)
        return self._bound[key]

    def trace(
        self,
        xs: Sequence[TensorType],
        ys: Sequence[TensorType] = (),
        weights: Sequence[TensorType | None] = (),
    ) -> Traced:
        """The graph of this mode for arrays of these types."""
        model, training = self.model, self.mode == "train"
        trace = Trace(self.mode, training=training)
        with trace:
            inputs = model_inputs(model, trace, None if model.has_own_inputs else xs)
            batch = inputs[0].shape[0]

            def enter(name: str, types: Sequence[TensorType | None]) -> list[Any]:
                names = [name] if len(types) == 1 else [f"{name}_{n}" for n in model.output_names]
                return [
                    None if t is None else trace.input(n, t.with_shape((batch, *t.shape[1:])))
                    for n, t in zip(names, types)
                ]

            targets, given = enter("y", ys), enter("sample_weight", weights)
            predictions = replay(model, inputs, training)
            if self.mode == "predict":
                graph = trace.finish(predictions)
            else:
                self._record(trace, targets, predictions, given or [None] * len(predictions))
                graph = trace.finish([])
        return Traced(graph, list(trace.variables), trace.assigned)

    def _record(self, trace: Trace, targets: list[Any], predictions: list[Any], weights: list[Any]) -> None:
        """Losses, metrics and, when training, gradients and updates."""
        model, objective = self.model, self.model.objective
        padded = targets + [None] * (len(predictions) - len(targets))
        place = trace.place()

        def part(name: str) -> AbstractContextManager[None]:
            return trace.inside(name, replace(place, layer=name), trace.training)

        with objective.building():
            with part("loss"):
                objective.build(model.output_names, padded, predictions)
                extra = [*trace.losses, *_penalties(model, trace)]
                total = objective.total_loss(padded, predictions, weights, extra)
            with part("metrics"):
                objective.update_metrics(padded, predictions, weights)
        if trace.training:
            with part(model.optimizer.name):
                trained = [v for v in model.trainable_weights if v.dtype.kind == "f"]
                model.optimizer.apply(trace, gradients(trace, total, trained), trained)

    @property
    def _numba_type_(self) -> Any:
        if self.mode == "train" and self.model.optimizer.schedule is not None:
            raise StateError(
                f"the training step of '{self.model.name}' can't be called from Numba: its learning rate "
                "follows a schedule, which is Python code that runs between steps.\n"
                "  fix     call the step from Python, or give the optimizer a number and set "
                "optimizer.learning_rate between calls."
            )
        return super()._numba_type_

    # -- looking inside -------------------------------------------------------------------------------
    @property
    def compiled(self) -> Compiled:
        """The compiled function of the last call; without one, of a batch as the model and its losses expect
        it.
        """
        return (self._last or self._default()).compiled

    def _default(self) -> Bound:
        require_built(self.model, "its step can't be compiled")
        batch = self.example(0)
        key = self._signature(batch)
        return self._bound.get(key) or self._specialise(key, batch)

    def example(self, size: int, unknown: int = 1) -> Batch:
        """A batch of so many samples as the model and its losses expect it, of random numbers from 0 to 1,
        integers 0; sizes that the model leaves open are `unknown`.
        """
        model, rng = self.model, np.random.default_rng(0)

        def array(shape: Sequence[int | None], dtype: Any) -> np.ndarray:
            sizes = (size, *(d or unknown for d in shape))
            return rng.random(sizes).astype(dtype) if np.dtype(dtype).kind == "f" else np.zeros(sizes, dtype)

        xs = [array(t.shape[1:], t.dtype) for t in model.inputs]
        ys: list[np.ndarray] = []
        if self.mode == "predict":
            return Batch(xs, ys, None)
        for given, output in zip(model.objective.losses_given(model.output_names), model.outputs):
            sparse = isinstance(given, SparseCategoricalCrossentropy) or (
                isinstance(given, str) and given.lower().startswith("sparse")
            )
            shape = output.shape[1:]  # class numbers where a loss takes them, else like the outputs
            ys.append(array(shape[:-1] if sparse else shape, "int64" if sparse else output.dtype))
        return Batch(xs, ys, None)


def gradients(trace: Trace, total: Any, variables: Sequence[Variable]) -> list[Any]:
    """The gradient of the scalar `total` with respect to the variables' values at entry."""
    if not variables:
        return []
    weights = [trace.tensor(trace.weight(v)) for v in variables]
    one = ops.ones_like(total)
    found = trace.op("gradient", total, one, *weights, outputs=1)
    return list(found) if isinstance(found, tuple) else [found]


def _penalties(model: Model, trace: Trace) -> list[Any]:
    """The regularisation losses of the weights that train."""
    return [v.regularizer(trace.read(v)) for v in model.trainable_weights if v.regularizer is not None]
