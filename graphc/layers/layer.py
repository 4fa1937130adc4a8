"""`Layer`: weights and a computation. All layers, and `Model`, derive from it."""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

import numpy as np

from graphc import backend, naming, regularizers, structure
from graphc.ir.errors import (
    ArgumentError,
    AttributeMissingError,
    GraphcError,
    StateError,
    StructureError,
    TraceError,
)
from graphc.ir.locations import Location, caller, is_own_code
from graphc.layers.blame import blame, missing_attribute
from graphc.layers.configuration import (
    FIRST_LAYER_ARGUMENTS,
    captured,
    file_of,
    first_shape,
    policy_name,
    tuples,
)
from graphc.layers.masks import gather_masks, settle_masks
from graphc.layers.rollback import unchanged_on_error
from graphc.layers.signature import CallSignature, build_parameters, call_signature
from graphc.layers.spec import check_inputs, check_kind
from graphc.layers.weighted import Weighted
from graphc.tensor import Tensor
from graphc.trace import Trace, active, suspended


class Layer(Weighted):
    """A computation with weights of its own.

    Subclasses define `call(self, inputs, training=None, mask=None)` with operators, NumPy functions or
    `graphc.ops` on symbolic tensors, and make weights in `build(self, input_shape)` by `self.add_weight`.
    `build` runs once, when the layer is first called and the input's shape is known. `call` may run several
    times: when the model is made, to find the output's shape, and once for each way in which it is compiled.

    Args:
        trainable: whether training changes the weights.
        name: unique in its model; by default the class's name in snake case, counted.
        dtype: "float32" or "float64"; by default `backend.floatx()`.
        activity_regularizer: a penalty on the output that is added to the loss.
        input_shape, batch_input_shape, input_dim: the input's shape, for the first layer of a `Sequential`.

    Layers that are attributes, or stand in lists or dicts that are, belong to the layer, with their weights:

    >>> import graphc
    >>> class Scale(graphc.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight("factor", shape=[int(input_shape[-1])], initializer="ones")
    ...     def call(self, inputs):
    ...         return inputs * self.factor
    >>> y = Scale(name="scale")(graphc.Input((3,)))
    >>> y
    <Tensor shape=(None, 3), dtype=float32, created by layer 'scale'>
    """

    input_spec: Any = None
    supports_masking: bool = False
    user_code_inside: bool = False
    """Whether nodes made in `call` belong to the lines of a function of the user's (Lambda)."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _build_once(cls.__dict__["build"])  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        unknown = set(kwargs) - set(FIRST_LAYER_ARGUMENTS)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no argument {', '.join(map(repr, sorted(unknown)))}")
        if not isinstance(name, str | None):
            raise ArgumentError(f"the name of a {type(self).__name__} should be text, not {name!r}")
        self.name = name or naming.unique_name(naming.snake_case(type(self).__name__))
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.__dict__["_dtype"] = policy_name(dtype)
        self.autocast = autocast
        self.__dict__["_trainable"] = bool(trainable)
        self.__dict__["first_shape"] = first_shape(kwargs)

    # -- what it is -----------------------------------------------------------------------------
    @property
    def created_at(self) -> Location:
        """The user's line that made the layer."""
        return self._state.created

    @property
    def built_at(self) -> Location:
        """The user's line at which `build` ran."""
        return self._state.built

    def __str__(self) -> str:
        return f"{type(self).__name__} '{self.name}'"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    @property
    def dtype(self) -> str:
        """The type of the layer's weights and computation."""
        return self.__dict__.get("_dtype") or backend.floatx()

    @property
    def compute_dtype(self) -> str:
        return self.dtype

    variable_dtype = compute_dtype

    # -- building ---------------------------------------------------------------------------------
    def build(self, input_shape: Any) -> None:
        """Make the weights; subclasses override it. Sizes that are not known are None."""
        self.built = True

    def _build_for(self, arguments: dict[str, Any]) -> None:
        """Run `build` with the shapes of the call's arguments."""
        shapes = {k: structure.transform(_shape_of, v) for k, v in arguments.items() if _has_tensors(v)}
        names = build_parameters(type(self).build)
        if len(names) <= 1 or not shapes:
            self.build(next(iter(shapes.values()), None))
        else:
            self.build(*(shapes.get(n.removesuffix("_shape")) for n in names))

    def get_build_config(self) -> dict[str, Any] | None:
        """The input shape that the layer was built for, as JSON has it."""
        return {"input_shape": self._state.build_shape} if self._state.build_shape is not None else None

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build for the shape in a stored configuration."""
        if config and config.get("input_shape") is not None:
            self.build(tuples(config["input_shape"]))

    # -- calling ----------------------------------------------------------------------------------
    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; subclasses define it."""
        raise StructureError(f"{type(self).__name__} does not define call(self, inputs).")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Extend the model (functional tensors), the graph being traced (inside `call`), or compute at once
        (arrays).
        """
        if "name" not in self.__dict__:
            raise StateError(
                f"{type(self).__name__}.__init__ does not call super().__init__().\n"
                "  fix     call it first, before any attribute is set."
            )
        leaves = structure.leaves((args, kwargs))
        for leaf in leaves:
            if isinstance(leaf, Layer):
                raise StructureError(
                    f"{self} was called on {leaf} itself, not on its output.\n"
                    f"  fix     call it first: {self.name}({leaf.name}(...))."
                )
        tensors = [t for t in leaves if isinstance(t, Tensor)]
        trace = active()
        if any(t.trace is None for t in tensors):
            if trace is not None:
                raise TraceError(
                    f"{self} was called on a functional tensor inside a `call`.\n"
                    "  fix     pass it as an input of that call."
                )
            from graphc.layers.recording import record

            return record(self, args, kwargs)
        if trace is not None:
            return self.traced_call(args, kwargs)
        return self._call_on_arrays(args, kwargs)

    def _call_on_arrays(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from graphc.layers.recording import compute

        return compute(self, args, kwargs)

    def traced_call(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        place: Location | None = None,
        path: str | None = None,
    ) -> Any:
        """Run `call` on tensors of the active trace: builds, passes masks and `training` on, and collects
        penalties.
        """
        trace = active()
        assert trace is not None
        path = _path(trace.path, self.name) if path is None else path
        place = _place(trace, place, path)
        signature = call_signature(type(self).call)
        training = kwargs.get("training") if signature.takes_training else kwargs.pop("training", None)
        try:
            arguments = signature.arguments(args, kwargs)
        except TypeError as e:
            raise TypeError(f"{self}: {e}") from None
        training = (
            trace.training
            if arguments.get("training", training) is None
            else arguments.get("training", training)
        )
        inside = None if signature.users or self.user_code_inside else place
        keeping: AbstractContextManager[None] = nullcontext() if self.built else unchanged_on_error(self)
        try:
            arguments = {k: structure.transform(self._convert, v) for k, v in arguments.items()}
            with keeping, naming.scope(self.name, self), trace.inside(path, inside, bool(training)):
                first = next(iter(arguments.values()), None)
                check_kind(self, first)
                if not self.built:
                    self._build_for(arguments)
                check_inputs(self, first)
                masks = gather_masks(signature.names, arguments)
                if signature.takes_training:
                    arguments["training"] = bool(training)
                result = self._run_call(signature, arguments)
                result = settle_masks(self, first, masks, result)
                self._penalise(result)
        except GraphcError as e:
            blame(e, self, place)
            raise
        return result

    def _run_call(self, signature: CallSignature, arguments: dict[str, Any]) -> Any:
        bound = inspect.BoundArguments(signature.signature, arguments)
        try:
            result = self.call(*bound.args, **bound.kwargs)
        except AttributeError as e:
            if e.obj is not self or isinstance(e, GraphcError):
                raise
            raise AttributeMissingError(missing_attribute(self, e)) from e
        if result is None:
            raise StructureError(f"the call of {self} gave None.\n  fix     let it return what it computes.")
        return result

    def _convert(self, leaf: Any) -> Any:
        """Arrays as constants; floating-point tensors in the layer's own type."""
        from graphc import ops

        if isinstance(leaf, np.ndarray):
            leaf = ops.promotion.tensor(leaf)
        if (
            self.autocast
            and isinstance(leaf, Tensor)
            and leaf.type.dtype.kind == "f"
            and leaf.dtype != self.compute_dtype
        ):
            mask = leaf._mask
            leaf = ops.cast(leaf, self.compute_dtype)
            leaf._mask = mask
        return leaf

    def _penalise(self, result: Any) -> None:
        """Add the activity regularizer's penalty, per sample of the batch, as Keras 3 does."""
        from graphc import ops

        if self.activity_regularizer is None:
            return
        for leaf in structure.leaves(result):
            if isinstance(leaf, Tensor):
                penalty = self.activity_regularizer(leaf)
                if leaf.type.rank:
                    penalty = penalty / ops.maximum(ops.cast(leaf.type.shape[0], penalty.dtype), 1)
                self.add_loss(penalty)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The output's mask: the input's, for layers that support masking."""
        return previous_mask

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The output's shape for an input's shape, found by tracing `call`."""
        from graphc.layers.recording import output_shape

        return output_shape(self, *args, **kwargs)

    # -- the calls so far -------------------------------------------------------------------------
    @property
    def input(self) -> Any:
        """The functional input of the layer's only call; StateError if there is none, or more than one."""
        return self._only_call("input").args[0]

    @property
    def output(self) -> Any:
        """The functional output of the layer's only call; StateError if there is none, or more than one."""
        return self._only_call("output").outputs

    @property
    def input_shape(self) -> Any:
        return structure.transform(backend.int_shape, self.input)

    @property
    def output_shape(self) -> Any:
        return structure.transform(backend.int_shape, self.output)

    def _only_call(self, what: str) -> Any:
        calls = self._state.calls
        if len(calls) == 1:
            return calls[0]
        if not calls:
            raise StateError(f"{self} has no {what} yet: it was not called on a symbolic tensor.")
        raise StateError(
            f"{self} was called {len(calls)} times, so that {self.name}.{what} means nothing.\n"
            "  fix     keep the tensors that its calls return."
        )

    # -- configuration ----------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as values that JSON can hold."""
        policy = {"name": self.dtype}
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": {
                "module": "keras",
                "class_name": "DTypePolicy",
                "config": policy,
                "registered_name": None,
            },
        }
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if type(self).get_config is Layer.get_config and not is_own_code(file_of(type(self))):
            config.update(captured(self))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The layer that `get_config` described, with new weights."""
        return cls(**config)


def _build_once(build: Any) -> Any:
    """`build` that runs once, outside of any trace, in the layer's name scope; notes where, and the shape."""
    if getattr(build, "runs_once", False):
        return build

    @wraps(build)
    def run(self: Layer, *args: Any, **kwargs: Any) -> Any:
        if self.built:
            return None
        with suspended(), naming.scope(self.name, self):
            result = build(self, *args, **kwargs)
        self.built = True
        if not self._state.built:
            self._state.built = caller()
            shapes = [*args, *kwargs.values()]
            self._state.build_shape = shapes[0] if len(shapes) == 1 else None
        return result

    run.runs_once = True  # type: ignore[attr-defined]
    return run


Layer.build = _build_once(Layer.build)  # type: ignore[method-assign]


def _path(outer: str, name: str) -> str:
    return f"{outer}/{name}" if outer else name


def _place(trace: Trace, given: Location | None, path: str) -> Location:
    found = given if given is not None else trace.place()
    return Location(found.file, found.line, path, found.derived)


def _has_tensors(value: Any) -> bool:
    return any(isinstance(leaf, Tensor) for leaf in structure.leaves(value))


def _shape_of(leaf: Any) -> Any:
    return backend.int_shape(leaf) if isinstance(leaf, Tensor) else None
