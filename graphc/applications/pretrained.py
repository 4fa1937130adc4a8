"""Files of weights trained on ImageNet: where they lie, and how they are fetched."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graphc.datasets.files import Download, DownloadError, fetch
from graphc.ir.errors import FileFormatError

if TYPE_CHECKING:
    from graphc.models import Model

STORAGE = "https://storage.googleapis.com/tensorflow/keras-applications/"


@dataclass(frozen=True)
class Pretrained:
    """The files of a model's weights, as Keras publishes and names them.

    Args:
        folder: the address up to the file's name.
        top, no_top: the names of the files with and without the classifier, at that address.
        md5: their checksums as Keras publishes them; empty where it publishes none.
        local: their names in Keras's folder, where they differ.
    """

    folder: str
    top: str
    no_top: str
    md5: tuple[str, str] = ("", "")
    local: tuple[str, str] | None = None

    @classmethod
    def standard(cls, folder: str, model: str, md5: tuple[str, str]) -> Pretrained:
        """Files that are named as most models' are."""
        stem = f"{model}_weights_tf_dim_ordering_tf_kernels"
        return cls(STORAGE + folder, f"{stem}.h5", f"{stem}_notop.h5", md5)


def models_folder() -> Path:
    """Where Keras keeps files of weights: `models` in `KERAS_HOME` or `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser() / "models"


def weights_file(pretrained: Pretrained, include_top: bool, model: Model) -> Path:
    """The file of a model's weights: the one in Keras's folder, else downloaded to it.

    Raises:
        FileFormatError: the file in the folder is not the one that Keras publishes.
        DownloadError: it is not there and can't be downloaded; the message says where to put it.
    """
    names = (pretrained.top, pretrained.no_top)
    remote = names[0 if include_top else 1]
    local = (pretrained.local or names)[0 if include_top else 1]
    limit = 5 * model.count_params() + (1 << 24)
    return cached_file(local, pretrained.folder + remote, pretrained.md5[0 if include_top else 1], limit)


def cached_file(name: str, url: str, md5: str, max_bytes: int) -> Path:
    """A file in Keras's folder of models, downloaded if it is not there; errors as `weights_file`."""
    path = models_folder() / name
    if path.is_file():
        if md5 and (found := _md5(path)) != md5:
            raise FileFormatError(
                f"{path} is not the file that Keras publishes: its MD5 is {found}, not {md5}.\n"
                f"  fix     delete it, and get {url} again."
            )
        return path
    fix = f"\n  fix     get {url} and put it at {path}."
    if not md5:
        raise DownloadError(
            f"there is no file {path}, and it is not downloaded, because no checksum of it is known.{fix}"
        )
    try:
        return fetch(Download(url, md5, max_bytes, algorithm="md5"), path)
    except DownloadError as error:
        raise DownloadError(f"there is no file {path}, and {error}.{fix}") from error


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
