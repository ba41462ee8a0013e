"""What may be seen of people, workspaces, service identities and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet

from orchestrator import access
from orchestrator.access import Actor, Role
from orchestrator.accounts.models import ApiToken, Membership, ServiceIdentity, User, Workspace
from orchestrator.core.errors import NotFoundError
from orchestrator.core.shares import USUAL_WEIGHT


@dataclass(frozen=True, slots=True)
class RoleLine:
    """One line of the permission table as the settings page and the API show it."""

    action: str
    summary: str
    roles: Mapping[Role, bool]
    scope: str
    condition: str
    is_everywhere: bool
    is_for_services: bool


def list_workspaces(actor: Actor) -> QuerySet[Workspace]:
    """Return the workspaces in which the actor holds anything."""
    return Workspace.objects.filter(id__in=access.workspaces_of(actor))


def get_workspace(actor: Actor, slug: str) -> Workspace:
    """Return a workspace by slug.

    Raises:
        NotFoundError: it does not exist, or the actor holds nothing in it.
    """
    workspace = list_workspaces(actor).filter(slug=slug).first()
    if workspace is None:
        raise NotFoundError("There is no such workspace, or it is not yours to see.")
    return workspace


def weights() -> dict[UUID, int]:
    """The weights of all workspaces, by id."""
    return dict(Workspace.objects.values_list("id", "weight"))


def has_weights() -> bool:
    """Whether any workspace has another weight than the usual one."""
    return Workspace.objects.exclude(weight=USUAL_WEIGHT).exists()


def list_people(actor: Actor) -> QuerySet[User]:
    """Return the people of the actor's workspaces, with the memberships that he may see.

    Administrators also see people who hold no role anywhere yet.
    """
    places = access.workspaces_of(actor)
    seen = Membership.objects.filter(workspace_id__in=places, ended_at__isnull=True)
    condition = Q(id__in=seen.values("user_id")) | Q(id=actor.id if actor.kind == "user" else None)
    if access.can(actor, "people.manage"):
        elsewhere = Membership.objects.filter(ended_at__isnull=True).exclude(
            workspace_id__in=places
        )
        condition |= ~Q(id__in=elsewhere.values("user_id"))
    shown = seen.select_related("workspace").order_by("workspace__name", "role")
    return User.objects.filter(condition).prefetch_related(
        Prefetch("memberships", queryset=shown, to_attr="shown_memberships")
    )


def get_person(actor: Actor, person_id: UUID) -> User:
    """Return a person whom the actor may see.

    Raises:
        NotFoundError: there is none, or he shares no workspace with the actor.
    """
    person = list_people(actor).filter(id=person_id).first()
    if person is None:
        raise NotFoundError("There is no such person, or you share no workspace.")
    return person


def list_memberships(actor: Actor) -> QuerySet[Membership]:
    """Return the memberships of the actor's workspaces, ended ones included."""
    places = access.workspaces_of(actor)
    found = Membership.objects.filter(workspace_id__in=places)
    return found.select_related("user", "workspace")


def list_service_identities(actor: Actor) -> QuerySet[ServiceIdentity]:
    """Return the service identities of the workspaces whose tokens the actor manages."""
    places = access.workspaces_where(actor, "token.manage")
    return ServiceIdentity.objects.filter(workspace_id__in=places).select_related("workspace")


def get_service_identity(actor: Actor, identity_id: UUID) -> ServiceIdentity:
    """Return a service identity that the actor manages.

    Raises:
        NotFoundError: there is none, or it belongs to another workspace.
    """
    identity = list_service_identities(actor).filter(id=identity_id).first()
    if identity is None:
        raise NotFoundError("There is no such service identity, or it is not yours to see.")
    return identity


def workspace_figures(rows: list[Workspace]) -> dict[str, dict[UUID, object]]:
    """Return per workspace how many people hold a role in it, and who administers it."""
    people: dict[UUID, set[UUID]] = {row.id: set() for row in rows}
    administrators: dict[UUID, list[str]] = {row.id: [] for row in rows}
    held = Membership.objects.filter(workspace__in=rows, ended_at__isnull=True)
    for membership in held.select_related("user").order_by("user__name"):
        people[membership.workspace_id].add(membership.user_id)
        if membership.role == Role.ADMINISTRATOR:
            administrators[membership.workspace_id].append(str(membership.user))
    return {
        "people": {key: len(found) for key, found in people.items()},
        "administrators": dict(administrators),
    }


def list_tokens(actor: Actor) -> QuerySet[ApiToken]:
    """Return the actor's own tokens and those of service identities that he manages."""
    places = access.workspaces_where(actor, "token.manage")
    condition = Q(service__workspace_id__in=places)
    if actor.kind == "user":
        condition |= Q(user_id=actor.id)
    elif actor.kind == "service":
        condition |= Q(service_id=actor.id)
    found = ApiToken.objects.filter(condition)
    return found.select_related("user", "service", "service__workspace", "use")


def names_of(person_ids: set[UUID] | frozenset[UUID]) -> dict[UUID, str]:
    """Return the names of people by id, for lists that show who did what."""
    found = User.objects.filter(id__in=person_ids)
    return {person.id: str(person) for person in found}


def permission_table() -> list[RoleLine]:
    """Return the permission table as lines."""
    return [
        RoleLine(
            action=action.name,
            summary=action.summary,
            roles={role: role in action.roles for role in Role},
            scope=action.scope,
            condition=action.condition,
            is_everywhere=action.everywhere,
            is_for_services=action.service,
        )
        for action in access.ACTIONS.values()
    ]


def demo_people() -> dict[Role, User]:
    """Return one person per role for the demo's cards: the first who holds it, by user name.

    A person whose user name is the role's name comes first.
    """
    found: dict[Role, User] = {}
    held = Membership.objects.filter(ended_at__isnull=True, user__is_active=True)
    for membership in held.select_related("user").order_by("user__username"):
        role = Role(membership.role)
        if role not in found or membership.user.username == role.value:
            found[role] = membership.user
    return {role: found[role] for role in Role if role in found}
