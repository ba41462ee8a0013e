"""A result that a person gives in an agent's place: where that is possible, and what it becomes.

An agent's result may be given while the step waits, for a person (an exception) or for its next
try, and in a failed run wherever the run may be resumed. It counts as the next iteration of the
step, so that what the agent had answered stays beside it; the input stays the same. The value is
judged by the agent's output contract and names the person in its basis. A gate's decision is never
given this way: it is the reviewers'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from orchestrator.core.compilation import CompiledWorkflow
from orchestrator.core.definition import is_member
from orchestrator.core.json import JsonObject
from orchestrator.core.results import Basis, BasisKind, StepResult, Value
from orchestrator.core.state import (
    RunState,
    RunStatus,
    StepRunState,
    StepStatus,
    next_iteration,
)

GIVEN: Final = "given"
"""The row that the basis of a given result names."""
WAITS_FOR: Final = frozenset({"exception", "retry"})
"""What a step waits for while its result may be given."""


def takes_result(workflow: CompiledWorkflow, step_id: str) -> bool:
    """Whether a person may ever give this step's result: an agent's, with a way on for it."""
    compiled = workflow.step(step_id)
    leads_on = "next" in compiled.by_port or "next" in compiled.back or is_member(step_id)
    return compiled.output_contract is not None and leads_on


def waits_for_result(workflow: CompiledWorkflow, state: RunState, step_id: str) -> bool:
    """Whether a person may give this step's result in a run that is going on."""
    run = state.steps[step_id]
    return (
        state.status in {RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED}
        and run.status is StepStatus.WAITING
        and run.waiting_for in WAITS_FOR
        and takes_result(workflow, step_id)
    )


def given_value(step_id: str, output: JsonObject, *, reason: str | None, actor: str) -> Value:
    """The result that a person gives, in his name."""
    basis = Basis(kind=BasisKind.PERSON, id=step_id, row=GIVEN, values={"actor": actor[:120]})
    return Value.model_construct(basis=(basis,), output=output, reason=reason or None)


def giver_of(result: StepResult | None) -> str | None:
    """The id of the person who gave the result in an agent's place; None when nobody did."""
    return next((_giver(one) for one in result.basis if _is_given(one)), None) if result else None


def giver_of_basis(stored: Iterable[Mapping[str, Any]]) -> str | None:
    """As `giver_of`, of a basis as it is stored."""
    found = (Basis.model_validate(one) for one in stored if one.get("row") == GIVEN)
    return next((_giver(one) for one in found if _is_given(one)), None)


def iteration_given(run: StepRunState) -> dict[str, Any]:
    """The changes with which the given result's own iteration begins; the input stays."""
    return next_iteration(run, override=run.input_override) | {"input": run.input}


def _is_given(one: Basis) -> bool:
    return one.kind is BasisKind.PERSON and one.row == GIVEN


def _giver(one: Basis) -> str:
    return str(one.values.get("actor", ""))
