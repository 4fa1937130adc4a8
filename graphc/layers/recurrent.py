"""Recurrent layers: a cell at every step of (batch, steps, features), in one loop of the compiled graph."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from graphc import ops, structure
from graphc.ir.errors import ArgumentError, StateError
from graphc.layers.layer import Layer
from graphc.layers.recurrent_cells import (
    SHARED,
    Cell,
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
    arranged,
    called,
    initial_states,
)
from graphc.layers.spec import InputSpec, no_steps
from graphc.ops.control import scan
from graphc.variable import Variable


class Kept:
    """The states of a stateful layer, from call to call. They are no weights."""

    def __init__(self, variables: Any) -> None:
        self.variables = variables


class RNN(Layer):
    """A cell at every step.

    Args:
        cell: has `call(inputs, states) -> (output, new states)` and `state_size`; or a list of cells.
        return_sequences: the outputs of all steps (batch, steps, units), not the last one (batch, units).
        return_state: the last states after the output.
        go_backwards: from the last step to the first; outputs are in the order in which they are made.
        stateful: a call begins with the states in which the one before ended; the batch's size must be known.
        unroll: as in Keras, in masked steps before the first valid one the output is 0, not the first state.
        zero_output_for_mask: the output is 0 in all masked steps.

    A mask (batch, steps) tells which steps are valid; in others states and output stay as they were.

    >>> import graphc
    >>> RNN([LSTMCell(4), GRUCell(5)], return_sequences=True)(graphc.Input((6, 3))).shape
    (None, 6, 5)
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = StackedRNNCells(cell) if isinstance(cell, (list, tuple)) else cell
        if not callable(getattr(cell, "call", None)) or not hasattr(cell, "state_size"):
            raise ArgumentError(
                f"{type(self).__name__} takes a cell with `call` and `state_size`, not {cell!r}"
            )
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences, self.return_state = bool(return_sequences), bool(return_state)
        self.go_backwards, self.stateful = bool(go_backwards), bool(stateful)
        self.unroll, self.zero_output_for_mask = bool(unroll), bool(zero_output_for_mask)
        self.supports_masking = True
        self._kept: Kept | None = None

    @property
    def state_size(self) -> list[Any]:
        sizes = self.cell.state_size
        return list(sizes) if isinstance(sizes, (list, tuple)) else [sizes]

    def build(self, input_shape: Any) -> None:
        if len(input_shape) < 3:
            raise no_steps(self, input_shape)
        if not self.cell.built:
            self.cell.build((input_shape[0], *input_shape[2:]))
        if self.stateful:
            if input_shape[0] is None:
                raise ArgumentError(
                    f"{self} is stateful, so the batch's size must be known.\n"
                    f"  fix     give it to the input: Input(batch_shape=(32, {input_shape[1]}, "
                    f"{input_shape[2]}))."
                )
            start = initial_states(self.cell, int(input_shape[0]))
            self._kept = Kept(
                structure.transform(
                    lambda s: Variable(np.asarray(s), trainable=False, name="rnn_state"), start
                )
            )

    # -- states of stateful layers ----------------------------------------------------------------------
    @property
    def states(self) -> Any:
        """The variables that hold the states between calls; None if the layer is not stateful."""
        return None if self._kept is None else self._kept.variables

    def reset_state(self) -> None:
        """Begin the next call with zeros."""
        for variable in structure.leaves(self.states or []):
            variable.assign(np.zeros(variable.shape, variable.dtype))

    reset_states = reset_state

    # -- a call -----------------------------------------------------------------------------------------
    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        x = self._with_known_batch(sequences)
        x = ops.moveaxis(x, 1, 0)
        states = self._first_states(x, initial_state)
        outputs, last, new = self._run(x, states, _steps(mask), training)
        if self._kept is not None:
            for variable, state in zip(structure.leaves(self._kept.variables), structure.leaves(new)):
                variable.assign(state)
        result = ops.moveaxis(outputs, 0, 1) if self.return_sequences else last
        return (result, *new) if self.return_state else result

    def _with_known_batch(self, x: Any) -> Any:
        if self._kept is None:
            return x
        size = structure.leaves(self._kept.variables)[0].shape[0]
        if isinstance(x.shape[0], int) and x.shape[0] != size:
            raise StateError(f"{self} is stateful for batches of {size} samples, but got {x.shape[0]}.")
        return ops.reshape(x, (size, *x.shape[1:]))

    def _first_states(self, x: Any, given: Any) -> list[Any]:
        if given is None and self._kept is not None:
            given = structure.transform(lambda v: v.value, self._kept.variables)
        if given is None:
            given = initial_states(self.cell, x.shape[1])
        found = list(given) if isinstance(given, (list, tuple)) else [given]
        if len(found) != len(self.state_size):
            raise ArgumentError(
                f"{self} has {len(self.state_size)} states, but got {len(found)} as initial_state."
            )
        return found

    def _run(self, x: Any, states: list[Any], mask: Any, training: bool) -> tuple[Any, Any, list[Any]]:
        """The loop: the outputs of all steps (steps first; None if nobody wants them), the last output, the
        last states.
        """
        ready = isinstance(self.cell, Cell)
        drop: Any = None
        if ready:
            inputs, drop = self.cell.dropout_masks(x.shape[1], x.shape[-1], training)
            x = self.cell.project(x, inputs)
        count = len(structure.leaves(states))
        # A cell of ours has its output as its first state: the last output is there without all others.
        stacked = self.return_sequences or not ready or self.unroll or self.zero_output_for_mask
        remembered = mask is not None and self.unroll

        def step(carries: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
            before = structure.pack(states, carries[:count])
            output, after = (
                self.cell.step(slices[0], before, drop)
                if ready
                else called(self.cell, slices[0], before, training)
            )
            new = structure.leaves(after)
            if mask is not None:
                valid = slices[1]
                output = ops.where(valid, output, self._masked_output(output, before, carries[count:]))
                new = [ops.where(valid, n, o) for n, o in zip(new, carries[:count])]
            return [*new, *([output] if remembered else [])], [output] if stacked else []

        start = structure.leaves(states)
        if remembered:
            start = [*start, ops.zeros_like(start[0])]
        given = [x] if mask is None else [x, mask]
        ends, pieces = scan(step, start, given, reverse=self.go_backwards)
        final = structure.pack(states, ends[:count])
        if not stacked:
            return None, ends[0], final
        outputs = ops.flip(pieces[0], axis=0) if self.go_backwards else pieces[0]
        return outputs, outputs[-1], final

    def _masked_output(self, output: Any, states: Any, previous: list[Any]) -> Any:
        """The output of a step that is not valid: the one before, which is the (last cell's) first state."""
        if self.zero_output_for_mask:
            return ops.zeros_like(output)
        if previous:
            return previous[0]
        first = states[0]
        return states[-1][0] if isinstance(first, (list, tuple)) else first

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        found = structure.leaves(previous_mask)
        own = found[0] if found and self.return_sequences else None
        return [own, *(None for _ in self.state_size)] if self.return_state else own

    def get_config(self) -> dict[str, Any]:
        from graphc.saving.registry import serialize

        return {**super().get_config(), **self._options(), "cell": serialize(self.cell)}

    def _options(self) -> dict[str, Any]:
        names = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
        return {n: getattr(self, n) for n in (*names, "zero_output_for_mask")}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        from graphc.saving.registry import deserialize

        config = dict(config)
        return cls(deserialize(config.pop("cell")), **config)


def _steps(mask: Any) -> Any:
    """A mask (batch, steps) as one per step, for all features: (steps, batch, 1)."""
    own = None if mask is None else structure.leaves(mask)[0]
    return None if own is None else ops.expand_dims(ops.moveaxis(ops.cast(own, "bool"), 1, 0), -1)


class _OneCell(RNN):
    """Base of the layers that make their own cell; the cell's arguments are theirs too."""

    kind: ClassVar[type[Cell]] = Cell
    cell_name: ClassVar[str] = ""
    places: ClassVar[dict[str, str]] = {}
    """After which argument the cell's further ones stand."""

    def __init__(self, units: int, activation: Any = "tanh", *positional: Any, **options: Any) -> None:
        options = {**dict(zip(self.arguments()[2:], positional)), **options}
        names = [n for n in self.arguments()[2:] if n != "activity_regularizer"]
        own = {n: options.pop(n) for n in (*names, "implementation") if n in options}
        options.pop("use_cudnn", None)
        shared = {n: options[n] for n in ("dtype", "trainable") if n in options}
        super().__init__(self.kind(units, activation, **own, **shared, name=self.cell_name), **options)
        self.input_spec = InputSpec(ndim=3)

    @classmethod
    def arguments(cls) -> list[str]:
        """The names of the arguments that describe a step, in order."""
        recurrent = ["recurrent_activation"] if cls.kind.gates > 1 else []
        places = {"activity_regularizer": "bias_regularizer", **cls.places}
        return ["units", "activation", *recurrent, *arranged([*SHARED], places)]

    def __getattr__(self, name: str) -> Any:
        if name in type(self).arguments() and "cell" in self.__dict__:
            return getattr(self.cell, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def get_config(self) -> dict[str, Any]:
        base, own = Layer.get_config(self), self.cell.get_config()
        own["activity_regularizer"] = base.pop("activity_regularizer", None)
        names = [n for n in self.arguments() if n != "seed" or self.kind.gates > 1]
        return {**base, **self._options(), **{n: own[n] for n in names}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


class SimpleRNN(_OneCell):
    """h = activation(x @ kernel + bias + h @ recurrent_kernel) at every step; see `RNN` and `Cell`.

    Weights: `kernel` (features, units), `recurrent_kernel` (units, units), `bias` (units,).

    >>> import graphc
    >>> SimpleRNN(4)(graphc.Input((None, 3))).shape
    (None, 4)
    """

    kind, cell_name = SimpleRNNCell, "simple_rnn_cell"


class LSTM(_OneCell):
    """Long short-term memory at every step, with states h and c; see `RNN` and `LSTMCell`.

    Weights: `kernel` (features, 4 * units), `recurrent_kernel` (units, 4 * units), `bias` (4 * units,), in
    the order of gates i, f, c, o.

    >>> import graphc
    >>> [y.shape for y in LSTM(4, return_sequences=True, return_state=True)(graphc.Input((5, 3)))]
    [(None, 5, 4), (None, 4), (None, 4)]
    """

    kind, cell_name = LSTMCell, "lstm_cell"
    places = {"unit_forget_bias": "bias_initializer"}


class GRU(_OneCell):
    """Gated recurrent unit at every step; see `RNN` and `GRUCell`.

    Weights: `kernel` (features, 3 * units), `recurrent_kernel` (units, 3 * units), `bias` (2, 3 * units), or
    (3 * units,) with `reset_after=False`, in the order of gates z, r, h.

    >>> import graphc
    >>> GRU(4)(graphc.Input((5, 3))).shape
    (None, 4)
    """

    kind, cell_name, places = GRUCell, "gru_cell", GRUCell.places
