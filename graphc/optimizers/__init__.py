"""Optimizers and learning rate schedules, by name or as objects, with Keras's formulas.

`optimizer` has the base class (rate, clipping, decay, slots), `algorithms` the optimizers, `schedules` the
learning rates that follow the step.
"""

from __future__ import annotations

from graphc.lookup import Lookup
from graphc.optimizers import schedules
from graphc.optimizers.algorithms import (
    CLASSES,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Ftrl,
    Lion,
    Nadam,
    RMSprop,
)
from graphc.optimizers.optimizer import Optimizer

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_LOOKUP = Lookup("optimizer", "keras.optimizers", CLASSES, {c.__name__.lower(): c for c in CLASSES})
get, serialize, deserialize = _LOOKUP.get, _LOOKUP.serialize, _LOOKUP.deserialize
