"""What a run need not do again when it goes on at a step: steps, calls, tokens, cost, time. Pure.

Kept is what has ended with a result and does not come after the step; what comes after it starts
over, whether it had ended or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.core.compilation import CompiledWorkflow
from orchestrator.core.definition import CALLING, GateStep
from orchestrator.core.json import JsonObject
from orchestrator.core.money import Money
from orchestrator.runs.presentation import Snapshot, instant_of, outline


@dataclass(frozen=True, slots=True)
class Saved:
    """What is kept: `steps` by name, in order; `seconds` is what its calls have taken."""

    step: str
    step_name: str
    steps: tuple[str, ...]
    calls: int
    tokens: int
    cost: tuple[Money, ...]
    seconds: float

    @property
    def money(self) -> list[JsonObject]:
        """The cost as pages show it."""
        return [one.json() for one in self.cost]

    def as_json(self) -> JsonObject:
        """For the API."""
        return {
            "resumed_at": self.step,
            "steps": list(self.steps),
            "calls": self.calls,
            "tokens": self.tokens,
            "cost": [one.json() for one in self.cost],
            "seconds": round(self.seconds, 3),
        }


def saved_by(
    run: Snapshot, compiled: CompiledWorkflow, step_id: str, *, before: datetime | None = None
) -> Saved:
    """What going on at the step keeps; of a run that went on, what had ended `before` that."""
    definition, again = compiled.definition, {step_id, *compiled.descendants[step_id]}
    kept = [
        one
        for one in outline(definition)
        if one not in again
        and isinstance(definition.steps[one], (*CALLING, GateStep))
        and _has_ended(run["steps"].get(one, {}), before)
    ]
    states = [run["steps"][one] for one in kept]
    cost: Counter[str] = Counter()
    for state in states:
        for amount in state.get("cost", ()):
            cost[amount["currency"]] += amount["minor"]
    return Saved(
        step=step_id,
        step_name=definition.steps[step_id].name,
        steps=tuple(definition.steps[one].name for one in kept),
        calls=sum(map(_calls, states)),
        tokens=sum(map(_tokens, states)),
        cost=tuple(Money(minor, currency) for currency, minor in sorted(cost.items())),
        seconds=sum(map(_seconds, states)),
    )


def _has_ended(state: Mapping[str, Any], before: datetime | None) -> bool:
    if state.get("status") not in {"succeeded", "compensated"}:
        return False
    ended = instant_of(state.get("ended_at"))
    return before is None or (ended is not None and ended <= before)


def _calls(state: Mapping[str, Any]) -> int:
    members = state.get("members")
    return members["done"] + members["failed"] if members else len(state["attempts"])


def _tokens(state: Mapping[str, Any]) -> int:
    return int(state.get("tokens", 0)) + tokens_in(state.get("basis"))


def tokens_in(basis: Iterable[Mapping[str, Any]] | None) -> int:
    """What language models have read and written, as a result says."""
    found = (one["values"] for one in basis or () if one.get("kind") == "model")
    return sum(one.get("tokens_in", 0) + one.get("tokens_out", 0) for one in found)


def _seconds(state: Mapping[str, Any]) -> float:
    """How long the step's calls took; of one made of members, how long it took as a whole."""
    spans = state["attempts"] if not state.get("members") else [state]
    times = [(instant_of(one.get("started_at")), instant_of(one.get("ended_at"))) for one in spans]
    spent = ((over - begun).total_seconds() for begun, over in times if begun and over)
    return sum(max(one, 0.0) for one in spent)  # quick calls are noted as a whole, a bit later
