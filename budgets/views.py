"""Settings pages of limits: everybody reads those of his workspaces, administrators set them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from budgets import presentation, selectors, services
from budgets.limits import Unit
from budgets.models import BudgetEntry, BudgetLimit
from designer import selectors as designer
from orchestrator import access
from orchestrator.access import Role
from orchestrator.accounts import selectors as accounts
from orchestrator.accounts.authentication import actor_of
from orchestrator.web import forms
from orchestrator.web.lists import Column, Empty, Filter, ListSpec, Option, build_list, render_list
from registry import selectors as registry

LIMITS = ListSpec(
    key="limits",
    one="limit",
    many="limits",
    columns=(
        Column("Counts"),
        Column("Status"),
        Column("Used"),
        Column("Left", "right"),
        Column("Limit", "right"),
    ),
    row_template="budgets/row.html",
    empty=Empty(
        "gauge",
        "No limit yet",
        "A limit says how many calls, or how much money, a workspace, a workflow or an agent may "
        "use in a day or a month, or how many calls at the same time. Administrators set them; "
        "without one nothing is counted.",
    ),
    search_fields=("target", "workflow__name", "agent__name", "workspace__name"),
    search_label="Search limits",
    filters=(
        Filter(
            "scope",
            "About",
            (
                Option("workspace", "Workspaces"),
                Option("workflow", "Workflows"),
                Option("agent", "Agents"),
            ),
        ),
        Filter(
            "unit",
            "Unit",
            (
                Option("calls", "Calls"),
                Option("money", "Money"),
                Option("tokens", "Tokens"),
                Option("places", "Calls at the same time"),
            ),
        ),
    ),
    order=("scope", "target", "id"),
    is_card=True,
)
LEDGER = ListSpec(
    key="ledger",
    one="line",
    many="lines",
    columns=(Column("When"), Column("What"), Column("Amount", "right"), Column("Run and step")),
    row_template="budgets/entry_row.html",
    empty=Empty("list", "Nothing counted yet", "Each call that counts here shows as a line."),
    filters=(
        Filter(
            "kind",
            "What",
            tuple(Option(key, words) for key, words in presentation.KIND_WORDS.items()),
        ),
    ),
    order=("-id",),
    is_card=True,
)


@require_safe
def limits(request: HttpRequest) -> HttpResponse:
    """The limits of the actor's workspaces and how they stand."""
    actor, now = actor_of(request), timezone.now()

    def extras(rows: list[BudgetLimit]) -> dict[str, Any]:
        usage = selectors.usage_of(rows, now)
        return {
            "shown": {row.id: presentation.shown(row, usage[row.id]) for row in rows},
            "about": {row.id: presentation.about(row) for row in rows},
            "scope": {row.id: presentation.scope_words(row) for row in rows},
        }

    managed = access.workspaces_where(actor, "policy.manage")
    places = accounts.list_workspaces(actor).filter(id__in=managed).order_by("name")
    return render_list(
        request,
        LIMITS,
        selectors.list_limits(actor),
        template="budgets/limits.html",
        context={"places": list(places)},
        extras=extras,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def new_limit(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a new limit in a workspace; a POST sets it."""
    actor = actor_of(request)
    workspace = accounts.get_workspace(actor, slug)
    access.require(actor, "policy.manage", workspace.id)
    workflows = designer.list_workflows(actor).filter(workspace_id=workspace.id)
    agents = registry.list_agents(actor).filter(workspace_id=workspace.id)
    form = presentation.new_form(
        workflows.order_by("slug").values_list("slug", flat=True),
        agents.order_by("slug").values_list("slug", flat=True),
    )
    shown = None
    if request.method == "POST":

        def carry_out(value: dict[str, Any]) -> None:
            services.set_limit(
                workspace_id=workspace.id,
                actor=actor,
                now=timezone.now(),
                **presentation.asked_for(value),
            )

        shown = forms.submit(request, form, carry_out)
        if shown is None:
            messages.success(request, "The limit is set; calls count from now on.")
            return redirect("budgets:limits")
    shown = shown or forms.show(form, {"threshold_percent": 80})
    context = {"workspace": workspace, "form": shown}
    return render(request, "budgets/new.html", context, status=shown.status)


@require_http_methods(["GET", "HEAD", "POST"])
def limit(request: HttpRequest, limit_id: UUID) -> HttpResponse:
    """One limit: how it stands, earlier periods, its ledger; a POST changes its terms."""
    actor, now = actor_of(request), timezone.now()
    row = selectors.get_limit(actor, limit_id)
    form, fields = None, presentation.change_form(row)
    if request.method == "POST":
        access.require(actor, "policy.manage", row)

        def carry_out(value: dict[str, Any]) -> None:
            services.change_limit(
                limit_id=row.id,
                terms=presentation.terms_of(value, Unit(row.unit), row.currency),
                reason=value["reason"],
                actor=actor,
                now=now,
            )

        form = forms.submit(request, fields, carry_out)
        if form is None:
            messages.success(request, "The limit is changed; it holds for the next call.")
            return redirect("budgets:limit", limit_id)
    form = form or forms.show(fields, presentation.value_of(row))
    context = {**_about(request, row), "form": form}
    return render(request, "budgets/limit.html", context, status=form.status)


@require_POST
def end(request: HttpRequest, limit_id: UUID) -> HttpResponse:
    """End a limit."""
    services.end_limit(
        limit_id=limit_id,
        reason=request.POST.get("reason", ""),
        actor=actor_of(request),
        now=timezone.now(),
    )
    messages.success(request, "The limit has ended; nothing counts against it any more.")
    return redirect("budgets:limits")


def _about(request: HttpRequest, row: BudgetLimit) -> dict[str, Any]:
    """What the page of a limit shows beside its form."""
    actor, now = actor_of(request), timezone.now()
    administrators = access.people_with_role(Role.ADMINISTRATOR.value, row.workspace_id)

    def extras(entries: list[BudgetEntry]) -> dict[str, Any]:
        return {"words": {one.id: presentation.entry_words(one, row) for one in entries}}

    return {
        "limit": row,
        "is_places": row.unit == Unit.PLACES,
        "about": presentation.about(row),
        "scope": presentation.scope_words(row),
        "shown": presentation.shown(row, selectors.usage_of([row], now)[row.id]),
        "earlier": [presentation.shown(row, one) for one in selectors.earlier_periods(row, now)],
        "list": build_list(request, LEDGER, selectors.ledger_of(row), extras=extras),
        "can_manage": access.can(actor, "policy.manage", row) and row.ended_at is None,
        "administrators": sorted(accounts.names_of(administrators).values()),
    }
