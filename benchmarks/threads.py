"""Kernels on one thread and on two, beside what the cost model takes them to need, and whole steps.

    python benchmarks/threads.py [mlp] [cnn] [autoencoder] [inception] [finetune]

A phase of a kernel is run many times within one native call, by one member and by two who wait for each other
after each turn. `GRAIN` in `graphc/codegen/team.py` is the time, in barriers, from which two are quicker.
The CPU time of the slower of its two pieces says how well a phase is divided, also on a busy machine.
"""

from __future__ import annotations

import ctypes
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import graphc
from graphc import layers
from graphc.codegen.loader import Code, load
from graphc.codegen.module_text import module
from graphc.codegen.native import NativeRunner
from graphc.codegen.target import host
from graphc.codegen.team import team
from graphc.codegen.team_step import Phase, phases_of
from graphc.codegen.team_text import AWAIT, RECORD, SHARE
from graphc.codegen.text import Function
from graphc.ir import dims

ROUNDS, SECONDS, LONG = 12, 150e-6, 20.0


def mlp() -> graphc.Sequential:
    return graphc.Sequential(
        [
            layers.Input((784,)),
            layers.Dense(512, activation="relu"),
            layers.Dense(256, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def cnn() -> graphc.Sequential:
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


def autoencoder() -> graphc.Sequential:
    """That of the Keras blog: three times down, three times up."""

    def conv(channels: int, **more: str) -> layers.Conv2D:
        return layers.Conv2D(channels, 3, **({"activation": "relu", "padding": "same"} | more))

    down = [x for c in (16, 8, 8) for x in (conv(c), layers.MaxPooling2D(2, padding="same"))]
    up = [x for c in (conv(8), conv(8), conv(16, padding="valid")) for x in (c, layers.UpSampling2D(2))]
    return graphc.Sequential([layers.Input((28, 28, 1)), *down, *up, conv(1, activation="sigmoid")])


def inception(top: bool = True) -> graphc.Model:
    """InceptionV3 with other weights than published ones."""
    return graphc.applications.InceptionV3(include_top=top, input_shape=(299, 299, 3), weights=None)


def finetune() -> graphc.Model:
    """InceptionV3 below another classifier, all of it trained."""
    base = inception(top=False)
    x = layers.GlobalAveragePooling2D()(base.output)
    return graphc.Model(base.input, layers.Dense(10, activation="softmax")(x))


@dataclass(frozen=True)
class Workload:
    """A model, the size of a batch, and whether it is trained, or predicts."""

    make: Callable[[], graphc.Model]
    batch: int
    train: bool = True


WORKLOADS = {
    "mlp": Workload(mlp, 128),
    "cnn": Workload(cnn, 64),
    "autoencoder": Workload(autoencoder, 128),
    "inception": Workload(inception, 1, train=False),
    "finetune": Workload(finetune, 8),
}
QUICK = ("mlp", "cnn", "autoencoder")


def step_of(name: str, threads: int) -> Callable[[], object]:
    """A step on data of its own; what is compiled is its attribute `step`."""
    work = WORKLOADS[name]
    graphc.utils.set_random_seed(0)
    model, rng = work.make(), np.random.default_rng(0)
    x = rng.random((work.batch, *model.input_shape[1:])).astype(np.float32)
    data = (x, x if name == "autoencoder" else rng.integers(0, 10, work.batch)) if work.train else (x,)
    if work.train:
        by_pixels = name == "autoencoder"
        loss = "binary_crossentropy" if by_pixels else "sparse_categorical_crossentropy"
        model.compile("adam" if by_pixels else graphc.optimizers.SGD(1e-5), loss)
    step = graphc.compile(model, step="train" if work.train else None, threads=threads)
    step(*data)

    def run() -> object:
        return step(*data)

    run.step = step  # type: ignore[attr-defined]
    return run


# -- phases --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Repeated:
    """The phases of a step, run many times in one native call, by the caller or by two members. `keep` has
    the results of its last run, which they write again.
    """

    runner: NativeRunner
    code: Code
    keep: object

    def two(self, phase: Phase, turns: int) -> float:
        """Seconds of a turn of two members, who wait for each other behind it."""
        records = np.zeros(RECORD * turns, np.uint8)
        return self._run("by_two", phase, turns, 2, records.ctypes.data)[0]

    def piece(self, phase: Phase, turns: int, number: int, count: int) -> tuple[float, float]:
        """Seconds, and seconds of CPU time, of one of `count` pieces by the caller."""
        return self._run("piece", phase, turns, 1, number, count)

    def _run(self, task: str, phase: Phase, turns: int, members: int, *more: int) -> tuple[float, float]:
        program, table = self.runner.program, self.runner._free[-1].table.ctypes.data
        address, sizes = program.code.address(phase.symbol), table + 8 * program.layout.symbols_at
        argument = (ctypes.c_int64 * 6)(address, table, sizes, turns, *more)
        wall, cpu = time.perf_counter(), time.thread_time()
        team().run(members, self.code.address(task), ctypes.addressof(argument))
        return (time.perf_counter() - wall) / turns, (time.thread_time() - cpu) / turns


def repeated(run: Callable[[], object], runner: NativeRunner) -> Repeated:
    def begin(name: str) -> tuple[Function, list[str], list[str]]:
        f = Function(name, "i64 %member, i64 %pieces, ptr %argument")
        pointers = [f.load("ptr", f.at("ptr", "%argument", i)) for i in (0, 1, 2)]
        return f, pointers, [f.load("i64", f.at("i64", "%argument", i)) for i in (3, 4, 5)]

    f, (phase, table, sizes), (turns, records, _) = begin("by_two")
    with f.loop(0, turns, 1) as turn:
        record = f(f"inttoptr i64 {f.add(records, f.mul(turn.i, RECORD))} to ptr")
        what = f"ptr {phase}, ptr {table}, ptr {sizes}"
        f.do(f"call void @{SHARE}({what}, i64 %member, i64 %pieces, ptr {record})")
        f.do(f"call void @{AWAIT}(ptr {record}, i64 %pieces)")
    g, (phase, table, sizes), (turns, number, count) = begin("piece")
    with g.loop(0, turns, 1):
        g(f"call i64 {phase}(ptr {table}, ptr {sizes}, i64 {number}, i64 {count})")
    code = load([module(f.text(), g.text(), target=host())], host(), 0, team().symbols)
    return Repeated(runner, code, (run, run()))


def show_phases(name: str) -> None:
    run = step_of(name, 2)
    compiled = run.step.compiled  # type: ignore[attr-defined]
    lowered = compiled.lowered
    times = repeated(run, compiled._runner)
    print(f"\n{name}: phase, us alone, us estimated, two members quicker by, by the slower piece")
    total = shared = 0.0
    for phase in phases_of(lowered.steps, lowered.layout, lowered.target):
        estimate = dims.evaluate(phase.time, compiled.last_sizes) * 1e-12
        divided = estimate * 1e12 >= team().grain
        wall, alone, two, piece = measured(times, phase)
        total += alone
        shared += piece if divided else alone
        print(
            f"  {phase.symbol[7:47]:40} {1e6 * alone:9.2f} {1e6 * estimate:9.2f} {wall / two:6.2f}"
            f" {alone / piece:6.2f} {'divided' if divided else ''}"
        )
    ratio = total / shared
    print(f"  all phases {1e3 * total:.3f} ms; with the slower pieces {1e3 * shared:.3f} ms: {ratio:.2f}")


def measured(times: Repeated, phase: Phase) -> tuple[float, float, float, float]:
    """The least seconds of a phase alone, the same of CPU time, of two members, and of the slower piece."""
    turns = max(1, min(200, round(SECONDS / max(times.piece(phase, 1, 0, 1)[0], 1e-7))))
    walls, alone, two, pieces = [], [], [], ([], [])  # type: ignore[var-annotated]
    for _ in range(ROUNDS):
        wall, cpu = times.piece(phase, turns, 0, 1)
        walls.append(wall)
        alone.append(cpu)
        two.append(times.two(phase, turns))
        for i in (0, 1):
            pieces[i].append(times.piece(phase, turns, i, 2)[1])
    return min(walls), min(alone), min(two), max(min(pieces[0]), min(pieces[1]))


def show_steps(names: list[str]) -> None:
    print("\nwhole steps: ms on one thread and on two, quicker by; the least, and the median")
    for name in names:
        runs = [step_of(name, threads) for threads in (1, 2)]
        times: tuple[list[float], list[float]] = ([], [])
        begin = time.perf_counter()
        while time.perf_counter() - begin < LONG:
            for run, seconds in zip(runs, times):
                run()  # the first step after the other's finds cold caches
                start = time.perf_counter()
                run()
                seconds.append(time.perf_counter() - start)
        least, usual = [min(x) for x in times], [statistics.median(x) for x in times]
        for one, two in (least, usual):
            print(f"  {name:12} {1e3 * one:8.3f} {1e3 * two:8.3f} {one / two:6.2f}")


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(QUICK)
    print(f"a barrier takes {1e9 * team().barrier_seconds:.0f} ns; grain {1e-6 * team().grain:.2f} us")
    for each in chosen:
        show_phases(each)
    show_steps(chosen)
