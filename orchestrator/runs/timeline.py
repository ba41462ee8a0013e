"""A run's steps on one axis of time: what was queued, called, failed, waited for a person.

Pure: snapshot, definition and the present moment in, bars in percent of the track out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from orchestrator.core.definition import (
    CALLING,
    GateStep,
    MapStep,
    Step,
    TeamStep,
    WaitStep,
    WorkflowDefinition,
    WorkflowStep,
)
from orchestrator.runs.presentation import (
    Snapshot,
    StepSnapshot,
    icon_of,
    instant_of,
    not_reached,
    outline,
    step_look,
)
from orchestrator.web.templatetags.baton import Look, duration, look_of

BarKind: TypeAlias = Literal["queue", "agent", "person", "failed", "backoff"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time; `x` and `width` in percent of the track."""

    kind: BarKind
    x: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One step on the timeline."""

    step: str
    name: str
    icon: str
    look: Look
    bars: tuple[Bar, ...]
    took: str
    note: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The steps of a run on one axis; `now_x` while the run goes on.

    Those that began first come first; `left_out` counts the rest of a very long run.
    """

    rows: tuple[TimelineRow, ...]
    left_out: int
    ticks: tuple[Tick, ...]
    start: str
    now_x: float | None

    @property
    def quiet(self) -> int:
        """How many of the rows have nothing to show yet."""
        return sum(not row.bars for row in self.rows)


_TICKS: Final = (
    (1, "+1 s"),
    (10, "+10 s"),
    (60, "+1 min"),
    (600, "+10 min"),
    (3_600, "+1 h"),
    (21_600, "+6 h"),
    (86_400, "+1 d"),
    (604_800, "+1 w"),
)
MAX_ROWS: Final = 200
_TICK_GAP: Final = 14.0
_SHORT: Final = 45.0
"""Seconds up to which the axis is even; longer runs have people in them: a logarithmic one."""
_KNEE: Final = 4.0
_FULL: Final = 96.0


class _Axis:
    """From instants to percent of the track."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start = start
        self.seconds = max(0.5, (end - start).total_seconds())

    def x(self, at: datetime) -> float:
        return self.x_of((at - self.start).total_seconds())

    def x_of(self, seconds: float) -> float:
        seconds = min(max(0.0, seconds), self.seconds)
        if self.seconds <= _SHORT:
            return _FULL * seconds / self.seconds
        return _FULL * math.log1p(seconds / _KNEE) / math.log1p(self.seconds / _KNEE)

    def ticks(self) -> tuple[Tick, ...]:
        found: list[Tick] = []
        for seconds, text in _TICKS:
            x = self.x_of(seconds)
            if seconds >= self.seconds or x > _FULL - _TICK_GAP:
                break
            if x >= _TICK_GAP and (not found or x - found[-1].x >= _TICK_GAP):
                found.append(Tick(round(x, 2), text))
        return tuple(found)


def timeline_of(run: Snapshot, definition: WorkflowDefinition, now: datetime) -> Timeline:
    """The run's steps in order of time: waiting, calls, failed tries and people as bars."""
    start = instant_of(run.get("started_at")) or instant_of(run.get("created_at")) or now
    ended = instant_of(run.get("ended_at"))
    axis = _Axis(start, ended or now)
    rank = {step: index for index, step in enumerate(outline(definition))}
    steps: Mapping[str, StepSnapshot] = run["steps"]

    def when(step_id: str) -> tuple[datetime, int]:
        begun = instant_of(steps.get(step_id, {}).get("started_at"))
        return begun or datetime.max.replace(tzinfo=now.tzinfo), rank[step_id]

    shown = [
        step_id
        for step_id in sorted(definition.steps, key=when)
        if isinstance(definition.steps[step_id], (*CALLING, GateStep, WaitStep, WorkflowStep))
        or steps.get(step_id, {}).get("status") == "failed"
    ]
    picture = _Picture(run, definition, axis, ended or now)
    rows = tuple(_row(step_id, picture) for step_id in shown[:MAX_ROWS])
    return Timeline(
        rows=rows,
        left_out=len(shown) - len(rows),
        ticks=axis.ticks(),
        start=f"{start:%H:%M:%S}",
        now_x=None if ended else round(axis.x(now), 2),
    )


@dataclass(frozen=True, slots=True)
class _Picture:
    run: Snapshot
    definition: WorkflowDefinition
    axis: _Axis
    until: datetime


def _row(step_id: str, picture: _Picture) -> TimelineRow:
    run, definition, until = picture.run, picture.definition, picture.until
    step, state = definition.steps[step_id], run["steps"].get(step_id, {})
    begun, ended = instant_of(state.get("started_at")), instant_of(state.get("ended_at"))
    took = ""
    bars: tuple[Bar, ...] = ()
    if begun is not None:
        ready = _ready_at(step_id, run, definition) or begun
        spans = list(_spans(step, state, min(ready, begun), until))
        bars = tuple(_bar(picture.axis, span) for span in spans)
        took = duration(((ended or until) - begun).total_seconds())
    note = not_reached(step_id, run, definition)
    return TimelineRow(
        step=step_id,
        name=step.name,
        icon=icon_of(step),
        look=step_look(state),
        bars=bars,
        took=took,
        note=note,
    )


_Span: TypeAlias = tuple[BarKind, datetime, datetime, str]


def _spans(step: Step, state: StepSnapshot, ready: datetime, until: datetime) -> Iterator[_Span]:
    """What the step's time went into, one after another."""
    at = ready
    ended = instant_of(state.get("ended_at"))
    attempts: Sequence[Mapping[str, Any]] = state.get("attempts") or ()
    for attempt in attempts:
        begun = instant_of(attempt.get("started_at")) or at
        over = instant_of(attempt.get("ended_at")) or ended or until
        if begun > at:
            yield from _gap(attempt, at, begun)
        yield _attempt(attempt, begun, over, is_begun=state.get("status") != "ready")
        at = max(at, over)
    if isinstance(step, (MapStep, TeamStep, WorkflowStep)) and not state.get("review"):
        over = ended or until
        if over > at:
            words = "Took" if ended else "Running for"
            yield "agent", at, over, f"{words} {duration((over - at).total_seconds())}"
    elif isinstance(step, GateStep) or state.get("review"):
        over = ended or until
        if over > at:
            words = "Needed a person" if ended else "Waiting for a person"
            yield "person", at, over, f"{words} for {duration((over - at).total_seconds())}"
    elif state.get("waiting_for") == "retry" and until > at:
        yield "backoff", at, until, "Waits before the next try"
    elif isinstance(step, WaitStep):
        over = ended or until
        if over > at:
            words = "Waited" if ended else "Waits"
            yield "backoff", at, over, f"{words} for {duration((over - at).total_seconds())}"


def _gap(attempt: Mapping[str, Any], at: datetime, begun: datetime) -> Iterator[_Span]:
    length = duration((begun - at).total_seconds())
    number, iteration = int(attempt.get("number", 1)), int(attempt.get("iteration", 1))
    if number == 1 and iteration > 1:
        yield "person", at, begun, f"Needed a person for {length}"
    elif number == 1:
        yield "queue", at, begun, f"Queued for {length}"
    else:
        yield "backoff", at, begun, f"Waited {length} before try {attempt['number']}"


def _attempt(
    attempt: Mapping[str, Any], begun: datetime, over: datetime, *, is_begun: bool
) -> _Span:
    number, status = attempt.get("number", 1), str(attempt.get("status", ""))
    length = duration((over - begun).total_seconds())
    if status in {"failed", "timed_out", "abandoned"}:
        reason = str(attempt.get("reason") or look_of(status).word)
        return "failed", begun, over, f"Try {number} failed after {length}: {reason}"
    if status == "leased" and not is_begun:
        return "queue", begun, over, f"Queued for {length}"
    verb = "running for" if status == "leased" else "took"
    return "agent", begun, over, f"Try {number} {verb} {length}"


def _bar(axis: _Axis, span: _Span) -> Bar:
    kind, begun, over, title = span
    x = axis.x(begun)
    return Bar(kind, round(x, 2), round(max(axis.x(over) - x, 0.4), 2), title)


def _ready_at(step_id: str, run: Snapshot, definition: WorkflowDefinition) -> datetime | None:
    """When the last step before it ended."""
    links: Mapping[str, str] = run.get("links", {})
    ends = [
        instant_of(run["steps"].get(link.source, {}).get("ended_at"))
        for key, link in definition.links.items()
        if link.target == step_id and links.get(key) == "taken"
    ]
    known = [end for end in ends if end is not None]
    return max(known) if known else None
