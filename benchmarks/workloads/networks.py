"""Workloads on networks of layers: each model is written once, in the names that graphc and Keras share.

graphc and Keras build it from here; the others get its layers, weights and data as files (`described.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workloads.definition import OURS, WARM, Candidate, Figure, Workload

Model = Callable[[Any], Any]


# -- models --------------------------------------------------------------------------------------------------
def dense(*widths: int) -> Model:
    """Dense layers with relu; the last one gives logits, or a number."""

    def build(keras: Any) -> Any:
        hidden = [keras.layers.Dense(w, activation="relu") for w in widths[1:-1]]
        return keras.Sequential([keras.Input((widths[0],)), *hidden, keras.layers.Dense(widths[-1])])

    return build


def autoencoder(keras: Any) -> Any:
    """That of the guide to the functional interface."""
    layers = keras.layers
    image = x = keras.Input((28, 28, 1))
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, activation="relu")(x)
    x = layers.MaxPooling2D(3)(x)
    for filters in (32, 16):
        x = layers.Conv2D(filters, 3, activation="relu")(x)
    x = layers.Reshape((4, 4, 1))(layers.GlobalMaxPooling2D()(x))
    for filters in (16, 32):
        x = layers.Conv2DTranspose(filters, 3, activation="relu")(x)
    x = layers.UpSampling2D(3)(x)
    for filters in (16, 1):
        x = layers.Conv2DTranspose(filters, 3, activation="relu")(x)
    return keras.Model(image, x)


def cnn(keras: Any) -> Any:
    layers = keras.layers
    image = x = keras.Input((28, 28, 1))
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, activation="relu")(x)
    x = layers.Dense(128, activation="relu")(layers.Flatten()(layers.MaxPooling2D(2)(x)))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def inception(keras: Any) -> Any:
    return keras.applications.InceptionV3(weights=None)


def classifier(frozen: bool) -> Model:
    """InceptionV3 with a new head for 5 classes."""

    def build(keras: Any) -> Any:
        base = keras.applications.InceptionV3(include_top=False, input_shape=(299, 299, 3), weights=None)
        base.trainable = not frozen
        x = keras.layers.GlobalAveragePooling2D()(base.output)
        return keras.Model(base.input, keras.layers.Dense(5, activation="softmax")(x))

    return build


@dataclass(frozen=True)
class Network:
    """A model, and how it is trained: "crossentropy" has class numbers as targets, of `logits` or of what
    softmax gives; "mse" the images themselves or random numbers. Adam for `adam`, else SGD.

    Rates are small enough that no network learns its batch by heart: then it multiplies denormals.
    """

    build: Model
    loss: str
    rate: float
    logits: bool = False
    adam: bool = False


NETWORKS = {
    "mlp": Network(dense(784, 512, 256, 10), "crossentropy", 1e-3, logits=True),
    "tiny": Network(dense(32, 64, 64, 1), "mse", 1e-4, adam=True),
    "autoencoder": Network(autoencoder, "mse", 1e-3),
    "cnn": Network(cnn, "crossentropy", 1e-3),
    "inception": Network(inception, "crossentropy", 1e-4),
    "transfer": Network(classifier(True), "crossentropy", 1e-4),
    "finetune": Network(classifier(False), "crossentropy", 1e-6),
}


@dataclass(frozen=True)
class Case:
    """A model of `NETWORKS`, whether it is trained or predicts, and how many samples at once."""

    model: str
    train: bool
    batch: int

    @property
    def network(self) -> Network:
        return NETWORKS[self.model]


# -- who takes part ------------------------------------------------------------------------------------------
def keras(backend: str, package: str) -> Candidate:
    options = {"backend": backend.lower()}
    return Candidate(f"Keras on {backend}", "with_keras:network", ("keras", package), options)


def candidates(case: Case) -> tuple[Candidate, ...]:
    """Everybody who can do a case. For InceptionV3 Keras on JAX runs the program that jax.jit would. Scans of
    convolutions have to be asked for, since XLA takes 4 to 40 times longer for a step of one.
    """
    dense, large = case.model in ("mlp", "tiny"), case.model in ("inception", "transfer", "finetune")
    n, predict, torch = 20 if dense else 4, not case.train, ("with_torch:network", ("torch",))
    everybody = (
        (True, Candidate(OURS, "with_graphc:network", ("graphc",))),
        (True, Candidate(WARM, "with_graphc:network", ("graphc",), timed=False)),
        (dense, Candidate("NumPy", "with_numpy:network", ("numpy",))),
        (True, Candidate("torch", *torch, {"compiled": False})),
        (True, Candidate("torch.compile", *torch, {"compiled": True}, slow=case.model == "finetune")),
        (not large, Candidate("jax.jit", "with_jax:network", ("jax",))),
        (
            case.train and not large,
            Candidate("jax scan", "with_jax:network", ("jax",), {"scan": n}, steps=n, slow=not dense),
        ),
        (True, keras("JAX", "jax")),
        (True, keras("TensorFlow", "tensorflow")),
        (predict, Candidate("ONNX Runtime", "with_exported:onnxruntime", ("torch", "onnx", "onnxruntime"))),
        (predict, Candidate("OpenVINO", "with_exported:openvino", ("torch", "openvino"))),
    )
    return tuple(candidate for takes_part, candidate in everybody if takes_part)


def workload(name: str, title: str, case: Case, *figures: Figure, **more: Any) -> Workload:
    """The workload of a case. A training step should also need no more memory than torch's."""
    if case.train:
        figures = (*figures, Figure(1.0, 1.0, "memory", "peak memory", beside=("torch",)))
    answer = "losses" if case.train else "outputs"
    family = "training" if case.train else "inference"
    prepare = "with_graphc:prepare"
    return Workload(name, title, family, case, candidates(case), figures, prepare, answer, **more)


TWO = {"threads": (1, 2)}
COMPILE = (
    Figure(0.1, 0.1, "compile", "compile time", beside=("torch.compile",)),
    Figure(0.01, 0.01, "compile", "compile time, warm cache", WARM, ("torch.compile",)),
)
WORKLOADS = (
    workload("mlp128", "MLP training, batch 128", Case("mlp", True, 128), Figure(0.9, 0.85), **TWO),
    workload("mlp32", "MLP training, batch 32", Case("mlp", True, 32), Figure(0.9, 0.85), **TWO),
    workload("predict1", "MLP inference, batch 1", Case("mlp", False, 1), Figure(0.95, 0.9)),
    workload("predict128", "MLP inference, batch 128", Case("mlp", False, 128), Figure(0.95, 0.9)),
    workload("tiny", "tiny MLP, Adam, batch 32", Case("tiny", True, 32), Figure(0.8, 0.7)),
    workload(
        "autoencoder32", "autoencoder training, batch 32", Case("autoencoder", True, 32), Figure(0.9, 0.8)
    ),
    workload(
        "autoencoder128",
        "autoencoder training, batch 128",
        Case("autoencoder", True, 128),
        Figure(0.9, 0.8),
        **TWO,
    ),
    workload("cnn64", "CNN training, batch 64", Case("cnn", True, 64), Figure(0.95, 0.85), **TWO),
    workload("cnn-predict1", "CNN inference, batch 1", Case("cnn", False, 1), Figure(1.0, 1.0)),
    workload("cnn-predict64", "CNN inference, batch 64", Case("cnn", False, 64), Figure(1.0, 1.0)),
    workload(
        "inception1",
        "InceptionV3 inference, batch 1",
        Case("inception", False, 1),
        Figure(1.1, 1.0),
        seconds=4.0,
        tolerance=1e-3,
    ),
    workload(
        "transfer8",
        "InceptionV3 transfer, batch 8",
        Case("transfer", True, 8),
        Figure(0.8, 0.75),
        seconds=8.0,
        tolerance=1e-3,
    ),
    workload(
        "finetune8",
        "InceptionV3 fine-tuning, batch 8",
        Case("finetune", True, 8),
        Figure(1.0, 0.9),
        *COMPILE,
        seconds=12.0,
        tolerance=1e-3,
    ),
)
