"""Losses of one line for functions of NumPy that few programs use, to be differentiated."""

import math

import numpy as np
from npjit_gradient_programs import LOSSES, V


def weighed(x):
    """A sum in which each element counts differently."""
    return np.sum(x * np.cos(np.arange(np.size(x)).reshape(np.shape(x)) + 1))


def definite(i, *lead):
    x = V(i, *lead, 3, 3)
    return x @ np.swapaxes(x, -1, -2) + 3 * np.eye(3)


def gaps(i):
    x = V(i, 4, 3)
    x[0, 1] = np.nan
    return x


FUNCTIONS = {
    "compress as a method": (lambda x: weighed(x.compress([1, 0, 1], axis=0)), lambda i: (V(i, 3, 4),)),
    "ediff1d with ends": (
        lambda x, e: weighed(np.ediff1d(x, to_begin=e, to_end=e[0] * 2)),
        lambda i: (V(i, 2, 3), V(i + 1, 2)),
    ),
    "diff between ends": (
        lambda x, p: weighed(np.diff(x, prepend=p, append=p * 2)) + weighed(np.diff(x, 2, 0, append=p.T)),
        lambda i: (V(i, 3, 3), V(i + 1, 3, 1)),
    ),
    "both parts of modf": (lambda x: weighed(np.modf(x)[0]) + weighed(x * np.modf(x)[1]), lambda i: (V(i),)),
    "mantissas": (lambda x: weighed(np.frexp(x)[0]), lambda i: (np.array([0.3, -0.7, 1.3, 5.0]),)),
    "windows twice along an axis": (
        lambda x: weighed(np.lib.stride_tricks.sliding_window_view(x, (2, 3), axis=(0, 0))),
        lambda i: (V(i, 7),),
    ),
    "taken along an axis of other sizes": (
        lambda x: weighed(np.take_along_axis(x, np.array([[0, 1, 1]]), axis=1)),
        lambda i: (V(i, 3, 4),),
    ),
    "one vector for a stack of matrices": (
        lambda a, b: weighed(np.linalg.solve(a, b)),
        lambda i: (definite(i, 3), V(i, 3)),
    ),
    "determinants of singular matrices": (
        lambda a: weighed(np.linalg.det(a)),
        lambda i: (np.array([[[1.0, 2, 3], [2, 4, 6], [1, 0, 1]], np.eye(3)]),),
    ),
    "triangles of wide matrices": (
        lambda a: weighed(np.linalg.qr(a)[1] ** 2) + weighed(np.linalg.qr(a.T, mode="r") ** 2),
        lambda i: (V(i, 3, 4),),
    ),
    "the upper part of a complete qr": (
        lambda a: weighed(np.linalg.qr(a, "complete")[1] ** 2),
        lambda i: (V(i, 4, 3),),
    ),
    "tensor equations": (
        lambda a, b: weighed(np.linalg.tensorsolve(a, b)) + weighed(np.linalg.tensorinv(a, ind=2)),
        lambda i: ((3 * np.eye(6) + V(i, 6, 6)).reshape(2, 3, 6), V(i, 2, 3)),
    ),
    "sums and products without NaN": (
        lambda x: weighed(np.nancumsum(x, 0)) + weighed(np.nancumprod(x)),
        lambda i: (gaps(i),),
    ),
    "quantiles without NaN": (
        lambda x: (
            np.nanmedian(x)
            + weighed(np.nanquantile(x, [0.1, 0.4], axis=0))
            + weighed(np.nanpercentile(x, 30, axis=1, keepdims=True))
        ),
        lambda i: (gaps(i),),
    ),
    "polynomials": (
        lambda p, x: (
            weighed(np.polyder(p) ** 2)
            + weighed(np.polyint(p, 2))
            + weighed(np.polyadd(p, x[:2]) ** 2)
            + weighed(np.polysub(x, p) ** 2)
            + weighed(np.polyfit(x, p**2, 2))
        ),
        lambda i: (V(i), V(i + 1)),
    ),
    "tables of pairs": (
        lambda x, y: (
            weighed(np.subtract.outer(x, y) ** 2)
            + weighed(np.maximum.outer(x, y))
            + weighed(np.hypot.outer(x, y))
            + weighed(np.divide.outer(x, y))
        ),
        lambda i: (V(i, 2, 3), V(i + 1, 2)),
    ),
    "reduced by ufuncs": (
        lambda x: (
            weighed(np.subtract.reduce(x) ** 2)
            + weighed(np.divide.reduce(x, axis=1))
            + weighed(np.hypot.reduce(x))
            + weighed(np.fmax.reduce(x, axis=-1))
        ),
        lambda i: (V(i, 3, 4),),
    ),
    "running and by segments": (
        lambda x: (
            weighed(np.logaddexp.accumulate(x, axis=1))
            + weighed(np.maximum.reduceat(x, [0, 2, 1], axis=1))
            + weighed(np.minimum.reduceat(x, np.array([0, 2])))
        ),
        lambda i: (V(i, 3, 4),),
    ),
}
LOSSES.update({name: (f, [make]) for name, (f, make) in FUNCTIONS.items()})


def products_at(x, v):
    y, z = x.copy(), x.copy()
    np.multiply.at(y, [0, 2, 0, 1], v)
    np.divide.at(z, [0, 2, 0, 1], v + 9)
    return np.sum(y**2) + np.sum(z**2)


def extremes_at(x, v):
    y, k = np.full(3, -np.inf), np.array([0, 1, 1, 2, 0])
    np.maximum.at(y, k, v)
    z = x.copy()
    np.minimum.at(z, k, v)
    e = np.exp(v - y[k])
    total = np.zeros(3)
    np.add.at(total, k, e)
    return weighed(e / total[k]) + weighed(z**2)


def put_in_turn(x):
    y = x.copy()
    np.putmask(y, x > 0, x**2)
    np.putmask(y, x < -1, x[:2])
    np.place(y, y < -0.5, x[:3])
    return np.sum(y * x)


def mask_beside_numbers(x, m):
    y = x * 2
    y[m, [1, 2]] *= x[m, :, [0, 1]][:, 0]
    return weighed(y[m, [1, 2], 0]) + np.sum(y**2)


LOSSES |= {
    "products_at": (products_at, [lambda i: (V(i, 3), V(i + 1) * (np.arange(4) != 2))]),
    "extremes_at": (extremes_at, [lambda i: (V(i, 3), V(i + 1, 5))]),
    "put_in_turn": (put_in_turn, [lambda i: (V(i, 6) - 0.3,)]),
    "mask_beside_numbers": (
        mask_beside_numbers,
        [lambda i: (V(i, 3, 3, 2)[:, :, 0:1].repeat(2, 2) + V(i, 3, 3, 2), np.array([True, False, True]))],
    ),
}


LEAKY = np.vectorize(lambda v: v if v > 0 else 0.1 * v)


@np.vectorize
def raised(v, k):
    return v**k


def called_by_numpy(x):
    lines = np.apply_along_axis(lambda v: v / np.linalg.norm(v), 1, x)
    pairs = np.apply_along_axis(lambda v: np.outer(v, v), 0, x)
    pieces = np.piecewise(x, [x < -1, (x >= -1) & (x < 0.2)], [1.0, lambda v, k: v * k, lambda v, k: v**k], 3)
    empty = np.piecewise(x[0], x[0] > 100, [lambda v: v / 0, lambda v: v * 2])
    return weighed(lines) + weighed(pairs) + weighed(pieces) + weighed(empty)


def element_by_element(x):
    whole = np.vectorize(lambda a: a * a, otypes=[float])(x)
    total = weighed(LEAKY(x)) + weighed(raised(x, 3)) + raised(x[0, 0], 2) + weighed(whole)
    total += sum(v * v * (place[0] + 1) for place, v in np.ndenumerate(x))
    total += sum(x[place] * k for k, place in enumerate(np.ndindex(x.shape)))
    total += weighed(np.fromiter((v**2 for v in x[0]), dtype=float, count=2))
    total += weighed(np.fromfunction(lambda i, j: x[i, j] * i, (2, 2), dtype=int))
    return total + np.sum(np.apply_over_axes(np.sum, x, [0, 1]) ** 2)


def items_by_number(x):
    return x.item(3) * x.item((1, 2)) + x.item(-1) ** 2 + x.item(0, 1) ** 3


def by_the_error_function_and_logarithms(x):
    smooth = 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    logs = math.log(x[3] ** 2 + 2, x[0] ** 2 + 2) * math.log(x[1] ** 2 + 1)
    return weighed(smooth) + math.erfc(x[0]) * math.degrees(x[1]) * math.radians(x[2]) + logs


LOSSES |= {
    "items_by_number": (items_by_number, [lambda i: (V(i, 2, 3),)]),
    "by_the_error_function_and_logarithms": (by_the_error_function_and_logarithms, [lambda i: (V(i),)]),
    "called_by_numpy": (called_by_numpy, [lambda i: (V(i, 3, 2),)]),
    "element_by_element": (element_by_element, [lambda i: (V(i, 2, 3),)]),
}
