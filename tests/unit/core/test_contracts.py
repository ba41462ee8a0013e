"""Data contracts: validation, repairs, masking, bundling, and whether one contract fits another."""

from __future__ import annotations

import re
import timeit

import pytest

from orchestrator.core.catalogue import DomainType, Repair
from orchestrator.core.contracts import (
    FitVerdict,
    SchemaError,
    Validator,
    bundle,
    check_repair,
    fits,
    may_meet,
    standard_types,
)
from orchestrator.core.schemas import inline

POLICY = DomainType(
    "PolicyNumber",
    1,
    {"type": "string", "pattern": r"^[A-Z]{2}-\d{3}-\d{3}-\d{2}$"},
    repairs=(
        Repair(r"[ ./_-]+", "", "separators were removed"),
        Repair(r"^([A-Z]{2})(\d{3})(\d{3})(\d{2})$", r"\1-\2-\3-\4", "dashes were put in"),
    ),
    uppercase=True,
)
TYPES = {**standard_types(), "PolicyNumber": POLICY}
HASH = "a" * 64


def obj(properties, required=(), **more):
    return {"type": "object", "properties": properties, "required": list(required), **more}


def closed(properties, required=()):
    return obj(properties, required, additionalProperties=False)


CLAIM = closed(
    {
        "policy_number": {"$ref": "baton:PolicyNumber"},
        "amount": {"anyOf": [{"type": "null"}, {"$ref": "baton:Money"}]},
        "count": {"type": "integer"},
        "name": {"type": "string", "minLength": 1, "maxLength": 20, "x-class": "pii"},
        "sources": {"$ref": "baton:Sources"},
    },
    ["policy_number"],
)
GOOD = {
    "policy_number": "MV-882-104-55",
    "amount": {"minor": 12_345, "currency": "EUR"},
    "count": 3,
    "sources": {"/amount": {"artefact": HASH, "page": 1, "box": [0, 0, 10, 10]}},
}


def violations(schema, payload):
    return [(v.path, v.rule) for v in Validator(schema, TYPES).check(payload)]


# ---- validation -----------------------------------------------------------------------------


def test_a_payload_that_fits_has_no_violations():
    assert Validator(CLAIM, TYPES).check(GOOD) == ()
    assert Validator(CLAIM, TYPES).accept(GOOD).verdict == "fits"


@pytest.mark.parametrize(
    ("change", "path", "rule", "words"),
    [
        ({"policy_number": None}, "/policy_number", "type", "must be text, but is empty (null)"),
        ({"count": "3"}, "/count", "type", "must be a whole number, but is text"),
        ({"count": 3.5}, "/count", "type", "must be a whole number, but is a number"),
        ({"name": ""}, "/name", "minLength", "must not be empty"),
        ({"name": "x" * 21}, "/name", "maxLength", "must have at most 20 characters"),
        ({"extra": 1}, "/extra", "additionalProperties", "is not a field of the contract"),
        ({"amount": 3}, "/amount", "anyOf", "must be empty or an object, but is a number"),
        ({"amount": {"minor": 3}}, "/amount/currency", "required", "is required but missing"),
        (
            {"sources": {"/a": {"artefact": HASH, "page": 0, "box": [1, 2, 3, 4]}}},
            "/sources/~1a/page",
            "minimum",
            "must be at least 1, but is 0",
        ),
    ],
)
def test_a_violation_names_the_place_and_says_what_is_wrong(change, path, rule, words):
    (found,) = Validator(CLAIM, TYPES).check({**GOOD, **change})
    assert (found.path, found.rule, found.reason) == (path, rule, words)


def test_a_missing_field_is_named_by_its_own_path():
    assert violations(CLAIM, {}) == [("/policy_number", "required")]


def test_all_violations_are_listed_in_order_of_their_paths():
    assert violations(CLAIM, {"count": "x", "zz": 1}) == [
        ("/count", "type"),
        ("/policy_number", "required"),
        ("/zz", "additionalProperties"),
    ]


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "format": "date"}, "2026-02-28", "2026-02-30"),
        ({"type": "string", "format": "date-time"}, "2026-02-28T09:00:00Z", "2026-02-28"),
        ({"type": "string", "format": "email"}, "a@example.org", "a at example"),
        ({"enum": ["car", "home"]}, "car", "boat"),
        ({"const": 3}, 3, 4),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 1}, [1], []),
        ({"type": "array", "uniqueItems": True}, [1, 2], [1, 1]),
        ({"type": "number", "exclusiveMinimum": 0}, 0.1, 0),
        ({"type": "number", "multipleOf": 5}, 10, 11),
        ({"not": {"type": "null"}}, 1, None),
    ],
)
def test_every_rule_is_enforced_formats_too(schema, good, bad):
    validator = Validator(schema)
    assert validator.is_valid(good)
    assert not validator.is_valid(bad)
    (found,) = validator.check(bad)
    assert found.reason
    assert "{" not in found.reason


def test_alternatives_are_explained_by_the_one_that_was_meant():
    schema = {
        "oneOf": [
            closed({"kind": {"const": "a"}, "n": {"type": "integer"}}, ["kind", "n"]),
            closed({"kind": {"const": "b"}, "s": {"type": "string"}}, ["kind", "s"]),
        ]
    }
    assert violations(schema, {"kind": "b", "s": 3}) == [("/s", "type")]


@pytest.mark.parametrize("secret_class", ["pii", "phi", "secret"])
def test_values_of_hidden_classes_never_appear_in_reasons(secret_class):
    schema = closed(
        {
            "name": {"type": "string", "pattern": "^[A-Z]", "x-class": secret_class},
            "tags": {"type": "array", "x-class": secret_class, "items": {"enum": ["a", "b"]}},
            "deep": {"$ref": "#/$defs/deep"},
        }
    )
    schema["$defs"] = {
        "deep": obj({"n": {"type": "integer", "maximum": 3}}, **{"x-class": secret_class})
    }
    payload = {"name": "hunter2", "tags": ["hunter2"], "deep": {"n": 4242}}
    found = Validator(schema).check(payload)
    assert len(found) == 3
    assert not any("hunter2" in v.reason or "4242" in v.reason for v in found)


def test_values_without_a_class_are_shown_to_help():
    (found,) = Validator({"enum": ["car", "home"]}).check("boat")
    assert found.reason == "must be one of 'car', 'home', but is 'boat'"


def test_a_pattern_is_explained_by_the_contracts_own_example():
    schema = {"type": "string", "pattern": r"^\d{3}$"}
    assert Validator(schema).check("x")[0].reason == r"must match the pattern ^\d{3}$, but is 'x'"
    shown = Validator({**schema, "examples": ["123"]}).check("x")[0].reason
    assert shown == "must look like '123', but is 'x'"


def test_too_deep_and_too_large_payloads_are_refused_before_anything_else():
    deep = value = {}
    for _ in range(200):
        value["x"] = value = {}
    assert [v.rule for v in Validator({}).check(deep)] == ["depth"]
    assert [v.rule for v in Validator({}).check(["x" * 1_000_000] * 3)] == ["size"]


def test_a_catastrophic_pattern_answers_at_once():
    validator = Validator({"type": "string", "pattern": "^(a+)+$"})
    assert timeit.timeit(lambda: validator.is_valid("a" * 5_000 + "!"), number=1) < 1


def test_the_valid_path_takes_microseconds():
    validator = Validator(CLAIM, TYPES)
    best = min(timeit.repeat(lambda: validator.accept(GOOD), number=200, repeat=5)) / 200
    assert best < 200e-6


# ---- repairs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written", ["mv 882 104 55", "MV88210455", "mv.882.104.55", "MV/882/104/55"]
)
def test_a_nearly_right_value_is_repaired_and_told(written):
    accepted = Validator(CLAIM, TYPES).accept({"policy_number": written})
    assert accepted.verdict == "repaired"
    assert accepted.payload == {"policy_number": "MV-882-104-55"}
    assert accepted.repairs == (f"/policy_number: '{written}' became 'MV-882-104-55'",)


def test_a_value_that_fits_is_never_touched():
    schema = closed({"policy_number": {"$ref": "baton:PolicyNumber"}})
    payload = {"policy_number": "MV-882-104-55"}
    assert Validator(schema, TYPES).accept(payload).payload is payload


@pytest.mark.parametrize("written", ["MV 882 104 5", "hello", "", "MV-882-104-55-99"])
def test_what_the_repairs_cannot_make_right_is_refused_as_it_was(written):
    accepted = Validator(CLAIM, TYPES).accept({"policy_number": written})
    assert accepted.verdict == "refused"
    assert accepted.payload == {"policy_number": written}
    assert accepted.violations[0].path == "/policy_number"


def test_values_inside_lists_and_alternatives_are_repaired_too():
    schema = closed(
        {
            "all": {"type": "array", "items": {"$ref": "baton:PolicyNumber"}},
            "one": {"anyOf": [{"type": "null"}, {"$ref": "baton:PolicyNumber"}]},
        }
    )
    accepted = Validator(schema, TYPES).accept(
        {"all": ["ab 111 222 33", "AB-111-222-33"], "one": "cd11122233"}
    )
    assert accepted.payload == {"all": ["AB-111-222-33", "AB-111-222-33"], "one": "CD-111-222-33"}
    assert len(accepted.repairs) == 2


def test_text_that_is_not_of_the_type_is_not_repaired():
    schema = closed(
        {"note": {"type": "string", "maxLength": 3}, "policy": {"$ref": "baton:PolicyNumber"}}
    )
    accepted = Validator(schema, TYPES).accept({"note": "mv 882 104 55"})
    assert accepted.verdict == "refused"
    assert accepted.repairs == ()


def test_good_repairs_are_kept_when_something_else_is_refused():
    accepted = Validator(CLAIM, TYPES).accept({"policy_number": "mv88210455", "count": "x"})
    assert accepted.verdict == "refused"
    assert accepted.payload["policy_number"] == "MV-882-104-55"
    assert [v.path for v in accepted.violations] == ["/count"]


def test_a_repair_of_a_hidden_value_does_not_show_it():
    schema = closed({"policy": {"$ref": "baton:PolicyNumber", "x-class": "pii"}})
    accepted = Validator(schema, TYPES).accept({"policy": "mv88210455"})
    assert accepted.verdict == "repaired"
    assert "882" not in accepted.repairs[0]


def test_whole_numbers_that_came_as_fractions_become_whole_numbers():
    schema = closed(
        {
            "n": {"type": "integer"},
            "x": {"type": "number"},
            "l": {"type": "array", "items": {"type": "integer"}},
        }
    )
    accepted = Validator(schema).accept({"n": 3.0, "x": 3.0, "l": [1.0, 2]})
    assert accepted.verdict == "fits"
    assert [
        type(v) for v in (accepted.payload["n"], accepted.payload["x"], accepted.payload["l"][0])
    ] == [int, float, int]


@pytest.mark.parametrize(
    ("pattern", "replacement", "problem"),
    [
        (r"(a+)+", "", "repetition inside"),
        (r"(a*)*b", "", "repetition inside"),
        (r"(a)\1", "", "Back references"),
        (r"(?=a)b", "", "look-around"),
        (r"(", "", "cannot be used"),
        (r"a", r"\3", "cannot be used"),
        ("a" * 400, "", "too long"),
    ],
)
def test_dangerous_repairs_are_refused(pattern, replacement, problem):
    assert problem in check_repair(Repair(pattern, replacement, ""))


@pytest.mark.parametrize("kind", [*standard_types().values(), POLICY], ids=lambda kind: kind.name)
def test_the_repairs_of_the_shipped_types_are_acceptable(kind):
    assert [check_repair(repair) for repair in kind.repairs] == [None] * len(kind.repairs)


# ---- the contract itself --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "https://example.org/x.json"}, "leads out"),
        ({"$ref": "other.json"}, "leads out"),
        ({"$ref": "file:///etc/passwd"}, "leads out"),
        ({"$ref": "baton:Nothing"}, "no shared type 'Nothing'"),
        ({"type": "strin"}, "not valid JSON Schema"),
        ({"type": "string", "pattern": "("}, "not valid JSON Schema"),
        ({"properties": {"a": {"$id": "x"}}}, "inner '$id'"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "2020-12"),
        ({"$dynamicRef": "#x"}, "Anchors"),
        ({"$ref": "#/$defs/nowhere"}, "not valid JSON Schema"),
    ],
)
def test_an_unusable_contract_is_refused_with_the_reason(schema, words):
    with pytest.raises(SchemaError, match=re.escape(words)):
        Validator(schema, TYPES)


def test_bundling_brings_a_types_own_definitions_and_what_it_refers_to():
    bundled = bundle({"$ref": "baton:Money"}, TYPES)
    assert bundled["$ref"] == "#/$defs/Money"
    assert set(bundled["$defs"]) == {"Money", "Currency"}
    nested = DomainType(
        "Tree",
        1,
        {
            "$ref": "#/$defs/node",
            "$defs": {"node": obj({"kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}})},
        },
    )
    bundled = bundle({"$ref": "baton:Tree"}, {"Tree": nested})
    assert set(bundled["$defs"]) == {"Tree", "Tree.node"}
    assert Validator({"$ref": "baton:Tree"}, {"Tree": nested}).is_valid({"kids": [{"kids": []}]})
    assert not Validator({"$ref": "baton:Tree"}, {"Tree": nested}).is_valid({"kids": [{"kids": 3}]})


def test_bundling_leaves_the_given_contract_alone():
    schema = closed({"p": {"$ref": "baton:PolicyNumber"}})
    before = repr(schema)
    bundle(schema, TYPES)
    assert repr(schema) == before


def test_constants_that_look_like_references_are_data():
    schema = {"const": {"$ref": "https://example.org"}}
    assert Validator(schema).is_valid({"$ref": "https://example.org"})


def test_inlining_ends_even_for_a_contract_that_contains_itself():
    node = obj({"next": {"$ref": "#"}})
    assert inline(node, levels=3)["properties"]["next"]["properties"]["next"]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("Money", {"minor": -5, "currency": "EUR"}, {"minor": 1.5, "currency": "EUR"}),
        ("Money", {"minor": 0, "currency": "JPY"}, {"minor": 0, "currency": "Euro"}),
        (
            "Artefact",
            {"artefact": HASH, "media": "application/pdf", "name": "a.pdf"},
            {"artefact": "x"},
        ),
        (
            "Sources",
            {"/a": {"artefact": HASH, "lines": [1, 2]}},
            {"a": {"artefact": HASH, "lines": [1, 2]}},
        ),
        (
            "Sources",
            {"": {"artefact": HASH, "page": 1, "box": [0, 0, 1, 1]}},
            {"/a": {"artefact": HASH}},
        ),
        ("Date", "2026-03-31", "31 March"),
        ("Instant", "2026-03-31T10:00:00Z", "2026-03-31"),
    ],
)
def test_standard_types(name, good, bad):
    validator = Validator({"$ref": f"baton:{name}"}, TYPES)
    assert validator.accept(good).verdict == "fits"
    assert validator.accept(bad).verdict == "refused"


def test_a_date_in_another_order_is_repaired():
    validator = Validator({"$ref": "baton:Date"}, TYPES)
    assert validator.accept("31.03.2026").payload == "2026-03-31"


# ---- does A fit B ---------------------------------------------------------------------------------

S, INT, N, B = ({"type": name} for name in ("string", "integer", "number", "boolean"))
YES, NO, UNKNOWN = FitVerdict.FITS, FitVerdict.DOES_NOT_FIT, FitVerdict.CANNOT_TELL
NULLABLE = {"type": ["string", "null"]}
TREE = {"$ref": "#/$defs/n", "$defs": {"n": obj({"n": {"$ref": "#/$defs/n"}, "v": S})}}

PAIRS = [
    (obj({"a": S}, ["a"]), obj({"a": S}, ["a"]), YES),
    (closed({"a": S, "b": INT}, ["a", "b"]), obj({"a": S}, ["a"]), YES),
    (obj({"a": S}), obj({"a": S}, ["a"]), NO),
    (obj({"a": S}, ["a"]), obj({"a": S}), YES),
    (obj({"a": NULLABLE}, ["a"]), obj({"a": S}, ["a"]), NO),
    (obj({"a": S}, ["a"]), obj({"a": NULLABLE}, ["a"]), YES),
    (INT, N, YES),
    (N, INT, NO),
    (INT, S, NO),
    (B, {"enum": [True, False]}, YES),
    ({"enum": ["a", "b"]}, {"enum": ["a", "b", "c"]}, YES),
    ({"enum": ["a", "b"]}, {"enum": ["a"]}, NO),
    ({"const": "a"}, {"enum": ["a"]}, YES),
    ({"enum": ["a", "b"]}, S, YES),
    (S, {"enum": ["a"]}, NO),
    ({"type": "string", "minLength": 5}, {"type": "string", "minLength": 3}, YES),
    ({"type": "string", "minLength": 3}, {"type": "string", "minLength": 5}, NO),
    ({"type": "string", "maxLength": 3}, {"type": "string", "maxLength": 5}, YES),
    ({"type": "integer", "minimum": 7}, {"type": "integer", "minimum": 5}, YES),
    ({"type": "integer", "minimum": 5}, {"type": "integer", "minimum": 7}, NO),
    ({"type": "integer", "minimum": 0, "maximum": 9}, {"type": "integer", "maximum": 9}, YES),
    ({"type": "array", "items": INT}, {"type": "array", "items": N}, YES),
    ({"type": "array", "items": N}, {"type": "array", "items": INT}, NO),
    ({"type": "array", "items": S}, {"type": "array", "items": S, "minItems": 1}, NO),
    (
        {"type": "array", "items": S, "minItems": 2},
        {"type": "array", "items": S, "minItems": 1},
        YES,
    ),
    (S, {"type": "string", "format": "date"}, NO),
    ({"type": "string", "format": "date"}, S, YES),
    ({"$ref": "baton:PolicyNumber"}, S, YES),
    (S, {"$ref": "baton:PolicyNumber"}, NO),
    ({"$ref": "baton:Money"}, {"$ref": "baton:Money"}, YES),
    (
        obj({"m": {"$ref": "baton:Money"}}, ["m"]),
        obj({"m": {"anyOf": [{"type": "null"}, {"$ref": "baton:Money"}]}}),
        YES,
    ),
    ({"anyOf": [S, INT]}, {"type": ["string", "integer", "null"]}, YES),
    ({"anyOf": [S, INT]}, S, NO),
    (closed({"a": S}), closed({"a": S, "b": S}), YES),
    (obj({"a": obj({"b": INT}, ["b"])}, ["a"]), obj({"a": obj({"b": S}, ["b"])}, ["a"]), NO),
    ({}, S, NO),
    (S, {}, YES),
    (TREE, TREE, YES),
    # What the library cannot decide, said as such or decided by a document that shows it.
    ({"type": "string", "pattern": "^a{3}$"}, {"type": "string", "pattern": "^a+$"}, UNKNOWN),
    (obj({"a": S}), closed({"a": S}), NO),
    (
        TREE,
        {"$ref": "#/$defs/n", "$defs": {"n": obj({"n": {"$ref": "#/$defs/n"}, "v": NULLABLE})}},
        UNKNOWN,
    ),
]


@pytest.mark.parametrize(("producer", "consumer", "verdict"), PAIRS)
def test_fits(producer, consumer, verdict):
    found = fits(producer, consumer, TYPES)
    assert found.verdict in ({verdict, YES} if verdict is UNKNOWN else {verdict})
    if found.verdict is NO:
        assert Validator(producer, TYPES).is_valid(found.counter_example)
        assert not Validator(consumer, TYPES).is_valid(found.counter_example)
        assert found.reason


def test_a_misfit_is_explained_by_the_field():
    found = fits(obj({"policy": NULLABLE}, ["policy"]), obj({"policy": S}, ["policy"]))
    assert (found.path, found.counter_example["policy"]) == ("/policy", None)
    assert found.reason == "must be text, but is empty (null)"


@pytest.mark.parametrize(
    ("producer", "consumer", "can"),
    [
        (S, INT, False),
        (NULLABLE, S, True),
        (S, {"$ref": "baton:PolicyNumber"}, True),
        ({"const": 1}, {"const": 2}, False),
        ({}, S, True),
    ],
)
def test_whether_two_contracts_can_meet_at_all(producer, consumer, can):
    assert may_meet(producer, consumer, TYPES) is can
