"""HDF5 files, written: arrays in groups, in the oldest and most widely read form of the format.

Superblock version 0, groups as B-trees of symbol table nodes, arrays contiguous. Every array carries the
checksum of its values as an attribute; readers that do not know it pass it over.
Format: "HDF5 File Format Specification Version 3.0", The HDF Group.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.saving.hdf5 import CHECKSUM, COUNT, NAME, SIGNATURE, checksum
from graphc.saving.hdf5_source import UNDEFINED
from graphc.saving.hdf5_types import encoded, text_type

LEAF, INTERNAL = 4, 16
"""Half the entries of a symbol table node, half the children of a B-tree node; HDF5's defaults."""
SUPERBLOCK = 96
MOST_NAME = 1000
ALIGNMENT = 64
"""Arrays begin where they could be used as they lie, as weights do."""


def pieces(
    arrays: Mapping[str, np.ndarray], owners: Mapping[str, str] | None = None
) -> Iterator[bytes | np.ndarray]:
    """The contents of a file with these arrays, by path ("layers/dense/vars/0"), piece by piece.

    `owners` has the names of the layers whose arrays lie in a group, by the group's path.

    >>> import numpy as np
    >>> from graphc.saving.hdf5 import read
    >>> file = b"".join(bytes(p) for p in pieces({"a/b": np.arange(3)}))
    >>> read(np.frombuffer(file, np.uint8))["a/b"].read()
    array([0, 1, 2])
    """
    tree: dict[str, Any] = {}
    for path, array in arrays.items():
        *groups, name = path.split("/")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = np.ascontiguousarray(array).reshape(np.shape(array))
    writer = _Writer(owners or {}, len(arrays))
    root = writer.group(tree)
    yield _superblock(root, writer.end)
    yield from writer.written


class _Writer:
    """Gives each piece its address, one after the other; members come before their groups."""

    def __init__(self, owners: Mapping[str, str], count: int) -> None:
        self.owners, self.count = owners, count
        self.end = SUPERBLOCK
        self.written: list[bytes | np.ndarray] = []

    def place(self, piece: bytes | np.ndarray) -> int:
        """Put a piece at the end, an array at a multiple of 64 and others at one of 8; gives its address."""
        if isinstance(piece, np.ndarray):
            self._fill(ALIGNMENT)
        at = self.end
        self.written.append(piece)
        self.end += len(piece) if isinstance(piece, bytes) else piece.nbytes
        self._fill(8)
        return at

    def _fill(self, multiple: int) -> None:
        gap = -self.end % multiple
        if gap:
            self.written.append(bytes(gap))
        self.end += gap

    def group(self, members: Mapping[str, Any], path: str = "") -> int:
        """A group with its members; gives the address of its object header."""
        prefix = f"{path}/" if path else ""
        addresses = {
            name: self.group(item, prefix + name) if isinstance(item, dict) else self.array(item)
            for name, item in members.items()
        }
        names = sorted(addresses, key=str.encode)
        offsets, text = {}, bytearray(8)
        for name in names:
            offsets[name] = len(text)
            word = name.encode() + b"\0"
            text += word + bytes(-len(word) % 8)
        data = self.place(bytes(text))
        heap = self.place(b"HEAP" + struct.pack("<4xQQQ", len(text), 1, data))
        messages = [(0x11, struct.pack("<QQ", self._tree(names, offsets, addresses), heap))]
        if not path:
            messages.append((0x0C, _number(COUNT, self.count)))
        if path in self.owners:
            owner = self.owners[path].encode()[:MOST_NAME] + b"\0"
            messages.append((0x0C, _attribute(NAME, text_type(len(owner)), owner)))
        return self._object(messages)

    def _tree(self, names: list[str], offsets: dict[str, int], addresses: dict[str, int]) -> int:
        """A group's B-tree: symbol table nodes, then nodes of nodes up to the root."""
        level = []
        for part in _split(names, 2 * LEAF):
            entries = b"".join(struct.pack("<QQ24x", offsets[n], addresses[n]) for n in part)
            room = bytes(40 * (2 * LEAF - len(part)))
            node = self.place(b"SNOD" + struct.pack("<BxH", 1, len(part)) + entries + room)
            level.append((node, offsets[part[-1]]))
        depth = 0
        while True:
            parts = _split(level, 2 * INTERNAL) or [[]]
            width = 24 + 8 * (4 * INTERNAL + 1)
            start, above, lowest = self.end, [], 0
            for i, part in enumerate(parts):
                left = start + (i - 1) * width if i else UNDEFINED
                right = start + (i + 1) * width if i + 1 < len(parts) else UNDEFINED
                body = struct.pack("<Q", lowest)
                body += b"".join(struct.pack("<QQ", child, last) for child, last in part)
                head = b"TREE" + struct.pack("<BBHQQ", 0, depth, len(part), left, right)
                node = self.place((head + body).ljust(width, b"\0"))
                lowest = part[-1][1] if part else 0
                above.append((node, lowest))
            if len(above) == 1:
                return above[0][0]
            level, depth = above, depth + 1

    def array(self, array: np.ndarray) -> int:
        """An array; gives the address of its object header."""
        stored = array.astype(array.dtype.newbyteorder("<"), copy=False)
        at = self.place(stored.reshape(-1).view(np.uint8)) if array.size else UNDEFINED
        space = struct.pack("<BBB5x", 1, array.ndim, 0)
        space += b"".join(struct.pack("<Q", d) for d in array.shape)
        return self._object(
            [
                (0x01, space),
                (0x03, encoded(array.dtype)),
                (0x05, struct.pack("<BBBBI", 2, 2, 2, 1, 0)),
                (0x08, struct.pack("<BBQQ", 3, 1, at, array.nbytes)),
                (0x0C, _number(CHECKSUM, checksum(stored))),
            ]
        )

    def _object(self, messages: Sequence[tuple[int, bytes]]) -> int:
        """An object header of version 1."""
        body = b""
        for kind, content in messages:
            content += bytes(-len(content) % 8)
            body += struct.pack("<HHB3x", kind, len(content), 0) + content
        return self.place(struct.pack("<BxHII4x", 1, len(messages), 1, len(body)) + body)


def _number(name: str, value: int) -> bytes:
    return _attribute(name, encoded(np.dtype("u8")), struct.pack("<Q", value))


def _attribute(name: str, kind: bytes, value: bytes) -> bytes:
    """An attribute message of version 1: one value."""
    text, space = name.encode() + b"\0", struct.pack("<BBB5x", 1, 0, 0)
    parts = b"".join(part + bytes(-len(part) % 8) for part in (text, kind, space))
    return struct.pack("<BxHHH", 1, len(text), len(kind), len(space)) + parts + value


def _split(items: list[Any], size: int) -> list[list[Any]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _superblock(root: int, end: int) -> bytes:
    head = struct.pack("<8B", 0, 0, 0, 0, 0, 8, 8, 0)
    sizes = struct.pack("<HHI", LEAF, INTERNAL, 0)
    places = struct.pack("<QQQQ", 0, UNDEFINED, end, UNDEFINED)
    return SIGNATURE + head + sizes + places + struct.pack("<QQ24x", 0, root)
