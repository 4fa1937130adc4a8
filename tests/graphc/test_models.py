"""Models: functional, sequential, subclassed, nested, shared; weights in files."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import Input, Model, Sequential, layers, ops
from graphc.models import clone_model, model_from_json


@pytest.fixture(autouse=True)
def session(monkeypatch):
    monkeypatch.setenv("GRAPHC_BACKEND", "reference")
    graphc.backend.clear_session()


def ones(*shape):
    return np.ones(shape, "f4")


def test_one_class_by_all_its_names():
    import graphc.engine.training
    import graphc.models

    assert graphc.engine.training.Model is graphc.models.Model is graphc.Model
    assert isinstance(Sequential(), Model)
    x = Input((3,))
    assert isinstance(Model(inputs=x, outputs=layers.Dense(1)(x)), Model)


def test_layers_are_ordered_by_depth_then_as_they_are_met():
    x = Input((4,), name="x")
    late = layers.Dense(4, name="late")(x)
    early = layers.Dense(4, name="second")(layers.Dense(4, name="first")(x))
    model = Model(x, layers.Add(name="join")([late, early]))
    assert [layer.name for layer in model.layers] == ["x", "first", "late", "second", "join"]


def test_sequential_and_functional_spellings_are_one_network():
    s = Sequential([Input((5,)), layers.Dense(4, activation="relu"), layers.Dense(2)])
    x = Input((5,))
    f = Model(x, layers.Dense(2)(layers.Dense(4, activation="relu")(x)))
    f.set_weights(s.get_weights())
    data = np.random.default_rng(0).normal(size=(7, 5)).astype("f4")
    np.testing.assert_array_equal(f(data), s(data))
    assert [layer.name for layer in s.layers] == ["dense", "dense_1"]


@pytest.mark.parametrize(
    "first",
    [
        lambda: [Input((5,)), layers.Dense(3)],
        lambda: [layers.InputLayer((5,)), layers.Dense(3)],
        lambda: [layers.Dense(3, input_shape=(5,))],
        lambda: [layers.Dense(3, batch_input_shape=(None, 5))],
        lambda: [layers.Dense(3, input_dim=5)],
    ],
)
def test_sequential_knows_its_input(first):
    model = Sequential(first())
    assert model.built
    assert model.input_shape == (None, 5)
    model.add(layers.Dense(2))
    assert model.output_shape == (None, 2)
    assert model.pop().name == "dense_1"
    assert model.output_shape == (None, 3)
    assert model(ones(2, 5)).shape == (2, 3)


def test_sequential_builds_late():
    model = Sequential([layers.Dense(3)])
    assert not model.built
    model.compile("sgd", "mse")
    model.build(input_shape=(None, 4))
    assert model.count_params() == 15
    by_data = Sequential([layers.Embedding(9, 2), layers.Flatten()])
    assert by_data(np.array([[1, 2], [3, 4]])).shape == (2, 4)


def test_shared_layers_are_one_set_of_weights():
    a, b = Input((3,)), Input((3,))
    shared = layers.Dense(2, name="shared")
    model = Model([a, b], layers.Subtract()([shared(a), shared(b)]))
    assert len(model.weights) == 2
    np.testing.assert_array_equal(model([ones(2, 3), ones(2, 3)]), np.zeros((2, 2)))
    with pytest.raises(RuntimeError, match="called 2 times"):
        shared.output  # noqa: B018


def test_two_models_that_share_layers_see_each_others_weights():
    x = Input((3,))
    h = layers.Dense(4, name="body")(x)
    one, two = Model(x, layers.Dense(1)(h)), Model(x, layers.Dense(2)(h))
    before = two(ones(1, 3))
    one(ones(1, 3))
    one.get_layer("body").kernel.assign(np.zeros((3, 4)))
    after = two(ones(1, 3))
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, two.layers[-1].bias.numpy()[None])


def test_nested_models_and_ensembles():
    def member():
        x = Input((3,))
        return Model(x, layers.Dense(1)(x))

    members = [member() for _ in range(3)]
    x = Input((3,))
    ensemble = Model(x, layers.Average()([m(x) for m in members]))
    data = np.random.default_rng(1).normal(size=(4, 3)).astype("f4")
    np.testing.assert_allclose(ensemble(data), np.mean([m(data) for m in members], axis=0), rtol=1e-5)
    assert len(ensemble.weights) == 6
    outer = Sequential([Input((3,)), ensemble, layers.Dense(2)])
    assert outer(data).shape == (4, 2)
    graph = graphc.replay.trace_model(outer).graph
    assert "'model_3/model_1/dense_1'" in str(graph)


class Residual(Model):
    """A block with two calls of batch normalisation, as in the Keras tutorial."""

    def __init__(self, units):
        super().__init__(name="")
        self.first, self.second = layers.Dense(units), layers.Dense(units)
        self.norms = [layers.BatchNormalization(), layers.BatchNormalization()]

    def call(self, x, training=False):
        h = ops.relu(self.norms[0](self.first(x), training=training))
        h = self.norms[1](self.second(h), training=training)
        return ops.relu(h + x)


def test_subclassed_model():
    block = Residual(3)
    y = block(ones(2, 3))
    assert y.shape == (2, 3)
    assert (len(block.variables), len(block.trainable_variables)) == (12, 8)
    assert [layer.name for layer in block.layers] == [
        "dense",
        "dense_1",
        "batch_normalization",
        "batch_normalization_1",
    ]
    assert block(ones(5, 3)).shape == (5, 3)
    moving = block.norms[0].moving_mean.numpy()
    block(ones(5, 3), training=True)
    assert not np.array_equal(moving, block.norms[0].moving_mean.numpy())
    x = Input((3,))
    np.testing.assert_array_equal(Model(x, block(x))(ones(2, 3)), block(ones(2, 3)))


def test_inputs_and_outputs_in_dicts():
    a, b = Input((2,), name="a"), Input((3,), name="b")
    model = Model({"left": a, "right": b}, {"sum": layers.Concatenate()([a, b]), "twice": a * 2.0})
    result = model({"right": ones(1, 3), "left": 2 * ones(1, 2)})
    assert result["sum"].tolist() == [[2, 2, 1, 1, 1]]
    assert result["twice"].tolist() == [[4, 4]]
    with pytest.raises(ValueError, match="has an input 'left'"):
        model({"right": ones(1, 3)})


def test_model_between_inner_tensors():
    x = Input((3,))
    h = layers.Dense(4)(x)
    whole = Model(x, layers.Dense(2)(h))
    front, back = Model(x, h), Model(h, whole.output)
    data = ones(2, 3)
    np.testing.assert_allclose(back(front(data)), whole(data), rtol=1e-6)
    assert [type(layer).__name__ for layer in back.layers] == ["InputLayer", "Dense"]


def test_flexible_sizes_of_two_inputs_are_apart():
    a, b = Input((None, 3)), Input((None, 3))
    model = Model([a, b], [layers.Dense(2)(a), layers.Dense(2)(b)])
    assert [y.shape for y in model([ones(2, 5, 3), ones(2, 7, 3)])] == [(2, 5, 2), (2, 7, 2)]
    assert str(graphc.replay.trace_model(model).graph).startswith(
        "graph @forward(%input_layer: f32[B, N, 3], %input_layer_1: f32[B, N1, 3])"
    )


def test_operators_and_numpy_functions_build_the_graph():
    x = Input((4,))
    y = np.tanh(x)[:, 1:3] * 2 + ops.mean(x, axis=1, keepdims=True)
    y = np.concatenate([y, -y], axis=1).sum(axis=1)
    model = Model(x, y)
    data = np.random.default_rng(0).normal(size=(3, 4)).astype("f4")
    half = np.tanh(data)[:, 1:3] * 2 + data.mean(1, keepdims=True)
    np.testing.assert_allclose(model(data), np.concatenate([half, -half], 1).sum(1), atol=1e-5)
    twin = model_from_json(model.to_json())
    np.testing.assert_array_equal(twin(data), model(data))


def test_set_trainable_reaches_compiled_functions():
    norm = layers.BatchNormalization()
    model = Model(x := Input((2,)), norm(x))
    f = graphc.compile(model, training=True)
    data = np.array([[1, 2], [3, 8]], "f4")
    first = f(data)
    norm.trainable = False
    assert not np.array_equal(first, f(data))


def test_results_do_not_alias():
    model = Model(x := Input((2,)), layers.Identity()(x))
    data = ones(2, 2)
    y = model(data)
    assert not np.shares_memory(y, data)
    z = model(data)
    y[:] = 5
    assert z.max() == 1


def test_weights_round_trip(tmp_path):
    x = Input((3,))
    model = Model(x, layers.Dense(2, name="head")(layers.BatchNormalization(name="norm")(x)), name="net")
    path = tmp_path / "w.npz"
    model.save_weights(path)
    twin = clone_model(model)
    assert not np.array_equal(twin.weights[-2].numpy(), model.weights[-2].numpy())
    twin.load_weights(path)
    for a, b in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [p.name for p in tmp_path.iterdir()] == ["w.npz"]
    with pytest.raises(ValueError, match="exists already"):
        model.save_weights(path, overwrite=False)


def test_load_weights_says_what_differs_and_changes_nothing(tmp_path):
    def make(units, name):
        return Sequential(
            [Input((3,)), layers.Dense(4, name="body"), layers.Dense(units, name=name)], name="net"
        )

    path = tmp_path / "w.npz"
    make(2, "head").save_weights(path)
    other = make(5, "head")
    before = other.get_weights()
    with pytest.raises(graphc.GraphcError) as caught:
        other.load_weights(path)
    assert str(caught.value).startswith(
        "w.npz does not fit the model 'net':\n"
        "  'head/kernel' is (4, 5) in the model, (4, 2) in the file\n"
        "  'head/bias' is (5,) in the model, (2,) in the file\n"
        "  fix     "
    )
    for a, b in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    other.load_weights(path, skip_mismatch=True)
    assert not np.array_equal(other.get_weights()[0], before[0])
    with pytest.raises(ValueError, match=r"'tail/kernel' .* is not in the file"):
        make(2, "tail").load_weights(path)


def test_damaged_files_are_refused(tmp_path):
    model = Sequential([Input((3,)), layers.Dense(4)])
    path = tmp_path / "w.npz"
    model.save_weights(path)
    whole = path.read_bytes()
    for bad in (b"", whole[: len(whole) // 2], b"PK" + whole[7:], b"no file at all"):
        path.write_bytes(bad)
        with pytest.raises(graphc.GraphcError, match="damaged"):
            model.load_weights(path)


def test_set_weights_checks_before_it_changes():
    model = Sequential([Input((3,)), layers.Dense(4)])
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"'dense/bias' is \(4,\), got \(5,\)"):
        model.set_weights([np.zeros((3, 4)), np.zeros(5)])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_json_refuses_lambda_and_unknown_classes():
    stored = Sequential([Input((3,)), layers.Dense(4, name="d")]).to_json()
    with pytest.raises(ValueError, match="Lambda layer 'd': code from a file is not run"):
        model_from_json(stored.replace('"Dense"', '"Lambda"'))
    with pytest.raises(ValueError, match=r"a class 'os\.system'"):
        model_from_json(stored.replace('"Dense"', '"os.system"'))
    for text in (
        "{",
        "[]",
        '{"class_name": "Functional", "config": {}}',
        '{"class_name": "Dense", "config": {"units": 2}}',
    ):
        with pytest.raises(graphc.GraphcError):
            model_from_json(text)


class Doubling(layers.Layer):
    """A layer of the user's, for files."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor


def test_json_with_a_users_layer():
    model = Sequential([Input((3,)), Doubling(3.0)])
    text = model.to_json()
    with pytest.raises(ValueError, match="custom_objects"):
        model_from_json(text)
    twin = model_from_json(text, {"Doubling": Doubling})
    assert twin(ones(1, 3)).tolist() == [[3, 3, 3]]


def test_clone_with_other_layers():
    model = Sequential([Input((3,)), layers.Dense(4, name="d"), layers.Dropout(0.5)])
    twin = clone_model(model, clone_function=lambda layer: Doubling() if layer.name == "d" else layer)
    assert [type(layer).__name__ for layer in twin.layers] == ["Doubling", "Dropout"]


def test_summary_of_a_plain_and_of_a_branched_model(golden):
    x = Input((28, 28), name="digits")
    h = layers.Dense(32, activation="relu")(layers.Flatten()(x))
    plain = Model(x, layers.Dense(10)(h), name="plain")
    joined = layers.Add()([h, layers.Dense(32)(h)])
    branched = Model(x, [layers.Dense(10)(joined), joined], name="branched")
    lines = []
    plain.summary(print_fn=lines.append)
    branched.summary(print_fn=lines.append)
    golden("summary_front.txt", "\n".join(lines) + "\n")


def test_changed_attributes_are_seen_by_compiled_functions():
    dense = layers.Dense(2, activation="relu", kernel_initializer="ones")
    model = Model(x := Input((2,)), Doubling()(dense(x)))
    data = -ones(1, 2)
    assert model(data).tolist() == [[0, 0]]
    dense.activation = graphc.activations.linear
    assert model(data).tolist() == [[-4, -4]]
    model.layers[-1].factor = 3.0
    assert model(data).tolist() == [[-6, -6]]
    dense.note = np.ones(3)
    dense.note = 1
    assert model(data).tolist() == [[-6, -6]]


def test_training_reaches_models_that_share_layers():
    x = Input((3,))
    h = layers.Dense(4, name="body")(x)
    one, two = Model(x, layers.Dense(1)(h)), Model(x, layers.Dense(2)(h))
    before = two(ones(1, 3))
    one.compile("sgd", "mse")
    one.fit(ones(8, 3), ones(8, 1), epochs=1, verbose=0)
    assert not np.array_equal(before, two(ones(1, 3)))
    np.testing.assert_array_equal(
        one.get_layer("body").get_weights()[0], two.get_layer("body").get_weights()[0]
    )


def test_frozen_layers_stay_and_freezing_needs_no_compile():
    model = Sequential([Input((3,)), layers.Dense(4), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.layers[0].trainable = False
    first, second = (layer.get_weights()[0] for layer in model.layers)
    model.fit(ones(8, 3), ones(8, 1), verbose=0)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], first)
    assert not np.array_equal(model.layers[1].get_weights()[0], second)
    model.layers[0].trainable = True
    model.fit(ones(8, 3), ones(8, 1), verbose=0)
    assert not np.array_equal(model.layers[0].get_weights()[0], first)


def test_sequential_without_an_input_called_on_a_tensor():
    inner = Sequential([layers.Dense(3)])
    y = inner(Input((4,)))
    assert y.shape == (None, 3)
    assert [w.path for w in inner.weights] == ["sequential/dense/kernel", "sequential/dense/bias"]


def test_inputs_by_name_in_another_order():
    a, b = Input((2,), name="b"), Input((3,), name="a")
    model = Model([a, b], [layers.Dense(2)(a), layers.Dense(3)(b)])
    assert [y.shape for y in model({"a": Input((3,)), "b": Input((2,))})] == [(None, 2), (None, 3)]
    assert [y.shape for y in model({"a": ones(4, 3), "b": ones(4, 2)})] == [(4, 2), (4, 3)]


def test_empty_batches_and_views():
    model = Sequential([Input((4,)), layers.LayerNormalization(), layers.Dense(2, activation="gelu")])
    assert model(ones(0, 4)).shape == (0, 2)
    wide = np.random.default_rng(0).normal(size=(6, 8))
    np.testing.assert_array_equal(model(wide[::2, ::2]), model(wide[::2, ::2].copy()))


def test_float64_policy():
    graphc.backend.set_floatx("float64")
    try:
        x = Input((4,))
        h = layers.BatchNormalization()(layers.Dropout(0.5)(layers.PReLU()(layers.Rescaling(2, 1)(x))))
        model = Model(x, layers.Dense(1, activation="softplus")(layers.GaussianNoise(0.1)(h) * 2 + 1))
    finally:
        graphc.backend.set_floatx("float32")
    assert {v.dtype.name for v in model.weights} == {"float64"}
    assert model(ones(3, 4)).dtype == model(ones(3, 4), training=True).dtype == np.float64
    assert layers.Dense(2, dtype="float64")(Input((3,))).dtype == np.float64


class Counter(layers.Layer):
    """A layer with state that each call changes."""

    def build(self, input_shape):
        self.n = self.add_weight("n", shape=(), initializer="zeros", trainable=False, dtype="int64")

    def call(self, x):
        self.n.assign_add(1)
        self.n.assign(self.n + 1)
        return x * ops.cast(self.n, x.dtype)


def test_state_that_a_call_changes():
    counter = Counter()
    model = Model(x := Input((1,)), counter(x))
    assert int(counter.n.array) == 0
    assert [float(model(ones(1, 1))[0, 0]) for _ in range(3)] == [2, 4, 6]
    assert int(counter.n.array) == 6


class Gated(Model):
    """A subclassed model that takes a dict."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)
        self.drop = layers.Dropout(0.25)

    def call(self, inputs, training=False):
        return self.drop(self.dense(inputs["x"]) * inputs["gate"], training=training)


@pytest.mark.parametrize("called_first", [True, False])
def test_subclassed_model_of_named_inputs_trains(called_first):
    model = Gated()
    data = {"x": ones(8, 3), "gate": ones(8, 2)}
    if called_first:
        assert model({"gate": ones(5, 2), "x": ones(5, 3)}).shape == (5, 2)
    model.compile("sgd", "mse")
    history = model.fit(data, ones(8, 2), epochs=2, verbose=0).history
    assert len(history["loss"]) == 2
    assert model.input_names == ["gate", "x"]
    assert model.predict(data, verbose=0).shape == (8, 2)


class Attention(layers.Layer):
    """A layer whose call takes two tensors by name."""

    def build(self, query_shape, value_shape):
        self.kernel = self.add_weight("kernel", (query_shape[-1], value_shape[-1]))

    def call(self, query, value, scale=1.0, query_mask=None):
        scored = ops.matmul(query, self.kernel) + value * scale
        if query_mask is None:
            return scored
        return scored * ops.expand_dims(ops.cast(query_mask, scored.dtype), -1)


def test_a_call_with_several_tensors_and_their_masks():
    ids, value = Input((4,), dtype="int32"), Input((4, 2))
    layer = Attention()
    query = layers.Embedding(5, 3, mask_zero=True)(ids)
    model = Model([ids, value], [layer(query, value, scale=2.0), layer(query, value=value)])
    first, second = model([np.array([[1, 0, 2, 0]]), ones(1, 4, 2)])
    np.testing.assert_allclose((first - second)[0], [[1, 1], [0, 0], [1, 1], [0, 0]], atol=1e-6)
    twin = model_from_json(model.to_json(), {"Attention": Attention})
    assert twin.count_params() == model.count_params() == 15 + 6


def test_outputs_of_any_structure():
    class Parts(layers.Layer):
        def call(self, x):
            return {"more": x + 1, "list": [x * 2, ops.sum(x)]}

    x = Input((3,))
    made = Parts()(x)
    assert made["list"][1].shape == ()
    model = Model(x, made)
    result = model(ones(1, 3))
    assert result["more"].tolist() == [[2, 2, 2]]
    assert float(result["list"][1]) == 3


def test_json_with_operations_as_keras_stores_them():
    def tensor(name):
        return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}

    def layer(module, cls, config, *args):
        nodes = [{"args": [tensor(a) for a in args], "kwargs": {}}] if args else []
        return {
            "module": module,
            "class_name": cls,
            "config": config,
            "name": config["name"],
            "inbound_nodes": nodes,
        }

    stored = {
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": [
                layer("keras.layers", "InputLayer", {"batch_shape": [None, 3], "name": "x"}),
                layer("keras.src.ops.numpy", "Mean", {"name": "mean", "axis": 1, "keepdims": True}, "x"),
                layer("keras.src.ops.numpy", "Subtract", {"name": "subtract"}, "x", "mean"),
            ],
            "input_layers": ["x", 0, 0],
            "output_layers": ["subtract", 0, 0],
        },
    }
    import json

    model = model_from_json(json.dumps(stored))
    assert model(np.array([[1, 2, 6]], "f4")).tolist() == [[-2, -1, 3]]
    assert model_from_json(model.to_json())(np.array([[1, 2, 6]], "f4")).tolist() == [[-2, -1, 3]]
    stored["config"]["layers"][1]["class_name"] = "Frobnicate"
    with pytest.raises(ValueError, match="an operation 'Frobnicate'"):
        model_from_json(json.dumps(stored))


def test_every_node_of_a_step_has_a_line_and_a_layer():
    x = Input((4,))
    inner = Sequential([Input((4,)), layers.Dense(3, activation="relu")], name="inner")
    model = Model(x, layers.Dense(2, kernel_regularizer="l2")(layers.Dropout(0.3)(inner(x))))
    model.compile("adam", "mse", metrics=["mae"])
    step = graphc.compile(model, step="train")
    for stage in ("traced", "simplify", "dce", "final"):
        for node in step.ir(stage).nodes:
            place = node.location
            assert place is not None, node
            assert place.file.endswith("test_models.py"), node
            assert place.layer, node
