import os
import subprocess
import sys

import pytest

from graphc.codegen import target as targets
from graphc.codegen.target import Target, host, named


def test_native_is_the_default_and_made_once(monkeypatch):
    monkeypatch.delenv("GRAPHC_CPU", raising=False)
    native = host()
    monkeypatch.setenv("GRAPHC_CPU", "native")
    assert host() is native
    assert native.register_bytes in (16, 32, 64)


def test_baseline_has_16_byte_vectors(monkeypatch):
    monkeypatch.setenv("GRAPHC_CPU", "baseline")
    target = host()
    assert target.register_bytes == 16
    assert target.features == ""
    assert target.lanes("f32") == 4
    assert target.lanes("f64") == 2
    assert target.lanes("bool") == 16


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="names of x86 CPUs")
@pytest.mark.parametrize(
    ("cpu", "register_bytes", "registers", "fused"),
    [
        ("nehalem", 16, 16, False),
        ("haswell", 32, 16, True),
        ("znver3", 32, 16, True),
        ("skylake-avx512", 64, 32, True),
    ],
)
def test_width_follows_from_the_cpu_name(cpu, register_bytes, registers, fused):
    target = named(cpu)
    assert (target.register_bytes, target.registers, target.fused) == (register_bytes, registers, fused)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="names of x86 CPUs")
def test_unknown_cpu_is_a_readable_error(monkeypatch):
    monkeypatch.setenv("GRAPHC_CPU", "pentium99")
    with pytest.raises(ValueError, match="pentium99") as caught:
        host()
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("GRAPHC_CPU='pentium99' is not a CPU that LLVM knows for x86_64")
    assert lines[1] == "  fix     use native, baseline, or a name such as haswell, znver3 or skylake-avx512."


def test_hardware_masks_by_width_and_size():
    sizes = (1, 2, 4, 8)
    by_width = {w: [Target("c", "", "t", w, 16, True).masks(s) for s in sizes] for w in (16, 32, 64)}
    assert by_width == {16: [False] * 4, 32: [False, False, True, True], 64: [True] * 4}


def test_import_needs_neither_llvmlite_nor_numba():
    text = (
        "import sys, graphc.codegen.target, graphc.codegen.text, graphc.codegen.loader, graphc.codegen.cache;"
        "print([m for m in ('llvmlite', 'numba') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


WARM = """
import sys
import numpy as np
import graphc

@graphc.jit
def step(w, x):
    y = np.maximum(x @ w, 0)
    w -= 0.1 * (x.T @ y)
    return y.sum()

w, x = np.full((24, 16), 0.01), np.full((32, 24), 0.02)
print([round(float(step(w, x)), 9) for _ in range(5)])
print(graphc.stats()["cache_misses"], "llvmlite" in sys.modules)
"""


def test_a_warm_start_asks_the_cache_and_not_llvm(tmp_path):
    environment, script = os.environ | {"GRAPHC_CACHE_DIR": str(tmp_path / "cache")}, tmp_path / "step.py"
    script.write_text(WARM)

    def run():
        done = subprocess.run(
            [sys.executable, script], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()

    cold, warm = run(), run()
    assert cold[0] == warm[0]
    assert cold[1].endswith("True")
    assert warm[1] == "0 False"


def test_the_cached_cpu_is_that_of_the_setting_and_of_the_processor(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))
    fresh = targets._target.__wrapped__
    first, haswell = fresh("native"), fresh("haswell")
    assert (first, haswell) == (targets._by_llvm("native"), named("haswell"))
    with monkeypatch.context() as without:
        without.delattr(targets, "_by_llvm")
        assert (fresh("native"), fresh("haswell")) == (first, haswell)
    monkeypatch.setattr(targets, "_processor", lambda: "flags : another")
    monkeypatch.setattr(targets, "_by_llvm", lambda setting: haswell)
    assert fresh("native") is haswell
    assert fresh("native") == haswell


def test_a_damaged_entry_of_the_cpu_is_made_again(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path))
    fresh = targets._target.__wrapped__
    first = fresh("native")
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(entry.read_bytes()[:-1])
    assert fresh("native") == first
    assert len(entry.read_bytes()) > 32
