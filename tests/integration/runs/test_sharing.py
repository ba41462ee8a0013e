"""What steps share, in the database: versions with their writers, conflicts, what stands in the log."""

from __future__ import annotations

import json

from audit.models import AuditOutbox
from orchestrator.runs import selectors, services
from orchestrator.runs.models import Run, RunEvent, StepRun
from orchestrator.runs.shared_data import key_lines
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    agent,
    chain,
    decide,
    definition,
    invariants,
    now,
    status_of,
    steps_of,
    stored_and_replayed,
)

TEXT = {"type": "string"}
LIST = {"type": "array", "items": TEXT}
BROKEN = {"type": "failed", "kind": "agent_error", "reason_code": "no", "reason": "No."}


def key(label, contract, *writers, **more):
    return {"label": label, "contract": contract, "writers": list(writers), **more}


def side_by_side():
    """Two agents at the same time: both add to a log, and both replace what was said last."""
    writes = {
        label: {"log": f"steps.{label}.output.label", "last": f"steps.{label}.output.label"}
        for label in ("one", "two")
    }
    steps = {label: agent(label, writes=writes[label]) for label in writes}
    steps["collect"] = {"kind": "join", "name": "Collect"}
    steps["done"] = {
        "kind": "end",
        "name": "Done",
        "outcome": "done",
        "result": {"last": "context.last", "log": "context.log"},
    }
    links = ["start.next-one", "start.next-two", "one.next-collect", "two.next-collect"]
    made = definition(steps, [*links, "collect.next-done"])
    made["context"] = {
        "log": key("Log", LIST, "one", "two", rule="append", initial="[input.text]"),
        "last": key("Last", TEXT, "one", "two", initial="input.text"),
    }
    return made


def conflicting(world):
    run = world.start(side_by_side(), text="hello")
    walk(run.id)
    return run


def lines_of(run):
    return {
        one.key: one
        for one in key_lines(
            selectors.compiled_run(Run.objects.get(id=run.id)).definition,
            selectors.shared_versions(run.id),
        )
    }


def test_of_two_writes_at_the_same_time_the_second_waits_for_a_person_and_nothing_is_lost(
    world, doorbells, fakes
):
    run = conflicting(world)
    (conflict,) = selectors.context_conflicts(run.id)
    second = conflict["step"]
    first = "one" if second == "two" else "two"
    assert (
        f"read version 1 of 'Last', and '{first.title()}' has written version 2"
        in (conflict["reason"])
    )
    assert steps_of(run)[second] == "waiting"
    assert [one.step for one in lines_of(run)["last"].versions] == [first, "start"]
    assert [one.step for one in lines_of(run)["log"].versions] == [first, "start"], "all or none"
    decide(world, run, "chosen", choice="retry", kind="exception")
    walk(run.id)
    assert status_of(run) == "succeeded"
    result = selectors.run_snapshot(run.id)["result"]
    assert result == {"last": second, "log": ["hello", first, second]}
    rows = StepRun.objects.filter(run=run, step=second).order_by("iteration")
    assert [(row.iteration, row.result_tag) for row in rows] == [(1, "failed"), (2, "value")]
    assert not invariants()


def test_state_and_journal_agree_and_the_journal_holds_no_values(world, doorbells, fakes):
    run = conflicting(world)
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert len(stored["context"]) == 4
    written = [
        one
        for body in RunEvent.objects.filter(run=run).values_list("body", flat=True)
        for one in body["derived"]
        if one["type"] == "context_written"
    ]
    assert {(one["key"], one["version"]) for one in written} == {
        ("log", 1),
        ("last", 1),
        ("log", 2),
        ("last", 2),
    }
    assert all(set(one["value"]) == {"sha256", "bytes"} for one in written)


def test_the_audit_log_names_the_versions_that_a_step_read_and_wrote(world, doorbells, fakes):
    run = conflicting(world)
    entries = {
        (envelope["action"], envelope["step"]): envelope.get("decision", {})
        for envelope in map(json.loads, AuditOutbox.objects.values_list("envelope", flat=True))
        if envelope.get("step")
    }
    first = lines_of(run)["last"].versions[0].step
    assert entries["step.completed", first]["wrote"] == {
        "log": {"version": 2, "based_on": 1},
        "last": {"version": 2, "based_on": 1},
    }
    decide(world, run, "chosen", choice="retry", kind="exception")
    walk(run.id)
    envelopes = map(json.loads, AuditOutbox.objects.values_list("envelope", flat=True))
    (done,) = (
        one for one in envelopes if (one.get("step"), one["action"]) == ("done", "step.completed")
    )
    assert done["decision"]["read"] == {"log": 3, "last": 3}


def test_a_resumed_run_takes_back_what_starts_over_and_says_so(world, doorbells, fakes):
    made = definition(
        {
            "one": agent("one", writes={"log": "'one'"}),
            "two": agent("two", writes={"log": "'two'"}),
            "three": agent("three"),
        },
        ["start.next-one", "one.next-two", "two.next-three", "three.next-done"],
        exceptions={"mode": "end", "outcome": "broken"},
    )
    made["context"] = {"log": key("Log", LIST, "one", "two", rule="append")}
    answer = {"type": "value", "output": {"label": "three", "text": "hello"}}
    fakes.script("three", BROKEN, answer)
    run = world.start(made)
    walk(run.id)
    assert status_of(run) == "failed"
    services.resume_run(run_id=run.id, step="two", reason="Again.", actor=world.operator, now=now())
    walk(run.id)
    assert status_of(run) == "succeeded"
    log = lines_of(run)["log"]
    assert log.latest.shared.value == ["one", "two"]
    assert [(one.number, one.step, one.is_gone, one.taken_back) for one in log.versions] == [
        (4, "two", False, ()),
        (3, "two", False, (2,)),
        (2, "two", True, ()),
        (1, "one", False, ()),
    ]
    actions = [
        json.loads(one)["action"] for one in AuditOutbox.objects.values_list("envelope", flat=True)
    ]
    assert actions.count("context.taken_back") == 1
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed


def test_a_run_without_shared_values_stores_nothing_of_them(world, doorbells, fakes):
    run = world.start(chain("one"))
    walk(run.id)
    run.refresh_from_db()
    assert "context" not in run.state
    assert "seen" not in json.dumps(run.state)
