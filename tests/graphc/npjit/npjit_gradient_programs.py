"""Losses in many forms, to be differentiated: loops, stores, state, tests on data, printed lines."""

import copy
import functools
import math

import numpy as np

import graphc

LOSSES = {}


def g(*makes, **_options):
    def register(f):
        LOSSES[f.__name__] = f, makes
        return f

    return register


def V(i, *shape):
    return np.random.default_rng(i).normal(size=shape or (4,))


def R(i):
    return np.random.default_rng(i)


def sig(x):
    return 1 / (1 + np.exp(-x))


@g(
    lambda i: (
        {"W": V(i, 3, 4), "b": V(i + 1), "V": V(i + 2, 4, 2), "c": np.zeros(2)},
        V(i, 5, 3),
        R(i).integers(0, 2, 5),
    )
)
def mlp(p, X, y):
    h = np.maximum(X @ p["W"] + p["b"], 0)
    s = h @ p["V"] + p["c"]
    s = s - s.max(1, keepdims=True)
    lp = s - np.log(np.exp(s).sum(1, keepdims=True))
    return -lp[np.arange(len(y)), y].mean() + 0.01 * sum((np.sum(v**2) for v in p.values()))


class Net:
    def __init__(s, i):
        s.layers = [V(i, 3, 3), V(i + 1, 3, 3)]
        s.scale = V(i, 3)
        s.t = 0

    def __call__(s, x):
        for L in s.layers:
            x = np.tanh(x @ L) * s.scale
        s.last = x
        s.t += 1
        return x


@g(lambda i: (Net(i), V(i, 2, 3)))
def object_net(net, x):
    return (net(x) ** 2).sum()


@g(lambda i: ({"W": V(i, 5, 8) * 0.3, "b": np.zeros(8)}, V(i, 4, 2, 3)))
def lstm(p, xs):
    h = c = np.zeros((2, 2))
    hs = []
    for x in xs:
        a = np.hstack((x, h)) @ p["W"] + p["b"]
        i, f, o, g_ = np.split(a, 4, axis=1)
        c = sig(f) * c + sig(i) * np.tanh(g_)
        h = sig(o) * np.tanh(c)
        hs.append(h)
    H = np.stack(hs, 1)
    return (H[:, -1] ** 2).sum() + H.mean()


@g(lambda i: (V(i, 4, 6) * 0.5, V(i, 3, 4)))
def attention(W, x):
    q, k, v = np.split(x @ W, 3, axis=-1)
    s = q @ k.T / np.sqrt(2)
    s = np.where(np.triu(np.ones((3, 3)), 1) > 0, -np.inf, s)
    a = np.exp(s - s.max(-1, keepdims=True))
    a /= a.sum(-1, keepdims=True)
    return np.sum((a @ v) ** 2)


@g(lambda i: (V(i, 3, 4),))
def in_place(x):
    y = x * 2
    y[0] = y[1] * x[2]
    y[:, 1] *= 3
    y[y > 1] = 0.5
    y += x
    z = y.copy()
    z[::2] -= y[1]
    y[1:] = y[:-1]
    w = np.zeros_like(x)
    w[:, :2] = z[:, 2:]
    w[[0, 2]] += y[[1, 1]]
    np.add.at(w, [0, 0], x[:2])
    np.clip(w, -2, 2, out=w)
    np.multiply(w, y, out=w)
    w.T[0] = x[:, 0] ** 2
    return (w * y * z).sum()


@g(lambda i: (V(i, 5),))
def swaps(x):
    y = x * 1
    y[0], y[1] = (y[1], y[0])
    y[[2, 3]] = y[[3, 2]]
    y[::-1] = y.copy()
    y -= y.mean()
    y /= np.linalg.norm(y)
    a = y
    a *= 2
    return (y * np.arange(5.0)).sum()


@g(lambda i: (V(i, 6),))
def cums(x):
    return (
        np.sum(np.cumsum(x) ** 2)
        + np.sum(np.cumprod(x))
        + np.sum(np.sort(x) * np.arange(6))
        + np.max(x) * np.min(x)
        + np.median(x)
        + np.sum(np.diff(x) ** 2)
        + np.sum(np.maximum.accumulate(x))
        + x[np.argsort(x)][2]
        + np.ptp(x)
        + np.percentile(x, 30)
        + np.prod(x)
        + np.trapezoid(x)
        + np.partition(x, 2)[0]
    )


@g(lambda i: (V(i, 4), V(i, 4)))
def numbers(x, y):
    a = float(x[0])
    b = x[1].item()
    c = int(x[2] * 10)
    d = math.exp(x[3] * 0.1)
    e = max(x[0], y[1])
    l = x.tolist()
    m = sum((v * v for v in l))
    return (
        a * b
        + d
        + e * c
        + m
        + abs(a)
        + round(2.5)
        + min(a, b, 5.0)
        + a**2
        + pow(b, 3)
        + divmod(a, 1.0)[1]
        + math.sqrt(a * a + 1)
        + (-a if a < 0 else a * 2)
    )


@g(lambda i: (V(i, 3), []))
def growing(x, hist):
    l = np.sum(x**2)
    hist.append(l)
    hist.append(float(l))
    if len(hist) > 4:
        hist.pop(0)
    print(f"loss {l:.3f}")
    return l + 0 * len(hist)


@g(lambda i: (V(i, 4), V(i, 4) > 0, R(i).integers(0, 4, 6)))
def indexing(x, m, k):
    return (
        np.sum(x[m] ** 2)
        + np.sum(x[k] ** 3)
        + np.sum(x[k][::2])
        + np.sum(x[None, :, None] * x[:, None, None])
        + np.sum(x[..., -1])
        + np.sum(x[k.reshape(2, 3)] ** 2)
        + np.sum(np.bincount(k, weights=x[k], minlength=4) ** 2)
        + np.sum(x[~m])
        + np.sum(np.compress(m, x) ** 2)
        + np.sum(np.where(m)[0] * 1.0)
        + np.mean(x, where=np.array([1, 1, 0, 1], bool))
        + np.sum(x, initial=2.0)
        + np.sum(np.take_along_axis(x, np.argsort(x), 0) * [1, 2, 3, 4.0])
    )


@g(lambda i: ({"mu": V(i, 2, 2), "ls": V(i, 2) * 0.1, "pi": V(i, 2)}, V(i, 5, 2)))
def gmm(p, X):
    lp = p["pi"] - np.log(np.exp(p["pi"]).sum())
    d = X[:, None] - p["mu"]
    ll = lp - 0.5 * (d**2).sum(-1) / np.exp(2 * p["ls"]) - 2 * p["ls"]
    m = ll.max(1)
    return -(m + np.log(np.exp(ll - m[:, None]).sum(1))).mean()


@g(lambda i: (V(i, 3, 3), V(i, 4, 3), R(i).integers(0, 4, 5)))
def hmm(A, B, obs):
    lA = A - np.logaddexp.reduce(A, axis=1, keepdims=True)
    lB = B - np.logaddexp.reduce(B, axis=0)
    al = lB[obs[0]]
    for o in obs[1:]:
        al = np.logaddexp.reduce(al[:, None] + lA, axis=0) + lB[o]
    return np.logaddexp.reduce(al)


@g(lambda i: (V(i, 20),))
def early_stop(x):
    best = np.inf
    w = x
    bad = 0
    for t in range(8):
        l = np.sum(w**2)
        if l < best:
            best = l
            bad = 0
        else:
            bad += 1
        if bad > 1:
            break
        w = w * 0.9 if t < 5 else w * 1.2
    return best + np.sum(w)


@g(
    lambda i: ({"W": V(i, 3, 3)}, V(i, 4, 3), {"n": 0, "hist": [], "best": np.inf, "bestW": None}),
    lambda i: ({"W": -V(i, 3, 3)}, V(i, 4, 3), {"n": 0, "hist": [], "best": 1.0, "bestW": None}),
)
def stateful(p, x, st):
    h = np.tanh(x @ p["W"])
    l = (h**2).mean()
    st["n"] += 1
    st["hist"].append(l)
    print(f"{st['n']} {l:.3f}")
    if l < st["best"]:
        st["best"] = l
        st["bestW"] = p["W"].copy()
        st["deep"] = copy.deepcopy(p)
    return l + 0.1 * np.sum(p["W"] ** 2)


@g(lambda i: (V(i, 6),))
def views(x):
    y = x.copy()
    v = y[::2]
    w = y.reshape(2, 3)
    v *= 2
    w[0] += v
    y[y < 0] *= 0.1
    u = w.T
    u[1] = x[:2] ** 2
    z = np.zeros(6)
    z[1:4] = y[:3]
    z[[0, 5]] = y[[5, 0]]
    z.reshape(3, 2)[:, 0] += x[:3]
    return np.sum(z * y) + np.sum(v)


@g(lambda i: (V(i, 4), V(i, 4, 4)))
def loops(x, A):
    s = 0.0
    prods = []
    for i in range(4):
        for j in range(i, 4):
            if i != j:
                s = s + A[i, j] * x[i] * x[j]
            elif x[i] > 0:
                s += x[i] ** 2
        prods.append(s)
    i = 0
    while i < 3:
        s = s * 0.9 + prods[i]
        i += 1
    o = np.zeros(4)
    for i, (a, b) in enumerate(zip(x, A)):
        o[i] = a * b.sum() + (o[i - 1] if i else 0)
    return s + o[-1] + np.array(prods).sum() + np.stack(prods)[1]


@g(lambda i: (V(i, 3, 3),))
def try_grad(A):
    try:
        B = np.linalg.inv(A * 0)
    except np.linalg.LinAlgError:
        B = A
    try:
        C = np.linalg.inv(A + 3 * np.eye(3))
    except np.linalg.LinAlgError:
        C = A * 0
    try:
        t = float("x")
    except ValueError:
        t = 1.0
    return np.sum(B * C) * t


@g(lambda i: (V(i, 4),))
def where_nan(x):
    y = np.where(x > 0, np.log(np.where(x > 0, x, 1)), 0) + np.where(x > 0, np.sqrt(x), x)
    z = np.sqrt(np.maximum(x, 0) + 0.001)
    m = x > 0
    u = np.zeros(4)
    u[m] = np.log(x[m])
    w = np.log(x, out=np.zeros(4), where=m) if False else u
    return np.sum(y * z) + np.sum(w) + np.nansum(np.where(m, x, np.nan) ** 2)


@g(
    lambda i: (
        {"a": {"w": V(i, 2)}, "b": [V(i, 2), (V(i, 2), {"c": V(i)})], "k": 3, "s": "t", "n": None, "f": 1.5},
    )
)
def tree(p):

    def walk(t, f):
        if isinstance(t, dict):
            return {k: walk(v, f) for k, v in t.items()}
        if isinstance(t, (list, tuple)):
            return type(t)((walk(v, f) for v in t))
        return f(t) if isinstance(t, np.ndarray) else t

    q = walk(p, lambda v: np.sin(v) * 2)
    return np.sum(q["a"]["w"]) + np.sum(q["b"][0] * q["b"][1][0]) + np.sum(q["b"][1][1]["c"]) * q["f"]


@g(lambda i: (V(i, 3),))
def jit_inside(x):
    f = graphc.jit(lambda z: np.sin(z) * z)
    h = functools.partial(np.power, 2.0)
    v, gr = graphc.value_and_grad(lambda z: np.sum(f(z) ** 2))(x)
    return np.sum(f(x)) + np.sum(h(x)) + v + np.sum(gr)


@g(lambda i: (V(i, 3, 3), V(i, 3)))
def while_converge(A, b):
    M = A * 0.1
    x = np.zeros(3)
    k = 0
    while True:
        n = M @ x + b
        d = np.abs(n - x).max()
        x = n
        k += 1
        if d < 0.001 or k > 30:
            break
    return np.sum(x**2)


@g(lambda i: (V(i, 2, 3, 4),))
def axes(x):
    return (
        np.sum(x.sum((0, 2)) ** 2)
        + np.sum(x.mean(-1, keepdims=True) * x)
        + np.sum(x.max(1) ** 2)
        + np.sum(x.std((1, 2)))
        + np.sum(x.transpose(2, 0, 1)[1] ** 2)
        + np.sum(x.swapaxes(0, 2) @ np.ones((2, 1)).repeat(3, 0)[:3] if False else x.swapaxes(0, 2)[0])
        + np.sum(np.linalg.norm(x, axis=2))
        + np.sum(np.prod(x, axis=0))
        + np.sum(np.cumsum(x, 1)[:, -1])
        + np.sum(np.var(x, axis=0, ddof=1))
        + np.sum(np.squeeze(x[:1], 0) ** 2)
        + np.sum(np.einsum("ijk,ilk->ijl", x, x))
        + np.sum(np.any(x > 0, axis=1) * x.sum(1))
        + np.sum(np.median(x, axis=1))
    )


class Opt:
    def __init__(s, p):
        s.p = p
        s.m = {k: np.zeros_like(v) for k, v in p.items()}
        s.t = 0

    def step(s, gr):
        s.t += 1
        for k in s.p:
            s.m[k] = 0.9 * s.m[k] + gr[k]
            s.p[k] = s.p[k] - 0.1 * s.m[k] / (1 - 0.9**s.t)


@g(lambda i: ({"w": V(i, 3)}, V(i, 4, 3)))
def unrolled_opt(p, X):
    o = Opt(dict(p))
    f = lambda q: np.mean((X @ q["w"]) ** 2)
    for _ in range(3):
        o.step(graphc.grad(f)(o.p))
    return f(o.p)
