"""A graph made by hand with the Builder, taken through the passes, with what each did, to readable source.

graphc run examples/inspect_ir.py
"""

from __future__ import annotations

import numpy as np

from graphc import codegen
from graphc.ir import Builder, Graph, parse, tensor


def make_graph() -> Graph:
    """softmax(relu(x @ w + b)), for any number of rows."""
    b = Builder("classify")
    x = b.input("x", tensor("f32", "B", 8))
    w = b.weight("w", tensor("f32", 8, 4), "head/kernel")
    bias = b.weight("bias", tensor("f32", 4), "head/bias")
    scores = b.op("relu", x @ w + bias * 1.0)
    b.output(b.op("softmax", scores, axis=1))
    return b.build()


def main() -> None:
    graph = make_graph()
    print("As it was made:\n")
    print(graph)
    assert parse(str(graph)) == graph, "the text holds all of it"

    f = codegen.compile(graph)
    print("\nThe stages that changed it:\n")
    print(f.stages())
    print("\nWhat simplification changed:\n")
    print(f.diff("traced", "simplify"))
    print("\nThe final graph, and what was fused with what:\n")
    print(f.ir("final"))
    print(f.explain())
    print("\nThe same step as Python source:\n")
    print(f.source())

    rng = np.random.default_rng(0)
    weights = [np.zeros((8, 4), "f4"), np.zeros(4, "f4")]
    weights[0][...] = rng.standard_normal((8, 4))
    x = rng.standard_normal((3, 8)).astype("f4")
    got = f.bind(weights)(x)
    want = graph.evaluate(x=x, w=weights[0], bias=weights[1])
    print("\nlargest difference from NumPy's evaluation:", np.abs(got - want).max())


if __name__ == "__main__":
    main()
