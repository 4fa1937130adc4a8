"""ELF object files: their sections, symbols and relocations.

The layout is that of the ELF-64 object file format (System V ABI, chapter 4: sections, symbol table,
relocation).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphc.codegen.errors import LinkError

SYMBOL_TABLE, RELOCATIONS, NO_BITS = 2, 4, 8
"""Types of sections: symbols, relocations with addends, memory that begins as zeros."""
WRITE, ALLOCATE, EXECUTE = 1, 2, 4
"""Flags of sections."""
_HEADER = np.dtype([("magic", "S6"), ("", "V12"), ("machine", "<u2"), ("", "V20"), ("sections", "<u8"),
                    ("", "V12"), ("count", "<u2"), ("", "V2")])  # fmt: skip
_SECTION = np.dtype([("name", "<u4"), ("type", "<u4"), ("flags", "<u8"), ("address", "<u8"),
                     ("offset", "<u8"), ("size", "<u8"), ("link", "<u4"), ("info", "<u4"),
                     ("align", "<u8"), ("entry", "<u8")])  # fmt: skip
_SYMBOL = np.dtype([("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"),
                    ("size", "<u8")])  # fmt: skip
_RELOCATION = np.dtype([("offset", "<u8"), ("kind", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])


@dataclass(frozen=True)
class Symbols:
    """Names of the global symbols of an object file."""

    defined: tuple[str, ...]
    undefined: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ObjectFile:
    """An object file. `sections` and `table` (the symbols) are structured arrays; `names` has the names of
    global symbols, by their number.
    """

    data: bytes
    machine: int
    sections: np.ndarray
    table: np.ndarray
    names: dict[int, str]

    @cached_property
    def symbols(self) -> Symbols:
        """The names of what it defines for others, and of what it wants from them."""
        inside = self.table["section"] != 0
        defined = tuple(name for i, name in self.names.items() if inside[i])
        return Symbols(defined, tuple(name for i, name in self.names.items() if not inside[i]))

    def relocations(self) -> list[tuple[int, np.ndarray]]:
        """The number of each section that has relocations, and these."""
        tables = [s for s in self.sections if s["type"] == RELOCATIONS]
        return [(int(s["info"]), self._rows(s, _RELOCATION)) for s in tables]

    def _rows(self, section: Any, kind: np.dtype) -> np.ndarray:
        return _rows(self.data, section, kind)


def read(data: bytes) -> ObjectFile:
    """Read a little-endian ELF-64 object; LinkError if the bytes are something else."""
    try:
        return _read(data)
    except (ValueError, IndexError) as error:
        raise LinkError(f"these {len(data)} bytes are not an ELF object file: {error}") from error


def symbols(data: bytes) -> Symbols:
    """The global symbols of an object file; LinkError if the bytes are something else."""
    return read(data).symbols


def _read(data: bytes) -> ObjectFile:
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("no ELF-64 header")
    header = np.frombuffer(data, _HEADER, 1)[0]
    sections = np.frombuffer(data, _SECTION, int(header["count"]), int(header["sections"]))
    table, names = np.empty(0, _SYMBOL), {}
    for section in sections[sections["type"] == SYMBOL_TABLE]:
        table, start = _rows(data, section, _SYMBOL), int(sections[section["link"]]["offset"])
        for i in np.flatnonzero((table["info"] >> 4 != 0) & (table["name"] != 0)).tolist():  # 0 is local
            at = start + int(table["name"][i])
            names[i] = data[at : data.index(b"\0", at)].decode()
    return ObjectFile(data, int(header["machine"]), sections, table, names)


def _rows(data: bytes, section: Any, kind: np.dtype) -> np.ndarray:
    return np.frombuffer(data, kind, int(section["size"]) // kind.itemsize, int(section["offset"]))
