"""What a workload is: work that several candidates do on the same data, and figures that it should reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

OURS = "graphc"
WARM = "graphc, warm cache"
PEAK = "peak of multiply-adds"


@dataclass(frozen=True)
class Ready:
    """What a candidate does in its turn; and how many floating-point operations that has, if it is known."""

    call: Callable[[], Any]
    flops: Callable[[], float] = lambda: 0.0


Build = Callable[[], Ready]
"""Compiles. What comes before it, such as imports, data and the building of layers, is not measured."""


@dataclass(frozen=True)
class Candidate:
    """Who takes part. `make` names a function, "module:function" of this package, that takes the workload's
    case, the folder of its data and `options`, and gives a `Build`; for a process, the text of a script.

    packages: what has to be installed, for an interpreter to do it.
    steps: how many steps a call does.
    slow: it takes minutes, and is left out unless it is asked for.
    settle: calls before it is ready: what traces code tries several ways first.
    timed: whether it has turns, or is there only for what it takes to compile.
    """

    name: str
    make: str
    packages: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 1
    settle: int = 1
    slow: bool = False
    timed: bool = True


@dataclass(frozen=True)
class Figure:
    """A ratio of ours to the best of some peers (all, if none is named), its limit and goal; `measure`: least
    (time of a call), compile, or memory.
    """

    limit: float
    goal: float
    measure: str = "least"
    what: str = ""
    ours: str = OURS
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Workload:
    """Work for all candidates.

    case: what the candidates' functions are given.
    prepare: "module:function" that writes data and weights into a folder, in a process that has graphc.
    answer: "losses" are the first three, "outputs" all numbers of a call, of which a sample is compared.
    tolerance: how far an answer may be from the first candidate's, as a share of its largest number.
    seconds: how long each candidate is timed, about.
    process: whether a call is a whole process, from start to end.
    threads: how many threads the default run uses.
    """

    name: str
    title: str
    family: str
    case: Any
    candidates: tuple[Candidate, ...]
    figures: tuple[Figure, ...] = ()
    prepare: str = ""
    answer: str = "outputs"
    tolerance: float = 1e-4
    seconds: float = 1.5
    process: bool = False
    threads: tuple[int, ...] = (1,)

    def candidate(self, name: str) -> Candidate:
        """The candidate of that name."""
        return next(c for c in (*self.candidates, MEASURED_PEAK) if c.name == name)


MEASURED_PEAK = Candidate(PEAK, "with_graphc:peak", ("graphc",))
"""Has its turn in every race on graphs, so that shares of the peak are those of the same minutes."""
