"""What an invoker is: one way to call an agent, without database, permission or contract.

All of that is done by `runs/invoke.py` before and after. A computing invoker is a function
`AgentCall -> StepResult`; a waiting one (`http`) is the same as a coroutine. An invoker returns
`Failed` or `Refused` for everything that can go wrong with an agent; what it raises is a bug and
becomes `Failed(agent_error)` at the door.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeAlias

from orchestrator.agents.base import ArtefactFile, ArtefactMissingError
from orchestrator.core.contracts import Validator
from orchestrator.core.json import JsonObject, printable
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, StepResult
from orchestrator.egress import Destination
from registry.manifest import AgentManifest
from registry.routes import CallableModel

OpenArtefact: TypeAlias = Callable[[str], ArtefactFile]


def _no_artefact(sha256: str) -> ArtefactFile:
    raise ArtefactMissingError(f"There is no file {sha256[:12]}.")


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class AgentCall:
    """One call as an invoker sees it.

    `open_artefact` may touch the database: only the thread that called the invoker may run it.
    `is_cancelled` is asked twice a second; true aborts the call. `destination` is set for http.
    For llm there are the `models` of its route, the preferred first, and the contract of the
    answer: to check it (`output`) and to show it (`output_schema`, with nothing referred to).
    """

    manifest: AgentManifest
    input: JsonObject
    timeout_seconds: float
    idempotency_key: str
    today: date
    attempt: int = 1
    traceparent: str = ""
    destination: Destination | None = None
    models: tuple[CallableModel, ...] = ()
    output: Validator | None = None
    output_schema: JsonObject = field(default_factory=dict)
    open_artefact: OpenArtefact = field(default=_no_artefact)
    is_cancelled: Callable[[], bool] = field(default=_never)


@dataclass(frozen=True, slots=True)
class Done:
    """The function returned `result`, whatever that is."""

    result: object


@dataclass(frozen=True, slots=True)
class Raised:
    """The function raised an error of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class OpenFile:
    """The function asks for a file; `answer` takes it, or None when there is no such file."""

    sha256: str
    answer: Callable[[ArtefactFile | None], None]


Message: TypeAlias = Done | Raised | OpenFile


ComputingInvoker: TypeAlias = Callable[[AgentCall], StepResult]
WaitingInvoker: TypeAlias = Callable[[AgentCall], Coroutine[Any, Any, StepResult]]


def timed_out(call: AgentCall) -> Failed:
    """The result of a call that passed its deadline."""
    return Failed(
        kind=FailureKind.TIMEOUT,
        reason_code="deadline_passed",
        reason=f"The agent did not answer within {call.timeout_seconds:g} s.",
    )


def cancelled() -> Failed:
    """The result of a call that was aborted because nobody waits for it any more."""
    return Failed(
        kind=FailureKind.CANCELLED,
        reason_code="call_aborted",
        reason="The call was aborted, because the run was cancelled or paused.",
        retryable=False,
    )


def stopped_with_error(error_name: str) -> Failed:
    """The result of an agent that raised. Only the error's kind is told, never its text."""
    name = printable(error_name)
    return Failed(
        kind=FailureKind.AGENT_ERROR,
        reason_code="agent_stopped",
        reason=f"The agent stopped with an error ({name}). Its text is in the log.",
    )
