"""Bad documents, told in words for people, each at its place and with the limit that it broke."""

from __future__ import annotations

import copy

import pytest

from designer.documents import read_definition
from orchestrator.core.errors import InvalidInputError
from tests.unit.core.flows import call, definition

GOOD = definition({"a": call("a", input={"x": "1"})}, ["start-a", "a-done"]).model_dump(mode="json")


def refused(change):
    document = copy.deepcopy(GOOD)
    change(document)
    with pytest.raises(InvalidInputError) as caught:
        read_definition(document)
    return caught.value


def at(path, value):
    """Puts a value at a place of the document."""

    def change(document):
        *way, last = path.split("/")
        node = document
        for part in way:
            node = node[part]
        node[last] = value

    return change


def nested(levels):
    schema = {}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def with_steps(count):
    def change(document):
        for number in range(count - len(document["steps"])):
            document["steps"][f"s{number}"] = {"kind": "transform", "name": "x", "output": {}}

    return change


def test_a_workflow_of_two_thousand_steps_is_refused_with_the_limit_named():
    error = refused(with_steps(2_000))
    (violation,) = error.detail["violations"]
    assert violation["path"] == "/steps"
    assert violation["reason"] == "may have at most 1,000 steps; this one has 2,000"
    assert "at most 1,000 steps" in error.message


def test_a_contract_of_two_hundred_levels_is_refused_with_the_limit_named():
    error = refused(at("input", nested(200)))
    assert "deeper than 64 levels" in error.message
    assert error.detail["violations"][0]["path"].startswith("/input/properties/a")


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        (at("steps/a/input", {"x": "1 + " * 700 + "1"}), "/steps/a/input/x", "at most 2,000 characters; this one has 2,801"),
        (at("steps/a/name", ""), "/steps/a/name", "must not be empty"),
        (at("steps/a/name", "x" * 300), "/steps/a/name", "at most 120 characters; this one has 300"),
        (at("steps/Bad Id", {"kind": "start", "name": "x"}), "/steps/Bad Id", "begin with a small letter"),
        (at("steps/a/input", {"bad name": "1"}), "/steps/a/input/bad name", "begin with a letter or _"),
        (at("steps/a/kind", "nothing"), "/steps/a", "has the kind 'nothing'; it must be one of 'start'"),
        (at("steps/a", {"name": "x"}), "/steps/a", "does not say of which kind it is"),
        (at("steps/a/extra", 1), "/steps/a/extra", "is not a field that is known here"),
        (lambda one: one.pop("outcomes"), "/outcomes", "is required but missing"),
        (at("policies/max_parallel", "many"), "/policies/max_parallel", "must be a whole number"),
        (at("steps/a/retry", {"max_attempts": 99}), "/steps/a/retry/max_attempts", "must be at most 20"),
        (at("steps/a/retry", {"jitter": -1}), "/steps/a/retry/jitter", "must be at least 0"),
        (at("steps/a/retry", {"jitter": "x"}), "/steps/a/retry/jitter", "must be a number"),
        (at("steps/a/input", [1]), "/steps/a/input", "must be an object"),
        (at("steps/a/input", {"x": 1}), "/steps/a/input/x", "must be text"),
        (at("steps/a/uses", 1), "/steps/a/uses", "must be an object"),
        (at("format", "baton/2"), "/format", "must be 'baton/1'"),
        (at("outcomes", {}), "/outcomes", "must not be empty"),
        (at("steps", []), "/steps", "must be an object"),
        (at("links/start.next-a/target", "gone"), "", "must have the id"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_place_in_words(change, path, words):
    violation = refused(change).detail["violations"][0]
    assert violation["path"] == path
    assert words in violation["reason"]


def test_nul_and_lone_surrogates_are_refused():
    for text in ("a\x00b", "a\ud800"):
        assert "/steps/a/name" in refused(at("steps/a/name", text)).message


@pytest.mark.parametrize(
    "name", ["<b>bold</b>", "right \u202e left", "zero\u200bwidth", "bell\x07", "{{ x }}"]
)
def test_markup_and_control_characters_are_text_that_pages_make_visible(name):
    document = copy.deepcopy(GOOD)
    document["steps"]["a"]["name"] = name
    assert read_definition(document).steps["a"].name == name


def test_no_word_of_the_library_reaches_a_person():
    broken = copy.deepcopy(GOOD)
    broken["steps"]["a"] |= {"name": 1, "uses": [], "input": "x", "timeout": 3, "extra": {}}
    with pytest.raises(InvalidInputError) as caught:
        read_definition(broken)
    for one in caught.value.detail["violations"]:
        assert "Input should" not in one["reason"]
        assert "validation" not in one["reason"]


def test_pages_show_control_characters_and_marks_of_direction():
    from orchestrator.web.templatetags.baton import visible

    for char in ("\x07", "\u202e", "\u200b"):
        assert char not in visible(f"a{char}b")


def test_a_rule_without_its_limit_keeps_its_own_words():
    from pydantic import ValidationError
    from pydantic_core import InitErrorDetails, PydanticCustomError

    from orchestrator.core.reading import violations_of

    rules = ("too_short", "literal_error", "string_pattern_mismatch", "of_our_own")
    details = [
        InitErrorDetails(type=PydanticCustomError(rule, "is odd"), loc=("a",), input=1)
        for rule in rules
    ]
    error = ValidationError.from_exception_data("Thing", details)
    assert {one["reason"] for one in violations_of(error)} == {"is odd"}
