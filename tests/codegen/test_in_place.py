"""A result that lies where an operand lay: nobody reads the operand after it is stored."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import codegen
from graphc.ir import parse

TWO_RESULTS = """
graph @two(%v: f64[3, 3], %m: f64[3, 3], %w: f64[3, 3])
{
  %a : f64[3, 3] = matmul %m, %w
  %u : f64[3, 3] = matmul %a, %w
  %p : f64[3, 3] = multiply %a, %v
  %s : f64[3]    = sum %p {axes = (0,)}
  %b : f64[3, 3] = multiply %v, %s
  %q : f64[3, 3] = multiply %u, %v
  %t : f64[3]    = sum %q {axes = (0,)}
  %c : f64[3, 3] = multiply %t, %a
  %d : f64[3, 3] = matmul %m, %b
  return %c, %d
}
"""
"""%b is stored in front of %c, which reads %a in the same stage."""


@pytest.mark.parametrize("backend", ["llvm", "numba"])
def test_another_result_of_the_stage_reads_the_operand(backend: str) -> None:
    graph = parse(TWO_RESULTS)
    rng = np.random.default_rng(0)
    values = {v.name: rng.normal(size=(3, 3)) for v in graph.inputs}
    found = codegen.compile(graph, backend=backend)(*values.values())
    for x, expected in zip(found, graph.evaluate(**values), strict=True):
        np.testing.assert_allclose(x, expected, rtol=1e-12)
