"""Element types in HDF5 files, both ways (HDF5 specification, section IV.A.2.d)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from graphc.saving.hdf5_source import Source, damaged


@dataclass(frozen=True)
class Stored:
    """How elements are stored (`raw`), what they become (`result`), and how."""

    raw: np.dtype
    result: np.dtype
    decode: Callable[[np.ndarray], np.ndarray]


# size: (exponent at, exponent bits, mantissa at, mantissa bits, bias)
FLOATS = {2: (10, 5, 0, 10, 15), 4: (23, 8, 0, 23, 127), 8: (52, 11, 0, 52, 1023)}
BFLOAT16 = (7, 8, 0, 7, 127)


def datatype(source: Source, at: int, size: int) -> Stored:
    """The element type that a datatype message describes."""
    if size < 8:
        raise damaged("an element type is too short", at)
    kind, bits, width = source.number(at, 1) & 15, source.number(at + 1, 3), source.number(at + 4, 4)
    if kind in (0, 1) and size < (12 if kind == 0 else 20):
        raise damaged("an element type is too short", at)
    order = ">" if bits & 1 else "<"
    if kind == 0:
        return _integer(source, at, bits, width, order)
    if kind == 1:
        return _float(source, at, width, order)
    if kind == 8:
        base = datatype_of_enum(source, at, size)
        names = bits & 0xFFFF
        return Stored(base.raw, np.dtype(bool), lambda a: a != 0) if names == 2 and width == 1 else base
    raise damaged(f"arrays of the element class {kind} are not read; numbers and booleans are", at)


def datatype_of_enum(source: Source, at: int, size: int) -> Stored:
    """The integers that stand for an enumeration's names; h5py stores booleans as such."""
    if size < 20 or source.number(at + 8, 1) & 15 != 0:
        raise damaged("an enumeration is not of integers", at)
    return datatype(source, at + 8, 12)


def _integer(source: Source, at: int, bits: int, width: int, order: str) -> Stored:
    offset, precision = source.number(at + 8, 2), source.number(at + 10, 2)
    if width not in (1, 2, 4, 8) or offset or precision != 8 * width:
        raise damaged(f"integers of {precision} bits in {width} bytes are not read", at)
    raw = np.dtype(f"{order}{'i' if bits & 8 else 'u'}{width}")
    return Stored(raw, raw.newbyteorder("="), lambda a: a.astype(raw.newbyteorder("="), copy=False))


def _float(source: Source, at: int, width: int, order: str) -> Stored:
    offset, precision = source.number(at + 8, 2), source.number(at + 10, 2)
    parts = (*source.bytes(at + 12, 4), source.number(at + 16, 4))
    if offset == 0 and precision == 8 * width and FLOATS.get(width) == parts:
        raw = np.dtype(f"{order}f{width}")
        return Stored(raw, raw.newbyteorder("="), lambda a: a.astype(raw.newbyteorder("="), copy=False))
    if (offset, precision, width, parts) == (0, 16, 2, BFLOAT16):
        return Stored(np.dtype(f"{order}u2"), np.dtype("f4"), _widened)
    raise damaged(f"floating-point numbers of {precision} bits with the parts {parts} are not read", at)


def _widened(values: np.ndarray) -> np.ndarray:
    """bfloat16 as float32: the upper half of its bits."""
    return (values.astype(np.uint32) << 16).view(np.float32)


def encoded(dtype: np.dtype) -> bytes:
    """The datatype message of an element type.

    >>> encoded(np.dtype("f4")).hex()
    '11201f000400000000002000170800177f000000'
    """
    width = dtype.itemsize
    if dtype.kind == "f":
        exponent_at, exponent, at, mantissa, bias = FLOATS[width]
        parts = (exponent_at, exponent, at, mantissa, bias)
        return struct.pack("<BBBBIHH4BI", 0x11, 0x20, 8 * width - 1, 0, width, 0, 8 * width, *parts)
    if dtype.kind == "b":
        members = b"FALSE\0\0\0TRUE\0\0\0\0\0\1"
        return struct.pack("<BBBBI", 0x18, 2, 0, 0, 1) + encoded(np.dtype("i1")) + members
    return struct.pack("<BBBBIHH", 0x10, 8 if dtype.kind == "i" else 0, 0, 0, width, 0, 8 * width)


def text_type(width: int) -> bytes:
    """The datatype message of strings of up to `width` bytes, in UTF-8, that end with a zero."""
    return struct.pack("<BBBBI", 0x13, 0x10, 0, 0, width)
