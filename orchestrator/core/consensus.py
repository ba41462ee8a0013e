"""What a team has decided by its votes. Pure rules over ballots, which are any JSON values.

Two votes are the same when their canonical JSON is. The weight of members that are absent counts in
the whole, so that a decision never hangs on who happened to fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.definition import VoteRule
from orchestrator.core.json import JsonValue


class Verdict(StrEnum):
    """What came of a vote; also the port that the team's step leaves by."""

    DECIDED = "next"
    DISAGREED = "disagreed"
    TOO_FEW = "failed"


@dataclass(frozen=True, slots=True)
class Vote:
    """One member's vote."""

    ballot: JsonValue
    weight: int


@dataclass(frozen=True, slots=True)
class Tally:
    """The count: the heaviest ballot (among equals the one voted first) and its weight."""

    verdict: Verdict
    ballot: JsonValue
    weight: int
    of: int


def tally(votes: Sequence[Vote], rule: VoteRule, of: int) -> Tally:
    """Count the votes of a team whose members weigh `of` together, the absent ones included."""
    weights: dict[bytes, int] = {}
    ballots: dict[bytes, JsonValue] = {}
    for vote in votes:
        key = canonical_bytes(vote.ballot)
        weights[key] = weights.get(key, 0) + vote.weight
        ballots.setdefault(key, vote.ballot)
    heaviest = max(weights, key=lambda key: weights[key], default=b"")
    weight = weights.get(heaviest, 0)
    needed = of if rule is VoteRule.UNANIMITY else of // 2 + 1
    if weight >= needed:
        verdict = Verdict.DECIDED
    elif sum(weights.values()) < needed:
        verdict = Verdict.TOO_FEW
    else:
        verdict = Verdict.DISAGREED
    return Tally(verdict, ballots.get(heaviest), weight, of)
