"""Training data: from whatever `fit` is given to batches of contiguous arrays.

In come arrays, lists or dicts of arrays, generators, iterables of batches, or `Sequence` objects. Out come
`Batch`es. In order: `arrays` checks and casts what the user gave, `batches` joins it to a batch with weights,
`array_data` shuffles and cuts arrays, `stream_data` reads batches that somebody else makes, `sequence` is
the base class for such data, and `opening` chooses between them.
"""

from graphc.data.array_data import ArrayData
from graphc.data.arrays import Slot
from graphc.data.batches import Batch
from graphc.data.opening import Data, open_data, open_validation
from graphc.data.sequence import PyDataset, Sequence
from graphc.data.stream_data import StreamData

__all__ = [
    "ArrayData",
    "Batch",
    "Data",
    "PyDataset",
    "Sequence",
    "Slot",
    "StreamData",
    "open_data",
    "open_validation",
]
