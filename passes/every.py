"""Every pass: to import this file is to fill the manager's table of them."""

from graphc.passes import (  # noqa: F401, each registers its own
    autodiff,
    cse,
    dce,
    decompose,
    epilogues,
    fold,
    fold_norm,
    fuse,
    hoist,
    infer,
    inline,
    recall,
    row_sums,
    schedule,
    simplify,
    straighten,
    thin,
    trim,
    updates,
)
