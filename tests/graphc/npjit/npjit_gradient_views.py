"""Losses on views, choices and decompositions, to be differentiated."""

import numpy as np
from npjit_gradient_programs import V, g

import graphc


@g(lambda i: (V(i, 3, 4),))
def views_by_einsum(x):
    turned, diagonal = np.einsum("ij->ji", x), np.einsum("ii->i", x[:, :3])
    return turned[0] @ x[:, 0] + (diagonal**2).sum() + np.einsum(x, [0, 1], [1, 0])[1] @ x[:, 1]


@g(lambda i: (V(i, 3, 4),))
def choices_by_lists(x):
    a = np.choose([0, 1, 0], [x[:, 0], x[:, 1] * 2])
    return (a * np.array([0, 1, 0]).choose([x[:, 0], x[:, 1]])).sum() + np.choose([[1], [0]], (x[0], 3)).sum()


@g(lambda i: (V(7, 3, 3), V(i + 1, 3, 3), V(i + 2, 3, 3)))
def twice_through_svd(a, c, r):
    def f(b):
        u, s, vt = np.linalg.svd(b, full_matrices=False)
        return np.sum((u * s**2) @ vt * c)

    return np.sum(graphc.grad(f)(a) * r)


@g(lambda i: (V(i, 4),))
def by_streams_of_the_call(x):
    rng = np.random.default_rng(0)
    return np.sum(x * (rng.random(4) < 0.7) + x**2 * rng.normal(size=4))


@g(lambda i: (V(i, 2 + i % 2, 3),))
def by_match(x):
    match x.shape:
        case (2, n):
            y = x * n
        case _:
            y = x
    return np.sum(y**2)


@g(lambda i: (V(i, 3), V(i + 1, 2, 1)), lambda i: (V(i, 2, 3), V(i + 1, 2, 3)))
def views_of_several(x, y):
    y = y * 2
    a, b = np.broadcast_arrays(x, y)
    c, d = np.atleast_2d(x, y)
    y.view()[0] = x[..., 1].sum() ** 2
    return np.sum(a * b**2) + np.sum(np.meshgrid(x[..., 0], d[:, 0], copy=False)[1] ** 3) + (c * d).sum()
