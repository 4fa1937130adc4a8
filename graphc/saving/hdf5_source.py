"""The bytes of an HDF5 file, with every access checked against the file's length."""

from __future__ import annotations

import numpy as np

from graphc.ir.errors import FileFormatError

UNDEFINED = 2**64 - 1
"""The address that means: nowhere."""


def damaged(what: str, at: int) -> FileFormatError:
    """The error of a file that is not as it should be."""
    return FileFormatError(f"the HDF5 file is damaged or not of a known kind: {what} (at byte {at:,}).")


class Source:
    """A file's bytes.

    Args:
        data: the whole file as bytes (uint8).
    """

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.size = data, len(data)
        self._bytes = memoryview(data)  # type: ignore[arg-type]

    def checked(self, at: int, count: int) -> int:
        """`at`, if `count` bytes lie there; FileFormatError if not."""
        if at < 0 or count < 0 or at + count > self.size:
            raise damaged(f"{count:,} bytes are needed, but the file ends at {self.size:,}", at)
        return at

    def bytes(self, at: int, count: int) -> bytes:
        """`count` bytes."""
        self.checked(at, count)
        return self._bytes[at : at + count].tobytes()

    def number(self, at: int, count: int) -> int:
        """A whole number of `count` bytes, from 0 on, the lowest byte first."""
        self.checked(at, count)
        return int.from_bytes(self._bytes[at : at + count], "little")

    def view(self, at: int, count: int) -> np.ndarray:
        """`count` bytes, not copied."""
        self.checked(at, count)
        return self.data[at : at + count]
