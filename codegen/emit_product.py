"""Products as calls of the library: which driver computes which, and what memory it takes."""

from __future__ import annotations

from collections.abc import Iterable

from graphc.codegen.element import Element, register
from graphc.codegen.emit_frame import ALIGNMENT, Frame
from graphc.codegen.kernels.parts import Call
from graphc.codegen.kernels.product import arguments
from graphc.codegen.loops import Kernel, Matrix, Product, is_matrix_product
from graphc.codegen.product_writer import ProductWriter
from graphc.codegen.target import Target
from graphc.ir.dims import Dim, ceildiv


def writer_of(part: Product) -> type[ProductWriter]:
    """What writes the calls of a product."""
    if isinstance(part.a, Matrix):
        return ProductWriter
    from graphc.codegen.emit_windows import ConvolveWriter, CorrelateWriter  # most programs have no windows
    from graphc.codegen.emit_winograd import WinogradWriter, form_of

    if form_of(part) is not None:
        return WinogradWriter
    return CorrelateWriter if part.a.transposed else ConvolveWriter


def drivers(kernels: Iterable[Kernel]) -> list[str]:
    """The library's functions that the kernels call, in order of their names."""
    products = [p for kernel in kernels for p in kernel.parts if isinstance(p, Product)]
    return sorted({writer_of(p).symbol(p) for p in products})


def calls(kernels: Iterable[Kernel]) -> list[Call]:
    """How the kernels call products of matrices: of a product in pieces, with a whole piece and with what is
    left.
    """
    found: dict[Call, None] = {}
    for p in (p for kernel in kernels for p in kernel.parts if is_matrix_product(p)):
        lengths = (p.k,) if p.piece is None else (p.piece, p.k % p.piece)
        for k in lengths:
            found[Call(writer_of(p).symbol(p), p.m, p.n, k, p.b.column == 1)] = None
    return list(found)


def declarations(kernel: Kernel, target: Target) -> tuple[str, ...]:
    """Those of one kernel as LLVM text."""
    return tuple(f"declare void @{name}({_types(name, target)})" for name in drivers([kernel]))


def _types(name: str, target: Target) -> str:
    driver, dtype = name.split("_")
    parameters = _arguments(driver.split(".")[0], register(dtype, target))
    return ", ".join(part.split(" %")[0] for part in parameters.split(", "))


def _arguments(driver: str, t: Element) -> str:
    if driver == "product":
        return arguments(t)
    from graphc.codegen.kernels.convolve import convolve_arguments
    from graphc.codegen.kernels.correlate import correlate_arguments

    return correlate_arguments(t) if driver == "correlate" else convolve_arguments(t)


def product_scratch(part: Product, target: Target) -> Dim:
    """Bytes for packed operands, and for a row of zeros where the product begins with nothing."""
    packed = writer_of(part).packed_bytes(part, target)
    return packed + (_zeros_bytes(part) if part.init is None else 0)


def _zeros_bytes(part: Product) -> Dim:
    return ceildiv(part.n * part.dtype.itemsize, ALIGNMENT) * ALIGNMENT + ALIGNMENT


def emit_product(frame: Frame, part: Product, number: int) -> list[str]:
    """Write the calls of a product; the text of the functions that it needs. Each member does its share: of
    the batch if that is long enough, else of the rows or the columns, whichever there are more of, since each
    member packs all of the other operand. K is never divided, so every element is the same sum.
    """
    return writer_of(part)(frame, part, f"{frame.kernel.name}.tile{number}").write()
