"""Forms made from contracts: render, read back, show what is wrong. One form engine for all pages.

    html = render(contract, value, violations, "input")
    value, violations = parse(contract, request.POST, request.FILES, prefix="input", uploader=...)

A field's name is the prefix and the keys on the way to it, joined by points. `parse` gives what was
typed even where it is wrong, so that rendering it again loses nothing; `violations` are those of
reading alone, and the contract's own check (`core.contracts.Validator`) is always run beside it.

Files: `uploader` stores one and returns `{"artefact", "media", "name"}`. A file that was stored
before travels in hidden fields; whoever uses the value must check that the actor may read it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeAlias

from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.template.loader import render_to_string
from django.utils.datastructures import MultiValueDict
from django.utils.safestring import SafeString

from orchestrator.core.catalogue import DomainType
from orchestrator.core.errors import DomainError, InvalidInputError
from orchestrator.core.json import JsonObject, JsonValue, clean_text, parse_json
from orchestrator.core.results import Violation
from orchestrator.web.schema_shapes import Kind, Shape, shape_of, words_of
from orchestrator.web.templatetags.baton import places_of, visible

Upload: TypeAlias = "UploadedFile[Any]"
Uploader: TypeAlias = Callable[[Upload], JsonObject]
Errors: TypeAlias = "Sequence[Violation | Mapping[str, Any]]"
Types: TypeAlias = "Mapping[str, DomainType] | None"

MAX_TEXT: Final = 100_000
MAX_ITEMS: Final = 200
CURRENCIES: Final = ("EUR", "USD", "GBP", "CHF", "JPY", "SEK", "NOK", "DKK", "PLN", "CZK")
MARK: Final = "__index{}__"
"""Stands for the index in the template of a list's item, by depth."""
_AMOUNT: Final = re.compile(r"^-?(?:\d+|\d{1,3}(?:[ ,]\d{3})+)(?:\.\d+)?$", re.ASCII)
_DATE: Final = re.compile(r"^\d{4}-\d{2}-\d{2}$", re.ASCII)
_LOCAL: Final = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$", re.ASCII)
_WHOLE: Final = re.compile(r"^-?\d{1,16}$", re.ASCII)
_NUMBER: Final = re.compile(r"^-?\d{1,16}(?:\.\d{1,16})?(?:[eE][-+]?\d{1,3})?$", re.ASCII)


class _Missing:
    """Stands for "nothing was given", which is neither null nor empty text."""


MISSING: Final = _Missing()
Read: TypeAlias = "JsonValue | _Missing"


@dataclass(slots=True)
class Option:
    """One choice of a field."""

    value: str
    label: str
    is_chosen: bool
    id: str = ""


@dataclass(slots=True)
class Field:
    """A field as the template draws it."""

    shape: Shape
    name: str
    path: str
    text: str = ""
    currency: str = ""
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    file: Mapping[str, Any] | None = None
    blank: Field | None = None
    spare: Field | None = None
    is_root: bool = False
    is_in_spare: bool = False
    next_index: int = 0
    mark: str = ""

    @property
    def kind(self) -> str:
        """The kind, as templates compare it."""
        return self.shape.kind.value

    @property
    def described_by(self) -> str:
        """The ids of what describes the field."""
        ids = [f"{self.name}-hint"] if self.shape.hint or self.notes else []
        return " ".join([f"{self.name}-error", *ids] if self.errors else ids)

    @property
    def label(self) -> str:
        """The label; list items are numbered by the list."""
        return self.shape.label

    @property
    def input_type(self) -> str:
        """The type of a one-line control; a date that is none is shown as the text it is."""
        if self.shape.kind is Kind.DATE:
            return "date" if not self.text or _DATE.match(self.text) else "text"
        if self.shape.kind is Kind.INSTANT:
            return "datetime-local" if not self.text or _LOCAL.match(self.text) else "text"
        return "text"

    @property
    def lines(self) -> int:
        """How many lines a long text shows."""
        return max(3, min(14, self.text.count("\n") + 2))


def render(
    schema: JsonObject,
    value: JsonValue = None,
    errors: Errors = (),
    prefix: str = "input",
    *,
    types: Types = None,
) -> SafeString:
    """Return the fields of a contract as HTML, filled with a value, errors beside their fields.

    The caller gives the `<form method="post" enctype="multipart/form-data" novalidate>` around it,
    and `render_summary` above it.
    """
    root = build(schema, value, errors, prefix, types=types)
    return render_to_string("web/form/fields.html", {"root": root})


def build(
    schema: JsonObject,
    value: JsonValue = None,
    errors: Errors = (),
    prefix: str = "input",
    *,
    types: Types = None,
) -> Field:
    """Return the fields of a contract for templates that draw them in their own way."""
    shape = shape_of(schema, types)
    given: Read = shape_default(shape) if value is None else value
    builder = _FieldBuilder(_by_path(errors))
    root = builder.field(shape, prefix, "", given)
    root.is_root = True
    builder.place_the_rest(root)
    return root


def render_summary(
    errors: Errors, prefix: str = "input", *, schema: JsonObject | None = None, types: Types = None
) -> SafeString:
    """Return the error summary: one link per error to its field; it takes focus when shown."""
    shape = shape_of(schema, types) if schema is not None else None
    links = []
    order = list(_paths(shape, "")) if shape else []
    for path, _, reason in sorted(_triples(errors), key=lambda one: _rank(one[0], order)):
        label = _label_at(shape, path) if shape else words_of(path.rpartition("/")[2])
        target = name_at(prefix, _asked_at(shape, path) if shape else path)
        links.append({"target": target, "text": _sentence(label, reason)})
    return render_to_string("web/form/summary.html", {"links": links})


def parse(
    schema: JsonObject,
    post: QueryDict,
    files: MultiValueDict[str, Upload] | None = None,
    *,
    prefix: str = "input",
    types: Types = None,
    uploader: Uploader | None = None,
    base: JsonValue = None,
) -> tuple[JsonValue, tuple[Violation, ...]]:
    """Read a form back. `base` is the value that the form showed: what it did not ask for is kept.

    The value may still break the contract: check it with a `Validator` and join the violations.
    """
    reader = _Reader(post, files or MultiValueDict(), uploader)
    value = reader.read(shape_of(schema, types), prefix, "", MISSING if base is None else base)
    return ({} if isinstance(value, _Missing) else value), tuple(reader.violations)


def merge(read: Iterable[Violation], checked: Iterable[Violation]) -> tuple[Violation, ...]:
    """Join the violations of reading and of the contract: one per place, the reader's first."""
    found: dict[str, Violation] = {}
    for one in (*read, *checked):
        covered = any(one.path == path or one.path.startswith(f"{path}/") for path in found if path)
        if not covered:
            found[one.path] = one
    return tuple(found.values())


def shape_default(shape: Shape) -> Read:
    """Return the value that a fresh form starts with: the contract's defaults."""
    if "default" in shape.schema:
        return shape.schema["default"]
    if shape.kind is Kind.FIXED:
        return shape.options[0]
    if shape.kind is Kind.GROUP:
        parts = {child.key: shape_default(child) for child in shape.fields}
        return {key: part for key, part in parts.items() if not isinstance(part, _Missing)}
    return MISSING


def name_at(prefix: str, path: str) -> str:
    """Return the name of the field at a JSON pointer."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    return ".".join([prefix, *map(_encoded, parts)])


class _FieldBuilder:
    """Puts values and errors into shapes."""

    def __init__(self, errors: dict[str, list[str]], *, is_in_spare: bool = False) -> None:
        self.errors = errors
        self.is_in_spare = is_in_spare
        self.used: set[str] = set()

    def field(self, shape: Shape, name: str, path: str, value: Read) -> Field:
        made = Field(shape=shape, name=name, path=path, is_in_spare=self.is_in_spare)
        self._take_errors(made)
        present = None if isinstance(value, _Missing) else value
        match shape.kind:
            case Kind.GROUP:
                self._group(made, present)
            case Kind.LIST:
                self._list(made, present)
            case Kind.MONEY:
                self._money(made, present)
            case Kind.FILE:
                self._file(made, present)
            case Kind.CHOICE | Kind.CHOICES | Kind.YES_NO:
                made.options = _options_of(made, present, is_given=not isinstance(value, _Missing))
            case Kind.JSON | Kind.KEPT:
                is_raw = bool(made.errors) and isinstance(present, str)
                made.text = str(present) if is_raw else "" if present is None else _pretty(present)
            case Kind.FIXED:
                made.text = _plain(shape.options[0])
            case Kind.INSTANT:
                made.text = _instant_text(present)
            case _:
                made.text = "" if present is None else _plain(present)
        if made.text != visible(made.text):
            made.notes.append(f"This holds hidden characters: {visible(made.text)}")
        return made

    def place_the_rest(self, root: Field) -> None:
        """Show errors of places that have no field of their own at the nearest field around."""
        for path, reasons in self.errors.items():
            if path in self.used:
                continue
            holder = _nearest(root, path)
            where = path[len(holder.path) :].strip("/").replace("/", ": ")
            holder.errors += [f"{words_of(where)} {reason}".strip() for reason in reasons]

    def _take_errors(self, made: Field) -> None:
        reasons = self.errors.get(made.path)
        if reasons is not None:
            self.used.add(made.path)
            made.errors += [_sentence("", reason) for reason in reasons]

    def _group(self, made: Field, value: JsonValue) -> None:
        members = value if isinstance(value, dict) else {}
        for child in made.shape.fields:
            key = child.key
            made.fields.append(
                self.field(
                    child,
                    f"{made.name}.{_encoded(key)}",
                    f"{made.path}/{_pointer(key)}",
                    members.get(key, MISSING) if members else _fresh(child, value),
                )
            )

    def _list(self, made: Field, value: JsonValue) -> None:
        item = made.shape.item
        assert item is not None
        values = list(value) if isinstance(value, list) else []
        least = min(made.shape.limit("minItems") or 0, MAX_ITEMS)
        padded: list[Read] = [*values, *[MISSING] * (least - len(values))]
        for index, one in enumerate(padded):
            made.fields.append(
                self.field(item, f"{made.name}.{index}", f"{made.path}/{index}", one)
            )
        made.next_index = len(padded)
        made.mark = MARK.format(made.name.count("__index"))
        fresh = shape_default(item)
        made.blank = _FieldBuilder({}).field(item, f"{made.name}.{made.mark}", "/-", fresh)
        spare_name = f"{made.name}.{made.next_index}"
        if "__index" not in made.name:
            builder = _FieldBuilder({}, is_in_spare=True)
            made.spare = builder.field(item, spare_name, "/-", fresh)

    def _money(self, made: Field, value: JsonValue) -> None:
        for part in ("minor", "currency"):
            reasons = self.errors.get(f"{made.path}/{part}")
            if reasons:
                self.used.add(f"{made.path}/{part}")
                made.errors += [_money_reason(part, reason) for reason in reasons]
        money = value if isinstance(value, dict) else {}
        currency = money.get("currency") or made.shape.schema.get("x-currency") or "EUR"
        made.currency = str(currency)
        minor = money.get("minor")
        if isinstance(minor, int) and not isinstance(minor, bool):
            places = places_of(made.currency)
            made.text = f"{Decimal(minor).scaleb(-places):.{places}f}"
        elif minor is not None:
            made.text = str(minor)
        known = list(dict.fromkeys([made.currency, *CURRENCIES]))
        made.options = [Option(code, code, code == made.currency) for code in known]

    def _file(self, made: Field, value: JsonValue) -> None:
        for part in ("artefact", "media", "name"):
            if f"{made.path}/{part}" in self.errors:
                self.used.add(f"{made.path}/{part}")
                made.errors = ["Choose the file again."]
        if isinstance(value, dict) and {"artefact", "media", "name"} <= value.keys():
            made.file = value


class _Reader:
    """Reads one form; `violations` are what could not be read as what the contract asks for."""

    def __init__(
        self,
        post: QueryDict,
        files: MultiValueDict[str, Upload],
        uploader: Uploader | None,
    ) -> None:
        self.post = post
        self.files = files
        self.uploader = uploader
        self.violations: list[Violation] = []
        self.names = [*post.keys(), *files.keys()]

    def read(self, shape: Shape, name: str, path: str, base: Read) -> Read:
        match shape.kind:
            case Kind.GROUP:
                return self._group(shape, name, path, base)
            case Kind.LIST:
                return self._list(shape, name, path, base)
            case Kind.MONEY:
                return self._empty_or(shape, self._money(name, path))
            case Kind.FILE:
                return self._empty_or(shape, self._file(name, path))
            case Kind.CHOICES:
                return self._choices(shape, name)
            case Kind.FIXED:
                return shape.options[0] if shape.is_required else base
            case Kind.KEPT:
                return base
            case _:
                return self._empty_or(shape, self._scalar(shape, name, path))

    def _empty_or(self, shape: Shape, value: Read) -> Read:
        if isinstance(value, _Missing) and shape.is_nullable and shape.is_required:
            return None
        return value

    def _group(self, shape: Shape, name: str, path: str, base: Read) -> Read:
        old = base if isinstance(base, dict) else {}
        asked = {child.key for child in shape.fields}
        value: JsonObject = {key: kept for key, kept in old.items() if key not in asked}
        for child in shape.fields:
            key = child.key
            read = self.read(
                child,
                f"{name}.{_encoded(key)}",
                f"{path}/{_pointer(key)}",
                old.get(key, MISSING),
            )
            if not isinstance(read, _Missing):
                value[key] = read
        is_empty = not _says_anything(shape, value)
        if is_empty and path and not shape.is_required:
            return MISSING
        return None if is_empty and path and shape.is_nullable else value

    def _list(self, shape: Shape, name: str, path: str, base: Read) -> Read:
        item = shape.item
        assert item is not None
        old = base if isinstance(base, list) else []
        values: list[JsonValue] = []
        for index in self._indexes(name):
            before: Read = old[index] if index < len(old) else MISSING
            mark = len(self.violations)
            read = self.read(item, f"{name}.{index}", f"{path}/{len(values)}", before)
            if isinstance(read, _Missing) or _says_nothing(item, read):
                del self.violations[mark:]
                continue
            values.append(read)
        if not values and not shape.is_required:
            return MISSING
        return values

    def _indexes(self, name: str) -> list[int]:
        start = len(name) + 1
        found = {
            int(rest)
            for one in self.names
            if one.startswith(f"{name}.")
            for rest in [one[start:].partition(".")[0]]
            if rest.isascii() and rest.isdigit() and len(rest) < 6
        }
        return sorted(found)[:MAX_ITEMS]

    def _choices(self, shape: Shape, name: str) -> Read:
        by_text = {_option_value(one): one for one in shape.options}
        chosen: list[JsonValue] = [
            by_text.get(one, one) for one in self.post.getlist(name)[:MAX_ITEMS]
        ]
        return chosen if chosen or shape.is_required else MISSING

    def _scalar(self, shape: Shape, name: str, path: str) -> Read:
        raw = self._text(name, path)
        if shape.kind is Kind.YES_NO:
            return _yes_no(raw, shape)
        if shape.kind in {Kind.TEXT, Kind.LONG_TEXT}:
            text = raw if shape.kind is Kind.LONG_TEXT else raw.strip()
            return text or MISSING
        raw = raw.strip()
        if not raw:
            return MISSING
        if shape.kind is Kind.NUMBER:
            return self._number(shape, raw, path)
        if shape.kind is Kind.CHOICE:
            return {_option_value(one): one for one in shape.options}.get(raw, raw)
        if shape.kind is Kind.INSTANT:
            return _instant_value(raw)
        if shape.kind is Kind.JSON:
            return self._json(raw, path)
        return raw

    def _text(self, name: str, path: str) -> str:
        raw = self.post.get(name, "").replace("\r\n", "\n")
        try:
            clean_text(raw)
        except ValueError as error:
            self._refuse(path, "text", str(error))
            raw = "".join(char for char in raw if char != "\x00" and not _is_surrogate(char))
        if len(raw) > MAX_TEXT:
            self._refuse(path, "maxLength", f"must have at most {MAX_TEXT} characters")
        return raw

    def _number(self, shape: Shape, raw: str, path: str) -> JsonValue:
        compact = raw.replace(" ", "") if _AMOUNT.match(raw) else raw
        if "," in compact and _AMOUNT.match(raw):
            compact = compact.replace(",", "")
        if _WHOLE.match(compact):
            return int(compact)
        if not shape.is_whole and _NUMBER.match(compact):
            return float(compact)
        word = "a whole number such as 12" if shape.is_whole else "a number such as 12.5"
        self._refuse(path, "type", f"must be {word}")
        return raw

    def _json(self, raw: str, path: str) -> JsonValue:
        try:
            return parse_json(raw)
        except InvalidInputError as error:
            self._refuse(path, "json", error.message[:1].lower() + error.message[1:].rstrip("."))
            return raw

    def _money(self, name: str, path: str) -> Read:
        amount = self._text(f"{name}.amount", path).strip()
        currency = self._text(f"{name}.currency", path).strip().upper()
        if not amount:
            return MISSING
        places = places_of(currency)
        if not _AMOUNT.match(amount):
            example = f"1240.{'0' * places}" if places else "1240"
            self._refuse(path, "money", f"must be an amount such as {example}")
            return {"minor": amount, "currency": currency}
        exact = Decimal(amount.replace(",", "").replace(" ", "")).scaleb(places)
        if exact != exact.to_integral_value():
            self._refuse(path, "money", f"must have at most {places} places in {currency}")
            return {"minor": amount, "currency": currency}
        return {"minor": int(exact), "currency": currency}

    def _file(self, name: str, path: str) -> Read:
        upload = self.files.get(name)
        if upload is not None:
            stored = self._store(upload, path)
            if stored is not None:
                return stored
        if self.post.get(f"{name}.remove"):
            return MISSING
        kept = {part: self.post.get(f"{name}.{part}", "") for part in ("artefact", "media", "name")}
        return dict(kept) if all(kept.values()) else MISSING

    def _store(self, upload: Upload, path: str) -> JsonObject | None:
        if self.uploader is None:
            self._refuse(path, "file", "cannot be uploaded here")
            return None
        try:
            return self.uploader(upload)
        except DomainError as error:
            self._refuse(path, "file", error.message)
            return None

    def _refuse(self, path: str, rule: str, reason: str) -> None:
        self.violations.append(Violation(path=path, rule=rule, reason=reason[:1000]))


def _says_anything(shape: Shape, value: JsonValue) -> bool:
    """Tell whether a person gave anything here; fixed values and unticked boxes say nothing."""
    if shape.kind is Kind.GROUP and isinstance(value, dict):
        shown = {child.key: child for child in shape.fields}
        return any(
            _says_anything(shown[key], part) if key in shown else True
            for key, part in value.items()
        )
    if shape.kind is Kind.LIST:
        return isinstance(value, list) and bool(value)
    if shape.kind is Kind.YES_NO:
        return value is True
    return shape.kind is not Kind.FIXED and value is not None


def _says_nothing(item: Shape, value: JsonValue) -> bool:
    """Tell whether an entry is empty, or holds defaults alone while what it needs is missing."""
    if not _says_anything(item, value):
        return True
    if not isinstance(value, dict):
        return False
    said = {key: part for key, part in value.items() if part != []}
    is_untouched = said == shape_default(item)
    return is_untouched and any(one.is_required and one.key not in said for one in item.fields)


def _yes_no(raw: str, shape: Shape) -> Read:
    if raw in {"true", "on"}:
        return True
    if raw == "false" or shape.is_required:
        return False
    return MISSING


def _fresh(shape: Shape, value: JsonValue) -> Read:
    return shape_default(shape) if value is None else MISSING


def _options_of(made: Field, value: JsonValue, *, is_given: bool) -> list[Option]:
    if made.shape.kind is Kind.YES_NO:
        return [
            Option("true", "Yes", value is True, f"{made.name}-yes"),
            Option("false", "No", is_given and value is False, f"{made.name}-no"),
        ]
    chosen = value if isinstance(value, list) and made.shape.kind is Kind.CHOICES else [value]
    listed = [
        Option(_option_value(one), _option_label(one), is_given and one in chosen)
        for one in made.shape.options
    ]
    for number, option in enumerate(listed):
        option.id = f"{made.name}-{number}"
    is_unknown = is_given and value is not None and made.shape.kind is Kind.CHOICE
    if is_unknown and value not in made.shape.options:
        listed.append(Option(_option_value(value), f"{_option_label(value)} (not allowed)", True))
    return listed


def _option_value(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _option_label(value: JsonValue) -> str:
    if isinstance(value, str):
        is_word = value.islower() and value.isascii() and value.replace("_", "").isalnum()
        return words_of(value) if is_word else visible(value)
    return "Nothing" if value is None else json.dumps(value)


def _instant_text(value: JsonValue) -> str:
    """Return an instant as `datetime-local` wants it; what is none stays as it is."""
    text = "" if value is None else _plain(value)
    return text[:16] if text.endswith(("Z", "+00:00")) and "T" in text else text


def _instant_value(raw: str) -> str:
    is_local = _LOCAL.match(raw)
    if not is_local:
        return raw
    return f"{raw}{':00' if not is_local.group(1) else ''}Z"


def _plain(value: JsonValue) -> str:
    return value if isinstance(value, str) else _pretty(value)


def _pretty(value: JsonValue) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _money_reason(part: str, reason: str) -> str:
    if part == "minor":
        return (
            _sentence("", reason)
            if "most" in reason or "least" in reason
            else ("Enter an amount such as 1240.00.")
        )
    return f"The currency {reason}."


def _sentence(label: str, reason: str) -> str:
    if reason == "is required but missing":
        reason = "is needed"
    text = f"{label} {reason}".strip() if label else f"This {reason}"
    starts_itself = reason[:1].isupper()
    return (f"{label}: {reason}" if label else reason) if starts_itself else f"{text.rstrip('.')}."


def _triples(errors: Errors) -> list[tuple[str, str, str]]:
    found = []
    for one in errors:
        if isinstance(one, Violation):
            found.append((one.path, one.rule, one.reason))
        else:
            found.append((str(one.get("path", "")), str(one.get("rule", "")), str(one["reason"])))
    return found


def _by_path(errors: Errors) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, _, reason in _triples(errors):
        found.setdefault(path, []).append(reason)
    return found


def _nearest(root: Field, path: str) -> Field:
    for child in root.fields:
        if path == child.path or path.startswith(f"{child.path}/"):
            return _nearest(child, path)
    return root


def _paths(shape: Shape, path: str) -> Iterable[str]:
    """Give the places of a form in the order in which it asks."""
    yield path
    for child in shape.fields:
        yield from _paths(child, f"{path}/{_pointer(child.key)}")


def _rank(path: str, order: Sequence[str]) -> int:
    """Return where a place, or the nearest one around it, stands in the form."""
    while path and path not in order:
        path = path.rpartition("/")[0]
    return order.index(path) if path in order else -1


def _asked_at(shape: Shape, path: str) -> str:
    """The place of the field that asks for a place: the same, or one around it."""
    asked = ""
    for part in path.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if shape.item is not None and key.isdigit():
            child: Shape | None = shape.item
        else:
            child = next((one for one in shape.fields if one.key == key), None)
        if child is None:
            break
        shape, asked = child, f"{asked}/{part}"
    return asked


def _label_at(shape: Shape, path: str) -> str:
    label = ""
    for part in path.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if shape.item is not None and key.isdigit():
            label, shape = f"{shape.label} {int(key) + 1}", shape.item
            continue
        child = next((one for one in shape.fields if one.key == key), None)
        if child is None:
            return label or words_of(key)
        label = f"{label}: {child.label}" if label and shape.label else child.label
        shape = child
    return label


def _encoded(key: str) -> str:
    return key.replace("~", "~0").replace(".", "~1")


def _pointer(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _is_surrogate(char: str) -> bool:
    return "\ud800" <= char <= "\udfff"
