"""Object files -> code in this process by LLVM's own loader: for what `linker` does not do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc.codegen.elf import ObjectFile
from graphc.codegen.errors import LinkError
from graphc.codegen.target import LLVM_LOCK, Target, start_llvm

# Names that a caller has bound. LLVM keeps the last address of each for good: it must not satisfy a later
# load in silence.
_bound: set[str] = set()


class Engine:
    """Objects that LLVM has loaded.

    Raises
    ------
    LinkError
        A symbol that an object refers to is neither in the objects, nor in `bound`, nor in this process.
    """

    def __init__(self, files: Sequence[ObjectFile], target: Target, bound: Mapping[str, int]) -> None:
        import llvmlite.binding as llvm

        with LLVM_LOCK:
            start_llvm()
            _require_symbols(files, bound)
            for name, address in bound.items():
                llvm.add_symbol(name, address)
                _bound.add(name)
            # MCJIT wants one module, and takes ownership of its target machine: each engine gets its own.
            self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target.machine(jit=True))
            self._objects = [llvm.ObjectFileRef.from_data(file.data) for file in files]
            for item in self._objects:
                self._engine.add_object_file(item)
            self._engine.finalize_object()  # resolves relocations, makes pages executable

    def address(self, name: str) -> int:
        """The address of a global symbol; 0 if there is none."""
        with LLVM_LOCK:
            return int(self._engine.get_function_address(name))

    def keep_forever(self) -> None:
        """Never give the memory back."""
        self._engine.detach()


def _require_symbols(files: Sequence[ObjectFile], bound: Mapping[str, int]) -> None:
    """MCJIT loads an object with an undefined symbol without a word and crashes when it is called."""
    import llvmlite.binding as llvm

    defined = {name for file in files for name in file.symbols.defined}
    wanted = {name for file in files for name in file.symbols.undefined}
    missing = [
        name
        for name in sorted(wanted - defined - set(bound))
        if name != "_GLOBAL_OFFSET_TABLE_" and (name in _bound or not llvm.address_of_symbol(name))
    ]
    if missing:
        raise LinkError(
            f"code refers to symbols that nothing defines: {', '.join(missing)}.\n"
            "  fix     bind each by `symbols=` when the code is loaded, or load the object that defines it."
        )
