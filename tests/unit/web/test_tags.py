"""Times, money, states and text from outside, as people see them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template

from orchestrator.web.templatetags import baton

NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=3), "now"),
        (timedelta(seconds=42), "42 s ago"),
        (timedelta(minutes=3, seconds=50), "3 min ago"),
        (timedelta(hours=2), "2 h ago"),
        (timedelta(days=1, hours=2), "yesterday"),
        (timedelta(days=18), "2 Nov"),
        (timedelta(days=400), "16 Oct 2025"),
        (timedelta(minutes=-5), "in 5 min"),
        (timedelta(days=-1, hours=-1), "tomorrow 17:00"),
    ],
)
def test_a_time_is_told_from_now(ago, words):
    assert baton.relative(NOW - ago, NOW) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"minor": 124000, "currency": "EUR"}, "€1,240.00"),
        ({"minor": -5, "currency": "USD"}, "\N{MINUS SIGN}$0.05"),
        ({"minor": 900, "currency": "JPY"}, "¥900"),
        ({"minor": 12345, "currency": "KWD"}, "KWD 12.345"),
        ({"minor": "x", "currency": "EUR"}, "{'minor': 'x', 'currency': 'EUR'}"),
        (None, "\N{EN DASH}"),
    ],
)
def test_money_has_its_currency_and_its_places(value, text):
    assert baton.money_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.4 s"),
        (12, "12 s"),
        (185, "3 min 5 s"),
        (7440, "2 h 4 min"),
        (90000, "1 d 1 h"),
        (None, "\N{EN DASH}"),
    ],
)
def test_a_duration_is_told_in_two_units_at_most(seconds, text):
    assert baton.duration(seconds) == text


@pytest.mark.parametrize(
    ("span_ms", "text"),
    [
        (None, baton.NOTHING),
        (0.04, "0.0 ms"),
        (7.31, "7.3 ms"),
        (263.9, "264 ms"),
        (158_115.2, "2 min 38 s"),
    ],
)
def test_a_short_duration_is_told_in_milliseconds(span_ms, text):
    assert baton.milliseconds(span_ms) == text


def test_a_status_is_shape_word_and_tone_together():
    html = baton.state("failed")
    assert "tone-bad" in html
    assert "#s-failed" in html
    assert "Failed" in html


def test_an_unknown_status_says_its_own_name():
    assert "Half done" in baton.state("half_done")


def test_text_from_outside_is_escaped_and_its_hidden_characters_are_shown():
    html = baton.outside("<b>invoice\u202egpj.exe\u200b</b>")
    assert "<b>" not in html
    assert "[U+202E]" in html
    assert "[U+200B]" in html


def test_the_title_of_a_page_is_written_once_and_used_twice():
    page = Template("{% page_title %} Runs {% endpage_title %}|{{ page_title }}")
    assert page.render(Context({})) == "Runs|Runs"
    page = Template("{% page_title %} {{ name }} {% endpage_title %}|{{ page_title }}")
    assert page.render(Context({"name": "A's & b"})) == "A&#x27;s &amp; b|A&#x27;s &amp; b"


def test_only_the_running_shape_turns():
    assert "spin" in baton.state_icon("running")
    assert "spin" not in baton.state_icon("failed")
