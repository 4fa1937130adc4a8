"""The same graphs on every backend: values, updates, failures, threads, sizes; the cache between
processes.
"""

import os
import subprocess
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.codegen.object_cache import canonical_text
from graphc.codegen.stats import stats
from graphc.ir import Builder, Location, tensor
from graphc.ir.errors import ArgumentError, CompileError, IndexRangeError, NumericsError, StateError

SIZES = (12, 16, 5)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


def train_step(name="train"):
    """Loss of a small classifier, and plain gradient descent on its weights."""
    b = Builder(name)
    x, y = b.input("x", tensor("f32", "B", SIZES[0])), b.input("y", tensor("i64", "B"))
    weights, h = [], x
    for i, (m, n) in enumerate(pairwise(SIZES)):
        with b.at(Location("train.py", 8 + i, f"dense_{i}")):
            w, c = b.weight(f"w{i}", tensor("f32", m, n)), b.weight(f"b{i}", tensor("f32", n))
            h = b.matmul(h, w) + c
            h = b.relu(h) if i == 0 else h
        weights += [w, c]
    with b.at(Location("train.py", 12, "loss")):
        loss = b.mean(b.sparse_softmax_cross_entropy(h, y), axes=(0,))
    gradients = b.op("gradient", loss, b.constant(1.0, "f32"), *weights, outputs=1)
    for w, g in zip(weights, gradients):
        b.update(w, w - 0.5 * g)
    b.output(loss, h)
    return b.build()


def arrays():
    rng = np.random.default_rng(0)
    found = []
    for m, n in pairwise(SIZES):
        found += [rng.normal(size=(m, n)).astype("f4"), np.zeros(n, "f4")]
    return found


def batch(rows, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, SIZES[0])).astype("f4"), rng.integers(0, SIZES[-1], rows)


def steps(backend, rows=(7, 7, 3, 1, 7), **options):
    f = compile(train_step(), backend=backend, **options).bind(arrays())
    assert not f.fallback
    return f, [f(*batch(n)) for n in rows]


@pytest.mark.parametrize("backend", ["llvm", "numba"])
def test_training_is_that_of_the_evaluator(backend):
    expected, wanted = steps("reference")
    f, got = steps(backend)
    for (loss, logits), (loss2, logits2) in zip(wanted, got):
        np.testing.assert_allclose(loss2, loss, rtol=2e-6)
        np.testing.assert_allclose(logits2, logits, rtol=1e-4, atol=1e-5)
        assert type(loss2) is np.float32
    for a, b in zip(f.weights, expected.weights):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("check", ["nan", "reference"])
@pytest.mark.parametrize("backend", ["llvm", "numba"])
def test_checked_training_has_the_same_values(backend, check):
    _, plain = steps("llvm", (4, 2))
    _, checked = steps(backend, (4, 2), check=check)
    for (loss, _), (loss2, _) in zip(plain, checked):
        np.testing.assert_allclose(loss2, loss, rtol=1e-6)


@pytest.mark.parametrize("left_out", ["updates", "simplify", "cse", "decompose", "fuse", "schedule"])
@pytest.mark.parametrize("backend", ["llvm", "numba"])
def test_without_a_pass_the_values_are_the_same(backend, left_out):
    _, plain = steps("llvm", (4, 2))
    _, other = steps(backend, (4, 2), passes=f"default,-{left_out}")
    for (loss, logits), (loss2, logits2) in zip(plain, other):
        np.testing.assert_allclose(loss2, loss, rtol=1e-6)
        np.testing.assert_allclose(logits2, logits, rtol=1e-4, atol=1e-5)


def test_a_pass_that_changed_nothing_is_a_stage_too():
    b = Builder("double")
    b.output(b.input("x", tensor("f32", "B")) * 2)
    f = compile(b.build())
    assert [s.name for s in f.stages()] == ["traced", "fuse"]
    for name in ("infer", "autodiff", "simplify", "cse", "simplify.1", "dce"):
        assert f.ir(name) is f.ir("traced")
    assert f.ir("schedule") is f.ir("final")
    assert str(f.diff("simplify", "cse")) == ""


def test_stages_are_dumped_and_logged_with_a_warm_cache_too(tmp_path, monkeypatch, capsys):
    steps("llvm", (2,))
    monkeypatch.setenv("GRAPHC_DUMP", str(tmp_path))
    monkeypatch.setenv("GRAPHC_LOG", "all")
    f, _ = steps("llvm", (2,))
    assert "cache: hit" in f.explain()
    names = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert any("traced" in name for name in names)
    assert any("fuse" in name for name in names)
    lines = capsys.readouterr().err
    assert "graphc fusion: " in lines
    assert "graphc cache: @train hit" in lines


def test_without_fusion_there_is_no_code_of_the_whole_step():
    f, _ = steps("llvm", (4,), passes="default,-fuse")
    for view in (f.source, f.llvm, f.asm):
        with pytest.raises(CompileError, match=r"can't become one step: '[a-z]+' is no kernel"):
            view()


def test_numbers_without_dimensions_pass_the_check_against_the_evaluator():
    b = Builder("shift")
    x, s = b.input("x", tensor("f32", "B")), b.input("s", tensor("f32"))
    b.output(x + s, s + 1)
    f = compile(b.build(), check="reference")
    got, number = f(np.ones(3, "f4"), np.float32(2))
    np.testing.assert_array_equal(got, [3, 3, 3])
    assert number == 3


LABEL = """\
label 5 at position 2 is not one of 5 classes (0 to 4)
  at train.py:12 'loss'"""


@pytest.mark.parametrize("check", [None, "nan"])
@pytest.mark.parametrize("backend", ["llvm", "numba", "reference"])
def test_a_label_out_of_range_changes_nothing(backend, check):
    f = compile(train_step(), backend=backend, check=check if backend != "reference" else None).bind(arrays())
    x, y = batch(4)
    y[2] = SIZES[-1]
    with pytest.raises(IndexRangeError) as caught:
        f(x, y)
    assert str(caught.value) == LABEL
    for a, b in zip(f.weights, arrays()):
        np.testing.assert_array_equal(a, b)


def test_a_new_batch_size_compiles_nothing():
    f, _ = steps("llvm", (4,))
    before = stats()["compiles"], stats()["cache_misses"]
    for rows in (1, 2, 9, 33):
        f(*batch(rows))
    assert (stats()["compiles"], stats()["cache_misses"]) == before


def test_results_are_aligned_and_never_alias():
    b = Builder("views")
    x, w = b.input("x", tensor("f32", "B", 4)), b.weight("w", tensor("f32", 4))
    y = x + w
    b.output(x, y, y, b.reshape(y, shape=(4 * x.shape[0],)), w)
    f = compile(b.build()).bind([np.ones(4, "f4")])
    x = np.zeros((3, 4), "f4")
    first, second = f(x), f(x)
    everything = [x, f.weights[0], *first, *second]
    for i, a in enumerate(everything):
        assert i < 2 or a.ctypes.data % 64 == 0
        assert not any(np.shares_memory(a, b) for b in everything[:i])
    for value, expected in zip(first, (x, x + 1, x + 1, (x + 1).reshape(-1), np.ones(4))):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("backend", ["llvm", "numba"])
def test_two_threads_inside_at_once(backend):
    b = Builder("inside")
    x = b.input("x", tensor("f64", "B", 64))
    h = b.exp(x) * 2 + 1
    b.output(b.sum(b.matmul(h, b.transpose(h, axes=(1, 0))), axes=(1,)))
    f = compile(b.build(), backend=backend)
    inputs = [np.full((16 + i, 64), 0.01 * i) for i in range(4)]
    expected = [f(x) for x in inputs]
    wrong = []

    def work(i):
        for _ in range(60):
            if not np.array_equal(f(inputs[i]), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_twenty_runs_and_another_process_give_the_same_bits():
    def digest():
        f, results = steps("llvm", (5, 5))
        return b"".join(a.tobytes() for a in (*f.weights, *(np.asarray(x) for r in results for x in r)))

    runs = {digest() for _ in range(20)}
    assert len(runs) == 1
    code = (
        "import sys, importlib.util as u; s = u.spec_from_file_location('t', sys.argv[1]);"
        "m = u.module_from_spec(s); s.loader.exec_module(m); f, r = m.steps('llvm', (5, 5));"
        "import numpy as np; sys.stdout.buffer.write(b''.join(a.tobytes() for a in "
        "(*f.weights, *(np.asarray(x) for p in r for x in p))))"
    )
    found = subprocess.run([sys.executable, "-c", code, __file__], capture_output=True, check=True)
    assert runs == {found.stdout}


# -- cache -------------------------------------------------------------------------------------------------


def test_a_warm_start_runs_no_pass_and_names_do_not_matter(monkeypatch):
    _, cold = steps("llvm", (4,))
    before = stats()["cache_hits"]
    f = compile(train_step("renamed")).bind(arrays())
    assert stats()["cache_hits"] > before
    assert not f.pipeline._kept
    np.testing.assert_array_equal(f(*batch(4))[1], cold[0][1])
    assert f.stages()[0].name == "traced"
    assert "cache: hit" in f.explain()


@pytest.mark.parametrize("damage", ["cut", "flip", "plan"])
def test_a_damaged_entry_is_compiled_again(tmp_path, monkeypatch, damage):
    from graphc.codegen.cache import Entry

    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "c"))
    graph = train_step()
    wanted = compile(graph).bind(arrays())(*batch(4))
    path = next(p for p in (tmp_path / "c").iterdir() if "plan" in Entry.from_bytes(p.read_bytes()).sections)
    data = path.read_bytes()
    middle = len(data) // 2
    sections = Entry.from_bytes(data).sections
    changed = {
        "cut": data[:middle],
        "flip": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "plan": Entry({**sections, "plan": b"[]"}).to_bytes(),
    }[damage]
    path.write_bytes(changed)
    before = stats()["cache_damaged"]
    got = compile(graph).bind(arrays())(*batch(4))
    assert stats()["cache_damaged"] == before + 1
    np.testing.assert_array_equal(got[1], wanted[1])
    assert path.read_bytes() == data


def test_many_processes_may_compile_at_once(tmp_path):
    code = (
        "from graphc.codegen import compile; from graphc.ir import Builder, tensor; b = Builder('f');"
        "b.output(b.exp(b.input('x', tensor('f32', 'B')))); print(compile(b.build())([0.5, 1])[0])"
    )
    environment = {**os.environ, "GRAPHC_CACHE_DIR": str(tmp_path / "shared")}
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
        for _ in range(3)
    ]
    assert {p.communicate()[0] for p in running} == {b"1.6487212\n"}
    assert len(list((tmp_path / "shared").iterdir())) == 2  # the step, and what the CPU is


def test_the_log_says_hit_or_what_differs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "c"))
    monkeypatch.setenv("GRAPHC_LOG", "cache")
    b = Builder("f")
    b.output(b.input("x", tensor("f32", 3)) * 2)
    compile(b.build())
    compile(b.build())
    compile(b.build(), fast_math=True)
    assert capsys.readouterr().err == (
        "graphc cache: @f miss: the cache has no other entry to compare with\n"
        "graphc cache: @f hit\n"
        "graphc cache: @f miss: the nearest entry differs in fast_math\n"
    )


def test_the_key_has_no_names():
    first, second = Builder("a"), Builder("b")
    for b, name in ((first, "x"), (second, "other")):
        with b.at(Location("a.py", 1, name)):
            b.output(b.relu(b.input(name, tensor("f32", 3))))
    assert canonical_text(first.build()) == canonical_text(second.build())


def test_fork_in_the_middle():
    f, _ = steps("llvm", (4,))
    expected = f(*batch(4))[0]
    pid = os.fork()
    if pid == 0:
        os._exit(0 if np.isfinite(f(*batch(4))[0]) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert np.isfinite(expected)


# -- checks ------------------------------------------------------------------------------------------------

NAN = """\
the kernel 'log' gave a NaN: %log[1] (f32[B]).
  made by log
  at net.py:7 'logarithm'"""


@pytest.mark.parametrize("backend", ["llvm", "numba"])
def test_check_nan_names_the_layer_and_changes_nothing(backend):
    b = Builder("net")
    x, w = b.input("x", tensor("f32", "B")), b.weight("w", tensor("f32", 1))
    with b.at(Location("net.py", 7, "logarithm")):
        y = b.log(x)
    b.update(w, w + 1)
    b.output(y)
    f = compile(b.build(), backend=backend, check="nan").bind([np.zeros(1, "f4")])
    np.testing.assert_array_equal(f([1.0]), np.zeros(1, "f4"))
    with pytest.raises(NumericsError) as caught:
        f([1.0, -1.0])
    assert str(caught.value) == NAN
    assert f.weights[0][0] == 1


def test_check_reference_names_the_first_kernel_that_differs(monkeypatch):
    from graphc.codegen import checked

    b = Builder("net")
    with b.at(Location("net.py", 3, "double")):
        b.output(b.input("x", tensor("f64", 2)) * 2)
    f = compile(b.build(), check="reference")
    call = next(iter(f.program.calls.values()))[1]

    def wrong(values, sizes):
        status = call(values, sizes)
        values["multiply"][1] += 0.5
        return status

    f.program.calls = {node: (step, wrong) for node, (step, _) in f.program.calls.items()}
    assert checked.TOLERANCE["f64"] < 1e-6
    with pytest.raises(NumericsError) as caught:
        f([1.0, 2.0])
    assert str(caught.value) == (
        "the kernel 'multiply' differs from the evaluator in 1 of 2 elements: "
        "%multiply[1] (f64[2]) is 4.5 and not 4.0.\n  made by multiply\n  at net.py:3 'double'"
    )


# -- views -------------------------------------------------------------------------------------------------


def test_memory_is_what_is_allocated():
    f, _ = steps("llvm", (6,))
    report = f.memory()
    frame = f._runner._free[0]
    assert report.arena == frame.memory.nbytes
    assert report.weights == sum(a.nbytes for a in f.weights)
    assert report.peak == report.weights + report.arena + report.outputs
    assert f.memory(B=60).outputs > report.outputs
    fresh = compile(train_step())
    with pytest.raises(StateError) as caught:
        fresh.memory()
    assert str(caught.value) == "memory depends on B: call the function first, or use f.memory(B=32)."


COST = """\
kernel  flops      bytes  flops/byte
------  -----  ---------  ----------
relu     35*B  32*B + 60
total    35*B  32*B + 60"""


def test_cost_counts_products():
    b = Builder("f")
    x, w = b.input("x", tensor("f32", "B", 3)), b.weight("w", tensor("f32", 3, 5))
    b.output(b.relu(b.matmul(x, w)))
    f = compile(b.build())
    assert str(f.cost()) == COST
    assert f.cost(B=2).total.flops == 2 * 2 * 3 * 5 + 10
    assert f.cost(B=2).total.bytes == 4 * (6 + 15 + 10)


def test_source_runs_as_it_stands():
    b = Builder("f")
    b.output(b.relu(b.input("x", tensor("f32", "B", 3)) - 1))
    f = compile(b.build())
    scope = {}
    exec(f.source(), scope)
    out = np.empty(6, "f4")
    assert scope["f"](np.arange(6, dtype="f4"), out, 2) == 0
    np.testing.assert_array_equal(out, [0, 0, 1, 2, 3, 4])
    with pytest.raises(ArgumentError) as caught:
        f.source("nothing")
    assert str(caught.value) == "there is no kernel 'nothing'; the kernels are relu."
    assert "kernel.relu" in f.llvm("relu")
    assert "kernel.relu" in f.asm("relu")


def test_stages_and_diff():
    f, _ = steps("llvm", (2,))
    names = [s.name for s in f.stages()]
    assert names[0] == "traced"
    assert "fuse" in names
    assert str(f.stages()).splitlines()[0].split() == ["stage", "ops", "ms"]
    assert f.ir("traced") is f.graph
    assert "+" in f.diff("traced", "final")
    with pytest.raises(ArgumentError) as caught:
        f.ir("nonsense")
    assert str(caught.value).startswith(
        "@train has no stage 'nonsense'; the stages that changed it are traced, "
    )
