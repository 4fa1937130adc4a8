"""Zip archives, read in memory: nothing is extracted, no member may be much larger than what is stored."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, BinaryIO

import numpy as np

from graphc.ir.errors import FileFormatError

ZIP_ERRORS = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, OSError, KeyError),
    *(NotImplementedError, RuntimeError, ValueError, OverflowError, IndexError, MemoryError),
)
"""What Python's zipfile raises on damaged archives."""
MOST_EXPANSION, UNCHECKED = 100, 2**24
MOST_MEMBERS = 100_000
MOST_TEXT = 200
"""Letters of another library's message that are passed on."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The date of members: the same arrays give the same file."""
ALIGNMENT = 64
OURS = 0x6367
"""The kind of the extra field that holds a member's checksum, and zeros that align its contents."""


class _View(io.RawIOBase):
    """A file over bytes in memory, without a copy of them."""

    def __init__(self, data: np.ndarray) -> None:
        self._data, self._at = memoryview(data), 0  # type: ignore[arg-type]

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        at = offset + (0, self._at, len(self._data))[whence]
        if at < 0:
            raise OSError("a place before the beginning of the file")
        self._at = at
        return at

    def readinto(self, buffer: object) -> int:
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        part = self._data[self._at : self._at + len(target)]
        target[: len(part)] = part
        self._at += len(part)
        return len(part)


@contextmanager
def aligned_member(
    archive: zipfile.ZipFile, file: BinaryIO, name: str, checksum: int | None = None
) -> Iterator[IO[bytes]]:
    """A new member, open for writing, whose contents begin at a multiple of 64 bytes in the file: they can be
    used where they lie.

    Args:
        archive: the archive, open for writing.
        file: the file in which it is written.
        name: the member.
        checksum: kept beside it, for `stored_checksum`.
    """
    info = zipfile.ZipInfo(name, LONG_AGO)
    content = b"" if checksum is None else struct.pack("<Q", checksum)
    zip64 = 20
    before = file.tell() + 30 + len(name.encode()) + 4 + len(content) + zip64
    content += bytes(-before % ALIGNMENT)
    info.extra = struct.pack("<HH", OURS, len(content)) + content
    with archive.open(info, "w", force_zip64=True) as inner:
        yield inner


def stored_checksum(archive: zipfile.ZipFile, name: str) -> int | None:
    """The checksum that `aligned_member` got for a member; None if there is none."""
    extra = archive.getinfo(name).extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == OURS and 8 <= size <= len(extra) - 4:
            return int.from_bytes(extra[4:12], "little")
        extra = extra[4 + size :]
    return None


def open_zip(data: np.ndarray, kind: str) -> zipfile.ZipFile:
    """The archive that lies in memory as bytes.

    Args:
        data: the file's bytes.
        kind: what the file should be, for messages: "a .keras file".

    Raises:
        FileFormatError: it is no archive, it is damaged, a name leads out of it or occurs twice, or a member
            would be far larger than what is stored.
    """
    try:
        archive = zipfile.ZipFile(_View(data))
    except ZIP_ERRORS as e:
        raise FileFormatError(f"this is not {kind}, or it is damaged: {str(e)[:MOST_TEXT]}.") from e
    infos = archive.infolist()
    if len(infos) > MOST_MEMBERS or len(infos) != _declared(data, len(infos)):
        raise FileFormatError(f"this is not {kind}, or it is damaged: it has {len(infos):,} members.")
    seen = set()
    for info in infos:
        path = PurePosixPath(info.filename)
        if (
            path.is_absolute()
            or ".." in path.parts
            or "\\" in info.filename
            or ":" in "".join(path.parts[:1])
        ):
            raise FileFormatError(f"this is not {kind}: the name {info.filename!r} leads out of the archive.")
        if info.filename in seen:
            raise FileFormatError(f"this is not {kind}, or it is damaged: {info.filename!r} occurs twice.")
        seen.add(info.filename)
        stored = min(info.compress_size, len(data))
        if info.file_size > max(UNCHECKED, MOST_EXPANSION * stored):
            raise FileFormatError(
                f"{info.filename!r} would be {info.file_size:,} bytes long, but only {stored:,} are stored: "
                "it is not unpacked."
            )
    return archive


def _declared(data: np.ndarray, found: int) -> int:
    """The number of members that the archive's last record tells; `found` where it leaves that to others."""
    tail = data[-65_557:].tobytes()
    at = tail.rfind(b"PK\5\6")
    count = int.from_bytes(tail[at + 10 : at + 12], "little")
    return found if count == 0xFFFF else count


def member(
    archive: zipfile.ZipFile, data: np.ndarray, name: str, most: int | None = None, check: bool = True
) -> np.ndarray:
    """The contents of a member as bytes: a view of the file's if they are stored as they are.

    Args:
        archive: what `open_zip` gave.
        data: the file's bytes.
        name: the member.
        most: how long it may be.
        check: compare its CRC; the caller has a cheaper way to tell damage if not.

    Raises:
        FileFormatError: there is no such member, it is damaged, or longer than `most` bytes.
    """
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise FileFormatError(f"the archive has no {name!r}.") from None
    if most is not None and info.file_size > most:
        raise FileFormatError(f"{name!r} is {info.file_size:,} bytes long; at most {most:,} are read.")
    try:
        # zipfile checks the member's own header as it opens it.
        with archive.open(info) as file:
            if info.compress_type != zipfile.ZIP_STORED:
                return _whole(np.frombuffer(file.read(), np.uint8), info)
    except ZIP_ERRORS as e:
        raise FileFormatError(f"{name!r} is damaged: {str(e)[:MOST_TEXT]}.") from e
    lengths = data[info.header_offset + 26 : info.header_offset + 30].view("<u2")
    start = info.header_offset + 30 + int(lengths.sum())
    found = _whole(data[start : start + info.compress_size], info)
    if check and zlib.crc32(memoryview(found)) != info.CRC:  # type: ignore[arg-type]
        raise FileFormatError(f"{name!r} is damaged: its contents do not match their CRC.")
    return found


def _whole(contents: np.ndarray, info: zipfile.ZipInfo) -> np.ndarray:
    if len(contents) != info.file_size:
        raise FileFormatError(f"{info.filename!r} is damaged: it is shorter than it should be.")
    return contents
