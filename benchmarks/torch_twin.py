"""The same network in torch: layers of a functional model become modules, with the same weights, channels
last in memory. For benchmarks beside torch, torch.compile, ONNX Runtime and OpenVINO, which take modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import graphc
from graphc import layers

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "relu": F.relu,
    "softmax": lambda x: x,  # part of the loss, and left out of predictions
}


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


class Convolution(nn.Module):
    """Conv2D and Conv2DTranspose."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.transposed = isinstance(layer, layers.Conv2DTranspose)
        kernel = _tensor(layer.get_weights()[0]).permute(3, 2, 0, 1)
        self.weight = nn.Parameter(kernel.contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(_tensor(layer.get_weights()[1])) if layer.use_bias else None
        self.strides, self.same = layer.strides, layer.padding == "same"
        self.activation = ACTIVATIONS[layer.activation.__name__]

    def forward(self, x: Any) -> Any:
        if self.transposed:
            return self.activation(F.conv_transpose2d(x, self.weight, self.bias, self.strides))
        padding = tuple(k // 2 for k in self.weight.shape[2:]) if self.same else 0
        return self.activation(F.conv2d(x, self.weight, self.bias, self.strides, padding))


class Dense(nn.Module):
    """Dense, whose softmax belongs to the loss."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        kernel, bias = layer.get_weights()
        self.inner = nn.Linear(*kernel.shape)
        self.inner.weight = nn.Parameter(_tensor(kernel.T))
        self.inner.bias = nn.Parameter(_tensor(bias))
        self.activation = ACTIVATIONS[layer.activation.__name__]

    def forward(self, x: Any) -> Any:
        return self.activation(self.inner(x))


def norm(layer: Any) -> nn.Module:
    """BatchNormalization without a scale, as in InceptionV3; a frozen one runs in inference mode."""
    values = {w.name: _tensor(w.numpy()) for w in layer.weights}
    made = nn.BatchNorm2d(len(values["beta"]), layer.epsilon, 1 - layer.momentum)
    made.bias = nn.Parameter(values["beta"])
    made.weight.requires_grad_(False)
    made.running_mean, made.running_var = values["moving_mean"], values["moving_variance"]
    return made


def pool(layer: Any) -> nn.Module:
    """MaxPooling2D, AveragePooling2D with "same" (which leaves padding out of the mean) and "valid"."""
    padding = layer.pool_size[0] // 2 if layer.padding == "same" else 0
    if isinstance(layer, layers.MaxPooling2D):
        return nn.MaxPool2d(layer.pool_size, layer.strides, padding)
    return nn.AvgPool2d(layer.pool_size, layer.strides, padding, count_include_pad=False)


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


MODULES: dict[str, Callable[[Any], nn.Module]] = {
    "Conv2D": Convolution,
    "Conv2DTranspose": Convolution,
    "Dense": Dense,
    "BatchNormalization": norm,
    "MaxPooling2D": pool,
    "AveragePooling2D": pool,
    "Activation": lambda layer: Apply(ACTIVATIONS[layer.activation.__name__]),
    "Concatenate": lambda layer: Apply(lambda *xs: torch.cat(xs, 1)),
    "GlobalAveragePooling2D": lambda layer: Apply(lambda x: x.mean((2, 3))),
    "GlobalMaxPooling2D": lambda layer: Apply(lambda x: x.amax((2, 3))),
    "Reshape": lambda layer: Apply(lambda x: x.reshape(-1, layer.target_shape[2], *layer.target_shape[:2])),
    "UpSampling2D": lambda layer: Apply(lambda x: F.interpolate(x, scale_factor=layer.size)),
    "Flatten": lambda layer: Apply(lambda x: x.permute(0, 2, 3, 1).flatten(1)),
}


class Twin(nn.Module):
    """A functional model of one input and one output, in torch."""

    def __init__(self, model: graphc.Model) -> None:
        super().__init__()
        self.inner = nn.ModuleList()
        self.steps: list[tuple[list[str], str]] = []
        for layer in model.layers:
            if isinstance(layer, layers.InputLayer):
                self.first = layer.name
                continue
            made = MODULES[type(layer).__name__](layer)
            for parameter in made.parameters():
                parameter.requires_grad_(parameter.requires_grad and layer.trainable)
            given = layer.input if isinstance(layer.input, (list, tuple)) else [layer.input]
            self.inner.append(made)
            self.steps.append(([t.layer.name for t in given], layer.name))
        self.last = model.outputs[0].layer.name
        self.frozen = [
            not layer.trainable for layer in model.layers if not isinstance(layer, layers.InputLayer)
        ]

    def train(self, mode: bool = True) -> Twin:
        super().train(mode)
        for made, frozen in zip(self.inner, self.frozen):
            if frozen:
                made.eval()
        return self

    def forward(self, x: Any) -> Any:
        found = {self.first: x}
        for (names, name), made in zip(self.steps, self.inner):
            found[name] = made(*(found[n] for n in names))
        return found[self.last]


def images(x: np.ndarray) -> torch.Tensor:
    """Images of (batch, rows, columns, channels), as torch has them, without a copy."""
    return torch.from_numpy(x).permute(0, 3, 1, 2)
