"""Who may do what: the permission table, role names, object checks. Only this file knows roles.

Theory of operation. The table `ACTIONS` is data: an action, the roles that hold it, the scope that
a token needs for it. A role is held in a workspace; a membership puts the person into the Django
group `<role>@<workspace slug>`, and that group holds one guardian permission on the workspace for
each of the role's actions (`accounts.services.derive_grants` writes both). A check reads the
guardian tables, so what is granted is what is stored; inside `remembering()`, which is one request,
they are read once. Imports of models stand in functions: the models themselves import this file.

A workspace in which the actor holds nothing does not exist for him: its objects are not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Final, Literal, Protocol, TypeAlias
from uuid import UUID

from orchestrator.core.errors import NotFoundError, PermissionDeniedError


class Role(StrEnum):
    """The six roles; each is held in a workspace."""

    BUSINESS_OWNER = "business-owner"
    AGENT_OWNER = "agent-owner"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    COMPLIANCE = "compliance"
    ADMINISTRATOR = "administrator"

    @property
    def label(self) -> str:
        """The role's name as pages show it."""
        return _ROLE_TITLES[self]


_ROLE_TITLES: Final[Mapping[str, str]] = {
    "business-owner": "Business owner",
    "agent-owner": "Agent owner",
    "reviewer": "Reviewer",
    "operator": "Operator",
    "compliance": "Compliance",
    "administrator": "Administrator",
}

ROLE_SUMMARIES: Final[Mapping[Role, str]] = {
    Role.BUSINESS_OWNER: "Designs workflows, starts runs and answers for their results.",
    Role.AGENT_OWNER: "Registers agents and keeps their versions and contracts.",
    Role.REVIEWER: "Decides what waits for a person, with the evidence in view.",
    Role.OPERATOR: "Watches runs and mends the ones that failed.",
    Role.COMPLIANCE: "Searches and exports the audit log, signs off versions.",
    Role.ADMINISTRATOR: "Manages people, roles, workspaces and tokens.",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `id` is the pseudonymous id of the audit log; `via` a hash of session or token.

    `scopes` limit a token; None means no limit beyond the person's own rights.
    """

    kind: Literal["user", "agent", "system", "service"]
    id: str
    via: str = ""
    on_behalf_of: str = ""
    scopes: frozenset[str] | None = field(default=None)


SYSTEM = Actor(kind="system", id="baton")


class InWorkspace(Protocol):
    """Anything that belongs to a workspace."""

    @property
    def workspace_id(self) -> UUID:
        """The id of its workspace."""


Target: TypeAlias = "InWorkspace | UUID | None"
"""What an action is about: an object, its workspace's id, or None for 'in any workspace'."""


@dataclass(frozen=True, slots=True)
class Action:
    """One line of the permission table.

    `scope` is what a token needs; `everywhere` means that holding it in one workspace gives it in
    all; `service` that a service identity may hold it; `condition` is what else must be true, in
    words, checked by the service that carries the action out.
    """

    name: str
    summary: str
    roles: frozenset[Role]
    scope: str
    everywhere: bool = False
    service: bool = False
    condition: str = ""

    @property
    def codename(self) -> str:
        """The guardian permission that stands for this action."""
        return self.name.replace(".", "_")


_ALL = frozenset(Role)
_BUSINESS = frozenset({Role.BUSINESS_OWNER})
_AGENTS = frozenset({Role.AGENT_OWNER})
_OPERATORS = frozenset({Role.OPERATOR})
_COMPLIANCE = frozenset({Role.COMPLIANCE})
_ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})
_ASSIGNED = "when it is assigned to them or to their role, and they did not ask for it"

_TABLE: Final = (
    Action("workflow.read", "Read workflows", _ALL, "workflows:read", service=True),
    Action("workflow.edit", "Edit a draft, submit a version", _BUSINESS, "workflows:write"),
    Action(
        "workflow.sign_off",
        "Sign off a version",
        _COMPLIANCE | _BUSINESS,
        "workflows:approve",
        condition="never as an author of it",
    ),
    Action(
        "workflow.publish",
        "Publish or retire a signed-off version, delete a draft",
        _BUSINESS,
        "workflows:write",
    ),
    Action("workflow.try", "Test-run a draft, try a step", _BUSINESS, "workflows:write"),
    Action("agent.read", "Read agents", _ALL, "agents:read", service=True),
    Action("agent.edit", "Register, edit and submit an agent version", _AGENTS, "agents:write"),
    Action(
        "agent.approve",
        "Approve an agent version",
        _ADMINISTRATORS | _AGENTS,
        "agents:approve",
        condition="never as its owner or author",
    ),
    Action(
        "agent.activate",
        "Activate, deprecate and retire an approved agent version",
        _AGENTS,
        "agents:write",
    ),
    Action("agent.try", "Try an agent", _AGENTS, "agents:write"),
    Action(
        "agent.suspend",
        "Suspend an agent and lift it (kill switch)",
        _OPERATORS | _AGENTS,
        "agents:write",
    ),
    Action("type.manage", "Register domain types", _AGENTS, "agents:write"),
    Action("run.read", "Read runs", _ALL, "runs:read", service=True),
    Action("run.start", "Start a run", _BUSINESS | _OPERATORS, "runs:write", service=True),
    Action("run.cancel", "Cancel a run", _OPERATORS, "runs:write", service=True),
    Action("run.pause", "Pause and continue a run", _OPERATORS, "runs:write", service=True),
    Action("run.resume", "Resume or retry a run from a step", _OPERATORS, "runs:write"),
    Action("run.override", "Override a step, dismiss a failed run", _OPERATORS, "runs:write"),
    Action("review.read", "Read reviews", _ALL, "reviews:read", service=True),
    Action(
        "review.decide",
        "Claim, hand over and decide a review",
        _ALL - _ADMINISTRATORS,
        "reviews:decide",
        condition=_ASSIGNED,
    ),
    Action(
        "file.upload",
        "Upload files for a run or for a review's answer",
        _BUSINESS | _OPERATORS | _AGENTS | frozenset({Role.REVIEWER}),
        "files:write",
        service=True,
    ),
    Action("file.read", "Read files", _ALL, "files:read", service=True),
    Action("audit.read", "Search the audit log", _COMPLIANCE, "audit:read", everywhere=True),
    Action("audit.export", "Export the audit log", _COMPLIANCE, "audit:read", everywhere=True),
    Action("people.manage", "Manage people and roles", _ADMINISTRATORS, "people:write"),
    Action("workspace.manage", "Manage workspaces", _ADMINISTRATORS, "workspaces:write"),
    Action(
        "policy.manage",
        "Manage policies, endpoints and credentials",
        _ADMINISTRATORS,
        "policies:write",
    ),
    Action(
        "token.manage",
        "Manage service identities and their tokens",
        _ADMINISTRATORS,
        "tokens:write",
    ),
)

ACTIONS: Final[Mapping[str, Action]] = {action.name: action for action in _TABLE}

DECIDING: Final = frozenset({"workflow.sign_off", "agent.approve", "review.decide"})
"""Only people do these: never a service identity, an agent or the system."""

OWN_SCOPES: Final = ("account:read", "account:write")
"""What a token needs to read its holder's own account, or to change it; no role is asked."""

SCOPES: Final[tuple[str, ...]] = (
    "*",
    *sorted(
        {action.scope for action in _TABLE} | set(OWN_SCOPES) | {"people:read", "workspaces:read"}
    ),
)


class ScopeMissingError(PermissionDeniedError):
    """The token's holder may do this, but the token was not given the scope for it."""

    code = "scope_missing"


_Grants: TypeAlias = Mapping[UUID, frozenset[str]]
_Roles: TypeAlias = frozenset[tuple[Role, str]]
_remembered: ContextVar[dict[str, _Grants] | None] = ContextVar("remembered_grants", default=None)
_remembered_roles: ContextVar[dict[str, _Roles] | None] = ContextVar(
    "remembered_roles", default=None
)


@contextmanager
def remembering() -> Iterator[None]:
    """Read each actor's grants and roles at most once inside; entered for one request."""
    token, roles_token = _remembered.set({}), _remembered_roles.set({})
    try:
        yield
    finally:
        _remembered.reset(token)
        _remembered_roles.reset(roles_token)


def forget() -> None:
    """Drop what `remembering` holds; called when grants change."""
    for held in (_remembered.get(), _remembered_roles.get()):
        if held is not None:
            held.clear()


def workspace_permissions() -> tuple[tuple[str, str], ...]:
    """Guardian permissions on a workspace, one per action of the table."""
    return tuple((action.codename, action.summary) for action in _TABLE)


def group_name(role: str, workspace_slug: str) -> str:
    """Return the name of the group that holds a role in a workspace."""
    return f"{role}@{workspace_slug}"


def codenames_of(role: Role) -> frozenset[str]:
    """Return the guardian permissions that a role holds on its workspace."""
    return frozenset(action.codename for action in _TABLE if role in action.roles)


def can(actor: Actor, action: str, target: Target = None) -> bool:
    """Tell whether the actor may do this to the target; None asks for any workspace at all."""
    try:
        require(actor, action, target)
    except (NotFoundError, PermissionDeniedError):
        return False
    return True


def require(actor: Actor, action: str, target: Target = None) -> None:
    """Let the actor pass, or raise.

    Raises:
        NotFoundError: the target belongs to a workspace in which the actor holds nothing.
        ScopeMissingError: the token lacks the scope; `detail["scope"]` names it.
        PermissionDeniedError: `detail` names the action, the roles that hold it, who grants it.
    """
    rule = ACTIONS[action]
    if actor.kind == "system":
        if action in DECIDING:
            raise _denied(rule, None)
        return
    workspace_id = _workspace_of(target)
    held = _grants_of(actor)
    anywhere = any(rule.codename in names for names in held.values())
    if workspace_id is None or (rule.everywhere and anywhere):
        if not anywhere:
            raise _denied(rule, None)
    elif workspace_id not in held:
        raise NotFoundError("There is nothing here, or it is not yours to see.")
    elif rule.codename not in held[workspace_id]:
        raise _denied(rule, workspace_id)
    require_scope(actor, rule.scope)


def require_scope(actor: Actor, scope: str) -> None:
    """Let a token with this scope pass; sessions and the system have no limit.

    Raises:
        ScopeMissingError: names the scope.
    """
    if actor.scopes is None or "*" in actor.scopes or scope in actor.scopes:
        return
    raise ScopeMissingError(
        f"This token does not have the scope '{scope}'.",
        detail={"scope": scope, "scopes": sorted(actor.scopes)},
    )


def workspaces_where(actor: Actor, action: str) -> frozenset[UUID]:
    """Return the ids of all workspaces in which the actor may do this; for filters of lists."""
    rule = ACTIONS[action]
    if actor.scopes is not None and not {"*", rule.scope} & actor.scopes:
        return frozenset()
    if actor.kind == "system":
        return frozenset() if action in DECIDING else _all_workspaces()
    held = _grants_of(actor)
    found = frozenset(key for key, names in held.items() if rule.codename in names)
    return _all_workspaces() if found and rule.everywhere else found


def workspaces_of(actor: Actor) -> frozenset[UUID]:
    """Return the ids of the workspaces in which the actor holds anything at all."""
    return _all_workspaces() if actor.kind == "system" else frozenset(_grants_of(actor))


def roles_in(actor: Actor, workspace_id: UUID) -> frozenset[Role]:
    """Return the roles that a person holds in a workspace; nobody else holds any."""
    slug = _workspace_slug(workspace_id)
    return frozenset(role for role, place in _roles_of(actor) if place == slug)


def roles_anywhere(actor: Actor) -> frozenset[Role]:
    """Return the roles that a person holds in at least one workspace."""
    return frozenset(role for role, _ in _roles_of(actor))


def people_with_role(role: str, workspace_id: UUID) -> frozenset[UUID]:
    """Return the ids of the active people who hold a role in a workspace."""
    from django.contrib.auth import get_user_model

    slug = _workspace_slug(workspace_id)
    people = get_user_model()._default_manager.filter(
        groups__name=group_name(role, slug), is_active=True
    )
    return frozenset(people.values_list("id", flat=True))


def people_who(action: str, workspace_id: UUID) -> frozenset[UUID]:
    """Return the ids of the active people who hold a role in a workspace that may do this."""
    from django.contrib.auth import get_user_model

    slug = _workspace_slug(workspace_id)
    names = [group_name(role, slug) for role in ACTIONS[action].roles]
    people = get_user_model()._default_manager.filter(groups__name__in=names, is_active=True)
    return frozenset(people.values_list("id", flat=True))


def role_words(action: str) -> str:
    """Return who may do this, in words: "an agent owner or an administrator"."""
    labels = [role.label.lower() for role in Role if role in ACTIONS[action].roles]
    return " or ".join(_WITHOUT_ARTICLE.get(one) or _with_article(one) for one in labels)


_WITHOUT_ARTICLE: Final[Mapping[str, str]] = {"compliance": "compliance"}


def _with_article(label: str) -> str:
    return f"{'an' if label[0] in 'aeiou' else 'a'} {label}"


def _workspace_of(target: Target) -> UUID | None:
    if target is None or isinstance(target, UUID):
        return target
    return target.workspace_id


def _grants_of(actor: Actor) -> _Grants:
    key = f"{actor.kind}:{actor.id}"
    held = _remembered.get()
    if held is not None and key in held:
        return held[key]
    grants = _read_grants(actor)
    if held is not None:
        held[key] = grants
    return grants


def _read_grants(actor: Actor) -> _Grants:
    if actor.kind == "user":
        return _grants_of_person(actor.id)
    if actor.kind == "service":
        service = _model("ServiceIdentity")._default_manager.filter(
            id=actor.id, disabled_at__isnull=True
        )
        allowed = frozenset(
            action.codename for action in _TABLE if action.service and action.name not in DECIDING
        )
        return dict.fromkeys(service.values_list("workspace_id", flat=True), allowed)
    return {}


def _grants_of_person(person_id: str) -> _Grants:
    from django.db import connection

    key = _model("Workspace")._meta.pk
    person = key.get_db_prep_value(key.to_python(person_id), connection)
    statement, parameters = _statement_of_grants(connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(statement, [person if one is _PERSON else one for one in parameters])
        rows = cursor.fetchall()
    found: dict[UUID, set[str]] = {}
    for workspace_id, codename in rows:
        found.setdefault(key.to_python(workspace_id), set()).add(codename)
    return {workspace_id: frozenset(names) for workspace_id, names in found.items()}


_PERSON: Final[Any] = object()
"""Where the person's id belongs among the parameters of the statement."""


@cache
def _statement_of_grants(_vendor: str) -> tuple[str, tuple[Any, ...]]:
    """Read (workspace, permission) of a person, with its parameters; `_PERSON` stands for his id.

    Nearly every request asks this, and to write the statement takes much longer than to run it.
    """
    from django.db import connection
    from guardian.utils import get_group_obj_perms_model, get_user_obj_perms_model

    workspace, nobody = _model("Workspace"), UUID(int=0)
    by_group = get_group_obj_perms_model(workspace)._default_manager.filter(
        group__user__id=nobody, group__user__is_active=True
    )
    by_name = get_user_obj_perms_model(workspace)._default_manager.filter(
        user_id=nobody, user__is_active=True
    )
    columns = ("content_object_id", "permission__codename")
    both = by_group.values_list(*columns).union(by_name.values_list(*columns))
    statement, parameters = both.query.get_compiler(connection=connection).as_sql()
    mark = workspace._meta.pk.get_db_prep_value(nobody, connection)
    return statement, tuple(_PERSON if one == mark else one for one in parameters)


def _roles_of(actor: Actor) -> _Roles:
    if actor.kind != "user":
        return frozenset()
    held = _remembered_roles.get()
    if held is not None and actor.id in held:
        return held[actor.id]
    roles = _read_roles(actor)
    if held is not None:
        held[actor.id] = roles
    return roles


def _read_roles(actor: Actor) -> _Roles:
    from django.contrib.auth.models import Group

    names = Group.objects.filter(user__id=actor.id, user__is_active=True)
    pairs = (name.split("@", 1) for name in names.values_list("name", flat=True) if "@" in name)
    return frozenset((Role(role), place) for role, place in pairs if role in _ROLE_TITLES)


def _denied(rule: Action, workspace_id: UUID | None) -> PermissionDeniedError:
    titles = [role.label for role in Role if role in rule.roles]
    administrators = _administrators(workspace_id)
    who = " or ".join(part for part in (", ".join(titles[:-1]), titles[-1]) if part)
    by = ", ".join(administrators) or "an administrator"
    return PermissionDeniedError(
        f"Only the role {who} may do this: {rule.summary[0].lower()}{rule.summary[1:]}. "
        f"{by} can grant it.",
        detail={
            "action": rule.name,
            "roles": [role.value for role in Role if role in rule.roles],
            "granted_by": administrators,
        },
    )


def _administrators(workspace_id: UUID | None) -> list[str]:
    from django.contrib.auth import get_user_model

    people = get_user_model()._default_manager.filter(is_active=True)
    if workspace_id is None:
        people = people.filter(groups__name__startswith=f"{Role.ADMINISTRATOR.value}@")
    else:
        name = group_name(Role.ADMINISTRATOR, _workspace_slug(workspace_id))
        people = people.filter(groups__name=name)
    return [str(person) for person in people.order_by("username").distinct()[:3]]


def _all_workspaces() -> frozenset[UUID]:
    return frozenset(_model("Workspace")._default_manager.values_list("id", flat=True))


def _workspace_slug(workspace_id: UUID) -> str:
    found = _model("Workspace")._default_manager.filter(id=workspace_id)
    slug: str | None = found.values_list("slug", flat=True).first()
    if slug is None:
        raise NotFoundError("There is no such workspace.")
    return slug


def _model(name: str) -> Any:
    from django.apps import apps

    return apps.get_model("accounts", name)
