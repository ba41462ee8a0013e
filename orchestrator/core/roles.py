"""The messages of teams that talk: what each role is asked, and what it has to answer, as schemas.

Any kind of agent may play a role whose contracts agree: what it takes must take the request, what
it gives must be able to be an answer. Members that are given tasks by a supervisor have no schema
here: a task's input is judged by the member's own contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.core.contracts import Validator
from orchestrator.core.json import JsonObject, JsonValue

_TEXT: Final[JsonObject] = {"type": "string"}
_COUNT: Final[JsonObject] = {"type": "integer", "minimum": 0}
_ANYTHING: Final[JsonObject] = {"type": "object"}


@dataclass(frozen=True, slots=True)
class Role:
    """What an agent in this role takes and gives.

    `task` is the field of the request that holds the team's input. `must` are fields that the
    agent's contract has to have, for without them it could not play the role to its end.
    """

    title: str
    task: str
    takes: JsonObject
    gives: JsonObject
    must: tuple[str, ...]

    def request(self, task: JsonObject) -> JsonObject:
        """What the role takes when the team's input is like this."""
        properties = self.takes["properties"]
        assert isinstance(properties, dict)
        return {**self.takes, "properties": {**properties, self.task: task}}


def _closed(properties: Mapping[str, JsonObject], *optional: str) -> JsonObject:
    needed: list[JsonValue] = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": {**properties},
        "required": needed,
        "additionalProperties": False,
    }


def _list(items: JsonObject, **more: Any) -> JsonObject:
    return {"type": "array", "items": items, **more}


MEMBERS: Final = _list(_closed({"name": _TEXT, "purpose": _TEXT}))
"""Who there is, and for what."""
SUPERVISOR: Final = Role(
    title="the supervisor",
    task="goal",
    takes=_closed(
        {
            "goal": _ANYTHING,
            "workers": MEMBERS,
            "round": {"type": "integer", "minimum": 1},
            "left": _closed({"rounds": _COUNT, "tasks": _COUNT}),
            "done": _list(
                _closed(
                    {
                        "worker": _TEXT,
                        "input": _ANYTHING,
                        "status": {"enum": ["done", "failed"]},
                        "output": _ANYTHING,
                        "reason": _TEXT,
                    },
                    "output",
                    "reason",
                )
            ),
        }
    ),
    gives={
        "type": "object",
        "properties": {
            "tasks": _list(
                {
                    "type": "object",
                    "properties": {"worker": _TEXT, "input": _ANYTHING},
                    "required": ["worker", "input"],
                }
            ),
            "output": _ANYTHING,
        },
    },
    must=("tasks", "output"),
)
"""Gives tasks, or with no tasks left to give the output of the team."""

ANSWERS: Final[Mapping[str, Validator]] = {"supervisor": Validator(SUPERVISOR.gives)}
"""Judges of what is answered, by the protocol."""
