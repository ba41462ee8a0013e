"""Review pages: the queue with one item open, and what a person does with it; no script needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from approvals import presentation, selectors, services, sign_offs, subjects
from approvals.answers import Posted, answer_of
from approvals.closure import RISKS
from approvals.pages import Shown, Trouble, page_context, queue_context
from approvals.selectors import Segment
from orchestrator import access
from orchestrator.accounts import selectors as accounts
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.errors import ConflictError, DomainError, InvalidInputError
from orchestrator.web import forms
from orchestrator.web.middleware import request_id_of
from orchestrator.web.problems import PROBLEM_TYPE, problem


def _read_again(
    view: Callable[[HttpRequest, UUID], HttpResponse],
) -> Callable[[HttpRequest, UUID], HttpResponse]:
    """Lead a GET to the item: who had to sign in again comes back to the address of his POST."""

    @wraps(view)
    def wrapped(request: HttpRequest, task_id: UUID) -> HttpResponse:
        if request.method != "POST":
            return redirect("approvals:review", task_id)
        return view(request, task_id)

    return wrapped


@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """The queue alone, for when it changed."""
    current = request.GET.get("current", "")
    context = queue_context(actor_of(request), _shown(request.GET), timezone.now())
    task = next((one for one in context["entries"] if str(one.id) == current), None)
    return render(
        request, "approvals/parts/queue.html", {**context, "task": task.task if task else None}
    )


@require_safe
def list_reviews(request: HttpRequest) -> HttpResponse:
    context = page_context(
        actor_of(request), None, _shown(request.GET), timezone.now(), trouble=None
    )
    return render(request, "approvals/review.html", {**context, "is_list": True})


@require_safe
def review(request: HttpRequest, task_id: UUID) -> HttpResponse:
    context = page_context(
        actor_of(request), task_id, _shown(request.GET), timezone.now(), trouble=None
    )
    return render(request, "approvals/review.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@_read_again
def decide(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """Record a decision; a script gets JSON, a browser the next item."""
    actor, now = actor_of(request), timezone.now()
    shown = _shown(request.POST)
    task = selectors.get_review(actor, task_id)
    posted = Posted(request.POST, request.FILES, actor, task.workspace_id, now)
    try:
        answer = answer_of(selectors.evidence_of(task), posted)
        decision = services.decide_review(
            task_id=task_id,
            actor=actor,
            outcome=answer.outcome,
            choice=answer.choice,
            output=answer.output,
            reason=answer.reason,
            reason_code=answer.reason_code,
            shown_sha256=request.POST.get("shown_sha256", ""),
            now=now,
        )
    except (InvalidInputError, ConflictError) as error:
        return _refused(request, task_id, error, posted)
    if _wants_json(request):
        return JsonResponse(
            {
                "decision": str(decision.id),
                "effective_at": decision.effective_at.isoformat(),
                "undo": reverse("approvals:undo", args=[decision.id]),
            }
        )
    return redirect(_next_address(request, task_id, shown))


@require_http_methods(["GET", "HEAD", "POST"])
def undo(request: HttpRequest, decision_id: UUID) -> HttpResponse:
    if request.method != "POST":
        return redirect("approvals:list")
    decision = services.undo_decision(
        decision_id=decision_id, actor=actor_of(request), now=timezone.now()
    )
    address = reverse("approvals:review", args=[decision.task_id])
    if _wants_json(request):
        return JsonResponse({"review": address})
    messages.success(request, "Undone. The review is yours to decide again.")
    return redirect(address)


@require_http_methods(["GET", "HEAD", "POST"])
@_read_again
def hand_over(request: HttpRequest, task_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    to = _person(request.POST.get("to", ""))
    task = services.hand_over_review(
        task_id=task_id,
        actor=actor,
        to_user_id=to,
        reason=request.POST.get("reason", "").strip(),
        now=timezone.now(),
    )
    if to is not None and str(to) == actor.id:
        return redirect("approvals:review", task_id)
    to_whom = str(task.assigned_to) if task.assigned_to else "everybody with this role"
    messages.success(request, f"Handed over to {to_whom}.")
    return redirect(_next_address(request, task_id, _shown(request.POST)))


@require_http_methods(["GET", "HEAD", "POST"])
@_read_again
def claim(request: HttpRequest, task_id: UUID) -> HttpResponse:
    services.claim_review(task_id=task_id, actor=actor_of(request), now=timezone.now())
    return redirect("approvals:review", task_id)


@require_http_methods(["GET", "HEAD", "POST"])
@_read_again
def release(request: HttpRequest, task_id: UUID) -> HttpResponse:
    services.release_review(task_id=task_id, actor=actor_of(request), now=timezone.now())
    messages.success(request, "Given back; others may take it.")
    return redirect("approvals:review", task_id)


@require_safe
def policies(request: HttpRequest) -> HttpResponse:
    """How many people sign, in each of the actor's workspaces."""
    actor = actor_of(request)
    shown = [
        {"workspace": one, "policy": found, "lines": presentation.policy_lines(found),
         "can_manage": access.can(actor, "policy.manage", one.id)}
        for one in accounts.list_workspaces(actor).order_by("name")
        for found in [selectors.policy_of(one.id)]
    ]  # fmt: skip
    return render(request, "approvals/policies.html", {"policies": shown})


@require_http_methods(["GET", "HEAD", "POST"])
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    """The sign-off policy of one workspace, with its history; a POST changes it."""
    actor = actor_of(request)
    workspace = accounts.get_workspace(actor, slug)
    shown = None
    if request.method == "POST":
        access.require(actor, "policy.manage", workspace.id)

        def carry_out(value: dict[str, Any]) -> None:
            sign_offs.set_sign_off_policy(
                workspace_id=workspace.id,
                needed={risk: value[risk] for risk in RISKS},
                person_before=value["person_before"],
                reason=value["reason"],
                actor=actor,
                now=timezone.now(),
            )

        shown = forms.submit(request, presentation.POLICY_FORM, carry_out)
        if shown is None:
            messages.success(request, "The policy is changed; what it voids is asked for again.")
            return redirect("approvals:policies")
    found = selectors.policy_of(workspace.id)
    shown = shown or forms.show(
        presentation.POLICY_FORM,
        {**{risk: found.needed[risk] for risk in RISKS}, "person_before": found.person_before},
    )
    context = {
        "workspace": workspace,
        "policy": found,
        "lines": presentation.policy_lines(found),
        "versions": selectors.policies_of(workspace.id),
        "standing": selectors.count_standing(workspace.id),
        "can_manage": access.can(actor, "policy.manage", workspace.id),
        "form": shown,
    }
    return render(request, "approvals/policy.html", context, status=shown.status)


def _refused(
    request: HttpRequest, task_id: UUID, error: DomainError, posted: Posted
) -> HttpResponse:
    """The same item again with what was typed, and why it could not be recorded."""
    if _wants_json(request):
        return JsonResponse(
            problem(error, request_id_of(request)), status=error.status, content_type=PROBLEM_TYPE
        )
    context = page_context(
        actor_of(request),
        task_id,
        _shown(request.POST),
        timezone.now(),
        trouble=Trouble(error, posted),
    )
    status = error.status if error.status >= HTTPStatus.BAD_REQUEST else HTTPStatus.BAD_REQUEST
    return render(request, "approvals/review.html", context, status=status)


def _next_address(request: HttpRequest, task_id: UUID, shown: Shown) -> str:
    """The item that stood after this one, else the list."""
    if shown.segment is Segment.DECIDED:
        shown = Shown(Segment.MINE, shown.kind)
    wanted = _uuid(request.POST.get("next", ""))
    entries = queue_context(actor_of(request), shown, timezone.now())["entries"]
    ids = [entry.id for entry in entries if not entry.locked and entry.id != task_id]
    if not ids:
        return f"{reverse('approvals:list')}{shown.query}"
    chosen = wanted if wanted in ids else ids[0]
    return f"{reverse('approvals:review', args=[chosen])}{shown.query}"


def _shown(values: QueryDict) -> Shown:
    kind = values.get("kind", "")
    try:
        segment = Segment(values.get("segment", ""))
    except ValueError:
        segment = Segment.MINE
    return Shown(segment, kind if kind in subjects.kinds() else "")


def _person(text: str) -> UUID | None:
    if not text:
        return None
    found = _uuid(text)
    if found is None:
        raise InvalidInputError("Choose a person from the list.")
    return found


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept") == "application/json"
