"""Random small NumPy programs: views, stores, containers, scalars, branches, loops, calls, exceptions."""

import importlib.util
import random

import numpy as np

SQUARE = ["x", "y", "o.w", "d['a']", "d['b']", "l[0]", "l[1]", "v", "o.d['k']"]  # all (4, 4)
VALUES = [
    *("{a} + {b}", "{a} * 0.5", "{a}.T", "{a}[::-1]", "np.tanh({a})", "{a} @ {b} * 0.1", "{a}.copy()", "{a}"),
    *("{a}.reshape(2, 8).reshape(4, 4)", "np.where({a} > 0, {a}, {b})", "{a}[[3, 1, 0, 2]]", "{a} * n"),
    *("np.concatenate([{a}[:2], {b}[2:]])", "{a} / o.n", "{a}.ravel()[::-1].reshape(4, 4)", "-{a}"),
    *("np.zeros_like({a})", "np.random.rand(4, 4)", "helper({a}, {b})", "{a}.swapaxes(0, 1)"),
    *("np.asarray({a})", "{a}.T.reshape(-1).reshape(4, 4)", "rs.rand(4, 4)", "gen.normal(size=(4, 4))"),
    *("np.maximum({a}, {b}) - 1", "np.exp(-{a} ** 2)", "({a} > 0) * {b}", "np.sqrt(np.abs({a}))"),
    *("{a} - {a}.max(axis=1, keepdims=True)", "np.outer({a}[0], {b}[:, 1])", "q.scaled({a})"),
]
STATES = [
    *("{t} = {e}", "{t} = {e}", "{t} += {e}", "{t} *= 0.5", "{t}[1] = ({e})[2] * 1.0", "{t}[:, 0] += {a}[0]"),
    *("{t}[{a} > 0.5] = n", "{t}[1:] = {t}[:-1]", "w = {t}[1:3]; w += 1; w[0] = {a}[1, 1]", "o.n += 1"),
    *("np.add({a}, {b}, out={t})", "{t}[[0, 1]] = {t}[[1, 0]]", "np.add.at({t}, ([0, 0], [1, 1]), 2.0)"),
    *(
        "log.append({a}.sum())",
        "log.append(o.n)",
        "l.append({e}); l[-1] *= 2",
        "for k in d: d[k] = d[k] * 0.9",
    ),
    *("for r in {t}: r += 0.1", "d['c'] = {e}", "if 'c' in d: {t} += d['c']", "if o.n > 3: {t} -= 0.3"),
    *("n = n + len(l) * 0.1", "bump({t})", "{t}.fill(0.3)", "if {a}.sum() > 0: {t} -= 1"),
    *("s = float({a}.mean()); {t} += s", "np.clip({a}, -1, 1, out={t})", "{t}, v = v, {t}"),
    *("{t} -= {a}.mean(axis=0)", "o.d = {{'k': {e}}}", "{t}[2, 2] = len(log)", "l.insert(0, {e})"),
    *("l.append({a}); l.pop(0)", "log.insert(0, {a}.max()); log.pop()", "d['z'] = {e}; del d['z']"),
    *("log.sort(key=lambda p: -p)", "log.reverse()", "q.seen.append({a}[0, 0]); q.count += 1"),
    *("d.pop('c', None)", "del log[:]", "for i in range(3): {t}[i] += {a}[i + 1] * i", "rs.shuffle({t})"),
    *("try:\n        {t}[7] = 1\n    except IndexError:\n        n = n + 1", "{t}[3, 9] = 1", "i = int(n)"),
    *(
        "while n > 1.2: n = n * 0.7",
        "u = {a}[2]; u[1] = 5",
        "{t}[...] = {e}; {t}.T[0] = 2",
        "d.update(c={e})",
    ),
    *("if {a}.sum() > {b}.sum(): {t} *= 0.9\n    else: o.n -= 1", "n = n + max({a}[0, 0], {b}[0, 0])"),
    *("n = min(n, float({a}.sum()))", "while np.abs({t}).max() > 1: {t} *= 0.7", "assert {a}.sum() < 20, n"),
    *("print({a}[0, 0], o.n, len(l))", "z = {a}; print(f'{{z.sum():.3f}} {{o.n}} {{n:.2f}}', {b}[1])"),
    *(
        "log.append(f'{{o.n}}')",
        "d[f'k{{len(l)}}'] = {e}",
        "setattr(o, f'w{{o.n}}', {e})",
        "np.random.seed(o.n)",
    ),
    *("c = copy.deepcopy(d); c['a'] += 1; l.append(c['a'])", "o.best = copy.deepcopy(o.d); o.d['k'] += 1"),
    "try:\n        l.append(np.linalg.inv({a} * (o.n - 2)))\n    except np.linalg.LinAlgError as e:\n        log.append(str(e))",
    "try:\n        log.append(1 / (o.n - 3))\n        {t} += 1\n    except ZeroDivisionError:\n        log.append(0)",
    "try:\n        l.append({a}[np.array([o.n])])\n        o.n += 1\n    except IndexError as e:\n        log.append(str(e))",
    *(
        "for i in np.flatnonzero({a}[0] > 0): {t}[i] += 1",
        "k = int(np.argmax({a}[0])); {t}[k] -= 1; l.append({t}[k])",
    ),
    *("m = {a} > 0; {t}[m] += {a}[m].mean() if m.any() else 0", "o.__dict__['n'] = o.n + 1"),
    *(
        "l[:] = [p for p in l if p.sum() > 0] + l[:2]",
        "z = {a}; raise ValueError(f'{{o.n}} {{z.sum():.1f}}')",
    ),
    *("o.best = str({a}[0, 0]); log.append(len(o.best))", "log.append('%d %s' % (o.n, {a}.shape))"),
]


class Holder:
    """An object with attributes."""


class Layer:
    """An object whose methods are called."""

    def __init__(self):
        self.seen, self.count = [], 0

    def scaled(self, a):
        self.count += 1
        return a * self.count * 0.1


HEAD = """import copy
import numpy as np
def helper(p, q):
    p[0] = q[1]
    return p - q
def bump(p):
    p += 1
"""


def program(r, i):
    """The text of one function."""
    lines = [f"def f{i}(x, y, o, d, l, n, log, rs, gen, q):", "    v = x * 1.0"]
    for _ in range(r.randint(3, 9)):
        e = r.choice(VALUES).format(a=r.choice(SQUARE), b=r.choice(SQUARE))
        state = r.choice(STATES)
        # where an error ends the program, it does so at a random place
        if state == "{t}[3, 9] = 1" and r.random() < 0.7:
            state = "{t} = {e}"
        text = state.format(t=r.choice(SQUARE), e=e, a=r.choice(SQUARE), b=r.choice(SQUARE))
        lines += ["    " + s for s in text.split("; ")]
    s = [r.choice(SQUARE) for _ in range(4)]
    lines.append(f"    return {s[0]}, v, n, [{s[1]}, {s[2]}.sum()], {{'z': {s[3]}[1]}}")
    return "\n".join([*lines, ""])


def programs(count, seed, folder):
    """A module of random functions f0, f1, ..., in a file of its own."""
    r = random.Random(seed)
    text = HEAD + "".join(program(r, i) for i in range(count))
    return module_of(text, folder / f"random_programs_{seed}.py")


def module_of(text, path):
    """A module of a text, in a file of its own."""
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inputs(shared):
    """Fresh arguments; `shared`: 1 arrays reached twice, 2 overlapping arrays."""
    r = np.random.default_rng(3)
    o, q = Holder(), Layer()
    o.w, o.n, o.d = r.normal(size=(4, 4)), 2, {"k": r.normal(size=(4, 4))}
    x, y = r.normal(size=(4, 4)), r.normal(size=(4, 4))
    d = {"a": r.normal(size=(4, 4)), "b": r.normal(size=(4, 4))}
    l = [r.normal(size=(4, 4)), r.normal(size=(4, 4))]
    if shared == 1:
        d["a"] = o.w
        l[1] = x
    if shared == 2:
        big = r.normal(size=(8, 4))
        x, y = big[:4], big[2:6]
    return [x, y, o, d, l, 1.5, [], np.random.RandomState(4), np.random.default_rng(5), q]
