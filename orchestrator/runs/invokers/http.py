"""Calls registered HTTP services. Everything that leaves goes through `orchestrator/egress.py`.

What an answer means stands in the manifest by status; what the manifest does not name is a failure:
408, 429 and 5xx unavailable, everything else an error of the agent. A body is parsed strictly, and
`not_found` is believed only when the answer matches what the manifest asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from orchestrator import egress
from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import JsonObject, JsonValue, parse_json, printable
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import (
    Failed,
    NotFound,
    Refused,
    StepResult,
    Value,
    Violation,
)
from orchestrator.egress import Answer, CallFailedError, EgressDeniedError, Limits, Request
from orchestrator.runs.invokers.base import AgentCall
from registry.manifest import HttpAnswer, HttpConfig

UNAVAILABLE = frozenset({408, 425, 429})
_MISSING = object()

_FAILURES: Mapping[str, tuple[FailureKind, str]] = {
    "unreachable": (FailureKind.UNAVAILABLE, "service_unreachable"),
    "timeout": (FailureKind.TIMEOUT, "no_answer_in_time"),
    "broken_off": (FailureKind.UNAVAILABLE, "answer_broken_off"),
    "too_large": (FailureKind.CONTRACT, "answer_too_large"),
    "encoded": (FailureKind.CONTRACT, "answer_encoded"),
}


class _BadInputError(Exception):
    """The input does not give what the request needs; `field` says where."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


async def call_http(call: AgentCall) -> StepResult:
    """Make the request of the manifest and read its answer. Cancelling the task aborts it."""
    config = call.manifest.config
    assert isinstance(config, HttpConfig)
    assert call.destination is not None
    total = min(call.timeout_seconds, config.timeout_seconds or call.timeout_seconds)
    try:
        request = _request(config, call)
        answer = await egress.send(
            call.destination, request, Limits(total_seconds=total, max_bytes=config.max_bytes)
        )
    except _BadInputError as error:
        return _bad_input(error)
    except EgressDeniedError as error:
        return Refused(policy="egress", reason_code=error.rule, reason=error.message)
    except CallFailedError as error:
        kind, code = _FAILURES[error.cause]
        return Failed(kind=kind, reason_code=code, reason=error.message)
    return _asking_for_time(_result_of(config, answer), answer)


def _asking_for_time(result: StepResult, answer: Answer) -> StepResult:
    """A failure says for how long the service asks to be left alone, when it does."""
    asked = answer.retry_after_seconds
    if not isinstance(result, Failed) or not result.retryable or asked is None:
        return result
    said = f"{result.reason} It asks to be left alone for {asked:,} s."
    return result.model_copy(update={"reason": said[:2_000], "retry_after_seconds": asked})


def _request(config: HttpConfig, call: AgentCall) -> Request:
    path = config.path
    for name in config.path_fields():
        path = path.replace("{" + name + "}", _segment(name, _plain(call.input, name)))
    headers = {"Idempotency-Key": call.idempotency_key, "Baton-Attempt": str(call.attempt)}
    if call.traceparent:
        headers["traceparent"] = call.traceparent
    body = None
    if config.body is not None:
        headers["Content-Type"] = "application/json"
        body = canonical_bytes(_body(config.body, call.input))
    return Request(
        method=config.method,
        path=path,
        query={name: _plain(call.input, ref) for name, ref in config.query.items()},
        headers=headers,
        body=body,
    )


def _body(mapping: str | Mapping[str, str], given: JsonObject) -> JsonObject:
    if isinstance(mapping, str):
        return given
    body: JsonObject = {}
    for name, ref in mapping.items():
        value = _at(given, ref)
        if value is not _MISSING:
            body[name] = value  # type: ignore[assignment]  # _MISSING is excluded above
    return body


def _segment(name: str, text: str) -> str:
    """One path segment; it can never lead to another path."""
    if text in {"", ".", ".."}:
        raise _BadInputError(name, f"'{text}' cannot be part of an address.")
    return quote(text, safe="")


def _plain(given: JsonObject, ref: str) -> str:
    value = _at(given, ref)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise _BadInputError(ref, "A text or a whole number is needed here.")


def _at(value: JsonValue, ref: str) -> JsonValue | object:
    """The value at a field name or JSON pointer, or `_MISSING`."""
    parts = ref.split("/")[1:] if ref.startswith("/") else [ref]
    here: JsonValue = value
    for part in parts:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict) and key in here:
            here = here[key]
        elif isinstance(here, list) and key.isdigit() and int(key) < len(here):
            here = here[int(key)]
        else:
            return _MISSING
    return here


def _result_of(config: HttpConfig, answer: Answer) -> StepResult:
    meaning = config.responses.get(str(answer.status)) or config.responses.get(
        f"{answer.status // 100}xx"
    )
    if meaning is None:
        return _unnamed(answer.status)
    needs_body = meaning.result == "value" or meaning.match or meaning.output
    body: JsonValue = None
    if needs_body:
        if answer.media != "application/json" and not answer.media.endswith("+json"):
            media = printable(answer.media) or "no type"
            return _contract(
                "wrong_media_type", f"The service answered with '{media}' instead of JSON."
            )
        try:
            body = parse_json(answer.body, max_bytes=config.max_bytes)
        except InvalidInputError as error:
            return _contract("unreadable_answer", f"The service's answer is bad. {error.message}")
        if not isinstance(body, dict):
            return _contract("unreadable_answer", "The service's answer is not a JSON object.")
        if any(body.get(key, _MISSING) != value for key, value in meaning.match.items()):
            return _contract(
                "unexpected_answer",
                f"The service answered {answer.status}, but without saying that it means "
                f"'{meaning.reason_code or meaning.result}'.",
            )
    return _meant(meaning, body)


def _meant(meaning: HttpAnswer, body: JsonValue) -> StepResult:
    output: JsonObject | None = None
    if meaning.output is not None:
        output = {}
        for name, ref in meaning.output.items():
            value = _at(body, ref)
            if value is not _MISSING:
                output[name] = value  # type: ignore[assignment]  # _MISSING is excluded above
    elif isinstance(body, dict) and meaning.result == "value":
        output = body
    code, reason = meaning.reason_code or "answered", meaning.reason or "The service answered."
    match meaning.result:
        case "value":
            return Value(output=output or {})
        case "not_found":
            return NotFound(reason_code=code, reason=reason, output=output)
        case "refused":
            return Refused(policy=meaning.policy, reason_code=code, reason=reason, output=output)
        case "failed":
            return Failed(
                kind=meaning.kind, reason_code=code, reason=reason, retryable=meaning.retryable
            )


def _unnamed(status: int) -> Failed:
    if status in UNAVAILABLE or status >= 500:
        return Failed(
            kind=FailureKind.UNAVAILABLE,
            reason_code="service_unavailable",
            reason=f"The service answered {status}.",
        )
    if 300 <= status < 400:
        return Failed(
            kind=FailureKind.AGENT_ERROR,
            reason_code="redirected",
            reason=f"The service answered {status} and pointed elsewhere; no call follows.",
            retryable=False,
        )
    return Failed(
        kind=FailureKind.AGENT_ERROR,
        reason_code="unexpected_status",
        reason=f"The service answered {status}, which this agent does not know.",
        retryable=False,
    )


def _contract(code: str, reason: str) -> Failed:
    return Failed(kind=FailureKind.CONTRACT, reason_code=code, reason=reason[:2_000])


def _bad_input(error: _BadInputError) -> Failed:
    path = error.field if error.field.startswith("/") else f"/{error.field}"
    return Failed(
        kind=FailureKind.CONTRACT,
        reason_code="unusable_input",
        reason=f"The request cannot be made: {error}",
        violations=(Violation(path=path, rule="usable", reason=str(error)),),
        retryable=False,
    )
