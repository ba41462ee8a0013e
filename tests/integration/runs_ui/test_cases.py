"""Running cases against another version of their workflow: page, filter, bounds, API."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from designer import services as designer
from orchestrator.runs import cases
from orchestrator.runs.models import Run
from orchestrator.runs.walker import walk
from tests.integration.runs.world import agent, chain, decide, gate, now, with_gate
from tests.integration.runs_ui.conftest import client_of
from tests.integration.runs_ui.test_pages import text_of


def longer():
    """One more call at the end: nothing that has happened is touched."""
    document = with_gate()
    document["steps"]["c"] = agent("c")
    del document["links"]["b.next-done"]
    for source, target in (("b", "c"), ("c", "done")):
        link = {"source": source, "port": "next", "target": target}
        document["links"][f"{source}.next-{target}"] = link
    return document


def with_gate_before():
    """A person is asked before the first call."""
    document = with_gate()
    document["steps"]["allow"] = gate("Allow")
    del document["links"]["start.next-a"]
    for source, port, target in (("start", "next", "allow"), ("allow", "approved", "a")):
        link = {"source": source, "port": port, "target": target}
        document["links"][f"{source}.{port}-{target}"] = link
    return document


@pytest.fixture
def waiting(world, doorbells, fakes):
    """Two runs at their gate, and one that has ended."""
    world.slug = world.publish(with_gate())
    runs = [world.start(world.slug, text=text) for text in ("CLM-1", "CLM-2", "CLM-3")]
    for run in runs:
        walk(run.id)
    decide(world, runs[2], "rejected", reason="No.")
    walk(runs[2].id)
    return runs


def draft(world, document):
    return designer.save_draft(
        slug=world.slug, definition=document, revision=0, actor=world.owner, now=now()
    )


def address(world, number=2):
    return f"/workflows/{world.slug}/cases/{number}/"


def test_what_could_go_on_is_said_and_the_version_leads_there(world, waiting, operator, stranger):
    draft(world, longer())
    assert address(world) in operator.get(f"/workflows/{world.slug}/versions/2/").content.decode()
    page = text_of(operator.get(address(world)))
    assert "2 could go on" in page
    assert "0 could not" not in page, "what is none is not counted out"
    assert "CLM-1" in page
    assert "CLM-3" not in page, "it has ended"
    assert client_of(stranger).get(address(world)).status_code == 404


def test_what_could_not_go_on_says_why_and_where(world, waiting, operator):
    draft(world, with_gate_before())
    page = operator.get(address(world))
    assert "2 could not" in text_of(page)
    words = "would come before it there"
    assert words in text_of(page)
    assert f'href="/runs/{waiting[0].id}/?step=a"' in page.content.decode()
    (first, second) = operator.get(f"/api/v1{address(world)}").json()["results"]
    assert first["run"]["title"] == "CLM-2"
    assert first["verdict"] == second["verdict"] == "could_not"
    found = {one["rule"]: one for one in first["obstacles"]}
    assert found["gate"]["place"] == "/links/allow.approved-a"
    assert found["gate"]["step"] == "a"
    assert words in found["gate"]["reason"]
    assert found["link"]["place"] == "/links/start.next-a"


def test_cases_are_filtered_by_verdict_and_counted(world, waiting, operator):
    decide(world, waiting[0], "approved", reason="Yes.")
    fresh = with_gate()
    fresh["steps"]["approve"]["question"] = "Really?"
    draft(world, fresh)
    counts = operator.get(f"/api/v1{address(world)}counts/").json()
    assert counts == {"total": 2, "checked": 2, "could": 0, "could_not": 2, "ended": 0}
    walk(waiting[0].id)  # what was decided counts, and the run ends
    counts = operator.get(f"/api/v1{address(world)}counts/").json()
    assert counts == {"total": 1, "checked": 1, "could": 0, "could_not": 1, "ended": 0}
    none = operator.get(f"/api/v1{address(world)}?verdict=could").json()["results"]
    assert none == []
    assert "No case matches" in text_of(operator.get(f"{address(world)}?verdict=could"))
    (one,) = operator.get(f"/api/v1{address(world)}?verdict=could_not").json()["results"]
    assert one["run"]["id"] == str(waiting[1].id)
    assert operator.get(f"/api/v1{address(world)}?verdict=perhaps").status_code == 422


def test_so_many_are_checked_at_once_and_the_page_says_so(world, waiting, operator, monkeypatch):
    monkeypatch.setattr(cases, "CHECKED", 1)
    draft(world, longer())
    page = text_of(operator.get(address(world)))
    assert "The newest 1 of 2 cases were checked" in page
    assert page.count("Could go on") == 3, "each row that is shown, and the filter"


def test_many_cases_cost_as_many_queries_as_one(world, waiting, operator):
    version = cases.version_to_go_on_with(draft(world, longer()))
    both = list(Run.objects.filter(id__in=[run.id for run in waiting[:2]]))
    cases.check_cases(both[:1], version, now=now())
    with CaptureQueriesContext(
        connection,
    ) as one:
        cases.check_cases(both[:1], version, now=now())
    with CaptureQueriesContext(connection) as two:
        assert len(cases.check_cases(both, version, now=now())) == 2
    assert len(one) == len(two)


def test_a_version_that_cannot_run_yet_is_no_version_to_go_on_with(world, waiting, operator):
    broken = longer()
    del broken["links"]["c.next-done"]
    broken["steps"]["c"]["input"]["text"] = "steps.nowhere.output.text"
    draft(world, broken)
    assert "Version 2 cannot run yet" in text_of(operator.get(address(world)))
    refused = operator.get(f"/api/v1{address(world)}")
    assert (refused.status_code, refused.json()["code"]) == (409, "version_not_ready")


def test_nothing_runs_with_another_version(world, doorbells, fakes, operator):
    world.slug = world.publish(chain("a"))
    page = text_of(operator.get(address(world, 1)))
    assert "No case runs with another version" in page
    assert operator.get(address(world, 9)).status_code == 404
