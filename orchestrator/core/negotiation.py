"""The members agree how to split the task before anybody begins; then each does its part.

In every round one member proposes a split (the first begins, then the next) and all others accept
or refuse it, with a reason that the next proposer reads. A split names members of the team, each
once, and gives each its part; one that cannot be used counts as refused. What all accept is agreed:
it stands in the messages that all have answered before the first part is begun. A member that fails
to answer has not accepted. Without agreement the team disagrees after the last round. A part that
fails ends the step (`part_failed`); when it is run again only that part is.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.core.definition import Negotiation, TeamStep
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.results import Basis, BasisKind, Failed, Value
from orchestrator.core.roles import ANSWERS
from orchestrator.core.talking import (
    Call,
    Ending,
    Move,
    Said,
    index_of,
    names_of,
    of_failure,
    peers,
    reason_given,
    unavailable,
)


def next_move(
    step: TeamStep, protocol: Negotiation, task: JsonObject, said: Sequence[Said]
) -> Move:
    """Propose, accept, work: one after the other."""
    rounds = _rounds(said)
    if not rounds:
        return (_proposal(step, task, rounds),)
    proposed, answers = rounds[-1][0], rounds[-1][1:]
    works = [one for one in answers if one.given.get("ask") == "work"]
    if works:
        return _ended(step, rounds, works)
    wrong = _unusable(step, proposed)
    if not wrong and not answers:
        return tuple(
            Call(who, _question(step, task, proposed))
            for who in range(len(step.members))
            if who != proposed.who
        )
    if not wrong and all(_refusal(one) is None for one in answers):
        return tuple(
            Call(who, {"ask": "work", "task": task, "part": part})
            for who, part in _parts(step, proposed)
        )
    if len(rounds) < protocol.max_rounds:
        return (_proposal(step, task, rounds),)
    return _disagreed(step, rounds)


def failed_for_good(step: TeamStep, one: Said) -> Failed | None:
    """A part that fails leaves the task undone."""
    if one.given.get("ask") != "work":
        return None
    name = names_of(step)[one.who]
    if not isinstance(one.result, Value):
        return of_failure("part_failed", f"The part of {name} failed", one.result)
    if not isinstance(one.output.get("output"), dict):
        return unavailable("part_failed", f"{name} did its part and gave no output.")
    return None


def _rounds(said: Sequence[Said]) -> list[list[Said]]:
    """What was said, by rounds: each begins with a proposal."""
    rounds: list[list[Said]] = []
    for one in said:
        if one.given.get("ask") == "propose" or not rounds:
            rounds.append([])
        rounds[-1].append(one)
    return rounds


def _proposal(step: TeamStep, task: JsonObject, rounds: Sequence[Sequence[Said]]) -> Call:
    refused: list[JsonValue] = [_refused(step, one) for one in rounds]
    return Call(
        len(rounds) % len(step.members),
        {
            "ask": "propose",
            "task": task,
            "members": peers(step),
            "round": len(rounds) + 1,
            "refused": refused,
        },
    )


def _question(step: TeamStep, task: JsonObject, proposed: Said) -> JsonObject:
    by, split = names_of(step)[proposed.who], proposed.output["split"]
    return {"ask": "accept", "task": task, "by": by, "split": split}


def _parts(step: TeamStep, proposed: Said) -> list[tuple[int, JsonObject]]:
    """Who does which part; of a split that can be used."""
    split = proposed.output["split"]
    assert isinstance(split, list)
    parts: list[tuple[int, JsonObject]] = []
    for one in split:
        assert isinstance(one, dict)
        who, part = index_of(step, one["member"]), one["part"]
        assert who is not None
        assert isinstance(part, dict)
        parts.append((who, part))
    return parts


def _unusable(step: TeamStep, proposed: Said) -> str:
    """Why a proposal cannot be used; empty when it can."""
    if not isinstance(proposed.result, Value):
        return reason_given(proposed.result)
    violations = ANSWERS["negotiate"].check(proposed.output)
    split = proposed.output.get("split")
    if violations or not isinstance(split, list) or not split:
        return "It proposes no split that can be read."
    named = [one["member"] for one in split if isinstance(one, dict)]
    strangers = [str(name) for name in named if index_of(step, name) is None]
    if strangers:
        return f"It gives a part to {', '.join(strangers)}, who is not in the team."
    return "It gives one member two parts." if len(set(map(str, named))) < len(named) else ""


def _refusal(one: Said) -> str | None:
    """Why a member does not accept; None when it does."""
    if not isinstance(one.result, Value):
        return reason_given(one.result)
    if one.output.get("accept") is True:
        return None
    reason = one.output.get("reason")
    return reason if isinstance(reason, str) and reason else "It gave no reason."


def _refused(step: TeamStep, round_: Sequence[Said]) -> JsonObject:
    """A proposal that was not taken, and why."""
    proposed, answers = round_[0], round_[1:]
    names = names_of(step)
    wrong = _unusable(step, proposed)
    reasons: list[JsonValue] = [
        {"member": names[one.who], "reason": reason}
        for one in answers
        if (reason := _refusal(one)) is not None
    ]
    if wrong:
        reasons = [{"member": names[proposed.who], "reason": wrong}]
    split: JsonValue = [] if wrong else proposed.output["split"]
    return {"by": names[proposed.who], "split": split, "reasons": reasons}


def _ended(step: TeamStep, rounds: Sequence[Sequence[Said]], works: Sequence[Said]) -> Ending:
    proposed, names = rounds[-1][0], names_of(step)
    outputs: list[JsonValue] = [
        {"member": names[one.who], "output": one.output["output"]} for one in works
    ]
    basis = Basis(
        kind=BasisKind.RULE,
        id="negotiation",
        row="agreed",
        values={"rounds": len(rounds), "parts": len(works)},
    )
    output: JsonObject = {
        **_told(step, rounds[:-1], len(rounds)),
        "split": proposed.output["split"],
        "by": names[proposed.who],
        "outputs": outputs,
    }
    return Ending(Value.model_construct(basis=(basis,), output=output))


def _disagreed(step: TeamStep, rounds: Sequence[Sequence[Said]]) -> Ending:
    times = "one round" if len(rounds) == 1 else f"{len(rounds)} rounds"
    reason = f"The team has agreed no split in {times}."
    output = _told(step, rounds, len(rounds))
    return Ending(Value.model_construct(output=output, reason=reason), port="disagreed")


def _told(step: TeamStep, refused: Sequence[Sequence[Said]], count: int) -> JsonObject:
    losing: list[JsonValue] = [_refused(step, one) for one in refused]
    return {"rounds": count, "refused": losing}
