"""Pictures of models: nothing overlaps, arrows point down, all layers are there, and the file is valid."""

import builtins
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest

import graphc
from graphc import Input, Model, backend, layers, utils
from graphc.ir.errors import ArgumentError
from graphc.plotting.boxes import Shown, diagram
from graphc.plotting.layout import GAP, arrange
from graphc.plotting.picture import MissingPackageError

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def _fresh_names():
    backend.clear_session()


def branched():
    x = Input((8, 8, 1), name="image")
    a = layers.Conv2D(4, 3, padding="same", activation="relu", name="left")(x)
    b = layers.Conv2D(4, 5, padding="same", name="right")(x)
    y = layers.Concatenate(name="both")([layers.Add(name="sum")([a, b]), a])
    shared = layers.Dense(8, name="shared")
    y = shared(shared(layers.GlobalAveragePooling2D(name="mean")(y)))
    inner = graphc.Sequential([Input((8,)), layers.Dense(2, name="a<b&c")], name="inner")
    return Model(x, [inner(y), y], name="net")


def texts(picture):
    return [element.text for element in ET.fromstring(picture.svg).iter(f"{SVG}text")]


def random_graph(rng, count):
    sizes = [(float(w), float(h)) for w, h in rng.uniform(20, 200, (count, 2))]
    pairs = {tuple(sorted(map(int, rng.integers(0, count, 2)))) for _ in range(2 * count)}
    return sizes, sorted((a, b) for a, b in pairs if a != b)


@pytest.mark.parametrize("seed", range(40))
def test_boxes_are_apart_and_arrows_go_down(seed):
    rng = np.random.default_rng(seed)
    sizes, edges = random_graph(rng, int(rng.integers(1, 40)))
    layout = arrange(sizes, edges)
    spans = [(x - w / 2, x + w / 2, y - h / 2, y + h / 2) for (x, y), (w, h) in zip(layout.centres, sizes)]
    for i, (left, right, top, bottom) in enumerate(spans):
        assert left >= -1e-6
        assert right <= layout.width + 1e-6
        assert top >= -1e-6
        assert bottom <= layout.height + 1e-6
        for other in spans[:i]:
            beside = left >= other[1] + GAP - 1e-6 or other[0] >= right + GAP - 1e-6
            assert beside or top >= other[3] or other[2] >= bottom
    for (a, b), points in zip(edges, layout.routes, strict=True):
        assert points[0] == pytest.approx((layout.centres[a][0], spans[a][3]))
        assert points[-1] == pytest.approx((layout.centres[b][0], spans[b][2]))
        heights = [y for _, y in points]
        assert heights == sorted(heights)


@pytest.mark.parametrize("seed", range(20))
def test_arrows_pass_beside_boxes(seed):
    sizes, edges = random_graph(np.random.default_rng(100 + seed), 25)
    layout = arrange(sizes, edges)
    for points in layout.routes:
        for (x, top), (u, bottom) in pairwise(points):
            for (cx, cy), (w, h) in zip(layout.centres, sizes):
                beside = cy - h / 2 < bottom - 1e-6 and top + 1e-6 < cy + h / 2
                assert not beside or (x == u and abs(x - cx) >= w / 2), "it bends only between rows"


def test_chains_are_straight_and_branches_beside_each_other():
    edges = [(0, 1), (1, 2), (0, 3), (2, 4), (3, 4), (4, 5)]
    layout = arrange([(60.0, 20.0)] * 6, edges)
    x = [round(c[0], 6) for c in layout.centres]
    assert x[1] == x[2] < x[3]
    assert x[4] == x[5]
    assert x[1] <= x[0] <= x[3]
    assert len(layout.routes[4]) == 4, "an arrow over a row passes beside it"


def test_no_boxes():
    assert arrange([], []).centres == ()


def test_every_call_and_connection_is_shown():
    found = diagram(branched(), Shown())
    titles = [box.title for box in found.boxes]
    assert titles == [
        "image (InputLayer)",
        "left (Conv2D)",
        "right (Conv2D)",
        "sum (Add)",
        "both (Concatenate)",
        "mean (GlobalAveragePooling2D)",
        "shared (Dense)",
        "shared (Dense)",
        "inner (Sequential)",
    ]
    named = [(titles[a].split()[0], titles[b].split()[0]) for a, b in found.arrows]
    assert sorted(named) == sorted(
        [
            ("image", "left"),
            ("image", "right"),
            ("left", "sum"),
            ("right", "sum"),
            ("sum", "both"),
            ("left", "both"),
            ("both", "mean"),
            ("mean", "shared"),
            ("shared", "shared"),
            ("shared", "inner"),
        ]
    )
    assert [box.lines for box in found.boxes[6:8]] == [("call 1 of 2",), ("call 2 of 2",)]


def test_what_boxes_say():
    model = branched()
    model.get_layer("left").trainable = False
    plain = texts(utils.plot_model(model, None, show_layer_names=False))
    assert plain[1:3] == ["Conv2D", "Conv2D"]
    picture = utils.plot_model(
        model,
        None,
        show_shapes=True,
        show_dtype=True,
        show_layer_activations=True,
        show_trainable=True,
        expand_nested=True,
    )
    found = texts(picture)
    start = found.index("left (Conv2D)")
    assert found[start + 1 : start + 6] == [
        "activation: relu",
        "in:  (None, 8, 8, 1)",
        "out: (None, 8, 8, 4)",
        "dtype: float32",
        "not trainable",
    ]
    assert found[-6:][0] == "a<b&c (Dense)", "the inner model's layers stand in its box, and text is escaped"
    assert len(list(ET.fromstring(picture.svg).iter(f"{SVG}g"))) == 1
    assert sum(r.get("class") == "f" for r in ET.fromstring(picture.svg).iter(f"{SVG}rect")) == 1


def test_directions():
    down, across = (ET.fromstring(utils.plot_model(branched(), None, rankdir=d).svg) for d in ("TB", "LR"))
    assert float(down.get("height")) > float(down.get("width"))
    assert float(across.get("width")) > float(across.get("height"))
    with pytest.raises(ArgumentError, match="rankdir must be 'TB' or 'LR', not 'UP'"):
        utils.plot_model(branched(), None, rankdir="UP")


def test_models_whose_calls_are_not_known():
    chain = graphc.Sequential([layers.Dense(3, name="one"), layers.Dense(2, name="two")])
    assert texts(utils.plot_model(chain, None)) == ["one (Dense)", "two (Dense)"]

    class Own(Model):
        def call(self, inputs):
            return inputs

    assert texts(utils.plot_model(Own(name="own"), None)) == ["own (Own)"]


def test_files(tmp_path, monkeypatch):
    model = branched()
    picture = utils.plot_model(model, tmp_path / "net.svg")
    assert (tmp_path / "net.svg").read_text() == picture.svg == picture._repr_svg_()
    with pytest.raises(ArgumentError, match=r"written as \.svg or \.png, not as"):
        utils.plot_model(model, tmp_path / "net.pdf")
    real = builtins.__import__

    def without(name, *rest):
        if name == "cairosvg":
            raise ImportError("No module named 'cairosvg'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackageError) as told:
        utils.plot_model(model, tmp_path / "net.png")
    assert str(told.value) == (
        "PNG files need CairoSVG (No module named 'cairosvg').\n"
        "  fix     pip install graphc[plot], or write an .svg file, which needs nothing."
    )
    assert not (tmp_path / "net.png").exists()


def test_png(tmp_path):
    pytest.importorskip("cairosvg")
    utils.plot_model(branched(), tmp_path / "net.png", dpi=96)
    assert (tmp_path / "net.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
