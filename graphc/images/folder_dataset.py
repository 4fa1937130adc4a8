"""`image_dataset_from_directory`: the images of a folder as batches for `fit`, `evaluate` and `predict`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphc.backend import floatx
from graphc.images.batches import ENCODINGS, ImageBatches, encode
from graphc.images.folders import ImageFiles, list_classes, list_files
from graphc.images.pictures import image_size, img_to_array, load_img
from graphc.images.pillow import CHANNELS, INTERPOLATIONS, choice, pillow
from graphc.ir.errors import ArgumentError

SUBSETS = ("training", "validation", "both")


class ImageFolder(ImageBatches):
    """Batches of image files: x, or (x, y); each pass over it is an epoch.

    Attributes:
        class_names: by class number.
        file_paths: of the images, in the order in which a pass without shuffling gives them.
        labels: their class numbers, or None.
    """

    def __init__(
        self,
        files: ImageFiles,
        label_mode: str | None,
        image_size: tuple[int, int],
        color_mode: str,
        interpolation: str,
        crop_to_aspect_ratio: bool,
        **reading: Any,
    ) -> None:
        super().__init__(len(files), **reading)
        self.class_names = list(files.class_names)
        self.file_paths, self.labels, self.label_mode = files.paths, files.labels, label_mode
        self.image_shape = (*image_size, CHANNELS[color_mode])
        self._load = color_mode, image_size, interpolation, crop_to_aspect_ratio

    def make(self, rows: np.ndarray, random: np.random.Generator) -> Any:
        """x, f32 of shape (n, height, width, channels) from 0 to 255, and the labels."""
        x = np.empty((len(rows), *self.image_shape), floatx())
        for place, row in enumerate(rows):
            x[place] = img_to_array(load_img(self.file_paths[row], *self._load), "channels_last")
        if self.label_mode is None or self.labels is None:
            return x
        return x, encode(self.labels[rows], self.label_mode, len(self.class_names))


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    workers: int = 1,
    max_queue_size: int = 4,
) -> Any:
    """The images of a folder as batches, decoded by a thread while the model computes.

    Args:
        directory: has a sub-folder of images for each class.
        labels: "inferred" from the sub-folders; a list of class numbers, one for each file in the order of
            their paths; or None for images without labels, wherever they lie.
        label_mode: "int": i32 of shape (n,); "binary": floats of shape (n, 1), for two classes;
            "categorical": floats of shape (n, classes); None for x alone.
        class_names: the sub-folders in the order of their numbers; None for the order of their names.
        color_mode: "grayscale", "rgb" or "rgba".
        batch_size: images per batch; the last batch has what remains.
        image_size: (height, width) that all images are resized to.
        shuffle: a new order each epoch; otherwise the order of the paths.
        seed: of the order and the split.
        validation_split: the fraction that is set aside, with `subset`.
        subset: "training", "validation", or "both" for a pair of data sets.
        interpolation: as for `load_img`. Images that get smaller are averaged ("antialias" of Keras's
            `smart_resize`), except by "nearest".
        follow_links: look into linked folders.
        crop_to_aspect_ratio: cut off borders instead of distorting.
        workers: threads that decode.
        max_queue_size: batches ready or in the making at most.

    Returns:
        An `ImageFolder`, for `fit`, `evaluate` and `predict` or a `for` loop, any number of times; x is
        floats from 0 to 255 of shape (n, height, width, channels).

    Raises:
        ArgumentError: an argument that cannot be; a folder without images; other sub-folders than
            `class_names`; a split of shuffled images without a seed, whose parts would overlap.
        MissingPackageError: Pillow is not installed.
        FileFormatError: while reading: the file, by name, that is no image or is damaged.

    >>> import tempfile
    >>> from graphc.utils import save_img
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat", "dog"):
    ...         os.mkdir(f"{folder}/{name}")
    ...         save_img(f"{folder}/{name}/1.png", np.zeros((9, 9, 3)))
    ...     data = image_dataset_from_directory(folder, image_size=(4, 4), shuffle=False)
    ...     [(x.shape, y.tolist()) for x, y in data], data.class_names
    ([((2, 4, 4, 3), [0, 1])], ['cat', 'dog'])
    """
    pillow()
    choice(color_mode, CHANNELS, "color_mode")
    choice(interpolation, INTERPOLATIONS, "interpolation")
    if label_mode is not None:
        choice(label_mode, ENCODINGS, "label_mode")
    size = _sized(image_size)
    files = _files(directory, labels, class_names, follow_links)
    if label_mode == "binary" and files.labels is not None:
        encode(files.labels, "binary", len(files.class_names))
    loading = (label_mode, size, color_mode, interpolation, crop_to_aspect_ratio)
    reading: dict[str, Any] = {
        "batch_size": batch_size,
        "shuffle": shuffle,
        "seed": seed,
        "workers": workers,
        "max_queue_size": max_queue_size,
    }
    parts = [
        ImageFolder(part, *loading, **reading)
        for part in _parts(files, validation_split, subset, shuffle, seed)
    ]
    return tuple(parts) if subset == "both" else parts[0]


def _sized(size: Any) -> tuple[int, int]:
    return image_size(size, "image_size")


def _files(directory: Any, labels: Any, class_names: Sequence[str] | None, follow_links: bool) -> ImageFiles:
    if labels is None:
        return list_files(directory, follow_links)
    if isinstance(labels, str):
        choice(labels, ("inferred",), "labels")
        files = list_classes(directory, class_names, follow_links)
        if class_names is not None:
            _check_all_named(directory, class_names)
        return files
    files = list_files(directory, follow_links)
    numbers = np.asarray(labels)
    if numbers.shape != (len(files),) or numbers.dtype.kind not in "iu" or numbers.min() < 0:
        raise ArgumentError(
            f"labels should be 'inferred', None, or one class number for each of the {len(files)} images"
        )
    names = class_names or [str(i) for i in range(int(numbers.max()) + 1)]
    if numbers.max() >= len(names):
        raise ArgumentError(f"labels go up to {numbers.max()}, but class_names has {len(names)} names")
    return replace(files, labels=numbers.astype(np.int64), class_names=tuple(names))


def _check_all_named(directory: Any, class_names: Sequence[str]) -> None:
    """Images of a class that was forgotten in `class_names` would silently be left out."""
    left_out = [name for name in list_classes(directory).class_names if name not in class_names]
    if left_out:
        raise ArgumentError(f"class_names leaves out sub-folders of {os.fspath(directory)!r}: {left_out}")


def _parts(
    files: ImageFiles, fraction: float | None, subset: str | None, shuffle: bool, seed: int | None
) -> list[ImageFiles]:
    """The files that were asked for: all, one part, or both."""
    if fraction is None and subset is None:
        return [files]
    if fraction is None or subset is None:
        raise ArgumentError("validation_split and subset ('training', 'validation' or 'both') go together")
    choice(subset, SUBSETS, "subset")
    if not 0 < fraction < 1:
        raise ArgumentError(f"validation_split should be between 0 and 1, not {fraction!r}")
    if shuffle and seed is None and subset != "both":
        raise ArgumentError(
            "without a seed, the two subsets of shuffled images would overlap.\n"
            "  fix     give both calls the same seed, or write subset='both' or shuffle=False."
        )
    rows = np.arange(len(files))
    if shuffle:
        rows = np.random.default_rng(seed).permutation(rows)
    held_out = int(len(files) * fraction)
    if held_out == 0:
        raise ArgumentError(f"validation_split={fraction} of {len(files)} images leaves one part without any")
    parts = {"training": files.take(rows[:-held_out]), "validation": files.take(rows[-held_out:])}
    return [parts[name] for name in (parts if subset == "both" else (subset,))]
