"""Asks language models, over the two protocols that nearly all of them speak.

Theory of operation. An agent names a route; the route is a list of models, the preferred first. A
model is passed over when the prompt does not fit into it, when it cannot be reached, is overloaded
(408, 425, 429, 5xx), is late, or gives what cannot be read; each may take its share of the time
that is left. The first that answers is believed: an answer that breaks the output contract goes
back to it with what is wrong, a bounded number of times, and then the call has failed. A refusal
and an answer that was cut off are results of their own. Nothing here tries twice what the engine's
retry policy is for. Every result carries what happened as figures; never the prompt or the key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from orchestrator import egress
from orchestrator.agents.llm import LlmConfig, Prompt, compose
from orchestrator.agents.money import Money
from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import JsonObject, JsonValue, parse_json, printable
from orchestrator.core.model_usage import (
    CORRECTION_TOKENS,
    count,
    estimated_tokens,
    reported,
    whole_minor,
)
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Basis, BasisKind, Failed, Refused, StepResult, Value
from orchestrator.egress import CallFailedError, EgressDeniedError, Limits, Request
from orchestrator.runs.invokers.base import AgentCall
from registry.routes import CallableModel, ModelChoice

MAX_ANSWER_BYTES: Final = 4_000_000
OVERLOADED: Final = frozenset({408, 425, 429})
MAX_FINDINGS: Final = 10
_SHOWN: Final = 120


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said. `answer` is JSON text; `call_id` names Anthropic's call of the tool."""

    answer: str
    finish: Literal["done", "cut", "refused"]
    model: str
    request_id: str
    tokens_in: int
    tokens_out: int
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Correction:
    """An answer that broke the contract, and what was said about it."""

    reply: Reply
    findings: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What one request says: the prompt, and former answers with what was wrong with them."""

    config: LlmConfig
    model: CallableModel
    prompt: Prompt
    corrections: tuple[Correction, ...] = ()


@dataclass(slots=True)
class _Record:
    """What happened so far, for the basis of the result."""

    model: CallableModel | None = None
    prompt: Prompt | None = None
    reply: Reply | None = None
    room: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    calls: int = 0
    costs: dict[str, int] = field(default_factory=dict)
    """Currency -> millionths of its minor unit."""
    is_unknown: bool = False
    """Whether a model may have worked for an answer that did not come, or could not be read."""
    passed_over: list[str] = field(default_factory=list)

    def add(self, reply: Reply, choice: ModelChoice) -> None:
        """Count what one reply took."""
        self.reply = reply
        self.calls += 1
        self.tokens_in += reply.tokens_in
        self.tokens_out += reply.tokens_out
        for currency, cost in _costs(choice, reply.tokens_in, reply.tokens_out).items():
            self.costs[currency] = self.costs.get(currency, 0) + cost


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call takes of its models: tokens read and written, money in each currency."""

    tokens: int
    costs: tuple[Money, ...] = ()


class _PassedOverError(Exception):
    """This model gives no answer; the next one may."""

    def __init__(
        self,
        word: str,
        kind: FailureKind = FailureKind.UNAVAILABLE,
        *,
        has_worked: bool = False,
        asked_seconds: int | None = None,
    ) -> None:
        super().__init__(word)
        self.word = word
        self.kind = kind
        self.has_worked = has_worked
        """Whether it may have read the prompt all the same, and cost something."""
        self.asked_seconds = asked_seconds
        """For how long it asks to be left alone."""


class _RejectedError(Exception):
    """The model's service says that the request is wrong: asking another one would hide it."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


async def call_llm(call: AgentCall) -> StepResult:
    """Ask the models of the route, one after another, until one answers."""
    record = _Record()
    until = time.monotonic() + call.timeout_seconds
    passed_over: list[_PassedOverError] = []
    for index, model in enumerate(call.models):
        left = until - time.monotonic()
        share = left / (len(call.models) - index)
        try:
            return await _ask(call, model, record, time.monotonic() + share)
        except _PassedOverError as error:
            record.passed_over.append(f"{model.choice.model}: {error.word}")
            record.is_unknown = record.is_unknown or error.has_worked
            passed_over.append(error)
        except _RejectedError as error:
            return _failed(
                call,
                record,
                FailureKind.AGENT_ERROR,
                "model_rejected_call",
                reason=f"{model.destination.name} answered {error.status}: it does not accept the "
                "call. An administrator checks key and model under Settings, Models.",
                retryable=False,
            )
        except EgressDeniedError as error:
            return Refused(
                policy="egress",
                reason_code=error.rule,
                reason=error.message,
                basis=(_basis(call, record),),
            )
    return _nobody_answered(call, record, passed_over)


async def _ask(call: AgentCall, model: CallableModel, record: _Record, until: float) -> StepResult:
    """The result of asking one model, with its corrections."""
    config = _config(call)
    room = model.choice.context_tokens - config.max_output_tokens
    prompt = compose(config, call.input, call.output_schema, room)
    if prompt is None:
        raise _PassedOverError("too small for it", FailureKind.BUDGET)
    record.model, record.prompt, record.room = model, prompt, room
    asked = Asked(config, model, prompt)
    while True:
        reply = await _reply(call, asked, until)
        record.add(reply, model.choice)
        if reply.finish != "done":
            return _unfinished(call, record)
        value, findings = _read(call, reply)
        if value is not None:
            return Value(output=value, basis=(_basis(call, record),))
        corrected = replace(asked, corrections=(*asked.corrections, Correction(reply, findings)))
        if len(asked.corrections) >= config.max_repairs or _size(corrected) > room:
            return _failed(
                call,
                record,
                FailureKind.CONTRACT,
                "model_breaks_contract",
                reason=f"{model.choice.model} was asked {record.calls} times, and its answer "
                f"breaks the output contract: {findings}",
            )
        asked = corrected


async def _reply(call: AgentCall, asked: Asked, until: float) -> Reply:
    """What the model says to one request.

    Raises:
        _PassedOverError: nothing that can be read came in time.
        _RejectedError: the service refuses the request as wrong.
        EgressDeniedError: its address may not be called.
    """
    left = until - time.monotonic()
    if left <= 0:
        raise _PassedOverError("late", FailureKind.TIMEOUT)
    request, read = PROTOCOLS[asked.model.protocol]
    limits = Limits(total_seconds=left, max_bytes=MAX_ANSWER_BYTES)
    try:
        answer = await egress.send(asked.model.destination, request(call, asked), limits)
    except CallFailedError as error:
        late = error.cause == "timeout"
        kind = FailureKind.TIMEOUT if late else FailureKind.UNAVAILABLE
        word, was_reached = "late" if late else error.cause, error.cause != "unreachable"
        raise _PassedOverError(word, kind, has_worked=was_reached) from None
    if answer.status in OVERLOADED or answer.status >= 500:
        raise _PassedOverError(str(answer.status), asked_seconds=answer.retry_after_seconds)
    if answer.status != 200:
        raise _RejectedError(answer.status)
    try:
        body: Any = parse_json(answer.body, max_bytes=MAX_ANSWER_BYTES)
        return read(body)
    except (InvalidInputError, LookupError, TypeError, AttributeError, ValueError):
        raise _PassedOverError("unreadable", has_worked=True) from None


def _read(call: AgentCall, reply: Reply) -> tuple[JsonObject | None, str]:
    """The answer when it meets the contract; else what is wrong with it, in words."""
    try:
        value: JsonValue = parse_json(reply.answer, max_bytes=call.manifest.max_output_bytes)
    except InvalidInputError as error:
        return None, f"The answer is not JSON. {error.message}"[:1_000]
    if not isinstance(value, dict):
        return None, "The answer is not a JSON object."
    found = call.output.check(value) if call.output is not None else ()
    if not found:
        return value, ""
    said = (f"{one.path or 'the whole answer'}: {one.reason}" for one in found[:MAX_FINDINGS])
    return None, "; ".join(said)[:1_000]


def _size(asked: Asked) -> int:
    """The estimated tokens of a request with its corrections."""
    said = (f"{one.reply.answer}{one.findings}" for one in asked.corrections)
    return asked.prompt.tokens + sum(map(estimated_tokens, said))


# ---- what a result says ------------------------------------------------------------------------


def _nobody_answered(
    call: AgentCall, record: _Record, passed_over: Sequence[_PassedOverError]
) -> Failed:
    tried, kinds = ", ".join(record.passed_over), [one.kind for one in passed_over]
    if kinds and all(one is FailureKind.BUDGET for one in kinds):
        return _failed(
            call,
            record,
            FailureKind.BUDGET,
            "context_too_large",
            reason="The input does not fit into any model of the route, also after trimming what "
            f"the agent allows to give way ({tried}).",
            retryable=False,
        )
    kind = FailureKind.TIMEOUT if FailureKind.TIMEOUT in kinds else FailureKind.UNAVAILABLE
    reason = f"No model of the route answered ({tried})."
    asked = _seconds_asked(passed_over)
    if asked is not None:
        reason += f" The first may be asked again in {asked:,} s."
    failed = _failed(call, record, kind, "no_model_answered", reason=reason)
    return failed.model_copy(update={"retry_after_seconds": asked})


def _seconds_asked(passed_over: Sequence[_PassedOverError]) -> int | None:
    """When the first model may be asked again; None: one of them asks for no time."""
    fitting = [one for one in passed_over if one.kind is not FailureKind.BUDGET]
    asked = [one.asked_seconds for one in fitting if one.asked_seconds is not None]
    return min(asked) if asked and len(asked) == len(fitting) else None


def _unfinished(call: AgentCall, record: _Record) -> StepResult:
    assert record.reply is not None
    assert record.model is not None
    name = record.model.choice.model
    if record.reply.finish == "refused":
        return Refused(
            policy="the model",
            reason_code="model_refused",
            reason=f"{name} refuses to answer this.",
            basis=(_basis(call, record),),
        )
    return _failed(
        call,
        record,
        FailureKind.CONTRACT,
        "answer_cut_off",
        reason=f"The answer of {name} was cut off at the agent's limit of output tokens.",
        retryable=False,
    )


def _failed(
    call: AgentCall,
    record: _Record,
    kind: FailureKind,
    code: str,
    *,
    reason: str,
    retryable: bool = True,
) -> Failed:
    return Failed(
        kind=kind,
        reason_code=code,
        reason=printable(reason, 2_000)[:2_000],
        retryable=retryable,
        basis=(_basis(call, record),),
    )


def _basis(call: AgentCall, record: _Record) -> Basis:
    """What happened, as figures and short words."""
    values: dict[str, int | str | bool] = {}
    if record.prompt is not None:
        values |= {"size_tokens": record.prompt.tokens, "room_tokens": record.room}
        if record.prompt.trimmed:
            values["trimmed"] = _short("; ".join(record.prompt.trimmed))
        values["prompt_sha256"] = record.prompt.sha256
    if record.reply is not None:
        values |= {
            "answered_by": _short(record.reply.model),
            "request": _short(record.reply.request_id),
            "tokens_in": record.tokens_in,
            "tokens_out": record.tokens_out,
            "finish": record.reply.finish,
            "repairs": record.calls - 1,
        }
        values |= _cost(record)
    if record.is_unknown or len(record.costs) > 1:
        values["usage_unknown"] = True
    if record.passed_over:
        values["passed_over"] = _short(", ".join(record.passed_over))
    row = None if record.model is None else record.model.choice.model
    return Basis(
        kind=BasisKind.MODEL, id=f"model_route/{_config(call).route}", row=row, values=values
    )


def _cost(record: _Record) -> dict[str, int | str | bool]:
    """The exact cost in millionths of the currency's minor unit, when the models have a price."""
    currency = next(iter(record.costs), None)
    if currency is None:
        return {}
    return {"cost_minor_millionths": record.costs[currency], "currency": currency}


def _costs(choice: ModelChoice, tokens_in: int, tokens_out: int) -> dict[str, int]:
    """What so many tokens cost: currency -> millionths of its minor unit."""
    given, made = choice.input_price, choice.output_price
    currency = next((one.currency for one in (given, made) if one is not None), "")
    cost = tokens_in * (given.minor if given else 0) + tokens_out * (made.minor if made else 0)
    return {currency: cost} if currency else {}


# ---- what a call takes -------------------------------------------------------------------------


def most_usage(call: AgentCall) -> Usage:
    """What a call takes at most, of the dearest model of its route and with all its corrections."""
    config = _config(call)
    tokens, costs = 0, dict[str, int]()
    for model in call.models:
        room = model.choice.context_tokens - config.max_output_tokens
        prompt = compose(config, call.input, call.output_schema, room)
        if prompt is None:
            continue
        more = config.max_output_tokens + CORRECTION_TOKENS
        times = range(config.max_repairs + 1)
        reads = sum(min(room, prompt.tokens + number * more) for number in times)
        writes = config.max_output_tokens * len(times)
        tokens = max(tokens, reads + writes)
        for currency, cost in _costs(model.choice, reads, writes).items():
            costs[currency] = max(costs.get(currency, 0), cost)
    return Usage(tokens, _as_money(costs))


def usage_of(result: StepResult) -> Usage | None:
    """What a call took, as its result says; None: nobody knows."""
    said = reported(result)
    if said is None:
        return None
    return Usage(said.tokens, _as_money({said.currency: said.cost} if said.currency else {}))


def _as_money(costs: Mapping[str, int]) -> tuple[Money, ...]:
    """Amounts in whole minor units, rounded up."""
    return tuple(Money(whole_minor(cost), currency) for currency, cost in costs.items())


def _config(call: AgentCall) -> LlmConfig:
    config = call.manifest.config
    assert isinstance(config, LlmConfig)
    return config


def _short(text: str) -> str:
    return printable(text, _SHOWN - 1)[:_SHOWN]


# ---- the two protocols -------------------------------------------------------------------------


def _request(path: str, headers: Mapping[str, str], body: JsonObject, call: AgentCall) -> Request:
    trace = {"traceparent": call.traceparent} if call.traceparent else {}
    return Request(
        method="POST",
        path=path,
        headers={"Content-Type": "application/json", **headers, **trace},
        body=canonical_bytes(body),
    )


def _openai_request(call: AgentCall, asked: Asked) -> Request:
    messages: list[JsonValue] = [
        {"role": "system", "content": asked.prompt.system},
        {"role": "user", "content": asked.prompt.user},
    ]
    for one in asked.corrections:
        messages.append({"role": "assistant", "content": one.reply.answer})
        messages.append({"role": "user", "content": _give_back(one)})
    is_openai = asked.model.destination.base_url.startswith("https://api.openai.com")
    limit = "max_completion_tokens" if is_openai else "max_tokens"
    body: JsonObject = {
        "model": asked.model.choice.model,
        "messages": messages,
        limit: asked.config.max_output_tokens,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": asked.prompt.schema},
        },
    }
    headers = {"Authorization": f"Bearer {asked.model.key}"} if asked.model.key else {}
    return _request("/chat/completions", headers, _with_temperature(body, asked), call)


def _openai_reply(body: Mapping[str, Any]) -> Reply:
    choice = body["choices"][0]
    message, usage = choice["message"], body.get("usage") or {}
    ended = str(choice.get("finish_reason") or "stop")
    finish: Literal["done", "cut", "refused"] = "done"
    if message.get("refusal") or ended == "content_filter":
        finish = "refused"
    elif ended == "length":
        finish = "cut"
    return Reply(
        answer=str(message.get("content") or ""),
        finish=finish,
        model=str(body.get("model") or ""),
        request_id=str(body.get("id") or ""),
        tokens_in=count(usage.get("prompt_tokens")),
        tokens_out=count(usage.get("completion_tokens")),
    )


def _anthropic_request(call: AgentCall, asked: Asked) -> Request:
    messages: list[JsonValue] = [{"role": "user", "content": asked.prompt.user}]
    for one in asked.corrections:
        messages.extend(_anthropic_correction(one))
    body: JsonObject = {
        "model": asked.model.choice.model,
        "system": asked.prompt.system,
        "messages": messages,
        "max_tokens": asked.config.max_output_tokens,
        "tools": [
            {
                "name": "answer",
                "description": "Gives the answer.",
                "input_schema": asked.prompt.schema,
            }
        ],
        "tool_choice": {"type": "tool", "name": "answer"},
    }
    headers = {"anthropic-version": "2023-06-01"}
    headers |= {"x-api-key": asked.model.key} if asked.model.key else {}
    return _request("/v1/messages", headers, _with_temperature(body, asked), call)


def _anthropic_correction(one: Correction) -> list[JsonValue]:
    if not one.reply.call_id:
        return [
            {"role": "assistant", "content": one.reply.answer or "(nothing)"},
            {"role": "user", "content": _give_back(one)},
        ]
    called: JsonObject = {"type": "tool_use", "id": one.reply.call_id, "name": "answer"}
    called["input"] = parse_json(one.reply.answer)
    told: JsonObject = {"type": "tool_result", "tool_use_id": one.reply.call_id, "is_error": True}
    told["content"] = _give_back(one)
    return [{"role": "assistant", "content": [called]}, {"role": "user", "content": [told]}]


def _anthropic_reply(body: Mapping[str, Any]) -> Reply:
    ended, usage = str(body.get("stop_reason") or ""), body.get("usage") or {}
    parts = body["content"]
    called = next((one for one in parts if one.get("type") == "tool_use"), None)
    texts = [str(one.get("text") or "") for one in parts if one.get("type") == "text"]
    answer = canonical_bytes(called["input"]).decode() if called else "".join(texts)
    finish: Literal["done", "cut", "refused"] = "done"
    if ended in {"refusal", "max_tokens"}:
        finish = "refused" if ended == "refusal" else "cut"
    return Reply(
        answer=answer,
        finish=finish,
        model=str(body.get("model") or ""),
        request_id=str(body.get("id") or ""),
        tokens_in=count(usage.get("input_tokens")),
        tokens_out=count(usage.get("output_tokens")),
        call_id=str(called["id"]) if called else "",
    )


def _give_back(one: Correction) -> str:
    return f"This answer does not fit the schema. {one.findings} Answer again, with all of it."


def _with_temperature(body: JsonObject, asked: Asked) -> JsonObject:
    if asked.config.temperature is not None:
        body["temperature"] = asked.config.temperature
    return body


PROTOCOLS: Final[
    Mapping[
        str,
        tuple[Callable[[AgentCall, Asked], Request], Callable[[Mapping[str, Any]], Reply]],
    ]
] = {
    "openai": (_openai_request, _openai_reply),
    "anthropic": (_anthropic_request, _anthropic_reply),
}
