"""The page of operators is what docs/make_ops.py writes from the definitions."""

from __future__ import annotations

import runpy
from pathlib import Path

from graphc.ir import OPS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_up_to_date():
    made = runpy.run_path(str(DOCS / "make_ops.py"))["page"]()
    assert (DOCS / "ops.md").read_text(encoding="utf-8") == made, "run python docs/make_ops.py"


def test_every_operator_is_on_the_page():
    text = (DOCS / "ops.md").read_text(encoding="utf-8")
    own = [name for name, op in OPS.items() if op.infer.__module__.startswith("graphc.ir.")]
    assert len(own) > 100
    assert [name for name in own if f"| `{name}` |" not in text] == []
