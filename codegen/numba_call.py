"""Compiled graphs as functions inside a user's `@numba.njit` code, as global or closure variables.

Numba learns of them by the entry point `numba_extensions` of this package, the first time it compiles
anything.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from graphc.codegen.emit_numba import Names
from graphc.codegen.numba_bridge import address
from graphc.codegen.signature import Parameter, solution
from graphc.ir.errors import StateError

if TYPE_CHECKING:
    from graphc.codegen.compiled import Compiled

HEADER = "import numpy as np\nfrom numba import njit\n"


def register() -> None:
    """Tell Numba what a `Compiled` is: a dispatcher of its wrapper.

    Called by Numba, and by the module of `Compiled` when Numba was there first; so whoever uses Numba alone
    does not import the compiler.
    """
    module = sys.modules.get("graphc.codegen.compiled")
    if module is None:
        return
    from numba import types
    from numba.extending import typeof_impl

    from graphc.codegen.compiled import Compiled

    @typeof_impl.register(Compiled)
    def _type(compiled: Compiled, _context: Any) -> Any:
        return types.Dispatcher(compiled.njit_function)


def wrapper(compiled: Compiled) -> Any:
    """The njit function that calls the C entry of a compiled graph: arrays in, fresh arrays out."""
    entry = address(compiled.address, "int64", ("uintp", "uintp", "uintp"), compiled)
    scope: dict[str, Any] = {"call": entry}
    exec(wrapper_source(compiled), scope)
    return scope["wrapper"]


def wrapper_source(compiled: Compiled) -> str:
    """The source of the wrapper."""
    signature = compiled.parameters
    symbols = compiled.ir("traced").symbols
    names = Names((*symbols, "call", "wrapper", "inputs", "sizes", "outputs", "status"))
    parameters = [names.new(p.name) for p in signature.inputs]
    lines = [f"def wrapper({', '.join(parameters)}):"]
    for name, p in zip(parameters, signature.inputs):
        lines.append(f"    {name} = np.ascontiguousarray({name}.astype(np.{p.type.dtype.numpy}))")
    lines += _sizes(compiled, list(zip(parameters, signature.inputs)))
    results = []
    for t in signature.outputs:
        shape = ", ".join(f"{d}" for d in t.shape) + "," if t.rank else "1,"
        results.append(names.new("result"))
        lines.append(f"    {results[-1]} = np.empty(({shape}), np.{t.dtype.numpy})")
    for table, items in (("inputs", parameters), ("outputs", results)):
        pointers = "".join(f"{x}.ctypes.data, " for x in items)
        lines.append(f"    {table} = np.array([{pointers}0], np.uint64)")
    lines.append(f"    sizes = np.array([{''.join(f'{s}, ' for s in symbols)}0], np.int64)")
    lines.append("    status = call(inputs.ctypes.data, sizes.ctypes.data, outputs.ctypes.data)")
    # Numba frees an array after its last use, which must not be before the call
    lines += [f"    inputs[0] = {x}.size + sizes[0] + outputs[0]" for x in (*parameters, *results)]
    lines += ["    if status != 0:", f"        raise RuntimeError({signature.name + ' failed'!r})"]
    values = [r if t.rank else f"{r}[0]" for r, t in zip(results, signature.outputs)]
    lines.append(
        f"    return {values[0] if len(values) == 1 else '(' + ''.join(f'{v}, ' for v in values) + ')'}"
    )
    return "\n".join([HEADER, '@njit(error_model="numpy")', *lines]) + "\n"


def _sizes(compiled: Compiled, inputs: list[tuple[str, Parameter]]) -> list[str]:
    """Assignments of the symbols from the arrays' shapes, and checks of every size."""
    known: dict[str, str] = {}
    weights = list(zip(compiled.parameters.weights, compiled.weights))
    for p, array in weights:
        for d, n in zip(p.type.shape, array.shape):
            found = solution(d)
            if found is not None:
                known.setdefault(found[0], str((n - found[2]) // found[1]))
    for name, p in inputs:
        for axis, d in enumerate(p.type.shape):
            found = solution(d)
            if found is not None:
                symbol, factor, constant = found
                known.setdefault(symbol, f"({name}.shape[{axis}] - {constant}) // {factor}")
    missing = [s for s in compiled.ir("traced").symbols if s not in known]
    if missing:
        raise StateError(
            f"{compiled.parameters.name} can't be called from Numba: its shapes do not give {missing[0]}."
        )
    lines = [f"    {symbol} = {text}" for symbol, text in known.items()]
    for name, p in inputs:
        for axis, d in enumerate(p.type.shape):
            message = f"{p.text} of {compiled.parameters.name} must be {p.type}: axis {axis} differs"
            lines += [f"    if {name}.shape[{axis}] != {d}:", f"        raise ValueError({message!r})"]
    for r in compiled.parameters.requirements:
        lines += [
            f"    if {r.left} != {r.right}:",
            f"        raise ValueError({f'{r.left} is not {r.right}'!r})",
        ]
    return lines
