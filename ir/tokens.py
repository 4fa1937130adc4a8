"""The words of an IR text, one at a time, with their places.

Line ends mean nothing except that they end a comment (`# ...`) and a location (`@ train.py:8 'hidden'`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from graphc.ir.errors import ParseError

_STRING = r'"(?:[^"\\\n]|\\.)*"'
_NAME = rf"(?:[A-Za-z0-9_][A-Za-z0-9_.]*|{_STRING})"
_KINDS = {
    "space": r"[ \t\r\n]+|\#[^\n]*",
    "location": r"@[ \t][^\n]*",
    "value": rf"%{_NAME}",
    "name": rf"@{_NAME}",
    "number": r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![A-Za-z0-9_.])",
    "word": r"[A-Za-z_][A-Za-z0-9_]*",
    "string": _STRING,
    "path": r"'(?:[^'\\\n]|\\.)*'",
    "sign": r"<-|//|==|[()\[\]{}:,=+\-*%]",
}
_TOKEN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS.items()))


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the text; `kind` is a key of the table above, or "end"."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    def __str__(self) -> str:
        return f"`{self.text}`" if self.kind != "end" else "the end of the text"


class Reader:
    """Walks over the tokens of a text: `here` is the next one."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.here = self._scan(0)

    def _scan(self, at: int) -> Token:
        while True:
            if at >= len(self.source):
                return Token("end", "", len(self.source.rstrip()))
            match = _TOKEN.match(self.source, at)
            if match is None:
                raise self.error("this is not a word of the IR", Token("bad", self.source[at], at))
            if match.lastgroup != "space":
                return Token(str(match.lastgroup), match.group(), at)
            at = match.end()

    def take(self) -> Token:
        """The next token, which is then passed."""
        token = self.here
        if token.kind != "end":
            self.here = self._scan(token.end)
        return token

    def at(self, text: str) -> bool:
        """Whether the next token is this sign or word."""
        return self.here.kind in ("sign", "word") and self.here.text == text

    def accept(self, text: str) -> bool:
        """Pass this sign or word if it is next."""
        found = self.at(text)
        if found:
            self.take()
        return found

    def expect(self, text: str) -> Token:
        """Pass this sign or word, which must be next."""
        if not self.at(text):
            raise self.error(f"expected `{text}`, found {self.here}")
        return self.take()

    def expect_kind(self, kind: str, what: str) -> Token:
        """Pass a token of this kind, which must be next; `what` names it for people."""
        if self.here.kind != kind:
            raise self.error(f"expected {what}, found {self.here}")
        return self.take()

    def error(self, message: str, first: Token | None = None, last: Token | None = None) -> ParseError:
        """The error for the text from `first` (the next token) to the end of `last`."""
        first = first or self.here
        line, column = _place(self.source, first.start)
        width = max(1, (last or first).end - first.start)
        if last is not None and _place(self.source, last.start)[0] != line:
            width = len(first.text)
        return ParseError(message, self.source, line, column, width)


def _place(source: str, offset: int) -> tuple[int, int]:
    lines = (source[:offset] + "|").splitlines()
    return len(lines), len(lines[-1])
