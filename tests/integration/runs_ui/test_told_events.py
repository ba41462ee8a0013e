"""What people see of the events that runs tell."""

import re

from orchestrator.runs import services
from orchestrator.runs.models import ReceivedEvent
from orchestrator.runs.walker import walk
from tests.integration.runs.test_emits import telling
from tests.integration.runs.world import now


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>|[\u2066-\u2069]", "", page))


def test_run_page_and_event_list_lead_to_each_other(world, doorbells, operator):
    run = world.start(telling(after_agent=False), text="o-7")
    walk(run.id)
    page = operator.get(f"/runs/{run.id}/?step=tell").content.decode()
    assert "Told order.paid for o-7." in text_of(page)
    found = f"/events/?q={run.id}/tell/1"
    assert found in page
    listed = operator.get(found).content.decode()
    assert f'href="/runs/{run.id}/"' in listed
    assert "/tell/1" not in text_of(listed)
    (row,) = operator.get("/api/v1/events/").json()["results"]
    assert (row["run"], row["source_id"]) == (str(run.id), f"{run.id}/tell/1")
    journal = operator.get(f"/api/v1/runs/{run.id}/events/").json()["events"]
    assert "“Tell” tells “order.paid” for “o-7”." in journal[0]["text"]


def test_the_page_of_a_test_run_says_that_nobody_was_told(world, doorbells, owner):
    world.publish(telling(after_agent=False))
    run = services.start_run(
        workflow_slug="flow-1", input={"text": "o-7"}, mode="test", actor=world.owner, now=now()
    )
    walk(run.id)
    page = owner.get(f"/runs/{run.id}/?step=tell").content.decode()
    assert "A live run would tell order.paid for o-7." in text_of(page)
    assert "A test run tells nobody." in page
    assert not ReceivedEvent.objects.exists()
