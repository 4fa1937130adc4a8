"""Programs with `match`, dataclasses, enums, cached functions, and classes that look attributes up themselves."""

import enum
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import InitVar, dataclass, field
from functools import lru_cache

import numpy as np
from npjit_differences import R, prog


class Mode(enum.Enum):
    TRAIN = "train"
    EVAL = "eval"


class Flags(enum.IntFlag):
    A = 1
    B = 2


@dataclass
class Config:
    lr: float = 0.1
    sizes: list = field(default_factory=lambda: [3, 4])
    start: np.ndarray = field(default_factory=lambda: np.ones(3))


@dataclass(frozen=True)
class State:
    w: np.ndarray
    step: int = 0

    def apply(self, g, lr):
        return State(self.w - lr * g, self.step + 1)


@dataclass
class Momentum:
    lr: float
    m: dict = field(default_factory=dict)

    def __post_init__(self):
        self.t = 0

    def step(self, params, grads):
        self.t += 1
        for k in params:
            self.m[k] = 0.9 * self.m.get(k, 0) + grads[k]
            params[k] -= self.lr * self.m[k]


@prog(lambda i: (R(i).normal(size=(4, 3)), ["relu", "tanh", "sig", "oops"][i % 4]))
def match_of_names(x, name):
    match name:
        case "relu":
            return np.maximum(x, 0)
        case "tanh" | "sig" as n:
            return np.tanh(x) if n == "tanh" else 1 / (1 + np.exp(-x))
        case _:
            raise ValueError(f"unknown {name}")


SPECS = [("dense", 3), ("scale", 2.0, 1.0), {"kind": "bias", "v": 2}, [1, 2, 3], None, ("scale", 0.5, 1.0), 7]


@prog(lambda i: (R(i).normal(size=(4, 3)), SPECS[i % 7]))
def match_of_structures(x, spec):
    match spec:
        case ("dense", n):
            return x @ np.ones((3, n))
        case ("scale", a, b) if a > 1:
            return a * x + b
        case {"kind": k, **rest}:
            return k, x + rest["v"], rest
        case [first, *others]:
            return first, others
        case None:
            return x
        case int() | float():
            return x * spec
    return 0


@prog(lambda i: (State(R(i).normal(size=3), i % 2), 2 - i % 3))
def match_of_classes(s, n):
    match s:
        case State(w=w, step=0):
            r = w
        case State(w, k):
            r = w * (k + 1)
    match n:
        case 0:
            r = r + 1
        case int(m) if m == 1:
            r = r - m
    match r:  # an array is no sequence
        case [_, _, _]:
            return "sequence"
    return r


@prog(lambda i: (R(i).normal(size=3), Config(0.1 * (i + 1)), Mode.EVAL if i % 2 else Mode.TRAIN, Flags.A))
def dataclasses_and_enums(g, c, mode, flags):
    s = State(c.start)
    for _ in range(3):
        s = s.apply(g, c.lr)
    d = Config(lr=c.lr * 2)
    d.start += g
    both = flags | Flags.B
    print(mode, both, Mode("train") is mode)
    return s, d, s == s, d.sizes, c == Config(0.1), both & Flags.B


@prog(lambda i: ({"a": R(i).normal(size=3), "b": R(i).normal(size=(2, 2))}, Momentum(0.1)))
def dataclass_that_goes_on(p, o):
    for _ in range(3):
        o.step(p, {k: np.cos(v) for k, v in p.items()})
    return o.t


@lru_cache(maxsize=None)
def window(n, kind="hann"):
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / (n - 1))


@lru_cache(maxsize=2)
def powers(n):
    return n**3


@prog(lambda i: (R(i).normal(size=16 + 8 * (i % 2)), i))
def cached_functions(x, i):
    w = window(len(x))
    if i == 3:
        window.cache_clear()
    return x * w, window(x.shape[0], kind="hann") is w, powers(i % 4) + powers(i)


class Lazy:
    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        made = np.full(3, float(len(name)))
        object.__setattr__(self, name, made)
        return made


@prog(lambda i: (R(i).normal(size=3), Lazy()))
def attributes_made_when_read(x, holder):
    holder.abc += x
    return holder.abc, getattr(holder, "_x", 5)


class Meter:
    def __init__(self):
        self.history, self.last, self.counts = defaultdict(list), deque(maxlen=2), Counter()

    def update(self, **values):
        for k, v in values.items():
            self.history[k].append(v)
        self.last.append(values["loss"])
        self.counts["n"] += 1
        self.counts.update(["calls"])  # a library's code: a break


@prog(lambda i: (R(i).normal(size=3), Meter()))
def lists_that_grow_after_a_break(x, meter):
    for e in range(3):
        meter.update(loss=(x**2).sum() * e)
    return meter, deque([x[0], x[1], x[2]], maxlen=2), math.prod([2, len(x)])


@prog(lambda i: (R(i).normal(size=(4, 2)),))
def one_view_in_many_places(x):
    row = x[1]
    key = slice(1, None)
    return row, [row, {"r": row}], x[key], (x,) == (x,)


@prog(lambda i: (np.array([1.0, 0.0, -1.0]) * i,))
def errors_that_raise_later(x):
    with np.errstate(invalid="ignore"):
        a = x * 2
    with np.errstate(all="raise"):
        try:
            return a, np.sqrt(x)
        except FloatingPointError as e:
            return a, str(e)


@prog(lambda i: (R(i).normal(size=3), i))
def an_array_that_becomes_read_only(x, i):
    x += 1
    if i == 2:
        x.flags.writeable = False
    x *= 2


@prog(lambda i: (np.array([("a", 1.5, 3), ("b", -2.0, 4)], [("n", "U4"), ("v", "f8"), ("k", "i4")]),))
def fields_of_records(s):
    return s["v"].sum() * 2, s["v"] + s["k"]


@prog(lambda i: (R(i).normal(size=3),))
def classes_made_in_the_call(x):
    class Scaled(Lazy):
        def __init__(self, v):
            self.v = v

        @property
        def norm(self):
            return np.linalg.norm(self.v) * math.sqrt(4) + np.sum(x)

    return Scaled(x).norm, Scaled(x * 2).norm


K = np.array([[4, 1, 0], [1, 3, 1], [0, 1, 5]])


@prog(lambda i: (K.copy(), R(i).normal(size=3)))
def whole_numbers_in_linear_algebra(k, x):
    a = np.linalg.solve(k, x), np.linalg.inv(k) @ x, np.linalg.det(k)
    return a, np.average(x, weights=np.arange(3)), np.average(k[:2], axis=0, weights=k[:2] + 1)


@dataclass(frozen=True)
class Place:
    a: int
    b: int


@dataclass(order=True)
class Run:
    loss: float
    n: InitVar[int] = 2
    tag: str = field(default="", compare=False)

    def __post_init__(self, n):
        self.total = self.loss * n


Pair = namedtuple("Pair", "a b")
TABLE = {(0, 1): 1.0, (1, 1): 5.0, (0, 0): 7.0, Place(0, 1): 3.0, Place(1, 1): 4.0}
TABLE.update({frozenset([k]): k * 2.0 for k in range(2)})


@prog(lambda i: (R(i).normal(size=(2, 2)), (i % 2, 1), Place((i // 2) % 2, 1), frozenset([i % 2]), {(1, 1)}))
def keys_that_are_given(x, key, place, some, seen):
    seen.add(key)
    return TABLE[key] * x[key] + TABLE[place], TABLE.get(some), (place, 1) in {(place, 1)}, len({key, (0, 1)})


@prog(lambda i: ([(i % 3, (2, 3)), (2, (1, i % 2)), (2, (1, 1))], OrderedDict(a=i % 2), {1, 2 + i % 2}))
def comparisons_of_containers(pairs, d, s):
    largest = max(pairs), min(pairs), sorted(pairs, reverse=True), max(pairs, key=lambda p: p[1])
    pairs.sort()
    return largest, d == {"a": 1}, s == {1, 2}, s <= {1, 2, 5}, s | {9}, pairs[0] == (1, (2, 3))


@prog(lambda i: (deque([1, 2 + i % 2]), Pair(1, 2 + i % 3), [Run(3.0), Run(1.0 + 4 * (i % 2)), Run(2.0, 5)]))
def comparisons_of_records(q, p, runs):
    best = min(runs)
    return q == deque([1, 2]), p == Pair(1, 2), max(p), best.loss, best.total, runs[0] > runs[1]


@prog(
    lambda i: ([[(0, 1), (1, 2)], [(1, 2), (0, 1)], [(1, 2), (1, 2)]][i % 3], 1 + i % 2, R(i).normal(size=2))
)
def places_in_lists(pairs, n, x):
    other = pairs.copy()
    found = pairs.index((1, 2)), pairs.count((1, 2)), (0, 1) in pairs, n is len(pairs), n is None
    pairs.remove((1, 2))
    return found, other, pairs[0][0] * x
