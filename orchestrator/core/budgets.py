"""What a run may use: so many calls of agents, counted where they are begun.

A run has one planner, so the count is exact however many branches call at once. A call counts when
it is leased, whatever comes of it; so do further tries, the agents that take over and the items of
a list. A step that has no call left fails with kind `budget`: by its port `failed`, or by the
exception policy, which asks a person or ends the run. Who lets the step run again, or resumes the
run, allows as many calls again as the budget says.
"""

from __future__ import annotations

from orchestrator.core.definition import BudgetPolicy
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Basis, BasisKind, Failed

BUDGET_SPENT = "budget_spent"


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
