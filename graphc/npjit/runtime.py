"""What rewritten code calls: `__rt.getattr(x, "name")`, `__rt.op("add", a, b)`, `__rt.call(f, ...)`, ..."""

from __future__ import annotations

from graphc.npjit.attributes import Attributes
from graphc.npjit.cached import CachedCalls
from graphc.npjit.calls import Calls
from graphc.npjit.containers import Containers
from graphc.npjit.copies import Copies
from graphc.npjit.items import Items
from graphc.npjit.iteration import Iteration
from graphc.npjit.matching import Matching
from graphc.npjit.methods import Methods
from graphc.npjit.names import Names
from graphc.npjit.numpy_calls import NumpyCalls
from graphc.npjit.operators import Operators
from graphc.npjit.records import Records
from graphc.npjit.streams import Streams
from graphc.npjit.texts import Texts


class Runtime(
    Names,
    Attributes,
    Items,
    Operators,
    Iteration,
    Calls,
    NumpyCalls,
    Methods,
    Containers,
    Texts,
    Copies,
    Matching,
    CachedCalls,
    Records,
    Streams,
):
    """It holds nothing: the recording is that of the thread it is called in."""


RUNTIME = Runtime()
