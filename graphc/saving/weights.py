"""Weights in files. Writing replaces a file as a whole or leaves it; reading checks every name and shape
before anything changes.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.ir.errors import ArgumentError, FileFormatError

if TYPE_CHECKING:
    from graphc.models import Model


def weight_names(model: Model) -> list[str]:
    """A name for each of `model.weights`: its path, numbered where a path occurs twice."""
    counts: dict[str, int] = {}
    names = []
    for v in model.weights:
        count = counts.get(v.path, 0)
        counts[v.path] = count + 1
        names.append(v.path if not count else f"{v.path}_{count}")
    return names


def write_whole(path: Path, write: Callable[[Any], None]) -> None:
    """Write a file so that it is either wholly new or as it was: a temporary file beside it, synced, then
    renamed.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def save_weights(model: Model, filepath: Any, overwrite: bool = True) -> None:
    """Write the model's weights to an .npz file, under their paths.

    Raises:
        ArgumentError: the file's ending is not one that is known, or the file exists and `overwrite` is
        False.
    """
    path = _checked(filepath)
    if path.exists() and not overwrite:
        raise ArgumentError(f"{path} exists already.\n  fix     give another name, or overwrite=True.")
    arrays: dict[str, Any] = dict(zip(weight_names(model), (v.array for v in model.weights)))
    write_whole(path, lambda file: np.savez(file, **arrays))


def load_weights(model: Model, filepath: Any, skip_mismatch: bool = False) -> None:
    """Read the model's weights from an .npz file.

    With `skip_mismatch`, weights whose name or shape does not fit keep their values.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is damaged.
        ArgumentError: names or shapes differ; the message lists them, and nothing has changed.
    """
    path = _checked(filepath)
    stored = _read(path)
    names = weight_names(model)
    wrong: dict[str, str] = {}
    for name, variable in zip(names, model.weights):
        if name not in stored:
            wrong[name] = f"'{name}' {variable.shape} is not in the file"
        elif stored[name].shape != variable.shape:
            wrong[name] = f"'{name}' is {variable.shape} in the model, {stored[name].shape} in the file"
    unknown = [f"'{n}' {a.shape} is in the file only" for n, a in stored.items() if n not in names]
    if (wrong or unknown) and not skip_mismatch:
        listed = "\n".join(f"  {line}" for line in [*wrong.values(), *unknown][:20])
        raise ArgumentError(
            f"{path.name} does not fit the model '{model.name}':\n{listed}\n"
            "  fix     make the model as it was when the file was written, "
            "or leave these weights as they are: skip_mismatch=True."
        )
    for name, variable in zip(names, model.weights):
        if name not in wrong:
            variable.assign(stored[name])


def _read(path: Path) -> dict[str, np.ndarray]:
    if path.is_file() and not zipfile.is_zipfile(path):
        raise FileFormatError(f"{path} is damaged, or no .npz file: it is not an archive of arrays.")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError) as e:
        raise FileFormatError(f"{path} is damaged, or no .npz file: {e}.") from e


def _checked(filepath: Any) -> Path:
    path = Path(filepath)
    if path.suffix != ".npz":
        raise ArgumentError(f"weights are stored in files that end in .npz, not {path.name!r}.")
    return path
