"""What a run has cost so far, and each of its steps: the calls made, at the prices declared.

A call counts at the price of the agent version that was called. Calls that were refused at the door
or never reached their agent cost nothing; the journal says which. Runs of agents without a price
cost one query.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias
from uuid import UUID

from orchestrator.agents.money import Money
from orchestrator.core.definition import is_member, owner_of
from orchestrator.core.fallbacks import NOT_REACHED
from orchestrator.core.json import JsonValue
from orchestrator.runs.models import Attempt, RunEvent
from registry import selectors as registry

DOOR: Final = frozenset({"kill switch", "agent status", "workspace", "test runs", "egress"})
"""Policies that refuse a call before it is made."""

Costs: TypeAlias = "dict[str, list[JsonValue]]"
"""Step -> amounts `{"minor", "currency"}`, one per currency; "" is the whole run."""


def costs_of(run_id: UUID, agents: Iterable[str]) -> Costs:
    """What the run and each step that cost anything has cost; `agents` are ids it is pinned to."""
    prices = registry.prices_of(UUID(one) for one in agents)
    if not prices:
        return {}
    not_made = _not_made(run_id)
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    rows = Attempt.objects.filter(run_id=run_id, agent_version_id__in=prices)
    for step, *place, version_id in rows.values_list(
        "step", "iteration", "number", "agent_version_id"
    ):
        if (step, *place) in not_made:
            continue
        price = prices[version_id]
        for name in {"", step, owner_of(step) if is_member(step) else step}:
            sums[name][price.currency] += price.minor
    return {
        name: [Money(minor, currency).json() for currency, minor in sorted(amounts.items())]
        for name, amounts in sums.items()
    }


def _not_made(run_id: UUID) -> frozenset[tuple[str, int, int]]:
    """The attempts whose call was not made, as (step, iteration, number)."""
    kinds = ["attempt_failed"]
    if Attempt.objects.filter(run_id=run_id, result_tag="refused").exists():
        kinds.append("attempt_succeeded")  # an answer, as far as the attempt goes
    rows = RunEvent.objects.filter(run_id=run_id, type__in=kinds)
    bodies = (body["event"] for body in rows.values_list("body", flat=True))
    return frozenset(
        (event["step"], event["iteration"], event["attempt"])
        for event in bodies
        if _stayed_outside(event["result"])
    )


def _stayed_outside(result: Mapping[str, JsonValue]) -> bool:
    if result["type"] == "refused":
        return result.get("policy") in DOOR
    return result.get("reason_code") in NOT_REACHED
