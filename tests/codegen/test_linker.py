"""Objects that our own linker loads, and those that it leaves to LLVM."""

import gc
import platform

import numpy as np
import pytest

from graphc.codegen import elf
from graphc.codegen.engine import Engine
from graphc.codegen.linker import Image, link
from graphc.codegen.loader import Code, compile_object
from graphc.codegen.target import host

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="relocations of x86-64")


def objects(*texts):
    return [elf.read(compile_object(text, host())) for text in texts]


def loaded(text, symbols=None):
    code = Code([compile_object(text, host())], host(), symbols)
    assert isinstance(code._loaded, Image)
    return code


def test_code_reads_constants_and_keeps_variables():
    text = """
@table = dso_local constant [3 x i64] [i64 5, i64 7, i64 11]
@sum = global i64 100
@count = global i64 0
define i64 @add(i64 %i) nounwind {
  %p = getelementptr i64, ptr @table, i64 %i
  %x = load i64, ptr %p
  %s = load i64, ptr @sum
  %n = load i64, ptr @count
  %m = add i64 %n, 1
  store i64 %m, ptr @count
  %y = add i64 %x, %s
  %z = add i64 %y, %m
  store i64 %y, ptr @sum
  ret i64 %z
}
"""
    add = loaded(text).function("add", "i", "i")
    gc.collect()
    assert [add(i) for i in (0, 2, 1)] == [106, 118, 126]


def test_addresses_of_functions_in_a_table():
    functions = "".join(f"define i64 @f{i}() nounwind {{\n  ret i64 {i}\n}}\n" for i in (3, 4))
    text = (
        f"{functions}@all = internal constant [2 x ptr] [ptr @f3, ptr @f4]\n"
        "define i64 @call(i64 %i) nounwind {\n  %p = getelementptr ptr, ptr @all, i64 %i\n"
        "  %f = load ptr, ptr %p\n  %x = call i64 %f()\n  ret i64 %x\n}\n"
    )
    call = loaded(text).function("call", "i", "i")
    assert [call(0), call(1)] == [3, 4]


def test_vectors_of_constants_are_aligned():
    text = (
        "define void @f(ptr %p) nounwind {\n  %x = load <4 x float>, ptr %p, align 4\n"
        "  %y = fadd <4 x float> %x, <float 1.0, float 2.0, float 3.0, float 4.0>\n"
        "  store <4 x float> %y, ptr %p, align 4\n  ret void\n}\n"
    )
    x = np.ones(4, "f4")
    loaded(text).function("f", "p")(x)
    assert x.tolist() == [2, 3, 4, 5]


def test_functions_and_data_outside_are_bound_or_of_the_process():
    text = """
@there = external global i64
declare double @fmod(double, double) nounwind
declare i64 @seven() nounwind
define i64 @f(double %x) nounwind {
  %y = call double @fmod(double %x, double 4.0)
  %i = fptosi double %y to i64
  %s = call i64 @seven()
  %t = load i64, ptr @there
  %a = add i64 %i, %s
  %b = add i64 %a, %t
  ret i64 %b
}
"""
    seven, there = loaded("define i64 @seven() nounwind {\n  ret i64 7\n}\n"), np.array([1000], "i8")
    code = loaded(text, {"seven": seven.address("seven"), "there": there.ctypes.data})
    assert code.function("f", "d", "i")(7.0) == 1010
    there[0] = 0
    assert code.function("f", "d", "i")(7.0) == 10


def test_two_objects_see_each_others_symbols_but_not_local_ones():
    first = (
        "@n = internal constant i64 3\ndefine i64 @a() nounwind {\n  %x = load i64, ptr @n\n  ret i64 %x\n}\n"
    )
    second = (
        "@n = internal constant i64 40\ndeclare i64 @a() nounwind\ndefine i64 @b() nounwind {\n"
        "  %x = load i64, ptr @n\n  %y = call i64 @a()\n  %z = add i64 %x, %y\n  ret i64 %z\n}\n"
    )
    data = [compile_object(text, host()) for text in (first, second)]
    assert Code(data, host()).function("b", "", "i")() == 43
    assert Code(data[::-1], host()).function("b", "", "i")() == 43


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a symbol that nobody defines", "declare i64 @nobody()\ndefine i64 @f() nounwind {\n"
         "  %x = call i64 @nobody()\n  ret i64 %x\n}\n"),
        ("tables for exceptions", "define i64 @f() {\n  ret i64 1\n}\n"),
        ("variables of a thread", "@x = thread_local global i64 1\n"),
    ],
)  # fmt: skip
def test_what_is_left_to_llvm(what, text):
    assert link(objects(text), {}) is None


def test_llvm_loads_the_rest():
    code = Code([compile_object("define i64 @f() {\n  ret i64 9\n}\n", host())], host())
    assert isinstance(code._loaded, Engine)
    assert code.function("f", "", "i")() == 9


def test_memory_is_given_back_unless_it_is_kept():
    image = link(objects("define i64 @f() nounwind {\n  ret i64 1\n}\n"), {})
    end = image._end
    assert end.alive
    del image
    gc.collect()
    assert not end.alive
    kept = link(objects("define i64 @f() nounwind {\n  ret i64 1\n}\n"), {})
    kept.keep_forever()
    assert not kept._end.alive
    assert kept.address("f") != 0
    assert kept.address("g") == 0


def test_code_can_not_be_written_and_variables_not_executed():
    code = loaded("@x = global i64 1\ndefine i64 @f() nounwind {\n  %x = load i64, ptr @x\n  ret i64 %x\n}\n")
    modes = {}
    with open("/proc/self/maps") as maps:
        for line in maps:
            low, high = (int(x, 16) for x in line.split()[0].split("-"))
            for name in ("f", "x"):
                if low <= code.address(name) < high:
                    modes[name] = line.split()[1]
    assert modes == {"f": "r-xp", "x": "rw-p"}
