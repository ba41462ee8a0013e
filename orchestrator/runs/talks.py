"""What the calls of a team say, as their list tells it: who asks whom for what, and the answer.

Pure. Messages come from agents, which may have said anything that their own contracts allow: what
does not look like a message of its protocol is told by its plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.core.definition import (
    Auction,
    Debate,
    Negotiation,
    Relay,
    Step,
    Supervised,
    TeamStep,
    called_in,
    doers_of,
    place_of,
)
from orchestrator.core.json import JsonValue
from orchestrator.web.templatetags.baton import duration, look_of, money_text

MAX_BRIEF: Final = 240
"""Characters of a message in a list."""
_PLAIN: Final = {"": "empty", "True": "yes", "False": "no"}
_ASKED: Final = {
    "bid": "Make a bid for the task",
    "propose": "Propose a split of the task",
    "accept": "Accept this split?",
    "work": "Do it",
}
"""What a bidder or a negotiator is asked, by `ask` of the message."""


def answered_word(step: Step) -> str:
    """What a member has done that answered."""
    if not isinstance(step, TeamStep) or not step.has_ballot:
        return "Answered"
    return "Voted" if step.votes else "Proposed"


def spoken(step: TeamStep, one: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Who said what to whom, for a call of a team; `names` are those of agents by slug.

    A vote has only who voted what. The keys are fields of a line in the list of members.
    """
    if step.votes:
        whom = doers_of(step)[place_of(one["id"])].agent
        return {"whom": names.get(whom, whom), "answer": _ballot(step, one["answer"])}
    who, verdict = called_in(one["id"]), one["verdict"]
    is_lead = who == len(step.members)
    slug = doers_of(step)[who].agent
    whom = names.get(slug, slug)
    return {
        "sender": "" if is_lead else _sender(step, one["given"], names),
        "whom": f"{whom}, the supervisor" if is_lead else whom,
        "said": _short(_request(step, one["given"], names)),
        "answer": _short(_answer(step, one["answer"], names)),
        "verdict": look_of("does_not_fit" if verdict == "refused" else verdict)
        if verdict
        else None,
    }


def _sender(step: TeamStep, given: JsonValue, names: Mapping[str, str]) -> str:
    """Who asks: the supervisor, or the peer that passed the work on."""
    if step.lead is not None:
        return "the supervisor"
    slug = given.get("from") if isinstance(given, dict) else None
    is_passed = isinstance(slug, str) and isinstance(step.protocol, Relay)
    return names.get(str(slug), str(slug)) if is_passed else ""


def _request(step: TeamStep, given: JsonValue, names: Mapping[str, str]) -> str:
    """What a member, or the supervisor, was asked."""
    if not isinstance(given, dict):
        return ""
    match step.protocol:
        case Supervised() if "goal" in given:
            done = _count(given, "done")
            return f"{_round(given)}{f'{done} answered; go on' if done else 'Give the tasks'}"
        case Auction() | Negotiation():
            asked = _ASKED.get(str(given.get("ask")), "")
            split = _split(given.get("split"), names) or _brief(given.get("part"))
            found = f"{_round(given)}{asked}{f' ({split})' if split else ''}"
            return found if asked else _brief(given)
        case Debate():
            others = _count(given, "others")
            knowing = f", knowing what {others} other{'s' * (others != 1)} said" if others else ""
            return f"{_round(given)}Propose{knowing}"
        case Relay():
            return _brief(given.get("with")) or "Begin, or pass it on"
        case _:
            return _brief(given)


def _answer(step: TeamStep, answer: JsonValue, names: Mapping[str, str]) -> str:
    """What came back."""
    if not isinstance(answer, dict):
        return ""
    match step.protocol:
        case Debate():
            return _ballot(step, answer)
        case Auction():
            found = _bid(answer.get("bid"))
        case Negotiation():
            found = _split(answer.get("split"), names) or _consent(answer)
        case Supervised():
            found = _tasks(answer.get("tasks"), names)
        case _:
            found = _pass(answer.get("pass"), names)
    return found or _brief(answer.get("output")) or _brief(answer)


def _round(given: Mapping[str, JsonValue]) -> str:
    number = given.get("round")
    return f"Round {number}: " if isinstance(number, int) else ""


def _count(given: Mapping[str, JsonValue], name: str) -> int:
    listed = given.get(name)
    return len(listed) if isinstance(listed, list) else 0


def _ballot(step: TeamStep, answer: JsonValue) -> str:
    """What a member votes for, or proposes."""
    value = answer.get(step.ballot) if isinstance(answer, dict) else None
    return "" if value is None else _short(_value(value))


def _bid(bid: JsonValue) -> str:
    """Cost, time and confidence of a bid."""
    if not isinstance(bid, dict):
        return ""
    seconds, confidence = bid.get("seconds"), bid.get("confidence")
    if not isinstance(seconds, int | float) or not isinstance(confidence, int | float):
        return ""
    return f"{_value(bid.get('cost'))}, {duration(seconds)}, {confidence:.0%} sure"


def _split(split: JsonValue, names: Mapping[str, str]) -> str:
    """Who gets which part."""
    found = [one for one in split if isinstance(one, dict)] if isinstance(split, list) else []
    return "; ".join(
        ": ".join(filter(None, (_named(one.get("member"), names), _value(one.get("part")))))
        for one in found
    )


def _consent(answer: Mapping[str, JsonValue]) -> str:
    """Yes, or no with the reason."""
    accepted = answer.get("accept")
    if not isinstance(accepted, bool):
        return ""
    reason = str(answer.get("reason") or "")
    return ("Yes" if accepted else "No") + (f": {reason}" if reason else "")


def _tasks(tasks: JsonValue, names: Mapping[str, str]) -> str:
    """How many tasks were given, and to whom."""
    found = [one for one in tasks if isinstance(one, dict)] if isinstance(tasks, list) else []
    whom = ", ".join(_named(one.get("worker"), names) for one in found)
    return f"{len(found)} task{'s' * (len(found) != 1)}: {whom}" if found else ""


def _pass(passed: JsonValue, names: Mapping[str, str]) -> str:
    """To whom the work was passed on."""
    return f"Pass it on to {_named(passed.get('to'), names)}" if isinstance(passed, dict) else ""


def _named(slug: JsonValue, names: Mapping[str, str]) -> str:
    return names.get(str(slug), str(slug))


def _value(value: JsonValue) -> str:
    """A value in a few words."""
    if isinstance(value, dict):
        return money_text(value) if value.keys() == {"minor", "currency"} else _brief(value)
    if isinstance(value, list):
        return ", ".join(_value(one) for one in value)
    return _PLAIN.get(str(value), str(value))


def _brief(payload: JsonValue) -> str:
    """A message by its plain values, and how much there is of the rest."""
    if not isinstance(payload, dict):
        return ""
    parts: list[str] = []
    for name, value in payload.items():
        if isinstance(value, list):
            is_plain = not any(isinstance(one, dict | list) for one in value)
            parts += [f"{name}: {_value(value) if is_plain else len(value)}"] if value else []
        elif isinstance(value, dict):
            parts += [f"{name} ({inner})"] if (inner := _value(value)) else []
        elif value is not None:
            parts.append(f"{name}: {_value(value)}")
    return ", ".join(parts)


def _short(text: str) -> str:
    return text if len(text) <= MAX_BRIEF else f"{text[:MAX_BRIEF]}…"
