"""The object cache on disk: one file per compiled thing, named by the SHA-256 of everything that it depends
on.

A file holds named sections of bytes (object code, a plan as JSON) and ends in the SHA-256 of what comes
before. It is written beside its place and moved there, so that no reader ever sees half of one, and any
number of processes may start at once. Whatever goes wrong with the disk, a compile goes on: a damaged entry
is a miss that is counted, and a folder that cannot be used is no cache. Nothing is pickled.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import secrets
import stat
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from graphc.codegen.errors import EntryFormatError

if TYPE_CHECKING:
    from graphc.codegen.target import Target

_MAGIC = b"graphc-entry-1\n"
_LENGTH = struct.Struct("<Q")
_DIGEST = 32
_LLVM_FILES = ("libllvmlite.", "llvmlite.dll", "_version.py")
_STALE_SECONDS = 3600  # a temporary file this old belongs to a process that died


@dataclass(frozen=True)
class Entry:
    """Named sections of bytes.

    >>> entry = Entry({"object": b"code", "plan": b"{}"})
    >>> Entry.from_bytes(entry.to_bytes()) == entry
    True
    """

    sections: Mapping[str, bytes]

    def to_bytes(self) -> bytes:
        """The file's content: magic, length-prefixed names and sections, SHA-256."""
        parts = [_MAGIC]
        for name, data in self.sections.items():
            text = name.encode()
            parts += [_LENGTH.pack(len(text)), text, _LENGTH.pack(len(data)), data]
        body = b"".join(parts)
        return body + hashlib.sha256(body).digest()

    @staticmethod
    def from_bytes(data: bytes) -> Entry:
        """Read what `to_bytes` wrote; EntryFormatError if a single bit differs."""
        body, digest = data[:-_DIGEST], data[-_DIGEST:]
        if not body.startswith(_MAGIC) or hashlib.sha256(body).digest() != digest:
            raise EntryFormatError("a cache entry is damaged: its checksum does not fit")
        pieces, at = [], len(_MAGIC)
        while at < len(body):
            (length,) = _LENGTH.unpack_from(body, at)
            at += _LENGTH.size + length
            pieces.append(body[at - length : at])
        return Entry({name.decode(): section for name, section in zip(pieces[::2], pieces[1::2])})


@dataclass
class Counters:
    """How often the cache was asked, over all caches of this process; read by `graphc.stats()`."""

    hits: int = 0
    misses: int = 0
    damaged: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def count(self, name: str) -> None:
        """Add one to a counter, from any thread."""
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)

    def as_dict(self) -> dict[str, int]:
        """The counters under the names that `graphc.stats()` uses."""
        return {"cache_hits": self.hits, "cache_misses": self.misses, "cache_damaged": self.damaged}


COUNTERS = Counters()


@dataclass(frozen=True)
class Info:
    """What a cache folder holds. `problem` says why the folder is not used, if it is not."""

    folder: Path
    entries: int
    bytes: int
    problem: str | None


def key_of(target: Target, *parts: object) -> str:
    """The key of something compiled for `target` that depends on `parts` (text, options, ...) and on this
    version of graphc and LLVM.
    """
    return key(*target.key(), *parts)


def key(*parts: object) -> str:
    """The key of something that depends on `parts` and on this version of graphc and LLVM.

    Parts are length-prefixed, so that no two lists of parts read the same.
    """
    digest = hashlib.sha256()
    for part in (llvm_stamp(), source_stamp(), *parts):
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(_LENGTH.pack(len(data)) + data)
    return digest.hexdigest()


@functools.cache
def llvm_stamp() -> str:
    """Name, size and time of the files of llvmlite that hold LLVM and say its version: to load them takes
    longer than a warm start.
    """
    spec = importlib.util.find_spec("llvmlite")
    folders = (spec.submodule_search_locations or ()) if spec is not None else ()
    places = [place for folder in folders for place in (Path(folder), Path(folder, "binding"))]
    files = [f for place in places for f in place.iterdir() if f.name.startswith(_LLVM_FILES)]
    return ";".join(_stamp(path.stat(), path.name) for path in sorted(files))


@functools.cache
def source_stamp() -> str:
    """A digest of name, size and time of each source file of the compiler: a change of the code generator
    is a change of every key.
    """
    import graphc.codegen
    import graphc.ir
    import graphc.passes

    packages = (graphc.ir, graphc.passes, graphc.codegen)
    roots = [(root, package.__name__) for package in packages for root in package.__path__]
    found = sorted(line for root, name in roots for line in _sources(root, name))
    return hashlib.sha256(";".join(found).encode()).hexdigest()


def _sources(folder: str, name: str) -> Iterator[str]:
    """The stamps of the source files in a folder and in those below."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                yield _stamp(entry.stat(), f"{name}/{entry.name}")
            elif entry.is_dir() and entry.name != "__pycache__":
                yield from _sources(entry.path, f"{name}/{entry.name}")


def _stamp(found: os.stat_result, name: str) -> str:
    return f"{name}:{found.st_size}:{found.st_mtime_ns}"


def default_folder() -> Path:
    """`GRAPHC_CACHE_DIR`, else `graphc` in `XDG_CACHE_HOME`, else ~/.cache/graphc."""
    chosen = os.environ.get("GRAPHC_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path("~/.cache").expanduser()) / "graphc"


def default() -> Cache:
    """The cache in the folder that the environment names now."""
    return _opened(default_folder())


@functools.cache
def _opened(folder: Path) -> Cache:
    return Cache(folder)


class Cache:
    """The entries in one folder, which is made (mode 0700) with the first entry that is put there."""

    def __init__(self, folder: Path | str, counters: Counters = COUNTERS) -> None:
        self.folder = Path(folder)
        self.counters = counters

    def get(self, key: str) -> Entry | None:
        """The entry of that key, or None: missing, damaged (then it is removed), or in a folder that others
        may write to.
        """
        if self._problem() is not None:
            self.counters.count("misses")
            return None
        path = self.folder / key
        try:
            entry = Entry.from_bytes(path.read_bytes())
        except EntryFormatError:
            self.counters.count("damaged")
            _remove(path)
        except OSError:
            pass
        else:
            self.counters.count("hits")
            return entry
        self.counters.count("misses")
        return None

    def put(self, key: str, entry: Entry) -> bool:
        """Store an entry; False if the disk does not let us, which is no error."""
        temporary = self.folder / f".{key}.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._problem() is not None:
                return False
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(entry.to_bytes())
            os.replace(temporary, self.folder / key)
        except OSError:
            _remove(temporary)
            return False
        return True

    def info(self) -> Info:
        """Number and size of the entries."""
        sizes = [size for path in self._entries() if (size := _size(path)) is not None]
        return Info(self.folder, len(sizes), sum(sizes), self._problem())

    def clear(self) -> int:
        """Remove all entries, and what died processes left; the number of entries removed."""
        count = sum(_remove(path) for path in self._entries())
        self._sweep()
        return count

    def verify(self) -> list[str]:
        """Check every entry; damaged ones are removed, and their keys returned."""
        damaged = []
        for path in self._entries():
            try:
                Entry.from_bytes(path.read_bytes())
            except EntryFormatError:
                damaged.append(path.name)
                _remove(path)
            except OSError:
                continue  # another process removed it
        self._sweep()
        return damaged

    def _entries(self) -> Iterator[Path]:
        try:
            names = sorted(os.listdir(self.folder))
        except OSError:
            return
        yield from (self.folder / name for name in names if _is_entry(name))

    def _sweep(self) -> None:
        try:
            left = [self.folder / name for name in os.listdir(self.folder) if _is_temporary(name)]
        except OSError:
            return
        for path in left:
            try:
                old = time.time() - path.stat().st_mtime > _STALE_SECONDS
            except OSError:
                continue
            if old:
                _remove(path)

    def _problem(self) -> str | None:
        """Why the folder must not be used: code is loaded from it, so nobody else may be able to write
        there.
        """
        try:
            found = self.folder.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"{self.folder} cannot be read: {error.strerror}"
        if not stat.S_ISDIR(found.st_mode):
            return f"{self.folder} is not a folder"
        if found.st_uid != os.geteuid():
            return f"{self.folder} belongs to user {found.st_uid}"
        if found.st_mode & 0o077 == 0:
            return None
        return self._close_to_others(found.st_mode)

    def _close_to_others(self, mode: int) -> str | None:
        """Set mode 0700, but only on a folder that holds nothing but ours: never on /tmp or a home folder."""
        try:
            if all(_is_entry(name) or _is_temporary(name) for name in os.listdir(self.folder)):
                self.folder.chmod(0o700)
                return None
        except OSError as error:
            return f"{self.folder} cannot be made private: {error.strerror}"
        return (
            f"{self.folder} has mode {stat.S_IMODE(mode):04o} and holds other files: use a folder of its own"
        )


def _is_entry(name: str) -> bool:
    return len(name) == 2 * _DIGEST and all(c in "0123456789abcdef" for c in name)


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and _is_entry(name[1:].split(".")[0])


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
