"""What is usual for a workflow: a run beside the ones before it, and the latest beside the earlier.

Pure. Medians are compared, so that one odd run moves nothing; and nothing is said before there are
enough runs to say it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final
from uuid import UUID

from orchestrator.core.definition import WorkflowDefinition
from orchestrator.core.money import Money, format_money
from orchestrator.runs.presentation import port_word
from orchestrator.runs.traffic import Observed

KNOWN_RUNS: Final = 20
"""Before a workflow has had so many runs nothing is unusual."""
STORM_FACTOR: Final = 5
STORM_CALLS: Final = 30
"""A run with so many calls, and so many times the usual, is a storm."""
LATEST_RUNS: Final = 10
GROWTH: Final = 1.5
"""So many times the earlier median is the median of the latest runs when something grows."""
NAMED_WAYS: Final = 3


@dataclass(frozen=True, slots=True)
class RunFigures:
    """An ended run: its calls, what they cost by currency in minor units, its ways out of steps."""

    run_id: UUID
    version_id: UUID
    calls: int
    costs: tuple[tuple[str, int], ...]
    ways: frozenset[tuple[str, str]]


def unusual(
    definition: WorkflowDefinition, run: RunFigures, before: Sequence[RunFigures]
) -> Iterator[Observed]:
    """What a run did that those before it did not; ways are compared within one version."""
    if len(before) < KNOWN_RUNS:
        return
    usual = median(one.calls for one in before)
    if run.calls >= STORM_CALLS and run.calls >= STORM_FACTOR * max(usual, 1):
        text = f"The run made {run.calls:,} calls; {usual:,.0f} are usual for this workflow."
        yield Observed("storm", "", text)
    same = [one for one in before if one.version_id == run.version_id]
    if len(same) < KNOWN_RUNS:
        return
    known = frozenset[tuple[str, str]]().union(*(one.ways for one in same))
    new = sorted(run.ways - known, key=lambda way: list(definition.steps).index(way[0]))
    if new:
        ways = ", ".join(_way_word(definition, way) for way in new[:NAMED_WAYS])
        more = f" and {len(new) - NAMED_WAYS} more" if len(new) > NAMED_WAYS else ""
        text = f"The run went a way that none of the {len(same)} before went: {ways}{more}."
        yield Observed("unusual_route", new[0][0], text)


def grown(runs: Sequence[RunFigures]) -> Iterator[Observed]:
    """What the latest runs of a workflow take more of than those before; the newest come first."""
    latest, earlier = runs[:LATEST_RUNS], runs[LATEST_RUNS:]
    if len(earlier) < KNOWN_RUNS:
        return
    now, then = (median(one.calls for one in part) for part in (latest, earlier))
    if now >= GROWTH * then and now > then + 1:
        text = f"A run makes {now:,.0f} calls now; it was {then:,.0f} before."
        yield Observed("more_calls", "", text)
    for currency in sorted({name for one in runs for name, _ in one.costs}):
        now, then = (
            median(dict(one.costs).get(currency, 0) for one in part) for part in (latest, earlier)
        )
        if then > 0 and now >= GROWTH * then:
            words = [format_money(Money(round(amount), currency)) for amount in (now, then)]
            text = f"A run costs {words[0]} now; it was {words[1]} before."
            yield Observed("more_cost", "", text)


def _way_word(definition: WorkflowDefinition, way: tuple[str, str]) -> str:
    step = definition.steps[way[0]]
    word = port_word(step, way[1])
    return f"{step.name} ({word})" if word else step.name
