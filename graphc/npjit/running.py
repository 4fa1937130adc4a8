"""Running pending nodes in a recording: NumPy's own functions, in program order."""

from __future__ import annotations

from graphc.npjit.log import Node


def run_nodes(log: list[Node], start: int) -> tuple[int, Exception | None]:
    """Compute the nodes of `log` from `start` on; (how far it came, the exception that stopped it)."""
    i = start
    try:
        while i < len(log):
            log[i].run()
            i += 1
    except Exception as error:  # the user's, at its place in the program
        return i, error
    return i, None
