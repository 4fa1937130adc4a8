"""A model printed as a table, written to files and read from them, and as a configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from graphc.connected import Connected
from graphc.replay import require_built


class Stored(Connected):
    """The part of `Model` that is printed and stored."""

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[..., Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
        style: str = "keras2",
    ) -> None:
        """Print the table of layers; see `graphc.summary.print_summary`."""
        from graphc.model_summary import summarise
        from graphc.summary import print_summary

        require_built(self, "there is nothing to show")
        print_summary(
            summarise(self, layer_range),  # type: ignore[arg-type]
            line_length,
            positions,
            print_fn,
            expand_nested,
            show_trainable,
            style,
        )

    def save(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the model to a ".keras" file, whole or not at all: architecture, weights, and how it is
        compiled with the optimizer's state; `load_model` reads it.
        """
        from graphc.saving.archive import save_model

        require_built(self, "it has no weights to save")
        save_model(self, filepath, overwrite)  # type: ignore[arg-type]

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the weights to a file, whole or not at all; the ending says which kind: ".weights.h5", as
        Keras has it, ".safetensors" or ".npz".
        """
        from graphc.saving.weights import save_weights

        require_built(self, "it has no weights to save")
        save_weights(self, filepath, overwrite)  # type: ignore[arg-type]

    def load_weights(self, filepath: Any, skip_mismatch: bool = False) -> None:
        """Read the weights from a file; ArgumentError says which names or shapes differ, and nothing is
        changed then.
        """
        from graphc.saving.weights import load_weights

        require_built(self, "it has no weights to load into")
        load_weights(self, filepath, skip_mismatch)  # type: ignore[arg-type]

    def get_config(self) -> dict[str, Any]:
        """The model as JSON holds it: its layers and, in a functional one, their calls. A class that makes
        its tensors itself is stored by its constructor's arguments.
        """
        if self._dag is None or not {"inputs", "outputs"} <= _arguments(type(self)):
            return super().get_config()
        from graphc.saving.models import functional_config

        return functional_config(self)  # type: ignore[arg-type]

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The model that `get_config` described, with new weights."""
        from graphc.models import Functional

        if not issubclass(cls, Functional) and "input_layers" not in config:
            return cls(**config)
        from graphc.saving.models import functional_from_config

        return functional_from_config(cls, config, custom_objects)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as Keras 3's JSON; `model_from_json` reads it."""
        from graphc.saving.models import to_json

        return to_json(self, **kwargs)  # type: ignore[arg-type]


def _arguments(cls: type) -> set[str]:
    """What a constructor of models can be given by name."""
    from graphc.models import Model

    constructor = cls.__init__  # type: ignore[misc]
    own = constructor is Model.__init__
    return {"inputs", "outputs"} if own else set(inspect.signature(constructor).parameters)
