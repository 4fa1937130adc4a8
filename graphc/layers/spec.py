"""`InputSpec`: what a layer requires of its input, and the error that says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphc import structure
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.tensor import Tensor

if TYPE_CHECKING:
    from graphc.layers.layer import Layer


@dataclass(frozen=True)
class InputSpec:
    """The number of axes, and sizes of single axes (negative ones count from the end) that an input must
    have.
    """

    dtype: Any = None
    shape: tuple[int | None, ...] | None = None
    ndim: int | None = None
    max_ndim: int | None = None
    min_ndim: int | None = None
    axes: dict[int, int | None] = field(default_factory=dict)


def check_inputs(layer: Layer, inputs: Any) -> None:
    """ShapeError if an input does not satisfy the layer's `input_spec`; ArgumentError for the wrong number of
    inputs.
    """
    if layer.input_spec is None:
        return
    specs = structure.leaves(layer.input_spec)
    by_name = getattr(layer, "flat_inputs", structure.leaves)
    tensors = by_name(inputs) if isinstance(inputs, dict) else structure.leaves(inputs)
    if len(specs) != len(tensors):
        raise ArgumentError(f"{layer} takes {len(specs)} inputs, but got {len(tensors)}.")
    for spec, tensor in zip(specs, tensors):
        if spec is not None and hasattr(tensor, "shape"):
            _check(layer, spec, tensor)


def _check(layer: Layer, spec: InputSpec, tensor: Any) -> None:
    shape = tuple(d if isinstance(d, int) else None for d in tensor.shape)
    rank = len(shape)
    wrong = (
        (spec.ndim is not None and rank != spec.ndim and f"{spec.ndim} axes")
        or (spec.min_ndim is not None and rank < spec.min_ndim and f"at least {spec.min_ndim} axes")
        or (spec.max_ndim is not None and rank > spec.max_ndim and f"at most {spec.max_ndim} axes")
        or (spec.shape is not None and rank != len(spec.shape) and f"{len(spec.shape)} axes")
    )
    if wrong:
        raise ShapeError(f"{layer} takes inputs with {wrong}, but got {_named(tensor)} of shape {shape}.")
    sizes = {**dict(enumerate(spec.shape or ())), **spec.axes}
    for axis, size in sizes.items():
        if size is not None and shape[axis] is not None and shape[axis] != size:
            what = "features" if axis in (-1, rank - 1) else f"elements along axis {axis}"
            error = ShapeError(
                f"{layer} was built for inputs with {size} {what}, but got {_named(tensor)} of shape {shape}."
            )
            error.fix = (  # type: ignore[attr-defined]
                f"give this input to another layer, or build '{layer.name}' for {shape[axis]} {what}."
            )
            raise error


def _named(tensor: Any) -> str:
    if isinstance(tensor, Tensor) and tensor.layer is not None:
        return f"'{tensor.layer.name}'"
    return "an input"
