"""Places where a recording has to stop and compute: what is said of them, and which operations may fail."""

from __future__ import annotations

from typing import Any, NamedTuple

from graphc.npjit.log import Node, mutate


class Break(NamedTuple):
    """A place where the recording had to stop and compute."""

    line: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"graph break at {self.line}: {self.why}; {self.remedy}"


class TooLong(BaseException):
    """A recording is given up and taken back: it would be of no use, or take too long."""


REMEDIES = {
    "a test on data": "use np.where, or test on sizes and settings",
    "text of data": "return the numbers and print them outside",
    "an index from data": "index with the array itself",
    "a shape that depends on data": "use np.where, or a mask as a factor",
    "a size that depends on data": "give the size as an argument",
    "hash of data": "use a Python number as the key",
}


def may_fail(node: Node) -> bool:
    """Whether an operation of right types and shapes can raise on account of the data."""
    fn, args = node.fn, node.args
    if fn is mutate:
        fn, args = node.args[2], node.args[3]
    if getattr(fn, "__module__", None) == "numpy.linalg":
        return True
    name = getattr(fn, "__name__", "")
    return name in ("take", "put", "at", "choose", "choice", "multinomial") or (
        name in ("getitem", "setitem") and _by_array(args[1])
    )


def _by_array(index: Any) -> bool:
    return type(index) is Node or (type(index) in (tuple, list) and any(map(_by_array, index)))
