"""One image at a time: files, Pillow images and arrays, each made from the other (`keras.utils`)."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc import backend
from graphc.images.pillow import INTERPOLATIONS, choice, open_image, pillow
from graphc.ir.errors import ArgumentError, ShapeError

if TYPE_CHECKING:
    from PIL.Image import Image


def load_img(
    path: str | os.PathLike[str],
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Image:
    """Read an image file (PNG, JPEG, BMP, GIF, PPM, TIFF or WebP) as a Pillow image.

    Args:
        path: of the file.
        color_mode: "grayscale", "rgb" or "rgba". Grayscale images of more than 8 bits keep their values.
        target_size: (height, width) to resize to; None keeps the size.
        interpolation: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos", by Pillow: where an
            image gets smaller, all but "nearest" take the mean over what a pixel covers.
        keep_aspect_ratio: cut off the borders that do not fit `target_size` instead of distorting.

    Raises:
        ArgumentError: an unknown colour mode or interpolation, or a size that is not two positive numbers.
        FileFormatError: the file is no image, is damaged, or is refused for its number of pixels.
        MissingPackageError: Pillow is not installed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_img(f"{folder}/a.png", np.full((4, 6, 3), 9), scale=False)
    ...     load_img(f"{folder}/a.png", target_size=(2, 3)).size
    (3, 2)
    """
    choice(interpolation, INTERPOLATIONS, "interpolation")
    size = None if target_size is None else image_size(target_size, "target_size")
    image = open_image(path, color_mode)
    if size is None:
        return image
    height, width = size
    box = _middle(image.size, width, height) if keep_aspect_ratio else None
    if image.size == (width, height) and box is None:
        return image
    return image.resize((width, height), getattr(pillow().Resampling, interpolation.upper()), box)


def image_size(size: Any, what: str) -> tuple[int, int]:
    """(height, width), checked."""
    pair = tuple(size) if isinstance(size, (tuple, list)) else ()
    if len(pair) != 2 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in pair):
        raise ArgumentError(f"{what} must be (height, width), two positive whole numbers, not {size!r}")
    return int(pair[0]), int(pair[1])


def _middle(size: tuple[int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """The greatest box around the middle with the proportions of width to height."""
    w, h = size
    box_w = max(1, min(w, h * width // height))
    box_h = max(1, min(h, w * height // width))
    left, top = (w - box_w) // 2, (h - box_h) // 2
    return left, top, left + box_w, top + box_h


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A Pillow image as an array of shape (height, width, channels), or channels first.

    Args:
        img: a Pillow image, or an array of shape (height, width) or (height, width, channels).
        data_format: "channels_last" or "channels_first"; None is the process's.
        dtype: None is `floatx()`.

    Raises:
        ArgumentError: an unknown data format.
        ShapeError: another number of axes.

    >>> img_to_array(np.zeros((2, 3))).shape
    (2, 3, 1)
    """
    order = _data_format(data_format)
    array = np.array(img, dtype or backend.floatx())
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3:
        raise ShapeError(f"an image has 2 or 3 axes, not the {array.ndim} of shape {array.shape}")
    return array if order == "channels_last" else np.ascontiguousarray(array.transpose(2, 0, 1))


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Image:
    """An array as a Pillow image.

    Args:
        x: of shape (height, width, channels) with 1, 3 or 4 channels, or channels first.
        data_format: "channels_last" or "channels_first"; None is the process's.
        scale: bring the values to 0 to 255: the smallest to 0, the greatest to 255. Without it they are cut
            to whole numbers.
        dtype: in which to scale; None is `floatx()`.

    Raises:
        ArgumentError: an unknown data format; NaN; without `scale`, values that 8 bits cannot hold (with one
            channel, 32 bits).
        ShapeError: other axes or channels.
        MissingPackageError: Pillow is not installed.

    >>> np.asarray(array_to_img(np.array([[[0.5], [1.0]]]))).tolist()
    [[0, 255]]
    """
    image_module = pillow()
    array = np.array(x, dtype or backend.floatx())
    if array.ndim != 3:
        raise ShapeError(f"an image has 3 axes, not the {array.ndim} of shape {array.shape}")
    if _data_format(data_format) == "channels_first":
        array = array.transpose(1, 2, 0)
    if array.shape[2] not in (1, 3, 4) or array.size == 0:
        raise ShapeError(f"an image has pixels of 1, 3 or 4 channels; the array's shape is {np.shape(x)}")
    if not np.isfinite(array).all():
        raise ArgumentError("the array has NaN or infinite elements, which no image can show")
    if scale:
        array = array - array.min()
        # Divided before it is multiplied, so that no product overflows.
        array = array / (array.max() or 1) * 255
    deep = array.shape[2] == 1 and array.max() > 255
    if array.min() < 0 or array.max() > (2**31 - 1 if deep else 255):
        raise ArgumentError(
            f"the array's values, {array.min():g} to {array.max():g}, do not fit 0 to 255.\n"
            "  fix     scale=True brings them there."
        )
    whole = np.ascontiguousarray(array.astype("int32" if deep else "uint8"))
    return image_module.fromarray(whole[..., 0] if whole.shape[2] == 1 else whole)


def save_img(
    path: str | os.PathLike[str],
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **options: Any,
) -> None:
    """Write an array as an image file.

    Args:
        path: where; its ending says the format.
        x: as for `array_to_img`.
        data_format: "channels_last" or "channels_first"; None is the process's.
        file_format: such as "png", whatever the ending of `path` is.
        scale: as for `array_to_img`.
        options: of Pillow's `save`, such as quality=95.

    Raises:
        ArgumentError, ShapeError: as `array_to_img`; an unknown format.
        MissingPackageError: Pillow is not installed.
    """
    image = array_to_img(x, data_format, scale)
    kind = (file_format or Path(path).suffix).lower().lstrip(".")
    if image.mode == "RGBA" and kind in ("jpg", "jpeg"):
        warnings.warn("JPEG has no transparency: the fourth channel is left out", stacklevel=2)
        image = image.convert("RGB")
    try:
        image.save(path, "jpeg" if file_format and kind == "jpg" else file_format, **options)
    except (KeyError, ValueError) as error:
        raise ArgumentError(f"{os.fspath(path)!r} cannot be written: {error}") from error


def _data_format(given: str | None) -> str:
    return choice(given or backend.image_data_format(), backend.DATA_FORMATS, "data_format")
