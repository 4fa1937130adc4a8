"""Where a node comes from: the user's file and line, the path of the layer, and what it was derived from.

>>> print(Location("train.py", 8, "hidden", "vjp of %relu"))
train.py:8 'hidden' (vjp of %relu)
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from functools import lru_cache


@dataclass(frozen=True)
class Location:
    """A place in the user's program; every part may be missing."""

    file: str = ""
    line: int = 0
    layer: str = ""
    derived: str = ""

    def __str__(self) -> str:
        parts = [f"{self.file}:{self.line}"] if self.file else []
        parts += [f"'{self.layer}'"] if self.layer else []
        parts += [f"({self.derived})"] if self.derived else []
        return " ".join(parts)

    def __bool__(self) -> bool:
        return self != NOWHERE

    def derive(self, note: str) -> Location:
        """The location of a node made from the one at this location; `note` says how."""
        return replace(self, derived=note)


NOWHERE = Location()
_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_OWN_FOLDERS = tuple(os.path.join(_OWN, name) + os.sep for name in ("ir", "passes", "codegen", "graphc"))


@lru_cache(maxsize=4096)
def display_path(path: str) -> str:
    """A file's path as shown to people: relative where it lies below the working folder, else its name."""
    try:
        relative = os.path.relpath(path)
    except ValueError:
        return os.path.basename(path)
    return os.path.basename(path) if relative.startswith("..") else relative


@lru_cache(maxsize=4096)
def is_own_code(path: str) -> bool:
    """Whether a file is one of graphc's own."""
    return os.path.abspath(path).startswith(_OWN_FOLDERS)


def caller(layer: str = "") -> Location:
    """The location of the innermost frame that is not graphc's own code."""
    frame = sys._getframe(1)
    while frame is not None and is_own_code(frame.f_code.co_filename):
        if frame.f_back is None:
            return Location(layer=layer)
        frame = frame.f_back
    return Location(display_path(frame.f_code.co_filename), frame.f_lineno, layer)
