"""Rounding of floats to whole numbers. The gradient is zero everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ir.inference import unary_float
from graphc.ir.opdef import Kind, define
from graphc.ir.samples import unary

ROUNDINGS: dict[str, tuple[Any, ...]] = {
    "floor": ("The largest whole number not above x.", np.floor),
    "ceil": ("The smallest whole number not below x.", np.ceil),
    "round": ("The nearest whole number; halves go to the even one.", np.rint),
    "trunc": ("The whole number next to x towards zero.", np.trunc),
}
for _name, (_doc, _function) in ROUNDINGS.items():
    define(
        _name,
        Kind.ELEMENTWISE,
        _doc,
        infer=unary_float,
        evaluate=_function,
        vjp=lambda b, x, out, ct: (None,),
        samples=(*unary(-9, 9, differentiable=False), *unary(-1e6, 1e6, differentiable=False)),
    )
