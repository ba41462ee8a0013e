"""Settings pages: account, people and roles, workspaces, tokens, service identities; demo cards."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from orchestrator import access
from orchestrator.access import Actor, Role
from orchestrator.accounts import contracts, demo, selectors, services
from orchestrator.accounts.authentication import actor_of, actor_of_person, actor_of_session
from orchestrator.accounts.models import User, Workspace
from orchestrator.core.errors import InvalidInputError, NotFoundError
from orchestrator.core.json import JsonObject
from orchestrator.web import forms
from orchestrator.web.lists import Column, Empty, Filter, Link, ListSpec, Option, render_list

form_page = require_http_methods(["GET", "HEAD", "POST"])

PEOPLE = ListSpec(
    key="people",
    one="person",
    many="people",
    columns=(Column("Name"), Column("Roles"), Column("Status"), Column("Since", "only-wide")),
    row_template="accounts/person_row.html",
    empty=Empty("users", "Nobody here yet", "People with a role in your workspaces show here."),
    search_fields=("name", "username"),
    search_label="Search people",
    filters=(
        Filter(
            "role",
            "Role",
            tuple(
                Option(
                    role.value,
                    role.label,
                    condition=Q(memberships__role=role.value, memberships__ended_at__isnull=True),
                )
                for role in Role
            ),
        ),
    ),
    order=("name", "id"),
    is_card=True,
)


@require_GET
def settings_home(request: HttpRequest) -> HttpResponse:
    is_administrator = access.can(actor_of(request), "people.manage")
    return redirect("people" if is_administrator else "account")


@require_GET
def account(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    memberships = selectors.list_memberships(actor).filter(user_id=actor.id, ended_at__isnull=True)
    return render(request, "accounts/account.html", {"memberships": memberships})


@require_GET
def roles(request: HttpRequest) -> HttpResponse:
    context = {
        "roles": [(role, access.ROLE_SUMMARIES[role]) for role in Role],
        "lines": selectors.permission_table(),
        "held": access.roles_anywhere(actor_of(request)),
    }
    return render(request, "accounts/roles.html", context)


@require_GET
def people(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    context = {"can_manage": access.can(actor, "people.manage")}
    return render_list(
        request,
        PEOPLE,
        selectors.list_people(actor).distinct(),
        template="accounts/people.html",
        context=context,
    )


@form_page
def new_person(request: HttpRequest) -> HttpResponse:
    actor, now = actor_of(request), timezone.now()
    access.require(actor, "people.manage")
    places = _workspaces_where(actor, "people.manage")
    contract = contracts.person_contract(places)
    made: list[services.NewPerson] = []

    def carry_out(value: dict[str, Any]) -> None:
        made.append(_create_person(value, places, actor, now))

    shown = forms.submit(request, contract, carry_out) if request.method == "POST" else None
    if made:
        person = made[0].person
        context = {"person": person, "password": made[0].password}
        return render(request, "accounts/person_created.html", context)
    shown = shown or forms.show(contract)
    return render(request, "accounts/person_new.html", {"form": shown}, status=shown.status)


@form_page
def person(request: HttpRequest, person_id: UUID) -> HttpResponse:
    actor, now = actor_of(request), timezone.now()
    found = selectors.get_person(actor, person_id)
    places = _workspaces_where(actor, "people.manage")
    contract = contracts.membership_contract(places)

    def carry_out(value: dict[str, Any]) -> None:
        services.grant_membership(
            person_id=found.id,
            workspace_id=places[value["workspace"]].id,
            role=value["role"],
            actor=actor,
            now=now,
        )

    shown = None
    if request.method == "POST":
        access.require(actor, "people.manage")
        shown = forms.submit(request, contract, carry_out)
        if shown is None:
            messages.success(request, f"{found} has the role now.")
            return redirect("person", person_id)
    shown = shown or forms.show(contract)
    context = {
        "person": found,
        "form": shown,
        "can_manage": bool(places),
        "managed": {place.id for place in places.values()},
        "is_self": str(found.id) == actor.id,
        "administrators": _administrators(actor),
    }
    return render(request, "accounts/person.html", context, status=shown.status)


@require_POST
def end_membership(request: HttpRequest, membership_id: UUID) -> HttpResponse:
    ended = services.end_membership(
        membership_id=membership_id,
        actor=actor_of(request),
        now=timezone.now(),
        reason=request.POST.get("reason", ""),
    )
    label = Role(ended.role).label
    messages.success(request, f"{ended.user} is no longer {label} in {ended.workspace}.")
    return redirect("person", ended.user_id)


@require_POST
def set_person_active(request: HttpRequest, person_id: UUID) -> HttpResponse:
    actor, now = actor_of(request), timezone.now()
    reason = request.POST.get("reason", "")
    if request.POST.get("active") == "yes":
        found = services.reactivate_person(person_id=person_id, reason=reason, actor=actor, now=now)
        messages.success(request, f"{found} can sign in again.")
    else:
        found = services.deactivate_person(person_id=person_id, reason=reason, actor=actor, now=now)
        messages.success(request, f"{found} is locked out; sessions and tokens work no more.")
    return redirect("person", person_id)


WORKSPACES = ListSpec(
    key="workspaces",
    one="workspace",
    many="workspaces",
    columns=(Column("Name"), Column("Administrators"), Column("People", "right"), Column("Since")),
    row_template="accounts/workspace_row.html",
    empty=Empty(
        "building", "No workspace yet", "A department or project: workflows belong to one."
    ),
    search_fields=("name", "slug"),
    search_label="Search workspaces",
    order=("name", "id"),
    is_card=True,
)


@form_page
def workspaces(request: HttpRequest) -> HttpResponse:
    actor, now = actor_of(request), timezone.now()
    shown = None
    if request.method == "POST":
        access.require(actor, "workspace.manage")

        def carry_out(value: dict[str, Any]) -> None:
            services.create_workspace(slug=value["slug"], name=value["name"], actor=actor, now=now)

        shown = forms.submit(request, contracts.WORKSPACE, carry_out)
        if shown is None:
            messages.success(request, "The workspace is there; you are its administrator.")
            return redirect("workspaces")
    shown = shown or forms.show(contracts.WORKSPACE)
    context = {
        "form": shown,
        "can_manage": access.can(actor, "workspace.manage"),
        "administrators": _administrators(actor),
    }
    response = render_list(
        request,
        WORKSPACES,
        selectors.list_workspaces(actor),
        template="accounts/workspaces.html",
        context=context,
        extras=selectors.workspace_figures,
    )
    response.status_code = shown.status
    return response


@form_page
def workspace(request: HttpRequest, slug: str) -> HttpResponse:
    actor, now = actor_of(request), timezone.now()
    found = selectors.get_workspace(actor, slug)
    can_manage = access.can(actor, "workspace.manage", found.id)
    shown = None
    if request.method == "POST":
        access.require(actor, "workspace.manage", found.id)

        def carry_out(value: dict[str, Any]) -> None:
            services.change_workspace(
                workspace_id=found.id,
                name=value["name"],
                weight=value["weight"],
                actor=actor,
                now=now,
            )

        shown = forms.submit(request, contracts.WORKSPACE_CHANGE, carry_out)
        if shown is None:
            messages.success(request, "The workspace is changed.")
            return redirect("workspace", slug)
    held: JsonObject = {"name": found.name, "weight": found.weight}
    shown = shown or forms.show(contracts.WORKSPACE_CHANGE, held)
    members = selectors.list_memberships(actor).filter(workspace=found, ended_at__isnull=True)
    context = {
        "workspace": found,
        "members": members.order_by("user__name", "role"),
        "can_manage": can_manage,
        "form": shown,
    }
    return render(request, "accounts/workspace.html", context, status=shown.status)


TOKENS = ListSpec(
    key="tokens",
    one="token",
    many="tokens",
    columns=(
        Column("Token"),
        Column("Scopes"),
        Column("Status"),
        Column("Latest use", "only-wide"),
        Column("Actions", is_hidden_label=True),
    ),
    row_template="accounts/token_row.html",
    empty=Empty(
        "key",
        "No token yet",
        "A token lets a program call the API as you, limited to the scopes you choose.",
        (Link("Make a token", "#new", "plus"), Link("Read about the API", "/api/docs/", "book")),
    ),
    is_card=True,
)


@form_page
def tokens(request: HttpRequest) -> HttpResponse:
    return _tokens_page(request, service_id=None)


@form_page
def service_tokens(request: HttpRequest, service_id: UUID) -> HttpResponse:
    return _tokens_page(request, service_id=service_id)


@require_POST
def revoke_token(request: HttpRequest, token_id: UUID) -> HttpResponse:
    token = services.revoke_token(token_id=token_id, actor=actor_of(request), now=timezone.now())
    messages.success(request, f"The token {token.name} works no more.")
    return redirect("service-tokens", token.service_id) if token.service_id else redirect("tokens")


SERVICES = ListSpec(
    key="services",
    one="service identity",
    many="service identities",
    columns=(
        Column("Name"),
        Column("Workspace"),
        Column("Status"),
        Column("Since"),
        Column("Actions", is_hidden_label=True),
    ),
    row_template="accounts/service_row.html",
    empty=Empty(
        "server",
        "No service identity yet",
        "A machine that calls the API in one workspace. It starts and reads; it never decides.",
        (Link("Create one", "#new", "plus"),),
    ),
    search_fields=("name",),
    search_label="Search service identities",
    is_card=True,
)


@form_page
def service_identities(request: HttpRequest) -> HttpResponse:
    actor, now = actor_of(request), timezone.now()
    access.require(actor, "token.manage")
    places = _workspaces_where(actor, "token.manage")
    contract = contracts.service_contract(places)
    shown = None
    if request.method == "POST":

        def carry_out(value: dict[str, Any]) -> None:
            services.create_service_identity(
                workspace_id=places[value["workspace"]].id,
                name=value["name"],
                actor=actor,
                now=now,
            )

        shown = forms.submit(request, contract, carry_out)
        if shown is None:
            messages.success(request, "The service identity is there; make a token for it.")
            return redirect("services")
    shown = shown or forms.show(contract)
    response = render_list(
        request,
        SERVICES,
        selectors.list_service_identities(actor),
        template="accounts/services.html",
        context={"form": shown},
    )
    response.status_code = shown.status
    return response


@require_POST
def disable_service(request: HttpRequest, service_id: UUID) -> HttpResponse:
    identity = services.disable_service_identity(
        identity_id=service_id, actor=actor_of(request), now=timezone.now()
    )
    messages.success(request, f"{identity} is disabled; its tokens work no more.")
    return redirect("services")


@login_not_required
@require_POST
def continue_as(request: HttpRequest) -> HttpResponse:
    """Sign in as one of the demo's people; on this machine only, and every use is audited."""
    if not demo.is_allowed(request):
        raise NotFoundError("There is nothing at this address, or it is not yours to see.")
    wanted = request.POST.get("role", "")
    found = next((card for card in demo.cards(request) if card.role.value == wanted), None)
    if found is None:
        raise InvalidInputError(f"The demo has nobody with the role '{wanted}'.")
    person = User.objects.get(id=found.person.id)
    before = actor_of_person(request.user) if isinstance(request.user, User) else None
    login(request, person, backend=settings.AUTHENTICATION_BACKENDS[0])
    actor = actor_of_session(request)
    services.record_demo_role(
        person=person,
        role=found.role,
        before=before,
        via=actor.via if actor else "",
        now=timezone.now(),
    )
    target = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(target, allowed_hosts=None)
    return redirect(target if target and is_ours else "/")


def _tokens_page(request: HttpRequest, *, service_id: UUID | None) -> HttpResponse:
    actor, now = actor_of(request), timezone.now()
    service = None
    rows = selectors.list_tokens(actor)
    if service_id is not None:
        access.require(actor, "token.manage")
        service = selectors.get_service_identity(actor, service_id)
    rows = rows.filter(service=service) if service else rows.filter(user_id=actor.id)
    contract = contracts.token_contract(is_service=service is not None)
    made: list[services.NewToken] = []

    def carry_out(value: dict[str, Any]) -> None:
        days = contracts.DAYS[value["lifetime"]]
        made.append(
            services.create_token(
                name=value["name"],
                scopes=value["scopes"],
                service_id=service_id,
                expires_at=now + timedelta(days=days) if days else None,
                actor=actor,
                now=now,
            )
        )

    shown = forms.submit(request, contract, carry_out) if request.method == "POST" else None
    shown = shown or forms.show(contract)
    context = {"form": shown, "service": service, "made": made[0] if made else None}
    response = render_list(request, TOKENS, rows, template="accounts/tokens.html", context=context)
    response.status_code = shown.status
    return response


def _create_person(
    value: dict[str, Any], places: dict[str, Workspace], actor: Actor, now: datetime
) -> services.NewPerson:
    return services.create_person_with_role(
        username=value["username"],
        name=value["name"],
        email=value.get("email", ""),
        workspace_id=places[value["workspace"]].id,
        role=value["role"],
        actor=actor,
        now=now,
    )


def _workspaces_where(actor: Actor, action: str) -> dict[str, Workspace]:
    """Return workspaces by name, for the choices of a form; equal names get their slug added."""
    found = list(
        selectors.list_workspaces(actor)
        .filter(id__in=access.workspaces_where(actor, action))
        .order_by("name", "slug")
    )
    names = [place.name for place in found]
    return {
        place.name if names.count(place.name) == 1 else f"{place.name} ({place.slug})": place
        for place in found
    }


def _administrators(actor: Actor) -> list[str]:
    held = selectors.list_memberships(actor).filter(
        role=Role.ADMINISTRATOR, ended_at__isnull=True, user__is_active=True
    )
    return sorted({str(one.user) for one in held})
