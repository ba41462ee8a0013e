"""Writing the registry: agents, versions, their status, domain types, endpoints. All governed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from approvals.versions import ReasonMissingError as ReasonMissingError
from approvals.versions import author_ids, change_status, with_author
from audit.services import Subject, append_entry, subject_of
from orchestrator import access, egress
from orchestrator.access import Actor
from orchestrator.agents import FUNCTIONS
from orchestrator.agents.rules import DecisionTable, compile_table
from orchestrator.agents.template import Template, TemplateError, placeholders
from orchestrator.core.canonical import content_sha256
from orchestrator.core.catalogue import Repair
from orchestrator.core.contracts import Validator, check_repair
from orchestrator.core.errors import (
    ConflictError,
    InvalidInputError,
    PermissionDeniedError,
)
from orchestrator.core.expressions import ExpressionError
from orchestrator.core.json import JsonObject
from orchestrator.core.reading import read_document, read_text
from orchestrator.ids import new_id
from registry import selectors
from registry.lifecycle import LIFECYCLE, LIFTS, AgentVersionEvent
from registry.manifest import AgentManifest, FunctionConfig, HttpConfig, version_sha256
from registry.models import Agent, AgentVersion, AgentVersionStatus, DomainType, Endpoint


@transaction.atomic
def register_agent(
    *, slug: str, name: str, workspace_id: UUID, owner_id: UUID, actor: Actor, now: datetime
) -> Agent:
    """Register an agent; its capabilities come with its versions.

    Raises:
        ConflictError: the slug is taken.
        PermissionDeniedError: the actor does not register agents in this workspace.
    """
    access.require(actor, "agent.edit", workspace_id)
    if Agent.objects.filter(slug=slug).exists():
        raise ConflictError(f"An agent with the address '{slug}' exists already.")
    agent = Agent(
        id=new_id(),
        slug=slug,
        name=read_text(name),
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
    """
    agent = Agent.objects.filter(slug=agent_slug).first()
    if agent is None:
        raise InvalidInputError(f"There is no agent '{agent_slug}'.")
    access.require(actor, "agent.edit", agent)
    manifest = read_document(AgentManifest, manifest, what="manifest")
    types = selectors.current_types()
    pins = selectors.pins_of((manifest.input, manifest.output), types)
    _check_config(manifest, agent.workspace_id)
    _check_examples(manifest)
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
        PermissionDeniedError: the actor may not; owner and author never approve their own version;
            `install` is for what ships with the product.
        ConflictError: somebody else changed the version meanwhile.
    """
    version = selectors.get_version(version_id)
    access.require(actor, LIFECYCLE.rules[event].permission, version.agent)
    _require_condition(version, event, actor)
    is_stop = event == AgentVersionEvent.SUSPEND
    change_status(
        version,
        LIFECYCLE,
        event,
        workspace_id=version.agent.workspace_id,
        actor=actor,
        now=now,
        reason=reason,
        fields={"suspended_from": version.status if is_stop else ""},
    )
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

    What is already bound to the version before stays bound to it.

    Raises:
        InvalidInputError: the schema or a repair is not usable.
    """
    access.require(actor, "type.manage")
    rewritings = [Repair(**one) for one in repairs]
    for rewriting in rewritings:
        problem = check_repair(rewriting)
        if problem:
            raise InvalidInputError(f"A repair of '{name}' is not usable: {problem}")
    Validator(schema, selectors.current_types())
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
        summary=read_text(summary),
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


def _require_condition(version: AgentVersion, event: AgentVersionEvent, actor: Actor) -> None:
    if event == AgentVersionEvent.INSTALL and actor.kind != "system":
        raise PermissionDeniedError(
            "Only what ships with the product is installed; hand the version in for approval.",
            detail={"action": "agent.activate"},
        )
    own = author_ids(version) | {str(version.agent.owner_id)}
    if event == AgentVersionEvent.APPROVE and actor.id in own:
        raise PermissionDeniedError(
            "Nobody approves an agent version that he owns or wrote; ask another agent owner or an "
            "administrator.",
            detail={"action": "agent.approve"},
        )


def _check_config(manifest: AgentManifest, workspace_id: UUID) -> None:
    """Refuse what could never be called: an unknown function or service, a bad table or text."""
    match manifest.config:
        case FunctionConfig(function=name):
            if name not in FUNCTIONS:
                raise _refused("/config/function", f"There is no function '{name}'.")
        case HttpConfig() as config:
            endpoint = selectors.get_endpoint(config.endpoint)
            if endpoint is None or endpoint.workspace_id != workspace_id:
                raise _refused("/config/endpoint", f"There is no service '{config.endpoint}'.")
        case DecisionTable() as table:
            try:
                compile_table(table)
            except (ExpressionError, ValueError) as error:
                raise _refused("/config/rows", str(error)) from None
        case Template() as template:
            try:
                placeholders(template.text)
            except TemplateError as error:
                raise _refused("/config/text", str(error)) from None


def _check_examples(manifest: AgentManifest) -> None:
    types = selectors.current_types()
    takes, gives = Validator(manifest.input, types), Validator(manifest.output, types)
    for index, example in enumerate(manifest.examples):
        for side, payload in (("input", example.input), ("output", example.output)):
            validator = takes if side == "input" else gives
            found = () if payload is None else validator.check(payload)
            if found:
                raise _refused(
                    f"/examples/{index}/{side}{found[0].path}",
                    f"The example '{example.title}' breaks its contract: {found[0].reason}",
                )


def _refused(path: str, reason: str) -> InvalidInputError:
    return InvalidInputError(
        f"The manifest is not valid: {reason}",
        detail={"violations": [{"path": path, "rule": "usable", "reason": reason}]},
    )


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


def _content_of(row: DomainType) -> JsonObject:
    return {"schema": row.schema, "repairs": row.repairs, "uppercase": row.uppercase}
