"""What watches a pipeline: functions of the stage before and the stage after a pass.

    PassManager("default", [verify_each, Dump("stages")]).run(graph)

`from_environment` gives those that `GRAPHC_DUMP` and `GRAPHC_LOG` ask for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphc.ir.errors import ArgumentError, NumericsError, VerifyError
from graphc.ir.evaluate import Run, run
from graphc.passes.infer import is_typed
from graphc.passes.log import log, wants
from graphc.passes.manager import Observer, Stage


def from_environment() -> list[Observer]:
    """Observers by the environment: `GRAPHC_DUMP=<folder>`, and `compile` and `fusion` of `GRAPHC_LOG`."""
    folder = os.environ.get("GRAPHC_DUMP", "")
    found: list[Observer] = [Dump(folder)] if folder else []
    if wants("compile"):
        found.append(log_each)
    if wants("fusion"):
        found.append(log_fusion)
    return found


def verify_each(before: Stage, after: Stage) -> None:
    """Check the rules of the IR: of the traced graph, if it has types, and of each that a pass changed."""
    if not after.changed and not (after.name == "traced" and is_typed(after.graph)):
        return
    try:
        after.graph.verify()
    except VerifyError as e:
        raise VerifyError(f"after {after.name}: {e}") from e


def log_each(before: Stage, after: Stage) -> None:
    """A log line for each pass that changed the graph, under the topic `compile`."""
    if after.changed:
        change = f"{before.ops} -> {after.ops} nodes"
        log("compile", f"@{after.graph.name}: {after.name}: {change}, {after.milliseconds:.1f} ms")


def log_fusion(before: Stage, after: Stage) -> None:
    """Log lines of what was fused with what, and why neighbours were not, under the topic `fusion`."""
    if after.changed and after.name == "fuse":
        from graphc.passes.explain import explain

        for line in str(explain(before.graph)).splitlines():
            log("fusion", line)


class Dump:
    """Writes each stage that differs to a file, in a folder per graph: `train/00_traced.gir`,
    `train/01_cse.gir`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.root, self.folder, self.count = Path(folder), Path(folder), 0

    def __call__(self, before: Stage, after: Stage) -> None:
        if after.name == "traced":
            self.folder, self.count = _new_folder(self.root, after.graph.name or "graph"), 0
        elif not after.changed:
            return
        path = self.folder / f"{self.count:02}_{after.name}.gir"
        path.write_text(f"{after.graph}\n", encoding="utf-8")
        self.count += 1


def _new_folder(root: Path, name: str) -> Path:
    """A folder for one run: `name`, or `name.1`, `name.2`, ... where there is one already."""
    word = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    number = 0
    while True:
        folder = root / (f"{word}.{number}" if number else word)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if root.exists() and not root.is_dir():
                raise ArgumentError(f"{root} is not a folder") from None
            number += 1
        except OSError as e:
            raise ArgumentError(f"can't write stages to {root}: {e.strerror}") from e
        else:
            return folder


class Compare:
    """Runs each stage with NumPy and compares it with the traced one; NumericsError names the pass that
    differs.

    Numbers may differ by `rounding` units in the last place of the largest one; 0 asks for equal bits.
    """

    def __init__(self, inputs: Mapping[str, Any], rounding: float = 0.0) -> None:
        self.inputs, self.rounding = inputs, rounding
        self.expected: Run | None = None

    def __call__(self, before: Stage, after: Stage) -> None:
        if after.name == "traced":
            self.expected = run(after.graph, self.inputs)
            return
        if not after.changed or self.expected is None:
            return
        found = run(after.graph, self.inputs)
        pairs = list(zip(self.expected.outputs, found.outputs))
        names = [f"output {i}" for i in range(len(pairs))] + [f"update of %{n}" for n in found.updates]
        pairs += [(self.expected.updates[n], x) for n, x in found.updates.items()]
        for name, (wanted, x) in zip(names, pairs):
            worst = difference(wanted, x)
            if worst > self.rounding:
                raise NumericsError(
                    f"after {after.name}: {name} differs by {worst:.3g} units in the last place"
                )


def difference(expected: np.ndarray, found: np.ndarray) -> float:
    """How far two arrays are apart, in units in the last place of the largest finite expected number.

    Infinite where shapes, types, NaNs or infinities differ. The sign of a zero counts as a difference only if
    all else is equal: then it is the smallest positive number.
    """
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return float("inf")
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(expected, found) else float("inf")
    special = ~np.isfinite(expected)
    if not np.array_equal(expected[special], found[special], equal_nan=True) or not np.all(
        np.isfinite(found[~special])
    ):
        return float("inf")
    wanted, given = expected[~special].astype(np.float64), found[~special].astype(np.float64)
    if np.array_equal(wanted, given):
        signs = np.array_equal(np.signbit(wanted), np.signbit(given))
        return 0.0 if signs else float(np.finfo(np.float64).tiny)
    unit = float(np.spacing(np.max(np.abs(expected[~special]))))
    return float(np.max(np.abs(wanted - given))) / unit
