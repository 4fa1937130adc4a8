"""Programs that change dicts, lists, deques and attributes while something else looks at them."""

from collections import OrderedDict, defaultdict, deque

import numpy as np
from npjit_differences import R, prog

V = lambda i, *n: R(i).normal(size=n or (2,))


class Shared:
    """Its class has what an object may lack."""

    w = np.zeros(2)

    def __init__(self):
        self.scale = 2.0


class Derived(Shared):
    pass


class Named(dict):
    """Items are attributes, by the methods of dicts."""

    __getattr__ = dict.get
    __setattr__ = dict.__setitem__
    __delattr__ = dict.__delitem__


class Backwards:
    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, k):
        return self.rows[k] * 2

    def __iter__(self):
        return iter(self.rows)


class Turned(Backwards):
    def __reversed__(self):
        return [r + 1 for r in self.rows[::-1]]


@prog(lambda i: (Shared(), V(i)))
def attribute_deleted_below_its_class(s, x):
    Shared.w = x + 3
    s.w = x * s.scale
    del s.w
    return s.w * 2, sorted(vars(s))


@prog(lambda i: ((Derived if i % 3 == 2 else Shared)(), V(i)))
def class_of_the_object(s, x):
    Shared.w = x * 0
    type(s).w = type(s).w * 0.5 + x
    type(s).w[0] = 1
    both = s.w + Shared.w
    if "w" in vars(Derived):
        del Derived.w
    return both


@prog(lambda i: (defaultdict(list), V(i)))
def keys_deleted_again(d, x):
    d["a"] = x * 2
    del d["a"]
    d["b"].append(x)
    d["c"] += [x * 3]
    return d.pop("b"), sorted(d), len(d["e"])


@prog(lambda i: (OrderedDict(a=V(i), b=V(i + 1)), V(i)))
def the_oldest_key(d, x):
    d["c"] = x * 2
    oldest = d.popitem(last=False)
    d["d"] = oldest[1] + 1
    return oldest, d.popitem(), list(d)


@prog(lambda i: ({"a": V(i), "b": V(i + 1)}, i % 2), persist=False)
def views_of_a_dict(d, fails):
    keys, values, items = d.keys(), d.values(), d.items()
    d["c"] = d["a"] + 1
    d["a"] = d["a"] * 0
    out = [len(keys), [v.sum() for v in values], [(k, v.sum()) for k, v in items], "c" in keys]
    del d["b"]
    try:
        for k in d.keys():
            out.append(k)
            if fails:
                d[k + "x"] = d[k] * 2
    except RuntimeError as e:
        out.append(str(e))
    return out, list(keys)


@prog(lambda i: (deque([V(i), V(i + 1)]), V(i)))
def deque_that_changes_under_a_loop(d, x):
    try:
        for v in d:
            d.append(v * x)
    except RuntimeError as e:
        return str(e), len(d)


@prog(lambda i: (Named(lr=0.1, w=V(i), n=0), V(i)))
def items_as_attributes(c, x):
    c.w -= c.lr * x
    c.n += 1
    c["m"] = x * 2
    c.w = c.w * 2 + c.m
    c.lr *= 0.5
    del c.m
    return c["w"] + 1, c.nothing, list(c), c.get("m"), vars(c)


@prog(lambda i: ([V(i), V(i + 1), V(i + 2)],))
def backwards(rows):
    try:
        return [*reversed(Backwards(rows))], [*reversed(Turned(rows))], reversed(zip(rows, rows))
    except TypeError as e:
        return str(e), reversed(Turned(rows))


class Part:
    def __init__(self, i):
        self.w, self.log = V(i), []

    def step(self, x):
        self.w = self.w * 0.5 + x
        self.log.append(self.w.sum())


class Parts:
    """Its generators give what it is made of."""

    def __init__(self, i):
        self.parts = [Part(i), Part(i + 1)]
        self.by_name = {"a": Part(i + 2)}

    def __iter__(self):
        yield from self.parts

    def named(self):
        yield from self.by_name.items()
        return (yield from self)


class Counted(dict):
    """Counts what is read."""

    reads = 0

    def __getitem__(self, k):
        self.reads += 1
        return super().__getitem__(k) * 2


class Steps:
    """An iterator written in Python."""

    def __init__(self, x):
        self.x, self.at = x, 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.at == 3:
            raise StopIteration
        self.at += 1
        self.x = self.x * 2
        return self.x + self.at


@prog(lambda i: (Parts(i), V(i)))
def parts_from_generators(model, x):
    for part in model:
        part.step(x)
    for item in model.named():
        (item[1] if isinstance(item, tuple) else item).step(x)
    next(iter(model)).w += 1


def iterated(i):
    parts = [Part(k) for k in range(3)]
    every = {"it": iter(parts * 9), "pairs": enumerate(parts * 9), "g": (p for p in parts * 9)}
    return parts, every, V(i)


@prog(iterated)
def parts_from_iterators(parts, every, x):
    next(every["it"]).step(x)
    next(every["pairs"])[1].step(x)
    next(every["g"]).step(x)


@prog(lambda i: ([Part(i), Part(i + 1)], V(i)))
def parts_in_an_array_of_objects(parts, x):
    held = np.empty(2, object)
    held[:] = parts
    held[0].step(x)
    for part in held:
        part.step(x)


@prog(lambda i: (Counted(a=V(i), b=V(i + 1)), V(i)))
def reads_that_are_counted(d, x):
    y = d["a"] + x
    d["c"] = y
    d["a"] += 1
    return y, d["c"], d.get("b"), d.reads, sum(v.sum() for v in d.values())


@prog(lambda i: (Steps(V(i)), V(i)))
def an_iterator_in_python(it, x):
    it.x = it.x + x
    first = next(it)
    rest = [v * x for v in it]
    return first, rest, next(it, None), it.at


class Shifted(list):
    """Stores something else than what it is given."""

    def __setitem__(self, k, v):
        super().__setitem__(k, v + 1)

    def append(self, v):
        super().append(v * 2)

    def __getitem__(self, k):
        found = super().__getitem__(k)
        return found if isinstance(k, int) else Shifted(found)


class Doubled(dict):
    """Gives something else than what it has."""

    def items(self):
        return [(k, v * 2) for k, v in super().items()]

    def get(self, k, default=None):
        return "nothing"


@prog(lambda i: (Shifted([V(i), V(i + 1)]), V(i)))
def lists_of_a_class_of_their_own(rows, x):
    rows[0] = x
    made = Shifted([x * 2, x * 3])
    made[0] = x * 5
    made.append(x * 7)
    rows.append(x)
    return rows[:2], made, made[1:], rows[-1]


@prog(lambda i: (Doubled(a=V(i)), V(i)))
def dicts_of_a_class_of_their_own(d, x):
    d["b"] = x
    made = Doubled(q=x * 2)
    made["r"] = x * 4
    return d.items(), made, made.items(), made.get("q"), made["r"]


class Lower(dict):
    def __setitem__(self, k, v):
        super().__setitem__(k.lower(), v * 2)

    def __delitem__(self, k):
        super().__delitem__(k.lower())


class Last(deque):
    def append(self, v):
        super().append(v * 2)


@prog(lambda i: (Lower(a=V(i)), Last([V(i)], 3), Shifted([V(i)]), V(i)))
def changes_by_methods_of_a_base(d, last, rows, x):
    d["B"] = x
    d.update(C=x * 3)
    d["D"] = d.pop("b") + d.setdefault("E", x)
    del d["D"]
    last.append(x)
    rows.append(x)
    made = Lower(d)
    made.update(F=x)
    return list(made.items()), list(last), rows[0]
