"""Programs in the styles that people write: each with fresh arguments, for `test_styles`."""

import collections
import contextlib
import dataclasses
import functools
import itertools
import math
import operator
from collections import deque, namedtuple

import numpy as np

STYLES = []


def style(*make):
    def register(f):
        STYLES.append((f, make))
        return f

    return register


def arr(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@dataclasses.dataclass
class Config:
    lr: float = 0.1
    layers: tuple = (3, 4)
    name: str = "net"


@dataclasses.dataclass
class State:
    w: np.ndarray
    m: np.ndarray = None
    t: int = 0

    def __post_init__(self):
        if self.m is None:
            self.m = np.zeros_like(self.w)


class Slotted:
    __slots__ = ("n", "w")

    def __init__(self, w):
        self.w, self.n = w, 0


class Base:
    registry = {}
    count = 0

    def __init__(self, w):
        self.w = w
        type(self).count += 1
        Base.registry[type(self).__name__] = w.shape

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        raise NotImplementedError

    @staticmethod
    def squash(x):
        return 1 / (1 + np.exp(-x))

    @classmethod
    def named(cls, w):
        return cls(w)

    @property
    def norm(self):
        return np.sqrt((self.w**2).sum())

    @functools.cached_property
    def scaled(self):
        return self.w * 10


class Derived(Base):
    def forward(self, x):
        self.last = x @ self.w
        return self.squash(self.last)

    def __getitem__(self, i):
        return self.w[i]

    def __len__(self):
        return len(self.w)

    def __iter__(self):
        return iter(self.w)

    def __eq__(self, other):
        return isinstance(other, Derived) and np.array_equal(self.w, other.w)

    def __bool__(self):
        return bool(len(self) > 1)

    __hash__ = None


class Params(dict):
    def __getattr__(self, name):
        return self[name]

    def __setattr__(self, name, value):
        self[name] = value


class Tape:
    def __init__(self):
        self.ops = []

    def __enter__(self):
        self.ops.append("in")
        return self

    def __exit__(self, *_):
        self.ops.append("out")
        return False


Pair = namedtuple("Pair", "a b")


@style(lambda: [Config(), State(arr(3, 4)), arr(3, 4, seed=1)])
def dataclass_state(cfg, s, g):
    s.t += 1
    s.m = 0.9 * s.m + 0.1 * g
    s.w -= cfg.lr * s.m / (1 - 0.9**s.t)
    new = State(s.w * 2, t=len(cfg.layers))
    return new, dataclasses.replace(cfg, lr=cfg.lr / 2), cfg.name.upper()


@style(lambda: [Slotted(arr(3))])
def slots(o):
    o.n += 1
    o.w = o.w * o.n
    made = Slotted(o.w + 1)
    made.n = o.n
    return made.w, made.n


@style(lambda: [Derived(arr(4, 3)), arr(2, 4)])
def class_features(o, x):
    y = o(x)
    other = Derived.named(o.w * 1.0)
    return (
        y,
        o.norm,
        o.scaled,
        o[1],
        len(o),
        [r.sum() for r in o],
        o == other,
        bool(o),
        Base.count,
        Base.registry,
    )


@style(lambda: [Params(w=arr(3), b=arr(3)), 0.5])
def attribute_dict(p, lr):
    p.w = p.w - lr * p.b
    p["b"] *= 2
    p.new = p.w.sum()
    return p, list(p), p.get("zz", 3), {k: v.shape for k, v in p.items() if k != "new"}


@style(lambda: [deque([arr(2)], maxlen=3), arr(2, seed=2)])
def replay_buffer(buffer, x):
    buffer.append(x * 2)
    batch = np.stack(list(buffer))
    return batch.mean(axis=0), len(buffer)


@style(lambda: [arr(5), arr(5, seed=1)])
def tools_of_iteration(x, y):
    total = functools.reduce(lambda a, b: a * 0.5 + b, x)
    pairs = [a * b for a, b in itertools.product(x[:2], y[:2])]
    accumulated = list(itertools.accumulate([1, 2, 3]))
    grouped = collections.Counter("abca")
    best = max(zip(x, y), key=operator.itemgetter(1))
    return total, pairs, accumulated, grouped["a"], best, sorted(range(5), key=lambda i: x[i])


@style(lambda: [arr(4), arr(2, 3, seed=4)])
def operators_by_name(x, y):
    a, b = operator.mul(x, 2), functools.reduce(operator.add, [x, x * 2], 1.0)
    rows = list(itertools.chain(x, y))
    pick, attr = operator.itemgetter(0, -1), operator.attrgetter("T.shape")
    few = list(itertools.islice(itertools.cycle(y), 3))
    return a, b, len(rows), pick(y), attr(y), few, [p * q for p, q in itertools.pairwise(x)], operator.neg(x)


@style(lambda: [arr(4), Tape()])
def context_managers(x, tape):
    with tape as t:
        y = x * 2
        t.ops.append(len(tape.ops))
    with contextlib.suppress(KeyError):
        {}["missing"]
    with tape, contextlib.nullcontext():
        y += 1
    return y, tape.ops


@style(lambda: [arr(4), "relu"], lambda: [arr(4), "tanh"], lambda: [arr(4), "other"])
def dispatch_by_name(x, kind):
    table = {"relu": lambda v: np.maximum(v, 0), "tanh": np.tanh}
    try:
        return table[kind](x)
    except KeyError as e:
        return str(e), x
    finally:
        x += 1


@style(lambda: [arr(6), 3], lambda: [arr(6), 0])
def nested_functions(x, n):
    calls = 0

    def outer(k):
        nonlocal calls
        calls += 1

        def inner(v, *more, scale=2, **named):
            nonlocal calls
            calls += len(more) + len(named)
            return v * scale + k

        return inner

    f = outer(n)
    return f(x), f(x, 1, 2, scale=3, other=4), calls, [g(1) for g in [lambda v, k=k: v + k for k in range(3)]]


@style(lambda: [arr(3, 3)])
def exceptions(x):
    found = []
    for i in range(5):
        try:
            if i == 2:
                raise ValueError(f"bad {i}")
            if i == 3:
                continue
            found.append(x[i].sum())
        except ValueError as e:
            found.append(str(e))
        except IndexError:
            found.append("out")
            break
        else:
            found.append("fine")
        finally:
            x[0, 0] += 1
    else:
        found.append("never")
    return found


@style(lambda: [arr(4, 2), {"a": {"b": [1.0, arr(2)]}, "t": (1, arr(2))}])
def nested_containers(x, tree):
    tree["a"]["b"][1] += x[0]
    tree["a"]["c"] = [x[1] * 2, {"d": x[2]}]
    tree["t"] = (*tree["t"], len(tree))
    flat = [v for k in sorted(tree) for v in ([k] if isinstance(tree[k], tuple) else tree[k])]
    return flat, tree["a"]["c"][1]["d"].shape, "t" in tree, tree["a"].keys() & {"b", "x"}


@style(lambda: [[arr(2, 3), arr(3, 2)], arr(4, 2)])
def layers_zipped(weights, x):
    acts = [x]
    for i, w in enumerate(weights):
        acts.append(np.tanh(acts[-1] @ w) if i < len(weights) - 1 else acts[-1] @ w)
    deltas = [acts[-1] * 2]
    for w, a in zip(weights[:0:-1], acts[-2:0:-1]):
        deltas.insert(0, (deltas[0] @ w.T) * (1 - a * a))
    for w, a, d in zip(weights, acts, deltas):
        w -= 0.01 * a.T @ d
    return deltas, [a.shape for a in acts]


@style(lambda: [arr(5), 2.0], lambda: [arr(5), 3], lambda: [arr(5), np.float32(2)], lambda: [arr(5), True])
def kinds_of_numbers(x, s):
    a = x * s
    s += 1
    return (
        a,
        s,
        s // 2,
        s % 2,
        divmod(7, s),
        -s,
        abs(-s),
        round(float(s), 2),
        math.sqrt(s),
        int(s),
        f"{s:.1f}",
        s**2,
    )


@style(lambda: [np.arange(12).reshape(3, 4), np.array([0, 2])])
def integer_arrays(k, i):
    k[i] += 1
    k[:, ::2] //= 2
    m = k % 3 == 0
    k[m] = -1
    return (
        k,
        m.sum(),
        k[i][:, i],
        k.dtype,
        np.where(m)[0],
        k.max(),
        k.argmax(),
        (k > 2) & ~m,
        k << 1,
        np.bincount([1, 1, 2]),
    )


@style(lambda: [arr(4, 3).astype(np.float32), arr(3)])
def mixed_types(x, y):
    z = x * y
    x *= y
    return (
        z,
        x,
        x.astype(int),
        (x > 0).astype(np.float32).mean(),
        x.sum(dtype=np.float64),
        np.float32(1) * y,
        x @ x.T,
    )


@style(lambda: [arr(3, 4)])
def swaps_and_stars(x):
    a, b = x[0], x[1]
    x[0], x[1] = x[1].copy(), x[0].copy()
    first, *middle, last = x
    (p, q), r = [a, b], x.T
    p, q = q, p
    i = j = 0
    i += 1
    d = dict(zip("abc", x), z=1)
    return first, len(middle), last, p, q, r, i, j, {**d, "y": 2}, [*middle, *x[:1]]


@style(lambda: [arr(6)])
def while_and_flags(x):
    n, done = 0, False
    while not done and n < 10:
        n += 1
        x = x * 0.5 if n % 2 else x + 0.1
        if n == 4:
            done = True
            continue
    else:
        n += 100
    return x, n, done


@style(lambda: [arr(4), []])
def history(x, log):
    for epoch in range(3):
        x -= 0.1 * x
        log.append({"epoch": epoch, "loss": (x**2).sum(), "text": f"epoch {epoch}"})
        if len(log) > 4:
            del log[0]
    return log[-1]["loss"], [e["epoch"] for e in log]


@style(lambda: [np.random.default_rng(3), arr(6, 2)])
def sampling(gen, x):
    gen.shuffle(x)
    i = gen.permutation(6)[:3]
    mask = gen.random(x.shape) < 0.5
    noise = gen.normal(0, 0.1, size=x.shape)
    return x[i], (x + noise) * mask / 0.5, gen.integers(0, 9, 4), gen.choice(5, 2, replace=False)


@style(lambda: [arr(2, 8, 8), arr(3, 3)])
def convolution_loops(images, kernel):
    n, h, w = images.shape
    out = np.zeros((n, h - 2, w - 2))
    for i in range(h - 2):
        for j in range(w - 2):
            out[:, i, j] = (images[:, i : i + 3, j : j + 3] * kernel).sum(axis=(1, 2))
    return out, np.pad(out, ((0, 0), (1, 1), (1, 1)))[:, ::2, ::2]


@style(lambda: [arr(5, 3), arr(5)])
def in_place_through_views(x, y):
    col = x[:, 1]
    col += y
    block = x[1:3]
    block[...] = block[::-1]
    x.T[2] *= 2
    x.flat[0] = 9
    np.fill_diagonal(x, 1)
    x.ravel()[-1] = 7
    y[:] = x.sum(axis=1)
    return col, block, x.base is None, np.shares_memory(col, x)


@style(lambda: [arr(3)])
def walrus_and_conditions(x):
    if ((n := len(x)) > 2 and (m := x.shape[0] * 2) < 10) or n == 0:
        x = x + m
    y = x if n else None
    return (
        y,
        None if y is None else y.sum(),
        n and m,
        not x.size,
        0 < n <= 3 != m,
        [v for v in range(n) if v % 2],
    )


@style(lambda: [arr(4), arr(4, seed=1)])
def aliases(x, y):
    z = x
    z += 1
    a = [x, y, x]
    a[2] *= 2
    b = list(a)
    b[0] = y
    d = {"p": x}
    d["p"] -= y
    del a[1]
    return z is x, a[0] is x, len(a), b[0] is y, d["p"] is z, x, id(z) == id(x)


@style(lambda: [arr(3, 3)])
def linear_algebra(a):
    s = a @ a.T + np.eye(3)
    w, v = np.linalg.eigh(s)
    q, r = np.linalg.qr(a)
    u, sv, vt = np.linalg.svd(a)
    return (
        np.linalg.inv(s),
        np.linalg.solve(s, a[0]),
        np.linalg.det(s),
        w,
        np.abs(q),
        np.linalg.norm(a, axis=1),
        sv,
        np.trace(s),
    )


def depth_first(tree, x):
    if isinstance(tree, (int, float)):
        return x * tree
    return sum(depth_first(t, x + i) for i, t in enumerate(tree))


@style(lambda: [[1, [2, 3.0], []], arr(2)])
def recursion(tree, x):
    return depth_first(tree, x)


def chunks(x, n):
    for i in range(0, len(x), n):
        yield x[i : i + n]
    return "end"


def delegated(x):
    result = yield from chunks(x, 2)
    yield result


@style(lambda: [arr(5)])
def generators(x):
    g = chunks(x, 2)
    first = next(g)
    return (
        first,
        [c.sum() for c in g],
        list(delegated(x))[-1],
        sum(c.sum() for c in chunks(x, 3)),
        dict(enumerate(chunks(x, 4))),
    )


@style(lambda: [arr(4), {"calls": 0}])
def counters(x, stats):
    stats["calls"] += 1
    stats.setdefault("history", []).append(float(x.sum()))
    if stats["calls"] % 3 == 0:
        stats["history"].clear()
    return stats["calls"], len(stats["history"]), max(stats["history"], default=None)


@style(lambda: [arr(3, 2), Pair(arr(2), 3)])
def tuples(x, p):
    q = p._replace(a=p.a + 1)
    return q, p.a @ x.T, Pair(*x[:2]), tuple(r.sum() for r in x), (*x[:1], *q[1:]), q[1] * 2, p + q[:1]


@style(lambda: [deque([arr(2), arr(2, seed=3)], maxlen=3), deque(), arr(2, seed=2)])
def queues(recent, tasks, x):
    recent.append(x * 2)
    recent.appendleft(x + recent[-1])
    tasks.append(len(recent))
    tasks.append(x.sum())
    last, first = recent.pop(), recent.popleft()
    recent.append(first + last)
    return last, first, tasks.popleft(), len(tasks), [r.sum() for r in recent], 5 in tasks
