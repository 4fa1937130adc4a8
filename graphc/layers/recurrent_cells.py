"""What recurrent layers do at one step: from its input and the states before to an output and new states.

The inputs of all steps are multiplied by the kernel at once (`project`), before the loop over the steps, in
which only `step` runs. Kernels hold the gates side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from graphc import activations, constraints, initializers, ops, randomness, regularizers
from graphc.ir.errors import ArgumentError
from graphc.layers.layer import Layer

Masks = list[Any] | None
PARTS = ("kernel", "recurrent", "bias")


class Cell(Layer):
    """Base of the cells: weights, dropout, configuration.

    Args:
        units: the size of the output and of each state.
        activation: of the output, or of what is new in it.
        use_bias: whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer,
        recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint: of
        the weights.
        dropout, recurrent_dropout: probabilities that elements of inputs and of states are 0 in training, the
            same ones at all steps.
        seed: of the dropout's own stream.
    """

    gates: ClassVar[int] = 1
    kernel: Any
    recurrent_kernel: Any
    bias: Any
    own_options: ClassVar[dict[str, Any]] = {}
    """Further arguments with their defaults."""
    places: ClassVar[dict[str, str]] = {}
    """After which argument each of these stands in the configuration."""

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", **options: Any
    ) -> None:
        defaults = {**SHARED, **self.own_options}
        own = {name: options.pop(name, value) for name, value in defaults.items()}
        implementation = options.pop("implementation", 2)
        super().__init__(**options)
        if isinstance(units, bool) or not isinstance(units, (int, np.integer)) or units <= 0:
            raise ArgumentError(f"{type(self).__name__}: units must be a whole number above 0, not {units!r}")
        self.units = int(units)
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.get(recurrent_activation)
        for name, value in own.items():
            setattr(self, name, _resolved(name, value))
        self.implementation = 1 if own["recurrent_dropout"] else implementation
        seed = own["seed"]
        self._generator = None if seed is None else randomness.Generator(seed, name=self.name)

    @property
    def state_size(self) -> Any:
        """The size of the state, or a list of sizes."""
        return self.units

    @property
    def output_size(self) -> int:
        return self.units

    def bias_shape(self) -> tuple[int, ...]:
        """The shape of the bias."""
        return (self.gates * self.units,)

    def bias_start(self) -> Any:
        """The initializer of the bias."""
        return self.bias_initializer  # type: ignore[attr-defined]

    def build(self, input_shape: Any) -> None:
        width = self.gates * self.units
        shapes: dict[str, tuple[Any, ...]] = {
            "kernel": (input_shape[-1], width),
            "recurrent": (self.units, width),
        }
        starts = {"kernel": self.kernel_initializer, "recurrent": self.recurrent_initializer}  # type: ignore[attr-defined]
        if self.use_bias:  # type: ignore[attr-defined]
            shapes["bias"], starts["bias"] = self.bias_shape(), self.bias_start()
        self.bias = None
        for part, shape in shapes.items():
            name = "recurrent_kernel" if part == "recurrent" else part
            weight = self.add_weight(
                name=name,
                shape=shape,
                initializer=starts[part],
                regularizer=getattr(self, f"{part}_regularizer"),
                constraint=getattr(self, f"{part}_constraint"),
            )
            setattr(self, name, weight)

    # -- a step ---------------------------------------------------------------------------------------
    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros for each state."""
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [ops.zeros((batch_size, n), self.compute_dtype) for n in sizes]

    def dropout_masks(self, batch: Any, features: Any, training: bool) -> tuple[Masks, Masks]:
        """What inputs and states are multiplied with: nothing, one for all gates, or one for each."""
        if not training:
            return None, None
        count = 1 if self.implementation == 2 else self.gates
        rates = (self.dropout, self.recurrent_dropout)  # type: ignore[attr-defined]
        counts, sizes = (count, self.gates), (features, self.units)
        return tuple(  # type: ignore[return-value]
            [self._kept((batch, size), rate) for _ in range(n)] if rate else None
            for rate, n, size in zip(rates, counts, sizes)
        )

    def _kept(self, shape: tuple[Any, ...], rate: float) -> Any:
        ones = ops.ones(shape, self.compute_dtype)
        return ones * 0.0 if rate >= 1 else randomness.dropout(ones, rate, None, self._generator)

    def project(self, x: Any, masks: Masks) -> Any:
        """The inputs' part of all gates, of one step or of all: x @ kernel + bias."""
        y = self._times(x, self.kernel, masks)
        return y if self.bias is None else y + self.input_bias()

    def input_bias(self) -> Any:
        """The bias that is added to the inputs' part."""
        return self.bias

    def _times(self, x: Any, kernel: Any, masks: Masks) -> Any:
        """x @ kernel, for which each gate drops elements of its own if there are several masks."""
        if masks is None or len(masks) == 1:
            return ops.matmul(x if masks is None else x * masks[0], kernel)
        parts = ops.split(ops.convert_to_tensor(kernel), len(masks), axis=1)
        return ops.concatenate([ops.matmul(x * m, k) for m, k in zip(masks, parts)], axis=-1)

    def step(self, projected: Any, states: Sequence[Any], masks: Masks) -> tuple[Any, list[Any]]:
        """The output and the new states, of a step's `project`; to be defined by subclasses."""
        raise ArgumentError(f"{type(self).__name__} does not define step(projected, states, masks)")

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        given = list(states) if isinstance(states, (list, tuple)) else [states]
        drop, drop_state = self.dropout_masks(inputs.shape[0], inputs.shape[-1], training)
        return self.step(self.project(inputs, drop), given, drop_state)

    def get_config(self) -> dict[str, Any]:
        stored = {n: _serialized(n, getattr(self, n)) for n in arranged([*SHARED], self.places)}
        recurrent = {"recurrent_activation": activations.serialize(self.recurrent_activation)}
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            **(recurrent if self.gates > 1 else {}),
            **stored,
        }


SHARED: dict[str, Any] = {
    "use_bias": True,
    "kernel_initializer": "glorot_uniform",
    "recurrent_initializer": "orthogonal",
    "bias_initializer": "zeros",
    **{f"{part}_{kind}": None for kind in ("regularizer", "constraint") for part in PARTS},
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
    "seed": None,
}
"""The arguments that all cells share, with their defaults."""
_KINDS: dict[str, Any] = {
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}


def arranged(names: list[str], places: Mapping[str, str]) -> list[str]:
    """The names, with others each after one of them.

    >>> arranged(["a", "b"], {"new": "a"})
    ['a', 'new', 'b']
    """
    for new, before in places.items():
        at = names.index(before) + 1
        names = [*names[:at], new, *names[at:]]
    return names


def _resolved(name: str, value: Any) -> Any:
    kind = _KINDS.get(name.rpartition("_")[2])
    if kind is not None:
        return kind.get(value)
    return min(1.0, max(0.0, value)) if name.endswith("dropout") else value


def _serialized(name: str, value: Any) -> Any:
    kind = _KINDS.get(name.rpartition("_")[2])
    return value if kind is None else kind.serialize(value)


class SimpleRNNCell(Cell):
    """h = activation(x @ kernel + bias + h @ recurrent_kernel), for x (batch, features) and h (batch, units).

    >>> output, states = SimpleRNNCell(4)(np.ones((2, 3)), [np.zeros((2, 4))])
    >>> output.shape, [s.shape for s in states]
    ((2, 4), [(2, 4)])
    """

    def __init__(self, units: int, activation: Any = "tanh", **options: Any) -> None:
        super().__init__(units, activation, **options)

    def step(self, projected: Any, states: Sequence[Any], masks: Masks) -> tuple[Any, list[Any]]:
        h = self.activation(projected + self._times(states[0], self.recurrent_kernel, masks))
        return h, [h]


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000 for the forget gate): gates i,
    f, c, o; c = f * c + i * activation(..); h = o * activation(c). States are h and c (batch, units).

    >>> output, states = LSTMCell(4)(np.ones((2, 3)), [np.zeros((2, 4)), np.zeros((2, 4))])
    >>> output.shape, [s.shape for s in states]
    ((2, 4), [(2, 4), (2, 4)])
    """

    gates = 4
    own_options, places = {"unit_forget_bias": True}, {"unit_forget_bias": "use_bias"}
    unit_forget_bias: bool

    @property
    def state_size(self) -> Any:
        return [self.units, self.units]

    def bias_start(self) -> Any:
        if not self.unit_forget_bias:
            return super().bias_start()

        def start(shape: tuple[int, ...], dtype: Any = None) -> np.ndarray:
            bias = np.array(self.bias_initializer(shape, dtype=dtype))  # type: ignore[attr-defined]
            bias[self.units : 2 * self.units] = 1.0
            return bias

        return start

    def step(self, projected: Any, states: Sequence[Any], masks: Masks) -> tuple[Any, list[Any]]:
        h, c = states
        parts = ops.split(projected + self._times(h, self.recurrent_kernel, masks), 4, axis=-1)
        i, f, o = (self.recurrent_activation(parts[k]) for k in (0, 1, 3))
        c = f * c + i * self.activation(parts[2])
        h = o * self.activation(c)
        return h, [h, c]


class GRUCell(Cell):
    """Gated recurrent unit (Cho et al. 2014): gates z, r, h; h = z * h + (1 - z) * activation(..), in which
    the reset gate acts after the product with the recurrent kernel (`reset_after`), or before it.

    >>> output, states = GRUCell(4)(np.ones((2, 3)), [np.zeros((2, 4))])
    >>> output.shape, [s.shape for s in states]
    ((2, 4), [(2, 4)])
    """

    gates = 3
    own_options, places = {"reset_after": True}, {"reset_after": "recurrent_dropout"}
    reset_after: bool

    def bias_shape(self) -> tuple[int, ...]:
        whole = super().bias_shape()
        return (2, *whole) if self.reset_after else whole

    def input_bias(self) -> Any:
        return self.bias[0] if self.reset_after else self.bias

    def step(self, projected: Any, states: Sequence[Any], masks: Masks) -> tuple[Any, list[Any]]:
        (h,) = states
        for_z, for_r, new = ops.split(projected, 3, axis=-1)
        if self.reset_after:
            inner = self._times(h, self.recurrent_kernel, masks)
            inner = inner if self.bias is None else inner + self.bias[1]
            own_z, own_r, own = ops.split(inner, 3, axis=-1)
        else:
            kernel = ops.convert_to_tensor(self.recurrent_kernel)
            first = masks if masks is None or len(masks) == 1 else masks[:2]
            own_z, own_r = ops.split(self._times(h, kernel[:, : 2 * self.units], first), 2, axis=-1)
        z, r = self.recurrent_activation(for_z + own_z), self.recurrent_activation(for_r + own_r)
        if self.reset_after:
            new = self.activation(new + r * own)
        else:
            kept = h if masks is None else h * masks[-1]
            new = self.activation(new + ops.matmul(r * kept, kernel[:, 2 * self.units :]))
        h = z * h + (1.0 - z) * new
        return h, [h]


class StackedRNNCells(Layer):
    """Cells one upon the other: each takes the output of the one below.

    >>> cells = StackedRNNCells([LSTMCell(4), GRUCell(5)])
    >>> cells.state_size, cells.output_size
    ([[4, 4], 5], 5)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not cells or not all(callable(getattr(c, "call", None)) for c in cells):
            raise ArgumentError(f"StackedRNNCells takes a list of cells, not {cells!r}")
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        return [c.state_size for c in self.cells]

    @property
    def output_size(self) -> Any:
        return output_size(self.cells[-1])

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            if not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], output_size(cell))

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        return [initial_states(cell, batch_size) for cell in self.cells]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        new = []
        for cell, own in zip(self.cells, states):
            inputs, after = called(cell, inputs, own, training)
            new.append(after)
        return inputs, new

    def get_config(self) -> dict[str, Any]:
        from graphc.saving.registry import serialize

        return {**super().get_config(), "cells": [serialize(c) for c in self.cells]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        from graphc.saving.registry import deserialize

        config = dict(config)
        return cls([deserialize(c) for c in config.pop("cells")], **config)


def output_size(cell: Any) -> Any:
    """The size of a cell's output: as it says, or that of its first state."""
    sizes = cell.state_size
    return getattr(cell, "output_size", None) or (sizes[0] if isinstance(sizes, (list, tuple)) else sizes)


def initial_states(cell: Any, batch: Any) -> list[Any]:
    """A cell's states before the first step, as a list."""
    if hasattr(cell, "get_initial_state"):
        found = cell.get_initial_state(batch_size=batch)
        return list(found) if isinstance(found, (list, tuple)) else [found]
    sizes = cell.state_size if isinstance(cell.state_size, (list, tuple)) else [cell.state_size]
    return [ops.zeros((batch, n), cell.compute_dtype) for n in sizes]


def called(cell: Any, inputs: Any, states: list[Any], training: bool) -> tuple[Any, list[Any]]:
    """A cell's output and new states, as a list, at one step."""
    import inspect

    takes = "training" in inspect.signature(cell.call).parameters
    output, new = cell(inputs, states, **({"training": training} if takes else {}))
    return output, list(new) if isinstance(new, (list, tuple)) else [new]
