"""The AgentManifest: what an agent version says about itself. Pure; stored as JSON and hashed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import Field, StringConstraints, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from orchestrator.agents.llm import LlmConfig
from orchestrator.agents.money import Money
from orchestrator.agents.rules import DecisionTable
from orchestrator.agents.template import Template
from orchestrator.core.canonical import content_sha256
from orchestrator.core.definition import Schema
from orchestrator.core.json import JsonObject, JsonValue, Model, Text
from orchestrator.core.labels import WorkerLabel
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Reason, ReasonCode

AgentKind = Literal["function", "rules", "template", "http", "llm"]
Effect = Literal["idempotent", "once"]
SideEffect = Literal["none", "read", "write", "irreversible"]
WAITING_KINDS: frozenset[str] = frozenset({"http", "llm"})
"""Kinds whose calls spend their time waiting for the network."""

SIDE_EFFECTS: tuple[SideEffect, ...] = ("none", "read", "write", "irreversible")
"""Side-effect classes, the harmless first."""

FieldRef = Annotated[Text, StringConstraints(pattern=r"^([A-Za-z_][A-Za-z0-9_]{0,62}|(/[^/]*)+)$")]
"""A field of the input by name, or a place in it by JSON pointer."""
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class FunctionConfig(Model):
    """Calls a registered function (`orchestrator.agents.FUNCTIONS`) with fixed parameters."""

    function: Annotated[Text, StringConstraints(min_length=1, max_length=120)]
    parameters: JsonObject = Field(default_factory=dict)


RulesConfig: TypeAlias = DecisionTable
"""A decision table over `input`."""
TemplateConfig: TypeAlias = Template
"""A text with `{name}` placeholders."""


class HttpAnswer(Model):
    """What one HTTP status means. `match`: fields the JSON answer must carry for it to mean that.

    A service that says "not found" must be told apart from a wrong address that says so too: give
    `match` whenever the service has a code for it. What does not match breaks the contract.
    `output` maps output fields to places in the answer (default: the whole answer, for `value`).
    """

    result: Literal["value", "not_found", "refused", "failed"] = "value"
    match: JsonObject = Field(default_factory=dict)
    output: dict[str, FieldRef] | None = None
    kind: FailureKind = FailureKind.AGENT_ERROR
    retryable: bool = True
    policy: Annotated[Text, StringConstraints(max_length=120)] = "the called service"
    reason_code: ReasonCode | None = None
    reason: Reason | None = None

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if self.result != "value" and (self.reason is None or self.reason_code is None):
            raise ValueError(f"an answer that means {self.result} needs reason_code and reason")
        return self


class HttpConfig(Model):
    """A request to a registered endpoint. Scheme, host and port come from the endpoint alone.

    `path` may hold `{field}` of the input; `query` maps parameter names to input fields; `body` is
    the whole input ("input") or maps body fields to input fields. `responses` by status: `"404"`,
    or a class `"5xx"`; what is not named means a failure.
    """

    endpoint: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: Annotated[Text, StringConstraints(pattern=r"^/", max_length=500)]
    query: dict[str, FieldRef] = Field(default_factory=dict)
    body: Literal["input"] | dict[str, FieldRef] | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] | None = None
    max_bytes: Annotated[int, Field(ge=1, le=5_000_000)] = 1_000_000
    responses: dict[Annotated[str, StringConstraints(pattern=r"^[1-5](\d\d|xx)$")], HttpAnswer] = (
        Field(default_factory=lambda: {"200": HttpAnswer()})
    )

    @model_validator(mode="after")
    def _path_is_plain(self) -> Self:
        bare = _PLACEHOLDER.sub("", self.path)
        if any(char in bare for char in "{}?#\\%") or ".." in bare.split("/"):
            raise ValueError("the path may hold {field} placeholders, but no query, %, or '..'")
        if self.body is not None and self.method in {"GET", "DELETE"}:
            raise ValueError(f"a {self.method} request has no body")
        return self

    def path_fields(self) -> tuple[str, ...]:
        """The input fields that the path asks for."""
        return tuple(_PLACEHOLDER.findall(self.path))


AgentConfig: TypeAlias = FunctionConfig | RulesConfig | TemplateConfig | HttpConfig | LlmConfig
CONFIGS: Mapping[str, type[Model]] = {
    "function": FunctionConfig,
    "rules": RulesConfig,
    "template": TemplateConfig,
    "http": HttpConfig,
    "llm": LlmConfig,
}


class Tool(Model):
    """Something outside itself that an agent reaches. `scopes` say in which ways ("GET", "read").

    Nobody claims tools: they follow from the configuration (`examination.tools_of`).
    """

    name: Annotated[Text, StringConstraints(min_length=1, max_length=120)]
    scopes: tuple[Annotated[Text, StringConstraints(min_length=1, max_length=60)], ...]
    side_effect: SideEffect


class Price(Model):
    """What one call costs, in minor units of an ISO 4217 currency (`{"minor": 250, ...}`)."""

    minor: Annotated[int, Field(ge=1, le=10**12)]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class Example(Model):
    """One call that shows what the agent does."""

    title: Annotated[Text, StringConstraints(min_length=1, max_length=120)]
    input: JsonObject
    output: JsonObject | None = None
    note: Annotated[Text, StringConstraints(max_length=500)] = ""


class AgentManifest(Model):
    """The declared interface of an agent version and how it is called.

    `limits` say in words what the agent does not do; `max_output_bytes` bounds what it may return.
    `price` is what the owner declares that a call costs; without one it costs no money. `worker`:
    only workers with this label call it (`gpu`); without one any does.
    """

    kind: AgentKind
    purpose: Annotated[Text, StringConstraints(min_length=1, max_length=1_000)]
    limits: tuple[Annotated[Text, StringConstraints(min_length=1, max_length=500)], ...] = ()
    capabilities: tuple[Annotated[Text, StringConstraints(min_length=1, max_length=60)], ...] = ()
    examples: tuple[Example, ...] = ()
    input: Schema
    output: Schema
    effect: Effect = "idempotent"
    side_effect: SideEffect = "none"
    tools: tuple[Tool, ...] = ()
    max_output_bytes: Annotated[int, Field(ge=1, le=5_000_000)] = 1_000_000
    config: AgentConfig
    policies: tuple[str, ...] = ()
    price: Price | None = None
    worker: WorkerLabel | None = None

    @model_validator(mode="before")
    @classmethod
    def _config_of_kind(cls, given: Any) -> Any:  # raw input of pydantic, narrowed here
        """Read `config` as the kind's own model, so that a mistake is named where it stands."""
        if not isinstance(given, Mapping) or given.get("kind") not in get_args(AgentKind):
            return given
        config = given.get("config")
        if not isinstance(config, Mapping):
            return given
        try:
            return {**given, "config": CONFIGS[given["kind"]].model_validate(dict(config))}
        except ValidationError as error:
            raise _inside("config", error) from None

    @model_validator(mode="after")
    def _config_fits(self) -> Self:
        if not isinstance(self.config, CONFIGS[self.kind]):
            raise ValueError(f"the config is not that of an agent of kind {self.kind}")
        return self

    @property
    def waits(self) -> bool:
        """Whether a call spends its time waiting rather than computing."""
        return self.kind in WAITING_KINDS

    @property
    def price_of_call(self) -> Money | None:
        """What one call costs; None: nothing."""
        return None if self.price is None else Money(self.price.minor, self.price.currency)

    def stored(self) -> JsonObject:
        """The JSON form that is stored and hashed; what came later stands only if said."""
        absent = {name for name in ("price", "worker") if getattr(self, name) is None}
        dumped: JsonObject = self.model_dump(mode="json", exclude=absent)
        return dumped

    def with_tools(self, tools: tuple[Tool, ...]) -> Self:
        """The same manifest with these tools."""
        return self.model_copy(update={"tools": tools})


def _inside(key: str, error: ValidationError) -> ValidationError:
    """The same mistakes, each with its place in the document around."""
    lines = [
        InitErrorDetails(
            type=PydanticCustomError(
                one["type"], "{reason}", {**one.get("ctx", {}), "reason": one["msg"]}
            ),
            loc=(key, *one["loc"]),
            input=one["input"],
        )
        for one in error.errors(include_url=False)
    ]
    return ValidationError.from_exception_data(error.title, lines)


def version_sha256(manifest: JsonObject, types: Mapping[str, int]) -> str:
    """The content hash of an agent version: its manifest and the types it is bound to."""
    pinned: JsonValue = dict(types)
    return content_sha256({"manifest": manifest, "types": pinned})
