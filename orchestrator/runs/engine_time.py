"""What the engine itself takes: from what lets a step begin until its agent is called.

A step run begins (`StepRun.started_at`) at the moment at which what led to it reached the walker:
the answer of the step before, a decision, an event, the start of the run. Its first attempt begins
(`Attempt.started_at`) when the call is made. What lies between is the engine's: planning, checks of
contract, permission and budget, the audit entry, the commit; nothing of it is an agent's work, and
no person is waited for. Of a run's first call it is also what passes until a worker takes the run
up, which is told apart.

It is read from rows that are written anyway. Calls that may have waited for a place or for a worker
with a label are left out, as far as limits and labels of today say. The newest `SAMPLED` runs of a
period are looked at, so that it costs the same however many there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median, quantiles
from typing import Final
from uuid import UUID

from budgets import ledger
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.runs.models import Attempt, Run, StepRun
from registry import selectors as registry

SAMPLED: Final = 500
MAX_CALLS: Final = 20_000
PERIODS: Final = (1, 7, 30)
"""In days."""


@dataclass(frozen=True, slots=True)
class Span:
    """How long something took, in milliseconds: of so many, the median and the 95th percentile."""

    count: int
    median_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class EngineTime:
    """Of one workflow, or of all: engine per step, until the first call of a run, agents' own."""

    workflow: str
    name: str
    runs: int
    steps: Span
    starts: Span
    agents: Span


@dataclass(frozen=True, slots=True)
class EngineTimes:
    """All of it since a moment; `workflows` with the most runs first."""

    since: datetime
    overall: EngineTime
    workflows: tuple[EngineTime, ...]
    left_out: int
    """Calls that may have waited for a place or a worker."""
    is_sampled: bool
    """Whether there were more runs than were looked at."""


@dataclass(frozen=True, slots=True)
class _Call:
    """One first try of a step. `is_start`: nothing of the run came before it."""

    is_start: bool
    engine_ms: float
    agent_ms: float | None


@dataclass(frozen=True, slots=True)
class _Named:
    """A run, by what its figures are counted under."""

    workspace_id: UUID
    workflow_id: UUID
    slug: str
    name: str
    begun_at: datetime | None


def engine_times(
    actor: Actor, *, days: int, now: datetime, workflow_id: UUID | None = None
) -> EngineTimes:
    """What the engine took in the newest live runs of a period that the actor may read."""
    since = now - timedelta(days=days)
    found = Run.objects.filter(
        workspace_id__in=access.workspaces_where(actor, "run.read"),
        mode="live",
        created_at__gte=since,
    ).order_by("-created_at")
    if workflow_id is not None:
        found = found.filter(workflow_id=workflow_id)
    columns = ("id", "workspace_id", "workflow_id", "workflow__slug", "workflow__name")
    rows = list(found.values_list(*columns, "started_at")[: SAMPLED + 1])
    runs = {row[0]: _Named(*row[1:]) for row in rows[:SAMPLED]}
    calls, left_out = _calls_of(runs)
    by_workflow: dict[str, list[UUID]] = defaultdict(list)
    for run_id, run in runs.items():
        by_workflow[run.slug].append(run_id)
    each = [
        _figures(slug, runs[ids[0]].name, ids, calls)
        for slug, ids in sorted(by_workflow.items(), key=lambda one: (-len(one[1]), one[0]))
    ]
    return EngineTimes(
        since=since,
        overall=_figures("", "All of them", list(runs), calls),
        workflows=tuple(each),
        left_out=left_out,
        is_sampled=len(rows) > SAMPLED,
    )


def _calls_of(runs: Mapping[UUID, _Named]) -> tuple[dict[UUID, list[_Call]], int]:
    """The first tries of steps by run, and how many were left out."""
    tries = list(
        Attempt.objects.filter(run_id__in=list(runs), number=1, owner__isnull=False)
        .order_by("-run_id")
        .values_list("run_id", "step", "iteration", "agent_version_id", "started_at", "ended_at")[
            :MAX_CALLS
        ]
    )
    begun = _begun({run_id for run_id, *_ in tries})
    may_wait = _may_wait(runs, {(run_id, version_id) for run_id, _, _, version_id, *_ in tries})
    calls: dict[UUID, list[_Call]] = defaultdict(list)
    left_out = 0
    for run_id, step, iteration, version_id, called_at, ended_at in tries:
        ready_at = begun.get((run_id, step, iteration))
        if ready_at is None or ready_at == called_at:
            continue  # it was written before the moment of the call was noted
        if (run_id, version_id) in may_wait:
            left_out += 1
            continue
        calls[run_id].append(
            _Call(
                is_start=ready_at == runs[run_id].begun_at,
                engine_ms=max(_ms(called_at - ready_at), 0.0),
                agent_ms=None if ended_at is None else max(_ms(ended_at - called_at), 0.0),
            )
        )
    return calls, left_out


def _begun(run_ids: Collection[UUID]) -> dict[tuple[UUID, str, int], datetime]:
    """When iterations of steps began."""
    rows = StepRun.objects.filter(run_id__in=list(run_ids), started_at__isnull=False)
    columns = ("run_id", "step", "iteration", "started_at")
    return {tuple(key): at for *key, at in rows.values_list(*columns)[: 3 * MAX_CALLS]}


def _may_wait(
    runs: Mapping[UUID, _Named], called: Collection[tuple[UUID, UUID]]
) -> set[tuple[UUID, UUID]]:
    """The calls, by run and agent version, that need a place or a worker with a label today."""
    versions = {version_id for _, version_id in called}
    labels, slugs = registry.labels_of_workers(versions), registry.slugs_of(versions)
    return {
        (run_id, version_id)
        for run_id, version_id in called
        if version_id in labels
        or ledger.places_of(
            runs[run_id].workspace_id, runs[run_id].workflow_id, slugs.get(version_id, "")
        )
    }


def _figures(
    slug: str, name: str, run_ids: Sequence[UUID], calls: Mapping[UUID, list[_Call]]
) -> EngineTime:
    made = [call for run_id in run_ids for call in calls.get(run_id, ())]
    return EngineTime(
        workflow=slug,
        name=name,
        runs=len(run_ids),
        steps=_span(call.engine_ms for call in made if not call.is_start),
        starts=_span(call.engine_ms for call in made if call.is_start),
        agents=_span(call.agent_ms for call in made if call.agent_ms is not None),
    )


def _span(milliseconds: Iterable[float]) -> Span:
    values = list(milliseconds)
    if len(values) < 2:
        only = values[0] if values else None
        return Span(len(values), only, only)
    return Span(len(values), median(values), quantiles(values, n=20, method="inclusive")[18])


def _ms(span: timedelta) -> float:
    return span.total_seconds() * 1_000
