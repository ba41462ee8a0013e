"""The life of an agent version as a table: status -> event -> status. An absent pair is illegal.

    draft ──submit──► in_review ──approve──► approved ──activate──► active ──deprecate──► deprecated
      ▲ ◄─return, withdraw─┘                     │  retire             ▲ ◄──activate──┘    │ retire
      └──discard──► retired                      ▼                                         ▼ retired
    approved, active, deprecated ──suspend──► suspended ──lift_to_*──► what it was

Each event's rule names the line of the permission table that it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from approvals.versions import EventRule, Lifecycle
from registry.models import AgentVersionStatus as Status


class AgentVersionEvent(StrEnum):
    """What can happen to an agent version."""

    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    RETURN = "return"
    APPROVE = "approve"
    ACTIVATE = "activate"
    DEPRECATE = "deprecate"
    RETIRE = "retire"
    DISCARD = "discard"
    SUSPEND = "suspend"
    LIFT_TO_APPROVED = "lift_to_approved"
    LIFT_TO_ACTIVE = "lift_to_active"
    LIFT_TO_DEPRECATED = "lift_to_deprecated"


Event = AgentVersionEvent

AGENT_VERSION_TRANSITIONS: Mapping[Status, Mapping[Event, Status]] = {
    Status.DRAFT: {Event.SUBMIT: Status.IN_REVIEW, Event.DISCARD: Status.RETIRED},
    Status.IN_REVIEW: {
        Event.APPROVE: Status.APPROVED,
        Event.RETURN: Status.DRAFT,
        Event.WITHDRAW: Status.DRAFT,
    },
    Status.APPROVED: {
        Event.ACTIVATE: Status.ACTIVE,
        Event.RETIRE: Status.RETIRED,
        Event.SUSPEND: Status.SUSPENDED,
    },
    Status.ACTIVE: {Event.DEPRECATE: Status.DEPRECATED, Event.SUSPEND: Status.SUSPENDED},
    Status.DEPRECATED: {
        Event.ACTIVATE: Status.ACTIVE,
        Event.RETIRE: Status.RETIRED,
        Event.SUSPEND: Status.SUSPENDED,
    },
    Status.SUSPENDED: {
        Event.LIFT_TO_APPROVED: Status.APPROVED,
        Event.LIFT_TO_ACTIVE: Status.ACTIVE,
        Event.LIFT_TO_DEPRECATED: Status.DEPRECATED,
        Event.RETIRE: Status.RETIRED,
    },
    Status.RETIRED: {},
}

LIFTS: Mapping[str, Event] = {
    Status.APPROVED: Event.LIFT_TO_APPROVED,
    Status.ACTIVE: Event.LIFT_TO_ACTIVE,
    Status.DEPRECATED: Event.LIFT_TO_DEPRECATED,
}
"""Which event lifts a suspension, by the status it interrupted."""


EVENT_RULES: Mapping[Event, EventRule] = {
    Event.SUBMIT: EventRule("agent.edit", "agent_version.submitted"),
    Event.WITHDRAW: EventRule("agent.edit", "agent_version.withdrawn"),
    Event.RETURN: EventRule("agent.approve", "agent_version.returned", needs_reason=True),
    Event.APPROVE: EventRule("agent.approve", "agent_version.approved"),
    Event.ACTIVATE: EventRule("agent.activate", "agent_version.activated"),
    Event.DEPRECATE: EventRule("agent.activate", "agent_version.deprecated"),
    Event.RETIRE: EventRule("agent.activate", "agent_version.retired", needs_reason=True),
    Event.DISCARD: EventRule("agent.edit", "agent_version.discarded"),
    Event.SUSPEND: EventRule("agent.suspend", "agent_version.suspended", needs_reason=True),
    Event.LIFT_TO_APPROVED: EventRule(
        "agent.suspend", "agent_version.reinstated", needs_reason=True
    ),
    Event.LIFT_TO_ACTIVE: EventRule("agent.suspend", "agent_version.reinstated", needs_reason=True),
    Event.LIFT_TO_DEPRECATED: EventRule(
        "agent.suspend", "agent_version.reinstated", needs_reason=True
    ),
}

REVIEWED = frozenset({Event.APPROVE, Event.RETURN})
"""Events that only a review causes: nobody approves but by deciding it."""

LIFECYCLE = Lifecycle(AGENT_VERSION_TRANSITIONS, EVENT_RULES)

CALLABLE = frozenset({Status.ACTIVE, Status.DEPRECATED})
"""Statuses in which a run that is pinned to the version may call it."""
STARTABLE = CALLABLE
"""Statuses that a version must have for a run to start with it (deprecated: where it is pinned)."""
TRIABLE = frozenset(Status) - {Status.SUSPENDED, Status.RETIRED}
"""Statuses in which somebody may try a version, alone or in a test run."""
PUBLISHABLE = frozenset({Status.ACTIVE})
"""Statuses that a version must have for a workflow version that names it to be published."""
