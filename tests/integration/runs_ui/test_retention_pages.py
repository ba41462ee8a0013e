"""What is kept, on its page and over the API."""

import json
from datetime import timedelta

import pytest

from orchestrator.access import Role
from orchestrator.ids import first_id
from orchestrator.runs import retention
from orchestrator.runs.models import ReceivedEvent
from tests.integration.runs.test_retention import settled
from tests.integration.runs.world import now
from tests.integration.runs_ui.conftest import client_of
from tests.integration.runs_ui.test_pages import text_of

API = "/api/v1/retention-policies/tests/"
PAGE = "/settings/retention/tests/"


@pytest.fixture
def administrator(world):
    return client_of(world.actor("administrator", Role.ADMINISTRATOR))


@pytest.fixture
def old_event(world, doorbells):
    """An event that came in fifty days ago."""
    settled(world, "a")
    ReceivedEvent.objects.update(id=first_id(now() - timedelta(days=50)))


def given(**fields):
    value = {
        "events_days": "for ever",
        "firings_days": "for ever",
        "confirmed": "no, tell me how much that is",
        "reason": "The plan.",
        **fields,
    }
    return {f"input.{name}": one for name, one in value.items()}


def test_an_administrator_is_told_what_would_go_and_agrees(world, administrator, old_event):
    answer = administrator.post(PAGE, given(events_days="40"))
    assert answer.status_code == 422
    assert "1 event and 0 firings would be deleted now" in text_of(answer)
    assert retention.terms_of(world.workspace.id) == retention.Terms()
    answer = administrator.post(PAGE, given(events_days="40", confirmed="yes"), follow=True)
    assert "This is kept from now on" in text_of(answer)
    assert retention.delete_expired(now()) == 1
    history = text_of(administrator.get(PAGE))
    assert "Said what is kept" in history
    assert "Deleted what was kept long enough" in history
    assert "40 days" in text_of(administrator.get("/settings/retention/"))


def test_days_that_are_no_number_are_named_at_their_field(administrator):
    answer = administrator.post(PAGE, given(firings_days="a while"))
    assert answer.status_code == 422
    assert "must be a number of days, or &#x27;for ever&#x27;" in answer.content.decode()


def test_others_read_what_is_kept_and_by_whom_it_is_changed(world, operator):
    text = text_of(operator.get(PAGE))
    assert "for ever" in text
    assert "Only an administrator" in text


def test_the_api_refuses_what_nobody_consented_to_with_the_numbers(administrator, old_event):
    body = {"events_days": 40, "firings_days": None, "reason": "The plan."}

    def put(**more):
        content = json.dumps({**body, **more})
        return administrator.put(API, content, content_type="application/json")

    refused = put()
    assert refused.status_code == 422
    assert refused.json()["code"] == "retention_unconfirmed"
    assert refused.json()["would_delete"] == {"events": 1, "firings": 0}
    assert put(confirmed=True).json() == {
        "workspace": "tests",
        "events_days": 40,
        "firings_days": None,
    }
    assert administrator.get("/api/v1/retention-policies/").json()[0]["events_days"] == 40
