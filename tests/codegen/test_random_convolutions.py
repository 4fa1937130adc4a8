"""Convolutions of random sizes, strides, paddings, dilations and groups with their gradients, on small whole
numbers, whose sums are exact: the same as the evaluator's to the last bit.
"""

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.ir import Builder, tensor
from graphc.ir.evaluate import run
from graphc.ir.ops.window import window_counts

CHANNELS, COLUMNS = (1, 2, 3, 8, 15, 16, 17, 33, 50), (1, 2, 3, 4, 7, 8, 9, 16, 17, 33)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


def shapes_of(rng):
    """Attributes of a convolution, and the shapes of image, kernel and result."""
    rank, groups = rng.choice([1, 2, 2]), int(rng.choice([1, 1, 2, 3]))
    each, columns = int(rng.choice(CHANNELS)), int(rng.choice(COLUMNS))

    def draw(low, high):
        return tuple(int(x) for x in rng.integers(low, high, rank))

    size, strides, dilation = draw(1, 5), draw(1, 4), draw(1, 3)
    padding = tuple(zip(draw(0, 4), draw(0, 4)))
    reach = [(k - 1) * d + 1 - sum(p) for k, d, p in zip(size, dilation, padding)]
    spatial = tuple(max(1, r) + more for r, more in zip(reach, draw(0, 8)))
    attributes = {"size": size, "strides": strides, "padding": padding, "dilation": dilation}
    out = window_counts(spatial, size, strides, padding, dilation)
    batch = int(rng.integers(0, 4))
    x, y = (batch, *spatial, each * groups), (batch, *out, columns * groups)
    return {**attributes, "groups": groups}, x, (*size, each, columns * groups), y


@pytest.mark.parametrize("seed", range(3))
def test_random_convolutions_are_exact(seed):
    rng = np.random.default_rng(seed)
    b, given, results = Builder("convolutions"), {}, []
    for i, dtype in enumerate(("f32", "f64", "f32", "f32")):
        attributes, *shapes = shapes_of(rng)
        for name, shape in zip("xky", shapes):
            given[f"{name}{i}"] = rng.integers(-3, 4, shape).astype(f"f{int(dtype[1:]) // 8}")
        x, kernel, y = (b.input(f"{n}{i}", tensor(dtype, *s)) for n, s in zip("xky", shapes))
        results.append(b.relu(b.conv(x, kernel, **attributes) * y))
        results.append(b.conv_data_gradient(y, kernel, sizes=shapes[0][1:-1], **attributes))
        results.append(kernel - 2 * b.conv_weight_gradient(x, y, **attributes))
    b.output(*results)
    graph = b.build()
    for found, expected in zip(compile(graph)(*given.values()), run(graph, given).outputs, strict=True):
        np.testing.assert_array_equal(found, expected)
