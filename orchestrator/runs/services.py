"""What people, triggers and the sweeper may do to runs. Nobody here writes run or step state.

A new run is planned once (purely) and written with its first journal event; from then on only the
walker that holds the claim writes it. Everything else is an event put into the run's inbox, with
its audit entry, in one transaction; after commit the doorbell is rung. A lost doorbell loses
nothing: the sweeper finds what waits.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID, uuid5

from django.db import DatabaseError, IntegrityError, transaction
from kombu.exceptions import OperationalError as BrokerError

from approvals.subjects import TakenDecision
from audit.services import PreparedEntry, Subject, append_entry, prepare_entry
from designer import selectors as designer
from orchestrator import access
from orchestrator.access import SYSTEM, Actor
from orchestrator.core import events
from orchestrator.core.canonical import content_sha256
from orchestrator.core.catalogue import MAX_NESTING
from orchestrator.core.compilation import CompiledWorkflow
from orchestrator.core.contracts import Validator
from orchestrator.core.errors import (
    ConflictError,
    DomainError,
    IllegalTransitionError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
)
from orchestrator.core.events import DrivingEvent
from orchestrator.core.gates import GIVE
from orchestrator.core.json import JsonObject, check_json
from orchestrator.core.model_usage import TokenRates
from orchestrator.core.packing import packed_binding
from orchestrator.core.planner import initial_state, overridable_steps, resumable_steps
from orchestrator.core.reading import read_reason
from orchestrator.core.rollback import MAY_BE_ROLLED_BACK, rollback_plan
from orchestrator.core.shares import Priority
from orchestrator.core.spending import rates_wanted
from orchestrator.core.state import GOING_ON, RunStatus
from orchestrator.files.services import attach_payload
from orchestrator.ids import new_id
from orchestrator.outages import Outage
from orchestrator.runs import breakers, children, faults, hints, invoke, selectors, statements
from orchestrator.runs.lanes import FIRST, LATER, lane_for, lane_of, lane_of_run
from orchestrator.runs.models import ChildRun, Incident, Run, RunDetail
from orchestrator.runs.recording import Recording, RunFacts, step_of_subject, types_of
from orchestrator.runs.trials import (
    PinnedVersion,
    binding_for_trial,
    keep_snapshot,
    pinned_for_trial,
)
from registry import routes
from registry import selectors as registry

if TYPE_CHECKING:
    from designer.models import Workflow

logger = logging.getLogger("baton.runs")

WALK_RUN: Final = "runs.walk_run"
BROKER_AWAY: Final = Outage(seconds=2.0)
"""Nobody in this process rings for a while after a doorbell could not be rung."""
CHILDREN_AT_ONCE: Final = 200
_EVENTS: Final = UUID("6f1c1d5e-6a3e-4c57-9b3a-2f6f0f6f7d11")
"""Namespace of the ids of events that are sent once for a reason, such as one lost attempt."""


class IdempotencyKeyReusedError(ConflictError):
    """The key was used before, for another workflow or another input."""

    code = "idempotency_key_reused"


class StepNotResumableError(ConflictError):
    """The failed run cannot go on at this step; `detail["steps"]` lists where it can."""

    code = "step_not_resumable"


class NothingToUndoError(ConflictError):
    """No step of the run has changed anything."""

    code = "nothing_to_undo"


class StepNotOverridableError(ConflictError):
    """Nobody can give this step's result now; `detail["steps"]` lists where it is possible."""

    code = "step_not_overridable"


# ---- start ---------------------------------------------------------------------------------------


def start_run(
    *,
    workflow_slug: str,
    input: JsonObject,  # noqa: A002  the word of the API
    actor: Actor,
    now: datetime,
    mode: Literal["live", "test"] = "live",
    idempotency_key: str | None = None,
    depth: int = 0,
    priority: Priority | None = None,
) -> Run:
    """Start a run of the workflow's active version; its input is checked and repaired.

    A test run executes the unfinished version as it is now, when there is one, and calls only
    agents without effects; see `trials.pinned_for_trial`.

    With an idempotency key a repeat returns the run that the first call started. The run is pinned
    to the definition, the agent versions and the types of this moment. `depth` counts the runs that
    led to it, one by the event of another. Without a `priority` it has that of its workflow.

    Raises:
        NotFoundError: no such workflow for this actor.
        PermissionDeniedError: the actor may not start runs there.
        NoActiveVersionError: no version is active.
        AgentNotUsableError: an agent version is missing, suspended or not released.
        SignOffMissingError: it is not signed off as it is now; lists what changed.
        NotTriableError: a test run of a draft with errors, or of agents that change things.
        InvalidInputError: the input breaks the contract; `detail["violations"]` lists each place.
        IdempotencyKeyReusedError: the key belongs to another request.
    """
    workflow = designer.get_workflow(workflow_slug)
    access.require(actor, "run.start" if mode == "live" else "workflow.try", workflow)
    key = _key_digest(idempotency_key, workflow.workspace_id, actor)
    check_json(input)
    if key is not None and (earlier := _started_with(key, workflow.id, input)) is not None:
        return earlier
    pinned = _pinned(workflow) if mode == "live" else pinned_for_trial(workflow)
    compiled, version = pinned.compiled, pinned.version
    accepted = _accept_input(compiled, input)
    facts = RunFacts(
        run_id=new_id(),
        workspace_id=workflow.workspace_id,
        workflow_id=workflow.id,
        workflow_slug=workflow.slug,
        version_id=version.id,
        version_number=version.number,
        snapshot_id=pinned.snapshot_id,
        mode=mode,
        compiled=compiled,
        binding={**pinned.binding, "workflow": workflow.slug, "version": version.number},
        starter=actor,
        priority=(priority or compiled.definition.policies.priority).value,
    )
    with transaction.atomic():
        keep_snapshot(pinned, now)
        written = _write_run(facts, accepted, input, key=key, depth=depth, now=now)
    if not written:
        return _repeated(key, workflow.id, input)
    return Run.objects.get(id=facts.run_id)


def _write_run(
    facts: RunFacts,
    accepted: JsonObject,
    given: JsonObject,
    *,
    key: str | None,
    depth: int,
    now: datetime,
) -> bool:
    """Write a run that starts now, in the caller's transaction, and ring after its commit.

    False: another request with the same key was first.
    """
    recording = Recording(facts, initial_state(str(facts.run_id)))
    attach_payload(
        payload=accepted,
        workspace_id=facts.workspace_id,
        workflow_id=facts.workflow_id,
        actor=facts.starter,
    )
    recording.add_entry(_started_entry(facts, accepted, now))
    started = events.RunStarted(input=accepted, depth=depth or None, rates=_rates(facts))
    recording.apply(started, now)
    written = _begin(recording, _detail_row(facts, accepted, given, key), now)
    if written:
        transaction.on_commit(partial(ring, facts.run_id, workflow_id=facts.workflow_id))
        transaction.on_commit(partial(hints.note, facts.run_id, recording.seq))
        transaction.on_commit(partial(look_after_others, facts.run_id, recording, now))
    return written


def _rates(facts: RunFacts) -> dict[str, TokenRates] | None:
    """What tokens cost now, for a run whose budget limits what its models may cost."""
    wanted = rates_wanted(facts.compiled)
    if wanted is None:
        return None
    currency, names = wanted
    return routes.rates_of(facts.workspace_id, names, currency) or None


def _pinned(workflow: Workflow) -> PinnedVersion:
    """The active version as a live run that starts now executes it."""
    version = designer.active_version(workflow)
    binding = designer.binding_of(version)
    return PinnedVersion(version, designer.compiled(version.id, types_of(binding)), binding)


def _begin(recording: Recording, detail: Mapping[str, object], now: datetime) -> bool:
    """Write the run; False when another request with the same key was first."""
    if detail["idempotency_key"] is None:
        return recording.begin(detail, now=now)
    try:
        with transaction.atomic():
            return recording.begin(detail, now=now)
    except IntegrityError:
        return False


def _accept_input(compiled: CompiledWorkflow, given: JsonObject) -> JsonObject:
    accepted = compiled.input_contract.accept(given)
    if accepted.verdict == "refused" or not isinstance(accepted.payload, dict):
        first = accepted.violations[0] if accepted.violations else None
        where = f": {first.path or 'the input'} {first.reason}" if first else ""
        raise InvalidInputError(
            f"The input does not fit what this workflow takes{where}.",
            detail={"violations": [one.model_dump(mode="json") for one in accepted.violations]},
        )
    return accepted.payload


def _detail_row(
    facts: RunFacts, accepted: JsonObject, given: JsonObject, key: str | None
) -> dict[str, object]:
    return {
        "run_id": facts.run_id,
        "input": accepted,
        "input_sha256": content_sha256(given) if key else "",
        "binding": packed_binding(facts.binding),
        "started_by_kind": facts.starter.kind,
        "started_by": facts.starter.id,
        "idempotency_key": key,
        "result": None,
        "end_reason": "",
    }


def _started_entry(facts: RunFacts, accepted: JsonObject, now: datetime) -> PreparedEntry:
    return prepare_entry(
        actor=facts.starter,
        action="run.started",
        subject=Subject("run", str(facts.run_id)),
        now=now,
        workspace_id=facts.workspace_id,
        run=facts.run_id,
        decision={
            "outcome": "started",
            "workflow": facts.workflow_slug,
            "version": facts.version_number,
            "version_id": str(facts.version_id),
            "definition_sha256": facts.binding["definition_sha256"],
            "mode": facts.mode,
            **({} if facts.priority == Priority.NORMAL else {"priority": facts.priority}),
            **({"parent": facts.binding["parent"]} if "parent" in facts.binding else {}),
        },
        after_sha256=content_sha256(facts.binding),
        payloads={"input": accepted, "binding": facts.binding},
        run_seq=1,
    )


def _key_digest(key: str | None, workspace_id: UUID, actor: Actor) -> str | None:
    if not key:
        return None
    return hashlib.sha256(f"{workspace_id}\n{actor.kind}\n{actor.id}\n{key}".encode()).hexdigest()


def _started_with(key: str, workflow_id: UUID, given: JsonObject) -> Run | None:
    detail = RunDetail.objects.select_related("run").filter(idempotency_key=key).first()
    if detail is None:
        return None
    if detail.run.workflow_id != workflow_id or detail.input_sha256 != content_sha256(given):
        raise IdempotencyKeyReusedError(
            "This idempotency key was used before, with another workflow or another input.",
            detail={"run": str(detail.run_id)},
        )
    return detail.run


def _repeated(key: str | None, workflow_id: UUID, given: JsonObject) -> Run:
    found = _started_with(key, workflow_id, given) if key else None
    if found is None:
        raise ConflictError("Another request with this key is under way; try again.")
    return found


# ---- runs that steps of runs start ---------------------------------------------------------------


def look_after_others(run_id: UUID, recording: Recording, now: datetime) -> None:
    """Ring runs that a commit told something, and start those that it asked for."""
    rung, wants_children = recording.take_rung()
    for one in rung:
        faults.point("before_telling")
        ring(one, first=True)
    if not wants_children:
        return
    try:
        start_children(now, parent_id=run_id)
    except DatabaseError:  # the sweeper starts them
        logger.exception("children could not be started", extra={"run": str(run_id)})


def start_children(now: datetime, *, parent_id: UUID | None = None) -> int:
    """Start runs that steps asked for, of one run or of all; returns how many were looked at.

    Each is started once, whoever else does the same. What a paused run asked for waits.
    """
    wanted = ChildRun.objects.filter(status=children.WANTED).exclude(parent__status="paused")
    if parent_id is not None:
        wanted = wanted.filter(parent_id=parent_id)
    found = list(wanted.select_related("parent").defer("parent__state")[:CHILDREN_AT_ONCE])
    for child in found:
        faults.point("before_child")
        try:
            _start_child(child, now)
            faults.point("after_child")
        except DomainError as error:
            _refuse_child(child, error.message, now)
        except Exception:  # one that cannot be started now must not keep the others waiting
            logger.exception("child could not be started", extra={"run": str(child.id)})
    return len(found)


def _start_child(child: ChildRun, now: datetime) -> None:
    """Make a run of what a step asked for, on behalf of whoever started the step's run.

    Raises:
        DomainError: it cannot start: no such version, not signed off, an input that does not fit.
    """
    detail = RunDetail.objects.get(run_id=child.parent_id)
    level = children.level_of(detail.binding) + 1
    if level > MAX_NESTING:
        raise ConflictError(f"More than {MAX_NESTING} runs would run one inside the other.")
    parent = child.parent
    pinned = _pinned_of_child(child, detail)
    version, compiled = pinned.version, pinned.compiled
    accepted = _accept_input(compiled, child.input)
    starter = Actor(kind=detail.started_by_kind, id=detail.started_by)  # type: ignore[arg-type]  # stored words
    lineage: JsonObject = {
        "run": str(parent.id),
        "step": child.step,
        "iteration": child.iteration,
        "level": level,
        "detached": child.is_detached,
    }
    facts = RunFacts(
        run_id=child.id,
        workspace_id=parent.workspace_id,
        workflow_id=version.workflow_id,
        workflow_slug=version.workflow.slug,
        version_id=version.id,
        version_number=version.number,
        snapshot_id=pinned.snapshot_id,
        mode=parent.mode,
        compiled=compiled,
        binding={
            **pinned.binding,
            "workflow": version.workflow.slug,
            "version": version.number,
            "parent": lineage,
        },
        starter=starter,
        priority=parent.priority,
    )
    with transaction.atomic():
        # What the parent's next commit tells the child finds it: that waits for the parent's row.
        holder = Run.objects.select_for_update().filter(id=parent.id)
        if holder.values_list("status", flat=True).get() == RunStatus.PAUSED:
            return
        mine = ChildRun.objects.filter(id=child.id, status=children.WANTED)
        if mine.update(status=children.STARTED):
            _write_run(facts, accepted, child.input, key=None, depth=child.depth, now=now)


def _pinned_of_child(child: ChildRun, detail: RunDetail) -> PinnedVersion:
    """What a child executes: a published version, or a draft that runs itself as its parent does.

    Raises:
        DomainError: it takes no new runs, or is not signed off.
    """
    parent = child.parent
    version, snapshot = parent.version, parent.snapshot
    is_own = (version.workflow.slug, version.number) == (child.workflow, child.number)
    if snapshot is not None and is_own:
        binding = {key: value for key, value in detail.binding.items() if key != "parent"}
        return PinnedVersion(version, selectors.compiled_run(parent), binding, snapshot.content)
    version = designer.version_to_run(child.workflow, child.number, parent.workspace_id)
    binding = binding_for_trial(version) if parent.mode == "test" else designer.binding_of(version)
    return PinnedVersion(version, designer.compiled(version.id, types_of(binding)), binding)


def _refuse_child(child: ChildRun, reason: str, now: datetime) -> None:
    """Tell the step that its run cannot start; a detached one is only noted."""
    with transaction.atomic():
        mine = ChildRun.objects.filter(id=child.id, status=children.WANTED)
        if not mine.update(status=children.REFUSED, reason=reason):
            return
        append_entry(
            actor=SYSTEM,
            action="run.child_refused",
            subject=Subject("step", f"{child.parent_id}/{child.step}/{child.iteration}"),
            now=now,
            workspace_id=child.parent.workspace_id,
            run=child.parent_id,
            step=child.step,
            reason=reason[:2_000],
            decision={"outcome": "refused", "workflow": child.workflow, "version": child.number},
        )
        if child.is_detached:
            return
        event = events.ChildEnded(
            step=child.step,
            iteration=child.iteration,
            child=str(child.id),
            status="not_started",
            reason=reason[:1_500],
        )
        if children.send_end(child.parent_id, event, seq=0, now=now):
            transaction.on_commit(partial(ring, child.parent_id, first=True))


# ---- what people ask of a run --------------------------------------------------------------------


def cancel_run(*, run_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """End a run for good, also while it waits or an agent is being called.

    Raises:
        IllegalTransitionError: it has ended already.
    """
    run = selectors.get_run(actor, run_id)
    access.require(actor, "run.cancel", run)
    reason = read_reason(reason)
    event = events.CancelRequested(reason=reason, actor=actor.id)
    _ask(run, event, "run.cancel_requested", reason, actor=actor, now=now, statuses=GOING_ON)


def pause_run(*, run_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Let a run begin nothing new; calls in flight are aborted and made again later.

    Raises:
        IllegalTransitionError: it is paused or has ended.
    """
    run = selectors.get_run(actor, run_id)
    access.require(actor, "run.pause", run)
    reason = read_reason(reason)
    event = events.PauseRequested(reason=reason, actor=actor.id)
    _ask(run, event, "run.paused", reason, actor=actor, now=now, statuses=GOING_ON[:3])


def continue_run(*, run_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Let a paused run go on.

    Raises:
        IllegalTransitionError: it is not paused.
    """
    run = selectors.get_run(actor, run_id)
    access.require(actor, "run.pause", run)
    reason = read_reason(reason)
    event = events.ContinueRequested(reason=reason, actor=actor.id)
    _ask(run, event, "run.continued", reason, actor=actor, now=now, statuses=(RunStatus.PAUSED,))


def resume_run(
    *,
    run_id: UUID,
    step: str = "",
    input: JsonObject | None = None,  # noqa: A002  the word of the API
    reason: str,
    actor: Actor,
    now: datetime,
) -> None:
    """Let a failed run go on at a step, by default the one it failed at.

    Steps before it are not run again. An edited input must fit the step's contract.

    Raises:
        IllegalTransitionError: the run has not failed, or somebody has resumed it already.
        StepNotResumableError: it cannot go on at that step.
        InvalidInputError: the edited input breaks the step's contract.
    """
    run = selectors.get_run(actor, run_id)
    access.require(actor, "run.resume", run)
    reason = read_reason(reason)
    if run.status != RunStatus.FAILED:
        raise IllegalTransitionError(run.status, "resume")
    compiled = selectors.compiled_run(run, types_of(selectors.binding_of(run)))
    state = selectors.run_state(run)
    possible = resumable_steps(compiled, state)
    step = step or state.failed_step or (possible[0] if possible else "")
    if step not in possible:
        raise StepNotResumableError(
            "The run cannot go on at this step.", detail={"step": step, "steps": list(possible)}
        )
    if input is not None:
        check_json(input)
        input = _accept_step_input(compiled, step, input)  # noqa: A001  as above
    event = events.RunResumed(step=step, input=input, reason=reason, actor=actor.id)
    with transaction.atomic():
        if input is not None:
            attach_payload(
                payload=input,
                workspace_id=run.workspace_id,
                workflow_id=run.workflow_id,
                actor=actor,
            )
        _ask(
            run,
            event,
            "run.resumed",
            reason,
            actor=actor,
            now=now,
            statuses=(RunStatus.FAILED,),
            drained=True,
            step=step,
            payloads={} if input is None else {"input": input},
        )


def override_result(
    *,
    run_id: UUID,
    step: str,
    output: JsonObject,
    reason: str,
    actor: Actor,
    now: datetime,
) -> None:
    """Give a step's result in place of its agent; the run goes on from it.

    The step waits for a person or its next try, or the run has failed and may be resumed there. The
    output must fit the agent's output contract; journal and log name the person.

    Raises:
        PermissionDeniedError: the actor is no person, or not an operator.
        StepNotOverridableError: its result cannot be given now; `detail["steps"]` lists where.
        InvalidInputError: the output breaks the contract.
        IllegalTransitionError: the run moved on meanwhile.
    """
    run = selectors.get_run(actor, run_id)
    access.require(actor, "run.override", run)
    if actor.kind != "user":
        raise PermissionDeniedError("Only a person gives a result in an agent's place.")
    reason = read_reason(reason)
    compiled = selectors.compiled_run(run, types_of(selectors.binding_of(run)))
    state = selectors.run_state(run)
    possible = overridable_steps(compiled, state)
    if step not in possible:
        raise StepNotOverridableError(
            "The result of this step cannot be given now.",
            detail={"step": step, "steps": list(possible)},
        )
    check_json(output)
    output = _accepted(
        compiled.steps[step].output_contract,
        output,
        f"The result does not fit what “{compiled.definition.steps[step].name}” gives.",
    )
    iteration = state.steps[step].iteration
    event = events.ResultGiven(
        step=step, iteration=iteration, output=output, reason=reason, actor=actor.id
    )
    has_failed = run.status == RunStatus.FAILED
    with transaction.atomic():
        attach_payload(
            payload=output,
            workspace_id=run.workspace_id,
            workflow_id=run.workflow_id,
            actor=actor,
        )
        _ask(
            run,
            event,
            "step.overridden",
            reason,
            actor=actor,
            now=now,
            statuses=(RunStatus.FAILED,) if has_failed else GOING_ON[1:],
            drained=has_failed,
            step=step,
            subject=Subject("step", f"{run.id}/{step}/{iteration + 1}"),
            payloads={"output": output},
        )


def roll_back_run(*, run_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Have what an ended run has done undone, step after step, the latest first.

    What cannot be undone is listed; see `core/rollback.py`.

    Raises:
        IllegalTransitionError: it has not ended, or was rolled back before.
        NothingToUndoError: no step has changed anything, or it is a test run.
    """
    run = selectors.get_run(actor, run_id)
    access.require(actor, "run.override", run)
    reason = read_reason(reason)
    if run.status not in MAY_BE_ROLLED_BACK:
        raise IllegalTransitionError(run.status, "rollback_requested")
    compiled = selectors.compiled_run(run, types_of(selectors.binding_of(run)))
    if run.mode == "test" or rollback_plan(compiled, selectors.run_state(run)).is_empty:
        raise NothingToUndoError("No step of this run has changed anything that could be undone.")
    event = events.RollbackRequested(reason=reason, actor=actor.id)
    _ask(
        run,
        event,
        "run.rollback_requested",
        reason,
        actor=actor,
        now=now,
        statuses=tuple(MAY_BE_ROLLED_BACK),
        drained=True,
    )


def dismiss_run(*, run_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Take a run off the attention list that failed, or was not undone as a whole.

    It stays as it is. Twice changes nothing.

    Raises:
        IllegalTransitionError: it has not failed, and was not rolled back.
    """
    run = selectors.get_run(actor, run_id)
    access.require(actor, "run.override", run)
    reason = read_reason(reason)
    if run.status not in {RunStatus.FAILED, RunStatus.ROLLED_BACK}:
        raise IllegalTransitionError(run.status, "dismiss")
    with transaction.atomic():
        dismissed = Run.objects.filter(
            id=run.id, status=run.status, needs_attention=True, owner__isnull=True
        ).update(needs_attention=False)
        if dismissed:
            append_entry(
                actor=actor,
                action="run.dismissed",
                subject=Subject("run", str(run.id)),
                now=now,
                workspace_id=run.workspace_id,
                run=run.id,
                reason=reason,
            )
            transaction.on_commit(partial(hints.note, run.id))


def _accept_step_input(compiled: CompiledWorkflow, step: str, given: JsonObject) -> JsonObject:
    name = compiled.step(step).step.name
    refusal = f"The input does not fit what “{name}” takes."
    return _accepted(compiled.step(step).contract, given, refusal)


def _accepted(contract: Validator | None, given: JsonObject, refusal: str) -> JsonObject:
    """What a contract makes of a payload, repaired where it may be."""
    if contract is None:
        return given
    accepted = contract.accept(given)
    if accepted.verdict == "refused" or not isinstance(accepted.payload, dict):
        raise InvalidInputError(
            refusal,
            detail={"violations": [one.model_dump(mode="json") for one in accepted.violations]},
        )
    return accepted.payload


def _ask(
    run: Run,
    event: DrivingEvent,
    action: str,
    reason: str,
    *,
    actor: Actor,
    now: datetime,
    statuses: Sequence[str],
    drained: bool = False,
    step: str = "",
    subject: Subject | None = None,
    payloads: JsonObject | None = None,
) -> None:
    event_id = new_id()
    with transaction.atomic():
        sent = commit_inbox_event(
            run.id, event, event_id=event_id, now=now, statuses=statuses, drained=drained
        )
        if not sent:
            run.refresh_from_db(fields=["status"])
            raise IllegalTransitionError(run.status, event.type)
        append_entry(
            actor=actor,
            action=action,
            subject=subject or Subject("run", str(run.id)),
            now=now,
            workspace_id=run.workspace_id,
            run=run.id,
            step=step,
            reason=reason,
            payloads=payloads,
            event_id=event_id,
        )


def reset_breaker(*, slug: str, number: int, reason: str, actor: Actor, now: datetime) -> None:
    """Let an agent version be called that was left alone; closed already, nothing changes.

    Raises:
        NotFoundError: there is no such version for this actor.
        PermissionDeniedError: the actor may not suspend and reinstate it either.
    """
    version = registry.get_agent_version(slug, number)
    access.require(actor, "agent.suspend", version.agent)
    reason = read_reason(reason)
    breakers.close_by_hand(
        version.id, version.agent.workspace_id, reason=reason, actor=actor, now=now
    )
    invoke.forget_status()


# ---- inbox and doorbell --------------------------------------------------------------------------


def commit_inbox_event(
    run_id: UUID,
    event: DrivingEvent,
    *,
    event_id: UUID,
    now: datetime,
    statuses: Sequence[str] = (),
    drained: bool = False,
) -> bool:
    """Put an event into a run's inbox, in the caller's transaction, and ring after its commit.

    False, and nothing written: the event was sent before, or the run's status is none of
    `statuses`, or with `drained` something in its inbox waits to be applied.
    """
    body: JsonObject = event.model_dump(mode="json")
    workflow_id = statements.send(
        run_id, body, event_id=event_id, now=now, statuses=statuses, drained=drained
    )
    if workflow_id is None:
        return False
    transaction.on_commit(partial(ring, run_id, workflow_id=workflow_id, first=True))
    return True


def ring(
    run_id: UUID, *, workflow_id: UUID | None = None, first: bool = False, label: str = ""
) -> None:
    """Tell a worker to look at a run. Nothing depends on it: the sweeper rings again.

    With `first`, before the runs that have not begun or have used up their slice: somebody
    decided, something is due, or its worker is dead. A burst of new runs keeps nothing waiting, and
    one of a single workflow no other workflow (`lanes`); who knows the run's workflow says it. With
    a label only workers that have it hear of it.

    After a doorbell that could not be rung, none is for a while (`BROKER_AWAY`).
    """
    from celery import current_app

    faults.point("before_doorbell")
    if BROKER_AWAY.lasts:
        return
    try:
        current_app.send_task(
            WALK_RUN,
            kwargs={"run_id": str(run_id)},
            queue=_queue(run_id, workflow_id, label),
            retry=False,
            priority=FIRST if first else LATER,
        )
    except (BrokerError, OSError):
        BROKER_AWAY.begin()
        logger.warning("doorbell could not be rung", extra={"run": str(run_id)})


def _queue(run_id: UUID, workflow_id: UUID | None, label: str) -> str:
    if label:
        return lane_for(label)
    return lane_of_run(run_id) if workflow_id is None else lane_of(workflow_id)


def wake(run_ids: Iterable[UUID]) -> None:
    """Ask for a walker of each of these runs, ahead of those that begin; ended ones are left."""
    for run_id in run_ids:
        going_on = Run.objects.filter(id=run_id, ended_at__isnull=True)
        if going_on.update(rung_at=statements.CLOCK.now()):
            ring(run_id, first=True)


def free_run(*, run_id: UUID, owner: UUID, now: datetime, only_expired: bool = False) -> bool:
    """Take a run from a walker that is dead or cut off, and tell the run which calls were lost.

    False: the claim is not his any more, or with `only_expired` he renewed it.
    """
    with transaction.atomic():
        lost = statements.free(run_id, owner, only_expired=only_expired)
        if lost is None:
            return False
        for step, iteration, number in lost:
            commit_inbox_event(
                run_id,
                events.AttemptLost(step=step, iteration=iteration, attempt=number),
                event_id=uuid5(_EVENTS, f"lost/{run_id}/{step}/{iteration}/{number}"),
                now=now,
            )
        if not lost:
            transaction.on_commit(partial(ring, run_id, first=True))
    return True


def fire_timer(*, timer_id: UUID, now: datetime) -> bool:
    """Turn a timer that is due into an event of its run; False: it is gone or was set anew."""
    timer = selectors.get_timer(timer_id)
    if timer is None:
        return False
    event = events.TimerFired(
        timer=timer.key,
        purpose=timer.purpose,
        step=timer.step or None,
        iteration=timer.iteration,
    )
    with transaction.atomic():
        if not statements.take_timer(timer.id):
            return False
        return commit_inbox_event(timer.run_id, event, event_id=timer.id, now=now)


# ---- incidents -----------------------------------------------------------------------------------


def open_incident(*, kind: str, run_id: UUID, detail: JsonObject, now: datetime) -> bool:
    """Note that something is wrong with a run that nobody asked about; False: known already."""
    with transaction.atomic():
        incident, is_new = Incident.objects.get_or_create(
            kind=kind,
            run_id=run_id,
            closed_at=None,
            defaults={"detail": detail, "opened_at": now},
        )
        if is_new:
            _record_incident("incident.opened", incident, run_id, now=now)
    return is_new


def close_incident(*, incident: Incident, now: datetime) -> bool:
    """Note that an incident is settled; False: it was before."""
    with transaction.atomic():
        closed = Incident.objects.filter(id=incident.id, closed_at__isnull=True)
        if not closed.update(closed_at=now):
            return False
        if incident.run_id is not None:
            _record_incident("incident.closed", incident, incident.run_id, now=now)
    return True


def _record_incident(action: str, incident: Incident, run_id: UUID, *, now: datetime) -> None:
    append_entry(
        actor=SYSTEM,
        action=action,
        subject=Subject("incident", str(incident.id)),
        now=now,
        workspace_id=Run.objects.values_list("workspace_id", flat=True).get(id=run_id),
        run=run_id,
        decision={"outcome": incident.kind},
    )


# ---- decisions -----------------------------------------------------------------------------------


def gate_decided(decision: TakenDecision) -> None:
    """Tell the run what a person decided at a gate; in the transaction in which it takes effect."""
    step, iteration = step_of_subject(decision.subject_id)
    event = events.ReviewDecided.model_validate(
        {
            "step": step,
            "iteration": iteration,
            "task": str(decision.task_id),
            "decision": str(decision.decision_id),
            "outcome": decision.outcome,
            "choice": decision.choice or None,
            "output": decision.output,
            "reason": decision.reason or None,
            "actor": decision.actor_id,
        }
    )
    _send_decision(decision, event)


def exception_decided(decision: TakenDecision) -> None:
    """Tell the run what a person decided about an exception.

    The step runs again, or ends with the result that the person gave, or the run ends.
    """
    step, iteration = step_of_subject(decision.subject_id)
    event = events.ExceptionDecided.model_validate(
        {
            "step": step,
            "iteration": iteration,
            "task": str(decision.task_id),
            "decision": str(decision.decision_id),
            "choice": decision.choice,
            "output" if decision.choice == GIVE else "input": decision.output,
            "reason": decision.reason or None,
            "actor": decision.actor_id,
        }
    )
    _send_decision(decision, event)


def _send_decision(decision: TakenDecision, event: DrivingEvent) -> None:
    if decision.run_id is None:
        raise NotFoundError("This review belongs to no run.")
    commit_inbox_event(decision.run_id, event, event_id=decision.decision_id, now=decision.at)
