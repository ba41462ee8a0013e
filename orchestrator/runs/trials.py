"""What is tried before it is signed off: a draft as a test run, one step of it, one agent.

A draft goes on changing while a test run of it walks, so the run walks a snapshot: the whole
document with its types and the hashes of its agents, kept once per content. Agents may be drafts
too; a call of one that was edited since is refused at the door (`invoke`).

Trying a step or an agent stores nothing but its audit entry. Every call goes through the door, as
in a test run: no effects, the same limits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from audit.services import append_entry, subject_of
from designer import selectors as designer
from designer.documents import read_definition
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.canonical import content_sha256
from orchestrator.core.commands import InvokeAgent
from orchestrator.core.compilation import CompiledWorkflow, compile_workflow
from orchestrator.core.context import input_refused
from orchestrator.core.contracts import Validator
from orchestrator.core.definition import AgentRef, AgentStep, WorkflowDefinition, doers_of
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.examples import sample_document
from orchestrator.core.json import JsonObject, check_json
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, Violation
from orchestrator.core.step_trials import (
    Tried,
    tried_by_step,
    tried_call,
    tried_step,
    values_form,
)
from orchestrator.files import selectors as files
from orchestrator.ids import new_id
from orchestrator.runs.invoke import HARMLESS, InvocationContext, invoke_sync, prepare_call
from orchestrator.runs.models import DefinitionSnapshot
from orchestrator.runs.recording import types_of
from orchestrator.runs.tried_places import with_place
from registry import selectors as registry
from registry.lifecycle import TRIABLE

if TYPE_CHECKING:
    from django.db.models import Model

    from designer.models import Workflow, WorkflowVersion
    from orchestrator.core.catalogue import AgentInterface, Catalogue, DomainType
    from orchestrator.core.checks import Finding
    from registry.models import AgentVersion


MAX_SECONDS: Final = 60.0
"""How long a call may take that somebody waits for on a page."""


class NotTriableError(InvalidInputError):
    """A test run cannot start; `detail` has the checker's `findings`, or the `steps` that write."""

    code = "not_triable"


@dataclass(frozen=True, slots=True)
class PinnedVersion:
    """What a run that starts now executes. `snapshot` is the content of an unfinished version."""

    version: WorkflowVersion
    compiled: CompiledWorkflow
    binding: JsonObject
    snapshot: JsonObject | None = None

    @property
    def snapshot_id(self) -> str | None:
        """The content hash of the snapshot."""
        return None if self.snapshot is None else content_sha256(self.snapshot)


@dataclass(frozen=True, slots=True)
class InputAsked:
    """What somebody is asked for to try something, and values to begin with."""

    contract: Validator
    sample: JsonObject


@dataclass(frozen=True, slots=True)
class Trial:
    """What trying something gave, how long it took, and how many calls were made."""

    tried: Tried
    elapsed_ms: int
    calls: int

    def as_json(self) -> JsonObject:
        """The answer of the API."""
        one = self.tried
        return {
            "result": one.result,
            "port": one.port,
            "output": one.output,
            "reason": one.reason,
            "score": one.score,
            "violations": [each.model_dump(mode="json") for each in one.violations],
            "repairs": list(one.repairs),
            "elapsed_ms": self.elapsed_ms,
            "calls": self.calls,
        }


def try_agent(
    *,
    slug: str,
    version: int,
    input: JsonObject,  # noqa: A002  the word of the API
    actor: Actor,
    now: datetime,
) -> Trial:
    """Call an agent version once, of whatever status, with these values.

    An input that breaks the contract is not sent: the trial has failed, with the places.

    Raises:
        NotFoundError: there is no such version, or it is not the actor's to see.
        PermissionDeniedError: the actor may not try agents there.
        NotTriableError: the agent changes things outside.
    """
    row = registry.get_agent_version(slug, version)
    access.require(actor, "agent.try", row.agent)
    check_json(input)
    trial = _call(row.id, input, step="", seconds=MAX_SECONDS, actor=actor, now=now)
    _note("agent.tried", row, trial, actor=actor, workspace_id=row.agent.workspace_id, now=now)
    return trial


def try_step(
    *,
    workflow_slug: str,
    definition: WorkflowDefinition | JsonObject,
    step: str,
    input: JsonObject | None = None,  # noqa: A002  the word of the API
    values: JsonObject | None = None,
    actor: Actor,
    now: datetime,
) -> Trial:
    """What one step of a document, which is not stored, makes of these values.

    An agent's step is called with `input`, or with what it maps from `values`; other steps work on
    `values`: `{"input": ..., "steps": {id: {"result", "output", ...}}}`.

    Raises:
        NotFoundError: there is no such workflow for this actor.
        PermissionDeniedError: the actor may not try steps there.
        InvalidInputError: the document is malformed, or has no such step.
        NotTriableError: the step calls an agent that changes things outside, or that is missing.
        DomainError: the step cannot be compiled.
    """
    workflow = designer.get_workflow(workflow_slug)
    access.require(actor, "workflow.try", workflow)
    model = step_document(definition, step)
    for given in (input, values):
        check_json(given)
    catalogue = designer.catalogue_for(model, workspace_id=workflow.workspace_id)
    chosen = model.steps[step]
    if isinstance(chosen, AgentStep) and (input is not None or values is None):
        trial = _try_agent_step(model, step, input or {}, actor=actor, now=now)
    else:
        began = time.perf_counter()
        tried = tried_step(model, catalogue, step, values or {})
        trial = Trial(tried, _milliseconds(began), 0)
        if isinstance(chosen, AgentStep) and tried.result == "value":
            trial = _try_agent_step(model, step, tried.output or {}, actor=actor, now=now)
    _note("step.tried", workflow, trial, actor=actor, workspace_id=workflow.workspace_id, now=now)
    return trial


def step_form(model: WorkflowDefinition, step: str, workspace_id: UUID, actor: Actor) -> InputAsked:
    """What a form asks to try a step: an agent's input, else the values that the step reads.

    Raises:
        NotTriableError: the step calls an agent version that is not there.
    """
    catalogue = designer.catalogue_for(model, workspace_id=workspace_id)
    chosen = model.steps[step]
    if not isinstance(chosen, AgentStep):
        contract, sample = values_form(model, catalogue, step)
        return InputAsked(Validator(contract, catalogue.types), sample)
    interface = catalogue.agents.get((chosen.uses.agent, chosen.uses.version))
    if interface is None:
        raise _missing_agent(step, chosen)
    return _asked(interface, catalogue.types, actor)


def agent_form(version: AgentVersion, actor: Actor) -> InputAsked:
    """What a form asks to try an agent version: its input, with its first example in it."""
    registered = registry.registered_version(version.id)
    return _asked(registered.interface(), registry.types_at(registered.types), actor)


def _asked(interface: AgentInterface, types: Mapping[str, DomainType], actor: Actor) -> InputAsked:
    """An example whose files the actor cannot have is of use without them."""
    contract = Validator(interface.input_schema, types)
    shown = next((one.input for one in interface.examples), None)
    if shown is None:
        return InputAsked(contract, sample_document(contract.schema))
    missing = _unreadable(actor, shown)
    kept = {
        name: value
        for name, value in shown.items()
        if not set(missing) & set(files.artefacts_in(value))
    }
    return InputAsked(contract, kept)


def step_document(definition: WorkflowDefinition | JsonObject, step: str) -> WorkflowDefinition:
    """The document as a definition that has this step.

    Raises:
        InvalidInputError: it is malformed, or has no such step.
    """
    model = read_definition(definition)
    if step not in model.steps:
        reason = f"The definition has no step '{step}'."
        violation = {"path": "/step", "rule": "unknown", "reason": reason}
        raise InvalidInputError(reason, detail={"violations": [violation]})
    return model


def _try_agent_step(
    model: WorkflowDefinition, step_id: str, given: JsonObject, *, actor: Actor, now: datetime
) -> Trial:
    step = model.steps[step_id]
    assert isinstance(step, AgentStep)
    row = registry.versions_used(model).get((step.uses.agent, step.uses.version))
    if row is None or not access.can(actor, "agent.read", row.agent):
        raise _missing_agent(step_id, step)
    seconds = min(step.timeout.attempt_seconds, MAX_SECONDS)
    trial = _call(row.id, given, step=step_id, seconds=seconds, actor=actor, now=now)
    return replace(trial, tried=tried_by_step(trial.tried, step))


def _missing_agent(step_id: str, step: AgentStep) -> NotTriableError:
    return NotTriableError(
        f"'{step.name}' calls {step.uses.agent} version {step.uses.version}, which does not exist.",
        detail={"steps": [step_id]},
    )


def _call(
    version_id: UUID,
    given: JsonObject,
    *,
    step: str,
    seconds: float,
    actor: Actor,
    now: datetime,
) -> Trial:
    """Check and repair the input as a handoff does, and make the call."""
    version = registry.registered_version(version_id)
    if version.manifest.side_effect not in HARMLESS:
        raise NotTriableError(
            f"{version.label} changes things outside ({version.manifest.side_effect}); "
            "trying it would do so, too.",
            detail={"steps": [step] if step else []},
        )
    began = time.perf_counter()
    accepted = version.input.accept(given)
    if accepted.verdict == "refused" or not isinstance(accepted.payload, dict):
        refused = input_refused(version.name, accepted.violations)
        return Trial(tried_call(refused), _milliseconds(began), 0)
    if missing := _unreadable(actor, accepted.payload):
        return Trial(tried_call(_without_file(missing)), _milliseconds(began), 0)
    context = InvocationContext(
        run_id=new_id(),
        workspace_id=version.workspace_id,
        workflow_id=None,
        agent_version_id=version_id,
        step=step,
        iteration=1,
        attempt=1,
        now=now,
        mode="test",
        actor_id=actor.id,
    )
    command = InvokeAgent(
        step=step or "tried",
        iteration=1,
        attempt=1,
        uses=AgentRef(agent=version.slug, version=version.number),
        input=accepted.payload,
        timeout_seconds=seconds,
        idempotency_key=f"trial/{context.run_id}",
    )
    prepared = with_place(prepare_call(context, command), command)
    result = invoke_sync(prepared)
    made = 0 if prepared.refusal is not None else 1
    tried = replace(tried_call(result), repairs=accepted.repairs)
    return Trial(tried, _milliseconds(began), made)


def _unreadable(actor: Actor, given: JsonObject) -> list[str]:
    """The files that an input names and that the actor may not read, or that are not there."""
    named = set(files.artefacts_in(given))
    readable = files.readable_artefacts(actor).filter(sha256__in=named)
    return sorted(named.difference(readable.values_list("sha256", flat=True)))


def _without_file(missing: list[str]) -> Failed:
    reason = f"There is no file {missing[0][:12]} that you may read. Choose one to upload."
    return Failed(
        kind=FailureKind.CONTRACT,
        reason_code="file_missing",
        reason=reason,
        violations=(Violation(path="", rule="file", reason=reason),),
        retryable=False,
    )


def _note(
    action: str,
    about: Model,
    trial: Trial,
    *,
    actor: Actor,
    workspace_id: UUID,
    now: datetime,
) -> None:
    append_entry(
        actor=actor,
        action=action,
        subject=subject_of(about),
        workspace_id=workspace_id,
        now=now,
        decision={"outcome": trial.tried.result, "calls": trial.calls, "mode": "test"},
    )


def _milliseconds(began: float) -> int:
    return round((time.perf_counter() - began) * 1_000)


def pinned_for_trial(workflow: Workflow) -> PinnedVersion:
    """The version that a test run executes: the unfinished one, else the active or newest.

    Raises:
        NoActiveVersionError: the workflow has no version that could run.
        NotTriableError: the checker finds errors, or an agent changes things outside.
        AgentNotUsableError: an agent version is suspended or retired.
    """
    version = designer.version_to_try(workflow)
    definition = designer.definition_of(version)
    catalogue = designer.catalogue_of(version)
    _require_sound(designer.findings_of(version))
    _require_harmless(definition, catalogue)
    types = designer.types_of(version)
    binding = registry.binding_of(definition, types, statuses=TRIABLE)
    if not designer.is_unfinished(version):
        return PinnedVersion(version, designer.compiled(version.id, types_of(binding)), binding)
    compiled = compile_workflow(definition, catalogue)
    return PinnedVersion(version, compiled, binding, _snapshot(definition, binding))


def binding_for_trial(version: WorkflowVersion) -> JsonObject:
    """What a test run of a frozen version is pinned to, which a step of a test run starts.

    Raises:
        NotTriableError: an agent changes things outside.
        AgentNotUsableError: an agent version is suspended or retired.
    """
    definition = designer.definition_of(version)
    _require_harmless(definition, designer.catalogue_of(version))
    return registry.binding_of(definition, version.types, statuses=TRIABLE)


def keep_snapshot(pinned: PinnedVersion, now: datetime) -> None:
    """Keep what an unfinished version is now, if it is one; the same content is kept once."""
    if pinned.snapshot is not None:
        row = DefinitionSnapshot(
            sha256=content_sha256(pinned.snapshot), content=pinned.snapshot, created_at=now
        )
        DefinitionSnapshot.objects.bulk_create([row], ignore_conflicts=True)


def _snapshot(definition: WorkflowDefinition, binding: JsonObject) -> JsonObject:
    agents = binding["agents"]
    assert isinstance(agents, dict)
    return {
        "definition": definition.model_dump(mode="json"),
        "types": binding["types"],
        "agents": agents,
    }


def _require_sound(findings: list[Finding]) -> None:
    errors = [one for one in findings if one.severity == "error"]
    if errors:
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        raise NotTriableError(
            f"This draft cannot run yet, the checker finds {count}: {errors[0].message}",
            detail={"findings": [one.model_dump(mode="json") for one in errors]},
        )


def _require_harmless(definition: WorkflowDefinition, catalogue: Catalogue) -> None:
    writing: JsonObject = {}
    for step_id, step in definition.steps.items():
        for called in doers_of(step):
            interface = catalogue.agents[called.agent, called.version]
            if interface.side_effect not in HARMLESS:
                writing[step_id] = f"'{step.name}' calls {interface.name}"
    if writing:
        listed = ", ".join(str(words) for words in writing.values())
        raise NotTriableError(
            f"A test run calls no agent that changes things outside: {listed}.",
            detail={"steps": list(writing)},
        )
