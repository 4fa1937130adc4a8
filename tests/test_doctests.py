"""Every example in a docstring, the README and the docs runs and gives what it says."""

import doctest
import importlib
from pathlib import Path

import pytest

import graphc

ROOT = Path(__file__).parents[1]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FOLDERS = ("ir", "passes", "codegen", "graphc")


def module_name(path):
    """How a source file is imported: `ir/graph.py` is `graphc.ir.graph`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "graphc" else ("graphc", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = sorted(
    module_name(path)
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if path.stem != "__main__"
)
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(autouse=True)
def fresh_names():
    """Names and seeds as in a new process, so that examples do not depend on what ran before."""
    graphc.backend.clear_session()
    graphc.set_random_seed(0)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert result.failed == 0


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_texts(path):
    assert doctest.testfile(str(path), module_relative=False, optionflags=FLAGS).failed == 0


def test_modules_are_found():
    assert {"graphc.ir.graph", "graphc.callbacks.callback", "graphc.datasets.mnist_5k"} <= set(MODULES)
