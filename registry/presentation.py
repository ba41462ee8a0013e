"""How contracts and configurations are put into words for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.agents import FUNCTIONS
from orchestrator.agents.llm import LlmConfig
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.schemas import SchemaError, lookup
from registry.manifest import AgentManifest, FunctionConfig, HttpConfig, RulesConfig
from registry.models import AgentVersion

MAX_DEPTH = 4
MAX_CHOICES = 6

KIND_WORDS: Mapping[str, str] = {
    "function": "Function",
    "rules": "Decision table",
    "template": "Text template",
    "http": "HTTP service",
    "llm": "Language model",
}
KIND_ICONS: Mapping[str, str] = {
    "function": "tool",
    "rules": "table",
    "template": "file",
    "http": "globe",
    "llm": "chat",
}
SIDE_EFFECTS: Mapping[str, tuple[str, str, str]] = {
    "none": ("fits", "idle", "No side effect"),
    "read": ("fits", "idle", "Reads only"),
    "write": ("caution", "caution", "Changes things outside"),
    "irreversible": ("caution", "bad", "Cannot be undone"),
}
EFFECTS: Mapping[str, str] = {
    "idempotent": "May be called again with the same key",
    "once": "Never called again by itself after an unclear outcome",
}
_SIMPLE: Mapping[str, str] = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "yes or no",
    "object": "object",
    "array": "list",
    "null": "empty",
}
_FORMATS: Mapping[str, str] = {
    "date": "date",
    "date-time": "date and time",
    "email": "e-mail address",
    "uuid": "id",
    "uri": "web address",
}
_TYPE_WORDS: Mapping[str, str] = {
    "Money": "money",
    "Artefact": "file",
    "Sources": "places where it was read",
    "Place": "place in a document",
    "Date": "date",
    "Instant": "date and time",
    "Currency": "currency",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a contract's table. `path` is dotted, `[]` stands for each item of a list."""

    path: str
    words: str
    is_required: bool
    data_class: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class NoValue:
    """A way in which an agent says why there is no value."""

    result: str
    reason: str


def fields_of(schema: JsonObject) -> list[Field]:
    """The fields of a contract in its own order, nested objects spread out."""
    return list(_fields(schema, schema, "", 0))


def words_of(schema: JsonValue, root: JsonObject, depth: int = 0) -> str:
    """What a value is, in a few words: `text`, `list of money, 1 to 12`, `one of paid, refused`."""
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return "anything"
    ref = schema.get("$ref")
    if isinstance(ref, str):
        return _ref_words(ref, root, depth + 1)
    if "const" in schema:
        return _shown(schema["const"])
    choices = schema.get("enum")
    if isinstance(choices, list):
        return _choice_words(choices)
    for keyword in ("anyOf", "oneOf"):
        options = schema.get(keyword)
        if isinstance(options, list):
            return " or ".join(dict.fromkeys(words_of(one, root, depth + 1) for one in options))
    kinds = schema.get("type")
    names = kinds if isinstance(kinds, list) else [kinds]
    return " or ".join(_kind_words(str(name), schema, root, depth + 1) for name in names)


def no_values_of(manifest: AgentManifest) -> list[NoValue]:
    """The ways to say "no value" that stand in the manifest itself (tables and services)."""
    found: list[NoValue] = []
    match manifest.config:
        case HttpConfig(responses=responses):
            found = [
                NoValue(one.result, one.reason or "")
                for _, one in sorted(responses.items())
                if one.result != "value"
            ]
        case RulesConfig(rows=rows, otherwise=otherwise):
            answers = [*rows, *([otherwise] if otherwise else [])]
            found = [NoValue(one.result, one.reason or "") for one in answers]
            if otherwise is None:
                found.append(NoValue("not_found", "No row of the table applies."))
        case _:
            pass
    return list(dict.fromkeys(one for one in found if one.result != "value"))


def reached_by(manifest: AgentManifest) -> tuple[str, str]:
    """How the agent is called: a sentence and, where there is one, the technical name."""
    match manifest.config:
        case FunctionConfig(function=name):
            function = FUNCTIONS.get(name)
            return (function.title if function else "A function that is not installed here", name)
        case HttpConfig() as config:
            return (f"Service {config.endpoint}", f"{config.method} {config.path}")
        case LlmConfig(route=route):
            return (f"The model of the route '{route}'", "")
        case RulesConfig() as table:
            return (f"Table {table.id}, version {table.version}", "")
        case _:
            return ("Fills a text with named values", "")


def badges_of(versions: Iterable[AgentVersion]) -> list[tuple[str, str]]:
    """Status and words of the versions that matter in a list: at most three, newest first."""
    kept = [one for one in versions if one.status not in {"deprecated", "retired"}]
    shown = kept or list(versions)[:1]
    return [(one.status, f"v{one.number} {one.get_status_display().lower()}") for one in shown[:3]]


def pretty(value: JsonValue) -> str:
    """JSON for reading."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _fields(schema: JsonValue, root: JsonObject, path: str, depth: int) -> Iterator[Field]:
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties")
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    for name, child in _in_order(properties, schema.get("x-order")):
        here = f"{path}.{name}" if path else name
        resolved = _local(child, root)
        nested = _nested(resolved)
        if nested is not None and depth < MAX_DEPTH:
            suffix, inner = nested
            if suffix or name not in needed:
                yield _field(here + suffix, child, root, is_required=name in needed)
            yield from _fields(_local(inner, root), root, here + suffix, depth + 1)
        else:
            yield _field(here, child, root, is_required=name in needed)


def _in_order(properties: JsonValue, stated: JsonValue) -> list[tuple[str, JsonValue]]:
    """The fields as written, or as somebody has moved them (a database may forget the former)."""
    if not isinstance(properties, dict):
        return []
    places = {
        str(name): place for place, name in enumerate(stated if isinstance(stated, list) else ())
    }
    return sorted(properties.items(), key=lambda one: places.get(one[0], len(places)))


def _field(path: str, schema: JsonValue, root: JsonObject, *, is_required: bool) -> Field:
    own = schema if isinstance(schema, dict) else {}
    return Field(
        path=path,
        words=words_of(schema, root),
        is_required=is_required,
        data_class=str(own.get("x-class", "")),
        text=str(own.get("description", "")),
    )


def _nested(schema: JsonValue) -> tuple[str, JsonValue] | None:
    """Suffix and schema of what stands inside an object or a list of objects."""
    if not isinstance(schema, dict):
        return None
    if isinstance(schema.get("properties"), dict):
        return "", schema
    items = schema.get("items")
    if isinstance(items, dict) and isinstance(items.get("properties"), dict):
        return "[]", items
    return None


def _local(schema: JsonValue, root: JsonObject) -> JsonValue:
    if isinstance(schema, dict):
        ref = schema.get("$ref")
        if isinstance(ref, str) and ref.startswith("#/"):
            try:
                return lookup(ref, root)
            except SchemaError:
                return schema
    return schema


def _ref_words(ref: str, root: JsonObject, depth: int) -> str:
    if ref.startswith("baton:"):
        name = ref.removeprefix("baton:")
        spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()
        return _TYPE_WORDS.get(name, spaced)
    resolved = _local({"$ref": ref}, root)
    if isinstance(resolved, dict) and "$ref" not in resolved:
        return words_of(resolved, root, depth)
    return "a defined type"


def _kind_words(kind: str, schema: JsonObject, root: JsonObject, depth: int) -> str:
    if kind == "array":
        items = schema.get("items")
        inner = _local(items, root)
        plain = not isinstance(items, dict) or (isinstance(inner, dict) and "properties" in inner)
        inner_words = words_of(items, root, depth).removeprefix("one of ")
        base = "list" if plain else f"list of {inner_words}"
        return _bounded(base, schema, "minItems", "maxItems")
    if kind == "string":
        named = _FORMATS.get(str(schema.get("format")))
        if named:
            return named
        return "text in a set format" if "pattern" in schema else "text"
    if kind in {"integer", "number"}:
        return _bounded(_SIMPLE[kind], schema, "minimum", "maximum")
    if kind == "object" and "properties" not in schema:
        inner = schema.get("additionalProperties")
        return f"{words_of(inner, root, depth)} by name" if isinstance(inner, dict) else "object"
    return _SIMPLE.get(kind, "anything")


def _bounded(base: str, schema: JsonObject, low: str, high: str) -> str:
    least, most = schema.get(low), schema.get(high)
    if least is not None and most is not None:
        return f"{base}, {_shown(least)} to {_shown(most)}"
    if least is not None:
        return f"{base}, at least {_shown(least)}"
    return f"{base}, at most {_shown(most)}" if most is not None else base


def _choice_words(choices: list[JsonValue]) -> str:
    shown = [_shown(one) for one in choices[:MAX_CHOICES]]
    more = f" and {len(choices) - MAX_CHOICES} more" if len(choices) > MAX_CHOICES else ""
    return f"one of {', '.join(shown)}{more}"


def _shown(value: JsonValue) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) else json.dumps(value)
