"""Weights in files. Writing replaces a file as a whole or leaves it; reading checks every name, shape and
value before anything changes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from graphc.ir.errors import ArgumentError, FileFormatError
from graphc.saving import earlier, hdf5, hdf5_writer, npz, safetensors
from graphc.saving.contents import read_bytes
from graphc.saving.durable import write_whole
from graphc.saving.hdf5 import Dataset
from graphc.saving.layout import (
    OPTIMIZER,
    Place,
    is_own_name,
    is_passed_over,
    optimizer_places,
    weight_places,
)
from graphc.variable import Variable

if TYPE_CHECKING:
    from graphc.models import Model

MOST_LISTED = 20


@dataclass(frozen=True)
class Format:
    """A kind of file: how it is read and written, and by which of its names a place goes there."""

    read: Callable[[np.ndarray], dict[str, Dataset]]
    write: Callable[[BinaryIO, Sequence[Place]], None]
    name: Callable[[Place], str]


def write_hdf5(file: BinaryIO, places: Sequence[Place]) -> None:
    """Write what lies at these places, with the names of the layers."""
    arrays = {p.path: p.variable.array for p in places}
    owners = {p.path.rpartition("/")[0]: p.owner for p in places}
    file.writelines(hdf5_writer.pieces(arrays, owners))  # type: ignore[arg-type]


def _write_npz(file: BinaryIO, places: Sequence[Place]) -> None:
    npz.write(file, {p.label: p.variable.array for p in places})


def _write_safetensors(file: BinaryIO, places: Sequence[Place]) -> None:
    file.writelines(safetensors.pieces({p.label: p.variable.array for p in places}))  # type: ignore[arg-type]


HDF5 = Format(hdf5.read, write_hdf5, lambda place: place.path)
FORMATS = {
    ".weights.h5": HDF5,
    ".npz": Format(npz.read, _write_npz, lambda place: place.label),
    ".safetensors": Format(safetensors.read, _write_safetensors, lambda place: place.label),
}


def save_weights(model: Model, filepath: Any, overwrite: bool = True) -> None:
    """Write the model's weights, and its optimizer's state, to a file of the kind that the ending names.

    Raises:
        ArgumentError: the file's ending is not one that is known, or the file exists and `overwrite` is
        False.
    """
    path, format_ = _checked(filepath)
    refuse_existing(path, overwrite)
    places = weight_places(model) + optimizer_places(model)
    write_whole(path, lambda file: format_.write(file, places))


def load_weights(model: Model, filepath: Any, skip_mismatch: bool = False) -> None:
    """Read the model's weights from a file, and its optimizer's state if both have it. Besides the kinds that
    `save_weights` writes, the `.h5` files of Keras 2 are read.

    With `skip_mismatch`, weights whose name or shape does not fit keep their values.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is damaged.
        ArgumentError: names or shapes differ; the message lists them, and nothing has changed.
    """
    path = Path(filepath)
    try:
        take(_plan(model, path, skip_mismatch))
    except FileFormatError as e:
        raise FileFormatError(f"{path}: {e}") from e


def _plan(model: Model, path: Path, skip_mismatch: bool) -> Plan:
    """Which variable takes which array of a file."""
    if path.suffix in earlier.ENDINGS and not path.name.endswith(".weights.h5"):
        return earlier.fitting(model, read_bytes(path), path.name, skip_mismatch)
    format_ = _checked(path)[1]
    found = format_.read(read_bytes(path))
    plan = fitting(model, found, format_, path.name, skip_mismatch)
    return plan + fitting_optimizer(model, found, format_)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """ArgumentError if the file is there and must not be replaced."""
    if path.exists() and not overwrite:
        raise ArgumentError(f"{path} exists already.\n  fix     give another name, or overwrite=True.")


Plan = list[tuple[Variable, Dataset]]
"""Which variable takes which array of a file."""


def fitting(
    model: Model, found: Mapping[str, Dataset], format_: Format, file: str, skip_mismatch: bool = False
) -> Plan:
    """The arrays for the model's weights; ArgumentError lists names and shapes that differ."""
    places = {format_.name(place): place for place in weight_places(model)}
    wrong, plan = [], []
    for name, place in places.items():
        if (reason := _misfit(name, place, found.get(name))) is not None:
            wrong.append(reason)
        else:
            plan.append((place.variable, found[name]))
    unknown = sorted(n for n in found if n not in places and not is_passed_over(n))
    wrong += [f"'{n}' {found[n].shape} is in the file only" for n in unknown]
    if wrong and not skip_mismatch:
        more = [f"and {len(wrong) - MOST_LISTED} more"] if len(wrong) > MOST_LISTED else []
        listed = "\n".join(f"  {line}" for line in wrong[:MOST_LISTED] + more)
        raise ArgumentError(
            f"{file} does not fit the model '{model.name}':\n{listed}\n"
            "  fix     make the model as it was when the file was written, "
            "or leave these weights as they are: skip_mismatch=True."
        )
    return plan


def _misfit(name: str, place: Place, stored: Dataset | None) -> str | None:
    own = place.variable
    what = f"'{name}'" if name == place.label else f"'{name}' (weight '{own.name}' of layer '{place.owner}')"
    if stored is None:
        return f"{what} {own.shape} is not in the file"
    if stored.shape != own.shape:
        return f"{what} is {own.shape} in the model, {stored.shape} in the file"
    if stored.owner != place.owner and stored.owner and _both_named(stored.owner, place):
        return f"{what} is of a layer '{stored.owner}' in the file"
    if _family(stored.dtype) != _family(own.dtype):
        return f"{what} is {own.dtype} in the model, {stored.dtype} in the file"
    return None


def _both_named(stored: str, place: Place) -> bool:
    """Whether neither name was counted: those that were say nothing about which layer it is."""
    return is_own_name(stored, place.kind) and is_own_name(place.owner, place.kind)


def _family(dtype: np.dtype) -> str:
    return "i" if dtype.kind == "u" else dtype.kind


def fitting_optimizer(
    model: Model, found: Mapping[str, Dataset], format_: Format, must: bool = False
) -> Plan:
    """The arrays for the optimizer's state; none where the model is not compiled or the file has none.

    State of an optimizer of another kind is passed over with a warning; with `must`, it is an error.
    """
    stored = [n for n in found if n.startswith(f"{OPTIMIZER}/")]
    if model.optimizer is None or not stored:
        return []
    if set(stored) != {f"{OPTIMIZER}/vars/{i}" for i in range(len(stored))}:
        raise FileFormatError("the optimizer's state in the file is damaged: its variables are not in a row.")
    begun = len(stored) > 2
    if begun:
        model.optimizer.build([v for v in model.trainable_weights if v.dtype.kind == "f"])
    places = {format_.name(p): p for p in optimizer_places(model)[: None if begun else 2]}
    wrong = [text for n, p in places.items() if (text := _misfit(n, p, found.get(n))) is not None]
    if not wrong and len(stored) == len(places):
        return [(p.variable, found[n]) for n, p in places.items()]
    reason = wrong[0] if wrong else f"the file has {len(stored)} of its variables"
    told = f"the file's optimizer state does not fit '{model.optimizer.name}': {reason}"
    if must:
        raise FileFormatError(f"{told}.")
    warnings.warn(f"{told}; the optimizer starts anew", stacklevel=3)
    return []


def take(plan: Plan) -> None:
    """Read all arrays, and only then assign them."""
    values = [(variable, stored.read()) for variable, stored in plan]
    for variable, array in values:
        variable.assign(array)


def _checked(filepath: Any) -> tuple[Path, Format]:
    path = Path(filepath)
    for ending, format_ in FORMATS.items():
        if path.name.endswith(ending):
            return path, format_
    raise ArgumentError(
        f"weights are stored in files that end in {', '.join(FORMATS)}, not {path.name!r}.\n"
        "  fix     give such a name; whole models are stored by save(), in .keras files."
    )
