"""The symbols of an ELF object file: what it defines for others, and what it wants from them.

MCJIT loads an object with an undefined symbol without a word and crashes when it is called, so the loader
looks first. The layout is that of the ELF-64 object file format (System V ABI, chapter 4: sections, symbol
table).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from graphc.codegen.errors import LinkError

_SYMTAB = 2
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")


@dataclass(frozen=True)
class Symbols:
    """Names of the global symbols of an object file."""

    defined: tuple[str, ...]
    undefined: tuple[str, ...]


def symbols(data: bytes) -> Symbols:
    """Read the symbol table of a little-endian ELF-64 object; LinkError if the bytes are something else."""
    try:
        return _symbols(data)
    except (struct.error, ValueError, IndexError) as error:
        raise LinkError(f"these {len(data)} bytes are not an ELF object file: {error}") from error


def _symbols(data: bytes) -> Symbols:
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("no ELF-64 header")
    header = _HEADER.unpack_from(data)
    start, size, count = header[6], header[11], header[12]
    sections = [_SECTION.unpack_from(data, start + i * size) for i in range(count)]
    defined: list[str] = []
    undefined: list[str] = []
    for section in sections:
        if section[1] != _SYMTAB:
            continue
        names = sections[section[6]][4]
        for offset in range(section[4], section[4] + section[5], _SYMBOL.size):
            name, info, _, index, _, _ = _SYMBOL.unpack_from(data, offset)
            if name and info >> 4:  # binding 0 is local
                text = data[names + name : data.index(b"\0", names + name)].decode()
                (defined if index else undefined).append(text)
    return Symbols(tuple(defined), tuple(undefined))
