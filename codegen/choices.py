"""What measuring may decide about a kernel that its sizes leave open; no choice changes a bit of a result.

policy     where the operands of a product are taken to be: "" as its sizes suggest, ".near", ".far" (see
           `kernels/strategy.POLICIES`)
threads    "alone": one member does the kernel; "shared": members share it; "": as its estimated time suggests
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from graphc.codegen.kernels.strategy import POLICIES

THREADS = ("", "alone", "shared")


@dataclass(frozen=True)
class Choice:
    """One choice for each question."""

    policy: str = ""
    threads: str = ""


NOTHING = Choice()
Choices = Mapping[int, Choice]
"""By the kernels' numbers; what is not there is left to the compiler."""


def to_text(choices: Choices) -> str:
    """Choices as JSON, always in the same form.

    >>> to_text({3: Choice(".near")})
    '{"3": [".near", ""]}'
    """
    return json.dumps({str(k): [c.policy, c.threads] for k, c in sorted(choices.items()) if c != NOTHING})


def from_text(text: str) -> Choices:
    """What `to_text` wrote; ValueError for anything else.

    >>> from_text(to_text({3: Choice(".near")}))
    {3: Choice(policy='.near', threads='')}
    """
    found = {int(number): Choice(*given) for number, given in json.loads(text).items()}
    if any(c.policy not in POLICIES or c.threads not in THREADS for c in found.values()):
        raise ValueError(f"unknown choices: {text}")
    return found
