"""Attributes in HDF5 files: whole numbers, strings and lists of strings (HDF5 specification, IV.A.2.m)."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.saving.hdf5_messages import Message
from graphc.saving.hdf5_source import Source, damaged

INTEGER, STRING, VARIABLE = 0, 3, 9
"""Classes of element types."""
MOST_TEXT = 4096


Attribute = int | str | tuple[str, ...]


def attributes(source: Source, messages: Sequence[Message]) -> dict[str, Attribute]:
    """The attributes of an object that are one unsigned number of 8 bytes, a string, or a list of strings."""
    found: dict[str, Attribute] = {}
    for message in messages:
        if message.kind == 0x0C and message.size >= 8 and not message.flags & 2:
            found.update(_attribute(source, message))
    return found


def _attribute(source: Source, message: Message) -> dict[str, Attribute]:
    version = source.number(message.at, 1)
    if version not in (1, 2, 3):
        raise damaged(f"an attribute has the unknown version {version}", message.at)
    sizes = [source.number(message.at + 2 + 2 * i, 2) for i in range(3)]
    step = 8 if version == 1 else 1
    start = message.at + (9 if version == 3 else 8)
    kind = start + -(-sizes[0] // step) * step
    space = kind + -(-sizes[1] // step) * step
    value = space + -(-sizes[2] // step) * step
    room = message.at + message.size - value
    if room < 0 or sizes[0] > MOST_TEXT or sizes[1] < 8:
        raise damaged("an attribute is longer than its message", message.at)
    name = _text(source.bytes(start, sizes[0]))
    width, family = source.number(kind + 4, 4), source.number(kind, 1) & 15
    rank = source.number(space + 1, 1) if sizes[2] > 1 else 0
    if rank:
        count = source.number(space + (8 if source.number(space, 1) == 1 else 4), 8) if rank == 1 else 0
        if not count or not width or not (family == STRING or _is_text(source, kind)) or count * width > room:
            return {}
        return {name: tuple(_string(source, kind, value + i * width) for i in range(count))}
    if family == INTEGER and width == 8 <= room:
        return {name: source.number(value, 8)}
    fits = width <= min(room, MOST_TEXT) if family == STRING else room >= 16
    if fits and (family == STRING or _is_text(source, kind)):
        return {name: _string(source, kind, value)}
    return {}


def _is_text(source: Source, kind: int) -> bool:
    """Whether an element type is that of strings of any length."""
    return source.number(kind, 1) & 15 == VARIABLE and source.number(kind + 1, 1) & 15 == 1


def _string(source: Source, kind: int, at: int) -> str:
    """A string that lies there, or in the heap that the bytes there name."""
    if source.number(kind, 1) & 15 == STRING:
        return _text(source.bytes(at, source.number(kind + 4, 4)))
    if not _is_text(source, kind):
        raise damaged("a list has neither numbers nor strings", at)
    length, heap, index = (source.number(at + offset, n) for offset, n in ((0, 4), (4, 8), (12, 4)))
    return _shared_text(source, heap, index, length)


def _shared_text(source: Source, heap: int, index: int, length: int) -> str:
    """A string in a global heap (section III.E)."""
    if not length:
        return ""
    if source.bytes(heap, 4) != b"GCOL":
        raise damaged("no heap of values where one should be", heap)
    end = source.checked(heap, source.number(heap + 8, 8)) + source.number(heap + 8, 8)
    at = heap + 16
    while at + 16 <= end:
        own, size = source.number(at, 2), source.number(at + 8, 8)
        if own == index:
            return _text(source.bytes(at + 16, min(size, length, MOST_TEXT)))
        if own == 0:
            break
        at += 16 + -(-size // 8) * 8
    raise damaged(f"the heap of values has no entry {index}", heap)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
