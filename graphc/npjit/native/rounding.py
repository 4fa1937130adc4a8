"""Where NumPy's own rounding of float32 shows.

Sums, products and functions of float32 are rounded in another order or way by machine code than by NumPy.
That is within float32's precision, but a float64 result made of them (`float32.sum() * np.float64(2)`,
`float(loss)`) has digits that tell. Small ones are left to NumPy; in large ones no digit of those is certain.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from graphc.npjit.log import Meta, Node, mutate
from graphc.npjit.native.structure import uses
from graphc.npjit.native.translate import key_of

SMALL = 4096
"""Elements up to which NumPy's rounding is kept."""

_FUNCTIONS = "exp exp2 expm1 log log2 log10 log1p cbrt sin cos tan sinh cosh tanh logaddexp power arctan2"
_INVERSES = "arcsin arccos arctan arcsinh arccosh arctanh"
_PRODUCTS = "matmul dot inner vdot tensordot einsum"
_FOLDS = "sum prod mean var std average cumsum trace"
ROUNDED = frozenset(
    [
        *(getattr(np, name) for name in f"{_FUNCTIONS} {_INVERSES} {_PRODUCTS} {_FOLDS}".split()),
        *(("method", name) for name in ["sum", "prod", "mean", "var", "std", "cumsum", "dot", "trace"]),
        *(("reduce", ufunc) for ufunc in (np.add, np.multiply)),
        *(np.linalg.norm, operator.matmul, operator.imatmul, operator.pow, operator.ipow),
    ]
)
"""Functions whose float32 results differ in the last bits."""


def shown(nodes: Sequence[Node], wanted: Collection[Node]) -> Iterator[Node]:
    """The nodes that round float32 in NumPy's way, and whose digits wanted float64 values show."""
    seen: set[Node] = set()
    waiting = [n for n in wanted if n.fn is not None and _is(n, np.float64)]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        waiting += [u for u in uses(node) if u.fn is not None and _is(u, np.floating)]
    yield from (n for n in nodes if n in seen and _rounds(n))


def _is(node: Node, kind: type) -> bool:
    """Whether a value is a float of that kind; Python's float is float64."""
    meta = node.meta
    if not isinstance(meta, Meta) or meta.dtype is None:
        return not isinstance(meta, Meta)
    return np.issubdtype(np.dtype(meta.dtype), kind)


def _rounds(node: Node) -> bool:
    fn = node.args[2] if node.fn is mutate else node.fn
    key = key_of(getattr(fn, "function", fn))
    if key not in ROUNDED or not _is(node, np.float32) or not isinstance(node.meta, Meta):
        return False
    sizes = [m.shape for m in (node.meta, *(u.meta for u in uses(node))) if isinstance(m, Meta) and m.shape]
    return all(None not in s and np.prod(s) <= SMALL for s in sizes)
