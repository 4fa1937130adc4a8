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
