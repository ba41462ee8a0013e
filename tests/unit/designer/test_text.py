"""Definitions as text: nothing is lost, and every mistake has its line and reason."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from designer.documents import FORMATS, TextError, read_text, write_text
from designer.patterns import BLANK, STARTERS, blank
from examples import claims
from orchestrator.core.definition import WorkflowDefinition


def read(document):
    return WorkflowDefinition.model_validate(document)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "document",
    [claims.workflow(), *(one.build("Ümlaut: “x” # yes") for one in (BLANK, *STARTERS))],
    ids=["claims", "blank", *(one.key for one in STARTERS)],
)
def test_the_shipped_definitions_come_back_as_they_were(document, form):
    document = copy.deepcopy(document)
    document["positions"] = {key: {"x": -7, "y": 40 * n} for n, key in enumerate(document["steps"])}
    model = read(document)
    text = write_text(model, form)
    assert read_text(text, form).model_dump(mode="json") == model.model_dump(mode="json")
    assert write_text(read_text(text, form), form) == text


TEXTS = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=60
) | st.sampled_from(
    ["yes", "No", "null", "~", "1_000", "12:30", "1e5", ".5", "0x1F", "2026-01-02", "- a", "a: b",
     " lead", "trail ", "a\nb", "\n", "a\n  b\n", "# c", "'", '"', "|", ">", "&a", "*a", "!t", "%d",
     "\ufeff", "\x85", "\u2028", "\x1b", "=", "<<", "true", "007", "-", "?", ".inf", ".nan"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e15, 1e15, allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@st.composite
def documents(draw):
    """A blank workflow with drawn texts, numbers, contracts, conditions and positions."""
    document = blank(draw(TEXTS))
    document["summary"] = draw(TEXTS)
    document["input"]["properties"] = draw(st.dictionaries(TEXTS, JSON, max_size=4))
    document["steps"]["way"] = {
        "kind": "router",
        "name": draw(TEXTS),
        "routes": [{"port": "a", "title": draw(TEXTS), "when": draw(TEXTS)}],
    }
    document["steps"]["call"] = {
        "kind": "agent",
        "name": draw(TEXTS),
        "uses": {"agent": "x", "version": draw(st.integers(1, 10**6))},
        "input": {"field": draw(TEXTS)},
        "confidence_threshold": draw(st.none() | st.floats(0, 1)),
        "timeout": {"attempt_seconds": draw(st.floats(0.001, 86_400))},
    }
    document["positions"] = {
        "way": {"x": draw(st.integers(-9999, 9999)), "y": draw(st.integers(-9999, 9999))}
    }
    return document


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=150, deadline=None)
@given(document=documents())
def test_any_definition_comes_back_as_it_was(form, document):
    model = read(document)
    back = read_text(write_text(model, form), form)
    assert back.model_dump(mode="json") == model.model_dump(mode="json")


def error_of(text, form):
    with pytest.raises(TextError) as refused:
        read_text(text, form)
    detail = refused.value.detail
    return detail["line"], detail["column"], refused.value.message, detail["violations"]


def test_broken_json_names_line_column_and_reason():
    line, column, message, _ = error_of('{\n  "format": "baton/1",\n  "name" "x"\n}', "json")
    assert (line, column) == (3, 10)
    assert message == "Line 3, column 10: This is not JSON: Expecting ':' delimiter."


def test_a_key_that_stands_twice_is_found_at_its_line():
    line, column, message, _ = error_of(
        '{\n "name": "a",\n "x": {"b": [1, {"name": 2}]},\n "name": 1}', "json"
    )
    assert (line, column) == (4, 2)
    assert "stands twice" in message
    line, column, message, _ = error_of("name: a\nsteps:\n  s: 1\n  s: 2\n", "yaml")
    assert (line, column) == (4, 3)
    assert "stands twice" in message


@pytest.mark.parametrize("form", FORMATS)
def test_a_violation_of_the_shape_has_its_line(form):
    document = blank("x")
    document["steps"]["done"]["outcome"] = "NOT AN ID"
    document["steps"]["done"]["colour"] = "red"
    lines = json.dumps(document, indent=1) if form == "json" else None
    if lines is None:
        import yaml

        lines = yaml.safe_dump(document, sort_keys=False)
    line, _, message, violations = error_of(lines, form)
    places = {one["path"]: one["line"] for one in violations}
    rows = lines.splitlines()
    assert "NOT AN ID" in rows[places["/steps/done/outcome"] - 1]
    assert "colour" in rows[places["/steps/done/colour"] - 1]
    assert line == min(places.values())
    assert "/steps/done/" in message


def test_what_is_missing_is_said_at_what_should_hold_it():
    _, _, _, violations = error_of('{\n "format": "baton/1",\n "policies": {}\n}', "json")
    places = {one["path"]: one["line"] for one in violations}
    assert places["/policies/exceptions"] == 3
    assert places["/name"] == 1


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("a: &x 1\nb: *x\n", "Anchors", 1),
        ("a: 1\nb: *x\n", "Anchors", 2),
        ("a: !!python/object:os.system 1\n", "Tags", 1),
        ("a: 1\n---\nb: 2\n", "Only one document", 2),
        ("a: [1,\n", "This is not YAML", 2),
        ("a: b: c\n", "This is not YAML", 1),
        ("a:\n\t- b\n", "This is not YAML", 2),
        ("? [1]\n: 2\n", "A key must be a word", 1),
        ("- 1\n", "is an object", 1),
        ("", "is an object", 1),
        ("a: " + "[" * 80 + "]" * 80, "deeper than 64", 1),
        ("a: \x00", "This is not YAML", 1),
    ],
)
def test_yaml_that_is_not_plain_is_refused_with_its_line(text, words, line):
    found, _, message, _ = error_of(text, "yaml")
    assert words in message
    assert found == line


def test_a_bomb_of_aliases_is_refused_before_anything_is_built():
    rows = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    rows += [
        f"{n}: &{n} [{', '.join(['*' + p] * 9)}]"
        for p, n in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    assert error_of("\n".join(rows), "yaml")[0] == 1


@pytest.mark.parametrize("form", FORMATS)
def test_a_text_of_more_than_a_megabyte_is_refused_with_the_limit(form):
    assert "1000000" in error_of('{"name": "' + "x" * 1_000_000 + '"}', form)[2]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("[" * 100_000, "json"),
        ("{}", "json"),
        ('{"a": NaN}', "json"),
        ('{"a": "\\u0000"}', "json"),
        ('{"a": "\\ud800"}', "json"),
        ("[1, 2]", "json"),
        ("null", "json"),
        ("", "json"),
        ("\ufeff{}", "json"),
        ("a: .inf", "yaml"),
        ("name: 1e999", "yaml"),
    ],
)
def test_no_bad_text_is_anything_but_a_text_error(text, form):
    line, column, message, violations = error_of(text, form)
    assert line >= 1
    assert column >= 1
    assert message.startswith("Line ")
    assert violations


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200), st.sampled_from(FORMATS))
def test_any_text_is_read_or_refused_with_a_line(text, form):
    error_of(text, form)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(FORMATS))
def test_a_damaged_definition_is_read_or_refused_with_a_line(data, form):
    text = write_text(read(blank("Parcel check")), form)
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 12))
    put = data.draw(
        st.sampled_from(["", "{", "}", "[", '"', ":", ",", "\n", "  ", "&a", "!x", "-"])
    )
    line = 1
    try:
        read_text(text[:start] + put + text[start + length :], form)
    except TextError as error:
        line = error.detail["line"]
    assert 1 <= line <= text.count("\n") + 3


def test_words_are_read_as_people_mean_them():
    text = write_text(read(blank("x")), "yaml").replace("name: Done", "name: yes", 1)
    assert read_text(text, "yaml").steps["done"].name == "yes"
