"""The accumulators of a stage's folds, as the flat list of values that its loops carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graphc.codegen.emit_folds import Folder
from graphc.codegen.loops import Fold, Running
from graphc.codegen.text import Function

Carried = list[str]


@dataclass
class Accumulators:
    """The folds of a stage with `lanes` lanes and `turns` copies of each."""

    folds: list[Fold | Running]
    folders: list[Folder]
    turns: int

    def types(self) -> list[str]:
        return [t.vec for folder in self.folders for _ in range(self.turns) for t in folder.types]

    def neutral(self) -> Carried:
        return [x for folder in self.folders for _ in range(self.turns) for x in folder.neutral()]

    def split(self, carried: Carried) -> list[list[list[str]]]:
        """For each fold, for each copy, what it carries."""
        result, at = [], 0
        for folder in self.folders:
            width = len(folder.types)
            result.append([carried[at + u * width : at + (u + 1) * width] for u in range(self.turns)])
            at += self.turns * width
        return result

    def restarted(self, carried: Carried) -> Carried:
        """What a block begins with: blocked folds anew, the others go on."""
        found: Carried = []
        for folder, copies in zip(self.folders, self.split(carried)):
            found += [x for copy in copies for x in (folder.neutral() if folder.blocked else copy)]
        return found

    def resumed(self, f: Function, carried: Carried, block: Carried) -> Carried:
        """What is carried after a block."""
        found: Carried = []
        for folder, before, after in zip(self.folders, self.split(carried), self.split(block)):
            for a, b in zip(before, after):
                found += folder.merge(f, a, b) if folder.blocked else b
        return found

    def folded_copies(self, f: Function, carried: Carried) -> Carried:
        """One copy of each fold."""
        found: Carried = []
        for folder, copies in zip(self.folders, self.split(carried)):
            while len(copies) > 1:
                half = len(copies) // 2
                copies = [folder.merge(f, a, b) for a, b in zip(copies[:half], copies[half:])] + copies[
                    2 * half :
                ]
            found += copies[0]
        return found


class Joined:
    """Vector and scalar accumulators of the same folds, carried together through the loops around a row."""

    def __init__(self, vector: Accumulators | None, single: Accumulators) -> None:
        self.parts = ([vector] if vector is not None else []) + [single]

    def _each(self, carried: Carried) -> Iterator[tuple[Accumulators, Carried]]:
        at = 0
        for part in self.parts:
            width = len(part.neutral())
            yield part, carried[at : at + width]
            at += width

    def types(self) -> list[str]:
        return [t for part in self.parts for t in part.types()]

    def neutral(self) -> Carried:
        return [x for part in self.parts for x in part.neutral()]

    def restarted(self, carried: Carried) -> Carried:
        return [x for part, mine in self._each(carried) for x in part.restarted(mine)]

    def resumed(self, f: Function, carried: Carried, block: Carried) -> Carried:
        pairs = zip(self._each(carried), self._each(block))
        return [x for (part, a), (_, b) in pairs for x in part.resumed(f, a, b)]
