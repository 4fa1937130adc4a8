"""`vjp`: a model's gradients for cotangents of its outputs, as a compiled function."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.forward import Bound, as_arrays, batch_type, bind, convert
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.ir.types import TensorType
from graphc.models import Model
from graphc.npjit.builtin_calls import HANDLERS, constructed
from graphc.replay import Traced, model_inputs, replay
from graphc.tensor import Tensor
from graphc.trace import Trace


class Vjp:
    """`f(x, ct) -> (dx, dw)`; see `vjp`."""

    def __init__(self, model: Model, training: bool = False, **options: Any) -> None:
        self.model, self.training, self.options = model, training, options
        self._bound: dict[Any, Bound] = {}

    def __call__(self, x: Any, ct: Any) -> tuple[list[np.ndarray | None], list[np.ndarray]]:
        """Gradients for inputs `x` and cotangents `ct`, each an array or a list of arrays."""
        model = self.model
        inputs = model.arrange(x)
        if model.has_own_inputs:
            pairs = zip(inputs, model.inputs, model.input_names)
            inputs = [convert(a, t.type, n) for a, t, n in pairs]
        cotangents = self._cotangents(ct)
        key = (tuple((a.shape[1:], a.dtype) for a in inputs), model.structure_version())
        if key not in self._bound:
            self._bound[key] = bind(self._trace([batch_type(a) for a in inputs]), self.options)
        found = iter(self._bound[key]([*inputs, *cotangents]))
        dx = [next(found) if a.dtype.kind == "f" else None for a in inputs]
        return dx, list(found)

    def _cotangents(self, ct: Any) -> list[np.ndarray]:
        given = as_arrays(ct)
        arrays = given if isinstance(given, list) else [given]
        outputs = self.model.outputs
        if len(arrays) != len(outputs):
            raise ArgumentError(
                f"the model '{self.model.name}' has {len(outputs)} outputs, but got {len(arrays)} cotangents."
            )
        for array, output, name in zip(arrays, outputs, self.model.output_names):
            wanted = output.shape
            if array.ndim != len(wanted) or any(
                d is not None and d != n for d, n in zip(wanted, array.shape)
            ):
                raise ShapeError(
                    f"the cotangent of '{name}' must have its shape {wanted}, but got {array.shape}."
                )
        return [a.astype(o.dtype, copy=False) for a, o in zip(arrays, outputs)]

    def _trace(self, types: list[TensorType]) -> Traced:
        trace = Trace("vjp", training=self.training)
        with trace:
            inputs = model_inputs(self.model, trace, types)
            outputs = replay(self.model, inputs, self.training)
            cotangents = [
                trace.input(f"ct_{i}" if len(outputs) > 1 else "ct", y.type) for i, y in enumerate(outputs)
            ]
            variables = [v for v in self.model.trainable_weights if v.dtype.kind == "f"]
            targets = [x for x in inputs if x.type.dtype.kind == "f"]
            targets += [trace.tensor(trace.weight(v)) for v in variables]
            graph = trace.finish(gradients(trace, outputs, cotangents, targets))
        return Traced(graph, list(trace.variables), trace.assigned)


def gradients(
    trace: Trace, outputs: list[Tensor], cotangents: list[Tensor], targets: list[Tensor]
) -> list[Tensor]:
    """The gradient of sum(outputs * cotangents) with respect to each target, by a `gradient` node."""
    pairs = [(y, c) for y, c in zip(outputs, cotangents) if y.type.dtype.kind == "f"]
    if not targets:
        return []
    found = trace.op("gradient", *(y for y, _ in pairs), *(c for _, c in pairs), *targets, outputs=len(pairs))
    return list(found) if isinstance(found, tuple) else [found]


def vjp(model: Any, training: bool = False, **options: Any) -> Any:
    """A function (x, ct) -> (dx, dw) of the model's gradients; (*args, ct) -> gradients for a NumPy function.

    Args:
        model: built or not; then it is built for the first x. Or a NumPy function: see `graphc.grad`.
        training: whether layers see training=True (moving statistics are then updated).
        options: of `graphc.compile`, such as backend="numba"; `argnums` for functions.

    `dx` has one entry per input, None for integers; `dw` one per entry of `model.trainable_weights`.

    >>> from graphc import Sequential, Input
    >>> from graphc.layers import Dense
    >>> model = Sequential([Input((3,)), Dense(2, use_bias=False)])
    >>> dx, dw = vjp(model)(np.ones((4, 3)), np.ones((4, 2)))
    >>> dx[0].shape, dw[0].tolist()
    ((4, 3), [[4.0, 4.0], [4.0, 4.0], [4.0, 4.0]])
    >>> vjp(np.outer)(np.ones(2), np.ones(3), np.ones((2, 3)))
    (array([3., 3.]), array([2., 2., 2.]))
    """
    if isinstance(model, Model):
        return Vjp(model, training, **options)
    from graphc.npjit.gradient import vjp as of_function

    return of_function(model, **options)


HANDLERS[vjp] = constructed(vjp)
