"""Design-time types of expressions: what an expression gives, and what is wrong with it.

The type of a part of an expression is a JSON Schema without references (`schemas.inline`), plus
whether the value may be absent. So the result can be compared with a consumer's contract directly,
and every rule of a contract that matters to people (required, enum, null) is known here without a
second type system.

Findings are cautious: an *error* is something that fails whenever it is evaluated (an unknown
field, text compared with a number), a *warning* something that fails or surprises for values that
the contracts allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.core.expression_tree import (
    Call,
    Constant,
    Fold,
    ListOf,
    MapOf,
    Name,
    Node,
    Select,
    children,
)
from orchestrator.core.expressions import (
    ExpressionError,
    compile_expression,
    path_text,
)
from orchestrator.core.json import JsonObject, JsonValue

ALL_KINDS = frozenset({"null", "boolean", "number", "string", "array", "object"})
_NUMERIC = frozenset({"number"})
_KIND_WORDS = {
    "null": "empty",
    "boolean": "yes or no",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "an object",
}
_COMPARISONS = {"_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
_EQUALITIES = {"_==_": "==", "_!=_": "!="}
_ARITHMETIC = {"_+_": "+", "_-_": "-", "_*_": "*", "_/_": "/", "_%_": "%"}
_RESULTS: dict[str, JsonObject] = {
    "size": {"type": "integer"},
    "int": {"type": "integer"},
    "uint": {"type": "integer"},
    "double": {"type": "number"},
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "contains": {"type": "boolean"},
    "startsWith": {"type": "boolean"},
    "endsWith": {"type": "boolean"},
    "matches": {"type": "boolean"},
    "@in": {"type": "boolean"},
    "@not_strictly_false": {"type": "boolean"},
    "timestamp": {"type": "string", "format": "date-time"},
    "duration": {"type": "number"},
}
_BOOLEAN: JsonObject = {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class ExpressionFinding:
    """One thing that is wrong, or may be. `path` is the value it is about, `position` its place."""

    severity: Literal["error", "warning"]
    code: str
    message: str
    position: int | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class ExpressionType:
    """What an expression gives: a schema without references, and whether it may have no value.

    `findings` tell what is wrong; with an error among them the schema says nothing.
    """

    schema: JsonObject = field(default_factory=dict)
    may_be_absent: bool = False
    findings: tuple[ExpressionFinding, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of JSON values that it may be (integers count as numbers)."""
        return kinds_of(self.schema)

    @property
    def has_errors(self) -> bool:
        """Whether anything is wrong for certain."""
        return any(finding.severity == "error" for finding in self.findings)


def check_expression(
    text: str, variables: Mapping[str, JsonObject], *, is_condition: bool = False
) -> ExpressionType:
    """Type an expression against the schemas of its variables (inlined, see `schemas.inline`).

    `is_condition` demands that it gives yes or no. Never raises for a bad expression.
    """
    try:
        compiled = compile_expression(text, variables=tuple(variables))
    except ExpressionError as error:
        finding = ExpressionFinding("error", error.code, error.message, error.position)
        return ExpressionType(findings=(finding,))
    checker = _Checker(text)
    given = checker.type_of(
        compiled.tree, {name: _Typed(schema) for name, schema in variables.items()}
    )
    findings = list(dict.fromkeys(checker.findings))
    if is_condition and "boolean" not in kinds_of(given.schema):
        findings.append(
            ExpressionFinding(
                "error",
                "not_a_condition",
                f"A condition must give yes or no; '{text}' gives {kinds_text(given.schema)}.",
            )
        )
    is_guarded = compiled.plain is None and any(
        isinstance(part, Select) and part.test_only for part in _nodes(compiled.tree)
    )
    return ExpressionType(given.schema, given.may_be_absent and not is_guarded, tuple(findings))


def kinds_of(schema: JsonValue, depth: int = 12) -> frozenset[str]:
    """The kinds of values that a schema may allow."""
    if schema is False or depth == 0:
        return frozenset()
    if not isinstance(schema, dict):
        return ALL_KINDS
    kinds = ALL_KINDS
    stated = schema.get("type")
    if isinstance(stated, str):
        kinds = frozenset({_kind_of_type(stated)})
    elif isinstance(stated, list):
        kinds = frozenset(_kind_of_type(str(item)) for item in stated)
    if "const" in schema:
        kinds &= {_kind_of_value(schema["const"])}
    options = schema.get("enum")
    if isinstance(options, list):
        kinds &= {_kind_of_value(option) for option in options}
    for keyword in ("anyOf", "oneOf"):
        branches = schema.get(keyword)
        if isinstance(branches, list):
            kinds &= frozenset().union(*(kinds_of(branch, depth - 1) for branch in branches))
    parts = schema.get("allOf")
    for part in parts if isinstance(parts, list) else ():
        kinds &= kinds_of(part, depth - 1)
    return kinds


def entry_of(schema: JsonValue, depth: int = 12) -> JsonObject:
    """The schema of a list's entries; empty when nothing is said of them."""
    if not isinstance(schema, dict) or depth == 0:
        return {}
    items = schema.get("items")
    if isinstance(items, dict):
        return items
    for keyword in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(keyword)
        if isinstance(branches, list):
            lists = [
                entry_of(branch, depth - 1) for branch in branches if "array" in kinds_of(branch)
            ]
            if lists:
                return union_of(*lists)
    return {}


def kinds_text(schema: JsonValue) -> str:
    """The kinds of a schema in words."""
    kinds = kinds_of(schema)
    if kinds == ALL_KINDS:
        return "anything"
    return " or ".join(sorted(_KIND_WORDS[kind] for kind in kinds)) or "nothing"


def union_of(*schemas: JsonObject) -> JsonObject:
    """A schema that allows what any of them allows."""
    if any(not schema for schema in schemas):
        return {}
    different: list[JsonValue] = []
    for schema in schemas:
        if schema not in different:
            different.append(schema)
    if len(different) == 1 and isinstance(different[0], dict):
        return different[0]
    return {"anyOf": different}


@dataclass(frozen=True, slots=True)
class _Typed:
    """The type of one node. `path` is set while the node is a plain path."""

    schema: JsonObject
    may_be_absent: bool = False
    path: tuple[str, ...] | None = None


_ANYTHING = _Typed({})


class _Checker:
    def __init__(self, text: str) -> None:
        self.text = text
        self.findings: list[ExpressionFinding] = []

    def error(self, code: str, message: str, node: Node, path: str = "") -> None:
        """Note something that is wrong for certain."""
        self.findings.append(ExpressionFinding("error", code, message, node.position, path))

    def warn(self, code: str, message: str, node: Node, path: str = "") -> None:
        """Note something that may go wrong."""
        self.findings.append(ExpressionFinding("warning", code, message, node.position, path))

    def type_of(self, node: Node, names: Mapping[str, _Typed]) -> _Typed:
        """The type of a node, noting what is wrong inside it."""
        match node:
            case Constant():
                return _Typed(_constant_schema(node))
            case Name():
                known = names.get(node.name, _ANYTHING)
                return _Typed(known.schema, known.may_be_absent, known.path or (node.name,))
            case Select():
                return self._select(node, names)
            case ListOf():
                parts = [self.type_of(element, names).schema for element in node.elements]
                items = union_of(*parts) if parts else False
                count = len(parts)
                return _Typed(
                    {"type": "array", "items": items, "minItems": count, "maxItems": count}
                )
            case MapOf():
                return self._map(node, names)
            case Fold():
                return self._fold(node, names)
            case Call():
                return self._call(node, names)

    # ---- paths -------------------------------------------------------------------------------

    def _select(self, node: Select, names: Mapping[str, _Typed]) -> _Typed:
        operand = self.type_of(node.operand, names)
        if node.test_only:
            self._member(operand, node.field, node)
            return _Typed(_BOOLEAN)
        return self._member(operand, node.field, node)

    def _member(self, operand: _Typed, name: str, node: Node) -> _Typed:
        path = (*operand.path, name) if operand.path is not None else None
        kinds = kinds_of(operand.schema)
        if kinds and "object" not in kinds:
            shown = path_text(path) if path else name
            self.error(
                "no_fields",
                f"'{shown}' cannot be read: what stands before '.{name}' is "
                f"{kinds_text(operand.schema)}, not an object.",
                node,
                shown,
            )
            return _ANYTHING
        found = member(operand.schema, name)
        if found is None:
            shown = path_text(path) if path else name
            self.error("unknown_field", self._unknown(operand, name, shown), node, shown)
            return _ANYTHING
        schema, is_required = found
        may_be_absent = operand.may_be_absent or not is_required or kinds != {"object"}
        return _Typed(schema, may_be_absent, path)

    def _unknown(self, operand: _Typed, name: str, shown: str) -> str:
        known = sorted(field_names(operand.schema))
        nearest = _nearest(name, known)
        hint = f" Did you mean '{nearest}'?" if nearest else ""
        if not hint and known:
            hint = f" Known are: {', '.join(known[:12])}."
        return f"'{shown}' does not exist.{hint}"

    def _map(self, node: MapOf, names: Mapping[str, _Typed]) -> _Typed:
        properties: JsonObject = {}
        for key, value in node.entries:
            typed = self.type_of(value, names)
            if isinstance(key, Constant) and isinstance(key.value, str):
                properties[key.value] = typed.schema
            else:
                self.type_of(key, names)
                return _Typed({"type": "object"})
        return _Typed(
            {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            }
        )

    def _fold(self, node: Fold, names: Mapping[str, _Typed]) -> _Typed:
        over = self.type_of(node.range, names)
        kinds = kinds_of(over.schema)
        allowed = {"array"} if isinstance(node.start, ListOf) else {"array", "object"}
        if not kinds & allowed:
            self.error(
                "not_a_list",
                f"Only lists can be gone through, not {kinds_text(over.schema)}.",
                node,
            )
        item = _Typed(entry_of(over.schema)) if "array" in kinds else _Typed({"type": "string"})
        inner = {**names, node.variable: item, node.accumulator: _ANYTHING}
        self.type_of(node.condition, inner)
        self.type_of(node.step, inner)
        if not isinstance(node.start, ListOf):
            return _Typed(_BOOLEAN)
        collected = _collected(node.step)
        quiet = _Checker(self.text)
        entry = quiet.type_of(collected, inner).schema if collected is not None else {}
        return _Typed({"type": "array", "items": entry})

    # ---- calls -------------------------------------------------------------------------------

    def _call(self, node: Call, names: Mapping[str, _Typed]) -> _Typed:
        parts = ((node.target,) if node.target is not None else ()) + node.arguments
        given = [self.type_of(part, names) for part in parts]
        if node.function == "_[_]":
            return self._index(node, given)
        result = self._result(node, given)
        return _Typed(result.schema, any(part.may_be_absent for part in given))

    def _result(self, node: Call, given: list[_Typed]) -> _Typed:
        if node.function == "_?_:_":
            self._wants(node, given[0], "boolean", "? :")
            return _Typed(union_of(given[1].schema, given[2].schema))
        if node.function in {"_&&_", "_||_", "!_"}:
            sign = {"_&&_": "&&", "_||_": "||", "!_": "!"}[node.function]
            for part in given:
                self._wants(node, part, "boolean", sign)
            return _Typed(_BOOLEAN)
        if node.function in _EQUALITIES:
            self._equality(node, given[0], given[1])
            return _Typed(_BOOLEAN)
        if node.function in _COMPARISONS:
            self._comparison(node, given[0], given[1])
            return _Typed(_BOOLEAN)
        if node.function in _ARITHMETIC or node.function == "-_":
            return self._arithmetic(node, given)
        if node.function == "dyn":
            return _Typed({})
        return _Typed(_RESULTS.get(node.function, {}))

    def _wants(self, node: Call, part: _Typed, kind: str, sign: str) -> None:
        kinds = kinds_of(part.schema)
        if kinds and kind not in kinds:
            self.error(
                "wrong_kind",
                f"'{sign}' needs {_KIND_WORDS[kind]}, but is given {kinds_text(part.schema)}.",
                node,
            )

    def _index(self, node: Call, given: list[_Typed]) -> _Typed:
        operand, key = given[0], node.arguments[-1]
        if isinstance(key, Constant) and isinstance(key.value, str):
            return self._member(operand, key.value, node)
        kinds = kinds_of(operand.schema)
        if "array" in kinds:
            return _Typed(entry_of(operand.schema), may_be_absent=True)
        return _Typed({}, may_be_absent=True)

    def _equality(self, node: Call, left: _Typed, right: _Typed) -> None:
        left_kinds, right_kinds = kinds_of(left.schema), kinds_of(right.schema)
        sign = _EQUALITIES[node.function]
        if not left_kinds & right_kinds:
            self.error(
                "never_equal",
                f"'{sign}' compares {kinds_text(left.schema)} with {kinds_text(right.schema)}, "
                "which are never equal.",
                node,
            )
            return
        for options, constant in ((left, right), (right, left)):
            listed, value = _options(options.schema), constant.schema.get("const")
            if listed and isinstance(value, str) and value not in listed:
                shown = path_text(options.path) if options.path else "this value"
                self.error(
                    "never_equal",
                    f"'{shown}' is never '{value}'. It is one of "
                    f"{', '.join(repr(option) for option in listed[:12])}.",
                    node,
                    shown,
                )

    def _comparison(self, node: Call, left: _Typed, right: _Typed) -> None:
        comparable = frozenset({"number", "string", "boolean"})
        left_kinds, right_kinds = kinds_of(left.schema), kinds_of(right.schema)
        sign = _COMPARISONS[node.function]
        if not left_kinds & right_kinds & comparable:
            self.error(
                "wrong_kind",
                f"'{sign}' cannot compare {kinds_text(left.schema)} "
                f"with {kinds_text(right.schema)}.",
                node,
            )
            return
        self._warn_of_null(node, sign, left, right)

    def _arithmetic(self, node: Call, given: list[_Typed]) -> _Typed:
        sign = _ARITHMETIC.get(node.function, "-")
        allowed = {"number", "string", "array"} if sign == "+" else {"number"}
        kinds = frozenset(allowed).intersection(*(kinds_of(part.schema) for part in given))
        if not kinds:
            if any(part.schema.get("format") == "date-time" for part in given):
                return _ANYTHING  # points and lengths of time
            words = " and ".join(kinds_text(part.schema) for part in given)
            self.error("wrong_kind", f"'{sign}' does not work with {words}.", node)
            return _ANYTHING
        self._warn_of_null(node, sign, *given)
        if kinds == {"number"}:
            is_whole = all(part.schema.get("type") == "integer" for part in given)
            return _Typed({"type": "integer"} if is_whole else {"type": "number"})
        if len(kinds) > 1:
            return _ANYTHING
        return _Typed({"type": "string"} if kinds == {"string"} else {"type": "array"})

    def _warn_of_null(self, node: Call, sign: str, *parts: _Typed) -> None:
        for part in parts:
            kinds = kinds_of(part.schema)
            if part.path is not None and "null" in kinds and kinds != ALL_KINDS:
                shown = path_text(part.path)
                self.warn(
                    "may_be_empty", f"'{shown}' may be empty, and then '{sign}' fails.", node, shown
                )


def member(schema: JsonValue, name: str, depth: int = 12) -> tuple[JsonObject, bool] | None:
    """The schema of an object's field and whether it is always there; None when it cannot exist.

    Where a contract declares fields, others count as unknown unless it says `additionalProperties`.
    """
    if not isinstance(schema, dict) or depth == 0:
        return ({}, False)
    found: list[tuple[JsonObject, bool]] = []
    closed = False
    properties = schema.get("properties")
    required = schema.get("required")
    is_required = isinstance(required, list) and name in required
    if isinstance(properties, dict) and name in properties:
        child = properties[name]
        found.append((child if isinstance(child, dict) else {}, is_required))
    elif isinstance(extra := schema.get("additionalProperties"), dict) or extra is True:
        found.append((extra if isinstance(extra, dict) else {}, is_required))
    elif properties or schema.get("additionalProperties") is False:
        closed = True
    parts = schema.get("allOf")
    for part in parts if isinstance(parts, list) else ():
        inner = member(part, name, depth - 1)
        if inner is not None and (inner[0] or inner[1]):
            found.append(inner)
    for keyword in ("anyOf", "oneOf"):
        alternatives = _alternatives(schema.get(keyword), name, depth)
        if alternatives is not None:
            found.extend(alternatives)
            closed = closed or not alternatives
    if found:
        return union_of(*(part for part, _ in found)), any(sure for _, sure in found)
    return None if closed else ({}, False)


def field_names(schema: JsonValue, depth: int = 12) -> set[str]:
    """The fields that a schema declares."""
    if not isinstance(schema, dict) or depth == 0:
        return set()
    properties = schema.get("properties")
    names = set(properties) if isinstance(properties, dict) else set()
    for keyword in ("allOf", "anyOf", "oneOf"):
        branches = schema.get(keyword)
        for branch in branches if isinstance(branches, list) else ():
            names |= field_names(branch, depth - 1)
    return names


def _alternatives(
    branches: JsonValue, name: str, depth: int
) -> list[tuple[JsonObject, bool]] | None:
    if not isinstance(branches, list):
        return None
    objects = [branch for branch in branches if "object" in kinds_of(branch)]
    inner = [member(branch, name, depth - 1) for branch in objects]
    known = [item for item in inner if item is not None]
    if not known:
        return []
    sure = len(known) == len(branches) and all(is_sure for _, is_sure in known)
    return [(union_of(*(schema for schema, _ in known)), sure)]


def _constant_schema(node: Constant) -> JsonObject:
    match node.kind:
        case "int":
            return {"type": "integer", "const": node.value}
        case "double":
            return {"type": "number", "const": node.value}
        case "string":
            return {"type": "string", "const": node.value}
        case "bool":
            return {"type": "boolean"}
        case "null":
            return {"type": "null"}
        case _:
            return {}


def _options(schema: JsonObject) -> list[str]:
    """The texts that a value can only be, when the contract lists them."""
    listed = schema.get("enum")
    if isinstance(listed, list) and all(isinstance(option, str) for option in listed):
        return [str(option) for option in listed]
    return []


def _collected(step: Node) -> Node | None:
    """What a map or filter adds per entry: the element of `@result + [element]`."""
    match step:
        case Call(function="_+_", arguments=(_, ListOf(elements=(element,)))):
            return element
        case Call(function="_?_:_", arguments=(_, taken, _)):
            return _collected(taken)
        case _:
            return None


def _kind_of_type(name: str) -> str:
    return "number" if name == "integer" else name


def _kind_of_value(value: JsonValue) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "string", list: "array", dict: "object"}[type(value)]


def _nearest(name: str, known: list[str]) -> str | None:
    """The known name that a person most likely meant: at most two edits away."""
    best = min(known, key=lambda other: _distance(name, other), default=None)
    return best if best is not None and _distance(name, best) <= max(1, len(name) // 4) else None


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from _nodes(child)


def _distance(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
