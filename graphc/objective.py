"""What `compile()` was told, resolved per output: losses with their weights, metrics, and under which names
they are logged.

Losses, metrics and weights may be given for all outputs at once, as a list with one entry per output, or as a
dict by output name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc import losses, metrics, ops
from graphc.ir.errors import ArgumentError
from graphc.metrics import Metric
from graphc.structure import leaves
from graphc.variable import Variable

SWITCHING_LOSSES = ("crossentropy", "ce")
SWITCHING_METRICS = ("accuracy", "acc")


def per_output(given: Any, names: Sequence[str], what: str, spread: bool = False) -> list[Any]:
    """One entry per output (None where nothing is given).

    Args:
        given: None, one entry, a list with one entry per output, or a dict by output name.
        names: the outputs' names.
        what: the argument's name, for messages.
        spread: one entry counts for every output.

    Raises:
        ArgumentError: a list of another length, or a name that no output has.
    """
    if isinstance(given, dict):
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise ArgumentError(
                f"{what} names {unknown[0]!r}, but the model's outputs are {', '.join(names)}"
            )
        return [given.get(n) for n in names]
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ArgumentError(
                f"{what} has {len(given)} entries, but the model has {len(names)} outputs: {', '.join(names)}"
            )
        return list(given)
    if given is None or not (spread or len(names) == 1):
        return [None] * len(names)
    return [given] * len(names)


def _kind(target: Any, prediction: Any) -> int:
    """0: binary, 1: sparse categorical, 2: categorical; by the shapes of target and output, as Keras decides
    it.
    """
    last = prediction.shape[-1]
    if last == 1:
        return 0
    sparse = len(target.shape) < len(prediction.shape) or target.shape[-1] == 1
    return 1 if sparse else 2


_LOSS_KINDS = (
    losses.BinaryCrossentropy,
    losses.SparseCategoricalCrossentropy,
    losses.CategoricalCrossentropy,
)
_ACCURACY_KINDS = (
    metrics.BinaryAccuracy,
    metrics.SparseCategoricalAccuracy,
    metrics.CategoricalAccuracy,
)


def resolve_loss(identifier: Any, target: Any, prediction: Any) -> losses.Loss | None:
    """The loss object for what the user gave."""
    if isinstance(identifier, str) and identifier.lower() in SWITCHING_LOSSES:
        switched: Callable[[], losses.Loss] = _LOSS_KINDS[_kind(target, prediction)]
        return switched()
    found = losses.get(identifier)
    if found is None or isinstance(found, losses.Loss):
        return found
    return losses.LossFunctionWrapper(found)


def resolve_metric(identifier: Any, target: Any, prediction: Any) -> metrics.Metric:
    """The metric object for what the user gave; a string keeps its spelling as the name in the logs."""
    if isinstance(identifier, str) and identifier.lower() in SWITCHING_METRICS:
        switched: Callable[..., metrics.Metric] = _ACCURACY_KINDS[_kind(target, prediction)]
        return switched(name=identifier)
    found = metrics.get(identifier)
    if found is None:
        raise ArgumentError("a metric must be a name, a function or a Metric, not None")
    if isinstance(identifier, str):
        found.name = identifier
    return found


@dataclass
class Term:
    """One output's part of the objective."""

    index: int
    name: str
    loss: losses.Loss | None
    weight: float | None
    tracker: metrics.Mean | None = None
    metrics: list[Metric] = field(default_factory=list)
    weighted: list[Metric] = field(default_factory=list)


class Objective:
    """The losses and metrics of a compiled model; `build` resolves them when targets and outputs are first
    seen.
    """

    def __init__(
        self,
        loss: Any = None,
        metrics: Any = None,  # shadows the module inside this function only
        loss_weights: Any = None,
        weighted_metrics: Any = None,
    ) -> None:
        self.given = {
            "loss": loss,
            "metrics": metrics,
            "loss_weights": loss_weights,
            "weighted_metrics": weighted_metrics,
        }
        self.terms: list[Term] = []
        self.loss_tracker = _mean("loss")
        self._named: dict[str, Metric] = {"loss": self.loss_tracker}
        self.built = False
        self._restored: Sequence[np.ndarray] | None = None

    def check_names(self) -> None:
        """Raise for an unknown name of a loss or metric: in `compile`, not in the first step."""
        for given in leaves(self.given["loss"]):
            if isinstance(given, str) and given.lower() not in SWITCHING_LOSSES:
                losses.get(given)
        for what in ("metrics", "weighted_metrics"):
            for given in leaves(self.given[what]):
                if isinstance(given, str) and given.lower() not in SWITCHING_METRICS:
                    metrics.get(given)

    def losses_given(self, names: Sequence[str]) -> list[Any]:
        """What was given as the loss of each output; None where an output has none."""
        return per_output(self.given["loss"], names, "loss", spread=True)

    def build(self, names: Sequence[str], targets: Sequence[Any], predictions: Sequence[Any]) -> None:
        """Resolve names to objects; `targets` has None where there are no labels for an output."""
        if self.built:
            return
        given_losses = self.losses_given(names)
        weights = self.given["loss_weights"]
        weights = per_output(weights, names, "loss_weights")
        plain = self._metrics_given("metrics", names)
        weighted = self._metrics_given("weighted_metrics", names)
        self.terms = [
            Term(
                i,
                name,
                resolve_loss(given_losses[i], targets[i], predictions[i]),
                weights[i],
                metrics=[resolve_metric(m, targets[i], predictions[i]) for m in plain[i]],
                weighted=[resolve_metric(m, targets[i], predictions[i]) for m in weighted[i]],
            )
            for i, name in enumerate(names)
            if targets[i] is not None
        ]
        with_loss = [t for t in self.terms if t.loss is not None]
        if len(with_loss) > 1:
            for term in with_loss:
                term.tracker = _mean(f"{term.name}_loss")
        trackers = {t.tracker.name: t.tracker for t in self.terms if t.tracker is not None}
        self._named = {**self._named, **trackers, **self._name_metrics(len(names))}
        self.built = True
        if self._restored is not None:
            self.restore(self._restored)

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """What `build` finds is forgotten if there is an error: other targets may mean other metrics."""
        before = self.terms, self._named, self.built, self._restored
        try:
            yield
        except BaseException:
            self.terms, self._named, self.built, self._restored = before
            raise

    def _metrics_given(self, what: str, names: Sequence[str]) -> list[list[Any]]:
        given = self.given[what]
        if given is not None and not isinstance(given, (list, tuple, dict)):
            raise ArgumentError(f"{what} must be a list, a tuple or a dict, not {given!r}")
        if len(names) == 1 and not isinstance(given, dict):
            return [leaves(given or [])]
        return [
            [] if m is None else list(m) if isinstance(m, (list, tuple)) else [m]
            for m in per_output(given or None, names, what)
        ]

    def _name_metrics(self, outputs: int) -> dict[str, metrics.Metric]:
        """Metrics by the name that logs show: `name`, `output_name` with several outputs, `weighted_name` or
        `name_1` on a clash.
        """
        named: dict[str, metrics.Metric] = {}
        for kind in ("metrics", "weighted"):
            for term in self.terms:
                prefix = f"{term.name}_" if outputs > 1 else ""
                for metric in getattr(term, kind):
                    name = prefix + metric.name
                    if name in named and kind == "weighted":
                        name = f"{prefix}weighted_{metric.name}"
                    count = 1
                    while name in named:
                        name, count = f"{prefix}{metric.name}_{count}", count + 1
                    named[name] = metric
        return named

    # -- in a trace -----------------------------------------------------------------------------------
    def total_loss(
        self, targets: Sequence[Any], predictions: Sequence[Any], weights: Sequence[Any], extra: Sequence[Any]
    ) -> Any:
        """The sum of the outputs' losses and of `extra` (regularisation, `add_loss`); updates the losses'
        trackers.
        """
        given = self.given["loss"]
        if given is not None and all(t is None for t in targets) and (self.terms or not extra):
            raise ArgumentError("the loss compares predictions with targets, but y is None: give y beside x")
        parts = []
        for term in self.terms:
            if term.loss is None:
                continue
            if targets[term.index] is None:
                raise ArgumentError(f"the loss of '{term.name}' needs targets, but y has none for it")
            value = term.loss(targets[term.index], predictions[term.index], weights[term.index])
            if term.tracker is not None:
                term.tracker.update_state(value, _batch_size(predictions[term.index], value))
            parts.append(value if term.weight is None else value * term.weight)
        parts += list(extra)
        if not parts:
            raise ArgumentError(
                "there is nothing to minimise: give compile() a loss, or add_loss() in a layer"
            )
        total = parts[0]
        for part in parts[1:]:
            total = total + ops.cast(part, total.dtype)
        self.loss_tracker.update_state(total, _batch_size(predictions[0], total))
        return total

    def update_metrics(
        self, targets: Sequence[Any], predictions: Sequence[Any], weights: Sequence[Any]
    ) -> None:
        """Add a batch to every metric."""
        for term in self.terms:
            pair = targets[term.index], predictions[term.index]
            for metric in term.metrics:
                metric.update_state(*pair)
            for metric in term.weighted:
                metric.update_state(*pair, sample_weight=weights[term.index])

    # -- results --------------------------------------------------------------------------------------
    def named(self) -> dict[str, metrics.Metric]:
        """Every tracker and metric by the name that logs show, the loss first."""
        return self._named

    def results(self) -> dict[str, Any]:
        """The values so far: numbers, and arrays of metrics that have several."""
        return {
            name: m.read() if isinstance(m, metrics.Mean) else _plain(m.result())
            for name, m in self.named().items()
        }

    def variables(self) -> list[Variable]:
        """The running sums of losses and metrics."""
        return [v for metric in self.named().values() for v in metric.variables]

    def restore(self, sums: Sequence[np.ndarray]) -> None:
        """Take values of `variables`; at the first step, if these are made only then."""
        self._restored = None if self.built else sums
        if self.built:
            for variable, values in zip(self.variables(), sums, strict=True):
                # Not by `assign`, which would become a part of the step that is traced just now.
                variable.array[...] = values

    def reset(self) -> None:
        """Start all sums again."""
        for metric in self.named().values():
            metric.reset_state()


def _plain(value: Any) -> Any:
    """A Python number, or an array of several."""
    found = np.asarray(value)
    return float(found) if found.ndim == 0 else found


def _mean(name: str) -> metrics.Mean:
    return metrics.Mean(name=name)


def _batch_size(prediction: Any, like: Any) -> Any:
    return ops.cast(prediction.shape[0], like.dtype)
