"""The rule of np.einsum: the cotangent of one operand is an einsum of the result's cotangent with the
others."""

from __future__ import annotations

from typing import Any

from graphc.npjit.vjps.calls import dtype_of, np
from graphc.npjit.vjps.table import fit, joint

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def labels(operands: tuple[Any, ...]) -> tuple[list[str], str, list[Any]]:
    """The labels of each operand's axes and of the result's, with an ellipsis spelled out, and the arrays.

    >>> import numpy
    >>> labels(("ij,...j", numpy.ones((2, 3)), numpy.ones((4, 5, 3))))[:2]
    (['ij', 'abj'], 'abi')
    """
    if isinstance(operands[0], str):
        text, arrays = operands[0].replace(" ", ""), list(operands[1:])
    else:
        text, arrays = _from_lists(list(operands))
    left, arrow, right = text.partition("->")
    inputs = left.split(",")
    if not arrow:
        once = sorted({c for c in left if c.isalpha() and left.count(c) == 1})
        right = ("..." if "." in left else "") + "".join(once)
    free = [c for c in LETTERS if c not in text]
    longest = max(np.ndim(a) - len(s.replace("...", "")) if "." in s else 0 for s, a in zip(inputs, arrays))
    spare = "".join(free[:longest])
    spelled = []
    for s, a in zip(inputs, arrays):
        n = np.ndim(a) - len(s.replace("...", ""))
        spelled.append(s.replace("...", spare[longest - n :] if n else ""))
    return spelled, right.replace("...", spare), arrays


def _from_lists(operands: list[Any]) -> tuple[str, list[Any]]:
    """The form einsum(a, [0, 1], b, [1, 2], [0, 2]) as text."""
    last = operands.pop() if len(operands) % 2 else None
    arrays, lists = operands[::2], operands[1::2]

    def letters(axes: Any) -> str:
        return "".join("..." if a is Ellipsis else LETTERS[a] for a in axes)

    text = ",".join(map(letters, lists))
    return (text if last is None else f"{text}->{letters(last)}"), arrays


@joint("einsum")
def _einsum(ct: Any, out: Any, *operands: Any, **options: Any) -> tuple[Any, ...]:
    inputs, result, arrays = labels(operands)
    keep = {k: v for k, v in options.items() if k == "optimize"}
    found = [_operand(k, ct, inputs, result, arrays, keep) for k in range(len(arrays))]
    if isinstance(operands[0], str):
        return (None, *found)
    spread: list[Any] = []
    for i in range(len(operands)):
        spread.append(found[i // 2] if i % 2 == 0 and i // 2 < len(found) else None)
    if len(operands) % 2:
        spread[-1] = None
    return tuple(spread)


def _operand(k: int, ct: Any, inputs: list[str], result: str, arrays: list[Any], keep: dict[str, Any]) -> Any:
    """The cotangent of operand k: labels that nobody else has are repeated, a repeated label is a
    diagonal."""
    mine, x = inputs[k], arrays[k]
    if dtype_of(x).kind != "f":
        return None
    others = [(s, a) for i, (s, a) in enumerate(zip(inputs, arrays)) if i != k]
    present = result + "".join(s for s, _ in others)
    sizes = dict(zip(mine, np.shape(x)))
    unique = "".join(dict.fromkeys(mine))
    reached = "".join(c for c in unique if c in present)
    text = ",".join([result, *(s for s, _ in others)]) + "->" + reached
    g = np.einsum(text, ct, *(a for _, a in others), **keep)
    if reached != mine:
        ones = tuple(slice(None) if c in reached else None for c in unique)
        g = np.broadcast_to(g[ones], _shape(np.shape(g[ones]), [sizes[c] for c in unique], unique, reached))
        g = _on_diagonal(g, unique, mine, sizes)
    return fit(g, x)


def _shape(have: tuple[Any, ...], want: list[Any], unique: str, reached: str) -> tuple[Any, ...]:
    """Sizes of the labels: what einsum gave where others have the label, the operand's own elsewhere."""
    return tuple(n if c in reached else m for n, m, c in zip(have, want, unique))


def _on_diagonal(g: Any, unique: str, mine: str, sizes: dict[str, Any]) -> Any:
    """A label that stands twice in the operand: the cotangent lies on the diagonal of the two axes."""
    if unique == mine:
        return g
    names, factors, arrays = [], [], []
    for c in mine:
        if c in names:
            new = next(x for x in LETTERS if x not in mine and x not in names)
            factors.append(c + new)
            arrays.append(np.eye(sizes[c], dtype=dtype_of(g)))
            names.append(new)
        else:
            names.append(c)
    return np.einsum(",".join([unique, *factors]) + "->" + "".join(names), g, *arrays)
