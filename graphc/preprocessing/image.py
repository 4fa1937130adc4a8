"""The names that scripts take from `keras.preprocessing.image`; each is defined where it belongs."""

from graphc.images.pictures import array_to_img, img_to_array, load_img, save_img

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img"]
