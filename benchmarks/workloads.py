"""What `race.py` runs: workloads, and who takes part.

A candidate is an entry of the dict that a function of a module gives: `function(*arguments)[key]` is a call
without arguments that does the work once, or `calls` times, and gives the loss or an output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness import OURS


@dataclass(frozen=True)
class Candidate:
    """Where a candidate is made. `name` is how tables call it."""

    name: str
    module: str
    function: str
    key: str
    calls: int = 1


@dataclass(frozen=True)
class Workload:
    """Work that all candidates do on the same data and weights; `answer_rtol`: how far answers may differ."""

    name: str
    title: str
    arguments: tuple[Any, ...]
    candidates: tuple[Candidate, ...]
    answer_rtol: float = 1e-3

    def candidate(self, name: str) -> Candidate:
        """The candidate of that name."""
        return next(c for c in self.candidates if c.name == name)


SCAN = "jax scan (20 steps)"
DENSE = (
    Candidate(OURS, "training", "graphc_step", "graphc step"),
    Candidate("NumPy", "training", "numpy_step", "NumPy"),
    Candidate("torch", "training", "torch_step", "torch"),
    Candidate("torch.compile", "training", "torch_step", "torch.compile"),
    Candidate("jax.jit", "training", "jax_step", "jax.jit"),
    Candidate("jax scan", "training", "jax_step", SCAN, calls=20),
)
PREDICT = (
    Candidate(OURS, "inference", "graphc_predict", OURS),
    Candidate("NumPy", "inference", "numpy_predict", "NumPy"),
    Candidate("torch", "inference", "torch_predict", "torch"),
    Candidate("torch.compile", "inference", "torch_predict", "torch.compile"),
    Candidate("jax.jit", "inference", "jax_predict", "jax.jit"),
)
MLP, TINY = (784, 512, 256, 10), (32, 64, 64, 1)
WORKLOADS = {
    w.name: w
    for w in (
        Workload("mlp128", "MLP 784-512-256-10, SGD, batch 128", (MLP, 128), DENSE),
        Workload("mlp32", "MLP 784-512-256-10, SGD, batch 32", (MLP, 32), DENSE),
        Workload("tiny", "tiny MLP 32-64-64-1, Adam, batch 32", (TINY, 32), DENSE),
        Workload("predict1", "MLP 784-512-256-10, prediction, batch 1", (MLP, 1), PREDICT),
        Workload("predict128", "MLP 784-512-256-10, prediction, batch 128", (MLP, 128), PREDICT),
    )
}
