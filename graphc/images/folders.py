"""The image files of a folder, with a class for each: that of the sub-folder in which a file lies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from graphc.ir.errors import ArgumentError

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class ImageFiles:
    """Image files and their classes.

    Args:
        root: the folder.
        names: the files' paths below it.
        labels: the number of each file's class, i64 of shape (files,); None without classes.
        class_names: by number.
    """

    root: str
    names: tuple[str, ...]
    labels: np.ndarray | None
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def paths(self) -> list[str]:
        """The files' whole paths."""
        return [os.path.join(self.root, name) for name in self.names]

    def take(self, rows: np.ndarray) -> ImageFiles:
        """Only these files, in this order."""
        labels = None if self.labels is None else self.labels[rows]
        return ImageFiles(self.root, tuple(self.names[i] for i in rows), labels, self.class_names)


def list_classes(
    directory: str | os.PathLike[str], class_names: Sequence[str] | None = None, follow_links: bool = False
) -> ImageFiles:
    """The files of each class, class after class, in the order of their names.

    Args:
        directory: has a sub-folder for each class. Folders whose names begin with a dot do not count.
        class_names: which sub-folders, and in which order they are numbered; None for all by name.
        follow_links: look into linked folders.

    Raises:
        ArgumentError: no sub-folders, one that is not there or is named twice, or no image in any of them.
        OSError: the folder cannot be read.
    """
    root = os.fspath(directory)
    found = sorted(e.name for e in os.scandir(root) if e.is_dir() and not e.name.startswith("."))
    chosen = list(found if class_names is None else class_names)
    missing = [name for name in chosen if name not in found]
    if missing or len(set(chosen)) < len(chosen):
        told = f"has no {_quoted(missing)}" if missing else "cannot hold a class twice"
        raise ArgumentError(f"{root!r} {told}; its sub-folders are {_quoted(found)}")
    names = [_images(root, name, follow_links) for name in chosen]
    if not any(names):
        raise ArgumentError(f"{root!r} has no sub-folder with images ({', '.join(ENDINGS)})")
    labels = np.repeat(np.arange(len(chosen)), [len(part) for part in names])
    return ImageFiles(root, tuple(chain.from_iterable(names)), labels, tuple(chosen))


def list_files(directory: str | os.PathLike[str], follow_links: bool = False) -> ImageFiles:
    """All image files of a folder and its sub-folders by name, without classes.

    Raises:
        ArgumentError: there is none.
        OSError: the folder cannot be read.
    """
    root = os.fspath(directory)
    os.scandir(root).close()
    names = _images(root, "", follow_links)
    if not names:
        raise ArgumentError(f"{root!r} has no images ({', '.join(ENDINGS)})")
    return ImageFiles(root, tuple(names), None, ())


def _images(root: str, below: str, follow_links: bool) -> list[str]:
    """Paths from `root` of the images in a folder and its sub-folders."""
    found = []
    for folder, _, files in os.walk(os.path.join(root, below), followlinks=follow_links):
        inner = os.path.relpath(folder, root)
        found += [
            os.path.normpath(os.path.join(inner, name)) for name in files if name.lower().endswith(ENDINGS)
        ]
    return sorted(found)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
