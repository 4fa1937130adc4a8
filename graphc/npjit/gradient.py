"""`grad`, `value_and_grad` and `vjp` of NumPy functions.

    >>> import numpy as np
    >>> from graphc.npjit.gradient import grad
    >>> grad(lambda w: np.sum(w**3))(np.array([1.0, 2.0]))
    array([ 3., 12.])

The function is recorded as `jit` does it, with the floating values of the differentiated arguments as leaves
(`leaves`); the walk back over the log (`reverse`) is recorded behind it. So the gradient is compiled like
any jitted function, and can be differentiated again.
"""

from __future__ import annotations

import copy
import functools
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from graphc.ir.errors import ArgumentError, GradientError, GraphcError, ShapeError
from graphc.npjit.builtin_calls import HANDLERS, constructed
from graphc.npjit.current import recording, runtime
from graphc.npjit.derivable import floating
from graphc.npjit.function import Jit, jit
from graphc.npjit.infer import meta_of
from graphc.npjit.leaves import Leaves, inner_of
from graphc.npjit.log import Meta
from graphc.npjit.reverse import Walk
from graphc.npjit.tidying import prune, unheard, without_leaves
from graphc.npjit.values import Num, Sym
from graphc.npjit.vjps.calls import shape_of

Argnums = int | Sequence[int] | None


class Differentiated:
    """What a gradient's recording runs: the function, then the walk back. `mode`: "grad", "value" or
    "vjp"."""

    def __init__(self, fn: Callable[..., Any], argnums: Argnums, mode: str, has_aux: bool = False) -> None:
        self.fn, self.argnums, self.mode, self.has_aux = fn, argnums, mode, has_aux
        self.name = getattr(fn, "__qualname__", None) or getattr(fn, "name", None) or type(fn).__qualname__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return runtime().call(self, *args, **kwargs)

    def __graphc_record__(self, rt: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        rec = recording()
        ct: Any = None
        if self.mode == "vjp":
            if not args:
                raise ArgumentError(f"the vjp of {self.name} takes its arguments and then a cotangent.")
            *rest, ct = args
            args = tuple(rest)
        chosen = self.positions(len(args))
        rec.differentiating += 1
        try:
            return self.recorded(rt, rec, args, kwargs, chosen, ct)
        finally:
            rec.differentiating -= 1

    def recorded(
        self, rt: Any, rec: Any, args: tuple[Any, ...], kwargs: dict[str, Any], chosen: list[int], ct: Any
    ) -> Any:
        """The value or cotangent, and the gradients, all deferred."""
        start, leaves = len(rec.log), Leaves(rt, rec)
        entered = {i: leaves.enter(args[i]) for i in chosen}
        inner = [inner_of(entered[i]) if i in entered else a for i, a in enumerate(args)]
        out = rt.call(self.fn, *inner, **kwargs)
        value, aux = self.split(rt, out)
        pairs = self.seeds(rt, value, ct)
        results = [(rec.read(y), c) for y, c in pairs if type(y) is Sym]
        behind = len(rec.log)
        walk = Walk(rec, start, leaves.nodes)
        for node, c in results:
            walk.add(node, c)
        with unheard(rec):
            walk.run()
            gradients = [leaves.gradient(entered[i], walk) for i in chosen]
        prune(rec, behind, gradients)
        leaves.write_back()
        if rec.differentiating == 1:
            without_leaves(rec, start, leaves.found.values())
        return self.packed(leaves.outer_of(value), leaves.outer_of(aux), gradients)

    def positions(self, count: int) -> list[int]:
        """The numbers of the differentiated arguments."""
        if self.argnums is None:
            return list(range(count))
        given = [self.argnums] if isinstance(self.argnums, int) else list(self.argnums)
        for i in given:
            if not isinstance(i, int) or not -count <= i < count:
                raise ArgumentError(
                    f"argnums={self.argnums!r} names argument {i!r}, but {self.name} was called with {count} "
                    "positional arguments.\n  fix     pass the differentiated arguments by position."
                )
        return [i % count for i in given]

    def split(self, rt: Any, out: Any) -> tuple[Any, Any]:
        """The value to differentiate, and what else the function gave."""
        if not self.has_aux:
            return out, None
        if not isinstance(out, tuple) or len(out) != 2:
            raise GradientError(
                f"{self.name} must return (value, aux), since has_aux=True, but returned {described(out)}."
            )
        return out

    def seeds(self, rt: Any, value: Any, ct: Any) -> list[tuple[Any, Any]]:
        """Results with their cotangents."""
        if self.mode != "vjp":
            return [(value, self.one(rt, value))]
        return list(self.paired(rt, value, ct))

    def paired(self, rt: Any, value: Any, ct: Any) -> Iterator[tuple[Any, Any]]:
        """The floating results in a container with their cotangents, which come in a container like it."""
        if ct is None:
            return
        if isinstance(value, (tuple, list, dict)):
            of_dict = isinstance(value, dict)
            keys, given = (list(value), list(rt.iter(ct))) if of_dict else (None, list(rt.iter(ct)))
            if len(value) != len(given) or (of_dict and (type(ct) is not dict or keys != given)):
                raise ArgumentError(
                    f"{self.name} gives {len(value)} results{f' {keys}' if of_dict else ''}, but got "
                    f"{len(given)} cotangents{f' {given}' if of_dict else ''}."
                )
            for k, c in zip(value if of_dict else range(len(value)), given):
                yield from self.paired(rt, value[k], rt.getitem(ct, k) if of_dict else c)
        elif floating(known(value)):
            yield value, self.fitted(rt, value, ct)
        elif known(value).kind == "object":
            raise GradientError(
                f"{self.name} returned {described(value)}, for which there are no cotangents.\n"
                "  fix     return arrays, or tuples, lists and dicts of them."
            )

    def fitted(self, rt: Any, y: Any, ct: Any) -> Any:
        """A cotangent in the dtype of its result."""
        shape, given = shape_of(y), shape_of(ct)
        if len(shape) != len(given) or any(n != m for n, m in zip(shape, given)):
            raise ShapeError(f"the cotangent of {self.name} must have its shape {shape}, but got {given}.")
        dtype = known(y).dtype
        return rt.call(np.asarray, ct, dtype=dtype if isinstance(dtype, np.dtype) else np.dtype(float))

    def one(self, rt: Any, value: Any) -> Any:
        """The cotangent 1 of a scalar."""
        meta = known(value)
        if meta.kind == "array" and None in meta.shape:
            meta = meta._replace(shape=rt.call(np.shape, value))
        size = int(np.prod(meta.shape)) if meta.kind == "array" else 1
        number = meta.kind in ("array", "scalar", "python")
        if not number or size != 1 or not (floating(meta) or is_whole(meta)):
            raise GradientError(
                f"{self.name} must return one real number to be differentiated, but returned "
                f"{described(value)}.\n"
                f"  fix     {self.remedy(meta)}"
            )
        if is_whole(meta):
            raise GradientError(
                f"{self.name} returned {described(value)}, whose gradient is zero everywhere.\n"
                "  fix     return a floating point number."
            )
        if meta.kind == "array":
            return rt.call(np.ones_like, value)
        return meta.dtype.type(1) if meta.kind == "scalar" else np.float64(1)

    def remedy(self, meta: Meta) -> str:
        if meta.kind == "array":
            return "sum it, or use graphc.vjp with a cotangent."
        return "return the loss alone, or (loss, aux) with has_aux=True."

    def packed(self, value: Any, aux: Any, gradients: list[Any]) -> Any:
        """The results in the form that the caller asked for."""
        found = gradients[0] if isinstance(self.argnums, int) else tuple(gradients)
        if self.mode == "value":
            return ((value, aux) if self.has_aux else value), found
        return (found, aux) if self.has_aux else found


def known(value: Any) -> Meta:
    """The meta of a result, deferred or not."""
    return value.meta if type(value) is Sym else meta_of(value.value if type(value) is Num else value)


def is_whole(meta: Meta) -> bool:
    """Whether it is a whole number or a truth value."""
    return meta.dtype in (int, bool) or (isinstance(meta.dtype, np.dtype) and meta.dtype.kind in "iub")


def described(value: Any) -> str:
    """A result in an error's words."""
    meta = known(value)
    if meta.kind == "array":
        return f"an array of shape {meta.shape}, {meta.dtype}"
    if meta.kind == "scalar":
        return f"a number of {meta.dtype}"
    return "None" if meta.kind == "none" else f"a {(meta.dtype or type(value)).__name__}"


class Gradient(Jit):
    """A gradient as a jitted function: recorded once for each kind of argument, then replayed."""

    def __init__(self, work: Differentiated, options: dict[str, Any]) -> None:
        super().__init__(work.fn, options)
        self.work, self.name = work, work.name
        self.fn = work

    def __graphc_record__(self, rt: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return rt.call(self.work, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<graphc gradient of {self.name}>"

    def __reduce__(self) -> Any:
        found: Any = sys.modules.get(getattr(self.work.fn, "__module__", ""))
        for part in self.name.split("."):
            found = getattr(found, part, None)
        return self.name if found is self else (Gradient, (self.work, self.options))

    def untraced(self) -> str:
        return ""

    def plain(self) -> None:
        return None

    def _emitted(self, key: Any, rec: Any, result: Any) -> Any:
        """With the reference backend each call is recorded, and runs NumPy's own functions."""
        from graphc.codegen.options import resolve

        if resolve(**self.options).backend == "reference":
            return None
        return super()._emitted(key, rec, result)

    def _target(self, rec: Any) -> Any:
        """The differentiated function; objects that it is bound to are inputs, as for `jit`."""
        plain: Any = types.SimpleNamespace(fn=self.work.fn)
        fn = Jit._target(plain, rec)
        if fn is self.work.fn:
            return self.work
        work = copy.copy(self.work)
        work.fn = fn
        return work

    def _as_python(self, failed: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The function's own errors are those of a run without a gradient."""
        if not isinstance(failed, GraphcError):
            args = args[:-1] if self.work.mode == "vjp" else args
            self.work.fn(*args, **kwargs)
        raise failed


def grad(
    fn: Callable[..., Any] | None = None,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    **options: Any,
) -> Any:
    """The gradient of a function that returns one number.

    Args:
        fn: an ordinary function of NumPy arrays, numbers and containers of them.
        argnums: which positional argument is differentiated; a sequence gives a tuple of gradients.
        has_aux: the function returns (value, aux); the gradient then comes as (gradient, aux).
        options: of `graphc.jit`.

    A gradient has the structure of its argument: dicts, lists, tuples, named tuples and objects with
    gradients in the place of floating arrays (same shape and dtype) and numbers, and None in the place of
    all else. What the function does to its arguments happens as without `grad`.

    Raises ArgumentError for an argument that is not there, DTypeError for complex ones, GradientError for a
    result that is not one real number and for a function that has no gradient rule.

    >>> loss = lambda p, x: np.sum(np.tanh(x @ p["W"] + p["b"]))
    >>> g = grad(loss)({"W": np.zeros((3, 2)), "b": np.zeros(2)}, np.ones((4, 3)))
    >>> g["W"].shape, g["b"].tolist()
    ((3, 2), [4.0, 4.0])
    >>> grad(grad(lambda x: x**4))(1.0)
    12.0
    """
    if fn is None:
        return functools.partial(grad, argnums=argnums, has_aux=has_aux, **options)
    return Gradient(Differentiated(checked(fn), argnums, "grad", has_aux), options)


def value_and_grad(
    fn: Callable[..., Any] | None = None,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    **options: Any,
) -> Any:
    """A function's value and its gradient, as `grad` gives it; ((value, aux), gradient) with `has_aux`.

    >>> value_and_grad(lambda w, x: np.sum(w * x), argnums=(0, 1))(2.0, 3.0)
    (np.float64(6.0), (3.0, 2.0))
    """
    if fn is None:
        return functools.partial(value_and_grad, argnums=argnums, has_aux=has_aux, **options)
    return Gradient(Differentiated(checked(fn), argnums, "value", has_aux), options)


def vjp(fn: Callable[..., Any], argnums: Argnums = None, **options: Any) -> Gradient:
    """`vjp(fn)(*args, ct)`: the gradients of sum(fn(*args) * ct), as a tuple with one entry for each
    argument.

    `ct` has the shape of the result; for several results it is a list, tuple or dict as they come in, with
    None where one does not count. `argnums`: only these arguments, in a tuple; for an int only the gradient
    of that argument.

    >>> vjp(np.outer)(np.ones(2), np.ones(3), np.ones((2, 3)))
    (array([3., 3.]), array([2., 2., 2.]))
    """
    return Gradient(Differentiated(checked(fn), argnums, "vjp"), options)


def checked(fn: Any) -> Any:
    """The function, which must be callable."""
    if not callable(fn):
        raise GradientError(f"graphc differentiates functions, but got a {type(fn).__name__}.")
    return fn


HANDLERS.update({f: constructed(f) for f in (jit, grad, value_and_grad, vjp)})
