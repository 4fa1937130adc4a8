"""The names that scripts take from `keras.utils`; each is defined where it belongs."""

from graphc.data.encoding import normalize, to_categorical
from graphc.data.sequence import PyDataset, Sequence
from graphc.plotting.picture import plot_model
from graphc.seeds import set_random_seed

__all__ = ["PyDataset", "Sequence", "normalize", "plot_model", "set_random_seed", "to_categorical"]
