"""Idioms of loss functions, whose gradients are compared with differences."""

import numpy as np
from npjit_harness import B, grad
from npjit_networks import sigmoid


@grad("grad-basic", lambda i, r: (r.normal(size=(3, 4)), r.normal(size=4)), argnums=(0, 1))
def g_elementwise(x, y):
    return np.sum(np.tanh(x * y) + np.exp(-(x**2)) / (1 + y**2) - np.log1p(x**2) + np.sin(x) * np.cos(y))


@grad(
    "grad-basic",
    lambda i, r: (r.normal(size=(4, 1)), r.normal(size=(3,)), 0.5),
    argnums=(0, 1, 2),
    value=True,
)
def g_broadcast_and_python_float(a, b, c):
    z = a * b + c
    return np.mean(z**2) + c * z.max() + np.sum(a - b.mean())


@grad("grad-where", lambda i, r: (np.array([-1.0, 0.25, 4.0, -0.0 - 2]) + 0.1 * i,))
def g_where_sqrt(x):
    return np.sum(np.where(x > 0, np.sqrt(x), 0) * np.array([1.0, 2, 3, 4]))


@grad("grad-assign", lambda i, r: (r.normal(size=(4, 3)), r.normal(size=3)), argnums=(0, 1))
def g_slice_assign(x, v):
    out = np.zeros((5, 3))
    out[1:] = x**2
    out[0] = v
    out[2] *= v
    out[:, 1] += out[:, 0]
    out[x.shape[0], 2] = 0.0
    return np.sum(out * np.arange(15.0).reshape(5, 3))


@grad("grad-index", lambda i, r: (r.normal(size=(6, 3)), np.array([1, 1, 4, 0])))
def g_gather_repeated(E, idx):
    rows = E[idx]
    picked = E[np.arange(4), idx % 3]
    return np.sum(rows**2) + np.prod(picked) + np.sum(E[E > 0] ** 6)


@grad("grad-loop", lambda i, r: (r.normal(size=3), 5 + i))
def g_python_loop(w, n):
    x, total = np.ones(3), 0.0
    for k in range(n):
        x = np.tanh(w * x + 0.1 * k)
        if x[0] > 0.5:
            total += x.sum()
        else:
            total = total - x[1] * k
    while x.max() > 0.05:
        x = x * 0.5
        total += np.sum(x * w)
    return total


def subgradient_of_max(g, args):
    x = args[0]
    at = x == x.max()
    if g.shape != x.shape or np.any(g[~at] != 0) or np.any(g < 0) or abs(g.sum() - 1) > 1e-12:
        return f"not a subgradient of max: {g}"


@grad("grad-ties", lambda i, r: (np.array([1.0, 3, 3, 2, 3]),), accept=subgradient_of_max)
def g_max_ties(x):
    return np.max(x)


@grad("grad-reduce", lambda i, r: (r.normal(size=(3, 4, 2)),), value=True)
def g_reductions(x):
    m, s = x.mean(axis=0, keepdims=True), x.std(axis=(0, 2), keepdims=True)
    z = (x - m) / (s + 1e-5)
    return (
        z.var()
        + np.linalg.norm(x)
        + np.sum(z[0] * x.sum(axis=0))
        + np.sum(x.max(axis=1))
        + np.sum(np.cumsum(x, axis=1) * x)
    )


@grad(
    "grad-matmul",
    lambda i, r: (r.normal(size=4), r.normal(size=(4, 3)), r.normal(size=(2, 3, 4))),
    argnums=(0, 1, 2),
)
def g_matmul_ranks(v, M, T):
    return (
        (v @ M).sum() * 2
        + np.sum(M.T @ v * np.arange(3))
        + v @ v
        + np.sum(T @ M)
        + np.sum((M @ T) ** 2)
        + np.sum(np.dot(T, v))
        + np.sum(np.outer(v, v) @ M)
    )


@grad(
    "grad-einsum",
    lambda i, r: (r.normal(size=(2, 3)), r.normal(size=(3, 4)), r.normal(size=(2, 4))),
    argnums=(0, 1),
)
def g_einsum(a, b, c):
    return (
        np.einsum("ij,jk,ik->", a, b, c)
        + np.sum(np.einsum("ij,jk->ik", a, b) ** 2)
        + np.tensordot(a, b, axes=([1], [0])).sum()
    )


@grad(
    "grad-conv",
    lambda i, r: (r.normal(size=(2, 2, 5, 5)), r.normal(size=(3, 2, 3, 3)), r.normal(size=3)),
    argnums=(0, 1, 2),
    calls=2,
)
def g_conv_im2col(x, w, b):
    N, C, H, W = x.shape
    oh = H - 2
    cols = np.stack([x[:, :, i : i + oh, j : j + oh] for i in range(3) for j in range(3)], axis=2)
    cols = cols.reshape(N, C * 9, oh * oh).transpose(0, 2, 1).reshape(-1, C * 9)
    out = cols @ w.reshape(3, -1).T + b
    out = np.maximum(out, 0).reshape(N, oh, oh, 3)
    return np.sum(out**2) / N


@grad(
    "grad-softmax",
    lambda i, r: (
        {"W": r.normal(size=(4, 3)), "b": np.zeros(3)},
        r.normal(size=(B[i], 4)),
        r.integers(0, 3, B[i]),
    ),
    value=True,
)
def g_softmax_ce(p, X, y):
    s = np.dot(X, p["W"]) + p["b"]
    s = s - np.max(s, axis=1, keepdims=True)
    logp = s - np.log(np.sum(np.exp(s), axis=1, keepdims=True))
    return -np.mean(logp[np.arange(len(y)), y]) + 0.5 * 1e-2 * np.sum(p["W"] ** 2)


@grad(
    "grad-containers",
    lambda i, r: (
        [(r.normal(size=(3, 4)), r.normal(size=4)), (r.normal(size=(4, 1)), r.normal(size=1))],
        r.normal(size=(B[i], 3)),
        r.normal(size=(B[i], 1)),
    ),
)
def g_list_of_tuples(params, X, Y):
    h = X
    for W, b in params:
        out = np.dot(h, W) + b
        h = np.tanh(out)
    reg = sum(np.sum(W**2) for W, _ in params)
    return np.mean((out - Y) ** 2) + 0.01 * reg


@grad(
    "grad-rnn",
    lambda i, r: (
        {
            "Wx": r.normal(size=(3, 16)) * 0.3,
            "Wh": r.normal(size=(4, 16)) * 0.3,
            "b": np.zeros(16),
            "out": [r.normal(size=(4, 2))],
        },
        r.normal(size=(5, 2, 3)),
    ),
    calls=2,
)
def g_lstm(p, xs):
    h, c, H, losses = np.zeros((2, 4)), np.zeros((2, 4)), 4, []
    for x in xs:
        z = np.dot(x, p["Wx"]) + np.dot(h, p["Wh"]) + p["b"]
        i, f, o = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H] + 1), sigmoid(z[:, 2 * H : 3 * H])
        g = np.tanh(z[:, 3 * H :])
        c = f * c + i * g
        h = o * np.tanh(c)
        losses.append(np.mean((h @ p["out"][0]) ** 2))
    return sum(losses) / len(losses)


@grad(
    "grad-dtype",
    lambda i, r: ({"W": r.normal(size=(3, 2)).astype(np.float32)}, r.normal(size=(4, 3)).astype(np.float32)),
    value=True,
)
def g_float32_stays(p, x):
    return np.mean(np.maximum(x @ p["W"], 0.1) ** 2) * 0.5


@grad("grad-shape", lambda i, r: (r.normal(size=(2, 6)),))
def g_shapes(x):
    a = x.reshape(3, 4).T
    b = np.concatenate([a, a[::-1] ** 2], axis=1)
    c = np.vstack([b, b[:1]])
    d = np.pad(c, 1, mode="constant")
    e = np.stack([d, d * 2])[:, ::2, None, 1:-1].squeeze().ravel()
    f = np.c_[e, e**2]
    return (
        np.sum(f * np.arange(f.size).reshape(f.shape))
        + np.sum(np.split(f, 2, axis=1)[1])
        + np.sum(np.tile(x[0], 2) * np.repeat(x[1], 2))
    )


@grad("grad-basic", lambda i, r: (r.normal(size=4), {"lr": 0.02, "n": 3}))
def g_dict_of_settings(w, cfg):
    for _ in range(cfg["n"]):
        w = w - cfg["lr"] * (4 * w**3 - 2 * w)
    return np.sum(np.tanh(w)) + np.sqrt(np.mean(w**2))


@grad("grad-where", lambda i, r: (np.array([0.5, -1.0, 2.0]) + 0.1 * i,), value=True)
def g_safe_division(x):
    with np.errstate(all="ignore"):
        return np.sum(np.where(x < 0, 0.0, 1 / np.maximum(x, 0))) + np.sum(
            np.where(np.abs(x) < 10, x**2, np.exp(x**4))
        )


@grad("grad-assign", lambda i, r: (r.normal(size=(5, 2)), r.normal(size=2)), argnums=(0, 1))
def g_hidden_states_in_a_buffer(X, w):
    H = np.zeros((len(X) + 1, 2))
    for t in range(len(X)):
        H[t + 1] = np.tanh(H[t] * w + X[t])
    return np.sum(H[1:] ** 2) + H[-1, 0]


@grad(
    "grad-vae", lambda i, r: ({"mu": r.normal(size=3), "logs": r.normal(size=3) * 0.1}, r.normal(size=(4, 3)))
)
def g_reparameterised(p, eps):
    z = p["mu"] + np.exp(p["logs"]) * eps
    kl = -0.5 * np.sum(1 + 2 * p["logs"] - p["mu"] ** 2 - np.exp(2 * p["logs"]))
    return np.mean(np.sum((z - 1) ** 2, axis=1)) + kl
