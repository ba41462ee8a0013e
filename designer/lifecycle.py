"""The life of a workflow version as a table: status -> event -> status. An absent pair is illegal.

    draft ──submit──► in_review ──approve──► approved ──publish──► active ──deprecate──► deprecated
      ▲ ◄─return, withdraw─┘                                        ▲ ◄──publish──────────┘
      └──discard──► retired
    approved, deprecated ──retire──► retired; publishing another version deprecates the active one

Each event's rule names the line of the permission table that it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from approvals.versions import EventRule, Lifecycle
from designer.models import WorkflowVersionStatus as Status


class WorkflowVersionEvent(StrEnum):
    """What can happen to a workflow version."""

    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    RETURN = "return"
    APPROVE = "approve"
    PUBLISH = "publish"
    DEPRECATE = "deprecate"
    RETIRE = "retire"
    DISCARD = "discard"


Event = WorkflowVersionEvent

WORKFLOW_VERSION_TRANSITIONS: Mapping[Status, Mapping[Event, Status]] = {
    Status.DRAFT: {Event.SUBMIT: Status.IN_REVIEW, Event.DISCARD: Status.RETIRED},
    Status.IN_REVIEW: {
        Event.APPROVE: Status.APPROVED,
        Event.RETURN: Status.DRAFT,
        Event.WITHDRAW: Status.DRAFT,
    },
    Status.APPROVED: {Event.PUBLISH: Status.ACTIVE, Event.RETIRE: Status.RETIRED},
    Status.ACTIVE: {Event.DEPRECATE: Status.DEPRECATED},
    Status.DEPRECATED: {Event.PUBLISH: Status.ACTIVE, Event.RETIRE: Status.RETIRED},
    Status.RETIRED: {},
}

EVENT_RULES: Mapping[Event, EventRule] = {
    Event.SUBMIT: EventRule("workflow.edit", "workflow_version.submitted"),
    Event.WITHDRAW: EventRule("workflow.edit", "workflow_version.withdrawn"),
    Event.RETURN: EventRule("workflow.sign_off", "workflow_version.returned", needs_reason=True),
    Event.APPROVE: EventRule("workflow.sign_off", "workflow_version.approved"),
    Event.PUBLISH: EventRule("workflow.publish", "workflow_version.published"),
    Event.DEPRECATE: EventRule("workflow.publish", "workflow_version.deprecated"),
    Event.RETIRE: EventRule("workflow.publish", "workflow_version.retired", needs_reason=True),
    Event.DISCARD: EventRule("workflow.publish", "workflow_version.discarded"),
}

REVIEWED = frozenset({Event.APPROVE, Event.RETURN})
"""Events that only a review causes: nobody signs off but by deciding it."""

LIFECYCLE = Lifecycle(WORKFLOW_VERSION_TRANSITIONS, EVENT_RULES)
