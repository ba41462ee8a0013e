"""JSON Schema documents as data: bundling of named types, and which schemas apply at a place.

A contract is a JSON Schema 2020-12 document. It refers to the shared vocabulary by `{"$ref":
"baton:PolicyNumber"}`; `bundle` copies the named types into `$defs`, so that what is compiled,
compared and shown is one closed document. Any other reference outside the document is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from orchestrator.core.catalogue import DomainType
from orchestrator.core.errors import DomainError
from orchestrator.core.json import JsonObject, JsonValue

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TYPE_PREFIX = "baton:"
HIDDEN_CLASSES = frozenset({"pii", "phi", "secret"})
MAX_SCHEMA_NODES = 20_000

_SCHEMA_MAPS = ("properties", "patternProperties", "$defs", "dependentSchemas")
_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SCHEMAS = (
    "items",
    "additionalProperties",
    "contains",
    "not",
    "if",
    "then",
    "else",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_CONSTANTS = frozenset({"const", "enum", "default", "examples"})
_APPLIED_IN_PLACE = ("allOf", "anyOf", "oneOf")

Place = tuple[str | int, ...]
"""Where in a document: keys and indexes from the root."""


class SchemaError(DomainError):
    """The contract itself is not usable; `detail["path"]` is a JSON pointer into the schema."""

    code = "invalid_schema"
    status = 422


def pointer(place: Sequence[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) of a place; the root is the empty text."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


def bundle(schema: JsonObject, types: Mapping[str, DomainType]) -> JsonObject:
    """Return a self-contained copy: each `baton:Name` becomes `#/$defs/Name`, with what Name needs.

    Local definitions of a named type come along as `Name.<definition>`.

    Raises: SchemaError: an unknown type, a reference out of the document, another dialect, an inner
    `$id`.
    """
    bundler = _Bundler(types)
    root = bundler.copy(schema, "", "")
    if not isinstance(root, dict):
        raise SchemaError("A contract must be an object.", detail={"path": ""})
    own = root.get("$defs")
    definitions: JsonObject = dict(own) if isinstance(own, dict) else {}
    for name, definition in bundler.definitions.items():
        if name in definitions and definitions[name] != definition:
            raise SchemaError(
                f"The contract defines '{name}' itself, and that is the name of a shared type.",
                detail={"path": f"/$defs/{name}"},
            )
        definitions[name] = definition
    root.pop("$id", None)
    if definitions:
        root["$defs"] = definitions
    return root


def resolve(schema: JsonValue, root: JsonObject) -> JsonValue:
    """Follow `$ref` inside the document until something else stands there (or a loop is found)."""
    seen: set[str] = set()
    while isinstance(schema, dict) and isinstance(ref := schema.get("$ref"), str):
        if ref in seen or len(schema) > 1:
            break
        seen.add(ref)
        schema = lookup(ref, root)
    return schema


def lookup(ref: str, root: JsonObject) -> JsonValue:
    """The schema that a local reference (`#`, `#/a/b`) names; an absent target allows anything."""
    node: JsonValue = root
    for part in ref.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and key in node:
            node = node[key]
        elif isinstance(node, list) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        else:
            return True
    return node


def inline(
    schema: JsonObject, *, levels: int = 12, named: Collection[str] = frozenset()
) -> JsonObject:
    """Return the schema with references replaced by what they name (deep recursion: anything).

    Where a reference named one of `named`, the schema carries that name as `x-type`.
    """
    result = _inlined(schema, schema, levels, named)
    return result if isinstance(result, dict) else {}


def referring(schema: JsonValue) -> JsonValue:
    """The schema with what carries the name of a shared type (`x-type`) as a reference again."""
    if isinstance(schema, list):
        return [referring(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    name = schema.get("x-type")
    if isinstance(name, str):
        return {"$ref": TYPE_PREFIX + name}
    return {key: value if key in _CONSTANTS else referring(value) for key, value in schema.items()}


def expand(schema: JsonValue, root: JsonObject) -> Iterator[tuple[JsonObject, str | None]]:
    """Every schema object that applies at one place, each with the shared name it stands under."""
    seen: set[int] = set()
    stack: list[tuple[JsonValue, str | None]] = [(schema, None)]
    while stack:
        node, name = stack.pop()
        if not isinstance(node, dict) or id(node) in seen:
            continue
        seen.add(id(node))
        yield node, name
        ref = node.get("$ref")
        if isinstance(ref, str):
            stack.append((lookup(ref, root), ref.removeprefix("#/$defs/")))
        for keyword in _APPLIED_IN_PLACE:
            branches = node.get(keyword)
            if isinstance(branches, list):
                stack.extend((branch, None) for branch in branches)
        stack.extend((node.get(keyword), None) for keyword in ("if", "then", "else"))


def schemas_at(root: JsonObject, place: Place) -> list[tuple[JsonObject, str | None]]:
    """Every schema object that may apply at a place of a payload, with its shared name if any."""
    found = list(expand(root, root))
    for part in place:
        children = [child for schema, _ in found for child in _children(schema, part)]
        found = [pair for child in children for pair in expand(child, root)]
    return found


def is_hidden(root: JsonObject, place: Place) -> bool:
    """Whether a value, or anything around it, is of a class that messages must not show."""
    return any(
        schema.get("x-class") in HIDDEN_CLASSES
        for length in range(len(place) + 1)
        for schema, _ in schemas_at(root, place[:length])
    )


def mentions(root: JsonValue, keyword: str, values: frozenset[str]) -> bool:
    """Whether any schema in the document has `keyword` with one of `values`, alone or listed."""
    for _, schema in walk(root):
        stated = schema.get(keyword)
        if isinstance(stated, str) and stated in values:
            return True
        if isinstance(stated, list) and any(
            item in values for item in stated if isinstance(item, str)
        ):
            return True
    return False


def walk(schema: JsonValue, path: str = "") -> Iterator[tuple[str, JsonObject]]:
    """Every schema object inside a document with its JSON pointer (constants are no schemas).

    Raises:
        SchemaError: the document is unreasonably large.
    """
    stack: list[tuple[str, JsonValue]] = [(path, schema)]
    count = 0
    while stack:
        here, node = stack.pop()
        if not isinstance(node, dict):
            continue
        count += 1
        if count > MAX_SCHEMA_NODES:
            raise SchemaError("The contract is too large.", detail={"path": path})
        yield here, node
        stack.extend(_subschemas(here, node))


def _inlined(node: JsonValue, root: JsonObject, levels: int, named: Collection[str]) -> JsonValue:
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return _followed(node, root, levels, named)
    copied: JsonObject = {}
    for key, value in node.items():
        if key == "$defs":
            continue
        if key in _SCHEMA_MAPS and isinstance(value, dict):
            copied[key] = {
                name: _inlined(child, root, levels, named) for name, child in value.items()
            }
        elif key in _SCHEMA_LISTS and isinstance(value, list):
            copied[key] = [_inlined(child, root, levels, named) for child in value]
        elif key in _SCHEMAS:
            copied[key] = _inlined(value, root, levels, named)
        else:
            copied[key] = value
    return copied


def _followed(node: JsonObject, root: JsonObject, levels: int, named: Collection[str]) -> JsonValue:
    """A reference replaced by what it names; what stands beside it counts too."""
    if levels <= 0:
        return {}
    ref = str(node["$ref"])
    target = _inlined(lookup(ref, root), root, levels - 1, named)
    name = ref.removeprefix("#/$defs/")
    if name in named and isinstance(target, dict):
        target = {**target, "x-type": name}
    rest = {key: value for key, value in node.items() if key != "$ref"}
    siblings = _inlined(rest, root, levels, named)
    if not isinstance(target, dict) or not isinstance(siblings, dict):
        return target
    overlap = siblings.keys() & target.keys() - {"title", "description"}
    return {"allOf": [target, siblings]} if overlap else {**target, **siblings}


def _subschemas(here: str, node: JsonObject) -> Iterator[tuple[str, JsonValue]]:
    for keyword in _SCHEMA_MAPS:
        children = node.get(keyword)
        if isinstance(children, dict):
            yield from (
                (f"{here}{pointer((keyword, key))}", child) for key, child in children.items()
            )
    for keyword in _SCHEMA_LISTS:
        listed = node.get(keyword)
        if isinstance(listed, list):
            yield from ((f"{here}/{keyword}/{index}", child) for index, child in enumerate(listed))
    yield from ((f"{here}/{keyword}", node[keyword]) for keyword in _SCHEMAS if keyword in node)


def _children(schema: JsonObject, part: str | int) -> Iterator[JsonValue]:
    if isinstance(part, int):
        prefix = schema.get("prefixItems")
        if isinstance(prefix, list) and part < len(prefix):
            yield prefix[part]
        elif "items" in schema:
            yield schema["items"]
        return
    properties, patterns = schema.get("properties"), schema.get("patternProperties")
    known = False
    if isinstance(properties, dict) and part in properties:
        known = True
        yield properties[part]
    if isinstance(patterns, dict):
        yield from (child for pattern, child in patterns.items() if re.search(pattern, part))
    if not known and "additionalProperties" in schema:
        yield schema["additionalProperties"]


class _Bundler:
    """One bundling: collects the definitions that the copied schemas need."""

    def __init__(self, types: Mapping[str, DomainType]) -> None:
        self.types = types
        self.definitions: JsonObject = {}
        self.count = 0

    def copy(self, node: JsonValue, prefix: str, path: str) -> JsonValue:
        """Copy a schema; `prefix` is the shared type whose definitions its references mean."""
        if not isinstance(node, dict):
            return node
        self.count += 1
        if self.count > MAX_SCHEMA_NODES or path.count("/") > 200:
            raise SchemaError(
                "The contract is too large or nested too deeply.", detail={"path": path}
            )
        self._refuse_foreign(node, path)
        copied: JsonObject = {}
        for key, value in node.items():
            here = f"{path}/{key}"
            if key == "$ref" and isinstance(value, str):
                copied[key] = self._reference(value, prefix, here)
            elif key in _SCHEMA_MAPS and isinstance(value, dict):
                children = {k: self.copy(v, prefix, f"{here}/{k}") for k, v in value.items()}
                if key == "$defs" and prefix:
                    self.definitions.update({f"{prefix}.{k}": v for k, v in children.items()})
                else:
                    copied[key] = children
            elif key in _SCHEMA_LISTS and isinstance(value, list):
                copied[key] = [self.copy(v, prefix, f"{here}/{i}") for i, v in enumerate(value)]
            elif key in _SCHEMAS:
                copied[key] = self.copy(value, prefix, here)
            else:
                copied[key] = value
        return copied

    def _refuse_foreign(self, node: JsonObject, path: str) -> None:
        if path and "$id" in node:
            raise SchemaError("An inner '$id' is not allowed in a contract.", detail={"path": path})
        if node.get("$schema", DIALECT) != DIALECT:
            raise SchemaError("Contracts are JSON Schema 2020-12.", detail={"path": path})
        if "$dynamicRef" in node or "$anchor" in node or "$dynamicAnchor" in node:
            raise SchemaError("Anchors are not allowed in a contract.", detail={"path": path})

    def _reference(self, ref: str, prefix: str, path: str) -> str:
        if ref.startswith(TYPE_PREFIX):
            return self._shared(ref.removeprefix(TYPE_PREFIX), path)
        if not ref.startswith("#"):
            raise SchemaError(
                f"The reference '{ref}' leads out of the contract; "
                "use '#/$defs/...' or a shared type.",
                detail={"path": path, "ref": ref},
            )
        if not prefix:
            return ref
        if ref == "#":
            return f"#/$defs/{prefix}"
        return ref.replace("#/$defs/", f"#/$defs/{prefix}.", 1)

    def _shared(self, name: str, path: str) -> str:
        target = f"#/$defs/{name}"
        if name in self.definitions:
            return target
        if name not in self.types:
            raise SchemaError(
                f"There is no shared type '{name}'.", detail={"path": path, "type": name}
            )
        self.definitions[name] = True  # stands in while a type that contains itself is copied
        self.definitions[name] = self.copy(self.types[name].schema, name, f"/$defs/{name}")
        return target
