"""What a run may use: so many calls of agents, counted where they are begun.

A run has one planner, so the count is exact however many branches call at once. A call counts when
it is leased, whatever comes of it; so do further tries, the agents that take over and the items of
a list. A step that has no call left fails with kind `budget`: by its port `failed`, or by the
exception policy, which asks a person or ends the run. Who lets the step run again, or resumes the
run, allows as many calls again as the budget says.

Beside it stand the limits of a workspace, which count the calls of all its runs: the door refuses
what would pass one, before the call, and the refusal is a failure like this one. If such a limit
says that a person is asked (`asks`), one is, whatever the workflow does with failures.
"""

from __future__ import annotations

from orchestrator.core.definition import BudgetPolicy
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Basis, BasisKind, Failed

BUDGET_SPENT = "budget_spent"
LIMIT_REACHED = "limit_reached"
LIMIT_ASKS = "limit_asks"
"""Reason codes of calls that were refused because a workspace's limit is spent; the second asks."""


def spent(budget: BudgetPolicy | None, calls: int) -> Failed | None:
    """The failure of a step that would call although `calls` have been made; None: it may."""
    if budget is None or calls < budget.calls:
        return None
    basis = Basis(
        kind=BasisKind.THRESHOLD,
        id="policies.budget.calls",
        values={"calls": calls, "limit": budget.calls},
    )
    many = "the one call" if budget.calls == 1 else f"the {budget.calls:,} calls"
    return Failed(
        kind=FailureKind.BUDGET,
        reason_code=BUDGET_SPENT,
        reason=f"The run has used {many} of agents that its budget allows.",
        basis=(basis,),
        retryable=False,
    )


def asks(failed: Failed) -> bool:
    """Whether a person decides how a step goes on that was refused by a limit."""
    return failed.kind is FailureKind.BUDGET and failed.reason_code == LIMIT_ASKS
