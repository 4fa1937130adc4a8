"""graphc: layers and NumPy functions, compiled to native CPU code.

    >>> import graphc
    >>> from graphc.layers import Dense
    >>> layers = [graphc.Input((784,)), Dense(32, activation="relu"), Dense(10, activation="softmax")]
    >>> model = graphc.Sequential(layers)
    >>> model.output_shape
    (None, 10)

In come layer calls; out go compiled functions. `tensor`, `variable` and `ops` are what a layer's `call` is
written with; `layers/` the layers; `functional`, `models` and `sequential` the DAG of calls; `trace` and
`replay` make graphs of `graphc.ir` from it; `forward`, `steps` and `gradients` compile them; `training` is
compile/fit/evaluate/predict. `npjit/` compiles and differentiates NumPy functions. Names are imported when
first used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphc.compiling import compile as compile
    from graphc.compiling import spec as spec
    from graphc.functional import Input as Input
    from graphc.gradients import vjp as vjp
    from graphc.ir.errors import GraphcError as GraphcError
    from graphc.layers.layer import Layer as Layer
    from graphc.models import Model as Model
    from graphc.npjit.check import check_grads as check_grads
    from graphc.npjit.function import jit as jit
    from graphc.npjit.gradient import grad as grad
    from graphc.npjit.gradient import value_and_grad as value_and_grad
    from graphc.sequential import Sequential as Sequential
    from graphc.tensor import Tensor as Tensor
    from graphc.variable import Variable as Variable

__version__ = "0.1.0"

_HOMES = {
    "Input": "functional",
    "Layer": "layers.layer",
    "Model": "models",
    "Sequential": "sequential",
    "Tensor": "tensor",
    "Variable": "variable",
    "GraphcError": "ir.errors",
    "compile": "compiling",
    "jit": "npjit.function",
    "grad": "npjit.gradient",
    "value_and_grad": "npjit.gradient",
    "check_grads": "npjit.check",
    "spec": "compiling",
    "vjp": "gradients",
    "stats": "codegen.stats",
    "op": "custom",
    "set_random_seed": "seeds",
}
_MODULES = frozenset(
    [
        "activations",
        "applications",
        "backend",
        "callbacks",
        "constraints",
        "datasets",
        "initializers",
        "ir",
        "layers",
        "losses",
        "metrics",
        "models",
        "ops",
        "optimizers",
        "passes",
        "preprocessing",
        "codegen",
        "randomness",
        "regularizers",
        "utils",
        "engine",
        "saving",
    ]
)

# A wheel's graphc is complete; a checkout's has its sub-packages beside it.
_root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if os.path.isdir(os.path.join(_root, "ir")) and os.path.isfile(os.path.join(_root, "pyproject.toml")):
    __path__.append(_root)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        found = getattr(importlib.import_module(f"graphc.{_HOMES[name]}"), name)
    elif name in _MODULES:
        found = importlib.import_module(f"graphc.{name}")
    elif name.startswith("_"):
        raise AttributeError(name)
    else:
        ops = importlib.import_module("graphc.ops")
        if name not in ops.OPERATIONS:
            raise AttributeError(f"module 'graphc' has no attribute {name!r}")
        found = getattr(ops, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
