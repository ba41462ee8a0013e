"""Weighs signals about one case against a history of earlier ones, with robust statistics.

The history is a CSV file that the agent version names; which columns mean what, which signals are
looked at and what each weighs are parameters. Signals:

* `outlier`: distance of an amount from the median of its group in median absolute deviations, on
  logarithms (Iglewicz and Hoaglin, 1993: modified z-score 0.6745 (x - median) / MAD). A floor keeps
  the deviation from vanishing; a group that is too small falls back to the whole history.
* `similar_text`: trigram likeness to the nearest earlier text.
* `repeats`: earlier cases with the same values, within a number of days.
* `delay`: days between two dates of the case.

The score is the sum of the weights of the signals that fired, at most 100. All comparisons are made
in integers (thousandths, parts per million), which are also what the basis records.
"""

from __future__ import annotations

import csv
import io
import math
import statistics as stats
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.agents.base import (
    STORED_FILES,
    AgentContext,
    ArtefactFile,
    ArtefactMissingError,
    FunctionAgent,
    ParametersError,
    artefact_of,
    parameters_failed,
    read_parameters,
)
from orchestrator.agents.money import Money, format_money, money_of
from orchestrator.agents.similarity import Trigrams, nearest, trigrams
from orchestrator.core.json import JsonObject, JsonValue, Model
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import (
    Basis,
    BasisKind,
    Failed,
    NotFound,
    StepResult,
    Uncertain,
    Value,
)

MAX_ROWS = 200_000
MAX_HISTORIES = 8
PPM = 1_000_000
CONSISTENCY_PPM = 674_500
"""0.6745: makes the median absolute deviation comparable to a standard deviation."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
Label = Annotated[str, Field(min_length=1, max_length=120)]
Weight = Annotated[int, Field(ge=0, le=100)]


class Match(Model):
    """A field of the case and the column of the history that it is compared with."""

    field: Name
    column: Name


class SignalBase(Model):
    """`id` names the signal in the basis, `label` names it for people."""

    id: Name
    label: Label
    weight: Weight


class OutlierSignal(SignalBase):
    """The amount lies `threshold_milli` thousandths of a deviation away from its group."""

    kind: Literal["outlier"] = "outlier"
    value: Match
    group: tuple[Match, ...] = ()
    threshold_milli: Annotated[int, Field(ge=500, le=100_000)] = 3_500
    side: Literal["high", "low", "both"] = "high"
    floor_ppm: Annotated[int, Field(ge=1, le=PPM)] = 50_000


class SimilarTextSignal(SignalBase):
    """An earlier text is at least `threshold_percent` alike; `show`: columns to tell of it."""

    kind: Literal["similar_text"] = "similar_text"
    value: Match
    threshold_percent: Annotated[int, Field(ge=1, le=100)] = 85
    minimum_characters: Annotated[int, Field(ge=1, le=1_000)] = 30
    show: tuple[Name, ...] = ()


class RepeatsSignal(SignalBase):
    """At least `at_least` earlier cases have the same values within `within_days` before `when`."""

    kind: Literal["repeats"] = "repeats"
    match: Annotated[tuple[Match, ...], Field(min_length=1)]
    when: Match
    within_days: Annotated[int, Field(ge=1, le=3_660)] = 365
    at_least: Annotated[int, Field(ge=1, le=1_000)] = 3


class DelaySignal(SignalBase):
    """More than `more_than_days` lie between two dates of the case."""

    kind: Literal["delay"] = "delay"
    start: Name
    end: Name
    more_than_days: Annotated[int, Field(ge=0, le=3_660)]


Signal = Annotated[
    OutlierSignal | SimilarTextSignal | RepeatsSignal | DelaySignal, Field(discriminator="kind")
]


class ScoreParameters(Model):
    """A score from `threshold` on is suspicious, one from `doubt` on is uncertain when given."""

    history: JsonObject
    signals: Annotated[tuple[Signal, ...], Field(min_length=1, max_length=50)]
    threshold: Annotated[int, Field(ge=1, le=100)] = 50
    doubt: Annotated[int, Field(ge=1, le=100)] | None = None
    minimum_rows: Annotated[int, Field(ge=1, le=MAX_ROWS)] = 30


@dataclass(slots=True)
class History:
    """The rows of a history file, with what was computed of them once."""

    rows: tuple[Mapping[str, str], ...]
    texts: dict[str, tuple[tuple[str, Trigrams], ...]] = field(default_factory=dict)

    def texts_of(self, column: str) -> tuple[tuple[str, Trigrams], ...]:
        """Row number as text, and trigrams, of a column."""
        if column not in self.texts:
            self.texts[column] = tuple(
                (str(number), trigrams(row.get(column, ""))) for number, row in enumerate(self.rows)
            )
        return self.texts[column]


class HistoryError(ValueError):
    """The history file cannot be used."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one signal says. `fired` is None when the case lacks what it needs."""

    fired: bool | None
    detail: str
    values: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and median absolute deviation of logarithms, in parts per million."""

    median_ppm: int
    deviation_ppm: int
    count: int


def spread_of(amounts: Sequence[int], *, floor_ppm: int = 50_000) -> Spread:
    """Median and MAD of the natural logarithms of positive integers.

    Raises:
        ValueError: there is no positive amount.
    """
    logs = [math.log(amount) for amount in amounts if amount > 0]
    if not logs:
        raise ValueError("no positive amounts")
    middle = stats.median(logs)
    deviation = stats.median(abs(value - middle) for value in logs)
    return Spread(round(middle * PPM), max(round(deviation * PPM), floor_ppm), len(logs))


def distance_milli(amount: int, spread: Spread) -> int:
    """Modified z-score of a positive amount in thousandths."""
    off = round(math.log(amount) * PPM) - spread.median_ppm
    return round(off * CONSISTENCY_PPM / spread.deviation_ppm / 1_000)


def read_history(content: bytes) -> History:
    """Parse a CSV file with a header.

    Raises:
        HistoryError: it is no CSV text, has no rows, or too many.
    """
    try:
        text = content.decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text), restval="", strict=True)
        rows: list[Mapping[str, str]] = []
        for row in reader:
            if len(rows) >= MAX_ROWS:
                raise HistoryError(f"The history has more than {MAX_ROWS} rows.")
            rows.append({str(key): str(value) for key, value in row.items() if key is not None})
    except (UnicodeDecodeError, csv.Error) as error:
        raise HistoryError(f"The history is not a CSV file that can be read: {error}.") from None
    return History(tuple(rows))


_histories: dict[str, History] = {}


def _history_of(file: ArtefactFile) -> History:
    """Parsed histories are kept by content; two threads may both parse one, harmlessly."""
    known = _histories.get(file.sha256)
    if known is None:
        known = read_history(file.content)
        if len(_histories) >= MAX_HISTORIES:
            _histories.pop(next(iter(_histories)), None)
        _histories[file.sha256] = known
    return known


def _score(given: JsonObject, context: AgentContext) -> StepResult:
    try:
        parameters = read_parameters(ScoreParameters, context)
        history = _history_of(context.open_artefact(artefact_of(parameters.history) or ""))
    except ParametersError as error:
        return parameters_failed(error)
    except (ArtefactMissingError, HistoryError) as error:
        return Failed(
            kind=FailureKind.AGENT_ERROR,
            reason_code="history_unusable",
            reason=f"The history that this agent version names cannot be used: {error}",
            retryable=False,
        )
    if len(history.rows) < parameters.minimum_rows:
        return NotFound(
            reason_code="history_too_small",
            reason=f"The history has {len(history.rows)} cases; {parameters.minimum_rows} are "
            "needed for a comparison that means anything.",
        )
    readings = [
        (signal, _read(signal, given, history, parameters)) for signal in parameters.signals
    ]
    return _judged(readings, parameters, len(history.rows))


def _read(
    signal: Signal, given: JsonObject, history: History, parameters: ScoreParameters
) -> Reading:
    match signal:
        case OutlierSignal():
            return _outlier(signal, given, history, parameters.minimum_rows)
        case SimilarTextSignal():
            return _similar_text(signal, given, history)
        case RepeatsSignal():
            return _repeats(signal, given, history)
        case DelaySignal():
            return _delay(signal, given)


def _outlier(signal: OutlierSignal, given: JsonObject, history: History, minimum: int) -> Reading:
    stated = given.get(signal.value.field)
    money = money_of(stated)
    amount = money.minor if money else stated
    if not isinstance(amount, (int, float)) or isinstance(amount, bool) or amount <= 0:
        return Reading(None, f"The case states no {signal.value.field} to compare.", {})
    group = [row for row in history.rows if _matches(row, signal.group, given)]
    amounts = _integers(group, signal.value.column)
    whole = len(amounts) < minimum
    if whole:
        amounts = _integers(history.rows, signal.value.column)
    if len(amounts) < minimum:
        return Reading(None, f"Only {len(amounts)} earlier amounts are known.", {})
    spread = spread_of(amounts, floor_ppm=signal.floor_ppm)
    distance = distance_milli(int(amount), spread)
    reach = {"high": distance, "low": -distance, "both": abs(distance)}[signal.side]
    median = round(stats.median(amounts))
    shown = format_money(Money(median, money.currency)) if money else str(median)
    times = int(amount) * 10 // max(median, 1)
    return Reading(
        fired=reach >= signal.threshold_milli,
        detail=f"{times // 10}.{times % 10} times the median {shown} of {len(amounts)} earlier "
        + ("cases" if whole else "cases of its group")
        + f"; {distance / 1_000:.1f} deviations; limit {signal.threshold_milli / 1_000:.1f}.",
        values={
            "amount": int(amount),
            "median": median,
            "deviation_ppm": spread.deviation_ppm,
            "distance_milli": distance,
            "threshold_milli": signal.threshold_milli,
            "rows": len(amounts),
        },
    )


def _similar_text(signal: SimilarTextSignal, given: JsonObject, history: History) -> Reading:
    text = given.get(signal.value.field)
    if not isinstance(text, str) or len(text) < signal.minimum_characters:
        return Reading(None, f"The case's {signal.value.field} is too short to compare.", {})
    found = nearest(trigrams(text), history.texts_of(signal.value.column))
    if found is None:
        return Reading(None, "There is no earlier text.", {})
    row, ppm = history.rows[int(found[0])], found[1]
    percent = ppm // 10_000
    told = ", ".join(f"{name} {row.get(name, '')}" for name in signal.show)
    return Reading(
        fired=percent >= signal.threshold_percent,
        detail=f"{percent} % alike to the nearest earlier text"
        + (f" ({told})" if told else "")
        + f"; {signal.threshold_percent} % is the limit.",
        values={"likeness_ppm": ppm, "threshold_ppm": signal.threshold_percent * 10_000},
    )


def _repeats(signal: RepeatsSignal, given: JsonObject, history: History) -> Reading:
    day = _day(given.get(signal.when.field))
    if day is None or any(not given.get(match.field) for match in signal.match):
        return Reading(None, "The case lacks what earlier cases would be matched by.", {})
    count = 0
    for row in history.rows:
        earlier = _day(row.get(signal.when.column))
        if earlier is None or not 0 <= (day - earlier).days <= signal.within_days:
            continue
        count += _matches(row, signal.match, given)
    return Reading(
        fired=count >= signal.at_least,
        detail=f"{count} earlier cases with the same "
        + ", ".join(match.field for match in signal.match)
        + f" within {signal.within_days} days; {signal.at_least} are the limit.",
        values={"count": count, "at_least": signal.at_least, "within_days": signal.within_days},
    )


def _delay(signal: DelaySignal, given: JsonObject) -> Reading:
    start, end = _day(given.get(signal.start)), _day(given.get(signal.end))
    if start is None or end is None:
        return Reading(None, f"The case lacks {signal.start} or {signal.end}.", {})
    days = (end - start).days
    return Reading(
        fired=days > signal.more_than_days,
        detail=f"{days} days lie between; more than {signal.more_than_days} count.",
        values={"days": days, "more_than_days": signal.more_than_days},
    )


def _matches(row: Mapping[str, str], matches: Sequence[Match], given: JsonObject) -> bool:
    return all(
        row.get(match.column, "").casefold() == str(given.get(match.field, "")).casefold()
        for match in matches
    )


def _integers(rows: Sequence[Mapping[str, str]], column: str) -> list[int]:
    found = []
    for row in rows:
        text = row.get(column, "").strip()
        if text.isascii() and text.isdigit() and len(text) <= 15 and int(text) > 0:
            found.append(int(text))
    return found


def _day(value: JsonValue) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _judged(
    readings: Sequence[tuple[Signal, Reading]], parameters: ScoreParameters, rows: int
) -> StepResult:
    score = min(100, sum(signal.weight for signal, reading in readings if reading.fired))
    suspicious = score >= parameters.threshold
    fired = [_shown(signal, reading) for signal, reading in readings if reading.fired]
    quiet = [_shown(signal, reading) for signal, reading in readings if not reading.fired]
    output: JsonObject = {
        "score_percent": score,
        "threshold_percent": parameters.threshold,
        "suspicious": suspicious,
        "signals": list(fired),
        "quiet_signals": list(quiet),
    }
    basis = [
        Basis(
            kind=BasisKind.THRESHOLD,
            id="statistics.score@1",
            row="suspicious" if suspicious else "not suspicious",
            values={
                "score_percent": score,
                "threshold_percent": parameters.threshold,
                "rows": rows,
            },
        )
    ]
    basis.extend(
        Basis(
            kind=BasisKind.STATISTIC,
            id="statistics.score@1",
            row=signal.id,
            values={**reading.values, "fired": bool(reading.fired), "weight": signal.weight},
        )
        for signal, reading in readings
        if reading.values
    )
    if parameters.doubt is not None and parameters.doubt <= score < parameters.threshold:
        return Uncertain(
            output=output,
            score=score / 100,
            reason_code="score_in_doubt",
            reason=f"The score is {score}; from {parameters.doubt} to {parameters.threshold} "
            "a person should look.",
            basis=tuple(basis),
        )
    return Value(output=output, score=1.0, basis=tuple(basis))


def _shown(signal: Signal, reading: Reading) -> JsonObject:
    weight = signal.weight if reading.fired else 0
    return {"id": signal.id, "label": signal.label, "weight": weight, "detail": reading.detail}


_SIGNALS: JsonObject = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "label": {"type": "string"},
            "weight": {"type": "integer", "minimum": 0, "maximum": 100},
            "detail": {"type": "string"},
        },
        "required": ["id", "label", "weight", "detail"],
        "additionalProperties": False,
    },
}

SCORE = FunctionAgent(
    name="statistics.score",
    title="Signals against a history",
    summary="Compares a case with earlier ones (unusual amounts, copied texts, repetitions, "
    "delays) and adds the weights of the signals that fire.",
    call=_score,
    input_schema={"type": "object"},
    output_schema={
        "type": "object",
        "properties": {
            "score_percent": {"type": "integer", "minimum": 0, "maximum": 100},
            "threshold_percent": {"type": "integer", "minimum": 1, "maximum": 100},
            "suspicious": {"type": "boolean"},
            "signals": _SIGNALS,
            "quiet_signals": _SIGNALS,
        },
        "required": [
            "score_percent",
            "threshold_percent",
            "suspicious",
            "signals",
            "quiet_signals",
        ],
        "additionalProperties": False,
    },
    parameters_schema=ScoreParameters.model_json_schema(),
    side_effect="read",
    reaches=(STORED_FILES,),
)
