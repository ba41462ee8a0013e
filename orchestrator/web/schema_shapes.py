"""What a form asks for, worked out from a contract: one `Shape` per field.

Contracts are closed first (`core.contracts.bundle`), so shared types stand in `$defs` by name and
are known here by that name: Money, Artefact, Sources. What a form cannot offer field by field
(choices between schemas, free-form objects, nesting without end) becomes one field of JSON text, so
that nothing of a payload is lost by going through a form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from orchestrator.core.catalogue import DomainType
from orchestrator.core.contracts import bundle, standard_types
from orchestrator.core.json import JsonObject, JsonValue

MAX_DEPTH: Final = 8
MAX_FIELDS: Final = 400
LONG_TEXT: Final = 160
_COMPLEX: Final = frozenset(
    {"anyOf", "oneOf", "allOf", "not", "if", "patternProperties", "prefixItems"}
)


class Kind(StrEnum):
    """How a field is asked for."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    NUMBER = "number"
    YES_NO = "yes_no"
    CHOICE = "choice"
    CHOICES = "choices"
    DATE = "date"
    INSTANT = "instant"
    MONEY = "money"
    FILE = "file"
    GROUP = "group"
    LIST = "list"
    FIXED = "fixed"
    KEPT = "kept"
    JSON = "json"


_SHARED: Final = {
    "Money": Kind.MONEY,
    "Artefact": Kind.FILE,
    "Sources": Kind.KEPT,
    "Place": Kind.KEPT,
}
"""Shared types with a field of their own; where values were read stays as it is."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One field. `key` is its name in the object around it; `fields` those of a group."""

    kind: Kind
    key: str
    label: str
    hint: str = ""
    is_required: bool = False
    is_nullable: bool = False
    is_whole: bool = False
    schema: JsonObject = field(default_factory=dict)
    options: tuple[JsonValue, ...] = ()
    fields: tuple[Shape, ...] = ()
    item: Shape | None = None

    def limit(self, keyword: str) -> int | None:
        """Return a whole-number keyword of the schema, such as `maxItems`."""
        value = self.schema.get(keyword)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


def shape_of(schema: JsonObject, types: Mapping[str, DomainType] | None = None) -> Shape:
    """Return the form of a contract; the root is a group without a label.

    Raises:
        SchemaError: the contract refers to something unknown.
    """
    root = bundle(schema, standard_types() if types is None else types)
    return _Builder(root).shape(root, "", is_required=True, depth=0)


class _Builder:
    """One working-out: knows the definitions and counts the fields."""

    def __init__(self, root: JsonObject) -> None:
        definitions = root.get("$defs")
        self.definitions = definitions if isinstance(definitions, dict) else {}
        self.count = 0

    def shape(self, schema: JsonValue, key: str, *, is_required: bool, depth: int) -> Shape:
        resolved, name = self._resolve(schema)
        resolved, is_nullable = self._without_null(resolved)
        inner, inner_name = self._resolve(resolved)
        resolved, name = inner, inner_name or name
        self.count += 1
        kind = self._kind(resolved, name, depth)
        options = _options(resolved, self._item(resolved), kind)
        return Shape(
            kind=kind,
            key=key,
            label=_words(resolved.get("title"), name) if not key else _label(resolved, key, name),
            hint=_hint(resolved, kind),
            is_required=is_required,
            is_nullable=is_nullable,
            is_whole=resolved.get("type") == "integer",
            schema=resolved,
            options=options,
            fields=self._fields(resolved, depth) if kind is Kind.GROUP else (),
            item=self._item_shape(resolved, depth) if kind is Kind.LIST else None,
        )

    def _kind(self, schema: JsonObject, name: str, depth: int) -> Kind:
        if schema.get("readOnly") is True:
            return Kind.KEPT
        if name in _SHARED:
            return _SHARED[name]
        if "const" in schema:
            return Kind.FIXED
        if isinstance(schema.get("enum"), list):
            return Kind.CHOICE
        if _COMPLEX & schema.keys() and schema.get("type") != "object":
            return Kind.JSON
        return self._kind_by_type(schema, depth)

    def _kind_by_type(self, schema: JsonObject, depth: int) -> Kind:
        match schema.get("type"):
            case "string":
                return _text_kind(schema)
            case "integer" | "number":
                return Kind.NUMBER
            case "boolean":
                return Kind.YES_NO
            case "object":
                return self._object_kind(schema, depth)
            case "array":
                return self._array_kind(schema, depth)
            case _:
                return Kind.JSON

    def _object_kind(self, schema: JsonObject, depth: int) -> Kind:
        properties = schema.get("properties")
        if not isinstance(properties, dict) or not properties:
            return Kind.JSON
        is_too_much = depth >= MAX_DEPTH or self.count + len(properties) > MAX_FIELDS
        return Kind.JSON if is_too_much else Kind.GROUP

    def _array_kind(self, schema: JsonObject, depth: int) -> Kind:
        item = self._item(schema)
        if not item or depth >= MAX_DEPTH or self.count >= MAX_FIELDS:
            return Kind.JSON
        if isinstance(item.get("enum"), list) and schema.get("uniqueItems") is True:
            return Kind.CHOICES
        return Kind.LIST

    def _fields(self, schema: JsonObject, depth: int) -> tuple[Shape, ...]:
        properties, required = schema.get("properties"), schema.get("required")
        assert isinstance(properties, dict)
        needed = (
            [key for key in required if isinstance(key, str)] if isinstance(required, list) else []
        )
        # stored contracts lose the order of their properties; that of `x-order` (somebody moved a
        # field) and of `required` is kept
        stated = schema.get("x-order")
        moved = [key for key in stated if isinstance(key, str)] if isinstance(stated, list) else []
        order = [*moved, *needed]
        places = {key: place for place, key in reversed(list(enumerate(order)))}
        ordered = sorted(properties, key=lambda key: places.get(key, len(places)))
        return tuple(
            self.shape(properties[key], key, is_required=key in needed, depth=depth + 1)
            for key in ordered
        )

    def _item(self, schema: JsonObject) -> JsonObject:
        items = schema.get("items")
        if not isinstance(items, dict):
            return {}
        return self._resolve(items)[0]

    def _item_shape(self, schema: JsonObject, depth: int) -> Shape:
        return self.shape(schema.get("items"), "", is_required=True, depth=depth + 1)

    def _resolve(self, schema: JsonValue) -> tuple[JsonObject, str]:
        """Follow references; words beside a reference win over those of what it names."""
        name = ""
        merged = dict(schema) if isinstance(schema, dict) else {}
        for _ in range(MAX_DEPTH):
            ref = merged.pop("$ref", None)
            if not isinstance(ref, str):
                break
            name = ref.removeprefix("#/$defs/")
            target = self.definitions.get(name)
            if not isinstance(target, dict):
                break
            merged = {**target, **merged}
        return merged, name

    def _without_null(self, schema: JsonObject) -> tuple[JsonObject, bool]:
        """Return the schema of what is not null, and whether null is allowed beside it."""
        stated = schema.get("type")
        if isinstance(stated, list) and "null" in stated and len(stated) == 2:
            other = next(one for one in stated if one != "null")
            return {**schema, "type": other}, True
        for keyword in ("anyOf", "oneOf"):
            branches = schema.get(keyword)
            if isinstance(branches, list) and {"type": "null"} in branches and len(branches) == 2:
                other = next(one for one in branches if one != {"type": "null"})
                rest = {key: value for key, value in schema.items() if key != keyword}
                return {**(other if isinstance(other, dict) else {}), **rest}, True
        return schema, False


def _text_kind(schema: JsonObject) -> Kind:
    if schema.get("format") == "date":
        return Kind.DATE
    if schema.get("format") == "date-time":
        return Kind.INSTANT
    limit = schema.get("maxLength")
    has_form = "pattern" in schema or "format" in schema
    is_long = isinstance(limit, int) and limit > LONG_TEXT and not has_form
    return Kind.LONG_TEXT if is_long else Kind.TEXT


def _options(schema: JsonObject, item: JsonObject, kind: Kind) -> tuple[JsonValue, ...]:
    source = item if kind is Kind.CHOICES else schema
    listed = source.get("enum")
    if kind in {Kind.CHOICE, Kind.CHOICES} and isinstance(listed, list):
        return tuple(listed)
    return (schema["const"],) if kind is Kind.FIXED else ()


def _label(schema: JsonObject, key: str, name: str) -> str:
    title = schema.get("title")
    is_generic = name in {"Money", "Artefact", "Date", "Instant", "Currency"} and title in {
        "Money",
        "File",
        "Date",
        "Instant",
        "Currency",
    }
    if isinstance(title, str) and title and not is_generic:
        return title
    return words_of(key)


def _words(title: JsonValue, name: str) -> str:
    return title if isinstance(title, str) else words_of(name)


def words_of(key: str) -> str:
    """Return a key as words: `policy_number` and `policyNumber` become `Policy number`."""
    spaced = "".join(f" {char}" if char.isupper() else char for char in key)
    words = spaced.replace("_", " ").replace("-", " ").split()
    text = " ".join(word.lower() for word in words)
    return text[:1].upper() + text[1:]


def _hint(schema: JsonObject, kind: Kind) -> str:
    description = schema.get("description")
    hint = description if isinstance(description, str) else ""
    if kind in {Kind.MONEY, Kind.FILE}:
        generic = ("An amount in the smallest unit", "A stored file")
        hint = "" if hint.startswith(generic) else hint
    examples = schema.get("examples")
    if isinstance(examples, list) and examples and isinstance(examples[0], str | int | float):
        hint = f"{hint} For example {examples[0]}.".strip()
    return hint
