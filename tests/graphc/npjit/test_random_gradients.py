"""Random programs with views, stores, loops and branches: gradients against differences along a direction."""

import linecache
import random

import numpy as np
import pytest
from npjit_harness import diff

import graphc

SHAPES = [(3,), (2, 3), (3, 3), (3, 1)]
UNARY = [
    "np.sin({a})",
    "np.tanh({a})",
    "{a} * 0.5",
    "-{a}",
    "{a} ** 2 * 0.3",
    "np.exp(-{a} ** 2)",
    "np.abs({a}) + 0.1",
]
UNARY += [
    "np.sqrt({a} ** 2 + 1)",
    "np.log1p({a} ** 2)",
    "1 / (2 + np.cos({a}))",
    "{a}.copy()",
    "np.arctan({a})",
]
KEEP = [
    "np.flip({a})",
    "np.cumsum({a}, axis=0)",
    "np.roll({a}, 1, axis=0)",
    "np.sort({a}, axis=0)",
    "np.where({a} > 0, {a}, 0.2 * {a})",
]
KEEP += [
    "np.maximum({a}, 0.3)",
    "np.clip({a}, -0.7, 0.9)",
    "({a} - {a}.mean()) / ({a}.std() + 0.5)",
    "{a} - np.max({a}, axis=0)",
]
KEEP += [
    "{a} * {a}.sum()",
    "np.prod(np.cos({a}) + 1.5) * {a}",
    "np.linalg.norm({a} + 0.1) * {a}",
    "{a} * np.var({a}, axis=0, keepdims=True)",
]
BINARY = [
    "{a} + {b}",
    "{a} * {b}",
    "{a} - {b}",
    "{a} / ({b} ** 2 + 1)",
    "np.maximum({a}, {b})",
    "np.hypot({a}, {b} + 3)",
    "np.arctan2({a}, {b} ** 2 + 1)",
    "np.logaddexp({a}, {b})",
]
STORES = [
    "{a}[0] = {b}[-1]",
    "{a}[1:] = {b}[:-1] * 0.5",
    "{a} += {b} * 0.3",
    "{a} *= 0.9",
    "{a}[-1] *= {b}[0]",
    "{a}[{a} > 0.4] *= 0.5",
]
STORES += [
    "np.add.at({a}, [0, 0, 1], {b}[0] * 0.2)",
    "{a}[[0, 1]] = {a}[[1, 0]]",
    "np.multiply({a}, {b}, out={a})",
    "{a}.T[...] = np.sin({b}).T",
]
STORES += [
    "{a}[:] = {b}",
    "{a}[::2] -= {b}[::2]",
    "{a}.ravel()[1] = {b}.sum()",
    "np.tanh({a}, out={a})",
    "{a}[np.array([0, 1, 0])[:2]] += 0.1",
]
VIEWS = ["{a}[:]", "{a}[::-1]", "{a}.reshape(-1).reshape({a}.shape)", "{a}.T.T", "{a}[np.newaxis][0]"]

LISTS = ["sum([{a}, {b}, {a}])", "[{a}, {b}][k % 2]", "np.stack([{a}, {b}]).mean(axis=0)"]
LISTS += ["np.concatenate([{a}, {b}])[: {a}.shape[0]]"]


class Program:
    """Lines of a function of three arrays, one of them of another shape than the others."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines, self.shapes = [], {}
        self.shape = self.random.choice(SHAPES)
        for name in ("x", "y"):
            self.shapes[name] = self.shape

    def pick(self):
        return self.random.choice(list(self.shapes))

    def line(self, indent):
        r, a, b = self.random, self.pick(), self.pick()
        kind = r.choice(
            ["unary", "unary", "keep", "binary", "binary", "store", "store", "view", "loop", "branch", "list"]
        )
        new = f"v{len(self.shapes)}"
        if kind in ("loop", "branch") and len(indent) < 4:
            head = (
                f"for i in range({r.randint(2, 3)}):"
                if kind == "loop"
                else r.choice([f"if {a}.shape[0] > 2:", f"if {a}.sum() > 0.1:", "if k > 1:"])
            )
            self.lines.append(indent + head)
            before = dict(self.shapes)
            for _ in range(r.randint(1, 3)):
                self.line(indent + "    ")
            self.shapes = before
            return
        if kind == "store":
            self.lines.append(indent + r.choice(STORES).format(a=a, b=b))
            return
        table = {"unary": UNARY, "keep": KEEP, "binary": BINARY, "view": VIEWS}.get(kind, LISTS)
        text = r.choice(table).format(a=a, b=b)
        target = new if len(indent) == 4 or r.random() < 0.5 else a
        if target == new and len(indent) > 4:
            target = a
        self.lines.append(f"{indent}{target} = {text}")
        if target == new:
            self.shapes[new] = self.shape

    def function(self, seed):
        for _ in range(self.random.randint(4, 9)):
            self.line("    ")
        total = " + ".join(f"np.sum({v} * c)" for v in self.shapes)
        text = "def f(x, y, k, c):\n" + "\n".join(self.lines) + f"\n    return {total}\n"
        name = f"<gradient program {seed}>"
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        scope = {"np": np}
        exec(compile(text, name, "exec"), scope)
        return scope["f"], text


def slope(f, args, direction, h):
    """The derivative along a direction by differences of fourth order."""

    def at(t):
        return f(args[0] + t * direction[0], args[1] + t * direction[1], *args[2:])

    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


def check(seed):
    program = Program(seed)
    f, text = program.function(seed)
    g = graphc.value_and_grad(f, argnums=(0, 1))
    for call in range(3):
        r = np.random.default_rng(seed + 1000 * call)
        args = (
            r.normal(size=program.shape),
            r.normal(size=program.shape),
            1 + call % 2,
            r.normal(size=program.shape),
        )
        direction = (r.normal(size=program.shape), r.normal(size=program.shape))
        plain, mine = (
            [a.copy() if isinstance(a, np.ndarray) else a for a in args],
            [a.copy() if isinstance(a, np.ndarray) else a for a in args],
        )
        with np.errstate(all="ignore"):
            value = f(*plain)
            got, grads = g(*mine)
            expected = [slope(f, args, direction, h) for h in (1e-4, 3e-5)]
        np.testing.assert_allclose(got, value, rtol=1e-9, err_msg=text)
        assert diff(plain, mine, "reduce") is None, text
        found = sum(np.sum(a * b) for a, b in zip(grads, direction))
        if abs(expected[0] - expected[1]) < 1e-5 * (1 + abs(expected[0])):  # no kink nearby
            assert abs(found - expected[1]) <= 1e-4 * (1 + abs(expected[1])), f"{text}\n{found} {expected}"


@pytest.mark.parametrize("start", range(0, 30, 10))
def test_random_programs(start):
    for seed in range(start, start + 10):
        check(seed)
