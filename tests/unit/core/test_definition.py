"""The shape of a definition document."""

from __future__ import annotations

import pytest

from orchestrator.core.canonical import content_sha256
from orchestrator.core.definition import WorkflowDefinition, ports_of
from tests.unit.core.flows import ANY, call, definition


def dumped():
    return definition({"a": call("a")}, ["start-a", "a-done"]).model_dump(mode="json")


def test_a_definition_survives_json():
    made = definition({"a": call("a")}, ["start-a", "a-done"])
    assert WorkflowDefinition.model_validate_json(made.model_dump_json()) == made


def test_positions_are_not_part_of_what_is_hashed():
    made = WorkflowDefinition.model_validate({**dumped(), "positions": {"a": {"x": 1, "y": 2}}})
    assert content_sha256(made.hashed()) == content_sha256(
        definition({"a": call("a")}, ["start-a", "a-done"]).hashed()
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"links": {"x": {"source": "a", "port": "next", "target": "done"}}}, "must have the id"),
        (
            {"links": {"a.next-ghost": {"source": "a", "port": "next", "target": "ghost"}}},
            "does not exist",
        ),
        ({"steps": {"input": {"kind": "start", "name": "S"}}, "links": {}}, "reserved word"),
        ({"format": "baton/2"}, "baton/1"),
        ({"surprise": 1}, "Extra inputs"),
        ({"steps": {"a": {"kind": "teleport", "name": "T"}}, "links": {}}, "teleport"),
        ({"name": "a\x00b"}, "NUL"),
        ({"steps": {"Bad-Id": {"kind": "start", "name": "S"}}, "links": {}}, "pattern"),
    ],
)
def test_a_document_of_another_shape_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        WorkflowDefinition.model_validate({**dumped(), **change})


def test_every_kind_of_step_knows_its_ways_out():
    gate = {"kind": "gate", "name": "G", "question": "?", "contract": ANY}
    made = definition(
        {
            "a": call("a"),
            "g": {**gate, "type": "approve"},
            "f": {**gate, "type": "fill"},
            "r": {
                "kind": "router",
                "name": "R",
                "routes": [{"port": "x", "title": "X", "when": "true"}],
            },
            "j": {"kind": "join", "name": "J"},
            "t": {"kind": "transform", "name": "T", "output": {}},
        },
        [],
    )
    assert {key: ports_of(step) for key, step in made.steps.items()} == {
        "start": ("next",),
        "a": ("next", "not_found", "uncertain", "refused", "failed"),
        "g": ("approved", "rejected", "returned", "expired"),
        "f": ("filled", "expired"),
        "r": ("x", "default"),
        "j": ("next", "failed"),
        "t": ("next",),
        "done": (),
    }


def test_links_from_a_step_come_in_order_of_their_ids():
    made = definition({"a": call("a"), "b": call("b")}, ["start-b", "start-a", "a-done", "b-done"])
    assert [link.id for link in made.links_from("start")] == ["start.next-a", "start.next-b"]
