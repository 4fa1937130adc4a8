"""Programs in the forms of the language: classes, containers, what they give to each other."""

import abc
import enum
import functools
import types
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple

import numpy as np
from npjit_differences import R, prog

V = lambda i, n=4: R(i).normal(size=n)


Pt = namedtuple("Pt", "x y", defaults=(0.0,))


class Pt2(Pt):
    __slots__ = ()

    @property
    def norm(self):
        return np.hypot(self.x, self.y)

    def __add__(self, o):
        return Pt2(self.x + o.x, self.y + o.y)


@prog(lambda i: (Pt(V(i), V(i + 1)), Pt2(V(i), 2.0)))
def namedtuples(p, q):
    r = p._replace(x=p.x * 2)
    s = q + Pt2(*r)
    a, b = s
    return (r, s, s.norm, p._asdict(), Pt(x=1), Pt._fields, isinstance(p, tuple), p[0] is p.x)


class Prop:
    count = 0

    def __init__(self, w):
        self._w = w
        Prop.count += 1

    @property
    def w(self):
        return self._w * 2

    @w.setter
    def w(self, v):
        self._w = np.asarray(v) / 2
        self.sets = getattr(self, "sets", 0) + 1

    @staticmethod
    def f(x):
        return x + 1

    @classmethod
    def make(cls, x):
        return cls(x * cls.scale())

    @classmethod
    def scale(cls):
        return 3

    @functools.cached_property
    def norm(self):
        return np.sqrt((self._w**2).sum())


class Prop2(Prop):
    @classmethod
    def scale(cls):
        return 5

    @property
    def w(self):
        return super().w + 100

    @w.setter
    def w(self, v):
        Prop.w.fset(self, v)


def reset_prop(i):
    Prop.count = 0
    return (Prop([Prop, Prop2][i % 2] and V(i)), Prop2(V(i)))


@prog(reset_prop)
def properties(p, q):
    p.w = p.w + 1
    q.w = q.w
    p.w *= 2
    r = type(q).make(p._w)
    n = p.norm
    p._w = p._w * 0
    return (p.w, q.w, r.w, Prop.f(r._w), n, p.norm, p.sets, q.sets)


class Base(abc.ABC):
    reg = []
    scale = 2.0

    def __init_subclass__(cls, **k):
        super().__init_subclass__(**k)
        Base.reg.append(cls.__name__)

    @abc.abstractmethod
    def f(self, x): ...

    def __call__(self, x):
        return self.f(x) * self.scale


class Mixin:
    def f(self, x):
        return super().f(x) + 1


class A0(Base):
    def f(self, x):
        return x * 3


class AB(Mixin, A0):
    scale = 5.0

    def __getattr__(self, n):
        if n.startswith("auto_"):
            return n[5:]
        raise AttributeError(n)

    def __len__(self):
        return 3

    def __contains__(self, v):
        return v == 2

    def __iter__(self):
        yield from (1, 2, 3)

    def __getitem__(self, i):
        return i * 10

    def __bool__(self):
        return False

    def __eq__(self, o):
        return isinstance(o, AB)

    def __hash__(self):
        return 7


@prog(lambda i: (V(i), A0(), AB()))
def inheritance(x, a, b):
    try:
        Base()
    except TypeError as e:
        m = str(e)[:20]
    return (
        a(x),
        b(x),
        b.auto_q,
        len(b),
        2 in b,
        list(b),
        b[3],
        bool(b),
        b == AB(),
        {b: 1}[AB()],
        hasattr(b, "zz"),
        getattr(b, "zz", 9),
        m,
        AB.__mro__[1].__name__,
    )


def make_counter():
    n = 0
    hist = []

    def inc(x):
        nonlocal n
        n += 1
        hist.append(x.sum())
        return x * n

    def get():
        return (n, list(hist))

    return (inc, get)


@prog(lambda i: (V(i), *make_counter()))
def closures(x, inc, get):
    y = inc(x)
    z = inc(y)
    return (y, z, get())


@prog(lambda i: ([V(i), V(i + 1)], {"a": V(i), "b": 1, "c": [1, 2]}))
def del_and_pop(l, d):
    del l[0]
    v = d.pop("a")
    del d["b"]
    d["c"].append(v.sum())
    d["c"].extend([5])
    d["c"].insert(0, v)
    x = d["c"].pop()
    y = d["c"].pop(0)
    z = d.get("zz", 3)
    w = d.pop("q", None)
    l.append(y)
    l += [1]
    l[0:1] = [7, 8]
    k = l.index(7)
    l.reverse()
    d.update(n=1, m=v)
    d |= {"o": 2}
    q = l.copy()
    l.clear()
    t = d.popitem()
    del x
    return (v, y, z, w, k, q, t, list(d))


@prog(
    lambda i: (deque([V(i)], maxlen=3), Counter("aab"), OrderedDict(a=V(i)), defaultdict(list), set([1, 2]))
)
def collections_(dq, ct, od, dd, st):
    for k in range(4):
        dq.append(dq[-1] * 2)
    dq.appendleft(od["a"])
    ct.update("abc")
    od.move_to_end("a")
    od["z"] = dq[0] * 2
    dd["x"].append(dq[1])
    dd["y"]
    st.add(3)
    st.discard(1)
    st |= {9}
    return (
        list(dq),
        ct.most_common(1),
        list(od),
        dict(dd),
        sorted(st),
        st & {2, 3},
        len(dq),
        dq.popleft() is od["a"],
    )


class Mode(enum.Enum):
    TRAIN = 1
    TEST = 2

    @property
    def on(self):
        return self is Mode.TRAIN


class F(enum.IntEnum):
    A = 1
    B = 2


@prog(lambda i: (V(i), list(Mode)[i % 2], F(1 + i % 2), types.SimpleNamespace(mode=list(Mode)[i // 2 % 2])))
def enums(x, m, f, o):
    if m is Mode.TRAIN:
        x = x * 2
    if o.mode == Mode.TEST:
        x = x + 10
    return (
        x,
        m.name,
        m.value,
        m.on,
        x * f,
        f"{m}",
        {Mode.TRAIN: 1, Mode.TEST: 2}[o.mode],
        m in (Mode.TRAIN,),
    )


@prog(lambda i: ([V(i), V(i) * 2], [1, 2]))
def aliases_is(l, s):
    l[0] = l[1] if s[0] > 5 else l[0]
    a = l[0]
    b = l[0]
    c = a is b
    a += 1
    d = l
    d.append(a)
    s[:] = s[::-1]
    e = [[0] * 2] * 2
    e[0][0] = a
    return (c, d is l, d[-1] is l[0], e, e[0] is e[1], s, a is l[1], l[0] is not l[1])
