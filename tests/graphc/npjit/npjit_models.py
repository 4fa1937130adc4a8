"""Programs like those that people train with."""

import collections
import math
from collections import defaultdict

import numpy as np
from npjit_differences import R, prog

V = lambda i, *n: R(i).normal(size=n or (4,))


class Parameter:
    def __init__(s, d):
        s.data = d
        s.grad = np.zeros_like(d)
        s.name = None

    def zero_grad(s):
        s.grad[...] = 0

    @property
    def shape(s):
        return s.data.shape

    def __isub__(s, o):
        s.data -= o
        return s

    def __repr__(s):
        return f"Parameter{s.shape}"


class Layer:
    def __init__(s):
        s._params = {}

    def __setattr__(s, k, v):
        if isinstance(v, Parameter):
            v.name = k
            s._params[k] = v
        object.__setattr__(s, k, v)

    def params(s):
        yield from s._params.values()
        for v in s.__dict__.values():
            if isinstance(v, Layer):
                yield from v.params()

    def __call__(s, *a, **k):
        return s.forward(*a, **k)


class Dense(Layer):
    def __init__(s, i, o, r):
        super().__init__()
        s.W = Parameter(r.normal(size=(i, o)))
        s.b = Parameter(np.zeros(o))

    def forward(s, x):
        s.x = x
        return x @ s.W.data + s.b.data

    def backward(s, d):
        s.W.grad += s.x.T @ d
        s.b.grad += d.sum(axis=0)
        return d.dot(s.W.data.T)


class MLP(Layer):
    def __init__(s, r):
        super().__init__()
        s.l1 = Dense(3, 4, r)
        s.l2 = Dense(4, 2, r)

    def forward(s, x, train=True):
        s.h = np.tanh(s.l1(x))
        return s.l2(s.h)

    def backward(s, d):
        return s.l1.backward(s.l2.backward(d) * (1 - s.h**2))


class Optim:
    defaults = dict(lr=0.1)

    def __init__(s, ps, **k):
        s.ps = list(ps)
        s.state = defaultdict(dict)
        vars(s).update({**s.defaults, **k})
        s.steps = 0

    def zero_grad(s):
        for p in s.ps:
            p.zero_grad()


class Momentum(Optim):
    defaults = dict(lr=0.1, beta=0.9, nesterov=False)

    def step(s):
        s.steps += 1
        for p in s.ps:
            st = s.state[p.name]
            if "v" not in st:
                st["v"] = np.zeros_like(p.data)
            st["v"] = s.beta * st["v"] + p.grad
            p -= s.lr * (p.grad + s.beta * st["v"] if s.nesterov else st["v"])


class AdamW(Optim):
    defaults = dict(lr=0.01, b1=0.9, b2=0.99, wd=0.01)

    def step(s):
        s.steps += 1
        for i, p in enumerate(s.ps):
            st = s.state.setdefault(i, {"m": 0, "v": 0})
            st["m"] = s.b1 * st["m"] + (1 - s.b1) * p.grad
            st["v"] = s.b2 * st["v"] + (1 - s.b2) * p.grad**2
            mh = st["m"] / (1 - s.b1**s.steps)
            vh = st["v"] / (1 - s.b2**s.steps)
            p.data *= 1 - s.lr * s.wd
            p.data -= s.lr * mh / (np.sqrt(vh) + 1e-08)


def mkfw(i):
    m = MLP(R(i))
    return (m, [Momentum, AdamW][i % 2](m.params()), V(i, 5, 3), V(i + 1, 5, 2))


@prog(mkfw, n=12)
def framework(m, o, x, y):
    o.zero_grad()
    p = m(x)
    l = ((p - y) ** 2).mean()
    m.backward(2 * (p - y) / y.size)
    n = math.sqrt(sum((float((q.grad**2).sum()) for q in o.ps)))
    if n > 1.0:
        for q in o.ps:
            q.grad *= 1.0 / n
    o.step()
    return (l, n, [repr(q) for q in o.ps])


class T:
    def __init__(s, d, ch=(), op=""):
        s.d = np.asarray(d, dtype=float)
        s.g = np.zeros_like(s.d)
        s.ch = set(ch)
        s.b = lambda: None
        s.op = op

    def __add__(s, o):
        o = o if isinstance(o, T) else T(o)
        r = T(s.d + o.d, (s, o), "+")

        def b():
            s.g += r.g
            o.g += r.g

        r.b = b
        return r

    def __mul__(s, o):
        o = o if isinstance(o, T) else T(o)
        r = T(s.d * o.d, (s, o), "*")

        def b():
            s.g += o.d * r.g
            o.g += s.d * r.g

        r.b = b
        return r

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(s):
        return s * -1

    def __sub__(s, o):
        return s + -o

    def tanh(s):
        r = T(np.tanh(s.d), (s,), "t")

        def b():
            s.g += (1 - r.d**2) * r.g

        r.b = b
        return r

    def sum(s):
        r = T(s.d.sum(), (s,), "s")

        def b():
            s.g += r.g

        r.b = b
        return r

    def backward(s):
        topo, seen = ([], set())

        def build(v):
            if id(v) not in seen:
                seen.add(id(v))
                for c in sorted(v.ch, key=lambda c: c.op):
                    build(c)
                topo.append(v)

        build(s)
        s.g = np.ones_like(s.d)
        for v in reversed(topo):
            v.b()


@prog(lambda i: (V(i), V(i + 1)))
def micrograd(a, b):
    x, y = (T(a), T(b))
    l = ((x * y + x) * 2 - y).tanh().sum()
    l.backward()
    return (l.d, x.g, y.g)


@prog(lambda i: ({"W": [V(i, 3, 3) for _ in range(3)]}, V(i, 2, 3), i))
def deep_dicts(p, x, i):
    acts = [x]
    g = {"W": [None] * 3, "n": {}}
    for k, W in enumerate(p["W"]):
        acts.append(np.maximum(0, acts[-1] @ W) if k != i % 3 else np.tanh(acts[-1] @ W))
    d = np.ones_like(acts[-1])
    for k in range(2, -1, -1):
        d = d * (acts[k + 1] > 0) if k != i % 3 else d * (1 - acts[k + 1] ** 2)
        g["W"][k] = acts[k].T.dot(d)
        g["n"][f"layer{k}"] = np.linalg.norm(g["W"][k])
        d = d @ p["W"][k].T
    tot = sum(g["n"].values())
    sc = min(1.0, 5 / (tot + 1e-06))
    p["W"] = [W - 0.1 * sc * gw for W, gw in zip(p["W"], g["W"])]
    return (g, tot)


@prog(lambda i: (V(i, 5, 3), R(i).integers(0, 3, 5)))
def metrics(s, y):
    p = s.argmax(1)
    acc = (p == y).mean()
    cm = np.zeros((3, 3), int)
    for a, b in zip(y, p):
        cm[a, b] += 1
    cm2 = np.zeros((3, 3), int)
    np.add.at(cm2, (y, p), 1)
    pr = np.diag(cm) / np.maximum(cm.sum(0), 1)
    rc = np.diag(cm) / np.maximum(cm.sum(1), 1)
    f1 = 2 * pr * rc / np.maximum(pr + rc, 1e-09)
    oh = np.eye(3)[y]
    top = np.argsort(-s, 1)[:, :2]
    print(f"acc {acc:.2%} f1 {f1.mean():.3f}")
    return (
        acc,
        cm,
        cm2,
        f1,
        oh,
        (top == y[:, None]).any(1).mean(),
        {c: int((y == c).sum()) for c in range(3)},
        np.bincount(y, minlength=3),
    )


@prog(lambda i: (V(i, 7, 2), R(i).integers(0, 2, 7)))
def split_scale(X, y):
    np.random.seed(4)
    ix = np.random.permutation(len(X))
    n = int(0.6 * len(X))
    tr, te = (ix[:n], ix[n:])
    mu, sd = (X[tr].mean(0), X[tr].std(0) + 1e-08)
    A = (X[tr] - mu) / sd
    B = (X[te] - mu) / sd
    B = np.hstack([np.ones((len(B), 1)), B])
    X -= X.min(0)
    X /= X.max(0) - X.min(0)
    return (A, B, y[tr], y[te], X)


class Memory:
    def __init__(s, n):
        s.buf = collections.deque(maxlen=n)
        s.pos = 0

    def push(s, *t):
        s.buf.append(t)
        s.pos = (s.pos + 1) % 3

    def sample(s, k):
        ix = np.random.choice(len(s.buf), k)
        return [np.array(v) for v in zip(*[s.buf[j] for j in ix])]


@prog(lambda i: (Memory(4), V(i, 3)), n=10)
def replay(m, x):
    for k in range(2):
        m.push(x * k, k, float(k), x + k)
    a, b, c, d = m.sample(3)
    t = c + 0.9 * d.max(1) * (b != 0)
    return (a.shape, b, c, t, m.pos, len(m.buf))


@prog(lambda i: (V(i, 2, 3), V(i, 3)))
def policy_gradient(W, s):
    rs = []
    gs = []
    for t in range(3):
        z = W @ s
        p = np.exp(z - z.max())
        p /= p.sum()
        a = np.random.choice(2, p=p)
        g = -p
        g[a] += 1
        gs.append(np.outer(g, s))
        r = 1.0 if a == t % 2 else 0.0
        rs.append(r)
        s = s + 0.1 * (2 * a - 1)
    G = 0
    out = np.zeros_like(W)
    for r, g in zip(rs[::-1], gs[::-1]):
        G = r + 0.9 * G
        out += G * g
    W += 0.1 * out
    R_ = np.array(rs)
    return (out, (R_ - R_.mean()) / (R_.std() + 1e-08))


@prog(lambda i: (V(i, 5), np.array([2, 0, 1, 2, 1])))
def groupby(x, k):
    o = np.argsort(k, kind="stable")
    u, st, c = np.unique(k[o], return_index=True, return_counts=True)
    sums = np.add.reduceat(x[o], st)
    d = defaultdict(list)
    for a, b in zip(k.tolist(), x.tolist()):
        d[a].append(b)
    return (
        u,
        c,
        sums,
        {a: np.mean(b) for a, b in sorted(d.items())},
        np.array([x[k == j].sum() for j in range(3)]),
        np.split(x[o], st[1:]),
    )


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@prog(
    lambda i: (
        R(i).normal(size=(6, 3)),
        R(i).normal(size=(6, 3)),
        R(i).integers(0, 6, 4),
        R(i).integers(0, 6, 4),
    )
)
def word2vec(Win, Wout, c, o):
    neg = np.random.randint(0, 6, size=(4, 2))
    h = Win[c]
    ids = np.concatenate([o[:, None], neg], 1)
    lab = np.zeros(ids.shape)
    lab[:, 0] = 1
    s = sigmoid(np.einsum("nd,nkd->nk", h, Wout[ids]))
    g = s - lab
    dh = np.einsum("nk,nkd->nd", g, Wout[ids])
    np.add.at(Wout, ids, -0.1 * g[..., None] * h[:, None])
    np.add.at(Win, c, -0.1 * dh)
    return -(lab * np.log(s) + (1 - lab) * np.log(1 - s)).sum()


@prog(lambda i: (R(i).normal(size=(5, 4)), R(i).integers(0, 2, (5, 4)).astype(bool)))
def matrix_factor(Rm, mask):
    U = np.random.normal(scale=0.1, size=(5, 2))
    V = np.random.normal(scale=0.1, size=(4, 2))
    losses = []
    for _ in range(3):
        for i, j in zip(*mask.nonzero()):
            e = Rm[i, j] - U[i] @ V[j]
            u = U[i].copy()
            U[i] += 0.1 * (e * V[j] - 0.02 * U[i])
            V[j] += 0.1 * (e * u - 0.02 * V[j])
        losses.append((((Rm - U @ V.T) * mask) ** 2).sum())
    return (U, V, losses)
