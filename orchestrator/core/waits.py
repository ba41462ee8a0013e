"""Steps of the kind wait: how a wait begins, and how it ends.

Theory of operation
-------------------
A wait is one timer, and the run parks on it: no worker, no memory, one row. For a wait for an event
the timer is the deadline and carries the event's type and key; an arriving event finds it by
those. Whoever ends the wait takes the timer's row away first, so that of a deadline and an event
that come at the same time one alone reaches the run. The planner still looks at step, iteration and
timer, and lets what no longer applies change nothing.

An event that came before the wait began counts too, as it is kept for a while, unless the wait is
for new ones only; that is judged by whoever keeps the events (`EventKey.only_new`).

A person who lets the step run again may give another key, or another instant, as its input.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from orchestrator.core.commands import CancelTimer, EventKey, StartTimer
from orchestrator.core.compilation import CompiledStep
from orchestrator.core.context import expression_failed
from orchestrator.core.definition import EventAwaited, Moment, Pause, WaitStep
from orchestrator.core.events import EventArrived, WaitBegun
from orchestrator.core.expressions import CompiledExpression, ExpressionError
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.policies import FailureKind
from orchestrator.core.progress import wait_timer
from orchestrator.core.results import Failed, Value, Violation
from orchestrator.core.rounds import Rounds
from orchestrator.core.state import StepRunState, StepStatus

MAX_KEY = 500


def instant_of(value: JsonValue) -> datetime | None:
    """The instant that a text names: RFC 3339 with its offset, or a date's begin in UTC."""
    if not isinstance(value, str):
        return None
    try:
        if len(value) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(value), time(), UTC)
        instant = datetime.fromisoformat(value)
        return instant.astimezone(UTC) if instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def arrived(*, content: JsonValue, source: str, event_id: str, at: datetime) -> JsonObject:
    """What a wait for an event gives: the event's data, where it is from, and when it happened."""
    return {"event": content, "source": source, "id": event_id, "at": at.isoformat()}


class Waits(Rounds):
    """Begins and ends waits within one application of the planner."""

    def _begin_wait(self, compiled: CompiledStep, step: WaitStep) -> None:
        awaited = step.awaits
        match awaited:
            case Pause():
                until = self.now + timedelta(seconds=awaited.seconds)
                self._wait_until(compiled, self._given_instant(compiled) or until)
            case Moment():
                self._wait_for_moment(compiled, awaited)
            case EventAwaited():
                self._wait_for_event(compiled, awaited)

    def _given_instant(self, compiled: CompiledStep) -> datetime | None:
        override = self.steps[compiled.id].input_override or {}
        return instant_of(override.get("until"))

    def _wait_for_moment(self, compiled: CompiledStep, awaited: Moment) -> None:
        until = self._given_instant(compiled)
        if until is None:
            value, failed = self._read(compiled, compiled.moment, "/awaits/at")
            until = instant_of(value)
            if failed is None and until is None:
                reason = (
                    f"'{awaited.at}' must give an instant such as 2026-01-31T09:00:00Z, or a date"
                )
                violation = Violation(path="/awaits/at", rule="instant", reason=reason[:1_000])
                failed = expression_failed(compiled.step.name, (violation,))
            if failed is not None:
                self._leave(compiled.id, failed)
                return
        assert until is not None
        self._wait_until(compiled, until)

    def _wait_for_event(self, compiled: CompiledStep, awaited: EventAwaited) -> None:
        override = self.steps[compiled.id].input_override or {}
        key, failed = override.get("key"), None
        if not isinstance(key, str):
            key, failed = self._read(compiled, compiled.key, "/awaits/key")
        if failed is None and not (isinstance(key, str) and 0 < len(key) <= MAX_KEY):
            reason = f"'{awaited.key}' must give a text of 1 to {MAX_KEY} characters"
            violation = Violation(path="/awaits/key", rule="key", reason=reason[:1_000])
            failed = expression_failed(compiled.step.name, (violation,))
        if failed is not None:
            self._leave(compiled.id, failed)
            return
        until = self.now + timedelta(seconds=awaited.deadline_seconds)
        meant = EventKey(type=awaited.event, key=str(key), only_new=awaited.only_new)
        self._wait_until(compiled, until, meant)

    def _read(
        self, compiled: CompiledStep, expression: CompiledExpression | None, path: str
    ) -> tuple[JsonValue, Failed | None]:
        assert expression is not None
        try:
            return expression.evaluate(self._scope(compiled)), None
        except ExpressionError as error:
            violation = Violation(path=path, rule=error.code, reason=error.message[:1_000])
            return None, expression_failed(compiled.step.name, (violation,))

    def _wait_until(
        self, compiled: CompiledStep, until: datetime, awaits: EventKey | None = None
    ) -> None:
        step_id = compiled.id
        if until <= self.now:
            self._go_on(step_id)
            return
        shown: JsonObject = {"until": until.isoformat()}
        if awaits is not None:
            shown |= {"event": awaits.type, "key": awaits.key}
        run = self._step_moves(
            step_id,
            "wait_begun",
            waiting_for="time" if awaits is None else "event",
            input=shown,
            started_at=self.now,
        )
        self.events.append(
            WaitBegun(
                step=step_id,
                iteration=run.iteration,
                until=until,
                event=awaits.type if awaits else None,
            )
        )
        self.commands.append(
            StartTimer(
                timer=wait_timer(step_id, run),
                purpose="wait",
                due_at=until,
                step=step_id,
                iteration=run.iteration,
                awaits=awaits,
            )
        )

    def _go_on(self, step_id: str) -> None:
        self._leave(step_id, Value.model_construct(output={"at": self.now.isoformat()}))

    def _wait_over(self, step_id: str, run: StepRunState, timer: str) -> bool:
        """The timer of a wait came due: time has passed, or no event came before the deadline."""
        if timer != wait_timer(step_id, run):
            return False
        if run.waiting_for == "time":
            self._go_on(step_id)
        elif run.waiting_for == "event":
            expired = Failed(
                kind=FailureKind.TIMEOUT,
                reason_code="wait_expired",
                reason="The event did not come in time.",
                retryable=False,
            )
            self._leave(step_id, expired, port="expired")
        else:
            return False
        return True

    def _event_arrived(self, event: EventArrived) -> bool:
        run = self.steps.get(event.step)
        if (
            run is None
            or run.status is not StepStatus.WAITING
            or (run.waiting_for, run.iteration) != ("event", event.iteration)
        ):
            return False
        compiled = self.workflow.steps[event.step]
        assert compiled.arrival is not None
        self.changes["depth"] = max(self.before.depth, event.depth or 0)
        self.commands.append(CancelTimer(timer=wait_timer(event.step, run)))
        accepted = compiled.arrival.accept(event.output.get("event"))
        if accepted.verdict == "refused":
            self._leave(event.step, _event_refused(compiled.step.name, accepted.violations))
            return True
        output = {**event.output, "event": accepted.payload}
        self._leave(event.step, Value.model_construct(output=output))
        return True


def _event_refused(name: str, violations: tuple[Violation, ...]) -> Failed:
    first = violations[0]
    reason = f"'{name}' cannot take this event: {first.path or '/'} {first.reason}."
    return Failed(
        kind=FailureKind.CONTRACT,
        reason_code="event_refused",
        reason=reason[:2_000],
        violations=violations,
        retryable=False,
    )
