"""Starter definitions: what a new workflow begins with. Pure."""

from __future__ import annotations

from orchestrator.core.json import JsonObject


def blank(name: str) -> JsonObject:
    """The smallest workflow that is valid and runs: it takes nothing and ends at once."""
    return {
        "format": "baton/1",
        "name": name,
        "summary": "",
        "input": {
            "type": "object",
            "properties": {},
            "required": [],
            "additionalProperties": False,
        },
        "outcomes": {
            "done": {"kind": "success", "title": "Done"},
            "failed": {"kind": "failure", "title": "Failed"},
        },
        "steps": {
            "start": {"kind": "start", "name": "Start"},
            "done": {"kind": "end", "name": "Done", "outcome": "done"},
        },
        "links": {"start.next-done": {"source": "start", "port": "next", "target": "done"}},
        "policies": {
            "exceptions": {"mode": "inbox", "outcome": "failed", "assign_role": "operator"},
            "timeout_outcome": "failed",
        },
    }
