"""How long each kernel of a compiled graph takes, beside what this machine can do: `f.profile(*arrays)`.

The kernels are those of the compiled step, called where they lie by a second step, in which every call looks
at the clock before and after. It works on copies of the weights, which are put back before each round.

measure(compiled, inputs, rounds) -> Profile    of KernelTime rows, one for each kernel, those in scans too
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.codegen.control_steps import Step
from graphc.codegen.cost import cost_table
from graphc.codegen.kernel_list import KernelStep
from graphc.codegen.meter import Meter
from graphc.codegen.native import NativeProgram
from graphc.codegen.peak import Peak, peak
from graphc.codegen.program import Arrays
from graphc.codegen.report import table
from graphc.codegen.signature import Sizes
from graphc.ir.errors import ArgumentError
from graphc.ir.locations import Location

if TYPE_CHECKING:
    from graphc.codegen.compiled import Compiled

SECONDS, LEAST_ROUNDS, MOST_ROUNDS = 0.5, 4, 500
"""How long rounds go on where their number is not given, and how many there are at least and at most."""


@dataclass(frozen=True)
class KernelTime:
    """The time of one kernel in one call: that of its quickest round.

    `calls` is how often it ran (in a scan: its turns), `flops` and `bytes` are those of all its calls, and
    `estimate` is the time that the cost model took it to need on one core. Rows of kind "scan", "while" and
    "cond" have what control ops need beside the kernels in them, that of kind "copies" the last copies.
    """

    name: str
    kind: str
    seconds: float
    calls: int = 1
    flops: int = 0
    bytes: int = 0
    dtype: str = "f32"
    operations: str = ""
    locations: tuple[Location, ...] = ()
    estimate: float | None = None
    cores: int = 1
    peak: Peak = field(repr=False, default_factory=peak)

    @property
    def gflops(self) -> float:
        """10**9 operations per second."""
        return 1e-9 * self.flops / self.seconds if self.seconds else 0.0

    @property
    def gbytes(self) -> float:
        """10**9 bytes per second, operands and results once."""
        return 1e-9 * self.bytes / self.seconds if self.seconds else 0.0

    @property
    def of_flops(self) -> float:
        """The share of the multiply-adds that the cores can do."""
        return 1e9 * self.gflops / (self.cores * self.peak.flops[self.dtype])

    @property
    def of_memory(self) -> float:
        """The share of the bytes that one core reads from memory; above 1 they were in a cache."""
        return 1e9 * self.gbytes / self.peak.memory

    @property
    def roof(self) -> float:
        """The seconds that it would take at the measured peak, by its operations or by its bytes."""
        each = self.bytes // max(self.calls, 1)
        return self.calls * self.peak.roof(self.flops / max(self.calls, 1), each, self.dtype, self.cores)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that it came from."""
        return tuple(dict.fromkeys(x.layer for x in self.locations if x.layer))

    @property
    def lines(self) -> tuple[str, ...]:
        """The source lines that it came from."""
        return tuple(dict.fromkeys(f"{x.file}:{x.line}" for x in self.locations if x.file))

    @property
    def place(self) -> str:
        """Layers and lines, the first few of them."""
        found = [f"'{name}'" for name in self.layers] + list(self.lines)
        return " ".join(found[:3]) + (" ..." if len(found) > 3 else "")


HEAD = ("kernel", "us", "share", "GFLOP/s", "peak", "GB/s", "memory", "from")
RIGHT = "lrrrrrrl"


@dataclass(frozen=True)
class Profile:
    """The rows of all kernels in order; prints as a table. `call` is the time of the whole call as it is made
    without clocks, in seconds, `total` the sum of the rows.
    """

    rows: tuple[KernelTime, ...]
    call: float
    rounds: int
    threads: int
    peak: Peak
    sizes: Sizes

    def __iter__(self) -> Iterator[KernelTime]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def total(self) -> float:
        """Seconds of all rows."""
        return sum(row.seconds for row in self.rows)

    def slowest(self, count: int = 10) -> list[KernelTime]:
        """The rows that take longest, in falling order."""
        return sorted(self.rows, key=lambda row: -row.seconds)[:count]

    @property
    def title(self) -> str:
        """What was measured."""
        given = "".join(f"{name} = {n}, " for name, n in self.sizes.items())
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        kernels = f"kernels {1e3 * self.total:.3f} ms, the whole call {1e3 * self.call:.3f} ms"
        return f"{given}{threads}, least of {self.rounds} rounds: {kernels}"

    @property
    def footnote(self) -> str:
        """What the percentages refer to."""
        flops = ", ".join(f"{1e-9 * n:.1f} GFLOP/s in {name}" for name, n in self.peak.flops.items())
        return f"peak of one core: {flops}; memory: {1e-9 * self.peak.memory:.1f} GB/s"

    def cells(self) -> list[tuple[str, ...]]:
        """The table's rows as text, with the sums."""
        found = [_cells(row, self.total) for row in self.rows]
        whole = KernelTime("total", "", self.total, flops=sum(r.flops for r in self.rows), peak=self.peak)
        return [*found, ("total", f"{1e6 * self.total:.1f}", "100.0 %", f"{whole.gflops:.1f}", *[""] * 4)]

    def __str__(self) -> str:
        return f"{self.title}\n\n{table(HEAD, self.cells(), RIGHT)}\n\n{self.footnote}"

    __repr__ = __str__

    def __rich__(self) -> Any:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        shown = Table(
            title=self.title, caption=self.footnote, box=SIMPLE_HEAD, title_justify="left", padding=0
        )
        for name, side in zip(HEAD, RIGHT):
            justify: Any = "right" if side == "r" else "left"
            shown.add_column(f" {name}", justify=justify, no_wrap=name != "from")
        for row in self.cells():
            shown.add_row(*(f" {cell}" for cell in row))
        return shown


def _cells(row: KernelTime, total: float) -> tuple[str, ...]:
    name = row.name if row.calls == 1 else f"{row.name} x{row.calls}"
    first = (name, f"{1e6 * row.seconds:.1f}", _percent(row.seconds / total if total else 0.0, 1))
    flops = (f"{row.gflops:.1f}", _percent(row.of_flops))
    memory = (f"{row.gbytes:.1f}", _percent(row.of_memory))
    return (*first, *((*flops, *memory) if row.bytes else [""] * 4), row.place)


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def measure(compiled: Compiled, inputs: Sequence[Any], rounds: int | None = None) -> Profile:
    """Profile a call with these inputs; see `Compiled.profile`."""
    arrays, sizes = compiled.prepared(inputs)
    return profile_of(_program(compiled), compiled.weights, arrays, sizes, rounds)


def profile_of(
    program: NativeProgram, weights: Arrays, inputs: Arrays, sizes: Sizes, rounds: int | None
) -> Profile:
    """Profile a program whose machine code has the names of its kernels."""
    if rounds is not None and rounds < 1:
        raise ArgumentError(f"rounds={rounds} is not possible; choose a number of rounds from 1 on.")
    meter = Meter(program, weights, inputs, sizes)
    start = time.perf_counter()
    while not _is_enough(rounds, len(meter.calls), time.perf_counter() - start):
        meter.call()
        meter.look()
    rows = _Rows(meter, sizes).rows()
    count, threads = len(meter.calls), program.lowered.members
    return Profile(tuple(rows), min(meter.calls), count, threads, peak(), dict(sizes))


def joined(parts: Sequence[Profile]) -> Profile:
    """What runs one after the other, as one profile."""
    first = parts[0]
    rows = tuple(row for part in parts for row in part.rows)
    sizes = {name: n for part in parts for name, n in part.sizes.items()}
    rounds = min(part.rounds for part in parts)
    return replace(first, rows=rows, call=sum(p.call for p in parts), rounds=rounds, sizes=sizes)


def _program(compiled: Compiled) -> NativeProgram:
    """The program whose kernels are measured: what the graph runs by if that is native code."""
    program = compiled.program
    if not isinstance(program, NativeProgram):
        program = NativeProgram(compiled.lowered.pipeline, compiled.options)
    return program.with_own_names()


def _is_enough(rounds: int | None, done: int, seconds: float) -> bool:
    if rounds is not None:
        return done >= rounds
    return done >= MOST_ROUNDS or (done >= LEAST_ROUNDS and seconds > SECONDS)


class _Rows:
    """From marks to rows."""

    def __init__(self, meter: Meter, sizes: Sizes) -> None:
        self.program, self.step, self.marks, self.sizes = meter.program, meter.step, meter.marks, sizes

    def rows(self) -> list[KernelTime]:
        """All rows, in order."""
        found = list(self._of(self.step.steps))
        if self.program.lowered.layout.plan.copies:
            found.append(KernelTime("copies", "copies", self._least(self._elapsed(self.step.copies))))
        return found

    def _of(self, steps: Sequence[Step]) -> Iterator[KernelTime]:
        for each in steps:
            row = self.step.row_of(each)
            if isinstance(each, KernelStep):
                yield self._kernel(each, row)
                continue
            inside = [s for region in each.regions for s in region.steps]
            own = self._elapsed(row) - self._with_clocks(inside)
            yield KernelTime(
                each.name,
                each.node.op.name,
                self._least(own),
                int(self.marks[0, row, 1]),
                locations=(each.node.location,),
            )
            yield from self._of(inside)

    def _kernel(self, kernel: KernelStep, row: int) -> KernelTime:
        calls = int(self.marks[0, row, 1])
        (cost,) = cost_table([replace(kernel, trips=calls)], self.sizes)
        assert isinstance(cost.flops, int)
        assert isinstance(cost.bytes, int)
        types = [v.type.dtype.name for v in (*kernel.node.operands, *kernel.node.results)]
        return KernelTime(
            kernel.name,
            kernel.node.attrs["strategy"],
            self._least(self._elapsed(row)),
            calls,
            cost.flops,
            cost.bytes,
            "f64" if "f64" in types else "f32",
            kernel.operations,
            tuple(dict.fromkeys((kernel.node.location, *kernel.locations))),
            1e-12 * self.step.estimates[row] * calls,
            self.program.lowered.members if kernel.slots is None else 1,
        )

    def _elapsed(self, row: int) -> np.ndarray:
        """Nanoseconds of a row in each round."""
        return self.marks[:, row, 0] - self.step.overhead[row] * self.marks[:, row, 1]

    def _with_clocks(self, steps: Sequence[Step]) -> np.ndarray:
        """Nanoseconds of steps in each round, with what looking at the clock takes of those around them."""
        found = np.zeros(len(self.marks))
        for each in steps:
            row = self.step.row_of(each)
            found += self.marks[:, row, 0] + self.step.overhead[row] * self.marks[:, row, 1]
        return found

    @staticmethod
    def _least(nanoseconds: np.ndarray) -> float:
        return max(0.0, 1e-9 * float(nanoseconds.min()))
