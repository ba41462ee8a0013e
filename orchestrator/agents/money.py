"""Exact money: reading amounts as people write them, and arithmetic in minor units.

No floating point number touches an amount. A division rounds half away from zero to a whole minor
unit, at the step that divides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.agents.base import (
    MONEY_REF,
    AgentContext,
    FunctionAgent,
    ParametersError,
    input_failed,
    parameters_failed,
    read_parameters,
)
from orchestrator.core.json import JsonObject, JsonValue, Model
from orchestrator.core.money import Money as Money
from orchestrator.core.money import exponent_of as exponent_of
from orchestrator.core.money import format_money as format_money
from orchestrator.core.money import money_of as money_of
from orchestrator.core.results import Basis, BasisKind, Refused, StepResult, Value

MAX_MINOR = 10**15
BASIS_POINTS = 10_000
_SYMBOLS = {
    "€": "EUR",
    "$": "USD",
    "£": "GBP",
    "¥": "JPY",
    "fr.": "CHF",
    "euro": "EUR",
    "zł": "PLN",
}
_CODE = re.compile(r"(?<![A-Za-z])([A-Z]{3})(?![A-Za-z])")
_NUMBER = re.compile(r"^[+]?\d[\d.,'\u2019 \u00a0\u202f]*$")
_NO_CENTS = re.compile(r"[.,](?:-{1,2}|\u2013|\u2014)$")


def parse_money(text: str, *, default_currency: str | None = None) -> Money:
    """Return the amount that `text` writes, such as `EUR 1.234,50`, `1,234.50 €`, `CHF 1'234.-`.

    A single separator followed by three digits groups thousands, unless the currency has three
    decimals; followed by fewer digits it is the decimal point.

    Raises:
        ValueError: says what is wrong, for people.
    """
    shown = " ".join(text.split())[:60]
    number, currency = _split_currency(" ".join(text.split()))
    currency = currency or default_currency
    if currency is None:
        raise ValueError(f"“{shown}” names no currency")
    number = _NO_CENTS.sub("", number.strip())
    if not _NUMBER.match(number):
        raise ValueError(f"“{shown}” is not an amount that can be read")
    exponent = exponent_of(currency)
    whole, decimals = _split_decimals(number.lstrip("+"), exponent, shown)
    if len(decimals) > exponent:
        raise ValueError(f"“{shown}” has more decimals than {currency} knows")
    minor = int(whole) * 10**exponent + int(decimals.ljust(exponent, "0") or "0")
    if minor > MAX_MINOR:
        raise ValueError(f"“{shown}” is beyond the largest amount that is handled")
    return Money(minor, currency)


def _split_currency(text: str) -> tuple[str, str | None]:
    match = _CODE.search(text)
    if match:
        return text[: match.start()] + text[match.end() :], match[1]
    folded = text.casefold()
    for symbol, code in _SYMBOLS.items():
        if symbol in folded:
            start = folded.index(symbol)
            return text[:start] + text[start + len(symbol) :], code
    return text, None


def _split_decimals(number: str, exponent: int, shown: str) -> tuple[str, str]:
    """The digits before and behind the decimal separator."""
    compact = re.sub(r"[ \u00a0\u202f'\u2019]", "", number).rstrip(".,")
    marks = [char for char in compact if char in ".,"]
    if not marks:
        return compact, ""
    mark = marks[-1]
    head, tail = compact[: compact.rindex(mark)], compact[compact.rindex(mark) + 1 :]
    is_decimal = marks.count(mark) == 1 and (len(tail) != 3 or exponent == 3)
    groups = head if is_decimal else compact
    _check_groups(groups, shown)
    return re.sub(r"[.,]", "", groups), tail if is_decimal else ""


def _check_groups(digits: str, shown: str) -> None:
    parts = re.split(r"[.,]", digits)
    separators = {char for char in digits if char in ".,"}
    if len(separators) > 1 or any(len(part) != 3 for part in parts[1:]) or len(parts[0]) > 15:
        raise ValueError(f"“{shown}” is not an amount that can be read")
    if len(parts) > 1 and not 1 <= len(parts[0]) <= 3:
        raise ValueError(f"“{shown}” is not an amount that can be read")


class Line(Model):
    """One line of a computation over named values of the input, in order.

    `start` begins with the amount; `cap` lowers the result to the amount; `add` and `subtract` do
    so; `reduce` takes off basis points (a number of the input, or `basis_points` here). An absent
    value breaks the contract, but for `optional` lines, which are then left out.
    """

    kind: Literal["start", "cap", "add", "subtract", "reduce"]
    value: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] | None = None
    label: Annotated[str, Field(min_length=1, max_length=120)]
    basis_points: Annotated[int, Field(ge=0, le=BASIS_POINTS)] | None = None
    optional: bool = False


class ComputeParameters(Model):
    """`total_label` names the result; `not_below_zero` keeps it at zero or above."""

    lines: Annotated[tuple[Line, ...], Field(min_length=1, max_length=50)]
    total_label: Annotated[str, Field(min_length=1, max_length=120)] = "Total"
    not_below_zero: bool = True


@dataclass(slots=True)
class _Computation:
    """The running amount, the lines shown to people, the figures for the audit log."""

    given: JsonObject
    running: Money | None
    lines: list[JsonValue]
    values: dict[str, int | str | bool]


class _StopError(Exception):
    def __init__(self, result: StepResult) -> None:
        super().__init__("computation stopped")
        self.result = result


def _compute(given: JsonObject, context: AgentContext) -> StepResult:
    try:
        parameters = read_parameters(ComputeParameters, context)
    except ParametersError as error:
        return parameters_failed(error)
    work = _Computation(given=given, running=None, lines=[], values={})
    try:
        for line in parameters.lines:
            _apply(work, line)
    except _StopError as stop:
        return stop.result
    if work.running is None:
        return input_failed("", "No line of the computation gave an amount.")
    total = work.running
    if total.minor < 0 and parameters.not_below_zero:
        _note(work, ("add", "Never below zero", "rule"), Money(-total.minor, total.currency))
        total = Money(0, total.currency)
    _note(work, ("total", parameters.total_label, "computed"), total)
    work.values["total_minor"] = total.minor
    work.values["currency"] = total.currency
    basis = Basis(kind=BasisKind.FORMULA, id="money.compute@1", values=work.values)
    return Value(output={"total": total.json(), "lines": work.lines}, score=1.0, basis=(basis,))


def _apply(work: _Computation, line: Line) -> None:
    if line.kind == "reduce":
        _reduce(work, line)
        return
    amount = _amount(work, line)
    if amount is None:
        return
    source = _source(work, line)
    if line.value:
        work.values[f"{line.value}_minor"] = amount.minor
    if work.running is None:
        work.running = amount if line.kind != "subtract" else Money(-amount.minor, amount.currency)
        kind = "subtract" if line.kind == "subtract" else "add"
        _note(work, (kind, line.label, source), amount)
        return
    running = work.running
    match line.kind:
        case "start":
            raise _StopError(input_failed("/parameters/lines", "Only the first line may start."))
        case "cap":
            over = running.minor - amount.minor
            if over <= 0:
                _note(work, ("note", f"{line.label}: not reached", source), amount)
                return
            label = f"{line.label}: what exceeds {format_money(amount)}"
            _note(work, ("subtract", label, source), Money(over, amount.currency))
            work.running = amount
        case "add":
            _note(work, ("add", line.label, source), amount)
            work.running = Money(running.minor + amount.minor, running.currency)
        case "subtract":
            _note(work, ("subtract", line.label, source), amount)
            work.running = Money(running.minor - amount.minor, running.currency)


def _reduce(work: _Computation, line: Line) -> None:
    points = line.basis_points
    if points is None and line.value:
        given = work.given.get(line.value)
        points = (
            int(given) if isinstance(given, (int, float)) and float(given).is_integer() else None
        )
    if points is None:
        if line.optional:
            return
        raise _StopError(
            input_failed(f"/{line.value}", "A whole number of basis points is needed.")
        )
    if work.running is None or not 0 <= points <= BASIS_POINTS:
        raise _StopError(
            input_failed(f"/{line.value}", "Basis points are 0 to 10,000, of an amount.")
        )
    work.values[f"{line.value or 'reduction'}_bp"] = points
    off = share_of(work.running.minor, points)
    whole, part = divmod(points, 100)
    percent = f"{whole}.{part:02d}".rstrip("0").rstrip(".")
    label = f"{line.label}: {percent} % of {format_money(work.running)}"
    currency = work.running.currency
    kind = "subtract" if off else "note"
    _note(work, (kind, label, _source(work, line)), Money(off, currency))
    work.running = Money(work.running.minor - off, currency)


def share_of(minor: int, basis_points: int) -> int:
    """`basis_points` of an amount, rounded half away from zero to a whole minor unit."""
    share = (2 * abs(minor) * basis_points + BASIS_POINTS) // (2 * BASIS_POINTS)
    return share if minor >= 0 else -share


def _amount(work: _Computation, line: Line) -> Money | None:
    name = line.value or ""
    given = work.given.get(name)
    if given is None:
        if line.optional:
            return None
        raise _StopError(
            input_failed(f"/{name}", f"“{line.label}” needs an amount; none was given.")
        )
    amount = money_of(given)
    if amount is None or abs(amount.minor) > MAX_MINOR:
        raise _StopError(input_failed(f"/{name}", f"“{line.label}” is not an amount of money."))
    if work.running is not None and amount.currency != work.running.currency:
        raise _StopError(
            Refused(
                policy="one currency per computation",
                reason_code="currencies_differ",
                reason=f"“{line.label}” is in {amount.currency}, the computation in "
                f"{work.running.currency}; amounts are never converted silently.",
                basis=(
                    Basis(
                        kind=BasisKind.RULE,
                        id="money.compute@1",
                        row="one currency",
                        values={"currency": work.running.currency, "other": amount.currency},
                    ),
                ),
            )
        )
    return amount


def _source(work: _Computation, line: Line) -> str:
    origins = work.given.get("origins")
    if line.value and isinstance(origins, Mapping) and isinstance(origins.get(line.value), str):
        return str(origins[line.value])
    return "parameter of the agent" if line.basis_points is not None else f"input {line.value}"


def _note(work: _Computation, line: tuple[str, str, str], amount: Money) -> None:
    """Show a line: kind, label and source, with its amount."""
    kind, label, source = line
    work.lines.append({"label": label, "amount": amount.json(), "source": source, "kind": kind})


COMPUTE = FunctionAgent(
    name="money.compute",
    title="Computation of an amount",
    summary="Adds, subtracts, caps and reduces amounts line by line, exactly, naming each source.",
    call=_compute,
    input_schema={
        "type": "object",
        "properties": {
            "origins": {
                "type": "object",
                "additionalProperties": {"type": "string", "maxLength": 300},
            }
        },
        "additionalProperties": {"anyOf": [MONEY_REF, {"type": "integer"}]},
    },
    output_schema={
        "type": "object",
        "properties": {
            "total": MONEY_REF,
            "lines": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "label": {"type": "string"},
                        "amount": MONEY_REF,
                        "source": {"type": "string"},
                        "kind": {"enum": ["add", "subtract", "total", "note"]},
                    },
                    "required": ["label", "amount", "source", "kind"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["total", "lines"],
        "additionalProperties": False,
    },
    parameters_schema=ComputeParameters.model_json_schema(),
)
