"""`Model`: a layer that is made of layers, and that can be run, trained, printed and stored.

Here it is made, built and called; `connected` knows its layers, inputs and outputs, `stored` prints and
stores it, `training` trains it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import naming, structure
from graphc.forward import Forward, as_arrays
from graphc.functional import run
from graphc.ir.errors import ArgumentError, GraphcError, StateError, StructureError
from graphc.ir.locations import caller
from graphc.ir.types import TensorType
from graphc.layers.blame import blame
from graphc.layers.recording import symbolic_type, trial
from graphc.replay import require_built
from graphc.revision import EPOCH
from graphc.stored import Stored
from graphc.tensor import Tensor
from graphc.trace import active
from graphc.training import Trainer


class Model(Trainer, Stored):
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
    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The computation: the calls of a functional model again; subclasses may define their own."""
        if self._dag is None:
            raise StructureError(f"{type(self).__name__} does not define call(self, inputs).")
        values = [_fit(v, t) for v, t in zip(self.flat_inputs(inputs), self.inputs)]
        if mask is not None:
            for value, given in zip(values, structure.leaves(mask)):
                value._mask = given if given is not None else value._mask
        return structure.pack(self.output, run(self._dag, values))

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

    def count_params(self) -> int:
        """The number of elements of all weights; StateError before the model is built."""
        require_built(self, "its parameters can't be counted")
        return super().count_params()


class Functional(Model):
    """A model between functional tensors; made by `Model(inputs, outputs)`."""

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None


def _fit(value: Tensor, declared: Tensor) -> Tensor:
    """A value in the element type of the declared input, with an axis of size 1 at the end if that is
    missing, and without one that is too many.
    """
    from graphc import ops

    mask = value._mask
    fitted = value
    if value.type.rank == declared.type.rank - 1 and declared.type.shape[-1] == 1:
        fitted = ops.expand_dims(fitted, -1)
    elif value.type.rank == declared.type.rank + 1 and value.type.shape[-1] == 1:
        fitted = ops.squeeze(fitted, -1)
    fitted = ops.cast(fitted, declared.dtype)
    if fitted is not value:
        fitted._mask = mask
    return fitted


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
