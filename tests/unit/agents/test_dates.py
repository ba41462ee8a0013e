from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.agents.dates import days_between, parse_date
from tests.unit.agents.papers import call


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-14",
        "14.03.2026",
        "14/3/26",
        "14 March 2026",
        "March 14, 2026",
        "14. März 2026",
        "14-Mar-2026",
        "Sat 14 Mar 2026",
        "Saturday, 14th March 2026",
        "14.03.2026, 08:15 Uhr",
        "2026/03/14",
        "14 mars 2026",
    ],
)
def test_dates_are_read_as_people_write_them(text):
    assert parse_date(text) == date(2026, 3, 14)


def test_the_order_of_day_and_month_is_a_parameter_and_yields_to_the_only_possible_reading():
    assert parse_date("03/04/2026") == date(2026, 4, 3)
    assert parse_date("03/04/2026", order="mdy") == date(2026, 3, 4)
    assert parse_date("03/14/2026") == date(2026, 3, 14)
    assert parse_date("14/03/2026", order="mdy") == date(2026, 3, 14)


@pytest.mark.parametrize("text", ["", "soon", "31.02.2026", "00/00/2026", "March", "14 Marc 2026"])
def test_what_is_no_date_is_refused_with_its_text(text):
    with pytest.raises(ValueError, match="not a da"):
        parse_date(text)


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_every_day_is_read_back_in_every_format(day):
    for text in (f"{day:%d.%m.%Y}", f"{day:%d %B %Y}", f"{day:%B} {day.day}, {day.year}"):
        assert parse_date(text) == day


@given(st.dates(), st.integers(0, 60))
def test_working_days_leave_out_weekends(start, offset):
    from datetime import timedelta

    end = min(start, date(9990, 1, 1)) + timedelta(days=offset)
    start = min(start, date(9990, 1, 1))
    days = days_between(start, end, working=True)
    assert days <= offset
    assert days >= offset - 2 * (offset // 7 + 1)
    assert days_between(end, start, working=True) == -days


def test_days_between_two_dates_are_held_against_the_limit():
    result = call("dates.between", {"from": "2026-11-02", "to": "2026-11-20"}, {"limit_days": 14})
    assert result.output == {"days": 18, "within_limit": False}
    working = {"calendar": "working_days", "holidays": ["2026-11-03"], "limit_days": 14}
    result = call("dates.between", {"from": "2026-11-02", "to": "2026-11-20"}, working)
    assert result.output == {"days": 13, "within_limit": True}


def test_the_second_date_may_be_today():
    assert call("dates.between", {"from": "2026-11-19"}).output == {"days": 1}


def test_a_bad_date_is_a_contract_failure():
    result = call("dates.between", {"from": "yesterday"})
    assert (result.type, result.violations[0].path) == ("failed", "/from")
