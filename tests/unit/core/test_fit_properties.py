"""No "fits" is ever refuted: generated pairs of contracts, and documents that try to.

A document is built near one of the two contracts: at their limits, with fields left out or added.
"""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.contracts import (
    FitVerdict,
    SchemaError,
    Validator,
    fits,
    may_meet,
)

NAMES = ("a", "b", "c")
TEXTS = (
    *("", "a", "ab", "abc", "A", "AB1", "PN-1234", "2026-03-31", "x@y.org", "12", "a b"),
    *("é", "\U0001d4b3", "a\n", "\u0661", "\u00a0"),
)
PATTERNS = ("^[a-z]+$", "^a", "b$", "^PN-[0-9]{4}$", "^[A-Z]{2,3}$", "[0-9]", "^.{1,3}$", r"^\d+$")
LIMITS = (-2, -1, 0, 0.5, 1, 2, 3, 10)
VALUES = (None, True, False, 0, 1, 2, 1.5, "a", "b", "", [], {}, [1], {"a": 1})
DOCUMENTS = 40


def optional(strategies):
    return st.fixed_dictionaries({}, optional=strategies)


def several(names, least, most):
    return st.lists(st.sampled_from(names), min_size=least, max_size=most, unique_by=repr)


NUMBERS = st.builds(
    lambda kind, rules: {"type": kind, **rules},
    st.sampled_from(("integer", "number")),
    optional(
        {
            **{
                key: st.sampled_from(LIMITS)
                for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
            },
            "multipleOf": st.sampled_from((1, 2, 3, 0.5)),
        }
    ),
)
STRINGS = optional(
    {
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(0, 5),
        "pattern": st.sampled_from(PATTERNS),
        "format": st.sampled_from(("date", "email", "date-time", "uuid")),
    }
).map(lambda rules: {"type": "string", **rules})
LEAVES = st.one_of(
    NUMBERS,
    STRINGS,
    st.sampled_from(("boolean", "null")).map(lambda kind: {"type": kind}),
    several(VALUES, 1, 4).map(lambda options: {"enum": options}),
    st.sampled_from(VALUES).map(lambda value: {"const": value}),
    st.sampled_from(({}, {"title": "x"}, {"type": ["string", "null"]})),
)


def lists(inner):
    return optional(
        {
            "items": inner,
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(0, 3),
            "uniqueItems": st.just(value=True),
            "contains": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
        }
    ).map(lambda rules: {"type": "array", **rules})


def objects(inner):
    return st.builds(
        lambda properties, rules: {"type": "object", "properties": properties, **rules},
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
        optional(
            {
                "required": several(NAMES, 1, 2),
                "additionalProperties": st.one_of(st.just(value=False), inner),
                "minProperties": st.integers(0, 2),
                "maxProperties": st.integers(0, 3),
                "propertyNames": st.sampled_from(PATTERNS).map(lambda one: {"pattern": one}),
                "patternProperties": inner.map(lambda one: {"^a": one}),
            }
        ),
    )


def combined(inner):
    return st.one_of(
        st.builds(
            lambda word, parts: {word: parts},
            st.sampled_from(("anyOf", "oneOf", "allOf")),
            st.lists(inner, min_size=1, max_size=3),
        ),
        inner.map(lambda one: {"not": one}),
        st.builds(lambda a, b, c: {"if": a, "then": b, "else": c}, inner, inner, inner),
    )


SCHEMAS = st.recursive(
    LEAVES, lambda inner: st.one_of(lists(inner), objects(inner), combined(inner)), max_leaves=8
)


def changed(schema, random):
    """The schema with some limits moved and some rules taken away: most likely near to fitting."""
    schema = copy.deepcopy(schema)

    def walk(node):
        for key, value in list(node.items()) if isinstance(node, dict) else ():
            if random.random() < 0.2 and key not in {"const", "properties", "type"}:
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    node[key] = (
                        value + random.choice((-1, 1)) if key[:3] in {"min", "max"} else value
                    )
                    node[key] = max(node[key], 0)
                elif key not in {"anyOf", "oneOf", "allOf", "if", "then", "else"}:
                    del node[key]
                    continue
            if key not in {"const", "enum"}:
                walk(value)
        for part in node if isinstance(node, list) else ():
            walk(part)

    walk(schema)
    return schema


def document(random, depth=0):
    """Anything."""
    kind = random.random() * (0.6 if depth > 2 else 1)
    if kind < 0.2:
        return random.choice((*LIMITS, 4, 11, 2.0, 1.5, 1e6))
    if kind < 0.45:
        return random.choice(TEXTS)
    if kind < 0.55:
        return random.choice((None, True, False))
    if kind < 0.75:
        return [document(random, depth + 1) for _ in range(random.randint(0, 3))]
    names = random.sample((*NAMES, "d", "ab"), random.randint(0, 4))
    return {name: document(random, depth + 1) for name in names}


def near(schema, random, depth=0):
    """A document that the schema nearly allows, or does."""
    if not isinstance(schema, dict) or random.random() < 0.1 or depth > 4:
        return document(random, depth)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return random.choice(schema["enum"])
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return near(random.choice(schema[word]), random, depth + 1)
    if "then" in schema:
        return near(schema[random.choice(("if", "then", "else"))], random, depth + 1)
    makers = {"object": near_object, "array": near_list, "string": near_text}
    stated = schema.get("type")
    kind = random.choice(stated) if isinstance(stated, list) else stated
    if kind in {"integer", "number"}:
        limits = [schema[key] for key in schema if "imum" in key] or [0, 1, 2]
        value = random.choice(limits) + random.choice((-1, 0, 0.5, 1))
        return int(value) if kind == "integer" else value
    return makers[kind](schema, random, depth) if kind in makers else document(random, depth)


def near_object(schema, random, depth):
    required, extra = schema.get("required", []), schema.get("additionalProperties")
    made = {
        name: near(child, random, depth + 1)
        for name, child in schema["properties"].items()
        if name in required or random.random() < 0.6
    }
    for name in required:
        made.setdefault(name, near(extra, random, depth + 1))
    if extra is not False and random.random() < 0.4:
        made[random.choice(("d", "ab", "c"))] = document(random, depth + 1)
    return made


def near_list(schema, random, depth):
    low, high = schema.get("minItems", 0), schema.get("maxItems", 3)
    count = random.randint(low, high) if low <= high else 0
    made = [near(part, random, depth + 1) for part in schema.get("prefixItems", [])][:count]
    while len(made) < count:
        made.append(near(schema.get("items", {}), random, depth + 1))
    return made


def near_text(schema, random, depth):
    return random.choice(
        (*TEXTS, "a" * schema.get("minLength", 1), "a" * schema.get("maxLength", 4))
    )


def refute(producer, consumer, random):
    """Try to refute the verdict; the number of documents that were tried."""
    try:
        fit, can_meet = fits(producer, consumer), may_meet(producer, consumer)
        allowed, taken = Validator(producer), Validator(consumer)
    except SchemaError:
        return 0
    has_example = not fit.reason.startswith("allows values")  # else none could be built
    if fit.verdict is FitVerdict.DOES_NOT_FIT and has_example:
        assert allowed.is_valid(fit.counter_example)
        assert not taken.is_valid(fit.counter_example)
    for number in range(DOCUMENTS):
        made = (
            near(producer if number % 4 else consumer, random) if number % 9 else document(random)
        )
        if not allowed.is_valid(made):
            continue
        is_taken = taken.is_valid(made)
        assert is_taken or fit.verdict is not FitVerdict.FITS, json.dumps(made)
        assert can_meet or not is_taken, json.dumps(made)
    return DOCUMENTS


def property_over(examples):
    tried = 0

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        producer=SCHEMAS,
        other=SCHEMAS,
        is_near=st.booleans(),
        random=st.randoms(use_true_random=False),
    )
    def run(producer, other, is_near, random):
        nonlocal tried
        consumer = changed(producer, random) if is_near else other
        tried += refute(producer, consumer, random) + refute(consumer, producer, random)

    run()
    return tried


def test_no_fit_is_refuted_by_thousands_of_documents():
    assert property_over(150) >= 5_000


# A time limit that strikes inside an example looks to Hypothesis like an example that fails once.
@pytest.mark.timeout(3_600)
@pytest.mark.nightly
def test_no_fit_is_refuted_by_a_million_documents():
    assert property_over(15_000) >= 1_000_000
