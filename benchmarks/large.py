"""Large definitions for benchmarks and growth tests: a line of agents that fans out and joins."""

from __future__ import annotations

from typing import Any

from orchestrator.core.catalogue import AgentInterface, Catalogue
from orchestrator.core.definition import WorkflowDefinition
from orchestrator.core.types import standard_types

AGENTS = 20
FIELDS = (
    {"type": "string", "maxLength": 60},
    {"type": "integer", "minimum": 0},
    {"type": "boolean"},
    {"$ref": "baton:Money"},
    {"$ref": "baton:Date"},
    {"enum": ["low", "middle", "high"]},
    {"type": ["string", "null"]},
    {"type": "array", "items": {"type": "string"}},
    {"type": "number"},
    {"$ref": "baton:Artefact"},
)


def contract() -> dict[str, Any]:
    """Ten fields of different types, all required."""
    properties = {f"field_{number}": dict(field) for number, field in enumerate(FIELDS)}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def catalogue() -> Catalogue:
    """Twenty agents that take and give ten fields."""
    agents = {
        (f"agent-{number}", 1): AgentInterface(
            slug=f"agent-{number}",
            version=1,
            name=f"Agent {number}",
            kind="function",
            input_schema=contract(),
            output_schema=contract(),
        )
        for number in range(AGENTS)
    }
    return Catalogue(agents, standard_types())


def workflow(size: int) -> WorkflowDefinition:
    """About `size` steps: agent, three agents side by side, join, and so on to the end."""
    steps: dict[str, Any] = {"start": {"kind": "start", "name": "Start"}}
    links: dict[str, Any] = {}
    count = 0

    def link(source: str, target: str) -> None:
        links[f"{source}.next-{target}"] = {"source": source, "port": "next", "target": target}

    def agent(source: str, read: str) -> str:
        nonlocal count
        count += 1
        name = f"s{count}"
        steps[name] = {
            "kind": "agent",
            "name": f"Step {count}",
            "uses": {"agent": f"agent-{count % AGENTS}", "version": 1},
            "input": {f"field_{number}": f"{read}.field_{number}" for number in range(len(FIELDS))},
        }
        link(source, name)
        return name

    last, read = "start", "input"
    while len(steps) < size - 5:
        first = agent(last, read)
        branches = [agent(first, f"steps.{first}.output") for _ in range(3)]
        last = f"join_{count}"
        steps[last] = {"kind": "join", "name": "Join"}
        for branch in branches:
            link(branch, last)
        read = f"steps.{branches[0]}.output"
    steps["done"] = {"kind": "end", "name": "Done", "outcome": "done"}
    link(last, "done")
    return WorkflowDefinition.model_validate(
        {
            "name": "Large",
            "input": contract(),
            "outcomes": {
                "done": {"kind": "success", "title": "Done"},
                "failed": {"kind": "failure", "title": "Failed"},
            },
            "steps": steps,
            "links": links,
            "policies": {"exceptions": {"outcome": "failed"}, "timeout_outcome": "failed"},
        }
    )
