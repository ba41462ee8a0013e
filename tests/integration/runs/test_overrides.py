"""An operator gives a result in an agent's place, on both databases."""

import json

import pytest

from approvals.models import ReviewTask
from audit.models import AuditOutbox
from orchestrator.access import SYSTEM
from orchestrator.core.errors import InvalidInputError, PermissionDeniedError
from orchestrator.runs import services
from orchestrator.runs.models import StepRun, Timer
from orchestrator.runs.selectors import run_snapshot
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    agent,
    chain,
    decide,
    definition,
    invariants,
    now,
    review_of,
    status_of,
    stored_and_replayed,
)

FATAL = {
    "type": "failed",
    "kind": "unavailable",
    "reason_code": "down",
    "reason": "The service is down.",
    "retryable": False,
}
MINE = {"label": "a", "text": "by hand"}


def override(world, run, step="a", output=None, actor=None):
    services.override_result(
        run_id=run.id,
        step=step,
        output=MINE if output is None else output,
        reason="Read it on the telephone.",
        actor=actor or world.operator,
        now=now(),
    )


def envelopes(run, action):
    rows = AuditOutbox.objects.filter(run_id=run.id, action=action).order_by("id")
    return [json.loads(bytes(row.envelope)) for row in rows]


def test_a_result_given_on_the_runs_page_withdraws_the_question_and_the_run_goes_on(
    world, doorbells, fakes
):
    fakes.script("a", FATAL)
    steps = {
        "a": agent("a"),
        "b": agent("b", input={"label": "'b'", "text": "steps.a.output.text"}),
    }
    run = world.start(definition(steps, ["start.next-a", "a.next-b", "b.next-done"]))
    walk(run.id)
    task = review_of(run, "exception")
    override(world, run)
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert fakes.calls("b")[0]["text"] == "by hand"
    task.refresh_from_db()
    assert (task.status, task.closed_because) == (
        "withdrawn",
        "Somebody gave the result on the run's page.",
    )
    assert invariants() == {}
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed


def test_what_the_agent_answered_stays_beside_what_the_person_gave_and_the_log_names_both(
    world, doorbells, fakes
):
    fakes.script("a", FATAL)
    run = world.start(chain("a"))
    walk(run.id)
    override(world, run)
    walk(run.id)
    rows = StepRun.objects.filter(run=run, step="a").order_by("iteration")
    assert [(row.iteration, row.status, row.result_tag, row.attempt) for row in rows] == [
        (1, "failed", "failed", 1),
        (2, "succeeded", "value", 0),
    ]
    (asked,) = envelopes(run, "step.overridden")
    assert asked["actor"]["id"] == world.operator.id
    assert asked["subject"]["id"] == f"{run.id}/a/2"
    ended = [one for one in envelopes(run, "step.completed") if one["step"] == "a"]
    assert ended[0]["actor"] == {"kind": "user", "id": world.operator.id}
    assert ended[0]["decision"]["in_place_of"]["slug"] == "scripted"
    assert ended[0]["decision"]["basis"][0]["row"] == "given"
    shown = run_snapshot(run.id)["steps"]["a"]
    assert (shown["given_by"], shown["output"]) == (world.operator.id, MINE)


def test_a_result_given_during_the_pause_before_a_retry_drops_the_timer(world, doorbells, fakes):
    fakes.script("a", {**FATAL, "retryable": True})
    run = world.start(chain("a"))
    walk(run.id)
    assert Timer.objects.filter(run=run, purpose="retry").exists()
    override(world, run)
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert len(fakes.calls("a")) == 1
    assert not Timer.objects.filter(run=run).exists()


def test_a_failed_run_goes_on_from_a_given_result(world, doorbells, fakes):
    fakes.script("b", FATAL)
    run = world.start(chain("a", "b", "c"))
    walk(run.id)
    decide(world, run, "chosen", choice="end", kind="exception")
    walk(run.id)
    assert status_of(run) == "failed"
    override(world, run, "b", {"label": "b", "text": "by hand"})
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert [len(fakes.calls(one)) for one in "abc"] == [1, 1, 1]
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_the_third_choice_of_an_exception_gives_the_result_and_is_judged_by_the_contract(
    world, doorbells, fakes
):
    fakes.script("a", FATAL)
    run = world.start(chain("a"))
    walk(run.id)
    shown = json.loads(bytes(review_of(run, "exception").evidence))
    assert shown["decision"]["choices"] == ["retry", "end", "give"]
    assert shown["result_contract"]["required"] == ["label", "text"]
    with pytest.raises(InvalidInputError) as caught:
        decide(world, run, "chosen", choice="give", kind="exception", output={"label": "a"})
    assert caught.value.detail["violations"][0]["rule"] == "required"
    decide(world, run, "chosen", choice="give", kind="exception", output=MINE)
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert run_snapshot(run.id)["steps"]["a"]["given_by"] == world.operator.id
    assert ReviewTask.objects.get(run_id=run.id).status == "decided"


def test_a_result_is_refused_where_it_does_not_fit_or_nobody_waits_or_no_person_gives_it(
    world, doorbells, fakes
):
    fakes.script("a", FATAL)
    run = world.start(chain("a", "b"))
    walk(run.id)
    with pytest.raises(InvalidInputError) as broken:
        override(world, run, output={"label": "a"})
    assert broken.value.detail["violations"]
    with pytest.raises(services.StepNotOverridableError) as nowhere:
        override(world, run, "b")
    assert nowhere.value.detail == {"step": "b", "steps": ["a"]}
    with pytest.raises(PermissionDeniedError):
        override(world, run, actor=world.owner)
    with pytest.raises(PermissionDeniedError):
        override(world, run, actor=SYSTEM)
    assert AuditOutbox.objects.filter(action="step.overridden").count() == 0
