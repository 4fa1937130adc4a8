"""`ImageDataGenerator`: batches of images, changed at random and normalised."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from graphc import backend
from graphc.images.augmentation import Augmentation, Change
from graphc.images.flows import ArrayFlow, FolderFlow
from graphc.images.pillow import choice
from graphc.ir.errors import ArgumentError, ShapeError, StateError
from graphc.seeds import generator


class ImageDataGenerator:
    """Gives batches of images, each changed at random and normalised, to `fit`.

    The changes are made first, in the order rotation, shifts, shear and zoom (one bilinear sampling), channel
    shift, flips, brightness; then `preprocessing_function`, `rescale`, and the means and deviations.

    Args:
        featurewise_center, featurewise_std_normalization: bring each channel of the data set to mean 0 and
            deviation 1, which `fit` measures.
        samplewise_center, samplewise_std_normalization: bring each image to mean 0 and deviation 1.
        rotation_range: degrees, to either side.
        width_shift_range, height_shift_range: a float below 1 is a fraction of the size, from 1 on pixels;
            a whole number n draws whole pixels below n; a list draws one of its entries, to either side.
        brightness_range: the smallest and the greatest factor.
        shear_range: degrees, to either side.
        zoom_range: the smallest and the greatest zoom, or z for (1 - z, 1 + z); drawn for each axis.
        channel_shift_range: how much is added to all channels at most.
        fill_mode, cval: what lies outside, as for `affine.sample`.
        horizontal_flip, vertical_flip: flip every other image, by chance.
        rescale: a factor; None or 0 for none.
        preprocessing_function: of one image of shape (rows, columns, channels) to another of that shape.
        data_format: "channels_last" or "channels_first"; None is the process's.
        validation_split: the fraction that `subset="validation"` gives.
        dtype: of the images; None is `floatx()`.

    Raises:
        ArgumentError: a range, split or name that cannot be.

    >>> images = ImageDataGenerator(rescale=1 / 4, horizontal_flip=True)
    >>> flow = images.flow(np.ones((5, 2, 2, 1)), np.arange(5), batch_size=2, shuffle=False)
    >>> x, y = flow[2]
    >>> x.tolist(), y.tolist(), len(flow)
    ([[[[0.25], [0.25]], [[0.25], [0.25]]]], [4], 3)
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Any = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], Any] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        dtype: Any = None,
    ) -> None:
        # As in Keras, a deviation of 1 is only brought about around a mean of 0.
        self.featurewise_center = featurewise_center or featurewise_std_normalization
        self.samplewise_center = samplewise_center or samplewise_std_normalization
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.augmentation = Augmentation(
            rotation_range,
            width_shift_range,
            height_shift_range,
            brightness_range,
            shear_range,
            zoom_range,
            channel_shift_range,
            fill_mode,
            cval,
            horizontal_flip,
            vertical_flip,
        )
        self.rescale, self.preprocessing_function = rescale, preprocessing_function
        self.data_format = choice(
            data_format or backend.image_data_format(), backend.DATA_FORMATS, "data_format"
        )
        if not 0 <= validation_split < 1:
            raise ArgumentError(f"validation_split should be from 0 to below 1, not {validation_split!r}")
        self.validation_split = validation_split
        self.dtype = np.dtype(dtype or backend.floatx())
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None

    # -- batches ------------------------------------------------------------------------------------------
    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        subset: str | None = None,
        workers: int = 1,
        max_queue_size: int = 4,
    ) -> ArrayFlow:
        """Batches of images in memory: x, (x, y) or (x, y, sample_weight).

        Args:
            x: images of shape (n, rows, columns, channels), or channels first.
            y, sample_weight: arrays of n entries, or None.
            batch_size: images per batch; the last batch has what remains.
            shuffle: a new order each epoch.
            seed: of order and changes; None for a fresh one.
            subset: "validation" for the first images, as many as `validation_split` says, "training" for the
                others.
            workers: threads that make batches ahead of time.
            max_queue_size: batches ready or in the making at most.

        Raises:
            ArgumentError, ShapeError: arrays that are no images or do not fit each other; an empty subset.
        """
        reading = (batch_size, shuffle, seed, workers, max_queue_size)
        return ArrayFlow(self, x, y, sample_weight, subset, *reading)

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        workers: int = 1,
        max_queue_size: int = 4,
    ) -> FolderFlow:
        """Batches of the images in a folder, which has a sub-folder for each class.

        Args:
            directory: the folder.
            target_size: (height, width) that all images are resized to.
            color_mode: "grayscale", "rgb" or "rgba".
            classes: the sub-folders in the order of their numbers; None for all by name.
            class_mode: "categorical": floats of shape (n, classes); "binary": floats of shape (n,), for two
                classes; "sparse": i32 of shape (n,); "input": the images themselves; None for x alone.
            batch_size, shuffle, seed, workers, max_queue_size: as for `flow`.
            follow_links: look into linked folders.
            subset: "validation" for the first files of each class, as many as `validation_split` says,
                "training" for the others.
            interpolation, keep_aspect_ratio: as for `load_img`.

        Raises:
            ArgumentError: an argument that cannot be, or no images.
            MissingPackageError: Pillow is not installed.
            FileFormatError: while reading: the file, by name, that is no image or is damaged.
        """
        loading = (color_mode, target_size, interpolation, keep_aspect_ratio)
        reading = (batch_size, shuffle, seed, workers, max_queue_size)
        return FolderFlow(self, directory, loading, classes, class_mode, follow_links, subset, *reading)

    # -- single images --------------------------------------------------------------------------------------
    def get_random_transform(self, img_shape: Sequence[int], seed: int | None = None) -> dict[str, Any]:
        """One change drawn for an image of this shape, as a dict for `apply_transform`."""
        return asdict(self.augmentation.draw(self._size(img_shape), generator(seed)))

    def apply_transform(self, x: np.ndarray, transform_parameters: dict[str, Any]) -> np.ndarray:
        """An image changed as the dict says; what it leaves out stays.

        Raises:
            TypeError: a name that is no part of a change.
        """
        return self._changed(np.asarray(x, self.dtype), Change(**transform_parameters))

    def random_transform(self, x: np.ndarray, seed: int | None = None) -> np.ndarray:
        """An image changed at random."""
        return self.apply_transform(x, self.get_random_transform(np.shape(x), seed))

    def standardize(self, x: Any) -> np.ndarray:
        """An image normalised, without random changes; the given array stays.

        Raises:
            ShapeError: `preprocessing_function` gave another shape.
            StateError: means of the data set are wanted, but `fit` has not measured them.
        """
        image = np.array(x, self.dtype)
        if self.preprocessing_function is not None:
            made = np.asarray(self.preprocessing_function(image), self.dtype)
            if made.shape != image.shape:
                raise ShapeError(
                    f"preprocessing_function made an image of shape {made.shape} of one of {image.shape}"
                )
            image = made
        if self.rescale:
            image = image * self.dtype.type(self.rescale)
        if self.samplewise_center:
            image = image - image.mean()
        if self.samplewise_std_normalization:
            image = image / (image.std() + self.dtype.type(1e-6))
        if self.featurewise_center:
            if self.mean is None or self.std is None:
                raise StateError(
                    "featurewise_center needs the data set's mean.\n"
                    "  fix     call fit(x) of this ImageDataGenerator with sample images first."
                )
            image = image - self.mean
            if self.featurewise_std_normalization:
                image = image / (self.std + self.dtype.type(1e-6))
        return image

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Measure each channel's mean and deviation, for `featurewise_center` and its like.

        As in Keras they are measured after `rescale` but before `preprocessing_function`.

        Args:
            x: images of shape (n, rows, columns, channels), or channels first.
            augment: measure images changed at random, `rounds` times each.
            rounds: how often.
            seed: of the changes.

        Raises:
            ShapeError: another number of axes, or no images.
        """
        images = np.array(x, self.dtype)
        if images.ndim != 4 or images.size == 0:
            raise ShapeError(f"fit takes images of 4 axes, not an array of shape {images.shape}")
        if self.rescale:
            images = images * self.dtype.type(self.rescale)
        if augment:
            random = generator(seed)
            images = np.stack([self.change(image, random) for _ in range(rounds) for image in images])
        axes = (0, 1, 2) if self.data_format == "channels_last" else (0, 2, 3)
        # Millions of pixels are summed: in single precision the mean would lose digits.
        self.mean = images.mean(axes, np.float64, keepdims=True)[0].astype(self.dtype)
        self.std = images.std(axes, np.float64, keepdims=True)[0].astype(self.dtype)

    def change(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """An image changed by what `random` draws."""
        return self._changed(image, self.augmentation.draw(self._size(image.shape), random))

    def _size(self, shape: Sequence[int]) -> tuple[int, int]:
        rows, columns = shape[:2] if self.data_format == "channels_last" else shape[1:]
        return rows, columns

    def _changed(self, image: np.ndarray, change: Change) -> np.ndarray:
        if self.data_format == "channels_last":
            return self.augmentation.apply(image, change)
        return self.augmentation.apply(image.transpose(1, 2, 0), change).transpose(2, 0, 1)
