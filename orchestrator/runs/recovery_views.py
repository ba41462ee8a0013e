"""Pages on which an operator mends things: a failed run goes on, a result is given, a breaker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from orchestrator import access
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.compilation import CompiledWorkflow
from orchestrator.core.contracts import Validator
from orchestrator.core.errors import ConflictError, DomainError, InvalidInputError
from orchestrator.core.json import JsonObject
from orchestrator.runs import forms, presentation, selectors, services
from orchestrator.runs.models import Run
from orchestrator.runs.recording import types_of
from orchestrator.runs.saved import saved_by
from orchestrator.runs.views import override_address, resume_offer
from registry import selectors as registry

ANYTHING: Final = Validator({"type": "object"})
"""The contract of a step that has none."""


@require_http_methods(["GET", "HEAD", "POST"])
def resume(request: HttpRequest, run_id: UUID, step: str) -> HttpResponse:
    """The form in which a failed run goes on at a step, with the same input or another one."""
    actor = actor_of(request)
    run = selectors.get_run(actor, run_id)
    access.require(actor, "run.resume", run)
    compiled = _compiled_with(run, step)
    snapshot = selectors.run_snapshot(run_id, actor)
    present = _shown(snapshot, step, "input")
    form = forms.InputForm(
        contract=compiled.steps[step].contract or ANYTHING,
        value=present,
        is_json=request.GET.get("as") == "json",
    )

    def serve(given: JsonObject | None, **how: Any) -> None:
        edited = None if given == present else given
        services.resume_run(run_id=run.id, step=step, input=edited, **how)

    error: DomainError | None = None
    if request.method == "POST":
        form, error = _ask(request, run, form, serve, is_kept=request.POST.get("with") == "same")
        if error is None:
            name = compiled.definition.steps[step].name
            messages.success(request, f"The run goes on at “{name}”.")
            return redirect(f"{reverse('runs:detail', args=[run.id])}?step={step}")
    context = {
        "run": run,
        "snapshot": snapshot,
        "step": step,
        "panel": presentation.panel_of(
            snapshot,
            compiled,
            step,
            timezone.now(),
            names=registry.agent_names(compiled.definition),
        ),
        "form": form,
        "offer": resume_offer(actor, run, snapshot, step),
        "error": error,
        "lacks_reason": _is_about_reason(error),
        "reason": request.POST.get("reason", ""),
        "kept": saved_by(snapshot, compiled, step),
    }
    return render(request, "runs/resume.html", context, status=error.status if error else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def override(request: HttpRequest, run_id: UUID, step: str) -> HttpResponse:
    """The form of a step's result, from its agent's output contract; a POST gives it."""
    actor = actor_of(request)
    run = selectors.get_run(actor, run_id)
    access.require(actor, "run.override", run)
    compiled = _compiled_with(run, step)
    snapshot = selectors.run_snapshot(run_id, actor)
    form = forms.InputForm(
        contract=compiled.steps[step].output_contract or ANYTHING,
        value=_shown(snapshot, step, "output"),
        is_json=request.GET.get("as") == "json",
    )

    def serve(output: JsonObject, **how: Any) -> None:
        services.override_result(run_id=run.id, step=step, output=output, **how)

    error: DomainError | None = None
    if request.method == "POST":
        form, error = _ask(request, run, form, serve)
        if error is None:
            name = compiled.definition.steps[step].name
            messages.success(request, f"The run goes on with your result of “{name}”.")
            return redirect(f"{reverse('runs:detail', args=[run.id])}?step={step}")
    context = {
        "run": run,
        "step": step,
        "panel": presentation.panel_of(
            snapshot,
            compiled,
            step,
            timezone.now(),
            names=registry.agent_names(compiled.definition),
        ),
        "form": form,
        "is_possible": bool(override_address(run, snapshot, step)),
        "error": error,
        "lacks_reason": _is_about_reason(error),
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


def _compiled_with(run: Run, step: str) -> CompiledWorkflow:
    """What the run walks, with its types; it has such a step."""
    compiled = selectors.compiled_run(run, types_of(selectors.binding_of(run)))
    if step not in compiled.steps:
        raise Http404
    return compiled


def _shown(snapshot: JsonObject, step: str, name: str) -> JsonObject:
    """The input or output of a step, as far as there is one."""
    steps = cast("Mapping[str, Mapping[str, Any]]", snapshot["steps"])
    found: JsonObject = steps[step].get(name) or {}
    return found


def _ask(
    request: HttpRequest,
    run: Run,
    form: forms.InputForm,
    serve: Callable[..., None],
    *,
    is_kept: bool = False,
) -> tuple[forms.InputForm, DomainError | None]:
    """Read the form and ask for it: the form with its errors, and the refusal if there was one.

    `serve` is given the payload and who asks why and when; None as payload with `is_kept`.
    """
    actor = actor_of(request)
    payload: JsonObject | None = None
    if not is_kept:
        form, payload = forms.read_input(request, form, actor=actor, workspace_id=run.workspace_id)
        if payload is None:
            return form, InvalidInputError("It does not fit; each field says why.")
    try:
        serve(payload, reason=request.POST.get("reason", ""), actor=actor, now=timezone.now())
    except InvalidInputError as refused:
        return (form if _is_about_reason(refused) else form.with_error(refused)), refused
    except ConflictError as refused:
        return form, refused
    return form, None


def _is_about_reason(error: DomainError | None) -> bool:
    """Whether a refusal is about the missing reason, and not about the payload."""
    violations = error.detail.get("violations") if error is not None else None
    return isinstance(violations, list) and any(one["path"] == "/reason" for one in violations)
