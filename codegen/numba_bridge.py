"""Where graphc and Numba meet: native functions inside @njit code, and Numba's scalar functions inside our
loops.

Numba is imported when one of these functions is called, never before.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graphc.codegen.element import Element
from graphc.codegen.errors import LinkError
from graphc.codegen.loader import machine, optimise, parse
from graphc.codegen.target import LLVM_LOCK, Target


@functools.cache
def _address_class() -> type:
    from numba import types

    class Address(types.WrapperAddressProtocol):
        """A native function that @njit code may call; it holds what the function lives in."""

        def __init__(self, address: int, signature: Any, keep: object) -> None:
            self._address, self._signature, self._keep = address, signature, keep

        def __wrapper_address__(self) -> int:
            return self._address

        def signature(self) -> Any:
            return self._signature

    return Address


def address(pointer: int, result: str, arguments: Sequence[str], keep: object) -> Any:
    """A native function as a value in @njit code, best a global or closure variable (3 ns a call; as an
    argument 8 us).

    `result` and `arguments` are Numba's names of scalar types: "int64", "uintp" for pointers, "float64".
    `keep` stays alive as long as the value does.
    """
    from numba import types

    signature = getattr(types, result)(*[getattr(types, name) for name in arguments])
    return _address_class()(pointer, signature, keep)


@dataclass(frozen=True)
class Scalar:
    """A scalar function that Numba compiled: LLVM text with a plain function `@name(values) -> value`."""

    name: str
    text: str
    symbol: str
    wrapper: str


_NUMBA_NAMES = {
    "f32": "float32",
    "f64": "float64",
    **{f"{k}{n}": f"{w}{n}" for k, w in (("i", "int"), ("u", "uint")) for n in (8, 16, 32, 64)},
}
_RETURN = re.compile(r"^\s*ret i32 (.+?)(?:,.*)?$", re.MULTILINE)


def link_scalar(function: Callable[..., Any], name: str, arguments: Sequence[str], result: str) -> Scalar:
    """Compile a scalar Python function with Numba for the element types `arguments`, to be called as
    `@name` in our text.

    Raises
    ------
    LinkError
        Numba gives another element type than `result`, or the function can raise.
    """
    import numba
    from numba import types

    options: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled: Any = numba.njit(**options)(function)
    kinds = tuple(getattr(types, _NUMBA_NAMES[a]) for a in arguments)
    with LLVM_LOCK:
        compiled.compile(kinds)
    overload = compiled.overloads[kinds]
    if overload.signature.return_type != getattr(types, _NUMBA_NAMES[result]):
        found = overload.signature.return_type
        raise LinkError(
            f"{function.__name__} of ({', '.join(arguments)}) gives {found}, not {result}.\n"
            f"  fix     convert its constants, for example np.{_NUMBA_NAMES[result]}(0.5)."
        )
    text, symbol = overload.library.get_llvm_str(), overload.fndesc.llvm_func_name
    if any(status != "0" for status in _RETURN.findall(_body(text, symbol))):
        raise LinkError(f"{function.__name__} can raise an exception, which has no place inside a kernel")
    return Scalar(name, text, symbol, _wrapper(name, symbol, arguments, result))


def _body(text: str, symbol: str) -> str:
    head = re.compile(rf'^define [^\n]*@"?{re.escape(symbol)}"?\(', re.MULTILINE).search(text)
    if head is None:
        raise LinkError(f"Numba's code does not define {symbol}")
    start = text.index("{", head.end())
    return text[start : text.index("\n}", start)]


def _wrapper(name: str, symbol: str, arguments: Sequence[str], result: str) -> str:
    """Numba's convention is `i32 status f(ptr result, ptr exception, values)`; ours is plain."""
    types = [Element(a, 1).name for a in arguments]
    out = Element(result, 1).name
    values = "".join(f", {ty} %x{i}" for i, ty in enumerate(types))
    return (
        f'declare i32 @"{symbol}"(ptr, ptr{"".join(f", {ty}" for ty in types)})\n'
        f"define internal {out} @{name}({values[2:]}) alwaysinline nounwind {{\n"
        f"  %result = alloca {out}\n  %exception = alloca ptr\n"
        f'  call i32 @"{symbol}"(ptr %result, ptr %exception{values}) alwaysinline\n'
        f"  %value = load {out}, ptr %result\n  ret {out} %value\n}}"
    )


def linked_module(text: str, scalars: Sequence[Scalar], target: Target, level: int = 3) -> Any:
    """A module whose text calls `@name` of each scalar, with these linked in and inlined; hold LLVM_LOCK."""
    import llvmlite.binding as llvm

    ours = parse("\n".join([*[s.wrapper for s in scalars], text]), target)
    for scalar in scalars:
        ours.link_in(llvm.parse_assembly(scalar.text))
        # Only now: an internal definition does not satisfy our declaration. Nothing of it is left after
        # inlining.
        ours.get_function(scalar.symbol).linkage = "internal"
    optimise(ours, target, level)
    return ours


def linked_object(text: str, scalars: Sequence[Scalar], target: Target, level: int = 3) -> bytes:
    """The object file of `linked_module`."""
    with LLVM_LOCK:
        return machine(target).emit_object(linked_module(text, scalars, target, level))


def linked_assembly(text: str, scalars: Sequence[Scalar], target: Target, level: int = 3) -> str:
    """The machine code of `linked_module`, as text."""
    with LLVM_LOCK:
        return machine(target).emit_assembly(linked_module(text, scalars, target, level))
