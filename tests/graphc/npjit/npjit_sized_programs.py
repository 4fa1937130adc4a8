"""Random programs on arrays of n rows: slices, joins, reductions, stores and loops, for any n."""

import random

from npjit_programs import module_of

ROWS = ["x", "y", "z"]  # all (n, 4)
VALUES = [
    *("{a} + {b}", "{a} * w[0]", "{a} @ w * 0.3", "np.tanh({a})", "{a}[::-1]", "{a} - {a}.mean(axis=0)"),
    *("{a} / (np.abs({a}).sum(axis=1, keepdims=True) + 1)", "np.where({a} > 0, {a}, {b})", "{a}[:, ::-1]"),
    *("np.concatenate([{a}[1:], {b}[:1]])", "np.roll({a}, 1, axis=0)", "np.vstack([{a}[:2], {b}[2:]])"),
    *("{a}.T.reshape(-1).reshape({a}.shape)", "{a}.reshape(-1, 2).reshape(len({a}), 4)", "-{a}"),
    *("np.cumsum({a}, axis=0)", "({a} @ {b}.T) @ {a} * 0.01", "np.repeat({a}, 2, axis=0)[::2]"),
    *("np.tile({a}, (2, 1))[:len({a})]", "{a}[np.arange(len({a}))[::-1]]", "np.eye(len({a})) @ {a}"),
    *(
        "np.outer(v, w[0])",
        "np.pad({a}, ((1, 0), (0, 0)))[:-1]",
        "np.sort({a}, axis=1)",
        "np.zeros_like({a})",
    ),
    *("np.concatenate([np.diff({a}, axis=0), {a}[:1]])", "{a} * np.arange(len({a}))[:, None] / len({a})"),
    *("np.tril({a} @ {b}.T) @ {b} * 0.01", "{a}[[0, -1]].sum(0) + {a}", "np.einsum('ij,kj->ik', {a}, w)"),
    *("np.zeros({a}.shape)", "np.full((len({a}), 4), 0.5)", "np.maximum({a}, 0)", "np.flip({a}, axis=0)"),
    *(
        "np.broadcast_to({a}[:1], {a}.shape) * 1.0",
        "np.stack([{a}, {b}]).sum(axis=0)",
        "{a}.swapaxes(0, 1).T",
    ),
    *("np.split({a}, 2, axis=1)[1].repeat(2, axis=1)", "{a}.ravel()[::-1].reshape(-1, 4)", "{a} - {a}.std()"),
    *("np.hstack([{a}[:, :2], {b}[:, 2:]])", "np.argmax({a}, axis=1)[:, None] * {b}", "{a} * v[:, None]"),
]
STATES = [
    *("{t} = {e}", "{t} = {e}", "{t} = {e}", "{t} += {e}", "{t}[1:] = ({e})[:-1]", "{t}[-1] = ({e})[0]"),
    *("{t}[:len({t}) // 2] *= 0.5", "{t}[len({t}) // 2:] += ({e})[len({t}) // 2:]", "{t}[{a} > 0.5] = 0.1"),
    *("{t}[:, 1] = v", "u = {t}[1:-1]; u += 0.5", "{t}[::2] += 1", "{t}[np.arange(len({t})), k] = 2.0"),
    *("np.add.at({t}, k, 0.5)", "s = s + float({a}.sum())", "n = len({t}); s = s + {a}.sum() / n"),
    *("for i in range(3): {t} = np.tanh({t} + {a} * i)", "for row in {a}: s = s + row[0]"),
    *("if len({a}) > 6: {t} *= 0.9", "m = {t}.reshape(-1); m[1:] *= 0.99", "v = v + {a}.sum(axis=1)"),
    *("w -= 0.01 * {a}.T @ {b} / max(len({a}), 1)", "v = {a}.max(axis=1) - {b}.min(axis=1)", "v[1:-1] = 0"),
    *(
        "{t}[0], {t}[-1] = {t}[-1] * 1.0, {t}[0] * 1.0",
        "d['h'] = {e}; {t} = {t} + d['h']",
        "d['n'] = len({a})",
    ),
    *("h = w[0]; hs = []; for t in range(len({a})): h = np.tanh(h @ w + {a}[t]); hs.append(h)",),
]
END = "    return x, y, z, v, s, w, np.stack(hs) if hs else len(x), x.shape, (x.size, v.sum())"


def program(r, i):
    """The text of one function."""
    lines = [f"def f{i}(x, y, v, k, w, d):", "    z, s, hs = x * 0.5, 0.0, []"]
    for _ in range(r.randint(3, 7)):
        e = r.choice(VALUES).format(a=r.choice(ROWS), b=r.choice(ROWS))
        state = r.choice(STATES).format(t=r.choice(ROWS), e=e, a=r.choice(ROWS), b=r.choice(ROWS))
        first, loop, body = state.partition("for t")
        lines += ["    " + s for s in first.split("; ") if s]
        lines += ["    " + loop + body] if loop else []
    return "\n".join([*lines, END, ""])


def programs(count, seed, folder):
    """A module of random functions f0, f1, ..., in a file of its own."""
    r = random.Random(seed)
    text = "import numpy as np\n" + "".join(program(r, i) for i in range(count))
    return module_of(text, folder / f"random_sized_programs_{seed}.py")
