"""`tune=True`: what is asked, that the quicker code is taken and kept, and that nothing else changes."""

import numpy as np
import pytest

from graphc.codegen import cache, compile, options, tuner
from graphc.codegen.choices import from_text, to_text
from graphc.codegen.meter import Meter
from graphc.codegen.stats import stats
from graphc.codegen.target import host
from graphc.ir import Builder, tensor
from graphc.ir.errors import ArgumentError

ROWS = 4


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))


def graph(columns=128, trains=False):
    """A product of a matrix of more than 128 KB; `trains` adds something to it."""
    b = Builder("f")
    x, w = b.input("x", tensor("f32", "B", 300)), b.weight("w", tensor("f32", 300, columns))
    y = b.relu(b.matmul(x, w))
    b.output(y)
    if trains:
        b.update(w, w + b.sum(y, axes=(0,)))
    return b.build()


def arrays(rows=ROWS, columns=128):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 300)).astype("f4"), rng.normal(size=(300, columns)).astype("f4")


@pytest.fixture
def measured(monkeypatch):
    """Programs with a policy are quicker; the list of all that were measured."""
    programs = []

    def seconds(self, kernels):
        programs.append(self.program)
        return [0.5 if self.program.choices.get(k) else 1.0 for k in kernels]

    monkeypatch.setattr(Meter, "seconds", seconds)
    monkeypatch.setattr(tuner, "SECONDS", 0.0)
    return programs


def test_the_quicker_code_is_taken_at_the_first_call(measured):
    x, w = arrays()
    f, plain = compile(graph(), tune=True).bind([w]), compile(graph()).bind([w])
    assert f.program.choices == {}
    for _ in range(3):
        np.testing.assert_array_equal(f(x), plain(x))
    assert f.program.choices == {0: ".near"}
    assert f.program.layout.drivers == ("product.near_f32",)
    assert plain.program.layout.drivers == ("product_f32",)
    assert len(measured) == 2
    assert "measured: relu is near" in f.explain()
    assert "measured:" not in plain.explain()


def test_it_stays_where_nothing_is_clearly_quicker(monkeypatch):
    monkeypatch.setattr(tuner, "SECONDS", 0.0)
    monkeypatch.setattr(Meter, "seconds", lambda self, kernels: [1.0 for _ in kernels])
    x, w = arrays()
    f = compile(graph(), tune=True).bind([w])
    before = f.program
    f(x)
    assert f.program is before


def test_weights_stay_and_results_have_the_same_bits(measured):
    x, w = arrays()
    others = w.copy()
    f, plain = compile(graph(trains=True), tune=True).bind([w]), compile(graph(trains=True)).bind([others])
    for _ in range(3):
        assert f(x).tobytes() == plain(x).tobytes()
    assert w.tobytes() == others.tobytes()
    assert measured


@pytest.mark.parametrize(("rows", "columns"), [(1, 128), (4, 16), (300, 300)])
def test_nothing_is_asked_where_the_sizes_decide(measured, rows, columns):
    x, w = arrays(rows, columns)
    compile(graph(columns), tune=True).bind([w])(x)
    assert not measured


def test_a_small_batch_reads_in_place_and_a_large_one_packs(measured):
    """Code that was tuned for few rows computes any number of them."""
    x, w = arrays()
    f, plain = compile(graph(), tune=True).bind([w]), compile(graph()).bind([w])
    f(x)
    for rows in (0, 1, 9, 500):
        x, _ = arrays(rows)
        assert f(x).tobytes() == plain(x).tobytes()
    assert len(measured) == 2


def test_the_next_process_asks_nothing(measured):
    x, w = arrays()
    compile(graph(), tune=True).bind([w])(x)
    assert len(measured) == 2
    again = compile(graph(), tune=True).bind([w])
    again(x)
    assert len(measured) == 2
    assert again.program.choices == {0: ".near"}
    assert again.program.story == "cache: hit"
    compile(graph(), tune=True).bind([w])(arrays(5)[0])
    assert len(measured) == 4, "other sizes are another question"
    assert len(tuner.remembered(host())) == 2


def test_without_a_cache_nothing_is_kept(measured):
    x, w = arrays()
    for _ in range(2):
        compile(graph(), tune=True, cache=False).bind([w])(x)
    assert len(measured) == 4
    assert tuner.remembered(host()) == {}


def test_a_damaged_table_is_counted_and_measured_again(measured):
    x, w = arrays()
    compile(graph(), tune=True).bind([w])(x)
    path = cache.default().folder / tuner._table_key(host())
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    before = stats()["cache_damaged"]
    f = compile(graph(), tune=True).bind([w])
    f(x)
    assert stats()["cache_damaged"] == before + 1
    assert len(measured) == 4
    assert f.program.choices == {0: ".near"}


@pytest.mark.parametrize("content", [b"[]", b'{"a": {"0": 5}}', b'{"a": "{\\"0\\": \\".other\\"}"}', b"\xff"])
def test_a_table_of_something_else_is_none(content):
    cache.default().put(tuner._table_key(host()), cache.Entry({"choices": content}))
    before = stats()["cache_damaged"]
    assert tuner.remembered(host()) == {}
    assert stats()["cache_damaged"] == before + 1


def test_the_table_does_not_grow_for_good(monkeypatch):
    monkeypatch.setattr(tuner, "MOST_GRAPHS", 3)
    for name in "abcd":
        tuner.remember(host(), name, {1: ".near"})
    assert list(tuner.remembered(host())) == ["b", "c", "d"]


def test_choices_as_text():
    assert from_text(to_text({2: ".near", 1: "", 10: ".near"})) == {2: ".near", 10: ".near"}
    with pytest.raises(ValueError, match="unknown choices"):
        from_text('{"1": ".sideways"}')


def test_the_option_and_the_environment(monkeypatch):
    assert not options.resolve().tune
    assert options.resolve(tune=True).tune
    monkeypatch.setenv("GRAPHC_TUNE", "1")
    assert options.resolve().tune
    assert not options.resolve(tune=False).tune
    monkeypatch.setenv("GRAPHC_TUNE", "always")
    with pytest.raises(ArgumentError, match="GRAPHC_TUNE='always' is not possible"):
        options.resolve()


@pytest.mark.parametrize("more", [{"backend": "numba"}, {"backend": "reference"}, {"check": "nan"}])
def test_other_backends_have_nothing_to_choose(measured, more):
    x, w = arrays()
    f = compile(graph(), tune=True, **more).bind([w])
    np.testing.assert_allclose(f(x), np.maximum(x @ w, 0), rtol=1e-4, atol=1e-4)
    assert not measured
