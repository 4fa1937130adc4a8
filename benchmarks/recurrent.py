"""Recurrent cells as scans: an LSTM, forward and with its gradients through time, beside NumPy and
jax.lax.scan; and what a turn of a loop costs beside its kernels. One thread, one run.

    python benchmarks/recurrent.py            (peers that are not installed are left out)
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from harness import one_thread, report, save, side_by_side

one_thread()

import numpy as np

STEPS, BATCH, HIDDEN = 50, 32, 64
NAMES = ("w", "u", "bias", "h", "c")

Calls = dict[str, Callable[[], object]]


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {
        "xs": (STEPS, BATCH, HIDDEN),
        "w": (HIDDEN, 4 * HIDDEN),
        "u": (HIDDEN, 4 * HIDDEN),
        "bias": (4 * HIDDEN,),
        "h": (BATCH, HIDDEN),
        "c": (BATCH, HIDDEN),
    }
    return {name: (0.3 * rng.normal(size=shape)).astype("f4") for name, shape in shapes.items()}


def graphc_lstm() -> dict[str, Calls]:
    from graphc import codegen
    from graphc.ir import OPS, Builder, Expr, tensor

    def cell(types: list) -> object:
        b = Builder("cell")
        names = ("h", "c", "x", "w", "u", "bias")
        h, c, x, w, u, bias = (b.input(n, t) for n, t in zip(names, types))
        z = b.matmul(x, w) + b.matmul(h, u) + bias
        cuts = [k * HIDDEN for k in range(5)]
        i, f, g, o = (
            b.slice(z, start=(0, low), stop=(z.shape[0], high), step=(1, 1)) for low, high in pairwise(cuts)
        )
        c = b.sigmoid(f) * c + b.sigmoid(i) * b.tanh(g)
        h = b.sigmoid(o) * b.tanh(c)
        b.output(h, c, h)
        return b.build()

    def graph(gradient: bool) -> object:
        b = Builder("lstm")
        t = {n: tensor("f32", *x.shape) for n, x in arrays().items()}
        t |= {"xs": tensor("f32", "T", "B", HIDDEN)} | {n: tensor("f32", "B", HIDDEN) for n in "hc"}
        given = {n: b.input(n, k) for n, k in t.items()}
        operands = [given[n] for n in ("h", "c", "xs", "w", "u", "bias")]
        x = t["xs"].with_shape(t["xs"].shape[1:])
        region = cell([t["h"], t["c"], x, t["w"], t["u"], t["bias"]])
        attrs = {"carries": 2, "scanned": 1, "length": t["xs"].shape[0]}
        ys = Expr(b, b.node(OPS["scan"], operands, attrs, (region,)).results[2])
        loss = b.sum(b.square(ys), axes=(0, 1, 2))
        targets = [given[n] for n in NAMES]
        found = b.op("gradient", loss, b.constant(1.0, "f32"), *targets, outputs=1) if gradient else ()
        b.output(loss, *found)
        return b.build()

    given = list(arrays().values())
    forward, train = codegen.compile(graph(False)), codegen.compile(graph(True))
    return {"forward": {"graphc": lambda: forward(*given)}, "gradients": {"graphc": lambda: train(*given)}}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def numpy_lstm() -> dict[str, Calls]:
    xs, w, u, bias, h0, c0 = arrays().values()

    def forward() -> tuple:
        h, c, hs, cs, gates = h0, c0, [h0], [c0], []
        for x in xs:
            i, f, g, o = np.split(x @ w + h @ u + bias, 4, axis=1)
            i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
            c = f * c + i * g
            t = np.tanh(c)
            h = o * t
            hs.append(h)
            cs.append(c)
            gates.append((i, f, g, o, t))
        return sum(float((h * h).sum()) for h in hs[1:]), hs, cs, gates

    def gradients() -> tuple:
        loss, hs, cs, gates = forward()
        dh, dc = np.zeros_like(h0), np.zeros_like(c0)
        dw, du, db = np.zeros_like(w), np.zeros_like(u), np.zeros_like(bias)
        for k in reversed(range(STEPS)):
            i, f, g, o, t = gates[k]
            dh = dh + 2 * hs[k + 1]
            dc = dc + dh * o * (1 - t * t)
            parts = (
                dc * g * i * (1 - i),
                dc * cs[k] * f * (1 - f),
                dc * i * (1 - g * g),
                dh * t * o * (1 - o),
            )
            dz = np.concatenate(parts, axis=1)
            dw += xs[k].T @ dz
            du += hs[k].T @ dz
            db += dz.sum(0)
            dh, dc = dz @ u.T, dc * f
        return loss, dw, du, db, dh, dc

    return {"forward": {"numpy": forward}, "gradients": {"numpy": gradients}}


def jax_lstm() -> dict[str, Calls]:
    import jax
    import jax.numpy as jnp

    def loss(w: object, u: object, bias: object, h: object, c: object, xs: object) -> object:
        def cell(carry: tuple, x: object) -> tuple:
            h, c = carry
            i, f, g, o = jnp.split(x @ w + h @ u + bias, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        return (jax.lax.scan(cell, (h, c), xs)[1] ** 2).sum()

    given = {n: jnp.asarray(x) for n, x in arrays().items()}
    operands = [*(given[n] for n in NAMES), given["xs"]]
    forward, train = jax.jit(loss), jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2, 3, 4)))
    return {
        "forward": {"jax scan": lambda: jax.block_until_ready(forward(*operands))},
        "gradients": {"jax scan": lambda: jax.block_until_ready(train(*operands))},
    }


def nanoseconds_per_turn(turns: int = 20_000) -> float:
    """What a turn takes that adds one number to another: the loop itself, nearly."""
    from graphc import codegen
    from graphc.ir import OPS, Builder, tensor

    body, b = Builder("body"), Builder("loop")
    h, x = (body.input(n, tensor("f32", 1)) for n in "hx")
    body.output(h + x)
    start, xs = b.input("h", tensor("f32", 1)), b.input("xs", tensor("f32", "T", 1))
    attrs = {"carries": 1, "scanned": 1, "length": xs.shape[0]}
    b.output(*b.node(OPS["scan"], [start, xs], attrs, (body.build(),)).results)
    f, given = codegen.compile(b.build()), [np.ones(1, "f4"), np.ones((turns, 1), "f4")]
    return 1e9 * side_by_side({"graphc": lambda: f(*given)})["graphc"].least / turns


def agree(calls: Calls) -> None:
    """Fail unless all candidates give the same numbers."""
    first, *others = [[np.asarray(x) for x in _listed(call())] for call in calls.values()]
    for other in others:
        for x, y in zip(first, other):
            np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-3)


def _listed(result: object) -> list:
    """The loss, then what of the rest is an array: jax gives a pair, NumPy's forward its states too."""
    if not isinstance(result, tuple):
        return [result]
    loss, *rest = result
    rest = list(rest[0]) if rest and isinstance(rest[0], tuple) else rest
    return [loss, *(x for x in rest if hasattr(x, "shape"))]


if __name__ == "__main__":
    results = []
    found = [graphc_lstm(), numpy_lstm()]
    try:
        found.append(jax_lstm())
    except ImportError:
        print("jax is not installed")
    products = 2 * STEPS * BATCH * HIDDEN * 4 * HIDDEN * 2
    for kind, flops in (("forward", products), ("gradients", 3 * products)):
        calls = {name: call for side in found for name, call in side[kind].items()}
        agree(calls)
        title = f"LSTM, {kind}: {STEPS} steps, batch {BATCH}, hidden {HIDDEN}, f32"
        results.append(report(title, side_by_side(calls), flops))
    print(f"\na turn of a loop that adds two numbers: {nanoseconds_per_turn():.1f} ns")
    save("recurrent", results)
