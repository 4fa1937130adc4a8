"""Pipelines: names, stages, what observers see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphc import passes
from graphc.ir import Builder, Graph, parse, tensor
from graphc.ir.errors import ArgumentError, NumericsError, VerifyError
from graphc.passes import PassManager, Stage, all_passes, register
from graphc.passes.observers import Compare, Dump, difference, from_environment, log_each, verify_each
from graphc.passes.pipelines import DEFAULT, pass_names

TEXT = """\
graph @f(%x: f32[3])
{
  %one    : f32[3] = negative %x
  %two    : f32[3] = negative %one
  %unused : f32[3] = exp %x
  %y      : f32[3] = sin %two
  return %y
}"""


def names(text: str | None) -> str:
    return ", ".join(pass_names(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, DEFAULT),
        ("default", DEFAULT),
        ("cse", "cse"),
        (" cse ,, dce ", "cse, dce"),
        ("", ""),
        ("cse, dce, cse, -cse", "dce"),
        ("default, -fuse, -schedule", DEFAULT.removesuffix(", fuse, schedule")),
        ("-fuse, -schedule", DEFAULT.removesuffix(", fuse, schedule")),
    ],
)
def test_pipeline_texts(text: str | None, expected: str) -> None:
    assert names(text) == expected


def test_a_pass_that_is_not_there() -> None:
    with pytest.raises(ArgumentError, match="there is no pass 'simplfy'; did you mean 'simplify'"):
        PassManager("simplfy")
    with pytest.raises(ArgumentError, match="there is no pass 'xyzzy'; there are autodiff, cse"):
        PassManager("xyzzy")
    with pytest.raises(ArgumentError, match="the pipeline has no pass 'fuse' to leave out; it is cse"):
        PassManager("cse, -fuse")


def test_every_pass_of_the_default_pipeline_exists() -> None:
    assert set(pass_names()) <= set(all_passes())


def test_stages() -> None:
    graph = parse(TEXT)
    stages = PassManager("simplify, cse, dce, simplify").run(graph)
    assert [s.name for s in stages] == ["traced", "simplify", "cse", "dce", "simplify.1"]
    assert [s.ops for s in stages] == [4, 3, 3, 1, 1]
    assert [s.changed for s in stages] == [False, True, False, True, False]
    assert stages[0].graph is graph
    assert stages[2].graph is stages[1].graph
    assert all(s.milliseconds >= 0 for s in stages)
    assert passes.run(graph, "simplify,cse,dce") == stages[-1].graph


def test_observers_see_each_stage() -> None:
    seen: list[tuple[str, str]] = []
    PassManager("cse, dce", [lambda before, after: seen.append((before.name, after.name))]).run(parse(TEXT))
    assert seen == [("traced", "traced"), ("traced", "cse"), ("cse", "dce")]


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ArgumentError, match="there is a pass 'cse' already"):
        register("cse")(lambda graph: graph)


def broken(graph: Graph) -> Stage:
    """A stage whose last two nodes are out of order."""
    swapped = Graph(graph.name, graph.inputs, (), graph.nodes[::-1], (), graph.outputs)
    return Stage("swap", swapped, 0.0, True)


def test_verify_each_names_the_pass() -> None:
    traced = Stage("traced", parse(TEXT), 0.0, False)
    verify_each(traced, traced)
    with pytest.raises(VerifyError, match="after swap: %two is used before it is defined"):
        verify_each(traced, broken(traced.graph))


def test_compare_names_the_pass_that_changed_a_value() -> None:
    compare = Compare({"x": np.ones(3, np.float32)})
    stages = PassManager("simplify, dce", [compare]).run(parse(TEXT))
    wrong = parse("graph @f(%x: f32[3]) { %y : f32[3] = cos %x return %y }")
    with pytest.raises(NumericsError, match=r"after oops: output 0 differs by .* units in the last place"):
        compare(stages[-1], Stage("oops", wrong, 0.0, True))


def test_compare_sees_updates() -> None:
    b = Builder("f")
    w = b.weight("w", tensor("f32"))
    b.update(w, w + 1.0)
    compare = Compare({"w": 2.0}, rounding=1.0)
    (traced,) = PassManager("", [compare]).run(b.build())
    other = parse("graph @f() weights (%w: f32[]) { %n : f32[] = negative %w update %w <- %n return }")
    with pytest.raises(NumericsError, match="after oops: update of %w differs"):
        compare(traced, Stage("oops", other, 0.0, True))


F32 = np.float32
DIFFERENCES = [
    ([1, 2], [1, 2], 0.0),
    ([1, 2], [1, 2 + 2**-22], 1.0),
    ([np.nan, np.inf], [np.nan, np.inf], 0.0),
    ([np.nan, 1], [0, 1], np.inf),
    ([0, 1], [np.nan, 1], np.inf),
    ([np.inf, 1], [-np.inf, 1], np.inf),
    ([], [], 0.0),
]


@pytest.mark.parametrize(("expected", "found", "units"), DIFFERENCES)
def test_difference(expected: list[float], found: list[float], units: float) -> None:
    assert difference(np.array(expected, F32), np.array(found, F32)) == units


def test_difference_of_zeros_types_and_integers() -> None:
    assert 0 < difference(np.array([0.0], F32), np.array([-0.0], F32)) < 1e-300
    assert difference(np.zeros(2, F32), np.zeros(3, F32)) == np.inf
    assert difference(np.zeros(2, F32), np.zeros(2)) == np.inf
    assert difference(np.array([1, 2]), np.array([1, 2])) == 0
    assert difference(np.array([1, 2]), np.array([1, 3])) == np.inf


def test_dump_writes_the_stages_that_differ(tmp_path: Path) -> None:
    for _ in range(2):
        stages = PassManager("simplify, cse, dce", [Dump(tmp_path)]).run(parse(TEXT))
    found = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.gir"))
    files = ["00_traced.gir", "01_simplify.gir", "02_dce.gir"]
    assert found == [f"{folder}/{name}" for folder in ("f.1", "f") for name in files]
    assert parse((tmp_path / "f" / "02_dce.gir").read_text()) == stages[-1].graph


def test_dump_to_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="file"):
        PassManager("cse", [Dump(tmp_path / "file")]).run(parse(TEXT))


def test_switches_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GRAPHC_DUMP", raising=False)
    monkeypatch.delenv("GRAPHC_LOG", raising=False)
    assert from_environment() == []
    monkeypatch.setenv("GRAPHC_LOG", "compile")
    assert from_environment() == [log_each]
    monkeypatch.setenv("GRAPHC_DUMP", str(tmp_path))
    monkeypatch.setenv("GRAPHC_LOG", "all")
    passes.run(parse(TEXT), "simplify, cse, dce")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "graphc compile: simplify: negative(negative(x)) x1"
    assert lines[1].startswith("graphc compile: @f: simplify: 4 -> 3 nodes, ")
    assert lines[2].startswith("graphc compile: @f: dce: 3 -> 1 nodes, ")
    assert len(lines) == 3
    assert (tmp_path / "f" / "02_dce.gir").exists()
