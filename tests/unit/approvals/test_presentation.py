"""How evidence is laid out and put into words."""

from datetime import UTC, datetime, timedelta

import pytest

from approvals.evidence import build_evidence, read_evidence
from approvals.presentation import (
    Block,
    Leaf,
    band_of,
    bands_of,
    changed_leaves,
    choices_of,
    due_of,
    failure_of,
    leaves_of,
    money_words,
    path_of,
)

NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)


def evidence(**fields):
    fields.setdefault("decision", {"choices": ["approved", "edited", "rejected", "returned"]})
    return read_evidence(build_evidence(fields))


def test_values_are_shown_in_words():
    shown = leaves_of(
        {
            "amount": {"minor": 684000, "currency": "EUR"},
            "is_new": False,
            "damage": ["bumper", "lamp"],
            "gone": None,
            "file": {"artefact": "a" * 64, "media": "text/plain", "name": "letter.txt"},
            "owner": {"first_name": "Ada"},
        }
    )
    assert [(leaf.label, leaf.text) for leaf in shown] == [
        ("Amount", "€6,840.00"),
        ("Is new", "no"),
        ("Damage", "bumper, lamp"),
        ("Gone", "\N{EN DASH}"),
        ("File", "letter.txt"),
        ("Owner", ""),
    ]
    assert shown[5].children == (Leaf("First name", "Ada"),)


def test_what_a_contract_requires_stands_first_in_its_order():
    contract = {"required": ["verdict", "amount"]}
    keys = [leaf.label for leaf in leaves_of({"amount": 1, "note": "", "verdict": "x"}, contract)]
    assert keys == ["Verdict", "Amount", "Note"]


def test_an_object_that_only_looks_like_money_is_no_money():
    assert money_words({"minor": 1, "currency": "EUR", "more": 1}) is None
    assert money_words({"minor": -549, "currency": "EUR"}) == "\N{MINUS SIGN}€5.49"


def test_only_what_was_changed_is_told():
    assert changed_leaves({"a": 1, "b": 2}, {"a": 1, "b": 3}) == (Leaf("B", "3", "number"),)
    assert changed_leaves({"a": 1}, None) == ()


@pytest.mark.parametrize(
    ("left", "words", "tone"),
    [
        (timedelta(minutes=48), "48 min", "caution"),
        (timedelta(hours=1, minutes=20), "1 h 20 min", ""),
        (timedelta(days=2), "Sun 16:00", ""),
        (timedelta(days=10), "30 Nov", ""),
        (-timedelta(minutes=20), "20 min late", "bad"),
    ],
)
def test_due_times_are_said_as_people_say_them(left, words, tone):
    due = due_of(NOW + left, NOW)
    assert (due.words, due.tone) == (words, tone)


def test_a_word_has_the_same_key_at_every_gate():
    three = evidence(decision={"choices": ["approved", "rejected", "returned"]})
    assert [(one.name, one.key) for one in choices_of(three)] == [
        ("approved", 1),
        ("rejected", 3),
        ("returned", 4),
    ]
    exception = evidence(decision={"choices": ["retry", "end"]})
    assert [(one.name, one.key) for one in choices_of(exception)] == [("retry", 1), ("end", 2)]


def test_a_score_is_said_in_words_and_never_overlaps_its_limit():
    band = band_of(evidence(confidence={"score": 0.66, "threshold": 0.7}))
    assert band.words == "Score 0.66; below 0.70 a person decides"
    assert (band.score_anchor, band.edge_anchor, band.shows_sure) == ("end", "start", False)
    assert band_of(evidence()) is None


def test_pictures_stand_beside_the_first_document_and_short_blocks_in_two_columns():
    document, picture = Block("Form", "document"), Block("Photo", "image")
    lines, notes = Block("Sum", "computation"), [Block(str(n), "text") for n in range(3)]
    bands = bands_of([lines, document, notes[0], picture, *notes[1:]])
    assert [(one.kind, len(one.left), len(one.right)) for one in bands] == [
        ("wide", 1, 0),
        ("pair", 1, 1),
        ("columns", 2, 1),
    ]
    shown = [block for one in bands for block in (*one.left, *one.right)]
    assert sorted(shown, key=id) == sorted([lines, document, picture, *notes], key=id)


def test_a_violation_that_the_reason_repeats_is_said_once():
    failure = {
        "step": "price",
        "reason": "Cannot take this: must be positive",
        "violations": [
            {"path": "/a", "rule": "minimum", "reason": "must be positive"},
            {"path": "/b", "rule": "type", "reason": "must be text"},
        ],
    }
    view = failure_of(evidence(failure=failure))
    assert [one.path for one in view.violations] == ["/b"]


def test_the_path_says_what_came_of_each_step():
    shown = path_of(
        evidence(
            path=[
                {"step": "a", "name": "A", "status": "succeeded", "result": "value"},
                {"step": "b", "name": "B", "status": "succeeded", "result": "uncertain"},
            ]
        )
    )
    assert [(one.word, one.outcome) for one in shown] == [
        ("Succeeded", ""),
        ("Uncertain", "uncertain"),
    ]
