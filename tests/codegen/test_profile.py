"""Profiles: which rows there are, what they sum to, state that stays as it was, other backends, errors."""

import io
import re

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.codegen.peak import peak
from graphc.codegen.profile import HEAD, KernelTime
from graphc.codegen.target import host
from graphc.codegen.team import members
from graphc.ir import OPS, Builder, parse, tensor
from graphc.ir.errors import ArgumentError, IndexRangeError, ShapeError, StateError

SGD = """
graph @train(%x: f32[B, 7], %y: f32[B, 3])
  weights (%w: f32[7, 3] 'hidden/kernel', %t: i64[] 'step')
{
  %h = matmul %x, %w                      @ train.py:8 'hidden'
  %d = subtract %h, %y                    @ train.py:9 'loss'
  %g = matmul %x, %d {transpose_a = true} @ train.py:8 'hidden'
  %rate = constant {value = 0.01, dtype = f32}
  %step = multiply %g, %rate
  %new = subtract %w, %step
  %one = constant {value = 1, dtype = i64}
  %next = add %t, %one
  %sq = square %d
  %total = sum %sq {axes = (0, 1)}
  update %w <- %new
  update %t <- %next
  return %total
}
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "profile"))


def trained(**options):
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(7, 3)).astype("f4"), np.array(5, "i8")]
    data = rng.normal(size=(4, 7)).astype("f4"), rng.normal(size=(4, 3)).astype("f4")
    return compile(parse(SGD), **options).bind(weights), weights, data


def loop(turns, dtype="f64"):
    """A scan whose body has one kernel, and a product after it."""
    body = Builder("body")
    c, x = body.input("c", tensor(dtype, 5, 5)), body.input("x", tensor(dtype, 5, 5))
    body.output(body.tanh(body.matmul(c, x)))
    b = Builder("loop")
    given = [b.input("c", tensor(dtype, 5, 5)), b.input("xs", tensor(dtype, turns, 5, 5))]
    (last,) = b.node(
        OPS["scan"], given, {"carries": 1, "scanned": 1, "length": turns, "reverse": False}, (body.build(),)
    ).results
    b.output(b.sum(b.matmul(last, given[0]), axes=(0,)))
    return b.build()


def test_rows_are_the_kernels_with_cost_and_places():
    f, _, data = trained()
    found = f.profile(*data, rounds=3)
    kernels = [row for row in found if row.kind not in ("copies",)]
    assert [row.name for row in kernels] == [k.name for k in f.lowered.kernels]
    costs = f.cost(B=4)
    assert [(row.flops, row.bytes) for row in kernels] == [(c.flops, c.bytes) for c in costs]
    assert {row.calls for row in kernels} == {1}
    assert {name for row in kernels for name in row.layers} == {"hidden", "loss"}
    assert {line for row in kernels for line in row.lines} == {"train.py:8", "train.py:9"}
    assert (found.rounds, found.threads, found.sizes) == (3, 1, {"B": 4})
    assert all(row.seconds >= 0 and row.estimate > 0 for row in kernels)
    assert found.total == pytest.approx(sum(row.seconds for row in found))
    assert found.total > 0
    assert found.call > 0


def test_state_stays_as_it_is():
    f, weights, data = trained()
    before = [w.copy() for w in weights]
    f.profile(*data, rounds=3)
    for mine, was in zip(weights, before):
        np.testing.assert_array_equal(mine, was)
    g, _, _ = trained()
    np.testing.assert_array_equal(f(*data), g(*data))
    assert weights[1] == 6


def test_each_round_begins_with_the_same_weights():
    """Training that would end in an error after some steps does not, as every round is the first one."""
    graph = parse(
        """
        graph @f(%x: f32[4])
          weights (%i: i64[] 'i')
        {
          %y = gather %x, %i {axis = 0}
          %one = constant {value = 1, dtype = i64}
          %next = add %i, %one
          update %i <- %next
          return %y
        }
        """
    )
    i = np.array(3, "i8")
    f = compile(graph).bind([i])
    f.profile(np.ones(4, "f4"), rounds=5)
    assert i == 3
    i[()] = 4
    with pytest.raises(IndexRangeError):
        f.profile(np.ones(4, "f4"))
    assert i == 4


def test_kernels_in_scans_count_their_turns():
    f = compile(loop(6))
    rng = np.random.default_rng(0)
    found = f.profile(rng.normal(size=(5, 5)), rng.normal(size=(6, 5, 5)), rounds=2)
    inside = [row for row in found if row.calls > 1]
    assert [row.calls for row in inside] == [6]
    assert inside[0].flops == 6 * (2 * 5**3 + 25)
    (own,) = [row for row in found if row.kind == "scan"]
    assert (own.flops, own.bytes, own.calls) == (0, 0, 1)
    assert {row.dtype for row in found if row.bytes} == {"f64"}


def test_a_warm_cache_with_other_names_is_no_danger():
    """The code in the cache may have been made for an equal graph with other names of kernels."""
    renamed = parse(SGD.replace("%h", "%total2").replace("%d", "%h").replace("%total2", "%d"))
    rng = np.random.default_rng(0)
    data = rng.normal(size=(4, 7)).astype("f4"), rng.normal(size=(4, 3)).astype("f4")
    for graph in (parse(SGD), renamed):
        f = compile(graph).bind([np.zeros((7, 3), "f4"), np.array(5, "i8")])
        names = [row.name for row in f.profile(*data, rounds=1) if row.bytes]
        assert names == [k.name for k in f.lowered.kernels]
    assert f.program.story == "cache: hit"


@pytest.mark.skipif(members(2, host()) == 1, reason="no team on this system")
@pytest.mark.usefixtures("divide_everything")
def test_threads():
    f, weights, data = trained(threads=2)
    found = f.profile(*data, rounds=2)
    assert found.threads == 2
    assert {row.cores for row in found if row.bytes} == {2}
    assert [r.name for r in found if r.bytes] == [k.name for k in f.lowered.kernels]
    assert weights[1] == 5


@pytest.mark.parametrize("backend", ["numba", "llvm"])
def test_backends_and_checks_show_the_native_kernels(backend):
    f, _, data = trained(backend=backend, check="nan" if backend == "llvm" else None)
    assert [r.name for r in f.profile(*data, rounds=1) if r.bytes] == [k.name for k in f.lowered.kernels]


def test_empty_arrays():
    f, _, _ = trained()
    found = f.profile(np.zeros((0, 7), "f4"), np.zeros((0, 3), "f4"), rounds=2)
    assert found.sizes == {"B": 0}
    assert "nan" not in str(found)


def test_it_prints_as_a_table():
    from rich.console import Console

    f, _, data = trained()
    found = f.profile(*data, rounds=2)
    text = str(found)
    assert repr(found) == text
    lines = text.splitlines()
    assert re.match(
        r"B = 4, 1 thread, least of 2 rounds: kernels [\d.]+ ms, the whole call [\d.]+ ms$", lines[0]
    )
    assert lines[2].split() == list(HEAD)
    assert "'hidden' train.py:8" in text
    assert lines[-3].startswith("total")
    assert "100.0 %" in lines[-3]
    assert lines[-1].startswith("peak of one core: ")
    console = Console(file=io.StringIO(), width=100)
    console.print(found)
    shown = console.file.getvalue()
    assert all(row.name in shown for row in found)
    assert "train.py:8" in shown


def test_slowest():
    f, _, data = trained()
    found = f.profile(*data, rounds=2)
    assert found.slowest(1)[0].seconds == max(row.seconds for row in found)
    assert len(found.slowest()) == len(found)


def test_rates_of_a_row():
    row = KernelTime("k", "contract", 1e-3, flops=2_000_000, bytes=4_000_000, cores=2)
    assert row.gflops == pytest.approx(2.0)
    assert row.gbytes == pytest.approx(4.0)
    assert row.of_flops == pytest.approx(2e9 / (2 * peak().flops["f32"]))
    assert row.of_memory == pytest.approx(4e9 / peak().memory)
    assert row.roof == pytest.approx(peak().roof(2e6, 4_000_000, cores=2))


def test_errors():
    f, _, (x, y) = trained()
    with pytest.raises(ArgumentError, match="train takes 2 inputs, but got 1"):
        f.profile(x)
    with pytest.raises(ShapeError, match="input 'x'"):
        f.profile(x[:, :5], y)
    with pytest.raises(ShapeError):
        f.profile(x, y[:2])
    with pytest.raises(ArgumentError, match="rounds=0 is not possible"):
        f.profile(x, y, rounds=0)
    with pytest.raises(StateError, match=r"bind their arrays first"):
        compile(parse(SGD)).profile(x, y)
