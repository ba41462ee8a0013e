"""The audit page: what is verified, the list with reasons, one entry, export."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from audit import exports, presentation, selectors, verify
from audit.actions import GROUPS, title_of
from audit.checker import check_log
from audit.exports import Format
from audit.models import AuditOutbox
from audit.responses import export_response
from audit.selectors import EntryFilter
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.errors import InvalidInputError, NotFoundError
from orchestrator.web.paging import page_of
from orchestrator.web.views import person_of

PAGE_SIZE: Final = 50
COUNT_LIMIT: Final = 100_000
LIST_ID: Final = "list-audit"
ROW_FILTERS: Final[Mapping[str, str]] = {
    "action": "What",
    "actor": "Who",
    "run": "Run",
    "subject_id": "On",
    "workspace": "Workspace",
}


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter as a link."""

    label: str
    url: str
    is_current: bool
    count: str = ""


def index(request: HttpRequest) -> HttpResponse:
    """Show the log; `entry` is the selected one, the first of the page without it."""
    actor = person_of(request)
    access.require(actor, "audit.read")
    wanted = selectors.read_filter(_given(request))
    rows = selectors.entries_where(wanted)
    cursor = request.GET.get("cursor", "")
    page = page_of(rows, order=selectors.ORDER, cursor=cursor, size=PAGE_SIZE)
    selected = _selected(request, page.rows)
    context = {
        "list_id": LIST_ID,
        "lines": selectors.lines_of(page.rows),
        "today": timezone.localdate(),
        "next_url": _url(wanted, cursor=page.next) if page.next else "",
        "previous_url": _url(wanted, cursor=page.previous) if page.previous else "",
        "is_first": not cursor,
        "is_filtered": not wanted.is_empty,
        "here": _url(wanted, cursor=cursor) + ("&" if cursor or not wanted.is_empty else "?"),
        "wanted": wanted,
        "scroll_key": zlib.crc32(_url(wanted, cursor=cursor).encode()),
        "kept": [(name, value) for name, value in wanted.query().items() if name != "q"],
        "all_kept": list(wanted.query().items()),
        "periods": _periods(wanted),
        "groups": _groups(wanted),
        "row_filters": _row_filters(wanted),
        "log": selectors.log_state(),
        "detail": presentation.detail_of(selected, actor) if selected else None,
        "selected_id": selected.id if selected else None,
        "may_export": access.can(actor, "audit.export"),
        "may_search": True,
        "count": _entries_in_words(wanted),
    }
    return render(request, _template(request), context)


@require_GET
def entry(request: HttpRequest, entry_id: UUID) -> HttpResponse:
    """Show one entry by itself, to those who may search the log or read runs where it belongs."""
    actor = person_of(request)
    row = selectors.get_row(entry_id)
    if not may_read(actor, row):
        raise NotFoundError("There is no such entry, or it is not yours to see.")
    context = {
        "detail": presentation.detail_of(row, actor),
        "may_search": access.can(actor, "audit.read"),
    }
    return render(request, "audit/entry.html", context)


@require_POST
def verify_now(request: HttpRequest) -> HttpResponse:
    """Recompute the whole log and go back."""
    access.require(person_of(request), "audit.read")
    found = check_log(timezone.now())
    if found is None:
        messages.warning(request, "Nothing is signed yet. The first tree head follows shortly.")
    elif found.ok:
        messages.success(request, f"All {found.checked:,} entries verified.")
    else:
        messages.error(request, f"The log was changed: {found.finding}.")
    return HttpResponseRedirect("/audit/")


@require_POST
def export(request: HttpRequest) -> StreamingHttpResponse:
    """Stream an export of the filtered list as a download."""
    access.require(person_of(request), "audit.export")
    asked = exports.request_export(
        actor=person_of(request),
        wanted=selectors.read_filter(
            {name: request.POST.get(name, "") for name in selectors.FILTERS}
        ),
        file_format=read_format(request.POST.get("format", "jsonl")),
        reason=_reason(request),
        clock=timezone.now,
    )
    return export_response(request, asked)


@require_GET
def verifier(request: HttpRequest) -> FileResponse:
    """Give the stand-alone verifier."""
    access.require(person_of(request), "audit.read")
    return FileResponse(
        Path(verify.__file__).open("rb"),
        as_attachment=True,
        filename="verify.py",
        content_type="text/x-python; charset=utf-8",
    )


def may_read(actor: Actor, row: AuditOutbox) -> bool:
    """Tell whether the actor may see this entry."""
    if access.can(actor, "audit.read"):
        return True
    return row.workspace_id is not None and access.can(actor, "run.read", row.workspace_id)


def read_format(text: str) -> Format:
    """Return the export format.

    Raises:
        InvalidInputError: there is no such format.
    """
    match text:
        case "jsonl" | "csv":
            return text
        case _:
            raise InvalidInputError("The format is jsonl or csv.")


def _given(request: HttpRequest) -> dict[str, str]:
    return {name: request.GET.get(name, "") for name in selectors.FILTERS}


def _reason(request: HttpRequest) -> str:
    reason = request.POST.get("reason", "").strip()
    if len(reason) > 500 or "\x00" in reason:
        raise InvalidInputError("The reason is at most 500 characters of text.")
    return reason


def _template(request: HttpRequest) -> str:
    target = request.headers.get("HX-Target", "").rpartition("#")[2]
    if target == LIST_ID:
        return "audit/parts/list.html"
    return "audit/parts/view.html" if target == "content" else "audit/index.html"


def _selected(request: HttpRequest, rows: list[AuditOutbox]) -> AuditOutbox | None:
    asked, place = request.GET.get("entry", ""), request.GET.get("place", "")
    if place.isascii() and place.isdigit() and len(place) < 16:
        return selectors.get_row(int(place))
    try:
        return selectors.get_row(UUID(asked)) if asked else next(iter(rows), None)
    except ValueError:
        raise NotFoundError("There is no such entry.") from None


def _url(wanted: EntryFilter, *, cursor: str = "", **changes: str) -> str:
    query = {**wanted.query(), **changes}
    if cursor:
        query["cursor"] = cursor
    shown = {name: value for name, value in query.items() if value}
    return f"/audit/?{urlencode(shown)}" if shown else "/audit/"


def _periods(wanted: EntryFilter) -> list[Chip]:
    today = timezone.localdate()
    first = today.replace(day=1)
    month_end = first - timedelta(days=1)
    periods: list[tuple[str, date | None, date | None]] = [
        ("Today", today, today),
        ("Last 7 days", today - timedelta(days=6), today),
        ("Last month", month_end.replace(day=1), month_end),
        ("All time", None, None),
    ]
    chips = []
    for label, start, stop in periods:
        days = {"from": str(start or ""), "to": str(stop or "")}
        bounds = selectors.read_filter(days)
        is_current = (bounds.at_from, bounds.at_to) == (wanted.at_from, wanted.at_to)
        count = _count(bounds) if label == "Today" else ""
        chips.append(Chip(label, _url(wanted, **days), is_current, count))
    return chips


def _groups(wanted: EntryFilter) -> list[Chip]:
    return [
        Chip(
            group.title,
            _url(wanted, group="" if wanted.group == key else key),
            wanted.group == key,
        )
        for key, group in GROUPS.items()
    ]


def _row_filters(wanted: EntryFilter) -> list[Chip]:
    """Return the filters that no chip offers, each as a link that takes it off."""
    chips = []
    for name, title in ROW_FILTERS.items():
        value = getattr(wanted, name)
        if value:
            changes = {name: "", **({"subject_kind": ""} if name == "subject_id" else {})}
            chips.append(Chip(f"{title}: {_name_of(name, wanted)}", _url(wanted, **changes), True))
    return chips


def _name_of(name: str, wanted: EntryFilter) -> str:
    value = str(getattr(wanted, name))
    if name == "action":
        return title_of(value)
    kinds = {"actor": "user", "run": "run", "workspace": "workspace"}
    return selectors.label_of(kinds.get(name, wanted.subject_kind), value)


def _entries_in_words(wanted: EntryFilter) -> str:
    """Say how many entries an export would hold; words are not counted, to keep typing quick."""
    if wanted.text:
        return "all that match"
    count = _count(wanted)
    return "1 entry" if count == "1" else f"{count} entries"


def _count(wanted: EntryFilter) -> str:
    found = exports.count_of(wanted, limit=COUNT_LIMIT)
    return f"{found:,}+" if found == COUNT_LIMIT else f"{found:,}"
