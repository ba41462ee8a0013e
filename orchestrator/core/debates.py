"""The members propose in rounds, each knowing what the others proposed, until they agree.

After every round the proposals are counted as votes are (`core/consensus.py`). The debate stops
when the rule is met (`agreement`), or after the last round: then the proposal of the member with
the highest priority is taken (`priority`), or the team disagrees (`max_rounds`). `stopped_by` says
which, and all proposals of the last round are kept, the losing ones too. Too many absent members
fail the step, as in a vote.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.core.consensus import Tally, Verdict, Vote, tally
from orchestrator.core.definition import Debate, TeamStep
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.results import Basis, BasisKind, Value
from orchestrator.core.talking import Call, Ending, Move, Said, names_of, reason_given, unavailable


def next_move(step: TeamStep, protocol: Debate, task: JsonObject, said: Sequence[Said]) -> Move:
    """Another round, or the end."""
    size = len(step.members)
    rounds, latest = len(said) // size, said[-size:]
    if not said:
        return _round(step, task, 1, ())
    votes = [
        Vote(one.output[step.ballot], step.members[one.who].weight)
        for one in latest
        if step.ballot in one.output
    ]
    counted = tally(votes, step.rule, sum(one.weight for one in step.members))
    if counted.verdict is Verdict.TOO_FEW:
        return _too_few(step, latest)
    if counted.verdict is Verdict.DISAGREED and rounds < protocol.max_rounds:
        return _round(step, task, rounds + 1, latest)
    return _ended(step, protocol, counted, rounds=rounds, latest=latest)


def _round(step: TeamStep, task: JsonObject, number: int, latest: Sequence[Said]) -> Move:
    """Everybody is told the task, the number of the round, and what was proposed in the last."""
    made = {one.who: one.output[step.ballot] for one in latest if step.ballot in one.output}
    calls: list[Call] = []
    for who in range(len(step.members)):
        others: list[JsonValue] = [
            {"name": names_of(step)[other], "proposal": proposal}
            for other, proposal in made.items()
            if other != who
        ]
        own: JsonObject = {"own": made[who]} if who in made else {}
        calls.append(Call(who, {"task": task, "round": number, "others": others, **own}))
    return tuple(calls)


def _ended(
    step: TeamStep, protocol: Debate, counted: Tally, *, rounds: int, latest: Sequence[Said]
) -> Ending:
    is_agreed = counted.verdict is Verdict.DECIDED
    taken = None if is_agreed or not protocol.arbitrate else _first_in_priority(step, latest)
    stopped_by = "agreement" if is_agreed else "priority" if taken else "max_rounds"
    output: JsonObject = {
        "weight": counted.weight,
        "of": counted.of,
        "rounds": rounds,
        "stopped_by": stopped_by,
        **_proposals(step, latest),
    }
    if is_agreed:
        output["decision"] = counted.ballot
    elif taken:
        output |= {"decision": taken.output[step.ballot], "by": names_of(step)[taken.who]}
    basis = Basis(
        kind=BasisKind.RULE,
        id="debate",
        row=stopped_by,
        values={"weight": counted.weight, "of": counted.of, "rounds": rounds},
    )
    is_decided = is_agreed or taken is not None
    weighed = f"the most weight is {counted.weight} of {counted.of} after {rounds} rounds"
    reason = None if is_decided else f"The team disagrees: {weighed}."
    value = Value.model_construct(basis=(basis,), output=output, reason=reason)
    return Ending(value, port="next" if is_decided else "disagreed")


def _first_in_priority(step: TeamStep, latest: Sequence[Said]) -> Said | None:
    """The proposal of the highest priority; among equals of the first member."""
    made = [one for one in latest if step.ballot in one.output]
    return max(made, key=lambda one: step.members[one.who].priority, default=None)


def _proposals(step: TeamStep, latest: Sequence[Said]) -> JsonObject:
    made: list[JsonValue] = []
    absent: list[JsonValue] = []
    for one in latest:
        member = step.members[one.who]
        if step.ballot in one.output:
            proposal = one.output[step.ballot]
            shown: JsonObject = {"agent": member.uses.agent, "proposal": proposal}
            made.append({**shown, "weight": member.weight, "priority": member.priority})
        else:
            absent.append({"agent": member.uses.agent, "reason": _absence(step, one)})
    return {"proposals": made, "absent": absent}


def _absence(step: TeamStep, one: Said) -> str:
    if isinstance(one.result, Value):
        return f"The answer has no '{step.ballot}'."
    return reason_given(one.result)


def _too_few(step: TeamStep, latest: Sequence[Said]) -> Ending:
    absent = [one for one in latest if step.ballot not in one.output]
    first = f"{names_of(step)[absent[0].who]}: {_absence(step, absent[0])}"
    return Ending(
        unavailable(
            "too_few_votes",
            f"Too few proposals to decide: {len(absent)} of {len(step.members)} members gave none. "
            f"{first}",
        )
    )
