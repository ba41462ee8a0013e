"""Writing the registry: agents, versions, their status, domain types, endpoints. All governed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, Max

from approvals import sign_offs
from approvals.subjects import Question
from approvals.versions import (
    DecidedInReviewError,
    change_status,
    settle_signed,
    with_author,
)
from approvals.versions import ReasonMissingError as ReasonMissingError
from audit.services import Subject, append_entry, subject_of
from orchestrator import access, egress
from orchestrator.access import Actor
from orchestrator.core.canonical import content_sha256
from orchestrator.core.catalogue import Repair
from orchestrator.core.contracts import Validator, check_repair, standard_types
from orchestrator.core.errors import (
    ConflictError,
    DomainError,
    IllegalTransitionError,
    InvalidInputError,
)
from orchestrator.core.json import JsonObject, check_json
from orchestrator.core.reading import read_document, read_text
from orchestrator.ids import new_id
from registry import question, selectors
from registry.closure import type_member, type_rows
from registry.examination import examine, tools_of
from registry.lifecycle import LIFECYCLE, LIFTS, REVIEWED, AgentVersionEvent
from registry.manifest import AgentManifest, version_sha256
from registry.models import Agent, AgentVersion, AgentVersionStatus, DomainType, Endpoint
from registry.selectors import KIND


class OwnerMissingError(ConflictError):
    """The agent's owner has left or is not an agent owner any more, so it cannot become active."""

    code = "owner_missing"
    is_denial = True


MAX_NAME = 120
RESERVED_SLUGS = frozenset({"new", "types", "check", "example"})
"""Words that stand in addresses where an agent's own would."""
_SLUG = re.compile(r"^[a-z0-9][a-z0-9-]{0,62}$", re.ASCII)
_TYPE_NAME = re.compile(r"^[A-Z][A-Za-z0-9]{0,62}$", re.ASCII)


class RevisionConflictError(ConflictError):
    """Somebody else saved the draft.

    `detail` has `revision`, `manifest`, `saved_by` (id and name, or None) and `saved_at`.
    """

    code = "revision_conflict"


class DraftExistsError(ConflictError):
    """The agent has a draft, or a version in review; `detail["version"]` is its number."""

    code = "draft_exists"


@transaction.atomic
def register_agent(
    *, slug: str, name: str, workspace_id: UUID, owner_id: UUID, actor: Actor, now: datetime
) -> Agent:
    """Register an agent; its capabilities come with its versions.

    Raises:
        ConflictError: the slug is taken.
        InvalidInputError: slug or name cannot be used, or the owner is not an active agent owner of
            the workspace.
        PermissionDeniedError: the actor does not register agents in this workspace.
    """
    access.require(actor, "agent.edit", workspace_id)
    name = _read_name(name)
    if not _SLUG.match(slug) or slug in RESERVED_SLUGS:
        raise _refused("/slug", "An address has lower-case letters, digits and hyphens, up to 63.")
    _require_owner(owner_id, workspace_id)
    if Agent.objects.filter(slug=slug).exists():
        raise ConflictError(f"An agent with the address '{slug}' exists already.")
    agent = Agent(
        id=new_id(),
        slug=slug,
        name=name,
        workspace_id=workspace_id,
        owner_id=owner_id,
        created_at=now,
    )
    entry = append_entry(
        actor=actor,
        action="agent.registered",
        subject=subject_of(agent),
        workspace_id=workspace_id,
        now=now,
        payloads={"agent": {"slug": slug, "name": agent.name, "owner": str(owner_id)}},
    )
    agent.audit_id = entry.id
    agent.save(force_insert=True)
    return agent


@transaction.atomic
def register_agent_with_draft(
    *,
    slug: str,
    name: str,
    workspace_id: UUID,
    owner_id: UUID,
    manifest: AgentManifest | JsonObject,
    actor: Actor,
    now: datetime,
) -> AgentVersion:
    """Register an agent together with its first draft; errors as in the two services it joins."""
    register_agent(
        slug=slug, name=name, workspace_id=workspace_id, owner_id=owner_id, actor=actor, now=now
    )
    return register_agent_version(agent_slug=slug, manifest=manifest, actor=actor, now=now)


@transaction.atomic
def change_agent(
    *,
    slug: str,
    actor: Actor,
    now: datetime,
    name: str | None = None,
    owner_id: UUID | None = None,
    reason: str = "",
) -> Agent:
    """Give an agent another name or another owner; what is as before writes nothing.

    Raises:
        InvalidInputError: the name cannot be used, or the person is not an active agent owner of
            the workspace.
        ConflictError: somebody else changed the agent meanwhile.
    """
    agent = selectors.get_agent(actor, slug)
    access.require(actor, "agent.edit", agent)
    before: JsonObject = {"name": agent.name, "owner": str(agent.owner_id)}
    old_audit_id = agent.audit_id
    if name is not None:
        agent.name = _read_name(name)
    if owner_id is not None and owner_id != agent.owner_id:
        _require_owner(owner_id, agent.workspace_id)
        agent.owner_id = owner_id
    after: JsonObject = {"name": agent.name, "owner": str(agent.owner_id)}
    if before == after:
        return agent
    entry = append_entry(
        actor=actor,
        action="agent.changed",
        subject=subject_of(agent),
        workspace_id=agent.workspace_id,
        now=now,
        reason=read_text(reason),
        payloads={"before": before, "after": after},
    )
    unchanged = Agent.objects.filter(pk=agent.pk, audit_id=old_audit_id)
    if not unchanged.update(name=agent.name, owner_id=agent.owner_id, audit_id=entry.id):
        raise ConflictError("Somebody else has just changed this agent. Look again.")
    return selectors.get_agent(actor, slug)


@transaction.atomic
def register_agent_version(
    *,
    agent_slug: str,
    manifest: AgentManifest | JsonObject,
    actor: Actor,
    now: datetime,
    author_id: UUID | None = None,
) -> AgentVersion:
    """Register the agent's next version as a draft; its contracts are bound to today's types.

    `author_id` is needed when the actor is not a person.

    Raises:
        InvalidInputError: the manifest is malformed, names an unknown function or endpoint, or its
            expressions, contracts or examples do not hold; `detail["violations"]` lists each place.
        DraftExistsError: the agent has a draft; save that one.
    """
    agent = Agent.objects.filter(slug=agent_slug).first()
    if agent is None:
        raise InvalidInputError(f"There is no agent '{agent_slug}'.")
    access.require(actor, "agent.edit", agent)
    manifest = read_document(AgentManifest, manifest, what="manifest")
    manifest = _check_manifest(manifest, agent.workspace_id)
    pins = selectors.pins_of((manifest.input, manifest.output), selectors.current_types())
    _require_no_draft(agent)
    stored = manifest.stored()
    number = (agent.versions.aggregate(top=Max("number"))["top"] or 0) + 1
    version = AgentVersion(
        id=new_id(),
        agent=agent,
        number=number,
        status=AgentVersionStatus.DRAFT,
        manifest=stored,
        types=pins,
        sha256=version_sha256(stored, pins),
        author_id=author_id or UUID(actor.id),
        authors=with_author([str(author_id)] if author_id else [], actor),
        created_at=now,
        saved_at=now,
        saved_by_id=author_id or UUID(actor.id),
    )
    entry = append_entry(
        actor=actor,
        action="agent_version.registered",
        subject=subject_of(version),
        workspace_id=agent.workspace_id,
        now=now,
        after_sha256=version.sha256,
        payloads={"manifest": stored},
    )
    version.audit_id = entry.id
    version.save(force_insert=True)
    return version


@transaction.atomic
def save_agent_version(
    *,
    version_id: UUID,
    manifest: AgentManifest | JsonObject,
    revision: int,
    actor: Actor,
    now: datetime,
) -> AgentVersion:
    """Save a draft; its contracts are bound to today's types. No audit entry per save.

    Raises:
        RevisionConflictError: somebody else saved it since the caller read it, or it is no draft
            any more.
        InvalidInputError: as in `register_agent_version`.
    """
    draft = selectors.get_version(version_id)
    access.require(actor, "agent.edit", draft.agent)
    manifest = read_document(AgentManifest, manifest, what="manifest")
    manifest = _check_manifest(manifest, draft.agent.workspace_id)
    pins = selectors.pins_of((manifest.input, manifest.output), selectors.current_types())
    stored = manifest.stored()
    changed = AgentVersion.objects.filter(
        pk=draft.pk, status=AgentVersionStatus.DRAFT, revision=revision
    ).update(
        manifest=stored,
        types=pins,
        sha256=version_sha256(stored, pins),
        revision=F("revision") + 1,
        authors=with_author(draft.authors, actor),
        saved_at=now,
        saved_by_id=UUID(actor.id) if actor.kind == "user" else None,
    )
    saved = selectors.get_version(draft.pk)
    if not changed:
        is_draft = saved.status == AgentVersionStatus.DRAFT
        raise RevisionConflictError(
            f"{saved.saved_by or 'Somebody else'} saved this draft meanwhile."
            if is_draft
            else f"Version {saved.number} is no draft any more: it is {saved.status}.",
            detail={
                "revision": saved.revision if is_draft else 0,
                "manifest": saved.manifest,
                "saved_by": {"id": str(saved.saved_by_id), "name": str(saved.saved_by)}
                if saved.saved_by
                else None,
                "saved_at": saved.saved_at.isoformat() if saved.saved_at else None,
            },
        )
    return saved


@transaction.atomic
def set_agent_version_status(
    *,
    version_id: UUID,
    event: AgentVersionEvent,
    actor: Actor,
    now: datetime,
    reason: str = "",
) -> AgentVersion:
    """Let an event of the lifecycle happen to a version.

    Raises:
        IllegalTransitionError: the table does not know the event in this status.
        ReasonMissingError: the event needs a reason.
        PermissionDeniedError: the actor may not.
        DecidedInReviewError: it is approved or returned by deciding its review.
        SignOffMissingError, OwnerMissingError: it cannot become active.
        ConflictError: somebody else changed the version meanwhile.
    """
    version = selectors.get_version(version_id)
    access.require(actor, LIFECYCLE.rules[event].permission, version.agent)
    if event in REVIEWED:
        raise DecidedInReviewError
    LIFECYCLE.next_status(version.status, event)
    before = _BEFORE.get(event)
    is_stop = event == AgentVersionEvent.SUSPEND
    change_status(
        version,
        LIFECYCLE,
        event,
        workspace_id=version.agent.workspace_id,
        actor=actor,
        now=now,
        reason=reason,
        fields={
            "suspended_from": version.status if is_stop else "",
            **(before(version, actor, now, reason) if before else {}),
        },
    )
    after = _AFTER.get(event)
    if after is not None:
        after(version, actor, now, reason)
    return version


@transaction.atomic
def ask_for_approval(*, version_id: UUID, actor: Actor, now: datetime, reason: str) -> AgentVersion:
    """Ask again for the approval of a version that has lost it, or was never given one.

    Raises:
        SignOffStandsError: it is approved, or waits for it.
        IllegalTransitionError: the version is a draft, or out of use.
    """
    version = selectors.get_version(version_id)
    access.require(actor, "agent.edit", version.agent)
    if version.status not in LIFTS and version.status != AgentVersionStatus.SUSPENDED:
        raise IllegalTransitionError(version.status, "ask")
    sign_offs.ask(kind=KIND, subject_id=version.id, actor=actor, now=now, reason=reason)
    return version


@transaction.atomic
def suspend_agent(*, slug: str, actor: Actor, now: datetime, reason: str) -> list[AgentVersion]:
    """The kill switch of an agent: suspend every version that runs may call.

    Raises:
        ConflictError: no version can be called anyway.
    """
    agent = selectors.get_agent(actor, slug)
    access.require(actor, "agent.suspend", agent)
    stoppable = [one for one in agent.versions.all() if one.status in LIFTS]
    if not stoppable:
        raise ConflictError(f"{agent.name} has no version that could be called.")
    return [
        set_agent_version_status(
            version_id=one.id, event=AgentVersionEvent.SUSPEND, actor=actor, now=now, reason=reason
        )
        for one in stoppable
    ]


@transaction.atomic
def lift_agent(*, slug: str, actor: Actor, now: datetime, reason: str) -> list[AgentVersion]:
    """Lift the kill switch: every suspended version gets back the status it had.

    Raises:
        ConflictError: no version is suspended.
    """
    agent = selectors.get_agent(actor, slug)
    access.require(actor, "agent.suspend", agent)
    suspended = [one for one in agent.versions.all() if one.status == AgentVersionStatus.SUSPENDED]
    if not suspended:
        raise ConflictError(f"No version of {agent.name} is suspended.")
    return [
        lift_agent_version(version_id=one.id, actor=actor, now=now, reason=reason)
        for one in suspended
    ]


def lift_agent_version(
    *, version_id: UUID, actor: Actor, now: datetime, reason: str
) -> AgentVersion:
    """Lift the suspension of one version; errors as in `set_agent_version_status`."""
    version = selectors.get_version(version_id)
    return set_agent_version_status(
        version_id=version_id,
        event=LIFTS.get(version.suspended_from, AgentVersionEvent.LIFT_TO_ACTIVE),
        actor=actor,
        now=now,
        reason=reason,
    )


@transaction.atomic
def register_domain_type(
    *,
    name: str,
    schema: JsonObject,
    actor: Actor,
    now: datetime,
    summary: str = "",
    repairs: Sequence[Mapping[str, str]] = (),
    uppercase: bool = False,
) -> DomainType:
    """Register a type, or its next version, and make it current; the same content changes nothing.

    Runs that go on stay bound to the version before. Each version that binds the type has to be
    signed off anew.

    Raises:
        InvalidInputError: the name, the schema or a repair is not usable; `detail["violations"]`
            says where.
    """
    access.require(actor, "type.manage")
    if not _TYPE_NAME.match(name):
        raise _refused("/name", "A type's name has letters and digits and begins with a capital.")
    if name in standard_types():
        raise _refused("/name", f"'{name}' comes with the product and cannot be replaced.")
    summary = _read_line(summary, "/summary", 300)
    for index, one in enumerate(repairs):
        problem = check_repair(_read_repair(one, index))
        if problem:
            raise _refused(f"/repairs/{index}/pattern", problem)
    _check_type_schema(schema)
    content: JsonObject = {
        "schema": schema,
        "repairs": [dict(one) for one in repairs],
        "uppercase": uppercase,
    }
    before = DomainType.objects.filter(name=name, is_current=True).first()
    if before is not None and _content_of(before) == content:
        return before
    number = (DomainType.objects.filter(name=name).aggregate(top=Max("version"))["top"] or 0) + 1
    if before is not None:
        _replace_type(before, actor, now)
    row = DomainType(
        id=new_id(),
        name=name,
        version=number,
        summary=summary,
        schema=schema,
        repairs=content["repairs"],
        uppercase=uppercase,
        created_at=now,
    )
    entry = append_entry(
        actor=actor,
        action="domain_type.registered",
        subject=subject_of(row),
        now=now,
        after_sha256=content_sha256(content),
        payloads={"type": content},
    )
    row.audit_id = entry.id
    row.save(force_insert=True)
    _tell_of_type(row, before, actor=actor, now=now)
    return row


@transaction.atomic
def register_endpoint(
    *,
    workspace_id: UUID,
    name: str,
    base_url: str,
    actor: Actor,
    now: datetime,
    allow_private: bool = False,
) -> Endpoint:
    """Register a service that HTTP agents of the workspace may call.

    Raises:
        EgressDeniedError: the address is not one that could ever be called.
        ConflictError: the name is taken.
    """
    access.require(actor, "policy.manage", workspace_id)
    egress.check_base_url(base_url)
    if Endpoint.objects.filter(name=name).exists():
        raise ConflictError(f"A service named '{name}' exists already.")
    endpoint = Endpoint(
        id=new_id(),
        workspace_id=workspace_id,
        name=name,
        base_url=base_url,
        allow_private=allow_private,
        created_at=now,
    )
    entry = append_entry(
        actor=actor,
        action="endpoint.registered",
        subject=subject_of(endpoint),
        workspace_id=workspace_id,
        now=now,
        payloads={"endpoint": {"name": name, "base_url": base_url, "allow_private": allow_private}},
    )
    endpoint.audit_id = entry.id
    endpoint.save(force_insert=True)
    return endpoint


@transaction.atomic
def disable_endpoint(*, name: str, actor: Actor, now: datetime, reason: str) -> Endpoint:
    """Forbid all calls to a service from now on; a second time changes nothing.

    Raises:
        InvalidInputError: there is no such service.
    """
    endpoint = selectors.get_endpoint(name)
    if endpoint is None:
        raise InvalidInputError(f"There is no service '{name}'.")
    access.require(actor, "policy.manage", endpoint)
    if endpoint.disabled_at is not None:
        return endpoint
    entry = append_entry(
        actor=actor,
        action="endpoint.disabled",
        subject=subject_of(endpoint),
        workspace_id=endpoint.workspace_id,
        now=now,
        reason=read_text(reason),
    )
    Endpoint.objects.filter(id=endpoint.id, disabled_at=None).update(
        disabled_at=now, audit_id=entry.id
    )
    endpoint.disabled_at = now
    return endpoint


def question_about(version_id: UUID) -> Question | None:
    """What the approval of a version would bind now; None for what is not or no more in use."""
    version = selectors.get_version(version_id)
    if version.status in {AgentVersionStatus.DRAFT, AgentVersionStatus.RETIRED}:
        return None
    return question.about(version)


def version_signed(version_id: UUID, actor: Actor, reason: str, now: datetime) -> None:
    """The last signature is given: the version is approved and means the types of today."""
    version = selectors.get_version(version_id)
    settle_signed(
        version,
        LIFECYCLE,
        AgentVersionEvent.APPROVE,
        types=selectors.pins_of_version(AgentManifest.model_validate(version.manifest)),
        rebound="agent_version.rebound",
        workspace_id=version.agent.workspace_id,
        actor=actor,
        now=now,
        reason=reason,
    )


def version_returned(version_id: UUID, actor: Actor, reason: str, now: datetime) -> None:
    """Back to its authors; what is in use keeps its status and stays blocked."""
    version = selectors.get_version(version_id)
    if LIFECYCLE.allows(version.status, AgentVersionEvent.RETURN):
        change_status(
            version,
            LIFECYCLE,
            AgentVersionEvent.RETURN,
            workspace_id=version.agent.workspace_id,
            actor=actor,
            now=now,
            reason=reason,
        )


def _freeze(version: AgentVersion, actor: Actor, _now: datetime, _reason: str) -> dict[str, object]:
    """What is handed in means the types of today, and whoever hands it in answers for it too."""
    manifest = AgentManifest.model_validate(version.manifest)
    _check_manifest(manifest, version.agent.workspace_id)
    pins = selectors.pins_of_version(manifest)
    version.sha256 = version_sha256(version.manifest, pins)
    return {
        "types": pins,
        "sha256": version.sha256,
        "authors": with_author(version.authors, actor),
    }


def _require_activatable(
    version: AgentVersion, _actor: Actor, _now: datetime, _reason: str
) -> dict[str, object]:
    key = (KIND, version.id)
    sign_offs.require_signed(
        {key: f"{version.agent.name} v{version.number}"},
        main=key,
        members=selectors.members_of_version(version),
        action="agent.activate",
    )
    departed = selectors.departed_owners([version])
    if departed:
        raise OwnerMissingError(departed[0], detail={"action": "agent.activate"})
    return {}


def _ask(version: AgentVersion, actor: Actor, now: datetime, reason: str) -> None:
    sign_offs.ask(kind=KIND, subject_id=version.id, actor=actor, now=now, reason=reason)


def _end(version: AgentVersion, actor: Actor, now: datetime, reason: str) -> dict[str, object]:
    """End the approval first: whoever signs locks the review, the sign-off, then the version."""
    why = reason.strip() or "It was taken back."
    sign_offs.end(kind=KIND, subject_id=version.id, actor=actor, now=now, reason=why)
    return {}


_BEFORE: Mapping[
    AgentVersionEvent, Callable[[AgentVersion, Actor, datetime, str], dict[str, object]]
] = {
    AgentVersionEvent.SUBMIT: _freeze,
    AgentVersionEvent.ACTIVATE: _require_activatable,
    AgentVersionEvent.WITHDRAW: _end,
    AgentVersionEvent.RETIRE: _end,
}
"""What must hold or happen before an event; gives the columns that change with it."""
_AFTER: Mapping[AgentVersionEvent, Callable[[AgentVersion, Actor, datetime, str], None]] = {
    AgentVersionEvent.SUBMIT: _ask,
}
"""What an event brings with it, in the same transaction."""


def _require_no_draft(agent: Agent) -> None:
    draft = agent.versions.filter(status__in=selectors.UNFINISHED).first()
    if draft is None:
        return
    message = (
        f"{agent.name} has a draft already: version {draft.number}. Go on with that one."
        if draft.status == AgentVersionStatus.DRAFT
        else f"Version {draft.number} of {agent.name} waits for its approval. Take it back to edit "
        "it, or wait for the decision."
    )
    raise DraftExistsError(message, detail={"version": draft.number})


def _require_owner(person_id: UUID, workspace_id: UUID) -> None:
    if person_id not in access.people_with_role(access.Role.AGENT_OWNER, workspace_id):
        raise _refused(
            "/owner", "The owner must be an active person with the role agent owner here."
        )


def _read_name(text: str) -> str:
    name = _read_line(text, "/name", MAX_NAME)
    if not name:
        raise _refused("/name", "is required but missing")
    return name


def _read_line(text: str, path: str, longest: int) -> str:
    try:
        line = read_text(text)
    except InvalidInputError as error:
        raise _refused(path, error.message) from None
    if len(line) > longest:
        raise _refused(path, f"must have at most {longest} characters")
    return line


def _read_repair(given: Mapping[str, str], index: int) -> Repair:
    if set(given) != {"pattern", "replacement", "explanation"}:
        raise _refused(
            f"/repairs/{index}", "A repair has a pattern, a replacement and an explanation."
        )
    return Repair(**given)


def _check_type_schema(schema: JsonObject) -> None:
    try:
        check_json(schema)
        Validator(schema, selectors.current_types())
    except DomainError as error:
        where = error.detail.get("path")
        place = f"/schema{where}" if isinstance(where, str) else "/schema"
        raise _refused(place, error.message) from None


def _refused(path: str, reason: str) -> InvalidInputError:
    return InvalidInputError(
        reason, detail={"violations": [{"path": path, "rule": "usable", "reason": reason}]}
    )


def _check_manifest(manifest: AgentManifest, workspace_id: UUID) -> AgentManifest:
    """Refuse what could never work; the manifest comes back with its tools."""
    around = selectors.surroundings_of(workspace_id)
    errors = [one for one in examine(manifest, around) if one.severity == "error"]
    if errors:
        raise InvalidInputError(
            f"The manifest is not valid: {errors[0].reason}",
            detail={"violations": [one.violation() for one in errors]},
        )
    return manifest.with_tools(tools_of(manifest.config))


def _replace_type(row: DomainType, actor: Actor, now: datetime) -> None:
    entry = append_entry(
        actor=actor,
        action="domain_type.replaced",
        subject=Subject("domain_type", str(row.id), row.version),
        now=now,
        before_sha256=content_sha256(_content_of(row)),
    )
    changed = DomainType.objects.filter(id=row.id, is_current=True).update(
        is_current=False, audit_id=entry.id
    )
    if not changed:
        raise ConflictError("Somebody else has just changed this type. Look again.")


def _tell_of_type(
    row: DomainType, before: DomainType | None, *, actor: Actor, now: datetime
) -> None:
    """Let every sign-off that binds the type know, a built-in type of that name too."""
    after = selectors.core_type(row)
    old = selectors.core_type(before) if before else standard_types().get(row.name)
    member = type_member(after)
    sign_offs.member_changed(
        kind=member.kind,
        id=member.id,
        sha256=member.sha256,
        what=f"The type {row.name} was registered anew, as version {row.version}.",
        details=type_rows(old, after) if old else (),
        actor=actor,
        now=now,
    )


def _content_of(row: DomainType) -> JsonObject:
    return {"schema": row.schema, "repairs": row.repairs, "uppercase": row.uppercase}
