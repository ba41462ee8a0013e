"""Reading a definition: what is wrong is said at its place in the document."""

import pytest

from designer.documents import read_definition
from designer.patterns import blank
from orchestrator.core.errors import InvalidInputError


def violations_of(document):
    with pytest.raises(InvalidInputError) as refused:
        read_definition(document)
    return refused.value.detail["violations"]


def test_a_blank_workflow_is_read_and_names_its_ends():
    model = read_definition(blank("Parcel check"))
    assert model.name == "Parcel check"
    assert set(model.outcomes) == {"done", "failed"}
    assert read_definition(model) is model


def test_a_violation_inside_a_step_is_at_a_pointer_into_the_document():
    document = blank("x")
    document["steps"]["done"]["outcome"] = "Not An Id"
    document["steps"]["start"]["colour"] = "red"
    found = violations_of(document)
    assert [one["path"] for one in found] == ["/steps/start/colour", "/steps/done/outcome"]


def test_an_unknown_step_kind_is_at_the_step():
    document = blank("x")
    document["steps"]["done"]["kind"] = "teleport"
    assert violations_of(document)[0]["path"] == "/steps/done"


def test_a_link_to_a_step_that_is_not_there_is_named_without_technical_words():
    document = blank("x")
    del document["steps"]["done"]
    (found,) = violations_of(document)
    assert found["reason"].startswith("link 'start.next-done' names the step 'done'")


def test_keys_with_slashes_and_tildes_are_escaped_in_the_pointer():
    document = blank("x")
    document["links"]["a/b~c"] = {"source": "start", "port": 3, "target": "done"}
    assert violations_of(document)[0]["path"] == "/links/a~1b~0c/port"


def test_too_many_steps_are_refused_with_the_limit_named():
    document = blank("x")
    document["steps"] |= {f"s{i}": {"kind": "start", "name": "S"} for i in range(2_000)}
    (found,) = violations_of(document)
    assert found["path"] == "/steps"
    assert "at most 1,000 steps; this one has 2,002" in found["reason"]


def test_a_contract_nested_too_deeply_is_refused_with_the_limit_named():
    schema = {"type": "string"}
    for _ in range(200):
        schema = {"type": "array", "items": schema}
    document = blank("x")
    document["input"] = schema
    with pytest.raises(InvalidInputError, match="deeper than 64"):
        read_definition(document)


def test_at_most_fifty_violations_are_listed():
    document = blank("x")
    document["links"] = {f"l{i}": {} for i in range(300)}
    assert len(violations_of(document)) == 50
