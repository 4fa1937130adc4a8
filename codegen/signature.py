"""What a compiled function takes and gives: conversion of arguments, sizes, and errors that a person can
read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphc.ir import dims
from graphc.ir.dims import Dim, Size
from graphc.ir.errors import ArgumentError, DTypeError, ShapeError
from graphc.ir.graph import Graph, Requirement, Value
from graphc.ir.types import DType, TensorType

Sizes = dict[str, int]


@dataclass(frozen=True)
class Parameter:
    """One input or weight: `text` is how error messages call it."""

    text: str
    name: str
    type: TensorType


@dataclass(frozen=True)
class Signature:
    """The inputs, weights and outputs of a compiled function.

    Printed, it is what `Compiled.signature` shows: `f(x: f32[B, 784]) -> f32[B, 10]`.
    """

    name: str
    inputs: tuple[Parameter, ...]
    weights: tuple[Parameter, ...]
    outputs: tuple[TensorType, ...]
    requirements: tuple[Requirement, ...]

    @staticmethod
    def of(graph: Graph) -> Signature:
        """The signature of a typed graph."""
        name = graph.name or "the graph"
        return Signature(
            name=name,
            inputs=tuple(_parameter(f"input '{v.name}'", v) for v in graph.inputs),
            weights=tuple(_parameter(f"weight '{w.path}'", w.value) for w in graph.weights),
            outputs=tuple(v.type for v in graph.outputs),
            requirements=graph.requirements,
        )

    def __str__(self) -> str:
        results = ", ".join(map(str, self.outputs))
        arrow = results if len(self.outputs) == 1 else f"({results})"
        return f"{self.name}({self._listed_inputs}) -> {arrow}"

    @property
    def _listed_inputs(self) -> str:
        return ", ".join(f"{p.name}: {p.type}" for p in self.inputs)

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of the sizes, in order of first appearance: inputs, then weights."""
        found: dict[str, None] = {}
        for p in (*self.inputs, *self.weights):
            for d in p.type.shape:
                found.update(dict.fromkeys(sorted(dims.symbols(d))))
        return tuple(found)

    # -- arguments ----------------------------------------------------------------------------------
    def convert(self, arguments: Sequence[Any]) -> list[np.ndarray]:
        """The arguments as C-contiguous arrays of the right element types; only what differs is copied.

        Raises
        ------
        ArgumentError
            The number of arguments is wrong.
        DTypeError
            An argument's element type cannot become the parameter's without loss of meaning.
        ShapeError
            An argument has the wrong number of dimensions.
        """
        if len(arguments) != len(self.inputs):
            takes = counted(len(self.inputs), "input")
            listed = f"\n  inputs  {self._listed_inputs}" if self.inputs else ""
            raise ArgumentError(f"{self.name} takes {takes}, but got {len(arguments)}.{listed}")
        return [self._array(p, a) for p, a in zip(self.inputs, arguments)]

    def _array(self, parameter: Parameter, argument: Any) -> np.ndarray:
        try:
            given = np.asarray(argument)
        except (ValueError, TypeError) as e:
            raise ArgumentError(f"{parameter.text} of {self.name} is no array: {e}") from e
        array = _cast(given, parameter.type.dtype)
        if array is None:
            wanted = parameter.type.dtype.numpy
            raise DTypeError(
                f"{parameter.text} of {self.name} must be {wanted}, but got {given.dtype}.\n"
                f"  fix     convert it first, if that is what you mean: {parameter.name}.astype('{wanted}')"
            )
        if array.ndim != parameter.type.rank:
            raise ShapeError(
                f"{parameter.text} of {self.name} must have {counted(parameter.type.rank, 'dimension')} "
                f"({parameter.type}), but got the shape {array.shape}.{_fix(parameter, array.shape)}"
            )
        return array

    # -- sizes --------------------------------------------------------------------------------------
    def sizes(self, inputs: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> Sizes:
        """The value of each symbol for these arrays.

        Raises
        ------
        ShapeError
            A size differs from the parameter's, two arrays disagree on a symbol, or a requirement fails.
        """
        found: dict[str, tuple[int, Parameter]] = {}
        pairs = [*zip(self.inputs, inputs), *zip(self.weights, weights)]
        for parameter, array in pairs:
            for d, n in zip(parameter.type.shape, array.shape):
                self._solve(found, parameter, d, n)
        values = {name: n for name, (n, _) in found.items()}
        for parameter, array in pairs:
            self._check_shape(parameter, array, values, found)
        for r in self.requirements:
            self._check_requirement(r, values)
        return values

    def _solve(self, found: dict[str, tuple[int, Parameter]], p: Parameter, d: Dim, n: int) -> None:
        solved = solution(d)
        if solved is not None:
            name, factor, constant = solved
            found.setdefault(name, ((n - constant) // factor, p))

    def _check_shape(
        self,
        parameter: Parameter,
        array: np.ndarray,
        values: Mapping[str, int],
        found: Mapping[str, tuple[int, Parameter]],
    ) -> None:
        for axis, (d, n) in enumerate(zip(parameter.type.shape, array.shape)):
            wanted = dims.evaluate(d, values)
            if wanted == n:
                continue
            sources = [(s, *found[s]) for s in sorted(dims.symbols(d))]
            because = "".join(f"\n  {s:<6}  is {v} by {p.text} ({p.type})" for s, v, p in sources)
            raise ShapeError(
                f"{parameter.text} of {self.name} must be {parameter.type}, but got the shape {array.shape}: "
                f"axis {axis} is {n} and not {wanted}.{because or _fix(parameter, array.shape)}"
            )

    def _check_requirement(self, r: Requirement, values: Mapping[str, int]) -> None:
        left, right = dims.evaluate(r.left, values), dims.evaluate(r.right, values)
        if left != right:
            reason = f" ({r.reason})" if r.reason else ""
            raise ShapeError(
                f"{self.name} needs {r.left} == {r.right}{reason}, but got {left} and {right}.\n"
                f"  inputs  {self._listed_inputs}"
            )

    def check_weight(self, index: int, array: Any) -> np.ndarray:
        """A weight's array, which is kept by reference and so must fit without conversion."""
        parameter = self.weights[index]
        wanted = parameter.type
        if not isinstance(array, np.ndarray) or array.dtype != wanted.dtype.numpy:
            got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise DTypeError(
                f"{parameter.text} of {self.name} must be an array of {wanted.dtype.numpy}, but got {got}."
            )
        fits = array.ndim == wanted.rank and all(
            not isinstance(d, int) or d == n for d, n in zip(wanted.shape, array.shape)
        )
        if not fits:
            raise ShapeError(
                f"{parameter.text} of {self.name} must be {wanted}, but got the shape {array.shape}."
            )
        if not (array.flags.c_contiguous and array.flags.aligned and array.flags.writeable):
            raise ArgumentError(
                f"{parameter.text} of {self.name} must be C-contiguous, aligned and writeable."
            )
        return array


def _fix(parameter: Parameter, given: tuple[int, ...]) -> str:
    """What to do about an input whose shape is wrong; nothing to say of a number or a weight."""
    if not parameter.text.startswith("input") or not parameter.type.rank:
        return ""
    shape = ", ".join(map(str, parameter.type.shape)) + "," * (parameter.type.rank == 1)
    one = "; of a single sample x, give x[None]" if parameter.type.shape[1:] == given else ""
    return f"\n  fix     give an array of shape ({shape}){one}."


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "input"), counted(2, "input")
    ('1 input', '2 inputs')
    """
    return f"{number} {noun}{'s' * (number != 1)}"


def _parameter(text: str, value: Value) -> Parameter:
    return Parameter(text, value.name, value.type)


def solution(d: Dim) -> tuple[str, int, int] | None:
    """(symbol, factor, constant) of a size that is factor * symbol + constant; else None.

    >>> solution(dims.symbol("B") * 2 + 1)
    ('B', 2, 1)
    """
    if not isinstance(d, Size):
        return None
    factor, constant, name = 0, 0, None
    for monomial, f in d.terms:
        if not monomial:
            constant = f
        elif len(monomial) == 1 and isinstance(monomial[0], str) and name is None:
            name, factor = monomial[0], f
        else:
            return None
    return None if name is None else (name, factor, constant)


def _cast(array: np.ndarray, dtype: DType) -> np.ndarray | None:
    """The array in that element type, C-contiguous and aligned; None if values would lose their meaning."""
    wanted = dtype.numpy
    if array.dtype != wanted:
        if not _converts(array, dtype):
            return None
        array = array.astype(wanted)
    flags = array.flags
    return array if flags.c_contiguous and flags.aligned else array.copy()


def _converts(array: np.ndarray, dtype: DType) -> bool:
    kind = array.dtype.kind
    if dtype.is_floating:
        return kind in "fiub"
    if dtype.is_integer and kind in "iub":
        if array.size == 0 or np.can_cast(array.dtype, dtype.numpy):
            return True
        limits = np.iinfo(dtype.numpy)
        return bool(int(array.min()) >= limits.min and int(array.max()) <= limits.max)
    return array.size == 0 and kind == "f" and array.ndim > 0
