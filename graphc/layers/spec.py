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


def check_kind(layer: Layer, inputs: Any) -> None:
    """ArgumentError if a layer with one `input_spec` gets something else than one tensor."""
    if not isinstance(layer.input_spec, InputSpec) or isinstance(inputs, Tensor):
        return
    number = f" of {len(inputs)}" if isinstance(inputs, (list, tuple, dict)) else ""
    given = "None" if inputs is None else f"a {type(inputs).__name__}{number}"
    raise ArgumentError(f"{layer} takes one tensor or array, but got {given}.")


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
        error = ShapeError(f"{layer} takes inputs with {wrong}, but got {_named(tensor)} of shape {shape}.")
        error.fix = _missing(shape, spec.ndim or spec.min_ndim or 0).format(layer.name)  # type: ignore[attr-defined]
        raise error
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


def _missing(shape: tuple[int | None, ...], rank: int) -> str:
    """How to get an input of that rank from one with fewer axes."""
    if not 1 < len(shape) < rank:
        return ""
    if len(shape) == rank - 1 and None not in shape[1:]:
        return f"if it has one channel, put layers.Reshape({(*shape[1:], 1)}) before '{{}}'."
    return "call '{}' before what flattens its input, or reshape that first."


def no_steps(layer: Layer, shape: Any) -> ShapeError:
    """The error of a layer that goes over time steps, for an input without them."""
    shape = tuple(shape)
    error = ShapeError(f"{layer} takes inputs (batch, steps, ...), but got the shape {shape}.")
    if len(shape) > 1 and shape[1] is not None:
        error.fix = (  # type: ignore[attr-defined]
            f"put layers.Reshape(({shape[1]}, 1)) before it for steps of one feature each, "
            "or let the layer before it keep the steps (return_sequences=True)."
        )
    return error


def _named(tensor: Any) -> str:
    if isinstance(tensor, Tensor) and tensor.layer is not None:
        return f"'{tensor.layer.name}'"
    return "an input"
