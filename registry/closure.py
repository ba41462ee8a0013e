"""What the approval of an agent version binds, and what a new type changes, in words. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from approvals.closure import Member
from orchestrator.core.canonical import content_sha256
from orchestrator.core.catalogue import DomainType
from orchestrator.core.json import JsonObject, JsonValue

LONGEST = 300
"""Characters of a value that a row of changes shows."""


def agent_version_member(id: str, number: int, sha256: str, name: str) -> Member:  # noqa: A002
    """An agent version as a member of a closure."""
    return Member("agent_version", id, number, sha256, f"{name} v{number}")


def type_member(domain_type: DomainType) -> Member:
    """A domain type as a member of a closure; its key is its name."""
    return Member(
        "domain_type",
        domain_type.name,
        domain_type.version,
        content_sha256(type_content(domain_type)),
        domain_type.name,
    )


def type_content(domain_type: DomainType) -> JsonObject:
    """What decides how values of a type are read and checked."""
    return {
        "schema": domain_type.schema,
        "repairs": [
            {
                "pattern": one.pattern,
                "replacement": one.replacement,
                "explanation": one.explanation,
            }
            for one in domain_type.repairs
        ],
        "uppercase": domain_type.uppercase,
    }


def changed_rows(
    before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]
) -> list[JsonObject]:
    """Rows of evidence for each entry that differs: title, before and after as text."""
    return [
        {
            "title": _words(key),
            "kind": "added" if key not in before else "removed" if key not in after else "changed",
            "before": _text(before[key]) if key in before else "",
            "after": _text(after[key]) if key in after else "",
        }
        for key in {**before, **after}
        if before.get(key) != after.get(key) or (key in before) != (key in after)
    ]


def type_rows(before: DomainType, after: DomainType) -> list[JsonObject]:
    """What differs between two versions of a type, keyword by keyword."""
    old, new = (
        {**one.schema, "repairs": type_content(one)["repairs"], "uppercase": one.uppercase}
        for one in (before, after)
    )
    return [{**row, "title": f"{after.name}: {row['title']}"} for row in changed_rows(old, new)]


def _words(key: str) -> str:
    words = key.replace("_", " ")
    return words[:1].upper() + words[1:]


def _text(value: JsonValue) -> str:
    match value:
        case str():
            text = value
        case bool():
            text = "yes" if value else "no"
        case list() if value and all(isinstance(one, str) for one in value):
            text = "; ".join(str(one).rstrip(".;") for one in value)
        case _:
            text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
