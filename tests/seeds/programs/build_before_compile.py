"""A Sequential without an input shape, built before it is compiled."""

from graphc import datasets
from graphc.layers import Dense
from graphc.models import Sequential

(x_train, y_train), (x_test, y_test) = datasets.mnist.load_data()
x_train = x_train.reshape(60000, 784).astype("float32") / 255
x_test = x_test.reshape(10000, 784).astype("float32") / 255

model = Sequential([Dense(512, activation="relu"), Dense(10, activation="softmax")])
model.build(input_shape=(None, 784))
model.compile("rmsprop", "sparse_categorical_crossentropy", ["accuracy"])
model.summary()
model.fit(x_train, y_train, batch_size=128, epochs=5)
test_loss, test_acc = model.evaluate(x_test, y_test)
