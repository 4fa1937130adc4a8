"""The shortest program: a Sequential without an input shape, trained on the shipped digits.

graphc run examples/seed_sequential.py
"""

from graphc.datasets import mnist_5k
from graphc.layers import Dense
from graphc.models import Sequential

(x_train, y_train), (x_test, y_test) = mnist_5k.load_data()
x_train = x_train.reshape(-1, 784).astype("float32") / 255
x_test = x_test.reshape(-1, 784).astype("float32") / 255

model = Sequential([Dense(512, activation="relu"), Dense(10, activation="softmax")])
model.build(input_shape=(None, 784))
model.compile("rmsprop", "sparse_categorical_crossentropy", ["accuracy"])
model.summary()
model.fit(x_train, y_train, batch_size=128, epochs=5)
test_loss, test_accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"held-out accuracy: {100 * test_accuracy:.1f} %")
