"""A recurrent layer that reads sequences both ways."""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.ir.errors import ArgumentError
from graphc.layers.layer import Layer

MODES = ("concat", "sum", "ave", "mul", None)


class Bidirectional(Layer):
    """A recurrent layer, and one like it that runs backwards, whose results are merged.

    Args:
        layer: the recurrent layer; both directions are made anew from its configuration.
        merge_mode: "concat" along the last axis, "sum", "ave" (mean), "mul", or None for both results.
        weights: values for the weights of both.
        backward_layer: the other one, if it is to differ; its `go_backwards` must.

    With `return_sequences`, the backward outputs are turned round, so that both have the order of the steps,
    and outputs of masked steps are 0.

    >>> import graphc
    >>> from graphc.layers import LSTM
    >>> Bidirectional(LSTM(4, return_sequences=True))(graphc.Input((5, 3))).shape
    (None, 5, 8)
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(layer, Layer) or not hasattr(layer, "go_backwards"):
            raise ArgumentError(f"Bidirectional takes a recurrent layer, not {layer!r}")
        if merge_mode not in MODES:
            raise ArgumentError(
                f"merge_mode must be one of {', '.join(map(repr, MODES))}, not {merge_mode!r}"
            )
        if backward_layer is not None and backward_layer.go_backwards == layer.go_backwards:
            raise ArgumentError("backward_layer must have another `go_backwards` than the layer")
        super().__init__(**kwargs)
        self.forward_layer = _again(layer, "forward_", layer.go_backwards)
        self.backward_layer = backward_layer or _again(layer, "backward_", not layer.go_backwards)
        self.merge_mode = merge_mode
        for made in (self.forward_layer, self.backward_layer):
            made.zero_output_for_mask = made.return_sequences
        own: Any = self.forward_layer
        self.return_sequences, self.return_state = own.return_sequences, own.return_state
        self.stateful = own.stateful
        self.supports_masking = True
        self._first_weights = weights

    def build(self, input_shape: Any) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(input_shape)
        if self._first_weights is not None:
            half = len(self._first_weights) // 2
            self.forward_layer.set_weights(self._first_weights[:half])
            self.backward_layer.set_weights(self._first_weights[half:])

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        first, second = None, None
        if initial_state is not None:
            half = len(initial_state) // 2
            first, second = list(initial_state[:half]), list(initial_state[half:])
        results = [
            layer(sequences, initial_state=state, mask=mask, training=training)
            for layer, state in ((self.forward_layer, first), (self.backward_layer, second))
        ]
        outputs, states = results, []
        if self.return_state:
            outputs, states = [r[0] for r in results], [s for r in results for s in r[1:]]
        if self.return_sequences:
            outputs = [outputs[0], ops.flip(outputs[1], axis=1)]
        merged = self._merged(*outputs)
        if not self.return_state:
            return merged
        return (*merged, *states) if self.merge_mode is None else (merged, *states)

    def _merged(self, one: Any, other: Any) -> Any:
        if self.merge_mode == "concat":
            return ops.concatenate([one, other], axis=-1)
        if self.merge_mode == "mul":
            return one * other
        if self.merge_mode is None:
            return one, other
        return one + other if self.merge_mode == "sum" else (one + other) / 2.0

    def reset_state(self) -> None:
        """Begin the next call with zeros."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    @property
    def states(self) -> Any:
        """The variables that hold both layers' states between calls; None if they are not stateful."""
        found = (self.forward_layer.states, self.backward_layer.states)
        return None if found[0] is None else (*found[0], *found[1])

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        own = mask if self.return_sequences else None
        found = [own] if self.merge_mode else [own, own]
        if self.return_state:
            found += [None] * (2 * len(self.forward_layer.state_size))
        return found[0] if len(found) == 1 else found

    def get_config(self) -> dict[str, Any]:
        from graphc.saving.registry import serialize

        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize(self.forward_layer),
            "backward_layer": serialize(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        from graphc.saving.registry import deserialize

        config = dict(config)
        backward = config.pop("backward_layer", None)
        return cls(
            deserialize(config.pop("layer")),
            backward_layer=None if backward is None else deserialize(backward),
            **config,
        )


def _again(layer: Any, prefix: str, go_backwards: bool) -> Any:
    """A layer of the same configuration, without weights."""
    config = {**layer.get_config(), "go_backwards": go_backwards}
    config["name"] = prefix + layer.name.removeprefix("forward_").removeprefix("backward_")
    return type(layer).from_config(config)
