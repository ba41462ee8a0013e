"""Asking people and recording their answers. The only writer of review tasks and decisions.

A decision is committed and audited at once, but takes effect later (`effective_at`), so that it can
be undone; `take_effect` is called by the sweeper. Three walls keep one final decision per task: the
guarded update of the task row, the unique index over decisions that are not undone, and the guard
on `took_effect_at` that lets `on_decided` run once.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import IntegrityError, transaction

from approvals import selectors, subjects
from approvals.evidence import (
    NEEDS_OUTPUT,
    ReviewEvidence,
    build_evidence,
)
from approvals.lifecycle import LIVE_STATUSES, ReviewEvent, next_status, statuses_allowing
from approvals.models import Decision, ReviewStatus, ReviewTask, SignOff
from approvals.subjects import TakenDecision
from audit.services import Subject, append_entry
from orchestrator import access, live
from orchestrator.access import SYSTEM, Actor
from orchestrator.core.canonical import content_sha256
from orchestrator.core.contracts import Validator, standard_types
from orchestrator.core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
)
from orchestrator.core.json import JsonObject, JsonValue, check_json
from orchestrator.core.results import Violation
from orchestrator.files import selectors as files
from orchestrator.ids import new_id

logger = logging.getLogger(__name__)

UNDO_SECONDS = 10
"""How long a decision made on a page can be taken back."""

TITLE_LENGTH = 200
REASON_LENGTH = 2_000


class ContentChangedError(ConflictError):
    """What the person saw is not what would be decided."""

    code = "content_changed"


class AlreadyDecidedError(ConflictError):
    """Somebody decided first; `detail` says who, when and what."""

    code = "already_decided"


class ReviewClosedError(ConflictError):
    """The task expired or was withdrawn."""

    code = "review_closed"


class ReviewClaimedError(ConflictError):
    """Another person works on it."""

    code = "review_claimed"


class UndoTooLateError(ConflictError):
    """The decision has taken effect."""

    code = "undo_too_late"


def open_review(
    *,
    kind: str,
    subject_id: str,
    workspace_id: UUID,
    run_id: UUID | None,
    title: str,
    question: str,
    evidence: JsonObject,
    assign_role: str,
    due_at: datetime,
    excluded_people: list[str],
    actor: Actor,
    now: datetime,
) -> ReviewTask:
    """Put a question to people; the evidence is fixed here and hashed.

    Opening again for a subject whose task is live or decided returns that task.

    Raises:
        InvalidInputError: the evidence is not of the shape in `approvals/evidence.py`.
        LookupError: the kind is not registered.
    """
    subjects.get_subject(kind)
    existing = selectors.open_review_of(kind, subject_id)
    if existing is not None:
        return existing
    task = ReviewTask(
        kind=kind,
        subject_id=subject_id,
        workspace_id=workspace_id,
        run_id=run_id,
        title=_fitting(title),
        question=_fitting(question),
        assign_role=assign_role,
        excluded_people=[str(person) for person in excluded_people],
        due_at=due_at,
    )
    return _put(task, evidence, actor=actor, now=now)


def open_sign_off_review(
    *,
    sign_off: SignOff,
    number: int,
    title: str,
    question: str,
    evidence: JsonObject,
    due_at: datetime,
    excluded_people: list[str],
    actor: Actor,
    now: datetime,
) -> ReviewTask:
    """Put a version to the person who gives signature `number`; errors as in `open_review`.

    It is assigned to no role: whoever holds the permission of the kind decides it.
    """
    task = ReviewTask(
        kind=sign_off.kind,
        subject_id=f"{sign_off.subject_id}/{sign_off.round}/{number}",
        sign_off=sign_off,
        workspace_id=sign_off.workspace_id,
        title=_fitting(title),
        question=_fitting(question),
        excluded_people=excluded_people,
        due_at=due_at,
    )
    return _put(task, evidence, actor=actor, now=now)


def claim_review(*, task_id: UUID, actor: Actor, now: datetime) -> ReviewTask:
    """Take the task on, so that others see who works on it; one's own again changes nothing.

    Raises:
        PermissionDeniedError: the actor may not decide it.
        ReviewClaimedError: another person works on it.
        ReviewClosedError, AlreadyDecidedError: nothing is left to claim.
    """
    task = selectors.get_review(actor, task_id)
    _require_standing(actor, task, now)
    if task.status == ReviewStatus.CLAIMED:
        return task
    _change_task(
        task, ReviewEvent.CLAIM, "review.claimed", actor=actor, now=now,
        fields={"claimed_by_id": actor.id, "claimed_at": now},
    )  # fmt: skip
    return selectors.get_review(actor, task_id)


def release_review(*, task_id: UUID, actor: Actor, now: datetime) -> ReviewTask:
    """Give a claimed task back to those it was assigned to.

    Raises:
        ReviewClaimedError: another person holds it.
        IllegalTransitionError: nobody holds it.
    """
    task = selectors.get_review(actor, task_id)
    _require_standing(actor, task, now)
    next_status(task.status, ReviewEvent.RELEASE)
    _change_task(
        task, ReviewEvent.RELEASE, "review.released", actor=actor, now=now,
        fields={"claimed_by_id": None, "claimed_at": None},
    )  # fmt: skip
    return selectors.get_review(actor, task_id)


def hand_over_review(
    *, task_id: UUID, actor: Actor, to_user_id: UUID | None, reason: str = "", now: datetime
) -> ReviewTask:
    """Give the task to another person, to oneself (take over), or with None back to the whole role.

    Raises:
        PermissionDeniedError: the actor may not decide it, or is one of the excluded people.
        InvalidInputError: that person may not decide it.
        IllegalTransitionError: it is no longer open.
    """
    task = selectors.get_review(actor, task_id)
    standing = selectors.may_take_part(actor, task)
    if not standing.may_decide:
        raise PermissionDeniedError(standing.reason, detail={"reason_code": standing.code})
    next_status(task.status, ReviewEvent.HAND_OVER)
    if to_user_id is not None and not selectors.may_receive(to_user_id, task):
        raise InvalidInputError(
            "That person cannot decide this review; choose somebody from the list.",
            detail={"violations": [_violation("/to", "assignable", "may not decide this review")]},
        )
    _change_task(
        task, ReviewEvent.HAND_OVER, "review.handed_over", actor=actor, now=now, reason=reason,
        fields={"claimed_by_id": None, "claimed_at": None, "assigned_to_id": to_user_id},
    )  # fmt: skip
    return selectors.get_review(actor, task_id)


def decide_review(
    *,
    task_id: UUID,
    actor: Actor,
    outcome: str,
    choice: str = "",
    output: JsonObject | None = None,
    reason: str = "",
    reason_code: str = "",
    shown_sha256: str,
    now: datetime,
    undo_seconds: int = UNDO_SECONDS,
) -> Decision:
    """Record what a person decided; it takes effect `undo_seconds` later, with 0 at once.

    The same person repeating the same decision gets the recorded one. Decided before `due_at`, it
    takes effect no later than `due_at`, so that nothing expires that somebody has answered.

    Raises:
        NotFoundError: no such review for this actor.
        PermissionDeniedError: not a person, not assigned, or excluded.
        ContentChangedError: `shown_sha256` is not the hash of the evidence.
        AlreadyDecidedError, ReviewClaimedError, ReviewClosedError: somebody or something was first.
        InvalidInputError: unknown choice, reason missing, or the output breaks the contract.
    """
    task = selectors.get_review(actor, task_id)
    given = _Given(outcome, choice, output, reason.strip(), reason_code)
    recorded = selectors.final_decision(task.id)
    if recorded is not None:
        return _recorded_or_conflict(recorded, actor, given)
    _require_standing(actor, task, now)
    if shown_sha256 != task.shown_sha256:
        raise ContentChangedError(
            "The content changed since you opened it. Review it again.",
            detail={"shown_sha256": task.shown_sha256},
        )
    evidence = selectors.evidence_of(task)
    given = _checked(given, evidence)
    _check_files(given, task, actor)
    try:
        with transaction.atomic():
            return _record(task, evidence, given, actor, now=now, undo_seconds=undo_seconds)
    except (_LostError, IntegrityError):
        recorded = selectors.final_decision(task.id)
        if recorded is None:
            raise _closed_error(selectors.get_review(actor, task_id)) from None
        return _recorded_or_conflict(recorded, actor, given)


def undo_decision(*, decision_id: UUID, actor: Actor, now: datetime) -> Decision:
    """Take one's own decision back before it takes effect; the task is claimed by the same person.

    Undoing it again changes nothing.

    Raises:
        NotFoundError: no such review for this actor.
        PermissionDeniedError: another person decided.
        UndoTooLateError: it has taken effect.
    """
    decision = _own_decision(decision_id, actor)
    if decision.undone_at is not None:
        return decision
    task = decision.task
    with transaction.atomic():
        entry_id = _audit("decision.undone", task, actor=actor, now=now, decided=decision)
        undone = Decision.objects.filter(
            id=decision.id,
            undone_at__isnull=True,
            took_effect_at__isnull=True,
            effective_at__gt=now,
        ).update(undone_at=now, audit_id=entry_id)
        reopened = undone and ReviewTask.objects.filter(
            id=task.id, status__in=statuses_allowing(ReviewEvent.UNDO)
        ).update(
            status=next_status(ReviewStatus.DECIDED, ReviewEvent.UNDO),
            claimed_by_id=actor.id,
            claimed_at=now,
            closed_at=None,
            audit_id=entry_id,
        )
        if not reopened:
            raise UndoTooLateError(
                "It is too late to undo: the decision has taken effect.",
                detail={"effective_at": decision.effective_at.isoformat()},
            )
        _hint()
    decision.refresh_from_db()
    return decision


def take_effect(now: datetime, *, limit: int = 200) -> int:
    """Carry out every decision that is due and was not undone; returns how many.

    Safe to call from several places at once: a guarded update lets each decision through once. One
    that cannot be carried out is logged, stays due, and does not hold up the others.
    """
    due = Decision.objects.select_related("task").filter(
        effective_at__lte=now, took_effect_at__isnull=True, undone_at__isnull=True
    )
    taken = 0
    for decision in due.order_by("effective_at")[:limit]:
        try:
            with transaction.atomic():
                taken += _take_effect(decision, now)
        except (
            Exception
        ):  # its subject's trouble, whatever it is, must not hold up other people's decisions
            logger.exception("decision could not take effect", extra={"decision": str(decision.id)})
    return taken


def withdraw_review(*, kind: str, subject_id: str, now: datetime, reason: str = "") -> bool:
    """Close the subject's task because the question no longer matters; False when there is none.

    A decision that has not taken effect yet is closed with it.
    """
    task = selectors.open_review_of(kind, subject_id)
    if task is None:
        return False
    return _close(task, ReviewEvent.WITHDRAW, "review.withdrawn", now=now, reason=reason)


def expire_review(*, kind: str, subject_id: str, now: datetime) -> bool:
    """Close the subject's task because nobody decided in time; False when none waits."""
    task = selectors.open_review_of(kind, subject_id)
    if task is None or task.status not in LIVE_STATUSES:
        return False
    return _close(task, ReviewEvent.EXPIRE, "review.expired", now=now)


def _put(task: ReviewTask, evidence: JsonObject, *, actor: Actor, now: datetime) -> ReviewTask:
    shown = build_evidence(evidence)
    task.id, task.status, task.opened_at = new_id(), ReviewStatus.OPEN, now
    task.evidence, task.shown_sha256 = shown, hashlib.sha256(shown).hexdigest()
    with transaction.atomic():
        task.audit_id = _audit(
            "review.opened", task, actor=actor, now=now, payloads={"evidence": shown}
        )
        task.save(force_insert=True)
        _hint()
    return task


@dataclass(frozen=True, slots=True)
class _Given:
    """What the person says, as it came in."""

    outcome: str
    choice: str
    output: JsonObject | None
    reason: str
    reason_code: str

    @property
    def picked(self) -> str:
        """The word that `evidence.decision.choices` lists."""
        return self.choice or self.outcome


class _LostError(Exception):
    """Another transaction changed the task first."""


def _record(
    task: ReviewTask,
    evidence: ReviewEvidence,
    given: _Given,
    actor: Actor,
    *,
    now: datetime,
    undo_seconds: int,
) -> Decision:
    decision = Decision(
        id=new_id(),
        task=task,
        outcome=given.outcome,
        choice=given.choice,
        output=given.output,
        reason=given.reason,
        reason_code=given.reason_code,
        decided_by_id=UUID(actor.id),
        via=actor.via,
        shown_sha256=task.shown_sha256,
        decided_at=now,
        effective_at=_effective_at(task, now, undo_seconds),
    )
    after = evidence.proposal if given.output is None else given.output
    decision.audit_id = _audit(
        "review.decided",
        task,
        actor=actor,
        now=now,
        decided=decision,
        payloads={} if given.output is None else {"output": given.output},
        before_sha256=content_sha256(evidence.proposal),
        after_sha256=content_sha256(after),
    )
    # the task's audit id changes with every change of the task: whoever read it earlier loses here
    changed = ReviewTask.objects.filter(
        id=task.id, status__in=statuses_allowing(ReviewEvent.DECIDE), audit_id=task.audit_id
    ).update(
        status=next_status(task.status, ReviewEvent.DECIDE),
        claimed_by_id=actor.id,
        closed_at=now,
        audit_id=decision.audit_id,
    )
    if not changed:
        raise _LostError
    decision.save(force_insert=True)
    if decision.effective_at <= now:
        _take_effect(decision, now)
    _hint()
    return decision


def _effective_at(task: ReviewTask, now: datetime, undo_seconds: int) -> datetime:
    later = now + timedelta(seconds=undo_seconds)
    return min(later, task.due_at) if now < task.due_at else later


def _take_effect(decision: Decision, now: datetime) -> int:
    task = decision.task
    entry_id = _audit("decision.took_effect", task, actor=SYSTEM, now=now, decided=decision)
    taken = Decision.objects.filter(
        id=decision.id, took_effect_at__isnull=True, undone_at__isnull=True
    ).update(took_effect_at=now, audit_id=entry_id)
    if not taken:
        transaction.set_rollback(True)  # takes the audit entry back with it
        return 0
    decision.took_effect_at = now
    decision.audit_id = entry_id
    subjects.get_subject(task.kind).on_decided(_taken(decision, task, now))
    _hint()
    return taken


def _taken(decision: Decision, task: ReviewTask, now: datetime) -> TakenDecision:
    output = decision.output
    if decision.outcome == "approved":
        output = selectors.evidence_of(task).proposal
    return TakenDecision(
        decision_id=decision.id,
        task_id=task.id,
        kind=task.kind,
        subject_id=task.subject_id,
        workspace_id=task.workspace_id,
        run_id=task.run_id,
        outcome=decision.outcome,
        choice=decision.choice,
        output=output,
        reason=decision.reason,
        reason_code=decision.reason_code,
        actor_id=str(decision.decided_by_id),
        at=now,
        via=decision.via,
    )


def _checked(given: _Given, evidence: ReviewEvidence) -> _Given:
    """Return what is recorded: a known choice with its reason in words and an output that fits."""
    is_known = given.picked in evidence.decision.choices
    if not is_known or (given.outcome, given.choice) != evidence.recorded(given.picked):
        allowed = ", ".join(evidence.decision.choices)
        raise InvalidInputError(
            f"'{given.picked}' cannot be decided here; possible: {allowed}.",
            detail={"violations": [_violation("/outcome", "enum", f"must be one of: {allowed}")]},
        )
    reason = _checked_reason(given, evidence)
    _check_output(given, evidence)
    return replace(given, reason=reason)


def _checked_reason(given: _Given, evidence: ReviewEvidence) -> str:
    preset = evidence.reason_text(given.reason_code) if given.reason_code else None
    if given.reason_code and preset is None:
        raise InvalidInputError(
            f"There is no reason '{given.reason_code}' to choose here.",
            detail={"violations": [_violation("/reason_code", "enum", "unknown reason")]},
        )
    reason = given.reason or preset or ""
    if evidence.needs_reason(given.picked) and not reason:
        raise InvalidInputError(
            "Give a reason: choose one, or write it in your own words.",
            detail={"violations": [_violation("/reason", "required", "a reason is needed")]},
        )
    if len(reason) > REASON_LENGTH:
        raise InvalidInputError(
            f"The reason is longer than {REASON_LENGTH} characters.",
            detail={"violations": [_violation("/reason", "maxLength", "too long")]},
        )
    check_json(reason)
    return reason


def _check_output(given: _Given, evidence: ReviewEvidence) -> None:
    if given.output is None:
        if evidence.needs_output(given.picked):
            raise InvalidInputError(
                "The filled-in form is missing.",
                detail={"violations": [_violation("/output", "required", "is missing")]},
            )
        return
    check_json(given.output)
    if not evidence.may_have_output(given.picked) and given.output != evidence.proposal:
        raise InvalidInputError(
            "You changed the proposal; approve it with edits, or as it was proposed.",
            detail={"violations": [_violation("/output", "const", "differs from the proposal")]},
        )
    if given.outcome == "edited" and given.output == evidence.proposal:
        raise InvalidInputError(
            "Nothing was changed; approve it as proposed.",
            detail={"violations": [_violation("/output", "changed", "equals the proposal")]},
        )
    contract = evidence.contract_for(given.picked)
    if contract is not None and evidence.may_have_output(given.picked):
        violations = Validator(contract, standard_types()).check(given.output)
        if violations:
            raise InvalidInputError(
                "Some fields do not fit; they are marked.",
                detail={"violations": [broken.model_dump() for broken in violations]},
            )


def _check_files(given: _Given, task: ReviewTask, actor: Actor) -> None:
    """Refuse a file that was neither shown nor is the person's to read."""
    shown = bytes(task.evidence)
    for sha256 in set(files.artefacts_in(given.output)):
        if sha256.encode() in shown:
            continue
        try:
            files.get_artefact(actor, sha256)
        except NotFoundError:
            raise InvalidInputError(
                "A file in the answer is not there, or not yours to give; upload it again.",
                detail={"violations": [_violation("/output", "artefact", "unknown file")]},
            ) from None


def _recorded_or_conflict(recorded: Decision, actor: Actor, given: _Given) -> Decision:
    same_person = actor.kind == "user" and str(recorded.decided_by_id) == actor.id
    if same_person and _is_same(recorded, given):
        return recorded
    who = "You" if same_person else str(recorded.decided_by)
    raise AlreadyDecidedError(
        f"{who} decided this on {selectors.stamp(recorded.decided_at)}: {recorded.outcome}.",
        detail={
            "decided_by": str(recorded.decided_by),
            "decided_at": recorded.decided_at.isoformat(),
            "outcome": recorded.outcome,
            "choice": recorded.choice,
        },
    )


def _is_same(recorded: Decision, given: _Given) -> bool:
    if (recorded.outcome, recorded.choice) != (given.outcome, given.choice):
        return False
    if given.reason_code != recorded.reason_code:
        return False
    if given.reason and given.reason != recorded.reason:
        return False
    return given.output == recorded.output or (
        given.outcome not in NEEDS_OUTPUT and recorded.output is None
    )


def _require_standing(actor: Actor, task: ReviewTask, now: datetime) -> None:
    standing = selectors.standing_of(actor, task, now)
    if standing.may_decide:
        return
    if standing.code == "claimed":
        raise ReviewClaimedError(standing.reason, detail={"claimed_by": str(task.claimed_by)})
    if standing.code in {"closed", "too_late"}:
        raise _closed_error(task)
    if standing.code == "not_assigned":
        access.require(actor, subjects.get_subject(task.kind).permission, task)
    raise PermissionDeniedError(standing.reason, detail={"reason_code": standing.code})


def _closed_error(task: ReviewTask) -> ConflictError:
    """What to say to somebody whose answer came too late."""
    if task.status == ReviewStatus.CLAIMED:
        return ReviewClaimedError(
            f"{task.claimed_by} is working on it.", detail={"claimed_by": str(task.claimed_by)}
        )
    if task.status == ReviewStatus.OPEN:
        return ConflictError("It changed while you decided; look at it again and repeat.")
    text = selectors.closed_text(task) or "The time to decide has ended."
    error = AlreadyDecidedError if task.status == ReviewStatus.DECIDED else ReviewClosedError
    return error(text, detail={"status": task.status})


def _own_decision(decision_id: UUID, actor: Actor) -> Decision:
    decision = Decision.objects.select_related("task", "decided_by").filter(id=decision_id).first()
    if decision is None:
        raise NotFoundError("There is no such decision.")
    selectors.get_review(actor, decision.task_id)
    if actor.kind != "user" or str(decision.decided_by_id) != actor.id:
        raise PermissionDeniedError(f"Only {decision.decided_by} can undo this decision.")
    return decision


def _change_task(
    task: ReviewTask,
    event: ReviewEvent,
    action: str,
    *,
    actor: Actor,
    now: datetime,
    fields: Mapping[str, object],
    reason: str = "",
) -> None:
    """Move the task as the table says, guarded by what was read, with its audit entry."""
    with transaction.atomic():
        entry_id = _audit(action, task, actor=actor, now=now, reason=reason)
        changed = ReviewTask.objects.filter(id=task.id, audit_id=task.audit_id).update(
            status=next_status(task.status, event), audit_id=entry_id, **fields
        )
        if not changed:
            raise ConflictError("Somebody else changed it a moment ago; look at it again.")
        _hint()


def _close(
    task: ReviewTask, event: ReviewEvent, action: str, *, now: datetime, reason: str = ""
) -> bool:
    try:
        with transaction.atomic():
            entry_id = _audit(action, task, actor=SYSTEM, now=now, reason=reason)
            voided = Decision.objects.filter(
                task_id=task.id, undone_at__isnull=True, took_effect_at__isnull=True
            ).update(undone_at=now, audit_id=entry_id)
            if task.status == ReviewStatus.DECIDED and not voided:
                raise _LostError
            changed = ReviewTask.objects.filter(id=task.id, audit_id=task.audit_id).update(
                status=next_status(task.status, event),
                closed_at=now,
                closed_because=_fitting(reason),
                audit_id=entry_id,
            )
            if not changed:
                raise _LostError
            _hint()
    except _LostError:
        return False
    return True


def _audit(
    action: str,
    task: ReviewTask,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    decided: Decision | None = None,
    payloads: Mapping[str, JsonValue | bytes] | None = None,
    before_sha256: str = "",
    after_sha256: str = "",
) -> UUID:
    """Append the entry of a change of this task and return its id."""
    decision: JsonObject | None = None
    if decided is not None:
        reason = reason or decided.reason
        decision = {
            "id": str(decided.id),
            "outcome": decided.outcome,
            "choice": decided.choice,
            "reason_code": decided.reason_code,
            "shown_sha256": decided.shown_sha256,
            "effective_at": decided.effective_at.isoformat(),
        }
    entry = append_entry(
        actor=actor,
        action=action,
        subject=Subject("review_task", str(task.id), content_sha256=task.shown_sha256),
        now=now,
        workspace_id=task.workspace_id,
        reason=reason,
        before_sha256=before_sha256,
        after_sha256=after_sha256,
        run=task.run_id,
        step=_step_of(task),
        decision=decision,
        payloads=payloads,
    )
    return entry.id


def _step_of(task: ReviewTask) -> str:
    """The step that asks: the second part of `<run id>/<step>/<iteration>...`."""
    parts = task.subject_id.split("/")
    return parts[1] if task.run_id is not None and len(parts) >= 3 else ""


def _violation(path: str, rule: str, reason: str) -> JsonObject:
    return Violation(path=path, rule=rule, reason=reason).model_dump(mode="json")


def _fitting(text: str) -> str:
    return text if len(text) <= TITLE_LENGTH else text[: TITLE_LENGTH - 1] + "…"


def _hint() -> None:
    transaction.on_commit(partial(live.hint, "reviews"))
