"""Dates as people write them, and exact arithmetic with them."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Literal

from pydantic import Field

from orchestrator.agents.base import (
    DATE_REF,
    AgentContext,
    FunctionAgent,
    ParametersError,
    input_failed,
    parameters_failed,
    read_parameters,
)
from orchestrator.core.json import JsonObject, Model
from orchestrator.core.results import Basis, BasisKind, StepResult, Value

DateOrder = Literal["dmy", "mdy"]

_MONTHS = (
    "january januar janvier jan jänner;february februar février feb fev févr;"
    "march märz mars mar mrz maerz;april avril apr avr;may mai;june juni juin jun;"
    "july juli juillet jul juil;august août aug aout;september septembre sept sep;"
    "october oktober octobre oct okt;november novembre nov;december dezember décembre dec dez déc"
)
_MONTH_OF = {
    word: number for number, words in enumerate(_MONTHS.split(";"), 1) for word in words.split()
}
_WEEKDAY = re.compile(
    r"^(?:mon|tue|wed|thu|fri|sat|sun|mo|di|mi|do|fr|sa|so)[a-z]*\.?,?\s+", re.IGNORECASE
)
_ISO = re.compile(r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})$")
_NUMERIC = re.compile(r"^(\d{1,2})\s?[-/.]\s?(\d{1,2})\s?[-/.]\s?(\d{4}|\d{2})$")
_DAY_FIRST = re.compile(
    r"^(\d{1,2})(?:st|nd|rd|th|\.)?[\s-]+(?:of\s+)?([^\W\d_]+)\.?,?[\s-]+(\d{4})$"
)
_MONTH_FIRST = re.compile(r"^([^\W\d_]+)\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})$")
_TIME = re.compile(
    r"[,\sT]+(?:at\s+|um\s+)?\d{1,2}[:.]\d{2}(?::\d{2})?\s*(?:h|uhr|am|pm|z)?$", re.I
)


def parse_date(text: str, *, order: DateOrder = "dmy") -> date:
    """Return the date that `text` names; a time of day behind it is left out.

    Two-digit years are 2000 to 2099. `order` decides numeric dates that can be read both ways.

    Raises:
        ValueError: says what is wrong, for people.
    """
    cleaned = _TIME.sub("", _WEEKDAY.sub("", " ".join(text.split()))).strip(" .,")
    parts = _parts(cleaned, order)
    if parts is None:
        raise ValueError(f"“{text[:60]}” is not a date that can be read")
    year, month, day = parts
    if year < 100:
        year += 2_000
    try:
        return date(year, month, day)
    except ValueError:
        raise ValueError(f"“{text[:60]}” is not a day of the calendar") from None


def _parts(text: str, order: DateOrder) -> tuple[int, int, int] | None:
    if match := _ISO.match(text):
        return int(match[1]), int(match[2]), int(match[3])
    if match := _NUMERIC.match(text):
        first, second, year = int(match[1]), int(match[2]), int(match[3])
        month_first = order == "mdy"
        if first > 12 >= second:
            month_first = False
        elif second > 12 >= first:
            month_first = True
        return (year, first, second) if month_first else (year, second, first)
    if match := _DAY_FIRST.match(text):
        return _with_month(match[3], match[2], match[1])
    if match := _MONTH_FIRST.match(text):
        return _with_month(match[3], match[1], match[2])
    return None


def _with_month(year: str, word: str, day: str) -> tuple[int, int, int] | None:
    month = _MONTH_OF.get(word.casefold())
    return None if month is None else (int(year), month, int(day))


class BetweenParameters(Model):
    """`calendar`: every day counts, or Monday to Friday without `holidays`."""

    calendar: Literal["days", "working_days"] = "days"
    holidays: tuple[date, ...] = ()
    limit_days: int | None = Field(default=None, ge=0, le=36_500)


def days_between(
    first: date, second: date, *, working: bool = False, holidays: frozenset[date] = frozenset()
) -> int:
    """Days from `first` (not counted) to `second` (counted); negative when `second` is earlier."""
    if not working:
        return (second - first).days
    if second < first:
        return -days_between(second, first, working=True, holidays=holidays)
    return sum(
        1
        for offset in range(1, (second - first).days + 1)
        if is_working_day(first + timedelta(days=offset), holidays)
    )


def is_working_day(day: date, holidays: frozenset[date] = frozenset()) -> bool:
    """Whether the day is Monday to Friday and no holiday."""
    return day.weekday() < 5 and day not in holidays


def _between(given: JsonObject, context: AgentContext) -> StepResult:
    try:
        parameters = read_parameters(BetweenParameters, context)
    except ParametersError as error:
        return parameters_failed(error)
    ends: list[date] = []
    for name in ("from", "to"):
        try:
            ends.append(date.fromisoformat(str(given.get(name, context.today.isoformat()))))
        except ValueError:
            return input_failed(f"/{name}", f"“{given.get(name)}” is not a date.")
    if abs((ends[1] - ends[0]).days) > 36_525:
        return input_failed("/to", "The two dates are more than a hundred years apart.")
    days = days_between(
        *ends,
        working=parameters.calendar == "working_days",
        holidays=frozenset(parameters.holidays),
    )
    values: dict[str, int | str | bool] = {"days": days}
    output: JsonObject = {"days": days}
    if parameters.limit_days is not None:
        values["limit_days"] = parameters.limit_days
        output["within_limit"] = values["within_limit"] = days <= parameters.limit_days
    basis = Basis(kind=BasisKind.FORMULA, id="dates.between@1", values=values)
    return Value(output=output, score=1.0, basis=(basis,))


BETWEEN = FunctionAgent(
    name="dates.between",
    title="Days between two dates",
    summary="Counts days or working days between two dates and compares them with a limit.",
    call=_between,
    input_schema={
        "type": "object",
        "properties": {"from": DATE_REF, "to": DATE_REF},
        "required": ["from"],
        "additionalProperties": False,
    },
    output_schema={
        "type": "object",
        "properties": {"days": {"type": "integer"}, "within_limit": {"type": "boolean"}},
        "required": ["days"],
        "additionalProperties": False,
    },
    parameters_schema=BetweenParameters.model_json_schema(),
)
