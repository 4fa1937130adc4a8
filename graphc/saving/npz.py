"""`.npz` files: NumPy's archives of arrays, read without pickles and with every size checked first."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from graphc.ir.errors import FileFormatError
from graphc.saving.hdf5 import Dataset
from graphc.saving.zips import MOST_TEXT, ZIP_ERRORS, member, open_zip

MOST_HEADER = 65_536


def write(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays into an open file, as `numpy.savez` does."""
    np.savez(file, allow_pickle=False, **arrays)


def read(data: np.ndarray) -> dict[str, Dataset]:
    """The arrays of a file that lies in memory as bytes, by name.

    Raises:
        FileFormatError: the file is damaged or not of this kind, or holds Python objects.
    """
    archive = open_zip(data, "an .npz file")
    return {
        name.removesuffix(".npy"): _dataset(archive, data, name)
        for name in archive.namelist()
        if name.endswith(".npy")
    }


def _dataset(archive: zipfile.ZipFile, data: np.ndarray, name: str) -> Dataset:
    shape, fortran, dtype = _header(archive, name)

    def values() -> np.ndarray:
        raw = member(archive, data, name)
        stream = io.BytesIO(raw[:MOST_HEADER].tobytes())
        _parsed(stream, name)
        flat = raw[stream.tell() :].view(dtype)
        found = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
        return found.astype(dtype.newbyteorder("="), copy=False)

    return Dataset(shape, dtype.newbyteorder("="), values)


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type of a member; its size must be what they need."""
    info = archive.getinfo(name)
    try:
        with archive.open(name) as file:
            start = io.BytesIO(file.read(MOST_HEADER))
    except ZIP_ERRORS as e:
        raise FileFormatError(f"the array '{name[:MOST_TEXT]}' can't be read: {str(e)[:MOST_TEXT]}.") from e
    shape, fortran, dtype = _parsed(start, name)
    if math.prod(shape) * dtype.itemsize != info.file_size - start.tell():
        raise FileFormatError(
            f"the array '{name[:MOST_TEXT]}' of shape {shape} does not have the size that it needs."
        )
    return shape, fortran, dtype


def _parsed(stream: io.BytesIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(stream)
        reader = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = reader(stream)
    except (ValueError, EOFError, TypeError, SyntaxError, KeyError, RecursionError, MemoryError) as e:
        raise FileFormatError(
            f"the array '{name[:MOST_TEXT]}' does not begin as a NumPy array: {str(e)[:MOST_TEXT]}."
        ) from e
    if dtype.kind not in "fiub" or any(d < 0 for d in shape):
        raise FileFormatError(f"the array '{name[:MOST_TEXT]}' is of {dtype}; numbers and booleans are read.")
    return shape, fortran, dtype
