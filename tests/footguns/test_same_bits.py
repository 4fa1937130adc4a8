"""The same seed gives the same bits: in twenty runs, in another process, with a cold and a warm cache."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import hashlib, numpy as np, graphc
from graphc import Input, Sequential, layers
def run():
    graphc.backend.clear_session(); graphc.set_random_seed(7)
    inner = [layers.Dense(33, "tanh"), layers.Dropout(0.3), layers.BatchNormalization()]
    model = Sequential([Input((9,)), *inner, layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).standard_normal((50, 9)).astype("f4")
    model.fit(x, np.arange(50) % 3, batch_size=16, epochs=1, verbose=0)
    return hashlib.sha256(b"".join(w.tobytes() for w in [*model.get_weights(), model(x)])).hexdigest()
"""


def test_twenty_runs_and_another_process():
    scope: dict = {}
    exec(PROGRAM, scope)
    found = {scope["run"]() for _ in range(20)}
    assert len(found) == 1
    other = subprocess.run(
        [sys.executable, "-c", PROGRAM + "print(run())"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "5"},
    )
    assert other.stdout.strip() in found


def test_a_cold_and_a_warm_cache(tmp_path):
    environment = os.environ | {"GRAPHC_CACHE_DIR": str(tmp_path), "GRAPHC_THREADS": "2"}
    program = PROGRAM + "print(run(), graphc.stats()['cache_hits'] > 0)"
    command = [sys.executable, "-c", program]
    cold, warm = (
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()
        for _ in range(2)
    )
    assert warm == [cold[0], "True"]
