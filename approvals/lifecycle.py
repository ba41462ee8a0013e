"""The life of a review task as a table: status -> event -> status; an absent pair is illegal.

    open ──claim──► claimed ──decide──► decided (final once its decision took effect)
      ▲  ◄─release──┘   ▲                  │
      └──hand_over      └──────undo────────┘
    open, claimed ──expire──► expired
    open, claimed, decided (while not in effect) ──withdraw──► withdrawn

Who may cause an event is not in the table: `services` asks `access` and the task's assignment.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from approvals.models import ReviewStatus, SignOffStatus
from approvals.versions import Lifecycle
from orchestrator.core.errors import IllegalTransitionError


class ReviewEvent(StrEnum):
    """What can happen to a review task."""

    CLAIM = "claim"
    RELEASE = "release"
    HAND_OVER = "hand_over"
    DECIDE = "decide"
    UNDO = "undo"
    EXPIRE = "expire"
    WITHDRAW = "withdraw"


REVIEW_TRANSITIONS: Mapping[ReviewStatus, Mapping[ReviewEvent, ReviewStatus]] = {
    ReviewStatus.OPEN: {
        ReviewEvent.CLAIM: ReviewStatus.CLAIMED,
        ReviewEvent.HAND_OVER: ReviewStatus.OPEN,
        ReviewEvent.DECIDE: ReviewStatus.DECIDED,
        ReviewEvent.EXPIRE: ReviewStatus.EXPIRED,
        ReviewEvent.WITHDRAW: ReviewStatus.WITHDRAWN,
    },
    ReviewStatus.CLAIMED: {
        ReviewEvent.RELEASE: ReviewStatus.OPEN,
        ReviewEvent.HAND_OVER: ReviewStatus.OPEN,
        ReviewEvent.DECIDE: ReviewStatus.DECIDED,
        ReviewEvent.EXPIRE: ReviewStatus.EXPIRED,
        ReviewEvent.WITHDRAW: ReviewStatus.WITHDRAWN,
    },
    ReviewStatus.DECIDED: {
        ReviewEvent.UNDO: ReviewStatus.CLAIMED,
        ReviewEvent.WITHDRAW: ReviewStatus.WITHDRAWN,
    },
    ReviewStatus.EXPIRED: {},
    ReviewStatus.WITHDRAWN: {},
}

LIVE_STATUSES = (ReviewStatus.OPEN, ReviewStatus.CLAIMED)


def next_status(status: str, event: ReviewEvent) -> ReviewStatus:
    """The status after the event.

    Raises:
        IllegalTransitionError: the table has no such pair.
    """
    try:
        return REVIEW_TRANSITIONS[ReviewStatus(status)][event]
    except KeyError:
        raise IllegalTransitionError(status, event) from None


def statuses_allowing(event: ReviewEvent) -> tuple[ReviewStatus, ...]:
    """The statuses in which the event is possible: the guard of its update."""
    return tuple(status for status, events in REVIEW_TRANSITIONS.items() if event in events)


class SignOffEvent(StrEnum):
    """What can happen to a sign-off: it is `void` for good when something it binds has changed."""

    SIGN = "sign"
    RETURN = "return"
    VOID = "void"


SIGN_OFF_TRANSITIONS: Mapping[SignOffStatus, Mapping[SignOffEvent, SignOffStatus]] = {
    SignOffStatus.OPEN: {
        SignOffEvent.SIGN: SignOffStatus.SIGNED,
        SignOffEvent.RETURN: SignOffStatus.RETURNED,
        SignOffEvent.VOID: SignOffStatus.VOID,
    },
    SignOffStatus.SIGNED: {SignOffEvent.VOID: SignOffStatus.VOID},
    SignOffStatus.RETURNED: {},
    SignOffStatus.VOID: {},
}
SIGN_OFF_LIFECYCLE = Lifecycle(SIGN_OFF_TRANSITIONS)

STANDING = (SignOffStatus.OPEN, SignOffStatus.SIGNED)
"""Statuses in which a sign-off holds, or may come to hold; a subject has at most one of these."""
