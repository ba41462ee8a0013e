"""Loops in the engine: a round is recorded, read from the database, and breaks off what it must."""

from __future__ import annotations

import json

from approvals import services as reviews
from approvals.models import ReviewTask
from audit.models import AuditOutbox
from orchestrator.runs import selectors
from orchestrator.runs.models import Attempt, Handoff, Run, StepRun
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    agent,
    decide,
    definition,
    gate,
    invariants,
    now,
    review_of,
    status_of,
    stored_and_replayed,
    wait_for,
)

HINT = "has(steps.approve.reason) ? steps.approve.reason : input.text"
NOT_FOUND = {"type": "not_found", "reason_code": "none", "reason": "Nothing."}


def answer(label):
    return {"type": "value", "output": {"label": label, "text": "hello"}}


def writing(**more):
    """start → write → approve → done; a returned approval leads back to write."""
    return definition(
        {
            "write": agent("write", input={"label": "'write'", "text": HINT}),
            "approve": gate(**more),
        },
        [
            *("start.next-write", "write.next-approve", "approve.approved-done"),
            "approve.returned-write ^2",
        ],
    )


def test_a_returned_review_starts_the_writer_again_with_what_was_said(world, doorbells, fakes):
    run = world.start(writing())
    walk(run.id)
    decide(world, run, "returned", reason="Too short.")
    walk(run.id)
    assert [one["text"] for one in fakes.calls()] == ["hello", "Too short."]
    rows = {(row.step, row.iteration): row for row in StepRun.objects.filter(run=run)}
    assert (rows["approve", 1].status, rows["approve", 1].port) == ("succeeded", "returned")
    assert rows["approve", 1].result["reason"] == "Too short."
    assert rows["write", 1].output["text"] == "hello"
    assert (rows["approve", 2].status, rows["write", 2].status) == ("waiting", "succeeded")
    assert set(Attempt.objects.values_list("iteration", "status")) == {
        (1, "succeeded"),
        (2, "succeeded"),
    }
    made = Handoff.objects.get(run=run, step="write", iteration=2)
    assert made.links == ["approve.returned-write"]
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    decide(world, run)
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert invariants() == {}


def test_the_audit_entry_of_the_way_back_tells_the_round(world, doorbells, fakes):
    run = world.start(writing())
    walk(run.id)
    decide(world, run, "returned", reason="Too short.")
    walk(run.id)
    entries = [
        json.loads(row.envelope)
        for row in AuditOutbox.objects.filter(run_id=run.id, action="step.completed")
    ]
    (back,) = [one["decision"] for one in entries if one["decision"].get("port") == "returned"]
    assert (back["back_to"], back["round"]) == ("write", 2)
    assert back["rounds"] == {"used": 1, "limit": 2}


def test_the_journal_says_that_a_round_began(world, doorbells, fakes):
    run = world.start(writing())
    walk(run.id)
    decide(world, run, "returned", reason="Too short.")
    walk(run.id)
    said = " ".join(one["text"] for one in selectors.run_journal(run.id)["events"])
    assert "“Write” begins anew: round 2 (gone back 1 of at most 2 times)." in said


def test_a_round_withdraws_open_reviews_and_a_new_one_is_asked(world, doorbells, fakes):
    flow = writing()
    flow["steps"]["second"] = gate("Second")
    flow["steps"]["both"] = {"kind": "join", "name": "Both", "policy": "all"}
    del flow["links"]["approve.approved-done"]
    for source, port, target in (
        ("write", "next", "second"),
        ("approve", "approved", "both"),
        ("second", "approved", "both"),
        ("both", "next", "done"),
    ):
        link = {"source": source, "port": port, "target": target}
        flow["links"][f"{source}.{port}-{target}"] = link
    run = world.start(flow)
    walk(run.id)
    task = ReviewTask.objects.get(run_id=run.id, subject_id__contains="/approve/")
    reviews.decide_review(
        task_id=task.id,
        actor=world.reviewer,
        outcome="returned",
        shown_sha256=task.shown_sha256,
        reason="Because.",
        now=now(),
        undo_seconds=0,
    )
    walk(run.id)
    statuses = sorted(ReviewTask.objects.filter(run_id=run.id).values_list("status", flat=True))
    assert statuses == ["decided", "open", "open", "withdrawn"]
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_a_call_in_flight_beside_the_way_back_is_broken_off(world, doorbells, fakes):
    fakes.script("slow", seconds=0.6)
    fakes.script("critic", NOT_FOUND, answer("critic"))
    run = world.start(
        definition(
            {
                "write": agent("write"),
                "slow": agent("slow"),
                "critic": agent("critic"),
                "both": {"kind": "join", "name": "Both", "policy": "all"},
            },
            [
                *("start.next-write", "write.next-slow", "write.next-critic"),
                *("slow.next-both", "critic.next-both", "both.next-done"),
                "critic.not_found-write ^1",
            ],
        )
    )
    walk(run.id)
    wait_for(lambda: status_of(run) == "succeeded")
    slow = Attempt.objects.filter(run=run, step="slow").order_by("iteration")
    assert [(one.iteration, one.status) for one in slow] == [(1, "abandoned"), (2, "succeeded")]
    row = StepRun.objects.get(run=run, step="slow", iteration=1)
    assert (row.status, row.ended_at is not None) == ("cancelled", True)
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_a_loop_that_is_used_up_asks_a_person_and_names_it(world, doorbells, fakes):
    fakes.script("find", NOT_FOUND, NOT_FOUND, answer("find"))
    run = world.start(
        definition(
            {"find": agent("find")},
            ["start.next-find", "find.next-done", "find.not_found-find ^1"],
        )
    )
    walk(run.id)
    task = review_of(run, "exception")
    assert (
        "leads back to 'Find' by 'not_found' at most once"
        in json.loads(bytes(task.evidence))["why"]
    )
    decide(world, run, "chosen", choice="retry", kind="exception")
    walk(run.id)
    assert Run.objects.get(id=run.id).status == "succeeded"
    assert invariants() == {}
