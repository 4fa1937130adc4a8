"""Programs whose state, tests on data and failures must be those of plain Python."""

import contextlib
import copy
import math

import numpy as np
from npjit_differences import R, prog

V = lambda i, *n: R(i).normal(size=n or (4,))


class M:
    def __init__(s, i, n=2):
        s.n = n
        s.t = 0
        s.log = []
        s.best = None
        s.best_loss = float("inf")
        for k in range(n):
            setattr(s, f"W{k}", V(i + k, 3, 3))
            setattr(s, f"b{k}", np.zeros(3))
        s.cache = {}


@prog(lambda i: (M(i, 2 + i % 2), V(i, 4, 3)))
def attr_names(m, x):
    for k in range(m.n):
        W = getattr(m, f"W{k}")
        m.cache[f"z{k}"] = x
        x = np.tanh(x @ W + getattr(m, "b" + str(k)))
    for k in reversed(range(m.n)):
        setattr(m, "dW%d" % k, m.cache["z{}".format(k)].T @ x[:, :3])
        exec_ = getattr(m, f"dW{k}")
        W = getattr(m, f"W{k}")
        W -= 0.1 * exec_
        setattr(m, f"b{k}", getattr(m, f"b{k}") - 0.1 * x.sum(0))
    m.t += 1
    name = f"step{m.t % 3}"
    m.cache[name] = x.mean()
    setattr(m, name, m.t)
    return (hasattr(m, f"W{m.n}"), hasattr(m, name), sorted((k for k in vars(m) if k.startswith("dW"))), name)


@prog(lambda i: (M(i), V(i, 4, 3)), n=12)
def train_loop(m, x):
    for ep in range(3):
        idx = np.random.permutation(4)
        tot = 0.0
        for b in range(0, 4, 2):
            xb = x[idx[b : b + 2]]
            h = np.tanh(xb @ m.W0)
            e = h - xb
            m.W0 -= 0.05 * xb.T @ (e * (1 - h * h))
            tot += (e**2).sum()
        m.log.append(tot / 4)
        m.t += 1
        if m.t % 2 == 0:
            print(
                f"epoch {m.t:3d} | loss {tot:.4f} | lr {1 / (1 + m.t):.3g} | {('*' * m.t if m.t < 3 else '')}"
            )
        if tot < m.best_loss:
            m.best_loss = tot
            m.best = copy.deepcopy({"W": m.W0, "b": [m.b0]})
            print("  best", m.best_loss)
        if len(m.log) > 6:
            m.log.pop(0)
    return (m.best["W"] is m.W0, np.mean(m.log), m.log[-1])


@prog(
    lambda i: (
        V(i),
        {"loss": [], "lr": 0.1, "patience": 2},
        np.array(1000000000.0) if i % 2 else np.array([1000000000.0]),
    )
)
def early(w, h, best):
    g = 2 * w
    w -= h["lr"] * g + np.random.randn(4) * 0.05
    l = float((w**2).sum())
    h["loss"].append(l)
    if l < best:
        best[...] = l
        h["since"] = 0
        print("new best %.3f" % l, end=";")
    elif h.get("since", 0) >= h["patience"]:
        h["lr"] *= 0.5
        h["since"] = 0
        print("lr ->", h["lr"])
    else:
        h["since"] = h.get("since", 0) + 1
    if not np.isfinite(l) or l > 1000000.0:
        raise FloatingPointError(f"diverged {l:.1f}")
    return (l, h["lr"])


@prog(lambda i: (V(i), V(i + 1), [0]))
def metropolis(x, y, acc):
    for k in range(2):
        p = x + np.random.normal(0, 0.5, 4)
        a = np.exp(-0.5 * (p @ p - x @ x))
        if np.random.rand() < a:
            x[:] = p
            acc[0] += 1
        else:
            y += x
    return (acc[0], x.sum())


@prog(lambda i: (V(i), np.random.RandomState(i), []))
def rs_branch(x, rs, log):
    if rs.rand() < 0.5:
        log.append(rs.randn(2))
        x = x + rs.uniform(-1, 1, 4)
    else:
        log.append(None)
        rs.shuffle(x)
    return (x, rs.randint(10))


@prog(lambda i: (V(i) * (1 + i % 3),))
def nested_tests(x):
    out = []
    if x.max() > 1:
        out.append("big")
        if x.min() < -1:
            out.append("wide")
            x *= 0.5
        elif np.abs(x).mean() > 0.5:
            x /= 2
    elif (x[0] > 0 and x[1] > 0) or x[2] < 0:
        out.append("c")
        x[x < 0] = 0
    y = 1.0 if x.sum() > 0 else -1.0
    z = x if (x > 0).all() else -x
    assert x.shape == (4,)
    return (
        out,
        y,
        z,
        x.any() and x[0],
        not x.any(),
        x[0] or 5,
        min(x[0], x[1]),
        max(0, x[0]),
        sorted([3, 1]),
    )


@prog(lambda i: (np.abs(V(i)) + 0.1, V(i, 3, 3), i))
def try_linalg(x, A, i):
    out = []
    B = A @ A.T if i % 2 else np.ones((3, 3)) * (i % 3 - 1)
    try:
        out.append(np.linalg.cholesky(B))
        x *= 2
        out.append("ok")
    except np.linalg.LinAlgError as e:
        out.append(str(e))
        x += 1
    else:
        out.append("else")
    finally:
        out.append(x.sum())
    try:
        out.append(np.linalg.inv(B))
        k = int(x[0] * 3)
        out.append(A[k])
        out.append(A[np.array([k])])
    except (np.linalg.LinAlgError, IndexError) as e:
        out.append(type(e).__name__)
    with contextlib.suppress(IndexError):
        out.append(1)
        out.append(x[np.array([i % 6])])
        out.append(2)
    try:
        with np.errstate(divide="raise", invalid="raise"):
            x -= x[0]
            y = 1 / x
            out.append(y)
    except FloatingPointError as e:
        out.append(str(e))
    return out


@prog(lambda i: ([V(i, 2) * k for k in range(3)], i % 4))
def try_in_callee(l, i):

    def f(v, k):
        l.append(v * 2)
        r = l[k]
        l[0] = l[0] + 1
        return r / (2 - k)

    def g(k):
        try:
            return f(l[0], k + 3 * (i == 3))
        except ZeroDivisionError:
            return "z"
        except IndexError as e:
            l.append(0)
            return str(e)

    return ([g(k) for k in range(3)], len(l))


@prog(lambda i: (3.5 if i % 2 else 0.0, i % 3, V(i)))
def failing_numbers(a, n, x):
    out = []
    try:
        out.append(1 / a)
    except ZeroDivisionError:
        out.append("zero")
        a = 1.0
    try:
        out.append(x[n + 2])
    except IndexError as e:
        out.append(str(e))
    try:
        out.append([1, 2][n])
    except IndexError:
        out.append("idx")
    try:
        out.append(math.log(n))
    except ValueError as e:
        out.append(str(e))
    try:
        out.append(10 % n)
    except ZeroDivisionError as e:
        out.append(str(e))
    try:
        out.append({0: "a", 1: "b"}[n])
    except KeyError as e:
        out.append(e.args)
    try:
        out.append(x.reshape(n + 1, -1).shape)
    except ValueError as e:
        out.append(str(e))
    try:
        out.append(np.ones(n) @ x)
    except ValueError:
        out.append("mm")
    return (out, a)


@prog(lambda i: (V(i, 2, 2), np.zeros((2, 2)), []))
def aliases_copy(x, y, l):
    a = {"p": x, "q": [x, y]}
    b = copy.deepcopy(a)
    c = copy.copy(a)
    d = a["q"][:]
    b["p"][0] = 9
    c["q"].append(1)
    e = copy.deepcopy(l)
    l.append(b["q"][0])
    f = copy.deepcopy(x[0])
    f += 1
    g = copy.copy(x)
    g[0] = 3
    h = copy.deepcopy((x, x))
    return (
        b,
        c,
        len(a["q"]),
        d,
        b["p"] is b["q"][0],
        h[0] is h[1],
        f,
        g,
        e,
        copy.deepcopy(3.0),
        copy.deepcopy([[]]),
        copy.deepcopy(np.float64(2)),
    )


@prog(lambda i: (V(i, 3), V(i, 3).astype(np.float32)))
def scalars_(x, y):
    a = x[0]
    b = y[0]
    c = x.sum()
    a += 1
    d = c
    d *= 2
    e = b * 2.0
    f = b * np.float64(2)
    g = a.item()
    h = int(c > 0)
    k = c.astype(np.float32)
    l = np.float32(a)
    m = b.dtype
    n = (c.shape, c.ndim, c.size)
    o = c.reshape(1)
    p = c.copy()
    q = np.array(c)
    q += 1
    r = [a, b]
    r[0] += 1
    s = -c if c > 0 else c
    t = abs(c)
    u = round(c, 2)
    v = round(float(c))
    w = c == d
    z = bool(c)
    return (
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        k,
        l,
        m,
        n,
        o,
        p,
        q,
        r,
        s,
        t,
        u,
        v,
        w,
        z,
        type(u),
        type(v),
        c // 1,
        c % 1,
        divmod(c, 1),
        c**2,
        2**c,
        c.real,
        c.imag,
        c.conjugate(),
        c.is_integer() if hasattr(c, "is_integer") else 0,
        f"{c}",
        str(b),
        repr(c),
        float(b),
        hash(1),
        x[0] is x[0],
    )


@prog(lambda i: (V(i, 5), V(i, 5)))
def same_array(x, y):
    z = x
    z += y
    w = np.asarray(x)
    w *= 2
    v = x.view()
    v[0] = 7
    u = x[...]
    u[1] = 8
    t = x.ravel()
    t[2] = 9
    s = np.atleast_1d(x)
    s[3] = 1
    r = x.reshape(5, 1)[:, 0]
    r[4] = 2
    q = x.T
    q -= 1
    return (z is x, w is x, v is x, u.base is x, x, q, np.shares_memory(x, t))


@prog(lambda i: (lambda a: (a, a, a[1:], a[::-1]))(V(i, 6)))
def overlapping_args(a, b, c, d):
    a += 1
    c *= 2
    b[0] = 5
    d[1] = a[2]
    e = c + d[1:]
    a[:] = d
    return (e, a is b, c)
