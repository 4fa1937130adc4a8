"""The typed graph IR: what every stage between a layer call and machine code is written in.

In come calls of a `Builder` (or a `.gir` text); out goes an immutable `Graph` that prints, parses, verifies
and runs with NumPy. Read in this order: `types` and `dims` (element types, symbolic sizes), `graph` (Value,
Node, Graph), `opdef` (what an op is) and `ops/` (all of them, by family), `builder`, then `printer`,
`parser`, `verify`, `evaluate`, `differentiate`. Errors: `errors`, places: `locations`.
"""

from graphc.ir import ops as _ops  # fills the table of ops  # noqa: F401
from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Size, symbol
from graphc.ir.graph import Graph, Node, Requirement, Update, Value, Weight
from graphc.ir.locations import Location
from graphc.ir.opdef import OPS, Kind, OpDef, Sample, get_op, op
from graphc.ir.types import DType, TensorType, dtype_of, tensor

__all__ = [
    "OPS",
    "Builder",
    "DType",
    "Expr",
    "Graph",
    "Kind",
    "Location",
    "Node",
    "OpDef",
    "Requirement",
    "Sample",
    "Size",
    "TensorType",
    "Update",
    "Value",
    "Weight",
    "dtype_of",
    "get_op",
    "op",
    "parse",
    "symbol",
    "tensor",
]


def parse(text: str) -> Graph:
    """The graph of an IR text; ParseError underlines the place that is malformed."""
    from graphc.ir.parser import parse_graph

    return parse_graph(text)
