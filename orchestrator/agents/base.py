"""What a function agent is: a typed Python callable with a contract on both sides.

A function gets its input (already checked against the agent version's input contract) and an
`AgentContext`, and returns one of the five results. It reads no clock, no environment, no network;
everything that makes it specific to a business stands in the `parameters` of the agent version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeVar

from pydantic import ValidationError

from orchestrator.core.json import JsonObject, JsonValue, Model
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, StepResult, Violation

ParametersT = TypeVar("ParametersT", bound=Model)


@dataclass(frozen=True, slots=True)
class ArtefactFile:
    """A file as a function sees it. `media` was told by content when it was uploaded."""

    sha256: str
    media: str
    name: str
    content: bytes


class ArtefactMissingError(LookupError):
    """`AgentContext.open_artefact` knows no such file, or the run may not read it."""


def _no_artefacts(sha256: str) -> ArtefactFile:
    raise ArtefactMissingError(f"There is no file {sha256[:12]}.")


@dataclass(frozen=True, slots=True)
class AgentContext:
    """What a call may use beside its input.

    `parameters` come from the agent version. `today` is the date of the call as the engine sees it.
    `open_artefact` gives the files that the run may read, and those that `parameters` name.
    """

    parameters: JsonObject
    today: date
    deadline_seconds: float = 30.0
    open_artefact: Callable[[str], ArtefactFile] = _no_artefacts


SideEffect = Literal["none", "read", "write", "irreversible"]


@dataclass(frozen=True, slots=True)
class Reach:
    """Something outside itself that a function reaches, and in which ways: a tool of the agent."""

    name: str
    scopes: tuple[str, ...]
    side_effect: SideEffect


STORED_FILES = Reach("stored files", ("read",), "read")
"""The files that the run may read, by `AgentContext.open_artefact`."""


@dataclass(frozen=True, slots=True)
class FunctionAgent:
    """A function that can be registered as an agent.

    `input_schema` and `output_schema` are what every use has in common; an agent version states its
    own, narrower contracts. `parameters_schema` describes `AgentContext.parameters`. `reaches` is
    everything outside that it touches; an agent version can state neither more nor less.
    """

    name: str
    title: str
    summary: str
    call: Callable[[JsonObject, AgentContext], StepResult]
    input_schema: JsonObject
    output_schema: JsonObject
    parameters_schema: JsonObject = field(default_factory=dict)
    effect: Literal["idempotent", "once"] = "idempotent"
    side_effect: SideEffect = "none"
    isolated: bool = False
    reaches: tuple[Reach, ...] = ()


class ParametersError(ValueError):
    """The parameters of the agent version do not suit the function."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__("; ".join(f"{item.path}: {item.reason}" for item in violations))
        self.violations = violations


def read_parameters(model: type[ParametersT], context: AgentContext) -> ParametersT:
    """Return the parameters as `model`.

    Raises:
        ParametersError: names each place that is wrong.
    """
    try:
        return model.model_validate(context.parameters)
    except ValidationError as error:
        raise ParametersError(
            tuple(
                Violation(
                    path="/parameters" + "".join(f"/{part}" for part in item["loc"]),
                    rule=item["type"],
                    reason=item["msg"],
                )
                for item in error.errors(include_url=False)
            )
        ) from None


def parameters_failed(error: ParametersError) -> Failed:
    """The result for an agent version whose parameters are wrong: trying again cannot help."""
    return Failed(
        kind=FailureKind.AGENT_ERROR,
        reason_code="bad_parameters",
        reason=f"The parameters of this agent version are not valid: {error}"[:2_000],
        violations=error.violations,
        retryable=False,
    )


def input_failed(path: str, reason: str) -> Failed:
    """The result for an input that the contract let through but the function cannot work with."""
    return Failed(
        kind=FailureKind.CONTRACT,
        reason_code="unusable_input",
        reason=reason,
        violations=(Violation(path=path, rule="usable", reason=reason),),
        retryable=False,
    )


def artefact_of(value: JsonValue) -> str | None:
    """The sha256 of an artefact reference `{"artefact": sha256, ...}`, or None."""
    if isinstance(value, Mapping):
        sha256 = value.get("artefact")
        if isinstance(sha256, str):
            return sha256
    return None


ARTEFACT_REF: JsonObject = {"$ref": "baton:Artefact"}
MONEY_REF: JsonObject = {"$ref": "baton:Money"}
DATE_REF: JsonObject = {"$ref": "baton:Date"}
SOURCES_REF: JsonObject = {"$ref": "baton:Sources"}
