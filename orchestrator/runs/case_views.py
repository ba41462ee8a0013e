"""The page that says which running cases could go on with a version of their workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from designer import selectors as designer
from designer.frames import frame_of
from orchestrator import access
from orchestrator.accounts.authentication import actor_of
from orchestrator.runs import cases
from orchestrator.runs.cases import Outlook, Verdict, VersionNotReadyError
from orchestrator.runs.models import Run
from orchestrator.runs.views import shown_rows
from orchestrator.web.lists import Column, Empty, Filter, ListSpec, Option, render_list

WORDS: Final[Mapping[Verdict, tuple[str, str]]] = {
    Verdict.COULD: ("Could go on", "fits"),
    Verdict.COULD_NOT: ("Could not", "does_not_fit"),
    Verdict.ENDED: ("Has ended meanwhile", "cancelled"),
}
"""Each verdict in words, and the state whose shape and colour it has."""
CASES: Final = ListSpec(
    key="cases",
    one="case",
    many="cases",
    columns=(
        Column("Case"),
        Column("Could it go on?", "end"),
        Column("Why not", "wide"),
        Column("Steps, and where it is", "wide"),
        Column("Started", "only-wide"),
    ),
    row_template="runs/case_row.html",
    search_fields=("title",),
    search_label="Name of the run",
    empty=Empty(
        "run",
        "No case runs with another version",
        "Unfinished runs of other versions show here, each with what speaks against going on with "
        "this one.",
    ),
    page_size=25,
    is_card=True,
)


@require_safe
def running_cases(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The unfinished runs of other versions, each checked against this one."""
    actor, now = actor_of(request), timezone.now()
    workflow = designer.find_workflow(actor, slug)
    access.require(actor, "run.read", workflow)
    version = designer.shown_version(workflow, number)
    context: dict[str, Any] = {
        **frame_of(actor, workflow, version, "versions"),
        "limit": cases.CHECKED,
    }
    try:
        outlook = cases.outlook(actor, workflow, version, now=now)
    except VersionNotReadyError as error:
        return render(request, "runs/cases.html", {**context, "not_ready": error})
    context |= {
        "outlook": outlook,
        "counts": [
            (f"{number} {WORDS[verdict][0].lower()}", WORDS[verdict][1])
            for verdict, number in outlook.counts.items()
            if number
        ],
    }

    def extras(page: list[Run]) -> Mapping[str, Any]:
        found = dict(outlook.found)
        if others := [run for run in page if run.id not in found]:
            found |= cases.check_cases(others, outlook.new, now=now)
        checked = {run.id: (*WORDS[found[run.id].verdict], found[run.id].obstacles) for run in page}
        return {"runs": shown_rows(actor, page), "checked": checked}

    return render_list(
        request,
        replace(CASES, filters=(_filter(outlook),)),
        cases.unfinished_cases(actor, workflow, version),
        template="runs/cases.html",
        context=context,
        extras=extras,
    )


def _filter(outlook: Outlook) -> Filter:
    """Cases by verdict, of those that were checked."""
    options = tuple(
        Option(verdict.value, *WORDS[verdict], condition=Q(id__in=outlook.having(verdict)))
        for verdict in (Verdict.COULD, Verdict.COULD_NOT)
    )
    return Filter("verdict", "Could it go on?", options)
