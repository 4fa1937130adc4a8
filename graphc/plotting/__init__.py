"""Pictures of models. In comes a model, out goes an SVG text; nothing outside of Python is needed.

`boxes` turns a model into boxes and arrows, `layout` says where they go, `svg` writes them, and `picture` is
`plot_model`, which puts the three together.
"""
