"""The definitions of the workflow patterns, and what a simulated run of one did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from orchestrator.core.catalogue import AgentInterface, Catalogue
from orchestrator.core.compilation import CompiledWorkflow, compile_workflow
from orchestrator.core.contracts import standard_types
from orchestrator.core.definition import WorkflowDefinition
from orchestrator.core.recursion import own_interface
from orchestrator.core.results import NotFound, Value
from orchestrator.core.simulation import Answer, Arrival, SimulatedRun, simulate
from tests import fake_agents

FOLDER = Path(__file__).parent
START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
INPUT = {"text": "hello"}
CATALOGUE = Catalogue(
    agents={
        ("scripted", 1): AgentInterface(
            slug="scripted",
            version=1,
            name="Scripted",
            kind="function",
            input_schema=fake_agents.INPUT,
            output_schema=fake_agents.OUTPUT,
        )
    },
    types=standard_types(),
)


@dataclass(frozen=True)
class Pattern:
    """One file: the definition, who answers what, and what is expected.

    `answers` lists result tags per step for its calls in order (a value when there is none left),
    `people` answers per step (none left: nobody answers), `events` what comes, by type; `early`
    names the types that come a minute before their wait begins, the others a minute after. `runs`
    are the workflows that it runs, each in its version 1.
    """

    number: int
    name: str
    document: dict[str, Any]
    expect: Mapping[str, Any]
    answers: Mapping[str, list[str]]
    people: Mapping[str, list[dict[str, Any]]]
    events: Mapping[str, Any]
    early: frozenset[str]
    runs: Mapping[str, WorkflowDefinition]


def read(path: Path) -> Pattern:
    """Read one file."""
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    return Pattern(
        number=body["pattern"],
        name=body["name"],
        document=body["definition"],
        expect=body["expect"],
        answers=body.get("answers", {}),
        people=body.get("people", {}),
        events=body.get("events", {}),
        early=frozenset(body.get("early", ())),
        runs={
            slug: WorkflowDefinition.model_validate(document)
            for slug, document in body.get("runs", {}).items()
        },
    )


def patterns() -> list[Path]:
    """The files in order of the patterns' numbers."""
    return sorted(FOLDER.glob("wcp_*.yaml"))


def definition_of(pattern: Pattern) -> WorkflowDefinition:
    """The definition, of the right shape."""
    return WorkflowDefinition.model_validate(pattern.document)


def catalogue_of(pattern: Pattern) -> Catalogue:
    """What the definition may refer to."""
    known = {
        (slug, 1): replace(own_interface(inner, CATALOGUE), slug=slug, version=1)
        for slug, inner in pattern.runs.items()
    }
    return replace(CATALOGUE, workflows=known)


def compiled(pattern: Pattern) -> CompiledWorkflow:
    """The definition, ready to run."""
    return compile_workflow(definition_of(pattern), catalogue_of(pattern))


def run(pattern: Pattern) -> SimulatedRun:
    """Run it in virtual time: each call takes a second, a person a minute."""
    calls: Counter[str] = Counter()
    asked: Counter[str] = Counter()

    def agents(command, _step):
        calls[command.step] += 1
        said = pattern.answers.get(command.step, [])[calls[command.step] - 1 :]
        if said and said[0] == "not_found":
            return NotFound(reason_code="nothing", reason="There is nothing.")
        return Value(output={"label": command.step, "text": "hello"})

    def people(review):
        given = pattern.people.get(review.step, [{"outcome": "approved"}])
        asked[review.step] += 1
        if asked[review.step] > len(given):
            return None
        return Answer(**given[asked[review.step] - 1])

    def outside(awaited):
        content = pattern.events.get(awaited.type)
        after = -60 if awaited.type in pattern.early else 60
        return None if content is None else Arrival(content, after_seconds=after)

    inner = {
        (slug, 1): compile_workflow(one, catalogue_of(pattern))
        for slug, one in pattern.runs.items()
    }
    return simulate(
        compiled(pattern), INPUT, agents, people, start=START, outside=outside, children=inner
    )


def ends(done: SimulatedRun) -> list[str]:
    """The steps in the order in which they ended with a result, once for each round."""
    return [
        event.step
        for entry in done.journal
        for event in entry.derived
        if event.type == "step_ended" and event.step != "start"
    ]


def spans(done: SimulatedRun, step: str) -> list[tuple[int, int]]:
    """From which journal entry to which each call of a step was under way."""
    begun = [
        entry.seq
        for entry in done.journal
        for event in entry.derived
        if event.type == "attempt_leased" and event.step == step
    ]
    over = [
        entry.seq
        for entry in done.journal
        for event in entry.derived
        if event.type == "step_ended" and event.step == step
    ]
    return list(zip(begun, over, strict=False))
