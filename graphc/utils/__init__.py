"""The names that scripts take from `keras.utils`; each is defined where it belongs."""

from graphc.data.encoding import normalize, to_categorical
from graphc.data.sequence import PyDataset, Sequence
from graphc.images.folder_dataset import image_dataset_from_directory
from graphc.images.pictures import array_to_img, img_to_array, load_img, save_img
from graphc.plotting.picture import plot_model
from graphc.seeds import set_random_seed

__all__ = [
    "PyDataset",
    "Sequence",
    "array_to_img",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "normalize",
    "plot_model",
    "save_img",
    "set_random_seed",
    "to_categorical",
]
