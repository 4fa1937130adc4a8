"""The names that scripts take from `keras.preprocessing.image`; each is defined where it belongs."""

from graphc.images.folder_dataset import image_dataset_from_directory
from graphc.images.image_generator import ImageDataGenerator
from graphc.images.pictures import array_to_img, img_to_array, load_img, save_img

__all__ = [
    "ImageDataGenerator",
    "array_to_img",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "save_img",
]
