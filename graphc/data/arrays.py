"""What the user gave as inputs or targets, checked and cast: one contiguous array per slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.backend import floatx
from graphc.ir.errors import ArgumentError, DTypeError, ShapeError


@dataclass(frozen=True)
class Slot:
    """An input or output of the model.

    Args:
        name: how dicts of arrays call it.
        dtype: what its arrays are cast to; None keeps whole numbers and makes the others `floatx()`.
        shape: its declared shape, if it has one: arrays may lack a last axis of size 1, or have one too many.
    """

    name: str
    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None


Slots = Sequence[Slot] | None


def is_array(value: Any) -> bool:
    """Whether this is an array of NumPy or of another library that converts (not a list, not a number)."""
    return isinstance(value, np.ndarray) or (hasattr(value, "__array__") and hasattr(value, "shape"))


def is_arrays(value: Any) -> bool:
    """Whether this is what arrays are given as: one, or a list, tuple or dict of things."""
    return is_array(value) or isinstance(value, (list, tuple, Mapping, int, float, str, bytes, np.generic))


def to_arrays(value: Any, slots: Slots, what: str) -> list[np.ndarray]:
    """One checked, cast, C-contiguous array per slot; no copy of an array that is right already.

    Args:
        value: an array, or a list or dict of arrays; None gives none.
        slots: the model's inputs or outputs; None takes what comes.
        what: "x" or "y", for messages.

    Raises:
        ArgumentError: lists of numbers, other arrays than the model has inputs or outputs, no samples.
        DTypeError: elements that are not numbers, or that the cast would change.
        ShapeError: an array without axes, or arrays of different lengths.
    """
    if value is None:
        return []
    named = _named(value, slots, what)
    arrays = [_cast(item, slot, label) for label, item, slot in named]
    lengths = {label: len(array) for (label, _, _), array in zip(named, arrays)}
    check_lengths(lengths)
    return arrays


def check_lengths(lengths: Mapping[str, int]) -> None:
    """Raise unless all arrays have the same number of samples, and at least one."""
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{label} has {n}" for label, n in lengths.items())
        raise ShapeError(f"all arrays need the same number of samples, but {told}")
    for label, n in lengths.items():
        if n == 0:
            raise ArgumentError(f"{label} is empty: there is nothing to compute with 0 samples")


Named = list[tuple[str, Any, Slot | None]]


def _named(value: Any, slots: Slots, what: str) -> Named:
    """The arrays in the order of the slots, each with the name that messages call it."""
    if isinstance(value, Mapping):
        return _from_dict(value, slots, what)
    if isinstance(value, (list, tuple)):
        return _from_list(value, slots, what)
    if slots is not None and len(slots) != 1:
        raise ArgumentError(f"{_expected(slots, what)}, but {what} is one {_describe(value)}")
    return [(what, value, slots[0] if slots else None)]


def _from_dict(value: Mapping[str, Any], slots: Slots, what: str) -> Named:
    names = list(value) if slots is None else [slot.name for slot in slots]
    wrong = [name for name in value if name not in names] + [name for name in names if name not in value]
    if wrong:
        raise ArgumentError(
            f"{what} has arrays for {_quoted(value)}, but the model's {_kind(what)}s are {_quoted(names)}"
        )
    chosen: Sequence[Slot | None] = slots or [None] * len(names)
    return [(f"{what}[{name!r}]", value[name], slot) for name, slot in zip(names, chosen)]


def _from_list(value: Sequence[Any], slots: Slots, what: str) -> Named:
    count = len(value) if slots is None else len(slots)
    if not value or not all(map(is_array, value)):
        kinds = f"a list of {len(value)} {_describe(value[0])}s" if value else "an empty list"
        raise ArgumentError(
            f"{what} is {kinds}, where an array was meant: write np.array({what}) "
            f"(a list is for models with several {_kind(what)}s, and holds one array for each)"
        )
    if len(value) != count:
        assert slots is not None
        raise ArgumentError(
            f"{_expected(slots, what)}, but {what} is a list of {len(value)} arrays "
            f"(if each is one sample, write np.stack({what}))"
        )
    return [
        (f"{what}[{i}]" if count > 1 else what, item, slots[i] if slots else None)
        for i, item in enumerate(value)
    ]


def _cast(value: Any, slot: Slot | None, label: str) -> np.ndarray:
    if not is_array(value):
        raise ArgumentError(f"{label} is a {_describe(value)}, where an array was meant")
    array = np.asarray(value)
    if array.ndim == 0:
        raise ShapeError(f"{label} is a single number: the first axis of an array counts samples")
    if array.dtype.kind not in "biuf":
        hint = "; do its rows differ in length?" if array.dtype.kind == "O" else ""
        raise DTypeError(f"{label} holds {array.dtype} elements, where numbers were meant{hint}")
    if slot and slot.shape:
        array = ranked(array, slot.shape)
    target = np.dtype(slot.dtype) if slot and slot.dtype else _natural(array.dtype)
    if target != array.dtype:
        array = _converted(array, target, label)
    return np.require(array, requirements=["C", "A"])


def ranked(array: np.ndarray, shape: Sequence[Any]) -> np.ndarray:
    """The array with a last axis of size 1 added or dropped, where a declared shape differs by that."""
    if array.ndim == len(shape) - 1 and shape[-1] == 1:
        return array[..., None]
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array


def _natural(dtype: np.dtype) -> np.dtype:
    """Floating point becomes floatx; whole numbers stay, in the machine's byte order."""
    return np.dtype(floatx()) if dtype.kind == "f" else dtype.newbyteorder("=")


def _converted(array: np.ndarray, target: np.dtype, label: str) -> np.ndarray:
    """The array cast; raises where whole numbers would change."""
    with np.errstate(invalid="ignore", over="ignore"):
        cast = array.astype(target, order="C")
    if target.kind in "iub" and not np.can_cast(array.dtype, target) and not np.array_equal(cast, array):
        raise DTypeError(f"{label} holds {array.dtype} numbers that {target} cannot hold")
    return cast


def _describe(value: Any) -> str:
    if is_array(value):
        return f"array of shape {tuple(value.shape)}"
    return "number" if isinstance(value, (int, float, np.generic)) else type(value).__name__


def _kind(what: str) -> str:
    return "input" if what == "x" else "output"


def _quoted(names: Any) -> str:
    return ", ".join(repr(name) for name in names) or "nothing"


def _expected(slots: Sequence[Slot], what: str) -> str:
    plural = "" if len(slots) == 1 else "s"
    return f"the model has {len(slots)} {_kind(what)}{plural} ({_quoted(slot.name for slot in slots)})"
