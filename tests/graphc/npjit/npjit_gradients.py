"""Losses as people write them, to be differentiated: function, inputs for a random stream, options of `grad`."""

import collections
import math
from dataclasses import dataclass

import numpy as np

CASES = []


class Case:
    def __init__(self, fn, make, argnums=0, calls=3, breaks=False, accept=None):
        self.fn, self.make, self.argnums, self.calls = fn, make, argnums, calls
        self.name, self.breaks, self.accept = fn.__name__, breaks, accept


def case(make, **options):
    def register(fn):
        CASES.append(Case(fn, make, **options))
        return fn

    return register


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# ---- arguments and containers


@case(
    lambda r: (
        {
            "layers": [
                {"W": r.normal(size=(3, 4)), "b": np.zeros(4)},
                {"W": r.normal(size=(4, 2)), "b": np.zeros(2)},
            ],
            "scale": 0.5,
        },
        r.normal(size=(5, 3)),
    )
)
def nested_parameters(p, x):
    for layer in p["layers"]:
        x = np.tanh(x @ layer["W"] + layer["b"])
    return p["scale"] * np.sum(x**2)


Pair = collections.namedtuple("Pair", "w b")


@case(lambda r: (Pair(r.normal(size=(3, 2)), r.normal(size=2)), r.normal(size=(4, 3))))
def named_tuple(p, x):
    return np.mean((x @ p.w + p.b) ** 2)


@dataclass
class Settings:
    weight: np.ndarray
    rate: float
    steps: int


@case(lambda r: (Settings(r.normal(size=3), 0.3, 2), r.normal(size=3)))
def data_class(s, x):
    for _ in range(s.steps):
        x = x + s.rate * np.sin(s.weight * x)
    return np.sum(x)


class Net:
    def __init__(self, r):
        self.params = {"W1": r.normal(size=(3, 4)), "b1": np.zeros(4), "W2": r.normal(size=(4, 1))}
        self.name, self.calls = "net", 0

    def forward(self, x):
        self.hidden = np.maximum(x @ self.params["W1"] + self.params["b1"], 0)
        return self.hidden @ self.params["W2"]

    def loss(self, x, y):
        return np.mean((self.forward(x) - y) ** 2)


@case(lambda r: (Net(r), r.normal(size=(5, 3)), r.normal(size=(5, 1))))
def object_with_parameters(net, x, y):
    return net.loss(x, y)


@case(lambda r: ([r.normal(size=3), (r.normal(size=2), [r.normal(size=1)])], "mean", True, None))
def mixed_containers(parts, how, square, nothing):
    a, (b, (c,)) = parts
    total = np.sum(a) * np.prod(b) + (c[0] if nothing is None else 0)
    return total**2 if square and how == "mean" else total


@case(lambda r: (r.normal(size=3), 2.0, 3, np.float64(0.7), np.arange(3)), argnums=(0, 1, 2, 3, 4))
def numbers_as_arguments(x, a, n, s, k):
    return np.sum(x**n * a) + s * a**2 + np.sum(x[k] * s)


@case(lambda r: (r.normal(size=(2, 3)),), argnums=(0,))
def tuple_of_one(x):
    return np.sum(np.sin(x))


@case(lambda r: (r.normal(size=3), r.normal(size=3)), argnums=-1)
def counted_from_the_end(x, y):
    return np.sum(x * y**2)


@case(lambda r: (r.normal(size=3), r.normal(size=3)), argnums=[1, 0])
def in_another_order(x, y):
    return np.sum(x * y**2)


@case(lambda r: (np.array(1.5),))
def zero_dimensional(x):
    return x**3 + np.sin(x)


@case(lambda r: (2.5,))
def the_argument_itself(x):
    return x


@case(lambda r: (0.3,))
def python_math(x):
    return x**2 + 3 * x - abs(x) / (1 + x)


@case(lambda r: (0.3, np.ones(2)), breaks=True)
def math_module(x, y):
    return math.exp(x) * math.sin(x) + math.sqrt(x) * y.sum()


@case(lambda r: (r.normal(size=(1, 1)),))
def loss_of_one_element(x):
    return x @ x


@case(lambda r: (r.normal(size=4).astype(np.float32), r.normal(size=4)))
def mixed_precision(x, y):
    return np.sum(x * y) + np.sum(x.astype(np.float64) ** 2)


# ---- stores, views, in-place operations


@case(lambda r: (r.normal(size=(4, 3)),))
def changes_its_argument(x):
    x[0] = x[1] * 2
    x *= 1.5
    x[:, 2] += x[:, 0] ** 2
    return np.sum(x**2)


@case(lambda r: ({"w": r.normal(size=3), "seen": 0},))
def changes_a_container(p):
    p["seen"] += 1
    p["last"] = p["w"] * 2
    p["w"] = np.sin(p["w"])
    return np.sum(p["w"] * p["last"])


@case(lambda r: ([r.normal(size=2), r.normal(size=2)],))
def changes_a_list(parts):
    parts.append(parts[0] * parts[1])
    parts[0] = parts[2] + 1
    return np.sum(parts[0] * parts[-1])


@case(lambda r: (r.normal(size=6), r.normal(size=6)), argnums=(0, 1))
def views_and_aliases(x, y):
    m = x.reshape(2, 3)
    row = m[1]
    top = m.T[:, 0]
    row += y[:3]
    top *= y[3:]
    out = np.zeros(8)
    window = out[2:]
    window[:] = x
    window[::2] -= 1.0
    return np.sum(out * np.arange(8.0)) + np.sum(m**2)


@case(lambda r: (r.normal(size=5),))
def overlapping_store(x):
    y = x.copy()
    y[1:] = y[:-1] * 2
    y[:-1] += y[1:]
    return np.sum(y * np.arange(5.0))


@case(lambda r: (r.normal(size=(3, 3)),))
def transposed_update(x):
    y = x * 1.0
    y += y.T
    y -= y[0]
    return np.sum(y * np.arange(9.0).reshape(3, 3))


@case(lambda r: (r.normal(size=(4, 2)), np.array([0, 2, 2, 1])))
def scatter_add(x, k):
    out = np.zeros((3, 2))
    np.add.at(out, k, x)
    out[k] += x
    out[[0, 1]] = out[[1, 0]]
    return np.sum(out**2)


@case(lambda r: (r.normal(size=5), r.normal(size=5)), argnums=(0, 1))
def out_arguments(x, y):
    z = np.empty(5)
    np.multiply(x, y, out=z)
    np.exp(z, out=z)
    np.add(z, x, out=z, where=y > 0)
    np.clip(z, -1, 3, out=z)
    return z.sum()


@case(lambda r: (r.normal(size=6),))
def masked_stores(x):
    h = x * 2
    h[h < 0] *= 0.1
    h[x > 0.5] = 1.0
    r = 1 / (np.arange(6.0) * x)
    r[0] = 0
    r[r > 4] = 0
    return np.sum(h) + np.sum(r)


@case(lambda r: (r.normal(size=(3, 3)), 2.0), argnums=(0, 1))
def filled(x, v):
    y = x.copy()
    y[1].fill(v)
    np.fill_diagonal(y, v * 2)
    np.copyto(y[2], x[0])
    return np.sum(y * x)


@case(lambda r: (r.normal(size=5),))
def sorted_in_place(x):
    y = np.copy(x)
    y.sort()
    return np.sum(y * np.arange(5.0) ** 2) + np.sum(np.sort(x)[-2:])


@case(lambda r: (r.normal(size=(2, 3)),))
def split_and_stored(x):
    a, b, c = np.split(x * 2, 3, axis=1)
    a[:] = b * c
    first, second = x
    return np.sum(a**2) + np.sum(first * second)


# ---- control flow and time


@case(lambda r: (r.normal(size=3), 4))
def branches_on_settings(x, n):
    y = x
    for i in range(n):
        if i % 2:
            y = y * x
        elif i == 2:
            continue
        else:
            y = y + np.sin(y)
    return y.sum()


@case(lambda r: (np.abs(r.normal(size=3)) + 1,), breaks=True)
def loop_on_data(x):
    steps = 0
    while np.sum(x) > 1 and steps < 20:
        x = x * 0.7 + 0.01 * x**2
        steps += 1
    return np.sum(x) * steps


@case(lambda r: (r.normal(size=3),), breaks=True)
def branch_on_data_after_stores(x):
    y = np.zeros(4)
    y[:3] = x**2
    x[0] = 0.5
    if y.sum() > 0:
        y[1] *= y[0]
        x[1] = y[1]
    y[3] = y[:2].sum()
    return y[3] * y[2] + np.sum(x**2)


@case(lambda r: (r.normal(size=4),), breaks=True)
def prints_on_the_way(x):
    y = x**2
    print("value", y[0])
    y[0] = 1.0
    print(y.sum())
    return np.sum(np.exp(-y)) + y[1] * x[0]


@case(
    lambda r: (
        {"Wx": r.normal(size=(2, 3)), "Wh": r.normal(size=(3, 3)), "b": np.zeros(3)},
        r.normal(size=(6, 4, 2)),
    )
)
def recurrent_states_in_a_list(p, xs):
    hs = [np.zeros((4, 3))]
    for t in range(len(xs)):
        hs.append(np.tanh(xs[t] @ p["Wx"] + hs[-1] @ p["Wh"] + p["b"]))
    return sum(np.sum(h**2) for h in hs[1:]) / len(xs)


@case(lambda r: (r.normal(size=(3, 6)) * 0.4, r.normal(size=(5, 2, 1)), np.array([2.0, 0.1])), argnums=(0, 2))
def gated_unit(W, xs, h0):
    h = np.tile(h0, (2, 1))
    out = np.zeros((5, 2, 2))
    for t, x in enumerate(xs):
        z = np.concatenate([x, h], axis=1) @ W
        r, u, n = np.split(z, 3, axis=1)
        r, u = sigmoid(r), sigmoid(u)
        h = (1 - u) * np.tanh(n * r) + u * h
        out[t] = h
    return np.mean(out**2) + out[-1].sum()


@case(lambda r: (r.normal(size=3), r.normal(size=(8, 3)), r.normal(size=8)))
def gradient_descent_unrolled(w, X, y):
    for _ in range(4):
        w = w - 0.05 * X.T @ (X @ w - y) / len(y)
    return np.sum((X @ w - y) ** 2)


@case(lambda r: (r.uniform(1, 3, size=()),), breaks=True)
def newton_until_small(a):
    x = a * 0.5
    while abs(x * x - a) > 1e-12:
        x = 0.5 * (x + a / x)
    return x


def fib(x, n):
    return x if n < 2 else fib(x, n - 1) * 0.5 + np.sin(fib(x, n - 2))


@case(lambda r: (r.normal(size=2),))
def recursion(x):
    return np.sum(fib(x, 5))


@case(lambda r: (r.normal(size=3),), breaks=True)
def closures_and_comprehensions(x):
    scale = x[0] * 2
    parts = [f(x) * scale for f in (np.sin, np.cos, lambda v: v**2)]
    d = {k: v.sum() for k, v in zip("abc", parts)}
    return sum(d.values()) + max(float(np.max(p)) for p in parts)


@case(lambda r: (r.normal(size=(2, 2)),), breaks=True)
def exceptions_inside(x):
    try:
        y = np.linalg.inv(x - x)
    except np.linalg.LinAlgError:
        y = x * 2
    return np.sum(y**2)
