"""Write `src/schema.gen.ts`: TypeScript types of what the server sends, from the pydantic models.

`python designer/canvas/generate_schema.py` writes the file; with `--check` it says whether the file
is up to date (exit 1 when not).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pydantic import BaseModel

    from orchestrator.core.json import JsonObject, JsonValue

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = HERE / "src" / "schema.gen.ts"
HEADER = """// Generated from the pydantic models: run `make schema`, do not edit.

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | JsonValue[]
  | { [key: string]: JsonValue };
export type JsonObject = { [key: string]: JsonValue };
"""
SCALARS = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}


def render() -> str:
    """Return the TypeScript source."""
    sys.path.insert(0, str(ROOT))
    from orchestrator.core.definition import WorkflowDefinition
    from orchestrator.core.results import ResultTag
    from orchestrator.core.state import AttemptStatus, LinkStatus, RunStatus, StepStatus

    statuses = (RunStatus, StepStatus, AttemptStatus, LinkStatus, ResultTag)
    schema: JsonObject = WorkflowDefinition.model_json_schema(mode="validation")
    definitions = cast("dict[str, JsonObject]", schema.pop("$defs"))
    parts = [HEADER]
    parts += [
        f"export type {enum.__name__} = {_words([item.value for item in enum])};\n"
        for enum in statuses
    ]
    parts += [
        _declaration(name, definitions[name]) for name in sorted(definitions) if name != "JsonValue"
    ]
    parts.append(_declaration("WorkflowDefinition", schema))
    parts.append('export type Step = WorkflowDefinition["steps"][string];\n')
    parts.append(
        "/** The usual values of fields that may be left out, by part of the document. */\n"
        "export const USUAL: { [part: string]: JsonObject } = "
        f"{json.dumps(_usual_values(), indent=2)};\n"
    )
    return "\n".join(parts)


def _usual_values() -> JsonObject:
    from orchestrator.core import definition as parts

    steps: dict[str, type[BaseModel]] = {
        "agent": parts.AgentStep,
        "end": parts.EndStep,
        "gate": parts.GateStep,
        "join": parts.JoinStep,
        "map": parts.MapStep,
        "team": parts.TeamStep,
        "router": parts.RouterStep,
        "start": parts.StartStep,
        "transform": parts.TransformStep,
        "wait": parts.WaitStep,
        "emit": parts.EmitStep,
        "workflow": parts.WorkflowStep,
    }
    policies = _defaults(parts.RunPolicies)
    policies["exceptions"] = _defaults(parts.ExceptionPolicy)
    return {
        **{kind: _defaults(model) for kind, model in steps.items()},
        "evidence": _defaults(parts.Evidence),
        "supervisor": _defaults(parts.Supervised),
        "auction": _defaults(parts.Auction),
        "handoff": _defaults(parts.Relay),
        "debate": _defaults(parts.Debate),
        "negotiate": _defaults(parts.Negotiation),
        "link": _defaults(parts.Link),
        "outcome": _defaults(parts.Outcome),
        "trigger": _defaults(parts.Trigger),
        "shared": _defaults(parts.SharedKey),
        "policies": policies,
        "workflow": _defaults(parts.WorkflowDefinition),
    }


def _defaults(model: type[BaseModel]) -> JsonObject:
    """Each optional field with its default; what tells the models apart is none."""
    from pydantic_core import to_jsonable_python

    return {
        name: to_jsonable_python(field.get_default(call_default_factory=True, validated_data={}))
        for name, field in model.model_fields.items()
        if not field.is_required() and name not in ("kind", "type", "format")
    }


def main(arguments: list[str]) -> int:
    """Write the file, or compare it; returns the exit code."""
    source = render()
    if "--check" in arguments:
        if TARGET.exists() and TARGET.read_text(encoding="utf-8") == source:
            return 0
        sys.stderr.write(f"{TARGET.relative_to(ROOT)} is stale: run `make schema` and commit it.\n")
        return 1
    TARGET.write_text(source, encoding="utf-8")
    return 0


def _declaration(name: str, schema: Mapping[str, JsonValue]) -> str:
    comment = _comment(schema, "")
    if "properties" not in schema:
        return f"{comment}export type {name} = {_type(schema)};\n"
    return f"{comment}export interface {name} {_fields(schema)}\n"


def _fields(schema: Mapping[str, JsonValue]) -> str:
    required = set(cast("list[str]", schema.get("required", [])))
    lines = []
    for key, value in cast("dict[str, JsonObject]", schema["properties"]).items():
        needed = key in required or "const" in value
        lines.append(f"{_comment(value, '  ')}  {key}{'' if needed else '?'}: {_type(value)};\n")
    return "{\n" + "".join(lines) + "}"


def _type(schema: Mapping[str, JsonValue]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return _words(cast("list[JsonValue]", schema["enum"]))
    for union in ("anyOf", "oneOf"):
        if union in schema:
            members = cast("list[JsonObject]", schema[union])
            return " | ".join(dict.fromkeys(_type(member) for member in members))
    return _structure(schema)


def _structure(schema: Mapping[str, JsonValue]) -> str:
    kind = schema.get("type")
    if kind == "array":
        items = cast("JsonObject", schema.get("items", {}))
        inner = _type(items)
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if kind == "object":
        patterns = cast("dict[str, JsonObject]", schema.get("patternProperties", {}))
        values = next(iter(patterns.values()), None) or schema.get("additionalProperties")
        if isinstance(values, dict):
            return f"{{ [key: string]: {_type(values)} }}"
        return "JsonObject"
    return SCALARS.get(str(kind), "JsonValue")


def _words(values: list[JsonValue] | list[str]) -> str:
    return " | ".join(json.dumps(value) for value in values)


def _comment(schema: Mapping[str, JsonValue], indent: str) -> str:
    text = str(schema.get("description", "")).partition("\n\n")[0].replace("\n", " ")
    return f"{indent}/** {text} */\n" if text else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
