"""What pages call the parts of a definition: steps, ways out, lengths of time, roles. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.core.definition import (
    EventAwaited,
    EventSource,
    Moment,
    Pause,
    RouterStep,
    ScheduleSource,
    Step,
    Trigger,
    WaitStep,
    WebhookSource,
)
from orchestrator.core.schedules import ScheduleError, words_of
from orchestrator.core.triggers import REVIEW_DECIDED, RUN_FINISHED

PORT_WORDS: Mapping[str, str] = {
    "next": "then",
    "not_found": "not found",
    "uncertain": "uncertain",
    "refused": "refused",
    "failed": "failed",
    "default": "otherwise",
    "approved": "approved",
    "rejected": "rejected",
    "returned": "returned",
    "expired": "not decided in time",
    "filled": "filled in",
    "partial": "some items failed",
    "disagreed": "the team disagrees",
}
"""What a way out of a step is called, by port."""
_OWN_EVENTS: Mapping[str, str] = {
    RUN_FINISHED: "when a run has finished",
    REVIEW_DECIDED: "when a review was decided",
}
_WHEN_WORDS: Mapping[str, str] = {
    "next": "",
    "not_found": "when nothing is found",
    "uncertain": "when it is uncertain",
    "refused": "when it is refused",
    "failed": "when it fails",
    "default": "otherwise",
    "approved": "when approved",
    "rejected": "when rejected",
    "returned": "when returned",
    "expired": "when not decided in time",
    "filled": "when filled in",
    "partial": "when some items failed",
    "disagreed": "when the team disagrees",
}


def when_words(step: Step, port: str) -> str:
    """When the step leaves by this port, as the end of a sentence; empty for the usual way."""
    if isinstance(step, RouterStep):
        for route in step.routes:
            if route.port == port:
                return f"when “{route.title}”"
    if isinstance(step, WaitStep) and port == "expired":
        return "when nothing comes in time"
    return _WHEN_WORDS.get(port, f"by {port}")


def source_words(trigger: Trigger) -> str:
    """When a trigger fires: `every weekday at 08:00 in Europe/Berlin`."""
    match trigger.source:
        case ScheduleSource(cron=cron, zone=zone):
            try:
                return words_of(cron, zone)
            except ScheduleError:
                return f"{cron} in {zone}"
        case EventSource(event=event):
            return _OWN_EVENTS.get(event, f"when {event} is told")
        case WebhookSource():
            return "when a signed request comes"


def awaited_words(step: WaitStep) -> str:
    """What a step waits for: `2 h`, `until input.due`, `for order.paid at most 7 d`."""
    match step.awaits:
        case Pause(seconds=seconds):
            return seconds_words(seconds)
        case Moment(at=at):
            return f"until {at}"
        case EventAwaited(event=event, deadline_seconds=deadline):
            return f"for {event}, at most {seconds_words(deadline)}"


def seconds_words(seconds: float, *, units: int = 2) -> str:
    """A length of time in its largest units: `30 s`, `2 h`, `1 d 12 h`."""
    parts = []
    rest = int(seconds)
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount} {name}")
    return " ".join(parts[:units]) or f"{seconds:g} s"


def with_article(role: str) -> str:
    """A role as a sentence names it: `an operator`, `a business owner`."""
    if role == "compliance":
        return "a compliance officer"
    words = role.replace("-", " ")
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
