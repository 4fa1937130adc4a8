"""Which parts of a kernel wait for which, and about how long parts take."""

from graphc.codegen.kernel_time import picoseconds
from graphc.codegen.loops import Axis, Buffer, Kernel, Load, Matrix, Nest, Offset, Product, Stage, Store
from graphc.codegen.phases import Touched, phases, touched
from graphc.codegen.target import host
from graphc.ir.dims import evaluate, symbol
from graphc.ir.types import F32

HERE = Offset((("i", 1),))


def copy(source, target, n=8):
    code = (Load("x", F32, source, HERE), Store(target, HERE, "x"))
    return Nest((Axis("i", n),), (Stage((), code),), "i")


def kernel(*parts):
    names = sorted({name for p in parts for name in touched(p).reads | touched(p).writes})
    return Kernel("k", tuple(Buffer(n, F32, 8) for n in names), parts)


def lengths(kernel, **places):
    slots = {b.name: i for i, b in enumerate(kernel.buffers)} | places
    return [len(parts) for parts in phases(kernel, slots)]


def test_parts_that_touch_different_memory_are_one_phase():
    assert lengths(kernel(copy("a", "b"), copy("a", "c"), copy("d", "e"))) == [3]


def test_a_part_waits_for_what_it_reads_and_for_readers_of_what_it_writes():
    assert lengths(kernel(copy("a", "b"), copy("b", "c"))) == [1, 1]
    assert lengths(kernel(copy("a", "b"), copy("c", "a"))) == [1, 1]
    assert lengths(kernel(copy("a", "b"), copy("c", "d"), copy("c", "b"))) == [2, 1]


def test_buffers_in_one_memory_are_one():
    parts = kernel(copy("a", "b"), copy("c", "d"))
    assert lengths(parts) == [2]
    assert lengths(parts, d=0) == [1, 1]


def test_a_product_touches_its_operands_and_its_result():
    a, b, c = (Matrix(name, Offset(), 4, 1) for name in "abc")
    found = touched(Product(F32, a, b, c, 4, 4, 4, init=Matrix("d", Offset(), 0, 1)))
    assert found == Touched(frozenset("abd"), frozenset("c"))


def test_time_is_a_size():
    n = symbol("N")
    short, long = (evaluate(picoseconds(copy("a", "b", n), host()), {"N": count}) for count in (10, 10000))
    assert 0 < short < long
    a, b, c = (Matrix(name, Offset(), n, 1) for name in "abc")
    product = picoseconds(Product(F32, a, b, c, n, n, n), host())
    assert evaluate(product, {"N": 400}) > 4 * evaluate(product, {"N": 200})
    assert evaluate(product, {"N": 0}) == 0
