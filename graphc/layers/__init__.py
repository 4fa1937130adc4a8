"""Layers. `layer` is the base class; each family has a file; names are imported when first used.

>>> from graphc import layers
>>> layers.Dense(3, name="out")
<Dense name=out, built=False>
"""

from __future__ import annotations

import importlib
from typing import Any

FAMILIES: dict[str, tuple[str, ...]] = {
    "layer": ("Layer",),
    "spec": ("InputSpec",),
    "input": ("InputLayer",),
    "operation": ("Operation",),
    "core": ("Dense", "Activation", "Identity", "Lambda"),
    "activations": (
        "ReLU", "LeakyReLU", "ELU", "Softmax", "PReLU", "ThresholdedReLU", "ActivityRegularization",
        "Rescaling",
    ),
    "reshaping": ("Flatten", "Reshape", "Permute", "RepeatVector"),
    "merging": (
        "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot",
        "add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot",
    ),
    "noise": (
        "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout",
    ),
    "convolution": ("Conv1D", "Conv2D", "Convolution1D", "Convolution2D"),
    "convolution_transpose": (
        "Conv1DTranspose", "Conv2DTranspose", "Convolution1DTranspose", "Convolution2DTranspose",
    ),
    "depthwise": (
        "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D",
        "SeparableConvolution1D", "SeparableConvolution2D",
    ),
    "pooling": (
        "MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D",
        "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
        "MaxPool1D", "MaxPool2D", "AvgPool1D", "AvgPool2D",
        "GlobalMaxPool1D", "GlobalMaxPool2D", "GlobalAvgPool1D", "GlobalAvgPool2D",
    ),
    "resizing": (
        "UpSampling1D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D",
    ),
    "embedding": ("Embedding", "Masking"),
    "normalization": ("BatchNormalization", "LayerNormalization", "GroupNormalization", "UnitNormalization"),
    "preprocessing": ("Normalization",),
    "recurrent": ("RNN", "SimpleRNN", "LSTM", "GRU"),
    "recurrent_cells": ("SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells"),
    "bidirectional": ("Bidirectional",),
    "attention": ("MultiHeadAttention", "Attention", "AdditiveAttention"),
    "einsum_dense": ("EinsumDense",),
    "wrappers": ("TimeDistributed", "Wrapper"),
}  # fmt: skip
"""Which file has which layers."""

CLASSES = frozenset(name for names in FAMILIES.values() for name in names if name[0].isupper())
"""The names of all layers, as files may name them."""

_HOMES = {name: family for family, names in FAMILIES.items() for name in names}

__all__ = ["Input", *_HOMES]


def __getattr__(name: str) -> Any:
    if name == "Input":
        from graphc.functional import Input

        return Input
    if name not in _HOMES:
        import difflib

        near = difflib.get_close_matches(name, _HOMES, n=2)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise AttributeError(f"graphc.layers has no layer {name!r}{hint}")
    found = getattr(importlib.import_module(f"graphc.layers.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
