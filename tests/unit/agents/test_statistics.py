import csv
import io
import random

import pytest

from orchestrator.agents.statistics import distance_milli, read_history, spread_of
from tests.unit.agents.papers import call, file_of, ref

SIGNALS = [
    {
        "kind": "outlier",
        "id": "large_order",
        "label": "Unusually large order",
        "weight": 50,
        "value": {"field": "amount", "column": "cents"},
        "group": [{"field": "shop", "column": "shop"}],
    },
    {
        "kind": "similar_text",
        "id": "same_words",
        "label": "Same words as before",
        "weight": 30,
        "value": {"field": "message", "column": "message"},
        "show": ["order"],
    },
    {
        "kind": "repeats",
        "id": "same_card",
        "label": "Same card again",
        "weight": 30,
        "match": [{"field": "card", "column": "card"}],
        "when": {"field": "day", "column": "day"},
        "within_days": 30,
        "at_least": 2,
    },
    {
        "kind": "delay",
        "id": "late",
        "label": "Sent late",
        "weight": 20,
        "start": "day",
        "end": "sent",
        "more_than_days": 10,
    },
]
ORDER = {
    "amount": {"minor": 5_200, "currency": "EUR"},
    "shop": "north",
    "message": "Please leave the parcel with the caretaker on the ground floor.",
    "card": "card-x",
    "day": "2026-05-10",
    "sent": "2026-05-12",
}


def history_of(rows: int = 200, extra=()):
    source = random.Random(5)
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(["order", "day", "shop", "cents", "card", "message"])
    for number in range(rows):
        shop = ("north", "south")[number % 2]
        cents = int(5_000 * source.lognormvariate(0, 0.5)) * (1 if shop == "north" else 100)
        text = " ".join(source.choice(WORDS) for _ in range(12))
        writer.writerow([f"o{number}", "2026-04-01", shop, cents, f"card-{number}", text])
    writer.writerows(extra)
    return file_of(target.getvalue().encode(), "history.csv", "text/csv")


WORDS = [
    "blue",
    "bell",
    "door",
    "green",
    "lamp",
    "stair",
    "yard",
    "wall",
    "left",
    "right",
    "bring",
    "fetch",
    "ring",
    "wait",
    "early",
    "late",
]


def score(order=None, extra=(), rows=200, **parameters):
    history = history_of(rows, extra)
    given = {"history": ref(history), "signals": SIGNALS, **parameters}
    return call("statistics.score", {**ORDER, **(order or {})}, given, [history])


def fired(result):
    return {signal["id"] for signal in result.output["signals"]}


def test_an_ordinary_case_fires_nothing_and_tells_what_was_looked_at():
    result = score()
    assert result.type == "value"
    assert result.output["score_percent"] == 0
    assert not result.output["suspicious"]
    assert {signal["id"] for signal in result.output["quiet_signals"]} == {
        "large_order",
        "same_words",
        "same_card",
        "late",
    }


def test_an_amount_is_unusual_for_its_own_group_only():
    large = {"amount": {"minor": 500_000, "currency": "EUR"}}
    result = score(large)
    assert fired(result) == {"large_order"}
    assert result.output["suspicious"]
    assert "deviations" in result.output["signals"][0]["detail"]
    assert fired(score({**large, "shop": "south"})) == set()


def test_a_group_that_is_too_small_falls_back_to_the_whole_history():
    result = score({"shop": "west"})
    assert "of 200 earlier cases;" in result.output["quiet_signals"][0]["detail"]


def test_a_copied_text_is_found_with_the_case_it_comes_from():
    copied = ORDER["message"].replace("ground", "first")
    result = score(extra=[["o-77", "2025-01-01", "north", 4_000, "c", copied]])
    assert fired(result) == {"same_words"}
    assert "(order o-77)" in result.output["signals"][0]["detail"]


def test_repetitions_count_only_within_the_days_before():
    near = [[f"r{n}", "2026-04-25", "north", 4_000, "card-x", "other words"] for n in range(2)]
    old = [[f"r{n}", "2026-04-01", "north", 4_000, "card-x", "other words"] for n in range(2)]
    after = [[f"r{n}", "2026-05-11", "north", 4_000, "card-x", "other words"] for n in range(2)]
    assert fired(score(extra=near)) == {"same_card"}
    assert fired(score(extra=old)) == set()
    assert fired(score(extra=after)) == set()


def test_weights_add_up_to_the_score_and_the_threshold_decides():
    late = {"sent": "2026-06-30"}
    near = [[f"r{n}", "2026-04-25", "north", 4_000, "card-x", "other words"] for n in range(2)]
    assert score(late).output["score_percent"] == 20
    both = score(late, extra=near)
    assert both.output["score_percent"] == 50
    assert both.output["suspicious"]


def test_a_score_in_the_band_of_doubt_is_uncertain():
    result = score({"sent": "2026-06-30"}, doubt=20)
    assert (result.type, result.reason_code) == ("uncertain", "score_in_doubt")


def test_the_basis_holds_whole_numbers_and_codes_only():
    result = score({"amount": {"minor": 500_000, "currency": "EUR"}})
    row = next(basis for basis in result.basis if basis.row == "large_order")
    assert row.values["distance_milli"] >= row.values["threshold_milli"] == 3_500
    assert all(
        not isinstance(value, float) for basis in result.basis for value in basis.values.values()
    )


def test_a_case_that_lacks_a_value_says_so_and_fires_nothing():
    result = score({"message": "short", "amount": None, "day": None})
    assert fired(result) == set()
    details = " ".join(signal["detail"] for signal in result.output["quiet_signals"])
    assert "too short" in details
    assert "states no amount" in details
    assert "lacks" in details


def test_a_history_that_is_too_small_or_unusable_is_told_apart():
    assert score(rows=10).reason_code == "history_too_small"
    broken = file_of(b'a,b\n"never closed', "history.csv", "text/csv")
    result = call("statistics.score", ORDER, {"history": ref(broken), "signals": SIGNALS}, [broken])
    assert (result.type, result.reason_code) == ("failed", "history_unusable")
    result = call("statistics.score", ORDER, {"history": ref(broken), "signals": SIGNALS})
    assert result.reason_code == "history_unusable"


def test_planted_outliers_are_found_and_no_other_point_is():
    source = random.Random(18)
    amounts = [int(10_000 * source.lognormvariate(0, 0.4)) for _ in range(5_000)]
    spread = spread_of(amounts)
    planted = [10_000 * 40, 10_000 * 60, 10_000 * 90]
    limit = 6_000
    assert all(distance_milli(amount, spread) > limit for amount in planted)
    assert not any(distance_milli(amount, spread) > limit for amount in amounts)


def test_a_history_without_variation_does_not_divide_by_zero():
    spread = spread_of([500] * 100)
    assert spread.deviation_ppm == 50_000
    assert distance_milli(500, spread) == 0
    with pytest.raises(ValueError, match="positive"):
        spread_of([0, 0])


def test_a_history_may_have_short_rows_and_extra_columns():
    history = read_history(b"a,b\n1\n2,3,4\n")
    assert [dict(row) for row in history.rows] == [{"a": "1", "b": ""}, {"a": "2", "b": "3"}]
