"""Pipelines as text: pass names with commas between; `default` stands for the default pipeline.

>>> pass_names("simplify, cse")
('simplify', 'cse')
>>> "fuse" in pass_names("default, -fuse")
False
"""

from __future__ import annotations

from graphc.ir.errors import ArgumentError

DEFAULT = (
    "infer, autodiff, updates, simplify, cse, decompose, fold, simplify, epilogues, fold_norm, cse, trim, "
    "merge_scans, recall, hoist, thin, straighten, trim, row_sums, dce, fuse, schedule"
)
"""What a compile runs: every graph leaves it as a list of kernels."""


def pass_names(pipeline: str | None = None) -> tuple[str, ...]:
    """The names in a pipeline's text; None is the default one, and `-name` leaves all passes of that name
    out.

    A text of nothing but `-name` entries starts from the default pipeline.
    """
    entries = _entries(DEFAULT if pipeline is None else pipeline)
    left_out = {e[1:] for e in entries if e.startswith("-")}
    kept = [e for e in entries if not e.startswith("-")]
    if left_out and not kept:
        kept = ["default"]
    names = [n for e in kept for n in (_entries(DEFAULT) if e == "default" else [e])]
    unknown = sorted(left_out - set(names))
    if unknown:
        raise ArgumentError(f"the pipeline has no pass {unknown[0]!r} to leave out; it is {', '.join(names)}")
    return tuple(n for n in names if n not in left_out)


def _entries(text: str) -> list[str]:
    return [e.strip() for e in text.split(",") if e.strip()]
