"""Text that prints as itself, and lists that print as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Text(str):
    """A text whose repr is the text: an interactive session shows it as it is.

    >>> Text("two\\nlines")
    two
    lines
    """

    def __repr__(self) -> str:
        return str(self)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], right: str = "") -> str:
    """Rows below a head, in aligned columns; columns whose letter in `right` is "r" are flushed right.

    >>> print(table(["name", "ops"], [["traced", 12], ["cse", 9]], right="lr"))
    name    ops
    ------  ---
    traced   12
    cse       9
    """
    lines = [list(head), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, ["-" * w for w in widths])
    align = right.ljust(len(head), "l")
    return "\n".join(
        "  ".join(c.rjust(w) if a == "r" else c.ljust(w) for c, w, a in zip(line, widths, align)).rstrip()
        for line in lines
    )
