"""What people read of runs: snapshot, journal, messages, lists, figures; and what it costs."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orchestrator.core.errors import NotFoundError
from orchestrator.runs import selectors, services, walker
from orchestrator.runs.models import Run
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    chain,
    decide,
    fan,
    now,
    review_of,
    status_of,
    with_gate,
)

FATAL = {
    "type": "failed",
    "kind": "unavailable",
    "reason_code": "down",
    "reason": "The service is down.",
    "retryable": False,
}


def test_a_snapshot_shows_steps_links_attempts_handoffs_and_what_may_be_done(
    world, doorbells, fakes
):
    run = world.start(with_gate())
    walk(run.id)
    shown = selectors.run_snapshot(run.id, world.operator)
    assert shown["status"] == "waiting"
    assert shown["workflow"]["version"] == 1
    assert shown["steps"]["a"]["output"] == {"label": "a", "text": "hello"}
    assert [one["status"] for one in shown["steps"]["a"]["attempts"]] == ["succeeded"]
    assert shown["steps"]["approve"]["waiting_for"] == "review"
    assert shown["steps"]["approve"]["review"]["id"] == str(review_of(run).id)
    assert shown["steps"]["b"]["status"] == "pending"
    assert shown["links"]["start.next-a"] == "taken"
    assert shown["links"]["approve.approved-b"] == "open"
    assert shown["handoffs"][0]["payload"] == {"label": "a", "text": "hello"}
    assert shown["can"] == {
        "cancel": True,
        "pause": True,
        "continue": False,
        "resume": False,
        "resume_at": [],
        "override_at": [],
        "dismiss": False,
        "roll_back": False,
    }
    assert selectors.run_snapshot(run.id, world.reviewer)["can"]["cancel"] is False
    assert json.loads(json.dumps(shown)) == shown


def test_a_step_that_no_worker_has_begun_is_shown_as_ready(world, doorbells):
    run = world.start(chain("a"))
    shown = selectors.run_snapshot(run.id)
    assert (shown["status"], shown["steps"]["a"]["status"]) == ("pending", "ready")


def test_a_failed_run_says_where_it_can_be_resumed(world, doorbells, fakes):
    fakes.script("b", FATAL)
    run = world.start(chain("a", "b"))
    walk(run.id)
    decide(world, run, "chosen", choice="end", kind="exception")
    walk(run.id)
    can = selectors.run_snapshot(run.id, world.operator)["can"]
    assert can["resume"]
    assert can["resume_at"] == ["a", "b"]
    assert can["dismiss"]


def test_the_journal_is_told_in_sentences_from_any_number_on(world, doorbells, fakes):
    fakes.script("a", FATAL)
    run = world.start(chain("a"))
    walk(run.id)
    events = selectors.run_journal(run.id)["events"]
    assert [one["seq"] for one in events] == [1, 2]
    assert events[0]["text"] == "The run started. “A” began."
    assert "Try 1 of “A” failed (not available): The service is down." in events[1]["text"]
    assert selectors.run_journal(run.id, after_seq=1)["events"] == events[1:]


def test_the_message_log_has_handoffs_and_answers_in_order(world, doorbells):
    run = world.start(chain("a", "b"))
    walk(run.id)
    told = [(one["type"], one["from"], one["to"]) for one in selectors.message_log(run.id)]
    assert told == [
        ("answer", ["start"], None),
        ("handoff", ["start"], "a"),
        ("answer", ["a"], None),
        ("handoff", ["a"], "b"),
        ("answer", ["b"], None),
        ("handoff", ["b"], "done"),
        ("answer", ["done"], None),
    ]


@pytest.mark.parametrize(
    "read",
    [
        lambda run, actor: selectors.run_snapshot(run.id, actor),
        lambda run, actor: selectors.run_journal(run.id),
        lambda run, actor: selectors.message_log(run.id),
        lambda run, actor: list(selectors.list_runs(actor)),
        lambda run, actor: selectors.figures_of([run.workflow_id], now=now()),
    ],
    ids=["snapshot", "journal", "messages", "list", "figures"],
)
def test_reading_costs_the_same_for_a_large_run_as_for_a_small_one(world, doorbells, read):
    small, large = world.start(chain("a")), world.start(fan("a", "b", "c", "d", "e"))
    walk(small.id)
    walk(large.id)
    costs = []
    for run in (small, large, small, large):
        with CaptureQueriesContext(connection) as queries:
            read(run, world.operator)
        costs.append(len(queries))
    assert costs[2] == costs[3] <= 16


def test_runs_are_found_by_status_workflow_title_and_id_and_only_in_own_workspaces(
    world, doorbells, fakes
):
    fakes.script("b", FATAL)
    done, stuck = world.start(chain("a"), text="Alpha 1"), world.start(chain("b"), text="Beta 2")
    walk(done.id)
    walk(stuck.id)

    def found(actor=world.operator, **filters):
        return {run.title for run in selectors.list_runs(actor, **filters)}

    assert found() == {"Alpha 1", "Beta 2"}
    assert found(status="succeeded") == {"Alpha 1"}
    assert found(workflow=stuck.workflow.slug) == {"Beta 2"}
    assert found(attention=True) == {"Beta 2"}
    assert found(search="alph") == {"Alpha 1"}
    assert found(search=str(done.id)) == {"Alpha 1"}
    assert selectors.count_attention(world.operator) == 1
    stranger = world.actor("stranger")
    assert found(stranger) == set()
    with pytest.raises(NotFoundError):
        selectors.get_run(stranger, done.id)


def test_figures_tell_rate_and_time_of_ended_runs(world, doorbells, fakes):
    document = chain("a")
    document["policies"]["exceptions"]["mode"] = "end"
    slug = world.publish(document)
    fakes.script("a", {"type": "value", "output": {"label": "a", "text": "x"}}, FATAL)
    runs = [world.start(slug) for _ in range(2)]
    for run in runs:
        walk(run.id)
    (figures,) = selectors.figures_of([runs[0].workflow_id], now=now()).values()
    assert (figures.runs, figures.ended, figures.failed) == (2, 2, 1)
    assert figures.success_rate == 0.5
    assert figures.attention == 1
    assert 0 < figures.p95_seconds < 10


# ---- the command ----------------------------------------------------------------------------------


def test_the_command_starts_a_run_and_follows_it_when_no_worker_lives(
    world, doorbells, tmp_path, fakes
):
    slug = world.publish(chain("a"))
    given = tmp_path / "input.json"
    given.write_text('{"text": "hello"}')
    output = StringIO()
    call_command("start_run", slug, "--input", str(given), "--follow", stdout=output)
    assert "The run started." in output.getvalue()
    assert "The run ended: Done." in output.getvalue()
    assert Run.objects.get().status == "succeeded"


def test_the_command_only_commits_without_follow_and_repeats_find_the_same_run(
    world, doorbells, tmp_path
):
    slug = world.publish(chain("a"))
    given = tmp_path / "input.json"
    given.write_text('{"text": "hello"}')
    asked = ("start_run", slug, "--input", str(given), "--key", "k", "--json")
    said = []
    for _ in range(2):
        output = StringIO()
        call_command(*asked, stdout=output)
        said.append(json.loads(output.getvalue()))
    assert said[0] == said[1]
    assert said[0]["status"] == "pending"


def test_the_command_says_what_is_wrong_with_an_input(world, doorbells, tmp_path):
    slug = world.publish(chain("a"))
    given = tmp_path / "input.json"
    given.write_text('{"text": 5}')
    with pytest.raises(CommandError, match="/text"):
        call_command("start_run", slug, "--input", str(given))
    given.write_text('{"text": "a", "text": "b"}')
    with pytest.raises(CommandError, match="twice"):
        call_command("start_run", slug, "--input", str(given))
    assert not Run.objects.exists()


# ---- broken walks ---------------------------------------------------------------------------------


def test_a_walk_that_breaks_is_an_incident_and_rests_before_the_next(world, doorbells, monkeypatch):
    from orchestrator.runs.models import Incident

    run = world.start(chain("a"))
    monkeypatch.setattr(walker, "prepare_call", lambda *_, **__: 1 / 0)
    walk(run.id)
    run.refresh_from_db()
    assert run.owner is None
    assert run.rung_at > now()
    assert Incident.objects.get(run=run).kind == "walk_failed"
    monkeypatch.undo()
    walk(run.id)
    assert status_of(run) == "waiting"  # its lost call is tried again


def test_services_refuse_what_a_role_may_not(world, doorbells):
    from orchestrator.core.errors import InvalidInputError, PermissionDeniedError

    run = world.start(chain("a"))
    for asked in (services.cancel_run, services.pause_run, services.continue_run):
        with pytest.raises(PermissionDeniedError):
            asked(run_id=run.id, reason="x", actor=world.reviewer, now=now())
    with pytest.raises(InvalidInputError):
        services.cancel_run(run_id=run.id, reason="  ", actor=world.operator, now=now())
