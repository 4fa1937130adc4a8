"""Programs that a tracer easily gets wrong: each with fresh arguments."""

import operator

import numpy as np
from numpy import exp

TRAPS = []
trap = lambda *make: lambda f: TRAPS.append((f, make)) or f


class Box:
    scale = 3.0

    def __init__(self, **k):
        self.__dict__.update(k)

    def __add__(self, o):
        return Box(w=self.w + o.w)  # micrograd style: operators of user classes

    @property
    def twice(self):
        return self.w * 2

    @twice.setter
    def twice(self, v):
        self.w = v / 2

    def __len__(self):
        return self.w.shape[0]


class Sub(Box):
    def __init__(self, **k):
        super().__init__(**k)
        self.__hidden = 1.5

    def get(self):
        return self.__hidden * self.w


@trap(lambda: [np.ones(3), 2.0])
def identity_is_kept(x, s):
    y = x
    y += s
    return y is x, y


@trap(lambda: [Box(w=np.arange(3.0)), Box(w=np.ones(3))])
def user_operators(a, b):
    return (a + b).w, a.twice, len(a), a.scale


@trap(lambda: [Box(w=np.arange(3.0))])
def property_setter(a):
    a.twice = a.w + 1
    a.w *= 2
    return a.twice


@trap(lambda: [Box(w=np.ones(2), b=np.ones(2))])
def one_array_in_two_slots(o):
    o.b = o.w
    o.b += 1
    return o.w


@trap(lambda: [[np.ones(2)] * 2])
def one_array_twice_in_a_list(l):
    l[0] += 1
    l[1] *= 3
    return l


@trap(lambda: [np.arange(6.0)])
def view_read_after_write(x):
    v, c = x[1:4], x[1:4].copy()
    x *= 2
    v[0] = -1
    return v.sum(), c, x


@trap(lambda: [np.arange(6.0).reshape(2, 3)])
def reshape_of_transpose_copies(x):
    x.T.reshape(-1)[0] = 100
    x.reshape(-1)[1] = 50
    return x


@trap(lambda: [{"a": np.ones(2)}])
def dict_grows_while_used(d):
    d["b"] = d["a"] * 2
    n = len(d)
    d["n"] = n
    return n, list(d), "b" in d, d["n"] + 1


@trap(lambda: [[]])
def list_grows(l):
    l.append(np.ones(2))
    l.append(len(l))
    return len(l), l[-1]


@trap(lambda: [np.ones(4)])
def print_then_fail(x):
    x += 1
    print("before")
    x[7] = 0


@trap(lambda: [np.eye(3), []])
def late_failure_in_order(a, log):
    log.append("start")
    b = np.linalg.inv(a * 0)  # LinAlgError depends on data
    log.append("after")
    a += b
    return a


@trap(lambda: [np.eye(3)])
def late_failure_caught(a):
    try:
        b = np.linalg.inv(a * 0)
    except np.linalg.LinAlgError:
        b = np.zeros((3, 3))
    return a + b


@trap(lambda: [np.ones(5), np.array([1, 9])])
def index_out_of_range_by_data(x, i):
    x += 1
    try:
        y = x[i]
    except IndexError:
        y = "out"
    return y


@trap(lambda: [np.arange(3), np.arange(3.0)])
def casting_errors(k, x):
    try:
        k *= 1.5
    except TypeError:
        x[0] = 7
    k[1] = 7.9
    return k, x


@trap(lambda: [np.float32(2), np.ones(3, np.float32), 3])
def scalar_kinds(s, x, n):
    return (
        x * s,
        x * n,
        x * (n / 2),
        x * np.float64(n),
        s * n,
        n // 2,
        n**2,
        np.sqrt(n) * x,
        type(n) is int,
        isinstance(s, float),
    )


@trap(lambda: [Sub(w=np.ones(2))])
def super_and_private_names(o):
    s = Sub(w=o.w * 2)
    return s.get(), o.get(), isinstance(s, Box)


@trap(lambda: [np.arange(4.0)])
def closures_and_generators(x):
    total = 0.0

    def add(v, k=2):
        nonlocal total
        total += v * k
        return total

    def rows():
        for v in x:
            yield v + 1

    for r in rows():
        add(r)
    return (
        total,
        [add(v) for v in x if True],
        sorted([3, 1, 2], key=lambda q: -q),
        {k: v for k, v in zip("ab", x)},
    )


@trap(lambda: [np.arange(6.0), 4])
def chained_and_boolean(x, n):
    a = n or 5
    b = x is not None and n > 3
    return a, b, 1 < n < 5, not n, (n if n > 2 else 0), n in (3, 4), [*x[:2]], f"{n}-{n:>3}"


@trap(lambda: [np.arange(6.0)])
def split_gives_views(x):
    a, b = np.split(x, 2)
    a[0] = 99
    return x, b


@trap(lambda: [np.random.RandomState(3), np.ones(3)])
def draws_then_fails(rs, x):
    a = rs.rand(3) + np.random.rand(3)
    x += a
    return np.linalg.inv(np.zeros((2, 2))) @ a


@trap(lambda: [np.ones(3), np.ones(3)])
def swap_and_return_args(a, b):
    a, b = b, a
    a -= 0.5
    return a, b


@trap(lambda: [{"w": np.ones(2)}, {"w": np.ones(2)}])
def zip_of_values(p, g):
    for w, d in zip(p.values(), g.values()):
        w -= 0.1 * d
    for k, v in p.items():
        p[k] = v * 2
    return p


@trap(lambda: [np.arange(4.0)])
def walrus_star_del(x):
    if (s := x.sum()).ndim == 0:
        first, *rest = x
        t = {"a": 1}
        del t["a"]
    return s, first, rest, t


@trap(lambda: [Box(t=0, m=np.zeros(2)), np.ones(2)])
def step_counter(o, g):
    o.t += 1
    o.m = 0.9 * o.m + g
    return 0.1 * np.sqrt(1 - 0.999**o.t) / (1 - 0.9**o.t) * o.m


@trap(lambda: [np.arange(3.0)])
def errstate_and_shape_store(x):
    with np.errstate(divide="ignore"):
        y = 1 / x
    z = x.copy()
    z.shape = (3, 1)
    return y, z, x.dtype.name, x.flags.c_contiguous


@trap(lambda: [[3, 1, 2], {"b": 1}, np.ones(2)])
def plain_containers(l, d, x):
    l.sort()
    l.insert(0, 9)
    d.setdefault("a", 5)
    d.update(c=x)
    return l.index(9), l.pop(), d.get("zz", 1), sum(l), max(l), any(v > 2 for v in l)


@trap(lambda: [Box(d={"w": np.ones(2)}), np.ones(2), float("nan"), float("inf")])
def foreign_containers_and_odd_numbers(o, x, a, b):
    d = operator.attrgetter("d")(o)  # an outside object without a path
    d["w"] = x * 2
    d["l"] = [x + 1]
    return int(b > 3), f"{a} {b}", d is o.d


@trap(lambda: [np.ones(2), float("nan"), float("inf")])
def odd_numbers(x, a, b):
    return f"{a} {b}", x * b, {b: 1}


# what a lazy array without source rewriting cannot do (alternative.py)
W = np.ones(3)


class T:
    m = np.zeros(3)


@trap(lambda: [np.arange(3.0)])
def is_array(x):
    return isinstance(x, np.ndarray), type(x).__name__


@trap(lambda: [np.arange(3.0)])
def from_import(x):
    return exp(x) + 1


@trap(lambda: [np.arange(3.0)])
def global_array(x):
    global W
    W += x
    return W * 2, W[1:].dot(x[1:])


@trap(lambda: [np.arange(3.0)])
def class_attribute(x):
    T.m += x
    return T.m.sum()


@trap(lambda: [np.arange(3.0)])
def default_array(x, w=np.ones(3)):
    w += x
    return w * 1


@trap(lambda: [np.arange(3.0)])
def value_needed(x):
    import math

    k = x.argmax()
    return W[k], "abc"[k], math.exp(x[0]), max(x), sum(x), x.tolist(), "%.3f" % x.sum(), f"{x.mean():.2f}"


def reset():
    global W
    W, T.m, default_array.__defaults__ = np.ones(3), np.zeros(3), (np.ones(3),)
