"""Normalisation: softmax, layer and batch normalisation, as coarse ops with compact gradients."""

from __future__ import annotations

import numpy as np

from graphc.ir.dims import product
from graphc.ir.errors import ShapeError
from graphc.ir.inference import require_axes, require_axis, require_kind, require_nonempty
from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.relations import same
from graphc.ir.samples import arrays


def along(axis):
    """The attributes of a fold along one axis that keeps it."""
    return {"axes": (axis,), "keepdims": True}


def _infer_softmax(x, *, axis):
    require_kind("f", x)
    require_nonempty(x.shape[require_axis(axis, x.rank)], x)
    return x


_SOFTMAX_SAMPLES = (
    Sample(arrays((3, 5)), {"axis": 1}),
    Sample(arrays((3, 5)), {"axis": 0}),
    Sample(arrays((2, 3, 33), low=-20, high=20), {"axis": 2}),
    Sample(arrays((2, 3, 4)), {"axis": 1}),
    Sample(arrays((4, 1)), {"axis": 1}),
    Sample(arrays((0, 3)), {"axis": 1}),
    Sample(arrays((7,)), {"axis": 0}),
    Sample(arrays((2, 9), low=-3e4, high=3e4), {"axis": 1}, differentiable=False),
    Sample(
        lambda rng, dtype: [np.array([[1, np.nan, 2], [-np.inf, 0, 1], [np.inf, 0, 1]], dtype)],
        {"axis": 1},
        differentiable=False,
    ),
)


@op("softmax", Kind.COARSE)
class Softmax:
    """exp(x) divided by its sum along `axis`, without overflow."""

    infer = _infer_softmax

    def evaluate(x, axis):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    def decompose(b, x, axis):
        e = b.exp(x - b.max(x, **along(axis)))
        return e / b.sum(e, **along(axis))

    def vjp(b, x, out, ct, axis):
        weighted = ct * out
        return (weighted - out * b.sum(weighted, **along(axis)),)

    samples = _SOFTMAX_SAMPLES


@op("log_softmax", Kind.COARSE)
class LogSoftmax:
    """log(softmax(x)) along `axis`, exact where a probability is tiny."""

    infer = _infer_softmax

    def evaluate(x, axis):
        shifted = x - x.max(axis=axis, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))

    def decompose(b, x, axis):
        shifted = x - b.max(x, **along(axis))
        return shifted - b.log(b.sum(b.exp(shifted), **along(axis)))

    def vjp(b, x, out, ct, axis):
        return (ct - b.softmax(x, axis=axis) * b.sum(ct, **along(axis)),)

    samples = _SOFTMAX_SAMPLES


def _axes(axis):
    return axis if isinstance(axis, tuple) else (axis,)


def _match(x, parameters, axes):
    """Check that every parameter has the sizes of x along `axes`."""
    require_kind("f", x, *parameters)
    for p in parameters:
        if p.dtype != x.dtype or p.rank != len(axes):
            raise ShapeError(f"{p} does not fit the axes {axes} of {x}")
        for axis, d in zip(require_axes(axes, x.rank), p.shape):
            same(d, x.shape[axis], f"the size of {p} and of axis {axis} of {x}")


def _aligned(parameter, axes, rank):
    """The shape in which a parameter over `axes` broadcasts to a value of that rank."""
    sizes = iter(parameter.shape)
    return tuple(next(sizes) if i in axes else 1 for i in range(rank))


def _spread(b, parameter, axes, rank):
    shape = _aligned(parameter, axes, rank)
    return parameter if tuple(parameter.shape) == shape else b.reshape(parameter, shape=shape)


class _NumpyShapes:
    """The two builder functions that the formulas below share with NumPy."""

    @staticmethod
    def reshape(x, shape):
        return np.reshape(x, shape)


_NUMPY = _NumpyShapes()


def _others(x, axes):
    return tuple(i for i in range(x.rank) if i not in axes)


def _count(x, axes):
    return product(x.shape[a] for a in axes)


def _statistics(b, x, axes, epsilon):
    """Mean, variance, 1 / deviation and the centred x, folded over `axes` with keepdims."""
    fold = {"axes": axes, "keepdims": True}
    mean = b.mean(x, **fold)
    centred = x - mean
    var = b.mean(b.square(centred), **fold)
    return mean, var, b.rsqrt(var + epsilon), centred


CACHED, LEAST_ROWS = 1 << 16, 16
"""Elements of a part of a batch that stay in a cache between its mean and its variance, and rows of the
least one.
"""


def _part(x, axes):
    """The axes of a part of what is folded that stays in a cache: whole images, or rows of one; none if there
    is no such part.
    """
    spatial = axes[1:]
    for part in (spatial, spatial[-1:]):
        rows = product(x.shape[a] for a in part)
        behind = product(x.shape[i] for i in range(axes[0], x.rank) if i not in axes)
        known = isinstance(rows, int) and isinstance(behind, int) and bool(part)
        if known and rows >= LEAST_ROWS and rows * behind <= CACHED:
            return part
    return ()


def _batch_statistics(b, x, axes, epsilon):
    """`_statistics` in one walk through memory: mean and variance of each part of the batch, then those of
    all parts (Chan, Golub, LeVeque 1979, equation 2.1, for parts of one size).
    """
    part = _part(x, axes)
    if not part:
        return _statistics(b, x, axes, epsilon)
    inner, outer = {"axes": part, "keepdims": True}, {"axes": axes, "keepdims": True}
    means = b.mean(x, **inner)
    within = b.mean(b.square(x - means), **inner)
    mean = b.mean(means, **outer)
    var = b.mean(within, **outer) + b.mean(b.square(means - mean), **outer)
    return mean, var, b.rsqrt(var + epsilon), x - mean


@op("layer_norm", Kind.COARSE)
class LayerNorm:
    """(x - mean) / sqrt(var + epsilon).

    * gamma + beta, with mean and biased variance along `axis` (one axis or a tuple).
    """

    def infer(x, gamma, beta, *, axis, epsilon=1e-3):
        _match(x, (gamma, beta), _axes(axis))
        return x

    def evaluate(x, gamma, beta, axis, epsilon):
        axes = _axes(axis)
        centred = x - x.mean(axis=axes, keepdims=True)
        var = np.square(centred).mean(axis=axes, keepdims=True)
        gamma, beta = (_spread(_NUMPY, p, axes, x.ndim) for p in (gamma, beta))
        return centred * (1 / np.sqrt(var + epsilon)) * gamma + beta

    def decompose(b, x, gamma, beta, axis, epsilon):
        axes = _axes(axis)
        _, _, inverse, centred = _statistics(b, x, axes, epsilon)
        return centred * inverse * _spread(b, gamma, axes, x.rank) + _spread(b, beta, axes, x.rank)

    def vjp(b, x, gamma, beta, out, ct, axis, epsilon):
        axes = _axes(axis)
        _, _, inverse, centred = _statistics(b, x, axes, epsilon)
        normal = centred * inverse
        g = ct * _spread(b, gamma, axes, x.rank)
        fold = {"axes": axes, "keepdims": True}
        dx = inverse * (g - b.mean(g, **fold) - normal * b.mean(g * normal, **fold))
        rest = _others(x, axes)
        return dx, b.sum(ct * normal, axes=rest), b.sum(ct, axes=rest)

    samples = (
        Sample(arrays((3, 5), (5,), (5,)), {"axis": 1}),
        Sample(arrays((2, 3, 33), (33,), (33,)), {"axis": 2}),
        Sample(arrays((2, 3, 4), (3, 4), (3, 4)), {"axis": (1, 2), "epsilon": 1e-5}),
        Sample(arrays((5, 3), (5,), (5,)), {"axis": 0}),
        Sample(arrays((4, 1), (1,), (1,)), {"axis": 1}),
        Sample(arrays((0, 3), (3,), (3,)), {"axis": 1}),
    )


@op("batch_norm", Kind.COARSE)
class BatchNorm:
    """(x - mean) * gamma / sqrt(var + epsilon).

    + beta with given statistics, one number per place along `axis`.
    """

    def infer(x, gamma, beta, mean, var, *, axis, epsilon=1e-3):
        _match(x, (gamma, beta, mean, var), _axes(axis))
        return x

    def evaluate(x, gamma, beta, mean, var, axis, epsilon):
        scale = gamma * (1 / np.sqrt(var + epsilon))
        scale, beta, mean = (_spread(_NUMPY, p, _axes(axis), x.ndim) for p in (scale, beta, mean))
        return (x - mean) * scale + beta

    def decompose(b, x, gamma, beta, mean, var, axis, epsilon):
        # one multiply-add per element: two rows of numbers are all that a product's epilogue reads
        scale = gamma * b.rsqrt(var + epsilon)
        shift = beta - mean * scale
        scale, shift = (_spread(b, p, _axes(axis), x.rank) for p in (scale, shift))
        return b.fma(x, scale, shift)

    def vjp(b, x, gamma, beta, mean, var, out, ct, axis, epsilon):
        axes = _axes(axis)
        rest = _others(x, axes)
        inverse = b.rsqrt(var + epsilon)
        centred = x - _spread(b, mean, axes, x.rank)
        total, weighted = b.sum(ct, axes=rest), b.sum(ct * centred, axes=rest)
        scale = gamma * inverse
        dx = ct * _spread(b, scale, axes, x.rank)
        dvar = weighted * scale * b.square(inverse) * -0.5
        return dx, weighted * inverse, total, -total * scale, dvar

    samples = tuple(
        Sample(
            lambda rng, dtype, shape=shape, n=shape[axis]: [
                *arrays(shape, (n,), (n,), (n,))(rng, dtype),
                *arrays((n,), low=0.1, high=3)(rng, dtype),
            ],
            {"axis": axis},
        )
        for shape, axis in (((3, 5), 1), ((2, 3, 4, 33), 3), ((2, 3, 4), 1), ((0, 3), 1), ((1, 1), 1))
    )


@op("batch_norm_train", Kind.COARSE)
class BatchNormTrain:
    """Batch normalisation by the batch's own statistics; also gives them: (y, mean, biased variance).

    (Ioffe, Szegedy 2015, algorithm 1).
    """

    def infer(x, gamma, beta, *, axis, epsilon=1e-3):
        _match(x, (gamma, beta), _axes(axis))
        return x, gamma, gamma

    def evaluate(x, gamma, beta, axis, epsilon):
        axes = _axes(axis)
        rest = tuple(i for i in range(x.ndim) if i not in axes)
        count = x.dtype.type(product(x.shape[i] for i in rest))
        mean = np.divide(x.sum(axis=rest, keepdims=True), count)
        var = np.divide(np.square(x - mean).sum(axis=rest, keepdims=True), count)
        scale, shift = (_spread(_NUMPY, p, axes, x.ndim) for p in (gamma, beta))
        y = (x - mean) * (scale * (1 / np.sqrt(var + epsilon))) + shift
        return y, mean.reshape(gamma.shape), var.reshape(gamma.shape)

    def decompose(b, x, gamma, beta, axis, epsilon):
        axes = _axes(axis)
        mean, var, inverse, centred = _batch_statistics(b, x, _others(x, axes), epsilon)
        scale = _spread(b, gamma, axes, x.rank) * inverse
        y = centred * scale + _spread(b, beta, axes, x.rank)
        return y, b.reshape(mean, shape=gamma.shape), b.reshape(var, shape=gamma.shape)

    def vjp(b, x, gamma, beta, out, ct, axis, epsilon):
        axes = _axes(axis)
        rest = _others(x, axes)
        _, _, inverse, centred = _batch_statistics(b, x, rest, epsilon)
        ct_y, ct_mean, ct_var = ct
        dx = dgamma = dbeta = None
        if ct_y is not None:
            normal = centred * inverse
            fold = {"axes": rest, "keepdims": True}
            scale = _spread(b, gamma, axes, x.rank) * inverse
            dx = scale * (ct_y - b.mean(ct_y, **fold) - normal * b.mean(ct_y * normal, **fold))
            dgamma, dbeta = b.sum(ct_y * normal, axes=rest), b.sum(ct_y, axes=rest)
        for factor, given in ((None, ct_mean), (centred * 2, ct_var)):
            if given is not None:
                part = _spread(b, given, axes, x.rank) / _count(x, rest)
                part = b.broadcast(part, shape=x.shape) if factor is None else part * factor
                dx = part if dx is None else dx + part
        return dx, dgamma, dbeta

    samples = (
        Sample(arrays((6, 5), (5,), (5,)), {"axis": 1}),
        Sample(arrays((2, 3, 4, 33), (33,), (33,)), {"axis": 3}),
        Sample(arrays((2, 3, 4), (3,), (3,)), {"axis": 1, "epsilon": 1e-5}),
        Sample(arrays((1, 3), (3,), (3,)), {"axis": 1}),
        Sample(arrays((0, 3), (3,), (3,)), {"axis": 1}, differentiable=False),
    )
