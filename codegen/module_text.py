"""Functions as the text of one LLVM module."""

from __future__ import annotations

import re

from graphc.codegen.target import Target


def module(*functions: str, target: Target, top: str = "") -> str:
    """Join functions to a module; `top` holds globals. Functions that are called and not defined are
    declared.

    Without the two width attributes a CPU that is tuned for 256-bit vectors splits ours in halves.
    """
    width = 8 * target.register_bytes
    attributes = (
        f'attributes #0 = {{ nounwind "min-legal-vector-width"="{width}" "prefer-vector-width"="{width}" }}'
    )
    body = "\n\n".join([top, *functions]).lstrip()
    return "\n\n".join([body, *_declarations(body), attributes]) + "\n"


# each begins with plain characters, for which a long text is searched quickly
_CALL = re.compile(r" call (<[^>]*>|\S+) @(?!llvm\.)([\w.]+)\(((?:[^()]|\([^()]*\))*)\)")
_NAMED = re.compile(r"\nde(?:fine|clare)\b[^@]*@([\w.]+)")
_TYPE = re.compile(r"(<[^>]*>|\S+) ?")


def _declarations(body: str) -> list[str]:
    """A declaration for each function that the text calls without defining it; LLVM knows its own
    intrinsics.
    """
    known = set(_NAMED.findall("\n" + body))
    found = {}
    for result, name, arguments in _CALL.findall(body):
        if name not in known:
            types = [match.group(1) for part in _split(arguments) if (match := _TYPE.match(part))]
            found[name] = f"declare {result} @{name}({', '.join(types)})"
    return [found[name] for name in sorted(found)]


def _split(arguments: str) -> list[str]:
    """Operands of a call; the commas of constant vectors do not count."""
    return re.split(r", (?![^<]*>)", arguments) if arguments else []
