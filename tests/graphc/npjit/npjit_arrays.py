"""Idioms of NumPy training code: reading, storing, views, element types, edge cases of arrays."""

import numpy as np
from npjit_harness import B, case


@case("indexing", lambda i, r: (r.normal(size=(6, 7)), r.integers(0, 6, B[i])), tol="exact")
def fancy_reads(a, idx):
    return (
        a[idx],
        a[:, idx % 7],
        a[idx, idx],
        a[2],
        a[-1, ::2],
        a[..., 0],
        a[1:3, None, :],
        a[a > 0],
        a[[0, 2], :][:, [1, 3]],
    )


@case("assign", lambda i, r: (r.normal(size=(B[i], 3)), r.normal(size=3)), tol="elem")
def rows_filled_in_a_loop(x, t):
    out = np.zeros_like(x)
    for i in range(x.shape[0]):
        out[i] = x[i] * t
        out[i, 0] = i
    out[:, -1] += 1
    return out


@case("assign", lambda i, r: (r.normal(size=(B[i], 4)),), tol="elem")
def relu_mask_assign(x):
    mask = x <= 0
    out = x.copy()
    out[mask] = 0
    x[~mask] *= 2
    return out, mask


@case("buffers", lambda i, r: (r.normal(size=(B[i], 5)),))
def running_sum_buffer(x):
    total = np.zeros(x.shape[1:])
    hist = np.empty((x.shape[0], x.shape[1]))
    for i, row in enumerate(x):
        total += row
        hist[i, :] = total
    return hist, total


@case("concat", lambda i, r: (r.normal(size=(B[i], 3)), r.normal(size=B[i])), tol="exact")
def bias_column(X, y):
    A = np.c_[np.ones(X.shape[0]), X]
    s = np.r_[y, 0.0, y[::-1]]
    v = np.vstack([X.T, y])
    h = np.hstack((X, y.reshape(-1, 1)))
    k = np.concatenate([X, X * 2], axis=0)
    st = np.stack([y, -y], axis=1)
    return A, s, v, h, k, st


@case("constructors", lambda i, r: (B[i], r.normal()), tol="exact")
def arrays_from_scalars(n, v):
    a = np.array([v, 2 * v, n])
    b = np.full((n, 2), v)
    c = np.arange(n, dtype=np.float32) / n
    d = np.linspace(0, 1, n)
    e = np.array([[v] * n for _ in range(2)])
    f = np.asarray(range(n))
    return a, b, c, d, e, f, np.eye(n), np.ones_like(a), np.tile(a, (2, 1)), np.repeat(a, 2)


@case(
    "products",
    lambda i, r: (r.normal(size=(B[i], 4)), r.normal(size=(4, 3)), r.normal(size=4), r.normal(size=B[i])),
)
def product_spellings(A, W, t, u):
    return (
        A.dot(W),
        np.dot(A, W),
        A @ W,
        A.dot(t),
        t @ W,
        np.outer(u, t),
        u.dot(u),
        np.matmul(A, W),
        np.inner(t, t),
        A.T @ A,
        np.einsum("ij,jk->ik", A, W),
        np.tensordot(A, W, axes=1),
        np.vdot(u, u),
    )


@case("products", lambda i, r: (r.normal(size=(B[i], 2, 5, 5)), r.normal(size=(3, 2, 5, 5))))
def conv_tensordot(x, w):
    out = np.tensordot(x, w, axes=([1, 2, 3], [1, 2, 3]))
    back = np.tensordot(out, w, axes=([1], [0]))
    e = np.einsum("ncij,kcij->nk", x, w)
    return out, back, e, np.einsum("ij,ij->i", out, out)


@case("elementwise", lambda i, r: (r.normal(size=(B[i], 6)),), tol="elem")
def activations(x):
    return (
        np.maximum(0, x),
        np.where(x > 0, x, 0.01 * x),
        np.tanh(x),
        1 / (1 + np.exp(-x)),
        np.log1p(np.exp(-np.abs(x))),
        x.clip(-1, 1),
        np.clip(x, 0, None),
        np.sign(x),
        x**2,
        np.sqrt(np.abs(x)),
        x * (x > 0),
        np.square(x),
        np.abs(x),
        -x,
        np.minimum(x, 6),
    )


@case(
    "views",
    lambda i, r: ({"W1": r.normal(size=(4, B[i])), "b1": np.zeros(B[i])}, r.normal(size=(4, B[i])), 0.1),
    tol="elem",
)
def view_of_param_updated(params, g, lr):
    w = params["W1"]
    w -= lr * g
    row = w[0]
    row[:] = 7
    flat = w.reshape(-1)
    flat[1] = -1
    wt = w.T
    wt[2] += 1
    params["b1"] = params["b1"] + 1
    return w.sum()


@case("strided", lambda i, r: (r.normal(size=(6, B[i] + 2)),), tol="elem")
def strided_slices(x):
    a = x[::2, 1::3]
    a[...] = a * 10
    x[1::2][:, ::-1][0] = 5
    s = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)
    return (
        a,
        x[::-1],
        np.flip(x, 1),
        np.swapaxes(x, 0, 1),
        np.rollaxis(x, 1),
        np.roll(x, 1, axis=0),
        s.sum(axis=2),
    )


@case(
    "dtype",
    lambda i, r: (r.normal(size=(B[i], 3)).astype(np.float32), np.arange(B[i]), np.float64(2.5)),
    tol="reduce",
)
def promotion(x, k, s):
    return (
        x * 2.5,
        x * s,
        x / 2,
        k * 1.5,
        k / 2,
        k // 2,
        x + k[:, None],
        x.sum(),
        x.mean(),
        k.mean(),
        x.astype(np.float64).sum(),
        x**2,
        x**0.5 if False else x**2.0,
        np.float32(3) * s,
        x.sum() * s,
        np.sum(x, dtype=np.float64),
        np.sqrt(k),
        np.exp(x),
        x > 0,
        (x > 0) * 1.0,
        True + x,
        k + np.int8(1),
        np.sum(x > 0),
    )


@case("fp", lambda i, r: (np.array([1.0, 0.0, -1.0, np.inf, np.nan]), np.zeros(5)), tol="elem")
def infs_and_nans(a, b):
    return (
        a / b,
        np.log(a),
        np.sqrt(a),
        np.exp(a * 1000),
        np.maximum(a, 0),
        np.fmax(a, 0),
        np.nanmax(a),
        np.max(a),
        a.argmax(),
        np.isnan(a / b).sum(),
        np.nan_to_num(a),
        a == a,
        np.where(a > 0, a, -a),
        np.clip(a, 0, 1),
        np.sign(a),
    )


@case(
    "intover", lambda i, r: (np.array([127, -128, 100], np.int8), np.array([250, 3], np.uint8)), tol="exact"
)
def integers_wrap(a, u):
    a += 1
    return (
        a,
        a * a,
        u + u,
        u - np.uint8(5),
        np.abs(np.array([-128], np.int8)),
        a // np.int8(3),
        a % np.int8(7),
        u.sum(),
        np.left_shift(u, 1),
        ~u,
    )


@case("empty", lambda i, r: (np.zeros((0, 3)), r.normal(size=(3, 2)), np.array(2.0 + i)))
def empty_and_zero_d(x, w, s):
    out = x @ w
    return (
        out,
        out.sum(),
        out.sum(axis=0),
        np.mean(x > 0) if len(x) else None,
        s * 2,
        s + np.ones(2),
        np.concatenate([x, np.ones((1, 3))]),
        s.shape,
        np.prod(x),
        np.array(3.0)[()],
    )


def mk_alias(i, r):
    x = r.normal(size=6)
    return (x, x) if i == 0 else (x, x[::-1]) if i == 1 else (x[1:], x[:-1])


@case("alias", mk_alias, tol="elem")
def two_names_one_array(a, b):
    a += 1
    b *= 2
    a[0] = 100
    return a + b, a.sum()


@case("alias", lambda i, r: (np.arange(8.0) + i,), tol="exact")
def overlapping_slices(x):
    x[1:] = x[:-1]
    x[:3] += x[2:5]
    x[::2], x[1::2] = x[1::2], x[::2].copy()
    y = x
    y = y + 1
    return x, y


@case(
    "out",
    lambda i, r: (r.normal(size=(3, B[i])), r.normal(size=(B[i], 2)), np.zeros((3, 2)), np.ones((3, B[i]))),
)
def out_arguments(a, b, c, buf):
    np.dot(a, b, out=c)
    np.multiply(a, 2, out=buf)
    np.add(buf, 1, buf)
    np.exp(buf, out=buf)
    np.maximum(a, 0, out=a)
    s = np.sum(buf, axis=1, out=np.empty(3))
    return s


@case("ufunc", lambda i, r: (r.normal(size=(B[i], 3)),))
def ufunc_methods(x):
    return (
        np.add.reduce(x),
        np.maximum.accumulate(x, axis=0),
        np.multiply.outer(x[:, 0], x[0]),
        np.add.reduce(x, axis=(0, 1)),
        np.cumsum(x, axis=1),
        np.maximum.reduce(x, axis=1, keepdims=True),
        np.diff(x, axis=0),
        np.cumprod(x[:, 0]),
    )


@case("reductions", lambda i, r: (r.normal(size=(B[i], 3, 4)), r.normal(size=(B[i], 3)).astype(np.float32)))
def reductions(x, f):
    return (
        x.mean(),
        x.mean(axis=(0, 2)),
        x.var(axis=0),
        np.std(x, axis=1, keepdims=True),
        np.sum(x, axis=-1),
        x.max(),
        x.min(axis=(1, 2), keepdims=True),
        np.linalg.norm(x),
        np.linalg.norm(f, axis=1),
        np.sum(f, dtype=np.float64),
        np.average(f, axis=0),
        np.median(x),
        np.any(x > 2),
        np.all(f < 9, axis=0),
        np.sqrt(np.sum(f**2, axis=1, keepdims=True)),
        f.std(ddof=1),
        np.prod(f, axis=0),
        np.ptp(x),
    )


@case("sort", lambda i, r: (r.integers(0, 9, B[i]), r.normal(size=(B[i], 3))), tol="exact")
def sorting(k, x):
    u, inv, cnt = np.unique(k, return_inverse=True, return_counts=True)
    return (
        np.sort(x, axis=0),
        np.argsort(k, kind="stable"),
        u,
        inv,
        cnt,
        np.argsort(-x[:, 0]),
        np.searchsorted(u, k),
        np.nonzero(k > 4),
        np.argwhere(x > 0),
        np.partition(k, 2)[:2].sum(),
        x[x[:, 0].argsort()],
        np.isin(k, [1, 2]),
    )


@case("pad", lambda i, r: (r.normal(size=(2, 4 + i)), 1), tol="exact")
def zero_pad(x, p):
    out = np.zeros((x.shape[0] + 2 * p, x.shape[1] + 2 * p))
    out[p:-p, p:-p] = x
    return (
        out,
        np.pad(x, p, mode="constant"),
        np.pad(x, [(0, 0), (p, 2 * p)], "constant"),
        np.pad(x, ((p, p), (0, 0)), mode="edge"),
    )


@case("linalg", lambda i, r: (r.normal(size=(B[i] + 2, 3)), r.normal(size=B[i] + 2)), tol="loop")
def normal_equation_and_pca(X, y):
    Xb = np.c_[np.ones((len(X), 1)), X]
    theta = np.linalg.inv(Xb.T.dot(Xb) + 0.1 * np.eye(4)).dot(Xb.T).dot(y)
    w = np.linalg.solve(Xb.T @ Xb + np.eye(4), Xb.T @ y)
    vals = np.linalg.eigvalsh(np.cov(X.T))
    u, s, vt = np.linalg.svd(X - X.mean(0), full_matrices=False)
    return theta, w, vals, s, np.linalg.det(X.T @ X), np.linalg.norm(theta)
