"""Five thousand real MNIST digits that ship with graphc (source and licence: NOTICE.txt beside this file)."""

from __future__ import annotations

from pathlib import Path

from graphc.datasets.files import Split, read_digits

PATH = Path(__file__).with_name("mnist_5k.npz")


def load_data() -> Split:
    """The shipped digits: 4,000 for training and 1,000 held out, each class equally often in both.

    Returns:
        `((x_train, y_train), (x_test, y_test))`; images are uint8 of shape (n, 28, 28), labels uint8 of
        shape (n,).

    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, y_train.shape, x_test.shape, x_train.dtype.name
    ((4000, 28, 28), (4000,), (1000, 28, 28), 'uint8')
    """
    return read_digits(PATH)
