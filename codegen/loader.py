"""LLVM text -> object file -> code in this process.

    data = compile_object(text, target)              # bytes, the same in every process: they can be stored
    code = Code([data, ...], target, {"name": address, ...})
    address = code.address("f")                      # valid as long as `code` lives

Our own linker loads what it can, since LLVM takes 50 ms to start; LLVM loads the rest.
Undefined symbols are looked up before anything is loaded, so that a missing one is an error and not a crash
in a later call.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.codegen import cache, elf
from graphc.codegen.engine import Engine
from graphc.codegen.errors import LinkError
from graphc.codegen.linker import Image, link
from graphc.codegen.target import LLVM_LOCK, Target, start_llvm


@functools.cache
def machine(target: Target) -> Any:
    """The target machine that emits code for `target`; hold LLVM_LOCK while using it."""
    return target.machine()


def parse(text: str, target: Target) -> Any:
    """Parse and verify a module; hold LLVM_LOCK. Raises LinkError with LLVM's message if the text is
    malformed.
    """
    import llvmlite.binding as llvm

    start_llvm()
    try:
        module = llvm.parse_assembly(text)
        module.triple = target.triple
        module.data_layout = str(
            machine(target).target_data
        )  # without it pointers and vectors get a generic layout
        module.verify()
    except RuntimeError as error:
        raise LinkError(f"LLVM does not accept generated text: {error}") from error
    return module


def optimise(module: Any, target: Target, level: int) -> None:
    """Run LLVM's default pipeline of optimisation `level` (1 to 3) on a parsed module; hold LLVM_LOCK."""
    import llvmlite.binding as llvm

    options = llvm.create_pipeline_tuning_options(speed_level=level)
    options.loop_vectorization = options.slp_vectorization = level >= 2  # SLP is off by default
    builder = llvm.create_pass_builder(machine(target), options)
    builder.getModulePassManager().run(module, builder)


def _prepared(text: str, target: Target, level: int) -> Any:
    module = parse(text, target)
    if level:
        optimise(module, target, level)
    return module


def compile_object(text: str, target: Target, level: int = 0) -> bytes:
    """The object file of a module. Level 0 runs no IR pass: for text that is in its final form already, as
    the kernels are.
    """
    with LLVM_LOCK:
        return machine(target).emit_object(_prepared(text, target, level))


def stored_object(
    name: str, text: Callable[[], str], target: Target, store: cache.Cache | None = None
) -> bytes:
    """The object file of a module that is the same for all programs, from the cache if it is there. `name`
    stands for the text, as far as that does not follow from the sources of the compiler.
    """
    store = cache.default() if store is None else store
    key = cache.key_of(target, name)
    entry = store.get(key)
    if entry is None:
        entry = cache.Entry({"object": compile_object(text(), target)})
        store.put(key, entry)
    return entry.sections["object"]


def assembly(text: str, target: Target, level: int = 0) -> str:
    """The machine code of a module, as text."""
    with LLVM_LOCK:
        return machine(target).emit_assembly(_prepared(text, target, level))


def optimised_llvm(text: str, target: Target, level: int = 0) -> str:
    """The module as LLVM sees it after its passes of that level, before instruction selection."""
    with LLVM_LOCK:
        return str(_prepared(text, target, level))


class Code:
    """Loaded objects. Addresses are valid as long as this lives; `keep` holds whatever the bound symbols
    live in.

    Raises
    ------
    LinkError
        A symbol that an object refers to is neither in the objects, nor in `symbols`, nor in this process;
        or two objects define it.
    """

    def __init__(
        self,
        objects: Sequence[bytes],
        target: Target,
        symbols: Mapping[str, int] | None = None,
        keep: Sequence[object] = (),
    ) -> None:
        bound, files = dict(symbols or {}), [elf.read(data) for data in objects]
        _refuse_two_definitions(files)
        self._loaded: Image | Engine = link(files, bound) or Engine(files, target, bound)
        self._keep = (*keep, bound)
        self.target = target

    def address(self, name: str) -> int:
        """The address of a symbol that the objects define; LinkError if none does."""
        address = self._loaded.address(name)
        if not address:
            raise LinkError(f"the loaded code defines no symbol {name!r}")
        return address

    def function(self, name: str, arguments: str, result: str = "") -> Callable[..., Any]:
        """A Python callable for a symbol, through ctypes (200 ns a call, and without checks).

        `arguments` has a letter each: p an ndarray or an address, i an int64, f a float, d a double;
        `result` likewise, or nothing.
        """
        types: dict[str, Any] = {
            "p": ctypes.c_void_p,
            "i": ctypes.c_int64,
            "f": ctypes.c_float,
            "d": ctypes.c_double,
            "": None,
        }
        native = ctypes.CFUNCTYPE(types[result], *[types[c] for c in arguments])(self.address(name))

        def call(*values: Any, code: Code = self) -> Any:
            return native(*[v.ctypes.data if isinstance(v, np.ndarray) else v for v in values])

        return call

    def hold(self, other: object) -> None:
        """Keep what else this code refers to from now on, as long as it lives."""
        self._keep = (*self._keep, other)

    def keep_forever(self) -> None:
        """Never free this code: for code that a thread may still be inside when the interpreter exits."""
        self._loaded.keep_forever()


def _refuse_two_definitions(files: Sequence[elf.ObjectFile]) -> None:
    defined: set[str] = set()
    for file in files:
        twice = sorted(defined.intersection(file.symbols.defined))
        if twice:
            raise LinkError(f"two of the objects to load define the symbol {twice[0]!r}")
        defined.update(file.symbols.defined)


def load(
    texts: Sequence[str], target: Target, level: int = 0, symbols: Mapping[str, int] | None = None
) -> Code:
    """Compile modules and load them together, without the cache on disk."""
    return Code([compile_object(text, target, level) for text in texts], target, symbols)
