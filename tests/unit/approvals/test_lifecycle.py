"""Every pair of status and event of a review task."""

import pytest

from approvals.lifecycle import (
    LIVE_STATUSES,
    REVIEW_TRANSITIONS,
    ReviewEvent,
    next_status,
    statuses_allowing,
)
from approvals.models import ReviewStatus
from orchestrator.core.errors import IllegalTransitionError

LEGAL = {
    ("open", "claim"): "claimed",
    ("open", "hand_over"): "open",
    ("open", "decide"): "decided",
    ("open", "expire"): "expired",
    ("open", "withdraw"): "withdrawn",
    ("claimed", "release"): "open",
    ("claimed", "hand_over"): "open",
    ("claimed", "decide"): "decided",
    ("claimed", "expire"): "expired",
    ("claimed", "withdraw"): "withdrawn",
    ("decided", "undo"): "claimed",
    ("decided", "withdraw"): "withdrawn",
}


@pytest.mark.parametrize("status", list(ReviewStatus))
@pytest.mark.parametrize("event", list(ReviewEvent))
def test_each_pair_of_status_and_event_is_either_in_the_table_or_refused(status, event):
    expected = LEGAL.get((status.value, event.value))
    if expected is None:
        with pytest.raises(IllegalTransitionError):
            next_status(status, event)
    else:
        assert next_status(status, event) == expected


def test_every_status_has_a_row_and_no_unknown_status_is_reached():
    assert set(REVIEW_TRANSITIONS) == set(ReviewStatus)
    reached = {to for events in REVIEW_TRANSITIONS.values() for to in events.values()}
    assert reached <= set(ReviewStatus)


def test_only_a_live_task_can_be_decided():
    assert set(statuses_allowing(ReviewEvent.DECIDE)) == set(LIVE_STATUSES)
