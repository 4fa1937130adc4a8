"""`Model`: a layer that is made of layers, and that can be run, trained, printed and stored."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import naming, structure
from graphc.forward import Forward, as_arrays
from graphc.functional import Dag, run
from graphc.ir.errors import ArgumentError, GraphcError, StateError, StructureError
from graphc.ir.locations import caller
from graphc.ir.types import TensorType
from graphc.layers.blame import blame
from graphc.layers.layer import Layer
from graphc.layers.recording import begin_at_inputs, symbolic_type, trial
from graphc.layers.spec import InputSpec
from graphc.replay import require_built
from graphc.revision import EPOCH
from graphc.tensor import Tensor
from graphc.trace import active
from graphc.training import Trainer


class Model(Trainer, Layer):
    """A model: `Model(inputs, outputs)` from functional tensors, or a subclass that defines `call`.

    Args:
        inputs: one tensor made by `Input`, or a list or dict of them.
        outputs: one tensor, or a list or dict.
        name: by default "model", counted.
        trainable: whether training changes its weights.

    Raises:
        StructureError: the outputs need an input that is not given, or are no tensors.

    >>> from graphc import Input, Model
    >>> from graphc.layers import Dense
    >>> x = Input((3,), name="x")
    >>> model = Model(x, Dense(2, name="head")(x), name="net")
    >>> model(np.zeros((5, 3))).shape, model.count_params()
    ((5, 2), 8)
    """

    quiet_attributes = frozenset(
        {"built", "history"}.union(*({**vars(c), **inspect.get_annotations(c)} for c in Trainer.__mro__[:-1]))
    )
    told_when_made = False
    _dag: Dag | None
    _placeholders: Any
    _forward: dict[bool, Forward]
    _fingerprint: Any
    _checked: int

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        functional = cls is Model and (
            len(args) > 1 or {"inputs", "outputs"} <= set(kwargs) or (args and "outputs" in kwargs)
        )
        return super().__new__(Functional if functional else cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        inputs = kwargs.pop("inputs", args[0] if args else None)
        outputs = kwargs.pop("outputs", args[1] if len(args) > 1 else None)
        if kwargs.get("name") is None:
            kind = type(self)
            kwargs["name"] = naming.unique_name(
                "model" if kind in (Model, Functional) else naming.snake_case(kind.__name__)
            )
        super().__init__(**kwargs)
        self.__dict__.update(_dag=None, _placeholders=None, _forward={}, _fingerprint=None, _checked=-1)
        if inputs is not None or outputs is not None:
            self._connect(inputs, outputs)

    # -- structure --------------------------------------------------------------------------------
    def _connect(self, inputs: Any, outputs: Any) -> None:
        """Make this a functional model between these tensors."""
        for what, given in (("input", inputs), ("output", outputs)):
            for leaf in structure.leaves(given):
                _require_tensor(leaf, what, self.name)
        inputs, outputs = begin_at_inputs(inputs, outputs)
        self.__dict__["_dag"] = Dag(structure.leaves(inputs), structure.leaves(outputs))
        self.__dict__["_placeholders"] = (inputs, outputs)
        specs = [InputSpec(shape=t.shape) for t in structure.leaves(inputs)]
        self.__dict__["input_spec"] = specs
        self.built = True

    @property
    def has_own_inputs(self) -> bool:
        """Whether the model declares its inputs (a functional model, or a Sequential with an input shape)."""
        return self._dag is not None

    @property
    def layers(self) -> list[Layer]:
        """The layers: by depth in a functional model, else in order of their attributes."""
        return list(self._dag.layers) if self._dag is not None else self._sublayers()

    def _sublayers(self) -> list[Layer]:
        extra = [
            layer for layer in super()._sublayers() if self._dag is None or layer not in self._dag.layers
        ]
        return extra if self._dag is None else [*self._dag.layers, *extra]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that index of `layers`.

        Raises:
            ArgumentError: there is none; the message proposes the nearest names.
        """
        import difflib

        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ArgumentError(
                    f"the model '{self.name}' has {len(self.layers)} layers, there is none at {index}."
                )
            return self.layers[index]
        names = [layer.name for layer in self.layers]
        if name in names:
            return self.layers[names.index(name)]
        within = [m.name for m in self.layers if isinstance(m, Model) and name in [x.name for x in m.layers]]
        if within:
            raise ArgumentError(
                f"the model '{self.name}' has no layer '{name}' of its own; '{within[0]}' has one.\n"
                f"  fix     {self.name}.get_layer('{within[0]}').get_layer('{name}')"
            )
        near = difflib.get_close_matches(str(name), names, n=3) or names[:5]
        raise ArgumentError(
            f"the model '{self.name}' has no layer '{name}'; did you mean {', '.join(map(repr, near))}?"
        )

    @property
    def input_structure(self) -> Any:
        """The inputs as the model takes them: a tensor, or a list or dict of them."""
        return self._known("it has no inputs yet")[0]

    @property
    def inputs(self) -> list[Tensor]:
        """The input tensors; an empty list before the model is built."""
        return structure.leaves(self._placeholders[0]) if self._placeholders else []

    @property
    def outputs(self) -> list[Tensor]:
        """The output tensors; an empty list before the model is built."""
        return structure.leaves(self._placeholders[1]) if self._placeholders else []

    @property
    def input(self) -> Any:
        return self._known("it has no input yet")[0]

    @property
    def output(self) -> Any:
        return self._known("it has no output yet")[1]

    def _known(self, what: str) -> Any:
        if self._placeholders is None:
            raise StateError(
                f"the model '{self.name}' is not built yet, so {what}.\n"
                f"  fix     call it on data, or {self.name}.build(input_shape=(None, ...)), first."
            )
        return self._placeholders

    @property
    def input_names(self) -> list[str]:
        """The names of the input layers, or of the arguments of a subclassed model's `call`."""
        given = self._placeholders[0] if self._placeholders else []
        keys = sorted(given) if isinstance(given, dict) and len(given) == len(self.inputs) else []
        names = [t.name or (str(keys[i]) if keys else f"input_{i}") for i, t in enumerate(self.inputs)]
        return _distinct(names)

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that make the outputs."""
        names = [t.layer.name if t.layer is not None else f"output_{i}" for i, t in enumerate(self.outputs)]
        return _distinct(names)

    # -- building ---------------------------------------------------------------------------------
    def build(self, input_shape: Any = None) -> None:
        """Make the weights for an input shape, such as (None, 784), or a list or dict of shapes.

        Raises:
            ArgumentError: no shape is given.
        """
        if self._placeholders is not None:
            return
        if input_shape is None:
            raise ArgumentError(
                f"build() of the model '{self.name}' needs the shape of its input.\n"
                f"  fix     {self.name}.build(input_shape=(None, 784)), None being the number of samples."
            )

        def enter(shape: Any) -> Any:
            if isinstance(shape, dict):
                return {k: enter(v) for k, v in shape.items()}
            if shape and isinstance(shape[0], (list, tuple)):
                return [enter(s) for s in shape]
            return Tensor(symbolic_type(shape, self.compute_dtype))

        self._try(enter(input_shape))

    def _build_for(self, arguments: dict[str, Any]) -> None:
        """The layers of a model are built by its `call`; a `build` of the user's own runs first."""
        if type(self).build is Model.build:
            self.built = True
            return
        super()._build_for(arguments)

    def _try(self, inputs: Any) -> None:
        """Build on tensors of the inputs' types, and keep the outputs that result."""
        outputs = trial(self, (inputs,), {})
        if self._placeholders is None:
            made = structure.transform(lambda t: Tensor(t.type) if isinstance(t, Tensor) else t, outputs)
            self.__dict__["_placeholders"] = (inputs, made)
        self.built = True

    def prepare(self, types: Sequence[TensorType] | None) -> None:
        """See that the model is built: for these types of its inputs, if it is not yet.

        Raises:
            StateError: it is not built, and no types are given.
        """
        if self._placeholders is not None:
            return
        if types is None:
            require_built(self, "it has no weights and no shapes")
            raise StateError(
                f"the shapes of the inputs of '{self.name}' are not known yet.\n"
                "  fix     call it on data first."
            )
        tensors = [Tensor(t) for t in types]
        self._try(tensors[0] if len(tensors) == 1 else tensors)

    # -- calling ----------------------------------------------------------------------------------
    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation: the calls of a functional model again; subclasses define their own."""
        raise StructureError(f"{type(self).__name__} does not define call(self, inputs).")

    def flat_inputs(self, inputs: Any) -> list[Any]:
        """Inputs given as one value, a list, or a dict by name, in the model's order.

        Raises:
            ArgumentError: a number of inputs, or a name, that the model does not have.
        """
        own = self.input_structure
        names = self.input_names
        if isinstance(inputs, dict):
            keys = sorted(own) if isinstance(own, dict) else names
            missing = [k for k in keys if k not in inputs]
            if missing:
                raise ArgumentError(
                    f"the model '{self.name}' has an input '{missing[0]}', but got "
                    f"{', '.join(map(repr, inputs))}."
                )
            return [inputs[k] for k in keys]
        flat = structure.leaves(inputs)
        if len(flat) != len(names):
            raise ArgumentError(
                f"the model '{self.name}' takes {len(names)} inputs ({', '.join(names)}), "
                f"but got {len(flat)}."
            )
        return flat

    def arrange(self, inputs: Any) -> list[np.ndarray]:
        """Arrays given to the model, in its order; builds the model if it is not built yet."""
        arrays = as_arrays(inputs)
        if self._placeholders is None:
            from graphc.forward import batch_type

            used = structure.transform(lambda a: Tensor(batch_type(a)), arrays)
            self._try(used)
        return self.flat_inputs(arrays)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Extend the model (symbols), the graph being traced (inside `call`), or compute (arrays)."""
        if not kwargs and len(args) == 1 and type(args[0]) is np.ndarray and active() is None:
            forward = self._forward.get(False)
            try:
                results = None if forward is None else forward.quick(args)
            except GraphcError as e:
                blame(e, self, caller(self.name))
                raise
            if results is not None:
                return self.arranged(results)
        return super().__call__(*args, **kwargs)

    def _call_on_arrays(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        training = bool(kwargs.pop("training", False) or False)
        if kwargs or len(args) != 1:
            return super()._call_on_arrays(args, {**kwargs, **({"training": True} if training else {})})
        forward = self._forward.setdefault(training, Forward(self, training))
        try:
            results = forward.run(self.arrange(args[0]))
        except GraphcError as e:
            blame(e, self, caller(self.name))
            raise
        return self.arranged(results)

    def arranged(self, results: list[Any]) -> Any:
        """A value for each output, in the structure of the model's outputs."""
        output = self._placeholders[1]
        return results[0] if type(output) is Tensor else structure.pack(output, results)

    def structure_version(self) -> Any:
        """A value that differs once a layer's `trainable`, or another plain attribute, was set."""
        if self._checked != EPOCH.count:
            layers = self._flatten_layers()
            self.__dict__["_fingerprint"] = tuple(
                (id(x), x._trainable, x._state.revision, *(v.trainable for v in x._state.variables))
                for x in layers
            )
            self.__dict__["_checked"] = EPOCH.count
        return self._fingerprint

    def step(self, mode: str) -> Any:
        """The compiled step of a mode, traced again if layers have changed since."""
        version = self.structure_version()
        if self.__dict__.get("_step_version", version) != version:
            self.forget_steps()
        self.__dict__["_step_version"] = version
        return super().step(mode)

    # -- looking, storing -------------------------------------------------------------------------
    def count_params(self) -> int:
        """The number of elements of all weights; StateError before the model is built."""
        require_built(self, "its parameters can't be counted")
        return super().count_params()

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
            summarise(self, layer_range),
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
        save_model(self, filepath, overwrite)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the weights to a file, whole or not at all; the ending says which kind: ".weights.h5", as
        Keras has it, ".safetensors" or ".npz".
        """
        from graphc.saving.weights import save_weights

        require_built(self, "it has no weights to save")
        save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False) -> None:
        """Read the weights from a file; ArgumentError says which names or shapes differ, and nothing is
        changed then.
        """
        from graphc.saving.weights import load_weights

        require_built(self, "it has no weights to load into")
        load_weights(self, filepath, skip_mismatch)

    def get_config(self) -> dict[str, Any]:
        """The model as JSON holds it: its layers and, in a functional one, their calls."""
        if self._dag is None:
            return super().get_config()
        from graphc.saving.models import functional_config

        return functional_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The model that `get_config` described, with new weights."""
        if not issubclass(cls, Functional) and "input_layers" not in config:
            return cls(**config)
        from graphc.saving.models import functional_from_config

        return functional_from_config(cls, config, custom_objects)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as Keras 3's JSON; `model_from_json` reads it."""
        from graphc.saving.models import to_json

        return to_json(self, **kwargs)


class Functional(Model):
    """A model between functional tensors; made by `Model(inputs, outputs)`."""

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        values = [_fit(v, t) for v, t in zip(self.flat_inputs(inputs), self.inputs)]
        if mask is not None:
            for value, given in zip(values, structure.leaves(mask)):
                value._mask = given if given is not None else value._mask
        assert self._dag is not None
        return structure.pack(self.output, run(self._dag, values))

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None


def _fit(value: Tensor, declared: Tensor) -> Tensor:
    """A value in the element type of the declared input, with an axis of size 1 at the end if that is
    missing.
    """
    from graphc import ops

    mask = value._mask
    fitted = value
    if value.type.rank == declared.type.rank - 1 and declared.type.shape[-1] == 1:
        fitted = ops.expand_dims(fitted, -1)
    fitted = ops.cast(fitted, declared.dtype)
    if fitted is not value:
        fitted._mask = mask
    return fitted


def _require_tensor(leaf: Any, what: str, name: str) -> None:
    if isinstance(leaf, Layer):
        raise StructureError(
            f"the {what} of the model '{name}' is {leaf} itself, not a tensor.\n"
            f"  fix     give what its call returned: {leaf.name}(...)."
        )
    if not isinstance(leaf, Tensor) or leaf.history is None:
        raise StructureError(
            f"the {what} of the model '{name}' must be a tensor made by Input or a layer call, "
            f"not {type(leaf).__name__}."
        )


def _distinct(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    result = []
    for n in names:
        count = seen.get(n, 0)
        seen[n] = count + 1
        result.append(n if not count else f"{n}_{count}")
    return result


def __getattr__(name: str) -> Any:
    if name == "Sequential":
        from graphc.sequential import Sequential

        return Sequential
    if name == "clone_model":
        from graphc.cloning import clone_model

        return clone_model
    if name in ("model_from_json", "model_from_config"):
        from graphc.saving import models

        return getattr(models, name)
    if name in ("load_model", "save_model"):
        from graphc.saving import archive

        return getattr(archive, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
