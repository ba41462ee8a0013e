"""The form of a review and what came back from it.

The form is made from the contract in the evidence; where there is none, the value is shown as JSON.
A file that is chosen in the form becomes an artefact at once, so that it is not lost when another
field is wrong.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.safestring import SafeString

from approvals.evidence import ReviewEvidence
from orchestrator.access import Actor
from orchestrator.core.contracts import Validator, standard_types
from orchestrator.core.errors import DomainError, InvalidInputError
from orchestrator.core.gates import GIVE, RETRY
from orchestrator.core.json import JsonObject, JsonValue, parse_json
from orchestrator.core.results import Violation
from orchestrator.files import selectors as files
from orchestrator.files import services as file_services
from orchestrator.web import schema_forms

PREFIX = "output"
RESULT_PREFIX = "result"
RAW_FIELD = "output_json"


@dataclass(frozen=True, slots=True)
class Posted:
    """What a browser sent to decide: fields, files, and who sent them when."""

    fields: QueryDict
    files: MultiValueDict[str, UploadedFile[Any]]
    actor: Actor
    workspace_id: UUID
    now: datetime

    @property
    def picked(self) -> str:
        """The choice, without the code of a preset reason."""
        return self.fields.get("decision", "").partition(":")[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """One decision as the service takes it."""

    outcome: str
    choice: str
    output: JsonObject | None
    reason: str
    reason_code: str


@dataclass(frozen=True, slots=True)
class RawField:
    """The value as JSON in one field."""

    text: str
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What is drawn: fields of the contract with their error summary, or one field of JSON."""

    html: SafeString | str = ""
    summary: SafeString | str = ""
    raw: RawField | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """One form of the page: its contract, what it starts with, how its fields are called."""

    contract: JsonObject
    value: JsonObject
    prefix: str


class AnswerError(InvalidInputError):
    """Fields that do not fit. `value` is what was typed, as far as it could be read."""

    def __init__(self, violations: tuple[Violation, ...], value: JsonValue) -> None:
        super().__init__(
            "Some fields do not fit; they are marked.",
            detail={"violations": [one.model_dump() for one in violations]},
        )
        self.violations = violations
        self.value = value


def form_of(
    evidence: ReviewEvidence, posted: Posted | None = None, error: DomainError | None = None
) -> AnswerForm | None:
    """The form with the proposal in it, or with what was typed; None when nothing can be edited."""
    if not any(evidence.may_have_output(one) for one in evidence.decision.choices):
        return None
    if evidence.contract is None:
        return _raw_form(evidence, posted, error)
    asked = _Asked(evidence.contract, evidence.proposal, PREFIX)
    is_meant = posted is None or posted.picked != GIVE
    return _filled(asked, posted, error if is_meant else None)


def result_form_of(
    evidence: ReviewEvidence, posted: Posted | None = None, error: DomainError | None = None
) -> AnswerForm | None:
    """The form in which a person gives a step's result; None when that cannot be decided."""
    asked = _result_asked(evidence)
    if asked is None or GIVE not in evidence.decision.choices:
        return None
    is_meant = posted is not None and posted.picked == GIVE
    return _filled(asked, posted, error if is_meant else None)


def _filled(asked: _Asked, posted: Posted | None, error: DomainError | None) -> AnswerForm:
    value: JsonValue = asked.value or None
    violations: tuple[Violation, ...] = ()
    if isinstance(error, AnswerError):
        value, violations = error.value, error.violations
    elif posted is not None:
        value, _ = _read(asked, posted)
    return AnswerForm(
        html=schema_forms.render(asked.contract, value, violations, asked.prefix),
        summary=schema_forms.render_summary(violations, asked.prefix, schema=asked.contract),
    )


def _result_asked(evidence: ReviewEvidence) -> _Asked | None:
    if evidence.result_contract is None:
        return None
    return _Asked(evidence.result_contract, evidence.result, RESULT_PREFIX)


def answer_of(evidence: ReviewEvidence, posted: Posted) -> Answer:
    """Read the form. `decision` is a choice, or `<choice>:<code of a preset reason>`.

    Raises:
        AnswerError: fields cannot be read, or break the contract; names each.
        InvalidInputError: the JSON is broken.
    """
    picked, _, code = posted.fields.get("decision", "").partition(":")
    output = _output(evidence, posted) if evidence.may_have_output(picked) else None
    if picked == RETRY and output == evidence.proposal:
        output = None
    note = posted.fields.get("reason", "").strip()
    own_words = posted.fields.get(f"reason_{picked}", "").strip()
    outcome, choice = evidence.recorded(picked)
    return Answer(
        outcome=outcome,
        choice=choice,
        output=output,
        reason=note if code or not evidence.needs_reason(picked) else _joined(own_words, note),
        reason_code=code,
    )


def _joined(own_words: str, note: str) -> str:
    """The words given for this choice and the note beside them; a note alone is no reason."""
    return f"{own_words}\n{note}".strip() if own_words else ""


def _output(evidence: ReviewEvidence, posted: Posted) -> JsonObject:
    result = _result_asked(evidence) if posted.picked == GIVE else None
    if result is not None:
        return _fitting(result, *_read(result, posted))
    if evidence.contract is None:
        value: JsonValue = parse_json(posted.fields.get(RAW_FIELD, ""))
        if not isinstance(value, dict):
            raise InvalidInputError("The answer must be a JSON object.")
        return value
    asked = _Asked(evidence.contract, evidence.proposal, PREFIX)
    value, read = _read(asked, posted)
    if value == evidence.proposal and posted.picked == RETRY and not read:
        return evidence.proposal
    return _fitting(asked, value, read)


def _fitting(asked: _Asked, value: JsonValue, read: tuple[Violation, ...]) -> JsonObject:
    checked = Validator(asked.contract, standard_types()).check(value)
    violations = schema_forms.merge(read, checked)
    if violations or not isinstance(value, dict):
        raise AnswerError(violations, value)
    return value


def _read(asked: _Asked, posted: Posted) -> tuple[JsonValue, tuple[Violation, ...]]:
    def store(upload: UploadedFile[Any]) -> JsonObject:
        artefact = file_services.upload_artefact(
            workspace_id=posted.workspace_id,
            name=upload.name or "file",
            chunks=upload.chunks(),
            actor=posted.actor,
            now=posted.now,
        )
        return files.value_of(artefact, files.name_for(posted.actor, artefact))

    return schema_forms.parse(
        asked.contract,
        posted.fields,
        posted.files,
        prefix=asked.prefix,
        uploader=store,
        base=asked.value or None,
    )


def _raw_form(
    evidence: ReviewEvidence, posted: Posted | None, error: DomainError | None
) -> AnswerForm:
    text = json.dumps(evidence.proposal, indent=2, ensure_ascii=False)
    if posted is not None:
        text = posted.fields.get(RAW_FIELD, text)
    was_meant = posted is not None and evidence.may_have_output(posted.picked)
    if isinstance(error, InvalidInputError) and was_meant:
        return AnswerForm(raw=RawField(text, (error.message,)))
    return AnswerForm(raw=RawField(text))
