"""People, roles, workspaces, service identities and tokens: every change has its audit entry."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from django.contrib.auth.models import Group, Permission
from django.contrib.auth.password_validation import validate_password
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from audit.services import Subject, append_entry, subject_of
from orchestrator import access
from orchestrator.access import Actor, Role
from orchestrator.accounts.authentication import BEARER_MARK, digest_of
from orchestrator.accounts.models import (
    ApiToken,
    Membership,
    ServiceIdentity,
    User,
    Workspace,
    WorkspaceGroupPermission,
)
from orchestrator.core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
)
from orchestrator.core.json import JsonObject, clean_text
from orchestrator.core.shares import MAX_WEIGHT
from orchestrator.ids import new_id

ONLY_PEOPLE: Final = (":decide", ":approve")
"""Ends of scopes that no service identity may hold."""
TOKEN_BYTES: Final = 30
PREFIX_LENGTH: Final = 12
_OWN_IDENTITIES: Final = UUID("7c7d3c52-93c1-4f0e-8a5b-2f6f7f0d4b19")


class IdentityDisabledError(ConflictError):
    """The product's own identity in a workspace was taken out of use by a person."""

    code = "identity_disabled"


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A person and the first password, which is kept nowhere."""

    person: User
    password: str


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token's row and its text, which is kept nowhere."""

    row: ApiToken
    text: str


@transaction.atomic
def create_workspace(*, slug: str, name: str, actor: Actor, now: datetime) -> Workspace:
    """Create a workspace; the person who does becomes its administrator.

    Raises:
        PermissionDeniedError: the actor is administrator nowhere.
        ConflictError: the slug is taken.
    """
    access.require(actor, "workspace.manage")
    _check_slug(slug)
    name = _text("name", name)
    if Workspace.objects.filter(slug=slug).exists():
        raise _taken("slug", f"There is a workspace '{slug}' already.")
    key = new_id()
    entry = append_entry(
        actor=actor,
        action="workspace.created",
        subject=Subject("workspace", str(key)),
        workspace_id=key,
        payloads={"workspace": {"slug": slug, "name": name}},
        now=now,
    )
    workspace = Workspace.objects.create(id=key, slug=slug, name=name, created_at=now, audit=entry)
    derive_grants(workspace)
    if actor.kind == "user":
        _grant(User.objects.get(id=actor.id), workspace, Role.ADMINISTRATOR, actor=actor, now=now)
    return workspace


@transaction.atomic
def change_workspace(
    *,
    workspace_id: UUID,
    name: str | None = None,
    weight: int | None = None,
    actor: Actor,
    now: datetime,
) -> Workspace:
    """Change the name of a workspace, its part of the workers' time, or both.

    Its slug never changes. What is the same already changes nothing.

    Raises:
        PermissionDeniedError: the actor is not its administrator.
        InvalidInputError: the weight is not from 1 to 100.
    """
    access.require(actor, "workspace.manage", workspace_id)
    workspace = _workspace(workspace_id)
    if weight is not None and not 1 <= weight <= MAX_WEIGHT:
        raise _invalid("weight", f"must be a whole number from 1 to {MAX_WEIGHT}")
    was: dict[str, str | int] = {"name": workspace.name, "weight": workspace.weight}
    wanted: dict[str, str | int] = {
        "name": workspace.name if name is None else _text("name", name),
        "weight": workspace.weight if weight is None else weight,
    }
    change: JsonObject = {
        key: [was[key], value] for key, value in wanted.items() if value != was[key]
    }
    if not change:
        return workspace
    entry = append_entry(
        actor=actor,
        action="workspace.changed",
        subject=subject_of(workspace),
        workspace_id=workspace.id,
        payloads={"change": change},
        now=now,
    )
    Workspace.objects.filter(id=workspace.id).update(**wanted, audit=entry)
    workspace.refresh_from_db()
    return workspace


def derive_grants(workspace: Workspace) -> None:
    """Make the groups and guardian permissions of a workspace those of the permission table.

    Safe to call again; takes away what the table no longer gives.
    """
    content_type = ContentType.objects.get_for_model(Workspace)
    known = {
        permission.codename: permission
        for permission in Permission.objects.filter(content_type=content_type)
    }
    for codename, summary in access.workspace_permissions():
        if codename not in known:
            known[codename], _ = Permission.objects.get_or_create(
                content_type=content_type, codename=codename, defaults={"name": summary}
            )
    roles = {access.group_name(role, workspace.slug): role for role in Role}
    Group.objects.bulk_create([Group(name=name) for name in roles], ignore_conflicts=True)
    held: dict[int, dict[str, int]] = {}
    rows = WorkspaceGroupPermission.objects.filter(content_object=workspace)
    for key, group_id, codename in rows.values_list("id", "group_id", "permission__codename"):
        held.setdefault(group_id, {})[codename] = key
    given, stale = [], []
    for group in Group.objects.filter(name__in=roles):
        has, wanted = held.get(group.id, {}), access.codenames_of(roles[group.name])
        stale += [key for codename, key in has.items() if codename not in wanted]
        given += [
            WorkspaceGroupPermission(
                group=group, content_object=workspace, permission=known[codename]
            )
            for codename in sorted(wanted - has.keys())
        ]
    if stale:
        rows.filter(id__in=stale).delete()
    WorkspaceGroupPermission.objects.bulk_create(given)
    access.forget()


def derive_groups(person: User) -> None:
    """Put a person into exactly the groups that his memberships give."""
    held = Membership.objects.filter(user=person, ended_at__isnull=True)
    names = [
        access.group_name(role, slug) for role, slug in held.values_list("role", "workspace__slug")
    ]
    groups = list(Group.objects.filter(name__in=names))
    person.groups.set(groups)
    access.forget()


@transaction.atomic
def create_person(
    *,
    username: str,
    name: str,
    email: str = "",
    password: str = "",
    hashed_password: str = "",
    actor: Actor,
    now: datetime,
) -> NewPerson:
    """Create a person who can sign in; without a password a random one is made and returned.

    A caller that creates many people at once may give the hash of one password instead, because
    hashing takes a good part of a second by design; the password is then not looked at.

    Raises:
        InvalidInputError: the user name or the password is not acceptable; says why.
        ConflictError: the user name is taken.
    """
    access.require(actor, "people.manage")
    username, name = _text("username", username), _text("name", name)
    password = password or secrets.token_urlsafe(12)
    person = User(username=username, name=name, email=email, password=hashed_password)
    try:
        if not hashed_password:
            person.set_password(password)
            validate_password(password, person)
        person.full_clean(exclude=["groups", "user_permissions"], validate_unique=False)
    except ValidationError as error:
        raise _of_validation(error) from None
    if User.objects.filter(username__iexact=username).exists():
        raise _taken("username", f"There is a person with the user name '{username}' already.")
    append_entry(actor=actor, action="user.created", subject=_person(person), now=now)
    person.save(force_insert=True)
    return NewPerson(person, password)


@transaction.atomic
def create_person_with_role(
    *,
    username: str,
    name: str,
    email: str = "",
    workspace_id: UUID,
    role: str,
    actor: Actor,
    now: datetime,
) -> NewPerson:
    """Create a person who holds a role from the start; both or neither. Errors of both."""
    made = create_person(username=username, name=name, email=email, actor=actor, now=now)
    grant_membership(
        person_id=made.person.id, workspace_id=workspace_id, role=role, actor=actor, now=now
    )
    return made


@transaction.atomic
def deactivate_person(*, person_id: UUID, reason: str, actor: Actor, now: datetime) -> User:
    """Lock a person out: sessions and tokens of his work no more. Nothing of his is deleted.

    Raises:
        ConflictError: it is the actor himself, or a workspace would be left without administrator.
    """
    person = _managed_person(person_id, actor)
    if not person.is_active:
        return person
    if str(person.id) == actor.id:
        raise ConflictError("You cannot lock yourself out; another administrator can.")
    for workspace in Workspace.objects.filter(
        memberships__user=person,
        memberships__role=Role.ADMINISTRATOR,
        memberships__ended_at__isnull=True,
    ):
        _keep_an_administrator(workspace, person)
    append_entry(
        actor=actor, action="user.deactivated", subject=_person(person), reason=reason, now=now
    )
    User.objects.filter(id=person.id).update(is_active=False)
    person.refresh_from_db()
    access.forget()
    return person


@transaction.atomic
def reactivate_person(*, person_id: UUID, reason: str, actor: Actor, now: datetime) -> User:
    """Let a person in again."""
    person = _managed_person(person_id, actor)
    if person.is_active:
        return person
    append_entry(
        actor=actor, action="user.reactivated", subject=_person(person), reason=reason, now=now
    )
    User.objects.filter(id=person.id).update(is_active=True)
    person.refresh_from_db()
    access.forget()
    return person


@transaction.atomic
def grant_membership(
    *, person_id: UUID, workspace_id: UUID, role: str, actor: Actor, now: datetime
) -> Membership:
    """Give a person a role in a workspace; if he has it already nothing changes.

    Raises:
        PermissionDeniedError: also when somebody grants a role to himself.
    """
    access.require(actor, "people.manage", workspace_id)
    workspace = _workspace(workspace_id)
    person = _active_person(person_id)
    if role not in set(Role):
        raise _invalid("role", f"There is no role '{role}'.")
    if actor.kind == "user" and actor.id == str(person.id):
        raise PermissionDeniedError(
            "Nobody grants himself a role; another administrator can.",
            detail={"action": "people.manage"},
        )
    return _grant(person, workspace, Role(role), actor=actor, now=now)


@transaction.atomic
def end_membership(
    *, membership_id: UUID, actor: Actor, now: datetime, reason: str = ""
) -> Membership:
    """End a person's role in a workspace; ended already, nothing changes.

    Raises:
        ConflictError: the workspace would be left without administrator.
    """
    membership = (
        Membership.objects.select_related("user", "workspace").filter(id=membership_id).first()
    )
    if membership is None:
        raise NotFoundError("There is no such membership.")
    access.require(actor, "people.manage", membership.workspace_id)
    if membership.ended_at is not None:
        return membership
    if membership.role == Role.ADMINISTRATOR:
        _keep_an_administrator(membership.workspace, membership.user)
    entry = append_entry(
        actor=actor,
        action="membership.ended",
        subject=subject_of(membership),
        workspace_id=membership.workspace_id,
        reason=reason,
        payloads={"membership": _membership_words(membership)},
        now=now,
    )
    Membership.objects.filter(id=membership.id, ended_at__isnull=True).update(
        ended_at=now, audit=entry
    )
    derive_groups(membership.user)
    membership.refresh_from_db()
    return membership


def _grant(
    person: User, workspace: Workspace, role: Role, *, actor: Actor, now: datetime
) -> Membership:
    held = Membership.objects.filter(
        user=person, workspace=workspace, role=role, ended_at__isnull=True
    ).first()
    if held is not None:
        return held
    membership = Membership(
        id=new_id(), user=person, workspace=workspace, role=role.value, created_at=now
    )
    membership.audit = append_entry(
        actor=actor,
        action="membership.granted",
        subject=subject_of(membership),
        workspace_id=workspace.id,
        payloads={"membership": _membership_words(membership)},
        now=now,
    )
    try:
        with transaction.atomic():
            membership.save(force_insert=True)
    except IntegrityError:
        raise ConflictError("Somebody granted this role just now.") from None
    derive_groups(person)
    return membership


@transaction.atomic
def create_service_identity(
    *, workspace_id: UUID, name: str, actor: Actor, now: datetime
) -> ServiceIdentity:
    """Create a machine's identity in one workspace; it calls the API and never decides."""
    access.require(actor, "token.manage", workspace_id)
    identity = ServiceIdentity(
        id=new_id(), workspace=_workspace(workspace_id), name=_text("name", name), created_at=now
    )
    return _add_identity(identity, actor=actor, now=now)


def _add_identity(identity: ServiceIdentity, *, actor: Actor, now: datetime) -> ServiceIdentity:
    identity.audit = append_entry(
        actor=actor,
        action="service_identity.created",
        subject=subject_of(identity),
        workspace_id=identity.workspace_id,
        payloads={"service_identity": {"name": identity.name}},
        now=now,
    )
    identity.save(force_insert=True)
    return identity


@transaction.atomic
def own_identity(*, workspace_id: UUID, name: str, now: datetime) -> ServiceIdentity:
    """The identity under which the product itself acts in a workspace; made at first use.

    Its id follows from workspace and name, so that there is one, and one that a person made under
    the same name is another.

    Raises:
        IdentityDisabledError: it was taken out of use; it is not replaced.
    """
    identity_id = uuid5(_OWN_IDENTITIES, f"{workspace_id}/{name}")
    known = ServiceIdentity.objects.filter(id=identity_id).first()
    if known is None:
        made = ServiceIdentity(
            id=identity_id, workspace=_workspace(workspace_id), name=name, created_at=now
        )
        return _add_identity(made, actor=access.SYSTEM, now=now)
    if known.disabled_at is not None:
        raise IdentityDisabledError(
            f"The service identity '{name}' of this workspace was disabled; nothing is started "
            "under it any more."
        )
    return known


@transaction.atomic
def disable_service_identity(
    *, identity_id: UUID, actor: Actor, now: datetime, reason: str = ""
) -> ServiceIdentity:
    """Take a machine's identity out of use: all of its tokens work no more."""
    identity = ServiceIdentity.objects.filter(id=identity_id).first()
    if identity is None:
        raise NotFoundError("There is no such service identity.")
    access.require(actor, "token.manage", identity.workspace_id)
    if identity.disabled_at is not None:
        return identity
    entry = append_entry(
        actor=actor,
        action="service_identity.disabled",
        subject=subject_of(identity),
        workspace_id=identity.workspace_id,
        reason=reason,
        now=now,
    )
    ServiceIdentity.objects.filter(id=identity.id, disabled_at__isnull=True).update(
        disabled_at=now, audit=entry
    )
    identity.refresh_from_db()
    access.forget()
    return identity


@transaction.atomic
def create_token(
    *,
    name: str,
    scopes: Collection[str],
    actor: Actor,
    now: datetime,
    service_id: UUID | None = None,
    person_id: UUID | None = None,
    expires_at: datetime | None = None,
) -> NewToken:
    """Make a bearer token for oneself, or for a service identity; its text is given only here.

    `person_id` names somebody else than the actor and is for the system alone (the command line).

    Raises:
        InvalidInputError: no scope, an unknown one, one that a service may not hold, an end that
            has passed.
        PermissionDeniedError: a token may not make one with more scopes than its own.
    """
    service = _service_for_token(service_id, actor) if service_id else None
    holder = None if service else _holder(actor, person_id)
    name = _text("name", name)
    wanted = _check_scopes(scopes, actor, is_service=service is not None)
    if expires_at is not None and expires_at <= now:
        raise _invalid("expires_at", "The end has passed already.")
    text = BEARER_MARK + secrets.token_urlsafe(TOKEN_BYTES)
    row = ApiToken(
        id=new_id(),
        user=holder,
        service=service,
        name=name,
        prefix=text[:PREFIX_LENGTH],
        digest=digest_of(text),
        scopes=wanted,
        created_at=now,
        expires_at=expires_at,
    )
    what: JsonObject = {
        "name": name,
        "scopes": list(wanted),
        "holder": str(service.id if service else actor.id),
        "expires_at": expires_at.isoformat() if expires_at else None,
    }
    row.audit = append_entry(
        actor=actor,
        action="token.created",
        subject=subject_of(row),
        workspace_id=service.workspace_id if service else None,
        payloads={"token": what},
        now=now,
    )
    row.save(force_insert=True)
    return NewToken(row, text)


@transaction.atomic
def revoke_token(*, token_id: UUID, actor: Actor, now: datetime, reason: str = "") -> ApiToken:
    """Take a token out of use at once; revoked already, nothing changes.

    Raises:
        NotFoundError: it is neither the actor's own nor one that he manages.
    """
    token = ApiToken.objects.select_related("service").filter(id=token_id).first()
    if token is None:
        raise NotFoundError("There is no such token.")
    if token.service is not None:
        access.require(actor, "token.manage", token.service.workspace_id)
    elif not (actor.kind == "user" and str(token.user_id) == actor.id):
        raise NotFoundError("There is no such token.")
    if token.revoked_at is not None:
        return token
    entry = append_entry(
        actor=actor,
        action="token.revoked",
        subject=subject_of(token),
        workspace_id=token.service.workspace_id if token.service else None,
        reason=reason,
        now=now,
    )
    ApiToken.objects.filter(id=token.id, revoked_at__isnull=True).update(
        revoked_at=now, audit=entry
    )
    token.refresh_from_db()
    return token


def record_demo_role(
    *, person: User, role: Role, before: Actor | None, via: str, now: datetime
) -> None:
    """Write that somebody used a role card of the demo; `before` was signed in until then."""
    came_from: JsonObject = {"role": role.value, "before": before.id if before else None}
    append_entry(
        actor=Actor(kind="user", id=str(person.id), via=via),
        action="demo.role_used",
        subject=_person(person),
        payloads={"demo": came_from},
        now=now,
    )


def record_session(*, action: str, person: User | None, via: str, now: datetime) -> None:
    """Write that somebody signed in, signed out, or failed to; who fails is not known to be he."""
    is_known = person is not None and action != "session.failed"
    actor = (
        Actor(kind="user", id=str(person.id), via=via)
        if person is not None and is_known
        else Actor(kind="system", id=access.SYSTEM.id, via=via)
    )
    subject = _person(person) if person is not None else Subject("user", "unknown")
    append_entry(actor=actor, action=action, subject=subject, now=now)


def _workspace(workspace_id: UUID) -> Workspace:
    workspace = Workspace.objects.filter(id=workspace_id).first()
    if workspace is None:
        raise NotFoundError("There is no such workspace.")
    return workspace


def _active_person(person_id: UUID | str) -> User:
    person = User.objects.filter(id=person_id, is_active=True).first()
    if person is None:
        raise NotFoundError("There is no such person, or he is locked out.")
    return person


def _managed_person(person_id: UUID, actor: Actor) -> User:
    """Return a person all of whose workspaces the actor manages."""
    access.require(actor, "people.manage")
    person = User.objects.filter(id=person_id).first()
    if person is None:
        raise NotFoundError("There is no such person.")
    places = Membership.objects.filter(user=person, ended_at__isnull=True)
    for workspace_id in set(places.values_list("workspace_id", flat=True)):
        access.require(actor, "people.manage", workspace_id)
    return person


def _keep_an_administrator(workspace: Workspace, leaving: User) -> None:
    others = Membership.objects.filter(
        workspace=workspace,
        role=Role.ADMINISTRATOR,
        ended_at__isnull=True,
        user__is_active=True,
    ).exclude(user=leaving)
    if not others.exists():
        raise ConflictError(
            f"{leaving} is the only administrator of {workspace}; make somebody else one first.",
            detail={"workspace": workspace.slug},
        )


def _service_for_token(service_id: UUID, actor: Actor) -> ServiceIdentity:
    service = ServiceIdentity.objects.filter(id=service_id).first()
    if service is None:
        raise NotFoundError("There is no such service identity.")
    access.require(actor, "token.manage", service.workspace_id)
    if service.disabled_at is not None:
        raise ConflictError(f"{service} is disabled; it can have no new token.")
    return service


def _holder(actor: Actor, person_id: UUID | None) -> User:
    if actor.kind == "system" and person_id is not None:
        return _active_person(person_id)
    if actor.kind != "user":
        raise PermissionDeniedError("Only a person can make a personal token.")
    access.require_scope(actor, "account:write")
    return _active_person(actor.id)


def _check_scopes(scopes: Collection[str], actor: Actor, *, is_service: bool) -> list[str]:
    wanted = sorted(set(scopes))
    if not wanted:
        raise _invalid("scopes", "Choose at least one scope.")
    for scope in wanted:
        if scope not in access.SCOPES:
            known = ", ".join(access.SCOPES)
            raise _invalid("scopes", f"There is no scope '{scope}'; there are {known}.")
        if is_service and scope.endswith(ONLY_PEOPLE):
            raise _invalid("scopes", f"Only people decide: a service cannot have '{scope}'.")
        access.require_scope(actor, scope)
    return wanted


def _check_slug(slug: str) -> None:
    try:
        Workspace._meta.get_field("slug").clean(slug, None)
    except ValidationError:
        raise _invalid(
            "slug", "Use 1 to 63 lower-case letters, digits and hyphens, like motor-claims."
        ) from None
    if slug != slug.lower() or "_" in slug:
        raise _invalid("slug", "Use lower-case letters, digits and hyphens only.")


def _text(name: str, value: str) -> str:
    value = value.strip()
    try:
        clean_text(value)
    except ValueError as error:
        raise _invalid(name, f"This text {error}.") from None
    if not value:
        raise _invalid(name, "This must not be empty.")
    if len(value) > 120:
        raise _invalid(name, "At most 120 characters.")
    return value


def _invalid(name: str, reason: str) -> InvalidInputError:
    violation = {"path": f"/{name}", "rule": "invalid", "reason": reason}
    return InvalidInputError(reason, detail={"violations": [violation]})


def _taken(name: str, reason: str) -> ConflictError:
    violation = {"path": f"/{name}", "rule": "unique", "reason": reason}
    return ConflictError(reason, detail={"violations": [violation]})


def _of_validation(error: ValidationError) -> InvalidInputError:
    places = error.message_dict if hasattr(error, "error_dict") else {"password": error.messages}
    violations = [
        {"path": f"/{name}", "rule": "invalid", "reason": reason}
        for name, reasons in places.items()
        for reason in reasons
    ]
    return InvalidInputError(violations[0]["reason"], detail={"violations": violations})


def _membership_words(membership: Membership) -> JsonObject:
    return {
        "person": str(membership.user_id),
        "role": str(membership.role),
        "workspace": membership.workspace.slug,
    }


def _person(person: User) -> Subject:
    return Subject("user", str(person.id))
