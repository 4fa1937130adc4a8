"""Rules of functions that rearrange elements: reshape, transpose, roll, tile, pad, diagonals, triangles."""

from __future__ import annotations

from typing import Any

from graphc.ir.errors import ArgumentError
from graphc.npjit.vjps.calls import dtype_of, meta, np
from graphc.npjit.vjps.table import define, joint


def _order(x: Any, order: str) -> str:
    """The order "A" or "K" as "C" or "F", from the layout of x."""
    if order in ("C", "F"):
        return order
    m = meta(x)
    strides = m.strides if m is not None else getattr(x, "strides", ())
    if strides is None or list(strides) == sorted(strides, reverse=True):
        return "C"
    if list(strides) == sorted(strides):
        return "F"
    raise ArgumentError(
        f"graphc has no gradient of a reshape in order {order!r} of an array that is neither in C nor in "
        "Fortran order.\n  fix     pass order='C' or 'F'."
    )


def _shaped(ct: Any, x: Any) -> Any:
    return np.reshape(ct, np.shape(x))


define(
    "reshape",
    lambda ct, out, a, shape=None, order="C", *, newshape=None, copy=None: np.reshape(
        ct, np.shape(a), order=_order(a, order)
    ),
    keeps=True,
)
define(
    "ravel",
    lambda ct, out, a, order="C": np.reshape(ct, np.shape(a), order=_order(a, order)),
    keeps=True,
)
define("squeeze", lambda ct, out, a, axis=None: _shaped(ct, a), keeps=True)
define("expand_dims", lambda ct, out, a, axis=None: np.squeeze(ct, axis), keeps=True)


def _transpose(ct: Any, out: Any, a: Any, axes: Any = None) -> Any:
    if axes is None:
        return np.transpose(ct)
    rank = len(axes)
    order = [int(i) % rank for i in axes]
    return np.transpose(ct, tuple(order.index(i) for i in range(rank)))


define("transpose", _transpose, keeps=True)
define("matrix_transpose", lambda ct, out, x: np.swapaxes(ct, -1, -2), keeps=True)
define("linalg.matrix_transpose", lambda ct, out, x: np.swapaxes(ct, -1, -2), keeps=True)
define("permute_dims", _transpose, keeps=True)
define("swapaxes", lambda ct, out, a, axis1, axis2: np.swapaxes(ct, axis1, axis2), keeps=True)
define("moveaxis", lambda ct, out, a, source, destination: np.moveaxis(ct, destination, source), keeps=True)
define(
    "rollaxis",
    lambda ct, out, a, axis, start=0: _transpose(ct, out, a, _rolled(np.ndim(a), axis, start)),
    keeps=True,
)


def _rolled(rank: int, axis: int, start: int) -> list[int]:
    order = list(range(rank))
    axis, start = axis % rank, start + rank if start < 0 else start
    order.remove(axis)
    order.insert(start - 1 if axis < start else start, axis)
    return order


define("broadcast_to", lambda ct, out, array, shape=None, subok=False: ct, keeps=True)
for _name in ("copy", "astype", "require"):
    define(_name, lambda ct, out, a, *rest, **options: ct, keeps=True)


def _view(ct: Any, out: Any, a: Any, *rest: Any, **options: Any) -> Any:
    if dtype_of(out) != dtype_of(a):
        raise LookupError("view")
    return ct


define("ndarray.view", _view, keeps=True)
define("flip", lambda ct, out, m, axis=None: np.flip(ct, axis), keeps=True)
define("fliplr", lambda ct, out, m: np.fliplr(ct), keeps=True)
define("flipud", lambda ct, out, m: np.flipud(ct), keeps=True)
define("rot90", lambda ct, out, m, k=1, axes=(0, 1): np.rot90(ct, -k, axes), keeps=True)
define("roll", lambda ct, out, a, shift, axis=None: np.roll(ct, _opposite(shift), axis), keeps=True)
define("tril", lambda ct, out, m, k=0: np.tril(ct, k), masks=True)
define("triu", lambda ct, out, m, k=0: np.triu(ct, k), masks=True)


def _opposite(shift: Any) -> Any:
    return tuple(-s for s in shift) if isinstance(shift, (tuple, list)) else -shift


@joint("broadcast_arrays", keeps=True)
def _broadcast_arrays(cts: Any, out: Any, *arrays: Any, subok: bool = False) -> Any:
    return cts


for _name in ("atleast_1d", "atleast_2d", "atleast_3d"):

    @joint(_name, keeps=True)
    def _at_least(cts: Any, out: Any, *arrays: Any) -> Any:
        if len(arrays) == 1:
            return (_shaped(cts, arrays[0]),)
        return tuple(None if ct is None else _shaped(ct, a) for ct, a in zip(cts, arrays))


def _tile(ct: Any, out: Any, A: Any, reps: Any) -> Any:
    """The copies stand along axes of their own, and are summed."""
    reps = tuple(reps) if isinstance(reps, (tuple, list)) else (reps,)
    shape = np.shape(A)
    rank = max(len(reps), len(shape))
    reps = (1,) * (rank - len(reps)) + reps
    sizes = (1,) * (rank - len(shape)) + tuple(shape)
    split = [n for pair in zip(reps, sizes) for n in pair]
    return _shaped(np.sum(np.reshape(ct, split), axis=tuple(range(0, 2 * rank, 2))), A)


define("tile", _tile, keeps=True)


def _repeat(ct: Any, out: Any, a: Any, repeats: Any, axis: Any = None) -> Any:
    if axis is None:
        size = 1
        for n in np.shape(a):
            size = size * n
        return _shaped(_repeat(ct, out, np.reshape(a, (size,)), repeats, 0), a)
    axis = axis % np.ndim(a)
    shape = np.shape(a)
    if np.ndim(repeats) == 0 and not isinstance(repeats, (list, tuple)):
        split = (*shape[:axis], shape[axis], repeats, *shape[axis + 1 :])
        return np.sum(np.reshape(ct, split), axis=axis + 1)
    g = np.zeros_like(np.moveaxis(a, axis, 0))
    np.add.at(g, np.repeat(np.arange(shape[axis]), repeats), np.moveaxis(ct, axis, 0))
    return np.moveaxis(g, 0, axis)


define("repeat", _repeat, masks=True)


def _widths(pad_width: Any, rank: int) -> list[tuple[Any, Any]]:
    """`pad_width` as (before, after) for each axis."""
    if isinstance(pad_width, dict):
        full = [(0, 0)] * rank
        for axis, width in pad_width.items():
            full[axis] = tuple(width) if isinstance(width, (tuple, list)) else (width, width)
        return full
    if not isinstance(pad_width, (tuple, list)):
        return [(pad_width, pad_width)] * rank
    rows = [tuple(w) if isinstance(w, (tuple, list)) else w for w in pad_width]
    if all(isinstance(w, tuple) for w in rows):
        full = [w if len(w) == 2 else (w[0], w[0]) for w in rows]
        return full * rank if len(full) == 1 else full
    return [(rows[0], rows[-1])] * rank


def _pad(ct: Any, out: Any, array: Any, pad_width: Any = None, mode: str = "constant", **options: Any) -> Any:
    widths, shape = _widths(pad_width, np.ndim(array)), np.shape(array)
    if mode in ("constant", "empty"):
        return ct[tuple(slice(before, before + n) for (before, _), n in zip(widths, shape))]
    if mode not in ("edge", "wrap", "reflect", "symmetric") or options.get("reflect_type", "even") != "even":
        raise ArgumentError(
            f"graphc has no gradient of np.pad with mode={mode!r}.\n  fix     pad by np.concatenate."
        )
    for axis, (width, n) in enumerate(zip(widths, shape)):  # each padded element is a copy of one inside
        origin = np.pad(np.arange(n), width, mode=mode)
        moved = np.moveaxis(ct, axis, 0)
        g = np.zeros_like(moved[:n])
        np.add.at(g, origin, moved)
        ct = np.moveaxis(g, 0, axis)
    return ct


define("pad", _pad, keeps=True)


def _diagonal(ct: Any, out: Any, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    shape = np.shape(a)
    axis1, axis2 = axis1 % len(shape), axis2 % len(shape)
    g = np.zeros_like(a)
    start = (max(-offset, 0), max(offset, 0))
    steps = np.arange(np.shape(ct)[-1])
    moved = np.moveaxis(g, (axis1, axis2), (-2, -1))
    moved[..., steps + start[0], steps + start[1]] = ct
    return g


def _diag(ct: Any, out: Any, v: Any, k: int = 0) -> Any:
    return np.diagonal(ct, k) if np.ndim(v) == 1 else _diagonal(ct, out, v, k)


define("diagonal", _diagonal, masks=True)
define("linalg.diagonal", lambda ct, out, x, *, offset=0: _diagonal(ct, out, x, offset, -2, -1), masks=True)
define("diag", _diag, masks=True)
define("diagflat", lambda ct, out, v, k=0: _shaped(np.diagonal(ct, k), v), keeps=True)


def _trace(ct: Any, out: Any, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, *rest: Any) -> Any:
    length = np.shape(np.diagonal(a, offset, axis1, axis2))[-1]
    each = np.broadcast_to(np.expand_dims(ct, -1), (*np.shape(ct), length))
    return _diagonal(each, out, a, offset, axis1, axis2)


define("trace", _trace, masks=True)
define(
    "linalg.trace",
    lambda ct, out, x, *, offset=0, dtype=None: _trace(ct, out, x, offset, -2, -1),
    masks=True,
)


def _windows(ct: Any, out: Any, x: Any, window_shape: Any, axis: Any = None, **options: Any) -> Any:
    """Windows overlap: each offset within the window adds its slice."""
    sizes = tuple(window_shape) if isinstance(window_shape, (tuple, list)) else (window_shape,)
    rank, axes = np.ndim(x), axis
    axes = range(rank) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    g = np.zeros_like(x)
    shape = np.shape(out)
    for offsets in _offsets(sizes):
        starts = [0] * rank
        for a, o in zip(axes, offsets):  # an axis may be given twice
            starts[a % rank] += o
        g[tuple(slice(s, s + n) for s, n in zip(starts, shape))] += ct[(..., *offsets)]
    return g


def _strided(ct: Any, out: Any, x: Any, shape: Any = None, strides: Any = None, **options: Any) -> Any:
    """Each element of the result is one of x, by its place in memory."""
    m = meta(x)
    width = dtype_of(x).itemsize
    own = m.strides if m is not None else x.strides
    count = np.size(x)
    steps = own if strides is None else strides
    if list(own) != sorted(own, reverse=True) or (own and own[-1] != width):
        raise ArgumentError(
            "graphc has the gradient of as_strided for arrays in C order only.\n  fix     pass x.copy()."
        )
    places = np.zeros(np.shape(out), int)
    for axis, n in enumerate(np.shape(out)):
        line = np.arange(n) * (int(steps[axis]) // width)
        places = places + np.reshape(line, tuple(-1 if i == axis else 1 for i in range(np.ndim(out))))
    g = np.zeros(count, dtype_of(x))
    np.add.at(g, places, ct)
    return np.reshape(g, np.shape(x))


define("lib.stride_tricks.as_strided", _strided, masks=True)


def _offsets(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    offsets: list[tuple[int, ...]] = [()]
    for size in sizes:
        offsets = [(*o, i) for o in offsets for i in range(size)]
    return offsets


define("lib.stride_tricks.sliding_window_view", _windows, keeps=True)


@joint("meshgrid", keeps=True)
def _meshgrid(
    cts: Any, out: Any, *xi: Any, indexing: str = "xy", sparse: bool = False, copy: bool = True
) -> Any:
    rank = len(xi)
    given: list[Any] = []
    for i, (ct, x) in enumerate(zip(cts, xi)):
        axis = 1 - i if indexing == "xy" and i < 2 and rank > 1 else i
        others = tuple(a for a in range(rank) if a != axis)
        given.append(None if ct is None else _shaped(np.sum(ct, axis=others), x))
    return tuple(given)
