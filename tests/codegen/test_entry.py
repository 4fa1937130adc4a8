import ctypes
import gc
import os
import platform
import subprocess
import sys
import threading

import numpy as np
import pytest

from graphc.codegen import entry
from graphc.codegen import entry_checks as checks
from graphc.codegen.loader import Code, compile_object
from graphc.codegen.module_text import module
from graphc.codegen.target import host
from graphc.codegen.text import Function

ARGUMENTS = [("f32", 2), ("i64", 1), ("f64", 0)]


def step_text():
    """status = count of elements of x0 that the frame tells, plus the first label; x2 gets the status."""
    f = Function("step", "ptr %frame", ret="i64")
    rows, columns = (f.load("i64", f.at("i64", "%frame", 10 + i)) for i in range(2))
    labels, out = (f.load("ptr", f.at("ptr", "%frame", i)) for i in (1, 2))
    status = f.add(f.mul(rows, columns), f.load("i64", labels))
    f.store("double", f(f"sitofp i64 {status} to double"), out)
    return f.text(f"i64 {status}")


def entry_text(release_gil):
    """A call that checks its arguments and gives the step's status."""
    f = Function("call", "ptr %self, ptr %args, i64 %count", ret="ptr")
    checks.require(f, "i64", "%count", 1 + len(ARGUMENTS))
    table, at = checks.checked_frame(f, f.load("ptr", "%args"), 13), 10
    for i, (dtype, rank) in enumerate(ARGUMENTS):
        array = f.load("ptr", f.at("ptr", "%args", i + 1))
        f.store("ptr", checks.checked_argument(f, array, dtype, rank, table, at), f.at("i64", table, i))
        at += rank
    status = checks.call_step(f, "step", table, release_gil)
    f.do(f"ret ptr {f(f'call ptr @PyLong_FromLongLong(i64 {status})')}")
    f.begin("unexpected")
    f.do(f"call void @Py_IncRef(ptr @{entry.NOT_IMPLEMENTED})")
    return f.text(f"ptr @{entry.NOT_IMPLEMENTED}")


def object_bytes(release_gil):
    text = module(step_text(), entry_text(release_gil), target=host(), top=entry.entry_globals())
    return compile_object(text, host())


@pytest.fixture(params=[False, True], ids=["gil held", "gil released"])
def fn(request):
    new_int = ctypes.cast(ctypes.pythonapi.PyLong_FromLongLong, ctypes.c_void_p).value
    symbols = entry.symbols() | {"PyLong_FromLongLong": new_int}
    return entry.python_callable(Code([object_bytes(request.param)], host(), symbols), "call")


def frame():
    table = np.zeros(14, "i8")
    table[10:] = [2, 3, 5, 0]
    return table


def arguments():
    return [np.zeros((2, 3), "f4"), np.full(5, 7), np.zeros(())]


def test_layout_of_this_numpy_is_known():
    assert entry.layout_is_known()


CYCLES = """
import gc
from graphc.codegen import entry
from graphc.npjit import alarms

class Box:
    pass

code = alarms.raised().__self__[-1]
gc.disable()
boxes = []
for _ in range(200 ):
    f = entry.python_callable(code, "raised")
    box = Box()
    box.f, box.me = f, box
    boxes.append(box)
del f, box, boxes
gc.collect()
print("done")
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads the flags of that processor")
def test_functions_in_cycles_are_collected():
    """glibc fills freed memory with 2s: a PyMethodDef in there would say that the function has a class."""
    filled = os.environ | {"PYTHONMALLOC": "malloc", "MALLOC_PERTURB_": "2"}
    done = subprocess.run([sys.executable, "-c", CYCLES], env=filled, capture_output=True, text=True)
    assert done.stdout == "done\n", done.stderr


def test_status_comes_back_and_pointers_go_to_the_frame(fn):
    table, xs = frame(), arguments()
    gc.collect()
    assert fn(table, *xs) == 13
    assert table[:3].tolist() == [x.ctypes.data for x in xs]
    assert xs[2] == 13
    assert fn(table.view("u8"), *xs) == 13


def test_negative_and_large_statuses(fn):
    table, xs = frame(), arguments()
    for label in (-100, 1 << 40):
        xs[1][0] = label
        assert fn(table, *xs) == label + 6


class Sub(np.ndarray):
    pass


UNEXPECTED = {
    "dtype": (0, lambda x: x.astype("f8")),
    "byte order": (0, lambda x: x.astype(">f4")),
    "rank": (0, lambda x: x.ravel()),
    "size": (0, lambda x: np.zeros((2, 4), "f4")),
    "strides": (0, lambda x: np.zeros((3, 2), "f4").T),
    "alignment": (0, lambda x: np.zeros(25, "u1")[1:].view("f4").reshape(2, 3)),
    "subclass": (0, lambda x: x.view(Sub)),
    "list": (0, lambda x: x.tolist()),
    "none": (0, lambda x: None),
    "empty": (1, lambda x: x[:0]),
    "scalar": (2, lambda x: np.float64(1)),
    "number": (2, lambda x: 1.0),
}


@pytest.mark.parametrize("what", UNEXPECTED)
def test_anything_unexpected_is_left_to_python(fn, what):
    i, change = UNEXPECTED[what]
    xs = arguments()
    xs[i] = change(xs[i])
    before = sys.getrefcount(NotImplemented)
    assert all(fn(frame(), *xs) is NotImplemented for _ in range(100))
    assert sys.getrefcount(NotImplemented) - before < 50
    assert arguments()[2] == 0


def test_wrong_count_or_frame(fn):
    xs = arguments()
    read_only = frame()
    read_only.flags.writeable = False
    assert fn() is NotImplemented
    assert fn(frame(), *xs[:2]) is NotImplemented
    assert fn(frame(), *xs, xs[0]) is NotImplemented
    for bad in (
        frame()[:12],
        np.zeros(28, "i8")[::2],
        frame().astype("f8"),
        frame().reshape(2, 7),
        None,
        read_only,
    ):
        assert fn(bad, *xs) is NotImplemented


def test_read_only_arguments_are_fine(fn):
    xs = arguments()
    xs[0].flags.writeable = False
    assert fn(frame(), *xs) == 13


def test_threads_with_frames_of_their_own(fn):
    wrong = []

    def work(label):
        table, xs = frame(), arguments()
        xs[1][0] = label
        wrong.extend(1 for _ in range(2000) if fn(table, *xs) != label + 6 or xs[2] != label + 6)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_object_is_the_same_in_another_process():
    text = "import sys; sys.path.insert(0, sys.argv[1]); import test_entry, hashlib;"
    text += "print(hashlib.sha256(test_entry.object_bytes(True)).hexdigest())"
    folder = __file__.rsplit("/", 1)[0]
    command = [sys.executable, "-c", text, folder]
    digests = {subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(digests) == 1
