"""How a run's state and binding are kept in its rows: as short texts.

The state of a run that waits is kept for as long as it waits, and is written anew whenever a run
parks. `packed` gives `RunState.stored()` with two of its parts packed: `links` is the JSON text of
link ids by what became of them, `steps` that of a list per step,

    [status, attempt, port, started, ended, everything else by name]

without the nulls at its end; times are microseconds since the run began. All other parts stay as
they are, so that the database can read them. `unpacked` gives the stored form back, and leaves a
state whose parts are objects, as former releases kept it, as it is.

`packed_binding` writes what a run is pinned to as the JSON text of

    [hash of the definition, workflow, version, agents by label, everything else by name]

with hashes in base 64, and an agent as its id and its hash in one text.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

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
_BOUND: Final = ("definition_sha256", "workflow", "version")
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
        stored["steps"] = {
            name: _unpacked(short, began) for name, short in json.loads(steps).items()
        }
    if isinstance(links, str):
        stored["links"] = {
            link: _LINKS[code].value for code, ids in json.loads(links).items() for link in ids
        }
    return stored


def packed_binding(binding: JsonObject) -> str:
    """What a run is pinned to, as its row keeps it."""
    rest = dict(binding)
    sha256, workflow, version = (rest.pop(name, None) for name in _BOUND)
    agents = rest.pop("agents", {})
    assert isinstance(sha256, str)
    assert isinstance(agents, dict)
    pinned = {label: _packed_agent(one) for label, one in agents.items()}
    return _text([_short(sha256), workflow, version, pinned, rest])


def unpacked_binding(kept: JsonValue) -> JsonObject:
    """A kept binding with its names; an object, as former releases kept it, as it is."""
    if isinstance(kept, dict):
        return kept
    assert isinstance(kept, str)
    sha256, workflow, version, agents, rest = json.loads(kept)
    return {
        "definition_sha256": _long(sha256),
        "workflow": workflow,
        "version": version,
        "agents": {label: _unpacked_agent(one) for label, one in agents.items()},
        **rest,
    }


def _packed_agent(agent: JsonValue) -> JsonValue:
    """`{"id", "sha256"}` as one text; one of which more is known as it is."""
    if not isinstance(agent, dict) or set(agent) != {"id", "sha256"}:
        return agent
    return _short(str(agent["id"]).replace("-", "") + str(agent["sha256"]))


def _unpacked_agent(kept: JsonValue) -> JsonValue:
    if not isinstance(kept, str):
        return kept
    both = _long(kept)
    return {"id": str(UUID(both[:32])), "sha256": both[32:]}


def _short(digits: str) -> str:
    """Hexadecimal digits in base 64."""
    return b64encode(bytes.fromhex(digits)).decode().rstrip("=")


def _long(short: str) -> str:
    return b64decode(short + "=" * (-len(short) % 4)).hex()


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
    filled = short + [None] * (6 - len(short))
    status, attempt, port, started, ended, more = filled
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
