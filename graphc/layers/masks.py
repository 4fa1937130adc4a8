"""Masks: which time steps of a tensor are valid. They travel beside tensors, from layer to layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphc import structure
from graphc.tensor import Tensor
from graphc.trace import active

if TYPE_CHECKING:
    from graphc.layers.layer import Layer


def mask_of(leaf: Any) -> Any:
    """A tensor's mask, or None."""
    return leaf._mask if isinstance(leaf, Tensor) else None


def gather_masks(names: tuple[str, ...], arguments: dict[str, Any]) -> Any:
    """The masks of the first argument; arguments called `mask`, `query_mask`, ... that were not given are
    filled in.
    """
    first: Any = None
    for position, (name, value) in enumerate(list(arguments.items())):
        masks = structure.transform(mask_of, value)
        present = any(m is not None for m in structure.leaves(masks))
        wanted = "mask" if position == 0 and "mask" in names else f"{name}_mask"
        if present and wanted in names and arguments.get(wanted) is None:
            arguments[wanted] = masks
        if position == 0:
            first = masks
    given = arguments.get("mask")
    return given if given is not None and _is_mask(given) else first


def _is_mask(given: Any) -> bool:
    return any(isinstance(leaf, Tensor) for leaf in structure.leaves(given))


def settle_masks(layer: Layer, inputs: Any, previous: Any, outputs: Any) -> Any:
    """The outputs with their masks: from `compute_mask` where the layer supports masking, else none."""
    trace = active()
    assert trace is not None
    entering = {id(leaf) for leaf in structure.leaves(inputs) if isinstance(leaf, Tensor)}

    def fresh(leaf: Any) -> Any:
        unchanged = isinstance(leaf, Tensor) and id(leaf) in entering and leaf._mask is not None
        return trace.tensor(leaf.expr) if unchanged else leaf

    outputs = structure.transform(fresh, outputs)
    if not layer.supports_masking:
        return outputs
    tensors = structure.leaves(outputs)
    if all(mask_of(t) is not None for t in tensors):
        return outputs
    masks = layer.compute_mask(inputs, previous)
    if masks is None:
        return outputs
    for tensor, mask in zip(tensors, structure.leaves(masks)):
        if isinstance(tensor, Tensor) and mask is not None:
            tensor._mask = mask
    return outputs
