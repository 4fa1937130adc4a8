import numpy as np
import pytest

from graphc.codegen import numba_bridge
from graphc.codegen.loader import Code, LinkError, load
from graphc.codegen.module_text import module
from graphc.codegen.target import host
from graphc.codegen.text import Function

numba = pytest.importorskip("numba")


def map_text():
    f = Function("map", "ptr noalias %x, ptr noalias %y, i64 %n")
    with f.loop(0, "%n", 1) as l:
        y = f(f"call float @user(float {f.load('float', f.at('float', '%x', l.i))})")
        f.store("float", y, f.at("float", "%y", l.i))
    return f.text()


def softsign(x):
    return x / (np.float32(1) + abs(x))


def test_a_native_function_is_called_from_njit():
    f = Function("add", "ptr %x, i64 %n", ret="i64")
    code = load([module(f.text(f"i64 {f.add(f.load('i64', '%x'), '%n')}"), target=host())], host())
    add = numba_bridge.address(code.address("add"), "int64", ["uintp", "int64"], code)

    @numba.njit
    def twice(x):
        return add(x.ctypes.data, 1) + add(x.ctypes.data, 2)

    assert twice(np.array([40])) == 83


def test_a_scalar_function_is_inlined_and_vectorised():
    scalar = numba_bridge.link_scalar(softsign, "user", ["f32"], "f32")
    text = module(map_text(), target=host(), top="").replace("declare float @user(float)\n", "")
    assembly = numba_bridge.linked_assembly(text, [scalar], host())
    body = assembly[assembly.index("map:") :].split("Lfunc_end")[0]
    assert "divps" in body
    assert "call" not in body
    code = Code([numba_bridge.linked_object(text, [scalar], host())], host())
    x = np.linspace(-9, 9, 1003, dtype="f4")
    y = np.empty_like(x)
    code.function("map", "ppi")(x, y, x.size)
    assert np.array_equal(y, softsign(x))


def test_another_element_type_is_an_error():
    with pytest.raises(LinkError) as caught:
        numba_bridge.link_scalar(lambda x: x * 0.5, "user", ["f32"], "f32")
    assert str(caught.value) == (
        "<lambda> of (f32) gives float64, not f32.\n"
        "  fix     convert its constants, for example np.float32(0.5)."
    )


def test_a_function_that_can_raise_is_an_error():
    def picky(x):
        if x < 0:
            raise ValueError("negative")
        return x

    with pytest.raises(LinkError, match="picky can raise an exception, which has no place inside a kernel"):
        numba_bridge.link_scalar(picky, "user", ["f32"], "f32")
