"""What a limit is about, how its time is counted, how its amounts are written. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from orchestrator.agents.money import Money, format_money, parse_money
from orchestrator.core.budgets import LIMIT_ASKS, LIMIT_REACHED
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Basis, BasisKind, Failed


class Scope(StrEnum):
    """Whose calls a limit counts."""

    WORKSPACE = "workspace"
    WORKFLOW = "workflow"
    AGENT = "agent"


class Unit(StrEnum):
    """What a limit counts."""

    CALLS = "calls"
    MONEY = "money"
    TOKENS = "tokens"
    """What language models read and write."""
    PLACES = "places"
    """Calls at the same time: each takes a place and gives it back when it has ended."""


class Period(StrEnum):
    """After which time a limit begins anew; days and months are those of UTC."""

    DAY = "day"
    MONTH = "month"
    ALWAYS = "always"
    """Never: what places count is what is under way."""


class AtLimit(StrEnum):
    """What becomes of a step for whose call nothing is left."""

    STOP = "stop"
    ASK = "ask"
    WAIT = "wait"
    """Wait for a place, in the order in which places were asked for."""


AT_LIMIT_WORDS: Final[Mapping[AtLimit, str]] = {
    AtLimit.STOP: "fail the step",
    AtLimit.ASK: "wait and ask a person",
    AtLimit.WAIT: "wait for a place",
}
_TAKES_WORDS: Final[Mapping[Unit, str]] = {Unit.MONEY: "costs", Unit.TOKENS: "takes up to"}
MAX_AMOUNT: Final = 10**15
MAX_PLACES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Takes:
    """What a call takes: at most, before it is made; as it was, afterwards.

    `prices`: what it costs, one for each currency that it may be paid in.
    """

    prices: tuple[Money, ...] = ()
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class LimitFacts:
    """A limit as calls are held against it. `about` names what it counts, for messages."""

    id: UUID
    scope: Scope
    unit: Unit
    currency: str
    period: Period
    at_limit: AtLimit
    about: str
    amount: int
    threshold_percent: int
    workflow_id: UUID | None = None
    agent: str = ""

    def counts(self, workflow_id: UUID | None, agent: str) -> bool:
        """Whether a call of this agent for this workflow counts here."""
        match self.scope:
            case Scope.WORKSPACE:
                return True
            case Scope.WORKFLOW:
                return self.workflow_id == workflow_id
            case Scope.AGENT:
                return self.agent == agent

    def cost(self, takes: Takes) -> int:
        """What a call that takes this takes of it; 0: nothing, as of one in another currency.

        Places are taken in another way (`budgets.places`).
        """
        match self.unit:
            case Unit.CALLS:
                return 1
            case Unit.TOKENS:
                return takes.tokens
            case Unit.PLACES:
                return 0
            case Unit.MONEY:
                return sum(one.minor for one in takes.prices if one.currency == self.currency)


@dataclass(frozen=True, slots=True)
class Due:
    """What a call takes of a limit."""

    limit: LimitFacts
    amount: int


def period_start(period: Period, now: datetime) -> date:
    """The first day of the period that `now` is in; places have none."""
    today = now.astimezone(UTC).date()
    return today if period is Period.DAY else today.replace(day=1)


def period_end(period: Period, starts_on: date) -> date:
    """The day on which the next period begins."""
    if period is Period.DAY:
        return starts_on + timedelta(days=1)
    return (starts_on + timedelta(days=32)).replace(day=1)


def amount_words(unit: Unit, currency: str, amount: int) -> str:
    """`1,000 calls`, `EUR 250.00`, `20,000 tokens`, `3 places`."""
    if unit is Unit.MONEY:
        return format_money(Money(amount, currency))
    return f"{amount:,} {unit.value if amount != 1 else unit.value[:-1]}"


def plain_amount(unit: Unit, currency: str, amount: int) -> str:
    """As `amount_words`, without the unit: what a form shows."""
    if unit is Unit.MONEY:
        return format_money(Money(amount, currency)).partition(" ")[2].replace(",", "")
    return str(amount)


def read_amount(text: str, unit: Unit, currency: str) -> int:
    """An amount as a person writes it, in calls, tokens or minor units.

    Raises:
        ValueError: says what is wrong, for people.
    """
    if unit is Unit.MONEY:
        return parse_money(text, default_currency=currency).minor
    digits = text.strip().replace(",", "").replace(" ", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        raise ValueError(f"must be a whole number of {unit}")
    return int(digits)


def refusal(due: Due, amount: int, taken: int, starts_on: date) -> Failed:
    """The result of a call for which nothing is left.

    `amount` is the limit, `taken` what is used and reserved of it.
    """
    limit = due.limit
    allowed = amount_words(limit.unit, limit.currency, amount)
    gone = amount_words(limit.unit, limit.currency, taken)
    costs = amount_words(limit.unit, limit.currency, due.amount)
    verb = _TAKES_WORDS.get(limit.unit, "")
    wanted = f"; this call {verb} {costs}" if verb else ""
    until = period_end(limit.period, starts_on).isoformat()
    return Failed(
        kind=FailureKind.BUDGET,
        reason_code=LIMIT_ASKS if limit.at_limit is AtLimit.ASK else LIMIT_REACHED,
        reason=f"{limit.about} may use {allowed} per {limit.period}, and {gone} are used or "
        f"reserved{wanted}. It begins anew on {until}. An administrator of the workspace can "
        "raise the limit under Settings, Budgets.",
        basis=(
            Basis(
                kind=BasisKind.THRESHOLD,
                id=f"budget_limit/{limit.id}",
                values={"limit": amount, "taken": taken, "wanted": due.amount},
            ),
        ),
        retryable=False,
    )
