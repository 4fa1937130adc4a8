"""Idioms of NumPy training code: the Python around arrays: control flow, random numbers, errors, results."""

from collections import OrderedDict, namedtuple

import numpy as np
from npjit_harness import Args, B, case, program


@case("rng", lambda i, r: (B[i],), tol="exact")
def global_rng_calls(n):
    a = np.random.randn(n, 3) * np.sqrt(2.0 / n)
    p = np.random.permutation(n)
    c = np.random.choice(n, 3)
    u = np.random.rand(2, 2)
    np.random.shuffle(p)
    k = np.random.randint(0, 10, size=4)
    mask = np.random.rand(*a.shape) > 0.5
    return a, p, c, u, k, a * mask, np.random.uniform(-1, 1, (2,)), np.random.normal(0, 2, 3)


@case("rng", lambda i, r: (np.random.RandomState(i), np.random.default_rng(i), B[i]), tol="exact")
def rng_objects(rs, gen, n):
    x = rs.randn(n, 2)
    idx = rs.permutation(n)
    y = gen.normal(size=(n,))
    gen.shuffle(idx)
    return x[idx], y, gen.integers(0, 5, 3), rs.uniform(size=2)


@case("io", lambda i, r: (r.normal(size=(B[i], 2)),))
def prints_while_it_works(x):
    best = 1e9
    for epoch in range(3):
        loss = float(np.mean((x - epoch) ** 2))
        print("epoch", epoch, "loss:", loss)
        if loss < best:
            best = loss
            print(f"  best so far {best:.4f}")
    print(x.shape, x.dtype, np.mean(x))
    return best


@case("control", lambda i, r: (r.normal(size=5) + (3 if i == 1 else 0), 1e-3))
def while_not_converged(x, eps):
    n = 0
    while np.linalg.norm(x) > eps:
        x = x * 0.5
        n += 1
        if n >= 50:
            break
    else:
        n = -n
    if x.sum() > 0:
        return n, x
    elif n % 2:
        return n, -x
    return n, None


@case("errors", lambda i, r: (r.normal(size=(4, 3)), r.normal(size=(4,)), {"n": np.zeros(2)}))
def broadcast_error_after_mutation(x, y, log):
    log["n"] += 1
    x *= 2
    x[0] = 9
    z = x + y
    log["n"] += 100
    return z


@case("errors", lambda i, r: (r.normal(size=(4, 3)), [5, IndexError, "k"][i]))
def caught_and_reraised(x, what):
    try:
        if isinstance(what, int):
            return x[what]
        if what == "k":
            return {}["k"]
        raise ValueError("user error")
    except IndexError as e:
        return "caught", str(e)[:5]
    finally:
        x[1] = -1


Point = namedtuple("Point", "x y")


@case("returns", lambda i, r: (r.normal(size=(3, 3)), {"a": [r.normal(size=2)]}))
def nested_returns(x, d):
    od = OrderedDict()
    od["z"] = x[0]
    od["a"] = (x.T, [x.sum(), 3, "text", None, True])
    return (
        od,
        d,
        Point(x.mean(), x.max(axis=0)),
        {1: {2: x.shape}},
        x.sum(axis=0).tolist(),
        x[0, 0].item(),
        float(x[0, 1]),
    )


@case(
    "calls",
    lambda i, r: Args(
        r.normal(size=3),
        *([r.normal(size=3)] * i),
        scale=2.0 + i,
        **({"bias": r.normal(size=3)} if i else {}),
    ),
)
def kwargs_and_varargs(x, *more, scale=1.0, bias=None, **rest):
    out = x * scale
    for m in more:
        out = out + m
    if bias is not None:
        out += bias
    return out, len(more), sorted(rest)


SCALE = 1.0


@program("globals")
def module_global_changed(jit):
    def f(x):
        return x * SCALE

    def g(x, acc=[]):
        acc.append(len(x))
        return x + len(acc)

    count = 0

    def h(x):
        nonlocal count
        count += 1
        return x * count

    f, g, h, out = jit(f), jit(g), jit(h), []
    global SCALE
    for s in (1.0, 2.0, np.float64(3), 4):
        SCALE = s
        out += [f(np.ones(3)), g(np.ones(2)), h(np.ones(2))]
    SCALE = 1.0
    return out, count


def fact(x, n):
    return x if n <= 0 else x * fact(x + 1, n - 1)


@case("recursion", lambda i, r: (r.normal(size=4), 3 + i))
def recursive(x, n):
    return fact(x, n), fact(float(x[0]), 2)


@case("generators", lambda i, r: (r.normal(size=(7, 2)),))
def batches_generator(X):
    total = 0.0
    for s in range(0, len(X), 3):
        chunk = X[s : s + 3]
        total += chunk.sum()
        yield chunk * 2, total


@case("copies", lambda i, r: ({"w": r.normal(size=3), "l": [np.ones(2)]},))
def copy_semantics(p):
    import copy

    a, b, c = dict(p), copy.deepcopy(p), p["w"].copy()
    p["w"] += 1
    p["l"][0][0] = 9
    p["l"].append(p["w"])
    return a, b, c
