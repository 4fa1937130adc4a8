"""What other machines depend on: the package list, the direction of imports, a light start, no own paths."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ("ir", "passes", "codegen", "graphc")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCES = [path for folder in ORDER for path in sorted((ROOT / folder).rglob("*.py"))]


def test_package_list_matches_the_folders():
    found = set()
    for folder in ORDER:
        for init in (ROOT / folder).rglob("__init__.py"):
            name = ".".join(init.parent.relative_to(ROOT).parts)
            found.add(name if folder == "graphc" else f"graphc.{name}")
    listed = SETTINGS["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(found), "a package that is not listed is left out of the wheel in silence"


def test_every_folder_with_source_is_a_package():
    bare = {path.parent for path in SOURCES if not (path.parent / "__init__.py").exists()}
    assert bare == set()


def test_files_that_are_not_python_are_listed():
    data = SETTINGS["tool"]["setuptools"]["package-data"]
    for folder in ORDER:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                name = ".".join(path.parent.relative_to(ROOT).parts)
                package = name if folder == "graphc" else f"graphc.{name}"
                assert any(path.match(pattern) for pattern in data.get(package, [])), (
                    f"{path} is not in the wheel"
                )


def test_the_types_are_marked_as_public():
    assert (ROOT / "graphc" / "py.typed").read_text() == ""
    assert "py.typed" in SETTINGS["tool"]["setuptools"]["package-data"]["graphc"]


def test_version_and_licence():
    from graphc import __version__

    assert SETTINGS["project"]["version"] == __version__
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert SETTINGS["project"]["license"] == "Apache-2.0"


def test_import_is_light():
    code = "import sys, graphc; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert {"graphc"} <= set(done.stdout.split())
    assert set(done.stdout.split()) & {"numba", "rich", "llvmlite"} == set()


@pytest.mark.parametrize(
    "folder", ["ir", "data", "callbacks", "initializers", "datasets", "layers", "models"]
)
def test_the_parts_are_light_too(folder):
    code = f"import sys, graphc.{folder}; print(*sorted({{n.partition('.')[0] for n in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(done.stdout.split()) & {"numba", "rich", "llvmlite"} == set()


def imports(path):
    """(line, full name) of everything that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def package_of(name):
    """Which of the four packages an imported name lies in, or None."""
    first, *rest = name.split(".")
    if first != "graphc":
        return None
    return rest[0] if rest and rest[0] in ORDER[:3] else "graphc"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    level = ORDER.index(path.relative_to(ROOT).parts[0])
    for line, name in imports(path):
        where = f"{path.relative_to(ROOT)}:{line} imports {name}"
        assert not name.startswith("."), f"{where}: write the full name"
        assert name.split(".")[0] not in ORDER[:3], f"{where}: write graphc.{name}"
        target = package_of(name)
        assert target is None or ORDER.index(target) <= level, where


def test_ir_needs_numpy_only():
    allowed = {*sys.stdlib_module_names, "numpy", "graphc"}
    for path in sorted((ROOT / "ir").rglob("*.py")):
        assert {name.split(".")[0] for _, name in imports(path)} <= allowed, path


def test_imports_are_declared():
    known = {"numpy", "numba", "llvmlite", "rich", "graphc"}
    declared = {re.match(r"[\w-]+", text).group() for text in SETTINGS["project"]["dependencies"]}
    assert declared == known - {"graphc"}
    optional = {"matplotlib", "onnx", "mpi4py", "PIL", "cairosvg"}
    for path in SOURCES:
        foreign = {name.split(".")[0] for _, name in imports(path)} - set(sys.stdlib_module_names)
        assert foreign <= known | optional, path


PRIVATE = re.compile(
    "|".join(
        [
            r"(?<![\w.])/(?:home|root|work|Users|opt|mnt)/",
            r"[A-Z]:\\\\",
            r"\.\./shared",
            r"pypi\.(?:org|python)",
            "pythonhosted",
        ]
    )
)


@pytest.mark.parametrize("folder", ["tests", "examples", "benchmarks", "docs", *ORDER])
def test_no_private_paths_or_registry_hosts(folder):
    found = []
    for path in (ROOT / folder).rglob("*"):
        if path.suffix in {".py", ".md", ".txt", ".gir", ".json", ".toml"} and path != Path(__file__):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if PRIVATE.search(line):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []


def readme_commands():
    """The lines of the README's bash blocks."""
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


def test_readme_has_exactly_two_commands():
    install, test = readme_commands()
    assert install.startswith("python3 -m venv .venv && ")
    assert "pip install -e ." in install
    (script,) = re.findall(r"graphc run (\S+)", install)
    assert (ROOT / script).is_file()
    assert "[dev]" in test
    assert "-m pytest" in test
    for name in ("pytest", "pytest-xdist", "ruff", "mypy"):
        assert any(text.startswith(name) for text in SETTINGS["project"]["optional-dependencies"]["dev"])


def test_ci_runs_the_readmes_commands():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    awk = re.search(r"awk '(.*)' README\.md", script.read_text()).group(1)
    done = subprocess.run(["awk", awk, "README.md"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines() == readme_commands()


def test_links_in_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert target.startswith("https://") or (ROOT / target).exists(), target
