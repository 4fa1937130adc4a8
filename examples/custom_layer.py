"""Layers of one's own: a dense layer, and a residual block as a model, trained on real digits.

graphc run examples/custom_layer.py
"""

from __future__ import annotations

from typing import Any

import graphc
from graphc import Input, Model, layers, ops
from graphc.datasets import mnist_5k


class MyDenseLayer(layers.Layer):
    """x @ kernel; `build` runs once, when the input's shape is known."""

    def __init__(self, num_outputs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_outputs = num_outputs

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight("kernel", shape=[int(input_shape[-1]), self.num_outputs])

    def call(self, inputs: Any) -> Any:
        return graphc.ops.matmul(inputs, self.kernel)


class ResidualBlock(Model):
    """relu(x + f(x)), f being two of the layers above, each with batch normalization."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps = [MyDenseLayer(units), layers.BatchNormalization()]
        self.last = [MyDenseLayer(units), layers.BatchNormalization()]

    def call(self, inputs: Any, training: bool = False) -> Any:
        x = ops.relu(self.steps[1](self.steps[0](inputs), training=training))
        return ops.relu(inputs + self.last[1](self.last[0](x), training=training))


def main() -> None:
    graphc.set_random_seed(0)
    (x, y), (x_test, y_test) = mnist_5k.load_data()
    x, x_test = (a.reshape(-1, 784).astype("float32") / 255 for a in (x, x_test))

    layer = MyDenseLayer(64, name="first")
    print("before its first call: built =", layer.built, " variables =", layer.variables)
    image = Input((784,), name="image")
    h = layer(image)
    print("after it:              built =", layer.built, " variables =", layer.trainable_variables, "\n")
    h = ResidualBlock(64, name="block")(h)
    model = Model(image, layers.Dense(10, activation="softmax", name="digit")(h), name="residual")
    model.summary()
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(x, y, batch_size=64, epochs=4, validation_data=(x_test, y_test))


if __name__ == "__main__":
    main()
