"""Gradient rules of NumPy's functions, themselves written with NumPy's functions.

In comes a cotangent of a result, with the result and the arguments of the call; out come cotangents of the
arguments, of their shapes and dtypes. The same rule runs on arrays and, inside a recording, on deferred
values (`calls` is the difference). `table` holds the rules by function and applies them; the families are
`elementwise`, `reductions`, `shapes`, `joining`, `indexing`, `choosing`, `ordering`, `products`, `einsum`,
`linalg`, `decompositions`, `running`, `creation`, and, as programs of other functions, `composites`, `norms`,
`statistics` and `ufunc_methods`. `find` knows which rules an operator or an array method has; `mutation` has
those of stores.
"""
