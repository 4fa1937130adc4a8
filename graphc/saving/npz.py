"""`.npz` files: NumPy's archives of arrays, read without pickles and with every size checked first."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from graphc.ir.errors import FileFormatError
from graphc.saving.hdf5 import Dataset, checksum
from graphc.saving.zips import (
    MOST_TEXT,
    ZIP_ERRORS,
    aligned_member,
    member,
    open_zip,
    stored_checksum,
)

MOST_HEADER = 65_536


def write(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays into an open file, as `numpy.savez` does, each at a multiple of 64 bytes and with a
    checksum that costs less to compare than its CRC.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            stored = np.asarray(array, order="C")
            header = _header_of(stored)
            flat = stored.reshape(-1).view(np.uint8)
            total = (checksum(np.frombuffer(header, np.uint8)) + checksum(flat)) % 2**64
            with aligned_member(archive, file, f"{name}.npy", total) as inner:
                inner.write(header)
                inner.write(memoryview(flat))  # type: ignore[arg-type]


def _header_of(array: np.ndarray) -> bytes:
    """What stands before the values: a multiple of 64 bytes, so that checksums of the two add up."""
    text = io.BytesIO()
    np.lib.format.write_array_header_1_0(text, np.lib.format.header_data_from_array_1_0(array))
    return text.getvalue()


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
    shape, fortran, dtype, start = _header(archive, name)

    expected = stored_checksum(archive, name)

    def values() -> np.ndarray:
        raw = member(archive, data, name, check=expected is None)
        if expected is not None and checksum(raw) != expected:
            raise FileFormatError(f"the array '{name[:MOST_TEXT]}' does not match its checksum.")
        flat = raw[start:].view(dtype)
        found = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
        return found.astype(dtype.newbyteorder("="), copy=False)

    return Dataset(shape, dtype.newbyteorder("="), values)


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, order and type of a member, and where its values start; its size must be what they need."""
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
    return shape, fortran, dtype, start.tell()


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
