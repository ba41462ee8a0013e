"""Several runs at once, on the pages and over the API."""

import json

import pytest

from orchestrator.runs.models import BulkAct, Run
from orchestrator.runs.walker import walk
from tests.integration.runs.world import status_of, with_gate
from tests.integration.runs_ui.test_pages import text_of

PAGE = "/runs/select/"
API = "/api/v1/bulk-acts/"


@pytest.fixture
def runs(world, doorbells):
    slug = world.publish(with_gate())
    found = [world.start(slug, text=f"case {number}") for number in range(3)]
    for run in found:
        walk(run.id)
    return found


def test_an_operator_selects_runs_and_sees_what_came_of_it(operator, runs):
    assert "Select several" in text_of(operator.get("/runs/"))
    page = operator.get(PAGE)
    assert "Select all 3" in text_of(page)
    assert page.content.count(b" checked") == 0
    page = operator.get(f"{PAGE}?show=waiting&all=yes")
    assert page.content.count(b" checked") == 3
    chosen = {"act": "pause", "run": [str(runs[0].id), str(runs[1].id)], "reason": "Maintenance."}
    result = operator.post(PAGE, chosen, follow=True)
    assert "2 of 2 paused" in text_of(result)
    for run in runs:
        walk(run.id)
    assert [status_of(run) for run in runs] == ["paused", "paused", "waiting"]
    again = text_of(operator.post(PAGE, chosen, follow=True))
    assert "0 of 2 paused; 2 could not be" in again
    assert "Not done" in again


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"run": []}, "Choose at least one run."),
        ({"act": ""}, "Choose what is to be done"),
        ({"run": ["x"]}, "Choose them again."),
        ({"reason": ""}, "Say why, in a few words."),
    ],
)
def test_what_is_missing_is_said_and_the_choice_is_kept(operator, runs, change, words):
    chosen = {"act": "pause", "run": [str(runs[0].id)], "reason": "Maintenance.", **change}
    page = operator.post(PAGE, chosen)
    assert page.status_code == 422
    assert words in text_of(page)
    assert b'value="pause" required checked' in page.content or not chosen["act"]
    assert not BulkAct.objects.exists()


def test_the_api_does_the_same(operator, reviewer, runs):
    body = {"act": "cancel", "runs": [str(run.id) for run in runs], "reason": "A wrong batch."}
    answer = operator.post(API, json.dumps(body), content_type="application/json")
    assert answer.status_code == 201
    told = answer.json()
    assert (told["unasked"], [one["is_done"] for one in told["results"]]) == (0, [True] * 3)
    assert reviewer.get(f"{API}{told['id']}/").json() == told
    assert reviewer.post(API, json.dumps(body), content_type="application/json").status_code == 403


def test_the_page_asks_the_database_as_often_for_many_runs_as_for_few(
    world, operator, runs, django_assert_max_num_queries
):
    operator.get(PAGE)
    with django_assert_max_num_queries(25) as few:
        operator.get(PAGE)
    slug = Run.objects.get(id=runs[0].id).workflow.slug
    for number in range(5):
        walk(world.start(slug, text=f"more {number}").id)
    with django_assert_max_num_queries(len(few)):
        operator.get(PAGE)
