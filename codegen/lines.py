"""The lines of one LLVM function: instructions, fresh names, blocks."""

from __future__ import annotations

Operand = str | int
"""A name ("%n"), or a number as text or as itself."""


def literal(x: Operand) -> int | None:
    """The value of an operand that is a number, else None."""
    if isinstance(x, int):
        return x
    return int(x) if x.lstrip("-").isdigit() else None


class Lines:
    """A function's head and lines, and the block that is being written."""

    def __init__(self, name: str, args: str, ret: str = "void", linkage: str = "", attrs: str = "#0") -> None:
        words = ["define", linkage, ret, f"@{name}({args})", attrs, "{"]
        self.head = " ".join(word for word in words if word)
        self.lines: list[str] = ["entry:"]
        self.block = "entry"
        self.count = 0

    def name(self) -> str:
        """A fresh name of a value."""
        self.count += 1
        return f"%t{self.count}"

    def label(self, hint: str) -> str:
        """A fresh name of a block."""
        self.count += 1
        return f"{hint}{self.count}"

    def do(self, line: str) -> None:
        """Write an instruction without a result."""
        self.lines.append("  " + line)

    def __call__(self, expression: str) -> str:
        """Write an instruction and return the name of its result."""
        name = self.name()
        self.do(f"{name} = {expression}")
        return name

    def begin(self, label: str) -> None:
        """Start the block `label`."""
        self.lines.append(f"{label}:")
        self.block = label

    def text(self, ret: str = "void") -> str:
        """The whole function, which returns `ret` (type and value)."""
        return "\n".join([self.head, *self.lines, f"  ret {ret}", "}"])
