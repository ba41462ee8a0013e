"""Reading reviews: the queue, one item with its evidence, who may decide it, what was decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import F, Q, QuerySet

from approvals import subjects
from approvals.evidence import ReviewEvidence, read_evidence
from approvals.lifecycle import LIVE_STATUSES
from approvals.models import Decision, ReviewStatus, ReviewTask
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.errors import NotFoundError


class Segment(StrEnum):
    """Whose reviews a list shows."""

    MINE = "mine"
    TEAM = "team"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether this person may decide, and if not why: `code` for clients, `reason` for people."""

    may_decide: bool
    code: str = ""
    reason: str = ""


def evidence_of(task: ReviewTask) -> ReviewEvidence:
    """The document that the reviewer is shown."""
    return read_evidence(bytes(task.evidence))


def get_review(actor: Actor, task_id: UUID) -> ReviewTask:
    """One task with the people it names.

    Raises:
        NotFoundError: there is none, or it belongs to a workspace that the actor may not read.
    """
    task = (
        _with_people()
        .filter(id=task_id, workspace_id__in=access.workspaces_where(actor, "review.read"))
        .first()
    )
    if task is None:
        raise NotFoundError("There is no such review.")
    return task


def list_reviews(
    actor: Actor,
    *,
    segment: Segment = Segment.MINE,
    text: str = "",
    kind: str = "",
    run_id: UUID | None = None,
) -> QuerySet[ReviewTask]:
    """Tasks as they fall due; decided ones newest first. Evidence is not loaded."""
    tasks = (
        _with_people()
        .defer("evidence")
        .filter(workspace_id__in=access.workspaces_where(actor, "review.read"))
    )
    if text:
        tasks = tasks.filter(Q(title__icontains=text) | Q(question__icontains=text))
    if kind:
        tasks = tasks.filter(kind=kind)
    if run_id is not None:
        tasks = tasks.filter(run_id=run_id)
    if segment is Segment.DECIDED:
        closed = (ReviewStatus.DECIDED, ReviewStatus.EXPIRED, ReviewStatus.WITHDRAWN)
        return tasks.filter(status__in=closed).order_by(F("closed_at").desc(nulls_last=True), "-id")
    tasks = tasks.filter(status__in=LIVE_STATUSES).order_by("due_at", "id")
    return tasks.filter(_is_mine(actor)) if segment is Segment.MINE else tasks


def asked_by(actor: Actor, tasks: Sequence[ReviewTask]) -> list[ReviewTask]:
    """Those of the tasks that the actor asked for and so never decides."""
    return [task for task in tasks if actor.id in task.excluded_people]


def count_mine(actor: Actor) -> int:
    """How many items wait for this person: the badge at Reviews."""
    if actor.kind != "user":
        return 0
    return sum(
        actor.id not in excluded
        for excluded in list_reviews(actor).values_list("excluded_people", flat=True)[:500]
    )


def count_team(actor: Actor) -> int:
    """How many items wait in the actor's workspaces."""
    return list_reviews(actor, segment=Segment.TEAM).order_by().count()


def final_decision(task_id: UUID) -> Decision | None:
    """The decision that stands (undone ones do not), or None."""
    return (
        Decision.objects.select_related("decided_by")
        .filter(task_id=task_id, undone_at__isnull=True)
        .first()
    )


def outcomes_of(task_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The outcome (of exceptions the choice) of the standing decision of each task that has one."""
    found = Decision.objects.filter(task_id__in=list(task_ids), undone_at__isnull=True)
    return {
        task_id: choice or outcome
        for task_id, outcome, choice in found.values_list("task_id", "outcome", "choice")
    }


def decisions_of(task_id: UUID) -> list[Decision]:
    """Every decision on the task, undone ones too, oldest first."""
    return list(
        Decision.objects.select_related("decided_by").filter(task_id=task_id).order_by("decided_at")
    )


def undoable_decision(actor: Actor, now: datetime) -> Decision | None:
    """The latest decision of this person that can still be taken back, or None."""
    if actor.kind != "user":
        return None
    return (
        Decision.objects.select_related("task", "decided_by")
        .filter(
            decided_by_id=UUID(actor.id),
            effective_at__gt=now,
            took_effect_at__isnull=True,
            undone_at__isnull=True,
        )
        .order_by("-decided_at")
        .first()
    )


def open_review_of(kind: str, subject_id: str) -> ReviewTask | None:
    """The task that waits for this subject, or whose decision has not taken effect yet."""
    pending = Q(decisions__undone_at__isnull=True, decisions__took_effect_at__isnull=True)
    return (
        _with_people()
        .filter(kind=kind, subject_id=subject_id)
        .filter(Q(status__in=LIVE_STATUSES) | (Q(status=ReviewStatus.DECIDED) & pending))
        .first()
    )


def reviews_of_run(run_id: UUID) -> list[ReviewTask]:
    """Every task of a run, oldest first, without the evidence."""
    return list(_with_people().defer("evidence").filter(run_id=run_id).order_by("opened_at", "id"))


def standing_of(actor: Actor, task: ReviewTask, now: datetime) -> Standing:
    """Whether the actor may decide the task now; `services.decide_review` asks the same."""
    refusal = _refusal_of_person(actor, task)
    if refusal is not None:
        return refusal
    if task.status not in LIVE_STATUSES:
        return Standing(may_decide=False, code="closed", reason=closed_text(task))
    if task.status == ReviewStatus.CLAIMED and str(task.claimed_by_id) != actor.id:
        return Standing(
            may_decide=False,
            code="claimed",
            reason=f"{task.claimed_by} is working on it. Take it over to decide it yourself.",
        )
    if subjects.get_subject(task.kind).closes_at_due and now >= task.due_at:
        return Standing(may_decide=False, code="too_late", reason="The time to decide has ended.")
    return Standing(may_decide=True)


def may_take_part(actor: Actor, task: ReviewTask) -> Standing:
    """Whether the actor may take over or hand over, whoever works on it now."""
    refusal = _refusal_of_person(actor, task, assigned_only=False)
    return refusal or Standing(may_decide=True)


def people_to_hand_over_to(actor: Actor, task: ReviewTask) -> list[tuple[str, str]]:
    """Id and name of everybody else who may decide the task, by name."""
    ids = access.people_with_role(task.assign_role, task.workspace_id)
    people = (
        get_user_model()
        .objects.filter(pk__in=ids)
        .exclude(pk__in=[*task.excluded_people, actor.id])
        .order_by("name", "username")
    )
    return [(str(person.pk), str(person)) for person in people]


def may_receive(user_id: UUID, task: ReviewTask) -> bool:
    """Whether the task may be handed to this person: holds the role here and is not excluded."""
    holders = access.people_with_role(task.assign_role, task.workspace_id)
    return user_id in holders and str(user_id) not in task.excluded_people


def closed_text(task: ReviewTask) -> str:
    """Why nothing can be decided any more, with who and when, as a sentence."""
    match task.status:
        case ReviewStatus.DECIDED:
            decision = final_decision(task.id)
            if decision is not None:
                return f"{decision.decided_by} decided it on {stamp(decision.decided_at)}."
            return "It is decided."
        case ReviewStatus.EXPIRED:
            return f"Nobody decided in time; it expired on {stamp(task.closed_at or task.due_at)}."
        case ReviewStatus.WITHDRAWN:
            because = task.closed_because or "the question no longer matters"
            return f"It was withdrawn on {stamp(task.closed_at or task.due_at)}: {because}."
        case _:
            return ""


def stamp(at: datetime) -> str:
    """An instant in words, in UTC."""
    return f"{at:%d %b %Y at %H:%M:%S} UTC"


def _with_people() -> QuerySet[ReviewTask]:
    return ReviewTask.objects.select_related("claimed_by", "assigned_to", "workspace")


def _is_mine(actor: Actor) -> Q:
    """Claimed by or assigned to the person, or open to a role that the person holds there."""
    if actor.kind != "user":
        return Q(pk__in=())
    role_match = Q(pk__in=())
    for workspace_id in access.workspaces_where(actor, "review.decide"):
        for role in access.roles_in(actor, workspace_id):
            role_match |= Q(workspace_id=workspace_id, assign_role=role.value)
    unassigned = Q(status=ReviewStatus.OPEN, assigned_to__isnull=True)
    return (
        Q(status=ReviewStatus.CLAIMED, claimed_by_id=actor.id)
        | Q(status=ReviewStatus.OPEN, assigned_to_id=actor.id)
        | (unassigned & role_match)
    )


def _refusal_of_person(
    actor: Actor, task: ReviewTask, *, assigned_only: bool = True
) -> Standing | None:
    if actor.kind != "user":
        return Standing(may_decide=False, code="not_a_person", reason="Only people decide reviews.")
    if actor.id in task.excluded_people:
        because = subjects.get_subject(task.kind).excluded_because
        return Standing(
            may_decide=False, code="excluded", reason=f"You {because}, so somebody else decides."
        )
    holds_role = task.assign_role in access.roles_in(actor, task.workspace_id)
    is_assigned = str(task.assigned_to_id) == actor.id
    if not access.can(actor, "review.decide", task) or not (holds_role or is_assigned):
        role = task.assign_role.replace("-", " ")
        return Standing(
            may_decide=False,
            code="not_assigned",
            reason=f"A {role} of {task.workspace} decides this. An administrator grants that role.",
        )
    if assigned_only and task.assigned_to_id is not None and not is_assigned:
        return Standing(
            may_decide=False,
            code="assigned",
            reason=f"It was handed to {task.assigned_to}. Take it over to decide it yourself.",
        )
    return None
