"""What a reviewer is shown: one JSON document, built when the task opens and never changed after.

It is stored as canonical JSON (RFC 8785); the SHA-256 of these bytes is the task's `shown_sha256`,
which every decision repeats, so that a decision always says what was on the page.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator

from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.gates import END, GIVE, OWN, RETRY
from orchestrator.core.json import JsonObject, JsonValue, Model, parse_json
from orchestrator.core.reading import violations_of
from orchestrator.core.results import Violation

CHOSEN = frozenset({RETRY, END, GIVE})
"""Choices of exceptions: recorded as the outcome `chosen` with the choice beside it."""
NEEDS_REASON = frozenset({"rejected", "returned", END, GIVE})
NEEDS_OUTPUT = frozenset({"edited", "filled", GIVE})
MAY_HAVE_OUTPUT = NEEDS_OUTPUT | {RETRY}

Choice = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""What a person may pick: an outcome (`approved`, ...), for exceptions `retry`, `end` or `give`."""


class Item(Model):
    """One thing to look at. `kind` is a word of `core.definition.EvidenceKind`, or `payload`.

    Sign-offs have three kinds of their own: `changes`, a list of {title, kind (added, changed,
    removed), before, after, step}; `findings`, a list of what the checker says; `closure`, what a
    signature binds: {sha256, members: [{kind, title, version, sha256, is_changed}]}.
    """

    title: str
    kind: Literal[
        "document", "image", "fields", "clause", "computation", "signals", "text", "payload",
        "changes", "findings", "closure",
    ]  # fmt: skip
    value: JsonValue = None
    sources: JsonValue = None


class Confidence(Model):
    """The score that sent the item to a person; below `threshold` a person decides."""

    score: Annotated[float, Field(ge=0, le=1)]
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class PresetReason(Model):
    """A reason that one key gives."""

    code: Choice
    text: str


class PathStep(Model):
    """A step that the run went through. `status` is a word of StepStatus, `result` of ResultTag."""

    step: str
    name: str
    status: str = ""
    result: str = ""
    text: str = ""
    seconds: float | None = None


class Failure(Model):
    """What went wrong, for exceptions. `result` is a word of ResultTag, `kind` of FailureKind."""

    step: str
    name: str = ""
    result: str = "failed"
    kind: str = ""
    reason_code: str = ""
    reason: str
    violations: tuple[Violation, ...] = ()


class Alternative(Model):
    """One of several proposals; `choice` takes it, and is empty where `missing` says why not."""

    title: str
    choice: str = ""
    value: JsonObject | None = None
    missing: str = ""


class Choices(Model):
    """What may be decided, in the order of the keys 1, 2, 3.

    `recorded_as`: the outcome under which each choice is recorded, with the choice beside it; empty
    where the choices are outcomes themselves, or those of an exception. `words`: what the choices
    are called, where they have names of their own.
    """

    choices: Annotated[tuple[Choice, ...], Field(min_length=1, max_length=9)]
    recorded_as: Literal["", "chosen", "adjudicated"] = ""
    words: dict[Choice, Annotated[str, Field(max_length=160)]] = Field(default_factory=dict)


class ReviewEvidence(Model):
    """The whole document.

    `proposal` is what is decided on (for `filled`: what the form starts with; for exceptions: the
    step's input), `contract` the self-contained schema that an edited or filled output must meet,
    `effects` says per choice what happens next.
    """

    why: str = ""
    summary: str = ""
    asked_by: str = ""
    """Name of the step that asks."""
    proposed_by: str = ""
    """Agent and version whose proposal it is, for people."""
    proposal: JsonObject = Field(default_factory=dict)
    contract: JsonObject | None = None
    result: JsonObject = Field(default_factory=dict)
    """What the form of a result starts with that a person may give (`give`)."""
    result_contract: JsonObject | None = None
    """The self-contained schema that such a result must meet."""
    items: tuple[Item, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    """Proposals that contradict each other, side by side."""
    confidence: Confidence | None = None
    preset_reasons: tuple[PresetReason, ...] = ()
    effects: dict[Choice, str] = Field(default_factory=dict)
    path: tuple[PathStep, ...] = ()
    failure: Failure | None = None
    decision: Choices

    @field_validator("confidence", mode="before")
    @classmethod
    def _bare_score(cls, value: object) -> object:
        return {"score": value} if isinstance(value, int | float) else value

    @field_validator("why", "summary", mode="before")
    @classmethod
    def _absent_text(cls, value: object) -> object:
        return "" if value is None else value

    def recorded(self, picked: str) -> tuple[str, str]:
        """The outcome and the choice under which what was picked is recorded."""
        if self.decision.recorded_as:
            return self.decision.recorded_as, picked
        return ("chosen", picked) if picked in CHOSEN else (picked, "")

    def needs_reason(self, picked: str) -> bool:
        """Whether it cannot be decided without a reason."""
        return picked == OWN if self.decision.recorded_as else picked in NEEDS_REASON

    def needs_output(self, picked: str) -> bool:
        """Whether something must come with it: edits, a form, a result."""
        return picked == OWN if self.decision.recorded_as else picked in NEEDS_OUTPUT

    def may_have_output(self, picked: str) -> bool:
        """Whether something may come with it."""
        return self.needs_output(picked) or (
            not self.decision.recorded_as and picked in MAY_HAVE_OUTPUT
        )

    def contract_for(self, choice: str) -> JsonObject | None:
        """The schema that what comes with this choice must meet."""
        is_result = choice == GIVE and not self.decision.recorded_as
        return self.result_contract if is_result else self.contract

    def reason_text(self, code: str) -> str | None:
        """The words of a preset reason, or None when there is no such code."""
        return next((preset.text for preset in self.preset_reasons if preset.code == code), None)


def build_evidence(evidence: JsonObject) -> bytes:
    """Return the canonical bytes to store.

    Raises:
        InvalidInputError: the document has a field that the review page does not know.
    """
    try:
        checked = ReviewEvidence.model_validate(evidence)
    except ValidationError as error:
        raise InvalidInputError(
            "The evidence of a review is malformed.",
            detail={"violations": violations_of(error)},
        ) from None
    return canonical_bytes(checked.model_dump(mode="json"))


def read_evidence(stored: bytes) -> ReviewEvidence:
    """Read back what `build_evidence` stored."""
    return ReviewEvidence.model_validate(parse_json(bytes(stored), max_bytes=len(stored)))
