"""The form of an agent version: what it asks for, how its answers and a manifest become each other.

A form is a contract like any other (`orchestrator.web.schema_forms` draws and reads it). Where a
manifest has a mapping, the form has a list of pairs; where it has a document (a contract, a
decision table, the payload of an example), the form has one field of JSON text, over which the page
lays an editor. `place_in_form` leads from a place in the manifest to the field that asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.agents import FUNCTIONS
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.labels import LABEL_PATTERN
from orchestrator.core.policies import FailureKind
from registry.manifest import SIDE_EFFECTS

PREFIX: Final = "agent"
MEDIA: Final = ("text/plain", "text/markdown", "text/html")
EMPTY_CONTRACT: Final[JsonObject] = {
    "type": "object",
    "properties": {},
    "required": [],
    "additionalProperties": False,
}
_BODIES: Final = ("none", "whole input", "chosen fields")


@dataclass(frozen=True, slots=True)
class FormKind:
    """What the form of one kind depends on: the function it calls, services, routes."""

    kind: str
    function: str = ""
    endpoints: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()


def version_contract(of: FormKind, identity: JsonObject | None = None) -> JsonObject:
    """The contract of the form; `identity` are fields that come first (name, address, owner)."""
    config, definitions = _config_contract(of)
    first = identity or {}
    properties: JsonObject = {
        **first,
        "purpose": {
            "type": "string",
            "title": "What it does",
            "description": "One or two sentences for somebody who has to decide whether to use it.",
            "minLength": 1,
            "maxLength": 1_000,
        },
        "limits": _texts(
            "Limits", 500, "What it does not do, and what nobody should expect of it."
        ),
        "capabilities": _texts("Capabilities", 60, "What it can do, in a word each."),
        "input": {"title": "Takes"},
        "output": {"title": "Gives"},
        "config": config,
        "side_effect": {
            "title": "Side effect",
            "enum": list(SIDE_EFFECTS),
            "default": "none",
            "description": "What a call changes outside. It sets how many people must sign off.",
        },
        "effect": {
            "title": "Repeating",
            "enum": ["idempotent", "once"],
            "default": "idempotent",
            "description": "What happens when nobody knows whether a call went through.",
        },
        "max_output_bytes": {
            "title": "Largest output in bytes",
            "type": "integer",
            "minimum": 1,
            "maximum": 5_000_000,
            "default": 1_000_000,
        },
        "price": {
            "$ref": "baton:Money",
            "title": "Price of a call",
            "description": "Budgets of money count it. Empty: a call costs nothing.",
        },
        "worker": {
            "type": "string",
            "title": "Only on workers with the label",
            "pattern": LABEL_PATTERN,
            "maxLength": 31,
            "examples": ["gpu"],
            "description": "Its calls wait for such a worker. Empty: any worker calls it.",
        },
        "examples": _examples(),
    }
    optional = {*first, "price", "worker", "examples"}
    return {
        "type": "object",
        "properties": properties,
        "required": [*first, *(name for name in properties if name not in optional)],
        "additionalProperties": False,
        "$defs": definitions,
    }


def fresh_value(of: FormKind) -> JsonObject:
    """What a form starts with when there is no version to begin from."""
    output: JsonObject = {**EMPTY_CONTRACT}
    config: JsonObject = {}
    match of.kind:
        case "rules":
            row: JsonObject = {"id": "first row", "when": [], "output": {}}
            config = {"table": {"id": "table", "version": 1, "hit": "first", "rows": [row]}}
        case "template":
            text: JsonObject = {"type": "string"}
            fields: JsonObject = {"text": text, "media": {"const": "text/plain"}}
            output = {**EMPTY_CONTRACT, "properties": fields, "required": ["text", "media"]}
            config = {"text": "", "output": "text", "media": "text/plain"}
        case "http":
            config = {"method": "GET", "path": "/", "body": "none"}
            config["responses"] = [{"status": "200", "result": "value"}]
        case "llm":
            config = {"instructions": "", "max_output_tokens": 1_000, "max_repairs": 2}
            config |= {"route": of.routes[0]} if of.routes else {}
        case _:
            function = FUNCTIONS[of.function]
            config = {"function": of.function, "parameters": {}}
            output = function.output_schema or output
            return {
                "input": function.input_schema or {**EMPTY_CONTRACT},
                "output": output,
                "config": config,
                "side_effect": function.side_effect,
                "effect": function.effect,
                "max_output_bytes": 1_000_000,
            }
    return {
        "input": {**EMPTY_CONTRACT},
        "output": output,
        "config": config,
        "side_effect": "read" if of.kind in {"http", "llm"} else "none",
        "effect": "idempotent",
        "max_output_bytes": 1_000_000,
    }


def value_of(manifest: Mapping[str, Any]) -> JsonObject:
    """The form's value for a stored manifest."""
    value: JsonObject = {
        name: given for name, given in manifest.items() if name not in {"kind", "tools", "policies"}
    }
    config = dict(manifest["config"])
    if manifest["kind"] == "rules":
        value["config"] = {"table": config}
    elif manifest["kind"] == "http":
        value["config"] = _http_value(config)
    elif manifest["kind"] == "llm":
        value["config"] = {name: part for name, part in config.items() if part is not None}
    value["examples"] = [
        {name: part for name, part in one.items() if part not in (None, "")}
        for one in manifest.get("examples", ())
    ]
    return value


def manifest_of(kind: str, value: Mapping[str, Any]) -> JsonObject:
    """The manifest that a read form asks for; it may still be wrong."""
    names = (
        "purpose", "limits", "capabilities", "input", "output", "side_effect", "effect",
        "max_output_bytes", "price", "worker", "examples",
    )  # fmt: skip
    manifest: JsonObject = {"kind": kind}
    manifest |= {name: value[name] for name in names if name in value}
    config = value.get("config")
    if isinstance(config, dict):
        manifest["config"] = config
        if kind == "rules":
            manifest["config"] = config.get("table", {})
        elif kind == "http":
            manifest["config"] = _http_config(config)
    return manifest


def place_in_form(kind: str, path: str, value: Mapping[str, Any]) -> str:
    """The place of the form that asks for a place of the manifest."""
    parts = path.split("/")[1:]
    if parts[:1] != ["config"]:
        return path
    if kind == "rules":
        return "/".join(["", "config", "table", *parts[1:]])
    if kind == "http" and len(parts) > 2:
        return "/".join(["", "config", *_http_place(parts[1:], value.get("config") or {})])
    return path


def _config_contract(of: FormKind) -> tuple[JsonObject, JsonObject]:
    """The contract of a kind's own part, and the definitions that it refers to."""
    match of.kind:
        case "function":
            parameters = dict(FUNCTIONS[of.function].parameters_schema or {"type": "object"})
            definitions = parameters.pop("$defs", {})
            parameters["title"] = "Parameters"
            parameters.pop("description", None)
            function: JsonObject = {"const": of.function, "title": "Function"}
            made = _closed({"function": function, "parameters": parameters}, "How it works")
            return made, definitions if isinstance(definitions, dict) else {}
        case "rules":
            return _closed({"table": {"title": "Decision table"}}, "How it works"), {}
        case "template":
            return _closed(_TEMPLATE, "How it works"), {}
        case "llm":
            route: JsonObject = {**_LLM["route"], "examples": list(of.routes)}
            asked: JsonObject = {**_LLM, "route": route}
            return _closed(asked, "How it works", ("temperature", "trim")), {}
        case _:
            endpoints: list[JsonValue] = list(of.endpoints)
            http: JsonObject = {"endpoint": {"title": "Service", "enum": endpoints}, **_HTTP}
            optional = {"query", "body_fields", "timeout_seconds", "max_bytes"}
            return _closed(http, "How it works", optional), {}


def _closed(properties: JsonObject, title: str, optional: Iterable[str] = ()) -> JsonObject:
    return {
        "type": "object",
        "title": title,
        "properties": properties,
        "required": [name for name in properties if name not in set(optional)],
        "additionalProperties": False,
    }


def _texts(title: str, longest: int, hint: str) -> JsonObject:
    item: JsonObject = {"type": "string", "minLength": 1, "maxLength": longest}
    return {"type": "array", "title": title, "description": hint, "items": item, "maxItems": 40}


def _pairs(title: str, key: str, value: str, hint: str = "") -> JsonObject:
    text: JsonObject = {"type": "string", "minLength": 1, "maxLength": 200}
    names = {key: {**text, "title": key.capitalize()}, value: {**text, "title": value.capitalize()}}
    items: JsonObject = _closed(dict(names), title)
    pairs: JsonObject = {"type": "array", "title": title, "items": items, "maxItems": 60}
    return {**pairs, "description": hint} if hint else pairs


def _examples() -> JsonObject:
    example: JsonObject = {
        "title": {"type": "string", "title": "Title", "minLength": 1, "maxLength": 120},
        "note": {"type": "string", "title": "Note", "maxLength": 500},
        "input": {"title": "Input"},
        "output": {"title": "Output"},
    }
    items = _closed(example, "Example", ("note", "output"))
    return {"type": "array", "title": "Examples", "items": items, "maxItems": 20}


_TEMPLATE: Final[JsonObject] = {
    "text": {
        "type": "string",
        "title": "Text",
        "description": "{name} stands for a field of the input; {{ and }} are braces.",
        "minLength": 1,
        "maxLength": 20_000,
    },
    "output": {
        "type": "string",
        "title": "Name of the text in the output",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "text",
    },
    "media": {"title": "Kind of text", "enum": list(MEDIA), "default": "text/plain"},
}
_LLM: Final[dict[str, JsonObject]] = {
    "route": {
        "type": "string",
        "title": "Model route",
        "description": "A quality, such as strong or fast. Administrators say which models give "
        "it.",
        "pattern": "^[a-z0-9][a-z0-9-]{0,62}$",
    },
    "instructions": {
        "type": "string",
        "title": "Instructions",
        "description": "What the model is to do. The input follows as data, and the answer is "
        "held to the output contract.",
        "minLength": 1,
        "maxLength": 20_000,
    },
    "max_output_tokens": {
        "type": "integer",
        "title": "Longest answer in tokens",
        "minimum": 1,
        "maximum": 200_000,
        "default": 1_000,
    },
    "max_repairs": {
        "type": "integer",
        "title": "Give a wrong answer back at most",
        "description": "With what is wrong with it. Each time is another question that costs.",
        "minimum": 0,
        "maximum": 5,
        "default": 2,
    },
    "temperature": {
        "type": "number",
        "title": "Temperature",
        "description": "Empty: as the model has it.",
        "minimum": 0,
        "maximum": 2,
    },
    "trim": {
        "type": "array",
        "title": "What gives way when the input is too long",
        "description": "In this order. What still does not fit is not sent: the step fails.",
        "maxItems": 20,
        "items": {
            "type": "object",
            "title": "Field",
            "required": ["field", "how"],
            "properties": {
                "field": {"type": "string", "title": "Field", "minLength": 1, "maxLength": 63},
                "how": {"title": "How", "enum": ["cut", "drop"]},
            },
            "additionalProperties": False,
        },
    },
}
_RESULTS: Final = ("value", "not_found", "refused", "failed")
_ANSWER: Final[JsonObject] = {
    "status": {
        "type": "string",
        "title": "Status",
        "description": "Three digits, or a class such as 5xx.",
        "pattern": "^[1-5]([0-9][0-9]|xx)$",
    },
    "result": {"title": "Means", "enum": list(_RESULTS), "default": "value"},
    "reason": {"type": "string", "title": "Reason in words", "maxLength": 2_000},
    "reason_code": {
        "type": "string",
        "title": "Reason as a code",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
    },
    "match": {
        "title": "Only when the answer holds",
        "description": "Fields with their values, as a JSON object.",
    },
    "output": _pairs(
        "Output fields", "field", "from", "Where each stands in the answer; none: all of it."
    ),
    "kind": {
        "title": "Kind of failure",
        "enum": [one.value for one in FailureKind],
    },
    "retryable": {"type": "boolean", "title": "Trying again can help"},
    "policy": {"type": "string", "title": "Who refuses", "maxLength": 120},
}
_HTTP: Final[JsonObject] = {
    "method": {"title": "Method", "enum": ["GET", "POST", "PUT", "PATCH", "DELETE"]},
    "path": {
        "type": "string",
        "title": "Path",
        "description": "{field} stands for a field of the input.",
        "pattern": "^/",
        "maxLength": 500,
        "examples": ["/policies/{policy_number}"],
    },
    "query": _pairs("Query parameters", "parameter", "field"),
    "body": {"title": "Body", "enum": list(_BODIES), "default": "none"},
    "body_fields": _pairs("Fields of the body", "name", "field"),
    "responses": {
        "type": "array",
        "title": "What an answer means",
        "minItems": 1,
        "maxItems": 30,
        "items": _closed(_ANSWER, "Answer", set(_ANSWER) - {"status", "result"}),
    },
    "timeout_seconds": {
        "type": "number",
        "title": "Seconds to wait at most",
        "exclusiveMinimum": 0,
        "maximum": 600,
    },
    "max_bytes": {
        "type": "integer",
        "title": "Largest answer in bytes",
        "minimum": 1,
        "maximum": 5_000_000,
    },
}
_ANSWER_DEFAULTS: Final[JsonObject] = {
    "match": {},
    "kind": FailureKind.AGENT_ERROR.value,
    "retryable": True,
    "policy": "the called service",
}


def _http_value(config: Mapping[str, Any]) -> JsonObject:
    body = config.get("body")
    value: JsonObject = {
        name: config[name]
        for name in ("endpoint", "method", "path", "timeout_seconds", "max_bytes")
        if config.get(name) is not None
    }
    value["query"] = [
        {"parameter": name, "field": ref} for name, ref in config.get("query", {}).items()
    ]
    value["body"] = _BODIES[0] if body is None else _BODIES[1] if body == "input" else _BODIES[2]
    if isinstance(body, dict):
        value["body_fields"] = [{"name": name, "field": ref} for name, ref in body.items()]
    value["responses"] = [
        {"status": status, **_answer_value(answer)}
        for status, answer in config.get("responses", {}).items()
    ]
    return value


def _answer_value(answer: Mapping[str, Any]) -> JsonObject:
    shown = {
        name: part
        for name, part in answer.items()
        if part is not None and _ANSWER_DEFAULTS.get(name) != part
    }
    if "output" in shown:
        shown["output"] = [{"field": name, "from": ref} for name, ref in shown["output"].items()]
    return shown


def _http_config(value: Mapping[str, Any]) -> JsonObject:
    config: JsonObject = {
        name: value[name]
        for name in ("endpoint", "method", "path", "timeout_seconds", "max_bytes")
        if name in value
    }
    config["query"] = _mapping(value.get("query"), "parameter", "field")
    if value.get("body") == _BODIES[1]:
        config["body"] = "input"
    elif value.get("body") == _BODIES[2]:
        config["body"] = _mapping(value.get("body_fields"), "name", "field")
    responses: JsonObject = {}
    for answer in value.get("responses") or ():
        parts = {name: part for name, part in answer.items() if name != "status"}
        if "output" in parts:
            parts["output"] = _mapping(parts["output"], "field", "from")
        responses[str(answer.get("status", ""))] = parts
    config["responses"] = responses
    return config


def _mapping(pairs: JsonValue, key: str, value: str) -> JsonObject:
    listed = pairs if isinstance(pairs, list) else []
    return {str(one.get(key, "")): one.get(value, "") for one in listed if isinstance(one, dict)}


_HTTP_LISTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "query": ("query", "parameter", "field"),
    "body": ("body_fields", "name", "field"),
    "responses": ("responses", "status", ""),
}


def _http_place(parts: list[str], config: Mapping[str, Any]) -> list[str]:
    """Lead from a key of a mapping to the row of the list that holds it."""
    if parts[0] not in _HTTP_LISTS:
        return parts
    name, key, value = _HTTP_LISTS[parts[0]]
    row = _row_of(config.get(name), key, parts[1])
    if row is None:
        return [name]
    if value:
        return [name, row, value]
    rest = parts[2:]
    if rest[:1] == ["output"] and len(rest) > 1:
        answer = config[name][int(row)]
        inner = _row_of(answer.get("output"), "field", rest[1])
        rest = ["output"] if inner is None else ["output", inner, "field"]
    return [name, row, *rest]


def _row_of(rows: JsonValue, key: str, wanted: str) -> str | None:
    for index, row in enumerate(rows if isinstance(rows, list) else ()):
        if isinstance(row, dict) and row.get(key) == wanted:
            return str(index)
    return None
