"""Cron in a time zone: fields, daylight saving, catching up, and the words for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.core.schedules import (
    Cron,
    ScheduleError,
    due_instants,
    next_instant,
    read_cron,
    read_zone,
    words_of,
)

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
         "America/Santiago", "Africa/Casablanca", "Pacific/Apia")  # fmt: skip


def following(text, after, zone=BERLIN, count=1):
    cron, found = read_cron(text), []
    for _ in range(count):
        after = next_instant(cron, zone, after)
        found.append(after)
    return found


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


def local(instant, zone=BERLIN):
    return instant.astimezone(zone).strftime("%m-%d %H:%M")


def test_a_weekday_morning_follows_the_zone_over_the_year():
    winter, summer = (
        following("0 8 * * 1-5", at(2026, 1, 2, 12)),
        following("0 8 * * 1-5", at(2026, 7, 3, 12)),
    )
    assert winter == [at(2026, 1, 5, 7)]
    assert summer == [at(2026, 7, 6, 6)]


def test_a_local_time_that_does_not_exist_fires_once_right_after_the_gap():
    days = following("30 2 * * *", at(2026, 3, 28, 0), count=3)
    assert [local(one) for one in days] == ["03-28 02:30", "03-29 03:00", "03-30 02:30"]
    quarters = following("*/15 2 * * *", at(2026, 3, 28, 1, 45), count=2)
    assert [local(one) for one in quarters] == ["03-29 03:00", "03-30 02:00"]
    hourly = following("0 * * * *", at(2026, 3, 29, 0), count=3)
    assert [local(one) for one in hourly] == ["03-29 03:00", "03-29 04:00", "03-29 05:00"]


def test_a_local_time_that_comes_twice_fires_the_first_time_only():
    days = following("30 2 * * *", at(2026, 10, 24, 12), count=2)
    assert days == [at(2026, 10, 25, 0, 30), at(2026, 10, 26, 1, 30)]
    assert following("30 2 * * *", at(2026, 10, 25, 0, 45)) == [at(2026, 10, 26, 1, 30)]


def test_a_gap_of_half_an_hour_and_a_day_that_was_left_out():
    howe = ZoneInfo("Australia/Lord_Howe")
    (one,) = following("10 2 4 10 *", at(2026, 10, 1), zone=howe)
    assert local(one, howe) == "10-04 02:30"
    apia = ZoneInfo("Pacific/Apia")  # it skipped 30 December 2011
    days = following("0 9 * * *", at(2011, 12, 29, 10), zone=apia, count=3)
    assert [local(one, apia) for one in days] == ["12-29 09:00", "12-31 00:00", "12-31 09:00"]


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("0 0 29 2 *", at(2026, 1, 1), at(2028, 2, 28, 23)),
        ("0 12 13 * FRI", at(2026, 2, 1), at(2026, 2, 6, 11)),
        ("5/20 9-10 * JAN,jul MON", at(2026, 1, 5, 8, 4), at(2026, 1, 5, 8, 5)),
        ("0 8 * * 7", at(2026, 1, 1), at(2026, 1, 4, 7)),
        ("59 23 31 12 *", at(2026, 12, 31, 22, 58, 30), at(2026, 12, 31, 22, 59)),
    ],
)
def test_fields_mean_what_every_cron_means(text, after, expected):
    assert following(text, after) == [expected]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("* * * *", "five fields"),
        ("0 0 8 * * *", "five fields"),
        ("@daily", "five fields"),
        ("60 * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 0 0 * *", "day of month"),
        ("0 0 * 13 *", "month"),
        ("0 0 * * 8", "day of week"),
        ("0 0 * * FUNDAY", "day of week"),
        ("*/0 * * * *", "minute"),
        ("5-1 * * * *", "backwards"),
        ("0 0 30 2 *", "never"),
        ("1,,2 * * * *", "minute"),
        ("-1 * * * *", "minute"),
    ],
)
def test_what_cannot_be_read_is_refused_by_field(text, word):
    with pytest.raises(ScheduleError) as error:
        read_cron(text)
    assert word in error.value.message


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "europe", "UTC\x00"])
def test_a_zone_that_is_none_is_refused(name):
    with pytest.raises(ScheduleError):
        read_zone(name)


NUMBERS = {"minute": (0, 59), "hour": (0, 23)}


@st.composite
def crons(draw):
    def field(low, high):
        kind = draw(st.sampled_from(["*", "one", "step", "list"]))
        if kind == "*":
            return "*"
        if kind == "step":
            return f"*/{draw(st.integers(1, high))}"
        count = 1 if kind == "one" else 3
        return ",".join(str(draw(st.integers(low, high))) for _ in range(count))

    days = draw(st.sampled_from(["*", "1", "28", "*/7"]))
    return f"{field(0, 59)} {field(0, 23)} {days} * {draw(st.sampled_from(['*', '1-5', '0']))}"


def naive_reference(cron, zone, after):
    """Every minute asked in order: does the wall clock match now, or did the gap before skip a match?"""
    instant = after.replace(second=0, microsecond=0)
    previous = instant.astimezone(zone).replace(tzinfo=None)
    seen = previous
    for _ in range(60 * 24 * 33):
        instant += timedelta(minutes=1)
        wall = instant.astimezone(zone)
        here = wall.replace(tzinfo=None)
        candidates = []
        skipped = previous + timedelta(minutes=1)
        while skipped <= here:
            candidates.append(skipped.replace(fold=0))
            skipped += timedelta(minutes=1)
        matches = any(
            cron.is_on(one.date()) and one.hour in cron.hours and one.minute in cron.minutes
            for one in candidates
            if one > seen
        )
        seen, previous = max(seen, here.replace(fold=0)), here
        if matches and not wall.fold:
            return instant
    return None


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    crons(),
    st.sampled_from(ZONES),
    st.sampled_from([at(2026, 3, 28, 20), at(2026, 10, 24, 20), at(2026, 3, 7, 12), at(2026, 10, 31, 20),
                     at(2026, 4, 4, 2), at(2026, 10, 3, 2), at(2026, 2, 14, 20), at(2026, 6, 1)]),
    st.integers(0, 3_000),
)  # fmt: skip
def test_it_agrees_with_looking_at_the_clock_every_minute(text, zone, start, minutes):
    after = start + timedelta(minutes=minutes)
    if after.astimezone(ZoneInfo(zone)).fold:
        return
    expected = naive_reference(read_cron(text), ZoneInfo(zone), after)
    if expected is not None:
        assert next_instant(read_cron(text), ZoneInfo(zone), after) == expected


def due(policy, late, limit=3):
    cron = read_cron("0 * * * *")
    first = at(2026, 5, 1, 8)
    return due_instants(cron, ZoneInfo("UTC"), first, first + late, catch_up=policy, limit=limit)


@pytest.mark.parametrize("policy", ["none", "latest", "all"])
def test_on_time_it_fires_once_whatever_the_policy(policy):
    found = due(policy, timedelta(seconds=5))
    assert (found.fire, found.missed) == ((at(2026, 5, 1, 8),), 0)
    assert found.next_at == at(2026, 5, 1, 9)


def test_after_a_rest_the_policy_says_what_is_made_up_for():
    late = timedelta(hours=5, minutes=10)
    assert due("none", late).fire == ()
    assert due("none", late).missed == 6
    assert due("latest", late).fire == (at(2026, 5, 1, 13),)
    assert due("all", late).fire == tuple(at(2026, 5, 1, hour) for hour in (11, 12, 13))
    assert due("all", late).missed == 3
    assert due("all", late, limit=50).missed == 0
    assert due("latest", late).next_at == at(2026, 5, 1, 14)


def test_what_was_missed_for_long_is_gone_through_once(monkeypatch):
    looked = []

    def is_on(cron, day, plain=Cron.is_on):
        looked.append(day)
        return plain(cron, day)

    monkeypatch.setattr(Cron, "is_on", is_on)
    cron, first = read_cron("* * * * *"), at(2026, 5, 1, 0)
    looked.clear()
    found = due_instants(
        cron, ZoneInfo("UTC"), first, first + timedelta(days=2), catch_up="all", limit=2
    )
    assert found.fire == (at(2026, 5, 2, 23) + timedelta(minutes=59), at(2026, 5, 3, 0))
    assert found.missed == 2 * 24 * 60 - 1
    assert len(looked) == 3, "each day once"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 8 * * 1-5", "every weekday at 08:00 in Europe/Berlin"),
        ("30 6 * * *", "every day at 06:30 in Europe/Berlin"),
        ("*/15 * * * *", "every 15 minutes in Europe/Berlin"),
        ("* * * * *", "every minute in Europe/Berlin"),
        ("5 * * * *", "every hour at minute 05 in Europe/Berlin"),
        ("0 9,17 * * MON,FRI", "every Monday and Friday at 09:00 and 17:00 in Europe/Berlin"),
        ("0 7 1 * *", "on day 1 at 07:00 in Europe/Berlin"),
        ("0 7 1 1,7 *", "on day 1 of January and July at 07:00 in Europe/Berlin"),
        ("0 7 * 6 0", "every Sunday in June at 07:00 in Europe/Berlin"),
        ("*/10 8-17 * * *",
         "every 10 minutes in the hours 08, 09, 10, 11, 12, 13, 14, 15, 16 and 17, every day in Europe/Berlin"),
    ],
)  # fmt: skip
def test_it_is_said_in_words(text, words):
    assert words_of(text, "Europe/Berlin") == words


FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@st.composite
def fields(draw, least, most):
    """One field of a cron expression, whatever may stand in it."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        low = draw(st.integers(least, most))
        high = draw(st.integers(low, most))
        span = draw(st.sampled_from(["*", str(low), f"{low}-{high}"]))
        step = draw(st.sampled_from(["", "", f"/{draw(st.integers(1, most))}"]))
        parts.append(span + step)
    return ",".join(parts)


@given(text=st.tuples(*(fields(*one) for one in FIELDS)).map(" ".join))
@example(text="*/5,7 * * * *")
@example(text="1-31 8 1-31 * 0-7")
def test_whatever_can_be_read_can_be_said(text):
    try:
        cron = read_cron(text)
    except ScheduleError:
        return
    said = words_of(text, "UTC")
    assert said.endswith(" in UTC")
    is_daily = cron.days >= frozenset(range(1, 32)) and len(cron.weekdays) == 7
    assert ("on day" in said) <= (not is_daily)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("*/5,7 * * * *", "every hour at minute 00, 05, 07, 10, 15, 20, 25, 30, 35, 40, 45, 50 and 55"),
        ("0-59 * * * *", "every minute"),
        ("0,20,40 * * * *", "every 20 minutes"),
        ("0 8 1-31 * *", "every day at 08:00"),
        ("0 8 1-31 * 1", "every day at 08:00"),
        ("0 8 */2,1 * 1", "every Monday, on day 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29 and 31 at 08:00"),
    ],
)  # fmt: skip
def test_what_fires_counts_for_the_words_and_not_how_it_is_written(text, words):
    assert words_of(text, "UTC") == f"{words} in UTC"
