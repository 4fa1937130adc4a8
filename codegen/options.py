"""How to compile: the arguments of `compile`, completed from the environment.

GRAPHC_BACKEND    llvm, numba or reference, where no `backend=` was given
GRAPHC_THREADS    number of threads, where no `threads=` was given
GRAPHC_TUNE       1: tune, where no `tune=` was given
GRAPHC_DUMP       a folder into which each stage is written
GRAPHC_LOG        see `graphc.passes.log`; GRAPHC_CPU: see `graphc.codegen.target`
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from graphc.ir.errors import ArgumentError

BACKENDS = ("llvm", "numba", "reference")
CHECKS = (None, "nan", "reference")


@dataclass(frozen=True)
class Options:
    """One choice for each option of `compile`; see there."""

    backend: str = "llvm"
    check: str | None = None
    threads: int = 1
    passes: str | None = None
    cache: bool = True
    fast_math: bool = False
    tune: bool = False

    @property
    def pipeline(self) -> str:
        """The names of the passes, in order."""
        from graphc.passes.pipelines import pass_names

        return ",".join(pass_names(self.passes))


def resolve(
    backend: str | None = None,
    check: str | None = None,
    threads: int | None = None,
    passes: str | None = None,
    cache: bool = True,
    fast_math: bool = False,
    tune: bool | None = None,
) -> Options:
    """The options for these arguments; None means the environment's choice, then the default.

    Raises
    ------
    ArgumentError
        A value that is not one of those that are possible.

    >>> resolve("reference", threads=2).threads
    2
    """
    chosen = backend if backend is not None else os.environ.get("GRAPHC_BACKEND") or "llvm"
    source = "backend" if backend is not None else "GRAPHC_BACKEND"
    return Options(
        backend=_one_of(source, chosen, BACKENDS),
        check=_one_of("check", check, CHECKS),
        threads=_threads(threads),
        passes=passes,
        cache=cache,
        fast_math=fast_math,
        tune=_tune() if tune is None else bool(tune),
    )


def check_names(options: dict[str, Any]) -> None:
    """ArgumentError for an option that there is not, or a value that is not possible; compiles nothing.

    >>> check_names({"backend": "numba", "check": "nan"})
    """
    known = [field.name for field in fields(Options)]
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}."
            raise ArgumentError(f"there is no option '{name}': {hint}")
    if resolve(**options).passes is not None:
        from graphc.passes import PassManager

        PassManager(options["passes"])


def _one_of(name: str, value: str | None, choices: tuple[str | None, ...]) -> str:
    if value not in choices:
        raise ArgumentError(f"{name}={value!r} is not possible; choose {_listed(choices)}.")
    return value  # type: ignore[return-value]


def _listed(choices: tuple[str | None, ...]) -> str:
    *first, last = (repr(c) for c in choices)
    return f"{', '.join(first)} or {last}"


def _tune() -> bool:
    text = os.environ.get("GRAPHC_TUNE", "").strip()
    return _one_of("GRAPHC_TUNE", text, ("", "0", "1")) == "1"


def _threads(given: int | None) -> int:
    value, source = (given, "threads") if given is not None else (_environment_threads(), "GRAPHC_THREADS")
    if value is None:
        return 1
    if not hasattr(value, "__index__") or value < 1:
        raise ArgumentError(f"{source}={value!r} is not possible; choose a number of threads from 1 on.")
    return value


def _environment_threads() -> int | None:
    text = os.environ.get("GRAPHC_THREADS", "").strip()
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise ArgumentError(
            f"GRAPHC_THREADS={text!r} is not possible; choose a number of threads from 1 on."
        ) from None
