"""Pages about what runs do that somebody should look at: the list, and taking one off it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from orchestrator import access
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.errors import InvalidInputError
from orchestrator.runs import watch
from orchestrator.web.lists import Column, Empty, ListSpec, render_list

OBSERVATIONS: Final = ListSpec(
    key="observations",
    one="observation",
    many="observations",
    columns=(
        Column("What was seen"),
        Column("How often", "end"),
        Column("Workflow", "wide"),
        Column("Latest", "wide"),
        Column("Actions", "right", is_hidden_label=True),
    ),
    row_template="runs/observation_row.html",
    search_fields=("text",),
    search_label="Words of it",
    order=("-latest_at", "-id"),
    empty=Empty(
        "check",
        "Nothing is worth a look",
        "Runs that have ended are looked over: for loops that do not get on, ping-pong, storms of "
        "messages or tries, growing costs, and ways that no run went before.",
    ),
    table_classes="table--cards",
)


@require_safe
def observations(request: HttpRequest) -> HttpResponse:
    """What is open in the actor's workspaces."""
    actor = actor_of(request)
    access.require(actor, "run.read")
    return render_list(
        request,
        OBSERVATIONS,
        watch.list_observations(actor),
        template="runs/observations.html",
        context={"may_dismiss": access.can(actor, "run.override")},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def dismiss(request: HttpRequest, observation_id: UUID) -> HttpResponse:
    """The question whether an observation may go, and its answer."""
    actor = actor_of(request)
    row = watch.get_observation(actor, observation_id)
    access.require(actor, "run.override", row)
    error: InvalidInputError | None = None
    if request.method == "POST":
        reason = request.POST.get("reason", "")
        try:
            watch.dismiss_observation(
                observation_id=row.id, reason=reason, actor=actor, now=timezone.now()
            )
        except InvalidInputError as refused:
            error = refused
        else:
            messages.success(request, "It is off the list; should it be seen again, it returns.")
            return redirect("runs:observations")
    context = {"row": row, "error": error}
    return render(request, "runs/dismiss_observation.html", context, status=422 if error else 200)
