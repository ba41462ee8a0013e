"""The lifecycles of what people sign off: every pair of status and event."""

from __future__ import annotations

from itertools import product

import pytest

from approvals.lifecycle import SIGN_OFF_LIFECYCLE, SignOffEvent
from approvals.models import SignOffStatus
from designer.lifecycle import LIFECYCLE as WORKFLOW
from designer.lifecycle import WorkflowVersionEvent
from designer.models import WorkflowVersionStatus
from orchestrator.access import ACTIONS
from orchestrator.core.errors import IllegalTransitionError
from registry.lifecycle import LIFECYCLE as AGENT
from registry.lifecycle import AgentVersionEvent
from registry.models import AgentVersionStatus

LIVES = {
    "workflow": (WORKFLOW, WorkflowVersionStatus, WorkflowVersionEvent),
    "agent": (AGENT, AgentVersionStatus, AgentVersionEvent),
    "sign-off": (SIGN_OFF_LIFECYCLE, SignOffStatus, SignOffEvent),
}


@pytest.mark.parametrize("name", LIVES)
def test_each_pair_of_status_and_event_leads_on_or_is_refused(name):
    lifecycle, statuses, events = LIVES[name]
    assert set(lifecycle.transitions) == set(statuses)
    for status, event in product(statuses, events):
        expected = lifecycle.transitions[status].get(event)
        assert lifecycle.allows(status.value, event) == (expected is not None)
        if expected is None:
            with pytest.raises(IllegalTransitionError):
                lifecycle.next_status(status.value, event)
        else:
            assert lifecycle.next_status(status.value, event) == expected


@pytest.mark.parametrize("name", ["workflow", "agent"])
def test_every_event_has_a_rule_that_names_a_line_of_the_permission_table(name):
    lifecycle, _, events = LIVES[name]
    assert set(lifecycle.rules) == set(events)
    assert {rule.permission for rule in lifecycle.rules.values()} <= set(ACTIONS)


def test_a_void_or_returned_sign_off_never_comes_to_stand_again():
    for status in (SignOffStatus.VOID, SignOffStatus.RETURNED):
        assert SIGN_OFF_LIFECYCLE.transitions[status] == {}
