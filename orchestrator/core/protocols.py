"""The ways in which a team talks, by protocol: who plays what, what is said next, what ends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from orchestrator.core import auctions, debates, delegation, negotiation, relays
from orchestrator.core.definition import (
    AgentRef,
    Auction,
    Debate,
    Negotiation,
    Relay,
    Supervised,
    TeamStep,
)
from orchestrator.core.json import JsonObject
from orchestrator.core.results import Failed
from orchestrator.core.roles import BIDDER, NEGOTIATOR, PEER, SUPERVISOR, Role, debater
from orchestrator.core.talking import Move, Said


def next_move(step: TeamStep, task: JsonObject, said: Sequence[Said]) -> Move:
    """What the team does when all calls so far have ended; `task` is the team's input."""
    match step.protocol:
        case Supervised() as protocol:
            return delegation.next_move(step, protocol, task, said)
        case Auction() as protocol:
            return auctions.next_move(step, protocol, task, said)
        case Relay() as protocol:
            return relays.next_move(step, protocol, task, said)
        case Debate() as protocol:
            return debates.next_move(step, protocol, task, said)
        case Negotiation() as protocol:
            return negotiation.next_move(step, protocol, task, said)
        case None:
            raise AssertionError("a team that votes does not talk")
        case _:
            assert_never(step.protocol)


def failed_for_good(step: TeamStep, one: Said) -> Failed | None:
    """The end of the step when this answer leaves nothing to wait for, though others are open."""
    match step.protocol:
        case Supervised() as protocol:
            return delegation.failed_for_good(step, protocol, one)
        case Relay():
            return relays.failed_for_good(step, one)
        case Negotiation():
            return negotiation.failed_for_good(step, one)
        case _:
            return None


def places_of(step: TeamStep) -> int:
    """How many calls of the team may be under way at once."""
    if isinstance(step.protocol, Supervised):
        return step.protocol.max_parallel
    return len(step.members)


def roles_of(step: TeamStep, proposal: JsonObject) -> Iterator[tuple[str, AgentRef, Role]]:
    """Who plays a role with messages of its own: the place in the step, the agent, the role.

    `proposal` is the schema of what is proposed in a debate.
    """
    role: Role
    match step.protocol:
        case Supervised(lead=lead):
            yield "protocol.lead", lead, SUPERVISOR
            return
        case Auction():
            role = BIDDER
        case Relay():
            role = PEER
        case Negotiation():
            role = NEGOTIATOR
        case _:
            role = debater(step.ballot, proposal)
    for index, one in enumerate(step.members):
        yield f"members.{index}", one.uses, role
