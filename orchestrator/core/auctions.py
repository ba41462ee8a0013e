"""The members bid for a task, a rule gives it to one, and that one does it.

Every member is asked for a bid (`{"ask": "bid", "task"}`): what it would cost, how long it would
take, how sure it is. Who answers without one abstains; a bid in another currency does not count.
The best gets the task (`"ask": "work"`). All bids stand in the output in order of their rank, with
the rule that ranked them. Bids that are equal by the rule are ranked by cost, time, confidence, and
then by the order of the members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.core.contracts import Validator
from orchestrator.core.definition import Auction, Award, TeamStep
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.results import Basis, BasisKind, Failed, Value
from orchestrator.core.roles import BID
from orchestrator.core.talking import (
    Call,
    Ending,
    Move,
    Said,
    names_of,
    of_failure,
    reason_given,
    unavailable,
)

MILLION = 1_000_000
_BIDS = Validator(BID)


@dataclass(frozen=True, slots=True)
class _Bid:
    """A bid that counts: cost in minor units, time in milliseconds, confidence in millionths."""

    who: int
    cost: int
    milliseconds: int
    confidence: int
    told: JsonObject


def next_move(step: TeamStep, protocol: Auction, task: JsonObject, said: Sequence[Said]) -> Move:
    """All bid; then the best one works, and when it fails the next best."""
    size = len(step.members)
    if not said:
        return tuple(Call(who, {"ask": "bid", "task": task}) for who in range(size))
    bids, works = said[:size], said[size:]
    ranked = _ranked(protocol, [bid for one in bids if (bid := _bid_of(protocol, one))])
    if not ranked:
        return _nobody(step, protocol, bids)
    if works and isinstance(works[-1].output.get("output"), dict):
        return _awarded(step, protocol, ranked, said)
    is_over = works and (not protocol.next_best or len(works) == len(ranked))
    if is_over:
        return Ending(_winners_failed(step, works))
    return (Call(ranked[len(works)].who, {"ask": "work", "task": task}),)


def _bid_of(protocol: Auction, one: Said) -> _Bid | None:
    told: Any = one.output.get("bid")
    if not isinstance(told, dict) or _BIDS.check(told):
        return None
    if told["cost"]["currency"] != protocol.currency:
        return None
    return _Bid(
        who=one.who,
        cost=int(told["cost"]["minor"]),
        milliseconds=round(told["seconds"] * 1_000),
        confidence=round(told["confidence"] * MILLION),
        told=told,
    )


def _ranked(protocol: Auction, bids: Sequence[_Bid]) -> list[_Bid]:
    """The bids, the best first."""
    if not bids:
        return []
    cost, time = min(bid.cost for bid in bids), min(bid.milliseconds for bid in bids)

    def place(bid: _Bid) -> tuple[int, ...]:
        by_rule = {
            Award.CHEAPEST: bid.cost,
            Award.FASTEST: bid.milliseconds,
            Award.MOST_CONFIDENT: -bid.confidence,
            Award.WEIGHTED: -_score(protocol, bid, least_cost=cost, least_time=time),
        }[protocol.award]
        return (by_rule, bid.cost, bid.milliseconds, -bid.confidence, bid.who)

    return sorted(bids, key=place)


def _score(protocol: Auction, bid: _Bid, *, least_cost: int, least_time: int) -> int:
    """The weighted sum, in millionths, of how near a bid comes to the best in each."""
    weights = protocol.weights
    return (
        weights.cost * _nearness(least_cost, bid.cost)
        + weights.seconds * _nearness(least_time, bid.milliseconds)
        + weights.confidence * bid.confidence
    )


def _nearness(least: int, own: int) -> int:
    return MILLION if own == least else least * MILLION // own


def _awarded(
    step: TeamStep, protocol: Auction, ranked: Sequence[_Bid], said: Sequence[Said]
) -> Ending:
    winner = next(bid for bid in ranked if bid.who == said[-1].who)
    failed: list[JsonValue] = [names_of(step)[one.who] for one in said[len(step.members) : -1]]
    told = _told(step, protocol, ranked, said[: len(step.members)])
    basis = Basis(
        kind=BasisKind.RULE,
        id="auction",
        row=protocol.award.value,
        values={
            "bids": len(ranked),
            "rank": ranked.index(winner) + 1,
            "cost_minor": winner.cost,
            "time_ms": winner.milliseconds,
            "confidence_ppm": winner.confidence,
        },
    )
    output: JsonObject = {
        **told,
        "output": said[-1].output["output"],
        "awarded": names_of(step)[winner.who],
        "failed": failed,
    }
    return Ending(Value.model_construct(basis=(basis,), output=output))


def _told(
    step: TeamStep, protocol: Auction, ranked: Sequence[_Bid], bids: Sequence[Said]
) -> JsonObject:
    """All bids by rank, and who made none, or none that counts, with the reason."""
    names, bidding = names_of(step), {bid.who for bid in ranked}
    shown: list[JsonValue] = [
        {"member": names[bid.who], "rank": rank, **{key: bid.told[key] for key in _FIELDS}}
        for rank, bid in enumerate(ranked, 1)
    ]
    absent: list[JsonValue] = [
        {"member": names[one.who], "reason": _why_none(protocol, one)}
        for one in bids
        if one.who not in bidding
    ]
    return {"award": protocol.award.value, "bids": shown, "absent": absent}


_FIELDS = ("cost", "seconds", "confidence")


def _why_none(protocol: Auction, one: Said) -> str:
    if not isinstance(one.result, Value):
        return reason_given(one.result)
    told: Any = one.output.get("bid")
    if not isinstance(told, dict):
        return "It made no bid."
    violations = _BIDS.check(told)
    if violations:
        return f"Its bid cannot be read: {violations[0].path or '/'} {violations[0].reason}."
    return f"It bids in {told['cost']['currency']}, and {protocol.currency} is asked for."


def _nobody(step: TeamStep, protocol: Auction, bids: Sequence[Said]) -> Ending:
    if not any(isinstance(one.result, Value) for one in bids):
        first = f"{names_of(step)[bids[0].who]}: {reason_given(bids[0].result)}"
        return Ending(unavailable("no_bids", f"No member could be asked for a bid. {first}"))
    told = _told(step, protocol, [], bids)
    nobody = Value.model_construct(output={**told, "failed": []}, reason="Nobody bids for it.")
    return Ending(nobody, port="disagreed")


def _winners_failed(step: TeamStep, works: Sequence[Said]) -> Failed:
    """The failure of the last one that had the task."""
    last = works[-1]
    name = names_of(step)[last.who]
    if isinstance(last.result, Value):
        return unavailable("winner_failed", f"{name} had the task and gave no output.")
    return of_failure("winner_failed", f"{name}, who had the task, failed", last.result)
