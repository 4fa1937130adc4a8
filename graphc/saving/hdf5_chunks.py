"""Arrays of HDF5 files that lie in chunks, which may be compressed (HDF5 specification, section III.A.1)."""

from __future__ import annotations

import math
import zlib

import numpy as np

from graphc.saving.hdf5 import leaves
from graphc.saving.hdf5_messages import Layout
from graphc.saving.hdf5_source import UNDEFINED, Source, damaged

DEFLATE, SHUFFLE = 1, 2
MOST_EXPANSION = 1032
"""The most that deflate can shrink data by (RFC 1951: 258 bytes in 2 bits)."""


def read_chunks(
    source: Source, shape: tuple[int, ...], dtype: np.dtype, place: Layout, filters: tuple[int, ...]
) -> np.ndarray:
    """All elements of an array, flat. Every chunk must be there, so that the file bounds what is allocated.

    Raises:
        FileFormatError: a chunk is missing, damaged, or compressed in a way that is not known.
    """
    if set(filters) - {DEFLATE, SHUFFLE}:
        raise damaged(f"chunks have filters that are not known: {filters}", place.address)
    count = math.prod(-(-d // c) for d, c in zip(shape, place.chunks))
    if not count:
        return np.empty(0, dtype)
    expected = math.prod(place.chunks) * dtype.itemsize
    if place.address == UNDEFINED or count > source.size or count * expected > MOST_EXPANSION * source.size:
        raise damaged("an array is larger than the file can hold", place.address)
    parts = _parts(source, shape, place)
    if len(parts) != count:
        raise damaged(f"an array has {len(parts)} of its {count} chunks", place.address)
    result = np.empty(shape, dtype)
    for start, (at, size, mask) in parts.items():
        raw = _decoded(source, at, size, expected, dtype.itemsize, filters, mask)
        chunk = raw.view(dtype).reshape(place.chunks)
        rooms = [min(c, d - s) for c, d, s in zip(place.chunks, shape, start)]
        result[tuple(slice(s, s + r) for s, r in zip(start, rooms))] = chunk[tuple(slice(r) for r in rooms)]
    return result.reshape(-1)


def _parts(
    source: Source, shape: tuple[int, ...], place: Layout
) -> dict[tuple[int, ...], tuple[int, int, int]]:
    """Where each chunk of the array begins -> its address, stored size and mask of left-out filters."""
    rank = len(shape)
    key = 8 + 8 * (rank + 1)
    parts: dict[tuple[int, ...], tuple[int, int, int]] = {}
    for at in leaves(source, place.address, 1, key):
        size, mask = source.number(at, 4), source.number(at + 4, 4)
        start = tuple(source.number(at + 8 + 8 * i, 8) for i in range(rank))
        fits = all(s < d and s % c == 0 for s, d, c in zip(start, shape, place.chunks))
        if not fits or start in parts:
            raise damaged(f"a chunk at {start} has no place in its array", at)
        parts[start] = (source.number(at + key, 8), size, mask)
    return parts


def _decoded(
    source: Source, at: int, size: int, expected: int, width: int, filters: tuple[int, ...], mask: int
) -> np.ndarray:
    """A chunk's bytes, filters undone from the last to the first."""
    raw = source.view(at, size)
    for i in reversed(range(len(filters))):
        if mask >> i & 1:
            continue
        if filters[i] == SHUFFLE:
            if len(raw) != expected:
                raise damaged("a shuffled chunk has a wrong size", at)
            raw = np.ascontiguousarray(raw.reshape(width, -1).T).reshape(-1)
            continue
        inflate = zlib.decompressobj()
        try:
            text = inflate.decompress(raw.tobytes(), expected + 1)
        except zlib.error as e:
            raise damaged(f"a compressed chunk can't be read: {e}", at) from e
        raw = np.frombuffer(text, np.uint8)
    if len(raw) != expected:
        raise damaged(f"a chunk has {len(raw)} bytes, but needs {expected}", at)
    return raw
