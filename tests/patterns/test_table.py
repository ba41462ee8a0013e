"""docs/patterns.md tells of all 43 patterns, and each one called direct has a definition that runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.patterns.running import patterns, read

TABLE = Path(__file__).resolve().parents[2] / "docs" / "patterns.md"


class Row(NamedTuple):
    number: int
    name: str
    support: str
    how: str


def rows():
    found = re.findall(
        r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$",
        TABLE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return [Row(int(number), *(cell.strip() for cell in rest)) for number, *rest in found]


def test_all_forty_three_patterns_stand_in_the_table_in_order():
    assert [row.number for row in rows()] == list(range(1, 44))
    assert len({row.name for row in rows()}) == 43


def test_every_row_says_how_well_it_is_supported_and_how():
    for row in rows():
        assert row.support in {"direct", "idiom", "no"}, row
        assert len(row.how) > 20, row
        assert row.how.endswith("."), row


def test_every_direct_pattern_has_a_definition_of_its_number_and_name_and_no_other_has():
    direct = {row.number: row.name for row in rows() if row.support == "direct"}
    files = {path: read(path) for path in patterns()}
    assert {pattern.number: pattern.name for pattern in files.values()} == direct
    for path, pattern in files.items():
        assert path.name.startswith(f"wcp_{pattern.number:02d}_")


def test_each_expectation_says_what_runs_and_in_most_what_comes_before_what():
    for path in patterns():
        expect = read(path).expect
        assert expect["executed"], path.name
        said = {"order", "not_executed", "cancelled", "together", "one_at_a_time"}
        assert said & set(expect), path.name
