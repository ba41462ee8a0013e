"""Reading reviews: the queue, one item with its evidence, who may decide it, what was decided.

And reading sign-offs: what is signed, by whom, under which policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from approvals import subjects
from approvals.closure import PERSON_BEFORE, RISKS, Member
from approvals.evidence import ReviewEvidence, read_evidence
from approvals.lifecycle import LIVE_STATUSES, STANDING
from approvals.models import (
    Decision,
    ReviewStatus,
    ReviewTask,
    SignOff,
    SignOffMember,
    SignOffPolicy,
    SignOffStatus,
)
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.canonical import content_sha256
from orchestrator.core.errors import NotFoundError
from orchestrator.core.json import JsonValue


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


@dataclass(frozen=True, slots=True)
class Policy:
    """How many people must sign off in a workspace, by risk class; version 0 is the default.

    `person_before`: the lowest side effect before which a workflow must ask a person.
    """

    workspace_id: UUID
    version: int
    needed: Mapping[str, int]
    person_before: str = PERSON_BEFORE[0]

    def member(self) -> Member:
        """The policy as a member of a closure; without `person_before` its hash is as ever."""
        content: dict[str, JsonValue] = {risk: self.needed[risk] for risk in RISKS}
        if self.person_before != PERSON_BEFORE[0]:
            content["person_before"] = self.person_before
        return Member(
            kind="sign_off_policy",
            id=str(self.workspace_id),
            version=self.version,
            sha256=content_sha256(content),
            title=f"v{self.version}" if self.version else "of the product",
        )


@dataclass(frozen=True, slots=True)
class Signed:
    """A sign-off that stands signed, and the policy of its workspace as it is now."""

    id: UUID
    closure_sha256: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class Round:
    """One time that a version's sign-off was asked for, with the decisions that took effect."""

    sign_off: SignOff
    decisions: tuple[Decision, ...]
    review: ReviewTask | None
    """The review that waits for the next signature."""

    @property
    def given(self) -> int:
        """How many people have signed."""
        return sum(one.outcome == "approved" for one in self.decisions)


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
    columns = found.values_list("task_id", "outcome", "choice", "task__kind")
    return {
        task_id: choice if kind == "exception" and choice else outcome
        for task_id, outcome, choice, kind in columns
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
    people = (
        get_user_model()
        .objects.filter(pk__in=_deciders(task))
        .exclude(pk__in=[*task.excluded_people, actor.id])
        .order_by("name", "username")
    )
    return [(str(person.pk), str(person)) for person in people]


def people_excluded(task: ReviewTask) -> list[tuple[str, str]]:
    """Id and name of everybody who may not decide the task because of what he did, by name."""
    people = get_user_model().objects.filter(pk__in=task.excluded_people)
    return [(str(person.pk), str(person)) for person in people.order_by("name", "username")]


def who_decides(task: ReviewTask) -> str:
    """Who is asked, in words: "A reviewer"."""
    subject = subjects.get_subject(task.kind)
    if subject.is_assigned:
        return f"A {task.assign_role.replace('-', ' ')}"
    who = access.role_words(subject.permission)
    return who[:1].upper() + who[1:]


def may_receive(user_id: UUID, task: ReviewTask) -> bool:
    """Whether the task may be handed to this person: may decide it here and is not excluded."""
    return user_id in _deciders(task) and str(user_id) not in task.excluded_people


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


# ---- sign-offs ---------------------------------------------------------------------------------


def policy_of(workspace_id: UUID) -> Policy:
    """The sign-off policy of a workspace as it is now."""
    row = SignOffPolicy.objects.filter(workspace_id=workspace_id, is_current=True).first()
    if row is None:
        return _policy(workspace_id, None, None, None)
    return _policy(workspace_id, row.version, row.needed, row.person_before)


def count_standing(workspace_id: UUID) -> int:
    """How many sign-offs of a workspace are open or signed."""
    return SignOff.objects.filter(workspace_id=workspace_id, status__in=STANDING).count()


def policies_of(workspace_id: UUID) -> list[SignOffPolicy]:
    """Every version of a workspace's sign-off policy, newest first."""
    return list(
        SignOffPolicy.objects.select_related("set_by")
        .filter(workspace_id=workspace_id)
        .order_by("-version")
    )


def latest_sign_off(kind: str, subject_id: UUID) -> SignOff | None:
    """The sign-off of the latest round, whatever came of it."""
    return sign_offs_of(kind, subject_id).first()


def sign_offs_of(kind: str, subject_id: UUID) -> QuerySet[SignOff]:
    """Every round of a version's sign-off, newest first."""
    return (
        SignOff.objects.select_related("asked_by")
        .filter(kind=kind, subject_id=subject_id)
        .order_by("-round")
    )


def latest_sign_offs(kind: str, subject_ids: Iterable[UUID]) -> dict[UUID, SignOff]:
    """The sign-off of the latest round of each version, by the version's id."""
    rows = (
        SignOff.objects.select_related("asked_by")
        .filter(kind=kind, subject_id__in=list(subject_ids))
        .order_by("round")
    )
    return {row.subject_id: row for row in rows}


def rounds_of(kind: str, subject_id: UUID) -> list[Round]:
    """Every round of a version's sign-off with who decided what and when, newest first."""
    sign_offs = list(sign_offs_of(kind, subject_id))
    decisions, waiting = signatures_of(sign_offs), waiting_reviews(sign_offs)
    return [Round(one, tuple(decisions.get(one.id, ())), waiting.get(one.id)) for one in sign_offs]


def standing_sign_off(kind: str, subject_id: UUID) -> SignOff | None:
    """The sign-off that is open or signed, or None."""
    return SignOff.objects.filter(kind=kind, subject_id=subject_id, status__in=STANDING).first()


def latest_signed(kind: str, subject_id: UUID) -> SignOff | None:
    """The latest sign-off that was ever signed, void since or not."""
    signed = SignOff.objects.filter(kind=kind, subject_id=subject_id, signed_at__isnull=False)
    return signed.order_by("-round").first()


def signed_among(subjects_asked: Iterable[tuple[str, UUID]]) -> dict[tuple[str, UUID], Signed]:
    """Those of the (kind, id) whose sign-off stands signed, in one query for all of them."""
    wanted = Q(pk__in=())
    for kind, subject_id in subjects_asked:
        wanted |= Q(kind=kind, subject_id=subject_id)
    current = SignOffPolicy.objects.filter(workspace=OuterRef("workspace"), is_current=True)
    rows = SignOff.objects.filter(wanted, status=SignOffStatus.SIGNED).annotate(
        policy_version=Subquery(current.values("version")[:1]),
        policy_needed=Subquery(current.values("needed")[:1]),
        policy_person_before=Subquery(current.values("person_before")[:1]),
    )
    return {
        (row.kind, row.subject_id): Signed(
            row.id,
            row.closure_sha256,
            _policy(
                row.workspace_id,
                row.policy_version,
                row.policy_needed,
                row.policy_person_before,
            ),
        )
        for row in rows
    }


@lru_cache(maxsize=4_096)
def members_of(sign_off_id: UUID) -> tuple[Member, ...]:
    """What a sign-off binds, by kind and title; kept per process, because it never changes."""
    rows = SignOffMember.objects.filter(sign_off_id=sign_off_id).order_by("kind", "title")
    return tuple(
        Member(row.kind, row.member_id, row.version, row.sha256, row.title) for row in rows
    )


def review_of_version(kind: str, version_id: UUID) -> ReviewTask:
    """The review in which the next signature of a version is given.

    Raises:
        NotFoundError: none waits for anybody.
    """
    task = (
        _with_people()
        .filter(sign_off__kind=kind, sign_off__subject_id=version_id, status__in=LIVE_STATUSES)
        .first()
    )
    if task is None:
        raise NotFoundError("No signature of this version is waited for.")
    return task


def holding(kind: str, member_id: str, sha256: str) -> list[SignOff]:
    """The standing sign-offs that hold this member with other content than that."""
    found = (
        SignOffMember.objects.select_related("sign_off")
        .filter(kind=kind, member_id=member_id, sign_off__status__in=STANDING)
        .exclude(sha256=sha256)
        .order_by("sign_off__kind", "sign_off__asked_at", "sign_off_id")
    )
    return [row.sign_off for row in found]


def sign_off_of_review(task_id: UUID) -> SignOff:
    """The sign-off that a review belongs to.

    Raises:
        NotFoundError: the review belongs to none.
    """
    sign_off = SignOff.objects.filter(reviews__id=task_id).first()
    if sign_off is None:
        raise NotFoundError("This review belongs to no sign-off.")
    return sign_off


def signatures_of(sign_offs: Iterable[SignOff]) -> dict[UUID, list[Decision]]:
    """The decisions in effect of each sign-off, oldest first, with who decided."""
    found: dict[UUID, list[Decision]] = {}
    for decision in (
        Decision.objects.select_related("decided_by", "task")
        .defer("task__evidence")
        .filter(
            task__sign_off__in=list(sign_offs),
            undone_at__isnull=True,
            took_effect_at__isnull=False,
        )
        .order_by("decided_at")
    ):
        assert decision.task.sign_off_id is not None
        found.setdefault(decision.task.sign_off_id, []).append(decision)
    return found


def waiting_reviews(sign_offs: Iterable[SignOff]) -> dict[UUID, ReviewTask]:
    """The review of each sign-off that waits for somebody, by the sign-off's id."""
    tasks = (
        _with_people()
        .defer("evidence")
        .filter(sign_off__in=list(sign_offs), status__in=LIVE_STATUSES)
    )
    return {task.sign_off_id: task for task in tasks if task.sign_off_id is not None}


def reviews_of_sign_offs(ids: Iterable[str]) -> dict[str, ReviewTask]:
    """The latest review of each sign-off, by the sign-off's id; what is no id is left out."""
    wanted = [UUID(one) for one in ids if _is_uuid(one)]
    tasks = ReviewTask.objects.select_related("sign_off").defer("evidence")
    rows = tasks.filter(sign_off__in=wanted).order_by("opened_at", "id")
    return {str(task.sign_off_id): task for task in rows}


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _policy(
    workspace_id: UUID,
    version: int | None,
    needed: Mapping[str, int] | None,
    person_before: str | None,
) -> Policy:
    return Policy(
        workspace_id,
        version or 0,
        needed or dict.fromkeys(RISKS, 1),
        person_before or PERSON_BEFORE[0],
    )


# ---- parts -------------------------------------------------------------------------------------


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
    for kind, permission in subjects.permitted_kinds().items():
        role_match |= Q(kind=kind, workspace_id__in=access.workspaces_where(actor, permission))
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
    is_assigned = str(task.assigned_to_id) == actor.id
    if not _holds_right(actor, task, is_assigned=is_assigned):
        return Standing(
            may_decide=False,
            code="not_assigned",
            reason=f"{who_decides(task)} of {task.workspace} decides this. "
            "An administrator grants that role.",
        )
    if assigned_only and task.assigned_to_id is not None and not is_assigned:
        return Standing(
            may_decide=False,
            code="assigned",
            reason=f"It was handed to {task.assigned_to}. Take it over to decide it yourself.",
        )
    return None


def _holds_right(actor: Actor, task: ReviewTask, *, is_assigned: bool) -> bool:
    subject = subjects.get_subject(task.kind)
    if not access.can(actor, subject.permission, task):
        return False
    return (
        not subject.is_assigned
        or is_assigned
        or task.assign_role in access.roles_in(actor, task.workspace_id)
    )


def _deciders(task: ReviewTask) -> frozenset[UUID]:
    """Ids of the people who may decide the task but for those that it excludes."""
    subject = subjects.get_subject(task.kind)
    if subject.is_assigned:
        return access.people_with_role(task.assign_role, task.workspace_id)
    return access.people_who(subject.permission, task.workspace_id)
