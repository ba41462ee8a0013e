"""Triggers: what an event makes of them. Pure; what depends on earlier firings is decided above.

In order: the schema version of the event, the contract of its data, the filter. What passes is held
against earlier firings by its de-duplication key, gathered when it coalesces, counted against the
rate limit, and then mapped to the input of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.catalogue import DomainType
from orchestrator.core.compilation import CompiledMapping
from orchestrator.core.context import build
from orchestrator.core.contracts import Validator
from orchestrator.core.definition import Trigger
from orchestrator.core.errors import DomainError
from orchestrator.core.expressions import CompiledExpression, ExpressionError, compile_expression
from orchestrator.core.json import JsonObject, JsonValue

RUN_FINISHED: Final = "run.finished"
REVIEW_DECIDED: Final = "review.decided"
OWN_SOURCE: Final = "baton"
"""The source of the events that this installation tells itself."""
MAX_DEPTH: Final = 8
"""How many runs may start one another in a chain."""
_TEXT: Final[JsonObject] = {"type": "string"}
_OWN: Final[Mapping[str, JsonObject]] = {
    RUN_FINISHED: {
        "run": _TEXT,
        "title": _TEXT,
        "workflow": _TEXT,
        "status": {"enum": ["succeeded", "failed", "cancelled", "rolled_back"]},
        "outcome": _TEXT,
    },
    REVIEW_DECIDED: {
        "review": _TEXT,
        "run": _TEXT,
        "title": _TEXT,
        "workflow": _TEXT,
        "outcome": _TEXT,
    },
}


OWN_TYPES: Final = frozenset(_OWN)
"""The types of those events; nobody else may tell them."""


def is_own(source: str, event_type: str) -> bool:
    """Whether only the installation itself, or a run of it, may tell of this."""
    is_own_source = source == OWN_SOURCE or source.startswith(f"{OWN_SOURCE}/")
    return is_own_source or event_type in OWN_TYPES


def own_contract(event_type: str) -> JsonObject | None:
    """The schema of the data of an event that the installation tells itself; None for others."""
    fields = _OWN.get(event_type)
    if fields is None:
        return None
    properties: JsonObject = dict(fields)
    return {
        "type": "object",
        "properties": properties,
        "required": [*fields],
        "additionalProperties": False,
    }


class FiringStatus(StrEnum):
    """Where one firing is: told, held back (gathering, parked), or decided."""

    RECEIVED = "received"
    GATHERING = "gathering"
    PARKED = "parked"
    STARTED = "started"
    MERGED = "merged"
    SUPPRESSED = "suppressed"
    FAILED = "failed"


_ENDS: Final = frozenset(
    {FiringStatus.STARTED, FiringStatus.MERGED, FiringStatus.SUPPRESSED, FiringStatus.FAILED}
)
FIRING_TRANSITIONS: Final[Mapping[FiringStatus, frozenset[FiringStatus]]] = {
    FiringStatus.RECEIVED: _ENDS | {FiringStatus.GATHERING, FiringStatus.PARKED},
    FiringStatus.GATHERING: _ENDS,
    FiringStatus.PARKED: _ENDS,
}
"""What may become of a firing; what is absent is decided for good."""
OPEN_STATUSES: Final = tuple(FIRING_TRANSITIONS)
KEPT_STATUSES: Final = frozenset(FiringStatus) - {
    *(FiringStatus.RECEIVED, FiringStatus.SUPPRESSED, FiringStatus.FAILED)
}
"""Those that count as an earlier firing of the same key."""


def statuses_before(status: FiringStatus) -> tuple[FiringStatus, ...]:
    """The statuses from which a firing may come to this one."""
    return tuple(one for one, after in FIRING_TRANSITIONS.items() if status in after)


@dataclass(frozen=True, slots=True)
class CompiledTrigger:
    """A trigger ready to be asked."""

    trigger: Trigger
    mapping: CompiledMapping
    filter: CompiledExpression | None
    key: CompiledExpression | None
    contract: Validator | None


@dataclass(frozen=True, slots=True)
class Judged:
    """What one event is to a trigger. `key` is its de-duplication key, when the trigger has one."""

    verdict: Literal["passes", "suppressed", "failed"]
    reason: str = ""
    key: str | None = None


class TriggerInputError(DomainError):
    """The event cannot be mapped to a run's input; `detail["violations"]` lists each place."""

    code = "trigger_input"
    status = 422


def variables_of(trigger: Trigger) -> tuple[str, ...]:
    """The names that the trigger's input mapping may use."""
    gathers = trigger.coalesce is not None and trigger.coalesce.keep == "list"
    return ("event", "events") if gathers else ("event",)


def compile_trigger(trigger: Trigger, types: Mapping[str, DomainType]) -> CompiledTrigger:
    """Compile a trigger's expressions and contract.

    Raises:
        ExpressionError, SchemaError: one of them cannot be compiled.
    """
    known = variables_of(trigger)
    return CompiledTrigger(
        trigger=trigger,
        mapping=tuple(
            (name, compile_expression(trigger.input[name], variables=known))
            for name in sorted(trigger.input)
        ),
        filter=_about_event(trigger.filter),
        key=_about_event(trigger.deduplicate.key if trigger.deduplicate else None),
        contract=Validator(trigger.contract, types) if trigger.contract is not None else None,
    )


def event_view(
    *, event_type: str, source: str, event_id: str, key: str, at: datetime, content: JsonValue
) -> JsonObject:
    """An event as a trigger's expressions see it."""
    return {
        "type": event_type,
        "source": source,
        "id": event_id,
        "key": key,
        "at": at.isoformat(),
        "data": content,
    }


def judge(compiled: CompiledTrigger, event: JsonObject, schema: str = "") -> Judged:
    """Hold one event against schema versions, contract and filter, and tell its key."""
    trigger = compiled.trigger
    if trigger.schemas and schema not in trigger.schemas:
        said = f"'{schema}'" if schema else "no schema version"
        return Judged("suppressed", f"It has {said}, and only certain ones are taken."[:200])
    if compiled.contract is not None:
        violations = compiled.contract.check(event["data"])
        if violations:
            first = violations[0]
            reason = f"Its data break the contract: {first.path or '/'} {first.reason}"
            return Judged("failed", reason[:200])
    scope = {"event": event}
    try:
        if compiled.filter is not None and not compiled.filter.holds(scope):
            return Judged("suppressed", "The filter does not let it pass.")
        key = None if compiled.key is None else _key_text(compiled.key.evaluate(scope))
    except ExpressionError as error:
        return Judged("failed", error.message[:200])
    except ValueError as error:
        return Judged("failed", f"Its key cannot be told from others: {error}"[:200])
    return Judged("passes", key=key)


def input_of(compiled: CompiledTrigger, events: Sequence[JsonObject]) -> JsonObject:
    """The input of the run that these events start, the last of them as `event`.

    Raises:
        TriggerInputError: an expression has no value; says which.
    """
    gathered: list[JsonValue] = [*events]
    scope: dict[str, JsonValue] = {"event": events[-1]}
    if "events" in variables_of(compiled.trigger):
        scope["events"] = gathered
    built, violations = build(compiled.mapping, scope)
    if violations:
        raise TriggerInputError(
            f"The input cannot be put together: {violations[0].reason}",
            detail={"violations": [one.model_dump(mode="json") for one in violations]},
        )
    return built


def _about_event(text: str | None) -> CompiledExpression | None:
    return None if text is None else compile_expression(text, variables=("event",))


def _key_text(value: JsonValue) -> str:
    """A key as text: the same for values that are equal as JSON, however they were written.

    Raises:
        ValueError: it holds a number that JSON has no exact form for.
    """
    if isinstance(value, str):
        return value
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_whole else canonical_bytes(value).decode()
