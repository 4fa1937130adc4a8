"""Idioms of NumPy training code: what `test_idioms` and the gradient tests run; importing a family registers
its cases.
"""

import npjit_arrays  # noqa: F401
import npjit_gradient_idioms  # noqa: F401
import npjit_language  # noqa: F401
import npjit_networks  # noqa: F401
