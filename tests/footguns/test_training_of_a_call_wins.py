"""`training=` of a single call wins over the mode that the model runs in."""

from __future__ import annotations

import numpy as np

from graphc import Input, Model, layers


def test_dropout_that_is_always_on_and_one_that_never_is():
    x = Input((50,))
    always = layers.Dropout(0.5)(x, training=True)
    never = layers.Dropout(0.5)(x, training=False)
    model = Model(x, [always, never])
    ones = np.ones((4, 50), "f4")
    for training in (False, True):
        on, off = model(ones, training=training)
        assert set(np.unique(on)) == {0.0, 2.0}
        np.testing.assert_array_equal(off, ones)
