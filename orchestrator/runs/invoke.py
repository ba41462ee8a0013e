"""The one door to every agent: `prepare_call`, then `invoke` (waiting kinds) or `invoke_sync`.

Whatever calls an agent, on whatever path, goes through here, and here alone stand

1. the kill switch: the version's status as of at most one second ago; and the breaker, which fails
   calls of an agent that did not answer for a while (`core/breakers.py`);
2. permission: agent and service are of the run's workspace; a test run calls nothing that writes;
3. the input contract; 4. the egress guard (inside the http invoker); 5. time and byte limits;
6. the output contract: what does not meet it is `Failed(contract)` with the places, never a value;
7. the limits of the workspace (`budgets.ledger`): what a call takes is reserved as the last thing
   before it and settled after it; nothing is asked when no limit concerns it. Places of limits of
   calls at the same time are asked for before (`placing`) and left here, however the call ends.

None of the functions raises for what an agent, its service or its manifest does: the answer is then
`Failed` or `Refused` with a reason for people. Cancelling the task of `invoke` aborts the call;
`invoke_sync` asks `is_cancelled` twice a second.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection
from pydantic_core import to_json

from budgets import ledger
from budgets.limits import Due, Takes
from orchestrator.agents.base import ArtefactFile, ArtefactMissingError
from orchestrator.agents.llm import LlmConfig
from orchestrator.agents.money import Money
from orchestrator.core.breakers import Breaker, counts_as_answer, counts_as_failure, refused
from orchestrator.core.commands import InvokeAgent
from orchestrator.core.contracts import Validator
from orchestrator.core.errors import DomainError, InvalidInputError
from orchestrator.core.fallbacks import NOT_REACHED
from orchestrator.core.json import JsonObject, JsonValue, TooLargeError, check_json
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import (
    Failed,
    Refused,
    StepResult,
    Uncertain,
    Value,
    Violation,
)
from orchestrator.egress import Destination
from orchestrator.files import selectors as files
from orchestrator.fresh import Fresh
from orchestrator.runs import breakers
from orchestrator.runs.invokers.base import (
    AgentCall,
    ComputingInvoker,
    WaitingInvoker,
    stopped_with_error,
)
from orchestrator.runs.invokers.function import call_function, is_isolated, stuck_threads
from orchestrator.runs.invokers.http import call_http
from orchestrator.runs.invokers.llm import Usage, call_llm, most_usage, usage_of
from orchestrator.runs.invokers.rules import call_rules
from orchestrator.runs.invokers.template import call_template
from orchestrator.runs.statements import CLOCK
from registry import routes
from registry import selectors as registry
from registry.examination import no_model
from registry.lifecycle import CALLABLE, TRIABLE
from registry.manifest import HttpConfig

__all__ = [
    "InvocationContext",
    "PreparedCall",
    "invoke",
    "invoke_sync",
    "prepare_call",
    "stuck_threads",
]

logger = logging.getLogger("baton.runs.invoke")

STATUS_SECONDS = 1.0
"""How old the kill switch's state may be when a call begins."""
MAX_OUTPUT_DEPTH = 32
MAX_INPUT_BYTES = 2_000_000
MAX_REASONS_SIZE = 20_000
"""Values and characters of a result beside its output; an audit entry holds 65,535 bytes."""
HARMLESS = frozenset({"none", "read"})
"""Side effects of agents that a test run calls, and that may be tried."""

COMPUTING: Mapping[str, ComputingInvoker] = {
    "function": call_function,
    "rules": call_rules,
    "template": call_template,
}
WAITING: Mapping[str, WaitingInvoker] = {"http": call_http, "llm": call_llm}

_TRACEPARENT = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")


@dataclass(frozen=True, slots=True)
class InvocationContext:
    """On whose behalf, where and when. `agent_version_id` and `types` are the run's binding.

    `types` are the domain types that contracts mean; without a run, those of the version itself.
    Without a `workflow_id` an agent is tried alone: its files have been checked before.
    `agent_sha256` is what the version was then: a test run may call a draft, and drafts change.
    `actor_id` is who started the run; `trace` a W3C traceparent, when the caller has one.
    `promised` is the contract that an answer must meet besides the agent's own, when it stands in
    for another agent.
    """

    run_id: UUID
    workspace_id: UUID
    workflow_id: UUID | None
    agent_version_id: UUID
    step: str
    iteration: int
    attempt: int
    now: datetime
    agent_sha256: str = ""
    mode: str = "live"
    actor_id: str = ""
    trace: str = ""
    types: Mapping[str, int] | None = None
    promised: Validator | None = None


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A call that is ready, or `refusal`: the result that it has without being made.

    `after` is done when the call has ended, however it did.
    """

    context: InvocationContext
    version: registry.RegisteredVersion | None
    call: AgentCall | None
    refusal: StepResult | None = None
    breaker: Breaker = field(default_factory=Breaker)
    dues: tuple[Due, ...] = ()
    after: Callable[[], None] | None = None
    checked_at: float = field(default_factory=time.monotonic)

    @property
    def waits(self) -> bool:
        """Whether the call waits for the network: make it with `invoke`, beside others."""
        return self.version is not None and self.version.manifest.waits

    @property
    def is_repeatable(self) -> bool:
        """Whether the call computes in this process and leaves nothing outside it."""
        if self.version is None or self.refusal is not None or self.dues or self.after:
            return False
        manifest = self.version.manifest
        return (
            manifest.kind in COMPUTING
            and manifest.side_effect == "none"
            and manifest.effect == "idempotent"
            and not is_isolated(manifest)
        )


_statuses = Fresh(registry.version_status, STATUS_SECONDS)
_endpoints = Fresh(registry.get_endpoint, STATUS_SECONDS)
_models = Fresh(routes.models_of, STATUS_SECONDS)
_breakers = Fresh(breakers.read_breaker, STATUS_SECONDS)


def forget_status() -> None:
    """Read what is kept for a second anew; for who has just changed it, and tests."""
    _statuses.clear()
    _endpoints.clear()
    _models.clear()
    _breakers.clear()
    ledger.forget_limits()


def prepare_call(
    context: InvocationContext,
    command: InvokeAgent,
    *,
    is_cancelled: Callable[[], bool] | None = None,
) -> PreparedCall:
    """Check what can be checked before the call. Cheap; reads the database: not in an event loop.

    Never raises for what is wrong with the agent: the refusal stands in the prepared call.
    """
    try:
        version = registry.registered_version(context.agent_version_id, context.types)
        refusal: StepResult | None = (
            _kill_switch(version, context.mode)
            or _authority(context, version)
            or _elsewhere(version)
            or _input_violations(version, command.input)
        )
        reached: dict[str, Any] = {}
        if refusal is None:
            found = _reached(context, version)
            if isinstance(found, Refused | Failed):
                refusal = found
            else:
                reached = found
        if is_cancelled is not None:
            reached["is_cancelled"] = is_cancelled
    except (DomainError, ValueError) as error:
        logger.exception("agent version cannot be used", extra=_fields(context))
        return PreparedCall(context, None, None, _unusable(error))
    breaker = _breakers.get(version.id)
    refusal = refusal or _left_alone(version, context, breaker)
    call = AgentCall(
        manifest=version.manifest,
        input=command.input,
        timeout_seconds=command.timeout_seconds,
        idempotency_key=command.idempotency_key,
        today=context.now.date(),
        attempt=command.attempt,
        traceparent=_traceparent(context) if version.manifest.waits else "",
        open_artefact=_artefact_opener(context, version, command.input),
        **reached,
    )
    dues: tuple[Due, ...] = ()
    if refusal is None and ledger.has_limits(context.workspace_id):
        dues = ledger.dues_of(
            context.workspace_id, context.workflow_id, version.slug, _takes_at_most(call)
        )
    return PreparedCall(context, version, call, refusal, breaker, dues)


async def invoke(prepared: PreparedCall) -> StepResult:
    """Make the call and return its judged result; a cancelled task aborts it."""
    if prepared.after is None:
        return await _invoked(prepared)
    try:
        return await _invoked(prepared)
    finally:  # in a thread of its own: an aborted call waits for nothing any more
        asyncio.get_running_loop().run_in_executor(None, _in_own_thread, _do, prepared.after)


async def _invoked(prepared: PreparedCall) -> StepResult:
    if prepared.refusal is not None or prepared.call is None or prepared.version is None:
        return prepared.refusal or _unusable(None)
    if prepared.version.manifest.kind not in WAITING:
        return await asyncio.to_thread(_in_own_thread, _invoked_here, prepared)
    if time.monotonic() - prepared.checked_at > STATUS_SECONDS:
        stopped = await asyncio.to_thread(_in_own_thread, _stopped, prepared)
        if stopped is not None:
            return stopped
    if prepared.dues:
        return await _within_budget(prepared)
    return await _answered(prepared)


async def _within_budget(prepared: PreparedCall) -> StepResult:
    """The result of a call that waits and counts against limits."""
    held = await asyncio.to_thread(_in_own_thread, _reserve, prepared)
    if isinstance(held, Failed):
        return held
    try:
        result = await _answered(prepared)
    except asyncio.CancelledError:  # aborted: nobody knows how far it came
        asyncio.get_running_loop().run_in_executor(
            None, _in_own_thread, _settle, (prepared, held, None)
        )
        raise
    await asyncio.to_thread(_in_own_thread, _settle, (prepared, held, result))
    return result


async def _answered(prepared: PreparedCall) -> StepResult:
    """The judged result of a call that waits."""
    assert prepared.version is not None
    result = await _waited(prepared)
    if _is_news(prepared, result):
        await asyncio.to_thread(_in_own_thread, _tell_breaker, (prepared, result))
    return _judged(prepared, prepared.version, result)


def invoke_sync(prepared: PreparedCall) -> StepResult:
    """Make the call in this thread, with its database connection, and return its judged result."""
    try:
        return _invoked_here(prepared)
    finally:
        if prepared.after is not None:
            prepared.after()


def _invoked_here(prepared: PreparedCall) -> StepResult:
    if prepared.refusal is not None or prepared.call is None or prepared.version is None:
        return prepared.refusal or _unusable(None)
    if time.monotonic() - prepared.checked_at > STATUS_SECONDS:
        stopped = _stopped(prepared)
        if stopped is not None:
            return stopped
    held = _reserve(prepared) if prepared.dues else None
    if isinstance(held, Failed):
        return held
    result = _answered_here(prepared)
    if held is not None:
        _settle((prepared, held, result))
    return result


def _answered_here(prepared: PreparedCall) -> StepResult:
    """The judged result of a call that is made in this thread."""
    assert prepared.version is not None
    is_computing = prepared.version.manifest.kind in COMPUTING
    result = _computed(prepared) if is_computing else asyncio.run(_waited(prepared))
    if _is_news(prepared, result):
        _tell_breaker((prepared, result))
    return _judged(prepared, prepared.version, result)


async def _waited(prepared: PreparedCall) -> StepResult:
    """What a call that waits brings; whatever an invoker or agent does wrong fails the step."""
    assert prepared.version is not None
    assert prepared.call is not None
    try:
        return await WAITING[prepared.version.manifest.kind](prepared.call)
    except Exception as error:
        logger.exception("call failed", extra=_fields(prepared.context))
        return stopped_with_error(type(error).__name__)


def _computed(prepared: PreparedCall) -> StepResult:
    """As `_waited`, of a call that computes."""
    assert prepared.version is not None
    assert prepared.call is not None
    try:
        return COMPUTING[prepared.version.manifest.kind](prepared.call)
    except Exception as error:
        logger.exception("call failed", extra=_fields(prepared.context))
        return stopped_with_error(type(error).__name__)


# ---- limits ------------------------------------------------------------------------------------


def _reserve(prepared: PreparedCall) -> ledger.Reservation | Failed:
    assert prepared.call is not None
    context = prepared.context
    call = ledger.Call(
        workspace_id=context.workspace_id,
        run_id=context.run_id,
        step=context.step,
        iteration=context.iteration,
        attempt=context.attempt,
        seconds=prepared.call.timeout_seconds,
    )
    return ledger.reserve(call, prepared.dues, CLOCK.now())


def _settle(ended: tuple[PreparedCall, ledger.Reservation, StepResult | None]) -> None:
    """Count what the call took, unless it certainly did not reach its agent.

    What cannot be settled now is settled by the sweeper; the call's result matters more.
    """
    prepared, held, result = ended
    try:
        if isinstance(result, Failed) and result.reason_code in NOT_REACHED:
            ledger.release(held, CLOCK.now())
        else:
            ledger.settle(held, CLOCK.now(), _took(prepared, result))
    except DatabaseError:
        logger.exception("budget could not be settled")


def _takes_at_most(call: AgentCall) -> Takes:
    """What a call takes at most: the price that its agent declares, or its models'."""
    price = call.manifest.price_of_call
    if not isinstance(call.manifest.config, LlmConfig):
        return Takes(() if price is None else (price,))
    most = most_usage(call)
    return Takes(_prices(most, price), most.tokens)


def _took(prepared: PreparedCall, result: StepResult | None) -> Takes | None:
    """What a call took; None: nobody knows, or what was reserved is exact."""
    assert prepared.call is not None
    if result is None or not isinstance(prepared.call.manifest.config, LlmConfig):
        return None
    used = usage_of(result)
    price = prepared.call.manifest.price_of_call
    return None if used is None else Takes(_prices(used, price), used.tokens)


def _prices(usage: Usage, declared: Money | None) -> tuple[Money, ...]:
    """What models cost, and what the agent declares beside it."""
    return tuple(one for one in (*usage.costs, declared) if one is not None)


# ---- before the call ---------------------------------------------------------------------------


def _stopped(prepared: PreparedCall) -> Refused | None:
    assert prepared.version is not None
    return _kill_switch(prepared.version, prepared.context.mode)


def _kill_switch(version: registry.RegisteredVersion, mode: str) -> Refused | None:
    status = _statuses.get(version.id)
    if status in (TRIABLE if mode == "test" else CALLABLE):
        return None
    return Refused(
        policy="kill switch" if status == "suspended" else "agent status",
        reason_code=f"agent_{status or 'missing'}",
        reason=f"{version.label} is {(status or 'missing').replace('_', ' ')} and is not called."
        + (" It can be called again once the suspension is lifted." * (status == "suspended")),
    )


def _elsewhere(version: registry.RegisteredVersion) -> Failed | None:
    """Refuse a call that only workers with a label make; a run has handed it over before."""
    label = version.manifest.worker
    if label is None or label in settings.WORKER_LABELS:
        return None
    return Failed(
        kind=FailureKind.UNAVAILABLE,
        reason_code="other_worker",
        reason=f"{version.label} is called only by workers with the label “{label}”; this one has "
        "it not. In a run the call waits for such a worker.",
        retryable=False,
    )


def _left_alone(
    version: registry.RegisteredVersion, context: InvocationContext, breaker: Breaker
) -> Failed | None:
    """Refuse while the breaker is open; when its time is over, this call may be the probe."""
    through = breaker.lets_through(context.now)
    if through is None:
        through = breakers.begin_probe(version.id, version.workspace_id, now=context.now)
        _breakers.forget(version.id)
        if not through:  # another call is the probe, or was it already
            breaker = _breakers.get(version.id)
            through = breaker.lets_through(context.now)
    return None if through else refused(version.label, breaker)


def _is_news(prepared: PreparedCall, result: StepResult) -> bool:
    """Whether the breaker must hear of a result: of failures, and of answers when it is not well.

    Reads nothing, so that it may be asked in an event loop. An answer that comes within a second of
    another worker's failure may go unheard; then the count ends with the next one.
    """
    if counts_as_failure(result):
        return True
    known = _breakers.peek(prepared.context.agent_version_id)
    is_well = prepared.breaker.is_healthy and (known is None or known.is_healthy)
    return not is_well and counts_as_answer(result)


def _tell_breaker(said: tuple[PreparedCall, StepResult]) -> None:
    prepared, result = said
    assert prepared.version is not None
    version, now = prepared.version, CLOCK.now()
    try:
        if counts_as_failure(result):
            reason = (result.reason or "")[:1_000]
            breakers.note_failure(version.id, version.workspace_id, reason, now=now)
        else:
            breakers.note_answer(version.id, version.workspace_id, now=now)
    except DatabaseError:  # the call's result matters more than the count
        logger.exception("breaker could not be told", extra=_fields(prepared.context))
    _breakers.forget(version.id)


def _authority(context: InvocationContext, version: registry.RegisteredVersion) -> Refused | None:
    if version.workspace_id != context.workspace_id:
        return Refused(
            policy="workspace",
            reason_code="foreign_agent",
            reason=f"{version.label} belongs to another workspace than this run.",
        )
    if context.mode == "test" and context.agent_sha256 not in {"", version.sha256}:
        return Refused(
            policy="test runs",
            reason_code="agent_changed",
            reason=f"{version.label} was edited since this run began. Start the test run again.",
        )
    if context.mode == "test" and version.manifest.side_effect not in HARMLESS:
        return Refused(
            policy="test runs",
            reason_code="writes_in_test",
            reason=f"{version.label} changes things outside; a test run does not call it.",
        )
    return None


def _input_violations(version: registry.RegisteredVersion, given: JsonObject) -> Failed | None:
    violations = version.input.check(given)
    if _size_of(given) > MAX_INPUT_BYTES:
        reason = f"The input is larger than {MAX_INPUT_BYTES:,} bytes."
        violations = (Violation(path="", rule="size", reason=reason), *violations)
    if not violations:
        return None
    return Failed(
        kind=FailureKind.CONTRACT,
        reason_code="input_contract",
        reason=_first_of(f"The input does not fit what {version.label} takes", violations),
        violations=violations,
        retryable=False,
    )


def _reached(
    context: InvocationContext, version: registry.RegisteredVersion
) -> dict[str, Any] | Refused | Failed:
    """What a call that waits needs to know of where it goes; why it cannot go there."""
    match version.manifest.config:
        case HttpConfig() as config:
            found = _destination(context, config)
            return found if isinstance(found, Refused) else {"destination": found}
        case LlmConfig(route=route):
            models = _models.get((context.workspace_id, route))
            if not models:
                return _without_model(route)
            return {
                "models": models,
                "output": version.output,
                "output_schema": version.inlined()[1],
            }
        case _:
            return {}


def _without_model(route: str) -> Failed:
    return Failed(
        kind=FailureKind.UNAVAILABLE,
        reason_code="no_model_configured",
        reason=no_model(route),
        retryable=False,
    )


def _destination(context: InvocationContext, config: HttpConfig) -> Destination | Refused:
    endpoint = _endpoints.get(config.endpoint)
    if endpoint is None or endpoint.workspace_id != context.workspace_id:
        return Refused(
            policy="egress",
            reason_code="unknown_service",
            reason=f"The service '{config.endpoint}' is not registered in this workspace.",
        )
    if endpoint.disabled_at is not None:
        return Refused(
            policy="egress",
            reason_code="service_disabled",
            reason=f"The service '{config.endpoint}' was disabled by an administrator.",
        )
    return Destination(endpoint.name, endpoint.base_url, endpoint.allow_private)


def _artefact_opener(
    context: InvocationContext, version: registry.RegisteredVersion, given: JsonObject
) -> Callable[[str], ArtefactFile]:
    """Files that the input names, when the workflow uses them; and those of the parameters."""
    parameters: JsonObject = getattr(version.manifest.config, "parameters", {})

    def open_artefact(sha256: str) -> ArtefactFile:
        if sha256 in files.artefacts_in(parameters):
            return files.open_artefact(version.workspace_id, sha256)
        if sha256 in files.artefacts_in(given):
            return files.open_artefact(
                context.workspace_id, sha256, workflow_id=context.workflow_id
            )
        raise ArtefactMissingError(f"The file {sha256[:12]} is not part of this call.")

    return open_artefact


def _traceparent(context: InvocationContext) -> str:
    """The caller's traceparent, else one whose trace id is the run's id."""
    if _TRACEPARENT.match(context.trace):
        return context.trace
    span = f"{context.run_id}/{context.step}/{context.iteration}/{context.attempt}"
    return f"00-{context.run_id.hex}-{hashlib.sha256(span.encode()).hexdigest()[:16]}-01"


def _unusable(error: Exception | None) -> Failed:
    known = error.message if isinstance(error, DomainError) else "its manifest cannot be read."
    return Failed(
        kind=FailureKind.AGENT_ERROR,
        reason_code="agent_unusable",
        reason=f"The agent version cannot be used: {known}"[:2_000],
        retryable=False,
    )


# ---- after the call ----------------------------------------------------------------------------


def _judged(
    prepared: PreparedCall, version: registry.RegisteredVersion, result: StepResult
) -> StepResult:
    """The result, if it keeps what the manifest promises; else the failure that it is."""
    try:
        return _judge(prepared, version, result)
    except Exception as error:  # an output may be anything, and do anything when it is looked at
        logger.exception("output cannot be judged", extra=_fields(prepared.context))
        return stopped_with_error(type(error).__name__)


def _judge(
    prepared: PreparedCall, version: registry.RegisteredVersion, result: StepResult
) -> StepResult:
    if unfit := _unfit_reasons(result):
        return unfit
    if isinstance(result, Failed):
        return _never_again(version, result)
    output: JsonValue = result.output
    if output is None and not isinstance(result, Value | Uncertain):
        return result
    violations = _output_violations(version, output)
    promised = prepared.context.promised
    if promised is not None and not violations:
        violations = promised.check(output)
    if not violations:
        return result
    return Failed(
        kind=FailureKind.CONTRACT,
        reason_code="output_contract",
        reason=_first_of(f"The answer of {version.label} breaks its contract", violations),
        violations=violations,
        basis=result.basis,
        retryable=version.manifest.waits and version.manifest.effect == "idempotent",
    )


def _unfit_reasons(result: StepResult) -> Failed | None:
    """What stands beside the output goes into the audit log, so it must be small and exact."""
    if not result.basis and not isinstance(result, Failed):
        return None
    try:
        beside = result.model_dump(mode="json", exclude={"output"})
        check_json(beside, max_depth=MAX_OUTPUT_DEPTH, max_size=MAX_REASONS_SIZE)
    except InvalidInputError as error:
        return Failed(
            kind=FailureKind.AGENT_ERROR,
            reason_code="unfit_reasons",
            reason=f"The agent's reasons cannot be kept. {error.message}"[:2_000],
            retryable=False,
        )
    return None


def _output_violations(
    version: registry.RegisteredVersion, output: JsonValue
) -> tuple[Violation, ...]:
    limit = version.manifest.max_output_bytes
    if not isinstance(output, dict):
        return (Violation(path="", rule="type", reason="It must be an object."),)
    try:
        check_json(output, max_depth=MAX_OUTPUT_DEPTH, max_size=limit)
    except InvalidInputError as error:
        rule = "size" if isinstance(error, TooLargeError) else "json"
        return (Violation(path="", rule=rule, reason=error.message[:1_000]),)
    size = _size_of(output)
    if size > limit:
        reason = f"The output is {size:,} bytes; at most {limit:,} are allowed."
        return (Violation(path="", rule="size", reason=reason),)
    return version.output.check(output)


def _size_of(payload: JsonObject) -> int:
    """Bytes of a payload as compact JSON."""
    return len(to_json(payload))


def _never_again(version: registry.RegisteredVersion, failed: Failed) -> Failed:
    """After an ambiguous outcome an agent of effect `once` is not called again by itself."""
    is_ambiguous = failed.reason_code != "service_unreachable" and failed.kind in {
        FailureKind.TIMEOUT,
        FailureKind.UNAVAILABLE,
        FailureKind.AGENT_ERROR,
    }
    if version.manifest.effect == "once" and is_ambiguous and failed.retryable:
        return failed.model_copy(update={"retryable": False})
    return failed


def _first_of(what: str, violations: tuple[Violation, ...]) -> str:
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return f"{what}: {first.path or 'the whole'}: {first.reason}{more}"[:2_000]


def _fields(context: InvocationContext) -> dict[str, object]:
    return {
        "run": str(context.run_id),
        "step": context.step,
        "attempt": context.attempt,
        "agent_version": str(context.agent_version_id),
    }


S = TypeVar("S")
R = TypeVar("R")


def _do(what: Callable[[], None]) -> None:
    what()


def _in_own_thread(function: Callable[[S], R], argument: S) -> R:
    """Run in a pool thread and leave no database connection behind."""
    try:
        return function(argument)
    finally:
        connection.close()
