"""A state is kept short and comes back as it was; that it does for every state is a property."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from orchestrator.core.packing import LINK_CODES, STEP_CODES, packed, unpacked
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
