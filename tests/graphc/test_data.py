"""Data adapters: what they accept, what they refuse, and what the batches look like."""

import re

import numpy as np
import pytest

from graphc.data import ArrayData, PyDataset, Sequence, Slot, StreamData, open_data, open_validation
from graphc.data.batches import to_sample_weights
from graphc.ir.errors import ArgumentError, DTypeError, GraphcError, ShapeError
from graphc.seeds import set_random_seed

X = np.arange(22.0, dtype=np.float32).reshape(11, 2)
Y = np.arange(11)
IN, OUT = [Slot("image", "float32")], [Slot("label")]


def epoch(data):
    """The batches of an epoch, copied (buffers are reused)."""
    return [
        ([a.copy() for a in x], [a.copy() for a in y], w and [None if a is None else a.copy() for a in w])
        for x, y, w in data.epoch()
    ]


def labels(data):
    return [y[0].tolist() for _, y, _ in epoch(data)]


class Batches(PyDataset):
    """Three batches of two samples, which count how often they were asked for."""

    def __init__(self, **options):
        super().__init__(**options)
        self.log = []

    def __len__(self):
        return 3

    def __getitem__(self, index):
        self.log.append(index)
        return np.full((2, 2), index, np.float64), np.full(2, index)

    def on_epoch_end(self):
        self.log.append("end")


# Arrays


def test_unshuffled_batches_are_views_and_the_last_is_short():
    data = open_data(X, Y, batch_size=4, inputs=IN, outputs=OUT)
    assert isinstance(data, ArrayData)
    assert (data.steps, data.samples) == (3, 11)
    batches = list(data.epoch())
    assert [batch.size for batch in batches] == [4, 4, 3]
    for batch in batches:
        assert np.shares_memory(batch.x[0], X)
        assert batch.x[0].flags.c_contiguous
        assert batch.weights is None
    np.testing.assert_array_equal(np.concatenate([b.x[0] for b in batches]), X)


def test_default_batch_size_is_32():
    assert [b.size for b in open_data(np.zeros((70, 1))).epoch()] == [32, 32, 6]


def test_shuffled_batches_keep_rows_together_and_change_each_epoch():
    set_random_seed(3)
    data = open_data(X, Y, np.arange(11.0), batch_size=4, shuffle=True)
    first, second = epoch(data), epoch(data)
    for batches in (first, second):
        x = np.concatenate([b[0][0] for b in batches])
        y = np.concatenate([b[1][0] for b in batches])
        w = np.concatenate([b[2][0] for b in batches])
        assert sorted(y) == list(range(11))
        np.testing.assert_array_equal(x, X[y])
        np.testing.assert_array_equal(w, y)
    assert [b[1][0].tolist() for b in first] != [b[1][0].tolist() for b in second]
    set_random_seed(3)
    again = epoch(open_data(X, Y, np.arange(11.0), batch_size=4, shuffle=True))
    assert [b[1][0].tolist() for b in first] == [b[1][0].tolist() for b in again]


def test_shuffled_batches_use_two_aligned_buffers_in_turn():
    data = open_data(X, Y, batch_size=3, shuffle=True)
    batches = list(data.epoch())
    places = [b.x[0].ctypes.data for b in batches]
    assert len(set(places)) == 2
    assert places[0] == places[2] != places[1] == places[3]
    assert all(place % 64 == 0 for place in places)
    assert {b.x[0].ctypes.data for b in data.epoch()} == set(places), "kept from epoch to epoch"
    running = data.epoch()
    one = next(running)
    kept = one.y[0].copy()
    next(running)
    np.testing.assert_array_equal(one.y[0], kept)


def test_shuffle_batch_keeps_batches_together():
    data = open_data(np.zeros((40, 1)), np.arange(40), batch_size=4, shuffle="batch")
    got = labels(data)
    assert sorted(got) == [list(range(i, i + 4)) for i in range(0, 40, 4)]
    assert got != sorted(got)


def test_validation_split_takes_the_last_fraction_before_shuffling():
    train, held_out = open_data(X, Y, batch_size=4, shuffle=True).split(0.25)
    assert held_out.samples == 3
    assert labels(held_out) == [[8, 9, 10]]
    assert sorted(label for batch in labels(train) for label in batch) == list(range(8))
    assert np.shares_memory(held_out.arrays.x[0], X)


def test_class_weights_do_not_reach_validation():
    train, held_out = open_data(
        X, Y % 2, np.full(11, 3.0), batch_size=11, class_weight={0: 10.0}, shuffle=False
    ).split(0.2)
    assert next(train.epoch()).weights[0].tolist() == [30.0, 3.0] * 4
    assert next(held_out.epoch()).weights[0].tolist() == [3.0] * 3


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5])
def test_a_split_outside_its_range(fraction):
    with pytest.raises(ArgumentError, match="validation_split should be between 0 and 1"):
        open_data(X, Y).split(fraction)


def test_a_split_that_leaves_nothing():
    with pytest.raises(
        ArgumentError, match=r"validation_split=0\.9 of 3 samples leaves one part without any"
    ):
        open_data(X[:3]).split(0.9)
    with pytest.raises(ArgumentError, match="leaves one part without any"):
        open_data(X[:1]).split(0.5)


def test_steps_go_on_from_epoch_to_epoch():
    data = open_data(X, Y, batch_size=4, steps=2)
    assert data.steps == 2
    assert labels(data) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.warns(UserWarning, match="the data ended after 1 of 2 steps"):
        assert labels(data) == [[8, 9, 10]]
    assert labels(data) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    data.restart()
    assert labels(data) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_casting_happens_once_for_the_whole_array():
    wide = X.astype(np.float64)
    data = open_data(wide, Y.astype(np.float64), batch_size=4)
    assert data.arrays.x[0].dtype == data.arrays.y[0].dtype == np.float32
    assert all(np.shares_memory(batch.x[0], data.arrays.x[0]) for batch in data.epoch())
    assert open_data(X, Y).arrays.x[0] is X
    assert open_data(X, Y).arrays.y[0] is Y, "whole numbers stay"


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.array([[0, 255]], np.uint8), "float32"),
        (np.array([[1.0, 2.0]]), "int32"),
        (np.array([[True, False]]), "float32"),
        (np.array([[1, 2]], ">i4"), "int64"),
        (np.array([[1.5]], ">f8"), "float32"),
        (np.array([[1.5]], np.float16), "float32"),
    ],
)
def test_casts_that_keep_the_values(array, dtype):
    got = open_data(array, inputs=[Slot("x", dtype)]).arrays.x[0]
    assert got.dtype == dtype
    assert got.dtype.isnative
    np.testing.assert_array_equal(got, array)


def test_nan_and_infinity_stay():
    got = open_data(np.array([np.nan, np.inf, -np.inf])).arrays.x[0]
    np.testing.assert_array_equal(got, [np.nan, np.inf, -np.inf])


@pytest.mark.parametrize(
    "view",
    [np.zeros((4, 6))[:, ::2], np.zeros((3, 4)).T, np.zeros((8, 3))[::-2], np.broadcast_to(1.0, (4, 3))],
)
def test_views_become_contiguous(view):
    got = open_data(view.astype(np.float32) if view.strides[0] > 0 else view).arrays.x[0]
    assert got.flags.c_contiguous
    assert got.flags.aligned
    np.testing.assert_array_equal(got, view)


def test_unaligned_memory_is_copied():
    memory = np.zeros(41, np.uint8)[1:].view(np.float32)
    assert not memory.flags.aligned
    assert open_data(memory).arrays.x[0].flags.aligned


# Several inputs and outputs

A, B = np.zeros((5, 1), np.float32), np.ones((5, 3), np.float32)
TWO_IN = [Slot("a", "float32"), Slot("b", "float32")]
TWO_OUT = [Slot("p"), Slot("q")]


@pytest.mark.parametrize("x", [[A, B], (A, B), {"b": B, "a": A}])
def test_several_inputs(x):
    batch = next(open_data(x, [A, B], inputs=TWO_IN, outputs=TWO_OUT).epoch())
    assert [a.shape for a in batch.x] == [(5, 1), (5, 3)]
    assert [a.shape for a in batch.y] == [(5, 1), (5, 3)]


def test_without_slots_what_comes_is_taken():
    assert [a.shape for a in open_data([B, A]).arrays.x] == [(5, 3), (5, 1)]
    assert [a.shape for a in open_data({"k": B, "a": A}).arrays.x] == [(5, 3), (5, 1)]


@pytest.mark.parametrize("weights", [[None, np.arange(5)], {"q": np.arange(5)}])
def test_weights_of_one_output_of_two(weights):
    data = open_data(A, [A, B], weights, inputs=IN, outputs=TWO_OUT, batch_size=5)
    first, second = next(data.epoch()).weights
    assert first is None
    assert second.tolist() == [0, 1, 2, 3, 4]
    assert second.dtype == np.float32
    shuffled = open_data(A, [A, B], weights, inputs=IN, outputs=TWO_OUT, shuffle=True)
    assert next(shuffled.epoch()).weights[0] is None


def test_arrays_of_other_libraries():
    class Foreign:
        shape = (3, 1)

        def __array__(self, dtype=None, copy=None):
            return np.ones((3, 1), dtype)

    assert open_data(Foreign()).arrays.x[0].tolist() == [[1], [1], [1]]


# Class weights


@pytest.mark.parametrize(
    "y",
    [
        np.array([0, 1, 2, 1]),
        np.array([[0], [1], [2], [1]]),
        np.eye(3)[[0, 1, 2, 1]],
        np.array([0.0, 1.0, 2.0, 1.0]),
    ],
)
def test_class_weights(y):
    assert to_sample_weights({0: 2.0, 1: 0.5}, [y]).tolist() == [2.0, 0.5, 1.0, 0.5]
    data = open_data(np.zeros((4, 1)), y, np.array([1.0, 2, 3, 4]), class_weight={0: 2.0, 1: 0.5})
    assert next(data.epoch()).weights[0].tolist() == [2.0, 1.0, 3.0, 2.0]


def test_class_weights_in_a_stream():
    data = open_data(iter([(np.zeros((2, 1)), np.array([0, 1]))]), class_weight={1: 4.0})
    assert next(data.epoch()).weights[0].tolist() == [1.0, 4.0]


# Streams


def generate(count, size=2):
    for i in range(count):
        yield np.full((size, 1), i), np.full(size, i)


def test_a_generator_is_one_epoch_without_steps():
    data = open_data(generate(3), inputs=IN)
    assert isinstance(data, StreamData)
    assert (data.steps, data.samples, data.exhausted) == (None, None, False)
    assert labels(data) == [[0, 0], [1, 1], [2, 2]]
    assert data.exhausted


def test_a_generator_goes_on_with_steps_and_warns_at_its_end():
    data = open_data(generate(5), steps=2)
    assert labels(data) == [[0, 0], [1, 1]]
    assert not data.exhausted
    assert labels(data) == [[2, 2], [3, 3]]
    with pytest.warns(UserWarning, match="the data ended after 1 of 2 steps of an epoch"):
        assert labels(data) == [[4, 4]]
    assert data.exhausted
    exact = open_data(generate(2), steps=2)
    assert len(labels(exact)) == 2
    with pytest.warns(UserWarning, match="the data ended after 0 of 2 steps"):
        assert labels(exact) == []


def test_an_iterable_starts_again_each_epoch():
    class Loader:
        def __iter__(self):
            return generate(2)

        def __len__(self):
            return 2

    data = open_data(Loader())
    assert data.steps == 2
    assert labels(data) == labels(data) == [[0, 0], [1, 1]]
    assert not data.exhausted
    endless = open_data(Loader(), steps=3)
    assert labels(endless) == [[0, 0], [1, 1], [0, 0]]
    assert labels(endless) == [[1, 1], [0, 0], [1, 1]]


def test_batches_may_be_x_alone_dicts_or_have_weights():
    batch = next(open_data(iter([X]), inputs=IN).epoch())
    assert (len(batch.x), batch.y, batch.weights) == (1, [], None)
    items = [({"a": A, "b": B}, {"p": A, "q": B}, np.arange(5.0))]
    with pytest.raises(ArgumentError, match="sample_weight is one array of shape"):
        next(open_data(iter(items), inputs=TWO_IN, outputs=TWO_OUT).epoch())
    one = next(open_data(iter([[X, Y, np.arange(11.0)]]), inputs=IN, outputs=OUT).epoch())
    assert one.weights[0].tolist() == list(range(11))


@pytest.mark.parametrize("options", [{}, {"workers": 3}, {"workers": 2, "use_multiprocessing": True}])
def test_sequence(options):
    source = Batches(**options)
    data = open_data(source)
    assert data.steps == 3
    assert labels(data) == [[0, 0], [1, 1], [2, 2]]
    assert sorted(map(str, source.log)) == ["0", "1", "2", "end"]
    assert next(data.epoch()).x[0].dtype == np.float32
    assert Sequence is PyDataset


def test_a_shuffled_sequence_changes_its_order():
    set_random_seed(0)
    data = open_data(Batches(), shuffle=True)
    orders = [labels(data) for _ in range(8)]
    assert all(sorted(order) == [[0, 0], [1, 1], [2, 2]] for order in orders)
    assert len({str(order) for order in orders}) > 1


def test_an_object_with_getitem_and_len_only():
    class Old:
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return X + index, Y + index

    assert [y[0] for y in labels(open_data(Old()))] == [0, 1]


def test_leaving_a_threaded_sequence_early_ends_its_threads():
    import threading

    before = threading.active_count()
    running = open_data(Batches(workers=2)).epoch()
    next(running)
    assert threading.active_count() > before
    running.close()
    assert threading.active_count() == before


def test_an_error_in_a_sequence_reaches_the_user():
    class Broken(Batches):
        def __getitem__(self, index):
            raise KeyError("picture 7")

    for workers in (1, 2):
        with pytest.raises(KeyError, match="picture 7"):
            list(open_data(Broken(workers=workers)).epoch())


def test_validation_data():
    data = open_validation((X, Y), inputs=IN, outputs=OUT, batch_size=6)
    assert labels(data) == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]
    weighted = open_validation((X, Y, np.arange(11.0)))
    assert next(weighted.epoch()).weights[0][3] == 3
    assert open_validation(Batches()).steps == 3
    assert isinstance(open_validation(generate(2), steps=1), StreamData)


# Errors: each names the argument and says what to do

ERRORS = [
    (
        (np.zeros((0, 3)), np.zeros(0)),
        ArgumentError,
        "x is empty: there is nothing to compute with 0 samples",
    ),
    ((X, Y[:5]), ShapeError, "all arrays need the same number of samples, but x has 11, y has 5"),
    ((X, Y, Y[:5]), ShapeError, "x has 11, y has 11, sample_weight has 5"),
    (
        ([[1.0, 2.0], [3.0, 4.0]],),
        ArgumentError,
        "x is a list of 2 lists, where an array was meant: write np.array(x)",
    ),
    ((X, [0, 1, 2]), ArgumentError, "y is a list of 3 numbers, where an array was meant: write np.array(y)"),
    (([],), ArgumentError, "x is an empty list, where an array was meant"),
    (
        (list(X),),
        ArgumentError,
        "the model has 1 input ('image'), but x is a list of 11 arrays "
        "(if each is one sample, write np.stack(x))",
    ),
    ((None,), ArgumentError, "x is None: there are no inputs"),
    ((3.0,), ArgumentError, "x is a number, where an array was meant"),
    (("pictures",), ArgumentError, "x is a str, where an array was meant"),
    (
        (np.float32(1.0).reshape(()),),
        ShapeError,
        "x is a single number: the first axis of an array counts samples",
    ),
    (
        (np.array([None, 1]),),
        DTypeError,
        "x holds object elements, where numbers were meant; do its rows differ",
    ),
    ((np.array(["a"]),), DTypeError, "x holds <U1 elements, where numbers were meant"),
    ((np.zeros(3, complex),), DTypeError, "x holds complex128 elements"),
    (({"picture": X},), ArgumentError, "x has arrays for 'picture', but the model's inputs are 'image'"),
    (({},), ArgumentError, "x has arrays for nothing, but the model's inputs are 'image'"),
    (([X, X],), ArgumentError, "the model has 1 input ('image'), but x is a list of 2 arrays"),
    ((X, {"a": Y}), ArgumentError, "y has arrays for 'a', but the model's outputs are 'label'"),
    ((X, Y, [Y, Y]), ArgumentError, "sample_weight has 2 entries for 1 outputs"),
    ((X, Y, [1.0, 2.0]), ArgumentError, "sample_weight is a list of 2 numbers, where an array was meant"),
    ((object(),), ArgumentError, "x is a object, where arrays or batches of arrays were meant"),
    ((generate(1), Y), ArgumentError, "y belongs into the batches when x is a generator"),
    ((generate(1), None, Y), ArgumentError, "sample_weight belongs into the batches when x is a generator"),
]


@pytest.mark.parametrize(("given", "error", "message"), ERRORS)
def test_errors(given, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        open_data(*given, inputs=IN, outputs=OUT)
    assert isinstance(caught.value, GraphcError)


@pytest.mark.parametrize(
    ("array", "dtype", "message"),
    [
        (np.array([[1.5]]), "int32", "x holds float64 numbers that int32 cannot hold"),
        (np.array([[np.nan]]), "int32", "x holds float64 numbers that int32 cannot hold"),
        (np.array([[2**40]]), "int32", "x holds int64 numbers that int32 cannot hold"),
        (np.array([[-1]]), "uint8", "x holds int64 numbers that uint8 cannot hold"),
    ],
)
def test_casts_that_would_change_whole_numbers(array, dtype, message):
    with pytest.raises(DTypeError, match=message):
        open_data(array, inputs=[Slot("x", dtype)])


def test_errors_of_several_inputs():
    with pytest.raises(
        ArgumentError, match=re.escape("the model has 2 inputs ('a', 'b'), but x is one array of")
    ):
        open_data(A, inputs=TWO_IN)
    with pytest.raises(ShapeError, match=re.escape("but x[0] has 5, x[1] has 4")):
        open_data([A, B[:4]], inputs=TWO_IN)
    with pytest.raises(ShapeError, match=re.escape("but x['a'] has 5, x['b'] has 4")):
        open_data({"a": A, "b": B[:4]}, inputs=TWO_IN)
    with pytest.raises(ArgumentError, match="class_weight needs one output, but there are targets for 2"):
        open_data(A, [A, B], class_weight={0: 1.0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size should be a positive whole number, not 0"),
        ({"batch_size": 2.5}, "batch_size should be a positive whole number, not 2.5"),
        ({"steps": -1}, "steps_per_epoch should be a positive whole number, not -1"),
        ({"shuffle": "samples"}, "shuffle should be True, False or 'batch', not 'samples'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ArgumentError, match=message):
        open_data(X, Y, **options)


def test_streams_that_give_nothing_or_too_much():
    with pytest.raises(ArgumentError, match="the generator gave no batch"):
        list(open_data(generate(0)).epoch())
    with pytest.raises(ArgumentError, match=r"a batch is x, .* not 4 parts"):
        list(open_data(iter([(X, Y, Y, Y)])).epoch())
    with pytest.raises(ShapeError, match="x has 11, y has 3"):
        list(open_data(iter([(X, Y[:3])])).epoch())
    with pytest.raises(ArgumentError, match="class_weight needs class numbers"):
        list(open_data(iter([(X, Y + 0.5)]), class_weight={0: 1.0}).epoch())
