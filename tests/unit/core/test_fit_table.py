"""Does what one contract gives fit what another takes? Pairs with known answers.

F: everything that the first allows is allowed by the second. D: it is not, and a document shows it.
C: the two contracts alone do not tell (the answer is honest; the handoff is checked when it runs).
"""

from __future__ import annotations

import json

import pytest

from orchestrator.core.catalogue import DomainType
from orchestrator.core.contracts import FitVerdict, Validator, fits, may_meet, standard_types
from orchestrator.core.scope import same_meaning

F, D, C = FitVerdict.FITS, FitVerdict.DOES_NOT_FIT, FitVerdict.CANNOT_TELL
TYPES = {
    **standard_types(),
    "PolicyNumber": DomainType("PolicyNumber", 1, {"type": "string", "pattern": "^PN-[0-9]{4}$"}),
    "ClaimNumber": DomainType("ClaimNumber", 1, {"type": "string", "pattern": "^CL-[0-9]{4}$"}),
    "Grade": DomainType("Grade", 1, {"enum": ["a", "b", "c"]}),
}
TEXT, WHOLE, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
YES_NO, NULL, ANY, NOTHING = {"type": "boolean"}, {"type": "null"}, {}, {"not": {}}
TREE = {
    "$ref": "#/$defs/tree",
    "$defs": {
        "tree": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
            },
            "required": ["value"],
            "additionalProperties": False,
        }
    },
}
TEXT_TREE = json.loads(json.dumps(TREE).replace('"integer"', '"string"'))


def text(**rules):
    return {"type": "string", **rules}


def whole(**rules):
    return {"type": "integer", **rules}


def number(**rules):
    return {"type": "number", **rules}


def items(schema, **rules):
    return {"type": "array", "items": schema, **rules}


def shared(name):
    return {"$ref": f"baton:{name}"}


def some(*schemas):
    return {"anyOf": list(schemas)}


def fields(*required, closed=True, **properties):
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {**schema, "additionalProperties": False} if closed else schema


PAIRS = {
    # types
    "text into text": (TEXT, TEXT, F),
    "whole into number": (WHOLE, NUMBER, F),
    "number into whole": (NUMBER, WHOLE, D),
    "text into number": (TEXT, NUMBER, D),
    "yes or no into text": (YES_NO, TEXT, D),
    "anything into text": (ANY, TEXT, D),
    "text into anything": (TEXT, ANY, F),
    "text into nothing": (TEXT, NOTHING, D),
    "two types into one": ({"type": ["string", "integer"]}, TEXT, D),
    "one type into two": (TEXT, {"type": ["string", "integer"]}, F),
    "list into object": (items(TEXT), {"type": "object"}, D),
    # null
    "null into text": (NULL, TEXT, D),
    "text or null into text": ({"type": ["string", "null"]}, TEXT, D),
    "text into text or null": (TEXT, {"type": ["string", "null"]}, F),
    "null by anyOf into null by type": (some(TEXT, NULL), {"type": ["string", "null"]}, F),
    "empty text into text that is not empty": (text(), text(minLength=1), D),
    # ranges
    "narrow range into wide": (whole(minimum=2, maximum=5), whole(minimum=0, maximum=9), F),
    "wide range into narrow": (whole(minimum=0, maximum=9), whole(minimum=2, maximum=5), D),
    "no range into a range": (WHOLE, whole(minimum=0), D),
    "above 0 into at least 0": (number(exclusiveMinimum=0), number(minimum=0), F),
    "at least 0 into above 0": (number(minimum=0), number(exclusiveMinimum=0), D),
    "above 0 into at least 1, whole": (whole(exclusiveMinimum=0), whole(minimum=1), F),
    "multiple of 4 into multiple of 2": (whole(multipleOf=4), whole(multipleOf=2), F),
    "multiple of 2 into multiple of 4": (whole(multipleOf=2), whole(multipleOf=4), D),
    "range around 0 into below 0": (number(minimum=-1, maximum=1), number(maximum=0), D),
    # texts
    "long texts into short": (text(maxLength=20), text(maxLength=10), D),
    "short texts into long": (text(minLength=2, maxLength=5), text(minLength=1, maxLength=9), F),
    "any text into a pattern": (TEXT, text(pattern="^[A-Z]{3}$"), D),
    "a pattern into any text": (text(pattern="^[A-Z]{3}$"), TEXT, F),
    "the same pattern": (text(pattern="^[a-z]+$"), text(pattern="^[a-z]+$"), F),
    "a pattern into a wider one": (text(pattern="^[ab]+$"), text(pattern="^[a-c]+$"), C),
    "a pattern into another": (text(pattern="^PN-[0-9]{4}$"), text(pattern="^CL-"), D),
    "a pattern into a length it keeps": (text(pattern="^[A-Z]{3}$"), text(maxLength=3), C),
    "a date into text": (text(format="date"), TEXT, F),
    "text into a date": (TEXT, text(format="date"), D),
    "a date into an e-mail address": (text(format="date"), text(format="email"), D),
    # choices
    "fewer choices into more": ({"enum": ["a", "b"]}, {"enum": ["a", "b", "c"]}, F),
    "more choices into fewer": ({"enum": ["a", "b", "c"]}, {"enum": ["a", "b"]}, D),
    "choices into text": ({"enum": ["a", "b"]}, TEXT, F),
    "text into choices": (TEXT, {"enum": ["a", "b"]}, D),
    "a constant into its choice": ({"const": "a"}, {"enum": ["a", "b"]}, F),
    "a constant into a range": ({"const": 3}, whole(minimum=1), F),
    "a constant beside a range": ({"const": 0}, whole(minimum=1), D),
    "both answers into yes or no": ({"enum": [True, False]}, YES_NO, F),
    # objects
    "required into required": (fields("a", a=TEXT), fields("a", a=TEXT), F),
    "optional into required": (fields(a=TEXT), fields("a", a=TEXT), D),
    "required into optional": (fields("a", a=TEXT), fields(a=TEXT), F),
    "a field too many into closed": (fields("a", "b", a=TEXT, b=TEXT), fields("a", a=TEXT), D),
    "a field too many into open": (
        fields("a", "b", a=TEXT, b=TEXT), fields("a", closed=False, a=TEXT), F,
    ),
    "open into closed": (fields("a", closed=False, a=TEXT), fields("a", a=TEXT), D),
    "closed into open": (fields("a", a=TEXT), fields("a", closed=False, a=TEXT), F),
    "a field of another type": (fields("a", a=TEXT), fields("a", a=WHOLE), D),
    "a field that may be null": (fields("a", a=some(TEXT, NULL)), fields("a", a=TEXT), D),
    "extra texts into extra anything": (
        {"type": "object", "additionalProperties": TEXT}, {"type": "object"}, F,
    ),
    "extra numbers into extra texts": (
        {"type": "object", "additionalProperties": NUMBER},
        {"type": "object", "additionalProperties": TEXT},
        D,
    ),
    "at most one field into at most two": (
        {"type": "object", "maxProperties": 1}, {"type": "object", "maxProperties": 2}, F,
    ),
    "an empty object into one that is not": (
        {"type": "object"}, {"type": "object", "minProperties": 1}, D,
    ),
    # nested
    "deep and narrower": (
        fields("a", a=fields("b", b=whole(minimum=3))), fields("a", a=fields("b", b=whole())), F,
    ),
    "deep and wider": (
        fields("a", a=fields("b", b=whole())), fields("a", a=fields("b", b=whole(minimum=3))), D,
    ),
    "deep and missing": (
        fields("a", a=fields(b=TEXT)), fields("a", a=fields("b", b=TEXT)), D,
    ),
    "a list of objects into a list of fewer demands": (
        items(fields("a", a=WHOLE)), items(fields("a", a=NUMBER)), F,
    ),
    # lists
    "texts into texts": (items(TEXT), items(TEXT), F),
    "texts into numbers": (items(TEXT), items(NUMBER), D),
    "a list that may be empty into one that is not": (items(TEXT), items(TEXT, minItems=1), D),
    "two to three into at most five": (
        items(TEXT, minItems=2, maxItems=3), items(TEXT, maxItems=5), F,
    ),
    "any list into one without doubles": (items(TEXT), items(TEXT, uniqueItems=True), D),
    "one without doubles into any list": (items(TEXT, uniqueItems=True), items(TEXT), F),
    "a list of anything into texts": ({"type": "array"}, items(TEXT), D),
    "a pair into a list": (
        {"type": "array", "prefixItems": [TEXT, TEXT], "items": False}, items(TEXT), F,
    ),
    # alternatives
    "each alternative fits": (some(whole(minimum=0), TEXT), some(NUMBER, TEXT), F),
    "one alternative does not": (some(WHOLE, TEXT), some(WHOLE, YES_NO), D),
    "one of two into any of two": ({"oneOf": [TEXT, WHOLE]}, some(TEXT, WHOLE), F),
    "any of two that overlap into one of them": (
        some(number(minimum=0), number(maximum=0)),
        {"oneOf": [number(minimum=0), number(maximum=0)]},
        D,
    ),
    "both at once into each": ({"allOf": [whole(minimum=1), whole(maximum=3)]}, whole(minimum=0), F),
    "not text into text": ({"not": TEXT}, TEXT, D),
    "a number into not text": (NUMBER, {"not": TEXT}, F),
    "text into not text": (TEXT, {"not": TEXT}, D),
    "if the one then the other": (
        {"type": "integer"},
        {"if": {"type": "integer"}, "then": {"minimum": 0}},
        D,
    ),
    # shared types: by form here; what they mean is compared beside it, below
    "money into money": (shared("Money"), shared("Money"), F),
    "money into a number": (shared("Money"), NUMBER, D),
    "an object like money into money": (
        fields("minor", "currency", minor=whole(minimum=0, maximum=9), currency={"const": "EUR"}),
        shared("Money"),
        F,
    ),
    "an object without currency into money": (fields("minor", minor=WHOLE), shared("Money"), D),
    "a policy number into text": (shared("PolicyNumber"), TEXT, F),
    "text into a policy number": (TEXT, shared("PolicyNumber"), D),
    "a policy number into a claim number": (shared("PolicyNumber"), shared("ClaimNumber"), D),
    "a date into an instant": (shared("Date"), shared("Instant"), D),
    "a file into a file": (shared("Artefact"), shared("Artefact"), F),
    "text into a file": (TEXT, shared("Artefact"), D),
    "a grade into its letters": (shared("Grade"), {"enum": ["a", "b", "c", "d"]}, F),
    "a list of dates into texts": (items(shared("Date")), items(TEXT), F),
    # annotations do not count
    "with a maximal age": ({**TEXT, "x-max-age": "P1D"}, TEXT, F),
    "of another data class": ({**TEXT, "x-class": "pii"}, {**TEXT, "x-class": "public"}, F),
    "with a title": ({**WHOLE, "title": "Amount", "default": 3}, WHOLE, F),
    # recursion
    "a tree into itself": (TREE, TREE, F),
    "a tree of numbers into one of texts": (TREE, TEXT_TREE, D),
    # impossible and trivial
    "nothing into text": (NOTHING, TEXT, F),
    "an empty range into text": (whole(minimum=5, maximum=3), TEXT, F),
    "anything into anything": (ANY, ANY, F),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_known_pairs(name):
    producer, consumer, expected = PAIRS[name]
    fit = fits(producer, consumer, TYPES)
    assert fit.verdict is expected, (fit, name)
    if expected is D:
        given, taken = Validator(producer, TYPES), Validator(consumer, TYPES)
        assert given.is_valid(fit.counter_example), "the producer does not allow it"
        assert taken.check(fit.counter_example), "the consumer does not refuse it"
        assert fit.reason
    else:
        assert fit.counter_example is None


def test_the_table_is_long_enough_and_knows_all_answers():
    assert len(PAIRS) >= 60
    assert {expected for _, _, expected in PAIRS.values()} == {F, D, C}


@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if pair[2] is F])
def test_what_fits_can_meet_when_anything_is_given_at_all(name):
    producer, consumer, _ = PAIRS[name]
    possible = may_meet(producer, producer, TYPES)
    assert may_meet(producer, consumer, TYPES) is possible


@pytest.mark.parametrize(
    ("given", "wanted", "same"),
    [
        ({"x-type": "PolicyNumber"}, {"x-type": "PolicyNumber"}, True),
        ({"x-type": "PolicyNumber"}, {"x-type": "ClaimNumber"}, False),
        ({"x-type": "PolicyNumber"}, {"type": "string"}, True),
        ({"type": "string"}, {"x-type": "PolicyNumber"}, True),
        ({"anyOf": [{"x-type": "Money"}, {"type": "null"}]}, {"x-type": "Money"}, True),
        ({"anyOf": [{"x-type": "Money"}, {"type": "null"}]}, {"x-type": "Date"}, False),
    ],
)
def test_meanings_differ_only_where_both_sides_name_one(given, wanted, same):
    assert same_meaning(given, wanted) is same
