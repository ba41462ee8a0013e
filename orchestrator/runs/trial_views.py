"""Pages and fragments on which somebody tries one step of a draft, or one agent."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from designer import selectors as designer
from orchestrator import access
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.definition import AgentStep
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import JsonObject, parse_json
from orchestrator.core.step_trials import Tried
from orchestrator.runs import forms, presentation, trials
from orchestrator.runs.trials import NotTriableError, Trial
from registry import selectors as registry

MAX_DOCUMENT = 2_000_000


@require_POST
def step_form(request: HttpRequest, slug: str) -> HttpResponse:
    """The form that asks for what a step takes, with a sample in it: a fragment."""
    actor = actor_of(request)
    workflow = designer.find_workflow(actor, slug)
    access.require(actor, "workflow.try", workflow)
    sent = parse_json(request.body, max_bytes=MAX_DOCUMENT)
    definition, step = _sent(sent)
    model = trials.step_document(definition, step)
    asked = trials.step_form(model, step, workflow.workspace_id, actor)
    context = {
        "workflow": workflow,
        "step": step,
        "name": model.steps[step].name,
        "is_call": isinstance(model.steps[step], AgentStep),
        "document": model.model_dump_json(),
        "form": forms.InputForm(contract=asked.contract, value=asked.sample),
    }
    return render(request, "runs/parts/try_form.html", context)


@require_POST
def step_result(request: HttpRequest, slug: str) -> HttpResponse:
    """What the step made of the values in the form: a fragment."""
    actor = actor_of(request)
    workflow = designer.find_workflow(actor, slug)
    access.require(actor, "workflow.try", workflow)
    definition = parse_json(request.POST.get("definition", ""), max_bytes=MAX_DOCUMENT)
    definition, step = _sent({"definition": definition, "step": request.POST.get("step", "")})
    model = trials.step_document(definition, step)
    asked = trials.step_form(model, step, workflow.workspace_id, actor)
    form = forms.InputForm(contract=asked.contract, value=None)
    form, given = forms.read_input(request, form, actor=actor, workspace_id=workflow.workspace_id)
    if given is None:
        trial = _not_sent(form)
    else:
        is_call = isinstance(model.steps[step], AgentStep)
        trial = trials.try_step(
            workflow_slug=slug,
            definition=model,
            step=step,
            input=given if is_call else None,
            values=None if is_call else given,
            actor=actor,
            now=timezone.now(),
        )
    return render(request, "runs/parts/tried.html", shown(trial))


@require_http_methods(["GET", "HEAD", "POST"])
def try_agent(request: HttpRequest, slug: str) -> HttpResponse:
    """The page on which an agent version is called with own values."""
    actor = actor_of(request)
    agent = registry.get_agent(actor, slug)
    access.require(actor, "agent.try", agent)
    version = registry.shown_version(agent, _number(request))
    context: dict[str, Any] = {"agent": agent, "version": version, "versions": agent.versions.all()}
    if version is None:
        return render(request, "runs/try_agent.html", context)
    asked = trials.agent_form(version, actor)
    form = forms.InputForm(
        contract=asked.contract, value=asked.sample, is_json=request.GET.get("as") == "json"
    )
    status = 200
    if request.method == "POST":
        form, given = forms.read_input(request, form, actor=actor, workspace_id=agent.workspace_id)
        status = 422 if given is None else 200
        if given is not None:
            try:
                trial = trials.try_agent(
                    slug=slug, version=version.number, input=given, actor=actor, now=timezone.now()
                )
            except NotTriableError as refused:
                context["refusal"], status = refused, refused.status
            else:
                context |= shown(trial)
    context |= {"form": form, "manifest": registry.registered_version(version.id).manifest}
    return render(request, "runs/try_agent.html", context, status=status)


def shown(trial: Trial) -> dict[str, Any]:
    """A trial as its template reads it."""
    tried = trial.tried
    return {
        "trial": trial,
        "tried": tried,
        "look": presentation.trial_look(tried.result),
        "output": None if tried.output is None else presentation.payload_of(tried.output),
    }


def _not_sent(form: forms.InputForm) -> Trial:
    reason = "The values do not fit what the step takes, so nothing was tried."
    return Trial(Tried("failed", reason=reason, violations=form.violations), 0, 0)


def _sent(sent: object) -> tuple[JsonObject, str]:
    """The document and the step's id that were sent."""
    if isinstance(sent, dict):
        definition, step = sent.get("definition"), sent.get("step")
        if isinstance(definition, dict) and isinstance(step, str):
            return definition, step
    raise InvalidInputError('Send a JSON object with "definition" and "step".')


def _number(request: HttpRequest) -> int | None:
    raw = request.GET.get("version", "")
    if not raw:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) < 10):
        raise InvalidInputError("A version is a whole number.")
    return int(raw)
