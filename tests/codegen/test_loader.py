import gc
import threading

import pytest

from graphc.codegen import elf
from graphc.codegen.loader import Code, LinkError, assembly, compile_object, load, optimised_llvm
from graphc.codegen.target import host, named

SEVEN = "define i64 @seven() {\n  ret i64 7\n}\n"
ASKS = "declare i64 @somewhere()\ndefine i64 @asks() {\n  %x = call i64 @somewhere()\n  ret i64 %x\n}\n"


def test_objects_call_each_other_in_one_engine():
    body = "  %x = call i64 @seven()\n  %y = add i64 %x, 1\n  ret i64 %y\n"
    text = f"declare i64 @seven()\ndefine i64 @eight() {{\n{body}}}\n"
    code = load([SEVEN, text], host())
    gc.collect()
    assert code.function("eight", "", "i")() == 8


def test_same_text_gives_the_same_bytes():
    assert compile_object(SEVEN, host()) == compile_object(SEVEN, host())


def test_missing_symbol_is_an_error_before_anything_runs():
    with pytest.raises(LinkError) as caught:
        load([ASKS], host())
    assert str(caught.value) == (
        "code refers to symbols that nothing defines: somewhere.\n"
        "  fix     bind each by `symbols=` when the code is loaded, or load the object that defines it."
    )


def test_bound_symbols_are_those_of_each_load():
    seven = load([SEVEN], host())
    eight = load([SEVEN.replace("7", "8")], host())
    text = ASKS.replace("@somewhere", "@bound_here")
    data = compile_object(text, host())
    first = Code([data], host(), {"bound_here": seven.address("seven")}, keep=[seven])
    second = Code([data], host(), {"bound_here": eight.address("seven")}, keep=[eight])
    assert first.function("asks", "", "i")() == 7
    assert second.function("asks", "", "i")() == 8
    with pytest.raises(LinkError, match="bound_here"):
        Code([data], host())


def test_symbols_of_the_process_are_found():
    body = "  %y = call double @fmod(double %x, double 4.0)\n  ret double %y\n"
    text = f"declare double @fmod(double, double)\ndefine double @f(double %x) {{\n{body}}}\n"
    assert load([text], host()).function("f", "d", "d")(7.0) == 3.0


def test_two_definitions_are_an_error():
    with pytest.raises(LinkError, match="two of the objects to load define the symbol 'seven'"):
        load([SEVEN, SEVEN], host())


def test_unknown_address_and_malformed_text():
    with pytest.raises(LinkError, match="the loaded code defines no symbol 'nine'"):
        load([SEVEN], host()).address("nine")
    with pytest.raises(LinkError, match="LLVM does not accept generated text"):
        compile_object("define i64 @f() { ret i32 1 }", host())


def test_symbols_of_an_object():
    found = elf.symbols(compile_object(ASKS, host()))
    assert "asks" in found.defined
    assert "somewhere" in found.undefined
    with pytest.raises(LinkError, match="not an ELF object file"):
        elf.symbols(b"MZ")


def test_texts_of_the_stages():
    loop = "define float @f(float %x) {\n  %y = fmul float %x, 3.0\n  ret float %y\n}\n"
    assert "fmul" in optimised_llvm(loop, host(), 3)
    assert "f:" in assembly(loop, host(), 3)


def test_avx512_text_compiles_where_it_cannot_run():
    width = '"min-legal-vector-width"="512" "prefer-vector-width"="512"'
    body = "  %y = fadd <16 x float> %x, %x\n  ret <16 x float> %y\n"
    text = f"define <16 x float> @f(<16 x float> %x) {width} {{\n{body}}}\n"
    assert "zmm" in assembly(text, named("skylake-avx512"))


def test_many_threads_compile_and_load():
    results = {}

    def work(i):
        results[i] = load([SEVEN.replace("7", str(i))], host()).function("seven", "", "i")()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: i for i in range(8)}
