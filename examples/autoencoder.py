"""Two models that share layers: an encoder of images, and an autoencoder that goes on from its output.

graphc run examples/autoencoder.py
"""

import numpy as np

import graphc as keras
from graphc import layers
from graphc.datasets import mnist_5k

encoder_input = keras.Input(shape=(28, 28, 1), name="img")
x = layers.Conv2D(16, 3, activation="relu")(encoder_input)
x = layers.Conv2D(32, 3, activation="relu")(x)
x = layers.MaxPooling2D(3)(x)
x = layers.Conv2D(32, 3, activation="relu")(x)
x = layers.Conv2D(16, 3, activation="relu")(x)
encoder_output = layers.GlobalMaxPooling2D()(x)

encoder = keras.Model(encoder_input, encoder_output, name="encoder")
encoder.summary()

x = layers.Reshape((4, 4, 1))(encoder_output)
x = layers.Conv2DTranspose(16, 3, activation="relu")(x)
x = layers.Conv2DTranspose(32, 3, activation="relu")(x)
x = layers.UpSampling2D(3)(x)
x = layers.Conv2DTranspose(16, 3, activation="relu")(x)
decoder_output = layers.Conv2DTranspose(1, 3, activation="relu")(x)

autoencoder = keras.Model(encoder_input, decoder_output, name="autoencoder")
autoencoder.summary()

print(x)

(x_train, _), (x_test, _) = mnist_5k.load_data()
x_train, x_test = (a[..., None].astype("float32") / 255 for a in (x_train, x_test))
before = float(np.mean((x_test - x_train.mean(axis=0)) ** 2))

autoencoder.compile("adam", "mse")
autoencoder.fit(x_train, x_train, batch_size=64, epochs=3)
after = autoencoder.evaluate(x_test, x_test, verbose=0)
print(f"squared error on held-out digits: {after:.4f}; of the mean training image: {before:.4f}")
print(f"codes: {encoder.predict(x_test, verbose=0).shape}")
