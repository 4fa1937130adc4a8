"""The training surface: what `compile`, `fit`, `evaluate`, `predict` and the `*_on_batch` calls promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc
from graphc import Input, Model, Sequential, callbacks, layers, losses, metrics, optimizers, utils
from graphc.ir.errors import ArgumentError, IndexRangeError, StateError


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((37, 6)).astype("f4"), rng.integers(0, 3, 37)


def classifier(**options: Any) -> Sequential:
    utils.set_random_seed(1)
    model = Sequential(
        [Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def test_logged_loss_is_the_mean_over_samples_with_a_short_last_batch(data: Any) -> None:
    x, y = data
    model = classifier()
    model.optimizer.learning_rate = 0.0
    history = model.fit(x, y, batch_size=8, epochs=1, verbose=0).history
    probabilities = model.predict(x, verbose=0)
    expected = -np.log(probabilities[np.arange(37), y]).mean()
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert history["accuracy"][0] == pytest.approx((probabilities.argmax(1) == y).mean())


def test_evaluate_gives_loss_and_metrics_and_changes_nothing(data: Any) -> None:
    x, y = data
    model = classifier()
    before = model.get_weights()
    loss, accuracy = model.evaluate(x, y, batch_size=10, verbose=0)
    assert model.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(
        {"loss": loss, "accuracy": accuracy}
    )
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_a_label_out_of_range_names_it_and_changes_nothing(data: Any) -> None:
    x, y = data
    model, wrong = classifier(), y.copy()
    wrong[5] = 7
    before = model.get_weights()
    with pytest.raises(IndexRangeError, match="label 7 at position 5 is not one of 3 classes"):
        model.train_on_batch(x, wrong)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert int(model.optimizer.iterations) == 0


def test_train_on_batch_gives_running_means_until_reset(data: Any) -> None:
    x, y = data
    model = classifier()
    first, _ = model.train_on_batch(x, y)
    second, _ = model.train_on_batch(x, y)
    model.reset_metrics()
    third, _ = model.train_on_batch(x, y)
    assert first > second > third


def test_the_compiled_step_gives_each_batch_its_own_loss(data: Any) -> None:
    x, y = data
    model = classifier()
    step = graphc.compile(model, step="train")
    losses_seen = [step(x, y)["loss"] for _ in range(5)]
    assert losses_seen == sorted(losses_seen, reverse=True)
    assert set(step(x, y)) == {"loss", "accuracy"}


def test_steps_share_the_model(data: Any) -> None:
    x, y = data
    model = classifier()
    train, predict = graphc.compile(model, step="train"), graphc.compile(model, step="predict")
    before = predict(x)
    train(x, y)
    assert not np.array_equal(before, predict(x))
    np.testing.assert_array_equal(predict(x), model(x))


def test_new_batch_sizes_rates_and_seeds_compile_nothing(data: Any) -> None:
    x, y = data
    model = Sequential([Input((6,)), layers.Dropout(0.5), layers.Dense(3)])
    model.compile("adam", losses.SparseCategoricalCrossentropy(from_logits=True))
    model.train_on_batch(x, y)
    before = graphc.stats()["compiles"]
    for n in (1, 2, 17, 37):
        model.optimizer.learning_rate = 0.01 / n
        model.train_on_batch(x[:n], y[:n])
    assert graphc.stats()["compiles"] == before


def test_dropout_differs_between_steps_and_repeats_with_the_seed(data: Any) -> None:
    x, _ = data

    def run() -> list[np.ndarray]:
        utils.set_random_seed(5)
        model = Sequential([Input((6,)), layers.Dropout(0.5)])
        return [model(x, training=True) for _ in range(2)]

    first, again = run(), run()
    assert not np.array_equal(first[0], first[1])
    for a, b in zip(first, again):
        np.testing.assert_array_equal(a, b)


def test_generators_sequences_and_dicts_train_like_arrays(data: Any) -> None:
    x, y = data

    def batches() -> Any:
        while True:
            for i in range(0, 32, 8):
                yield x[i : i + 8], y[i : i + 8]

    class Batches(utils.Sequence):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> Any:
            return x[8 * i : 8 * i + 8], y[8 * i : 8 * i + 8]

    results = []
    for given in (
        (x[:32], y[:32]),
        (batches(),),
        (Batches(),),
        (iter([(x[i : i + 8], y[i : i + 8]) for i in range(0, 32, 8)] * 2),),
    ):
        model = classifier()
        steps = 4 if len(given) == 1 and not isinstance(given[0], (list, Batches)) else None
        history = model.fit(
            *given,
            batch_size=8 if len(given) == 2 else None,
            epochs=2,
            shuffle=False,
            verbose=0,
            steps_per_epoch=steps,
        )
        results.append(history.history["loss"])
    for other in results[1:]:
        assert other == pytest.approx(results[0], rel=1e-6)


def test_validation_callbacks_and_early_stopping(data: Any) -> None:
    x, y = data
    model, seen = classifier(), []
    watch = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(("epoch", epoch, sorted(logs))),
        on_train_batch_end=lambda batch, logs: seen.append(("batch", batch, logs["loss"] > 0)),
    )
    stop = callbacks.EarlyStopping("val_loss", patience=0, min_delta=100.0)
    history = model.fit(
        x, y, batch_size=20, epochs=9, verbose=0, validation_data=(x[:5], y[:5]), callbacks=[watch, stop]
    )
    names = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert seen[:3] == [("batch", 0, True), ("batch", 1, True), ("epoch", 0, names)]
    assert len(history.epoch) < 9


def test_two_models_that_share_a_layer_see_each_others_training(data: Any) -> None:
    x, y = data
    shared, a = layers.Dense(3, activation="softmax"), Input((6,))
    one, two = Model(a, shared(a)), Model(a, shared(layers.Dense(6)(a)))
    one.compile(optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    before = two.predict(x, verbose=0)
    one.fit(x, y, verbose=0)
    assert not np.array_equal(before, two.predict(x, verbose=0))


def test_frozen_layers_do_not_train(data: Any) -> None:
    x, y = data
    model = classifier()
    model.fit(x, y, verbose=0)
    model.layers[0].trainable = False
    kernel, head = model.layers[0].get_weights()[0], model.layers[1].get_weights()[0]
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], kernel)
    assert not np.array_equal(model.layers[1].get_weights()[0], head)


def test_a_custom_metric_and_a_custom_loss_are_part_of_the_step(data: Any) -> None:
    x, _ = data
    target = x[:, :2]

    def weird(y_true: Any, y_pred: Any) -> Any:
        return np.abs(y_true - y_pred).mean(axis=-1) * 2

    class Largest(metrics.Metric):
        def __init__(self) -> None:
            super().__init__("largest")
            self.value = self.add_variable(name="value")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.value.assign(np.maximum(self.value, np.max(np.abs(y_pred))))

        def result(self) -> Any:
            return self.value + 0.0

    model = Sequential([Input((6,)), layers.Dense(2)])
    model.compile(optimizers.SGD(0.0), weird, metrics=[Largest()])
    loss, largest = model.evaluate(x, target, batch_size=9, verbose=0)
    predicted = model.predict(x, verbose=0)
    assert loss == pytest.approx(2 * np.abs(predicted - target).mean(), rel=1e-5)
    assert largest == pytest.approx(np.abs(predicted).max(), rel=1e-6)


def test_using_a_model_before_compile_says_what_to_do(data: Any) -> None:
    model = Sequential([Input((6,)), layers.Dense(3)], name="net")
    with pytest.raises(StateError) as error:
        model.fit(*data)
    assert str(error.value).startswith(
        "the model 'net' is not compiled, so there is nothing to train or evaluate it by.\n"
    )
    assert str(error.value).endswith("\n  fix     call net.compile(optimizer, loss, metrics) first.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sgdd", "mse"), "unknown optimizer 'sgdd': did you mean 'sgd'"),
        (("sgd", "msee"), "unknown loss 'msee': did you mean"),
        (("sgd", "mse", ["accurac"]), "unknown metric 'accurac': did you mean"),
    ],
)
def test_unknown_names_fail_in_compile(arguments: Any, message: str) -> None:
    model = Sequential([Input((6,)), layers.Dense(3)])
    with pytest.raises(ArgumentError, match=message):
        model.compile(*arguments)
    assert not model.compiled


def test_a_loss_for_an_output_that_is_not_there_is_an_error() -> None:
    a = Input((6,))
    model = Model(a, [layers.Dense(1, name="p")(a), layers.Dense(1, name="q")(a)])
    model.compile("sgd", {"p": "mse", "r": "mse"})
    with pytest.raises(ArgumentError, match="loss names 'r', but the model's outputs are p, q"):
        model.train_on_batch(np.zeros((2, 6), "f4"), [np.zeros((2, 1), "f4")] * 2)


def test_a_model_predicts_without_being_compiled(data: Any) -> None:
    x, _ = data
    model = Sequential([Input((6,))])
    model.add(layers.Dense(2))
    np.testing.assert_array_equal(model.predict(x, batch_size=10, verbose=0), model(x))


def test_predictions_have_the_structure_of_the_outputs():
    x = Input((3,))
    model = Model(x, {"q": layers.Dense(2)(x), "p": layers.Dense(1)(x)})
    data = np.ones((5, 3), "f4")
    for found in (model.predict(data, batch_size=2, verbose=0), model.predict_on_batch(data), model(data)):
        assert {k: v.shape for k, v in found.items()} == {"q": (5, 2), "p": (5, 1)}
    single = Model(x, [layers.Dense(2)(x)])
    assert single.predict(data, verbose=0).shape == (5, 2)


def test_accuracy_of_one_hot_labels_that_are_bool():
    model = Sequential([Input((2,)), layers.Activation("sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy", "categorical_accuracy"])
    x = np.array([[2, -2], [-2, 2], [2, -2], [2, -2]], "f4")
    found = model.evaluate(x, np.array([[1, 0], [1, 0], [1, 0], [0, 1]], bool), verbose=0, return_dict=True)
    assert found["categorical_accuracy"] == 0.5


def test_models_and_steps_are_called_inside_njit():
    import numba

    model = Sequential([Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    f, step = graphc.compile(model), graphc.compile(model, step="train")
    double = graphc.compile(lambda a: a * 2, graphc.spec((None,)))

    @numba.njit
    def use(x, y):
        before = f(x)
        step(x, y)
        return before, double(f(x)[:, 0])

    x, y = np.ones((4, 3), "f4"), np.zeros((4, 2), "f4")
    want = model.predict(x, verbose=0)
    before, after = use(x, y)
    np.testing.assert_array_equal(before, want)
    np.testing.assert_allclose(after, 2 * model.predict(x, verbose=0)[:, 0], rtol=1e-6)
    assert np.abs(model.predict(x, verbose=0)).sum() < np.abs(want).sum()


def test_a_schedule_is_refused_inside_njit():
    import numba

    model = Sequential([Input((3,)), layers.Dense(2)], name="net")
    model.compile(optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)), "mse")
    step = graphc.compile(model, step="train")

    @numba.njit
    def use(x, y):
        step(x, y)

    with pytest.raises(
        StateError, match=r"its learning rate follows a schedule, .*\n  fix     call the step from"
    ):
        use(np.ones((4, 3), "f4"), np.zeros((4, 2), "f4"))


def test_a_pipeline_without_gradients_is_refused_for_training():
    model = Sequential([Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match="passes='default,-autodiff' has no 'autodiff'"):
        graphc.compile(model, step="train", passes="default,-autodiff")
    graphc.compile(model, step="predict", passes="default,-autodiff")(np.ones((4, 3), "f4"))


def test_arguments_that_an_optimizer_does_not_have_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"Adam: loss_scale_factor=2\.0 is not possible; only None is"):
        optimizers.Adam(loss_scale_factor=2.0)
    with pytest.raises(ArgumentError, match="gradient_accumulation_steps must be at least 2, got 1"):
        optimizers.Adam(gradient_accumulation_steps=1)
    with pytest.raises(TypeError, match="SGD has no argument 'momentun'"):
        optimizers.SGD(momentun=0.9)
    assert optimizers.Adam(use_ema=False, ema_momentum=0.99).get_config()["beta_1"] == 0.9
