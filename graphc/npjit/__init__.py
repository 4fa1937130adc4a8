"""NumPy functions, compiled and differentiated: `jit`, `grad`, `value_and_grad`, `vjp`, `check_grads`.

In comes a Python function written with NumPy; out comes a callable that gives the same values, effects and
exceptions. `source`, `syntax` and `rewrite` make a copy of the function whose loads, stores, operators, tests
and calls go through the `runtime`; `recording`, `inputs` and `infer` turn a run of it into a `log` of NumPy
operations with guards and effects; `emit` makes one flat Python function of a log, `native/` machine code;
`function` holds those of one jitted function and chooses among them.

`gradient` differentiates such functions: `reverse` walks back over a log, by the rules in `vjps/`.
"""
