"""`.safetensors` files: a header in JSON, then the arrays' bytes (https://github.com/huggingface/safetensors).

Each array's checksum is written among the header's metadata, and compared where it is there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from graphc.ir.errors import FileFormatError
from graphc.saving.hdf5 import CHECKSUM, Dataset, checksum, require_all_sums

INTEGERS = {f"{kind}{8 * n}": f"<{kind.lower()}{n}" for kind in "IU" for n in (1, 2, 4, 8)}
NAMES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BOOL": "|b1", **INTEGERS}
DTYPES = {np.dtype(text).newbyteorder("="): name for name, text in NAMES.items()}
MOST_HEADER = 100_000_000


def pieces(arrays: Mapping[str, np.ndarray]) -> Iterator[bytes | np.ndarray]:
    """The contents of a file with these arrays, piece by piece.

    >>> file = b"".join(bytes(p) for p in pieces({"w": np.arange(3.0)}))
    >>> read(np.frombuffer(file, np.uint8))["w"].read()
    array([0., 1., 2.])
    """
    stored = {n: np.asarray(a, a.dtype.newbyteorder("<"), order="C") for n, a in arrays.items()}
    sums = {f"{CHECKSUM} {name}": str(checksum(array)) for name, array in stored.items()}
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **sums}}
    at = 0
    for name, array in stored.items():
        dtype = DTYPES[array.dtype.newbyteorder("=")]
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for array in stored.values():
        yield array.reshape(-1).view(np.uint8)


def read(data: np.ndarray) -> dict[str, Dataset]:
    """The arrays of a file that lies in memory as bytes, by name.

    Raises:
        FileFormatError: the file is damaged or not of this kind.
    """
    size = int.from_bytes(data[:8].tobytes(), "little")
    if len(data) < 8 or size > min(len(data) - 8, MOST_HEADER):
        raise _damaged("its header is longer than the file")
    try:
        header = json.loads(data[8 : 8 + size].tobytes())
    except (ValueError, RecursionError) as e:
        raise _damaged(f"its header is not JSON: {e}") from e
    if not isinstance(header, dict):
        raise _damaged("its header is no table of arrays")
    sums = header.pop("__metadata__", None) or {}
    body = data[8 + size :]
    found: dict[str, Dataset] = {}
    spans = []
    for name, entry in header.items():
        shape, dtype, start, stop = _entry(name, entry, len(body))
        spans.append((start, stop))
        expected = sums.get(f"{CHECKSUM} {name}") if isinstance(sums, dict) else None
        found[name] = _dataset(name, body[start:stop], shape, dtype, expected)
    require_all_sums(found)
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise _damaged("its arrays overlap, or leave gaps")
        end = stop
    if end != len(body):
        raise _damaged(f"its arrays have {end:,} bytes, but there are {len(body):,}")
    return found


def _entry(name: str, entry: Any, size: int) -> tuple[tuple[int, ...], np.dtype, int, int]:
    try:
        dtype, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        whole = all(type(n) is int and 0 <= n < 2**48 for n in (*shape, start, stop)) and len(shape) <= 32
    except (TypeError, KeyError, ValueError) as e:
        raise _damaged(f"'{name}' is not described as an array") from e
    if not whole or not isinstance(dtype, str) or start > stop or stop > size:
        raise _damaged(f"'{name}' is not described as an array")
    if dtype not in NAMES:
        raise FileFormatError(f"the array '{name}' has the element type {dtype!r}, which is not read.")
    kind = np.dtype(NAMES[dtype])
    if math.prod(shape) * kind.itemsize != stop - start:
        raise _damaged(f"'{name}' of shape {shape} does not have {stop - start:,} bytes")
    return shape, kind, start, stop


def _dataset(name: str, raw: np.ndarray, shape: tuple[int, ...], dtype: np.dtype, expected: Any) -> Dataset:
    def values() -> np.ndarray:
        if expected is not None and str(checksum(raw)) != expected:
            raise FileFormatError(f"the array '{name}' is damaged: its values do not match their checksum.")
        if dtype.kind == "b":
            return (raw != 0).reshape(shape)
        return raw.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)

    return Dataset(shape, dtype.newbyteorder("="), values, summed=expected is not None)


def _damaged(what: str) -> FileFormatError:
    return FileFormatError(f"this .safetensors file is damaged, or of another kind: {what}.")
