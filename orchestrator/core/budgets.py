"""What a run may use: so many calls of agents, so much money, counted where calls are begun.

A run has one planner, so the count is exact however many branches call at once. A call counts when
it is leased, whatever comes of it; so do further tries, the agents that take over and the items of
a list. It costs what its agent declares in the budget's currency, and nothing without that. A step
for whose call nothing is left fails with kind `budget`: by its port `failed`, or by the
exception policy, which asks a person or ends the run. Who lets the step run again, or resumes the
run, allows as much again as the budget says.

Beside it stand the limits of a workspace, which count the calls of all its runs: the door refuses
what would pass one, before the call, and the refusal is a failure like this one. If such a limit
says that a person is asked (`asks`), one is, whatever the workflow does with failures.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.core.catalogue import AgentInterface
from orchestrator.core.definition import BudgetPolicy, MoneyBudget
from orchestrator.core.money import Money, format_money
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Basis, BasisKind, Failed

BUDGET_SPENT = "budget_spent"
LIMIT_REACHED = "limit_reached"
LIMIT_ASKS = "limit_asks"
"""Reason codes of calls that were refused because a workspace's limit is spent; the second asks."""


def price_of(budget: BudgetPolicy | None, called: AgentInterface) -> int:
    """What a call takes of the budget's money, in minor units."""
    money = None if budget is None else budget.money
    price = called.price
    if money is None or price is None or price.currency != money.currency:
        return 0
    return price.minor


def spent(
    budget: BudgetPolicy | None, calls: int, *, money: int = 0, price: int = 0
) -> Failed | None:
    """The failure of a step for whose call nothing is left; None: it may call.

    `calls` have been made and have cost `money`; one more would cost `price`.
    """
    if budget is None:
        return None
    if budget.calls is not None and calls >= budget.calls:
        many = "the one call" if budget.calls == 1 else f"the {budget.calls:,} calls"
        return _failed(
            "policies.budget.calls",
            {"calls": calls, "limit": budget.calls},
            f"The run has used {many} of agents that its budget allows.",
        )
    if budget.money is not None and price and money + price > budget.money.minor:
        return _failed(
            "policies.budget.money",
            {"used_minor": money, "limit_minor": budget.money.minor, "price_minor": price},
            f"The calls of the run have cost {_words(budget.money, money)} of the "
            f"{_words(budget.money, budget.money.minor)} that its budget allows; this one costs "
            f"{_words(budget.money, price)}.",
        )
    return None


def asks(failed: Failed) -> bool:
    """Whether a person decides how a step goes on that was refused by a limit."""
    return failed.kind is FailureKind.BUDGET and failed.reason_code == LIMIT_ASKS


def _words(money: MoneyBudget, minor: int) -> str:
    return format_money(Money(minor, money.currency))


def _failed(place: str, values: Mapping[str, int], reason: str) -> Failed:
    basis = Basis(kind=BasisKind.THRESHOLD, id=place, values=dict(values))
    return Failed(
        kind=FailureKind.BUDGET,
        reason_code=BUDGET_SPENT,
        reason=reason,
        basis=(basis,),
        retryable=False,
    )
