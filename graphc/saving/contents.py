"""A file's bytes, without a copy of them where the system can: values go from its page cache straight into
the weights.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np

POPULATE_READ = 22
"""Linux's MADV_POPULATE_READ: a page that can't be read is an error here, not a signal at its first use."""


def read_bytes(path: Path) -> np.ndarray:
    """A file's contents (uint8), read-only: a private mapping of the file where there can be one.

    The file may be replaced by another while the result is in use, but must not be cut off in place.

    Raises:
        OSError: what the system says.
    """
    with open(path, "rb", buffering=0) as file:
        mapped = _mapped(file)
        return _read(file) if mapped is None else np.frombuffer(mapped, np.uint8)


def _mapped(file: BinaryIO) -> mmap.mmap | None:
    """The file's pages; None if it is empty or no plain file, or the system can't promise to read it."""
    if sys.platform != "linux":
        return None
    try:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        mapped.madvise(POPULATE_READ)
    except (ValueError, OSError) as e:
        if isinstance(e, OSError) and e.errno in (errno.EFAULT, errno.EIO):
            raise OSError(errno.EIO, os.strerror(errno.EIO), file.name) from e
        return None
    return mapped


def _read(file: BinaryIO) -> np.ndarray:
    data = np.empty(os.fstat(file.fileno()).st_size, np.uint8)
    rest = memoryview(data)  # type: ignore[arg-type]
    while len(rest) and (count := file.readinto(rest)):  # type: ignore[attr-defined]
        rest = rest[count:]
    return data[: len(data) - len(rest)]
