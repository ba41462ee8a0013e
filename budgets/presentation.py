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
AT_ONCE: Final = "calls at the same time"
_UNITS: Final[Mapping[str, Unit]] = {
    "calls": Unit.CALLS,
    "tokens": Unit.TOKENS,
    AT_ONCE: Unit.PLACES,
}
_AT_LIMIT: Final = {words: one for one, words in AT_LIMIT_WORDS.items() if one is not AtLimit.WAIT}
_AMOUNT: Final[JsonObject] = {
    "type": "string",
    "title": "Amount",
    "minLength": 1,
    "maxLength": 30,
    "description": "In calls or tokens, like 5,000, or money, like 250.00. With 0 nothing is "
    "called; of calls at the same time at least 1.",
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


PLACES_FORM: Final[JsonObject] = {
    "type": "object",
    "required": ["amount", "reason"],
    "properties": {
        "amount": {**_AMOUNT, "description": "So many calls may be under way at the same time."},
        "reason": _TERMS["reason"],
    },
    "additionalProperties": False,
}
"""The form of a limit of calls at the same time."""


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
        "required": ["about", "unit", "amount", "threshold_percent", "reason"],
        "properties": {
            "about": {"title": "Counts the calls of", "enum": about},
            "unit": {
                "title": "Counts",
                "enum": ["calls", "tokens", AT_ONCE, *CURRENCIES],
                "description": "Tokens are those that language models read and write. Money counts "
                "what agents and models declare that a call costs. Of calls at the same time those "
                "that find no place wait; they need no period.",
            },
            "period": {
                "title": "Begins anew every",
                "enum": [Period.DAY.value, Period.MONTH.value],
                "description": "At midnight UTC. All but calls at the same time need a choice "
                "here and below.",
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
    currency = value["unit"] if value["unit"] in CURRENCIES else ""
    unit = Unit.MONEY if currency else _UNITS[value["unit"]]
    if unit is not Unit.PLACES:
        for name in ("period", "at_limit"):
            if not value.get(name):
                raise _missing(name)
    return {
        "scope": scope,
        "target": "" if scope is Scope.WORKSPACE else slug,
        "unit": unit,
        "currency": currency,
        "period": Period.ALWAYS if unit is Unit.PLACES else Period(value["period"]),
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
    if unit is Unit.PLACES:
        return Terms(amount, at_limit=AtLimit.WAIT)
    return Terms(amount, value["threshold_percent"], _AT_LIMIT[value["at_limit"]])


def change_form(row: BudgetLimit) -> JsonObject:
    """The form of a limit's terms."""
    return PLACES_FORM if row.unit == Unit.PLACES else CHANGE_FORM


def value_of(row: BudgetLimit) -> JsonObject:
    """What the form of a limit's terms shows."""
    if row.unit == Unit.PLACES:
        return {"amount": str(row.amount)}
    return {
        "amount": plain_amount(Unit(row.unit), row.currency, row.amount),
        "threshold_percent": row.threshold_percent,
        "at_limit": AT_LIMIT_WORDS[AtLimit(row.at_limit)],
    }


def about(row: BudgetLimit) -> str:
    """What a limit counts the calls of: the name of its workflow, agent or workspace."""
    return str(row.workflow or row.agent or row.workspace)


def scope_words(row: BudgetLimit) -> str:
    """`agent · per month · in Claims`, `agent · at the same time · in Claims`."""
    when = "at the same time" if row.unit == Unit.PLACES else f"per {row.period}"
    place = "" if row.scope == Scope.WORKSPACE else f" · in {row.workspace}"
    return f"{'whole ' * (not place)}{row.scope} · {when}{place}"


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
        used=_under_way(usage) if row.unit == Unit.PLACES else words(usage.used),
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


def _under_way(usage: Usage) -> str:
    waiting = f", {usage.waiting:,} waiting" if usage.waiting else ""
    return f"{usage.reserved:,} in use{waiting}"


def _missing(name: str) -> InvalidInputError:
    violation: JsonObject = {"path": f"/{name}", "rule": "required", "reason": "is needed"}
    return InvalidInputError("Choose one.", detail={"violations": [violation]})


def _look(row: BudgetLimit, usage: Usage) -> tuple[str, str, str]:
    if row.ended_at is not None:
        return "idle", "retired", "Ended"
    if row.unit == Unit.PLACES:
        is_full = not usage.left
        return ("caution", "caution", "All in use") if is_full else ("good", "fits", "Has room")
    if not usage.left:
        return "bad", "misfit", "Nothing left"
    if usage.percent >= row.threshold_percent:
        return "caution", "caution", f"{usage.percent} % used"
    return "good", "fits", "Within"
