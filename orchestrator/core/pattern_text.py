"""A text that matches a pattern: for samples, and to show what a contract allows.

Reads the part of regular expressions that contracts use (classes, groups, alternatives, counts).
What it cannot read, or what it got wrong, gives None: the text is checked before it is handed out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_REPEATED = 200
_CLASSES = {"d": "1", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r"}
_CANDIDATES = "a1A -_." + "".join(map(chr, range(33, 127))) + "ä"
_COUNT = re.compile(r"\{(\d+)(,(\d*))?\}")


class _UnreadableError(Exception):
    """The pattern uses something that is not read here."""


def text_matching(pattern: str) -> str | None:
    """The simplest text that the pattern matches, or None when none could be made."""
    try:
        text = _Reader(pattern).alternatives()
        return text if re.search(pattern, text) else None
    except (_UnreadableError, re.error, RecursionError, IndexError):
        return None


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def alternatives(self) -> str:
        """The first alternative; the others are passed over."""
        first = self._sequence()
        while self._peek() == "|":
            self.at += 1
            self._sequence()
        return first

    def _sequence(self) -> str:
        parts = []
        while (char := self._peek()) and char not in "|)":
            parts.append(self._repeated(self._atom()))
        return "".join(parts)

    def _atom(self) -> str:
        char = self._next()
        match char:
            case "^" | "$":
                return ""
            case ".":
                return "a"
            case "(":
                return self._group()
            case "[":
                return self._class()
            case "\\":
                return self._escape()
            case "*" | "+" | "?" | "{":
                raise _UnreadableError
            case _:
                return char

    def _group(self) -> str:
        if self._peek() == "?":
            if not self.pattern.startswith("?:", self.at):
                raise _UnreadableError
            self.at += 2
        text = self.alternatives()
        if self._next() != ")":
            raise _UnreadableError
        return text

    def _escape(self) -> str:
        char = self._next()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char in "bB":
            return ""
        if char.isalnum():
            raise _UnreadableError
        return char

    def _class(self) -> str:
        end = self.at + 1 if self._peek() == "^" else self.at
        if self.pattern[end] == "]":
            end += 1  # the first one stands for itself
        while self.pattern[end] != "]":
            end += 2 if self.pattern[end] == "\\" else 1
        written = self.pattern[self.at - 1 : end + 1]
        self.at = end + 1
        allowed = re.compile(written)
        for char in _first_of(written, _CANDIDATES):
            if allowed.fullmatch(char):
                return char
        raise _UnreadableError

    def _repeated(self, text: str) -> str:
        char = self._peek()
        if not char or char not in "*+?{":
            return text
        if char == "{":
            count = _COUNT.match(self.pattern, self.at)
            if count is None:
                raise _UnreadableError
            self.at = count.end()
            least = int(count[1])
        else:
            self.at += 1
            least = 1 if char == "+" else 0
        if self._peek() == "?":
            self.at += 1  # how greedy it is makes no difference
        return text * min(least, MAX_REPEATED)

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _next(self) -> str:
        char = self.pattern[self.at]
        self.at += 1
        return char


def _first_of(written: str, others: str) -> Iterator[str]:
    """What the class itself begins with, then anything common."""
    if written[1:2] not in {"^", "\\", ""}:
        yield written[1]
    yield from others
