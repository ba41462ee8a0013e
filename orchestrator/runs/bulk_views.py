"""Pages on which operators choose several runs, ask something of them, and see what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.errors import DomainError, InvalidInputError
from orchestrator.runs import bulk, selectors
from orchestrator.runs.bulk import BulkKind
from orchestrator.runs.models import Run
from orchestrator.runs.views import MODE, RUNS, shown_rows, workflow_filter
from orchestrator.web.lists import Column, build_list


@dataclass(frozen=True, slots=True)
class BulkWords:
    """An act in words."""

    verb: str
    effect: str
    done: str
    is_danger: bool = False


WORDS: Final[Mapping[BulkKind, BulkWords]] = {
    BulkKind.PAUSE: BulkWords("Pause", "nothing new begins in them", "paused"),
    BulkKind.CONTINUE: BulkWords("Continue", "they go on where they were paused", "going on"),
    BulkKind.RESUME: BulkWords(
        "Resume", "they try again the step at which they failed, with the same input", "resumed"
    ),
    BulkKind.CANCEL: BulkWords(
        "Cancel", "they end for good; what was done stays done", "being cancelled", is_danger=True
    ),
}
SELECTION: Final = replace(
    RUNS,
    columns=(
        Column("Run"),
        Column("Status", "end"),
        Column("What is going on", "wide"),
        Column("When", "only-wide"),
    ),
    row_template="runs/select_row.html",
    page_size=bulk.MAX_RUNS,
    live_topic="",
)


@require_http_methods(["GET", "HEAD", "POST"])
def select(request: HttpRequest) -> HttpResponse:
    """The runs that match the filters, each with a box; a POST asks something of the chosen."""
    actor = actor_of(request)
    access.require(actor, "run.cancel")
    refusal = None
    if request.method == "POST":
        try:
            row = _carry_out(request, actor)
        except InvalidInputError as error:
            refusal = error
        else:
            return redirect("runs:bulk", row.id)
    return _selection(request, actor, refusal)


@require_safe
def result(request: HttpRequest, act_id: UUID) -> HttpResponse:
    """What came of an act, what was not done first."""
    row = bulk.get_bulk_act(actor_of(request), act_id)
    refused = [one for one in row.results if not one["is_done"]]
    done = [one for one in row.results if one["is_done"]]
    context = {
        "row": row,
        "words": WORDS[BulkKind(row.act)],
        "refused": refused,
        "done": done,
        "unasked": bulk.unasked(row),
    }
    return render(request, "runs/bulk.html", context)


def _carry_out(request: HttpRequest, actor: Actor) -> Any:
    given = request.POST
    if given.get("act") not in set(BulkKind):
        raise InvalidInputError("Choose what is to be done with them.")
    return bulk.act_on_runs(
        act=BulkKind(given["act"]),
        run_ids=_read_ids(given.getlist("run")),
        reason=given.get("reason", ""),
        actor=actor,
        now=timezone.now(),
    )


def _read_ids(given: list[str]) -> list[UUID]:
    try:
        return [UUID(one) for one in given]
    except ValueError:
        raise InvalidInputError("One of the runs is named by no id. Choose them again.") from None


def _selection(request: HttpRequest, actor: Actor, refusal: DomainError | None) -> HttpResponse:
    spec = replace(SELECTION, filters=(*RUNS.filters, *workflow_filter(actor), MODE))
    mode = "test" if request.GET.get("mode") == "test" else "live"
    chosen = set(request.POST.getlist("run"))
    is_all = request.GET.get("all") == "yes"
    kinds = bulk.allowed_kinds(actor)
    rows: QuerySet[Run] = selectors.list_runs(actor, mode=mode).filter(
        workspace_id__in=access.workspaces_where(actor, "run.cancel")
    )

    def extras(page: list[Run]) -> Mapping[str, Any]:
        return {
            "runs": shown_rows(actor, page),
            "checked": {one.id: is_all or str(one.id) in chosen for one in page},
            "toolbar": "runs/parts/select_toolbar.html",
            "is_all": is_all,
            "all_url": _with_all(request, is_all=True),
            "none_url": _with_all(request, is_all=False),
        }

    context = {
        "list": build_list(request, spec, rows, extras=extras),
        "acts": [(one, WORDS[one]) for one in WORDS if one in kinds],
        "act": request.POST.get("act", ""),
        "reason": request.POST.get("reason", ""),
        "error": refusal,
        "most": bulk.MAX_RUNS,
    }
    status = refusal.status if refusal else 200
    return render(request, "runs/select.html", context, status=status)


def _with_all(request: HttpRequest, *, is_all: bool) -> str:
    query = request.GET.copy()
    query.pop("all", None)
    if is_all:
        query["all"] = "yes"
    return f"?{query.urlencode()}"
