"""Where Keras 2 keeps what prepares data: `keras.preprocessing.image`."""

from graphc.preprocessing import image

__all__ = ["image"]
