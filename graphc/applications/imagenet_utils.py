"""Pixels to what a model was trained on, and predictions to the names of ImageNet's classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from graphc import backend, ops
from graphc.applications.pretrained import cached_file
from graphc.ir.errors import ArgumentError, FileFormatError, ShapeError
from graphc.tensor import Tensor

CLASS_INDEX_URL = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
CLASS_INDEX_MD5 = "c2c37ea517e94d9795004a39431a14cb"
CLASSES = 1000

CAFFE_MEAN = (103.939, 116.779, 123.68)
TORCH_MEAN, TORCH_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Images with pixels from 0 to 255 as a model of this kind takes them.

    Args:
        x: an array or tensor of shape (..., rows, columns, 3), or channels first; it is not changed.
        data_format: "channels_last" or "channels_first"; None is the process's.
        mode: "tf": x / 127.5 - 1; "torch": x / 255, then each channel brought to ImageNet's mean 0 and
            deviation 1; "caffe": channels in the order blue, green, red, ImageNet's mean subtracted.

    Returns:
        Floating-point numbers of the same shape.

    Raises:
        ArgumentError: there is no such mode or data format.

    >>> preprocess_input(np.array([[[0, 127.5, 255]]], "float32"), mode="tf").tolist()
    [[[-1.0, 0.0, 1.0]]]
    """
    chosen = data_format or backend.image_data_format()
    if mode not in MODES:
        raise ArgumentError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    if chosen not in backend.DATA_FORMATS:
        raise ArgumentError(f"data_format must be one of {', '.join(backend.DATA_FORMATS)}, not {chosen!r}")
    if not isinstance(x, Tensor):
        x = np.asarray(x)
    floating = x.dtype.kind == "f"
    if not floating:
        x = ops.cast(x, backend.floatx()) if isinstance(x, Tensor) else x.astype(backend.floatx())
    return MODES[mode](x, -1 if chosen == "channels_last" else x.ndim - 3)


def _per_channel(x: Any, axis: int, values: tuple[float, ...]) -> np.ndarray:
    """A number for each channel, in the shape and type in which it meets `x`."""
    shape = [1] * x.ndim
    shape[axis] = len(values)
    return np.array(values, x.dtype).reshape(shape)


def _tf(x: Any, axis: int) -> Any:
    return x / 127.5 - 1.0


def _torch(x: Any, axis: int) -> Any:
    return (x / 255.0 - _per_channel(x, axis, TORCH_MEAN)) / _per_channel(x, axis, TORCH_DEVIATION)


def _caffe(x: Any, axis: int) -> Any:
    turned: list[Any] = [slice(None)] * x.ndim
    turned[axis] = slice(None, None, -1)
    return x[tuple(turned)] - _per_channel(x, axis, CAFFE_MEAN)


def unchanged(x: Any, data_format: str | None = None) -> Any:
    """The images themselves, for models that scale pixels in a layer of their own."""
    return x


MODES: dict[str, Callable[[Any, int], Any]] = {"tf": _tf, "torch": _torch, "caffe": _caffe}


def preprocessing(mode: str) -> Callable[..., Any]:
    """The function `preprocess_input(x, data_format=None)` of models of this kind."""

    def preprocess_input_of_mode(x: Any, data_format: str | None = None) -> Any:
        return preprocess_input(x, data_format, mode)

    preprocess_input_of_mode.__name__ = preprocess_input_of_mode.__qualname__ = "preprocess_input"
    preprocess_input_of_mode.__doc__ = f'`imagenet_utils.preprocess_input(x, data_format, mode="{mode}")`.'
    return preprocess_input_of_mode


@lru_cache(maxsize=1)
def _class_index() -> dict[str, tuple[str, str]]:
    """WordNet's identifier and a word for each class, from the file in Keras's folder or a download."""
    path = cached_file("imagenet_class_index.json", CLASS_INDEX_URL, CLASS_INDEX_MD5, 1 << 20)
    with path.open(encoding="utf-8") as file:
        entries = json.load(file)
    if sorted(entries) != sorted(map(str, range(CLASSES))):
        raise FileFormatError(f"{path} does not name the classes 0 to {CLASSES - 1}")
    return {k: (str(v[0]), str(v[1])) for k, v in entries.items()}


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, Any]]]:
    """The most probable classes of each image, the first first.

    Args:
        preds: probabilities of shape (images, 1000).
        top: how many classes.

    Returns:
        For each image, a list of (WordNet's identifier, word, probability).

    Raises:
        ShapeError: `preds` has another shape.
        DownloadError: the names are not in Keras's folder (`models/imagenet_class_index.json`), and can't
            be downloaded.
    """
    scores = np.asarray(preds)
    if scores.ndim != 2 or scores.shape[1] != CLASSES:
        raise ShapeError(f"decode_predictions takes predictions of shape (n, {CLASSES}), not {scores.shape}")
    names = _class_index()
    best = np.argsort(scores, axis=1)[:, ::-1][:, :top]
    return [[(*names[str(i)], row[i]) for i in order] for row, order in zip(scores, best)]
