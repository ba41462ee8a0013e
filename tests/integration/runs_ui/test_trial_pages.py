"""Test runs on pages and over the API: started, marked, and kept apart from live runs."""

import json

import pytest

from designer import services as design
from orchestrator.runs.models import Run
from orchestrator.runs.walker import walk
from tests.integration.runs.world import INPUT, chain, now
from tests.integration.runs_ui.test_pages import text_of

DRAFT = "/workflows/tried/start/?mode=test"


@pytest.fixture
def draft(world):
    """Makes the workflow `tried` with this draft."""

    def make(document):
        design.create_workflow(
            slug="tried",
            workspace_id=world.workspace.id,
            owner_id=world.author.id,
            definition=document,
            actor=world.owner,
            now=now(),
        )

    return make


def test_the_form_of_the_draft_starts_a_test_run_that_is_marked_everywhere(
    world, doorbells, owner, draft
):
    draft(chain("a"))
    page = owner.get(DRAFT)
    assert "Test-run the draft" in text_of(page)
    assert "simulation-strip" in page.content.decode()
    answer = owner.post(DRAFT, {"input.text": "CLM-9"})
    run = Run.objects.get()
    assert answer.headers["Location"] == f"/runs/{run.id}/"
    assert run.mode == "test"
    assert walk(run.id)
    detail = owner.get(f"/runs/{run.id}/").content.decode()
    assert "simulation-strip" in detail
    assert "counts in no figure" in detail


def test_live_and_test_runs_are_listed_apart(world, doorbells, owner, draft):
    draft(chain("a"))
    owner.post(DRAFT, {"input.text": "CLM-9"})
    assert "CLM-9" not in text_of(owner.get("/runs/"))
    tests = owner.get("/runs/?mode=test")
    assert "CLM-9" in text_of(tests)
    assert "v1 draft · Test run" in text_of(tests)
    assert "simulation-strip" in tests.content.decode()
    assert 'href="/runs/?mode=test"' in owner.get("/runs/").content.decode()
    assert "CLM-9" not in text_of(owner.get("/"))


def test_a_workflow_that_asks_nothing_starts_at_once(world, doorbells, owner, draft):
    document = chain("a")
    document["input"] = {"type": "object", "properties": {}, "additionalProperties": False}
    document["steps"]["a"]["input"] = {"label": "'a'"}
    document["steps"]["done"]["result"] = {}
    del document["run_title"]
    draft(document)
    assert "asks for no input" in text_of(owner.get(DRAFT))
    assert owner.post(DRAFT).status_code == 302
    assert Run.objects.get().mode == "test"


def test_a_made_up_example_fills_the_form_of_a_test(world, doorbells, owner, draft):
    document = chain("a")
    document["input"] = {
        **INPUT,
        "properties": {"text": {"type": "string", "examples": ["CLM-2026-1"]}},
    }
    draft(document)
    assert "Fill with an example" in text_of(owner.get(DRAFT))
    filled = owner.get(DRAFT + "&example=made-up").content.decode()
    assert 'value="CLM-2026-1"' in filled


def test_a_draft_that_cannot_run_says_why_and_leads_to_the_design(world, owner, draft):
    document = chain("a")
    del document["steps"]["a"]["input"]["label"]
    draft(document)
    answer = owner.post(DRAFT, {"input.text": "CLM-9"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "This test run cannot start" in page
    assert "needs &#x27;label&#x27;" in page
    assert 'href="/workflows/tried/design/"' in page
    assert 'value="CLM-9"' in page
    assert not Run.objects.exists()


def test_an_operator_may_start_live_runs_and_no_test_runs(world, operator, draft):
    draft(chain("a"))
    assert operator.get(DRAFT).status_code == 403
    assert operator.post(DRAFT, {"input.text": "x"}).status_code == 403


def test_the_api_starts_test_runs_and_lists_them_only_when_asked(world, doorbells, owner, draft):
    draft(chain("a"))
    body = {"workflow": "tried", "input": {"text": "x"}, "mode": "test"}
    answer = owner.post("/api/v1/runs/", json.dumps(body), content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["mode"] == "test"
    assert answer.json()["workflow"]["is_draft"] is True
    assert owner.get("/api/v1/runs/").json()["results"] == []
    assert len(owner.get("/api/v1/runs/?mode=test").json()["results"]) == 1
    assert len(owner.get("/api/v1/runs/?mode=all").json()["results"]) == 1
    assert owner.get("/api/v1/runs/?mode=some").status_code == 422


def test_the_api_refuses_a_test_of_a_draft_with_errors_and_lists_them(world, owner, draft):
    document = chain("a")
    del document["steps"]["a"]["input"]["label"]
    draft(document)
    body = {"workflow": "tried", "input": {"text": "x"}, "mode": "test"}
    answer = owner.post("/api/v1/runs/", json.dumps(body), content_type="application/json")
    assert answer.status_code == 422
    assert answer.json()["code"] == "not_triable"
    assert [one["code"] for one in answer.json()["findings"]] == ["missing_field"]
