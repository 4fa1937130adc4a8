"""Pillow, imported when it is first needed, and the one way by which image files are opened."""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING, BinaryIO

from graphc.ir.errors import ArgumentError, FileFormatError, MissingPackageError

if TYPE_CHECKING:
    from PIL.Image import Image

# Pillow opens further formats by running other programs (EPS); these it decodes itself.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
COLOR_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def pillow() -> ModuleType:
    """The module `PIL.Image`.

    Raises:
        MissingPackageError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingPackageError(
            f"images need Pillow ({error}).\n  fix     pip install graphc[images]"
        ) from error
    return Image


def choice(value: str, allowed: object, what: str) -> str:
    """The value, if it is one of those that are possible; else ArgumentError lists them."""
    names = list(allowed)  # type: ignore[call-overload]
    if value not in names:
        raise ArgumentError(f"{what} must be one of {', '.join(map(repr, names))}, not {value!r}")
    return value


def open_image(path: str | os.PathLike[str], color_mode: str = "rgb") -> Image:
    """The decoded image of a file, in "grayscale", "rgb" or "rgba".

    Grayscale images of more than 8 bits keep their values in "grayscale" and are refused in colour, where
    they would be cut off at 255. Of a file with several pictures, the first is read.

    Raises:
        ArgumentError: an unknown colour mode.
        FileFormatError: no image, a damaged one, or one with so many pixels that it is taken for an attack.
        MissingPackageError: Pillow is not installed.
        OSError: the file cannot be opened.
    """
    mode = COLOR_MODES[choice(color_mode, COLOR_MODES, "color_mode")]
    image_module = pillow()
    name = os.fspath(path)
    with open(path, "rb") as file:
        try:
            return _decoded(image_module, file, mode, name)
        except FileFormatError:
            raise
        except (image_module.DecompressionBombError, image_module.DecompressionBombWarning) as error:
            raise FileFormatError(f"{name!r} is refused: {error}") from error
        except image_module.UnidentifiedImageError as error:
            raise FileFormatError(f"{name!r} is no image of a kind that is read: {_known()}") from error
        # Decoders of damaged files raise whatever they run into: the types are many and change.
        except Exception as error:
            raise FileFormatError(f"{name!r} is a damaged image: {error}") from error


def _decoded(image_module: ModuleType, file: BinaryIO, mode: str, name: str) -> Image:
    """The image in a mode of Pillow's."""
    image = image_module.open(file, formats=_formats(image_module))
    _check_size(image, image_module.MAX_IMAGE_PIXELS, name)
    image.load()
    if image.mode not in DEEP:
        return image if image.mode == mode else image.convert(mode)
    if mode != "L":
        raise FileFormatError(
            f"{name!r} has more than 8 bits per channel, which colours cannot hold.\n"
            "  fix     load it with color_mode='grayscale'."
        )
    return image


def _check_size(image: Image, limit: int | None, name: str) -> None:
    """Refuse from the header alone, before any memory is taken."""
    width, height = image.size
    if limit is not None and width * height > limit:
        raise FileFormatError(
            f"{name!r} is refused: {width} x {height} pixels are more than the {limit} of "
            "PIL.Image.MAX_IMAGE_PIXELS, as in files made to exhaust memory"
        )


def _formats(image_module: ModuleType) -> list[str]:
    image_module.init()
    return [name for name in FORMATS if name in image_module.OPEN]


def _known() -> str:
    return ", ".join(FORMATS)
