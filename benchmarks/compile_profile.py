"""Where the time of a compile goes: tracing, each pass, lowering, text, LLVM, loading.

    python benchmarks/compile_profile.py [rounds]   # measure, and write the JSON and docs/compile_time.md
    python benchmarks/compile_profile.py --draw     # the page again, from the JSON

Each workload is compiled in processes of its own, one thread, with an empty cache; what counts is the CPU
time of each step, the least of all rounds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
from harness import one_thread

ROOT = Path(__file__).parent.parent
RESULT, PAGE = ROOT / "benchmarks/results/compile_profile.json", ROOT / "docs/compile_time.md"
NETWORKS: dict[str, tuple[str, bool, int]] = {
    "MLP, training b128": ("mlp", True, 128),
    "InceptionV3, inference b1": ("inception", False, 1),
    "InceptionV3, fine-tuning b8": ("finetune", True, 8),
}
"""A network of `workloads`, whether it is trained, and the batch size."""
FUNCTION = "NumPy training step"
TITLES = (*NETWORKS, FUNCTION)
COUNTS = {
    "traced": "nodes traced",
    "final": "nodes after the passes",
    "kernels": "kernels",
    "text": "KB of LLVM text",
    "object": "KB of machine code",
}
BEFORE = ("model", "trace", "record", "translate")
STEPS = {
    "start": "imports, start of LLVM",
    "model": "building the model",
    "trace": "trace",
    "record": "first call: recording, and NumPy's work",
    "translate": "log to graph: scheduling, translation",
    "key": "key of the cache",
    "plan": "memory plan",
    "lower": "lowering to loop nests",
    "layout": "layout of the call's table",
    "write": "LLVM text",
    "parse": "LLVM: parse and verify",
    "emit": "LLVM: emit machine code",
    "load": "load",
    "library": "library of products, once per machine",
    "warm": "*all after the trace, from a warm cache*",
}
INTRODUCTION = """\
# Where the time of a compile goes

Written by `python benchmarks/compile_profile.py` from `benchmarks/results/compile_profile.json`; nothing here
is typed by hand. CPU milliseconds of one thread, from processes that begin with an empty cache
(the least of each step; rounds: {rounds}). LLVM runs no passes on its IR: the text is in its final form,
so there is no line for optimisation; what its code generator does is "emit machine code".

"""
NOTES = """
- The time of each pass is that of all its turns in the pipeline. Those that take less than {least} ms in each
  workload are "other passes". `tests/passes/test_work.py` holds that the work of each grows with the number
  of nodes.
- Kernels of one structure are lowered, written and emitted once (`codegen/shared_kernels.py`).
- Names of layers, functions and variables and lines of the source are no part of the key: with other ones
  everything comes from the cache (`tests/graphc/test_recompiling.py`).
- The library is compiled when code that calls it is loaded for the first time on a machine: of each element
  type the products, convolutions, and gradients of these, each on its own. The line above holds all of it; of
  products a call compiles the parts that its sizes want (`codegen/kernels/parts.py`), half of it as a rule.
- In a program of one's own: `f.stages()` lists the passes with their times, `graphc.stats()` counts compiles,
  their seconds, and hits and misses of the cache; `GRAPHC_LOG=compile,cache` tells of each.
"""
LEAST = 5.0


# -- measuring, in a process of its own ----------------------------------------------------------------------
class Clock:
    """CPU milliseconds by step."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    def add(self, step: str, seconds: float) -> None:
        self.found[step] = self.found.get(step, 0.0) + 1000 * seconds

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        begin = thread_time()
        yield
        self.add(step, thread_time() - begin)


def traced_network(clock: Clock, network: str, train: bool, batch: int) -> Any:
    """The graph of a model's step."""
    from workloads.networks import NETWORKS as DEFINED

    import graphc
    from graphc.forward import batch_type

    definition = DEFINED[network]
    with clock("model"):
        model = definition.build(graphc)
        loss: Any = definition.loss
        if loss == "crossentropy":
            loss = graphc.losses.SparseCategoricalCrossentropy(from_logits=definition.logits)
        model.compile("adam" if definition.adam else graphc.optimizers.SGD(definition.rate), loss)
        step = graphc.compile(model, step="train" if train else "predict")
    given = step.example(batch)
    with clock("trace"):
        return step.trace(
            [batch_type(a) for a in given.x],
            [batch_type(a) for a in given.y],
            [None] * len(given.y) if train else (),
        ).graph


def traced_function(clock: Clock) -> Any:
    """The graph of a function on NumPy arrays, recorded by its first call and compiled by its second."""
    from workloads.functions import mlp_arguments, mlp_step

    import graphc
    from graphc.codegen.kernels.library import driver_symbols
    from graphc.codegen.target import host
    from graphc.npjit.native import call

    with clock("library"):  # the second call compiles it
        driver_symbols(["product_f32"], host())
    inner = Clock()
    make = call._runner

    def measured(*arguments: Any) -> Any:
        with inner("native"):
            return make(*arguments)

    call._runner = measured
    given = mlp_arguments("float32", 64, 784, 128, 10)
    f = graphc.jit(mlp_step)
    for step in ("record", "translate"):
        with clock(step):
            f(*given)
    clock.found["translate"] -= inner.found["native"]
    call._runner = make
    return f.compiled.pipeline.traced


def first(x: Any) -> Any:
    return np.exp(x) * 2 + x


def start() -> None:
    """Import and start what every compile needs."""
    import graphc
    from graphc import codegen
    from graphc.ir import Builder, tensor

    b = Builder("first")
    b.output(b.exp(b.input("x", tensor("f32", "B"))))
    codegen.compile(b.build(), cache=False)
    f = graphc.jit(first)
    for _ in range(2):
        f(np.ones((64, 64)))


def profile(clock: Clock, graph: Any) -> dict[str, float]:
    """Compile a graph step by step; how large it is."""
    from graphc import codegen, passes
    from graphc.codegen import loader
    from graphc.codegen.call_entry import call_symbols
    from graphc.codegen.kernels.library import driver_symbols
    from graphc.codegen.lowered import Lowered
    from graphc.codegen.object_cache import Artifact, ObjectCache
    from graphc.codegen.options import resolve
    from graphc.codegen.stages import Stages
    from graphc.codegen.target import host

    options, target, marks = resolve(threads=1), host(), []
    with clock("key"):
        stored = ObjectCache(graph, options, target)
    stages = passes.PassManager(None, [lambda *_: marks.append(thread_time())]).run(graph)
    for stage, begin, end in zip(stages[1:], marks[:-1], marks[1:], strict=True):
        clock.add(f"pass {stage.name.partition('.')[0]}", end - begin)
    pipeline = Stages(graph, options)
    pipeline._all, pipeline._kept = stages, [stages[0], stages[-1]]
    lowered = Lowered(pipeline, target)
    for step, part in (("plan", "plan"), ("lower", "steps"), ("layout", "layout"), ("write", "llvm")):
        with clock(step):
            getattr(lowered, part)
    with clock("parse"):
        module = loader.parse(lowered.llvm, target)
    with clock("emit"):
        data = loader.machine(target).emit_object(module)
    with clock("library"):
        symbols = driver_symbols(lowered.layout.drivers, target)
    with clock("load"):
        loader.Code([data], target, call_symbols() | symbols)
    stored.put(Artifact(data, lowered.layout))
    with clock("warm"):
        codegen.compile(graph, threads=1)
    return {
        "traced": len(graph.nodes),
        "final": len(stages[-1].graph.nodes),
        "kernels": len(lowered.kernels),
        "text": len(lowered.llvm) / 1000,
        "object": len(data) / 1000,
    }


def measure(title: str) -> None:
    """Print the profile of one workload as JSON."""
    clock = Clock()
    with clock("start"):
        start()
    graph = traced_function(clock) if title == FUNCTION else traced_network(clock, *NETWORKS[title])
    sizes = profile(clock, graph)
    print(json.dumps({"steps": clock.found, "sizes": sizes}))


def measured(title: str, rounds: int) -> dict[str, Any]:
    """The least of some processes."""
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            code = tempfile.gettempdir() + "/compile_profile_code"
            environment = os.environ | {"GRAPHC_CACHE_DIR": folder, "PYTHONPYCACHEPREFIX": code}
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            command = [sys.executable, __file__, "--one", title]
            output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        found.append(json.loads(output.stdout.splitlines()[-1]))
    steps = {step: min(f["steps"][step] for f in found) for step in found[0]["steps"]}
    return {"steps": steps, "sizes": found[0]["sizes"]}


# -- the page ------------------------------------------------------------------------------------------------
def page(result: dict[str, Any]) -> str:
    """The page in Markdown."""
    found = [result["workloads"][title]["steps"] for title in TITLES]
    names = list(dict.fromkeys(name for steps in found for name in steps if name.startswith("pass ")))
    listed = [n for n in names if any(steps.get(n, 0.0) >= LEAST for steps in found)]
    rows = [["CPU milliseconds", *TITLES], ["---", *("--:" for _ in TITLES)]]

    def row(title: str, value: Callable[[dict[str, float]], float | None]) -> None:
        rows.append([title, *(_cell(value(steps)) for steps in found)])

    def plain(step: str) -> None:
        row(STEPS[step], lambda steps: steps.get(step))

    order = list(STEPS)
    for step in order[: order.index("key") + 1]:
        plain(step)
    row("**passes**", lambda steps: sum(steps.get(n, 0.0) for n in names))
    for name in listed:
        row(f"&nbsp;&nbsp;{name[5:]}", lambda steps, name=name: steps.get(name))
    row("&nbsp;&nbsp;other passes", lambda s: sum(s.get(n, 0.0) for n in names if n not in listed))
    for step in order[order.index("plan") : order.index("library")]:
        plain(step)
    row("**graph to code in memory**", lambda steps: _sum(steps, names))
    row("**trace to code in memory**", lambda s: _sum(s, names) + sum(s.get(b, 0.0) for b in BEFORE[1:]))
    plain("library")
    plain("warm")
    for key, title in COUNTS.items():
        rows.append([title, *(f"{result['workloads'][t]['sizes'][key]:.0f}" for t in TITLES)])
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    notes = NOTES.format(least=round(LEAST))
    return INTRODUCTION.format(rounds=result["rounds"]) + "\n".join(lines) + "\n" + notes


def _sum(steps: dict[str, float], passes: list[str]) -> float:
    return sum(
        steps.get(n, 0.0)
        for n in (*passes, "key", "plan", "lower", "layout", "write", "parse", "emit", "load")
    )


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--one"]:
        measure(arguments[1])
        return
    if arguments[:1] != ["--draw"]:
        one_thread()
        rounds = int(arguments[0]) if arguments else 3
        workloads = {title: measured(title, rounds) for title in TITLES}
        RESULT.write_text(json.dumps({"rounds": rounds, "workloads": workloads}, indent=1) + "\n")
    PAGE.write_text(page(json.loads(RESULT.read_text())), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(sys.argv[1:])
