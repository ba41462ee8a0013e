"""Design-time types: what an expression gives, and what is wrong with it before it ever runs."""

from __future__ import annotations

import pytest

from orchestrator.core.expression_types import check_expression, kinds_text

INPUT = {
    "type": "object",
    "properties": {
        "amount": {"type": "number"},
        "count": {"type": ["integer", "null"]},
        "note": {"type": "string"},
        "kind": {"enum": ["car", "home"]},
        "when": {"type": "string", "format": "date-time"},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"price": {"type": "integer"}},
                "required": ["price"],
                "additionalProperties": False,
            },
        },
        "money": {
            "anyOf": [
                {"type": "null"},
                {
                    "type": "object",
                    "properties": {"minor": {"type": "integer"}},
                    "required": ["minor"],
                },
            ]
        },
        "open": {"type": "object"},
        "extra": {"type": "object", "additionalProperties": {"type": "string"}},
        "both": {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"b": {"type": "string"}}},
            ]
        },
    },
    "required": ["amount", "count", "kind", "items"],
    "additionalProperties": False,
}
VARIABLES = {"input": INPUT, "steps": {}}


def typed(text, **more):
    return check_expression(text, VARIABLES, **more)


@pytest.mark.parametrize(
    ("text", "schema", "may_be_absent"),
    [
        ("input.amount", {"type": "number"}, False),
        ("input.note", {"type": "string"}, True),
        ("input.amount > 1000", {"type": "boolean"}, False),
        ("input.items.map(i, i.price * 2)", {"type": "array", "items": {"type": "integer"}}, False),
        ("input.items[0].price", {"type": "integer"}, True),
        ("input.money.minor", {"type": "integer"}, True),
        ("input.both.a", {"type": "integer"}, True),
        ("input.both.b", {"type": "string"}, True),
        ("input.extra.anything", {"type": "string"}, True),
        ("input.open.anything", {}, True),
        ("'a' + input.kind", {"type": "string"}, False),
        ("size(input.items) + 1", {"type": "integer"}, False),
        ("input.amount / 2", {"type": "number"}, False),
        ("has(input.note) ? input.note : 'none'", None, False),
        ("timestamp(input.when) < timestamp('2026-01-01T00:00:00Z')", {"type": "boolean"}, True),
        ("[input.amount]", None, False),
        ("input.kind == 'car' ? 1 : 2", None, False),
    ],
)
def test_what_an_expression_gives(text, schema, may_be_absent):
    found = typed(text)
    assert not found.has_errors
    assert found.may_be_absent is may_be_absent
    if schema is not None:
        assert found.schema == schema


def test_a_map_literal_has_the_types_of_its_fields():
    schema = typed("{'a': input.amount, 'b': 'x'}").schema
    assert schema["properties"]["a"] == {"type": "number"}
    assert schema["required"] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("input.amout", "unknown_field", "Did you mean 'amount'?"),
        ("input.zzzzzz", "unknown_field", "Known are: amount,"),
        ("input.items.exists(i, i.prize > 3)", "unknown_field", "Did you mean 'price'?"),
        ("has(input.amout)", "unknown_field", "Did you mean 'amount'?"),
        ("input.note.x", "no_fields", "is text, not an object"),
        ("input.note > 3", "wrong_kind", "'>' cannot compare text with a number"),
        ("input.note - 3", "wrong_kind", "'-' does not work with text and a number"),
        ("input.amount && true", "wrong_kind", "'&&' needs yes or no"),
        ("input.amount == 'x'", "never_equal", "a number with text"),
        ("input.kind == 'boat'", "never_equal", "It is one of 'car', 'home'."),
        ("input.note.map(i, i)", "not_a_list", "not text"),
        ("input.amount >", "syntax", "misplaced"),
        ("foo", "unknown_name", "not known"),
    ],
)
def test_what_is_wrong_for_certain_is_an_error(text, code, words):
    found = typed(text)
    assert found.has_errors
    (finding,) = [item for item in found.findings if item.severity == "error"]
    assert finding.code == code
    assert words in finding.message


def test_what_fails_for_some_values_is_a_warning():
    found = typed("input.count + 1")
    assert not found.has_errors
    assert [(item.code, item.path) for item in found.findings] == [("may_be_empty", "input.count")]


def test_a_condition_that_gives_no_yes_or_no_is_an_error():
    assert [f.code for f in typed("input.note", is_condition=True).findings] == ["not_a_condition"]
    assert typed("input.amount > 3", is_condition=True).findings == ()


def test_unknown_things_are_not_guessed_at():
    assert typed("steps.anything.output.x > 3").findings == ()


def test_kinds_have_words():
    assert kinds_text({"type": ["string", "null"]}) == "empty or text"
    assert kinds_text({}) == "anything"
    assert kinds_text({"allOf": [{"type": "string"}, {"type": "null"}]}) == "nothing"
