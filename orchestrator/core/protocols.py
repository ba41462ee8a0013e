"""The ways in which a team talks, by protocol: who plays what, what is said next, what ends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from orchestrator.core import delegation
from orchestrator.core.definition import AgentRef, Supervised, TeamStep
from orchestrator.core.json import JsonObject
from orchestrator.core.results import Failed
from orchestrator.core.roles import SUPERVISOR, Role
from orchestrator.core.talking import Move, Said


def next_move(step: TeamStep, goal: JsonObject, said: Sequence[Said]) -> Move:
    """What the team does when all calls so far have ended; `goal` is the team's input."""
    match step.protocol:
        case Supervised() as protocol:
            return delegation.next_move(step, protocol, goal, said)
        case None:
            raise AssertionError("a team that votes does not talk")
        case _:
            assert_never(step.protocol)


def failed_for_good(step: TeamStep, one: Said) -> Failed | None:
    """The end of the step when this answer leaves nothing to wait for, though others are open."""
    match step.protocol:
        case Supervised() as protocol:
            return delegation.failed_for_good(step, protocol, one)
        case _:
            return None


def places_of(step: TeamStep) -> int:
    """How many calls of the team may be under way at once."""
    if isinstance(step.protocol, Supervised):
        return step.protocol.max_parallel
    return len(step.members)


def roles_of(step: TeamStep) -> Iterator[tuple[str, AgentRef, Role]]:
    """Who plays a role with messages of its own: the place in the step, the agent, the role."""
    if isinstance(step.protocol, Supervised):
        yield "protocol.lead", step.protocol.lead, SUPERVISOR
