"""The runtime's part for text: f-strings, `str`, `%`, `format` and `print` of data that is not computed yet.

A text that shows deferred values is itself deferred: a node whose value is the text, of kind "object". So a
line that is printed is no break: the recording computes what is pending and prints, and later calls print
what they have computed. Where Python needs the text itself (as a key, in a comparison) there is a break.
"""

from __future__ import annotations

import enum
import io
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.npjit.infer import stand_in_of
from graphc.npjit.log import Meta, Node
from graphc.npjit.lookup import in_class, is_array
from graphc.npjit.surface import Surface
from graphc.npjit.values import Num, Sym, settled

TEXT = Meta("object", str)
"""What is known of a deferred text."""
SHOWN = (
    *(int, float, complex, bool, str, bytes, type(None), type(Ellipsis), np.generic, np.dtype, range),
    enum.Enum,
)
"""Types whose instances never change and show no others."""
CONVERSIONS: dict[int, Callable[[Any], str]] = {114: repr, 115: str, 97: ascii}
TEXT_METHODS = frozenset(
    ["ljust", "rjust", "center", "strip", "lstrip", "rstrip", "upper", "lower", "replace", "title", "zfill"]
)
"""Methods of a text that give a text, and fail for none."""


class UnknownTextError(Exception):
    """Something among the values can't be shown later."""


def piece(value: Any, conversion: int, spec: str) -> str:
    """A value in an f-string."""
    return format(CONVERSIONS[conversion](value) if conversion in CONVERSIONS else value, spec)


def fstring(*pieces: Any) -> str:
    """An f-string: texts, and (value, conversion, spec) for values."""
    return "".join([p if type(p) is str else piece(*p) for p in pieces])


def line(sep: str, *values: Any) -> str:
    """What print shows."""
    return sep.join([str(v) for v in values])


def percent(template: str, values: Any) -> str:
    """template % values."""
    return template % values


def joined(sep: str, parts: list[str]) -> str:
    """sep.join(parts)."""
    return sep.join(parts)


def is_text(x: Any) -> bool:
    """Whether x is a deferred text."""
    return type(x) is Sym and x.meta is TEXT


class Texts(Surface):
    def fstring(self, *pieces: Any) -> Any:
        """An f-string; each piece is a text or (value, conversion, spec)."""
        if self.rec is None:
            return fstring(*[p if type(p) is str else tuple(map(settled, p)) for p in pieces])
        return self.shown(fstring, *[p if type(p) is str else self._piece(*p) for p in pieces])

    def _piece(self, value: Any, conversion: int, spec: Any) -> Any:
        """A value of an f-string; classes written in Python say themselves how they are shown."""
        spec = self.steered(spec)
        if type(value) in (Sym, Num) or isinstance(value, enum.Enum):
            return (value, conversion, spec)
        by_class = in_class(type(value), "__format__")
        if conversion < 0 and type(by_class) is types.FunctionType:
            return (self.call(by_class, value, spec), 115, "")
        if conversion != 97 and by_class is object.__format__ and not (conversion < 0 and spec):
            return (self.as_text(repr if conversion == 114 else str, value), 115, spec)
        return (value, conversion, spec)

    def as_text(self, fn: Any, x: Any) -> Any:
        """str(x), repr(x) or ascii(x)."""
        for name in (
            ()
            if type(x) in (Sym, Num) or isinstance(x, enum.Enum)
            else ("__str__", "__repr__")
            if fn is str
            else ("__repr__",)
        ):
            found = in_class(type(x), name)
            if type(found) is types.FunctionType and not isinstance(x, BaseException):
                return self.call(found, x)
            if found is not None and found is not object.__str__:
                break
        return self.shown(fn, x)

    def shown(self, fn: Callable[..., str], *values: Any) -> Any:
        """The text fn(*values): deferred, where one of the values is."""
        try:
            deferred = [self._showable(v) for v in values]
        except UnknownTextError:
            self.rec.stop("text of data", "show numbers, arrays, and lists of them")
            self.rec.flush()
            self.rec.clean()
            made = fn(*[self.rec.publish(v) for v in values])
            self.rec.take_back()
            return made
        if not any(map(_is_deferred, deferred)):
            return fn(*deferred)
        made = fn(*map(_stand_in, deferred))  # raises where the types can't be shown so
        if not any(type(x) is Sym for v in deferred for x in _leaves(v)):
            expr = f"{self.rec.const(fn)}({', '.join(map(self._expr, deferred))})"
            return self.combined(fn, made, expr)
        if fn is percent and not _shows_nan(deferred):
            return fn(*[self.known_values(v) for v in deferred])
        return Sym(TEXT, self.rec.add(Node(fn, [self.rec.lower(v) for v in deferred], None, TEXT)))

    def _showable(self, v: Any) -> Any:
        """A value with everything that it shows by its own path."""
        t = type(v)
        if t is Sym:
            if v.meta.kind == "object" and v.meta is not TEXT:
                raise UnknownTextError
            return v
        if t is Num or isinstance(v, SHOWN):
            return v
        if is_array(v):
            return self.rec.array(v, None)
        if t in (list, tuple):
            return t([self._showable(x) for x in self.iter(v)])
        if t is dict:
            items = [(k, self.getitem(v, k)) for k in self.iter(v)]
            return {self._key(k): self._showable(x) for k, x in items}
        outside = self.rec.var(v) is not None and not isinstance(v, type | types.ModuleType)
        if outside or (hasattr(v, "__dict__") and not isinstance(v, type | BaseException)):
            raise UnknownTextError
        if isinstance(v, tuple | list | dict | set | frozenset | np.ndarray):
            raise UnknownTextError
        return v

    def _expr(self, v: Any) -> str:
        """Known values in generated code."""
        if type(v) is list:
            return f"[{', '.join(map(self._expr, v))}]"
        if type(v) is tuple:
            return "(" + "".join(f"{self._expr(x)}, " for x in v) + ")"
        if type(v) is dict:
            return "{" + ", ".join(f"{self.rec.const(k)}: {self._expr(x)}" for k, x in v.items()) + "}"
        return self.expr(v)

    def _key(self, k: Any) -> Any:
        if not isinstance(k, SHOWN):
            raise UnknownTextError
        return k

    def known_values(self, v: Any) -> Any:
        """What C code only looks at, with the values themselves: a break where they are data."""
        if type(v) in (list, tuple):
            return type(v)([self.known_values(x) for x in self.iter(v)])
        if type(v) is dict:
            return {k: self.known_values(x) for k, x in v.items()}
        return self.rec.force(v, "text of data") if type(v) is Sym else self.steered(v)

    def text_method(self, x: Any, name: str, args: Any, kwargs: Any) -> Any:
        """A method of a text, deferred or not."""
        if type(x) is str and name == "format":
            return self.shown(str.format, x, *args) if not kwargs else self._formatted(x, args, kwargs)
        if type(x) is str and name == "join" and len(args) == 1:
            return self.shown(joined, x, list(self.iter(args[0])))
        if is_text(x) and name in TEXT_METHODS and not kwargs:
            return self.shown(getattr(str, name), x, *[self.steered(a) for a in args])
        known = self.real(x)
        values = self.known_values((args, kwargs))
        found = getattr(known, name)(*values[0], **values[1])
        tainted = self.rec.tainted.get(id(known))
        return tainted.tracked(found) if tainted is not None else found

    def _formatted(self, template: str, args: Any, kwargs: Any) -> Any:
        return self.shown(format_by_name, template, tuple(args), kwargs)

    def print(self, args: Any, kwargs: Any) -> None:
        """A printed line: shown now, and by later calls when they are done."""
        rec = self.rec
        options = {k: v for k, v in kwargs.items() if v is not None}
        sep, stream = self.steered(options.pop("sep", " ")), options.get("file")
        plain = stream is None or isinstance(stream, io.TextIOBase)
        if type(sep) is not str or not plain:
            self.opaque(print, *args, **kwargs)
            return
        breaks = len(rec.breaks)
        text = self.shown(line, sep, *[self.as_text(str, a) for a in args])
        options = {k: v if k == "file" else self.steered(v) for k, v in options.items()}
        if len(rec.breaks) > breaks:
            rec.leak("print of an object")
        rec.run_pending()
        rec.effect("call", rec.const(print), options, (text,), lambda: None)
        computed = text.node.value if type(text) is Sym and text.node is not None else rec.publish(text)
        print(computed, **options)


def format_by_name(template: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """template.format(*args, **kwargs)."""
    return template.format(*args, **kwargs)


def _leaves(v: Any) -> list[Any]:
    if type(v) in (list, tuple):
        return [leaf for x in v for leaf in _leaves(x)]
    return [leaf for x in v.values() for leaf in _leaves(x)] if type(v) is dict else [v]


def _is_deferred(v: Any) -> bool:
    return any(type(x) in (Sym, Num) for x in _leaves(v))


def _shows_nan(values: list[Any]) -> bool:
    """Whether no number fails to be shown: %d of NaN does."""
    try:
        percent(*[_stand_in(v, float("nan")) for v in values])
    except ValueError:
        return False
    return True


def _stand_in(v: Any, real: float = 1.0) -> Any:
    """A value of the same type."""
    if type(v) in (list, tuple):
        return type(v)([_stand_in(x, real) for x in v])
    if type(v) is dict:
        return {k: _stand_in(x, real) for k, x in v.items()}
    if type(v) is Num:
        return v.value
    if type(v) is not Sym:
        return v
    if v.meta is TEXT:
        return ""
    size = () if v.meta.kind == "array" and not v.meta.shape else (1,)
    if v.meta.kind == "array":
        return np.full(size, real, v.meta.dtype) if v.meta.dtype.kind == "f" else np.ones(size, v.meta.dtype)
    is_real = v.meta.dtype is float or getattr(v.meta.dtype, "kind", "") == "f"
    return stand_in_of(v.meta) * real if is_real else stand_in_of(v.meta)
