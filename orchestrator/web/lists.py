"""The one list component: search, filters as links, paging, empty and loading state, for any rows.

A view describes its list once and gives the filtered queryset:

    RUNS = ListSpec(
        key="runs", one="run", many="runs", row_template="runs/row.html",
        columns=(Column("Run"), Column("Status")), search_fields=("title",),
        filters=(Filter("status", "Status", (Option("failed", "Failed", status="failed"),)),),
        empty=Empty("run", "No runs yet", "Each claim shows here.", (Link("Run an example", "/"),)),
    )
    return render_list(request, RUNS, queryset, template="runs/list.html")

The template extends `web/list_page.html`, or includes `web/list.html` where the list is one part
of a page; the row template gets `row` and `list`. Everything is a link or a GET form; htmx swaps
the list alone, and without script the same addresses answer with the whole page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import clean_text
from orchestrator.web.paging import PAGE_SIZE, Page, page_of

MAX_SEARCH: Final = 200
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Column:
    """A column head. `classes` go to the cell (`right`, `only-wide`)."""

    label: str
    classes: str = ""
    is_hidden_label: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a filter. `status` draws the state's shape beside the words."""

    value: str
    label: str
    status: str = ""
    condition: Q | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Choices, one on at a time. Without a condition the option's value is that of the field."""

    name: str
    label: str
    options: tuple[Option, ...]
    field: str = ""
    all_label: str = "All"


@dataclass(frozen=True, slots=True)
class Link:
    """A link with an icon; the first of an empty state is its first action."""

    label: str
    url: str
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Empty:
    """What belongs here, and what to do first."""

    icon: str
    title: str
    text: str
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class ListSpec:
    """Everything about a list but its rows. Hints of `live_topic` make its first page refresh."""

    key: str
    one: str
    many: str
    columns: tuple[Column, ...]
    row_template: str
    empty: Empty
    search_fields: tuple[str, ...] = ()
    search_label: str = "Search"
    filters: tuple[Filter, ...] = ()
    order: tuple[str, ...] = ("-created_at", "-id")
    page_size: int = PAGE_SIZE
    table_classes: str = ""
    is_card: bool = False
    live_topic: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter option as a link on the page."""

    label: str
    status: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Choices:
    """A filter as links on the page."""

    name: str
    label: str
    choices: list[Choice]


@dataclass(frozen=True, slots=True)
class RenderedList(Generic[Row]):
    """A list as the templates read it."""

    spec: ListSpec
    page: Page[Row]
    path: str
    text: str
    filters: list[Choices]
    is_filtered: bool
    clear_url: str
    next_url: str
    previous_url: str
    kept: list[tuple[str, str]] = field(default_factory=list)
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """The rows of this page."""
        return self.page.rows

    @property
    def element(self) -> str:
        """The id of the list's element."""
        return f"list-{self.spec.key}"

    @property
    def skeletons(self) -> range:
        """As many loading rows as are worth drawing."""
        return range(min(8, max(3, len(self.page.rows))))


def build_list(
    request: HttpRequest,
    spec: ListSpec,
    queryset: QuerySet[Row],
    *,
    extras: Callable[[list[Row]], Mapping[str, Any]] | None = None,
    path: str = "",
) -> RenderedList[Row]:
    """Search, filter and page a queryset as the request's query asks.

    `extras(rows)` may add what the row template needs for the whole page in one batch (panels).
    `path` is where the list stands, when that is not where the request went.

    Raises:
        InvalidInputError: the cursor or the search text cannot be used.
    """
    query = request.GET
    text = search_text(query.get("q", ""))
    rows = queryset
    if text and spec.search_fields:
        rows = rows.filter(_search_condition(spec.search_fields, text))
    chosen = {one.name: query.get(one.name, "") for one in spec.filters}
    for one in spec.filters:
        rows = _apply(rows, one, chosen[one.name])
    cursor = query.get("cursor", "")
    page = page_of(rows, order=spec.order, cursor=cursor, size=spec.page_size)
    is_filtered = bool(text) or any(chosen.values())
    return RenderedList(
        spec=spec,
        page=page,
        path=path or request.path,
        text=text,
        filters=[_choices(one, chosen[one.name], query) for one in spec.filters],
        is_filtered=is_filtered,
        clear_url=path or request.path,
        next_url=_with(query, cursor=page.next) if page.next else "",
        previous_url=_with(query, cursor=page.previous) if page.previous else "",
        kept=[(name, value) for name, value in chosen.items() if value],
        extras=extras(page.rows) if extras else {},
    )


def search_text(given: str) -> str:
    """What somebody searches for, without space around it and at most `MAX_SEARCH` long.

    Raises:
        InvalidInputError: the text holds what no database takes.
    """
    text = given.strip()
    try:
        clean_text(text)
    except ValueError as error:
        raise InvalidInputError(f"The search text {error}.") from None
    return text[:MAX_SEARCH]


def render_list(
    request: HttpRequest,
    spec: ListSpec,
    queryset: QuerySet[Row],
    *,
    template: str = "web/list_page.html",
    context: Mapping[str, Any] | None = None,
    extras: Callable[[list[Row]], Mapping[str, Any]] | None = None,
    path: str = "",
    status: int = 200,
) -> HttpResponse:
    """Answer with the whole page, or with the list alone when htmx asks for it."""
    built = build_list(request, spec, queryset, extras=extras, path=path)
    wanted = request.headers.get("HX-Target", "").rpartition("#")[2]
    name = "web/list.html" if wanted == built.element else template
    return render(request, name, {**(context or {}), "list": built}, status=status)


def _search_condition(fields: Sequence[str], text: str) -> Q:
    """Every word must occur in one of the fields."""
    condition = Q()
    for word in text.split():
        anywhere = Q()
        for name in fields:
            anywhere |= Q(**{f"{name}__icontains": word})
        condition &= anywhere
    return condition


def _apply(rows: QuerySet[Row], one: Filter, value: str) -> QuerySet[Row]:
    option = next((option for option in one.options if option.value == value), None)
    if option is None:
        return rows
    condition = option.condition or Q(**{one.field or one.name: option.value})
    try:
        return rows.filter(condition)
    except (ValidationError, ValueError):
        return rows.none()


def _choices(one: Filter, current: str, query: QueryDict) -> Choices:
    known = {option.value for option in one.options}
    is_all = current not in known
    first = Choice(one.all_label, "", _with(query, **{one.name: "", "cursor": ""}), is_all)
    others = [
        Choice(
            option.label,
            option.status,
            _with(query, **{one.name: option.value, "cursor": ""}),
            option.value == current,
        )
        for option in one.options
    ]
    return Choices(one.name, one.label, [first, *others])


def _with(query: QueryDict, **changes: str) -> str:
    changed = query.copy()
    for name, value in changes.items():
        if value:
            changed[name] = value
        else:
            changed.pop(name, None)
    return f"?{changed.urlencode()}"
