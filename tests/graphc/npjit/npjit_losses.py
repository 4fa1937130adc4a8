"""Losses of networks and of other models, to be differentiated, and what functions they are made of."""

import numpy as np
from npjit_gradients import case, sigmoid


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(z):
    z = z - np.max(z, axis=1, keepdims=True)
    return z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))


@case(
    lambda r: (r.normal(size=(4, 3)), r.normal(size=3), r.normal(size=(8, 4)), r.integers(0, 3, 8)),
    argnums=(0, 1),
    calls=8,
)
def softmax_regression(W, b, X, y):
    p = softmax(X @ W + b)
    return -np.sum(np.log(p[np.arange(8), y] + 1e-12)) / 8


@case(lambda r: (r.normal(size=(5, 4)), np.eye(4)[r.integers(0, 4, 5)]))
def cross_entropy_one_hot(z, t):
    return -np.sum(t * log_softmax(z)) / len(z)


@case(lambda r: (r.normal(size=6), (r.normal(size=6) > 0).astype(float)))
def binary_cross_entropy(z, t):
    p = np.clip(sigmoid(z), 1e-7, 1 - 1e-7)
    return -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))


@case(lambda r: (r.normal(size=6), np.sign(r.normal(size=6))))
def stable_logistic_loss(z, s):
    return np.sum(np.logaddexp(0, -s * z)) + np.sum(np.log1p(np.exp(-np.abs(z))))


@case(lambda r: (r.normal(size=(3, 8)), r.normal(size=8), r.normal(size=8)), argnums=(0, 1, 2), calls=8)
def layer_norm_gelu(x, gamma, beta):
    mean, var = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    h = (x - mean) / np.sqrt(var + 1e-5) * gamma + beta
    g = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    return np.sum((g + x) ** 2)


@case(lambda r: (r.normal(size=(6, 3)), r.normal(size=3), r.normal(size=3)), argnums=(0, 1, 2))
def batch_norm(x, gamma, beta):
    xhat = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    return np.sum(np.sin(gamma * xhat + beta))


@case(lambda r: (r.normal(size=(2, 4, 6)), r.normal(size=(6, 18)) * 0.4), argnums=(0, 1))
def attention(x, W):
    q, k, v = np.split(x @ W, 3, axis=-1)
    scores = np.einsum("bqd,bkd->bqk", q, k) / np.sqrt(6)
    scores = np.where(np.tril(np.ones((4, 4))) > 0, scores, -1e9)
    return np.sum((softmax(scores) @ v) ** 2)


@case(lambda r: (r.normal(size=(2, 1, 5, 5)), r.normal(size=(2, 1, 3, 3))), argnums=(0, 1), calls=2)
def convolution_by_loops(x, w):
    out = np.zeros((2, 2, 3, 3))
    for i in range(3):
        for j in range(3):
            patch = x[:, :, i : i + 3, j : j + 3]
            for f in range(2):
                out[:, f, i, j] = np.sum(patch * w[f], axis=(1, 2, 3))
    return np.sum(np.maximum(out, 0) ** 2)


@case(lambda r: (r.normal(size=(2, 4, 4)),))
def max_pooling(x):
    return np.sum(x.reshape(2, 2, 2, 2, 2).max(axis=(2, 4)) ** 2)


@case(lambda r: (r.normal(size=(7, 2)), np.array([[0, 1, 6], [6, 2, 2]])))
def embedding(E, tokens):
    return np.sum(E[tokens].mean(axis=1) ** 2) + np.sum(np.take(E, tokens, axis=0)[0])


@case(lambda r: (r.normal(size=(4, 2)),))
def pairwise_distances(x):
    d = x[:, None, :] - x[None, :, :]
    distance = np.sqrt(np.sum(d**2, axis=-1) + np.eye(4))
    return np.sum(1 / distance) + np.sum(np.linalg.norm(x, axis=1))


@case(lambda r: (r.normal(size=(3, 3)), r.normal(size=3)), argnums=(0, 1))
def gaussian_log_density(A, x):
    S = A @ A.T + np.eye(3)
    sign, logdet = np.linalg.slogdet(S)
    return -0.5 * (x @ np.linalg.solve(S, x) + logdet) + np.log(np.diag(np.linalg.cholesky(S))).sum()


@case(lambda r: (r.normal(size=(3, 3)),))
def matrix_functions(a):
    s = a @ a.T + 2 * np.eye(3)
    return np.trace(np.linalg.inv(s)) + np.linalg.det(s) * 0.1 + np.sum(np.linalg.eigvalsh(s) ** 0.5)


@case(lambda r: (r.normal(size=(4, 3)),))
def norms(a):
    v = a[0]
    vector = sum(np.linalg.norm(v, p) for p in (1, 2, 3, np.inf, -np.inf))
    matrix = sum(np.linalg.norm(a, p) for p in ("fro", "nuc", 1, np.inf, 2))
    return vector + matrix + np.sum(np.linalg.norm(a, axis=0))


@case(lambda r: (r.normal(size=(5, 3)), r.uniform(0.1, 1, size=5)), argnums=(0, 1))
def statistics(x, w):
    total = np.sum(np.average(x, axis=0, weights=w) ** 2) + np.median(x) + np.sum(np.cov(x.T) ** 2)
    return total + np.sum(np.percentile(x, [20, 70], axis=0)) + np.ptp(x) + np.corrcoef(x.T)[0, 1]


@case(lambda r: (np.array([0.3, 1.2, 2.7]), np.arange(4.0), r.normal(size=4)), argnums=(0, 2))
def interpolation(x, xp, fp):
    grid = np.linspace(x[0], x[2], 5)
    return (
        np.sum(np.interp(x, xp, fp) ** 2)
        + np.trapezoid(fp**2, xp)
        + np.sum(np.gradient(fp))
        + np.sum(grid**2)
    )


@case(lambda r: (r.normal(size=6), r.normal(size=3)), argnums=(0, 1))
def filters(x, k):
    same = np.convolve(x, k, mode="same")
    return np.sum(np.convolve(x, k) ** 2) + np.sum(same**3) + np.sum(np.correlate(x, k)) + np.polyval(k, 0.5)


@case(lambda r: (r.normal(size=(2, 3)), r.normal(size=(2, 3))), argnums=(0, 1))
def products(a, b):
    total = np.sum(np.cross(a, b) ** 2) + np.sum(np.kron(a, b)) + np.vdot(a, b) + np.inner(a, b).sum()
    return total + np.sum(np.linalg.multi_dot([a, b.T, a])) + np.sum(np.linalg.matrix_power(a @ b.T, 3))


@case(lambda r: (r.normal(size=(3, 4)),))
def joined_and_rolled(x):
    y = np.hstack([x, x[:, :1]]) + np.append(x, x[:, -1:], axis=1)
    z = np.roll(y, 1, axis=0) * np.flip(y, axis=1)
    w = np.pad(z, ((1, 0), (0, 2)), mode="edge")
    return np.sum(w * np.arange(w.size).reshape(w.shape)) + np.sum(np.block([[x, x], [x * 2, x]]) ** 2)


@case(lambda r: (r.normal(size=(3, 4)),))
def running_values(x):
    c = np.cumsum(x, axis=1) * np.cumprod(x, axis=0)
    return np.sum(np.diff(c, axis=1) ** 2) + np.sum(np.maximum.accumulate(x, axis=1))


@case(lambda r: (np.array([0.0, 2.0, -1.0]),))
def products_with_zeros(x):
    return np.prod(x) + np.prod(x + 1) + np.sum(np.cumprod(x + 1))


@case(lambda r: (r.normal(size=4),))
def choices(x):
    picked = np.select([x > 1, x > 0], [x**2, x * 3], default=-x)
    return (
        np.sum(picked)
        + np.sum(np.where(x > 0, np.log(np.where(x > 0, x, 1)), x))
        + np.sum(np.heaviside(x, 0.5) * x)
    )


@case(lambda r: (np.array([-2.0, -0.5, 3.0]),))
def untaken_branches(x):
    with_sqrt = np.where(x > 0, np.sqrt(x) * x**-1.5, 0.0)
    log = np.maximum(np.log(np.abs(x)), -5.0)
    inverse = np.where(x > 0, 1 / np.maximum(x, 0), 0)
    return np.sum(with_sqrt) + np.sum(log) + np.sum(inverse * 2)


@case(lambda r: (np.array([0.5, 1.5, -2.0]),))
def powers(x):
    return np.sum(x**0) + np.sum(x**2 - x**3) + np.sum(np.abs(x) ** 1.5) + np.sum(2.0**x) + np.sum(x**-2)


@case(lambda r: (r.normal(size=4), r.normal(size=4)), argnums=(0, 1))
def two_argument_functions(x, y):
    total = np.sum(np.arctan2(x, y)) + np.sum(np.hypot(x, y)) + np.sum(np.fmax(x, y)) + np.sum(x % (y + 5))
    return total + np.sum(np.minimum(x, 0.2) * y) + np.sum(np.copysign(x, y))


@case(lambda r: (r.normal(size=(3, 2)), r.normal(size=(2, 2))), argnums=(0, 1))
def tensor_products(a, b):
    return (
        np.sum(np.einsum("ij,jk->ik", a, b) ** 2) + np.einsum("ij,jj->", a, b) + np.tensordot(a, b, 1).sum()
    )


@case(lambda r: (r.normal(size=3), 1.2), argnums=(0, 1))
def created_from_numbers(x, v):
    full = np.full((2, 3), v)
    stacked = np.array([x, x * v, np.full(3, v)])
    return np.sum(full * x) + np.sum(stacked**2) + np.sum(np.array([x[0], v, x[1] * v]))


@case(breaks=True, make=lambda r: ({"mu": r.normal(size=3), "s": r.normal(size=3)},))
def random_draws(p):
    np.random.seed(3)
    z = p["mu"] + np.exp(p["s"]) * np.random.randn(4, 3)
    u = np.random.default_rng(0).normal(p["mu"], np.exp(p["s"]))
    return np.mean(z**2) + np.sum(np.random.normal(p["mu"], 2.0) ** 2) + np.sum(u**2)


def is_subgradient(g, x):
    at = x == x.max()
    assert np.all(g[~at] == 0)
    assert np.all(g >= 0)
    assert abs(g.sum() - 1) < 1e-12


@case(lambda r: (np.array([1.0, 3.0, 3.0, -2.0]),), accept=is_subgradient)
def tied_maximum(x):
    return np.max(x)


@case(lambda r: (r.normal(size=3), 0.3, np.array([0, 1, 1])), argnums=(0, 1), breaks=True)
def counted_and_stepped(x, h, k):
    grid, step = np.linspace(x, h, 4, retstep=True)
    line = np.arange(x[0], x[0] + 3 * 0.5, 0.5)
    total = np.sum(np.bincount(k, weights=x**2) ** 2) + np.sum(grid**2) + np.sum(step * x) + np.sum(line**2)
    return (
        total
        + np.sum(np.resize(x, (2, 4)) ** 2)
        + np.sum(np.polymul(x, [1.0, h]))
        + np.sum(np.logspace(0, h, 3))
    )


@case(lambda r: (r.normal(size=12),), breaks=True)
def slices_that_end_by_data(v):
    y, k = np.ones(12), int((v > 0).sum())
    y[v > 0] = v[:k]
    return np.sum(y**2) + np.sum(v[(v > 0).sum() :])


@case(lambda r: (r.normal(size=6),), breaks=True)
def other_forms_of_an_array(x):
    y = x.copy()
    y.shape = (2, 3)
    y[0] *= y[1]
    y.T.__setitem__(0, x[:2])
    windows = np.lib.stride_tricks.as_strided(x, (4, 3), (8, 8))
    return np.sum(y**2) + np.sum(windows**2 * np.arange(3))


def runge_kutta(f, y, h):
    k1 = f(y)
    k2 = f(y + h / 2 * k1)
    k3 = f(y + h / 2 * k2)
    k4 = f(y + h * k3)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


@case(lambda r: (2.0, np.array([1.0, 0.0])), argnums=(0, 1))
def differential_equation(k, y):
    for _ in range(8):
        y = runge_kutta(lambda s: np.array([s[1], -k * np.sin(s[0])]), y, 0.1)
    return y[0] ** 2


@case(lambda r: (r.normal(size=(3, 3)), r.normal(size=(3, 4))), argnums=(0, 1))
def forward_algorithm(A, B):
    a = B[:, 0]
    for t in range(1, 5):
        a = np.logaddexp.reduce(a[:, None] + A, axis=0) + B[:, t % 4]
    return np.logaddexp.reduce(a)


@case(lambda r: (0.7, r.normal(size=6)), argnums=(0, 1))
def kalman_filter(q, z):
    x, p, likelihood = 0.0, 1.0, 0.0
    for v in z:
        p = p + q**2
        s = p + 1
        gain, e = p / s, v - x
        x, p = x + gain * e, (1 - gain) * p
        likelihood -= 0.5 * (np.log(s) + e**2 / s)
    return likelihood


@case(lambda r: (r.normal(size=4), 1.3), argnums=(0, 1))
def gaussian_process(y, length):
    t = np.arange(4.0)
    K = np.exp(-0.5 * (t[:, None] - t) ** 2 / length**2) + 0.1 * np.eye(4)
    return 0.5 * y @ np.linalg.solve(K, y) + 0.5 * np.linalg.slogdet(K)[1]


@case(lambda r: (r.normal(size=(5, 3)), r.normal(size=5)), argnums=(0, 1))
def least_squares(A, b):
    x = np.linalg.lstsq(A, b, rcond=None)[0]
    return np.sum(x**2) + np.sum(np.linalg.pinv(A) ** 2) + np.sum(np.linalg.svd(A)[1] ** 2 * np.arange(3))
