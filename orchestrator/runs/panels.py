"""What runs add to pages below them and to the frame: figures, calls in flight, badge, search."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.breakers import BreakerStatus
from orchestrator.runs import selectors
from orchestrator.runs.models import AgentBreaker
from orchestrator.runs.selectors import HandoffFailures, InFlight, WorkflowFigures
from orchestrator.web.panels import Badge, Found
from orchestrator.web.templatetags.baton import duration, look_of, outside, state_icon, time

SHORTEST_SEARCH: Final = 2


def workflow_metrics(request: HttpRequest, ids: list[str]) -> Mapping[str, SafeString]:
    """Success rate and p95 of each workflow's latest runs, as the content of one cell."""
    actor_of(request)
    found = selectors.figures_of([UUID(one) for one in ids], now=timezone.now())
    return {str(key): _figures(figures) for key, figures in found.items()}


def workflow_handoff_failures(request: HttpRequest, ids: list[str]) -> Mapping[str, SafeString]:
    """What went wrong lately on links, as the content of one cell; ids are `<workflow>/<link>`."""
    if not access.can(actor_of(request), "run.read"):
        return {}
    links = dict.fromkeys(one.partition("/")[0] for one in ids)
    found = {one: selectors.handoff_failures_of(UUID(one)) for one in links}
    return {
        one: _handoff_failures(found[workflow][link])
        for one in ids
        for workflow, _, link in [one.partition("/")]
        if link in found[workflow]
    }


def agent_version_in_flight(request: HttpRequest, ids: list[str]) -> Mapping[str, SafeString]:
    """Table rows: what is under way that calls each agent version, and what becomes of it."""
    found = selectors.in_flight_of(actor_of(request), [UUID(one) for one in ids])
    return {str(key): _in_flight(counts) for key, counts in found.items()}


def agent_version_breaker(request: HttpRequest, ids: list[str]) -> Mapping[str, SafeString]:
    """A banner for each agent version that is left alone because it did not answer."""
    if not access.can(actor_of(request), "agent.read"):
        return {}
    found = selectors.breakers_of(UUID(one) for one in ids)
    now = timezone.now()
    return {str(key): _breaker(row, now) for key, row in found.items()}


def attention_badge(actor: Actor) -> Badge | None:
    """How many runs need somebody's attention: the number at Runs."""
    count = selectors.count_attention(actor)
    if not count:
        return None
    verb = "needs" if count == 1 else "need"
    return Badge(count, f"{_runs(count)} {verb} attention", "bad")


def search_runs(actor: Actor, text: str, limit: int) -> list[Found]:
    """Runs whose name or id the palette's text is part of; the newest first."""
    if len(text) < SHORTEST_SEARCH or not access.can(actor, "run.read"):
        return []
    return [
        Found(
            title=run.title or f"Run {str(run.id)[-8:]}",
            url=reverse("runs:detail", args=[run.id]),
            group="Runs",
            icon="run",
            note=f"{run.workflow.name} · {look_of(run.status).word}",
        )
        for run in selectors.list_runs(actor, search=text)[:limit]
    ]


def _figures(figures: WorkflowFigures) -> SafeString:
    if figures.success_rate is None or figures.p95_seconds is None:
        return format_html('<span class="subtle">none of {} has ended</span>', _runs(figures.runs))
    return format_html(
        '{} %<span class="row-sub">p95 {} · {}</span>',
        f"{100 * figures.success_rate:.1f}",
        duration(figures.p95_seconds),
        _runs(figures.ended),
    )


def _handoff_failures(failures: HandoffFailures) -> SafeString:
    times = "once" if failures.count == 1 else f"{failures.count} times"
    address = f"{reverse('runs:detail', args=[failures.run_id])}#step={failures.step}"
    return format_html(
        '<a class="link" href="{}">Refused {}</a>, last {}<span class="row-sub">{}</span>',
        address,
        times,
        time(failures.at),
        failures.reason,
    )


def _in_flight(counts: InFlight) -> SafeString:
    rows = SafeString("")
    if counts.calls:
        rows += format_html(
            '<tr><td>The agent is working</td><td class="right num">{}</td>'
            "<td>may finish the call; its result is kept</td></tr>",
            counts.calls,
        )
    if counts.runs:
        rows += format_html(
            '<tr><td><a class="link" href="{}">Runs that may call it</a></td>'
            '<td class="right num">{}</td><td>stop at that step, and a person decides</td></tr>',
            reverse("runs:list"),
            counts.runs,
        )
    return rows


def _breaker(row: AgentBreaker, now: datetime) -> SafeString:
    version = row.agent_version
    is_tried = row.status == BreakerStatus.HALF_OPEN
    is_left = is_tried or (row.until is not None and now < row.until)
    return format_html(
        '<div class="banner tone-{}" role="status">{}<span class="grow"><b>v{} {}</b> {}</span>'
        '<a class="button button--s" href="{}">Reset …</a></div>',
        "caution" if is_tried else "bad",
        state_icon("caution" if is_tried else "misfit"),
        version.number,
        "is being tried again." if is_tried else "is left alone: it did not answer.",
        format_html(
            "{} Calls fail at once until {}." if is_left else "{} The next call tries it again.",
            outside(row.reason),
            time(row.until),
        ),
        reverse("runs:breaker", args=[version.agent.slug, version.number]),
    )


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"
