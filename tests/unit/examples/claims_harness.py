"""Runs claims through the pure planner with the real agents and the real policy register."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from examples import claims
from orchestrator.agents.base import ArtefactFile, ArtefactMissingError
from orchestrator.core.catalogue import AgentInterface, Catalogue, DomainType, Repair
from orchestrator.core.compilation import CompiledWorkflow, compile_workflow
from orchestrator.core.contracts import standard_types
from orchestrator.core.definition import WorkflowDefinition
from orchestrator.core.simulation import Answer, SimulatedRun, simulate
from orchestrator.egress import Destination
from orchestrator.runs.invokers.base import AgentCall
from orchestrator.runs.invokers.function import call_function
from orchestrator.runs.invokers.http import call_http
from orchestrator.runs.invokers.rules import call_rules
from orchestrator.runs.invokers.template import call_template
from registry.manifest import AgentManifest
from tests import claims_people

START = datetime(2026, 11, 20, 9, tzinfo=UTC)
COMPUTING = {"function": call_function, "rules": call_rules, "template": call_template}


@dataclass
class Files:
    """Files by content, as the file store keeps them."""

    stored: dict[str, ArtefactFile] = field(default_factory=dict)

    def upload(self, path: Path) -> dict[str, str]:
        """Keep a file and return its reference."""
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        media = claims.MEDIA[path.suffix]
        self.stored[sha256] = ArtefactFile(sha256, media, path.name, content)
        return {"artefact": sha256, "media": media, "name": path.name}

    def open(self, sha256: str) -> ArtefactFile:
        """The file, as agents open it."""
        try:
            return self.stored[sha256]
        except KeyError:
            raise ArtefactMissingError(sha256) from None


def catalogue_of(agents: list[dict]) -> Catalogue:
    """What the checker and the planner know of the example's agents and types."""
    interfaces = {}
    for agent in agents:
        manifest = AgentManifest.model_validate(agent["manifest"])
        interfaces[agent["slug"], 1] = AgentInterface(
            slug=agent["slug"],
            version=1,
            name=agent["name"],
            kind=manifest.kind,
            input_schema=manifest.input,
            output_schema=manifest.output,
            effect=manifest.effect,
            side_effect=manifest.side_effect,
            waits=manifest.waits,
        )
    types = dict(standard_types())
    for given in claims.domain_types():
        types[given["name"]] = DomainType(
            name=given["name"],
            version=1,
            schema=given["schema"],
            repairs=tuple(Repair(**repair) for repair in given["repairs"]),
            uppercase=given["uppercase"],
        )
    return Catalogue(interfaces, types)


class Office:
    """One data folder: its files, agents and compiled workflow."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.files = Files()
        agents = claims.agents(self.files.upload, history=data / "history.csv")
        self.manifests = {
            agent["slug"]: AgentManifest.model_validate(agent["manifest"]) for agent in agents
        }
        self.catalogue = catalogue_of(agents)
        self.definition = WorkflowDefinition.model_validate(claims.workflow())
        self.workflow: CompiledWorkflow = compile_workflow(self.definition, self.catalogue)
        self.destination = Destination(claims.ENDPOINT, claims.ENDPOINT_URL, allow_private=True)

    def run(self, claim_id: str, truth: dict) -> tuple[SimulatedRun, list]:
        """The simulated run of a claim, and the reviews that people were asked, in order."""
        asked: list = []

        def people(review):
            asked.append(review)
            said = claims_people.reply(truth, review.step, review.proposal)
            return Answer(said.outcome, said.output, said.reason)

        given = claims.claim_input(claim_id, self.files.upload, self.data / "claims")
        assert not self.workflow.input_contract.check(given)
        made = simulate(
            self.workflow, given, self.call, people, start=START, run_id=f"run-{claim_id}"
        )
        return made, asked

    def call(self, command, step):
        """Call an agent as the engine does, with the real invokers."""
        manifest = self.manifests[step.uses.agent]
        call = AgentCall(
            manifest=manifest,
            input=command.input,
            timeout_seconds=command.timeout_seconds,
            idempotency_key=command.idempotency_key,
            today=START.date(),
            attempt=command.attempt,
            destination=self.destination if manifest.kind == "http" else None,
            open_artefact=self.files.open,
        )
        if manifest.kind == "http":
            return asyncio.run(call_http(call))
        return COMPUTING[manifest.kind](call)


def summary_of(made: SimulatedRun, asked: list) -> dict:
    """Outcome and path facts of a run: what expected.json holds for each claim."""
    steps = made.state.steps
    result = made.state.result or {}
    return {
        "status": made.state.status.value,
        "outcome": made.state.outcome,
        "payable": result.get("payable"),
        "asked": [review.step for review in asked],
        "exceptions": [review.step for review in asked if review.review == "exception"],
        "steps": {
            step_id: run.result.type
            for step_id, run in sorted(steps.items())
            if run.result is not None
        },
        "repaired": sorted(
            event.step
            for entry in made.journal
            for event in entry.derived
            if event.type == "handoff_made" and event.verdict == "repaired"
        ),
        "refused": sorted(
            event.step
            for entry in made.journal
            for event in entry.derived
            if event.type == "handoff_made" and event.verdict == "refused"
        ),
        "attempts": {
            step_id: run.attempt for step_id, run in sorted(steps.items()) if run.attempt > 1
        },
    }
