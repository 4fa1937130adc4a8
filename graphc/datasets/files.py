"""Dataset files: where they lie, how they are downloaded, and how arrays are read without pickle."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from graphc.ir.errors import FileFormatError, GraphcError

Pair = tuple[np.ndarray, np.ndarray]
Split = tuple[Pair, Pair]

CHUNK = 1 << 16
DIGIT_ARRAYS = {"x_train": (28, 28), "y_train": (), "x_test": (28, 28), "y_test": ()}


class DownloadError(GraphcError, OSError):
    """A dataset file could not be fetched, or what came was not the expected file."""


class DamagedFileError(FileFormatError):
    """A dataset file that cannot be read as an archive of arrays, such as a download that was cut short."""


@dataclass(frozen=True)
class Download:
    """A file on the network: its address, its checksum, and a size that it never reaches."""

    url: str
    checksum: str
    max_bytes: int
    algorithm: str = "sha256"


def dataset_folder() -> Path:
    """Where downloads go: `GRAPHC_DATA_DIR`, else `datasets` in Keras's folder (`KERAS_HOME` or
    `~/.keras`).
    """
    return _folders()[0]


def _folders() -> list[Path]:
    keras = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser() / "datasets"
    own = os.environ.get("GRAPHC_DATA_DIR")
    return [Path(own).expanduser(), keras] if own else [keras]


def find(name: str) -> Path | None:
    """The first dataset folder's file of that name (or the file itself for an absolute path), or None."""
    paths = (folder / name for folder in _folders())
    return next((path for path in paths if path.is_file()), None)


def fetch(source: Download, target: Path, timeout: float = 10.0, time_limit: float = 600.0) -> Path:
    """Download a file, check it, and put it in place in one step, so that no half file is ever seen.

    Args:
        source: what to fetch and how to recognise it.
        target: where it goes; the folder is made.
        timeout: seconds that one network operation may take.
        time_limit: seconds that the whole download may take.

    Raises:
        DownloadError: no network, no room, no permission, or another file than expected.
    """
    from http.client import HTTPException

    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = Path(file.name)
            digest = _copy(source, file, timeout, time.monotonic() + time_limit)
            file.flush()
            os.fsync(file.fileno())
        if digest != source.checksum:
            raise DownloadError(f"{source.url} is not the expected file ({source.algorithm} {digest})")
        temporary.replace(target)
    except (OSError, HTTPException) as error:
        if isinstance(error, DownloadError):
            raise
        raise DownloadError(f"could not download {source.url} to {target.parent} ({error})") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return target


def _copy(source: Download, file: IO[bytes], timeout: float, deadline: float) -> str:
    """Stream the download into `file` and return its checksum in hexadecimal."""
    from urllib.request import urlopen

    digest, done = hashlib.new(source.algorithm, usedforsecurity=False), 0
    progress = _Progress(source.url.rsplit("/", 1)[-1])
    with urlopen(source.url, timeout=timeout) as response:
        total = int(response.headers.get("Content-Length") or 0)
        while chunk := response.read(CHUNK):
            done += len(chunk)
            if done > source.max_bytes:
                raise DownloadError(f"{source.url} is larger than the expected file")
            if time.monotonic() > deadline:
                raise DownloadError(f"{source.url} took too long")
            digest.update(chunk)
            file.write(chunk)
            progress.show(done, total)
    progress.close()
    return digest.hexdigest()


class _Progress:
    """One line on stderr, rewritten at most ten times a second; silent when that is not a terminal."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.next = 0.0
        self.live = sys.stderr.isatty()

    def show(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self.live and now >= self.next:
            self.next = now + 0.1
            of = f" of {total / 1e6:.1f}" if total else ""
            print(f"\rdownloading {self.name}: {done / 1e6:.1f}{of} MB ", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.live:
            print(file=sys.stderr)


def read_digits(path: Path) -> Split:
    """Read images and labels of 28 x 28 digits from an .npz file, never unpickling anything.

    Raises:
        DamagedFileError: the file is not a readable archive.
        FileFormatError: an array is missing or has another shape or other values than digits have.
    """
    arrays = read_arrays(path, tuple(DIGIT_ARRAYS))
    for name, item in DIGIT_ARRAYS.items():
        array = arrays[name]
        if array.shape[1:] != item or array.ndim != len(item) + 1 or array.dtype.kind not in "iu":
            wanted = "(" + ", ".join(["n", *map(str, item)]) + ("," if not item else "") + ")"
            raise FileFormatError(
                f"{path}: '{name}' should hold whole numbers of shape {wanted}, "
                f"but is {array.dtype} {array.shape}"
            )
        if array.size and (array.min() < 0 or array.max() > 255):
            raise FileFormatError(f"{path}: '{name}' has values outside 0 to 255")
        arrays[name] = array.astype(np.uint8, copy=False)
    for part in ("train", "test"):
        images, labels = len(arrays[f"x_{part}"]), len(arrays[f"y_{part}"])
        if images != labels:
            raise FileFormatError(f"{path}: {images} images but {labels} labels in '{part}'")
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The named arrays of an .npz file, without pickle.

    Raises:
        DamagedFileError: the file is not a readable archive.
        FileFormatError: an array is missing, or holds Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
    except zipfile.BadZipFile as error:
        raise DamagedFileError(f"{path} is damaged ({error})") from error
    missing = [name for name in names if f"{name}.npy" not in members]
    if missing:
        raise FileFormatError(f"{path} has no array '{missing[0]}'; it has {sorted(members)}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DamagedFileError(f"{path} is damaged ({error})") from error
    except ValueError as error:
        raise FileFormatError(f"{path} cannot be read: {error}") from error
