"""NumPy functions, compiled: `jit`.

In comes a Python function written with NumPy; out comes a callable that gives the same values, effects and
exceptions. `source`, `syntax` and `rewrite` make a copy of the function whose loads, stores, operators, tests
and calls go through the `runtime`; `recording`, `inputs` and `infer` turn a run of it into a `log` of NumPy
operations with guards and effects; `emit` makes one flat Python function of a log; `function` holds those of
one jitted function and chooses among them.
"""
