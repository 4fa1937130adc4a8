"""The whole text of the errors that people meet while they build, compile, train and store models; and that
bad input changes nothing. Connecting and calling layers is in test_front_errors.py."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import graphc
from graphc import Input, Model, Sequential, layers, losses, ops, optimizers

X, LABELS = np.ones((8, 3), "f4"), np.zeros(8, "i8")


@pytest.fixture(autouse=True)
def fresh_names():
    graphc.backend.clear_session()


def net(**options):
    """A compiled classifier of three features."""
    model = Sequential(
        [
            Input((3,), name="x"),
            layers.Dense(4, "relu", name="hidden"),
            layers.Dense(2, "softmax", name="head"),
        ],
        name="net",
    )
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"], **options)
    return model


def regression(units=2, loss="mse"):
    model = Sequential([Input((3,), name="x"), layers.Dense(units, name="head")], name="net")
    model.compile("sgd", loss)
    return model


def text_of(kind, call):
    """The error's text, with this file's name and line numbers, and the source line, made plain."""
    with pytest.raises(graphc.GraphcError) as caught:
        call()
    assert isinstance(caught.value, kind)
    plain = re.sub(r"[\w./]*test_errors\.py:\d+", "FILE", str(caught.value))
    return re.sub(r"(called  at FILE):   \S.*", r"\1: SOURCE", plain)


def lines(text):
    return inspect.cleandoc(text)


MADE = "\n  net  created at FILE\n  called  at FILE: SOURCE"


# -- names and options -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: net().compile("adma", "mse"),
            "unknown optimizer 'adma': did you mean 'adamax' or 'adam' or 'nadam'?",
        ),
        (lambda: net().compile("adam", "mes"), "unknown loss 'mes': did you mean 'mse' or 'mae'?"),
        (
            lambda: net().compile("adam", "mse", ["acuracy"]),
            "unknown metric 'acuracy': did you mean 'accuracy' or 'Accuracy' or 'BinaryAccuracy'?",
        ),
        (
            lambda: layers.Dense(2, kernel_initializer="glorot"),
            "unknown initializer 'glorot': did you mean 'glorot_normal' or 'glorot_uniform'?",
        ),
        (
            lambda: layers.Dense(2, kernel_regularizer="l3"),
            "unknown regularizer 'l3': did you mean 'L1' or 'L1L2' or 'L2' or 'OrthogonalRegularizer'?",
        ),
        (
            lambda: layers.Dense(2, kernel_constraint="maxnrm"),
            "unknown constraint 'maxnrm': did you mean 'maxnorm' or 'max_norm' or 'min_max_norm'?",
        ),
        (lambda: layers.Dense("a"), "Dense needs a whole number of units above 0, not 'a'"),
        (lambda: layers.Dense(-2), "Dense needs a whole number of units above 0, not -2"),
        (lambda: layers.Dropout(1.5), "the rate of Dropout must lie between 0 and 1, got 1.5"),
    ],
)
def test_unknown_names_and_impossible_sizes(make, message):
    assert text_of(ValueError, make).split("\n")[0] == message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: layers.Conv2D(4, 0, name="edges"),
            "kernel_size must be a whole number above 0, or 2 of them, not 0\n"
            "  Conv2D 'edges'  created at FILE: SOURCE",
        ),
        (
            lambda: layers.MaxPooling2D(2, padding="both"),
            "padding must be one of 'valid', 'same', not 'both'\n  MaxPooling2D  created at FILE: SOURCE",
        ),
        (
            lambda: layers.TimeDistributed(layers.Conv2D(4, 3, strides=2, dilation_rate=2, name="inner")),
            "Conv2D can't have both strides (2, 2) and dilation (2, 2) above 1\n"
            "  Conv2D 'inner'  created at FILE: SOURCE",
        ),
    ],
)
def test_a_layer_that_can_not_be_made_is_named(make, message):
    assert re.sub(r"(created at FILE:) .*", r"\1 SOURCE", text_of(ValueError, make)) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backnd": "llvm"}, "there is no option 'backnd': did you mean 'backend'?"),
        ({"backend": "cuda"}, "backend='cuda' is not possible; choose 'llvm', 'numba' or 'reference'."),
        ({"check": "nans"}, "check='nans' is not possible; choose None, 'nan' or 'reference'."),
        ({"threads": 0}, "threads=0 is not possible; choose a number of threads from 1 on."),
        ({"passes": "simplfy"}, "there is no pass 'simplfy'; did you mean 'simplify'?"),
    ],
)
def test_bad_compile_options_change_nothing(options, message):
    model = net()
    optimizer, loss = model.optimizer, model.loss
    assert text_of(ValueError, lambda: model.compile("adam", "mse", **options)) == message
    assert text_of(ValueError, lambda: graphc.compile(model, **options)) == message
    assert (model.optimizer, model.loss) == (optimizer, loss)


def test_a_stage_or_step_that_there_is_not():
    model = net()
    assert text_of(ValueError, lambda: graphc.compile(model, step="trian")) == (
        "there is no step 'trian'; there are 'train', 'evaluate', 'predict'"
    )
    assert text_of(ValueError, lambda: graphc.compile(model).ir("fusee")).startswith(
        "@forward has no stage 'fusee'; the stages that changed it are traced, "
    )
    assert text_of(ValueError, lambda: graphc.compile(3)) == (
        "compile takes a model, or a function and a graphc.spec for each of its arguments, not 3."
    )


def test_an_unknown_element_type():
    assert text_of(TypeError, lambda: Input((3,), dtype="flaot32")).split("\n")[0] == (
        "no element type 'flaot32'; there are bool, int8, int16, int32, int64, "
        "uint8, uint16, uint32, uint64, float32, float64"
    )


# -- before it is ready ----------------------------------------------------------------------------
@pytest.mark.parametrize("use", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_a_model_before_it_is_compiled(use):
    model = Sequential([Input((3,)), layers.Dense(2)], name="net")
    assert text_of(RuntimeError, lambda: getattr(model, use)(X, LABELS)) == lines(
        """
        the model 'net' is not compiled, so there is nothing to train or evaluate it by.
          net  created at FILE
          called  at FILE: SOURCE
          fix     call net.compile(optimizer, loss, metrics) first.
        """
    )
    assert "is not compiled" in text_of(RuntimeError, lambda: graphc.compile(model, step="train"))
    assert not model.compiled


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda model: model.count_params(), "its parameters can't be counted"),
        (lambda model: model.save_weights("w.npz"), "it has no weights to save"),
        (lambda model: model.load_weights("w.npz"), "it has no weights to load into"),
        (lambda model: model.output, "it has no output yet"),
    ],
)
def test_a_model_before_it_is_built(use, what):
    model = Sequential([layers.Dense(2)], name="net")
    assert text_of(RuntimeError, lambda: use(model)) == (
        f"the model 'net' is not built yet, so {what}.\n"
        "  fix     call it on data, or net.build(input_shape=(None, ...)), first."
    )
    assert not model.built


# -- shapes ----------------------------------------------------------------------------------------
def test_shapes_that_do_not_join():
    a, b = Input((3,), name="a"), Input((4,), name="b")
    assert text_of(ValueError, lambda: layers.Multiply(name="gate")([a, b])) == lines(
        """
        Multiply 'gate' takes inputs whose shapes broadcast, but got (None, 3) (float32), (None, 4) (float32).
          gate  created at FILE
          called  at FILE: SOURCE
          fix     bring them to one shape first, for example by a Dense layer.
        """
    )
    assert text_of(ValueError, lambda: a + b) == lines(
        """
        add: elementwise: the shapes (B, 3) and (B, 4) can't be broadcast together
          add  created at FILE
          called  at FILE: SOURCE
        """
    )
    assert text_of(ValueError, lambda: ops.matmul(a, np.ones((4, 2), "f4"))) == lines(
        """
        matmul: the inner sizes of f32[B, 3] and f32[4, 2]: 3 is not 4
          matmul  created at FILE
          called  at FILE: SOURCE
        """
    )


def test_an_operator_for_another_element_type():
    assert text_of(TypeError, lambda: Input((3,)) & Input((3,))) == lines(
        """
        bitwise_and: takes bool or integer or unsigned operands, got f32[B, 3]
          bitwise_and  created at FILE
          called  at FILE: SOURCE
        """
    )


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            np.ones((8, 5), "f4"),
            "input 'x' of {} must be f32[B, 3], but got the shape (8, 5): axis 1 is 5 and not 3.",
        ),
        (
            np.ones((8, 3, 3), "f4"),
            "input 'x' of {} must have 2 dimensions (f32[B, 3]), but got the shape (8, 3, 3).",
        ),
    ],
)
def test_data_of_another_shape(x, message):
    model = net()
    before = model.get_weights()
    told = message + MADE + "\n  fix     give an array of shape (B, 3)."
    assert text_of(ValueError, lambda: model.fit(x, LABELS, verbose=0)) == told.format("train")
    assert text_of(ValueError, lambda: model.train_on_batch(x, LABELS)) == told.format("train")
    assert text_of(ValueError, lambda: model.predict(x, verbose=0)) == told.format("predict")
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(model.optimizer.iterations) == 0
    model.fit(X, LABELS, verbose=0)


@pytest.mark.parametrize(
    ("loss", "units", "target", "told"),
    [
        ("mse", 2, (8, 3), "(None, 3)"),
        ("mse", 2, (8, 1), "(None, 1)"),
        ("mse", 1, (8, 2), "(None, 2)"),
        ("mae", 2, (8,), "(None,)"),
        ("binary_crossentropy", 2, (8, 3), "(None, 3)"),
        ("huber", 2, (8, 2, 2), "(None, 2, 2)"),
    ],
)
def test_targets_never_broadcast(loss, units, target, told):
    model = regression(units, loss)
    y = np.ones(target, "f4")
    assert text_of(ValueError, lambda: model.fit(X, y, verbose=0)) == (
        f"the targets' shape {told} is not that of the predictions, (None, {units}).{MADE}\n"
        "  fix     give targets of the predictions' shape, or change the last layer."
    )
    small = X[:units], np.ones((units, *target[1:]), "f4")
    assert "is not that of the predictions" in text_of(ValueError, lambda: model.train_on_batch(*small))


def test_targets_in_the_other_coding():
    one_hot = np.eye(2, dtype="f4")[LABELS]
    assert text_of(ValueError, lambda: net().fit(X, one_hot, verbose=0)) == (
        "sparse_categorical_crossentropy needs one label for each prediction of shape (None, 2), "
        f"got targets of shape (None, 2).{MADE}\n"
        "  fix     use categorical_crossentropy for one-hot targets, or give their argmax."
    )
    model = regression(2, "categorical_crossentropy")
    assert text_of(ValueError, lambda: model.fit(X, LABELS, verbose=0)) == (
        "categorical_crossentropy needs one-hot targets of the predictions' shape "
        f"(None, 2), got (None,).{MADE}\n"
        "  fix     for integer labels, use sparse_categorical_crossentropy."
    )


# -- data ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (ValueError, (X[:0], LABELS[:0]), "x is empty: there is nothing to compute with 0 samples"),
        (ValueError, (X, LABELS[:5]), "all arrays need the same number of samples, but x has 8, y has 5"),
        (TypeError, (np.full((8, 3), "a"), LABELS), "x holds <U1 elements, where numbers were meant"),
        (ValueError, (X,), "the loss compares predictions with targets, but y is None: give y beside x"),
        (
            ValueError,
            ([X, X], LABELS),
            "the model has 1 input ('x'), but x is a list of 2 arrays "
            "(if each is one sample, write np.stack(x))",
        ),
        (
            ValueError,
            ([[1, 2], [3]], LABELS),
            "x is a list of 2 lists, where an array was meant: write np.array(x) "
            "(a list is for models with several inputs, and holds one array for each)",
        ),
    ],
)
def test_data_that_can_not_be_used(kind, arguments, message):
    model = net()
    before = model.get_weights()
    assert text_of(kind, lambda: model.fit(*arguments, verbose=0)) == message + MADE
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_several_inputs_and_outputs():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    outputs = [layers.Dense(1, name="p")(a + b), layers.Dense(1, name="q")(a * b)]
    model = Model([a, b], outputs, name="net")
    model.compile("sgd", ["mse", "mse"])
    y = np.ones(8, "f4")
    told = {
        "the model has 2 inputs ('a', 'b'), but x is one array of shape (8, 3)": (X, [y, y]),
        "the model has 2 outputs ('p', 'q'), but y is one array of shape (8,)": ([X, X], y),
        "x has arrays for 'a', 'c', but the model's inputs are 'a', 'b'": ({"a": X, "c": X}, [y, y]),
    }
    for message, arguments in told.items():
        assert text_of(ValueError, lambda given=arguments: model.fit(*given, verbose=0)) == message + MADE
    model.compile("sgd", {"p": "mse", "z": "mse"})
    assert text_of(ValueError, lambda: model.fit([X, X], [y, y], verbose=0)) == (
        "loss names 'z', but the model's outputs are p, q" + MADE
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size should be a positive whole number, not 0"),
        ({"validation_split": 1.5}, "validation_split should be between 0 and 1, not 1.5"),
        ({"epochs": -1}, "epochs should be a whole number from 0 on, not -1"),
        ({"epochs": "3"}, "epochs should be a whole number from 0 on, not '3'"),
    ],
)
def test_options_of_fit(options, message):
    assert text_of(ValueError, lambda: net().fit(X, LABELS, verbose=0, **options)) == message + MADE


@pytest.mark.parametrize(
    ("kind", "label", "message"),
    [
        (IndexError, 2, "label 2 at position 5 is not one of 2 classes (0 to 1)"),
        (IndexError, -1, "label -1 at position 5 is not one of 2 classes (0 to 1)"),
        (ValueError, 0.5, "label 0.5 at position 5 is not a whole number"),
    ],
)
def test_labels_that_are_no_class(kind, label, message):
    model = net()
    model.train_on_batch(X, LABELS)
    before = [w.copy() for w in (*model.get_weights(), *(v.numpy() for v in model.optimizer.variables))]
    y = LABELS.astype("f4" if label == 0.5 else "i8")
    y[5] = label
    told = text_of(kind, lambda: model.train_on_batch(X, y))
    assert told == f"{message}\n  at FILE 'loss'{MADE}"
    after = [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]
    for a, b in zip(after, before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_nan_found_by_check_names_the_layer():
    model = net(check="nan")
    before = model.get_weights()
    x = X.copy()
    x[3, 1] = np.nan
    told = text_of(ArithmeticError, lambda: model.train_on_batch(x, LABELS))
    assert told == lines(
        """
        the kernel 'relu' gave a NaN: %relu[3, 0] (f32[B, 4]).
          operands that hold NaN already: %x
          made by matmul
          at FILE 'hidden'
          net  created at FILE
          called  at FILE: SOURCE
        """
    )
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


# -- files -----------------------------------------------------------------------------------------
def test_a_weights_file_of_another_architecture(tmp_path):
    other = Sequential(
        [Input((3,)), layers.Dense(9, name="hidden"), layers.Dense(2, name="top")], name="other"
    )
    other.save_weights(tmp_path / "other.npz")
    model = net()
    before = model.get_weights()
    first, *told, fix = text_of(ValueError, lambda: model.load_weights(tmp_path / "other.npz")).splitlines()
    assert first == "other.npz does not fit the model 'net':"
    assert "hidden" in told[0]
    assert told[0].endswith(" is (3, 4) in the model, (3, 9) in the file")
    assert told[1].endswith(" is (4,) in the model, (9,) in the file")
    assert fix == (
        "  fix     make the model as it was when the file was written, "
        "or leave these weights as they are: skip_mismatch=True."
    )
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_files_that_are_no_weights(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"123")
    told = text_of(ValueError, lambda: net().load_weights(tmp_path / "bad.npz"))
    assert told.startswith(f"{tmp_path}/bad.npz")
    assert "damaged" in told
    assert "pickle" not in told
    assert ".npz" in text_of(ValueError, lambda: net().save_weights("w.txt"))
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        net().load_weights(tmp_path / "none.npz")


# -- custom layers ---------------------------------------------------------------------------------
class Product(layers.Layer):
    """x @ kernel, whose kernel has the shape that the test asks for."""

    def __init__(self, shape, **kwargs):
        super().__init__(**kwargs)
        self.wanted = shape

    def build(self, input_shape):
        self.first = self.add_weight("first", shape=[])
        self.kernel = self.add_weight("kernel", shape=self.wanted)

    def call(self, x):
        return x @ self.kernel * self.first


@pytest.mark.parametrize(
    ("shape", "told", "why", "fix"),
    [
        ([-1, 2], "(-1, 2)", "sizes are whole numbers from 0 on", "for example shape=[int(d), self.units]"),
        ([2.5, 2], "(2.5, 2)", "sizes are whole numbers from 0 on", "for example shape=[int(d), self.units]"),
        ("ab", "'ab'", "a shape is a list or tuple of sizes", "for example shape=[int(d), self.units]"),
        (3, "3", "a shape is a list or tuple of sizes", "for example shape=[int(d), self.units]"),
        ([None, 2], "(None, 2)", "that size of its input is not known", "give the Input a number there"),
    ],
)
def test_add_weight_with_a_bad_shape_leaves_the_layer_unbuilt(shape, told, why, fix):
    layer = Product(shape, name="own")
    assert text_of(ValueError, lambda: layer(Input((3,)))) == lines(
        f"""
        Product 'own' can't make the weight 'kernel' of shape {told}: {why}.
          at FILE
          own  created at FILE
          called  at FILE: SOURCE
          fix     {fix}.
        """
    )
    assert not layer.built
    assert layer.weights == []
    layer.wanted = [3, 2]
    assert layer(Input((3,))).shape == (None, 2)
    assert [w.name for w in layer.weights] == ["first", "kernel"]


def test_a_call_that_fails_leaves_the_layer_unbuilt():
    layer = Product([3, 2], name="own")
    told = text_of(ValueError, lambda: layer(Input((5,))))
    assert told.startswith(
        "matmul: the inner sizes of f32[B, 5] and f32[3, 2]: 5 is not 3\n  at FILE 'own'\n"
    )
    assert not layer.built
    assert layer.weights == []
    assert layer(Input((3,))).shape == (None, 2)


def test_a_sequential_that_fails_to_build_is_as_before():
    model = Sequential([layers.Dense(4, name="a"), layers.Reshape((5,), name="b")], name="net")
    told = text_of(ValueError, lambda: model.build((None, 3)))
    assert told.startswith(
        "Reshape 'b' can't give 4 elements of shape (4,) the shape (5,).\n  b  created at FILE\n"
    )
    assert not model.built
    assert not model.layers[0].built
    grown = Sequential([Input((3,)), layers.Dense(4)], name="net")
    assert "can't give 4 elements" in text_of(ValueError, lambda: grown.add(layers.Reshape((5,))))
    assert len(grown.layers) == 1
    assert grown.output_shape == (None, 4)
    assert grown(X).shape == (8, 4)


def test_a_call_without_build():
    class NoBuild(layers.Layer):
        def call(self, x):
            return x @ self.kernel

    assert text_of(AttributeError, lambda: NoBuild(name="own")(Input((3,)))) == lines(
        """
        NoBuild 'own' has no attribute 'kernel', which its call uses.
          at FILE 'own'
          own  created at FILE
          called  at FILE: SOURCE
          fix     make it in __init__, or, if it is a weight, in build(self, input_shape): self.kernel = self.add_weight("kernel", shape=...).
        """  # noqa: E501
    )


def test_values_of_a_symbolic_tensor():
    class Test(layers.Layer):
        def call(self, x):
            if x.sum() > 0:
                return x
            return -x

    class Array(layers.Layer):
        def call(self, x):
            return np.array(x) * 2

    assert text_of(TypeError, lambda: Test(name="own")(Input((3,)))) == lines(
        """
        `if`, `and`, `or` and `not` needs values, but <Tensor shape=(), dtype=bool> has none while the graph is being made.
          at FILE
          own  created at FILE
          called  at FILE: SOURCE
          fix     use graphc.ops.where(condition, a, b), or logical_and/logical_or.
        """  # noqa: E501
    )
    assert text_of(TypeError, lambda: Array(name="own")(Input((3,)))) == lines(
        """
        conversion to an array needs values, but <Tensor shape=(B, 3), dtype=float32> has none while the graph is being made.
          at FILE
          own  created at FILE
          called  at FILE: SOURCE
          fix     use graphc.ops or np functions, or call the model on arrays.
        """  # noqa: E501
    )


def test_what_a_symbolic_tensor_does_not_have():
    class Missing(layers.Layer):
        def call(self, x):
            return x.reshap(-1)

    class Foreign(layers.Layer):
        def call(self, x):
            return np.linalg.svd(x)

    assert text_of(AttributeError, lambda: Missing(name="own")(Input((3,)))) == lines(
        """
        <Tensor shape=(B, 3), dtype=float32> has no attribute 'reshap'; did you mean 'reshape'?
          at FILE
          own  created at FILE
          called  at FILE: SOURCE
        """
    )
    told = text_of(TypeError, lambda: Foreign(name="own")(Input((3,))))
    assert told.startswith("np.svd is not possible on a symbolic tensor.\n  at FILE\n")
    assert not hasattr(Input((3,)), "__array_interface__")


def test_a_call_without_result():
    class Nothing(layers.Layer):
        def call(self, x):
            x * 2

    assert text_of(ValueError, lambda: Nothing(name="own")(Input((3,)))) == lines(
        """
        the call of Nothing 'own' gave None.
          own  created at FILE
          called  at FILE: SOURCE
          fix     let it return what it computes.
        """
    )
    assert "NoCall does not define call(self, inputs)." in text_of(
        ValueError, lambda: type("NoCall", (layers.Layer,), {})()(Input((3,)))
    )


def test_every_error_derives_from_a_built_in():
    from graphc.ir import errors

    built_in = (
        ValueError,
        TypeError,
        RuntimeError,
        ArithmeticError,
        LookupError,
        AttributeError,
        ImportError,
    )
    classes = [c for c in vars(errors).values() if isinstance(c, type) and c is not errors.GraphcError]
    assert len(classes) > 10
    for c in classes:
        assert issubclass(c, errors.GraphcError), c
        assert issubclass(c, built_in), c


def test_errors_of_objects_are_those_of_names():
    model = regression(2, losses.MeanSquaredError())
    model.compile(optimizers.SGD(0.1), losses.SparseCategoricalCrossentropy(from_logits=True))
    assert "label 7 at position 0" in text_of(IndexError, lambda: model.train_on_batch(X, LABELS + 7))
