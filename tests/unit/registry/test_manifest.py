"""The manifest and how contracts are put into words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from registry.manifest import AgentManifest, HttpConfig, version_sha256
from registry.presentation import fields_of, no_values_of, words_of

BASE = {"purpose": "Tests.", "input": {"type": "object"}, "output": {"type": "object"}}


def manifest(kind, config, **more):
    return AgentManifest.model_validate({**BASE, "kind": kind, "config": config, **more})


def test_the_config_is_that_of_the_kind():
    made = manifest("http", {"endpoint": "register", "path": "/a/{id}"})
    assert isinstance(made.config, HttpConfig)
    assert (made.waits, made.config.path_fields()) == (True, ("id",))
    with pytest.raises(ValidationError, match="function"):
        manifest("function", {"endpoint": "register", "path": "/a"})


def test_what_is_stored_reads_back_the_same():
    made = manifest("template", {"text": "Dear {name}"})
    assert AgentManifest.model_validate(made.stored()) == made
    assert version_sha256(made.stored(), {}) != version_sha256(made.stored(), {"Money": 1})


@pytest.mark.parametrize(
    "path", ["a", "//{x", "/a?b=1", "/a#b", "/a/../b", "/a\\b", "/%2e%2e/", "/{a}}"]
)
def test_a_path_that_could_lead_elsewhere_is_refused(path):
    with pytest.raises(ValidationError):
        manifest("http", {"endpoint": "register", "path": path})


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "https://evil.example"},
        {"method": "CONNECT"},
        {"body": "input"},
        {"responses": {"200": {"result": "not_found"}}},
        {"responses": {"600": {}}},
        {"headers": {"Authorization": "x"}},
        {"url": "https://evil.example"},
    ],
)
def test_a_request_that_is_not_allowed_is_refused(change):
    with pytest.raises(ValidationError):
        manifest("http", {"endpoint": "register", "path": "/a", **change})


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "text"),
        ({"type": ["string", "null"]}, "text or empty"),
        ({"type": "integer", "minimum": 0, "maximum": 10_000}, "whole number, 0 to 10,000"),
        ({"type": "number", "minimum": 0}, "number, at least 0"),
        ({"type": "string", "format": "date"}, "date"),
        ({"enum": ["a", None, True]}, "one of a, empty, yes"),
        ({"const": 3}, "3"),
        ({"$ref": "baton:Money"}, "money"),
        ({"$ref": "baton:PolicyNumber"}, "policy number"),
        (
            {"type": "array", "items": {"$ref": "baton:Money"}, "minItems": 1},
            "list of money, at least 1",
        ),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, "list of a, b"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text or empty"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "whole number by name"),
        ({}, "anything"),
        (True, "anything"),
    ],
)
def test_a_contract_is_put_into_words(schema, words):
    assert words_of(schema, schema if isinstance(schema, dict) else {}) == words


def test_nested_fields_are_spread_out():
    schema = {
        "type": "object",
        "properties": {
            "person": {"$ref": "#/$defs/person"},
            "signals": {
                "type": "array",
                "items": {"type": "object", "properties": {"text": {"type": "string"}}},
            },
        },
        "required": ["person", "signals"],
        "$defs": {
            "person": {
                "type": "object",
                "properties": {"name": {"type": "string", "x-class": "pii"}},
                "required": ["name"],
            }
        },
    }
    rows = {one.path: one for one in fields_of(schema)}
    assert list(rows) == ["person.name", "signals[]", "signals[].text"]
    assert rows["person.name"].data_class == "pii"
    assert not rows["signals[].text"].is_required


def test_a_definition_that_holds_itself_ends():
    schema = {
        "type": "object",
        "properties": {"child": {"$ref": "#/$defs/node"}},
        "$defs": {"node": {"type": "object", "properties": {"child": {"$ref": "#/$defs/node"}}}},
    }
    assert len(fields_of(schema)) < 10
    endless = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}
    assert words_of(endless, endless) == "anything"


def test_the_ways_to_say_no_are_read_from_the_manifest():
    row = {"id": "a", "result": "refused", "reason_code": "x", "reason": "Too young."}
    found = no_values_of(manifest("rules", {"id": "t", "rows": [row]}))
    assert [(one.result, one.reason) for one in found] == [
        ("refused", "Too young."),
        ("not_found", "No row of the table applies."),
    ]


def test_a_contract_is_read_in_the_order_in_which_somebody_put_it():
    text = {"type": "string"}
    schema = {"type": "object", "properties": {"a": text, "b": text}, "x-order": ["b", "a"]}
    assert [one.path for one in fields_of(schema)] == ["b", "a"]
