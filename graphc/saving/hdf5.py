"""HDF5 files, read: the part of the format that weight files use, and nothing that could run or grow.

`read(data)` gives every dataset of a file by its path. Groups and shapes are read at once, values when they
are asked for, so that a caller can compare shapes before anything is allocated. Every offset and size is
checked against the file's length, no object is visited twice, and all loops end with the file.

Format: "HDF5 File Format Specification Version 3.0", The HDF Group; the section of each structure is named
beside its reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from graphc.ir.errors import FileFormatError
from graphc.saving.hdf5_attributes import Attribute, attributes
from graphc.saving.hdf5_messages import Layout, Message, dataspace, layout, pipeline
from graphc.saving.hdf5_source import UNDEFINED, Source, damaged
from graphc.saving.hdf5_types import Stored, datatype

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MOST_DEPTH = 64
"""Groups in groups; Keras's files have about four per nested model."""


@dataclass(frozen=True)
class Dataset:
    """An array in a file: what it is, and `read()` for its values (a view of the file's bytes if it can).

    `owner` is the name of the layer that it belongs to, where the file has it; `summed` tells whether the
    file has a checksum of the values, which `read` then compares.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]
    owner: str = ""
    summed: bool = False


def read(data: np.ndarray) -> dict[str, Dataset]:
    """The datasets of a file that lies in memory as bytes, by path ("layers/dense/vars/0").

    Raises:
        FileFormatError: the file is damaged, or uses a part of the format that weight files do not need.
    """
    source = Source(data)
    found: dict[str, Dataset] = {}
    seen: set[int] = set()
    total: Attribute | None = None
    pending = [("", _root(source), 0, "")]
    while pending:
        path, address, depth, owner = pending.pop()
        if address in seen or depth > MOST_DEPTH:
            raise damaged(f"the object '/{path}' is linked in a circle", address)
        seen.add(address)
        messages = list(_messages(source, address))
        kinds = {m.kind for m in messages}
        if kinds & {0x11, 0x02, 0x06}:
            prefix = f"{path}/" if path else ""
            known = attributes(source, messages)
            total = known.get(COUNT) if not path else total
            own = str(known.get(NAME, ""))
            pending += [(prefix + name, at, depth + 1, own) for name, at in _links(source, messages)]
        elif 0x08 in kinds:
            found[path] = _dataset(source, path, messages, owner)
        elif path:
            raise damaged(f"'/{path}' is neither a group nor an array", address)
    if isinstance(total, int) and total != len(found):
        raise FileFormatError(f"the HDF5 file is damaged: it has {len(found)} of its {total} arrays.")
    require_all_sums(found)
    return found


def group_attributes(data: np.ndarray, depth: int) -> dict[str, dict[str, Attribute]]:
    """The attributes of the groups down to this depth, by path; those of the file itself are at ""."""
    source = Source(data)
    found: dict[str, dict[str, Attribute]] = {}
    pending = [("", _root(source), 0)]
    while pending:
        path, address, level = pending.pop()
        messages = list(_messages(source, address))
        if {m.kind for m in messages} & {0x11, 0x02, 0x06}:
            found[path] = attributes(source, messages)
            prefix = f"{path}/" if path else ""
            links = _links(source, messages) if level < depth else ()
            pending += [(prefix + name, at, level + 1) for name, at in links]
    return found


def require_all_sums(found: Mapping[str, Dataset]) -> None:
    """FileFormatError if some arrays of a file have a checksum and others have lost theirs."""
    without = sorted(name for name, array in found.items() if not array.summed)
    if without and len(without) < len(found):
        raise FileFormatError(f"the file is damaged: the array '{without[0]}' has lost its checksum.")


# -- superblock (section II.A) ------------------------------------------------------------------------------
def _root(source: Source) -> int:
    """The address of the root group's object header."""
    if source.bytes(0, 8) != SIGNATURE:
        raise FileFormatError("this is no HDF5 file: it does not begin with HDF5's signature.")
    version = source.number(8, 1)
    if version in (0, 1):
        sizes, first = source.bytes(13, 2), 24 + 4 * version
    elif version in (2, 3):
        sizes, first = source.bytes(9, 2), 12
    else:
        raise damaged(f"the superblock has the unknown version {version}", 8)
    if sizes != b"\x08\x08":
        raise damaged("addresses and lengths are not of 8 bytes", 9)
    if source.number(first, 8) != 0:
        raise damaged("the file's contents do not begin at its beginning", first)
    end = source.number(first + 16, 8)
    if end > source.size:
        raise FileFormatError(f"the file is cut off: {end:,} bytes long when written, {source.size:,} now.")
    return source.number(first + (40 if version < 2 else 24), 8)


# -- object headers (section IV.A) --------------------------------------------------------------------------
def _messages(source: Source, address: int) -> Iterator[Message]:
    """The messages of an object header, version 1 or 2, with its continuations."""
    modern = source.bytes(address, 4) == b"OHDR"
    if modern:
        start, length, extra = _modern_header(source, address)
    else:
        if source.number(address, 1) != 1:
            raise damaged("no object header where one should be", address)
        start, length, extra = address + 16, source.number(address + 8, 4), 0
    blocks = [(start, length)]
    seen: set[int] = set()
    count = 0
    while blocks:
        at, length = blocks.pop(0)
        if at in seen:
            raise damaged("an object header continues in a circle", at)
        seen.add(at)
        end = source.checked(at, length) + length
        head = 4 + extra if modern else 8
        while at + head <= end:
            kind, size = (
                (source.number(at, 1), source.number(at + 1, 2))
                if modern
                else (source.number(at, 2), source.number(at + 2, 2))
            )
            flags = source.number(at + (3 if modern else 4), 1)
            if at + head + size > end:
                raise damaged("a message is longer than its header", at)
            message = Message(kind, flags, at + head, size)
            at += head + size
            count += 1
            if kind == 0x10:
                blocks.append(_continuation(source, message, modern))
            elif kind:
                yield message
    if not modern and count != source.number(address + 2, 2):
        raise damaged(f"an object header has {count} messages, not as many as it should", address)


def _modern_header(source: Source, address: int) -> tuple[int, int, int]:
    """Of a version 2 header: where its messages begin, their length, and the bytes of a creation order."""
    version, flags = source.bytes(address + 4, 2)
    if version != 2:
        raise damaged(f"an object header has the unknown version {version}", address)
    at = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    return at + width, source.number(at, width), 2 if flags & 4 else 0


def _continuation(source: Source, message: Message, modern: bool) -> tuple[int, int]:
    at, length = source.number(message.at, 8), source.number(message.at + 8, 8)
    if not modern:
        return at, length
    if source.bytes(at, 4) != b"OCHK" or length < 8:
        raise damaged("no continuation of an object header where one should be", at)
    return at + 4, length - 8


# -- groups (sections III.A, III.B, III.D, IV.A.2.g, IV.A.2.r) ----------------------------------------------
def _links(source: Source, messages: list[Message]) -> Iterator[tuple[str, int]]:
    """Names and addresses of a group's members."""
    for message in messages:
        if message.kind == 0x11:
            yield from _symbols(source, source.number(message.at, 8), source.number(message.at + 8, 8))
        elif message.kind == 0x06:
            yield _link(source, message)
        elif message.kind == 0x02:
            flags = source.number(message.at + 1, 1)
            if source.number(message.at + (10 if flags & 1 else 2), 8) != UNDEFINED:
                raise damaged("a group's links are stored in a heap, which is not supported", message.at)


def _link(source: Source, message: Message) -> tuple[str, int]:
    version, flags = source.bytes(message.at, 2)
    if version != 1:
        raise damaged(f"a link has the unknown version {version}", message.at)
    at = message.at + 2
    if flags & 8:
        if source.number(at, 1) != 0:
            raise damaged("a link leads out of the file or to another name; only hard links are read", at)
        at += 1
    at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    length = source.number(at, width)
    return _name(source.bytes(at + width, length), at), source.number(at + width + length, 8)


def _symbols(source: Source, tree: int, heap: int) -> Iterator[tuple[str, int]]:
    """A group's members by its B-tree of symbol table nodes, with names in a local heap."""
    if source.bytes(heap, 4) != b"HEAP":
        raise damaged("no heap of names where one should be", heap)
    size, names = source.number(heap + 8, 8), source.number(heap + 24, 8)
    source.checked(names, size)
    for node in leaves(source, tree, 0, 8):
        if source.bytes(node, 4) != b"SNOD":
            raise damaged("no symbol table node where one should be", node)
        for i in range(source.number(node + 6, 2)):
            entry = node + 8 + 40 * i
            offset = source.number(entry, 8)
            if offset >= size:
                raise damaged("a name lies outside of its heap", entry)
            text = source.bytes(names + offset, min(size - offset, 1024)).split(b"\0", 1)[0]
            yield _name(text, names + offset), source.number(entry + 8, 8)


def _name(text: bytes, at: int) -> str:
    if not text or b"/" in text or text in (b".", b".."):
        raise damaged(f"{text[:40]!r} is no name of an object", at)
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise damaged(f"{text[:40]!r} is no name of an object", at) from None


def leaves(source: Source, root: int, kind: int, key: int) -> Iterator[int]:
    """The children of a version 1 B-tree's lowest nodes (for chunks: where their keys are).

    Args:
        source: the file.
        root: the address of the root node.
        kind: 0 for a group's tree, 1 for chunks.
        key: bytes of a key.
    """
    pending: list[tuple[int, int | None]] = [(root, None)]
    seen: set[int] = set()
    while pending:
        node, level = pending.pop()
        if source.bytes(node, 4) != b"TREE" or source.number(node + 4, 1) != kind or node in seen:
            raise damaged("no node of a B-tree where one should be", node)
        seen.add(node)
        own = source.number(node + 5, 1)
        if level is not None and own != level:
            raise damaged("a node of a B-tree is at a wrong level", node)
        used = source.number(node + 6, 2)
        source.checked(node + 24, used * (key + 8))
        keys = [node + 24 + i * (key + 8) for i in range(used)]
        if own == 0:
            yield from keys if kind else (source.number(k + key, 8) for k in keys)
        else:
            pending += [(source.number(k + key, 8), own - 1) for k in reversed(keys)]


# -- datasets -----------------------------------------------------------------------------------------------
def _dataset(source: Source, path: str, messages: list[Message], owner: str) -> Dataset:
    by_kind = {m.kind: m for m in messages}
    for kind in (0x01, 0x03, 0x08):
        if kind not in by_kind:
            raise damaged(f"the array '/{path}' lacks its shape, type or place", 0)
        if by_kind[kind].flags & 2:
            raise damaged(f"the array '/{path}' shares its description, which is not supported", 0)
    shape = dataspace(source, by_kind[0x01])
    stored = datatype(source, by_kind[0x03].at, by_kind[0x03].size)
    place = layout(source, by_kind[0x08], len(shape))
    filters = pipeline(source, by_kind[0x0B]) if 0x0B in by_kind else ()
    expected = attributes(source, messages).get(CHECKSUM)

    def values() -> np.ndarray:
        found = stored.decode(_raw(source, path, shape, stored, place, filters))
        if isinstance(expected, int) and expected != checksum(found):
            raise FileFormatError(f"the array '/{path}' is damaged: its values do not match their checksum.")
        return found.reshape(shape)

    return Dataset(shape, stored.result, values, owner, isinstance(expected, int))


def _raw(
    source: Source, path: str, shape: tuple[int, ...], stored: Stored, place: Layout, filters: tuple[int, ...]
) -> np.ndarray:
    """The stored elements, flat, in the file's element type."""
    count = 1
    for d in shape:
        count *= d
    size = count * stored.raw.itemsize
    if place.chunks:
        from graphc.saving.hdf5_chunks import read_chunks

        return read_chunks(source, shape, stored.raw, place, filters)
    if filters:
        raise damaged(f"the array '/{path}' has filters, but no chunks", 0)
    if size == 0:
        return np.empty(0, stored.raw)
    if place.address == UNDEFINED or place.size != size:
        raise damaged(f"the array '/{path}' has {place.size} bytes, but needs {size}", place.address)
    return source.view(place.address, size).view(stored.raw)


CHECKSUM = "graphc_sum64"
"""The attribute of an array that holds its `checksum`."""
COUNT = "graphc_arrays"
"""The attribute of the root group that holds the number of arrays in the file."""
NAME = "name"
"""The attribute of a group of arrays that holds its layer's name."""


def checksum(array: np.ndarray) -> int:
    """The sum of an array's little-endian bytes, taken as words of 64 bits, modulo 2**64.

    It finds every change within one word, and costs a fraction of reading the file.
    """
    flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
    whole = len(flat) // 8 * 8
    tail = int.from_bytes(flat[whole:].tobytes(), "little")
    return (int(np.add.reduce(flat[:whole].view("<u8"), dtype=np.uint64)) + tail) % 2**64
