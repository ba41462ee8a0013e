"""The page that says what the engine itself takes per step."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from designer import selectors as designer
from orchestrator import access
from orchestrator.accounts.authentication import actor_of
from orchestrator.runs import engine_time
from orchestrator.runs.engine_time import PERIODS


@require_safe
def engine(request: HttpRequest) -> HttpResponse:
    """Engine time per step, of all workflows or of one, for a period."""
    actor = actor_of(request)
    access.require(actor, "run.read")
    asked, slug = request.GET.get("days", ""), request.GET.get("workflow", "")
    days = next((one for one in PERIODS if str(one) == asked), PERIODS[0])
    workflow = designer.find_workflow(actor, slug) if slug else None
    context = {
        "times": engine_time.engine_times(
            actor,
            days=days,
            now=timezone.now(),
            workflow_id=workflow.id if workflow is not None else None,
        ),
        "workflow": workflow,
        "days": days,
        "periods": PERIODS,
        "sampled": engine_time.SAMPLED,
    }
    return render(request, "runs/engine.html", context)
