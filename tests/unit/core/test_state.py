"""The lifecycle tables: every pair of status and event is either listed or refused."""

from __future__ import annotations

import pytest

from orchestrator.core.errors import IllegalTransitionError
from orchestrator.core.state import (
    ATTEMPT_TRANSITIONS,
    LINK_TRANSITIONS,
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
    AttemptStatus,
    LinkStatus,
    RunStatus,
    StepStatus,
    next_status,
)

TABLES = {
    "step": (STEP_TRANSITIONS, StepStatus),
    "run": (RUN_TRANSITIONS, RunStatus),
    "attempt": (ATTEMPT_TRANSITIONS, AttemptStatus),
    "link": (LINK_TRANSITIONS, LinkStatus),
}


def pairs():
    for name, (table, statuses) in TABLES.items():
        events = sorted({event for row in table.values() for event in row})
        for status in statuses:
            for event in events:
                yield pytest.param(table, status, event, id=f"{name}-{status.value}-{event}")


@pytest.mark.parametrize(("table", "status", "event"), list(pairs()))
def test_every_pair_is_listed_or_refused(table, status, event):
    if event in table[status]:
        assert next_status(table, status, event) is table[status][event]
    else:
        with pytest.raises(IllegalTransitionError) as caught:
            next_status(table, status, event)
        assert caught.value.detail == {"status": status.value, "event": event}


@pytest.mark.parametrize("name", TABLES)
def test_every_status_has_a_row(name):
    table, statuses = TABLES[name]
    assert set(table) == set(statuses)


@pytest.mark.parametrize("name", TABLES)
def test_every_status_can_be_reached(name):
    table, statuses = TABLES[name]
    reached = {next(iter(statuses))} | {status for row in table.values() for status in row.values()}
    assert set(statuses) - reached == set()


def test_a_run_that_has_ended_is_only_resumed_or_rolled_back():
    assert set(RUN_TRANSITIONS[RunStatus.SUCCEEDED]) == {"rollback_begun"}
    assert set(RUN_TRANSITIONS[RunStatus.CANCELLED]) == {"rollback_begun"}
    assert set(RUN_TRANSITIONS[RunStatus.FAILED]) == {"run_resumed", "rollback_begun"}
    assert not RUN_TRANSITIONS[RunStatus.ROLLED_BACK]
