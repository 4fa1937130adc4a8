"""What a race found, as it is kept in `results/race/`: a file for each workload and number of threads."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workloads.definition import OURS, PEAK, WARM, Figure

FOLDER = Path(__file__).parent / "results" / "race"
NO_PEERS = (OURS, WARM, PEAK)


@dataclass(frozen=True)
class Row:
    """What one candidate needs: seconds of a step (of CPU with one thread, else by the clock), CPU seconds to
    compile, megabytes at its peak. None is what was not measured.
    """

    name: str
    least: float | None = None
    median: float | None = None
    compile: float | None = None
    memory: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""


@dataclass(frozen=True)
class Reached:
    """A figure: ours over the best of the peers that it names; None if either is not there."""

    what: str
    measure: str
    ratio: float | None
    beside: str
    limit: float
    goal: float

    @property
    def verdict(self) -> str:
        """How the ratio stands to limit and goal, in a word."""
        if self.ratio is None:
            return "not measured"
        return "goal" if self.ratio <= self.goal else "limit" if self.ratio <= self.limit else "missed"


@dataclass(frozen=True)
class Result:
    """A race. `flops` are operations of a step, `peak` those per second of one core; 0 if not known. `size`
    counts a network's layers and parameters.
    """

    name: str
    title: str
    family: str
    threads: int
    rounds: int
    date: str
    command: str
    machine: dict[str, str]
    tolerance: float
    flops: float
    peak: float
    size: dict[str, int]
    rows: list[Row]
    left_out: dict[str, str]
    figures: list[Reached]

    @property
    def best(self) -> Row | None:
        """The peer with the least time."""
        return least_of(self.rows, "least", ())

    def share(self, row: Row) -> float | None:
        """The share of the machine's peak that a candidate reaches."""
        if not (self.flops and self.peak and row.least):
            return None
        return self.flops / row.least / (self.peak * self.threads)


def least_of(rows: Sequence[Row], measure: str, names: Sequence[str]) -> Row | None:
    """The peer, of those named or of all, that has least of something."""
    chosen = [r for r in rows if (r.name in names if names else r.name not in NO_PEERS)]
    return min((r for r in chosen if getattr(r, measure)), key=lambda r: getattr(r, measure), default=None)


def reached(figure: Figure, rows: Sequence[Row]) -> Reached:
    """A figure of these rows."""
    ours = next((getattr(r, figure.measure) for r in rows if r.name == figure.ours), None)
    best = least_of(rows, figure.measure, figure.beside)
    ratio = None if ours is None or best is None else ours / getattr(best, figure.measure)
    beside = best.name if best else ", ".join(figure.beside)
    return Reached(figure.what, figure.measure, ratio, beside, figure.limit, figure.goal)


def differs(answer: list[list[float]], expected: list[list[float]], tolerance: float) -> str:
    """How far an answer is from another, if that is too far."""
    if [len(a) for a in answer] != [len(b) for b in expected]:
        return "its answer has another shape"
    for mine, theirs in zip(answer, expected):
        scale = max((abs(v) for v in theirs), default=0.0)
        far = max((abs(a - b) for a, b in zip(mine, theirs)), default=0.0)
        if not (far <= tolerance * scale and all(map(math.isfinite, mine))):
            return f"its answer differs by {far:.3g}, where numbers are up to {scale:.3g}"
    return ""


# -- files ---------------------------------------------------------------------------------------------------
def place(name: str, threads: int, folder: Path = FOLDER) -> Path:
    return folder / f"{name}-{threads}.json"


def save(result: Result, folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    place(result.name, result.threads, folder).write_text(json.dumps(asdict(result), indent=1) + "\n")


def load(path: Path) -> Result:
    known: dict[str, Any] = json.loads(path.read_text())
    rows = [Row(**r) for r in known["rows"]]
    return Result(**{**known, "rows": rows, "figures": [Reached(**f) for f in known["figures"]]})


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="minutes")
