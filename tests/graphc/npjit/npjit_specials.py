"""Programs with infinities, signed zeros and other values at the edges of their types."""

import numpy as np
from npjit_differences import prog

EDGES = np.array([-np.inf, -0.0, 0.0, 4.0, np.inf, np.nan])


@prog(lambda i: (np.resize(EDGES, (3 + i % 2, 6)), 0.5, np.array(0.5 + i // 3)), n=8)
def roots_as_powers(x, p, q):
    with np.errstate(all="ignore"):
        y = x.astype(np.float32)
        return np.power(x, 0.5), x**0.5, x**p, np.power(x, q), np.power(y, 0.5), x ** np.full(6, 0.5)
