"""The whole text of the errors that people meet while they connect and call layers."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import graphc
from graphc import Input, Model, Sequential, layers, ops


@pytest.fixture(autouse=True)
def session(monkeypatch):
    monkeypatch.setenv("GRAPHC_BACKEND", "reference")
    graphc.backend.clear_session()


def text_of(call, kind=ValueError):
    """The error's text, with this file's name and line numbers made plain."""
    with pytest.raises(graphc.GraphcError) as caught:
        call()
    assert isinstance(caught.value, kind)
    return re.sub(r"[\w./]*test_front_errors\.py:\d+", "FILE", str(caught.value))


def lines(text):
    return inspect.cleandoc(text)


def test_built_for_other_features():
    hidden = layers.Dense(5, name="hidden")
    hidden(Input((784,)))
    flat = layers.Flatten(name="flatten")(Input((32, 32)))
    assert text_of(lambda: hidden(flat)) == lines(
        """
        Dense 'hidden' was built for inputs with 784 features, but got 'flatten' of shape (None, 1024).
          hidden  created at FILE, built at FILE
          called  at FILE:   assert text_of(lambda: hidden(flat)) == lines(
          fix     give this input to another layer, or build 'hidden' for 1024 features.
        """
    )


def test_disconnected_graph():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    y = layers.Dense(2, name="head")(layers.Add(name="join")([a, b]))
    assert text_of(lambda: Model(a, y)) == lines(
        """
        the graph is disconnected: the outputs need an input that the model does not have.
          missing  <Tensor 'b' shape=(None, 3), dtype=float32, created by layer 'b'>, made at FILE
          taken    by 'join', called at FILE
          given    'a'
          fix      add 'b' to the model's inputs, or build the outputs from the given ones.
        """
    )


def test_layer_where_its_output_was_meant():
    x = Input((3,))
    head = layers.Dense(2, name="head")
    assert text_of(lambda: Model(x, head, name="m")) == lines(
        """
        the output of the model 'm' is Dense 'head' itself, not a tensor.
          fix     give what its call returned: head(...).
        """
    )
    assert text_of(lambda: layers.Flatten(name="flat")(head)) == lines(
        """
        Flatten 'flat' was called on Dense 'head' itself, not on its output.
          fix     call it first: flat(head(...)).
        """
    )


def test_model_before_it_is_built():
    model = Sequential([layers.Dense(2)], name="net")
    assert text_of(model.summary, RuntimeError) == lines(
        """
        the model 'net' is not built yet, so there is nothing to show.
          fix     call it on data, or net.build(input_shape=(None, ...)), first.
        """
    )
    assert text_of(model.build) == lines(
        """
        build() of the model 'net' needs the shape of its input.
          fix     net.build(input_shape=(None, 784)), None being the number of samples.
        """
    )


def test_inputs_that_do_not_fit():
    x, k = Input((3,), name="x"), Input((2,), dtype="int32", name="k")
    model = Model([x, k], [layers.Dense(2)(x), layers.Embedding(5, 2, name="table")(k)], name="net")
    assert text_of(lambda: model(np.ones((4, 3)))).startswith(
        "the model 'net' takes 2 inputs (x, k), but got 1.\n"
    )
    wrong = [np.ones((4, 7)), np.zeros((4, 2), int)]
    message = "the input 'x' has the shape (None, 3), but got an array of shape (4, 7).\n"
    assert text_of(lambda: model(wrong)).startswith(message)
    halves = [np.ones((4, 3)), np.full((4, 2), 0.5)]
    assert "'k' takes int32 numbers, but got float64 values that are not whole" in text_of(
        lambda: model(halves), TypeError
    )
    far = [np.ones((4, 3)), np.full((4, 2), 7)]
    assert "out of range for axis 0 of size 5" in text_of(lambda: model(far), IndexError)
    np.testing.assert_array_equal(model([np.ones((4, 3)), np.full((4, 2), 1.0)])[1].shape, (4, 2, 2))


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (bool, "`if`, `and`, `or` and `not`"),
        (float, "float(x)"),
        (int, "int(x)"),
        (np.asarray, "conversion to an array"),
        (len, "len(x)"),
        (list, "iteration"),
    ],
)
def test_symbol_without_a_value(use, what):
    text = text_of(lambda: use(Input((3,), name="x")), TypeError)
    assert text.startswith(what + " needs values, but <Tensor 'x'")
    assert "\n  fix     " in text


def test_error_inside_a_users_call_names_both_lines():
    class Twice(layers.Layer):
        def call(self, inputs):
            return inputs @ np.ones((4, 4), "f4")

    text = text_of(lambda: Twice(name="twice")(Input((3,))))
    assert "4" in text.splitlines()[0]
    assert "\n  at FILE 'twice'\n  twice  created at FILE" in text
    assert "\n  called  at FILE:   " in text


def test_unknown_names():
    assert (
        text_of(lambda: layers.Dense(3, activation="rleu")).split("\n")[0]
        == "unknown activation 'rleu': did you mean 'relu' or 'relu6'?"
    )
    model = Model(x := Input((3,)), layers.Dense(2, name="hidden")(x), name="net")
    assert (
        text_of(lambda: model.get_layer("hiden"))
        == "the model 'net' has no layer 'hiden'; did you mean 'hidden'?"
    )
    with pytest.raises(AttributeError, match="no layer 'Desne'; did you mean Dense"):
        layers.Desne  # noqa: B018


def test_constructor_that_forgets_super():
    class Forgetful(layers.Layer):
        def __init__(self):
            self.n = 3

        def call(self, x):
            return x

    assert "Forgetful.__init__ does not call super().__init__()" in text_of(
        lambda: Forgetful()(Input((3,))), RuntimeError
    )


def test_tensor_kept_from_a_call():
    kept = []

    class Keeper(layers.Layer):
        def call(self, x):
            kept.append(x)
            return x

    Keeper()(Input((3,)))
    assert "a trace that has ended" in text_of(lambda: ops.exp(kept[0]), TypeError)


def test_functional_tensor_captured_by_a_call():
    outside = Input((3,))

    class Capturing(layers.Layer):
        def call(self, x):
            return layers.Dense(2)(outside)

    assert "inside a `call`" in text_of(lambda: Capturing()(Input((3,))), TypeError)


def test_two_layers_of_one_name():
    x = Input((3,))
    y = layers.Dense(2, name="same")(layers.Dense(2, name="same")(x))
    assert text_of(lambda: Model(x, y)) == lines(
        """
        two layers of the model are called 'same': one made at FILE, one at FILE.
          fix     give one of them another name=.
        """
    )


def test_writing_into_a_symbol():
    class Writer(layers.Layer):
        def call(self, x):
            x[0] = 1
            return x

    text = text_of(lambda: Writer()(Input((3,))), TypeError)
    assert text.splitlines()[-1].startswith("  fix     make a new tensor: graphc.ops.where")


def trained_for_five():
    return Sequential([Input((5,)), layers.Dense(3, name="hidden")], name="net")


@pytest.mark.parametrize(
    ("mistake", "remedy"),
    [
        (
            lambda: layers.Conv2D(4, 3, name="conv")(Input((28, 28))),
            "if it has one channel, put layers.Reshape((28, 28, 1)) before 'conv'.",
        ),
        (
            lambda: layers.MaxPooling2D(name="pool")(Input((4,))),
            "call 'pool' before what flattens its input, or reshape that first.",
        ),
        (
            lambda: layers.LSTM(4)(Input((10,))),
            "put layers.Reshape((10, 1)) before it for steps of one feature each, or let the layer before it "
            "keep the steps (return_sequences=True).",
        ),
        (
            lambda: layers.Reshape((5, 3))(Input((12,))),
            "give a target_shape of 12 elements; one size may be -1, which is found.",
        ),
        (
            lambda: trained_for_five().predict(np.ones(5, "f4"), verbose=0),
            "give an array of shape (B, 5); of a single sample x, give x[None].",
        ),
        (
            lambda: trained_for_five().set_weights([np.ones((5, 3))]),
            "give an array for each, in this order: 'hidden/kernel' (5, 3), 'hidden/bias' (3,).",
        ),
    ],
)
def test_what_to_do_about_shapes(mistake, remedy):
    assert text_of(mistake).splitlines()[-1] == f"  fix     {remedy}"


def classifier(**options):
    model = Sequential([Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", **options)
    return model


X, LABELS = np.random.default_rng(0).random((8, 4), np.float32), np.arange(8) % 3


@pytest.mark.parametrize("use", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_no_targets(use):
    model = classifier(loss="sparse_categorical_crossentropy")
    for _ in range(2):
        with pytest.raises(
            graphc.GraphcError, match=r"^the loss compares predictions with targets, but y is None"
        ):
            getattr(model, use)(X)
        model.train_on_batch(X, LABELS)


def test_metrics_are_chosen_by_the_targets_of_a_batch_that_fits():
    given = {"loss": "categorical_crossentropy", "metrics": ["accuracy"]}
    model, same = classifier(**given), classifier(**given)
    same.set_weights(model.get_weights())
    with pytest.raises(graphc.GraphcError, match="needs one-hot targets"):
        model.train_on_batch(X, LABELS)
    one_hot = np.eye(3)[LABELS]
    assert model.train_on_batch(X, one_hot) == same.train_on_batch(X, one_hot)
    assert model.metrics_names == same.metrics_names


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (lambda: "abc", "a str"),
        (lambda: None, "None"),
        (lambda: {"a": np.ones((1, 2))}, "a dict of 1"),
        (lambda: [Input((3,), name="a")] * 2, "a list of 2"),
    ],
    ids=["text", "nothing", "dict", "list"],
)
def test_a_layer_of_one_input_called_on_something_else(given, told):
    layer = layers.Dense(3, name="d")
    text = text_of(lambda: layer(given()))
    assert text.startswith(f"Dense 'd' takes one tensor or array, but got {told}.\n  d  created at FILE\n")
    assert "called  at FILE" in text
    assert not layer.built


def test_a_layer_called_on_no_input():
    with pytest.raises(TypeError, match=r"^Dense 'd': missing a required argument: 'inputs'$"):
        layers.Dense(3, name="d")()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"shape": (-3,)}, "shape of an Input has whole numbers from 0 on, or None, not (-3,)"),
        ({"shape": (2.5, None)}, "shape of an Input has whole numbers from 0 on, or None, not (2.5, None)"),
        ({"shape": "8"}, "shape of an Input has whole numbers from 0 on, or None, not '8'"),
        (
            {"shape": (3,), "batch_size": -1},
            "batch_size of an Input has whole numbers from 0 on, or None, not -1",
        ),
        ({"batch_shape": (None, "a")}, "batch_shape of an Input has whole numbers from 0 on, or None, not"),
    ],
)
def test_impossible_sizes_of_an_input(options, told):
    assert text_of(lambda: Input(**options)).startswith(f"the {told}")


@pytest.mark.parametrize("rate", ["fast", None, [0.1, 0.2]])
def test_a_learning_rate_that_is_no_number(rate):
    told = f"the learning rate should be a number, a schedule or a function, not {rate!r}"
    assert text_of(lambda: graphc.optimizers.SGD(rate)) == told
    optimizer = graphc.optimizers.Adam(0.5)
    with pytest.raises(graphc.GraphcError):
        optimizer.learning_rate = rate
    assert float(optimizer.learning_rate) == 0.5


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: graphc.optimizers.Adam(beta_1="a"), "Adam: beta_1 should be a number, not 'a'"),
        (lambda: graphc.optimizers.Adam(epsilon=None), "Adam: epsilon should be a number, not None"),
        (lambda: graphc.optimizers.SGD(clipnorm=-1.0), "clipnorm must not be negative, got -1.0"),
        (lambda: layers.Embedding(-1, 3), "Embedding: input_dim must be a whole number above 0, not -1"),
        (lambda: layers.Embedding(3, 0), "Embedding: output_dim must be a whole number above 0, not 0"),
        (lambda: layers.Dense(3, name=5), "the name of a Dense should be text, not 5"),
        (lambda: layers.BatchNormalization(axis=3)(Input((2,))), "axis 3 is out of range for a value with 2"),
        (lambda: layers.LayerNormalization(axis=[1, 7])(Input((2,))), "axis 7 is out of range for a value"),
        (lambda: graphc.op(3), "op takes a function, not 3"),
    ],
)
def test_arguments_that_can_not_be(make, told):
    assert text_of(make).startswith(told)


@pytest.mark.parametrize("weights", [[1.0, 2.0, 3.0], {"a": 1.0}, {0: "b"}, 3])
def test_class_weights_that_are_no_numbers_of_classes(weights):
    model = classifier(loss="sparse_categorical_crossentropy")
    text = text_of(lambda: model.fit(X, LABELS, class_weight=weights))
    assert text.startswith(f"class_weight should be a dict of class numbers and weights, not {weights!r}")


def test_jit_of_something_that_can_not_be_called():
    assert text_of(lambda: graphc.jit(3)) == "jit takes a function, a method or a callable object, not 3"


@pytest.mark.parametrize("threads", ["2", 0, 1.5])
def test_impossible_numbers_of_threads(threads):
    told = f"threads={threads!r} is not possible; choose a number of threads from 1 on."
    assert text_of(lambda: graphc.compile(classifier(), threads=threads)) == told


def test_saving_where_no_file_can_be(tmp_path):
    model = classifier()
    missing, folder = tmp_path / "none" / "m.keras", tmp_path / "folder.keras"
    with pytest.raises(FileNotFoundError, match="its folder must be there already") as caught:
        model.save(missing)
    assert caught.value.filename == str(missing)
    folder.mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        model.save(folder)
    assert caught.value.filename == str(folder)
    assert sorted(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("samples", [2, 8])
def test_weights_with_more_axes_than_the_losses(samples):
    model = classifier(loss="sparse_categorical_crossentropy")
    batch = X[:samples], LABELS[:samples], np.ones((samples, 2))
    told = "sample_weight of shape (None, 2) has more axes than the losses, (None,).\n"
    assert text_of(lambda: model.train_on_batch(*batch)).startswith(told)
    assert model.train_on_batch(*batch[:2], np.ones((samples, 1))) > 0
