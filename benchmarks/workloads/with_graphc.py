"""graphc's candidates, what all candidates of a network are given, and the measured peak of this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import graphc
from graphc import applications  # noqa: F401 - models name it
from graphc.passes.manager import all_passes
from workloads import described
from workloads.definition import Build, Ready
from workloads.networks import Case


def prepare(case: Case, folder: Path) -> None:
    """Write a network with its weights and data."""
    model = case.network.build(graphc)
    rng = np.random.default_rng(0)
    x = rng.random((case.batch, *model.input_shape[1:]), "f4")
    y: Any = x
    if case.network.loss == "crossentropy":
        y = rng.integers(0, model.output_shape[-1], case.batch)
    elif model.output_shape[1:] != x.shape[1:]:
        y = rng.standard_normal((case.batch, *model.output_shape[1:]), "f4")
    described.write(model, x, y, folder)


def network(case: Case, folder: Path) -> Build:
    """A compiled model, or its training step."""
    given, net = described.Description(folder), case.network
    model = net.build(graphc)
    model.set_weights(given.model_weights())
    x, y = given.x, given.y

    def predictor() -> Ready:
        forward = graphc.compile(model)
        return Ready(lambda: forward(x), lambda: forward.cost().total.flops)

    def trainer() -> Ready:
        step = graphc.compile(model, step="train")
        return Ready(lambda: step(x, y)["loss"], lambda: step.cost().total.flops)

    if not case.train:
        return predictor
    optimizer = graphc.optimizers.Adam if net.adam else graphc.optimizers.SGD
    loss: Any = "mse"
    if net.loss == "crossentropy":
        loss = graphc.losses.SparseCategoricalCrossentropy(from_logits=net.logits)
    model.compile(optimizer(net.rate), loss)
    return trainer


def function(case: Any, folder: Path) -> Build:
    """A NumPy function as it stands, under `jit` or `value_and_grad`."""
    import llvmlite.binding  # noqa: F401 - what a peer compiles with is imported before it is timed, too

    all_passes()
    arguments = case.arguments()
    if case.gradient is None:
        f = graphc.jit(case.function)
    else:
        f = graphc.value_and_grad(case.function, argnums=case.gradient)
    return lambda: Ready(lambda: f(*arguments), lambda: f.cost().total.flops)


def peak(case: Any, folder: Path) -> Build:
    """Multiply-adds in registers, of one thread."""

    def build() -> Ready:
        from peak import peak_probe

        run, flops = peak_probe(getattr(case, "dtype", "f32"))
        call: Callable[[], object] = run
        return Ready(call, lambda: flops)

    return build
