"""Text tools that need no model: what a text names (addresses, amounts, dates), key sentences."""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal

from pydantic import Field

from orchestrator.agents.base import (
    AgentContext,
    FunctionAgent,
    ParametersError,
    parameters_failed,
    read_parameters,
)
from orchestrator.agents.dates import parse_date
from orchestrator.agents.money import parse_money
from orchestrator.agents.similarity import normalised
from orchestrator.core.json import JsonObject, JsonValue, Model
from orchestrator.core.results import Basis, BasisKind, NotFound, StepResult, Value

EntityKind = Literal["email", "iban", "phone", "money", "date", "url"]

_PATTERNS: dict[EntityKind, re.Pattern[str]] = {
    "email": re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}\b"),
    "url": re.compile(r"\bhttps?://[^\s<>\"]{1,500}"),
    "iban": re.compile(r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?\b"),
    "phone": re.compile(r"(?<![\w.])\+\d{1,3}(?:[ ./-]?\(?\d{1,4}\)?){2,6}\b"),
    "money": re.compile(
        r"(?:\b[A-Z]{3}|[€$£])\s?\d[\d.,']{0,20}\d|\b\d[\d.,']{0,20}\d?\s?(?:EUR|USD|GBP|CHF|€|£)"
    ),
    "date": re.compile(
        r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{4}\b|\b\d{1,2}\.?\s[A-Za-zäéû]{3,9}\s\d{4}\b"
    ),
}
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-ZÄÖÜ0-9])")


class EntitiesParameters(Model):
    """Which kinds are looked for, and how many of each are kept."""

    kinds: tuple[EntityKind, ...] = ("email", "iban", "phone", "money", "date", "url")
    at_most: int = Field(default=50, ge=1, le=1_000)


def iban_is_valid(text: str) -> bool:
    """Whether the check digits agree (ISO 13616, modulo 97)."""
    compact = text.replace(" ", "").upper()
    if not 15 <= len(compact) <= 34:
        return False
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


def _entities(given: JsonObject, context: AgentContext) -> StepResult:
    try:
        parameters = read_parameters(EntitiesParameters, context)
    except ParametersError as error:
        return parameters_failed(error)
    text = str(given.get("text", ""))
    found: list[JsonValue] = []
    counts: dict[str, int | str | bool] = {}
    for kind in parameters.kinds:
        kept = _of_kind(kind, text)[: parameters.at_most]
        counts[kind] = len(kept)
        found.extend(kept)
    basis = Basis(kind=BasisKind.FORMULA, id="text.entities@1", values=counts)
    if not found:
        return NotFound(
            reason_code="no_entities",
            reason="The text names nothing of the kinds that are looked for.",
            basis=(basis,),
        )
    return Value(output={"entities": found}, score=1.0, basis=(basis,))


def _of_kind(kind: EntityKind, text: str) -> list[JsonValue]:
    kept: list[JsonValue] = []
    for match in _PATTERNS[kind].finditer(text):
        try:
            value = _value_of(kind, match[0])
        except ValueError:
            continue
        kept.append(
            {
                "kind": kind,
                "text": match[0],
                "value": value,
                "from": match.start(),
                "to": match.end(),
            }
        )
    return kept


def _value_of(kind: EntityKind, text: str) -> JsonValue:
    match kind:
        case "money":
            return parse_money(text).json()
        case "date":
            return parse_date(text).isoformat()
        case "iban":
            if not iban_is_valid(text):
                raise ValueError("check digits")
            return text.replace(" ", "")
        case "email" | "phone" | "url":
            return text


class KeySentencesParameters(Model):
    """How many sentences are kept."""

    sentences: int = Field(default=3, ge=1, le=50)


def _key_sentences(given: JsonObject, context: AgentContext) -> StepResult:
    try:
        parameters = read_parameters(KeySentencesParameters, context)
    except ParametersError as error:
        return parameters_failed(error)
    sentences = [part.strip() for part in _SENTENCE.split(str(given.get("text", "")))]
    sentences = [sentence for sentence in sentences if len(normalised(sentence)) > 2]
    if not sentences:
        return NotFound(reason_code="no_sentences", reason="The text has no sentence.")
    words = Counter(
        word for sentence in sentences for word in normalised(sentence).split() if len(word) > 3
    )
    weights = [_weight(sentence, words) for sentence in sentences]
    ranked = sorted(range(len(sentences)), key=lambda index: (-weights[index], index))
    chosen = sorted(ranked[: parameters.sentences])
    basis = Basis(
        kind=BasisKind.STATISTIC,
        id="text.key_sentences@1",
        values={"sentences": len(sentences), "kept": len(chosen)},
    )
    output: JsonObject = {
        "sentences": [sentences[index] for index in chosen],
        "summary": " ".join(sentences[index] for index in chosen),
    }
    return Value(output=output, score=1.0, basis=(basis,))


def _weight(sentence: str, words: Counter[str]) -> int:
    """Sum of the word frequencies per thousand words of the sentence, as an integer."""
    own = [word for word in normalised(sentence).split() if len(word) > 3]
    return sum(words[word] for word in own) * 1_000 // (len(own) + 4)


_TEXT_INPUT: JsonObject = {
    "type": "object",
    "properties": {"text": {"type": "string", "maxLength": 200_000}},
    "required": ["text"],
    "additionalProperties": False,
}

ENTITIES = FunctionAgent(
    name="text.entities",
    title="What a text names",
    summary="Finds e-mail and web addresses, IBANs, phone numbers, amounts and dates in a text.",
    call=_entities,
    input_schema=_TEXT_INPUT,
    output_schema={
        "type": "object",
        "properties": {
            "entities": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "kind": {"enum": ["email", "iban", "phone", "money", "date", "url"]},
                        "text": {"type": "string"},
                        "value": {},
                        "from": {"type": "integer"},
                        "to": {"type": "integer"},
                    },
                    "required": ["kind", "text", "value", "from", "to"],
                },
            }
        },
        "required": ["entities"],
        "additionalProperties": False,
    },
    parameters_schema=EntitiesParameters.model_json_schema(),
)

KEY_SENTENCES = FunctionAgent(
    name="text.key_sentences",
    title="Key sentences of a text",
    summary="Keeps the sentences whose words the text uses most, in their order.",
    call=_key_sentences,
    input_schema=_TEXT_INPUT,
    output_schema={
        "type": "object",
        "properties": {
            "sentences": {"type": "array", "items": {"type": "string"}},
            "summary": {"type": "string"},
        },
        "required": ["sentences", "summary"],
        "additionalProperties": False,
    },
    parameters_schema=KeySentencesParameters.model_json_schema(),
)
