"""Limits in words: forms, rows and what an amount is shown as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from budgets.limits import (
    AT_LIMIT_WORDS,
    AtLimit,
    Period,
    Scope,
    Unit,
    amount_words,
    plain_amount,
    read_amount,
)
from budgets.models import BudgetEntry, BudgetLimit
from budgets.selectors import Usage
from budgets.services import Terms
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import JsonObject, JsonValue

WHOLE: Final = "the whole workspace"
CURRENCIES: Final[tuple[JsonValue, ...]] = ("EUR", "USD", "GBP", "CHF", "JPY")
KIND_WORDS: Final[Mapping[str, str]] = {
    "reserved": "Reserved",
    "settled": "Used",
    "released": "Given back",
    "lost": "Counted as used: nobody knows",
}
_AT_LIMIT: Final = {words: one for one, words in AT_LIMIT_WORDS.items()}
_AMOUNT: Final[JsonObject] = {
    "type": "string",
    "title": "Amount",
    "minLength": 1,
    "maxLength": 30,
    "description": "In calls, like 5,000, or in money, like 250.00. With 0 nothing is called.",
}
_TERMS: Final[JsonObject] = {
    "threshold_percent": {
        "type": "integer",
        "title": "Warn at (percent)",
        "minimum": 1,
        "maximum": 100,
        "default": 80,
    },
    "at_limit": {
        "title": "When nothing is left",
        "enum": list(_AT_LIMIT),
        "description": "A person who is asked lets the step go on once the limit was raised.",
    },
    "reason": {
        "type": "string",
        "title": "Why",
        "minLength": 1,
        "maxLength": 2_000,
        "description": "Stands in the audit log.",
    },
}
CHANGE_FORM: Final[JsonObject] = {
    "type": "object",
    "required": ["amount", "threshold_percent", "at_limit", "reason"],
    "properties": {"amount": _AMOUNT, **_TERMS},
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """How a limit stands, in words. `used_x` and `reserved_x` are percent of its bar."""

    usage: Usage
    amount: str
    used: str
    reserved: str
    left: str
    used_x: float
    reserved_x: float
    tone: str
    shape: str
    word: str


def new_form(workflows: Iterable[str], agents: Iterable[str]) -> JsonObject:
    """What a new limit asks for; slugs of what it may be about."""
    about: list[JsonValue] = [
        WHOLE,
        *(f"workflow {one}" for one in workflows),
        *(f"agent {one}" for one in agents),
    ]
    return {
        "type": "object",
        "required": ["about", "unit", "period", *CHANGE_FORM["required"]],  # type: ignore[misc]  # a list, above
        "properties": {
            "about": {"title": "Counts the calls of", "enum": about},
            "unit": {
                "title": "Counts",
                "enum": ["calls", *CURRENCIES],
                "description": "Money counts what agents declare that a call costs.",
            },
            "period": {
                "title": "Begins anew every",
                "enum": [one.value for one in Period],
                "description": "At midnight UTC.",
            },
            "amount": _AMOUNT,
            **_TERMS,
        },
        "additionalProperties": False,
    }


def asked_for(value: Mapping[str, Any]) -> dict[str, Any]:
    """What the form of a new limit asks the service for.

    Raises:
        InvalidInputError: the amount cannot be read.
    """
    kind, _, slug = value["about"].partition(" ")
    scope = Scope.WORKSPACE if value["about"] == WHOLE else Scope(kind)
    is_money = value["unit"] != "calls"
    unit, currency = (Unit.MONEY, value["unit"]) if is_money else (Unit.CALLS, "")
    return {
        "scope": scope,
        "target": "" if scope is Scope.WORKSPACE else slug,
        "unit": unit,
        "currency": currency,
        "period": Period(value["period"]),
        "terms": terms_of(value, unit, currency),
        "reason": value["reason"],
    }


def terms_of(value: Mapping[str, Any], unit: Unit, currency: str) -> Terms:
    """The terms that a form asks for.

    Raises:
        InvalidInputError: the amount cannot be read.
    """
    try:
        amount = read_amount(value["amount"], unit, currency)
    except ValueError as error:
        violation: JsonObject = {"path": "/amount", "rule": "invalid", "reason": str(error)}
        raise InvalidInputError(str(error), detail={"violations": [violation]}) from None
    return Terms(amount, value["threshold_percent"], _AT_LIMIT[value["at_limit"]])


def value_of(row: BudgetLimit) -> JsonObject:
    """What the form of a limit's terms shows."""
    return {
        "amount": plain_amount(Unit(row.unit), row.currency, row.amount),
        "threshold_percent": row.threshold_percent,
        "at_limit": AT_LIMIT_WORDS[AtLimit(row.at_limit)],
    }


def about(row: BudgetLimit) -> str:
    """What a limit counts the calls of: the name of its workflow, agent or workspace."""
    return str(row.workflow or row.agent or row.workspace)


def scope_words(row: BudgetLimit) -> str:
    """`agent · per month · in Claims`."""
    place = "" if row.scope == Scope.WORKSPACE else f" · in {row.workspace}"
    return f"{'whole ' * (not place)}{row.scope} · per {row.period}{place}"


def shown(row: BudgetLimit, usage: Usage) -> Shown:
    """A period of a limit as pages show it."""
    whole = max(usage.amount, 1)
    used_x = min(100.0, usage.used * 100 / whole)
    tone, shape, word = _look(row, usage)

    def words(amount: int) -> str:
        return amount_words(Unit(row.unit), row.currency, amount)

    return Shown(
        usage=usage,
        amount=words(usage.amount),
        used=words(usage.used),
        reserved=words(usage.reserved),
        left=words(usage.left),
        used_x=used_x,
        reserved_x=min(100.0 - used_x, usage.reserved * 100 / whole),
        tone=tone,
        shape=shape,
        word=word,
    )


def entry_words(entry: BudgetEntry, row: BudgetLimit) -> tuple[str, str]:
    """What a line of the ledger says: its kind and its amount."""
    return KIND_WORDS[entry.kind], amount_words(Unit(row.unit), row.currency, entry.amount)


def _look(row: BudgetLimit, usage: Usage) -> tuple[str, str, str]:
    if row.ended_at is not None:
        return "idle", "retired", "Ended"
    if not usage.left:
        return "bad", "misfit", "Nothing left"
    if usage.percent >= row.threshold_percent:
        return "caution", "caution", f"{usage.percent} % used"
    return "good", "fits", "Within"
