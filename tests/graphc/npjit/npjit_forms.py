"""Programs in the forms of the language: functions of functions, loops, errors."""

import contextlib
import functools
import itertools
import math
import operator

import numpy as np
from npjit_differences import R, prog

V = lambda i, n=4: R(i).normal(size=n)


@prog(lambda i: (V(i),))
def nested_defs(x):
    acc = []

    def f(a, *r, k=2, **kw):
        acc.append(k)
        return a * k + sum(r) + sum(kw.values())

    g = lambda z, y=x: z * y

    def fact(n):
        return 1 if n < 2 else n * fact(n - 1)

    def gen(n):
        for i in range(n):
            s = yield x[i]
            if s:
                acc.append(s)

    h = gen(3)
    first = next(h)
    sec = h.send(5)
    return (f(x), f(x, 1, 2, k=3, z=x), g(2), fact(5), first, sec, list(h), acc)


@functools.lru_cache(None)
def cached_const(n):
    return n * 2


@functools.lru_cache(None)
def cached_arr(n):
    return np.arange(n) * 1.0


@functools.singledispatch
def disp(x):
    return "obj"


@disp.register
def _(x: int):
    return x + 1


@disp.register
def _(x: np.ndarray):
    return x * 2


@prog(lambda i: (V(i), 3))
def functools_(x, n):
    p = functools.partial(np.clip, a_min=-1, a_max=1)
    q = functools.partial(lambda a, b, c: a * b + c, 2.0, c=x)
    r = functools.reduce(np.add, [x, x * 2, x * 3])
    c = functools.reduce(lambda f, g: lambda v: g(f(v)), [np.sin, np.cos, lambda v: v + 1])
    s = cached_arr(4)
    s2 = cached_arr(4)
    return (
        p(x),
        q(x),
        r,
        c(x),
        cached_const(n),
        s + x,
        s is s2,
        disp(1),
        disp(x),
        disp("s"),
        functools.reduce(operator.mul, range(1, 5)),
    )


@prog(lambda i: ([V(i + k, 3) for k in range(3)], ["b", "a", "c"]))
def itertools_(xs, names):
    out = [a * b for a, b in itertools.combinations(xs, 2)]
    out += [sum(t) for t in itertools.product([1, 2], [x[0] for x in xs])]
    ch = list(itertools.chain(xs, [xs[0]], *[[x] for x in xs]))
    ac = list(itertools.accumulate(xs))
    isl = list(itertools.islice(itertools.cycle(xs), 1, 6, 2))
    zl = list(itertools.zip_longest(xs, names, [1], fillvalue=0))
    st = list(map(np.add, xs, xs))
    gb = [(k, len(list(g))) for k, g in itertools.groupby(sorted([*names, "a"]))]
    pw = [b - a for a, b in itertools.pairwise(xs)]
    tk = list(itertools.takewhile(lambda v: v is not xs[2], xs))
    en = [(i, n, x.sum()) for i, (n, x) in enumerate(zip(names, xs), 1)]
    rv = list(reversed(xs))
    so = sorted(zip(names, xs), key=lambda t: t[0])
    rep = list(itertools.repeat(xs[0], 2))
    cp = list(itertools.compress(xs, [1, 0, 1]))
    return (out, ch, ac, isl, zl, st, gb, pw, tk, en, rv, so, rep, cp, [x is y for x, y in zip(ch, xs)])


@prog(lambda i: (V(i), i))
def try_finally(x, i):
    log = []

    def risky(k):
        try:
            x[k] = 0
            log.append("t")
            return x[k + i % 4].sum()
        except IndexError as e:
            log.append(("e", str(e)))
            raise ValueError("wrapped") from e
        else:
            log.append("else")
        finally:
            log.append("f")
            x[0] += 1

    for k in (0, 3, 9):
        try:
            log.append(risky(k))
        except ValueError as e:
            log.append((str(e), type(e.__cause__).__name__))
        except (KeyError, TypeError):
            log.append("no")
    else:
        log.append("done")
    return log


class Timer:
    def __init__(self, log):
        self.log = log

    def __enter__(self):
        self.log.append("in")
        return self

    def __exit__(self, t, v, tb):
        self.log.append(t.__name__ if t else "out")
        return t is ZeroDivisionError


@contextlib.contextmanager
def ctx(log, x):
    log.append("a")
    x += 1
    try:
        yield (x * 2)
    finally:
        log.append("z")


@prog(lambda i: (V(i), []))
def managers(x, log):
    with Timer(log), ctx(log, x) as y:
        z = y + x
        1 / 0
    try:
        with ctx(log, x):
            raise KeyError("k")
    except KeyError as e:
        log.append(e.args)
    with contextlib.suppress(IndexError):
        x[99]
    with np.errstate(all="ignore"):
        w = np.log(x * 0)
    with contextlib.ExitStack() as s:
        s.callback(log.append, 5)
    return (z, w, log)


@prog(lambda i: (V(i),))
def control(x):
    out = []
    for i in range(5):
        if i == 1:
            continue
        if i == 4:
            break
        for j in range(3):
            if j == i:
                break
            out.append(i * j)
        else:
            out.append("e")
    else:
        out.append("never")
    n = 10
    while n > 0:
        n -= 3
        if n < 3:
            break
    else:
        out.append("x")
    a = 1 if 0 < n <= 5 else 2
    b = x if len(x) else None
    c = (b is not None and b.ndim == 1) or False
    d = not c
    assert n != 99, "msg"
    return (
        out,
        n,
        a,
        b,
        c,
        d,
        0 < 1 < 2 != 3,
        x.sum() == x.sum() != 5,
        (lambda *z: z)(*x[:2]),
        x[0] < x[1] < x[2],
    )


@prog(lambda i: (list(V(i)), V(i).tolist(), V(i)))
def lists_of_numbers(a, b, x):
    a.append(1.5)
    s = sum(a) / len(a)
    m = max(b)
    k = b.index(m)
    srt = sorted(b, reverse=True)
    z = np.array(a) * s
    t = np.mean(b)
    u = [v**2 for v in b if v > 0]
    w = sum((v * w for v, w in zip(a, b)))
    return (
        s,
        m,
        k,
        srt,
        z,
        t,
        u,
        w,
        np.dot(a[:4], x),
        x @ b,
        np.maximum(b, x),
        x + b,
        b + a,
        x - a[:4],
        min(a),
        round(s, 2),
        abs(a[0]),
        divmod(a[0], 0.3),
        a[0] // 0.3,
        a[0] % 0.3,
        -(a[0] ** 2),
        int(a[0] * 10),
        bool(a[0]),
        math.floor(s),
        math.sqrt(abs(s)),
        math.exp(s),
        s.is_integer(),
    )


@prog(lambda i: (V(i), V(i, 3)))
def exceptions_numpy(x, y):
    out = []
    for f in (
        lambda: x + y,
        lambda: x @ y,
        lambda: x.reshape(3, 2),
        lambda: np.concatenate([x, x[None]]),
        lambda: x[10],
        lambda: x[1, 2],
        lambda: np.zeros(3)[1.5],
        lambda: np.linalg.inv(np.zeros((2, 2))),
        lambda: np.dot(x, y),
        lambda: np.stack([x, y]),
        lambda: x.astype("nope"),
        lambda: x.foo,
        lambda: np.foo,
        lambda: int("a"),
        lambda: x.sum(axis=2),
        lambda: np.einsum("ij,jk", x, x),
        lambda: float(x),
        lambda: bool(x),
        lambda: x[None:].max(axis=(0, 0)),
        lambda: np.split(x, 3),
        lambda: {}["k"],
        lambda: [][0],
        lambda: x + "a",
        lambda: np.array([1, 2]) ** (-1),
        lambda: range(x),
        lambda: len(5),
        lambda: None.a,
        lambda: np.maximum.reduce(x[:0]),
        lambda: x[:0].max(),
        lambda: x[:0].argmax(),
        lambda: np.arange(3).__getitem__((1, 1)),
        lambda: 1 // 0,
        lambda: x.transpose(1, 0),
        lambda: np.random.choice(3, 5, replace=False),
        lambda: np.ones((2, 3)) @ np.ones((2, 3)),
        lambda: x.dot(y),
        lambda: iter(3),
        lambda: x(1),
        lambda: np.uint8(300),
    ):
        try:
            out.append(f())
        except Exception as e:
            out.append((type(e).__name__, str(e)))
    return out


@prog(lambda i: (V(i), np.float64(i), i, True, None))
def types_of(x, f, n, b, z):
    return (
        type(x).__name__,
        type(x) is np.ndarray,
        type(f),
        type(n),
        isinstance(f, float),
        isinstance(n, int),
        isinstance(b, int),
        isinstance(x, (list, np.ndarray)),
        type(x.sum()),
        type(x[0]),
        type(x[:1]),
        type(x.mean().item()),
        type(len(x)),
        type(x.shape),
        type(n + f),
        type(n / 2),
        type(n * x),
        np.isscalar(f),
        np.isscalar(x),
        callable(x),
        type(f * n),
        type(np.float32(1) * n),
        type(x > 0),
        type((x > 0).any()),
        type(x.sum() > 0),
        issubclass(type(f), np.floating),
        x.dtype.type,
        z is None,
        type(z),
        np.ndim(f),
        np.shape(n),
        np.size(x),
    )


@prog(lambda i: (R(i).normal(size=4), R(i).random()))
def maths(x, a):
    r = math.sqrt(np.sum(x**2))
    s = (
        math.exp(x[0])
        + math.log(abs(x[1]))
        + math.tanh(a)
        + math.floor(x[2])
        + math.pow(x[0], 2)
        + math.atan2(x[0], a)
        + math.hypot(x[0], x[1])
    )
    n = math.ceil(r)
    t = math.isnan(x[0]) or math.isinf(r)
    u = math.fsum(x) + math.prod([1, 2]) + math.pi
    try:
        v = math.log(-abs(x[0]))
    except ValueError as e:
        v = str(e)
    try:
        w = math.acos(x[0] * 10)
    except ValueError as e:
        w = str(e)
    try:
        y = math.exp(10000.0 * abs(x[0]))
    except OverflowError as e:
        y = str(e)
    return (
        r,
        s,
        n,
        t,
        u,
        v,
        w,
        y,
        type(r),
        type(n),
        x / r,
        x[:n] if n < 3 else None,
        math.isclose(r, r),
        math.atanh(x[0] * 0.01),
    )
