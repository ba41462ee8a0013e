"""The pages of triggers and events, and the same over the API, with real firings behind them."""

import json

import pytest

from orchestrator.core.cloudevents import IncomingEvent
from orchestrator.runs import intake, triggers
from orchestrator.runs.models import ReceivedEvent, Run, Trigger, TriggerFiring
from orchestrator.runs.signatures import secret_of
from tests.integration.runs.world import agent, definition, now
from tests.integration.runs_ui.conftest import client_of
from tests.integration.runs_ui.test_pages import text_of

GIVEN = {
    "hook": {"name": "From the shop", "source": {"type": "webhook"}, "input": {"text": "event.data.text"}},
    "morning": {
        "name": "Every morning",
        "source": {"type": "schedule", "cron": "0 8 * * 1-5", "zone": "Europe/Berlin"},
        "input": {"text": "event.at"},
    },
    "paid": {
        "name": "Paid",
        "source": {"type": "event", "event": "order.paid"},
        "input": {"text": "event.key"},
        "filter": "event.data.amount > 3",
        "limit": {"per_minute": 1},
    },
}  # fmt: skip


@pytest.fixture
def slug(world, doorbells):
    document = definition({"a": agent("a")}, ["start.next-a", "a.next-done"])
    slug = world.publish({**document, "triggers": GIVEN})
    triggers.Installed().sync(now())
    return slug


def told(world, *amounts):
    events = [
        IncomingEvent(
            id=f"e-{number}",
            source="shop",
            type="order.paid",
            key=f"o-{number}",
            content={"amount": one},
        )
        for number, one in enumerate(amounts)
    ]
    intake.receive(events=events, workspace_id=world.workspace.id, actor=world.operator, now=now())
    intake.settle_received(now())
    triggers.decide_firings(now())


def test_the_triggers_of_a_workflow_are_told_in_words_with_their_counts(world, slug, operator):
    told(world, 5, 1, 9)
    text = text_of(operator.get(f"/workflows/{slug}/triggers/"))
    assert "every weekday at 08:00 in Europe/Berlin" in text
    assert "when order.paid is told" in text
    assert "At most 1 a minute, the rest waits" in text
    assert "Started a run 1" in text
    assert "Suppressed 1" in text
    assert "Parked 1" in text


def test_a_trigger_lists_what_it_was_told_of_and_why(world, slug, operator):
    told(world, 5, 1, 9)
    page = operator.get(f"/workflows/{slug}/triggers/paid/")
    text = text_of(page)
    assert "The filter does not let it pass." in text
    assert f"/runs/{Run.objects.get().id}/" in page.content.decode()
    only = text_of(operator.get(f"/workflows/{slug}/triggers/paid/?status=parked"))
    assert "it waits" in only
    assert "The filter does not let it pass." not in only


def test_a_schedule_shows_its_next_times_in_its_own_zone(world, slug, operator):
    text = text_of(operator.get(f"/workflows/{slug}/triggers/morning/"))
    assert "in Europe/Berlin" in text
    assert text.count("08:00 CE") == 5


def test_a_new_secret_is_shown_once_and_a_second_click_makes_no_other(world, slug):
    owner = client_of(world.owner)
    address = f"/workflows/{slug}/triggers/hook/"
    row = Trigger.objects.get(name="hook")
    assert 'name="number" value="1"' in owner.get(address).content.decode()
    made = owner.post(f"{address}do/rotate/", {"number": "1"}).content.decode()
    assert secret_of(row.id, 2) in made
    assert secret_of(row.id, 2) not in owner.get(address).content.decode()
    for given in ({"number": "1", "ends_former": "1"}, {"number": "2"}, {}):
        refused = owner.post(f"{address}do/rotate/", given)
        assert refused.status_code == 409
        assert "No new secret was made" in text_of(refused)
    row.refresh_from_db()
    assert row.secret_number == 2
    agreed = owner.post(f"{address}do/rotate/", {"number": "2", "ends_former": "1"})
    assert secret_of(row.id, 3) in agreed.content.decode()


def test_after_a_try_the_list_still_links_to_its_own_page(world, slug, operator):
    address = f"/workflows/{slug}/triggers/paid/"
    told(world, 5)
    tried = operator.post(f"{address}do/try/", {"sample": "{}"}).content.decode()
    assert f'href="{address}?status=started"' in tried
    assert "do/try/?" not in tried
    part = operator.get(
        f"{address}?status=started", headers={"hx-request": "true", "hx-target": "div#list-firings"}
    ).content.decode()
    assert part.lstrip().startswith('<div class="list')


def test_a_try_may_name_the_schema_version_that_the_trigger_asks_for(world, operator, doorbells):
    document = definition({"a": agent("a")}, ["start.next-a", "a.next-done"])
    slug = world.publish(
        {**document, "triggers": {"paid": {**GIVEN["paid"], "schemas": ["v2", "v3"]}}}
    )
    triggers.Installed().sync(now())
    address = f"/workflows/{slug}/triggers/paid/"
    assert 'name="dataschema" maxlength="500" value="v2"' in operator.get(address).content.decode()
    given = {"sample": '{"amount": 5}', "key": "o-1"}
    tried = text_of(operator.post(f"{address}do/try/", {**given, "dataschema": "v3"}))
    assert "Would start a run" in tried
    assert "only certain ones are taken" in text_of(
        operator.post(f"{address}do/try/", {**given, "dataschema": "v1"})
    )


def test_a_pause_asks_for_the_reason_and_says_so_beside_the_field(world, slug, operator):
    address = f"/workflows/{slug}/triggers/hook/"
    refused = operator.post(f"{address}do/pause/", {"reason": " "})
    page = refused.content.decode()
    assert refused.status_code == 422
    assert 'aria-invalid="true" aria-describedby="reason-error"' in page
    assert 'id="reason-error"' in page
    assert 'href="#reason"' in page
    assert Trigger.objects.get(name="hook").status == "active"


def test_a_journey_from_a_try_to_a_pause(world, slug, operator):
    address = f"/workflows/{slug}/triggers/hook/"
    row = Trigger.objects.get(name="hook")
    tried = text_of(operator.post(f"{address}do/try/", {"sample": '{"text": "hello"}'}))
    assert "Would start a run" in tried
    assert "&quot;text&quot;: &quot;hello&quot;" in tried or '"text": "hello"' in tried
    wrong = operator.post(f"{address}do/try/", {"sample": "{"})
    assert wrong.status_code == 422
    assert "This is not JSON" in text_of(wrong)
    assert 'aria-describedby="sample-error"' in wrong.content.decode()
    assert "breaks the contract" in text_of(
        operator.post(f"{address}do/try/", {"sample": '{"text": 7}'})
    )
    operator.post(f"{address}do/pause/", {"reason": "Shop is down."})
    assert "Paused" in text_of(operator.get(address))
    operator.post(f"{address}do/resume/", {"reason": "Up again."})
    row.refresh_from_db()
    assert row.status == "active"
    assert not TriggerFiring.objects.exists()


def test_who_may_only_read_gets_no_buttons_and_no_secret(world, slug):
    reader = client_of(world.reviewer)
    page = reader.get(f"/workflows/{slug}/triggers/hook/").content.decode()
    assert "Make a new secret" not in page
    assert reader.post(f"/workflows/{slug}/triggers/hook/do/rotate/").status_code == 403
    assert reader.get(f"/workflows/{slug}/triggers/nothing/").status_code == 404


def test_a_workflow_without_triggers_says_how_to_get_one(world, doorbells, operator):
    slug = world.publish(definition({"a": agent("a")}, ["start.next-a", "a.next-done"]))
    assert "No triggers" in text_of(operator.get(f"/workflows/{slug}/triggers/"))


def test_events_are_listed_with_what_became_of_them(world, slug, operator, stranger):
    told(world, 5)
    nobody = IncomingEvent(id="x", source="shop", type="order.sent", key="o-9")
    intake.receive(
        events=[nobody], workspace_id=world.workspace.id, actor=world.operator, now=now()
    )
    intake.settle_received(now())
    text = text_of(operator.get("/events/"))
    assert "order.paid" in text
    assert "Nothing waits for it yet." in text
    assert "Triggers were told of it; nothing waits for it yet." in text
    assert "order.paid" not in text_of(operator.get("/events/?status=delivered"))
    assert "order.paid" not in text_of(client_of(stranger).get("/events/"))


# ---- API -------------------------------------------------------------------------------------------


def test_events_come_as_cloudevents_in_three_modes(world, slug, operator):
    event = {"specversion": "1.0", "source": "/shop", "type": "order.paid", "subject": "o-1"}
    one = operator.post(
        "/api/v1/events/", json.dumps({**event, "id": "1", "data": {"amount": 5}}),
        content_type="application/cloudevents+json",
    )  # fmt: skip
    assert (one.status_code, one.json()) == (202, {"accepted": 1, "duplicates": 0})
    many = operator.post(
        "/api/v1/events/", json.dumps([{**event, "id": "1"}, {**event, "id": "2"}]),
        content_type="application/cloudevents-batch+json",
    )  # fmt: skip
    assert many.json() == {"accepted": 2, "duplicates": 1}
    binary = operator.post(
        "/api/v1/events/", json.dumps({"amount": 7}), content_type="application/json",
        headers={"ce-specversion": "1.0", "ce-id": "3", "ce-source": "/shop", "ce-type": "order.paid"},
    )  # fmt: skip
    assert binary.status_code == 202
    bad = operator.post(
        "/api/v1/events/", json.dumps({"amount": 7}), content_type="application/json"
    )
    assert (bad.status_code, bad["Content-Type"]) == (422, "application/problem+json")
    forged = operator.post(
        "/api/v1/events/", json.dumps({**event, "id": "4", "type": "run.finished"}),
        content_type="application/cloudevents+json",
    )  # fmt: skip
    assert (forged.status_code, forged["Content-Type"]) == (422, "application/problem+json")
    assert forged.json()["violations"][0]["path"] == "/type"
    assert [one.content for one in ReceivedEvent.objects.order_by("id")] == [
        {"amount": 5},
        None,
        {"amount": 7},
    ]
    listed = operator.get("/api/v1/events/?type=order.paid&status=received").json()["results"]
    assert {one["subject"] for one in listed} == {"o-1", ""}


def test_the_api_does_what_the_pages_do(world, slug, operator):
    told(world, 5, 1)
    rows = operator.get(f"/api/v1/triggers/?workflow={slug}").json()["results"]
    assert [one["name"] for one in rows] == ["hook", "morning", "paid"]
    by_name = {one["name"]: one for one in rows}
    assert by_name["morning"]["fires"] == "every weekday at 08:00 in Europe/Berlin"
    assert by_name["morning"]["due_at"]
    assert by_name["hook"]["url"].endswith(f"/hooks/{Trigger.objects.get(name='hook').address}/")
    paid = f"/api/v1/triggers/{by_name['paid']['id']}/"
    assert operator.get(f"{paid}counts/").json()["firings"] == {"started": 1, "suppressed": 1}
    firings = operator.get(f"{paid}firings/?status=started").json()["results"]
    assert firings[0]["run"] == str(Run.objects.get().id)
    hook = f"/api/v1/triggers/{by_name['hook']['id']}/"
    assert by_name["hook"]["secret_number"] == 1
    owner = client_of(world.owner)
    number = json.dumps({"number": 1})
    made = owner.post(f"{hook}rotate-secret/", number, content_type="application/json").json()
    assert made["secret"].startswith("whsec_")
    stale = owner.post(f"{hook}rotate-secret/", number, content_type="application/json")
    assert (stale.status_code, stale.json()["code"]) == (409, "conflict")
    reason = json.dumps({"reason": "Down."})
    paused = operator.post(f"{hook}pause/", reason, content_type="application/json").json()
    assert paused["status"] == "paused"
    tried = operator.post(
        f"{paid}try/",
        json.dumps({"data": {"amount": 4}, "key": "o-7"}),
        content_type="application/json",
    ).json()
    assert (tried["verdict"], tried["input"]) == ("passes", {"text": "o-7"})
