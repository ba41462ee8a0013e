"""What `core/checks.py` says about how much a run may come to: calls, loops, runs that start runs.

Everything here is bounded anyway, so that nothing is an error; what surprises is a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

from orchestrator.core.compilation import ITEM_VARIABLES
from orchestrator.core.definition import (
    MAX_ITEMS,
    AgentStep,
    Auction,
    Debate,
    EmitStep,
    EventSource,
    GateStep,
    Link,
    MapStep,
    Negotiation,
    Relay,
    Step,
    Supervised,
    TeamStep,
    TransformStep,
    WaitStep,
    WorkflowDefinition,
    WorkflowStep,
    item_run_of,
    writes_of,
)
from orchestrator.core.expressions import ExpressionError, Path, compile_expression
from orchestrator.core.findings import Finding, Severity
from orchestrator.core.flow import Flow
from orchestrator.core.triggers import RUN_FINISHED

MANY_CALLS = 10_000
"""A run that may make so many calls of agents ought to have a budget."""


class TrafficChecks:
    """The findings of one definition without a cycle."""

    def __init__(self, definition: WorkflowDefinition, flow: Flow) -> None:
        self.definition = definition
        self.flow = flow
        self.bodies = {link.id: self._body(link) for link in flow.back}

    def findings(self) -> Iterator[Finding]:
        """Everything that can be said about how much a run may come to."""
        yield from self._many_calls()
        for link in self.flow.back:
            yield from self._rounds_alike(link)
        yield from self._starts_itself()

    def _body(self, link: Link) -> frozenset[str]:
        """The steps of a loop: those that a way from its target to its source passes."""
        return frozenset(
            step_id for step_id in self.flow.order if self.flow.is_within(link, step_id)
        )

    def _many_calls(self) -> Iterator[Finding]:
        if self.definition.policies.budget is not None:
            return
        calls = {
            step_id: calls_of(step) * self._times(step_id)
            for step_id, step in self.definition.steps.items()
        }
        together = sum(calls.values())
        if together < MANY_CALLS:
            return
        most = max(calls, key=lambda step_id: calls[step_id])
        said = (
            f"Loops, lists and teams allow a run {together:,} calls of agents, most of them by "
            f"{self._name(most)}."
        )
        hint = "Give the run a budget of calls, or fewer rounds."
        yield _finding("warning", "many_calls", said, step=most, hint=hint)

    def _times(self, step_id: str) -> int:
        """How often the loops around a step may begin it; a loop inside another multiplies."""
        return prod(
            1 + (link.max_rounds or 0) for link in self.flow.back if step_id in self.bodies[link.id]
        )

    def _rounds_alike(self, link: Link) -> Iterator[Finding]:
        """A loop in which nothing reads what the former round left asks its agents the same."""
        body = [self.definition.steps[step_id] for step_id in self.bodies[link.id]]
        outside = (GateStep, WaitStep, WorkflowStep)
        if any(isinstance(step, outside) or item_run_of(step) for step in body):
            return  # what comes from outside may be another thing each time
        if not any(calls_of(step) for step in body) or self._gets_on(link):
            return
        source, target = self._name(link.source), self._name(link.target)
        said = f"Each round of the loop from {source} back to {target} asks its agents the same."
        hint = (
            "Agents that always answer the same go in circles. Let a step read what the former "
            f"round left, such as steps.{link.source}.reason."
        )
        yield _finding("info", "rounds_alike", said, step=link.source, link=link.id, hint=hint)

    def _gets_on(self, link: Link) -> bool:
        """Whether a step of the loop reads what differs from one round to the next."""
        body = self.bodies[link.id]
        return any(
            self._differs(step_id, path, body)
            for step_id in body
            for path in _paths(_texts_of(self.definition.steps[step_id]))
        )

    def _differs(self, step_id: str, path: Path, body: frozenset[str]) -> bool:
        if path[0] != "steps":
            return path[0] == "context"
        if len(path) == 1 or path[2:3] == ("round",):
            return True
        return path[1] in body and not self.flow.is_before(path[1], step_id)

    def _starts_itself(self) -> Iterator[Finding]:
        """Runs whose own events start the next run of the workflow."""
        told = {
            step.event: f"{self._name(step_id)} tells '{step.event}'"
            for step_id, step in self.definition.steps.items()
            if isinstance(step, EmitStep)
        }
        told[RUN_FINISHED] = "Every run that ends is told"
        for key, trigger in sorted(self.definition.triggers.items()):
            if not isinstance(trigger.source, EventSource) or trigger.source.event not in told:
                continue
            said = (
                f"{told[trigger.source.event]}, and the trigger '{trigger.name}' starts the next "
                "run of this workflow by it."
            )
            hint = "At most eight runs start one another. Let the trigger filter what it hears."
            severity: Severity = "warning" if trigger.filter is None else "info"
            yield _finding(
                severity, "starts_itself", said, field=f"triggers.{key}.source", hint=hint
            )

    def _name(self, step_id: str) -> str:
        return f"'{self.definition.steps[step_id].name}'"


def calls_of(step: Step) -> int:
    """How many calls of agents a step makes at most each time, without further tries."""
    if isinstance(step, AgentStep):
        return 1
    if isinstance(step, MapStep):
        return MAX_ITEMS if item_run_of(step) is None else 0
    if not isinstance(step, TeamStep):
        return 0
    members = len(step.members)
    match step.protocol:
        case Supervised(max_rounds=rounds, max_tasks=tasks):
            return rounds + 1 + tasks
        case Relay(max_hops=hops):
            return hops + 1
        case Debate(max_rounds=rounds):
            return members * rounds
        case Auction():
            return 2 * members
        case Negotiation(max_rounds=rounds):
            return members * (rounds + 1)
        case None:
            return members


def _texts_of(step: Step) -> Iterator[str]:
    """The expressions that make up what a step is given, and what a transform makes of it."""
    if isinstance(step, (AgentStep, MapStep, TeamStep)):
        yield from step.input.values()
    if isinstance(step, MapStep):
        yield step.items
    if isinstance(step, TransformStep):
        yield from step.output.values()
    yield from writes_of(step).values()


def _paths(texts: Iterable[str]) -> Iterator[Path]:
    for text in texts:
        try:
            yield from compile_expression(text, variables=ITEM_VARIABLES).paths()
        except ExpressionError:
            continue  # a finding of its own


def _finding(
    severity: Severity,
    code: str,
    message: str,
    *,
    hint: str,
    step: str | None = None,
    link: str | None = None,
    field: str | None = None,
) -> Finding:
    return Finding.model_construct(
        severity=severity,
        code=code,
        message=message,
        hint=hint,
        step=step,
        link=link,
        field=field,
        counter_example=None,
    )
