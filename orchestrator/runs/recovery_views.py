"""Pages on which an operator mends things: a step's result given in its agent's place, breakers."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.errors import ConflictError, DomainError, InvalidInputError
from orchestrator.core.json import JsonObject
from orchestrator.runs import forms, presentation, selectors, services
from orchestrator.runs.models import Run
from orchestrator.runs.recording import types_of
from orchestrator.runs.views import ANYTHING, is_about_reason, override_address
from registry import selectors as registry


@require_http_methods(["GET", "HEAD", "POST"])
def override(request: HttpRequest, run_id: UUID, step: str) -> HttpResponse:
    """The form of a step's result, from its agent's output contract; a POST gives it."""
    actor = actor_of(request)
    run = selectors.get_run(actor, run_id)
    access.require(actor, "run.override", run)
    compiled = selectors.compiled_run(run, types_of(selectors.binding_of(run)))
    if step not in compiled.steps:
        raise Http404
    snapshot = selectors.run_snapshot(run_id, actor)
    state = cast("dict[str, JsonObject]", snapshot["steps"])[step]
    form = forms.InputForm(
        contract=compiled.steps[step].output_contract or ANYTHING,
        value=state.get("output") or {},
        is_json=request.GET.get("as") == "json",
    )
    error: DomainError | None = None
    if request.method == "POST":
        form, error = _give(request, actor, run, step=step, form=form)
        if error is None:
            name = compiled.definition.steps[step].name
            messages.success(request, f"The run goes on with your result of “{name}”.")
            return redirect(f"{reverse('runs:detail', args=[run.id])}?step={step}")
    context = {
        "run": run,
        "step": step,
        "panel": presentation.panel_of(snapshot, compiled, step, timezone.now()),
        "form": form,
        "is_possible": bool(override_address(run, snapshot, step)),
        "error": error,
        "lacks_reason": error is not None and is_about_reason(error),
        "reason": request.POST.get("reason", ""),
    }
    return render(request, "runs/override.html", context, status=error.status if error else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def breaker(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Ask before an agent version is called again that is left alone; a POST resets its breaker."""
    actor = actor_of(request)
    agent = registry.get_agent(actor, slug)
    access.require(actor, "agent.suspend", agent)
    version = registry.get_agent_version(slug, number)
    error: DomainError | None = None
    if request.method == "POST":
        try:
            services.reset_breaker(
                slug=slug,
                number=number,
                reason=request.POST.get("reason", ""),
                actor=actor,
                now=timezone.now(),
            )
        except InvalidInputError as refused:
            error = refused
        else:
            messages.success(request, f"{agent.name} v{number} is called again.")
            return redirect("registry:agent", slug)
    context = {
        "agent": agent,
        "version": version,
        "found": selectors.breakers_of([version.id]).get(version.id),
        "error": error,
    }
    return render(request, "runs/breaker.html", context, status=error.status if error else 200)


def _give(
    request: HttpRequest, actor: Actor, run: Run, *, step: str, form: forms.InputForm
) -> tuple[forms.InputForm, DomainError | None]:
    """Read the form and give the result: the form with its errors, and the refusal if any."""
    form, output = forms.read_input(request, form, actor=actor, workspace_id=run.workspace_id)
    if output is None:
        return form, InvalidInputError("The result does not fit; each field says why.")
    try:
        services.override_result(
            run_id=run.id,
            step=step,
            output=output,
            reason=request.POST.get("reason", ""),
            actor=actor,
            now=timezone.now(),
        )
    except InvalidInputError as refused:
        return (form if is_about_reason(refused) else form.with_error(refused)), refused
    except ConflictError as refused:
        return form, refused
    return form, None
