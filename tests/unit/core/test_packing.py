"""A state is kept short and comes back as it was; that it does for every state is a property."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from orchestrator.core.packing import (
    LINK_CODES,
    STEP_CODES,
    packed,
    packed_binding,
    unpacked,
    unpacked_binding,
)
from orchestrator.core.state import LinkStatus, RunState, RunStatus, StepRunState, StepStatus

BEGAN = datetime(2026, 11, 27, 12, 0, 0, 250_000, tzinfo=UTC)
STATE = RunState(
    run_id="run-1",
    status=RunStatus.WAITING,
    started_at=BEGAN,
    resumes=2,
    steps={
        "a": StepRunState(
            status=StepStatus.SUCCEEDED,
            attempt=1,
            port="next",
            started_at=BEGAN,
            ended_at=BEGAN + timedelta(seconds=2),
        ),
        "b": StepRunState(status=StepStatus.WAITING, waiting_for="review", reviews=1),
        "done": StepRunState(),
    },
    links={"a.next-b": LinkStatus.TAKEN, "b.approved-done": LinkStatus.OPEN},
)


def test_steps_and_links_are_short_and_the_rest_is_for_the_database_to_read():
    kept = packed(STATE)
    assert json.loads(kept["steps"]) == {
        "a": ["s", 1, "next", 0, 2_000_000],
        "b": ["w", None, None, None, None, {"waiting_for": "review", "reviews": 1}],
        "done": [],
    }
    assert json.loads(kept["links"]) == {"t": ["a.next-b"], "o": ["b.approved-done"]}
    assert kept["resumes"] == 2


def test_a_kept_state_comes_back_as_it_is_stored():
    assert unpacked(json.loads(json.dumps(packed(STATE)))) == STATE.stored()


def test_a_state_of_a_former_release_is_read_as_it_is():
    assert unpacked(STATE.stored()) == STATE.stored()
    assert unpacked({}) == {}


def test_every_status_has_a_code_of_its_own():
    assert set(STEP_CODES) == set(StepStatus)
    assert set(LINK_CODES) == set(LinkStatus)
    assert len(set(STEP_CODES.values())) == len(STEP_CODES)
    assert len(set(LINK_CODES.values())) == len(LINK_CODES)


BINDING = {
    "definition_sha256": "8ca2bfda5e7d19881192af7e6bb6cb30f7937c12e5b2150462cbb49615cbf40d",
    "workflow": "claims",
    "version": 3,
    "agents": {
        "light@1": {
            "id": "01a21d16-ae43-73a7-9a1f-586b3993f7fa",
            "sha256": "9fcd7dffc7d2cd6fc2b51ff48e442bc05ef67cc93327d3fb21adeee705090b80",
        },
        "known@2": {"id": "01a21d16-ae43-73a7-9a1f-586b3993f7fb", "sha256": "00", "more": 1},
    },
    "types": {"Money": 1},
    "parent": {"run": "01a21d16-ae43-73a7-9a1f-586b3993f7fc", "level": 1},
}


def test_a_binding_comes_back_as_it_was_and_is_shorter():
    kept = packed_binding(BINDING)
    assert unpacked_binding(json.loads(json.dumps(kept))) == BINDING
    assert len(kept) < len(json.dumps(BINDING)) * 0.7


def test_a_binding_of_a_former_release_is_read_as_it_is():
    assert unpacked_binding(BINDING) is BINDING
