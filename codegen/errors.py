"""What can go wrong while machine code is made, loaded and stored."""

from __future__ import annotations

from graphc.ir.errors import ArgumentError, CompileError, FileFormatError


class TargetError(ArgumentError):
    """A CPU was asked for that LLVM cannot make code for."""


class LinkError(CompileError):
    """Code refers to a symbol that nothing defines, or that two objects define."""


class EntryFormatError(FileFormatError):
    """Bytes of the object cache that are not an entry, or a damaged one."""
