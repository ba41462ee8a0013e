"""How a run's state is kept in its row: steps and links as short texts.

The state of a run that waits is kept for as long as it waits, and is written anew whenever a run
parks. `packed` gives `RunState.stored()` with two of its parts packed: `links` is the JSON text of
link ids by what became of them, `steps` that of a list per step,

    [status, attempt, port, started, ended, everything else by name]

without the nulls at its end; times are microseconds since the run began. All other parts stay as
they are, so that the database can read them. `unpacked` gives the stored form back, and leaves a
state whose parts are objects, as former releases kept it, as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic_core import to_json, to_jsonable_python

from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.state import (
    LinkStatus,
    RunState,
    StepRunState,
    StepStatus,
    stored_run,
    stored_step,
)

STEP_CODES: Final[Mapping[StepStatus, str | None]] = {
    StepStatus.PENDING: None,
    StepStatus.READY: "r",
    StepStatus.RUNNING: "x",
    StepStatus.WAITING: "w",
    StepStatus.SUCCEEDED: "s",
    StepStatus.FAILED: "f",
    StepStatus.SKIPPED: "k",
    StepStatus.CANCELLED: "c",
    StepStatus.COMPENSATED: "u",
}
LINK_CODES: Final[Mapping[LinkStatus, str]] = {
    LinkStatus.OPEN: "o",
    LinkStatus.TAKEN: "t",
    LinkStatus.DEAD: "d",
}
_STEPS: Final = {code: status for status, code in STEP_CODES.items() if code is not None}
_LINKS: Final = {code: status for status, code in LINK_CODES.items()}
_APART: Final = frozenset({"status", "attempt", "port", "started_at", "ended_at"})
"""The fields that have a place in the list."""
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def packed(state: RunState) -> JsonObject:
    """The control part of a state as its row keeps it."""
    kept = stored_run(state)
    began = state.started_at or _EPOCH
    if state.steps:
        kept["steps"] = _text({name: _packed(step, began) for name, step in state.steps.items()})
    if state.links:
        by_code: dict[str, list[str]] = {}
        for link, status in state.links.items():
            by_code.setdefault(LINK_CODES[status], []).append(link)
        kept["links"] = _text(by_code)
    return kept


def unpacked(kept: JsonObject) -> JsonObject:
    """A kept state as `RunState.stored()` gives it."""
    stored = dict(kept)
    steps, links, begun = kept.get("steps"), kept.get("links"), kept.get("started_at")
    if isinstance(steps, str):
        began = datetime.fromisoformat(begun) if isinstance(begun, str) else _EPOCH
        named = {name: _unpacked(short, began) for name, short in json.loads(steps).items()}
        stored["steps"] = named
    if isinstance(links, str):
        stored["links"] = {
            link: _LINKS[code].value for code, ids in json.loads(links).items() for link in ids
        }
    return stored


def _packed(step: StepRunState, began: datetime) -> list[Any]:
    short = [
        STEP_CODES[step.status],
        step.attempt or None,
        step.port,
        _since(began, step.started_at),
        _since(began, step.ended_at),
        stored_step(step, without=_APART) or None,
    ]
    while short and short[-1] is None:
        short.pop()
    return short


def _unpacked(short: list[Any], began: datetime) -> JsonObject:
    status, attempt, port, started, ended, more = [*short, *[None] * (6 - len(short))]
    step: JsonObject = {} if status is None else {"status": _STEPS[status].value}
    given: Mapping[str, JsonValue] = {
        "attempt": attempt,
        "port": port,
        "started_at": _at(began, started),
        "ended_at": _at(began, ended),
    }
    step.update({name: value for name, value in given.items() if value is not None})
    return {**step, **(more or {})}


def _since(began: datetime, at: datetime | None) -> int | None:
    return None if at is None else (at - began) // _MICROSECOND


def _at(began: datetime, since: int | None) -> JsonValue:
    """A time as pydantic writes it; None when there is none."""
    text: JsonValue = None
    if since is not None:
        text = to_jsonable_python(began + since * _MICROSECOND)
    return text


def _text(value: Any) -> str:
    return to_json(value).decode()
