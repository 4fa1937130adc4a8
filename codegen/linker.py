"""Object files -> code in this process, without LLVM: what a warm start needs.

The objects' sections lie in one piece of memory, so that they reach each other, in the order

    code, and a jump to each function outside | constants, and the addresses of what is outside | variables

which is written once and then protected: code can't be written, variables can't be executed. Relocations are
those of x86-64 (System V ABI, AMD64 supplement, table 4.9). `link` gives None for anything that LLVM's code
for our modules does not have; then LLVM loads the objects (`engine`).
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from graphc.codegen.elf import ALLOCATE, EXECUTE, NO_BITS, WRITE, ObjectFile

_X86_64 = 62
_COMMON = 0xFFF2  # the section of variables that the linker is to make
_PLAIN_TYPES = (1, NO_BITS)
_PLAIN_FLAGS = WRITE | ALLOCATE | EXECUTE | 0x10 | 0x20  # the last two: constants and strings may be merged
_ABSOLUTE, _RELATIVE, _CALL = 1, 2, 4
_BY_TABLE = (9, 41, 42)  # GOTPCREL, and the forms that a linker may shorten
_JUMP = 16  # bytes: jmp *[rip + distance]
_LINE = 64


class Image:
    """Linked code; its memory is given back when this goes, unless it is kept forever."""

    def __init__(self, start: int, size: int, addresses: dict[str, int]) -> None:
        self._addresses = addresses
        self._end = weakref.finalize(self, _library().munmap, start, size)
        self._end.atexit = False  # a thread may still be inside when the interpreter ends

    def address(self, name: str) -> int:
        """The address of a global symbol; 0 if there is none."""
        return self._addresses.get(name, 0)

    def keep_forever(self) -> None:
        """Never give the memory back."""
        self._end.detach()


def link(files: Sequence[ObjectFile], bound: Mapping[str, int]) -> Image | None:
    """Load object files; `bound` has the addresses of symbols beside those of the process. None where that
    takes more than is done here, or a symbol is missing.
    """
    if sys.platform != "linux" or any(not _is_plain(file) for file in files):
        return None
    outside = {name: 0 for file in files for name in file.symbols.undefined}
    for file in files:
        outside = {k: v for k, v in outside.items() if k not in file.symbols.defined}
    for name in outside:
        found = bound.get(name) or _in_process(name)
        if not found and name != "_GLOBAL_OFFSET_TABLE_":
            return None
        outside[name] = found
    return _Linking(files, outside).image()


def _is_plain(file: ObjectFile) -> bool:
    """Whether there is nothing but code, constants and variables."""
    sections = file.sections[(file.sections["flags"] & ALLOCATE) != 0]
    plain = np.isin(sections["type"], _PLAIN_TYPES) & ((sections["flags"] & ~np.uint64(_PLAIN_FLAGS)) == 0)
    return file.machine == _X86_64 and bool(plain.all()) and not (file.table["section"] == _COMMON).any()


class _Linking:
    """One piece of memory in the making: `at` has the place of each section, by file and number."""

    def __init__(self, files: Sequence[ObjectFile], outside: dict[str, int]) -> None:
        self.files, self.outside = files, outside
        entries = dict.fromkeys([*outside, *(n for file in files for n in file.symbols.defined)])
        self.entries = {name: i for i, name in enumerate(entries)}
        self.at: dict[tuple[int, int], int] = {}
        self.size = 0
        self._place(EXECUTE)
        self.jumps = self._reserve(_JUMP * len(outside))
        self.constants = self._page()
        self._place(0)
        self.table = self._reserve(8 * len(entries))
        self.variables = self._page()
        self._place(WRITE)
        self._page()

    def _reserve(self, size: int, align: int = _LINE) -> int:
        start = -(-self.size // align) * align
        self.size = start + size
        return start

    def _page(self) -> int:
        return self._reserve(0, mmap.PAGESIZE)

    def _place(self, wanted: int) -> None:
        """Places for all sections of a kind: code, constants (0) or variables."""
        for f, file in enumerate(self.files):
            kinds = file.sections["flags"] & (ALLOCATE | WRITE | EXECUTE)
            for i in np.flatnonzero(kinds == (ALLOCATE | wanted)).tolist():
                section = file.sections[i]
                self.at[f, i] = self._reserve(int(section["size"]), max(_LINE, int(section["align"])))

    def image(self) -> Image | None:
        """The linked code; None if the system does not let us, or relocations do not fit."""
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        size, writeable = max(self.size, mmap.PAGESIZE), mmap.PROT_READ | mmap.PROT_WRITE
        start = _library().mmap(None, size, writeable, private, -1, 0)
        if start == ctypes.c_void_p(-1).value:
            return None
        known = self.outside | self._defined(start)
        content = self._content(start, known)
        if content is not None:
            ctypes.memmove(start, content.ctypes.data, self.size)
            if self._protected(start):
                return Image(start, size, {name: known[name] for name in known.keys() - self.outside.keys()})
        _library().munmap(start, size)
        return None

    def _protected(self, start: int) -> bool:
        code = mmap.PROT_READ | mmap.PROT_EXEC
        ranges = ((0, self.constants, code), (self.constants, self.variables, mmap.PROT_READ))
        return all(
            low == high or _library().mprotect(start + low, high - low, mode) == 0
            for low, high, mode in ranges
        )

    def _defined(self, start: int) -> dict[str, int]:
        """The addresses of all global symbols of the files."""
        found = {}
        for f, file in enumerate(self.files):
            values = self._values(f, file, start)
            found.update({name: int(values[i]) for i, name in file.names.items() if file.table["section"][i]})
        return found

    def _values(self, f: int, file: ObjectFile, start: int) -> np.ndarray:
        """The addresses of all symbols that a file defines, local ones included; 0 for the others."""
        places = np.zeros(len(file.sections) + 1, np.int64)  # the last one is for absolute values
        for (owner, i), place in self.at.items():
            if owner == f:
                places[i] = start + place
        sections = np.minimum(file.table["section"], len(file.sections))
        return places[sections] + file.table["value"].astype(np.int64)

    def _content(self, start: int, known: Mapping[str, int]) -> np.ndarray | None:
        memory = np.zeros(self.size, np.uint8)
        self._fill_tables(memory, known)
        for f, file in enumerate(self.files):
            for (owner, i), place in self.at.items():
                section = file.sections[i] if owner == f else None
                if section is not None and section["type"] != NO_BITS:
                    first, size = int(section["offset"]), int(section["size"])
                    memory[place : place + size] = np.frombuffer(file.data, np.uint8, size, first)
            if not self._relocated(memory, f, file, start, known):
                return None
        return memory

    def _fill_tables(self, memory: np.ndarray, known: Mapping[str, int]) -> None:
        addresses = np.array([known[name] for name in self.entries], np.int64)
        memory[self.table : self.table + 8 * len(addresses)] = addresses.view(np.uint8)
        for i, name in enumerate(self.outside):
            at = self.jumps + _JUMP * i
            distance = self.table + 8 * self.entries[name] - (at + 6)
            memory[at : at + 6] = list(b"\xff\x25" + distance.to_bytes(4, "little", signed=True))

    def _relocated(
        self, memory: np.ndarray, f: int, file: ObjectFile, start: int, known: Mapping[str, int]
    ) -> bool:
        """Write all addresses and distances into the sections of a file; False where one does not fit."""
        values = self._values(f, file, start)
        calls, entries = values.copy(), np.zeros(len(values), np.int64)
        numbers = {name: i for i, name in enumerate(self.outside)}
        for i, name in file.names.items():
            values[i] = calls[i] = known[name]
            entries[i] = start + self.table + 8 * self.entries[name]
            if name in numbers:
                calls[i] = start + self.jumps + _JUMP * numbers[name]
        for number, rows in file.relocations():
            if (f, number) not in self.at:
                continue
            at = self.at[f, number] + rows["offset"].astype(np.int64)
            for kinds, of, wide in (
                ((_ABSOLUTE,), values, True),
                ((_RELATIVE,), values, False),
                ((_CALL,), calls, False),
                (_BY_TABLE, entries, False),
            ):
                chosen = np.isin(rows["kind"], kinds)
                to = of[rows["symbol"][chosen]] + rows["addend"][chosen]
                if not _written(memory, at[chosen], to if wide else to - at[chosen] - start, wide):
                    return False
            if not np.isin(rows["kind"], (_ABSOLUTE, _RELATIVE, _CALL, *_BY_TABLE)).all():
                return False
        return True


def _written(memory: np.ndarray, at: np.ndarray, values: np.ndarray, wide: bool) -> bool:
    """Write numbers of 8 or 4 bytes; False where one is too large."""
    kind = np.dtype(np.int64 if wide else np.int32)
    numbers = values.astype(kind)
    if (numbers != values).any():
        return False
    memory[at[:, None] + np.arange(kind.itemsize)] = numbers.view(np.uint8).reshape(-1, kind.itemsize)
    return True


@functools.cache
def _library() -> ctypes.CDLL:
    """The C library's functions for memory."""
    library = ctypes.CDLL(None)
    size, number, address = ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p
    library.mmap.restype = address
    library.mmap.argtypes = [address, size, number, number, number, ctypes.c_long]
    library.mprotect.argtypes, library.munmap.argtypes = [address, size, number], [address, size]
    return library


@functools.cache
def _process() -> list[ctypes.CDLL]:
    """Where functions of the process are looked for: in all that is loaded, then in the math library."""
    found = [ctypes.CDLL(None)]
    with suppress(OSError):  # elsewhere than on glibc it is a part of the C library
        found.append(ctypes.CDLL("libm.so.6"))
    return found


def _in_process(name: str) -> int:
    for library in _process():
        with suppress(AttributeError):
            return ctypes.cast(library[name], ctypes.c_void_p).value or 0
    return 0
