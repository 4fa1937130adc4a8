"""What would NumPy give? Kind, dtype, shape, strides and aliases of a result before it is computed.

Element-wise operations are answered by the rules of broadcasting and promotion; for the rest NumPy itself is
asked, on stand-ins of the same dtype, shape and strides. Every answer is remembered. Errors are NumPy's own.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from graphc.npjit.deciding import COUNTED, by_array, name_of
from graphc.npjit.log import NONE, OBJECT, Meta, Parts, foreign
from graphc.npjit.promotion import elementwise
from graphc.npjit.values import Num, Sym

DATA_SHAPED = frozenset(
    {
        *("nonzero", "argwhere", "flatnonzero", "unique", "bincount", "extract", "compress"),
        *("setdiff1d", "intersect1d", "union1d", "setxor1d", "histogram", "histogram_bin_edges"),
        *("unique_all", "unique_counts", "unique_inverse", "unique_values"),
        *("polyadd", "polysub", "polymul", "polydiv"),
    }
)
"""Functions and methods whose results are as large as the data say."""
PARTLY = {"lstsq": 1}
"""Functions of which one result is so."""
CONSTANT_LEAVES = (
    *(int, float, complex, str, bytes, type(None), type(Ellipsis), range, type, type(NotImplemented)),
    *(np.generic, np.dtype, np.ufunc, types.FunctionType, types.BuiltinFunctionType, types.ModuleType),
)
REMEMBERED = 50_000
SMALL = 1 << 16


class Alias(NamedTuple):
    """The result is argument `position` itself ("same"), a view of it ("view"), or several ("views"), of
    argument `positions[j]` the j-th where they are of different ones."""

    kind: str
    position: int
    writeable: bool = True
    positions: tuple[int, ...] = ()


Tree = Meta | Parts
Answer = tuple[Tree, Alias | None]


class UnknownError(Exception):
    """The answer can't be known without the data."""


class ForeignError(Exception):
    """An argument of a kind that can't be deferred (a subclass of ndarray, a user's object, ...)."""


_memo: dict[Any, Answer] = {}
_stand_ins: dict[Any, Any] = {}


def meta_of(x: Any) -> Meta:
    """The meta of a real value."""
    t = type(x)
    if t is np.ndarray:
        return OBJECT if foreign(x.dtype) else Meta("array", x.dtype, x.shape, x.strides)
    if isinstance(x, np.generic):
        return OBJECT if foreign(x.dtype) else Meta("scalar", x.dtype, ())
    if t in (int, float, bool, complex):
        return Meta("python", t, ())
    return NONE if x is None else OBJECT


def infer(
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    getitem: bool = False,
    stand_in: Callable[..., Any] | None = None,
    changes_first: bool = False,
) -> Answer:
    """The result of fn(*args, **kwargs) and what it aliases.

    `stand_in` is run on the stand-ins in place of fn (a random function of a spare stream). `getitem`: args
    is (array, index). `changes_first`: fn writes into an argument, so that stand-ins are copied.

    Raises
    ------
    UnknownError, ForeignError
        See there.
    Exception
        What NumPy raises for these dtypes and shapes.
    """
    parts = [key_of(a) for a in args]
    key: Any = (fn, *parts, *[(k, key_of(v)) for k, v in kwargs.items()]) if kwargs else (fn, *parts)
    try:
        known = _memo.get(key)
    except TypeError:
        known, key = None, None
    if known is not None:
        return known
    answer: Answer | None = None
    if not kwargs and not changes_first:
        meta = elementwise(fn, args)
        answer = (meta, None) if meta is not None else None
    if answer is None:
        answer = _asked(fn, args, kwargs, getitem, stand_in, changes_first)
    if key is not None:
        if len(_memo) > REMEMBERED:
            _memo.clear()
        _memo[key] = answer
    return answer


def key_of(a: Any) -> Any:
    """What the answer may depend on."""
    t = type(a)
    if t is Sym:
        if a.meta.kind in ("object", "none"):
            raise UnknownError
        return a.meta
    if t is Num:
        return (Num, type(a.value), a.value if isinstance(a.value, int | np.integer) else None)
    if t is tuple or t is list:
        return (t, *[key_of(x) for x in a])
    if t is slice:
        return (slice, key_of(a.start), key_of(a.stop), key_of(a.step))
    if t is np.ndarray:
        if foreign(a.dtype):
            raise ForeignError
        return meta_of(a)
    if t is dict:
        return (dict, *[(k, key_of(v)) for k, v in a.items()])
    if not isinstance(a, CONSTANT_LEAVES):
        raise ForeignError
    return (t, a)


def open_dims(a: Any) -> bool:
    """Whether the size of an argument depends on data."""
    if type(a) is Sym:
        return a.meta.kind == "array" and None in a.meta.shape
    return type(a) in (tuple, list) and any(map(open_dims, a))


def masks(args: Iterable[Any]) -> bool:
    """Whether there is a boolean array in an index: then the size of the result depends on data."""
    for k in args:
        if type(k) is Sym and k.meta.kind in ("array", "scalar") and k.meta.dtype == bool:
            return True
        if (type(k) is np.ndarray and k.dtype == bool) or (type(k) is tuple and masks(k)):
            return True
    return False


def _asked(
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    getitem: bool,
    stand_in: Callable[..., Any] | None,
    copy: bool,
) -> Answer:
    found: list[tuple[Any, Any]] = []
    content = "ones" if fn is np.average else ""
    if (getattr(fn, "__module__", "") or "").startswith("numpy.linalg"):
        content = "identity"
    some = any(map(open_dims, args)) or any(map(open_dims, kwargs.values()))
    name = name_of(fn)
    masked = getitem and masks((args[1],))
    content = "chosen" if masked else content  # one element, which goes with any other index
    hide = some or masked or name in DATA_SHAPED
    hide = hide or (name == "where" and len(args) == 1) or (name == "ix_" and masks(args))
    hide = hide or by_array(fn, args, kwargs, COUNTED)
    lower = _Lower(found, content, copy)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            positional = [lower(a) for a in args]
            result = (stand_in or fn)(*positional, **{k: lower(v) for k, v in kwargs.items()})
            alias = _alias(result, args, found)
            if alias is not None and alias.kind == "views" and len(found) > 1:
                alias = alias._replace(positions=_positions(fn, args, kwargs, content, alias.position))
    except np.linalg.LinAlgError:  # of stand-ins, which may be singular where the real matrices are not
        raise ForeignError from None
    except Exception:
        if some:
            raise UnknownError from None
        raise
    if hide and alias is not None and alias.kind != "same":
        raise UnknownError if some else ForeignError  # what it is a view of, the sizes decide
    tree = _tree(result, hide)
    if name in PARTLY and isinstance(tree, Parts):
        parts = [_tree(x, i == PARTLY[name]) for i, x in enumerate(result)]
        tree = tree._replace(parts=tuple(parts))
    return tree, alias


class _Lower:
    """Arguments with stand-ins for arrays; `found` gets the pairs (argument, stand-in)."""

    def __init__(self, found: list[tuple[Any, Any]], content: str, copy: bool) -> None:
        self.found, self.content, self.copy = found, content, copy

    def __call__(self, a: Any) -> Any:
        t = type(a)
        if t is Sym or t is np.ndarray:
            d = stand_in_of(a.meta if t is Sym else meta_of(a), self.content)
            if self.copy and type(d) is np.ndarray:
                d = d.copy(order="K")
            self.found.append((a, d))
            return d
        if t is Num:
            return a.value
        if t is tuple or t is list:
            return t([self(x) for x in a])
        if t is slice:
            return slice(self(a.start), self(a.stop), self(a.step))
        if t is dict:
            return {k: self(v) for k, v in a.items()}
        return a


def stand_in_of(m: Meta, content: str = "") -> Any:
    """A value of this meta: ones, and zeros for integers, unless `content` says "ones", "identity" or
    "chosen" (True once)."""
    key = m, content
    d = _stand_ins.get(key)
    if d is not None:
        return d
    if m.kind != "array":
        d = m.dtype.type(1) if m.kind == "scalar" else m.dtype(1)
    elif None in m.shape:
        d = np.zeros([3] * len(m.shape), m.dtype)
    else:
        d = _array(m, content)
    if m.kind != "array" or d.size <= SMALL:
        if len(_stand_ins) > REMEMBERED // 10:
            _stand_ins.clear()
        _stand_ins[key] = d
    return d


def _array(m: Meta, content: str) -> np.ndarray:
    spans = [s * (n - 1) for n, s in zip(m.shape, m.strides) if n]
    low, high = sum(min(0, s) for s in spans), sum(max(0, s) for s in spans)
    size = -((low - high) // max(m.dtype.itemsize, 1)) + 1 if 0 not in m.shape else 1
    buffer = np.zeros(size, m.dtype)
    if m.dtype.kind in "fc" and size <= SMALL:
        buffer[...] = 1
    d: np.ndarray = np.ndarray(m.shape, m.dtype, buffer, -low, m.strides)
    if content == "chosen" and m.dtype == bool and d.size:
        d[(0,) * d.ndim] = True
    elif content in ("ones", "identity") and m.dtype.kind in "biufc":
        matrix = content == "identity" and d.ndim >= 2
        d[...] = np.eye(d.shape[-2], d.shape[-1]) * 2 if matrix else 1
    return d


def _tree(result: Any, hide: bool) -> Tree:
    if hide and type(result) is list:
        return OBJECT  # as long as the data say
    if isinstance(result, tuple | list):
        return Parts(type(result), tuple([_tree(x, hide) for x in result]))
    m = meta_of(result)
    if hide and m.kind == "array":
        return m._replace(shape=(None,) * len(m.shape))
    return m


def _alias(result: Any, args: Sequence[Any], found: list[tuple[Any, Any]]) -> Alias | None:
    several = isinstance(result, list | tuple)
    if several and not (result and all(type(x) is np.ndarray for x in result)):
        return None
    if not several and type(result) is not np.ndarray:
        return None
    shared: Alias | None = None
    for i, a in enumerate(args):
        for given, d in found:
            if given is not a or type(d) is not np.ndarray:
                continue
            if result is d:
                return Alias("same", i)
            if several and any(x.size and np.may_share_memory(x, d) for x in result):
                shared = shared or Alias("views", i, all(x.flags.writeable for x in result))
            elif not several and result.size and np.may_share_memory(result, d):
                shared = shared or Alias("view", i, result.flags.writeable)
    return shared


def _positions(
    fn: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], content: str, default: int
) -> tuple[int, ...]:
    """Which argument each of several results is a view of, told by stand-ins that share no memory."""
    found: list[tuple[Any, Any]] = []
    lower = _Lower(found, content, True)
    positional = [lower(a) for a in args]
    result = fn(*positional, **{k: lower(v) for k, v in kwargs.items()})

    def position(x: np.ndarray) -> int:
        shared = (i for i, d in enumerate(positional) if type(d) is np.ndarray and np.may_share_memory(x, d))
        return next(shared, default)

    return tuple([position(x) for x in result])
