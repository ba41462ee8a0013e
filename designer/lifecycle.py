"""The life of a workflow version as a table: status -> event -> status. An absent pair is illegal.

    draft ──submit──► in_review ──approve──► approved ──publish──► active ──deprecate──► deprecated
      ▲ ◄──return──┘                          │                     ▲ ◄──publish──────────┘ │
      └──install (by the system only)──► active                                             │
    approved, deprecated ──retire──► retired; publishing another version deprecates the active one

Who may cause an event is `EVENT_RULES`, which names the action of the permission table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from designer.models import WorkflowVersionStatus as Status
from orchestrator.core.errors import IllegalTransitionError


class WorkflowVersionEvent(StrEnum):
    """What can happen to a workflow version."""

    SUBMIT = "submit"
    RETURN = "return"
    APPROVE = "approve"
    INSTALL = "install"
    PUBLISH = "publish"
    DEPRECATE = "deprecate"
    RETIRE = "retire"


Event = WorkflowVersionEvent

WORKFLOW_VERSION_TRANSITIONS: Mapping[Status, Mapping[Event, Status]] = {
    Status.DRAFT: {Event.SUBMIT: Status.IN_REVIEW, Event.INSTALL: Status.ACTIVE},
    Status.IN_REVIEW: {Event.APPROVE: Status.APPROVED, Event.RETURN: Status.DRAFT},
    Status.APPROVED: {Event.PUBLISH: Status.ACTIVE, Event.RETIRE: Status.RETIRED},
    Status.ACTIVE: {Event.DEPRECATE: Status.DEPRECATED},
    Status.DEPRECATED: {Event.PUBLISH: Status.ACTIVE, Event.RETIRE: Status.RETIRED},
    Status.RETIRED: {},
}


@dataclass(frozen=True, slots=True)
class EventRule:
    """`permission` is the action of `access`, `action` the audit action."""

    permission: str
    action: str
    needs_reason: bool = False


EVENT_RULES: Mapping[Event, EventRule] = {
    Event.SUBMIT: EventRule("workflow.edit", "workflow_version.submitted"),
    Event.RETURN: EventRule("workflow.sign_off", "workflow_version.returned", needs_reason=True),
    Event.APPROVE: EventRule("workflow.sign_off", "workflow_version.approved"),
    Event.INSTALL: EventRule("workflow.publish", "workflow_version.published"),
    Event.PUBLISH: EventRule("workflow.publish", "workflow_version.published"),
    Event.DEPRECATE: EventRule("workflow.publish", "workflow_version.deprecated"),
    Event.RETIRE: EventRule("workflow.publish", "workflow_version.retired", needs_reason=True),
}


def next_status(status: str, event: Event) -> Status:
    """The status after the event.

    Raises:
        IllegalTransitionError: the table has no such pair.
    """
    try:
        return WORKFLOW_VERSION_TRANSITIONS[Status(status)][event]
    except KeyError:
        raise IllegalTransitionError(status, event) from None
