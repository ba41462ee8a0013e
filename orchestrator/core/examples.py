"""Small example documents made from a schema, to show what it allows or refuses."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.pattern_text import text_matching
from orchestrator.core.schemas import lookup

MAX_EXAMPLES = 200
MAX_LEVEL = 6

_TEXTS = (
    "a",
    "A",
    "0",
    "1",
    "",
    "ab",
    "AA",
    "abc",
    "ABC-123",
    "some text",
    "2026-03-31",
    "a@example.org",
)
_FORMATS: dict[str, str] = {
    "date": "2026-03-31",
    "date-time": "2026-03-31T09:30:00Z",
    "time": "09:30:00Z",
    "email": "someone@example.org",
    "uuid": "0190a6c8-0000-7000-8000-000000000000",
    "uri": "https://example.org/",
    "ipv4": "192.0.2.1",
    "hostname": "example.org",
    "duration": "P1D",
}


def examples_of(schema: JsonObject, other: JsonObject | None = None) -> Iterator[JsonValue]:
    """Yield up to 200 documents that the schema may allow; the caller validates them.

    `other` is a second schema whose field names, constants and limits are worth trying.
    """
    hints = _hints(other) if other is not None else []
    maker = _Maker(schema, hints)
    yield from islice(_unique(maker.make(schema, 0)), MAX_EXAMPLES)


def sample_document(schema: JsonObject) -> JsonObject:
    """An object with every field filled in, as far as that can be told: to try something with.

    Constants, defaults, examples and choices first; files cannot be made up and are left out.
    """
    made = _sample(schema, schema, 0)
    return made if isinstance(made, dict) else {}


def _sample(schema: JsonValue, root: JsonObject, level: int) -> JsonValue:
    if not isinstance(schema, dict) or level > MAX_LEVEL:
        return None
    ref = schema.get("$ref")
    if isinstance(ref, str):
        return _sample(lookup(ref, root), root, level + 1)
    if "const" in schema or "default" in schema:
        return schema.get("const", schema.get("default"))
    for keyword in ("examples", "enum"):
        offered = schema.get(keyword)
        if isinstance(offered, list) and offered:
            return offered[0]
    for keyword in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(keyword)
        if isinstance(branches, list) and branches and isinstance(branches[0], dict):
            rest = {key: value for key, value in schema.items() if key != keyword}
            return _sample(_merged(rest, branches[0]), root, level + 1)
    return _sample_of_type(schema, root, level)


def _sample_of_type(schema: JsonObject, root: JsonObject, level: int) -> JsonValue:
    stated = schema.get("type")
    kind = stated[0] if isinstance(stated, list) and stated else stated
    match kind:
        case "object" | None:
            properties = schema.get("properties")
            if not isinstance(properties, dict):
                return {} if kind == "object" else None
            if "artefact" in properties:
                return None
            made = {name: _sample(one, root, level + 1) for name, one in properties.items()}
            return {name: value for name, value in made.items() if value is not None}
        case "array":
            one = _sample(schema.get("items"), root, level + 1)
            low = schema.get("minItems")
            return [] if one is None else [one] * (low if isinstance(low, int) and low > 1 else 1)
        case "string":
            return _sample_text(schema)
        case "integer" | "number":
            low = schema.get("minimum", schema.get("exclusiveMinimum"))
            first = low if isinstance(low, (int, float)) else 1
            return first + 1 if "exclusiveMinimum" in schema else first
        case "boolean":
            return True
        case _:
            return None


def _sample_text(schema: JsonObject) -> str:
    stated, pattern, high = schema.get("format"), schema.get("pattern"), schema.get("maxLength")
    if isinstance(stated, str) and stated in _FORMATS:
        return _FORMATS[stated]
    if isinstance(pattern, str) and (text := text_matching(pattern)) is not None:
        return text
    text, low = "Example", schema.get("minLength")
    if isinstance(low, int) and low > len(text):
        text = text.ljust(min(low, 5_000), ".")
    return text[:high] if isinstance(high, int) else text


def _unique(values: Iterator[JsonValue]) -> Iterator[JsonValue]:
    seen: set[str] = set()
    for value in values:
        key = repr(value)
        if key not in seen:
            seen.add(key)
            yield value


def _hints(schema: JsonObject) -> list[JsonValue]:
    """Values just beside the limits that a schema states anywhere."""
    hints: list[JsonValue] = []
    stack: list[JsonValue] = [schema]
    while stack and len(hints) < 40:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        if not isinstance(node, dict):
            continue
        for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            limit = node.get(key)
            if isinstance(limit, (int, float)):
                hints += [limit, limit - 1, limit + 1]
        for key in ("minLength", "maxLength"):
            length = node.get(key)
            if isinstance(length, int) and length <= 5_000:
                hints += ["a" * max(length - 1, 0), "a" * (length + 1)]
        stack.extend(node.values())
    return hints


class _Maker:
    def __init__(self, root: JsonObject, hints: list[JsonValue]) -> None:
        self.root = root
        self.hints = hints

    def make(self, schema: JsonValue, level: int) -> Iterator[JsonValue]:
        """Candidates for one schema, simplest first."""
        if level > MAX_LEVEL or schema is False:
            return
        if not isinstance(schema, dict):
            yield from (None, "a", 1, True)
            return
        if isinstance(schema.get("$ref"), str):
            yield from self.make(lookup(str(schema["$ref"]), self.root), level + 1)
            return
        yield from self._stated(schema)
        for keyword in ("anyOf", "oneOf", "allOf"):
            branches = schema.get(keyword)
            if isinstance(branches, list):
                rest = {key: value for key, value in schema.items() if key != keyword}
                for branch in branches:
                    if isinstance(branch, dict):
                        yield from self.make(_merged(rest, self._target(branch)), level + 1)
                return
        for kind in self._types(schema):
            yield from self._of_type(kind, schema, level)

    def _target(self, branch: JsonObject) -> JsonObject:
        ref = branch.get("$ref")
        target = lookup(ref, self.root) if isinstance(ref, str) else branch
        return target if isinstance(target, dict) else branch

    def _stated(self, schema: JsonObject) -> Iterator[JsonValue]:
        if "const" in schema:
            yield schema["const"]
        for keyword in ("enum", "examples"):
            listed = schema.get(keyword)
            if isinstance(listed, list):
                yield from listed

    def _types(self, schema: JsonObject) -> list[str]:
        stated = schema.get("type")
        if isinstance(stated, str):
            return [stated]
        if isinstance(stated, list):
            return sorted((str(item) for item in stated), key=lambda name: name != "null")
        if "properties" in schema or "required" in schema:
            return ["object"]
        if "items" in schema or "prefixItems" in schema:
            return ["array"]
        return ["null", "string", "number", "boolean", "object", "array"]

    def _of_type(self, kind: str, schema: JsonObject, level: int) -> Iterator[JsonValue]:
        match kind:
            case "null":
                yield None
            case "boolean":
                yield from (True, False)
            case "string":
                yield from self._texts(schema)
            case "integer" | "number":
                yield from self._numbers(kind, schema)
            case "array":
                yield from self._lists(schema, level)
            case "object":
                yield from self._objects(schema, level)
            case _:
                return  # not a type of JSON Schema; the contract is refused elsewhere

    def _texts(self, schema: JsonObject) -> Iterator[JsonValue]:
        stated, pattern = schema.get("format"), schema.get("pattern")
        if isinstance(stated, str) and stated in _FORMATS:
            yield _FORMATS[stated]
        if isinstance(pattern, str) and (text := text_matching(pattern)) is not None:
            yield text
        low = schema.get("minLength")
        if isinstance(low, int) and low <= 5_000:
            yield "a" * low
        yield from _TEXTS
        yield from (hint for hint in self.hints if isinstance(hint, str))
        high = schema.get("maxLength")
        if isinstance(high, int) and high <= 5_000:
            yield "a" * high

    def _numbers(self, kind: str, schema: JsonObject) -> Iterator[JsonValue]:
        if kind == "number":
            yield 1.5
        for key, shift in (
            ("minimum", 0),
            ("maximum", 0),
            ("exclusiveMinimum", 1),
            ("exclusiveMaximum", -1),
        ):
            limit = schema.get(key)
            if isinstance(limit, (int, float)):
                yield limit + shift
                yield limit + shift / 2
        step = schema.get("multipleOf")
        if isinstance(step, (int, float)):
            yield from (step, 2 * step, 3 * step)
        yield from (1, 0, -1, 1_000_000)
        yield from (hint for hint in self.hints if isinstance(hint, (int, float)))

    def _lists(self, schema: JsonObject, level: int) -> Iterator[JsonValue]:
        low = schema.get("minItems")
        count = low if isinstance(low, int) else 0
        prefix = schema.get("prefixItems")
        parts = list(prefix) if isinstance(prefix, list) else []
        items = schema.get("items", True)
        if count == 0 and not parts:
            yield []
        base = [next(self.make(part, level + 1), None) for part in parts]
        for value in islice(self.make(items, level + 1), 30):
            filler: list[JsonValue] = [value] * max(count - len(base), 1)
            yield [*base, *filler]
        if parts:
            yield base

    def _objects(self, schema: JsonObject, level: int) -> Iterator[JsonValue]:
        stated = schema.get("properties")
        properties = dict(stated) if isinstance(stated, dict) else {}
        listed = schema.get("required")
        required = [str(name) for name in listed] if isinstance(listed, list) else []
        for name in required:
            properties.setdefault(name, schema.get("additionalProperties", True))
        choices: dict[str, list[JsonValue]] = {
            name: list(islice(self.make(child, level + 1), 40))
            for name, child in properties.items()
        }
        least: JsonObject = {name: choices[name][0] for name in required if choices[name]}
        full: JsonObject = {name: values[0] for name, values in choices.items() if values}
        yield least
        yield full
        for name, values in choices.items():
            for value in values:
                yield {**least, name: value}
                yield {**full, name: value}
        if schema.get("additionalProperties", True) is not False:
            extra = next(self.make(schema.get("additionalProperties", True), level + 1), None)
            yield {**least, "unexpected": "a" if extra is None else extra}


def _merged(rest: JsonObject, branch: JsonObject) -> JsonObject:
    """A rough intersection, good enough for candidates: fields and required names are united."""
    merged: JsonObject = {**rest, **branch}
    for keyword in ("properties",):
        left, right = rest.get(keyword), branch.get(keyword)
        if isinstance(left, dict) and isinstance(right, dict):
            merged[keyword] = {**left, **right}
    left_names, right_names = rest.get("required"), branch.get("required")
    if isinstance(left_names, list) and isinstance(right_names, list):
        merged["required"] = [*left_names, *right_names]
    return merged
