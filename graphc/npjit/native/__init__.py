"""Logs of NumPy operations as machine code.

In comes a log (`graphc.npjit.log`), the nodes whose values are wanted and the inputs that it writes; out
comes a `Program` of values. `segments.compile` is the way in: `structure` finds a program that was compiled
for a log of the same structure, `translate` (with `rules`, `views` and `buffers`) turns nodes into a graph,
`schedule` puts what the IR can't say between native runs as the NumPy calls that it is, `program` writes one
Python function of these steps, and `call` is a native run.
"""
