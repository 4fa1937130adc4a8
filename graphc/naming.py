"""Names: snake-cased class names counted per process, as Keras counts them, and the path of the layer being
built.

>>> reset_names()
>>> unique_name(snake_case("Conv2D")), unique_name(snake_case("Conv2D")), unique_name(snake_case("PReLU"))
('conv2d', 'conv2d_1', 'p_re_lu')
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from graphc.lookup import snake_case

__all__ = ["path_of", "reset_names", "scope", "snake_case", "unique_name"]

_counters: dict[str, int] = {}
_scopes: ContextVar[tuple[tuple[str, int], ...]] = ContextVar("scopes", default=())


def unique_name(base: str) -> str:
    """`base`, then `base_1`, `base_2`, ... on later calls."""
    count = _counters.get(base, 0)
    _counters[base] = count + 1
    return base if count == 0 else f"{base}_{count}"


def reset_names() -> None:
    """Start all counters again (`backend.clear_session`)."""
    _counters.clear()


@contextmanager
def scope(name: str, owner: object) -> Iterator[None]:
    """Variables made inside get the path `.../name/...`; entering twice for one owner counts once."""
    stack = _scopes.get()
    if stack and stack[-1][1] == id(owner):
        yield
        return
    token = _scopes.set((*stack, (name, id(owner))))
    try:
        yield
    finally:
        _scopes.reset(token)


def path_of(name: str) -> str:
    """The path of something called `name` that is made in the current scopes."""
    return "/".join([*(n for n, _ in _scopes.get()), name])
