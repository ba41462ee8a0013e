"""Texts made for patterns."""

import re

import pytest

from orchestrator.core.pattern_text import text_matching


@pytest.mark.parametrize(
    "pattern",
    [
        "^PN-[0-9]{4}$",
        "^[0-9a-f]{64}$",
        "^[a-z]+/[a-z0-9.+-]+$",
        r"^\d{2}\.\d{2}\.\d{4}$",
        "^(north|south)-[^a-z]+$",
        "^(?:ab)?c*d{2,3}$",
        "x",
        "",
        r"^\w+\s\S$",
        "^(/.*)?$",
        r"^[\]x]$",
        "^[A-Z]{3}[0-9]{2}?$",
    ],
)
def test_a_made_text_matches_its_pattern(pattern):
    text = text_matching(pattern)
    assert text is not None
    assert re.search(pattern, text)


@pytest.mark.parametrize("pattern", [r"(?=a)b", "(a", "[a", "a**", r"\1", "^a$b", "(?<x>a)", "{2}"])
def test_what_cannot_be_read_gives_none(pattern):
    assert text_matching(pattern) is None


def test_a_huge_count_stays_small():
    assert text_matching("a{100000}") is None
