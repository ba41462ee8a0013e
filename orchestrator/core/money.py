"""An amount of money: minor units of a currency, and how it is written. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from orchestrator.core.json import JsonObject, JsonValue

_WITHOUT_DECIMALS: Final = re.compile(
    "BIF|CLP|DJF|GNF|ISK|JPY|KMF|KRW|PYG|RWF|UGX|VND|VUV|XAF|XOF|XPF"
)
_THREE_DECIMALS: Final = re.compile("BHD|IQD|JOD|KWD|LYD|OMR|TND")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of an ISO 4217 currency."""

    minor: int
    currency: str

    def json(self) -> JsonObject:
        """The form that payloads carry."""
        return {"minor": self.minor, "currency": self.currency}


def money_of(value: JsonValue) -> Money | None:
    """The amount that a payload carries, or None when it is none."""
    if isinstance(value, Mapping):
        minor, currency = value.get("minor"), value.get("currency")
        if isinstance(minor, float) and minor.is_integer():
            minor = int(minor)
        if isinstance(minor, int) and not isinstance(minor, bool) and isinstance(currency, str):
            return Money(minor, currency)
    return None


def exponent_of(currency: str) -> int:
    """Digits behind the decimal point (ISO 4217)."""
    if _WITHOUT_DECIMALS.fullmatch(currency):
        return 0
    return 3 if _THREE_DECIMALS.fullmatch(currency) else 2


def format_money(money: Money) -> str:
    """`EUR 1,234.50`, for texts."""
    exponent = exponent_of(money.currency)
    whole, part = divmod(abs(money.minor), 10**exponent)
    sign = "-" if money.minor < 0 else ""
    decimals = f".{part:0{exponent}d}" if exponent else ""
    return f"{money.currency} {sign}{whole:,}{decimals}"
