"""What runs do that somebody should look at: list, home page, dismissing, API."""

from __future__ import annotations

import json

from audit.sequencer import sequence_once
from orchestrator.runs.models import Observation
from orchestrator.runs.watch import Watch
from tests.integration.runs.world import now
from tests.integration.runs_ui.conftest import client_of
from tests.integration.runs_ui.test_pages import text_of
from tests.integration.runs_ui.test_traffic import in_circles

TEXT = "The loop Judge → Write went round 3 times with the same answers."


def seen(world, fakes):
    sequence_once(now())
    Watch().look_over(now())
    run = in_circles(world, fakes)
    sequence_once(now())
    Watch().look_over(now())
    return run, Observation.objects.get()


def test_it_is_listed_told_on_the_home_page_and_leads_to_its_run(
    world, doorbells, fakes, operator, stranger
):
    run, _row = seen(world, fakes)
    page = operator.get("/observations/")
    assert TEXT in text_of(page)
    assert f"/runs/{run.id}/?log=messages&amp;step=write" in page.content.decode()
    assert TEXT in text_of(operator.get("/"))
    assert TEXT not in text_of(client_of(stranger).get("/observations/"))
    assert TEXT not in text_of(client_of(stranger).get("/"))


def test_dismissing_it_needs_a_reason_and_takes_it_off_the_list(
    world, doorbells, fakes, operator, reviewer
):
    _, row = seen(world, fakes)
    address = f"/observations/{row.id}/dismiss/"
    assert TEXT in text_of(operator.get(address))
    assert "Dismiss …" not in text_of(reviewer.get("/observations/"))
    refused = operator.post(address, {"reason": ""})
    assert refused.status_code == 422
    assert operator.post(address, {"reason": "Known."}).status_code == 302
    assert "Nothing is worth a look" in text_of(operator.get("/observations/"))


def test_the_api_lists_filters_and_dismisses(world, doorbells, fakes, operator):
    run, row = seen(world, fakes)
    (one,) = operator.get("/api/v1/observations/?kind=circles").json()["results"]
    assert (one["run"], one["step"], one["times"]) == (str(run.id), "write", 1)
    assert operator.get("/api/v1/observations/?kind=storm").json()["results"] == []
    assert operator.get("/api/v1/observations/?colour=red").status_code == 422
    address = f"/api/v1/observations/{row.id}/dismiss/"
    body = json.dumps({"reason": "Known."})
    done = operator.post(address, body, content_type="application/json")
    assert done.status_code == 200
    assert done.json()["dismissed_at"] is not None
    assert operator.get("/api/v1/observations/").json()["results"] == []
