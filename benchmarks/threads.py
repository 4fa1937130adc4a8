"""Kernels on one thread and on two, beside what the cost model takes them to need, and whole steps.

    python benchmarks/threads.py [mlp] [cnn] [autoencoder]

A phase of a kernel is run many times within one native call, by one member and by two who wait for each other
after each turn. `GRAIN` in `graphc/codegen/team.py` is the time, in barriers, from which two are quicker.
What the slower of its two pieces takes by itself says how well a phase is divided, also on a busy machine.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import graphc
from graphc import layers
from graphc.codegen.loader import load
from graphc.codegen.native import NativeRunner
from graphc.codegen.target import host
from graphc.codegen.team import Team, team
from graphc.codegen.team_step import Phase, phases_of
from graphc.codegen.team_text import AWAIT, RECORD, SHARE
from graphc.codegen.text import Function, module
from graphc.ir import dims

ROUNDS, SECONDS = 12, 150e-6


def mlp(batch: int) -> graphc.Sequential:
    return graphc.Sequential(
        [
            layers.Input((784,)),
            layers.Dense(512, activation="relu"),
            layers.Dense(256, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def cnn(batch: int) -> graphc.Sequential:
    return graphc.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def autoencoder(batch: int) -> graphc.Sequential:
    """That of the Keras blog: three times down, three times up."""

    def conv(channels: int, **more: str) -> layers.Conv2D:
        return layers.Conv2D(channels, 3, **({"activation": "relu", "padding": "same"} | more))

    down = [x for c in (16, 8, 8) for x in (conv(c), layers.MaxPooling2D(2, padding="same"))]
    up = [x for c in (conv(8), conv(8), conv(16, padding="valid")) for x in (c, layers.UpSampling2D(2))]
    return graphc.Sequential([layers.Input((28, 28, 1)), *down, *up, conv(1, activation="sigmoid")])


WORKLOADS: dict[str, tuple[Callable[[int], graphc.Sequential], int]] = {
    "mlp": (mlp, 128),
    "cnn": (cnn, 64),
    "autoencoder": (autoencoder, 128),
}


def step_of(name: str, threads: int) -> Callable[[], object]:
    """A training step on data of its own; the compiled step is its attribute `step`."""
    make, batch = WORKLOADS[name]
    graphc.utils.set_random_seed(0)
    model, rng = make(batch), np.random.default_rng(0)
    x = rng.random((batch, *model.input_shape[1:])).astype(np.float32)
    y = x if name == "autoencoder" else rng.integers(0, 10, batch)
    loss = "binary_crossentropy" if y is x else "sparse_categorical_crossentropy"
    model.compile("adam" if y is x else graphc.optimizers.SGD(1e-5), loss)
    step = graphc.compile(model, step="train", threads=threads)
    step(x, y)

    def run() -> object:
        return step(x, y)

    run.step = step  # type: ignore[attr-defined]
    run.arrays = (x, y)  # type: ignore[attr-defined]
    return run


# -- phases --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Repeated:
    """Phases of a step, run alone or by two members; `keep` holds what their pointers point to."""

    team: Team
    task: int
    piece: int
    frame: object
    code: object
    keep: object

    def seconds(self, phase: Phase, members: int, turns: int) -> float:
        """The time of one turn."""
        address = self.keep[1].program.code.address(phase.symbol)  # type: ignore[index]
        table = self.frame.table  # type: ignore[attr-defined]
        sizes = table.ctypes.data + 8 * self.keep[1].program.layout.symbols_at  # type: ignore[index]
        records = np.zeros(RECORD * turns, np.uint8)
        argument = (ctypes.c_int64 * 5)(address, table.ctypes.data, sizes, records.ctypes.data, turns)
        start = time.perf_counter()
        self.team.run(members, self.task, ctypes.addressof(argument))
        return (time.perf_counter() - start) / turns

    def piece_seconds(self, phase: Phase, piece: int, turns: int) -> float:
        """The time of one of two pieces, by the caller."""
        address = self.keep[1].program.code.address(phase.symbol)  # type: ignore[index]
        table = self.frame.table  # type: ignore[attr-defined]
        sizes = table.ctypes.data + 8 * self.keep[1].program.layout.symbols_at  # type: ignore[index]
        argument = (ctypes.c_int64 * 5)(address, table.ctypes.data, sizes, piece, turns)
        start = time.perf_counter()
        self.team.run(1, self.piece, ctypes.addressof(argument))
        return (time.perf_counter() - start) / turns


def repeated(run: Callable[[], object], runner: NativeRunner) -> Repeated:
    f = Function("repeat", "i64 %member, i64 %pieces, ptr %argument")
    phase, table, sizes, records = (f.load("ptr", f.at("ptr", "%argument", i)) for i in range(4))
    with f.loop(0, f.load("i64", f.at("i64", "%argument", 4)), 1) as turn:
        record = f.at("i8", records, f.mul(turn.i, RECORD))
        what = f"ptr {phase}, ptr {table}, ptr {sizes}"
        f.do(f"call void @{SHARE}({what}, i64 %member, i64 %pieces, ptr {record})")
        f.do(f"call void @{AWAIT}(ptr {record}, i64 %pieces)")
    g = Function("piece", "i64 %member, i64 %pieces, ptr %argument")
    phase, table, sizes = (g.load("ptr", g.at("ptr", "%argument", i)) for i in range(3))
    number, turns = (g.load("i64", g.at("i64", "%argument", i)) for i in (3, 4))
    with g.loop(0, turns, 1):
        g(f"call i64 {phase}(ptr {table}, ptr {sizes}, i64 {number}, i64 2)")
    code = load([module(f.text(), g.text(), target=host())], host(), 0, team().symbols)
    tasks = code.address("repeat"), code.address("piece")
    return Repeated(team(), *tasks, runner._free[-1], code, (run, runner))


def show_phases(name: str) -> None:
    run = step_of(name, 2)
    compiled = run.step.compiled  # type: ignore[attr-defined]
    lowered, runner = compiled.lowered, compiled._runner
    found = phases_of(lowered.steps, lowered.layout, lowered.target)
    times = repeated(run, runner)
    print(f"\n{name}: phase, us alone, us estimated, two members quicker by, by the slower piece")
    total = shared = 0.0
    for phase in found:
        estimate = dims.evaluate(phase.time, compiled.last_sizes) * 1e-12
        turns = max(1, min(200, round(SECONDS / max(times.seconds(phase, 1, 1), 1e-7))))
        best = [1.0] * 4
        for _ in range(ROUNDS):
            for i in (0, 1):
                best[i] = min(best[i], times.seconds(phase, i + 1, turns))
                best[i + 2] = min(best[i + 2], times.piece_seconds(phase, i, turns))
        alone, two, piece = best[0], best[1], max(best[2:])
        total += alone
        shared += piece if estimate * 1e12 >= team().grain else alone
        mark = "divided" if estimate * 1e12 >= team().grain else ""
        print(
            f"  {phase.symbol[7:47]:40} {1e6 * alone:9.2f} {1e6 * estimate:9.2f} {alone / two:6.2f}"
            f" {alone / piece:6.2f} {mark}"
        )
    print(
        f"  all phases {1e3 * total:.3f} ms; with the slower pieces {1e3 * shared:.3f}: {total / shared:.2f}"
    )


def show_steps(names: list[str]) -> None:
    print("\nwhole steps: ms on one thread, on two, quicker by")
    for name in names:
        runs, best = [step_of(name, threads) for threads in (1, 2)], [1.0, 1.0]
        for _ in range(ROUNDS):
            for i, run in enumerate(runs):
                for _ in range(6):
                    start = time.perf_counter()
                    run()
                    best[i] = min(best[i], time.perf_counter() - start)
        print(f"  {name:12} {1e3 * best[0]:8.3f} {1e3 * best[1]:8.3f} {best[0] / best[1]:6.2f}")


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(WORKLOADS)
    print(f"a barrier takes {1e9 * team().barrier_seconds:.0f} ns; grain {1e-6 * team().grain:.2f} us")
    for each in chosen:
        show_phases(each)
    show_steps(chosen)
