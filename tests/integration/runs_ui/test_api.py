"""Runs over the API, with real runs behind it."""

import json
from uuid import uuid4

from orchestrator.runs.models import Run
from orchestrator.runs.walker import walk
from tests.integration.runs.world import chain, steps_of
from tests.integration.runs_ui.conftest import client_of
from tests.integration.runs_ui.flows import failed, finished, fresh, waiting


def post(client, path, body, **headers):
    return client.post(
        path, json.dumps(body), content_type="application/json", headers=headers or None
    )


def test_a_run_is_started_walked_and_read_back(world, doorbells, operator):
    slug = world.publish(chain("a"))
    answer = post(operator, "/api/v1/runs/", {"workflow": slug, "input": {"text": "CLM-7"}})
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["status"], made["title"], made["workflow"]["slug"]) == ("pending", "CLM-7", slug)
    assert answer.headers["Location"] == f"/api/v1/runs/{made['id']}/"
    walk(Run.objects.get().id)
    whole = operator.get(f"/api/v1/runs/{made['id']}/").json()
    assert (whole["status"], whole["result"]) == ("succeeded", {"text": "CLM-7"})
    assert whole["steps"]["a"]["output"]["text"]
    assert whole["definition"]["steps"]["a"]["kind"] == "agent"
    assert whole["can"]["cancel"] is False


def test_the_same_key_starts_one_run(world, doorbells, operator):
    slug = world.publish(chain("a"))
    body = {"workflow": slug, "input": {"text": "x"}}
    first = post(operator, "/api/v1/runs/", body, **{"Idempotency-Key": "k1"})
    again = post(operator, "/api/v1/runs/", body, **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert Run.objects.count() == 1


def test_input_that_breaks_the_contract_names_the_place(world, doorbells, operator):
    slug = world.publish(chain("a"))
    answer = post(operator, "/api/v1/runs/", {"workflow": slug, "input": {"text": 3}})
    assert answer.status_code == 422
    assert answer.json()["violations"][0]["path"] == "/text"
    assert not Run.objects.exists()


def test_unknown_fields_words_and_parameters_are_refused(world, doorbells, operator):
    slug = world.publish(chain("a"))
    body = {"workflow": slug, "input": {"text": "x"}, "colour": "red"}
    assert post(operator, "/api/v1/runs/", body).status_code == 422
    assert operator.get("/api/v1/runs/?colour=red").status_code == 422
    assert operator.get("/api/v1/runs/?needs_attention=maybe").status_code == 422
    run = finished(world)
    assert operator.get(f"/api/v1/runs/{run.id}/events/?after=-1").status_code == 422
    assert operator.get(f"/api/v1/runs/{run.id}/steps/nothing/").status_code == 404


def test_the_graph_view_carries_states_and_no_payloads(world, doorbells, operator):
    run = finished(world, text="A very private text")
    picture = operator.get(f"/api/v1/runs/{run.id}/?view=graph")
    assert picture.json()["steps"]["a"]["status"] == "succeeded"
    assert picture.json()["links"]["start.next-a"] == "taken"
    assert set(picture.json()["handoffs"][0]) == {"step", "links", "verdict"}
    without_title = {**picture.json(), "title": ""}
    assert "very private" not in json.dumps(without_title)


def test_the_journal_is_read_from_a_number_on(world, doorbells, operator):
    run = finished(world)
    whole = operator.get(f"/api/v1/runs/{run.id}/events/").json()["events"]
    assert [event["seq"] for event in whole] == list(range(1, run.seq + 1))
    assert all(event["text"] for event in whole)
    rest = operator.get(f"/api/v1/runs/{run.id}/events/?after=2").json()["events"]
    assert rest == whole[2:]


def test_messages_tell_what_was_passed(world, doorbells, operator):
    run = finished(world)
    log = operator.get(f"/api/v1/runs/{run.id}/messages/").json()["messages"]
    handoffs = [one for one in log if one["type"] == "handoff"]
    assert [one["to"] for one in handoffs] == ["a", "b", "done"]
    assert all(one["verdict"] == "fits" and one["payload"] for one in handoffs)


def test_lists_are_filtered_and_show_own_workspaces_only(
    world, doorbells, fakes, operator, stranger
):
    good, bad = finished(world), failed(world, fakes)

    def ids(query=""):
        return {one["id"] for one in operator.get(f"/api/v1/runs/{query}").json()["results"]}

    assert ids() == {str(good.id), str(bad.id)}
    assert ids("?status=failed") == ids("?needs_attention=true") == {str(bad.id)}
    assert ids("?search=CLM-1") == {str(good.id)}
    assert ids(f"?workflow={good.workflow.slug}") == {str(good.id)}
    assert client_of(stranger).get("/api/v1/runs/").json()["results"] == []


def test_a_foreign_run_does_not_exist(world, doorbells, stranger):
    run = waiting(world)
    client = client_of(stranger)
    for path in ("", "events/", "messages/", "steps/a/"):
        assert client.get(f"/api/v1/runs/{run.id}/{path}").status_code == 404, path
    for name in ("cancel", "pause", "continue", "dismiss", "resume"):
        answer = post(client, f"/api/v1/runs/{run.id}/{name}/", {"reason": "why"})
        assert answer.status_code == 404, name
    assert fresh(run).status == "waiting"


def test_a_reviewer_reads_and_is_told_who_may_do_more(world, doorbells, reviewer):
    run = waiting(world)
    assert reviewer.get(f"/api/v1/runs/{run.id}/").json()["can"]["cancel"] is False
    answer = post(reviewer, f"/api/v1/runs/{run.id}/cancel/", {"reason": "why"})
    assert answer.status_code == 403
    assert "Operator" in answer.json()["detail"]


def test_nobody_who_is_not_signed_in_gets_anything(world, doorbells, client):
    run = waiting(world)
    assert client.get(f"/api/v1/runs/{run.id}/").status_code == 401
    assert post(client, f"/api/v1/runs/{run.id}/cancel/", {"reason": "x"}).status_code == 401


def test_pause_continue_and_cancel_take_effect_with_their_reason(world, doorbells, operator):
    run = waiting(world)
    for name, after in (("pause", "paused"), ("continue", "waiting"), ("cancel", "cancelled")):
        answer = post(operator, f"/api/v1/runs/{run.id}/{name}/", {"reason": f"{name} it"})
        assert answer.status_code == 202, answer.content
        walk(run.id)
        assert fresh(run).status == after
    again = post(operator, f"/api/v1/runs/{run.id}/cancel/", {"reason": "once more"})
    assert again.status_code == 409


def test_an_action_without_a_reason_is_refused(world, doorbells, operator):
    run = waiting(world)
    for body in ({}, {"reason": ""}, {"reason": "  "}):
        assert post(operator, f"/api/v1/runs/{run.id}/pause/", body).status_code == 422


def test_a_failed_run_is_resumed_with_another_input(world, doorbells, fakes, operator):
    run = failed(world, fakes)
    fakes.script("b", {"type": "value", "output": {"label": "b", "text": "mended"}})
    path = f"/api/v1/runs/{run.id}/resume/"
    bad = post(operator, path, {"reason": "mended", "step": "b", "input": {"label": 3}})
    assert bad.status_code == 422
    calls = len([one for one in fakes.calls() if one["label"] == "a"])
    answer = post(
        operator, path, {"reason": "mended", "step": "b", "input": {"label": "b", "text": "new"}}
    )
    assert answer.status_code == 202, answer.content
    walk(run.id)
    assert fresh(run).status == "succeeded"
    assert steps_of(run)["c"] == "succeeded"
    assert len([one for one in fakes.calls() if one["label"] == "a"]) == calls


def test_a_failed_run_is_dismissed(world, doorbells, fakes, operator):
    run = failed(world, fakes)
    assert run.needs_attention
    answer = post(operator, f"/api/v1/runs/{run.id}/dismiss/", {"reason": "known"})
    assert answer.status_code == 202
    assert answer.json()["needs_attention"] is False


def test_a_run_that_never_was_is_not_found(world, operator):
    assert operator.get(f"/api/v1/runs/{uuid4()}/").status_code == 404


def test_a_run_is_as_pressing_as_the_request_says(world, doorbells, operator):
    slug = world.publish(chain("a"))
    body = {"workflow": slug, "input": {"text": "x"}}
    usual = post(operator, "/api/v1/runs/", body).json()
    urgent = post(operator, "/api/v1/runs/", {**body, "priority": "urgent"}).json()
    assert (usual["priority"], urgent["priority"]) == ("normal", "urgent")
    listed = operator.get("/api/v1/runs/?priority=urgent").json()["results"]
    assert [one["id"] for one in listed] == [urgent["id"]]
    assert operator.get(f"/api/v1/runs/{urgent['id']}/").json()["priority"] == "urgent"
    assert post(operator, "/api/v1/runs/", {**body, "priority": "now"}).status_code == 422
    assert Run.objects.count() == 2
