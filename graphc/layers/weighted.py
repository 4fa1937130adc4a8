"""`Weighted`: an object that has weights, and layers within it. The base of `Layer`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from graphc import constraints, initializers, naming, regularizers, structure
from graphc.ir.errors import ArgumentError, GraphcError, ShapeError, StateError
from graphc.ir.locations import caller
from graphc.layers.blame import blame_making
from graphc.layers.state import LayerState, contained, unique
from graphc.revision import EPOCH
from graphc.trace import active
from graphc.variable import Variable

_SHOWN = 4
"""How many weights a message lists."""

PLAIN = (bool, int, float, str, type(None))


class Made(type):
    """The type of layers' classes: an error of `__init__` tells which layer was to be made, and where."""

    told_when_made: bool

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except GraphcError as error:
            if cls.told_when_made:
                blame_making(error, cls.__name__, kwargs.get("name"), caller())
            raise


class Weighted(metaclass=Made):
    """Weights made by `add_weight`; and those of other such objects that are attributes, or in lists or dicts
    that are.
    """

    quiet_attributes: ClassVar[frozenset[str]] = frozenset({"built"})
    """Attributes that compiled functions do not depend on."""
    told_when_made: ClassVar[bool] = True
    """Whether an error of `__init__` names this class; those of models name tensors and layers already."""
    _state: LayerState
    _trainable: bool
    name: str
    built: bool
    dtype: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__new__(cls)
        state = LayerState(created=caller(), first_arguments=(args, kwargs))
        made.__dict__.update(_state=state, built=False, _trainable=True)
        return made

    # -- attributes -------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        if "_state" not in self.__dict__ or isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
            return
        if isinstance(value, Weighted):
            self.__dict__.pop(name, None)
        elif isinstance(value, Variable) and all(v is not value for v in self._state.variables):
            self._state.variables.append(value)
        if (
            name not in self.quiet_attributes
            and active() is None
            and _differs(self.__dict__.get(name, self), value)
        ):
            self._state.revision += 1
            EPOCH.advance()
        object.__setattr__(self, name, value)

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
        name = name or f"variable_{len(self._state.variables)}"
        sizes = _weight_shape(self, name, () if shape is None else shape)
        start = initializers.get(initializer or ("glorot_uniform" if wanted.kind == "f" else "zeros"))
        with naming.scope(self.name, self):
            variable = Variable(
                start,
                sizes,
                wanted,
                trainable,
                name,
                regularizers.get(regularizer),
                constraints.get(constraint),
            )
        self._state.variables.append(variable)
        return variable

    def _sublayers(self) -> list[Any]:
        """The layers that belong to this one directly, in order of their attributes."""
        found = (x for k, v in self.__dict__.items() if k != "_state" for x in contained(v, Weighted))
        return [layer for layer in unique(found) if layer is not self]

    def _own_variables(self) -> list[Variable]:
        """This layer's own variables: the trainable ones first, as Keras has them."""
        in_lists = (v for k, x in self.__dict__.items() if k != "_state" for v in contained(x, Variable))
        found = unique(iter([*self._state.variables, *in_lists]))
        return [v for v in found if v.trainable] + [v for v in found if not v.trainable]

    def _flatten_layers(self) -> list[Any]:
        """This layer and all below it, each once."""
        found: dict[int, Any] = {}
        stack: list[Any] = [self]
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
        EPOCH.advance()

    def count_params(self) -> int:
        """The number of elements of all weights; StateError before the layer is built."""
        if not self.built:
            raise StateError(
                f"{self} has no weights yet.\n"
                f"  fix     call it on an input, or build it: {self.name}.build(input_shape)."
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
            wanted = ", ".join(f"'{v.path}' {v.shape}" for v in own[:_SHOWN])
            more = f", and {len(own) - _SHOWN} more" if len(own) > _SHOWN else ""
            raise ArgumentError(
                f"{self} has {len(own)} weights, but set_weights got {len(given)} arrays.\n"
                f"  fix     give an array for each, in this order: {wanted}{more}."
            )
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
                f"add_loss of {self} was called outside of `call`.\n"
                "  fix     call it inside of `call`, on what it computes there."
            )
        from graphc import ops

        trace.losses.extend(ops.convert_to_tensor(x) for x in structure.leaves(loss))

    @property
    def losses(self) -> list[Any]:
        """The penalties of the trainable weights that have a regularizer."""
        return [v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None]


def _differs(old: Any, new: Any) -> bool:
    """Whether an attribute's new value may mean something else; containers are not looked into."""
    return old is not new and not (isinstance(new, PLAIN) and type(old) is type(new) and old == new)


def _weight_shape(layer: Weighted, name: str, shape: Any) -> tuple[int, ...]:
    """The shape as whole numbers; ShapeError says which size is none, and where the weight was asked for."""
    sizes = tuple(shape) if isinstance(shape, (list, tuple, np.ndarray)) else shape
    for size in sizes if isinstance(sizes, tuple) else [sizes]:
        whole = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
        if isinstance(sizes, tuple) and whole and size >= 0:
            continue
        why, fix = "sizes are whole numbers from 0 on", "for example shape=[int(d), self.units]"
        if size is None:
            why, fix = "that size of its input is not known", "give the Input a number there"
        elif not isinstance(sizes, tuple):
            why = "a shape is a list or tuple of sizes"
        raise ShapeError(
            f"{layer} can't make the weight '{name}' of shape {sizes!r}: {why}.\n"
            f"  fix     {fix}.\n  at {caller()}"
        )
    return tuple(int(d) for d in sizes)
