"""Which agent of a step is called: its own, or one that takes over after that one failed.

A step's agents stand in order: `uses`, then `fallbacks`. `StepRunState.fallback` is the place of
the one in use. The next one takes over when the one in use has failed for good, with a kind that
`fallback_on` lists. It gets the same input, fresh tries, and an idempotency key of its own, because
another agent is another request. It takes over at once, without further tries, when the breaker of
the one in use is open. An agent that must not be called twice (`effect: once`) is
replaced only when it was certainly not reached: nobody else may do what it may have done already.
What the other agent answers must also meet the contract of the step's own agent, which later steps
rely on: the checker compares the contracts, and the door judges each answer by both.
"""

from __future__ import annotations

from typing import Final

from orchestrator.core.budgets import LIMIT_ASKS, LIMIT_REACHED
from orchestrator.core.compilation import CompiledStep
from orchestrator.core.definition import AgentRef, AgentStep, doers_of
from orchestrator.core.results import Basis, BasisKind, Failed, StepResult
from orchestrator.core.state import StepRunState

CHANGING: Final = frozenset({"write", "irreversible"})
NOT_REACHED: Final = frozenset(
    {
        *("service_unreachable", "breaker_open", "input_contract", "agent_unusable"),
        *("no_model_configured", "context_too_large"),
        *(LIMIT_REACHED, LIMIT_ASKS),
    }
)
"""Reason codes of failures after which the agent has certainly not begun."""


def agent_in_use(step: AgentStep, fallback: int) -> AgentRef:
    """The agent version that the step calls now."""
    return doers_of(step)[fallback]


def agent_called(step: AgentStep, run: StepRunState) -> AgentRef:
    """The agent version that the step calls now: the one in use, or the one that undoes it."""
    if run.undo and step.compensation is not None:
        return step.compensation.uses
    return agent_in_use(step, run.fallback)


def calls_once(compiled: CompiledStep, fallback: int) -> bool:
    """Whether a call of the agent in use must never be repeated by the machine."""
    return bool(compiled.interfaces) and compiled.interfaces[fallback].effect == "once"


def changes_things(compiled: CompiledStep, fallback: int) -> bool:
    """Whether a call of the agent in use has an effect that stays."""
    return compiled.interfaces[fallback].side_effect in CHANGING


def next_fallback(compiled: CompiledStep, run: StepRunState, failed: Failed) -> int | None:
    """The place of the agent that takes over; None when none does."""
    step = compiled.step
    if not isinstance(step, AgentStep) or failed.kind not in step.fallback_on:
        return None
    if calls_once(compiled, run.fallback) and failed.reason_code not in NOT_REACHED:
        return None
    following = run.fallback + 1
    return following if following < len(doers_of(step)) else None


def key_of_call(run_id: str, step_id: str, run: StepRunState) -> str:
    """The idempotency key of the step's calls: the same at every try of the same request."""
    key = f"{run_id}/{step_id}/{run.iteration}"
    if run.undo:
        return f"{key}/undo"
    return f"{key}/{run.fallback}" if run.fallback else key


def with_stand_in(step_id: str, step: AgentStep, fallback: int, result: StepResult) -> StepResult:
    """The result of an agent that took over, saying so in its basis."""
    basis = Basis(
        kind=BasisKind.RULE,
        id=f"{step_id}.fallbacks"[:120],
        row=label_of(agent_in_use(step, fallback)),
        values={"in_place_of": label_of(step.uses), "number": fallback},
    )
    return result.model_copy(update={"basis": (*result.basis, basis)})


def label_of(agent: AgentRef) -> str:
    """An agent version as `slug@number`."""
    return f"{agent.agent}@{agent.version}"
