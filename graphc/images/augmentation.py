"""Random changes of images: which changes are possible, one change drawn from them, and making it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.images.affine import FILL_MODES, affine_matrix, sample
from graphc.images.pillow import choice
from graphc.ir.errors import ArgumentError


@dataclass(frozen=True)
class Change:
    """One change of an image; the names are those of Keras's `get_random_transform`.

    Args:
        theta, tx, ty, shear, zx, zy: as for `affine_matrix`.
        flip_horizontal, flip_vertical: left to right, top to bottom.
        channel_shift_intensity: added to all channels, within the image's range.
        brightness: a factor.
    """

    theta: float = 0.0
    tx: float = 0.0
    ty: float = 0.0
    shear: float = 0.0
    zx: float = 1.0
    zy: float = 1.0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    channel_shift_intensity: float | None = None
    brightness: float | None = None


@dataclass(frozen=True)
class Augmentation:
    """The changes that are drawn from; each argument is `ImageDataGenerator`'s of the same name.

    Raises:
        ArgumentError: a range that is not one, or an unknown fill mode.
    """

    rotation_range: float = 0.0
    width_shift_range: Any = 0.0
    height_shift_range: Any = 0.0
    brightness_range: Any = None
    shear_range: float = 0.0
    zoom_range: Any = 0.0
    channel_shift_range: float = 0.0
    fill_mode: str = "nearest"
    cval: float = 0.0
    horizontal_flip: bool = False
    vertical_flip: bool = False

    def __post_init__(self) -> None:
        choice(self.fill_mode, FILL_MODES, "fill_mode")
        for name in ("rotation_range", "shear_range", "channel_shift_range"):
            _check_reach(getattr(self, name), name)
        for name in ("width_shift_range", "height_shift_range"):
            if np.ndim(getattr(self, name)) == 0:
                _check_reach(getattr(self, name), name)
        self.zoom  # noqa: B018 - raises where it is no range
        if self.brightness_range is not None:
            _pair(self.brightness_range, "brightness_range")

    @property
    def zoom(self) -> tuple[float, float]:
        """The smallest and the greatest zoom."""
        if isinstance(self.zoom_range, (int, float, np.number)):
            return 1 - float(self.zoom_range), 1 + float(self.zoom_range)
        return _pair(self.zoom_range, "zoom_range")

    def draw(self, size: tuple[int, int], random: np.random.Generator) -> Change:
        """One change of an image of (rows, columns), drawn uniformly."""
        zx, zy = (1.0, 1.0) if self.zoom == (1, 1) else random.uniform(*self.zoom, 2).tolist()
        return Change(
            theta=_within(self.rotation_range, random) or 0.0,
            tx=_draw_shift(self.height_shift_range, size[0], random),
            ty=_draw_shift(self.width_shift_range, size[1], random),
            shear=_within(self.shear_range, random) or 0.0,
            zx=zx,
            zy=zy,
            flip_horizontal=bool(self.horizontal_flip and random.random() < 0.5),
            flip_vertical=bool(self.vertical_flip and random.random() < 0.5),
            channel_shift_intensity=_within(self.channel_shift_range, random),
            brightness=None if self.brightness_range is None else random.uniform(*self.brightness_range),
        )

    def apply(self, image: np.ndarray, change: Change) -> np.ndarray:
        """The image, floats of shape (rows, columns, channels), changed; the given array stays."""
        size = image.shape[:2]
        moves = change.theta, change.tx, change.ty, change.shear, change.zx, change.zy
        if moves != (0, 0, 0, 0, 1, 1):
            image = sample(image, affine_matrix(size, *moves), self.fill_mode, self.cval)
        if change.channel_shift_intensity is not None:
            image = np.clip(
                image + image.dtype.type(change.channel_shift_intensity), image.min(), image.max()
            )
        if change.flip_horizontal:
            image = image[:, ::-1]
        if change.flip_vertical:
            image = image[::-1]
        if change.brightness is not None:
            image = brighten(image, change.brightness)
        return image


def brighten(image: np.ndarray, factor: float) -> np.ndarray:
    """The image times a factor, between 0 and 255, or as far below and above as the image went before.

    >>> brighten(np.array([10.0, 200.0]), 2).tolist()
    [20.0, 255.0]
    """
    low, high = min(0.0, float(image.min())), max(255.0, float(image.max()))
    return np.clip(image * image.dtype.type(factor), low, high)


def _check_reach(given: Any, what: str) -> None:
    if not isinstance(given, (int, float, np.number)) or not 0 <= given < np.inf:
        raise ArgumentError(f"{what} must be a number from 0 on, not {given!r}")


def _pair(given: Any, what: str) -> tuple[float, float]:
    pair = tuple(given) if isinstance(given, (tuple, list, np.ndarray)) else ()
    if len(pair) != 2 or not pair[0] <= pair[1]:
        raise ArgumentError(f"{what} must be two numbers, the smaller one first, not {given!r}")
    return float(pair[0]), float(pair[1])


def _within(reach: float, random: np.random.Generator) -> float | None:
    """A number from -reach to reach; None without reach."""
    return random.uniform(-reach, reach) if reach else None


def _draw_shift(reach: Any, size: int, random: np.random.Generator) -> float:
    """Pixels: of a float below 1 as a fraction of the size; of a whole number below it; or one of a list."""
    if np.ndim(reach) == 0 and not reach:
        return 0.0
    if isinstance(reach, (float, np.floating)):
        shift = random.uniform(-reach, reach)
    else:
        shift = float(random.choice(reach)) * random.choice([-1.0, 1.0])
    return float(shift * size if np.max(reach) < 1 else shift)
