"""Finding entries: by words, people, objects, time; their history and their proofs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from audit import labels, merkle, selectors
from audit.models import AuditOutbox
from audit.selectors import StoredTree, read_filter
from audit.sequencer import sequence_once
from audit.services import Subject, append_entry
from orchestrator.access import SYSTEM
from orchestrator.core.errors import InvalidInputError, NotFoundError
from tests.integration.audit.world import NOW


def found(**query):
    return set(selectors.entries_where(read_filter(query)).values_list("id", flat=True))


@pytest.mark.parametrize(
    "text", ["jonas WEBER", "workshop", "Decided", "review.deci", "approved with"]
)
def test_words_find_people_reasons_and_actions(world, text):
    entry = world.decide()
    other = append_entry(
        actor=SYSTEM, action="run.started", subject=Subject("run", "7"), now=NOW, reason="because"
    )
    hits = found(q=text)
    if text != "approved with":
        assert entry.id in hits
    assert other.id not in hits


def test_a_percent_sign_is_only_a_percent_sign(world):
    world.decide(reason="a discount of 10%")
    assert len(found(q="10%")) == 1
    assert found(q="%%%") == set()


def test_a_payload_that_is_no_text_disturbs_no_search(world):
    world.decide(payloads={"page": b"\xff\xfe\x00"})
    assert len(found(q="workshop")) == 1


def test_filters_narrow_by_object_person_run_time_and_group(world):
    first = world.decide(seconds=-86_400)
    second = world.decide(run=world.foreign_run, workspace=world.glass)
    assert found(run=str(world.run)) == {first.id}
    assert found(workspace=str(world.glass.id), group="decisions") == {second.id}
    assert found(actor=str(world.people["reviewer"].id)) == {first.id, second.id}
    assert found(subject_kind="review_task", subject_id=first.subject_id) == {first.id}
    assert found(group="decisions", to="2026-11-19") == {first.id}
    assert found(action="review.decided", **{"from": "2026-11-20"}) == {second.id}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", "yesterday"),
        ("to", "2026-11-20T10:00:00"),
        ("run", "7"),
        ("group", "secrets"),
        ("action", "review.eaten"),
        ("q", "x" * 201),
        ("q", "a\x00b"),
    ],
)
def test_a_filter_that_cannot_be_read_is_refused_by_name(name, value):
    with pytest.raises(InvalidInputError) as refusal:
        read_filter({name: value})
    field = {"q": "text"}.get(name, name)
    assert refusal.value.detail["violations"][0]["path"] == f"/{field}"


def test_a_line_says_who_what_on_what_and_why(world):
    world.decide()
    line = selectors.lines_of(AuditOutbox.objects.filter(action="review.decided"))[0]
    assert (line.title, line.actor.text, line.reason) == (
        "Approved with edits",
        "Jonas Weber",
        "Matches the workshop's estimate",
    )
    assert line.seq is None
    world.place()
    line = selectors.lines_of(AuditOutbox.objects.filter(action="review.decided"))[0]
    assert line.seq == AuditOutbox.objects.count() - 1


def test_a_page_of_lines_costs_the_same_queries_however_long(world, django_assert_max_num_queries):
    for _ in range(10):
        world.decide()
    with django_assert_max_num_queries(6):
        selectors.lines_of(AuditOutbox.objects.filter(action="review.decided"))


def test_the_history_of_a_run_holds_its_reviews_newest_first(world):
    world.decide(seconds=1)
    world.decide(seconds=2, reason="again")
    world.decide(run=world.foreign_run)
    history = selectors.history_of(Subject("run", str(world.run)))
    assert [line.reason for line in history] == ["again", "Matches the workshop's estimate"]


def test_the_history_of_an_object_is_its_own(world):
    assert [
        line.title for line in selectors.history_of(Subject("workspace", str(world.motor.id)))
    ] == ["Created a workspace"]


def test_an_app_above_may_name_its_objects(monkeypatch):
    monkeypatch.setattr(labels, "_resolvers", {})
    labels.register(
        "claim", lambda keys: {key: labels.Label(f"Claim {key}", "/c/") for key in keys}
    )
    assert labels.labels_of([("claim", "7")])["claim", "7"] == labels.Label("Claim 7", "/c/")


def test_an_id_that_is_gone_keeps_its_short_form(db):
    gone = "01900000-0000-7000-8000-00000000abcd"
    assert labels.labels_of([("user", gone)])["user", gone].text == "0000abcd"
    assert labels.labels_of([("user", "unknown")])["user", "unknown"].text == "unknown"


def test_a_step_and_an_agent_have_readable_names(db):
    run = "01900000-0000-7000-8000-00000000abcd"
    names = labels.labels_of([("step", f"{run}/triage/2"), ("agent_version", f"{run}@3")])
    assert names["step", f"{run}/triage/2"].text == "triage of run 0000abcd, round 2"
    assert names["agent_version", f"{run}@3"].text == f"{run}@3"


def test_every_entry_of_a_log_of_several_tiles_can_be_proved(db):
    with transaction.atomic():
        for number in range(700):
            append_entry(
                actor=SYSTEM, action="run.started", subject=Subject("run", str(number)), now=NOW
            )
    sequence_once(NOW)
    for index in (0, 1, 255, 256, 511, 512, 640, 699):
        row = selectors.get_row(index)
        proof = selectors.proof_of(row)
        assert merkle.is_included(
            merkle.leaf_hash(bytes(row.envelope)),
            index=index,
            size=700,
            proof=proof.hashes,
            root=bytes.fromhex(proof.head.root),
        )


def test_consistency_of_two_heads_can_be_proved_from_the_stored_tree(db):
    roots = {}
    for size in (300, 600):
        with transaction.atomic():
            for number in range(300):
                append_entry(
                    actor=SYSTEM, action="run.started", subject=Subject("run", str(number)), now=NOW
                )
        sequence_once(NOW + timedelta(minutes=size))
        roots[size] = bytes.fromhex(selectors.log_state().head.root)
    assert merkle.is_consistent(
        old=300,
        old_root=roots[300],
        new=600,
        new_root=roots[600],
        proof=merkle.consistency_proof(300, 600, StoredTree().subtree),
    )


def test_there_is_no_proof_before_the_head(world):
    assert selectors.proof_of(world.decide()) is None


def test_an_unknown_entry_is_not_found(db):
    with pytest.raises(NotFoundError):
        selectors.get_row(10**9)


def test_data_beside_an_entry_is_for_those_who_may_read_the_run(world):
    own, foreign = world.decide(), world.decide(workspace=world.glass)
    names = [one.name for one in selectors.payloads_of(own, world.actor("operator"))]
    assert names == ["output", "reason"]
    assert selectors.payloads_of(foreign, world.actor("operator")) == []
    assert [one.name for one in selectors.payloads_of(foreign, world.actor("compliance"))] == [
        "reason"
    ]
