"""Recurrent layers beyond recorded results: states between calls, dropout, cells of one's own, refusals."""

import numpy as np
import pytest

import graphc
from graphc import Input, Model, Sequential, layers, ops
from graphc.ir.errors import ArgumentError, GraphcError, TraceError
from graphc.ops.control import scan


@pytest.fixture(autouse=True)
def reference(monkeypatch):
    monkeypatch.setenv("GRAPHC_BACKEND", "reference")
    graphc.backend.clear_session()
    graphc.utils.set_random_seed(3)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


@pytest.mark.parametrize("kind", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_a_stateful_layer_goes_on_where_it_ended(kind):
    x = Input(batch_shape=(2, 3, 4))
    layer = kind(5, stateful=True, return_sequences=True)
    model = Model(x, layer(x))
    whole = kind(5, return_sequences=True)
    long = Input((6, 4))
    twin = Model(long, whole(long))
    twin.set_weights(model.get_weights())
    values = normal(2, 6, 4)
    wanted = np.asarray(twin(values))
    parts = [np.asarray(model(values[:, i : i + 3])) for i in (0, 3)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), wanted, rtol=1e-5, atol=1e-6)
    layer.reset_state()
    np.testing.assert_allclose(model(values[:, :3]), wanted[:, :3], rtol=1e-5, atol=1e-6)
    assert len(model.weights) == 3, "states are no weights"
    with pytest.raises(GraphcError):
        model(values[:1, :3])


def test_a_stateful_layer_needs_the_batch():
    with pytest.raises(ArgumentError, match=r"Input\(batch_shape=\(32, 3, 4\)\)"):
        layers.LSTM(5, stateful=True)(Input((3, 4)))


def test_dropout_is_the_same_at_all_steps_and_only_in_training():
    layer = layers.SimpleRNN(
        64, dropout=0.5, use_bias=False, activation="linear", recurrent_initializer="zeros",
        kernel_initializer="identity", return_sequences=True, seed=1,
    )  # fmt: skip
    x = np.ones((3, 4, 64), "f4")
    np.testing.assert_array_equal(layer(x), x)
    y = np.asarray(layer(x, training=True))
    assert set(np.unique(y)) == {0.0, 2.0}
    assert (y == y[:, :1]).all()
    assert 0.3 < (y == 0).mean() < 0.7
    for kind in (layers.SimpleRNN, layers.LSTM, layers.GRU):
        noisy = kind(4, dropout=0.3, recurrent_dropout=0.3)
        assert not np.array_equal(noisy(x, training=True), noisy(x, training=True))


class Running(layers.Layer):
    """A cell: the sum so far, and its square."""

    state_size = 3

    def call(self, inputs, states):
        total = states[0] + inputs
        return total * total, [total]


def test_a_cell_of_ones_own():
    x = Input((None, 3))
    model = Model(x, layers.RNN(Running(), return_sequences=True)(x))
    values = normal(2, 5, 3)
    np.testing.assert_allclose(model(values), np.cumsum(values, axis=1) ** 2, rtol=1e-4, atol=1e-5)


def test_lstm_learns_to_add_up():
    x, rng = Input((None, 1)), np.random.default_rng(0)
    h = layers.Bidirectional(layers.LSTM(8))(x)
    model = Model(x, layers.Dense(1)(h))
    model.compile(graphc.optimizers.Adam(0.02), "mse")
    values = rng.random((64, 6, 1), "f4")
    losses = model.fit(values, values.sum(1), epochs=12, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.05 * losses[0]


def test_weights_and_models_in_files(tmp_path):
    model = Sequential([Input((4, 2)), layers.Bidirectional(layers.GRU(3), name="both"), layers.Dense(1)])
    values = normal(3, 4, 2)
    wanted = np.asarray(model(values))
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(graphc.models.load_model(tmp_path / "m.keras")(values), wanted)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: layers.LSTM(0), "LSTMCell: units must be a whole number above 0, not 0"),
        (lambda: layers.RNN("cell"), "takes a cell with `call` and `state_size`, not 'cell'"),
        (lambda: layers.Bidirectional(layers.Dense(3)), "takes a recurrent layer, not"),
        (lambda: layers.Bidirectional(layers.GRU(2), merge_mode="max"), "merge_mode must be one of 'concat'"),
        (
            lambda: layers.LSTM(3)(Input((4, 2)), initial_state=[Input((3,))]),
            "has 2 states, but got 1 as initial_state",
        ),
        (
            lambda: layers.GRU(3)(Input((4,))),
            r"takes inputs \(batch, steps, ...\), but got the shape \(None, 4\)",
        ),
    ],
)
def test_what_is_refused(make, told):
    with pytest.raises(GraphcError, match=told):
        make()


class Counter(layers.Layer):
    """Assigns a variable in a loop's body, or keeps what was made in it."""

    def __init__(self, wrong):
        super().__init__()
        self.wrong = wrong
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")
        self.left = None

    def call(self, x):
        def step(carries, slices):
            if self.wrong == "assign":
                self.count.assign(self.count + 1)
            object.__setattr__(self, "left", slices[0] * 2)
            return carries, slices

        scan(step, [ops.zeros((x.shape[0],))], [ops.transpose(x)])
        return self.left + 1 if self.wrong == "keep" else x


@pytest.mark.parametrize(
    ("wrong", "told"),
    [("assign", "can't be assigned in the body of a loop"), ("keep", "a loop that has ended")],
)
def test_what_a_loops_body_can_not_do(wrong, told):
    with pytest.raises(TraceError, match=told):
        Counter(wrong)(Input((3,)))
    with pytest.raises(ArgumentError, match="runs in a layer's call only"):
        scan(lambda c, s: (c, s), [], [np.ones(3)])
