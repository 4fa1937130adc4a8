"""Programs that print and make text of what they compute."""

from types import SimpleNamespace as NS

import numpy as np
from npjit_differences import R, prog

V = lambda i, *n: R(i).normal(size=n or (4,))


@prog(lambda i: (V(i, 3 + i % 3, 2),))
def size_prints(x):
    n, d = x.shape
    print(f"{n} x {d}: {x.shape} {len(x)} {x.size}", x[:1])
    y = x.reshape(-1)
    s = [str(n), "%dx%d" % (n, d)]
    return (
        y[n],
        s,
        f"{n / 2:.2f}",
        n // 2 * d,
        np.arange(n),
        {n: 1},
        [0] * n,
        np.zeros((n, n)).shape,
        "a" * n,
    )


@prog(lambda i: (V(i, 3 + i % 4, 2), V(i, 3 + i % 4)))
def size_errors(x, y):
    try:
        a = x[4]
    except IndexError as e:
        a = str(e)
    try:
        b = x.reshape(2, -1)
    except ValueError as e:
        b = str(e)
    try:
        c = np.split(y, 2)
    except ValueError as e:
        c = str(e)
    return (a, b, c, y[-1], x[len(x) // 2], x[::2], y[1:-1], [v for v in y][:2])


class Log:
    def __init__(s):
        s.lines = []

    def __call__(s, *a):
        s.lines.append(" ".join(map(str, a)))

    def write(s, t):
        s.lines.append(t)


@prog(lambda i: (V(i), Log(), NS(n=0)))
def loggers(x, log, o):
    log("sum", x.sum(), o.n)
    o.n += 1
    log(f"{o.n}", x)
    print("to log", x[0], file=log)
    msg = f"{x.mean():.2f}"
    log.lines.append(msg + "!")
    log.last = msg
    d = {msg[:3]: 1}
    t = "|".join([msg, str(o.n), repr(x[0])])
    o.txt = t
    return (
        msg,
        t,
        list(d),
        msg.replace("0", "O"),
        "{0}-{1}".format(o.n, msg),
        ("%s" % msg).strip(),
        msg in t,
        len(t),
        t.split("|")[1],
    )


@prog(lambda i: (V(i), {"a": 1}, [1, V(i)]))
def print_forms(x, d, l):
    print()
    print(x, sep="")
    print("a", "b", sep="-", end="\n\n")
    print(d, l, x.shape, x.dtype, None, True, 1.5, np.float32(2))
    print(*x, sep=", ")
    print("%5.2f|%-8s|%e" % (x[0], "ab", x[1]))
    print(f"{x}\nx[0]={x[0]:.3f} {'q'!r} {d['a']:>5}")
    print(x[:2].tolist(), {"k": x.sum()}, (x[0],), [l[1]])
    x *= 2
    print(x)
    d["a"] += 1
    print(d["a"])
    print(type(x), len(l), x.sum() > 0, x > 0)
    print(np.array([1, 2]), [np.float64(1)], "{:.1%}".format(0.256))
    print("end", flush=True)
    return print("x", end="")


@prog(lambda i: (V(i, 2, 2),))
def print_then_fail(x):
    print("before", x.sum())
    x[0] = 1
    print(x)
    y = np.linalg.inv(x * 0)
    print("never")
    return y


@prog(lambda i: (V(i), i))
def strings(x, n):
    name = "layer" + str(n)
    d = {f"W{k}": x * k for k in range(1, 3)}
    d["W" + str(1)] += 1
    s = "%s: %.3f" % (name, x.sum())
    t = "{:>8.2f}|{a}".format(x[0], a=n)
    u = ", ".join((f"{v:.1f}" for v in x))
    print(s, t, u, sep="\n")
    print(name.upper().ljust(10, ".") + "!", len(s) > 3, name in d, d.keys() >= {"W1"}, repr(x[0]))
    return (
        d,
        s,
        t,
        u,
        name[:-1],
        name.split("y"),
        s.startswith("lay"),
        f"{x[0]:+.2e}",
        f"{n:03d}",
        f"{n!r:>4}",
        f"{x.shape}{x.dtype}",
        str(x.dtype),
        x.dtype.name,
        x.dtype == float,
    )
