"""The syntax tree of a compiled CEL expression, read from the engine's own serialised form.

The engine hands out a compiled expression as `cel.expr.CheckedExpr` (protocol buffers). Reading the
few message types that make up the tree takes less code than a second parser, and cannot disagree
with the engine about precedence or macros. Field numbers: google/cel-spec
`proto/cel/expr/syntax.proto` and `checked.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.core.json import JsonValue


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal; `value` is None for null. `kind` is null, bool, int, double, string or other."""

    position: int
    kind: str
    value: JsonValue


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    position: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`, or with `test_only` the macro `has(operand.field)`."""

    position: int
    operand: Node
    field: str
    test_only: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator (`_+_`, `_&&_`, `_[_]`, `size`); `target` for a method call."""

    position: int
    function: str
    target: Node | None
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list literal."""

    position: int
    elements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map literal."""

    position: int
    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """A loop that the macros all, exists, exists_one, map and filter expand to."""

    position: int
    variable: str
    range: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node


Node = Constant | Name | Select | Call | ListOf | MapOf | Fold


def read_tree(serialized: bytes) -> Node:
    """Return the tree of a serialised compiled expression; positions are offsets in characters."""
    checked = b"".join(value for number, value in _fields(serialized) if number == 2)
    expr, positions = b"", {}
    for number, value in _fields(checked):
        if number == 4:
            expr = value
        elif number == 5:
            positions = _positions(value)
    return _Reader(positions).node(expr)


def children(node: Node) -> tuple[Node, ...]:
    """The direct parts of a node."""
    match node:
        case Select():
            return (node.operand,)
        case Call():
            return (node.target, *node.arguments) if node.target is not None else node.arguments
        case ListOf():
            return node.elements
        case MapOf():
            return tuple(part for entry in node.entries for part in entry)
        case Fold():
            return (node.range, node.start, node.condition, node.step, node.result)
        case Constant() | Name():
            return ()


class _Reader:
    def __init__(self, positions: dict[int, int]) -> None:
        self.positions = positions

    def node(self, raw: bytes) -> Node:
        identity, kind, body = 0, 0, b""
        for number, value in _fields(raw):
            if number == 2:
                identity = _number(value)
            else:
                kind, body = number, value
        position = self.positions.get(identity, 0)
        match kind:
            case 3:
                return _constant(position, body)
            case 4:
                return Name(position, _text(dict(_fields(body)).get(1, b"")))
            case 5:
                return self._select(position, body)
            case 6:
                return self._call(position, body)
            case 7:
                elements = (value for number, value in _fields(body) if number == 1)
                return ListOf(position, tuple(self.node(value) for value in elements))
            case 8:
                entries = (value for number, value in _fields(body) if number == 2)
                return MapOf(position, tuple(self._entry(value) for value in entries))
            case 9:
                return self._fold(position, body)
            case _:
                return Constant(position, "other", None)

    def _select(self, position: int, body: bytes) -> Select:
        parts = dict(_fields(body))
        return Select(
            position,
            self.node(parts.get(1, b"")),
            _text(parts.get(2, b"")),
            bool(_number(parts.get(3, b"\0"))),
        )

    def _call(self, position: int, body: bytes) -> Call:
        function, target, arguments = "", None, []
        for number, value in _fields(body):
            if number == 1:
                target = self.node(value)
            elif number == 2:
                function = _text(value)
            elif number == 3:
                arguments.append(self.node(value))
        return Call(position, function, target, tuple(arguments))

    def _entry(self, body: bytes) -> tuple[Node, Node]:
        parts = dict(_fields(body))
        return self.node(parts.get(3, b"")), self.node(parts.get(4, b""))

    def _fold(self, position: int, body: bytes) -> Fold:
        parts = dict(_fields(body))
        empty = b""
        return Fold(
            position,
            variable=_text(parts.get(1, empty)),
            range=self.node(parts.get(2, empty)),
            accumulator=_text(parts.get(3, empty)),
            start=self.node(parts.get(4, empty)),
            condition=self.node(parts.get(5, empty)),
            step=self.node(parts.get(6, empty)),
            result=self.node(parts.get(7, empty)),
        )


def _constant(position: int, body: bytes) -> Constant:
    for number, value in _fields(body):
        match number:
            case 1:
                return Constant(position, "null", None)
            case 2:
                return Constant(position, "bool", bool(_number(value)))
            case 3:
                whole = _number(value)
                return Constant(position, "int", whole - 2**64 if whole >= 2**63 else whole)
            case 5:
                return Constant(position, "double", float(struct.unpack("<d", value)[0]))
            case 6:
                return Constant(position, "string", _text(value))
            case _:
                return Constant(position, "other", None)
    return Constant(position, "other", None)


def _positions(source_info: bytes) -> dict[int, int]:
    positions: dict[int, int] = {}
    for number, value in _fields(source_info):
        if number == 4:
            entry = dict(_fields(value))
            positions[_number(entry.get(1, b"\0"))] = _number(entry.get(2, b"\0"))
    return positions


def _fields(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of one message: number and raw value (a varint stays encoded)."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        start = at
        match key & 7:
            case 0:
                _, at = _varint(raw, at)
            case 1:
                at += 8
            case 2:
                length, start = _varint(raw, at)
                at = start + length
            case _:
                at += 4
        yield key >> 3, raw[start:at]


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _number(raw: bytes) -> int:
    return _varint(raw, 0)[0]


def _text(raw: bytes) -> str:
    return raw.decode()
