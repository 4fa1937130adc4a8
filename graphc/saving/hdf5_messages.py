"""The messages of HDF5 object headers that describe an array (HDF5 specification, section IV.A.2)."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.saving.hdf5_source import UNDEFINED, Source, damaged


@dataclass(frozen=True)
class Message:
    """One message of an object header: its kind, and where its contents lie."""

    kind: int
    flags: int
    at: int
    size: int


@dataclass(frozen=True)
class Layout:
    """Where an array lies: `size` bytes at `address`; or in chunks, `address` being that of their B-tree."""

    address: int
    size: int
    chunks: tuple[int, ...] = ()


MOST_RANK = 32


def dataspace(source: Source, message: Message) -> tuple[int, ...]:
    """The shape of an array (section IV.A.2.b)."""
    version, rank = source.bytes(message.at, 2)
    if version not in (1, 2) or rank > MOST_RANK:
        raise damaged(f"a shape of version {version} with {rank} axes", message.at)
    if version == 2 and source.number(message.at + 3, 1) == 2:
        raise damaged("an array has no values at all", message.at)
    start = message.at + (8 if version == 1 else 4)
    if start + 8 * rank > message.at + message.size:
        raise damaged("a shape is too short", message.at)
    sizes = tuple(source.number(start + 8 * i, 8) for i in range(rank))
    if any(d >= 2**48 for d in sizes):
        raise damaged(f"the shape {sizes} is impossible", message.at)
    return sizes


def layout(source: Source, message: Message, rank: int) -> Layout:
    """The place of an array (section IV.A.2.i)."""
    version, kind = source.bytes(message.at, 2)
    if version not in (3, 4) or kind > 2:
        raise damaged(f"an array's place has the unknown version {version} or class {kind}", message.at)
    if kind == 0:
        return Layout(message.at + 4, source.number(message.at + 2, 2))
    if kind == 1:
        return Layout(source.number(message.at + 2, 8), source.number(message.at + 10, 8))
    if version == 4:
        raise damaged("an array's chunks have an index of a new kind, which is not supported", message.at)
    if source.number(message.at + 2, 1) != rank + 1:
        raise damaged("an array's chunks have another number of axes than it", message.at)
    sizes = tuple(source.number(message.at + 11 + 4 * i, 4) for i in range(rank))
    if 0 in sizes or not sizes:
        raise damaged(f"chunks have the shape {sizes}", message.at)
    address = source.number(message.at + 3, 8)
    return Layout(address, 0 if address == UNDEFINED else source.size, sizes)


def pipeline(source: Source, message: Message) -> tuple[int, ...]:
    """The numbers of the filters of an array's chunks, in the order of writing (section IV.A.2.l)."""
    version, count = source.bytes(message.at, 2)
    if version not in (1, 2) or count > 32:
        raise damaged(f"the filters of an array have the unknown version {version}", message.at)
    at, found = message.at + (8 if version == 1 else 2), []
    for _ in range(count):
        number = source.number(at, 2)
        named = version == 1 or number >= 256
        name = source.number(at + 2, 2) if named else 0
        at += 4 if named else 2
        values = source.number(at + 2, 2)
        at += 4 + (-(-name // 8) * 8 if version == 1 else name) + 4 * values
        at += 4 if version == 1 and values % 2 else 0
        found.append(number)
    return tuple(found)
