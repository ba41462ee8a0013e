"""Asking people and recording what they decide."""

import json
from datetime import timedelta

import pytest

from approvals import selectors, services
from approvals.models import Decision, ReviewTask
from approvals.services import (
    AlreadyDecidedError,
    ContentChangedError,
    ReviewClaimedError,
    ReviewClosedError,
    UndoTooLateError,
)
from audit.models import AuditOutbox
from orchestrator.access import SYSTEM, Actor
from orchestrator.core.errors import (
    IllegalTransitionError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
)
from tests.integration.approvals.world import NOW, PROPOSAL

LATER = NOW + timedelta(minutes=5)


def decide(task, actor, outcome="approved", *, now=LATER, undo_seconds=10, **given):
    given.setdefault("shown_sha256", task.shown_sha256)
    return services.decide_review(
        task_id=task.id, actor=actor, outcome=outcome, now=now, undo_seconds=undo_seconds, **given
    )


def actions_about(task):
    rows = AuditOutbox.objects.filter(subject_id=str(task.id)).order_by("id")
    return [row.action for row in rows]


def envelope_of(task, action):
    row = AuditOutbox.objects.get(subject_id=str(task.id), action=action)
    return json.loads(bytes(row.envelope))


def test_a_decision_is_recorded_at_once_and_takes_effect_after_the_undo_time(world):
    reviewer, task = world.actor("jonas", "reviewer"), world.task()
    decision = decide(task, reviewer, reason="fine")
    assert decision.effective_at == LATER + timedelta(seconds=10)
    assert world.heard == []
    assert services.take_effect(LATER + timedelta(seconds=9)) == 0
    assert services.take_effect(LATER + timedelta(seconds=10)) == 1
    assert services.take_effect(LATER + timedelta(seconds=11)) == 0
    (told,) = world.heard
    assert told.outcome == "approved"
    assert told.output == PROPOSAL
    assert told.actor_id == reviewer.id
    assert actions_about(task) == ["review.opened", "review.decided", "decision.took_effect"]


def test_a_decision_without_undo_time_takes_effect_in_the_same_transaction(world):
    task = world.task()
    decision = decide(task, world.actor("jonas", "reviewer"), undo_seconds=0)
    decision.refresh_from_db()
    assert decision.took_effect_at == LATER
    assert len(world.heard) == 1


def test_the_audit_entry_says_what_was_shown_decided_and_why(world):
    task = world.task()
    decide(task, world.actor("jonas", "reviewer"), "rejected", reason_code="photos_differ")
    entry = envelope_of(task, "review.decided")
    assert entry["decision"]["outcome"] == "rejected"
    assert entry["decision"]["reason_code"] == "photos_differ"
    assert entry["decision"]["shown_sha256"] == task.shown_sha256
    assert entry["payload"]["reason"]["bytes"] == len("Photos differ")
    assert "Photos differ" not in json.dumps(entry)


def test_other_content_than_what_was_seen_is_refused_and_nothing_is_recorded(world):
    task = world.task()
    with pytest.raises(ContentChangedError, match="Review it again"):
        decide(task, world.actor("jonas", "reviewer"), shown_sha256="0" * 64)
    assert not Decision.objects.exists()


def test_only_a_person_with_the_role_or_the_assigned_person_decides(world):
    task = world.task()
    with pytest.raises(PermissionDeniedError):
        decide(task, world.actor("olga", "operator"))
    service = Actor(kind="service", id="00000000-0000-0000-0000-000000000001")
    with pytest.raises((PermissionDeniedError, NotFoundError)):
        decide(task, service)
    with pytest.raises(PermissionDeniedError, match="Only people"):
        decide(task, SYSTEM)
    assert not Decision.objects.exists()


def test_a_review_of_a_foreign_workspace_does_not_exist(world):
    task = world.task()
    stranger = world.actor("stranger", "reviewer", workspace=world.other_workspace())
    with pytest.raises(NotFoundError):
        decide(task, stranger)
    assert list(selectors.list_reviews(stranger, segment=selectors.Segment.TEAM)) == []


def test_whoever_asked_never_decides_whatever_his_roles(world):
    owner = world.actor("owner", "reviewer", "business-owner")
    task = world.task(excluded=[owner.id])
    with pytest.raises(PermissionDeniedError, match="You started this run, so somebody else"):
        decide(task, owner)
    with pytest.raises(PermissionDeniedError):
        services.hand_over_review(task_id=task.id, actor=owner, to_user_id=None, now=LATER)


def test_the_same_person_repeating_the_same_decision_gets_the_recorded_one(world):
    reviewer, task = world.actor("jonas", "reviewer"), world.task()
    first = decide(task, reviewer, reason="fine")
    again = decide(task, reviewer, reason="fine", now=LATER + timedelta(seconds=3))
    assert again.id == first.id
    assert Decision.objects.count() == 1
    with pytest.raises(AlreadyDecidedError, match="You decided this"):
        decide(task, reviewer, "rejected", reason="no")


def test_another_person_is_told_who_decided_and_when(world):
    task = world.task()
    decide(task, world.actor("jonas", "reviewer"))
    with pytest.raises(AlreadyDecidedError) as caught:
        decide(task, world.actor("mira", "reviewer"))
    assert caught.value.detail["decided_by"] == "Jonas"
    assert caught.value.detail["decided_at"] == LATER.isoformat()
    assert "Jonas decided this on 20 Nov 2026 at 16:05:00 UTC" in caught.value.message


@pytest.mark.parametrize("outcome", ["rejected", "returned"])
def test_rejecting_and_returning_need_a_reason(world, outcome):
    reviewer, task = world.actor("jonas", "reviewer"), world.task()
    with pytest.raises(InvalidInputError, match="Give a reason"):
        decide(task, reviewer, outcome)
    with pytest.raises(InvalidInputError, match="no reason 'made_up'"):
        decide(task, reviewer, outcome, reason_code="made_up")
    decision = decide(task, reviewer, outcome, reason_code="claimed_twice")
    assert decision.reason == "Claimed twice"


def test_an_edited_output_must_meet_the_contract(world):
    reviewer, task = world.actor("jonas", "reviewer"), world.task()
    with pytest.raises(InvalidInputError) as caught:
        decide(task, reviewer, "edited", output={"settlement": {"minor": -1, "currency": "EUR"}})
    assert caught.value.detail["violations"][0]["path"] == "/settlement/minor"
    with pytest.raises(InvalidInputError, match="Nothing was changed"):
        decide(task, reviewer, "edited", output=PROPOSAL)
    edited = {"settlement": {"minor": 500000, "currency": "EUR"}}
    decide(task, reviewer, "edited", output=edited, undo_seconds=0)
    assert world.heard[0].output == edited
    assert envelope_of(task, "review.decided")["before_sha256"] != ""


def test_approving_with_another_output_than_the_proposal_is_refused(world):
    task = world.task()
    with pytest.raises(InvalidInputError, match="approve it with edits"):
        decide(task, world.actor("jonas", "reviewer"), output={"settlement": {}})


def test_a_choice_that_is_not_offered_is_refused(world):
    task = world.task(decision={"choices": ["approved", "rejected"]})
    with pytest.raises(InvalidInputError, match="possible: approved, rejected"):
        decide(task, world.actor("jonas", "reviewer"), "returned", reason="x")


def test_an_exception_is_retried_with_edited_input_or_ended_with_a_reason(world):
    operator = world.actor("olga", "operator")
    evidence = {"decision": {"choices": ["retry", "end"]}}
    task = world.task(kind="exception", role="operator", **evidence)
    given = {"settlement": {"minor": 1, "currency": "EUR"}}
    decide(task, operator, "chosen", choice="retry", output=given, undo_seconds=0)
    assert (world.heard[0].choice, world.heard[0].output) == ("retry", given)
    other = world.task(kind="exception", role="operator", **evidence)
    with pytest.raises(InvalidInputError, match="Give a reason"):
        decide(other, operator, "chosen", choice="end")
    decide(other, operator, "chosen", choice="end", reason="agent is gone", undo_seconds=0)
    assert world.heard[1].choice == "end"


def test_undone_in_time_the_task_is_the_same_persons_again(world):
    reviewer, task = world.actor("jonas", "reviewer"), world.task()
    decision = decide(task, reviewer)
    undone = services.undo_decision(
        decision_id=decision.id, actor=reviewer, now=LATER + timedelta(seconds=9)
    )
    assert undone.undone_at is not None
    task.refresh_from_db()
    assert (task.status, str(task.claimed_by_id)) == ("claimed", reviewer.id)
    assert services.take_effect(LATER + timedelta(minutes=1)) == 0
    again = decide(
        task, reviewer, "rejected", reason="on second thought", now=LATER + timedelta(minutes=1)
    )
    assert Decision.objects.filter(task=task).count() == 2
    assert again.undone_at is None
    assert actions_about(task)[-3:] == ["review.decided", "decision.undone", "review.decided"]


def test_too_late_or_by_another_person_nothing_is_undone(world):
    reviewer, task = world.actor("jonas", "reviewer"), world.task()
    decision = decide(task, reviewer)
    with pytest.raises(PermissionDeniedError, match="Only Jonas"):
        services.undo_decision(
            decision_id=decision.id, actor=world.actor("mira", "reviewer"), now=LATER
        )
    with pytest.raises(UndoTooLateError):
        services.undo_decision(
            decision_id=decision.id, actor=reviewer, now=LATER + timedelta(seconds=10)
        )
    assert "decision.undone" not in actions_about(task)


def test_a_claimed_review_waits_for_its_person_until_somebody_takes_over(world):
    jonas, mira = world.actor("jonas", "reviewer"), world.actor("mira", "reviewer")
    task = world.task()
    services.claim_review(task_id=task.id, actor=jonas, now=LATER)
    with pytest.raises(ReviewClaimedError, match="Jonas is working on it"):
        decide(task, mira)
    with pytest.raises(ReviewClaimedError):
        services.claim_review(task_id=task.id, actor=mira, now=LATER)
    services.hand_over_review(task_id=task.id, actor=mira, to_user_id=_id(mira), now=LATER)
    assert decide(task, mira).decided_by_id == _id(mira)


def test_handed_over_it_is_decided_by_that_person_only(world):
    jonas, mira = world.actor("jonas", "reviewer"), world.actor("mira", "reviewer")
    olga, task = world.actor("olga", "operator"), world.task()
    with pytest.raises(InvalidInputError, match="choose somebody"):
        services.hand_over_review(task_id=task.id, actor=jonas, to_user_id=_id(olga), now=LATER)
    services.hand_over_review(
        task_id=task.id, actor=jonas, to_user_id=_id(mira), reason="knows the case", now=LATER
    )
    with pytest.raises(PermissionDeniedError, match="handed to Mira"):
        decide(task, jonas)
    assert task.id in [one.id for one in selectors.list_reviews(mira)]
    assert task.id not in [one.id for one in selectors.list_reviews(jonas)]
    decide(task, mira)


def test_released_it_is_open_to_all_of_the_role_again(world):
    jonas, task = world.actor("jonas", "reviewer"), world.task()
    with pytest.raises(IllegalTransitionError):
        services.release_review(task_id=task.id, actor=jonas, now=LATER)
    services.claim_review(task_id=task.id, actor=jonas, now=LATER)
    assert services.claim_review(task_id=task.id, actor=jonas, now=LATER).status == "claimed"
    assert services.release_review(task_id=task.id, actor=jonas, now=LATER).status == "open"


def test_an_expired_or_withdrawn_review_cannot_be_decided_and_says_so(world):
    jonas = world.actor("jonas", "reviewer")
    gone, late = world.task(), world.task()
    assert services.withdraw_review(
        kind="gate", subject_id=gone.subject_id, now=LATER, reason="the run was cancelled"
    )
    assert not services.withdraw_review(kind="gate", subject_id=gone.subject_id, now=LATER)
    with pytest.raises(ReviewClosedError, match=r"withdrawn on .*: the run was cancelled"):
        decide(gone, jonas)
    assert services.expire_review(kind="gate", subject_id=late.subject_id, now=LATER)
    with pytest.raises(ReviewClosedError, match="Nobody decided in time"):
        decide(late, jonas)


def test_withdrawing_takes_a_decision_with_it_that_had_no_effect_yet(world):
    jonas, task = world.actor("jonas", "reviewer"), world.task()
    decide(task, jonas)
    assert services.withdraw_review(kind="gate", subject_id=task.subject_id, now=LATER)
    assert services.take_effect(LATER + timedelta(minutes=1)) == 0
    assert world.heard == []


def test_a_decision_that_took_effect_is_neither_withdrawn_nor_expired(world):
    jonas, task = world.actor("jonas", "reviewer"), world.task()
    decide(task, jonas, undo_seconds=0)
    assert not services.withdraw_review(kind="gate", subject_id=task.subject_id, now=LATER)
    assert not services.expire_review(kind="gate", subject_id=task.subject_id, now=LATER)
    task.refresh_from_db()
    assert task.status == "decided"


def test_a_decision_just_before_it_is_due_takes_effect_when_it_is_due(world):
    due = LATER + timedelta(seconds=4)
    task = world.task(due=due)
    assert decide(task, world.actor("jonas", "reviewer")).effective_at == due
    assert not services.expire_review(kind="gate", subject_id=task.subject_id, now=due)


def test_opening_again_for_the_same_subject_gives_the_task_that_waits(world):
    task = world.task(subject_id="run/step/1")
    assert world.task(subject_id="run/step/1").id == task.id
    decide(task, world.actor("jonas", "reviewer"), undo_seconds=0)
    assert world.task(subject_id="run/step/1").id != task.id
    assert ReviewTask.objects.count() == 2


def test_one_decision_that_cannot_be_carried_out_does_not_hold_up_the_others(world, monkeypatch):
    jonas = world.actor("jonas", "reviewer")
    first, second = world.task(), world.task()
    decide(first, jonas)
    decide(second, jonas, now=LATER + timedelta(seconds=1))
    told = world.heard

    def hear(decision):
        if decision.task_id == first.id:
            raise RuntimeError("the run is gone")
        told.append(decision)

    from approvals import subjects

    subjects.register("gate", subjects.Subject(title="Gate", on_decided=hear))
    assert services.take_effect(LATER + timedelta(minutes=1)) == 1
    assert [one.task_id for one in told] == [second.id]
    assert "decision.took_effect" not in actions_about(first)


def _id(actor):
    from uuid import UUID

    return UUID(actor.id)
