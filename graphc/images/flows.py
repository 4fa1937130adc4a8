"""The batches that an `ImageDataGenerator` gives: of arrays, and of the files of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.backend import floatx
from graphc.data.encoding import to_categorical
from graphc.images.batches import ImageBatches
from graphc.images.folders import list_classes, list_files
from graphc.images.pictures import image_size, img_to_array, load_img
from graphc.images.pillow import CHANNELS, INTERPOLATIONS, choice, pillow
from graphc.ir.errors import ArgumentError, ShapeError

if TYPE_CHECKING:
    from graphc.images.image_generator import ImageDataGenerator

CLASS_MODES = ("categorical", "binary", "sparse", "input")


class ImageFlow(ImageBatches):
    """Batches for `fit`, or for a loop: as in Keras, iterating goes on from epoch to epoch without end."""

    def __init__(self, images: ImageDataGenerator, samples: int, *reading: Any) -> None:
        super().__init__(samples, *reading)
        self.image_data_generator, self.n = images, samples
        self._next = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """The next batch."""
        if self._next % len(self) == 0:
            self.reset()
            self.on_epoch_begin()
        self._next += 1
        return self[self._next - 1]

    def next(self) -> Any:
        """The next batch."""
        return self.__next__()

    def reset(self) -> None:
        """Let the next batch be the first of an epoch."""
        self._next = 0

    def _finished(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """An image as the model gets it."""
        images = self.image_data_generator
        return images.standardize(images.change(image, random))


class ArrayFlow(ImageFlow):
    """Batches of images in memory: `ImageDataGenerator.flow`."""

    def __init__(
        self, images: ImageDataGenerator, x: Any, y: Any, weight: Any, subset: str | None, *reading: Any
    ) -> None:
        given = np.asarray(x)
        if given.ndim != 4 or given.dtype.kind not in "biuf":
            raise ShapeError(
                f"x should be numbers with 4 axes, (n, rows, columns, channels), not {given.dtype} of shape "
                f"{given.shape}"
            )
        if y is None and weight is not None:
            raise ArgumentError("sample_weight weighs the losses of targets, but y is None")
        chosen = _rows(len(given), images.validation_split, subset)
        self.x = given[chosen]
        self.y, self.sample_weight = (
            _column(value, len(given), chosen, name) for value, name in ((y, "y"), (weight, "sample_weight"))
        )
        if len(self.x) == 0:
            raise ArgumentError(f"x has no images{f' for the {subset} subset' if subset else ''}")
        super().__init__(images, len(self.x), *reading)

    def make(self, rows: np.ndarray, random: np.random.Generator) -> Any:
        """x, (x, y) or (x, y, sample_weight)."""
        dtype = self.image_data_generator.dtype
        x = np.stack([self._finished(self.x[row].astype(dtype), random) for row in rows])
        if self.y is None:
            return x
        batch = (x, self.y[rows])
        return batch if self.sample_weight is None else (*batch, self.sample_weight[rows])


def _rows(samples: int, fraction: float, subset: str | None) -> slice:
    """The first samples validate, the others train, as in Keras."""
    if subset is None:
        return slice(None)
    choice(subset, ("training", "validation"), "subset")
    if not fraction:
        raise ArgumentError("subset needs a validation_split of the ImageDataGenerator")
    at = int(samples * fraction)
    return slice(0, at) if subset == "validation" else slice(at, None)


def _column(value: Any, samples: int, rows: slice, name: str) -> np.ndarray | None:
    if value is None:
        return None
    array = np.asarray(value)
    if array.ndim == 0 or len(array) != samples:
        raise ShapeError(f"x has {samples} images, but {name} has shape {array.shape}")
    return array[rows]


class FolderFlow(ImageFlow):
    """Batches of image files: `ImageDataGenerator.flow_from_directory`.

    Attributes:
        class_indices: class name -> number.
        filenames: paths below the folder, in the order in which a pass without shuffling gives them.
        classes: the files' class numbers, i32.
        samples, num_classes: how many.
    """

    def __init__(
        self,
        images: ImageDataGenerator,
        directory: str | os.PathLike[str],
        loading: tuple[str, tuple[int, int], str, bool],
        classes: Sequence[str] | None,
        class_mode: str | None,
        follow_links: bool,
        subset: str | None,
        *reading: Any,
    ) -> None:
        pillow()
        color_mode, size, interpolation, _ = loading
        choice(color_mode, CHANNELS, "color_mode")
        choice(interpolation, INTERPOLATIONS, "interpolation")
        if class_mode is not None:
            choice(class_mode, CLASS_MODES, "class_mode")
        self.target_size = image_size(size, "target_size")
        self.directory, self.class_mode, self._loading = os.fspath(directory), class_mode, loading
        # Images without classes may lie anywhere below the folder.
        without = class_mode in (None, "input") and classes is None and not _has_folders(directory)
        files = (
            list_files(directory, follow_links) if without else list_classes(directory, classes, follow_links)
        )
        labels = np.zeros(len(files), np.int64) if files.labels is None else files.labels
        chosen = _rows_by_class(labels, images.validation_split, subset)
        if len(chosen) == 0:
            raise ArgumentError(f"{self.directory!r} has too few images for a {subset} subset")
        files = files.take(chosen)
        self.filenames, self.filepaths = list(files.names), files.paths
        self.class_indices = {name: number for number, name in enumerate(files.class_names)}
        self.num_classes, self.classes = len(self.class_indices), labels[chosen].astype(np.int32)
        if class_mode == "binary" and self.num_classes != 2:
            raise ArgumentError(f"class_mode 'binary' needs two classes, but there are {self.num_classes}")
        pixel = (*self.target_size, CHANNELS[color_mode])
        self.image_shape = pixel if images.data_format == "channels_last" else (pixel[2], *pixel[:2])
        super().__init__(images, len(chosen), *reading)

    @property
    def labels(self) -> np.ndarray:
        """The files' class numbers."""
        return self.classes

    def make(self, rows: np.ndarray, random: np.random.Generator) -> Any:
        """x, or x and the targets of `class_mode`."""
        images = self.image_data_generator
        x = np.empty((len(rows), *self.image_shape), images.dtype)
        for place, row in enumerate(rows):
            picture = load_img(self.filepaths[row], *self._loading)
            x[place] = self._finished(img_to_array(picture, images.data_format, images.dtype), random)
        if self.class_mode is None:
            return x
        return x, x.copy() if self.class_mode == "input" else self._targets(self.classes[rows])

    def _targets(self, labels: np.ndarray) -> np.ndarray:
        if self.class_mode == "categorical":
            return to_categorical(labels, self.num_classes).astype(floatx())
        return labels.astype(floatx()) if self.class_mode == "binary" else labels


def _has_folders(directory: str | os.PathLike[str]) -> bool:
    with os.scandir(directory) as entries:
        return any(entry.is_dir() and not entry.name.startswith(".") for entry in entries)


def _rows_by_class(labels: np.ndarray, fraction: float, subset: str | None) -> np.ndarray:
    """The rows of a subset, which takes its part of each class."""
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.concatenate([rows[_rows(len(rows), fraction, subset)] for rows in groups])
