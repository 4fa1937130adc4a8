"""The command line: what each command prints, its exit status, and errors in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import graphc
from graphc import cli, doctor
from graphc.ir import parse
from graphc.ir.errors import ArgumentError
from graphc.layers import Dense

UNTYPED = """\
graph @f(%x: f32[B, 3])
{
  %a = negative %x
  %b = negative %a
  %y = exp %b
  return %y
}
"""


@pytest.fixture
def gir(tmp_path: Path) -> Path:
    path = tmp_path / "f.gir"
    path.write_text(UNTYPED)
    return path


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    status = cli.main([str(a) for a in args])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_opt(gir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "opt", gir, "--passes", "infer,simplify,dce", "--verify-each")
    assert (status, err) == (0, "")
    assert (
        out
        == """\
graph @f(%x: f32[B, 3])
{
  %y : f32[B, 3] = exp %x
  return %y
}
"""
    )


def test_opt_runs_the_default_pipeline(gir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "opt", gir)
    assert status == 0
    assert [n.op.name for n in parse(out).nodes] == ["kernel"]


def test_opt_dumps_each_stage(gir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "opt", gir, "--passes", "infer,simplify,cse,dce", "--dump-each", tmp_path / "stages")
    names = sorted(p.name for p in (tmp_path / "stages" / "f").iterdir())
    assert names == ["00_traced.gir", "01_infer.gir", "02_simplify.gir", "03_dce.gir"]


def test_opt_reads_standard_input(gir: Path) -> None:
    command = [sys.executable, "-m", "graphc", "opt", "-", "--passes", "infer"]
    done = subprocess.run(command, input=UNTYPED, capture_output=True, text=True, check=True)
    assert parse(done.stdout).outputs[0].name == "y"


ERRORS = [
    (("opt", "nowhere.gir"), "graphc: nowhere.gir: No such file or directory\n"),
    (("show", "InceptionV4"), "graphc: there is no model 'InceptionV4': did you mean InceptionV3?\n"),
    (
        ("show", "model"),
        "graphc: there is no model 'model': give a .keras or .json file, or module:attribute\n",
    ),
    (("show", "no_such_module:x"), "graphc: can't import no_such_module: No module named 'no_such_module'\n"),
    (("show", "graphc.cli:nothing"), "graphc: graphc.cli has no attribute nothing\n"),
    (("show", "graphc.cli:VIEWS"), "graphc: graphc.cli:VIEWS is no model, but dict\n"),
    (("show", "none.json"), "graphc: none.json: No such file or directory\n"),
    (("run", "none.py"), "graphc: there is no script none.py\n"),
]


@pytest.mark.parametrize(("args", "message"), ERRORS, ids=[" ".join(a) for a, _ in ERRORS])
def test_errors_are_one_readable_message(
    args: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, *args) == (1, "", message)


def test_malformed_text_is_underlined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.gir"
    path.write_text("graph @f(%x: f33[2]) { return %x }")
    status, _, err = run(capsys, "opt", path)
    assert status == 1
    assert err.startswith("graphc: there is no element type f33")
    assert err.endswith("    graph @f(%x: f33[2]) { return %x }\n                 ^^^\n")


def test_a_file_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.gir").write_bytes(b"\xff\xfe")
    assert run(capsys, "opt", tmp_path / "x.gir") == (1, "", f"graphc: {tmp_path / 'x.gir'} is no text\n")


@pytest.mark.parametrize(
    "args", [(), ("nothing",), ("opt",), ("cache", "burn"), ("show", "m:x", "--llvm", "--asm")]
)
def test_wrong_usage_is_status_2(args: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(args)
    assert caught.value.code == 2
    assert "usage: graphc" in capsys.readouterr().err


def test_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from graphc.codegen.cache import Entry, default
    from graphc.codegen.target import host

    host()  # what is known of the CPU goes into a cache that is not counted here
    folder = tmp_path / "cache"
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(folder))
    assert run(capsys, "cache", "info") == (0, f"{folder}: 0 entries, 0.0 MB\n", "")
    assert default().put("a" * 64, Entry({"x": b"1"}))
    assert default().put("b" * 64, Entry({"x": b"2"}))
    (folder / ("b" * 64)).write_bytes(b"damaged")
    assert run(capsys, "cache", "verify") == (
        0,
        f"1 entry in {folder} fine; removed 1 damaged\n{'b' * 64}\n",
        "",
    )
    assert run(capsys, "cache", "clear") == (0, f"removed 1 entry from {folder}\n", "")


SCRIPT = """\
import sys, os
from beside import value
print(__name__, sys.argv[1:], value, os.environ.get("GRAPHC_LOG"))
raise {error}
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "beside.py").write_text("value = 42")
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("GRAPHC_LOG", "")
    monkeypatch.setenv("GRAPHC_DUMP", "")
    return tmp_path / "script.py"


def test_run_gives_arguments_and_settings(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.write_text(SCRIPT.format(error="SystemExit(5)"))
    with pytest.raises(SystemExit) as caught:
        cli.main(["run", "--log", "trace", str(script), "--fast", "7"])
    assert caught.value.code == 5
    assert capsys.readouterr().out == "__main__ ['--fast', '7'] 42 trace\n"


def test_run_shows_a_scripts_own_error_as_python_does(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.write_text(SCRIPT.format(error="KeyError('k')"))
    status, _, err = run(capsys, "run", script)
    assert status == 1
    assert err.splitlines()[0] == "Traceback (most recent call last):"
    assert err.splitlines()[1].endswith('script.py", line 4, in <module>')
    assert err.splitlines()[-1] == "KeyError: 'k'"


def test_run_shows_our_errors_in_a_line(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.write_text("from graphc.ir.errors import ShapeError\nraise ShapeError('no')")
    assert run(capsys, "run", script) == (1, "", "graphc: no\n")


def small_model() -> graphc.Sequential:
    return graphc.Sequential([graphc.Input((3,)), Dense(2, name="only")])


THE_MODEL = small_model()


def test_models_by_module_and_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "my_models", sys.modules[__name__])
    assert cli.load("my_models:THE_MODEL") is THE_MODEL
    assert [layer.name for layer in cli.load("my_models:small_model").layers] == ["only"]
    with pytest.raises(ArgumentError, match="my_models:UNTYPED is no model, but str"):
        cli.load("my_models:UNTYPED")


def test_models_by_file_and_applications_by_name(tmp_path: Path) -> None:
    THE_MODEL.save(tmp_path / "model.keras")
    assert [layer.name for layer in cli.load(str(tmp_path / "model.keras")).layers] == ["only"]
    assert cli.load("MobileNet").name == "mobilenet_1.00_224"


def test_show_prints_the_graph_and_the_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.json"
    path.write_text(THE_MODEL.to_json())
    status, out, _ = run(capsys, "show", path, "--summary")
    assert status == 0
    assert "only (Dense)" in out
    status, out, _ = run(capsys, "show", path, "--stage", "traced")
    assert status == 0
    assert [n.op.name for n in parse(out).nodes] == ["matmul", "add"]


VIEWS = [
    ("--diff traced final", "--- traced\n+++ final\n"),
    ("--stages", "stage"),
    ("--step train --stages", "autodiff"),
    ("--cost", "total"),
    ("--memory --batch 7", "arena"),
    ("--source", "@njit"),
    ("--llvm", "define"),
    ("--asm", ".text"),
]


@pytest.mark.parametrize(("switches", "text"), VIEWS, ids=[v[0] for v in VIEWS])
def test_show_views(
    switches: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    THE_MODEL.compile("sgd", "mse")
    monkeypatch.setitem(sys.modules, "my_models", sys.modules[__name__])
    status, out, err = run(capsys, "show", "my_models:THE_MODEL", *switches.split())
    assert (status, err) == (0, "")
    assert text in out


def test_bench(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "nothing"]) == 2
    assert "there is no workload 'nothing'; there are mlp128, mlp32, predict1" in capfd.readouterr().err
    assert cli.main(["bench", "--help"]) == 0
    assert "--resume" in capfd.readouterr().out


def test_doctor(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path))
    status, out, _ = run(capsys, "doctor")
    titles = [line.split()[0] for line in out.splitlines()]
    assert titles[:5] == ["system", "cpu", "threads", "cache", "python"]
    assert "a barrier of two takes" in out or "several threads do not work" in out
    assert "self-test  reference: passed" in out
    assert "self-test  llvm: passed" in out
    assert status == 0


def test_doctor_tells_of_wrong_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from graphc import codegen

    wrong = lambda *_, **__: lambda x, w: (np.zeros((5, 7), "f4"), np.zeros(5, "f4"))  # noqa: E731
    monkeypatch.setattr(codegen, "compile", wrong, raising=False)
    lines, healthy = doctor.report()
    assert not healthy
    assert lines[-1] == "self-test  llvm: failed: wrong numbers"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module with a small model."""
    (tmp_path / "profiled.py").write_text(
        "import graphc\nfrom graphc.layers import Dense, Input\n"
        "model = graphc.Sequential([Input((6,)), Dense(4, name='only')])\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "profiled", raising=False)
    return "profiled"


def test_profile(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "profile", f"{module}:model", "--batch", "3")
    assert (status, err) == (0, "")
    assert out.startswith("B = 3, 1 thread, least of ")
    assert "\ntotal " in out
    status, out, _ = run(capsys, "profile", f"{module}:model", "--train")
    assert status == 0
    assert "B = 32" in out
    assert "'loss'" in out


def test_profile_errors(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "profile", f"{module}:model", "--batch", "0") == (
        1,
        "",
        "graphc: --batch 0 is not possible; choose a number from 1 on\n",
    )
    status, _, err = run(capsys, "profile", "InceptionV33")
    assert status == 1
    assert "did you mean InceptionV3?" in err
