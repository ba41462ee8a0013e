"""What a run may use: so many calls of agents, tokens and so much money, counted before each call.

A run has one planner, so the count is exact however many branches call at once. A call counts when
it is leased, whatever comes of it; so do further tries, the agents that take over and the items of
a list. It costs what its agent declares in the budget's currency, and nothing without that. What
it takes of language models is known only afterwards: at most that is reserved while it is under
way, and then what its result says counts, or all of it when nobody knows (`core/spending.py`).

A step for whose call nothing is left fails with kind `budget`: by its port `failed`, or by the
exception policy, which asks a person or ends the run. Who lets the step run again, or resumes the
run, allows as much again as the budget says.

Beside it stand the limits of a workspace, which count the calls of all its runs: the door refuses
what would pass one, before the call, and the refusal is a failure like this one. If such a limit
says that a person is asked (`asks`), one is, whatever the workflow does with failures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.core.catalogue import AgentInterface
from orchestrator.core.definition import BudgetPolicy, MoneyBudget
from orchestrator.core.json import JsonObject
from orchestrator.core.model_usage import TokenRates, Usage, reported, whole_minor
from orchestrator.core.money import Money, format_money
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Basis, BasisKind, Failed, StepResult

BUDGET_SPENT = "budget_spent"
LIMIT_REACHED = "limit_reached"
LIMIT_ASKS = "limit_asks"
"""Reason codes of calls that were refused because a workspace's limit is spent; the second asks."""
NOTHING = Usage(tokens=0, money=0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a call takes of a budget: its declared `price`, and `models` at most (None: none)."""

    price: int = 0
    models: Usage | None = None

    @property
    def tokens(self) -> int:
        """The tokens that it takes at most."""
        return 0 if self.models is None else self.models.tokens

    @property
    def money(self) -> int:
        """What it costs at most, in minor units."""
        return self.price + (0 if self.models is None else self.models.money)


def price_of(budget: BudgetPolicy | None, called: AgentInterface) -> int:
    """What a call takes of the budget's money for sure, in minor units."""
    money = None if budget is None else budget.money
    price = called.price
    if money is None or price is None or price.currency != money.currency:
        return 0
    return price.minor


def wanted_by(
    budget: BudgetPolicy,
    called: AgentInterface,
    given: JsonObject,
    rates: Mapping[str, TokenRates],
) -> Wanted:
    """What a call with this input takes of the budget at most; `rates` of tokens by route."""
    price, terms = price_of(budget, called), called.models
    if terms is None or (budget.tokens is None and budget.money is None):
        return Wanted(price)
    reads, writes = terms.most(given)
    rate = None if budget.money is None else rates.get(terms.route)
    return Wanted(
        price,
        Usage(
            tokens=0 if budget.tokens is None else reads + writes,
            money=0 if rate is None else rate.cost(reads, writes),
        ),
    )


def took(budget: BudgetPolicy, result: StepResult) -> Usage | None:
    """What models took of the budget, as the result of a call says; None: nobody knows."""
    said = reported(result)
    if said is None:
        return None
    is_paid = budget.money is not None and budget.money.currency == said.currency
    return Usage(
        tokens=0 if budget.tokens is None else said.tokens,
        money=whole_minor(said.cost) if is_paid else 0,
    )


def spent(
    budget: BudgetPolicy | None, calls: int, wanted: Wanted, *, used: Usage = NOTHING
) -> Failed | None:
    """The failure of a step for whose call nothing is left; None: it may call.

    `calls` have been made and have taken what is `used`; one more takes at most what is `wanted`.
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
    if budget.tokens is not None and wanted.tokens and used.tokens + wanted.tokens > budget.tokens:
        return _failed(
            "policies.budget.tokens",
            {"used": used.tokens, "limit": budget.tokens, "wanted": wanted.tokens},
            f"The calls of the run have used {used.tokens:,} of the {budget.tokens:,} tokens that "
            f"its budget allows; this one may take {wanted.tokens:,}.",
        )
    return _too_dear(budget.money, wanted, used)


def _too_dear(money: MoneyBudget | None, wanted: Wanted, used: Usage) -> Failed | None:
    if money is None or not wanted.money or used.money + wanted.money <= money.minor:
        return None
    costs = "may cost" if wanted.models is not None and wanted.models.money else "costs"
    return _failed(
        "policies.budget.money",
        {"used_minor": used.money, "limit_minor": money.minor, "price_minor": wanted.money},
        f"The calls of the run have cost {_words(money, used.money)} of the "
        f"{_words(money, money.minor)} that its budget allows; this one {costs} "
        f"{_words(money, wanted.money)}.",
    )


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
