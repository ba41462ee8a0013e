"""Maps and teams as they are walked: every member a step run with rows and audit of its own."""

import json

from audit.models import AuditOutbox
from orchestrator.runs import services, walker
from orchestrator.runs.models import Attempt, Handoff, StepRun, Timer
from orchestrator.runs.selectors import list_members, message_log, run_snapshot, run_state
from orchestrator.runs.sweeper import fire_due_timers
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    invariants,
    mapped,
    now,
    status_of,
    steps_of,
    stored_and_replayed,
    voting,
    wait_for,
)

DOWN = {"type": "failed", "kind": "unavailable", "reason_code": "down", "reason": "It is down."}
FATAL = {**DOWN, "kind": "agent_error", "retryable": False}
FINE = {"type": "value", "output": {"label": "b", "text": "fine"}}


def test_every_item_is_called_and_the_outputs_are_gathered(world, doorbells, fakes):
    run = world.start(mapped())
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert {one["label"] for one in fakes.calls()} == {"a", "b", "c"}
    output = StepRun.objects.get(run=run, step="each").output
    assert [one["label"] for one in output["items"]] == ["a", "b", "c"]
    assert (output["failed"], output["count"]) == ([], 3)
    members = {name for name in steps_of(run) if "." in name}
    assert members == {"each.0", "each.1", "each.2"}
    assert set(Attempt.objects.filter(run=run).values_list("step", flat=True)) == members
    assert Handoff.objects.filter(run=run, step__in=members, verdict="fits").count() == 3
    done = AuditOutbox.objects.filter(run_id=run.id, action="step.completed", actor_kind="agent")
    assert done.count() == 3
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_items_go_on_where_they_were_when_another_walker_takes_over(
    world, doorbells, fakes, monkeypatch
):
    monkeypatch.setattr(walker, "SLICE_SECONDS", 0.0)
    run = world.start(mapped(max_parallel=1))
    rounds = 0
    while status_of(run) != "succeeded":
        walk(run.id)
        rounds += 1
        assert rounds < 10
    assert rounds > 1
    assert [one["label"] for one in fakes.calls()] == ["a", "b", "c"]
    run.refresh_from_db()
    state = run_state(run)
    assert {name: state.steps[name].status for name in ("each.0", "each.1", "each.2")} == {
        "each.0": "succeeded",
        "each.1": "succeeded",
        "each.2": "succeeded",
    }
    assert state.steps["each.0"].ended_at.tzinfo is not None
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed


def test_an_item_that_failed_is_tried_again_while_the_run_waits_for_nothing_else(
    world, doorbells, fakes
):
    fakes.script("b", DOWN, FINE)
    run = world.start(mapped())
    walk(run.id)
    assert status_of(run) == "waiting"
    assert Timer.objects.filter(run=run, step="each.1", purpose="retry").count() == 1
    assert invariants() == {}
    wait_for(lambda: fire_due_timers(now()))
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert len(fakes.calls("a")) == 1
    assert len(fakes.calls("b")) == 2


def test_a_map_that_failed_is_resumed_with_the_failed_items_only(world, doorbells, fakes):
    fakes.script("b", FATAL, FINE)
    run = world.start(mapped(max_parallel=1))
    walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.outcome) == ("failed", "broken")
    assert steps_of(run)["each.0"] == "succeeded"
    assert "each.2" not in steps_of(run)
    services.resume_run(run_id=run.id, step="each", reason="Again", actor=world.operator, now=now())
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert [len(fakes.calls(label)) for label in "abc"] == [1, 2, 1]
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_cancelling_ends_the_items_that_are_under_way(world, doorbells, fakes):
    fakes.script("b", DOWN)
    run = world.start(mapped())
    walk(run.id)
    services.cancel_run(run_id=run.id, reason="Enough", actor=world.operator, now=now())
    walk(run.id)
    assert status_of(run) == "cancelled"
    assert steps_of(run)["each.1"] == "cancelled"
    assert not Timer.objects.filter(run=run).exists()
    assert invariants() == {}


def test_a_snapshot_counts_the_items_and_a_list_shows_the_failed_ones_first(
    world, doorbells, fakes
):
    fakes.script("b", FATAL)
    run = world.start(mapped(tolerated_failures=1))
    walk(run.id)
    snapshot = run_snapshot(run.id, world.operator)
    assert snapshot["steps"]["each"]["members"] == {"total": 3, "done": 2, "failed": 1, "open": 0}
    assert "each.1" not in snapshot["steps"]
    one = run_snapshot(run.id, world.operator, member="each.1")["steps"]["each.1"]
    assert (one["failure_kind"], len(one["attempts"])) == ("agent_error", 1)
    found = list_members(run.id, "each")
    assert [row["index"] for row in found.rows] == [1, 0, 2]
    assert list(found.counts.items()) == [("failed", 1), ("succeeded", 2)]
    assert found.rows[0]["reason"] == "It is down."
    page = list_members(run.id, "each", status="succeeded", start=1, size=1)
    assert ([row["id"] for row in page.rows], page.total) == (["each.2"], 2)
    froms = {tuple(one["from"]) for one in message_log(run.id) if one["to"] == "each.1"}
    assert froms == {("each",)}


def test_a_map_that_has_enough_cancels_its_late_items_and_begins_no_more(world, doorbells, fakes):
    fakes.script("b", DOWN)
    run = world.start(mapped(max_parallel=2, enough="1"))
    walk(run.id)
    assert status_of(run) == "succeeded"
    output = StepRun.objects.get(run=run, step="each").output
    left = {one["index"]: one["status"] for one in output["left_out"]}
    assert left[2] == "not_begun"
    assert "each.2" not in steps_of(run)
    assert [one is None for one in output["items"]] == [index in left for index in range(3)]
    assert not Timer.objects.filter(run=run).exists()
    counts = run_snapshot(run.id, world.operator)["steps"]["each"]["members"]
    assert (counts["total"], counts["enough"], counts["not_begun"]) == (3, 1, 1)
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_late_calls_finish_while_the_run_goes_on_and_their_results_stay_with_them(
    world, doorbells, fakes, monkeypatch
):
    monkeypatch.setattr(walker, "SLICE_SECONDS", 0.0)
    run = world.start(mapped(then=("after",), enough="1", late="ignore"))
    rounds = 0
    while status_of(run) != "succeeded":
        walk(run.id)
        stored, replayed = stored_and_replayed(run)
        assert stored == replayed
        rounds += 1
        assert rounds < 20
    rows = steps_of(run)
    output = StepRun.objects.get(run=run, step="each").output
    assert {one["status"] for one in output["left_out"]} == {"running"}
    late = {rows[f"each.{one['index']}"] for one in output["left_out"]}
    assert late <= {"succeeded", "cancelled"}
    assert invariants() == {}


def test_what_is_enough_and_cannot_be_reached_fails_the_map_with_its_reason(
    world, doorbells, fakes
):
    fakes.script("b", FATAL)
    run = world.start(mapped(max_parallel=1, enough="3", tolerated_failures=3))
    walk(run.id)
    assert status_of(run) == "failed"
    row = StepRun.objects.get(run=run, step="each")
    assert (row.result["kind"], row.result["reason_code"]) == ("unavailable", "enough_out_of_reach")
    assert row.result["reason"] == "1 of 3 items failed, and 3 must succeed. Item 2: It is down."
    assert invariants() == {}


def test_a_team_asks_all_its_members_and_its_decision_is_audited_with_the_count(
    world, doorbells, fakes
):
    votes = [{"type": "value", "output": {"label": "vote", "text": text}} for text in "yny"]
    fakes.script("vote", *votes)
    run = world.start(voting(3))
    walk(run.id)
    assert status_of(run) == "succeeded"
    team = StepRun.objects.get(run=run, step="team")
    assert (team.output["decision"], team.output["weight"], team.output["of"]) == ("y", 2, 3)
    assert len(fakes.calls("vote")) == 3
    rows = AuditOutbox.objects.filter(run_id=run.id, action="step.completed", actor_kind="system")
    entry = json.loads(bytes(rows.get(subject_id__contains="/team/").envelope))
    assert entry["decision"]["basis"][0]["values"] == {"weight": 2, "of": 3, "absent": 0}
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_a_team_without_a_majority_goes_its_own_way(world, doorbells, fakes):
    fakes.script("vote", FINE, {"type": "value", "output": {"label": "b", "text": "other"}})
    run = world.start(voting(2))
    walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.outcome) == ("failed", "broken")
    assert StepRun.objects.get(run=run, step="team").port == "disagreed"
