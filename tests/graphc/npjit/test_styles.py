"""Programs in many styles give under jit what they give plainly, with fresh and with the same arguments."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

import npjit_styles as more
import numpy as np
import pytest
from npjit_harness import diff

import graphc


def observe(f: Any, args: list[Any], state: dict[str, Any]) -> list[Any]:
    more.Base.count, more.Base.registry = state["count"], state["registry"]
    np.random.seed(5)
    out = error = None
    with redirect_stdout(io.StringIO()) as text, np.errstate(all="ignore"):
        try:
            out = f(*args)
        except Exception as e:  # any: it is compared
            error = (type(e), str(e))
    state["count"], state["registry"] = more.Base.count, more.Base.registry
    return [out, args, error, text.getvalue(), np.random.get_state()[2], dict(state)]


@pytest.mark.parametrize("style", more.STYLES, ids=[f.__name__ for f, _ in more.STYLES])
def test_style(style: Any) -> None:
    f, makes = style
    jitted = graphc.jit(f)
    plain_state: dict[str, Any] = {"count": 0, "registry": {}}
    state: dict[str, Any] = {"count": 0, "registry": {}}
    for i in range(8):
        make = makes[i % len(makes)]
        expected, found = observe(f, make(), plain_state), observe(jitted, make(), state)
        assert diff(expected, found) is None, jitted.explain()
    plain, same = makes[0](), makes[0]()
    for _ in range(6):
        assert diff(observe(f, plain, plain_state), observe(jitted, same, state)) is None, jitted.explain()
    assert "can't be recorded" not in jitted.explain()
