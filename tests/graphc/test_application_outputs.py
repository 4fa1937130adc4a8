"""The numbers that applications compute, against Keras's for the same weights and images."""

import json
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc import applications

OUTPUTS = json.loads((Path(__file__).parents[1] / "golden" / "applications" / "outputs.json").read_text())
SIZES = {"Xception": 71, "InceptionV3": 75}
QUICK = {"MobileNetV2"}


def weight(index, path, shape, dtype):
    """Values for the weight at this place of the model's list: their spread is that of a trained model."""
    rng = np.random.default_rng(index + 17)
    name = path.split("/")[-1]
    if name.endswith("kernel"):
        depthwise = name == "depthwise_kernel" or "dw" in path or "depthwise" in path
        fan = np.prod(shape[:-2] if depthwise else shape[:-1])
        values = rng.normal(0, 1, shape) * np.sqrt(2 / max(1, int(fan)))
    elif name == "gamma":
        values = rng.uniform(0.8, 1.2, shape)
    elif name.endswith("variance"):
        values = rng.uniform(0.7, 1.4, shape)
    elif name == "count":
        values = np.zeros(shape)
    else:
        values = rng.normal(0, 0.1, shape)
    return values.astype(dtype)


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in sorted(OUTPUTS)]
)
def test_outputs_are_those_of_keras(name):
    graphc.backend.clear_session()
    size = SIZES.get(name, 32)
    make = getattr(applications, name)
    model = make(weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None)
    model.set_weights([weight(i, w.path, w.shape, w.dtype) for i, w in enumerate(model.weights)])
    images = np.random.default_rng(3).uniform(-1, 1, (2, size, size, 3)).astype("float32")
    if name.startswith("EfficientNet"):
        images = (images + 1) * 127
    expected = np.array(OUTPUTS[name])
    np.testing.assert_allclose(model(images), expected, rtol=0, atol=1e-4 * np.abs(expected).max())
