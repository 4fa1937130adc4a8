"""The compiled steps of a model: one native call for forward, backward, weight update, losses and metrics.

A `Step` traces the model for its mode when it first sees arrays of some element types and ranks, compiles the graph, and binds it to the
model's variables. Losses and metrics are running sums in variables, so a call returns nothing but the model's outputs in "predict" mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc import ops
from graphc.data import Batch
from graphc.ir.dims import symbol
from graphc.ir.errors import ArgumentError, StateError
from graphc.ir.graph import Graph
from graphc.ir.types import TensorType, dtype_of
from graphc.losses import SparseCategoricalCrossentropy
from graphc.replay import model_inputs, replay
from graphc.trace import Trace
from graphc.variable import Variable

if TYPE_CHECKING:
    from graphc.codegen.compiled import Compiled
    from graphc.models import Model

MODES = ("train", "evaluate", "predict")
BATCH = symbol("B")
Signature = tuple[Any, ...]


@dataclass(frozen=True)
class Traced:
    """A graph, and which variable each of its weights is."""

    graph: Graph
    variables: list[Variable]
    updated: list[Variable]


@dataclass
class Specialised:
    """A step compiled for arrays of some element types and shapes beyond the batch."""

    compiled: Compiled
    updated: list[Variable]
    select: list[bool] = field(default_factory=list)


def array_type(array: np.ndarray) -> TensorType:
    """The type of a batch like this array, with a symbolic number of samples."""
    return TensorType(dtype_of(array.dtype), (BATCH, *array.shape[1:]))


class Step:
    """One mode of a compiled model. `step(x, y, sample_weight)` gives the batch's loss and metrics as floats; in "predict" mode the outputs.

    The members of `graphc.codegen.Compiled` (`ir`, `stages`, `source`, `cost`, ...) are members of a step too.
    """

    def __init__(self, model: Model, mode: str, options: dict[str, Any] | None = None) -> None:
        if mode not in MODES:
            raise ArgumentError(f"there is no step {mode!r}; there are {', '.join(map(repr, MODES))}")
        self.model, self.mode, self.options = model, mode, dict(options or {})
        self._specialised: dict[Signature, Specialised] = {}
        self._last: Specialised | None = None

    # -- calls --------------------------------------------------------------------------------------
    def __call__(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Run one batch; see the class."""
        batch = self.model.make_batch(x, y, sample_weight)
        if self.mode == "predict":
            outputs = self.run(batch)
            return outputs[0] if len(outputs) == 1 else outputs
        self.model.objective.reset()
        self.run(batch)
        return self.model.objective.results()

    def run(self, batch: Batch) -> list[np.ndarray]:
        """Run a batch of checked arrays, without looking at losses and metrics; gives the outputs in "predict" mode."""
        xs, ys, weights = batch
        arrays = xs if self.mode == "predict" else [*xs, *ys, *(w for w in weights or () if w is not None)]
        key: Signature = tuple([(a.dtype, a.shape[1:]) for a in arrays])
        if weights is not None:
            key = (*key, tuple([w is None for w in weights]))
        found = self._specialised.get(key)
        if found is None:
            found = self._specialised[key] = self._specialise(batch)
        self._last = found
        if self.mode == "train":
            self.model.optimizer.follow_schedule()
        results = found.compiled(*arrays)
        for variable in found.updated:
            variable.version += 1
        if self.mode != "predict":
            return []
        return list(results) if isinstance(results, tuple) else [results]

    # -- tracing and compiling ------------------------------------------------------------------------
    def _specialise(self, batch: Batch) -> Specialised:
        from graphc import codegen

        traced = self.trace(
            [array_type(x) for x in batch.x],
            [array_type(y) for y in batch.y],
            [None if w is None else array_type(w) for w in batch.weights or []],
        )
        compiled = codegen.compile(traced.graph, **self.options)
        compiled.bind([v.array for v in traced.variables])
        owned = set(map(id, self.model.variables))
        return Specialised(compiled, [v for v in traced.updated if id(v) in owned])

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
            inputs = model_inputs(model, trace, xs)
            targets = [trace.input(f"y_{n}" if len(ys) > 1 else "y", t) for n, t in zip(model.output_names, ys)]
            given = [
                None if t is None else trace.input(f"weight_{n}" if len(weights) > 1 else "sample_weight", t)
                for n, t in zip(model.output_names, weights)
            ]
            predictions = replay(model, trace, inputs, training)
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
        with trace.inside("loss", trace.place(), trace.training):
            objective.build(model.output_names, padded, predictions)
            extra = [*trace.losses, *_penalties(model, trace)]
            total = objective.total_loss(padded, predictions, weights, extra)
        with trace.inside("metrics", trace.place(), trace.training):
            objective.update_metrics(padded, predictions, weights)
        if trace.training:
            with trace.inside(model.optimizer.name, trace.place(), True):
                trained = [v for v in model.trainable_weights if v.dtype.kind == "f"]
                model.optimizer.apply(trace, gradients(trace, total, trained), trained)

    # -- looking inside -------------------------------------------------------------------------------
    @property
    def compiled(self) -> Compiled:
        """The compiled function of the last call; without one, of a batch as the model and its losses expect it."""
        if self._last is None:
            self._last = self._specialised_by_default()
        return self._last.compiled

    def _specialised_by_default(self) -> Specialised:
        model = self.model
        if not model.built:
            raise StateError(
                f"the model '{model.name}' is not built yet: call it on data, or model.build(input_shape), first"
            )
        xs = [np.zeros((0, *(d or 1 for d in t.shape[1:])), t.dtype) for t in model.inputs]
        ys = [] if self.mode == "predict" else self._default_targets()
        batch = Batch(xs, ys, None)
        key: Signature = tuple((a.dtype, a.shape[1:]) for a in [*xs, *ys])
        if key not in self._specialised:
            self._specialised[key] = self._specialise(batch)
        return self._specialised[key]

    def _default_targets(self) -> list[np.ndarray]:
        """Empty targets: class numbers where a loss takes them, else like the outputs."""
        model, targets = self.model, []
        for given, output in zip(model.objective.losses_given(model.output_names), model.outputs):
            sparse = isinstance(given, SparseCategoricalCrossentropy) or (
                isinstance(given, str) and given.lower().startswith("sparse")
            )
            shape = tuple(d or 1 for d in output.shape[1:])
            targets.append(np.zeros((0, *(shape[:-1] if sparse else shape)), "int64" if sparse else output.dtype))
        return targets

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.compiled, name)


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
