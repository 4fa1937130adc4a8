"""`Layer`: weights and a computation. All layers, and `Model`, derive from it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from functools import wraps
from typing import Any

import numpy as np

from graphc import backend, constraints, initializers, naming, regularizers, structure
from graphc.ir.errors import ArgumentError, GraphcError, StateError, StructureError, TraceError
from graphc.ir.locations import Location, caller, is_own_code
from graphc.layers.blame import blame
from graphc.layers.masks import gather_masks, settle_masks
from graphc.layers.signature import CallSignature, build_parameters, call_signature
from graphc.layers.spec import check_inputs
from graphc.layers.state import EPOCH, LayerState, contained, unique
from graphc.tensor import Tensor
from graphc.trace import Trace, active
from graphc.variable import Variable

FIRST_LAYER_ARGUMENTS = ("input_shape", "batch_input_shape", "input_dim", "input_length", "batch_size")
PLAIN = (bool, int, float, str, type(None), tuple)


class Layer:
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

    _state: LayerState
    name: str
    built: bool
    input_spec: Any = None
    supports_masking: bool = False
    user_code_inside: bool = False
    """Whether nodes made in `call` belong to the lines of a function of the user's (Lambda)."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        layer = super().__new__(cls)
        state = LayerState(created=caller(), first_arguments=(args, kwargs))
        layer.__dict__.update(_state=state, built=False, _trainable=True)
        return layer

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
        self.name = name or naming.unique_name(naming.snake_case(type(self).__name__))
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.__dict__["_dtype"] = _policy_name(dtype)
        self.autocast = autocast
        self.__dict__["_trainable"] = bool(trainable)
        self.__dict__["first_shape"] = _first_shape(kwargs)

    # -- attributes -------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        if "_state" not in self.__dict__ or isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
            return
        if isinstance(value, Layer):
            self.__dict__.pop(name, None)
        elif isinstance(value, Variable) and all(v is not value for v in self._state.variables):
            self._state.variables.append(value)
        elif isinstance(value, PLAIN) and active() is None and self.__dict__.get(name, self) != value:
            self._state.revision += 1
            EPOCH.count += 1
        object.__setattr__(self, name, value)

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

    # -- weights ----------------------------------------------------------------------------------
    def add_weight(
        self,
        *leading: Any,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
        autocast: bool = True,
        aggregation: str | None = None,
    ) -> Variable:
        """A new weight of the layer.

        The first positional argument may be the name (Keras 2) or the shape (Keras 3). Without an
        initializer, floating-point weights are Glorot uniform and others zero.
        """
        if len(leading) > 2:
            raise TypeError(f"add_weight takes a name and a shape by position, got {leading!r}")
        for argument in leading:
            if isinstance(argument, str) or argument is None:
                name = name or argument
            else:
                shape = argument
        wanted = np.dtype(dtype or self.dtype)
        start = initializers.get(initializer or ("glorot_uniform" if wanted.kind == "f" else "zeros"))
        with naming.scope(self.name, self):
            variable = Variable(
                start,
                tuple(_known_size(d, self) for d in (shape if shape is not None else ())),
                wanted,
                trainable,
                name or f"variable_{len(self._state.variables)}",
                regularizers.get(regularizer),
                constraints.get(constraint),
            )
        self._state.variables.append(variable)
        return variable

    def _sublayers(self) -> list[Layer]:
        """The layers that belong to this one directly, in order of their attributes."""
        found = (x for k, v in self.__dict__.items() if k != "_state" for x in contained(v, Layer))
        return [layer for layer in unique(found) if layer is not self]

    def _own_variables(self) -> list[Variable]:
        """This layer's own variables: the trainable ones first, as Keras has them."""
        in_lists = (v for k, x in self.__dict__.items() if k != "_state" for v in contained(x, Variable))
        found = unique(iter([*self._state.variables, *in_lists]))
        return [v for v in found if v.trainable] + [v for v in found if not v.trainable]

    def _flatten_layers(self) -> list[Layer]:
        """This layer and all below it, each once."""
        found: dict[int, Layer] = {}
        stack: list[Layer] = [self]
        while stack:
            layer = stack.pop()
            if id(layer) not in found:
                found[id(layer)] = layer
                stack.extend(reversed(layer._sublayers()))
        return list(found.values())

    @property
    def weights(self) -> list[Variable]:
        """All weights: the layer's own, then those of the layers in it."""
        return unique(v for layer in self._flatten_layers() for v in layer._own_variables())

    variables = weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes."""
        return unique(self._trainable_variables())

    trainable_variables = trainable_weights

    def _trainable_variables(self) -> Iterator[Variable]:
        if self.trainable:
            yield from (v for v in self._own_variables() if v.trainable)
            for layer in self._sublayers():
                yield from layer._trainable_variables()

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training leaves: moving statistics, and those of frozen layers."""
        moving = {id(v) for v in self.trainable_weights}
        return [v for v in self.weights if id(v) not in moving]

    non_trainable_variables = non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it reaches all layers below."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._flatten_layers():
            layer.__dict__["_trainable"] = bool(value)
        EPOCH.count += 1

    def count_params(self) -> int:
        """The number of elements of all weights; StateError before the layer is built."""
        if not self.built:
            raise StateError(
                f"{self} has no weights yet.\n  fix     call it on an input, or build it: {self.name}.build(input_shape)."
            )
        return sum(v.size for v in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values of `weights`, in order."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Take the values of `weights`, in order.

        Raises:
            ArgumentError: the number of arrays is wrong, or a shape; nothing is changed then.
        """
        own = self.weights
        given = [np.asarray(w) for w in weights]
        if len(given) != len(own):
            raise ArgumentError(f"{self} has {len(own)} weights, but set_weights got {len(given)} arrays.")
        wrong = [f"'{v.path}' is {v.shape}, got {w.shape}" for v, w in zip(own, given) if v.shape != w.shape]
        if wrong:
            raise ArgumentError(f"set_weights of {self}: {'; '.join(wrong)}.")
        for variable, values in zip(own, given):
            variable.assign(values)

    # -- losses -----------------------------------------------------------------------------------
    def add_loss(self, loss: Any) -> None:
        """Add a scalar to the loss that training minimises; only inside `call`."""
        trace = active()
        if trace is None:
            raise StateError(
                f"add_loss of {self} was called outside of `call`.\n  fix     call it inside of `call`, on what it computes there."
            )
        from graphc import ops

        trace.losses.extend(ops.convert_to_tensor(x) for x in structure.leaves(loss))

    @property
    def losses(self) -> list[Any]:
        """The penalties of the trainable weights that have a regularizer."""
        return [v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None]

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
            self.build(_tuples(config["input_shape"]))

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
                    f"{self} was called on a functional tensor inside a `call`.\n  fix     pass it as an input of that call."
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
        arguments = signature.arguments(args, kwargs)
        training = (
            trace.training
            if arguments.get("training", training) is None
            else arguments.get("training", training)
        )
        inside = None if signature.users or self.user_code_inside else place
        try:
            arguments = {k: structure.transform(self._convert, v) for k, v in arguments.items()}
            with naming.scope(self.name, self), trace.inside(path, inside, bool(training)):
                first = next(iter(arguments.values()), None)
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
        bound = inspect.BoundArguments(signature.signature, arguments)  # type: ignore[arg-type]
        return self.call(*bound.args, **bound.kwargs)

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
        if self.activity_regularizer is not None:
            for leaf in structure.leaves(result):
                if isinstance(leaf, Tensor):
                    self.add_loss(self.activity_regularizer(leaf))

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
            f"{self} was called {len(calls)} times, so that {self.name}.{what} means nothing.\n  fix     keep the tensors that its calls return."
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
        if type(self).get_config is Layer.get_config and not is_own_code(_file_of(type(self))):
            config.update(_captured(self))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The layer that `get_config` described, with new weights."""
        return cls(**config)


def _build_once(build: Any) -> Any:
    """`build` that runs once, in the layer's name scope, and notes where and for which shape."""
    if getattr(build, "runs_once", False):
        return build

    @wraps(build)
    def run(self: Layer, *args: Any, **kwargs: Any) -> Any:
        if self.built:
            return None
        with naming.scope(self.name, self):
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


def _known_size(d: Any, layer: Layer) -> int:
    if d is None:
        raise ArgumentError(
            f"{layer} can't make a weight whose size is None: the last axis of its input is not known.\n"
            "  fix     give the Input a number there."
        )
    return int(d)


def _tuples(shape: Any) -> Any:
    if isinstance(shape, (list, tuple)):
        return tuple(_tuples(d) for d in shape)
    return {k: _tuples(v) for k, v in shape.items()} if isinstance(shape, dict) else shape


def _policy_name(dtype: Any) -> str | None:
    if dtype is None:
        return None
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name", "float32")
    name = getattr(dtype, "name", dtype)
    return np.dtype(name).name


def _first_shape(kwargs: dict[str, Any]) -> tuple[int | None, ...] | None:
    """The whole input shape that the Keras 2 arguments of a first layer give."""
    if kwargs.get("batch_input_shape") is not None:
        return tuple(kwargs["batch_input_shape"])
    shape = kwargs.get("input_shape")
    if shape is None and kwargs.get("input_dim") is not None:
        lead = (kwargs["input_length"],) if kwargs.get("input_length") is not None else ()
        shape = (*lead, kwargs["input_dim"])
    if shape is None and kwargs.get("input_length") is not None:
        shape = (kwargs["input_length"],)
    if shape is None:
        return None
    return (kwargs.get("batch_size"), *((shape,) if isinstance(shape, int) else tuple(shape)))


def _file_of(cls: type) -> str:
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or "<stdin>"


def _captured(layer: Layer) -> dict[str, Any]:
    """The arguments that a user's layer was made with, by name."""
    args, kwargs = layer._state.first_arguments
    bound = inspect.signature(type(layer).__init__).bind(layer, *args, **kwargs).arguments
    plain: dict[str, Any] = {}
    for key, value in list(bound.items())[1:]:
        plain.update(value if isinstance(value, dict) and key == "kwargs" else {key: value})
    return {k: v for k, v in plain.items() if k not in ("name", "trainable", "dtype")}
