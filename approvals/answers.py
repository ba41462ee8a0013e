"""The form of a review and what came back from it.

The form is made from the contract in the evidence; where there is none, the value is shown as JSON.
A file that is chosen in the form becomes an artefact before the contract judges the answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from approvals.evidence import ReviewEvidence
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import JsonObject, JsonValue, parse_json

RAW_FIELD = "output_json"
CHOSEN = frozenset({"retry", "end"})
WITH_OUTPUT = frozenset({"edited", "filled", "retry"})


@dataclass(frozen=True, slots=True)
class Answer:
    """One decision as it came from the form."""

    outcome: str
    choice: str
    output: JsonObject | None
    reason: str
    reason_code: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A field that does not fit: where to find it and what to say."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class RawField:
    """The value as JSON in one field."""

    text: str
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What is drawn: a form from the contract, or one field of JSON."""

    html: SafeString | str
    raw: RawField | None
    problems: tuple[Problem, ...] = ()


def form_of(evidence: ReviewEvidence, post: Mapping[str, Any] | None) -> AnswerForm | None:
    """The form with the proposal in it, or with what was typed; None when nothing can be edited."""
    if not WITH_OUTPUT & set(evidence.decision.choices):
        return None
    text = json.dumps(evidence.proposal, indent=2, ensure_ascii=False)
    if post is not None:
        text = str(post.get(RAW_FIELD, text))
    return AnswerForm("", RawField(text))


def answer_of(post: Mapping[str, Any], evidence: ReviewEvidence) -> Answer:
    """Read the form. `decision` is a choice, or `<choice>:<code of a preset reason>`.

    Raises:
        InvalidInputError: a field cannot be read, or the JSON is broken.
    """
    picked, _, code = str(post.get("decision", "")).partition(":")
    output = _output(post) if picked in WITH_OUTPUT else None
    if picked == "retry" and output == evidence.proposal:
        output = None
    own_words = str(post.get(f"reason_{picked}", "")).strip()
    return Answer(
        outcome="chosen" if picked in CHOSEN else picked,
        choice=picked if picked in CHOSEN else "",
        output=output,
        reason="" if code else own_words or str(post.get("reason", "")).strip(),
        reason_code=code,
    )


def _output(post: Mapping[str, Any]) -> JsonObject | None:
    if RAW_FIELD not in post:
        return None
    value: JsonValue = parse_json(str(post[RAW_FIELD]))
    if not isinstance(value, dict):
        raise InvalidInputError("The answer must be a JSON object.")
    return value
