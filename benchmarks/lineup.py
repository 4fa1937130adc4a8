"""Candidates as processes, each of which is stopped except while it answers."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from workloads.definition import MEASURED_PEAK, OURS, WARM, Candidate, Workload

HERE = Path(__file__).parent
PROBE = """
import importlib.metadata as m, importlib.util as u, json, sys
owners = m.packages_distributions()
print(json.dumps({p: m.version(owners[p][0]) if p in owners else "" for p in sys.argv[1:] if u.find_spec(p)}))
"""


@cache
def installed(python: str, packages: tuple[str, ...]) -> dict[str, str]:
    """The versions of those packages that an interpreter has."""
    done = subprocess.run([python, "-c", PROBE, *packages], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


@dataclass(frozen=True)
class Setting:
    """How to race: threads of everybody; interpreters, of which each candidate takes the first that has its
    packages; `limit`: seconds in which somebody has to be ready; `folder`: for data and caches.
    """

    threads: int
    pythons: tuple[str, ...]
    limit: float
    folder: Path

    def python(self, candidate: Candidate) -> tuple[str, dict[str, str]] | None:
        """The interpreter for a candidate, and the versions of its packages."""
        for python in self.pythons:
            versions = installed(python, candidate.packages)
            if len(versions) == len(candidate.packages):
                return python, versions
        return None

    @property
    def environment(self) -> dict[str, str]:
        """What makes every library use so many threads, and find empty caches."""
        n = str(self.threads)
        names = ("OPENBLAS", "OMP", "MKL", "NUMBA")
        one = dict.fromkeys([f"{name}_NUM_THREADS" for name in names], n)
        one |= {"GRAPHC_THREADS": n, "TF_NUM_INTRAOP_THREADS": n, "TF_NUM_INTEROP_THREADS": n}
        several = str(self.threads > 1).lower()
        flags = f"--xla_cpu_multi_thread_eigen={several} intra_op_parallelism_threads={n}"
        caches = {
            "GRAPHC_CACHE_DIR": str(self.folder / "graphc"),
            "TORCHINDUCTOR_CACHE_DIR": str(self.folder / "torch"),
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
        }
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return kept | one | caches | {"XLA_FLAGS": flags}


@dataclass
class Runner(Protocol):
    """Who has turns."""

    name: str
    versions: dict[str, str]

    def ready(self) -> dict[str, Any]:
        """Wait until it can begin: its answer, or why it is "missing"."""

    def turn(self, calls: int) -> tuple[float, float]:
        """The least and the median seconds of some calls."""

    def end(self) -> None: ...


@dataclass
class Racer:
    """A candidate that stays, with its call ready."""

    name: str
    versions: dict[str, str]
    process: subprocess.Popen[str]
    limit: float
    cores: Sequence[int]

    def ready(self) -> dict[str, Any]:
        timer = threading.Timer(self.limit, self.process.kill)
        timer.start()
        found = self._reply()
        if found is None:
            late = not timer.is_alive()
            return {"missing": f"not ready within {self.limit:.0f} s" if late else "its process ended"}
        timer.cancel()
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            os.sched_setaffinity(int(thread), self.cores)
        return found

    def turn(self, calls: int) -> tuple[float, float]:
        assert self.process.stdin is not None
        self.process.send_signal(signal.SIGCONT)
        print(calls, file=self.process.stdin, flush=True)
        found = self._reply()
        if found is None:
            raise RuntimeError(f"{self.name} ended while it was timed")
        return found[0], found[1]

    def _reply(self) -> Any:
        """The next line that it writes; then it stops."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return None
        self.process.send_signal(signal.SIGSTOP)
        return json.loads(line)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@dataclass
class Starter:
    """A candidate whose call is a whole process. Its time is CPU time (user and system)."""

    name: str
    versions: dict[str, str]
    command: list[str]
    environment: dict[str, str]
    fresh: str
    cores: Sequence[int]
    answers: list[float] = field(default_factory=list)

    def ready(self) -> dict[str, Any]:
        try:
            self.turn(1)
        except RuntimeError as e:
            return {"missing": str(e)}
        return {"answer": [self.answers], "later": self.turn(1)[0]}

    def turn(self, calls: int) -> tuple[float, float]:
        seconds = [self._run() for _ in range(calls)]
        return min(seconds), statistics.median(seconds)

    def _run(self) -> float:
        if self.fresh:
            shutil.rmtree(self.fresh, ignore_errors=True)
        process = subprocess.Popen(
            self.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self.environment,
            preexec_fn=lambda: os.sched_setaffinity(0, self.cores),
        )
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        if process.returncode:
            raise RuntimeError(f"its process ended with {process.returncode}")
        self.answers[:] = [float(printed.split()[-1])]
        return usage.ru_utime + usage.ru_stime

    def end(self) -> None: ...


def started(work: Workload, candidate: Candidate, setting: Setting, number: int) -> Runner | None:
    """A candidate's process, or None where its packages are missing. Builders share the cores."""
    found = setting.python(candidate)
    if found is None:
        return None
    python, versions = found
    cores = sorted(os.sched_getaffinity(0))
    if work.process:
        return starter(candidate, python, versions, setting, cores[-setting.threads :])
    place = [cores[number % len(cores)]] if setting.threads == 1 else cores[-setting.threads :]
    process = subprocess.Popen(
        [python, str(HERE / "racer.py"), work.name, candidate.name, str(setting.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=setting.environment,
        preexec_fn=lambda: os.sched_setaffinity(0, place),
    )
    return Racer(candidate.name, versions, process, setting.limit, cores[-setting.threads :])


def starter(
    candidate: Candidate, python: str, versions: dict[str, str], setting: Setting, cores: Sequence[int]
) -> Starter:
    """A script with a cache of its own, and byte code that is there from the second run on."""
    folder = setting.folder / candidate.name.replace(" ", "_")
    environment = setting.environment | candidate.options.get("environment", {})
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "code")
    kept = candidate.options.get("cache")
    if kept:
        environment[kept] = str(folder / "cache")
    fresh = str(folder / "cache") if candidate.options.get("fresh") else ""
    return Starter(candidate.name, versions, [python, "-c", candidate.make], environment, fresh, cores)


@dataclass
class LineUp:
    """Who is ready, what each told, and why others are not there."""

    runners: list[Runner] = field(default_factory=list)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    over: bool = False

    def end(self) -> None:
        self.over = True
        for runner in self.runners:
            runner.end()


def write_byte_code() -> None:
    """Leave graphc as an installation leaves it, and its peers are: modules that are read, not compiled."""
    import graphc
    from graphc import codegen, ir, passes

    for package in (graphc, ir, passes, codegen):
        compileall.compile_dir(next(iter(package.__path__)), quiet=2)


def line_up(work: Workload, chosen: Sequence[Candidate], setting: Setting) -> LineUp:
    """Start all candidates, some at once while nobody is timed; with a warm cache right after ours."""
    if work.prepare:
        command = [sys.executable, str(HERE / "racer.py"), work.name, "--prepare", str(setting.folder)]
        subprocess.run(command, check=True, env=setting.environment, stdout=subprocess.DEVNULL)
    line = LineUp()
    everybody = [*chosen] if work.process else [*chosen, MEASURED_PEAK]

    def begin(chain: tuple[int, list[Candidate]]) -> None:
        number, candidates = chain
        for candidate in candidates:
            runner = None if line.over else started(work, candidate, setting, number)
            if runner is None:
                line.missing[candidate.name] = f"{' and '.join(candidate.packages)} not installed"
                continue
            line.runners.append(runner)
            line.told[runner.name] = runner.ready()

    chains = [[c] for c in everybody if c.name not in (OURS, WARM)]
    chains.insert(0, [c for c in everybody if c.name in (OURS, WARM)])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            list(pool.map(begin, enumerate(chains)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            line.end()  # those who wait for an answer get none
            raise
    order = [c.name for c in everybody]
    line.runners.sort(key=lambda r: order.index(r.name))
    return line
