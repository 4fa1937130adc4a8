"""The MNIST digits (LeCun, Cortes, Burges; CC BY-SA 3.0): 60,000 for training, 10,000 for testing."""

from __future__ import annotations

import sys

from graphc.datasets import mnist_5k
from graphc.datasets.files import (
    DamagedFileError,
    Download,
    DownloadError,
    Split,
    dataset_folder,
    fetch,
    find,
    read_digits,
)

FULL = Download(
    url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    checksum="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    max_bytes=16_000_000,
)
_told: set[str] = set()


def load_data(path: str = "mnist.npz") -> Split:
    """The MNIST digits: from the dataset folder, else a checked download, else the sample that ships.

    A file called `path` in the dataset folder (`GRAPHC_DATA_DIR`, `KERAS_HOME/datasets` or
    `~/.keras/datasets`) is taken as it is if it holds the four arrays; the checksum guards downloads only.
    Without a file and without a network, the 5,000 digits of `mnist_5k` are returned and a notice on stderr
    says so once.

    Args:
        path: name of the file in the dataset folder, or an absolute path.

    Returns:
        `((x_train, y_train), (x_test, y_test))`; images are uint8 of shape (n, 28, 28), labels uint8 of
        shape (n,).

    Raises:
        FileFormatError: the file is a readable archive but does not hold digits.

    Example (as a doctest it would depend on the network):

        (x_train, y_train), (x_test, y_test) = graphc.datasets.mnist.load_data()
    """
    reason = ""
    found = find(path)
    if found is not None:
        try:
            return read_digits(found)
        except DamagedFileError as error:
            reason = f"{error}; "
    try:
        return read_digits(fetch(FULL, dataset_folder() / path))
    except DownloadError as error:
        reason += str(error)
    _notice(f"graphc: {reason}. Using the 5,000 MNIST digits that ship with graphc instead of 70,000.")
    return mnist_5k.load_data()


def _notice(text: str) -> None:
    """Tell the user once per process, on stderr, so that printed results stay clean."""
    if text not in _told:
        _told.add(text)
        print(text, file=sys.stderr)
