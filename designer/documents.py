"""Definitions as documents: from JSON values, and as JSON or YAML text, each error at its place.

Text is read strictly. JSON: no duplicate keys, no NaN, bounded size and depth. YAML: one document
of plain values in the core schema of YAML 1.2 (`yes` and `12:30` are text), no tags, no anchors or
aliases (a few lines of them can stand for gigabytes), no duplicate keys. What is written is read
back as the same document; positions on the canvas are part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

import yaml

from orchestrator.core.definition import Step, WorkflowDefinition
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import MAX_BYTES, MAX_DEPTH, JsonObject, JsonValue, parse_json
from orchestrator.core.reading import Location, read_document
from orchestrator.core.schemas import pointer

TextFormat: TypeAlias = Literal["json", "yaml"]
FORMATS: Final[tuple[TextFormat, ...]] = get_args(TextFormat)
_Mark: TypeAlias = tuple[int, int]
"""Line and column, both from 1."""
_KINDS: Final = frozenset(
    str(kind.model_fields["kind"].default) for kind in get_args(get_args(Step)[0])
)
_SORTED: Final = ("outcomes", "steps", "links", "positions")


class TextError(InvalidInputError):
    """A text is no definition.

    `detail` has `line` and `column` of the first mistake, and `violations` with those of each.
    """

    code = "invalid_text"


def read_definition(given: WorkflowDefinition | JsonObject) -> WorkflowDefinition:
    """The document as a definition.

    Raises:
        InvalidInputError: it is malformed; `detail["violations"]` has `path` (JSON pointer into the
            document), `rule` and `reason` of each place.
    """
    return read_document(WorkflowDefinition, given, what="definition", place=_place)


def write_text(definition: WorkflowDefinition, form: TextFormat) -> str:
    """The document as text that ends with a newline; the same document gives the same text."""
    document = definition.model_dump(mode="json")
    for part in _SORTED:
        document[part] = dict(sorted(document[part].items()))
    if form == "json":
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, indent=2
    )
    return text


def read_text(text: str, form: TextFormat) -> WorkflowDefinition:
    """The text as a definition.

    Raises:
        TextError: it is no JSON or YAML, or no definition; names line, column and reason.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise _error(f"The text is {size} bytes; at most {MAX_BYTES} are allowed.", (1, 1))
    value, marks = _read_json(text) if form == "json" else _read_yaml(text)
    if not isinstance(value, dict):
        raise _error("A definition is an object with named parts.", (1, 1))
    try:
        return read_definition(value)
    except InvalidInputError as error:
        raise _located(error, marks) from None


def _place(location: Location) -> Location:
    """The location without the step kind that pydantic puts behind a step's id."""
    is_step = len(location) > 2 and location[0] == "steps" and location[2] in _KINDS
    return [*location[:2], *location[3:]] if is_step else location


def _error(reason: str, mark: _Mark, path: str = "", rule: str = "syntax") -> TextError:
    line, column = mark
    violation = {"path": path, "rule": rule, "reason": reason, "line": line, "column": column}
    return TextError(
        f"Line {line}, column {column}: {reason}",
        detail={"line": line, "column": column, "violations": [violation]},
    )


def _located(error: InvalidInputError, marks: Mapping[str, _Mark]) -> TextError:
    """The same error with the line of each place; of an absent one that of what should hold it."""
    violations = error.detail.get("violations")
    if not isinstance(violations, list):
        return _error(error.message, (1, 1))
    found = []
    for one in violations:
        path = str(one["path"])
        while path and path not in marks:
            path = path.rpartition("/")[0]
        line, column = marks.get(path, (1, 1))
        found.append({**one, "line": line, "column": column})
    first = min(found, key=lambda one: (one["line"], one["column"]))
    where = first["path"] or "/"
    return TextError(
        f"Line {first['line']}, column {first['column']}: {where}: {first['reason']}",
        detail={"line": first["line"], "column": first["column"], "violations": found},
    )


# ---- JSON --------------------------------------------------------------------------------------

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)


def _read_json(text: str) -> tuple[JsonValue, dict[str, _Mark]]:
    try:
        json.loads(text)
        marks = _json_marks(text)
        return parse_json(text), marks
    except json.JSONDecodeError as error:
        raise _error(f"This is not JSON: {error.msg}.", (error.lineno, error.colno)) from None
    except RecursionError:
        raise _error(f"The JSON is nested deeper than {MAX_DEPTH} levels.", (1, 1)) from None
    except TextError:
        raise
    except (InvalidInputError, ValueError) as error:
        raise _error(getattr(error, "message", str(error)), (1, 1)) from None


def _json_marks(text: str) -> dict[str, _Mark]:
    """Where each value of a well-formed JSON text begins, by JSON pointer.

    Raises:
        TextError: a key stands twice in one object.
    """
    marks: dict[str, _Mark] = {}
    place: list[str | int] = []
    expects_key: list[bool] = []
    for word, mark in _tokens(text):
        inside_object = bool(expects_key) and expects_key[-1]
        if word in "}]":
            expects_key.pop()
            place.pop()
        elif word == ",":
            if isinstance(place[-1], int):
                place[-1] += 1
            else:
                expects_key[-1] = True
        elif word == ":":
            continue
        elif inside_object:
            place[-1] = json.loads(word)
            path = pointer(place)
            if path in marks:
                raise _error(f"The key {word} stands twice in one object.", mark, path, "twice")
            marks[path] = mark
            expects_key[-1] = False
        else:
            marks.setdefault(pointer(place), mark)
            if word in "{[":
                place.append("" if word == "{" else 0)
                expects_key.append(word == "{")
    return marks


def _tokens(text: str) -> Iterator[tuple[str, _Mark]]:
    line, start = 1, 0
    end = 0
    for match in _TOKEN.finditer(text):
        gap = text.count("\n", end, match.start())
        if gap:
            line, start = line + gap, text.rindex("\n", end, match.start()) + 1
        end = match.end()
        yield match[0], (line, match.start() - start + 1)


# ---- YAML --------------------------------------------------------------------------------------

_CORE: Final = (
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), "~nN\0"),
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
        "-+.0123456789",
    ),
)
"""How plain words are read: the core schema of YAML 1.2, but for octal and hexadecimal numbers."""


class _Loader(yaml.CSafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


class _Dumper(yaml.CSafeDumper):
    """Writes what `_Loader` reads: quotes whatever either schema would take for something else."""

    yaml_implicit_resolvers = {
        key: list(found) for key, found in yaml.CSafeDumper.yaml_implicit_resolvers.items()
    }

    def ignore_aliases(self, _data: object) -> bool:
        """Write everything out."""
        return True


for _tag, _pattern, _first in _CORE:
    for _char in _first:
        _key = "" if _char == "\0" else _char
        _Loader.yaml_implicit_resolvers.setdefault(_key, []).append((_tag, _pattern))
        _Dumper.yaml_implicit_resolvers.setdefault(_key, []).append((_tag, _pattern))


def _write_str(dumper: Any, text: str) -> yaml.ScalarNode:
    """Several lines of text stand as a block where YAML can say them so."""
    style = "|" if "\n" in text else None
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Dumper.add_representer(str, _write_str)


def _read_yaml(text: str) -> tuple[JsonValue, dict[str, _Mark]]:
    try:
        _refuse_sharing(text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _error(f"This is not YAML: {error.problem or error.context}.", at) from None
    except (yaml.YAMLError, ValueError) as error:
        raise _error(f"This is not YAML: {str(error).splitlines()[0]}.", (1, 1)) from None
    marks: dict[str, _Mark] = {}
    return (None if root is None else _value_of(root, [], marks)), marks


def _refuse_sharing(text: str) -> None:
    """Refuse anchors, aliases, tags, further documents and too much depth, before building."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        at = _mark_of(event)
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _error("Only one document is read.", at, rule="document")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _error("Anchors and aliases are not read; write it out.", at, rule="alias")
        if getattr(event, "tag", None):
            raise _error("Tags (!) are not read; write plain values.", at, rule="tag")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                words = f"The YAML is nested deeper than {MAX_DEPTH} levels."
                raise _error(words, at, rule="depth")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _value_of(node: yaml.Node, place: list[str | int], marks: dict[str, _Mark]) -> JsonValue:
    path = pointer(place)
    marks.setdefault(path, _mark_of(node))
    if isinstance(node, yaml.SequenceNode):
        return [_value_of(one, [*place, index], marks) for index, one in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: JsonObject = {}
        for key, value in node.value:
            mark = _mark_of(key)
            if not isinstance(key, yaml.ScalarNode):
                raise _error("A key must be a word.", mark, path, "key")
            here = pointer([*place, key.value])
            if key.value in found:
                reason = f"The key “{key.value}” stands twice."
                raise _error(reason, mark, here, "twice")
            marks[here] = mark
            found[key.value] = _value_of(value, [*place, key.value], marks)
        return found
    return _scalar(node.tag.rpartition(":")[2], node.value)


def _mark_of(part: yaml.Event | yaml.Node) -> _Mark:
    mark = part.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _scalar(kind: str, text: str) -> JsonValue:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text) if len(text) < 40 else float(text)
    return float(text) if kind == "float" else text
