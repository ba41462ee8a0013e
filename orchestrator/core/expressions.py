"""Expressions: CEL behind one module, for conditions, mappings and rule tables.

What the rest of the code may rely on:

* An expression sees named variables only (`input`, `steps`, `context`), has no side effects, ends
  after a bounded number of steps, and is at most 2,000 characters long. Compiled expressions are
  shared between threads.
* A *plain path* (`steps.extract.output.amount`, `input["first name"]`) never reaches the engine: it
  is a walk through the document. When the value is absent, evaluation raises `ExpressionError` with
  code `absent`, and a mapping leaves the field out.
* Numbers behave as people expect: `amount > 1000` and `amount * 1.19` work for whole numbers and
  fractions alike. CEL itself refuses to mix the two in arithmetic; then the expression is evaluated
  once more with all numbers as fractions. Whole numbers divide as whole numbers unless the contract
  of a field says `number` (`CompiledExpression.typed`).
* The value depends on the data alone. The engine goes through an object's fields in an order that
  differs from process to process, so `map` and `filter` are for lists only.
* Every error carries a short code and a sentence for people.

The engine (cel-expr-python 0.1.3) loses a reference to None whenever a null passes through
`value()`, also inside lists and maps, and the process dies of it; `_json_of` therefore asks for the
type first and unpacks element by element. It copies all data that it is given, so only the used
paths are handed over.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeAlias

from cel_expr_python import cel

from orchestrator.core.errors import DomainError
from orchestrator.core.expression_tree import (
    Call,
    Constant,
    Fold,
    ListOf,
    Name,
    Node,
    Select,
    children,
    read_tree,
)
from orchestrator.core.json import JsonObject, JsonValue

MAX_CHARACTERS = 2_000
MAX_RESULT_NODES = 50_000
RUN_VARIABLES = ("input", "steps", "context")

Path = tuple[str, ...]
"""A variable and the fields followed from it: `("steps", "extract", "output", "amount")`."""
NumberTree: TypeAlias = "bool | dict[str, NumberTree]"
"""Where a schema says `number`: True for the value, else by field (`*`: a list's entries)."""

_ARITHMETIC = r"_[-+*/]_|_\?_:_"
_MIXED_NUMBERS = re.compile(rf"'?(?:{_ARITHMETIC})'?(?: applied to ')?\(.*\b(?:int|int64|double)\b")
_PLAIN_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*){0,30}", re.ASCII)
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_KEYWORDS = frozenset(
    {
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import"),
        *("in", "let", "loop", "namespace", "null", "package", "return", "true", "var", "void"),
        "while",
    }
)
_TOKEN = re.compile(
    r"""(?P<text>'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<index>\[\s*\d+\s*\])"
    r"|(?P<other>\d+\.\d*(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+|0x[0-9a-fA-F]+u?|\d+u)"
    r"|(?P<whole>\d+)",
    re.DOTALL,
)
_OPERATOR_WORDS = {
    "_+_": "+",
    "_-_": "-",
    "_*_": "*",
    "_/_": "/",
    "_%_": "%",
    "_<_": "<",
    "_<=_": "<=",
    "_>_": ">",
    "_>=_": ">=",
    "_==_": "==",
    "_!=_": "!=",
    "_&&_": "&&",
    "_||_": "||",
    "!_": "!",
    "-_": "-",
    "@in": "in",
    "_[_]": "[ ]",
    "_?_:_": "? :",
}
_KIND_WORDS = {
    "int": "a whole number",
    "int64": "a whole number",
    "uint": "a whole number",
    "double": "a number",
    "string": "text",
    "bool": "yes or no",
    "list": "a list",
    "map": "an object",
    "null": "empty",
    "null_type": "empty",
    "timestamp": "a point in time",
    "duration": "a length of time",
    "dyn": "a value",
}


class ExpressionError(DomainError):
    """An expression cannot be compiled or has no value.

    `code` is one of syntax, unknown_name, too_long, absent, type, arithmetic, range, budget,
    result.
    """

    code = "invalid_expression"
    status = 422

    def __init__(self, code: str, message: str, *, position: int | None = None) -> None:
        super().__init__(message, detail={"position": position} if position is not None else None)
        self.code = code
        self.position = position


@dataclass(frozen=True, slots=True)
class CompiledExpression:
    """A compiled expression (see `compile_expression`). `plain` is the path of a plain path."""

    text: str
    tree: Node
    plain: Path | None
    used: tuple[Path, ...]
    _program: Any = field(repr=False, compare=False)
    _variables: tuple[str, ...] = field(default=RUN_VARIABLES, repr=False)
    _listed: tuple[Path, ...] = field(default=(), repr=False)
    _numbers: Mapping[Path, NumberTree] = field(default_factory=dict, repr=False, compare=False)

    def paths(self) -> tuple[Path, ...]:
        """Every path that the expression reads, each once, in order of appearance."""
        return self.used

    def evaluate(self, scope: Mapping[str, JsonValue]) -> JsonValue:
        """Return the value as JSON.

        Raises:
            ExpressionError: there is no value; the code says why.
        """
        if self.plain is not None:
            return _follow(scope, self.plain)
        data = self._project(scope)
        for path in self._listed:
            _refuse_objects(scope, path)
        try:
            value = _run(self._program, data)
        except ExpressionError as error:
            if error.code != "mixed":
                raise self._worded(error, scope) from None
            value = self._with_fractions(data, scope)
        return _json_of(value, [0])

    def holds(self, scope: Mapping[str, JsonValue]) -> bool:
        """Evaluate a condition.

        Raises:
            ExpressionError: as `evaluate`, and with code `type` when the value is not yes or no.
        """
        value = self.evaluate(scope)
        if not isinstance(value, bool):
            raise ExpressionError(
                "type", f"The condition '{self.text}' gives {kind_of(value)} instead of yes or no."
            )
        return value

    def typed(self, numbers: Mapping[str, NumberTree]) -> CompiledExpression:
        """The same expression, which treats values as fractions where a contract says `number`.

        `numbers` is by variable; see `number_tree`.
        """
        found: dict[Path, NumberTree] = {}
        for path in self.used:
            tree = numbers_at(numbers, path)
            if tree:
                found[path] = tree
        return replace(self, _numbers=found) if found else self

    def _project(self, scope: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """The part of the scope that the expression reads, with absent things left absent."""
        data: dict[str, JsonValue] = {}
        for path in self.used:
            _copy_path(scope, data, path, self._numbers.get(path, False))
        for name in self._variables:
            data.setdefault(name, {})
        return data

    def _with_fractions(self, data: JsonObject, scope: Mapping[str, JsonValue]) -> Any:
        program = _compile(_fractional(self.text), self._variables)
        try:
            return _run(program, {name: _floats(value) for name, value in data.items()})
        except ExpressionError as error:
            raise self._worded(error, scope) from None

    def _worded(self, error: ExpressionError, scope: Mapping[str, JsonValue]) -> ExpressionError:
        """The error with the place that caused it, where that can be told."""
        if error.code == "absent":
            for path in self.used:
                try:
                    _follow(scope, path)
                except ExpressionError as missing:
                    return missing
        if error.code in {"type", "mixed"}:
            for path in self.used:
                if _is_null(scope, path):
                    return ExpressionError(
                        "type", f"'{path_text(path)}' is empty, so '{self.text}' has no value."
                    )
        code = "type" if error.code == "mixed" else error.code
        return ExpressionError(code, f"'{self.text}' has no value: {error.message}")


def compile_expression(
    text: str, *, variables: tuple[str, ...] = RUN_VARIABLES
) -> CompiledExpression:
    """Compile an expression over the named variables; repeated calls share the result.

    Raises:
        ExpressionError: it is too long, not an expression, or names something unknown.
    """
    return _compiled(text, variables)


def path_text(path: Path) -> str:
    """The path as people write it."""
    return ".".join(part if re.fullmatch(r"\w+", part) else f'["{part}"]' for part in path).replace(
        ".[", "["
    )


def path_expression(path: Path) -> str:
    """The expression that reads a path; fields that are no plain names stand in brackets."""
    return path[0] + "".join(
        f".{part}"
        if _PLAIN_NAME.fullmatch(part) and part not in _KEYWORDS
        else f"[{json.dumps(part, ensure_ascii=False)}]"
        for part in path[1:]
    )


def kind_of(value: JsonValue) -> str:
    """The kind of a value in words."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, (int, float)):
        return "a number"
    return {str: "text", list: "a list", dict: "an object"}[type(value)]


def number_tree(schema: JsonValue, depth: int = 8) -> NumberTree:
    """Where an inlined schema (no references) says `number` and not `integer`."""
    if not isinstance(schema, dict) or depth == 0:
        return False
    stated = schema.get("type")
    if stated == "number" or (isinstance(stated, list) and "number" in stated):
        return True
    parts: JsonObject = {}
    properties = schema.get("properties")
    if isinstance(properties, dict):
        parts.update(properties)
    if "items" in schema:
        parts["*"] = schema["items"]
    trees = {name: number_tree(child, depth - 1) for name, child in parts.items()}
    found: NumberTree = {name: tree for name, tree in trees.items() if tree}
    for keyword in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(keyword)
        for branch in branches if isinstance(branches, list) else ():
            found = _both(found, number_tree(branch, depth - 1))
    return found or False


def numbers_at(numbers: Mapping[str, NumberTree], path: Path) -> NumberTree:
    """Where the value at a path says `number`."""
    return _subtree(numbers.get(path[0], False), path[1:])


def _both(left: NumberTree, right: NumberTree) -> NumberTree:
    if isinstance(left, dict) and isinstance(right, dict):
        return {**left, **right}
    return True if left is True or right is True else left or right


@lru_cache(maxsize=16_384)
def _compiled(text: str, variables: tuple[str, ...]) -> CompiledExpression:
    path = _path_of(text, variables)
    if path is not None:
        tree = _path_tree(path)
        return CompiledExpression(text, tree, path, (path,), None, variables)
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(
            "too_long",
            f"The expression has {len(text)} characters; at most {MAX_CHARACTERS} are allowed.",
        )
    if "\x00" in text:
        raise ExpressionError("syntax", "The expression contains a NUL character.")
    try:
        program = _compile(text, variables)
    except ExpressionError as error:
        if error.code != "mixed":
            raise
        program = _compile(_fractional(text), variables, final=True)
    tree = read_tree(program.serialize())
    used = tuple(dict.fromkeys(_paths(tree, frozenset(variables))))
    return CompiledExpression(
        text=text,
        tree=tree,
        plain=_plain_path(tree, variables),
        used=used,
        _program=program,
        _variables=variables,
        _listed=tuple(_listed_ranges(tree, {name: (name,) for name in variables})),
    )


def _path_of(text: str, variables: tuple[str, ...]) -> Path | None:
    """The path that a text plainly is; what is written in any other way is left to the engine."""
    if len(text) > MAX_CHARACTERS or _PLAIN_PATH.fullmatch(text) is None:
        return None
    path = tuple(text.split("."))
    return path if path[0] in variables and _KEYWORDS.isdisjoint(path) else None


def _path_tree(path: Path) -> Node:
    """The tree that the engine would give for a plain path, positions included."""
    tree: Node = Name(0, path[0])
    position = len(path[0])
    for part in path[1:]:
        tree = Select(position, tree, part, test_only=False)
        position += 1 + len(part)
    return tree


@lru_cache(maxsize=64)
def _environment(variables: tuple[str, ...]) -> Any:
    return cel.NewEnv(variables=dict.fromkeys(variables, cel.Type.DYN))


@lru_cache(maxsize=8_192)
def _compile(text: str, variables: tuple[str, ...], *, final: bool = False) -> Any:
    try:
        return _environment(variables).compile(text)
    except RuntimeError as error:
        raise _compile_error(str(error), text, variables, final=final) from None
    except (UnicodeError, ValueError, TypeError):
        raise ExpressionError(
            "syntax", "The expression contains characters that are not text."
        ) from None


def _compile_error(
    message: str, text: str, variables: tuple[str, ...], *, final: bool
) -> ExpressionError:
    """One sentence for people from the engine's first complaint."""
    found = re.search(r"<input>:(\d+):(\d+): (.*)", message)
    line, column, complaint = (
        (int(found[1]), int(found[2]), found[3]) if found else (1, 1, message.splitlines()[0][:200])
    )
    position = sum(len(part) + 1 for part in text.split("\n")[: line - 1]) + column - 1
    if not final and _MIXED_NUMBERS.search(complaint) and "double" in complaint:
        return ExpressionError("mixed", complaint, position=position)
    if unknown := re.match(r"undeclared reference to '([^']*)'", complaint):
        return ExpressionError(
            "unknown_name",
            f"'{unknown[1]}' is not known. Values start with "
            f"{' or '.join(repr(name) for name in variables)}; text stands in quotes.",
            position=position,
        )
    if overload := re.match(
        r"found no matching overload for '([^']*)' applied to '\((.*)\)'", complaint
    ):
        return ExpressionError("type", _overload_words(overload[1], overload[2]), position=position)
    if complaint.startswith("Syntax error"):
        where = (
            "at its end"
            if position >= len(text.rstrip())
            else f"at '{text[position : position + 20]}'"
        )
        return ExpressionError(
            "syntax",
            f"This is not a complete expression: something is missing or misplaced {where}.",
            position=position,
        )
    return ExpressionError(
        "syntax", f"This expression cannot be used: {complaint}", position=position
    )


def _overload_words(operator: str, kinds: str) -> str:
    words = [
        _KIND_WORDS.get(re.split(r"[(<]", kind.strip())[0].lower(), kind.strip())
        for kind in re.split(r",\s*(?![^(<]*[)>])", kinds)
    ]
    if operator == "_?_:_":
        return (
            "Both results of '? :' must be of one kind, "
            f"but one is {words[-2]} and one {words[-1]}."
        )
    shown = _OPERATOR_WORDS.get(operator, f"{operator}()")
    return f"'{shown}' does not work with {' and '.join(words)}."


def _run(program: Any, data: Mapping[str, JsonValue]) -> Any:
    try:
        value = program.eval(data=data)
    except RuntimeError as error:
        message = str(error)
        if "budget" in message.lower():
            raise ExpressionError(
                "budget", "it needs more than about 10,000 steps; use shorter lists."
            ) from None
        raise _run_error(message) from None
    except (TypeError, ValueError, OverflowError, UnicodeError) as error:
        raise ExpressionError("type", f"a value cannot be used here ({error}).") from None
    if value.type() == cel.Type.ERROR:
        raise _run_error(str(value.value()))
    return value


def _run_error(message: str) -> ExpressionError:
    """The engine's run time complaint, sorted and worded."""
    if "Key not found" in message or "no such key" in message or "no_such_field" in message:
        return ExpressionError("absent", "a field that it reads is missing.")
    if "Index error" in message or "index out of" in message.lower():
        return ExpressionError("absent", "a list is shorter than the index that is asked for.")
    if _MIXED_NUMBERS.search(message) and "double" in message and "int64" in message:
        return ExpressionError("mixed", "whole numbers and fractions are mixed.")
    if "divide by zero" in message or "modulus by zero" in message:
        return ExpressionError("arithmetic", "it divides by zero.")
    if "overflow" in message:
        return ExpressionError("range", "a number becomes too large.")
    if found := re.search(r"No matching overloads found : (\S+?)\((.*)\)", message):
        return ExpressionError("type", _overload_words(found[1], found[2]))
    if "SELECT" in message:
        return ExpressionError("type", "a field is read from something that is not an object.")
    if "cannot convert" in message or "Failed to parse" in message:
        return ExpressionError("type", "a value cannot be converted to the kind that is asked for.")
    if "budget" in message.lower():
        return ExpressionError(
            "budget", "it needs more than about 10,000 steps; use shorter lists."
        )
    return ExpressionError("type", f"{message.partition(': ')[2] or message}.")


def _json_of(value: Any, count: list[int]) -> JsonValue:
    """Unpack an engine value; nulls are recognised by type and never unpacked."""
    count[0] += 1
    if count[0] > MAX_RESULT_NODES:
        raise ExpressionError("result", "The result of the expression is too large.")
    kind = value.type().name().partition("<")[0]
    if kind == "NULL":
        return None
    if kind == "LIST":
        return [_json_of(item, count) for item in value.value()]
    if kind == "MAP":
        entries = {_key(key): item for key, item in value.value().items()}
        return {key: _json_of(entries[key], count) for key in sorted(entries)}
    return _scalar(kind, value)


def _scalar(kind: str, value: Any) -> JsonValue:
    match kind:
        case "BOOL" | "STRING":
            plain: bool | str = value.value()
            return plain
        case "INT" | "UINT":
            whole = int(value.value())
            if abs(whole) >= 2**53:
                raise ExpressionError("range", "The result is too large to be an exact number.")
            return whole
        case "DOUBLE":
            number = float(value.value())
            if number != number or number in (float("inf"), float("-inf")):
                raise ExpressionError("arithmetic", "The result is not a number.")
            if abs(number) >= 2**53:
                raise ExpressionError("range", "The result is too large to be an exact number.")
            return number
        case "TIMESTAMP":
            instant: datetime.datetime = value.value()
            return instant.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
        case "DURATION":
            length: datetime.timedelta = value.value()
            return length.total_seconds()
        case _:
            raise ExpressionError("result", f"The result has no JSON form ({kind}).")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise ExpressionError("result", "The names of an object's fields must be text.")
    return key


def _follow(scope: Mapping[str, JsonValue], path: Path) -> JsonValue:
    node: JsonValue = scope.get(path[0], {})
    for length, part in enumerate(path[1:], 1):
        if not isinstance(node, dict):
            raise ExpressionError(
                "absent" if node is None else "type",
                f"'{path_text(path)}' has no value: "
                f"'{path_text(path[:length])}' is {kind_of(node)}.",
            )
        if part not in node:
            raise ExpressionError("absent", f"'{path_text(path[: length + 1])}' has no value.")
        node = node[part]
    return node


def _is_null(scope: Mapping[str, JsonValue], path: Path) -> bool:
    try:
        return _follow(scope, path) is None
    except ExpressionError:
        return False


def _copy_path(
    scope: Mapping[str, JsonValue], data: dict[str, JsonValue], path: Path, tree: NumberTree
) -> None:
    """Copy what stands on a path; a path that another one passes through must not overwrite it."""
    source: JsonValue = dict(scope)
    target = data
    for index, part in enumerate(path):
        if not isinstance(source, dict) or part not in source:
            return
        source = source[part]
        if index == len(path) - 1 or not isinstance(source, dict):
            target[part] = _cast(source, tree) if tree else source
            return
        inner = target.get(part)
        if inner is source:
            return  # the whole value is there already
        target[part] = inner = inner if isinstance(inner, dict) else {}
        target = inner


def _cast(value: JsonValue, tree: NumberTree) -> JsonValue:
    if tree is True:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(tree, dict) and isinstance(value, dict):
        return {key: _cast(item, tree[key]) if key in tree else item for key, item in value.items()}
    if isinstance(tree, dict) and isinstance(value, list) and "*" in tree:
        return [_cast(item, tree["*"]) for item in value]
    return value


def _subtree(tree: NumberTree, path: Path) -> NumberTree:
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return tree


def _floats(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _fractional(text: str) -> str:
    """The expression with its whole-number literals written as fractions (but for indexes)."""
    return _TOKEN.sub(lambda token: token[0] + ".0" if token["whole"] else token[0], text)


def _plain_path(tree: Node, variables: tuple[str, ...]) -> Path | None:
    path = _chain(tree)
    return path if path is not None and path[0] in variables else None


def _chain(node: Node) -> Path | None:
    """The path that a node spells, if it is nothing but one."""
    match node:
        case Name():
            return (node.name,)
        case Select(test_only=False):
            inner = _chain(node.operand)
            return None if inner is None else (*inner, node.field)
        case Call(function="_[_]", arguments=(operand, Constant(kind="string", value=str(key)))):
            inner = _chain(operand)
            return None if inner is None else (*inner, key)
        case _:
            return None


def _paths(node: Node, visible: frozenset[str]) -> Iterator[Path]:
    """Maximal paths from visible variables; a loop variable hides a variable of the same name."""
    if isinstance(node, Select) and node.test_only:
        inner = _chain(node.operand)
        if inner is not None and inner[0] in visible:
            yield (*inner, node.field)
            return
    path = _chain(node)
    if path is not None:
        if path[0] in visible:
            yield path
        return
    if isinstance(node, Fold):
        yield from _paths(node.range, visible)
        hidden = visible - {node.variable, node.accumulator}
        for part in (node.start, node.condition, node.step, node.result):
            yield from _paths(part, hidden)
        return
    for child in children(node):
        yield from _paths(child, visible)


def _listed_ranges(node: Node, names: Mapping[str, Path]) -> Iterator[Path]:
    """Where the lists stand that `map` and `filter` go through; `*` is every entry of a list.

    Raises:
        ExpressionError: what is gone through is neither in the data nor certain to be a list.
    """
    if not isinstance(node, Fold):
        for child in children(node):
            yield from _listed_ranges(child, names)
        return
    chain = _chain(node.range)
    place = (*names[chain[0]], *chain[1:]) if chain is not None and chain[0] in names else None
    builds_list = isinstance(node.start, ListOf)
    if builds_list and place is not None:
        yield place
    elif builds_list and not isinstance(node.range, (ListOf, Fold)):
        raise ExpressionError(
            "type",
            "Only a list from the data can be gone through with map or filter.",
            position=node.position,
        )
    yield from _listed_ranges(node.range, names)
    inner = {name: path for name, path in names.items() if name != node.variable}
    if place is not None:
        inner[node.variable] = (*place, "*")
    for part in (node.condition, node.step):
        yield from _listed_ranges(part, inner)


def _refuse_objects(scope: Mapping[str, JsonValue], path: Path) -> None:
    """Refuse objects where a list must stand (their fields have no order)."""
    nodes: list[JsonValue] = [dict(scope)]
    for part in path:
        if part == "*":
            nodes = [item for node in nodes if isinstance(node, list) for item in node]
        else:
            nodes = [node[part] for node in nodes if isinstance(node, dict) and part in node]
    if any(isinstance(node, dict) for node in nodes):
        raise ExpressionError(
            "type", f"'{path_text(path)}' is an object; only a list can be gone through."
        )
