"""Runs that have ended are looked over; what is seen is kept until a person dismisses it."""

from __future__ import annotations

import json

import pytest

from audit.models import AuditOutbox
from audit.sequencer import sequence_once
from orchestrator.access import Role
from orchestrator.core.errors import InvalidInputError, NotFoundError, PermissionDeniedError
from orchestrator.runs import services, usual, watch
from orchestrator.runs.models import Observation
from orchestrator.runs.walker import walk
from orchestrator.runs.watch import (
    Watch,
    dismiss_observation,
    figures_of_ended_runs,
    list_observations,
)
from tests.integration.runs.world import (
    agent,
    decide,
    definition,
    gate,
    invariants,
    now,
    status_of,
)

NOT_YET = {"type": "not_found", "reason_code": "not_good", "reason": "Not good enough."}
GOOD = {"type": "value", "output": {"label": "judge", "text": "good"}}


def looked(by=None):
    sequence_once(now())
    return (by or Watch()).look_over(now())


@pytest.fixture
def circling(world):
    """A workflow whose critic sends the writer round."""
    steps = {"write": agent("write"), "judge": agent("judge")}
    links = ["start.next-write", "write.next-judge", "judge.next-done", "judge.not_found-write ^9"]
    looked()  # what was before is not looked at
    return world.publish(definition(steps, links))


def walked(world, slug, **more):
    run = world.start(slug, **more)
    walk(run.id)
    return run


def test_what_a_run_does_is_raised_once_counted_up_and_audited(world, doorbells, fakes, circling):
    fakes.script("judge", NOT_YET, NOT_YET, NOT_YET, GOOD)
    first = walked(world, circling)
    assert looked() == 1
    (row,) = list_observations(world.operator)
    assert (row.kind, row.step, row.times, row.run_id) == ("circles", "write", 1, first.id)
    assert looked() == 0, "nothing has ended since"
    fakes.forget()
    fakes.script("judge", NOT_YET, NOT_YET, GOOD)
    second = walked(world, circling)
    assert looked() == 1
    (row,) = list_observations(world.operator)
    assert (row.times, row.run_id) == (2, second.id)
    assert row.text == "The loop Judge → Write went round 2 times with the same answers."
    entry = AuditOutbox.objects.get(action="observation.raised")
    said = json.loads(bytes(entry.envelope))["decision"]
    assert (said["outcome"], said["step"]) == ("circles", "write")
    assert invariants() == {}


def test_a_person_dismisses_it_with_a_reason_and_it_returns_when_it_is_seen_again(
    world, doorbells, fakes, circling
):
    fakes.script("judge", NOT_YET, NOT_YET, NOT_YET, GOOD)
    walked(world, circling)
    looked()
    row = Observation.objects.get()

    def dismiss(actor, reason="The critic is known."):
        return dismiss_observation(observation_id=row.id, reason=reason, actor=actor, now=now())

    with pytest.raises(PermissionDeniedError):
        dismiss(world.reviewer)
    with pytest.raises(InvalidInputError):
        dismiss(world.operator, reason=" ")
    assert dismiss(world.operator).dismissed_at is not None
    dismiss(world.operator)
    assert AuditOutbox.objects.filter(action="observation.dismissed").count() == 1
    assert not list_observations(world.operator).exists()
    fakes.forget()
    fakes.script("judge", NOT_YET, NOT_YET, NOT_YET, GOOD)
    walked(world, circling)
    looked()
    assert list_observations(world.operator).get().times == 1


def test_test_runs_and_runs_that_behave_raise_nothing(world, doorbells, fakes, circling):
    fakes.script("judge", NOT_YET, NOT_YET, NOT_YET, GOOD)
    tried = services.start_run(
        workflow_slug=circling, input={"text": "hi"}, mode="test", actor=world.owner, now=now()
    )
    walk(tried.id)
    assert looked() == 0
    fakes.forget()
    walked(world, circling)
    assert looked() == 1
    assert not Observation.objects.exists()


def test_a_long_run_is_seen_while_it_goes_on_and_counts_once(world, doorbells, fakes, monkeypatch):
    monkeypatch.setattr(watch, "LONG_RUN", 8)
    steps = {"write": agent("write"), "judge": agent("judge"), "ask": gate()}
    links = [
        *("start.next-write", "write.next-judge", "judge.next-ask", "judge.not_found-write ^9"),
        *("ask.approved-done", "ask.rejected-done", "ask.expired-done"),
    ]
    looked()
    fakes.script("judge", NOT_YET, NOT_YET, NOT_YET, GOOD)
    run = walked(world, definition(steps, links))
    assert status_of(run) == "waiting"
    watching = Watch()
    for seen in (1, 0):
        assert looked(watching) == seen, "again only when it has come further"
    for _ in range(2):
        assert looked() == 1
        (row,) = list_observations(world.operator)
        assert (row.kind, row.times, row.run_id) == ("circles", 1, run.id)
    decide(world, run)
    walk(run.id)
    looked()
    assert list_observations(world.operator).get().times == 1


def test_a_run_beside_those_before_it_goes_an_unusual_way(
    world, doorbells, fakes, circling, monkeypatch
):
    monkeypatch.setattr(usual, "KNOWN_RUNS", 3)
    for _ in range(3):
        walked(world, circling)
    looked()
    assert not Observation.objects.exists()
    fakes.forget()
    fakes.script("judge", NOT_YET, GOOD)
    last = walked(world, circling)
    looked()
    (row,) = list_observations(world.operator)
    assert (row.kind, row.step, row.run_id) == ("unusual_route", "judge", last.id)
    assert row.text == "The run went a way that none of the 3 before went: Judge (not found)."
    newest, *before = figures_of_ended_runs(last.workflow_id)
    assert (newest.run_id, newest.calls, len(before)) == (last.id, 4, 3)
    assert {one.calls for one in before} == {2}


def test_another_workspace_does_not_see_it(world, doorbells, fakes, circling):
    from orchestrator.access import SYSTEM
    from orchestrator.accounts import services as accounts

    fakes.script("judge", NOT_YET, NOT_YET, NOT_YET, GOOD)
    walked(world, circling)
    looked()
    elsewhere = accounts.create_workspace(
        slug="elsewhere", name="Elsewhere", actor=SYSTEM, now=now()
    )
    stranger = world.actor("stranger", Role.OPERATOR, workspace=elsewhere)
    assert not list_observations(stranger).exists()
    with pytest.raises(NotFoundError):
        dismiss_observation(
            observation_id=Observation.objects.get().id, reason="x", actor=stranger, now=now()
        )
