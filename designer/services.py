"""Writing workflows: drafts with a revision, versions with a lifecycle. All governed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Max

from approvals import sign_offs
from approvals.subjects import Question
from approvals.versions import (
    DecidedInReviewError,
    ReasonMissingError,
    change_status,
    settle_signed,
    with_author,
)
from audit.services import append_entry, subject_of
from designer import question, selectors
from designer.documents import read_definition
from designer.lifecycle import LIFECYCLE, REVIEWED, WorkflowVersionEvent
from designer.models import (
    AgentUse,
    DraftPresence,
    Workflow,
    WorkflowVersion,
    WorkflowVersionStatus,
)
from designer.selectors import KIND
from orchestrator import access
from orchestrator.access import Actor, Role
from orchestrator.core.definition import WorkflowDefinition
from orchestrator.core.errors import ConflictError, IllegalTransitionError, InvalidInputError
from orchestrator.core.json import JsonObject
from orchestrator.core.reading import read_text
from orchestrator.ids import new_id
from registry import selectors as registry
from registry.lifecycle import PUBLISHABLE

ASKABLE = frozenset(
    {
        WorkflowVersionStatus.APPROVED,
        WorkflowVersionStatus.ACTIVE,
        WorkflowVersionStatus.DEPRECATED,
    }
)
"""Statuses in which a version that lost its sign-off may get a new one."""
MAX_NAME = 120


class RevisionConflictError(ConflictError):
    """Somebody else saved the draft.

    `detail` has it as it is: `revision` (0 when there is none), `definition`, `saved_at`,
    `saved_by` (`{"id", "name"}`).
    """

    code = "revision_conflict"


class VersionInReviewError(ConflictError):
    """A version of the workflow waits for its sign-off; `detail["version"]` is its number."""

    code = "version_in_review"


class NotSubmittableError(InvalidInputError):
    """The draft does not pass the checks; `detail["findings"]` lists every error."""

    code = "not_submittable"


class NotPublishableError(InvalidInputError):
    """The version cannot become active; `detail["findings"]` lists every reason."""

    code = "not_publishable"
    is_denial = True


@transaction.atomic
def create_workflow(
    *,
    slug: str,
    workspace_id: UUID,
    owner_id: UUID,
    definition: WorkflowDefinition | JsonObject,
    actor: Actor,
    now: datetime,
    author_id: UUID | None = None,
) -> Workflow:
    """Create a workflow with its first draft; name and summary are the definition's.

    `author_id` is needed when the actor is not a person.

    Raises:
        ConflictError: the slug is taken.
        InvalidInputError: the definition is malformed.
    """
    access.require(actor, "workflow.edit", workspace_id)
    model = read_definition(definition)
    if Workflow.objects.filter(slug=slug).exists():
        reason = f"A workflow with the address '{slug}' exists already."
        raise ConflictError(
            reason, detail={"violations": [{"path": "/slug", "rule": "taken", "reason": reason}]}
        )
    workflow = Workflow(
        id=new_id(),
        slug=slug,
        name=model.name,
        summary=model.summary[:500],
        workspace_id=workspace_id,
        owner_id=owner_id,
        created_at=now,
    )
    entry = append_entry(
        actor=actor,
        action="workflow.created",
        subject=subject_of(workflow),
        workspace_id=workspace_id,
        now=now,
        payloads={"workflow": {"slug": slug, "name": workflow.name, "owner": str(owner_id)}},
    )
    workflow.audit_id = entry.id
    workflow.save(force_insert=True)
    _begin_draft(workflow, model, actor=actor, now=now, author_id=author_id)
    return workflow


@transaction.atomic
def begin_workflow(
    *,
    starter: str,
    name: str,
    workspace_id: UUID,
    slug: str,
    actor: Actor,
    now: datetime,
    definition: JsonObject | None = None,
) -> Workflow:
    """Create a workflow from a starter of the gallery, as a copy, or from a whole definition.

    Without a name it gets the starter's, without a slug one that is made from the name and free.

    Raises:
        ConflictError: the slug is taken.
        InvalidInputError: there is no such starter, or the workspace lacks an agent that it calls.
    """
    access.require(actor, "workflow.edit", workspace_id)
    name = read_text(name)
    if definition is None:
        definition = selectors.starter_definition(actor, starter, name, workspace_id)
    elif name:
        definition = {**definition, "name": name}
    model = read_definition(definition)
    return create_workflow(
        slug=slug or selectors.free_slug(model.name),
        workspace_id=workspace_id,
        owner_id=UUID(actor.id),
        definition=model,
        actor=actor,
        now=now,
    )


@transaction.atomic
def save_draft(
    *,
    slug: str,
    definition: WorkflowDefinition | JsonObject,
    revision: int,
    actor: Actor,
    now: datetime,
    author_id: UUID | None = None,
) -> WorkflowVersion:
    """Save the workflow's draft, or begin one (`revision` 0). Autosave: no audit entry per save.

    Safe to call twice: what is saved already is not a conflict, and nothing changes.

    Raises:
        RevisionConflictError: the draft has another revision than the caller read.
        VersionInReviewError: a version waits for its sign-off; take it back or wait.
        InvalidInputError: the definition is malformed.
    """
    workflow = selectors.get_workflow(slug)
    access.require(actor, "workflow.edit", workflow)
    _require_in_use(workflow)
    model = read_definition(definition)
    draft = selectors.draft_of(workflow)
    if draft is None:
        if revision != 0:
            raise _conflict("This draft is no longer there; it was handed in or deleted.", None)
        _require_none_in_review(workflow)
        try:
            with transaction.atomic():
                return _begin_draft(workflow, model, actor=actor, now=now, author_id=author_id)
        except IntegrityError:  # somebody else began one at the same moment
            draft = selectors.draft_of(workflow)
    stored = model.model_dump(mode="json")
    if draft is not None and draft.definition == stored:
        return draft
    saver = UUID(actor.id) if actor.kind == "user" else author_id
    changed = draft is not None and WorkflowVersion.objects.filter(
        id=draft.id, status=WorkflowVersionStatus.DRAFT, revision=revision
    ).update(
        definition=stored,
        sha256=model.sha256,
        revision=F("revision") + 1,
        saved_at=now,
        saved_by=saver,
        authors=with_author(draft.authors, actor),
    )
    if draft is None or not changed:
        raise _conflict("Somebody else saved this draft meanwhile.", selectors.draft_of(workflow))
    saved = selectors.get_version(draft.id)
    _note_uses(saved, model)
    return saved


@transaction.atomic
def discard_draft(
    *, slug: str, revision: int, actor: Actor, now: datetime, reason: str = ""
) -> WorkflowVersion:
    """Give the workflow's draft up; it stays in the history, and its number is not given again.

    Raises:
        RevisionConflictError: there is no draft, or it has another revision than the caller read.
        PermissionDeniedError: the actor may not.
    """
    workflow = selectors.get_workflow(slug)
    event = WorkflowVersionEvent.DISCARD
    access.require(actor, LIFECYCLE.rules[event].permission, workflow)
    draft = selectors.draft_of(workflow)
    if draft is None or draft.revision != revision:
        words = "This draft is no longer as you saw it; look at it before you discard it."
        raise _conflict(words, draft)
    draft.agent_uses.all().delete()
    return _change(draft, event, actor=actor, now=now, reason=reason)


@transaction.atomic
def restore_version(
    *, version_id: UUID, revision: int, actor: Actor, now: datetime
) -> WorkflowVersion:
    """Make a version's definition that of the draft; `revision` 0 begins one, else replaces it.

    Raises:
        RevisionConflictError: the draft has another revision than the caller saw.
    """
    version = selectors.get_version(version_id)
    return save_draft(
        slug=version.workflow.slug,
        definition=version.definition,
        revision=revision,
        actor=actor,
        now=now,
    )


@transaction.atomic
def change_workflow(
    *,
    slug: str,
    actor: Actor,
    now: datetime,
    name: str | None = None,
    owner_id: UUID | None = None,
    reason: str = "",
) -> Workflow:
    """Give a workflow another name or owner; what is as before writes nothing.

    Raises:
        InvalidInputError: the name cannot be used, or the owner is no business owner there.
        ConflictError: it is archived, or somebody else changed it meanwhile.
    """
    workflow = selectors.get_workflow(slug)
    access.require(actor, "workflow.edit", workflow)
    _require_in_use(workflow)
    values: dict[str, object] = {}
    if name is not None and (cleaned := _name(name)) != workflow.name:
        values["name"] = cleaned
    if owner_id is not None and owner_id != workflow.owner_id:
        _require_owner(owner_id, workflow.workspace_id)
        values["owner_id"] = owner_id
    if not values:
        return workflow
    before: JsonObject = {key: str(getattr(workflow, key)) for key in values}
    after: JsonObject = {key: str(value) for key, value in values.items()}
    return _write(
        workflow,
        "workflow.changed",
        values,
        actor=actor,
        now=now,
        reason=reason,
        payloads={"workflow": {"before": before, "after": after}},
    )


@transaction.atomic
def archive_workflow(*, slug: str, actor: Actor, now: datetime, reason: str) -> Workflow:
    """Take a workflow out of use for good: no new runs or edits; runs, versions and audit stay.

    Safe to call twice.

    Raises:
        ReasonMissingError: it is recorded with its reason.
        VersionInReviewError: a version waits for its sign-off; take it back or wait.
    """
    workflow = selectors.get_workflow(slug)
    access.require(actor, "workflow.publish", workflow)
    if workflow.archived_at is not None:
        return workflow
    _require_none_in_review(workflow)
    if not read_text(reason):
        raise ReasonMissingError
    return _write(
        workflow, "workflow.archived", {"archived_at": now}, actor=actor, now=now, reason=reason
    )


@transaction.atomic
def note_presence(*, slug: str, actor: Actor, now: datetime) -> Workflow:
    """Note that a person has the workflow's editor open, for `selectors.PRESENT_FOR`.

    Raises:
        PermissionDeniedError: the actor may not edit it.
    """
    workflow = selectors.get_workflow(slug)
    access.require(actor, "workflow.edit", workflow)
    rows = DraftPresence.objects.filter(workflow=workflow)
    rows.filter(seen_at__lt=now - selectors.PRESENT_FOR).delete()
    if actor.kind == "user":
        DraftPresence.objects.update_or_create(
            workflow=workflow,
            person_id=UUID(actor.id),
            defaults={"seen_at": now},
            create_defaults={"seen_at": now, "since": now},
        )
    return workflow


@transaction.atomic
def submit_draft(
    *, slug: str, revision: int, actor: Actor, now: datetime, reason: str = ""
) -> WorkflowVersion:
    """Freeze the workflow's draft and ask people to sign it off.

    From here on it means the types of today, and whoever hands it in counts as one of its authors.

    Raises:
        RevisionConflictError: there is no draft, or it has another revision than the caller read.
        NotSubmittableError: the checker finds errors; `detail["findings"]` lists them.
    """
    workflow = selectors.get_workflow(slug)
    event = WorkflowVersionEvent.SUBMIT
    access.require(actor, LIFECYCLE.rules[event].permission, workflow)
    draft = selectors.draft_of(workflow)
    if draft is None or draft.revision != revision:
        raise _conflict("This draft is no longer as you saw it; look at it first.", draft)
    return _change(draft, event, actor=actor, now=now, reason=reason)


@transaction.atomic
def set_workflow_version_status(
    *,
    version_id: UUID,
    event: WorkflowVersionEvent,
    actor: Actor,
    now: datetime,
    reason: str = "",
) -> WorkflowVersion:
    """Let an event of the lifecycle happen to a version.

    Raises:
        IllegalTransitionError: the table does not know the event in this status.
        ReasonMissingError: the event needs a reason.
        PermissionDeniedError: the actor may not.
        DecidedInReviewError: it is signed off or returned by deciding its review.
        NotSubmittableError, NotPublishableError, SignOffMissingError: see `submit_draft` and
            `publish_workflow_version`.
        ConflictError: somebody else changed the version meanwhile.
    """
    version = selectors.get_version(version_id)
    access.require(actor, LIFECYCLE.rules[event].permission, version.workflow)
    if event in REVIEWED:
        raise DecidedInReviewError
    return _change(version, event, actor=actor, now=now, reason=reason)


def publish_workflow_version(
    *, version_id: UUID, actor: Actor, now: datetime, reason: str = ""
) -> WorkflowVersion:
    """Make a signed-off version the active one; the version that was active becomes deprecated.

    Safe to call twice: the second call changes nothing and writes no audit entry.

    Raises:
        IllegalTransitionError: the version was not signed off.
        SignOffMissingError: something that its sign-off binds has changed since; lists what.
        NotPublishableError: the checker finds errors, an agent version is not active, or an owner
            has left.
    """
    version = selectors.get_version(version_id)
    access.require(actor, "workflow.publish", version.workflow)
    if version.status == WorkflowVersionStatus.ACTIVE:
        return version
    return set_workflow_version_status(
        version_id=version_id,
        event=WorkflowVersionEvent.PUBLISH,
        actor=actor,
        now=now,
        reason=reason,
    )


@transaction.atomic
def ask_for_sign_off(
    *, version_id: UUID, actor: Actor, now: datetime, reason: str
) -> WorkflowVersion:
    """Ask again for the sign-off of a version that has lost it, or was never given one.

    Raises:
        SignOffStandsError: it is signed off, or waits for it.
        IllegalTransitionError: the version is a draft, or out of use.
    """
    version = selectors.get_version(version_id)
    access.require(actor, "workflow.edit", version.workflow)
    if version.status not in ASKABLE:
        raise IllegalTransitionError(version.status, "ask")
    sign_offs.ask(kind=KIND, subject_id=version.id, actor=actor, now=now, reason=reason)
    return version


def question_about(version_id: UUID) -> Question | None:
    """What the sign-off of a version would bind now; None for what is not or no more in use."""
    version = selectors.get_version(version_id)
    if version.status not in {WorkflowVersionStatus.IN_REVIEW, *ASKABLE}:
        return None
    return question.about(version)


def version_signed(version_id: UUID, actor: Actor, reason: str, now: datetime) -> None:
    """The last signature is given: the version is approved and means the types of today."""
    version = selectors.get_version(version_id)
    settle_signed(
        version,
        LIFECYCLE,
        WorkflowVersionEvent.APPROVE,
        types=selectors.pins_today(version),
        rebound="workflow_version.rebound",
        workspace_id=version.workflow.workspace_id,
        actor=actor,
        now=now,
        reason=reason,
    )


def version_returned(version_id: UUID, actor: Actor, reason: str, now: datetime) -> None:
    """Back to its authors; what is in use keeps its status and stays blocked."""
    version = selectors.get_version(version_id)
    if LIFECYCLE.allows(version.status, WorkflowVersionEvent.RETURN):
        _change(version, WorkflowVersionEvent.RETURN, actor=actor, now=now, reason=reason)


def _change(
    version: WorkflowVersion,
    event: WorkflowVersionEvent,
    *,
    actor: Actor,
    now: datetime,
    reason: str,
) -> WorkflowVersion:
    """Change the status with what the event needs before and brings with it."""
    _require_in_use(version.workflow)
    LIFECYCLE.next_status(version.status, event)
    act = _Act(version, actor, now, reason)
    before, after = _BEFORE.get(event), _AFTER.get(event)
    change_status(
        version,
        LIFECYCLE,
        event,
        workspace_id=version.workflow.workspace_id,
        actor=actor,
        now=now,
        reason=reason,
        fields=before(act) if before else {},
        expected={"revision": version.revision},
    )
    if after is not None:
        after(act)
    return version


@dataclass(frozen=True, slots=True)
class _Act:
    """A change of status that is about to happen, or has just happened."""

    version: WorkflowVersion
    actor: Actor
    now: datetime
    reason: str


def _freeze(act: _Act) -> dict[str, object]:
    version = act.version
    errors = [one for one in selectors.findings_of(version) if one.severity == "error"]
    if errors:
        raise NotSubmittableError(
            f"This draft cannot be handed in: {errors[0].message}",
            detail={"findings": [one.model_dump(mode="json") for one in errors]},
        )
    return {
        "types": selectors.pins_today(version),
        "authors": with_author(version.authors, act.actor),
    }


def _make_room(act: _Act) -> dict[str, object]:
    """Check a version that is to become active, and deprecate the one that is."""
    _require_publishable(act.version)
    active = act.version.workflow.versions.filter(status=WorkflowVersionStatus.ACTIVE).first()
    if active is not None:
        _change(
            active,
            WorkflowVersionEvent.DEPRECATE,
            actor=act.actor,
            now=act.now,
            reason=act.reason,
        )
    return {"activated_at": act.now}


def _ask(act: _Act) -> None:
    sign_offs.ask(
        kind=KIND, subject_id=act.version.id, actor=act.actor, now=act.now, reason=act.reason
    )


def _end(act: _Act) -> dict[str, object]:
    """End the sign-off first: whoever signs locks the review, the sign-off, then the version."""
    sign_offs.end(
        kind=KIND,
        subject_id=act.version.id,
        actor=act.actor,
        now=act.now,
        reason=act.reason.strip() or "It was taken back.",
    )
    return {}


_BEFORE: Mapping[WorkflowVersionEvent, Callable[[_Act], dict[str, object]]] = {
    WorkflowVersionEvent.SUBMIT: _freeze,
    WorkflowVersionEvent.PUBLISH: _make_room,
    WorkflowVersionEvent.WITHDRAW: _end,
    WorkflowVersionEvent.RETIRE: _end,
}
"""What must hold or happen before an event; gives the columns that change with it."""
_AFTER: Mapping[WorkflowVersionEvent, Callable[[_Act], None]] = {
    WorkflowVersionEvent.SUBMIT: _ask,
}
"""What an event brings with it, in the same transaction."""


def _require_none_in_review(workflow: Workflow) -> None:
    waiting = workflow.versions.filter(status=WorkflowVersionStatus.IN_REVIEW).first()
    if waiting is not None:
        raise VersionInReviewError(
            f"Version {waiting.number} of {workflow} waits for its sign-off. "
            "Take it back to edit it, or wait for the decision.",
            detail={"version": waiting.number},
        )


def _conflict(message: str, draft: WorkflowVersion | None) -> RevisionConflictError:
    if draft is None:
        none: JsonObject = {"revision": 0, "definition": None, "saved_at": None, "saved_by": None}
        return RevisionConflictError(message, detail=none)
    saver = draft.saved_by
    return RevisionConflictError(
        message,
        detail={
            "revision": draft.revision,
            "definition": draft.definition,
            "saved_at": draft.saved_at.isoformat() if draft.saved_at else None,
            "saved_by": {"id": str(saver.id), "name": saver.name} if saver else None,
        },
    )


def _write(
    workflow: Workflow,
    action: str,
    values: Mapping[str, object],
    *,
    actor: Actor,
    now: datetime,
    reason: str,
    payloads: Mapping[str, JsonObject] | None = None,
) -> Workflow:
    """Change a workflow's own columns with their audit entry."""
    entry = append_entry(
        actor=actor,
        action=action,
        subject=subject_of(workflow),
        workspace_id=workflow.workspace_id,
        now=now,
        reason=read_text(reason),
        payloads=payloads,
    )
    unchanged = Workflow.objects.filter(pk=workflow.pk, audit_id=workflow.audit_id)
    if not unchanged.update(**values, audit_id=entry.id):
        raise ConflictError("Somebody else has just changed this workflow. Look again.")
    workflow.refresh_from_db()
    return workflow


def _name(given: str) -> str:
    name = read_text(given)
    if not 1 <= len(name) <= MAX_NAME:
        raise _refused("/name", f"A name has 1 to {MAX_NAME} characters.")
    return name


def _require_owner(owner_id: UUID, workspace_id: UUID) -> None:
    if owner_id not in access.people_with_role(Role.BUSINESS_OWNER, workspace_id):
        raise _refused("/owner", "The owner must be a business owner of this workspace.")


def _refused(path: str, reason: str) -> InvalidInputError:
    return InvalidInputError(
        reason, detail={"violations": [{"path": path, "rule": "refused", "reason": reason}]}
    )


def _require_in_use(workflow: Workflow) -> None:
    if workflow.archived_at is not None:
        raise ConflictError(f"{workflow.name} is archived; nothing about it changes any more.")


def _begin_draft(
    workflow: Workflow,
    model: WorkflowDefinition,
    *,
    actor: Actor,
    now: datetime,
    author_id: UUID | None,
) -> WorkflowVersion:
    number = (workflow.versions.aggregate(top=Max("number"))["top"] or 0) + 1
    version = WorkflowVersion(
        id=new_id(),
        workflow=workflow,
        number=number,
        status=WorkflowVersionStatus.DRAFT,
        definition=model.model_dump(mode="json"),
        sha256=model.sha256,
        author_id=author_id or UUID(actor.id),
        authors=with_author([str(author_id)] if author_id else [], actor),
        created_at=now,
        saved_at=now,
        saved_by_id=UUID(actor.id) if actor.kind == "user" else author_id,
    )
    entry = append_entry(
        actor=actor,
        action="workflow_version.drafted",
        subject=subject_of(version),
        workspace_id=workflow.workspace_id,
        now=now,
        after_sha256=version.sha256,
    )
    version.audit_id = entry.id
    version.save(force_insert=True)
    _note_uses(version, model)
    return version


def _note_uses(version: WorkflowVersion, model: WorkflowDefinition) -> None:
    """Keep the index of called agent versions in step with the definition."""
    wanted = {row.id for row in registry.versions_used(model).values()}
    version.agent_uses.exclude(agent_version_id__in=wanted).delete()
    AgentUse.objects.bulk_create(
        [AgentUse(version=version, agent_version_id=one) for one in wanted], ignore_conflicts=True
    )


def _require_publishable(version: WorkflowVersion) -> None:
    """Refuse what is not signed off as it is now, or could not run."""
    definition = selectors.definition_of(version)
    agents = list(registry.versions_used(definition).values())
    reached = selectors.reached_by(definition)
    selectors.require_signed(version, agents, reached, action="workflow.publish")
    found = [
        one.model_dump(mode="json")
        for one in selectors.findings_of(version)
        if one.severity == "error"
    ]
    found += [
        _finding("agent_not_active", f"{row.agent.name} v{row.number} is {row.status}.")
        for row in agents
        if row.status not in PUBLISHABLE
    ]
    found += [
        _finding("workflow_not_usable", f"{name} is {status}, and this workflow runs it.")
        for name, status in reached.unusable.items()
    ]
    found += [_finding("owner_missing", text) for text in registry.departed_owners(agents)]
    found += [_finding("owner_missing", text) for text in selectors.departed_owner(version)]
    if found:
        raise NotPublishableError(
            f"This version cannot be published: {found[0]['message']}",
            detail={"action": "workflow.publish", "findings": found},
        )


def _finding(code: str, message: str) -> JsonObject:
    return {"severity": "error", "code": code, "message": message}
