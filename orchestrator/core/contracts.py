"""Data contracts: does a payload fit, can it be repaired, does what is given fit what is taken.

A `Validator` is compiled once per contract and shared between threads; the valid path costs
microseconds. `accept` is what happens at a handoff: values at places of a shared type with repairs
are rewritten when, and only when, they violate it; then the schema alone judges. Violations name
the place as a JSON pointer and say what is wrong in words; values of the classes pii, phi and
secret never appear in them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import chain
from typing import Literal

import jsonschema_rs
from jsonschema_rs import canonical

from orchestrator.core.catalogue import DomainType, Repair
from orchestrator.core.examples import examples_of
from orchestrator.core.json import JsonObject, JsonValue, printable
from orchestrator.core.results import Violation
from orchestrator.core.schemas import (
    DIALECT,
    HIDDEN_CLASSES,
    Place,
    SchemaError,
    bundle,
    is_hidden,
    mentions,
    pointer,
    schemas_at,
)
from orchestrator.core.types import standard_types

__all__ = [
    "DIALECT",
    "Acceptance",
    "Fit",
    "FitVerdict",
    "SchemaError",
    "Validator",
    "bundle",
    "check_repair",
    "fits",
    "may_meet",
    "standard_types",
]

MAX_DEPTH = 64
MAX_SIZE = 2_000_000
"""Characters of text plus eight per other value: a cheap bound on a payload's size."""
MAX_VIOLATIONS = 50
MAX_SHOWN_NAME = 200
MAX_REPAIRED_TEXT = 200
MAX_KEPT_FITS = 8_192

_NO_TYPES: Mapping[str, DomainType] = {}
_TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "yes or no",
    "object": "an object",
    "array": "a list",
    "null": "empty",
}
_RULE_WORDS = {
    "enum": "must be one of {limit}, but is {shown}",
    "const": "must be {limit}, but is {shown}",
    "minLength": "must have at least {limit} characters",
    "maxLength": "must have at most {limit} characters",
    "minItems": "must have at least {limit} entries",
    "maxItems": "must have at most {limit} entries",
    "minProperties": "must have at least {limit} fields",
    "maxProperties": "must have at most {limit} fields",
    "minimum": "must be at least {limit}, but is {shown}",
    "maximum": "must be at most {limit}, but is {shown}",
    "exclusiveMinimum": "must be more than {limit}, but is {shown}",
    "exclusiveMaximum": "must be less than {limit}, but is {shown}",
    "multipleOf": "must be a multiple of {limit}, but is {shown}",
    "pattern": "must {form}, but is {shown}",
    "format": "must be {limit}, but is {shown}",
    "uniqueItems": "must not contain the same entry twice",
    "propertyNames": "has a field whose name is not allowed",
    "contains": "lacks an entry that the contract asks for",
    "falseSchema": "is not allowed here",
    "not": "is of a form that is not allowed",
}
_FORMAT_WORDS = {
    "date": "a date such as 2026-03-31",
    "date-time": "a time such as 2026-03-31T09:30:00Z",
    "email": "an e-mail address",
    "uuid": "a UUID",
    "uri": "an address such as https://example.org/",
}


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What came of a handoff: the payload as repaired, and in words what was rewritten."""

    payload: JsonValue
    verdict: Literal["fits", "repaired", "refused"]
    violations: tuple[Violation, ...] = ()
    repairs: tuple[str, ...] = ()


class FitVerdict(StrEnum):
    """Whether everything that one contract allows is allowed by another."""

    FITS = "fits"
    DOES_NOT_FIT = "does_not_fit"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Fit:
    """`counter_example` is a document that the producer may give and the consumer refuses."""

    verdict: FitVerdict
    path: str = ""
    reason: str = ""
    counter_example: JsonValue = None


@dataclass(slots=True)
class _Measure:
    """What one walk over a payload found."""

    size: int = 0
    whole_floats: list[Place] = field(default_factory=list)


class Validator:
    """A compiled contract."""

    __slots__ = ("_engine", "_has_integers", "_hides", "_type_engines", "_types", "schema")

    def __init__(self, schema: JsonObject, types: Mapping[str, DomainType] | None = None) -> None:
        """Compile a contract against the shared types.

        Raises:
            SchemaError: the contract is not JSON Schema 2020-12 or refers to something unknown.
        """
        self._types = _NO_TYPES if types is None else types
        self.schema = bundle(schema, self._types)
        self._engine = _compile(self.schema)
        self._hides = mentions(self.schema, "x-class", HIDDEN_CLASSES)
        self._has_integers = mentions(self.schema, "type", frozenset({"integer"}))
        self._type_engines: dict[str, jsonschema_rs.Draft202012Validator] = {}
        for name in _definitions(self.schema):
            if name in self._types and (self._types[name].repairs or self._types[name].uppercase):
                self._type_engines[name] = _compile(
                    {"$ref": f"#/$defs/{name}", "$defs": self.schema["$defs"]}
                )

    def is_valid(self, payload: JsonValue) -> bool:
        """Whether the payload meets the contract."""
        return isinstance(_measure(payload), _Measure) and self._engine.is_valid(payload)

    def check(self, payload: JsonValue) -> tuple[Violation, ...]:
        """Every reason why the payload does not meet the contract; none when it does."""
        measured = _measure(payload)
        if isinstance(measured, Violation):
            return (measured,)
        if self._engine.is_valid(payload):
            return ()
        return self._violations(payload)

    def accept(self, payload: JsonValue) -> Acceptance:
        """Judge a payload at a handoff, after repairing what the shared types know how to repair.

        A whole number that arrived as `3.0` where the contract says integer becomes `3` without a
        word.
        """
        measured = _measure(payload)
        if isinstance(measured, Violation):
            return Acceptance(payload, "refused", (measured,))
        if self._has_integers and measured.whole_floats:
            payload = self._with_integers(payload, measured.whole_floats)
        if self._engine.is_valid(payload):
            return Acceptance(payload, "fits")
        repaired, repairs = self._repaired(payload) if self._type_engines else (payload, ())
        if repairs and self._engine.is_valid(repaired):
            return Acceptance(repaired, "repaired", (), repairs)
        return Acceptance(repaired, "refused", self._violations(repaired), repairs)

    def _violations(self, payload: JsonValue) -> tuple[Violation, ...]:
        found: dict[tuple[str, str, str], Violation] = {}
        for violation in chain.from_iterable(map(self._explain, self._engine.iter_errors(payload))):
            found.setdefault((violation.path, violation.rule, violation.reason), violation)
            if len(found) >= MAX_VIOLATIONS:
                break
        return tuple(sorted(found.values(), key=lambda item: (item.path, item.rule)))

    def _explain(self, error: jsonschema_rs.ValidationError) -> Iterator[Violation]:
        place: Place = tuple(error.instance_path)
        kind = error.kind
        match kind:
            case jsonschema_rs.ValidationErrorKind.AnyOf() | (
                jsonschema_rs.ValidationErrorKind.OneOfNotValid()
            ):
                branch = _nearest_branch(kind.context, len(place))
                for inner in branch or ():
                    yield from self._explain(inner)
                if not branch:
                    reason = _no_branch(kind.context, error.instance)
                    yield Violation(path=pointer(place), rule=kind.name, reason=reason)
            case jsonschema_rs.ValidationErrorKind.Required():
                where = pointer((*place, kind.property))
                yield Violation(path=where, rule="required", reason="is required but missing")
            case jsonschema_rs.ValidationErrorKind.AdditionalProperties() | (
                jsonschema_rs.ValidationErrorKind.UnevaluatedProperties()
            ):
                for name in kind.unexpected:
                    shown = name if len(name) <= MAX_SHOWN_NAME else printable(name, MAX_SHOWN_NAME)
                    yield Violation(
                        path=pointer((*place, shown)),
                        rule=kind.name,
                        reason="is not a field of the contract",
                    )
            case _:
                hidden = self._hides and is_hidden(self.schema, place)
                reason = _reason(error, hidden=hidden, form=self._form(kind, place))
                yield Violation(path=pointer(place), rule=kind.name, reason=reason[:1_000])

    def _form(self, kind: jsonschema_rs.ValidationErrorKind, place: Place) -> str:
        """How a text that must match a pattern looks: by the contract's own example or title."""
        if kind.name != "pattern":
            return ""
        for schema, _ in schemas_at(self.schema, place):
            examples = schema.get("examples")
            if schema.get("pattern") == kind.value and isinstance(examples, list) and examples:
                return f"look like {_shown(examples[0])}"
        return f"match the pattern {kind.value}"

    def _repaired(self, payload: JsonValue) -> tuple[JsonValue, tuple[str, ...]]:
        notes: list[str] = []
        places = {
            place: value
            for error in self._engine.iter_errors(payload)
            for place, value in _text_places(error)
        }
        for place, value in sorted(places.items(), key=lambda item: pointer(item[0])):
            for name in {name for _, name in schemas_at(self.schema, place) if name}:
                better = self._repair_one(name, value)
                if better is not None:
                    payload = _replaced(payload, place, better)
                    notes.append(self._repair_note(place, value, better))
                    break
        return payload, tuple(notes)

    def _repair_one(self, name: str, value: str) -> str | None:
        engine = self._type_engines.get(name)
        if engine is None or len(value) > MAX_REPAIRED_TEXT or engine.is_valid(value):
            return None
        kind = self._types[name]
        text = value.upper() if kind.uppercase else value
        for repair in kind.repairs:
            if engine.is_valid(text):
                break
            text = re.sub(repair.pattern, repair.replacement, text)
        return text if engine.is_valid(text) else None

    def _repair_note(self, place: Place, old: str, new: str) -> str:
        if self._hides and is_hidden(self.schema, place):
            return f"{pointer(place)}: the value was put in its usual form"
        return f"{pointer(place)}: '{old}' became '{new}'"

    def _with_integers(self, payload: JsonValue, places: list[Place]) -> JsonValue:
        for place in places:
            stated = [schema.get("type") for schema, _ in schemas_at(self.schema, place)]
            if "integer" in stated and "number" not in stated:
                payload = _replaced(payload, place, _whole(_value_at(payload, place)))
        return payload


def check_repair(repair: Repair) -> str | None:
    """Say why a repair is not acceptable; None when it is.

    Repairs run on up to 200 characters of untrusted text, so constructs that can take exponential
    time (nested repetition, back references, look-around) are refused.
    """
    if len(repair.pattern) > 300 or len(repair.replacement) > 200:
        return "The pattern or the replacement is too long."
    if re.search(r"\\[1-9]|\(\?[=!<P]", repair.pattern):
        return "Back references and look-around are not allowed in a pattern."
    if re.search(r"[*+}]\??\)[*+{]", repair.pattern):
        return "A repetition inside a repetition is not allowed in a pattern."
    try:
        re.sub(repair.pattern, repair.replacement, "")
    except (re.error, IndexError) as error:
        return f"The pattern or the replacement cannot be used: {error}."
    return None


def fits(
    producer: JsonObject, consumer: JsonObject, types: Mapping[str, DomainType] | None = None
) -> Fit:
    """Decide whether every document that `producer` allows is allowed by `consumer`.

    `cannot_tell` is an honest answer (patterns inside patterns, recursion): the handoff is then
    checked at run time only. A `does_not_fit` always comes with a document that shows it, unless
    none could be built.

    Raises:
        SchemaError: one of the two is not a usable contract.
    """
    return _fit(_text(producer, types), _text(consumer, types))


@lru_cache(maxsize=MAX_KEPT_FITS)
def _fit(producer: str, consumer: str) -> Fit:
    """`fits` for two closed contracts as JSON texts; kept, for the same pairs come again."""
    given, taken = Validator(json.loads(producer)), Validator(json.loads(consumer))
    answer, left = _covered(given.schema, taken.schema)
    refused = next(_refused_examples(given, taken, left), None)
    if refused is not None:
        example, violation = refused
        return Fit(FitVerdict.DOES_NOT_FIT, violation.path, violation.reason, example)
    if answer == canonical.Containment.YES:
        return Fit(FitVerdict.FITS)
    if answer == canonical.Containment.NO:
        return Fit(FitVerdict.DOES_NOT_FIT, "", "allows values that are refused here")
    return Fit(FitVerdict.CANNOT_TELL, "", "cannot be decided from the two contracts alone")


def may_meet(
    producer: JsonObject, consumer: JsonObject, types: Mapping[str, DomainType] | None = None
) -> bool:
    """Whether some document may be allowed by both; False only when that is certain not to be.

    Raises:
        SchemaError: one of the two is not a usable contract.
    """
    return _may_meet(_text(producer, types), _text(consumer, types))


@lru_cache(maxsize=MAX_KEPT_FITS)
def _may_meet(producer: str, consumer: str) -> bool:
    given, taken = Validator(json.loads(producer)), Validator(json.loads(consumer))
    try:
        both = _canonical(given.schema).intersect(_canonical(taken.schema))
    except canonical.CanonicalizationError:
        return True  # without an answer it may
    return both.satisfiability() != canonical.Satisfiability.NO


def _text(schema: JsonObject, types: Mapping[str, DomainType] | None) -> str:
    """A contract as JSON text, closed when there are types that it may refer to."""
    return json.dumps(bundle(schema, types) if types else schema)


def _refused_examples(
    given: Validator, taken: Validator, left: object
) -> Iterator[tuple[JsonValue, Violation]]:
    """Documents that the producer allows and the consumer refuses, most telling first.

    `left` describes what the one allows and the other does not, where that is known.
    """
    for source in (left, given.schema):
        if not isinstance(source, dict):
            continue
        for example in examples_of(source, taken.schema):
            if given.is_valid(example):
                violations = taken.check(example)
                if violations:
                    yield example, violations[0]


def _covered(given: JsonObject, taken: JsonObject) -> tuple[canonical.Containment, object]:
    """What the library says of the two, and what the one allows and the other does not."""
    try:
        given_form, taken_form = _canonical(given), _canonical(taken)
        answer = taken_form.covers(given_form)
    except canonical.CanonicalizationError:
        return canonical.Containment.UNKNOWN, None
    if answer == canonical.Containment.YES:
        return answer, None
    try:
        return answer, given_form.subtract(taken_form).to_json_schema()
    except canonical.CanonicalizationError:
        return answer, None  # it would be a help only


def _compile(schema: JsonObject) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, offline=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        place = list(getattr(error, "instance_path", ()))
        message = str(getattr(error, "message", error))
        raise SchemaError(
            f"The contract is not valid JSON Schema: {message[:300]}",
            detail={"path": pointer(place)},
        ) from None


def _canonical(schema: JsonObject) -> jsonschema_rs.CanonicalSchema:
    return jsonschema_rs.canonicalize(
        schema, draft=jsonschema_rs.Draft202012, validate_formats=True, offline=True
    )


def _definitions(schema: JsonObject) -> tuple[str, ...]:
    definitions = schema.get("$defs")
    return tuple(definitions) if isinstance(definitions, dict) else ()


def _measure(payload: JsonValue) -> _Measure | Violation:
    """Walk a payload once: its size, and where whole numbers stand as floats."""
    measured = _Measure()
    stack: list[tuple[JsonValue, Place]] = [(payload, ())]
    size = 0
    while stack:
        node, place = stack.pop()
        if isinstance(node, str):
            size += len(node)
        elif isinstance(node, dict):
            if len(place) >= MAX_DEPTH:
                return Violation(
                    path=pointer(place[:8]), rule="depth", reason="is nested too deeply"
                )
            stack.extend((child, (*place, key)) for key, child in node.items())
        elif isinstance(node, list):
            if len(place) >= MAX_DEPTH:
                return Violation(
                    path=pointer(place[:8]), rule="depth", reason="is nested too deeply"
                )
            stack.extend((child, (*place, index)) for index, child in enumerate(node))
        elif isinstance(node, float) and node.is_integer():
            measured.whole_floats.append(place)
        size += 8
        if size > MAX_SIZE:
            return Violation(path="", rule="size", reason="is larger than a handoff may be")
    measured.size = size
    return measured


def _text_places(error: jsonschema_rs.ValidationError) -> Iterator[tuple[Place, str]]:
    """The texts that an error complains about, also inside the alternatives of anyOf and oneOf."""
    if isinstance(error.instance, str):
        yield tuple(error.instance_path), error.instance
    for branch in getattr(error.kind, "context", ()):
        for inner in branch:
            yield from _text_places(inner)


def _nearest_branch(
    branches: list[list[jsonschema_rs.ValidationError]], depth: int
) -> list[jsonschema_rs.ValidationError] | None:
    """The alternative that the payload was most likely meant to be.

    That is the one which fails deepest inside; alternatives of another type are out of the
    question.
    """
    plausible = [
        branch
        for branch in branches
        if branch
        and not any(
            error.kind.name in {"type", "const", "enum"} and len(error.instance_path) == depth
            for error in branch
        )
    ]
    if not plausible:
        return None
    return max(
        plausible, key=lambda branch: (max(len(e.instance_path) for e in branch), -len(branch))
    )


def _no_branch(branches: list[list[jsonschema_rs.ValidationError]], instance: object) -> str:
    """Why none of the alternatives is even of the right type."""
    types = [
        error.kind.value for branch in branches for error in branch if error.kind.name == "type"
    ]
    if len(types) < len(branches):
        return "has none of the allowed forms"
    wanted = " or ".join(dict.fromkeys(_type_words(item) for item in types))
    return f"must be {wanted}, but is {_kind_word(instance)}"


def _reason(error: jsonschema_rs.ValidationError, *, hidden: bool, form: str) -> str:
    """One violated rule in words."""
    name, limit = error.kind.name, error.kind.value
    if name == "type":
        return f"must be {_type_words(limit)}, but is {_kind_word(error.instance)}"
    if name in {"minLength", "minItems"} and limit == 1:
        return "must not be empty"
    if name == "format":
        limit = _FORMAT_WORDS.get(str(limit), str(limit))
    elif name == "enum" and isinstance(limit, list):
        limit = ", ".join(_shown(option) for option in limit[:20])
    elif name == "const":
        limit = _shown(limit)
    shown = "something else (hidden)" if hidden else _shown(error.instance)
    wording = _RULE_WORDS.get(name, "breaks the rule '{name}'")
    return wording.format(name=name, limit=limit, shown=shown, form=form)


def _type_words(types: object) -> str:
    names = types if isinstance(types, list) else [types]
    return " or ".join(_TYPE_WORDS.get(str(name), str(name)) for name in names)


def _kind_word(value: object) -> str:
    if value is None:
        return "empty (null)"
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"


def _shown(value: object) -> str:
    """A value in a message: short, and never more than one line."""
    if value is None or isinstance(value, (dict, list)):
        return _kind_word(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return f"'{value[:80]}…'" if len(value) > 80 else f"'{value}'"
    return str(value)


def _whole(value: JsonValue) -> JsonValue:
    return int(value) if isinstance(value, float) else value


def _value_at(payload: JsonValue, place: Place) -> JsonValue:
    for part in place:
        payload = payload[part]  # type: ignore[index]  # the place was found in this payload
    return payload


def _replaced(payload: JsonValue, place: Place, value: JsonValue) -> JsonValue:
    """A copy with one value exchanged; what does not lie on the way is shared."""
    if not place:
        return value
    head, rest = place[0], place[1:]
    if isinstance(payload, dict):
        return {**payload, str(head): _replaced(payload[str(head)], rest, value)}
    if isinstance(payload, list):
        index = int(head)
        return [*payload[:index], _replaced(payload[index], rest, value), *payload[index + 1 :]]
    return payload
