"""Gradients of losses in many forms against differences, and what the calls leave behind."""

from __future__ import annotations

import contextlib
import copy
import io
from typing import Any

import npjit_gradient_functions
import npjit_gradient_views
import numpy as np
import pytest
from npjit_gradient_programs import LOSSES
from npjit_harness import diff

import graphc

COLLECTED = (npjit_gradient_functions, npjit_gradient_views)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name: str) -> None:
    f, makes = LOSSES[name]
    for i, make in enumerate(makes):
        with np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
            graphc.check_grads(f, make(i))


@pytest.mark.parametrize("name", LOSSES)
def test_values_and_effects(name: str) -> None:
    f, makes = LOSSES[name]
    differentiated = graphc.value_and_grad(f)
    for i in range(4):
        plain: Any = list(makes[i % len(makes)](i))
        mine = copy.deepcopy(plain)
        with np.errstate(all="ignore"):
            with contextlib.redirect_stdout(io.StringIO()) as expected:
                value = f(*plain)
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                found = differentiated(*mine)[0]
        assert diff([value, plain], [found, mine]) is None
        assert printed.getvalue() == expected.getvalue()
