"""Whole runs, walked in this process: what a run does, on both databases."""

import json
import threading
import time
from contextlib import suppress

import pytest
from django.db import connections

from approvals.models import ReviewTask
from audit.models import AuditOutbox
from orchestrator.core.errors import (
    ConflictError,
    IllegalTransitionError,
    InvalidInputError,
    PermissionDeniedError,
)
from orchestrator.runs import selectors, services, walker
from orchestrator.runs.models import (
    Attempt,
    Handoff,
    InboxEvent,
    Run,
    RunDetail,
    RunEvent,
    StepRun,
    Timer,
)
from orchestrator.runs.sweeper import Sweeper, fire_due_timers
from orchestrator.runs.walker import walk
from registry import services as registry
from tests.integration.runs.world import (
    agent,
    chain,
    decide,
    definition,
    fan,
    invariants,
    now,
    review_of,
    status_of,
    steps_of,
    stored_and_replayed,
    wait_for,
    with_gate,
)

FAILED = {
    "type": "failed",
    "kind": "unavailable",
    "reason_code": "down",
    "reason": "The service is down.",
}
FATAL = {**FAILED, "retryable": False}


def answer(label, text="hello"):
    return {"type": "value", "output": {"label": label, "text": text}}


def log_of(fakes):
    return [json.loads(line) for line in (fakes.folder() / "calls.jsonl").read_text().splitlines()]


def actions_of(run):
    rows = AuditOutbox.objects.filter(run_id=run.id).order_by("id")
    return [row.action for row in rows]


# ---- going on ------------------------------------------------------------------------------------


def test_a_chain_of_agents_is_walked_to_its_end_in_one_go(world, doorbells, fakes):
    run = world.start(chain("a", "b", "c"))
    assert run.status == "pending"
    assert doorbells == [run.id]
    assert walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.outcome, run.owner, run.rung_at) == ("succeeded", "done", None, None)
    assert steps_of(run) == dict.fromkeys(("start", "a", "b", "c", "done"), "succeeded")
    assert [one["label"] for one in fakes.calls()] == ["a", "b", "c"]
    assert RunDetail.objects.get(run=run).result == {"text": "hello"}
    assert list(run.events.order_by("seq").values_list("seq", flat=True)) == [1, 2, 3, 4]
    assert run.seq == 4
    assert run.title == "hello"
    assert not Timer.objects.filter(run=run).exists()
    assert set(Attempt.objects.values_list("status", flat=True)) == {"succeeded"}
    assert Handoff.objects.filter(run=run).count() == 4
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_branches_run_side_by_side_and_join(world, doorbells, fakes):
    for label in "abc":
        fakes.script(label, seconds=0.3)
    run = world.start(fan("a", "b", "c"))
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert [one["what"] for one in log_of(fakes)][:3] == ["begin"] * 3
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed


def test_after_its_time_slice_a_run_goes_back_to_the_queue(world, doorbells, fakes, monkeypatch):
    monkeypatch.setattr(walker, "SLICE_SECONDS", 0.0)
    run = world.start(chain("a", "b"))
    doorbells.clear()
    walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.owner) == ("running", None)
    assert doorbells == [run.id]
    planned = Attempt.objects.get(run=run, step="b")
    assert (planned.status, planned.owner) == ("leased", None)
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert len(fakes.calls()) == 2
    assert not RunEvent.objects.filter(run=run, type="attempt_lost").exists()


def test_a_failure_is_tried_again_when_its_timer_is_due(world, doorbells, fakes):
    fakes.script("a", FAILED, answer("a"))
    run = world.start(chain("a"))
    walk(run.id)
    assert status_of(run) == "waiting"
    assert Timer.objects.filter(run=run, purpose="retry").count() == 1
    assert invariants() == {}
    wait_for(lambda: fire_due_timers(now()))
    walk(run.id)
    assert status_of(run) == "succeeded"
    tries = list(Attempt.objects.filter(run=run).order_by("number").values_list("status", "reason"))
    assert tries == [("failed", "The service is down."), ("succeeded", "")]
    assert len(set(Attempt.objects.values_list("idempotency_key", flat=True))) == 1
    assert "step.retry_planned" in actions_of(run)
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed


def test_a_call_past_its_deadline_fails_as_timeout(world, doorbells, fakes):
    fakes.script("a", seconds=90)
    run = world.start(chain("a", timeout={"attempt_seconds": 0.2}, retry={"max_attempts": 1}))
    walk(run.id)
    assert not fakes.calls("a", "end")
    assert Attempt.objects.get(run=run).status == "timed_out"


# ---- people ----------------------------------------------------------------------------------------


def test_a_gate_parks_the_run_and_the_decision_lets_it_go_on(world, doorbells, fakes):
    run = world.start(with_gate())
    walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.owner) == ("waiting", None)
    task = review_of(run)
    evidence = json.loads(bytes(task.evidence))
    assert evidence["effects"]["approved"] == "Goes on to “B”."
    assert evidence["effects"]["rejected"] == "Ends the run: Done."
    assert [one["step"] for one in evidence["path"]] == ["a"]
    assert evidence["decision"]["choices"] == ["approved", "edited", "rejected"]
    assert invariants() == {}
    doorbells.clear()
    decide(world, run, "edited", output={"text": "changed"})
    assert doorbells == [run.id]
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert StepRun.objects.get(run=run, step="approve").output == {"text": "changed"}
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_nobody_decides_about_a_run_that_he_started(world, doorbells):
    starter = world.actor("both", "reviewer", "operator")
    slug = world.publish(with_gate())
    run = services.start_run(workflow_slug=slug, input={"text": "x"}, actor=starter, now=now())
    walk(run.id)
    with pytest.raises(PermissionDeniedError):
        decide(world, run, actor=starter)


def test_a_review_that_nobody_decides_expires(world, doorbells):
    run = world.start(with_gate())
    walk(run.id)
    Timer.objects.filter(run=run, purpose="review_due").update(due_at=now())
    fire_due_timers(now())
    walk(run.id)
    assert steps_of(run)["refused"] == "succeeded"
    assert ReviewTask.objects.get(run_id=run.id).status == "expired"


def test_a_result_without_a_way_on_asks_an_operator_who_lets_it_run_again(world, doorbells, fakes):
    fakes.script("a", FATAL, answer("a"))
    run = world.start(chain("a"))
    walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.needs_attention) == ("waiting", True)
    evidence = json.loads(bytes(review_of(run, "exception").evidence))
    assert evidence["failure"]["reason"] == "The service is down."
    assert evidence["decision"]["choices"] == ["retry", "end", "give"]
    decide(world, run, "chosen", choice="retry", kind="exception")
    walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.needs_attention) == ("succeeded", False)


def test_an_exception_is_decided_with_another_input_and_then_once_more(world, doorbells, fakes):
    fakes.script("a", FATAL)
    run = world.start(chain("a"))
    walk(run.id)
    edited = {"label": "a", "text": "other"}
    decide(world, run, "chosen", choice="retry", kind="exception", output=edited)
    walk(run.id)
    rows = StepRun.objects.filter(run=run, step="a").order_by("iteration")
    assert [(row.status, row.waiting_for) for row in rows] == [
        ("failed", ""),
        ("waiting", "exception"),
    ]
    assert fakes.calls("a")[-1]["text"] == "other"
    decide(world, run, "chosen", choice="end", kind="exception")
    walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.outcome, run.needs_attention) == ("failed", "broken", True)
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_a_failed_run_is_resumed_with_another_input_and_what_was_done_stays(
    world, doorbells, fakes
):
    fakes.script("b", FATAL, answer("b"))
    run = world.start(chain("a", "b", "c"))
    walk(run.id)
    decide(world, run, "chosen", choice="end", kind="exception")
    walk(run.id)
    assert status_of(run) == "failed"
    services.resume_run(
        run_id=run.id,
        step="b",
        input={"label": "b", "text": "mended"},
        reason="A typo.",
        actor=world.operator,
        now=now(),
    )
    with pytest.raises(IllegalTransitionError):
        services.resume_run(run_id=run.id, reason="Again.", actor=world.operator, now=now())
    walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.needs_attention) == ("succeeded", False)
    assert len(fakes.calls("a")) == 1
    assert fakes.calls("b")[-1]["text"] == "mended"
    assert actions_of(run).count("run.ended") == 2
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_an_edited_input_that_breaks_the_contract_is_refused(world, doorbells, fakes):
    fakes.script("a", FATAL)
    run = world.start(chain("a", **{}), text="x")
    walk(run.id)
    decide(world, run, "chosen", choice="end", kind="exception")
    walk(run.id)
    with pytest.raises(InvalidInputError) as caught:
        services.resume_run(
            run_id=run.id, input={"text": "x"}, reason="x", actor=world.operator, now=now()
        )
    assert caught.value.detail["violations"][0]["path"] == "/label"
    assert not InboxEvent.objects.filter(run=run, body__type="run_resumed").exists()


def test_a_failed_run_is_dismissed_once(world, doorbells, fakes):
    fakes.script("a", FATAL)
    document = chain("a")
    document["policies"]["exceptions"]["mode"] = "end"
    run = world.start(document)
    walk(run.id)
    for _ in range(2):
        services.dismiss_run(run_id=run.id, reason="Known.", actor=world.operator, now=now())
    run.refresh_from_db()
    assert (run.status, run.needs_attention) == ("failed", False)
    assert actions_of(run).count("run.dismissed") == 1


# ---- cancel and pause -------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [chain("slow"), fan("slow", "quick")])
def test_a_cancel_during_a_call_aborts_it_and_ends_the_run(world, workers, fakes, document):
    fakes.script("slow", seconds=90)
    run = world.start(document)
    wait_for(lambda: fakes.calls("slow"))
    services.cancel_run(run_id=run.id, reason="Not needed.", actor=world.operator, now=now())
    wait_for(lambda: status_of(run) == "cancelled")
    assert not fakes.calls("slow", "end")
    assert Attempt.objects.get(run=run, step="slow").status == "abandoned"
    assert steps_of(run)["slow"] == "cancelled"
    with pytest.raises(IllegalTransitionError):
        services.cancel_run(run_id=run.id, reason="Again.", actor=world.operator, now=now())
    wait_for(lambda: Run.objects.get(id=run.id).owner is None)
    assert actions_of(run).count("run.ended") == 1
    assert invariants() == {}


def test_a_pause_aborts_the_call_and_it_is_made_again_afterwards(world, workers, fakes):
    fakes.script("slow", seconds=90)
    run = world.start(chain("slow"))
    wait_for(lambda: fakes.calls("slow"))
    services.pause_run(run_id=run.id, reason="Wait.", actor=world.operator, now=now())
    wait_for(lambda: status_of(run) == "paused")
    assert invariants() == {}
    fakes.script("slow", answer("slow"))
    services.continue_run(run_id=run.id, reason="Go on.", actor=world.operator, now=now())
    wait_for(lambda: status_of(run) == "succeeded")
    assert len(fakes.calls("slow")) == 2


def test_a_call_that_must_not_be_repeated_goes_on_while_the_run_is_paused(world, workers, fakes):
    fakes.script("pay", seconds=90)
    run = world.start(chain("pay", uses="once"))
    wait_for(lambda: fakes.calls("pay"))
    services.pause_run(run_id=run.id, reason="Wait.", actor=world.operator, now=now())
    wait_for(lambda: status_of(run) == "paused")
    fakes.release("pay")
    wait_for(lambda: steps_of(run)["pay"] == "succeeded")
    services.continue_run(run_id=run.id, reason="Go on.", actor=world.operator, now=now())
    wait_for(lambda: status_of(run) == "succeeded")
    assert len(fakes.calls("pay")) == 1


def test_a_cancelled_run_withdraws_its_review(world, doorbells):
    run = world.start(with_gate())
    walk(run.id)
    services.cancel_run(run_id=run.id, reason="Stop.", actor=world.operator, now=now())
    walk(run.id)
    assert ReviewTask.objects.get(run_id=run.id).status == "withdrawn"


# ---- several at once --------------------------------------------------------------------------------


def test_of_two_walkers_one_walks_and_doubled_doorbells_do_nothing(world, workers, fakes):
    fakes.script("a", seconds=0.3)
    run = world.start(chain("a", "b"))
    for _ in range(20):
        workers.put(run.id)
    wait_for(lambda: status_of(run) == "succeeded")
    for _ in range(20):
        workers.put(run.id)
    time.sleep(0.3)
    assert len(fakes.calls()) == 2
    assert RunEvent.objects.filter(run=run).count() == 3
    assert invariants() == {}


def test_a_second_process_gets_nothing_while_the_claim_is_held(world, doorbells, fakes):
    from orchestrator.ids import new_id
    from orchestrator.runs import statements

    run = world.start(chain("a"))
    held = statements.claim(run.id, new_id())
    assert held is not None
    assert not walk(run.id)
    assert not fakes.calls()


def test_a_decision_that_takes_effect_during_a_claim_is_drained_before_the_run_parks(
    world, workers, fakes
):
    """The gate's branch waits for a person while the other branch is being called."""
    fakes.script("slow", seconds=90)
    steps = {
        "approve": {**with_gate()["steps"]["approve"]},
        "slow": agent("slow"),
        "b": agent("b"),
        "collect": {"kind": "join", "name": "Collect"},
    }
    document = definition(
        steps,
        [
            *("start.next-approve", "start.next-slow", "approve.approved-b", "b.next-collect"),
            *("slow.next-collect", "collect.next-done"),
        ],
    )
    run = world.start(document)
    wait_for(lambda: fakes.calls("slow") and review_of(run))
    decide(world, run)
    wait_for(lambda: fakes.calls("b", "end"))
    assert not fakes.calls("slow", "end")
    fakes.release("slow")
    wait_for(lambda: status_of(run) == "succeeded")
    assert invariants() == {}


def test_what_was_written_as_changes_only_is_the_state_that_others_see_and_go_on_from(
    world, workers, fakes
):
    fakes.script("c", seconds=20)
    run = world.start(chain("a", "b", "c"))
    wait_for(lambda: fakes.calls("c"))
    run.refresh_from_db()
    assert (run.seq, run.state_seq) == (3, 1)
    seen = selectors.run_state(run).steps
    assert [seen[name].status for name in "abc"] == ["succeeded", "succeeded", "running"]
    brief = selectors.briefs_of(world.operator, [Run.objects.get(id=run.id)])[run.id]
    assert sorted(status for status, _ in brief.steps) == [
        *("pending", "running", "succeeded", "succeeded", "succeeded")
    ]
    assert services.free_run(run_id=run.id, owner=Run.objects.get(id=run.id).owner, now=now())
    fakes.script("c", answer("c"))
    wait_for(lambda: status_of(run) == "succeeded")
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert [len(fakes.calls(name)) for name in "abc"] == [1, 1, 2]


def test_many_runs_and_inbox_events_at_once_all_end(world, workers, fakes):
    slug = world.publish(chain("a", "b"))
    runs = [world.start(slug, text=f"run {number}") for number in range(20)]
    for run in runs[::4]:
        with suppress(IllegalTransitionError):  # it was quicker
            services.cancel_run(run_id=run.id, reason="x", actor=world.operator, now=now())
    wait_for(lambda: not Run.objects.exclude(status__in=("succeeded", "cancelled")).exists())
    wait_for(lambda: not Run.objects.filter(owner__isnull=False).exists())
    assert invariants() == {}


def test_a_slow_reader_holds_nobody_up(world, doorbells, fakes):
    """A page or export that reads row by row, and has not finished, while runs are written."""
    for number in range(5):
        walk(world.start(chain("a"), text=f"old {number}").id)
    begun, go_on, seen = threading.Event(), threading.Event(), []

    def read():
        rows = RunEvent.objects.order_by("at").iterator(chunk_size=1)
        seen.append(next(rows))
        begun.set()
        go_on.wait(120)
        seen.extend(rows)
        connections.close_all()

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(60)
    run = world.start(chain("a", "b"))
    walk(run.id)
    assert status_of(run) == "succeeded"
    go_on.set()
    reader.join()
    assert len(seen) >= 10


# ---- start -----------------------------------------------------------------------------------------


def test_an_input_that_breaks_the_contract_starts_nothing(world, doorbells):
    slug = world.publish(chain("a"))
    with pytest.raises(InvalidInputError) as caught:
        services.start_run(workflow_slug=slug, input={"text": 5}, actor=world.operator, now=now())
    assert caught.value.detail["violations"][0]["path"] == "/text"
    assert not Run.objects.exists()


def test_an_idempotency_key_finds_the_same_run_and_refuses_another_input(world, doorbells):
    slug = world.publish(chain("a"))
    first = world.start(slug, idempotency_key="k")
    assert world.start(slug, idempotency_key="k").id == first.id
    with pytest.raises(services.IdempotencyKeyReusedError):
        world.start(slug, text="other", idempotency_key="k")
    assert Run.objects.count() == 1
    assert AuditOutbox.objects.filter(action="run.started").count() == 1


def test_two_requests_with_one_key_at_the_same_time_start_one_run(world, doorbells):
    slug = world.publish(chain("a"))
    found, barrier = [], threading.Barrier(4)

    def request():
        barrier.wait()
        try:
            found.append(world.start(slug, idempotency_key="k").id)
        except ConflictError as error:
            found.append(error.code)
        connections.close_all()

    threads = [threading.Thread(target=request) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Run.objects.count() == 1
    assert set(found) <= {Run.objects.get().id, "conflict"}


def test_a_suspended_agent_stops_new_runs_and_its_calls_in_running_ones(world, doorbells, fakes):
    slug = world.publish(chain("a"))
    run = world.start(slug)
    agent_owner = world.actor("agents", "agent-owner")
    registry.suspend_agent(slug="scripted", actor=agent_owner, now=now(), reason="Odd answers.")
    with pytest.raises(ConflictError) as caught:
        world.start(slug)
    assert caught.value.code == "agent_not_usable"
    walk(run.id)
    row = StepRun.objects.get(run=run, step="a")
    assert (row.result_tag, row.waiting_for) == ("refused", "exception")
    assert not fakes.calls()


def test_a_stranger_finds_no_workflow_and_a_reviewer_may_not_start(world, doorbells):
    slug = world.publish(chain("a"))
    with pytest.raises(PermissionDeniedError):
        services.start_run(workflow_slug=slug, input={"text": "x"}, actor=world.reviewer, now=now())


# ---- audit -----------------------------------------------------------------------------------------


def test_every_step_leaves_an_entry_with_its_version_its_basis_and_its_journal_number(
    world, doorbells, fakes
):
    fakes.script(
        "a",
        {
            "type": "value",
            "output": {"label": "a", "text": "x"},
            "score": 0.75,
            "basis": [{"kind": "rule", "id": "limits@3", "row": "r1", "values": {"n": 3}}],
        },
    )
    run = world.start(chain("a"))
    walk(run.id)
    entries = {
        (row.action, json.loads(bytes(row.envelope)).get("step")): json.loads(bytes(row.envelope))
        for row in AuditOutbox.objects.filter(run_id=run.id)
    }
    step = entries["step.completed", "a"]
    assert step["actor"]["kind"] == "agent"
    assert step["actor"]["id"].endswith("@1")
    assert step["decision"]["basis"][0]["row"] == "r1"
    assert step["decision"]["score_ppm"] == 750_000
    assert step["decision"]["agent"]["slug"] == "scripted"
    assert set(step["payload"]) == {"input", "output"}
    assert step["run_seq"] == 2
    assert ("run.started", None) in entries
    assert ("run.ended", None) in entries
    assert ("handoff.made", "a") in entries


def test_the_sweeper_of_this_process_moves_everything_by_itself(world, doorbells, fakes):
    fakes.script("a", FAILED, answer("a"))
    run = world.start(chain("a"))
    sweeper = Sweeper()
    sweeper.ring_again_seconds = 0

    def swept():
        assert sweeper.sweep_if_holder()
        for run_id in list(doorbells):
            walk(run_id)
        doorbells.clear()
        return status_of(run) == "succeeded"

    doorbells.clear()
    sweeper.slow_seconds = 0
    wait_for(swept)
    sweeper.give_back()
