"""Home, health and figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_not_required, login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from approvals import selectors as reviews
from budgets.panels import pressing_notices
from orchestrator import access
from orchestrator.accounts.authentication import actor_of
from orchestrator.console import demo, health
from orchestrator.runs import selectors as runs
from orchestrator.runs.watch import list_observations

if TYPE_CHECKING:
    from django.http import HttpRequest

ROWS = 5


@dataclass(frozen=True, slots=True)
class FirstStep:
    """What a person of a role comes to Baton for, and where that is."""

    title: str
    url: str


FIRST_STEPS = (
    ("workflow.edit", FirstStep("Workflows", "/workflows/")),
    ("agent.edit", FirstStep("Agents", "/agents/")),
    ("run.cancel", FirstStep("Runs that need attention", "/runs/?status=attention")),
    ("audit.read", FirstStep("Search the audit log", "/audit/")),
    ("people.manage", FirstStep("People and roles", "/settings/people/")),
    ("review.decide", FirstStep("Reviews", "/reviews/")),
)


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What waits for this person, what fails, and examples to run."""
    actor = actor_of(request)
    mine = list(reviews.list_reviews(actor)[:ROWS]) if access.can(actor, "review.read") else []
    reads_runs = access.can(actor, "run.read")
    failing = runs.list_runs(actor, attention=True)[:ROWS] if reads_runs else []
    latest = runs.list_runs(actor)[:ROWS] if reads_runs else []
    return render(
        request,
        "console/home.html",
        {
            "reviews": mine,
            "failing": failing,
            "latest": latest,
            "limits": pressing_notices(actor, timezone.now()),
            "observations": list_observations(actor)[:ROWS] if reads_runs else [],
            "examples": demo.examples_for(actor),
            "may_start": access.can(actor, "run.start"),
            "first_steps": [step for action, step in FIRST_STEPS if access.can(actor, action)],
        },
    )


@login_not_required
@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Process and database are up."""
    is_up = health.database_is_up()
    return JsonResponse({"database": is_up}, status=200 if is_up else 503)


@login_not_required
@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Workers answer and the demo data is complete."""
    parts = health.readiness(timezone.now())
    return JsonResponse(parts, status=200 if all(parts.values()) else 503)


@login_not_required
@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus figures, for scrapers on this machine only."""
    if request.META.get("REMOTE_ADDR") not in {"127.0.0.1", "::1"}:
        return HttpResponse("Figures are for scrapers on this machine.\n", status=403)
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)
