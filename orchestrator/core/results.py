"""What a step ends with: exactly one of five results, never a silent null."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.core.json import JsonObject, Model, Text
from orchestrator.core.policies import MOST_ASKED_SECONDS, FailureKind

ReasonCode = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
REASON_LENGTH = 2_000
Reason = Annotated[Text, Field(min_length=1, max_length=REASON_LENGTH)]


class ResultTag(StrEnum):
    """The tag of a step result; also the words that expressions compare with."""

    VALUE = "value"
    NOT_FOUND = "not_found"
    UNCERTAIN = "uncertain"
    REFUSED = "refused"
    FAILED = "failed"


class BasisKind(StrEnum):
    """What a decision rests on."""

    RULE = "rule"
    THRESHOLD = "threshold"
    FORMULA = "formula"
    STATISTIC = "statistic"
    PERSON = "person"
    MODEL = "model"


class Basis(Model):
    """One reason behind a result, fit for the audit log: integers and short codes only.

    `id` is `<rule table or threshold name>@<version>`, `row` the row that fired. Money is in minor
    units, ratios in parts per million or basis points; the key says which (`_minor`, `_ppm`,
    `_bp`).
    """

    kind: BasisKind
    id: Annotated[Text, Field(max_length=120)]
    row: Annotated[Text, Field(max_length=120)] | None = None
    values: dict[str, int | Annotated[Text, Field(max_length=120)] | bool] = Field(
        default_factory=dict
    )


class Violation(Model):
    """One explicit reason why a contract was not met. `path` is a JSON pointer into the payload."""

    path: str
    rule: str
    reason: Annotated[str, Field(max_length=1_000)]


class ResultBase(Model):
    """What every result has."""

    basis: tuple[Basis, ...] = ()


class Value(ResultBase):
    """The step did its work. `score` is the agent's confidence, 0 to 1, when it states one.

    `reason` is what a person said: at a gate, or when giving the result in an agent's place.
    """

    type: Literal["value"] = "value"
    output: JsonObject
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    reason: Reason | None = None


class NotFound(ResultBase):
    """The agent looked and there is nothing; not a failure to look."""

    type: Literal["not_found"] = "not_found"
    reason_code: ReasonCode
    reason: Reason
    output: JsonObject | None = None


class Uncertain(ResultBase):
    """There is an output, but the agent is not sure enough for it to be used unseen."""

    type: Literal["uncertain"] = "uncertain"
    reason_code: ReasonCode
    reason: Reason
    output: JsonObject
    score: Annotated[float, Field(ge=0, le=1)]


class Refused(ResultBase):
    """A policy forbids it. `policy` names the policy."""

    type: Literal["refused"] = "refused"
    policy: Annotated[Text, Field(max_length=120)]
    reason_code: ReasonCode
    reason: Reason
    output: JsonObject | None = None


class Failed(ResultBase):
    """It could not be done."""

    type: Literal["failed"] = "failed"
    kind: FailureKind
    reason_code: ReasonCode
    reason: Reason
    violations: tuple[Violation, ...] = ()
    retryable: bool = True
    """False when trying again with the same input cannot help."""
    retry_after_seconds: Annotated[int, Field(ge=0, le=MOST_ASKED_SECONDS)] | None = None
    """How long whoever was called asks to be left alone; None: it does not say."""


StepResult = Annotated[Value | NotFound | Uncertain | Refused | Failed, Field(discriminator="type")]
