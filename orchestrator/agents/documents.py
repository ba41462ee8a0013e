"""Reads labelled fields out of documents: PDF with text, and plain text in any common encoding.

How a field is found:

1. The document becomes rows of cells, each cell with its place (`_pdf_rows`, `_text_rows`).
2. A cell names a field when its text up to a colon, or all of it, or its beginning, is one of the
   labels of the parameters (compared without case, accents and punctuation; the longest wins).
3. The value stands behind the colon, in the next cell to the right, or in the cell below, in this
   order. Values of type `lines` go on until the next label or a wider gap.
4. The value is read as its type. Identifiers stay as they are written: whether a number has the
   right form is for the contract of whoever uses it.
5. How the value was found and read gives its confidence; two different readings of one field make
   it ambiguous.

A document without text, or in which nothing is found, gives not found with the reason. Missing,
unreadable or ambiguous required fields give uncertain with what was read and a list of the rest.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from orchestrator import pdf
from orchestrator.agents.base import (
    ARTEFACT_REF,
    SOURCES_REF,
    STORED_FILES,
    AgentContext,
    ArtefactFile,
    ArtefactMissingError,
    FunctionAgent,
    ParametersError,
    artefact_of,
    input_failed,
    parameters_failed,
    read_parameters,
)
from orchestrator.agents.dates import DateOrder, parse_date
from orchestrator.agents.money import parse_money
from orchestrator.agents.similarity import normalised
from orchestrator.core.json import JsonObject, JsonValue, Model
from orchestrator.core.results import Basis, BasisKind, NotFound, StepResult, Uncertain, Value

FieldType = Literal["text", "lines", "identifier", "date", "money", "integer", "choice"]
RESERVED = frozenset({"sources", "missing"})
MAX_TEXT_BYTES = 2_000_000
MAX_VALUE_CHARACTERS = 4_000
MAX_CONTINUATION_ROWS = 12

_BEHIND_COLON, _TO_THE_RIGHT, _BELOW, _BEHIND_LABEL = 1.0, 0.98, 0.95, 0.9
_LEADERS = re.compile(r"^[\s.:…_·-]+")


class FieldSpec(Model):
    """One field to read. `choices` maps each value to the words that mean it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    labels: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=80)], ...], Field(min_length=1)
    ]
    type: FieldType = "text"
    required: bool = True
    choices: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name in RESERVED:
            raise ValueError(f"a field cannot be named '{self.name}'")
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("choices belong to fields of type choice, and only to them")
        return self


class ReadFieldsParameters(Model):
    """What to look for, and how dates and amounts without currency are meant."""

    fields: Annotated[tuple[FieldSpec, ...], Field(min_length=1, max_length=100)]
    date_order: DateOrder = "dmy"
    default_currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    max_pages: Annotated[int, Field(ge=1, le=pdf.MAX_PAGES)] = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: a box on a page, or lines of a text file."""

    page: int | None = None
    box: pdf.Box | None = None
    lines: tuple[int, int] | None = None

    def joined(self, other: Place) -> Place:
        """The place that covers both; a box on another page is left out."""
        if self.lines and other.lines:
            return Place(
                lines=(min(self.lines[0], other.lines[0]), max(self.lines[1], other.lines[1]))
            )
        if self.box and other.box and self.page == other.page:
            a, b = self.box, other.box
            around = (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
            return Place(page=self.page, box=around)
        return self

    def json(self, sha256: str, text: str) -> JsonObject:
        """The form that `sources` carries."""
        source: JsonObject = {"artefact": sha256, "text": text[:500]}
        if self.box:
            source.update(page=self.page, box=list(self.box))
        if self.lines:
            source["lines"] = list(self.lines)
        return source


@dataclass(frozen=True, slots=True)
class TextCell:
    """A piece of text with its place. `words` (of PDF) let a part of it be located."""

    text: str
    place: Place
    left: int
    right: int
    words: tuple[pdf.Word, ...] = ()

    def tail(self, text: str) -> Place:
        """The place of the last words of the cell, those that make up `text`."""
        if not self.words:
            return self.place
        count, left = 0, len("".join(text.split()))
        for word in reversed(self.words):
            if left <= 0:
                break
            count, left = count + 1, left - len(word.text)
        place = Place(page=self.place.page, box=self.words[-1].box)
        for word in self.words[len(self.words) - max(count, 1) :]:
            place = place.joined(Place(page=self.place.page, box=word.box))
        return place


@dataclass(frozen=True, slots=True)
class TextRow:
    """Cells on one line. `gap` is the white space above, in heights of the row."""

    cells: tuple[TextCell, ...]
    gap: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A candidate for the value of a field."""

    text: str
    place: Place
    confidence: float


class UnreadableError(Exception):
    """The document has nothing that can be read; `reason_code` and the message say why."""

    def __init__(self, reason_code: str, message: str) -> None:
        super().__init__(message)
        self.reason_code = reason_code


def rows_of(file: ArtefactFile, *, max_pages: int = 20) -> tuple[TextRow, ...]:
    """Return the rows of text of a document.

    Raises:
        UnreadableError: scanned, encrypted, damaged, empty, or of a kind that holds no text.
    """
    if not file.content.strip():
        raise UnreadableError("empty_document", f"The file “{file.name}” is empty.")
    if b"%PDF-" in file.content[:1_024]:
        return _pdf_rows(file, max_pages)
    if file.media.startswith(("image/", "video/", "audio/")):
        raise UnreadableError(
            "no_text", f"“{file.name}” is a picture or recording; it holds no text to read."
        )
    return _text_rows(file)


def _pdf_rows(file: ArtefactFile, max_pages: int) -> tuple[TextRow, ...]:
    try:
        pages = pdf.read_pages(file.content, max_pages=max_pages)
    except pdf.UnreadablePdfError as error:
        raise UnreadableError(f"document_{error.reason_code}", error.message) from None
    rows = [row for page in pages for row in _page_rows(page)]
    if not any(char.isalnum() for row in rows for cell in row.cells for char in cell.text):
        scanned = any(page.has_images for page in pages)
        raise UnreadableError(
            "no_text",
            f"“{file.name}” holds no text: its {len(pages)} page(s) are "
            + ("scanned images." if scanned else "blank."),
        )
    return tuple(rows)


def _page_rows(page: pdf.Page) -> Iterator[TextRow]:
    above: pdf.Box | None = None
    for row in page.rows:
        gap = 99.0
        if above is not None:
            height = max(row.box[3] - row.box[1], above[3] - above[1], 1)
            gap = (row.box[1] - above[3]) / height
        above = row.box
        yield TextRow(
            cells=tuple(
                TextCell(
                    text=cell.text,
                    place=Place(page=page.number, box=cell.box),
                    left=cell.box[0],
                    right=cell.box[2],
                    words=cell.words,
                )
                for cell in row.cells
            ),
            gap=gap,
        )


def _text_rows(file: ArtefactFile) -> tuple[TextRow, ...]:
    text = decode(file.content)
    rows: list[TextRow] = []
    blank = 99.0
    for number, line in enumerate(text.splitlines(), 1):
        cells = tuple(_line_cells(line, number))
        if cells:
            rows.append(TextRow(cells=cells, gap=blank))
            blank = 0.2
        else:
            blank += 1.0
    if not any(char.isalnum() for row in rows for cell in row.cells for char in cell.text):
        raise UnreadableError("no_text", f"“{file.name}” holds no words.")
    return tuple(rows)


def _line_cells(line: str, number: int) -> Iterator[TextCell]:
    for match in re.finditer(r"[^\s|](?:[^\t|]*?[^\s|])?(?=\s{3,}|\t|\s*\||\s*$)", line):
        if re.fullmatch(r"[-=_+*#~\s]+", match[0]):
            continue
        yield TextCell(
            text=match[0],
            place=Place(lines=(number, number)),
            left=match.start() * 600,
            right=match.end() * 600,
        )


def decode(content: bytes) -> str:
    """Return the text of a plain text file: UTF-8, UTF-16 with mark, else Windows-1252.

    Raises:
        UnreadableError: it is too long, or binary data rather than text.
    """
    if len(content) > MAX_TEXT_BYTES:
        raise UnreadableError(
            "document_too_large", f"The text has {len(content)} bytes; {MAX_TEXT_BYTES} are read."
        )
    encodings = (
        ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
    )
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        odd = sum(1 for char in text if unicodedata.category(char) in ("Cc", "Cn", "Co", "Cs"))
        odd -= sum(text.count(char) for char in "\n\r\t\f")
        if odd * 50 <= len(text):
            return "".join(char for char in text if char >= " " or char in "\n\r\t")
    raise UnreadableError("garbage", "The file holds binary data; it is not a document with text.")


class _Labels:
    """Finds which field a text names."""

    def __init__(self, fields: Sequence[FieldSpec]) -> None:
        self._exact = {normalised(label): spec.name for spec in fields for label in spec.labels}
        self._by_length = sorted(self._exact, key=len, reverse=True)

    def exact(self, text: str) -> str | None:
        """The field whose label the text is."""
        return self._exact.get(normalised(text))

    def split(self, text: str) -> tuple[str, str, bool] | None:
        """Field, text behind the label, and whether a colon stands between."""
        head, colon, tail = text.partition(":")
        if colon and (name := self.exact(head)):
            return name, tail.strip(), True
        if name := self.exact(text):
            return name, "", False
        words = text.split()
        for label in self._by_length:
            count = _words_of(label, words)
            if count and count < len(words) and _is_label(label, words[count]):
                rest = " ".join(words[count:])
                return self._exact[label], _LEADERS.sub("", rest), False
        return None


def _is_label(label: str, following: str) -> bool:
    """A single word names a field only before leaders; in a sentence it may mean anything."""
    return " " in label or not any(char.isalnum() for char in following)


def _words_of(label: str, words: Sequence[str]) -> int:
    """How many of the first words make up the label; 0 when they do not."""
    said = ""
    for count, word in enumerate(words[:8], 1):
        said = f"{said} {normalised(word)}".strip()
        if said == label:
            return count
        if not label.startswith(said):
            return 0
    return 0


def _readings(
    rows: Sequence[TextRow], labels: _Labels, kinds: Mapping[str, FieldType]
) -> dict[str, list[Reading]]:
    found: dict[str, list[Reading]] = {}
    for number, row in enumerate(rows):
        for index, cell in enumerate(row.cells):
            named = labels.split(cell.text)
            if named is None:
                continue
            name, rest, colon = named
            reading = _reading(rows, (number, index), (rest, colon), labels)
            if reading is None:
                continue
            if kinds[name] == "lines":
                reading = _continued(rows, number, reading, labels)
            found.setdefault(name, []).append(reading)
    return found


def _reading(
    rows: Sequence[TextRow], at: tuple[int, int], rest: tuple[str, bool], labels: _Labels
) -> Reading | None:
    number, index = at
    cell = rows[number].cells[index]
    text, colon = rest
    if text:
        confidence = _BEHIND_COLON if colon else _BEHIND_LABEL
        return Reading(text, cell.tail(text), confidence)
    if index + 1 < len(rows[number].cells):
        right = rows[number].cells[index + 1]
        if labels.split(right.text) is None:
            return Reading(right.text, right.place, _TO_THE_RIGHT)
    below = _cell_below(rows, number, cell)
    if below is not None and labels.split(below.text) is None:
        return Reading(below.text, below.place, _BELOW)
    return None


def _cell_below(rows: Sequence[TextRow], number: int, cell: TextCell) -> TextCell | None:
    """The cell of the next row that starts under this one."""
    if number + 1 >= len(rows) or rows[number + 1].gap > 3:
        return None
    under = [
        other
        for other in rows[number + 1].cells
        if other.left < cell.right
        and other.right > cell.left
        and abs(other.left - cell.left) < 3_000
    ]
    return min(under, key=lambda other: abs(other.left - cell.left)) if under else None


def _continued(rows: Sequence[TextRow], number: int, reading: Reading, labels: _Labels) -> Reading:
    """Add the rows below that belong to the same paragraph."""
    text, place = reading.text, reading.place
    start = number + 1
    if reading.confidence == _BELOW:
        start += 1
    for row in rows[start : start + MAX_CONTINUATION_ROWS]:
        if row.gap > 1.1 or len(row.cells) != 1 or labels.split(row.cells[0].text):
            break
        text += row.cells[0].text if text.endswith("-") else f" {row.cells[0].text}"
        place = place.joined(row.cells[0].place)
    return Reading(text[:MAX_VALUE_CHARACTERS], place, reading.confidence)


@dataclass(slots=True)
class _Outcome:
    """What became of the fields: the output so far, and what is wrong with which."""

    output: JsonObject
    sources: JsonObject
    missing: list[JsonValue]
    required_missing: list[str]
    score: float


def _read_fields(given: JsonObject, context: AgentContext) -> StepResult:
    try:
        parameters = read_parameters(ReadFieldsParameters, context)
    except ParametersError as error:
        return parameters_failed(error)
    sha256 = artefact_of(given.get("document"))
    if sha256 is None:
        return NotFound(reason_code="no_document", reason="No document was handed in.")
    try:
        file = context.open_artefact(sha256)
        rows = rows_of(file, max_pages=parameters.max_pages)
    except ArtefactMissingError as error:
        return input_failed("/document", str(error))
    except UnreadableError as error:
        return NotFound(reason_code=error.reason_code, reason=str(error))
    kinds = {spec.name: spec.type for spec in parameters.fields}
    readings = _readings(rows, _Labels(parameters.fields), kinds)
    work = _Outcome(output={}, sources={}, missing=[], required_missing=[], score=1.0)
    for spec in parameters.fields:
        _settle(work, spec, readings.get(spec.name, []), (parameters, sha256))
    return _result(work, parameters, file)


def _settle(
    work: _Outcome,
    spec: FieldSpec,
    readings: Sequence[Reading],
    setting: tuple[ReadFieldsParameters, str],
) -> None:
    """Choose the value of one field among its readings, or note why there is none."""
    parameters, sha256 = setting
    parsed: list[tuple[JsonValue, Reading]] = []
    problem = "none of its labels stands in the document"
    for reading in sorted(readings, key=lambda reading: -reading.confidence):
        try:
            parsed.append((_value(spec, reading.text, parameters), reading))
        except ValueError as error:
            problem = str(error)
    if parsed:
        surest = parsed[0][1].confidence
        rivals = [value for value, reading in parsed if reading.confidence == surest]
        if all(value == rivals[0] for value in rivals):
            value, reading = parsed[0]
            work.output[spec.name] = value
            work.sources[f"/{spec.name}"] = reading.place.json(sha256, reading.text)
            if spec.required:
                work.score = min(work.score, reading.confidence)
            return
        problem = f"it stands there {len(rivals)} times with different values"
    work.missing.append({"field": spec.name, "reason": problem, "required": spec.required})
    if spec.required:
        work.required_missing.append(f"{spec.labels[0]}: {problem}")


def _value(spec: FieldSpec, text: str, parameters: ReadFieldsParameters) -> JsonValue:
    text = " ".join(text.split())[:MAX_VALUE_CHARACTERS]
    if not any(char.isalnum() for char in text):
        raise ValueError("nothing is written there")
    match spec.type:
        case "text" | "lines" | "identifier":
            return text
        case "date":
            return parse_date(text, order=parameters.date_order).isoformat()
        case "money":
            return parse_money(text, default_currency=parameters.default_currency).json()
        case "integer":
            return _integer(text)
        case "choice":
            return _choice(spec, text)


def _integer(text: str) -> int:
    compact = re.sub(r"(?<=\d)[ .,'\u2019](?=\d{3}(?!\d))", "", text)
    match = re.fullmatch(r"([+-]?\d{1,15})(?:\s*[^\W\d]{1,12}\.?)?", compact)
    if match is None:
        raise ValueError(f"“{text[:60]}” is not a whole number")
    return int(match[1])


def _choice(spec: FieldSpec, text: str) -> str:
    said = f" {normalised(text)} "
    meant = {
        value
        for value, words in spec.choices.items()
        if any(f" {normalised(word)} " in said for word in (value, *words))
    }
    if len(meant) != 1:
        what = "means more than one of" if meant else "is none of"
        raise ValueError(f"“{text[:60]}” {what} {', '.join(spec.choices)}")
    return meant.pop()


def _result(work: _Outcome, parameters: ReadFieldsParameters, file: ArtefactFile) -> StepResult:
    required = sum(1 for spec in parameters.fields if spec.required)
    read = len(work.output)
    lost = len(work.required_missing)
    score = work.score * (required - lost) / required if required else work.score
    basis = Basis(
        kind=BasisKind.FORMULA,
        id="documents.read_fields@1",
        values={
            "fields_read": read,
            "fields_sought": len(parameters.fields),
            "required_missing": lost,
            "score_bp": round(score * 10_000),
        },
    )
    if not read:
        return NotFound(
            reason_code="no_known_fields",
            reason=f"“{file.name}” has text, but none of the {len(parameters.fields)} fields "
            "that are looked for stands in it.",
            basis=(basis,),
        )
    output: JsonObject = {**work.output, "sources": work.sources, "missing": work.missing}
    if lost:
        return Uncertain(
            output=output,
            score=round(score, 4),
            reason_code="fields_missing",
            reason=f"{lost} of {required} required fields could not be read. "
            + "; ".join(work.required_missing)[:1_800]
            + ".",
            basis=(basis,),
        )
    return Value(output=output, score=round(score, 4), basis=(basis,))


READ_FIELDS = FunctionAgent(
    name="documents.read_fields",
    title="Fields of a document",
    summary="Reads labelled fields (text, identifiers, dates, amounts, choices) out of a PDF or "
    "text file and says for each where it stands.",
    call=_read_fields,
    input_schema={
        "type": "object",
        "properties": {"document": ARTEFACT_REF},
        "required": ["document"],
        "additionalProperties": False,
    },
    output_schema={
        "type": "object",
        "properties": {
            "sources": SOURCES_REF,
            "missing": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": {"type": "string"},
                        "reason": {"type": "string"},
                        "required": {"type": "boolean"},
                    },
                    "required": ["field", "reason", "required"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["sources", "missing"],
    },
    parameters_schema=ReadFieldsParameters.model_json_schema(),
    side_effect="read",
    reaches=(STORED_FILES,),
)
