"""The watch: looks over runs, and keeps what somebody should look at.

Theory of operation. The sweeper looks every half minute at the runs that have ended since, found
by their entries in the audit log, so that the walker does nothing for it. Each is looked over by
itself (`traffic.py`) and beside the runs before it (`usual.py`). What is found is one open
`Observation` of the workflow per kind and step: the same again counts it up and names the latest
run. A person dismisses it, with a reason; should it be seen again, it is raised anew. Runs that are
going on and have come far are looked over by themselves too: what goes in circles need not end.

A look takes a quarter of a second at most and goes over the latest entries only: an installation
that ends more runs than that is watched by samples. Test runs are not watched. Nothing of this
changes what a run does.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F, QuerySet

from audit.selectors import latest_seq, placed_after
from audit.services import append_entry, subject_of
from designer import selectors as designer
from orchestrator import access
from orchestrator.access import SYSTEM, Actor
from orchestrator.core.errors import NotFoundError
from orchestrator.core.reading import read_reason
from orchestrator.core.state import TERMINAL_RUN
from orchestrator.runs import selectors
from orchestrator.runs.models import Attempt, EventCursor, Observation, Run, StepRun
from orchestrator.runs.traffic import Observed
from orchestrator.runs.usual import RunFigures, grown, unusual
from registry import selectors as registry

STRETCH: Final = 2_000
"""Entries of the log that one look goes over: the latest."""
LOOK_SECONDS: Final = 0.25
LONG_RUN: Final = 150
"""A run that is going on is looked over once its journal has so many events."""
LONG_RUNS: Final = 20
COMPARED_RUNS: Final = 60
"""How many ended runs of a workflow are compared."""
_CURSOR: Final = "watch"


class Watch:
    """What one process remembers between looks: how far the long runs were when it saw them."""

    def __init__(self) -> None:
        self._far: dict[UUID, int] = {}

    def look_over(self, now: datetime) -> int:
        """Look at the runs that have ended since the last look, and at long ones that go on.

        Returns how many were looked at.
        """
        until, look, looked = time.monotonic() + LOOK_SECONDS, _Look(now), 0
        for run in (*_ended_since(), *self._long_ones()):
            look.at(run)
            looked += 1
            if time.monotonic() >= until:
                break
        return looked

    def _long_ones(self) -> list[Run]:
        """Live runs that go on and have come far, the newest first; each again when it has doubled.

        So what is read of a run stays in proportion to what it has done.
        """
        going_on = Run.objects.filter(mode="live", seq__gte=LONG_RUN).exclude(
            status__in=TERMINAL_RUN
        )
        known, self._far = self._far, dict(going_on.order_by("-id").values_list("id", "seq"))
        grown_ones = [
            run_id for run_id, seq in self._far.items() if seq >= 2 * known.get(run_id, 0)
        ][:LONG_RUNS]
        for run_id in self._far.keys() - set(grown_ones):
            self._far[run_id] = known.get(run_id, 0)
        return list(Run.objects.filter(id__in=grown_ones).order_by("-id"))


def _ended_since() -> list[Run]:
    """The live runs that have ended since the last look, the latest first; they are taken once."""
    latest = latest_seq()
    cursor, is_new = EventCursor.objects.get_or_create(name=_CURSOR, defaults={"seq": latest})
    if is_new or latest == cursor.seq:
        return []
    placed = placed_after(max(cursor.seq, latest - STRETCH), ("run.ended",), STRETCH)
    EventCursor.objects.filter(name=_CURSOR).update(seq=placed.latest)
    ended = dict.fromkeys(row.run_id for row in reversed(placed.rows) if row.run_id)
    found = Run.objects.filter(id__in=ended, mode="live", ended_at__isnull=False).in_bulk()
    return [found[run_id] for run_id in ended if run_id in found]


def list_observations(actor: Actor) -> QuerySet[Observation]:
    """The open observations of the actor's workspaces, the latest first."""
    return (
        Observation.objects.filter(
            workspace_id__in=access.workspaces_where(actor, "run.read"), dismissed_at__isnull=True
        )
        .select_related("workflow", "workspace")
        .order_by("-latest_at", "-id")
    )


def get_observation(actor: Actor, observation_id: UUID) -> Observation:
    """An observation that the actor may see, dismissed ones too.

    Raises:
        NotFoundError: there is none, or not for this actor.
    """
    seen = access.workspaces_where(actor, "run.read")
    row = Observation.objects.filter(id=observation_id, workspace_id__in=seen)
    found = row.select_related("workflow", "workspace").first()
    if found is None:
        raise NotFoundError("There is no such observation.")
    return found


@transaction.atomic
def dismiss_observation(
    *, observation_id: UUID, reason: str, actor: Actor, now: datetime
) -> Observation:
    """Take an observation off the list; twice changes nothing.

    Raises:
        InvalidInputError: the reason is missing.
    """
    row = get_observation(actor, observation_id)
    access.require(actor, "run.override", row)
    text = read_reason(reason)
    still_open = Observation.objects.filter(id=row.id, dismissed_at__isnull=True)
    if still_open.update(dismissed_at=now):
        _record("observation.dismissed", row, actor=actor, now=now, reason=text)
    row.refresh_from_db()
    return row


@dataclass(slots=True)
class _Look:
    """One look: what is usual is read once for each workflow."""

    now: datetime
    _usual: dict[UUID, list[RunFigures]] = field(default_factory=dict)

    def at(self, run: Run) -> None:
        """Look over one run, by itself and, when it has ended, beside others of its workflow."""
        seen = list(selectors.run_traffic(run, self.now).observations)
        if run.ended_at is not None:
            seen += self._beside_others(run)
        for one in seen:
            _note(run, one, self.now)

    def _beside_others(self, run: Run) -> Iterator[Observed]:
        is_first = run.workflow_id not in self._usual
        if is_first:
            self._usual[run.workflow_id] = figures_of_ended_runs(run.workflow_id)
        usual = self._usual[run.workflow_id]
        place = next((place for place, one in enumerate(usual) if one.run_id == run.id), None)
        if place is not None:
            definition = designer.compiled(run.version_id).definition
            yield from unusual(definition, usual[place], usual[place + 1 :])
        if is_first:
            yield from grown(usual)


def figures_of_ended_runs(workflow_id: UUID) -> list[RunFigures]:
    """Calls, costs and ways of the latest live runs of a workflow that have ended, newest first."""
    runs = Run.objects.filter(workflow_id=workflow_id, mode="live").order_by("-created_at")
    rows = list(runs.values_list("id", "version_id", "ended_at")[: 2 * COMPARED_RUNS])
    ended = [(run_id, version) for run_id, version, at in rows if at is not None][:COMPARED_RUNS]
    ids = [run_id for run_id, _ in ended]
    calls, costs = _calls_and_costs(ids)
    ways: dict[UUID, set[tuple[str, str]]] = defaultdict(set)
    left = StepRun.objects.filter(run_id__in=ids).exclude(port="").exclude(step__contains=".")
    for run_id, step, port in left.values_list("run_id", "step", "port"):
        ways[run_id].add((step, port))
    return [
        RunFigures(
            run_id=run_id,
            version_id=version_id,
            calls=calls[run_id],
            costs=tuple(sorted(costs[run_id].items())),
            ways=frozenset(ways[run_id]),
        )
        for run_id, version_id in ended
    ]


def _calls_and_costs(ids: Sequence[UUID]) -> tuple[Counter[UUID], dict[UUID, Counter[str]]]:
    """By run: how many calls, and what they cost at the declared prices, by currency."""
    counted = list(
        Attempt.objects.filter(run_id__in=ids)
        .values_list("run_id", "agent_version_id")
        .annotate(count=Count("id"))
    )
    prices = registry.prices_of(agent for _, agent, _ in counted)
    calls: Counter[UUID] = Counter()
    costs: dict[UUID, Counter[str]] = defaultdict(Counter)
    for run_id, agent, count in counted:
        calls[run_id] += count
        if price := prices.get(agent):
            costs[run_id][price.currency] += price.minor * count
    return calls, costs


@transaction.atomic
def _note(run: Run, seen: Observed, now: datetime) -> None:
    """Raise an observation, or count an open one up; a run that is seen again counts once."""
    same = Observation.objects.filter(
        workflow_id=run.workflow_id, kind=seen.kind, step=seen.step, dismissed_at__isnull=True
    )
    changes = {"run_id": run.id, "text": seen.text, "latest_at": now}
    if same.filter(run_id=run.id).update(**changes):
        return
    if same.update(times=F("times") + 1, **changes):
        return
    row = Observation.objects.create(
        workspace_id=run.workspace_id,
        workflow_id=run.workflow_id,
        kind=seen.kind,
        step=seen.step,
        first_at=now,
        **changes,
    )
    _record("observation.raised", row, actor=SYSTEM, now=now)


def _record(
    action: str, row: Observation, *, actor: Actor, now: datetime, reason: str = ""
) -> None:
    append_entry(
        actor=actor,
        action=action,
        subject=subject_of(row),
        now=now,
        workspace_id=row.workspace_id,
        run=row.run_id,
        reason=reason,
        decision={"outcome": row.kind, "step": row.step, "text": row.text},
    )
