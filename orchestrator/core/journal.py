"""How the journal is written: events as short lists instead of objects with named fields.

A run that waits keeps its journal, so that what stands in it more than once, or can be known
without it, would be paid for by every parked run. A written entry is the JSON text of

    [event, derived event, ...]

where each event is `[code, field, ...]`: its code of `CODES`, then its fields in the order in which
its class declares them. A field with its usual value is null, and nulls at the end are left out. A
payload is `[sha256, bytes]` where it stands first, and its place among the entry's payloads (0, 1,
...) wherever it stands again. The result of a step is such a list itself.

`read` gives what was written back as objects, and leaves objects, which is how entries were kept
before, as they are. Codes and the order of fields are for ever: a class of event may get a field at
its end, with a usual value, and nothing else; a test holds them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_json, to_jsonable_python

from orchestrator.core import events, results
from orchestrator.core.events import DerivedEvent, DrivingEvent
from orchestrator.core.json import JsonObject, JsonValue

Reference: TypeAlias = tuple[str, int]
"""What stands in the journal for a payload: its content hash and its size in bytes."""
Refer: TypeAlias = Callable[[JsonObject], Reference]

CODES: Final[Mapping[type[BaseModel], str]] = {
    events.RunStarted: "rs",
    events.AttemptSucceeded: "as",
    events.AttemptFailed: "af",
    events.AttemptLost: "al",
    events.TimerFired: "tf",
    events.EventArrived: "ea",
    events.ChildEnded: "ce",
    events.ReviewDecided: "rd",
    events.ExceptionDecided: "ed",
    events.CancelRequested: "cr",
    events.PauseRequested: "pr",
    events.ContinueRequested: "or",
    events.RunResumed: "rr",
    events.ResultGiven: "rg",
    events.RollbackRequested: "ur",
    events.StepReadied: "r",
    events.StepSkipped: "s",
    events.StepHeld: "sh",
    events.AttemptLeased: "a",
    events.RetryPlanned: "rp",
    events.FallbackChosen: "fc",
    events.ReviewOpened: "ro",
    events.WaitBegun: "wb",
    events.EventTold: "et",
    events.ChildBegun: "cb",
    events.HandoffMade: "h",
    events.RouteChosen: "rc",
    events.StepEnded: "e",
    events.ContextWritten: "cw",
    events.RoundBegun: "rb",
    events.StepClosed: "c",
    events.LinkResolved: "l",
    events.RunEnded: "re",
    events.RollbackBegun: "ub",
    events.StepCompensated: "sc",
    events.StepNotUndone: "su",
    events.RunRolledBack: "ud",
    events.RunStatusChanged: "st",
    results.Value: "v",
    results.NotFound: "vn",
    results.Uncertain: "vu",
    results.Refused: "vr",
    results.Failed: "vf",
}
_USUAL: Final[Mapping[str, JsonValue]] = {"iteration": 1, "attempt": 1, "verdict": "fits"}
"""Usual values of fields that have none by their class."""
_PAYLOADS: Final = frozenset({"input", "output"})
_AS_THEY_ARE: Final = (str, int, float)


class _Field(NamedTuple):
    """A field: `holds` is payload, result, value (of a shared key), or empty."""

    name: str
    usual: Any
    holds: str


@dataclass(frozen=True, slots=True)
class _Form:
    """How one class is written."""

    code: str
    type: str
    fields: tuple[_Field, ...]


def written(event: DrivingEvent, derived: Iterable[DerivedEvent], refer: Refer) -> str:
    """An entry as the journal keeps it. `refer` gives hash and size of a payload."""
    writer = _Writer(refer)
    return to_json([writer.short(event), *(writer.short(one) for one in derived)]).decode()


def read(stored: JsonValue) -> JsonObject:
    """An entry as `{"event", "derived"}`, payloads as `{"sha256", "bytes"}`, without nulls."""
    if isinstance(stored, dict):
        return stored
    assert isinstance(stored, str)
    seen: list[JsonObject] = []
    event, *derived = (_named(one, seen) for one in json.loads(stored))
    return {"event": event, "derived": list(derived)}


class _Writer:
    """Writes one entry, in which a payload is named once."""

    def __init__(self, refer: Refer) -> None:
        self._refer = refer
        self._places: dict[Reference, int] = {}

    def short(self, model: BaseModel) -> list[Any]:
        """An event or result as a list."""
        form = _forms()[type(model)]
        values = model.__dict__
        short: list[Any] = [form.code]
        for name, usual, holds in form.fields:
            value = values[name]
            if value is None or value == usual:
                short.append(None)
            elif holds or not isinstance(value, _AS_THEY_ARE):
                short.append(self._shortened(value, holds))
            else:
                short.append(value)
        while short[-1] is None:
            short.pop()
        return short

    def _shortened(self, value: Any, holds: str) -> Any:
        if holds == "result":
            return self.short(value)
        if holds == "payload":
            return self._place_of(value)
        if holds == "value":
            return self._refer({"value": value})
        return to_jsonable_python(value, exclude_none=True)

    def _place_of(self, payload: JsonObject) -> int | Reference:
        reference = self._refer(payload)
        if reference in self._places:
            return self._places[reference]
        self._places[reference] = len(self._places)
        return reference


def _named(short: list[Any], seen: list[JsonObject]) -> JsonObject:
    """An event or result with its fields' names; `seen` are the entry's payloads so far."""
    form = _by_code()[short[0]]
    named: JsonObject = {"type": form.type}
    given = short[1:]
    for place, field in enumerate(form.fields):
        value = given[place] if place < len(given) else None
        if value is None:
            value = _plain(field.usual)
        elif field.holds == "result":
            value = _named(value, seen)
        elif field.holds == "value":
            value = {"sha256": value[0], "bytes": value[1]}
        elif field.holds == "payload":
            value = _payload(value, seen)
        if value is not None:
            named[field.name] = value
    return named


def _payload(value: Any, seen: list[JsonObject]) -> JsonObject:
    if isinstance(value, int):
        return seen[value]
    made: JsonObject = {"sha256": value[0], "bytes": value[1]}
    seen.append(made)
    return made


def _plain(usual: Any) -> JsonValue:
    plain: JsonValue = to_jsonable_python(usual)
    return plain


@cache
def _forms() -> Mapping[type[BaseModel], _Form]:
    return {
        kind: _Form(
            code,
            kind.model_fields["type"].default,
            tuple(
                _Field(name, _usual(kind, name), _holds(kind, name))
                for name in kind.model_fields
                if name != "type"
            ),
        )
        for kind, code in CODES.items()
    }


@cache
def _by_code() -> Mapping[str, _Form]:
    return {form.code: form for form in _forms().values()}


def _usual(kind: type[BaseModel], name: str) -> Any:
    usual = kind.model_fields[name].get_default(call_default_factory=True)
    return _USUAL.get(name) if usual is PydanticUndefined else usual


def _holds(kind: type[BaseModel], name: str) -> str:
    if name in _PAYLOADS or (kind is events.RunEnded and name == "result"):
        return "payload"
    if name == "result":
        return "result"
    return "value" if kind is events.ContextWritten and name == "value" else ""
