"""Damaged files: each gives one clear error or a correct load; never a crash, a hang, or other values.

GRAPHC_MUTATIONS sets how many are tried per format, GRAPHC_SEED where they begin.
"""

import io
import json
import os
import time
import warnings
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc import Input, Sequential, layers, models

COUNT = int(os.environ.get("GRAPHC_MUTATIONS", "2000"))
SEED = int(os.environ.get("GRAPHC_SEED", "20"))
FORMATS = [".weights.h5", ".npz", ".safetensors", ".keras"]
INTERESTING = [0, 1, 2, 3, 7, 8, 16, 64, 127, 128, 254, 255]


def build():
    model = Sequential([Input((3,), name="x"), layers.Dense(2, name="body")], name="net")
    model.compile(graphc.optimizers.SGD(0.1, momentum=0.9), "mse")
    return model


@cache
def trained():
    graphc.utils.set_random_seed(4)
    model = build()
    model.fit(np.ones((8, 3), "f4"), np.zeros((8, 2), "f4"), verbose=0)
    return model


def state(model):
    return [v.numpy().tobytes() for v in (*model.weights, *model.optimizer.variables)]


def mutated(whole, random):
    """The file with a few bytes changed, a stretch overwritten, removed or repeated, or cut off."""
    data = bytearray(whole)
    kind, at = random.integers(6), int(random.integers(len(data)))
    length = int(random.integers(1, 64))
    if kind <= 1:
        for _ in range(int(random.integers(1, 4))):
            data[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
    elif kind == 2:
        for _ in range(int(random.integers(1, 9))):
            data[int(random.integers(len(data)))] = INTERESTING[random.integers(len(INTERESTING))]
    elif kind == 3:
        data[at : at + length] = random.bytes(length)
    elif kind == 4:
        source = int(random.integers(len(data)))
        data[at : at + length] = data[source : source + length]
    else:
        del data[at : at + length if random.integers(2) else len(data)]
    return bytes(data)


def load(path, model):
    """The model after loading, or the error; nothing else may come. Without a model, a new one is loaded."""
    before = None
    if model is not None:
        for variable in (*model.weights, *model.optimizer.variables):
            variable.array[...] = 0
        before = state(model)
    result = attempt(model, path)
    if isinstance(result, Exception):
        assert model is None or state(model)[: len(before)] == before
        assert 10 < len(str(result)) < 5000
    return result


def attempt(model, path):
    try:
        if model is None:
            return models.load_model(path)
        model.load_weights(path)
    except graphc.GraphcError as error:
        return error
    return model


@pytest.mark.parametrize("ending", FORMATS)
def test_a_damaged_file_is_refused_or_read_rightly(tmp_path, ending):
    path = Path(tmp_path) / f"w{ending}"
    trained().save(path) if ending == ".keras" else trained().save_weights(path)
    whole, wanted = path.read_bytes(), state(trained())
    model = None if ending == ".keras" else build()
    assert state(load(path, model)) == wanted
    refused = 0
    for number in range(COUNT):
        seed = (SEED, FORMATS.index(ending), number)
        path.write_bytes(mutated(whole, np.random.default_rng(seed)))
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            result = load(path, model)
        assert time.perf_counter() - start < 20, f"seed {seed} took too long"
        if isinstance(result, Exception):
            refused += 1
        elif told:
            assert state(result)[: len(result.weights)] == wanted[: len(result.weights)], f"seed {seed}"
        else:
            assert state(result) == wanted, f"seed {seed} loaded other values"
    print(f"{ending}: {refused} of {COUNT} refused, the others were read rightly (seed {SEED})")
    assert COUNT // 4 < refused <= COUNT
    assert [p.name for p in Path(tmp_path).iterdir()] == [path.name]


DATA = Path(__file__).parents[2] / "data" / "saving"


def test_damaged_files_of_keras_are_refused_or_read(tmp_path):
    """They have no checksums, so that other values may be read; but nothing else may happen."""
    whole, path = (DATA / "keras3.weights.h5").read_bytes(), Path(tmp_path) / "w.weights.h5"
    model = models.load_model(DATA / "keras3.keras")
    refused = 0
    for number in range(COUNT // 8):
        path.write_bytes(mutated(whole, np.random.default_rng((SEED, 9, number))))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            refused += isinstance(attempt(model, path), Exception)
    assert refused > COUNT // 40


NUMBERS = [0, -1, 1.5, True, 10**9, 10**30, float("nan")]
WORDS = [None, *NUMBERS, "", "x", "Dense", "Lambda", [], {}, [1, 2], [None]]


def places(value):
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from places(value[key])


def test_changed_configurations_are_refused_or_read(tmp_path):
    with zipfile.ZipFile(DATA / "keras3.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    refused = 0
    for number in range(COUNT // 20):
        random = np.random.default_rng((SEED, 10, number))
        config = json.loads(members["config.json"])
        found = list(places(config))
        holder, key = found[random.integers(len(found))]
        holder[key] = WORDS[random.integers(len(WORDS))]
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in (members | {"config.json": json.dumps(config)}).items():
                archive.writestr(name, text)
        path = Path(tmp_path) / "m.keras"
        path.write_bytes(file.getvalue())
        refused += isinstance(attempt(None, path), Exception)
    assert COUNT // 80 < refused < COUNT // 20
