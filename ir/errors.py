"""Every error that graphc raises on purpose.

Each class derives from `GraphcError` and from the built-in exception that a caller would catch anyway.
"""

from __future__ import annotations


class GraphcError(Exception):
    """Base of all errors of graphc."""


class ShapeError(GraphcError, ValueError):
    """Shapes that do not fit together."""


class DTypeError(GraphcError, TypeError):
    """An element type that an operation does not take."""


class ArgumentError(GraphcError, ValueError):
    """An argument whose value is not one of those that are possible."""


class StructureError(GraphcError, ValueError):
    """A graph of layers that is not connected as it was meant to be."""


class TraceError(GraphcError, TypeError):
    """A symbolic value used where a number is needed, or outside the function that was being traced."""


class AttributeMissingError(GraphcError, AttributeError):
    """An attribute that a layer or a symbolic tensor does not have."""


class GradientError(GraphcError, TypeError):
    """A function that has no gradient, or a result that can't be differentiated."""


class StateError(GraphcError, RuntimeError):
    """An object used before it is ready: a model before it is built or compiled."""


class ParseError(GraphcError, ValueError):
    """Malformed IR text; the message underlines the place."""

    def __init__(self, message: str, source: str, line: int, column: int, width: int = 1) -> None:
        self.line, self.column = line, column
        text = source.splitlines()[line - 1] if 0 < line <= len(source.splitlines()) else ""
        marker = " " * (column - 1) + "^" * max(1, width)
        super().__init__(f"{message}\n  line {line}, column {column}\n    {text}\n    {marker}")


class VerifyError(GraphcError, ValueError):
    """A graph that breaks a rule of the IR; the message underlines the offending line of its text."""


class NumericsError(GraphcError, ArithmeticError):
    """A NaN found by check="nan", or a difference found by check="reference"."""


class IndexRangeError(GraphcError, IndexError):
    """An index or label out of range, found while running."""


class CompileError(GraphcError, RuntimeError):
    """Code generation failed."""


class FileFormatError(GraphcError, ValueError):
    """A file that is damaged or not of the expected kind."""


class MissingPackageError(GraphcError, ImportError):
    """A package is needed that is not installed."""
