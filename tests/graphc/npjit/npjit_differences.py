"""Runs programs plainly and under jit, and tells the first difference in what can be seen of them."""

import contextlib
import io
import random
import warnings

import numpy as np
from npjit_harness import diff, diff_text, leaves

PROGRAMS = {}


def prog(make, n=7, persist=True):
    """A program whose call number i gets the arguments make(i); `persist`: also many calls with the same."""

    def register(f):
        PROGRAMS[f.__name__] = f, make, min(n, 8), persist
        return f

    return register


def R(i):
    return np.random.default_rng(i)


def observe(f, args, seed):
    """What a call gives, raises, prints, draws and leaves behind."""
    np.random.seed(seed)
    random.seed(seed)
    text, out, error = io.StringIO(), None, None
    with warnings.catch_warnings(), contextlib.redirect_stdout(text):
        warnings.simplefilter("ignore")
        try:
            out = f(*args)
        except Exception as e:  # any: it is compared
            error = type(e), str(e)
    inputs = leaves(args)
    return {
        "error": error,
        "result": out,
        "arguments": args,
        "stream": list(np.random.get_state()[1:3]),
        "random": random.getstate(),
        "aliases": [[(r is a, bool(np.may_share_memory(r, a))) for a in inputs] for r in leaves(out)],
        "text": text.getvalue(),
    }


def difference(plain, mine):
    """None, or one line about the first difference."""
    found = diff_text(plain.pop("text"), mine.pop("text"))
    return found or diff(plain, mine, path="call")


def first_difference(f, jitted, make, calls, fresh=True):
    """The first difference over several calls, with new arguments each time or with the same."""
    plain, mine = list(make(0)), list(make(0))
    for i in range(calls):
        if fresh:
            plain, mine = list(make(i)), list(make(i))
        found = difference(observe(f, plain, i), observe(jitted, mine, i))
        if found:
            return f"call {i}: {found}"
    return None
