"""Data sets for examples and tests, with Keras's names.

In: a name.  Out: `((x_train, y_train), (x_test, y_test))` as arrays.  `mnist` is the full set of 70,000
digits, from the dataset folder or a checked download; `mnist_5k` is the sample of 5,000 of them that ships
with graphc (NOTICE.txt has its source and licence); `files` finds, downloads and reads dataset files.
"""

from graphc.datasets import mnist, mnist_5k

__all__ = ["mnist", "mnist_5k"]
