"""Groups of a DAG's members that are merged step by step while the graph of groups stays free of cycles.

    >>> groups = Groups()
    >>> a = groups.add(()); b = groups.add((a,)); c = groups.add((a, b))
    >>> groups.mergeable(a, c), groups.mergeable(a, b)
    (False, True)

Sets of groups are bit masks in Python integers, so that "does a depend on b" is one `&`, and a graph of
10,000 nodes costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable


class Groups:
    """Groups with what comes before each. A group is known by the number of any of its members."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._members: list[int] = []  # mask of the members
        self._before: list[int] = []  # mask of the members of all groups that it depends on
        self._sources: list[set[int]] = []
        self._readers: list[set[int]] = []

    def add(self, sources: Iterable[int]) -> int:
        """A new group that depends on `sources`; gives its number."""
        number = len(self._parent)
        found = {self.find(s) for s in sources}
        before = 0
        for s in found:
            before |= self._before[s] | self._members[s]
            self._readers[s].add(number)
        self._parent.append(number)
        self._members.append(1 << number)
        self._before.append(before)
        self._sources.append(found)
        self._readers.append(set())
        return number

    def find(self, member: int) -> int:
        """The number by which the group of `member` is known now."""
        parent = self._parent
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    def sources(self, group: int) -> list[int]:
        """The groups that a group depends on directly, in order."""
        group = self.find(group)
        self._sources[group] = {self.find(s) for s in self._sources[group]} - {group}
        return sorted(self._sources[group])

    def depends(self, late: int, early: int) -> bool:
        """Whether `late` needs something of `early`, directly or not."""
        return bool(self._before[self.find(late)] & self._members[self.find(early)])

    def independent(self, a: int, b: int) -> bool:
        """Whether neither needs the other."""
        return not self.depends(a, b) and not self.depends(b, a)

    def mergeable(self, a: int, b: int) -> bool:
        """Whether no third group lies on a way from one to the other."""
        return not self._between(a, b) and not self._between(b, a)

    def _between(self, early: int, late: int) -> bool:
        early, late = self.find(early), self.find(late)
        if not self._before[late] & self._members[early]:
            return False
        mask = self._members[early]
        return any(s != early and self._before[s] & mask for s in self.sources(late))

    def merge(self, a: int, b: int) -> int:
        """Make one group of two that are `mergeable`; gives its number (that of `a`)."""
        a, b = self.find(a), self.find(b)
        if a == b:
            return a
        before = (self._before[a], self._before[b])
        self._parent[b] = a
        self._members[a] |= self._members[b]
        self._before[a] = together = (before[0] | before[1]) & ~self._members[a]
        news = any(together & ~mask and self._readers[g] for g, mask in zip((a, b), before))
        self._sources[a] |= self._sources[b]
        self._readers[a] |= self._readers[b]
        if news:
            self._tell_readers(a)
        return a

    def _tell_readers(self, group: int) -> None:
        """Hand on what a group needs. Its readers know one of its members, and need not know the others."""
        pending = [group]
        while pending:
            early = pending.pop()
            mask = self._before[early]
            self._readers[early] = {self.find(r) for r in self._readers[early]} - {early}
            for reader in self._readers[early]:
                if mask & ~self._before[reader]:
                    self._before[reader] |= mask
                    pending.append(reader)
