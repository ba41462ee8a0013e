"""What pages call the parts of a definition: steps, ways out, lengths of time, roles. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.core.definition import (
    Auction,
    Debate,
    EventAwaited,
    EventSource,
    GateChoice,
    GateStep,
    Link,
    Moment,
    Negotiation,
    Pause,
    Relay,
    Route,
    RouterStep,
    ScheduleSource,
    Step,
    Supervised,
    TeamStep,
    Trigger,
    WaitStep,
    WebhookSource,
)
from orchestrator.core.schedules import ScheduleError, words_of
from orchestrator.core.triggers import REVIEW_DECIDED, RUN_FINISHED

_PORTS: Mapping[str, tuple[str, str]] = {
    "next": ("then", ""),
    "not_found": ("not found", "when nothing is found"),
    "uncertain": ("uncertain", "when it is uncertain"),
    "refused": ("refused", "when it is refused"),
    "failed": ("failed", "when it fails"),
    "default": ("otherwise", "otherwise"),
    "approved": ("approved", "when approved"),
    "rejected": ("rejected", "when rejected"),
    "returned": ("returned", "when returned"),
    "expired": ("not decided in time", "when not decided in time"),
    "filled": ("filled in", "when filled in"),
    "adjudicated": ("adjudicated", "when adjudicated"),
    "partial": ("some items failed", "when some items failed"),
    "disagreed": ("the team disagrees", "when the team disagrees"),
}
"""By port: what the way out is called, and when it is taken as the end of a sentence."""
_NOTHING_CAME = ("nothing came in time", "when nothing comes in time")
_OWN_EVENTS: Mapping[str, str] = {
    RUN_FINISHED: "when a run has finished",
    REVIEW_DECIDED: "when a review was decided",
}


_TEAMS: Mapping[type, str] = {
    type(None): "Team vote",
    Supervised: "Supervised team",
    Auction: "Auction",
    Relay: "Relay of peers",
    Debate: "Debate",
    Negotiation: "Negotiation",
}


def team_word(step: TeamStep) -> str:
    """What a team is called by the way in which it works together."""
    return _TEAMS[type(step.protocol)]


def port_words(step: Step, port: str) -> str:
    """What people call the way out of the step: its title where it has one."""
    return _port_title(step, port) or _port(step, port)[0]


def when_words(step: Step, port: str) -> str:
    """When the step leaves by this port, as the end of a sentence; empty for the usual way."""
    title = _port_title(step, port)
    return f"when “{title}”" if title else _port(step, port)[1]


def _port_title(step: Step, port: str) -> str:
    named: tuple[Route | GateChoice, ...] = ()
    if isinstance(step, RouterStep):
        named = step.routes
    elif isinstance(step, GateStep):
        named = step.choices
    return next((one.title for one in named if one.port == port), "")


def _port(step: Step, port: str) -> tuple[str, str]:
    if isinstance(step, WaitStep) and port == "expired":
        return _NOTHING_CAME
    return _PORTS.get(port, (port.replace("_", " "), f"by {port}"))


def back_words(link: Link) -> str:
    """How often a link that leads back may be taken: `back at most 3 times`."""
    return f"back at most {'once' if link.max_rounds == 1 else f'{link.max_rounds} times'}"


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
    """What a step waits for: `2 h`, `until input.due`, `for order.paid, at most 7 d`."""
    match step.awaits:
        case Pause(seconds=seconds):
            return seconds_words(seconds)
        case Moment(at=at):
            return f"until {at}"
        case EventAwaited(event=event, deadline_seconds=deadline, only_new=only_new):
            meant = f"a new {event}" if only_new else event
            return f"for {meant}, at most {seconds_words(deadline)}"


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
