"""Models and weights in files: `registry` (classes by name), `models` (architecture as JSON), `weights`
(arrays).
"""
