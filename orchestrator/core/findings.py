"""What an examination of a definition says: findings, mendings, link verdicts, what can be read.

Everything here is sent to the browser as it stands. A `Mending` is a small change of the definition
as JSON; applying it gives a document of the right shape again.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from orchestrator.core.json import JsonObject, JsonValue, Model

Severity = Literal["error", "warning", "info"]
Verdict = Literal["fits", "may_not_fit", "does_not_fit", "cannot_tell", "none"]
MendingKind = Literal[
    "map", "ask", "map_all", "map_and_ask", "unmap", "link", "unlink", "add", "remove", "choose"
]


class PatchStep(Model):
    """One change of a JSON document. `path` is a JSON pointer (RFC 6901).

    `set` puts `value` there, also over what stands there, and makes the objects on the way that are
    missing; `remove` takes a field away, and does nothing when it is not there.
    """

    op: Literal["set", "remove"]
    path: str
    value: JsonValue = None


class Mending(Model):
    """A change that settles a finding. `kind` says what it does, `title` is the button's text."""

    kind: MendingKind
    title: str
    patch: tuple[PatchStep, ...]


class Finding(Model):
    """One result of checking a definition. `field` is a mapped field or part of the step.

    `counter_example` is a value that may be given and is refused.
    """

    severity: Severity
    code: str
    message: str
    hint: str = ""
    step: str | None = None
    link: str | None = None
    field: str | None = None
    counter_example: JsonValue = None
    mendings: tuple[Mending, ...] = ()


class FieldVerdict(Model):
    """Whether what is mapped to one field of a link's target fits. `path` lies inside the field."""

    step: str
    field: str
    expression: str
    verdict: Verdict
    path: str = ""
    reason: str = ""
    counter_example: JsonValue = None


class LinkVerdict(Model):
    """How well what goes along a link fits: the worst of the fields that read the link's source.

    A target that reads nothing of the source is judged by all its fields. `none`: it takes no
    contract, or maps nothing.
    """

    verdict: Verdict
    fields: tuple[FieldVerdict, ...] = ()


class WithSchema(Model):
    """What is described by a schema; in JSON the field is called `schema`."""

    model_config = ConfigDict(serialize_by_alias=True, populate_by_name=True)

    schema_: JsonObject = Field(alias="schema")


class ScopeField(WithSchema):
    """One value that a step may read. `step` is None for the run's input.

    `type` is a word for people, `certain` whether the value is always there, `sample` a value from
    a contract or an agent's examples.
    """

    expression: str
    step: str | None
    label: str
    type: str
    domain_type: str | None
    certain: bool
    sample: JsonValue = None


class TargetField(WithSchema):
    """One field that a step takes. `candidates` are expressions that fit it, best first."""

    name: str
    label: str
    type: str
    domain_type: str | None
    required: bool
    description: str
    candidates: tuple[str, ...] = ()


class Examination(Model):
    """Everything that can be said about a definition; `scope` and `fields` for the asked step."""

    findings: tuple[Finding, ...]
    links: dict[str, LinkVerdict]
    scope: tuple[ScopeField, ...] | None = None
    fields: tuple[TargetField, ...] | None = None
