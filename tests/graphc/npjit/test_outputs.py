"""Arrays that results are written to, by name and by position, and functions that change their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc

WRITES: dict[str, Any] = {
    "nan": lambda x, o, v, w: (np.nan_to_num(x, copy=False), x + 0)[1],
    "nan2": lambda x, o, v, w: (np.nan_to_num(x, False), x + 0)[1],
    "clip": lambda x, o, v, w: (np.clip(x, -1, 1, x), x + 0)[1],
    "mclip": lambda x, o, v, w: (x.clip(-1, 1, x), x + 0)[1],
    "cumsum": lambda x, o, v, w: (np.cumsum(x, 0, None, o), o + 0)[1],
    "sum": lambda x, o, v, w: (np.sum(x, 0, None, w), w + 0)[1],
    "msum": lambda x, o, v, w: (x.sum(0, None, w), w + 0)[1],
    "dot": lambda x, o, v, w: (np.dot(o, o.T, np.zeros((2, 2))), np.dot(x, np.eye(3), o), o + 0)[2],
    "mdot": lambda x, o, v, w: (x.dot(np.eye(3), o), o + 0)[1],
    "take": lambda x, o, v, w: (np.take(x, [0], 0, o[:1]), o + 0)[1],
    "round": lambda x, o, v, w: (np.round(x * 1.55, 1, o), o + 0)[1],
    "mround": lambda x, o, v, w: (x.round(0, o), o + 0)[1],
    "mean": lambda x, o, v, w: (np.mean(x, 0, None, w), w + 0)[1],
    "max": lambda x, o, v, w: (np.max(x, 0, w), w + 0)[1],
    "mmax": lambda x, o, v, w: (x.max(1, v), v + 0)[1],
    "reduce": lambda x, o, v, w: (np.add.reduce(x, 0, None, w), w + 0)[1],
    "acc": lambda x, o, v, w: (np.add.accumulate(x, 0, None, o), o + 0)[1],
    "conc": lambda x, o, v, w: (np.concatenate((x[:1], x[1:]), 0, o), o + 0)[1],
    "stack": lambda x, o, v, w: (np.stack((x[0], x[1]), 0, o), o + 0)[1],
    "argmax": lambda x, o, v, w: (np.argmax(x, 1, np.zeros(2, int)), x.argsort(0), 0)[2],
    "std": lambda x, o, v, w: (np.std(x, 0, None, w), w + 0)[1],
    "trace": lambda x, o, v, w: (np.trace(x[:, :2], 0, 0, 1, None, v[:1].reshape(())), v + 0)[1],
    "choose": lambda x, o, v, w: (np.choose([0, 1, 0], [w, w + 1], w), w + 0)[1],
    "compress": lambda x, o, v, w: (np.compress([True, False], x, 0, o[:1]), o + 0)[1],
    "copyto": lambda x, o, v, w: (np.copyto(o, x, "same_kind", x > 0), o + 0)[1],
    "einsum": lambda x, o, v, w: (np.einsum("ij->i", x, out=v), v + 0)[1],
    "fill": lambda x, o, v, w: (np.fill_diagonal(x, 7, True), x + 0)[1],
    "putalong": lambda x, o, v, w: (np.put_along_axis(o, np.array([[0], [1]]), 9, 1), o + 0)[1],
    "put": lambda x, o, v, w: (o.put([0, 1], 5), np.put(o, [2], [6]), o + 0)[2],
    "sort": lambda x, o, v, w: (x.sort(0), o.sort(), x + 0)[2],
    "resize": lambda x, o, v, w: (np.resize(x, (3, 3))) * 2,
    "setfl": lambda x, o, v, w: (x.setflags(write=False), o.flags.writeable, x.flags["C_CONTIGUOUS"])[1:],
    "dtype": lambda x, o, v, w: (setattr(v, "dtype", np.int64), v)[1],
    "shape": lambda x, o, v, w: (setattr(o, "shape", (3, 2)), o + 1)[1],
    "swap": lambda x, o, v, w: (x.byteswap(True), x.byteswap(True), x + 0)[2],
    "real": lambda x, o, v, w: (setattr(x, "real", 3.0), x + 0)[1],
    "flat": lambda x, o, v, w: (setattr(x, "flat", [1, 2]), x + 0)[1],
    "T": lambda x, o, v, w: (x.T.__setitem__((0, 0), 5), x.__iadd__(1), x + 0)[2],
    "require": lambda x, o, v, w: (np.require(x, requirements="C").__iadd__(1), x + 0)[1],
    "asarr": lambda x, o, v, w: (
        np.ascontiguousarray(x).__imul__(2),
        np.asanyarray(x).__isub__(1),
        np.array(x, copy=False).__iadd__(3) if False else 0,
        x + 0,
    )[3],
    "ufn": lambda x, o, v, w: (np.sqrt(x, x), np.add(x, 1, x), np.negative(x, out=(x,)), x + 0)[3],
    "modf": lambda x, o, v, w: (np.modf(x, o, x), o + 0, x + 0)[1:],
    "frexp": lambda x, o, v, w: (np.divmod(x, 2, out=(o, None)), o + 0)[1],
    "lin": lambda x, o, v, w: (np.linalg.norm(x[0][:1]), np.linalg.multi_dot([o, o.T, o], out=o), o + 0)[2],
    "place": lambda x, o, v, w: (np.place(x, x > 3, [8]), np.putmask(x, x > 7, w[:1]), x + 0)[2],
    "broad": lambda x, o, v, w: (
        np.broadcast_to(w, (2, 3)) + 0,
        [a.sum() for a in np.broadcast_arrays(w, x)],
        np.nditer([w]).__class__.__name__,
    )[2],
    "atwhere": lambda x, o, v, w: (np.add(x, 1, out=o, where=x > 3), np.sqrt(x, o, where=x > 0), o + 0)[2],
    "nanf": lambda x, o, v, w: (np.nansum(x, 0, None, w), np.nanmean(x, 1, None, v), w + 0, v + 0)[2:],
    "median": lambda x, o, v, w: (np.median(x[:, :1], 0, w[:1], True), x + 0, w + 0)[1:],
    "pct": lambda x, o, v, w: (np.percentile(x[1], 50, overwrite_input=False, out=v[0:1].reshape(())), v + 0)[
        1
    ],
}


def seen(f: Any) -> str:
    given = [np.array([[1.0, np.nan, -3], [4, 5, 6]]), np.zeros((2, 3)), np.zeros(2), np.zeros(3)]
    try:
        result: Any = f(*given)
    except Exception as e:  # any: it is compared
        result = type(e), str(e)
    return repr((result, given))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WRITES)
def test_written_as_plain(name: str) -> None:
    jitted = graphc.jit(WRITES[name])
    for _ in range(4):
        assert seen(jitted) == seen(WRITES[name])
