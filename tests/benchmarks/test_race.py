"""A race from its command to its page, with whoever is installed; and what counts as the same answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def scripts() -> Any:
    """The scripts can be imported, as when one of them is run."""
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


def run(*words: str) -> str:
    # what pytest sets for its own processes would be told to all candidates
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GRAPHC_")}
    command = [sys.executable, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment | {"COLUMNS": "120"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_race_and_its_page(tmp_path: Path) -> None:
    race = [str(BENCHMARKS / "race.py"), "--quick", "--out", str(tmp_path)]
    printed = run(*race, "tiny", "predict1", "--threads", "1")
    assert "x best peer" in printed
    tiny = json.loads((tmp_path / "tiny-1.json").read_text())
    rows = {row["name"]: row for row in tiny["rows"]}
    assert {"graphc", "graphc, warm cache", "NumPy"} <= set(rows)
    assert rows["graphc"]["least"] <= rows["graphc"]["median"]
    assert rows["graphc, warm cache"]["least"] is None
    assert rows["NumPy"]["memory"] > 10
    assert tiny["size"] == {"layers": 3, "parameters": 32 * 64 + 64 + 64 * 64 + 64 + 64 + 1}
    assert tiny["flops"] > 2 * 32 * 3 * (64 * 64)
    assert tiny["figures"][0]["limit"] == 0.8
    assert tiny["figures"][0]["ratio"] > 0
    assert not any("differs" in reason for reason in tiny["left_out"].values())

    run(str(BENCHMARKS / "page.py"), "--results", str(tmp_path), "--docs", str(tmp_path))
    page = (tmp_path / "benchmarks.md").read_text()
    assert "| tiny MLP, Adam, batch 32 |" in page
    assert "### MLP inference, batch 1" in page
    for name in ("ratios", "speed", "compile", "memory"):
        assert f"](benchmarks-{name}.svg)" in page
        assert (tmp_path / f"benchmarks-{name}.svg").read_text().startswith("<svg ")


def test_races_go_on_where_they_were_interrupted(tmp_path: Path) -> None:
    import race

    args = race.parsed(["tiny", "mlp32", "--resume", "--out", str(tmp_path)])
    assert [(w.name, n) for w, n in race.plan(args)] == [("tiny", 1), ("mlp32", 1), ("mlp32", 2)]

    def keep(command: str, date: str) -> None:
        head = ("tiny", "", "training", 1, 1, date, command, {}, 0.0, 0.0, 0.0, {})
        results().save(results().Result(*head, rows=[], left_out={}, figures=[]), tmp_path)

    keep("graphc bench", results().now())
    assert [(w.name, n) for w, n in race.plan(args)] == [("mlp32", 1), ("mlp32", 2)]
    keep("graphc bench --quick", results().now())
    assert len(race.plan(args)) == 3
    keep("graphc bench", "2020-01-01T00:00+00:00")
    assert len(race.plan(args)) == 3


def results() -> ModuleType:
    import results

    return results


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([[1.0, 2.0001]], ""),
        ([[1.0, 2.01]], "its answer differs by 0.01, where numbers are up to 2"),
        ([[1.0, float("nan")]], "its answer differs by"),
        ([[1.0]], "its answer has another shape"),
        ([[1.0, 2.0], [3.0]], "its answer has another shape"),
    ],
)
def test_answers_are_compared(answer: list[list[float]], reason: str) -> None:
    found = results().differs(answer, [[1.0, 2.0]], 1e-3)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_figures_are_told_as_they_are() -> None:
    from workloads.definition import Figure

    row, reached = results().Row, results().reached
    rows = [row("graphc", 0.9, memory=50.0), row("torch", 1.0, memory=100.0), row("NumPy", 1.2)]
    assert reached(Figure(0.95, 0.9), rows).verdict == "goal"
    assert reached(Figure(0.95, 0.8), rows).verdict == "limit"
    assert reached(Figure(0.8, 0.7), rows).verdict == "missed"
    assert reached(Figure(1.0, 1.0, "memory", beside=("torch",)), rows).ratio == 0.5
    missing = reached(Figure(0.1, 0.1, "compile", beside=("torch.compile",)), rows)
    assert (missing.verdict, missing.beside) == ("not measured", "torch.compile")


def test_every_network_is_the_same_for_all() -> None:
    """A candidate's code is there for every workload, it says which packages it needs, and has a colour."""
    import importlib.util

    from chart import COLOURS
    from workloads import WORKLOADS

    for work in WORKLOADS.values():
        names = [c.name for c in work.candidates]
        assert len(set(names)) == len(names)
        assert set(names) <= set(COLOURS)
        assert {f.ours for f in work.figures} <= set(names)
        assert {n for f in work.figures for n in f.beside} <= set(names)
        for candidate in work.candidates:
            assert candidate.packages
            if not work.process:
                module = candidate.make.split(":")[0]
                assert importlib.util.find_spec(f"workloads.{module}"), candidate
