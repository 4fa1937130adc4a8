"""Whole convolutional models beside torch, torch.compile, Keras on JAX, ONNX Runtime and OpenVINO on one
thread: `python benchmarks/models.py [NAME ...] [--rounds N]`.

Every candidate runs in a process of its own, with empty caches (graphc once more with a warm one), in turns.
A process tells the time of its first call (tracing and compiling included), the least time of later calls,
its peak memory, and a number made of its results, by which they are compared. Peers that are not installed,
or that can't run a case, are left out.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness import OURS, one_thread, save

PEERS = ("torch", "torch.compile", "keras on jax", "onnxruntime", "openvino")
WARM = f"{OURS}, warm cache"
TURNS, SECONDS = 2, 8.0
"""How often each process runs, and for how long each repeats its call at least."""


@dataclass(frozen=True)
class Case:
    """A model of `MODELS`, what is done with it, and how many samples at once."""

    model: str
    action: str
    batch: int


CASES = {
    "autoencoder train b32": Case("autoencoder", "train", 32),
    "cnn train b64": Case("cnn", "train", 64),
    "inception construct": Case("inception", "construct", 1),
    "inception predict b1": Case("inception", "predict", 1),
    "inception transfer b8": Case("transfer", "train", 8),
    "inception finetune b8": Case("finetune", "train", 8),
}


# -- models, in the names that graphc and Keras share -------------------------------------------------------
def autoencoder(keras: Any) -> Any:
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


def classifier(keras: Any, frozen: bool) -> Any:
    base = keras.applications.InceptionV3(include_top=False, input_shape=(299, 299, 3), weights=None)
    base.trainable = not frozen
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    return keras.Model(base.input, keras.layers.Dense(5, activation="softmax")(x))


MODELS: dict[str, Callable[[Any], Any]] = {
    "autoencoder": autoencoder,
    "cnn": cnn,
    "inception": inception,
    "transfer": lambda keras: classifier(keras, True),
    "finetune": lambda keras: classifier(keras, False),
}


def data(model: Any, batch: int) -> tuple[Any, Any]:
    """Images, and what they are trained towards: themselves, or labels."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.random((batch, *model.input_shape[1:]), "f4")
    return (x, x) if len(model.output_shape) == 4 else (x, rng.integers(0, model.output_shape[-1], batch))


def twin_weights(model: Any) -> None:
    """The same weights in every process."""
    import numpy as np

    rng = np.random.default_rng(1)
    for w in model.weights:
        fan = max(int(np.prod(w.shape[:-1])), 1)
        if len(w.shape) > 1:
            w.assign(rng.standard_normal(w.shape, "f4") * np.float32((1.5 / fan) ** 0.5))


# -- candidates: each gives what a turn calls, and what shows its result ------------------------------------
Call = Callable[[], Any]


def run_graphc(case: Case) -> Call:
    import graphc
    from graphc import applications  # noqa: F401 - models name it

    return keras_like(graphc, case, lambda model: graphc.compile(model))


def run_keras(case: Case) -> Call:
    os.environ["KERAS_BACKEND"] = "jax"
    import jax
    import keras

    def forward(model: Any) -> Call:
        weights = (
            [v.value for v in model.trainable_variables],
            [v.value for v in model.non_trainable_variables],
        )
        call = jax.jit(lambda w, s, x: model.stateless_call(w, s, x)[0])
        return lambda x: jax.block_until_ready(call(*weights, x))

    return keras_like(keras, case, forward)


def keras_like(keras: Any, case: Case, forward: Callable[[Any], Callable[[Any], Any]]) -> Call:
    if case.action == "construct":
        return lambda: MODELS[case.model](keras).count_params()
    model = MODELS[case.model](keras)
    twin_weights(model)
    x, y = data(model, case.batch)
    if case.action == "predict":
        call = forward(model)
        return lambda: float(abs(call(x)).max())
    loss = "mse" if y is x else "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.SGD(1e-4), loss)
    return lambda: float(model.train_on_batch(x, y, return_dict=True)["loss"])


def twin(case: Case) -> tuple[Any, Any, Any]:
    """The torch module with its data."""
    import torch
    from torch_twin import Twin, images

    import graphc

    torch.set_num_threads(1)
    model = MODELS[case.model](graphc)
    twin_weights(model)
    x, y = data(model, case.batch)
    module = Twin(model).to(memory_format=torch.channels_last)
    return module, images(x), images(x) if y is x else torch.from_numpy(y)


def run_torch(case: Case, compiled: bool = False) -> Call:
    import torch
    from torch.nn import functional

    module, x, y = twin(case)
    call = torch.compile(module) if compiled else module
    if case.action == "predict":
        module.eval()

        def predict() -> float:
            with torch.inference_mode():
                return float(call(x).softmax(1).max())

        return predict
    module.train()
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], 1e-4)
    loss_of = functional.mse_loss if y is x or y.dim() == 4 else functional.cross_entropy

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(call(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def run_onnxruntime(case: Case) -> Call:
    import onnxruntime
    import torch

    module, x, _ = twin(case)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.onnx"
        torch.onnx.export(module.eval(), (x,), path, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options)
    given = {session.get_inputs()[0].name: x.contiguous().numpy()}
    return lambda: largest(session.run(None, given)[0])


def run_openvino(case: Case) -> Call:
    import openvino

    module, x, _ = twin(case)
    made = openvino.convert_model(module.eval(), example_input=x)
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(made, "CPU", settings)
    given = x.contiguous().numpy()
    return lambda: largest(compiled(given)[0])


def largest(logits: Any) -> float:
    """The greatest probability."""
    import numpy as np

    e = np.exp(logits - logits.max())
    return float((e / e.sum()).max())


RUNS: dict[str, Callable[[Case], Call]] = {
    OURS: run_graphc,
    WARM: run_graphc,
    "torch": run_torch,
    "torch.compile": lambda case: run_torch(case, compiled=True),
    "keras on jax": run_keras,
    "onnxruntime": run_onnxruntime,
    "openvino": run_openvino,
}
POSSIBLE = {
    "train": (OURS, WARM, "torch", "torch.compile", "keras on jax"),
    "predict": tuple(RUNS),
    "construct": (OURS, "keras on jax"),
}


# -- one process --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Found:
    """What a process tells: seconds of CPU, megabytes, and its first result."""

    first: float
    least: float
    memory: float
    result: float


def spent() -> float:
    """Seconds of CPU of this process and of the compilers that it started and waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def measure(case: Case, candidate: str) -> Found:
    """Run in this process."""
    call = RUNS[candidate](case)
    start = spent()
    result = call()
    first, least, end = spent() - start, float("inf"), time.monotonic() + SECONDS
    while time.monotonic() < end or least == float("inf"):
        start = time.process_time()
        call()
        least = min(least, time.process_time() - start)
    return Found(first, least, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, result)


def in_own_process(name: str, candidate: str, cache: str) -> Found | None:
    """The same in a new process; None if it fails, which its last line tells."""
    folders = {"GRAPHC_CACHE_DIR": cache, "TORCHINDUCTOR_CACHE_DIR": f"{cache}/torch"}
    env = {**os.environ, **folders, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    command = [sys.executable, __file__, "--inside", name, candidate]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  {candidate:20} left out: {(done.stderr.strip().splitlines() or ['?'])[-1][:100]}")
        return None
    return Found(**json.loads(done.stdout.splitlines()[-1]))


def compare(name: str, turns: int) -> dict[str, Any]:
    """All candidates of a case in turns: the least of each figure."""
    best: dict[str, Found] = {}
    candidates = list(POSSIBLE[CASES[name].action])
    print(f"\n{name}")
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as cache:
            for candidate in list(candidates):
                place = cache if candidate in (OURS, WARM) else f"{cache}/{candidate.replace(' ', '_')}"
                found = in_own_process(name, candidate, place)
                if found is None:
                    candidates.remove(candidate)
                    continue
                old = best.get(candidate, found)
                least = [min(a, b) for a, b in zip(asdict(old).values(), asdict(found).values())]
                best[candidate] = Found(*least[:3], found.result)
    fastest = min((f.least for c, f in best.items() if c in PEERS), default=float("nan"))
    for candidate, f in sorted(best.items(), key=lambda item: item[1].least):
        print(
            f"  {candidate:20} {1e3 * f.least:9.1f} ms  {f.least / fastest:5.2f} x best peer   "
            f"first {f.first:7.2f} s   {f.memory:7.0f} MB   result {f.result:.6g}"
        )
    return {"title": name, "rows": [{"name": c, **asdict(f)} for c, f in best.items()]}


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--inside"]:
        one_thread()
        print(json.dumps(asdict(measure(CASES[arguments[1]], arguments[2]))))
        return
    turns = int(arguments[arguments.index("--rounds") + 1]) if "--rounds" in arguments else TURNS
    wanted = [a for a in arguments if not a.startswith("--") and not a.isdigit()]
    chosen = [n for n in CASES if not wanted or any(w in n for w in wanted)]
    results = [compare(name, turns) for name in chosen]
    if chosen == list(CASES):
        save(Path(__file__).stem, results)


if __name__ == "__main__":
    main(sys.argv[1:])
