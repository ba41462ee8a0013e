"""What a step may read and what it takes, as lists for people."""

from __future__ import annotations

import pytest

from orchestrator.core.catalogue import AgentExample, AgentInterface, DomainType
from orchestrator.core.checks import examine
from orchestrator.core.contracts import Validator, standard_types
from orchestrator.core.examples import sample_document
from orchestrator.core.scope import MAX_READABLES, label_of, sample_of, says_nothing, type_word
from tests.unit.core.flows import ANY, agent, call, catalogue, definition

POLICY = DomainType("PolicyNumber", 1, {"type": "string", "pattern": "^PN-[0-9]{4}$"})
GIVES = {
    "type": "object",
    "properties": {
        "policy_number": {"$ref": "baton:PolicyNumber"},
        "amount": {"$ref": "baton:Money"},
        "remarks": {"type": "array", "items": {"type": "string"}},
        "person": {
            "type": "object",
            "properties": {"name": {"type": "string", "examples": ["Ada"]}},
            "required": ["name"],
        },
    },
    "required": ["policy_number", "person"],
}
EXTRACT = AgentInterface(
    slug="extract",
    version=1,
    name="Extract",
    kind="function",
    input_schema=ANY,
    output_schema=GIVES,
    examples=(AgentExample("A letter", {}, {"policy_number": "PN-1234"}),),
)
TAKES = {
    "type": "object",
    "properties": {
        "number": {"$ref": "baton:PolicyNumber", "description": "As printed."},
        "total": {"$ref": "baton:Money"},
        "free": {"type": "string", "title": "Anything else"},
    },
    "required": ["number"],
}
IN = {
    "type": "object",
    "properties": {"letter": {"$ref": "baton:Artefact"}, "day": {"$ref": "baton:Date"}},
    "required": ["letter"],
}
KNOWN = catalogue(EXTRACT, agent("take", takes=TAKES), types={"PolicyNumber": POLICY})
STEPS = {"extract": call("extract", name="Read the letter"), "take": call("take")}
LINE = ["start-extract", "extract-take", "take-done"]
GATE = {
    "kind": "gate",
    "name": "Gate",
    "type": "review",
    "question": "OK?",
    "proposal": {},
    "contract": TAKES,
}


def made(arrows=None, **steps):
    return definition({**STEPS, **steps}, arrows or LINE, input=IN)


def scope(step, arrows=None, **steps):
    found = examine(made(arrows, **steps), KNOWN, step)
    return {one.expression: one for one in found.scope}


def test_the_input_and_everything_before_a_step_can_be_read():
    found = scope("take")
    assert {"input.letter", "input.letter.name", "input.day"} <= set(found)
    assert "steps.extract.output.policy_number" in found
    assert "steps.extract.result" in found
    assert not [one for one in found if one.startswith("steps.take")]
    policy = found["steps.extract.output.policy_number"]
    assert (policy.step, policy.label, policy.type) == ("extract", "Policy number", "text")
    assert policy.domain_type == "PolicyNumber"
    assert policy.certain
    assert policy.sample == "PN-1234"


def test_types_are_words_for_people():
    found = scope("take")
    words = {key.rpartition(".")[2]: one.type for key, one in found.items()}
    assert words["amount"] == "money"
    assert words["letter"] == "file"
    assert words["day"] == "date"
    assert words["remarks"] == "list"
    assert words["person"] == "object"
    assert words["minor"] == "whole number"


def test_fields_of_objects_follow_them_with_a_label_of_the_way():
    found = scope("take")
    name = found["steps.extract.output.person.name"]
    assert name.label == "Person / Name"
    assert name.sample == "Ada"
    assert not found["steps.extract.output.amount.minor"].certain


def test_an_output_is_not_certain_behind_a_way_on_which_there_is_none():
    found = scope("take", [*LINE, "extract.not_found-take"])
    assert not found["steps.extract.output.policy_number"].certain
    assert "steps.extract.reason" in found


def test_what_a_reason_port_alone_leads_to_sees_no_output_fields():
    found = scope("take", ["start-extract", "extract.failed-take", "take-done", "extract-done"])
    assert "steps.extract.output.policy_number" not in found
    assert found["steps.extract.reason"].certain


def test_what_a_step_takes_lists_the_values_that_fit_best_first():
    fields = examine(made(), KNOWN, "take").fields
    assert [one.name for one in fields] == ["number", "total", "free"]
    number, total, free = fields
    assert (number.required, number.description) == (True, "As printed.")
    assert number.candidates[0] == "steps.extract.output.policy_number"
    assert total.candidates == ("steps.extract.output.amount",)
    assert free.label == "Anything else"
    assert "steps.extract.output.person.name" in free.candidates
    assert number.model_dump(mode="json")["schema"]["x-type"] == "PolicyNumber"


def test_a_gate_takes_its_proposal_and_a_form_to_fill_demands_nothing():
    arrows = ["start-extract", "extract-gate", "gate.approved-done"]
    (number, *_) = examine(made(arrows, gate=GATE), KNOWN, "gate").fields
    assert number.required
    filled = {**GATE, "type": "fill"}
    arrows = ["start-extract", "extract-gate", "gate.filled-done"]
    assert not any(one.required for one in examine(made(arrows, gate=filled), KNOWN, "gate").fields)


def test_a_step_that_takes_anything_lists_no_fields():
    transform = {"kind": "transform", "name": "T", "output": {"x": "1"}}
    arrows = ["start-t", "t-done"]
    assert examine(made(arrows, t=transform), KNOWN, "t").fields is None


def test_without_a_step_nothing_is_listed_and_an_unknown_one_counts_as_none():
    for step in (None, "nobody"):
        found = examine(made(), KNOWN, step)
        assert found.scope is None
        assert found.fields is None


def test_a_definition_with_a_cycle_can_still_be_read_from():
    found = examine(made([*LINE, "take.failed-extract"]), KNOWN, "take")
    assert [one.code for one in found.findings if one.severity == "error"] == ["cycle"]
    assert "steps.extract.output.policy_number" in {one.expression for one in found.scope}


def test_only_so_many_values_are_listed_the_nearest_first():
    wide = {"type": "object", "properties": {f"f{n}": {"type": "string"} for n in range(100)}}
    steps = {f"s{n}": call("wide") for n in range(12)}
    arrows = ["start-s0", *(f"s{n}-s{n + 1}" for n in range(11)), "s11-done"]
    flow = definition(steps, arrows, input=IN)
    found = examine(flow, catalogue(agent("wide", gives=wide)), "s11").scope
    assert len(found) == MAX_READABLES
    assert "steps.s10.output.f0" in {one.expression for one in found}
    assert "steps.s0.output.f0" not in {one.expression for one in found}


def test_links_carry_the_worst_verdict_of_the_fields_that_read_their_source():
    take = call(
        "take", input={"number": "steps.extract.output.policy_number", "total": "input.day"}
    )
    found = examine(made(take=take), KNOWN).links
    assert found["extract.next-take"].verdict == "fits"
    assert [one.field for one in found["extract.next-take"].fields] == ["number"]
    assert found["start.next-extract"].verdict == "none"
    assert found["take.next-done"].verdict == "none"
    first = call("take", input={"number": "input.day", "total": "input.total"})
    (arrow,) = [
        one
        for key, one in examine(made(["start-take", "take-done"], take=first), KNOWN).links.items()
        if key == "start.next-take"
    ]
    assert arrow.verdict == "does_not_fit"  # the worst: there is no input.total
    by_field = {one.field: one for one in arrow.fields}
    assert by_field["number"].verdict == "may_not_fit"
    assert by_field["number"].counter_example is not None
    assert by_field["total"].reason


def test_a_link_from_a_step_that_only_steers_is_judged_by_all_fields_of_its_target():
    route = {"kind": "router", "name": "Route", "routes": [
        {"port": "known", "title": "Known", "when": "input.day == 'x'"}]}  # fmt: skip
    take = call("take", input={"number": "steps.extract.output.policy_number"})
    arrows = [
        *("start-extract", "extract-route", "route.known-take", "route.default-done"),
        "take-done",
    ]
    found = examine(made(arrows, route=route, take=take), KNOWN).links
    assert found["route.known-take"].verdict == "fits"
    assert [one.field for one in found["route.known-take"].fields] == ["number"]
    assert found["route.default-done"].verdict == "none"


def test_a_contract_that_says_nothing_is_a_warning_on_step_and_link():
    arrows = ["start-extract", "extract-gate", "gate.approved-done"]
    open_gate = {**GATE, "contract": {}}
    found = [
        one
        for one in examine(made(arrows, gate=open_gate), KNOWN).findings
        if one.code == "missing_contract"
    ]
    places = {(one.severity, one.step, one.field, one.link) for one in found}
    assert ("warning", "gate", "contract", "extract.next-gate") in places
    assert ("warning", "extract", "uses.input", "start.next-extract") in places


def test_a_value_of_the_same_form_and_another_meaning_is_a_warning():
    other = DomainType("ClaimNumber", 1, {"type": "string", "pattern": "^PN-[0-9]{4}$"})
    known = catalogue(
        agent(
            "claims", gives={"type": "object", "properties": {"c": {"$ref": "baton:ClaimNumber"}}}
        ),
        agent("take", takes=TAKES),
        types={"PolicyNumber": POLICY, "ClaimNumber": other},
    )
    steps = {"c": call("claims"), "take": call("take", input={"number": "steps.c.output.c"})}
    found = examine(definition(steps, ["start-c", "c-take", "take-done"]), known)
    (warning,) = [one for one in found.findings if one.code == "other_meaning"]
    assert "is a ClaimNumber, and a PolicyNumber is asked for" in warning.message
    assert found.links["c.next-take"].verdict == "may_not_fit"


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ({"type": "string"}, "text"),
        ({"type": ["integer", "null"]}, "whole number"),
        ({"enum": [1, 2]}, "whole number"),
        ({"enum": [1.5, 2]}, "number"),
        ({"type": "number"}, "number"),
        ({"type": "boolean"}, "yes/no"),
        ({"type": "string", "format": "date-time"}, "time"),
        ({"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}, "date"),
        ({"type": ["string", "boolean"]}, "text or yes/no"),
        ({}, "anything"),
        ({"type": "null"}, "empty"),
        ({"type": "string", "x-type": "Instant"}, "time"),
    ],
)
def test_type_words(schema, word):
    assert type_word(schema) == word


@pytest.mark.parametrize(
    ("name", "schema", "label"),
    [
        ("policy_number", {}, "Policy number"),
        ("policyNumber", {}, "Policy number"),
        ("x", {"title": "Wanted"}, "Wanted"),
        ("total", {"title": "Money", "x-type": "Money"}, "Total"),
        ("__", {}, "__"),
    ],
)
def test_labels(name, schema, label):
    assert label_of(name, schema) == label


@pytest.mark.parametrize(
    ("schema", "sample"),
    [
        ({"const": 3}, 3),
        ({"default": "a"}, "a"),
        ({"examples": [None, "b"]}, "b"),
        ({"enum": ["c", "d"]}, "c"),
        ({"type": "string"}, None),
        ({"properties": {"x": {"const": 1}, "y": {}}}, {"x": 1}),
    ],
)
def test_samples_come_from_the_schema(schema, sample):
    assert sample_of(schema) == sample


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, True),
        ({"type": "object", "title": "T", "x-class": "pii"}, True),
        ({"type": "string"}, False),
        ({"type": "object", "properties": {}}, False),
    ],
)
def test_contracts_that_say_nothing(schema, expected):
    assert says_nothing(schema) is expected


def test_a_sample_document_fills_every_field_that_can_be_made_up():
    contract = {
        "type": "object",
        "properties": {
            "number": {"type": "string", "pattern": "^PN-[0-9]{4}$"},
            "day": {"$ref": "baton:Date"},
            "amount": {"$ref": "baton:Money"},
            "kind": {"enum": ["car", "home"]},
            "count": {"type": "integer", "minimum": 3},
            "above": {"type": "number", "exclusiveMinimum": 2},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "name": {"type": "string", "minLength": 9, "maxLength": 12},
            "note": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]},
            "flag": {"type": "boolean"},
            "fixed": {"const": 7},
            "usual": {"type": "string", "default": "north"},
            "person": {"type": "object", "properties": {"age": {"type": "integer"}}},
            "letter": {"$ref": "baton:Artefact"},
        },
        "additionalProperties": False,
    }
    validator = Validator(contract, standard_types())
    made = sample_document(validator.schema)
    assert validator.is_valid(made)
    assert set(made) == set(contract["properties"]) - {"letter"}
    assert made["number"] == "PN-0000"
    assert made["usual"] == "north"


@pytest.mark.parametrize("contract", [{}, {"type": "object"}, {"type": "string"}, {"$ref": "#"}])
def test_a_contract_that_says_nothing_gives_an_empty_sample(contract):
    assert sample_document(contract) == {}
