"""Writes docs/ops.md, the page of all operators, from their definitions: `python docs/make_ops.py`."""

from __future__ import annotations

from pathlib import Path

from graphc.ir import OPS, Kind, OpDef

PAGE = Path(__file__).with_name("ops.md")
HEAD = """\
# Operators

Every operator of the IR, from its definition in `ir/ops/` (this page is made by `docs/make_ops.py`).
Elementwise operands broadcast as NumPy's do, and have one element type.

*gradient*: yes; "by its formula" where the gradient is that of the simpler operators it stands for; or none.
*can fail*: a call may stop here with an error, and then changes nothing.
"""


KINDS = {
    Kind.ELEMENTWISE: "Each element of the result is a function of one element of each operand.",
    Kind.CREATION: "The elements follow from their places, and from no operand.",
    Kind.VIEW: "Each element of the result is one of an operand's, or a fill value.",
    Kind.REDUCTION: "Each element of the result is a fold over axes of the operand.",
    Kind.CUMULATIVE: "A running fold along one axis.",
    Kind.CONTRACTION: "Sums of products.",
    Kind.GATHER: "Elements chosen by an operand of indices.",
    Kind.SCATTER: "Elements put, or added, where an operand of indices or an attribute says.",
    Kind.COARSE: "Carries its decomposition: a formula of simpler operators.",
    Kind.CONTROL: "Runs its regions, graphs of their own, a number of times.",
    Kind.KERNEL: "What fusion makes.",
}
"""What each kind of operator does; the order of the page."""


def own(kind: Kind) -> list[OpDef]:
    """The operators of a kind, by name; none that users have defined."""
    found = [op for op in OPS.values() if op.kind is kind and op.infer.__module__.startswith("graphc.ir.")]
    return sorted(found, key=lambda op: op.name)


def gradient(op: OpDef) -> str:
    """Whether the operator is differentiated, and how."""
    if op.vjp is not None:
        return "yes"
    return "by its formula" if op.scalar or op.decompose else "none"


def row(op: OpDef) -> str:
    """An operator's line of the table."""
    attributes = ", ".join(
        f"`{name}`" + (f" = {op.defaults[name]!r}" if name in op.defaults else "") for name in op.attributes
    )
    said = " ".join(op.doc.split("\n\n")[0].split()).replace("|", "\\|")
    fails = "yes" if op.can_fail else ""
    return f"| `{op.name}` | {said} | {attributes} | {gradient(op)} | {fails} |"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for kind, said in KINDS.items():
        table = ["| op | computes | attributes | gradient | can fail |", "| --- | --- | --- | --- | --- |"]
        parts += [f"## {kind.value}", "", said, "", *table, *map(row, own(kind)), ""]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
