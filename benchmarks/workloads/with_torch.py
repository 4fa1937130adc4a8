"""A described network in torch: layers become modules with the same weights, channels last in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from workloads.definition import Build, Ready
from workloads.described import Description, Layer
from workloads.networks import Case

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "relu": F.relu,
    "softmax": lambda x: x.softmax(1),
    "logits": lambda x: x,  # softmax is part of the loss
}
Settings = Mapping[str, Any]


def use_threads() -> None:
    """As many as the environment says."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


class Convolution(nn.Module):
    """Conv2D and Conv2DTranspose."""

    def __init__(self, settings: Settings, weights: list[np.ndarray], transposed: bool = False) -> None:
        super().__init__()
        self.transposed = transposed
        kernel = _tensor(weights[0]).permute(3, 2, 0, 1)
        self.weight = nn.Parameter(kernel.contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(_tensor(weights[1])) if len(weights) > 1 else None
        self.strides, self.same = settings["strides"], settings["padding"] == "same"
        self.activation = ACTIVATIONS[settings["activation"]]

    def forward(self, x: Any) -> Any:
        if self.transposed:
            return self.activation(F.conv_transpose2d(x, self.weight, self.bias, self.strides))
        padding = tuple(k // 2 for k in self.weight.shape[2:]) if self.same else 0
        return self.activation(F.conv2d(x, self.weight, self.bias, self.strides, padding))


class Dense(nn.Module):
    def __init__(self, settings: Settings, weights: list[np.ndarray]) -> None:
        super().__init__()
        kernel, bias = weights
        self.inner = nn.Linear(*kernel.shape)
        self.inner.weight = nn.Parameter(_tensor(kernel.T))
        self.inner.bias = nn.Parameter(_tensor(bias))
        self.activation = ACTIVATIONS[settings["activation"]]

    def forward(self, x: Any) -> Any:
        return self.activation(self.inner(x))


def norm(settings: Settings, weights: list[np.ndarray]) -> nn.Module:
    """BatchNormalization without a scale, as in InceptionV3; a frozen one runs in inference mode."""
    beta, mean, variance = map(_tensor, weights)
    made = nn.BatchNorm2d(len(beta), settings["epsilon"], 1 - settings["momentum"])
    made.bias = nn.Parameter(beta)
    made.weight.requires_grad_(False)
    made.running_mean, made.running_var = mean, variance
    return made


def pool(settings: Settings, kind: type[nn.Module], **more: Any) -> nn.Module:
    padding = settings["pool_size"][0] // 2 if settings["padding"] == "same" else 0
    return kind(tuple(settings["pool_size"]), tuple(settings["strides"]), padding, **more)


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


def _reshape(settings: Settings) -> Callable[[Any], Any]:
    rows, columns, channels = settings["target_shape"]
    return lambda x: x.reshape(-1, channels, rows, columns)


MODULES: dict[str, Callable[[Settings, list[np.ndarray]], nn.Module]] = {
    "Conv2D": Convolution,
    "Conv2DTranspose": lambda s, w: Convolution(s, w, transposed=True),
    "Dense": Dense,
    "BatchNormalization": norm,
    "MaxPooling2D": lambda s, w: pool(s, nn.MaxPool2d),
    "AveragePooling2D": lambda s, w: pool(s, nn.AvgPool2d, count_include_pad=False),
    "Activation": lambda s, w: Apply(ACTIVATIONS[s["activation"]]),
    "Concatenate": lambda s, w: Apply(lambda *xs: torch.cat(xs, 1)),
    "GlobalAveragePooling2D": lambda s, w: Apply(lambda x: x.mean((2, 3))),
    "GlobalMaxPooling2D": lambda s, w: Apply(lambda x: x.amax((2, 3))),
    "Reshape": lambda s, w: Apply(_reshape(s)),
    "UpSampling2D": lambda s, w: Apply(lambda x: F.interpolate(x, scale_factor=tuple(s["size"]))),
    "Flatten": lambda s, w: Apply(lambda x: x.permute(0, 2, 3, 1).flatten(1)),
}


class Twin(nn.Module):
    """The network; `logits` leaves out a softmax at its end."""

    def __init__(self, given: Description, logits: bool) -> None:
        super().__init__()
        self.inner, self.frozen = nn.ModuleList(), [not layer.trainable for layer in given.layers]
        self.steps = [(layer.inputs, layer.name) for layer in given.layers]
        self.first, self.last = given.layers[0].inputs[0], given.layers[-1].name
        for layer in given.layers:
            made = MODULES[layer.kind](
                _settings(layer, logits and layer.name == self.last), given.weights(layer)
            )
            for parameter in made.parameters():
                parameter.requires_grad_(parameter.requires_grad and layer.trainable)
            self.inner.append(made)

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


def _settings(layer: Layer, logits: bool) -> Settings:
    softmax = layer.settings.get("activation") == "softmax"
    return {**layer.settings, "activation": "logits"} if logits and softmax else layer.settings


def channels_first(x: np.ndarray) -> torch.Tensor:
    """Images of (batch, rows, columns, channels) as torch has them, without a copy; others as they are."""
    return torch.from_numpy(x).permute(0, 3, 1, 2) if x.ndim == 4 else torch.from_numpy(x)


def network(case: Case, folder: Path, compiled: bool) -> Build:
    """The module, or a training step of it; compiled by inductor, or not."""
    use_threads()
    given, net = Description(folder), case.network
    module = Twin(given, logits=case.train).to(memory_format=torch.channels_last).train(case.train)
    x, y = channels_first(given.x), channels_first(given.y)

    def build() -> Ready:
        call = torch.compile(module) if compiled else module

        def predict() -> Any:
            with torch.inference_mode():
                return call(x)

        if not case.train:
            return Ready(predict)
        parameters = [p for p in module.parameters() if p.requires_grad]
        optimizer: Any = torch.optim.SGD(parameters, net.rate)
        if net.adam:
            optimizer = torch.optim.Adam(parameters, net.rate, eps=1e-7)
        loss_of = F.mse_loss if net.loss == "mse" else F.cross_entropy

        def step() -> Any:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(call(x), y)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return Ready(step)

    return build
