"""Schedules: five-field cron expressions in a time zone, exact over daylight saving. Pure.

The fields are minute, hour, day of month, month, day of week (0 and 7 are Sunday), each `*`, a
number, a name (JAN, MON), a range `a-b`, a step `*/n` or `a-b/n`, or a list of these. When day of
month and day of week are both given, either is enough, as in every cron (POSIX, crontab).

A local time that a change of the clock skips fires once, at the first instant after the gap,
together with whatever else falls there. A local time that comes twice fires the first time only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from orchestrator.core.errors import DomainError

HORIZON_DAYS: Final = 366 * 9
"""How far ahead an instant is looked for: 29 February may be eight years away."""
GRACE: Final = timedelta(minutes=1)
"""How late a schedule may be and still count as on time."""
CatchUp: TypeAlias = Literal["none", "latest", "all"]

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                  "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")  # fmt: skip
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_DAY_WORDS: Final = (
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
)  # fmt: skip
_MONTH_WORDS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _DAYS),
)


class ScheduleError(DomainError):
    """The schedule cannot be read, or never fires."""

    code = "invalid_schedule"
    status = 422


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule that has been read. `any_day`, `any_weekday`: the field was `*`."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def is_on(self, day: date) -> bool:
        """Whether it fires on this day at all."""
        if day.month not in self.months:
            return False
        by_date, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return by_date and by_week
        return by_date or by_week


@dataclass(frozen=True, slots=True)
class Due:
    """What a schedule has to fire now, how many instants it leaves out, and its next instant."""

    fire: tuple[datetime, ...]
    missed: int
    next_at: datetime


@lru_cache(maxsize=512)
def read_cron(text: str) -> Cron:
    """Read a cron expression.

    Raises:
        ScheduleError: it has not exactly five fields, or one of them is wrong; says which and why.
    """
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise ScheduleError(
            "A schedule has five fields: minute, hour, day of month, month, day of week; "
            f"this one has {len(parts)}."
        )
    values = [_read_field(part, field) for part, field in zip(parts, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = values
    cron = Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(one % 7 for one in weekdays),
        any_day=parts[2].startswith("*"),
        any_weekday=parts[4].startswith("*"),
    )
    start = date(2024, 1, 1)
    if not any(cron.is_on(start + timedelta(days=days_on)) for days_on in range(HORIZON_DAYS)):
        raise ScheduleError("There is no such day: this schedule never fires.")
    return cron


@lru_cache(maxsize=512)
def read_zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name such as Europe/Berlin.

    Raises:
        ScheduleError: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(
            f"There is no time zone '{name}'. Zones have names such as Europe/Berlin."
        ) from None


def next_instant(cron: Cron, zone: ZoneInfo, after: datetime) -> datetime:
    """The first instant after `after` at which the schedule fires, in UTC.

    Raises:
        ScheduleError: there is none within nine years.
    """
    return _following(_instants(cron, zone, after))


def _following(instants: Iterator[datetime]) -> datetime:
    instant = next(instants, None)
    if instant is None:
        raise ScheduleError("This schedule does not fire within nine years.")
    return instant


def _instants(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The instants of the schedule after one, in order and each once."""
    for naive in _local_times(cron, after.astimezone(zone).replace(tzinfo=None)):
        instant = _instant_of(naive, zone)
        if instant > after:
            yield instant
            after = instant


def due_instants(
    cron: Cron, zone: ZoneInfo, due_at: datetime, now: datetime, *, catch_up: CatchUp, limit: int
) -> Due:
    """What to fire when the schedule was due at `due_at` and it is `now`.

    On time is what is at most a minute late. Of what came due while nobody looked, `none` fires
    nothing that is late, `latest` only the last, `all` the last `limit`.
    """
    last: deque[datetime] = deque(maxlen=max(limit, 1) if catch_up == "all" else 1)
    count, instant, instants = 0, due_at, _instants(cron, zone, due_at)
    while instant <= now:
        count += 1
        last.append(instant)
        instant = _following(instants)
    kept = [one for one in last if catch_up != "none" or now - one <= GRACE]
    return Due(tuple(kept), count - len(kept), instant)


def words_of(text: str, zone: str) -> str:
    """The schedule as people say it: "every weekday at 08:00 in Europe/Berlin".

    Raises:
        ScheduleError: it cannot be read.
    """
    cron = read_cron(text)
    days = _day_words(cron)
    if len(cron.minutes) == len(cron.hours) == 1:
        when = f"{days} at {cron.hours[0]:02}:{cron.minutes[0]:02}"
    elif len(cron.hours) == 24:
        when = _within_hours(cron)
        when += "" if days == "every day" else f", {days}"
    elif len(cron.minutes) * len(cron.hours) <= 4:
        times = [f"{one:02}:{other:02}" for one in cron.hours for other in cron.minutes]
        when = f"{days} at {_joined(times)}"
    else:
        hours = _joined([f"{one:02}" for one in cron.hours])
        when = f"{_within_hours(cron)} in the hours {hours}, {days}"
    return f"{when} in {zone}"


def _within_hours(cron: Cron) -> str:
    count = len(cron.minutes)
    if count == 60:
        return "every minute"
    if count > 1 and cron.minutes == tuple(range(0, 60, 60 // count)):
        return f"every {60 // count} minutes"
    return f"every hour at minute {_joined([f'{one:02}' for one in cron.minutes])}"


def _day_words(cron: Cron) -> str:
    is_either = not (cron.any_day or cron.any_weekday)
    if is_either and (len(cron.days) == 31 or len(cron.weekdays) == 7):
        week = dates = ""  # one of the two is true of every day
    else:
        week, dates = _weekday_words(cron), _date_words(cron)
    months = (
        ""
        if len(cron.months) == 12
        else _joined([_MONTH_WORDS[one - 1] for one in sorted(cron.months)])
    )
    if week and dates:
        said = f"{dates} and {week}" if is_either else f"{week}, {dates}"
    else:
        said = week or dates or "every day"
    return f"{said} of {months}" if months and dates else f"{said} in {months}" if months else said


def _weekday_words(cron: Cron) -> str:
    if len(cron.weekdays) == 7:
        return ""
    if cron.weekdays == {1, 2, 3, 4, 5}:
        return "every weekday"
    ordered = sorted(cron.weekdays, key=lambda one: (one - 1) % 7)
    return f"every {_joined([_DAY_WORDS[one] for one in ordered])}"


def _date_words(cron: Cron) -> str:
    if len(cron.days) == 31:
        return ""
    return f"on day {_joined([str(one) for one in sorted(cron.days)])}"


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _read_field(text: str, field: _Field) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        low, dash, high = span.partition("-")
        if span == "*":
            first, latest = field.least, field.most
        else:
            first = _number(low, field)
            latest = _number(high, field) if dash else field.most if slash else first
        if latest < first:
            raise ScheduleError(f"In the field {field.name}, '{part}' runs backwards.")
        width = _step(step, field) if slash else 1
        values.update(range(first, latest + 1, width))
    return values


def _number(text: str, field: _Field) -> int:
    name = text.upper()
    if name in field.names:
        return field.names.index(name) + (1 if field.names is _MONTHS else 0)
    if not (text.isascii() and text.isdigit() and len(text) <= 2):
        raise ScheduleError(f"In the field {field.name}, '{text}' is no number.")
    value = int(text)
    if not field.least <= value <= field.most:
        raise ScheduleError(
            f"In the field {field.name}, {value} is not between {field.least} and {field.most}."
        )
    return value


def _step(text: str, field: _Field) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) > 0):
        raise ScheduleError(f"In the field {field.name}, '/{text}' is no step.")
    return int(text)


def _local_times(cron: Cron, after: datetime) -> Iterator[datetime]:
    """The wall clock times of the schedule after a wall clock time, in order."""
    for days in range(HORIZON_DAYS):
        try:
            day = after.date() + timedelta(days=days)
        except OverflowError:
            return
        if not cron.is_on(day):
            continue
        for hour in cron.hours:
            for minute in cron.minutes:
                naive = datetime.combine(day, time(hour, minute))
                if naive > after:
                    yield naive


def _instant_of(naive: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a wall clock time: the first of two, the end of the gap that skips it."""
    aware = naive.replace(tzinfo=zone)
    instant = aware.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == naive:
        return instant
    after_gap = aware.replace(fold=1).utcoffset()
    low = (naive - after_gap).replace(tzinfo=UTC) if after_gap is not None else instant
    high = instant  # the offset of before the gap, applied to a time inside: already after it
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == after_gap:
            high = middle
        else:
            low = middle
    return high
