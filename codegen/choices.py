"""What measuring decided: the policies of products, by the numbers of their kernels. None changes a bit of a
result; see `kernels/strategy.POLICIES`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from graphc.codegen.kernels.strategy import POLICIES

Choices = Mapping[int, str]
"""What is not there is left to the sizes of the product."""


def to_text(choices: Choices) -> str:
    """Choices as JSON, always in the same form.

    >>> to_text({3: ".near"})
    '{"3": ".near"}'
    """
    return json.dumps({str(number): policy for number, policy in sorted(choices.items()) if policy})


def from_text(text: str) -> dict[int, str]:
    """What `to_text` wrote; ValueError for anything else.

    >>> from_text(to_text({3: ".near"}))
    {3: '.near'}
    """
    found = {int(number): policy for number, policy in json.loads(text).items()}
    if any(policy not in POLICIES for policy in found.values()):
        raise ValueError(f"unknown choices: {text}")
    return found
