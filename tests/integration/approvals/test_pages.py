"""The review pages as a browser without script uses them."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from approvals import services
from approvals.models import Decision
from orchestrator.access import Actor
from tests.integration.approvals.world import CONTRACT, PROPOSAL


@pytest.fixture
def jonas(world):
    return world.person("jonas", "reviewer", "operator")


@pytest.fixture
def visitor(client, jonas):
    client.force_login(jonas)
    return client


def live_task(world, **changes):
    """A task that is due in a day from now, as pages read the real clock."""
    changes.setdefault("due", timezone.now() + timedelta(days=1))
    return world.task(**changes)


def address(task, name="review"):
    return reverse(f"approvals:{name}", args=[task.id])


def form(task, decision, **fields):
    return {"decision": decision, "shown_sha256": task.shown_sha256, **fields}


MONEY = {
    "output.settlement.minor": "684000",
    "output.settlement.currency": "EUR",
    "output.note": "as priced",
}


def test_the_list_opens_the_most_urgent_item(world, visitor):
    later = live_task(world)
    urgent = live_task(world, due=timezone.now() + timedelta(minutes=30))
    page = visitor.get(reverse("approvals:list"))
    assert page.context["task"].id == urgent.id
    assert str(later.id) in page.content.decode()


def test_an_empty_queue_says_what_will_come(visitor):
    page = visitor.get(reverse("approvals:list"))
    assert "Nothing waits for you" in page.content.decode()


def test_reading_a_review_changes_nothing(world, visitor):
    task = live_task(world)
    visitor.get(address(task))
    for name in ("decide", "claim", "release", "hand_over"):
        assert visitor.get(address(task, name)).url == address(task)
    task.refresh_from_db()
    assert task.status == "open"
    assert not Decision.objects.exists()


def test_approving_goes_to_the_next_item_and_offers_undo(world, visitor, jonas):
    first = live_task(world, due=timezone.now() + timedelta(hours=1))
    second = live_task(world)
    answer = visitor.post(address(first, "decide"), form(first, "approved"))
    assert answer.status_code == 302
    assert answer.url == address(second)
    decision = Decision.objects.get(task=first)
    assert (decision.outcome, decision.decided_by_id) == ("approved", jonas.id)
    page = visitor.get(answer.url).content.decode()
    assert reverse("approvals:undo", args=[decision.id]) in page
    back = visitor.post(reverse("approvals:undo", args=[decision.id]))
    assert back.url == address(first)
    decision.refresh_from_db()
    assert decision.undone_at is not None


def test_rejecting_with_a_preset_reason_is_one_button(world, visitor):
    task = live_task(world)
    visitor.post(address(task, "decide"), form(task, "rejected:photos_differ"))
    decision = Decision.objects.get()
    assert (decision.outcome, decision.reason) == ("rejected", "Photos differ")


def test_rejecting_without_a_reason_comes_back_with_what_was_typed(world, visitor):
    task = live_task(world)
    answer = visitor.post(
        address(task, "decide"), form(task, "rejected", reason="my note", **MONEY)
    )
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Give a reason" in page
    assert 'href="#reason-rejected"' in page
    assert "my note" in page
    assert not Decision.objects.exists()


def test_an_edit_is_read_from_the_form_and_judged_by_the_contract(world, visitor):
    task = live_task(world)
    wrong = {**MONEY, "output.settlement.minor": "-5", "output.note": "kept words"}
    answer = visitor.post(address(task, "decide"), form(task, "edited", **wrong))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'href="#output.settlement.minor"' in page
    assert "kept words" in page
    right = {**MONEY, "output.settlement.minor": "500000"}
    assert visitor.post(address(task, "decide"), form(task, "edited", **right)).status_code == 302
    decision = Decision.objects.get()
    assert decision.outcome == "edited"
    assert decision.output == {**PROPOSAL, "settlement": {"minor": 500000, "currency": "EUR"}}


def test_an_edit_that_changes_nothing_says_so(world, visitor):
    task = live_task(world)
    answer = visitor.post(address(task, "decide"), form(task, "edited", **MONEY))
    assert answer.status_code == 422
    assert "Nothing was changed" in answer.content.decode()


def test_a_fill_gate_takes_what_was_filled_in(world, visitor):
    evidence = {"proposal": {}, "decision": {"choices": ["filled"]}}
    task = live_task(world, **evidence)
    answer = visitor.post(address(task, "decide"), form(task, "filled", **MONEY))
    assert answer.status_code == 302
    assert Decision.objects.get().output == PROPOSAL


def test_an_exception_runs_again_with_an_edited_input_or_ends(world, visitor):
    failure = {"step": "price", "name": "Price", "reason": "The agent is gone.", "kind": "lost"}
    evidence = {"decision": {"choices": ["retry", "end"]}, "failure": failure}
    task = live_task(world, kind="exception", role="operator", **evidence)
    page = visitor.get(address(task)).content.decode()
    assert "The agent is gone." in page
    assert "Run the step again" in page
    edited = {**MONEY, "output.settlement.minor": "1"}
    visitor.post(address(task, "decide"), form(task, "retry", **edited))
    decision = Decision.objects.get(task=task)
    assert (decision.choice, decision.output["settlement"]["minor"]) == ("retry", 1)
    same = live_task(world, kind="exception", role="operator", **evidence)
    visitor.post(address(same, "decide"), form(same, "retry", **MONEY))
    assert Decision.objects.get(task=same).output is None
    ended = live_task(world, kind="exception", role="operator", **evidence)
    visitor.post(address(ended, "decide"), form(ended, "end", reason_end="not worth it"))
    assert Decision.objects.get(task=ended).reason == "not worth it"


def test_a_result_is_given_in_a_form_of_its_own_and_judged_by_its_own_contract(world, visitor):
    gives = {"type": "object", "properties": {"rate": {"type": "integer"}}, "required": ["rate"]}
    evidence = {
        "decision": {"choices": ["retry", "end", "give"]},
        "failure": {"step": "price", "name": "Price", "reason": "The agent is gone."},
        "result_contract": gives,
    }
    task = live_task(world, kind="exception", role="operator", **evidence)
    page = visitor.get(address(task)).content.decode()
    assert "Give the result yourself" in page
    assert 'name="result.rate"' in page
    given = {**MONEY, "result.rate": "x", "reason_give": "by telephone"}
    refused = visitor.post(address(task, "decide"), form(task, "give", **given))
    assert refused.status_code == 422
    assert 'id="give-result" open' in refused.content.decode()
    visitor.post(address(task, "decide"), form(task, "give", **{**given, "result.rate": "7"}))
    decision = Decision.objects.get(task=task)
    assert (decision.choice, decision.output, decision.reason) == (
        "give",
        {"rate": 7},
        "by telephone",
    )


CHOOSING = {
    "decision": {
        "choices": ["repair", "end"],
        "recorded_as": "chosen",
        "words": {"repair": "Repair it", "end": "Leave it"},
    }
}
ADJUDICATING = {
    "proposal": {"note": "as priced"},
    "alternatives": [
        {"title": "Desk", "choice": "take_1", "value": PROPOSAL},
        {"title": "Site", "choice": "", "missing": "/settlement is required"},
    ],
    "decision": {
        "choices": ["take_1", "own"],
        "recorded_as": "adjudicated",
        "words": {"take_1": "Take: Desk", "own": "Write your own"},
    },
}


def test_ways_to_choose_from_are_buttons_with_their_titles_and_need_no_reason(world, visitor):
    task = live_task(world, **CHOOSING)
    page = visitor.get(address(task)).content.decode()
    assert "Repair it" in page
    assert "Leave it" in page
    assert 'name="reason_end"' not in page
    assert visitor.post(address(task, "decide"), form(task, "end")).status_code == 302
    decision = Decision.objects.get(task=task)
    assert (decision.outcome, decision.choice) == ("chosen", "end")
    assert "Leave it" in visitor.get(address(task)).content.decode()


def test_proposals_stand_side_by_side_and_one_is_taken_as_it_is(world, visitor):
    task = live_task(world, **ADJUDICATING)
    page = visitor.get(address(task)).content.decode()
    assert page.count('class="card alternative') == 2
    assert "Cannot be taken: " in page
    assert "/settlement is required" in page
    visitor.post(address(task, "decide"), form(task, "take_1", **{"output.note": "half typed"}))
    decision = Decision.objects.get(task=task)
    assert (decision.outcome, decision.choice, decision.output) == ("adjudicated", "take_1", None)


def test_ones_own_in_the_place_of_proposals_needs_its_fields_and_a_reason(world, visitor):
    task = live_task(world, **ADJUDICATING)
    assert visitor.post(address(task, "decide"), form(task, "own", **MONEY)).status_code == 422
    wrong = {**MONEY, "output.settlement.minor": "much", "reason_own": "Both are wrong."}
    assert visitor.post(address(task, "decide"), form(task, "own", **wrong)).status_code == 422
    right = {**MONEY, "reason_own": "Both are wrong."}
    assert visitor.post(address(task, "decide"), form(task, "own", **right)).status_code == 302
    decision = Decision.objects.get(task=task)
    assert (decision.choice, decision.output, decision.reason) == (
        "own",
        PROPOSAL,
        "Both are wrong.",
    )


def test_without_a_contract_the_value_is_edited_as_json(world, visitor):
    evidence = {"decision": {"choices": ["retry", "end"]}, "contract": None}
    task = live_task(world, kind="exception", role="operator", **evidence)
    broken = visitor.post(address(task, "decide"), form(task, "retry", output_json="{broken"))
    assert broken.status_code == 422
    assert "{broken" in broken.content.decode()
    assert "This is not JSON" in broken.content.decode()
    visitor.post(address(task, "decide"), form(task, "retry", output_json='{"a": 1}'))
    assert Decision.objects.get().output == {"a": 1}


def test_changed_content_is_not_decided(world, visitor):
    task = live_task(world)
    answer = visitor.post(
        address(task, "decide"), {"decision": "approved", "shown_sha256": "0" * 64}
    )
    assert answer.status_code == 409
    assert "Review it again" in answer.content.decode()


def test_the_second_person_sees_who_decided_and_when(world, visitor):
    task = live_task(world)
    mira = Actor(kind="user", id=str(world.person("mira", "reviewer").id))
    services.decide_review(
        task_id=task.id,
        actor=mira,
        outcome="approved",
        shown_sha256=task.shown_sha256,
        now=timezone.now(),
    )
    answer = visitor.post(address(task, "decide"), form(task, "approved"))
    assert answer.status_code == 409
    page = answer.content.decode()
    assert "Mira decided this on" in page
    assert 'name="decision" value="approved"' not in page


def test_own_requests_are_shown_locked_with_the_reason(world, visitor, jonas):
    task = live_task(world, excluded=[str(jonas.id)])
    page = visitor.get(address(task)).content.decode()
    assert "You started this run, so somebody else decides" in page
    assert 'name="decision"' not in page
    assert "Asked by you" in visitor.get(reverse("approvals:list")).content.decode()
    assert visitor.post(address(task, "decide"), form(task, "approved")).status_code == 403
    assert not Decision.objects.exists()


def test_a_claimed_review_can_be_taken_over(world, visitor, jonas):
    task = live_task(world)
    mira = Actor(kind="user", id=str(world.person("mira", "reviewer").id))
    services.claim_review(task_id=task.id, actor=mira, now=timezone.now())
    page = visitor.get(address(task)).content.decode()
    assert "Mira is working on it" in page
    assert "Take over" in page
    visitor.post(address(task, "hand_over"), {"to": str(jonas.id)})
    assert visitor.post(address(task, "decide"), form(task, "approved")).status_code == 302


def test_handing_over_goes_on_with_the_next_item(world, visitor):
    mira = world.person("mira", "reviewer")
    task = live_task(world)
    answer = visitor.post(address(task, "hand_over"), {"to": str(mira.id), "reason": "hers"})
    assert answer.url == reverse("approvals:list")
    task.refresh_from_db()
    assert task.assigned_to_id == mira.id


def test_closed_reviews_say_what_was_decided(world, visitor, jonas):
    task = live_task(world)
    visitor.post(address(task, "decide"), form(task, "rejected:claimed_twice"))
    page = visitor.get(f"{address(task)}?segment=decided").content.decode()
    assert "Jonas decided it on" in page
    assert "Claimed twice" in page


def test_visitors_are_sent_to_sign_in_and_nothing_is_decided(world, client):
    task = live_task(world)
    assert "/accounts/login/" in client.get(address(task)).url
    answer = client.post(address(task, "decide"), form(task, "approved"))
    assert "/accounts/login/" in answer.url
    assert not Decision.objects.exists()


def test_a_form_from_another_site_is_refused(world, jonas):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(jonas)
    task = live_task(world)
    assert strict.post(address(task, "decide"), form(task, "approved")).status_code == 403
    assert not Decision.objects.exists()


def test_a_foreign_review_is_not_found(world, client):
    stranger = world.person("stranger", "reviewer", workspace=world.other_workspace())
    client.force_login(stranger)
    task = live_task(world)
    assert client.get(address(task)).status_code == 404
    assert client.post(address(task, "decide"), form(task, "approved")).status_code == 404


def test_text_from_outside_stays_text(world, visitor):
    evil = "<script>alert(1)</script> \u202eevil"
    task = live_task(
        world,
        why=evil,
        items=[
            {"title": evil, "kind": "text", "value": evil},
            {"title": evil, "kind": "fields", "value": {evil: evil}},
            {"title": evil, "kind": "clause", "value": {"id": evil, "title": evil, "text": evil}},
            {"title": evil, "kind": "signals", "value": [{"label": evil, "weight": 0.5}]},
            {"title": evil, "kind": "computation", "value": [{"label": evil, "kind": "note"}]},
            {"title": evil, "kind": "document", "value": {"artefact": "no", "name": evil}},
        ],
        path=[{"step": "x", "name": evil}],
        proposal={"settlement": {"minor": 1, "currency": "EUR"}, "note": evil},
        contract=CONTRACT,
    )
    page = visitor.get(address(task)).content.decode()
    assert "<script>alert" not in page
    assert "\u202e" not in page[: page.find("<form class")]
    assert "[U+202E]" in page


def test_no_page_has_a_style_attribute_or_inline_script(world, visitor):
    task = live_task(world, confidence={"score": 0.66, "threshold": 0.7})
    page = visitor.get(address(task)).content.decode()
    assert " style=" not in page
    assert "<script>" not in page
    assert "javascript:" not in page


def test_the_script_gets_json(world, visitor):
    task = live_task(world)
    answer = visitor.post(
        address(task, "decide"), form(task, "approved"), headers={"Accept": "application/json"}
    )
    assert answer.status_code == 200
    decision = Decision.objects.get()
    assert answer.json()["undo"] == reverse("approvals:undo", args=[decision.id])
    again = visitor.post(
        address(task, "decide"),
        form(task, "rejected:photos_differ"),
        headers={"Accept": "application/json"},
    )
    assert again.status_code == 409
    assert again.json()["code"] == "already_decided"


def test_the_queue_alone_can_be_had_for_refreshing(world, visitor):
    task = live_task(world)
    page = visitor.get(f"{reverse('approvals:queue')}?segment=mine&current={task.id}")
    assert page.status_code == 200
    assert 'aria-current="true"' in page.content.decode()
