"""What steps share on the run page and in the API: keys, versions, conflicts, and the way back."""

from __future__ import annotations

from orchestrator.runs.walker import walk
from tests.integration.runs.test_sharing import conflicting
from tests.integration.runs.world import chain, decide
from tests.integration.runs_ui.test_pages import text_of


def test_the_api_lists_keys_with_their_versions_and_conflicts(world, doorbells, fakes, operator):
    run = conflicting(world)
    found = operator.get(f"/api/v1/runs/{run.id}/context/").json()
    log, last = found["keys"]
    assert (log["key"], log["rule"], log["version"]) == ("log", "append", 2)
    first = last["versions"][0]["step"]
    assert [
        (one["version"], one["step"], one["based_on"], one["value"]) for one in last["versions"]
    ] == [(2, first, 1, first), (1, "start", 0, "hello")]
    assert all(len(one["sha256"]) == 64 for one in last["versions"])
    (conflict,) = found["conflicts"]
    assert conflict["step"] != first
    assert "Nothing was written" in conflict["reason"]


def test_the_page_shows_values_versions_who_wrote_them_and_what_was_refused(
    world, doorbells, fakes, operator
):
    run = conflicting(world)
    page = operator.get(f"/runs/{run.id}/?log=shared")
    text = text_of(page)
    assert "Log log list · version 2" in text
    assert "based on version 1" in text
    assert "Given at the Start" in text
    assert "has written version 2 since. Nothing was written." in text
    assert "Another step wrote first." in text


def test_the_panel_of_a_step_says_which_version_it_read_and_wrote(
    world, doorbells, fakes, operator
):
    run = conflicting(world)
    decide(world, run, "chosen", choice="retry", kind="exception")
    walk(run.id)
    text = text_of(operator.get(f"/runs/{run.id}/?step=done"))
    assert "Last read, version 3" in text
    text = text_of(operator.get(f"/runs/{run.id}/?step=one"))
    assert "Last written, version" in text


def test_the_way_back_leads_through_shared_values_to_who_wrote_them(
    world, doorbells, fakes, operator
):
    run = conflicting(world)
    decide(world, run, "chosen", choice="retry", kind="exception")
    walk(run.id)
    found = operator.get(f"/api/v1/runs/{run.id}/steps/done/lineage/?field=last").json()["origins"]
    versions = operator.get(f"/api/v1/runs/{run.id}/context/").json()["keys"][1]["versions"]
    latest = versions[0]["step"]
    assert found[0]["given"] == [
        {"field": "last", "from_step": latest, "path": "context.last, version 3", "value": latest}
    ]
    assert [one["step"] for one in found] == ["done", latest], "only who wrote it last"
    every = operator.get(f"/api/v1/runs/{run.id}/steps/done/lineage/?field=log").json()["origins"]
    assert {one["step"] for one in every} == {"done", "one", "two", "start"}


def test_a_run_that_shares_nothing_has_no_such_view(world, doorbells, fakes, operator):
    run = world.start(chain("one"))
    walk(run.id)
    assert "Shared data" not in text_of(operator.get(f"/runs/{run.id}/"))
    assert operator.get(f"/api/v1/runs/{run.id}/context/").json() == {"keys": [], "conflicts": []}
