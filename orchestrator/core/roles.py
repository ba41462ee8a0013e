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

BID: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "cost": {
            "type": "object",
            "properties": {
                "minor": {"type": "integer", "minimum": 0},
                "currency": {"type": "string"},
            },
            "required": ["minor", "currency"],
        },
        "seconds": {"type": "number", "minimum": 0},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["cost", "seconds", "confidence"],
}
"""What a task would cost, in minor units, how long it would take, how sure it is done well."""
BIDDER: Final = Role(
    title="a bidder",
    task="task",
    takes=_closed({"ask": {"enum": ["bid", "work"]}, "task": _ANYTHING}),
    gives={"type": "object", "properties": {"bid": BID, "output": _ANYTHING}},
    must=("bid", "output"),
)
"""Bids for a task when it is asked to bid, and does it when it is asked to work."""
PEER: Final = Role(
    title="a peer",
    task="task",
    takes=_closed(
        {
            "task": _ANYTHING,
            "from": _TEXT,
            "with": _ANYTHING,
            "peers": MEMBERS,
            "left": _COUNT,
        },
        "from",
        "with",
    ),
    gives={
        "type": "object",
        "properties": {
            "output": _ANYTHING,
            "pass": {
                "type": "object",
                "properties": {"to": _TEXT, "with": _ANYTHING},
                "required": ["to"],
            },
        },
    },
    must=("output",),
)
"""Ends the work with the output, or passes it on."""
_SPLIT: Final = _list(
    {
        "type": "object",
        "properties": {"member": _TEXT, "part": _ANYTHING},
        "required": ["member", "part"],
    }
)
_REFUSED: Final = _closed(
    {
        "by": _TEXT,
        "split": _SPLIT,
        "reasons": _list(_closed({"member": _TEXT, "reason": _TEXT})),
    }
)
NEGOTIATOR: Final = Role(
    title="a negotiator",
    task="task",
    takes=_closed(
        {
            "ask": {"enum": ["propose", "accept", "work"]},
            "task": _ANYTHING,
            "members": MEMBERS,
            "round": {"type": "integer", "minimum": 1},
            "refused": _list(_REFUSED),
            "by": _TEXT,
            "split": _SPLIT,
            "part": _ANYTHING,
        },
        *("members", "round", "refused", "by", "split", "part"),
    ),
    gives={
        "type": "object",
        "properties": {
            "split": _SPLIT,
            "accept": {"type": "boolean"},
            "reason": _TEXT,
            "output": _ANYTHING,
        },
    },
    must=("split", "accept", "output"),
)
"""Proposes a split, accepts or refuses one, does its part: as it is asked."""


def debater(ballot: str, proposal: JsonObject) -> Role:
    """Proposes in the field `ballot`, knowing the latest proposals, its own and the others'."""
    return Role(
        title="a debater",
        task="task",
        takes=_closed(
            {
                "task": _ANYTHING,
                "round": {"type": "integer", "minimum": 1},
                "own": proposal,
                "others": _list(_closed({"name": _TEXT, "proposal": proposal})),
            },
            "own",
        ),
        gives={"type": "object", "properties": {ballot: proposal}},
        must=(ballot,),
    )


DEBATER: Final = debater("decision", {})
ANSWERS: Final[Mapping[str, Validator]] = {
    "supervisor": Validator(SUPERVISOR.gives),
    "handoff": Validator(PEER.gives),
    "negotiate": Validator(NEGOTIATOR.gives),
}
"""Judges of what is answered, by the protocol."""
