"""Whole runs, walked in this process."""

import pytest

from audit.models import AuditOutbox
from orchestrator.runs.models import Attempt, Handoff, Run, RunDetail, RunEvent, Timer
from orchestrator.runs.walker import walk
from tests.integration.runs.world import chain, fan, status_of, steps_of, wait_for


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
    assert not Timer.objects.filter(run=run).exists()
    assert set(Attempt.objects.values_list("status", flat=True)) == {"succeeded"}
    assert Handoff.objects.filter(run=run).count() == 4


def test_branches_run_side_by_side_and_join(world, doorbells, fakes):
    for label in "abc":
        fakes.script(label, seconds=0.3)
    run = world.start(fan("a", "b", "c"))
    walk(run.id)
    assert status_of(run) == "succeeded"
    order = [one["what"] for one in sorted_log(fakes)]
    assert order[:3] == ["begin"] * 3


def sorted_log(fakes):
    import json

    return [json.loads(line) for line in (fakes.folder() / "calls.jsonl").read_text().splitlines()]
