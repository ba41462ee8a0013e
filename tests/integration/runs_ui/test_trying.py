"""Trying one step or one agent: over the API, as fragments for the editor, on the agent's page."""

import json

import pytest

from audit.models import AuditOutbox
from designer import services as design
from orchestrator.runs.models import Run
from orchestrator.runs.trials import NotTriableError, try_agent
from registry import services as registry
from registry.lifecycle import AgentVersionEvent
from registry.models import AgentVersion
from tests.integration.runs.world import agent, chain, definition, now
from tests.integration.runs_ui.conftest import client_of
from tests.integration.runs_ui.test_pages import text_of

STEP_API = "/api/v1/workflows/tried/try-step/"
AGENT_API = "/api/v1/agents/scripted/try/"
FORM = "/workflows/tried/try-step/form/"
RESULT = "/workflows/tried/try-step/result/"


@pytest.fixture
def draft(world):
    """The workflow `tried` with a chain of one agent as its draft; gives the document."""
    document = chain("a")
    document["steps"]["size"] = {
        "kind": "router",
        "name": "Size",
        "routes": [{"port": "long", "title": "Long", "when": "size(input.text) > 3"}],
    }
    design.create_workflow(
        slug="tried",
        workspace_id=world.workspace.id,
        owner_id=world.author.id,
        definition=document,
        actor=world.owner,
        now=now(),
    )
    return document


@pytest.fixture
def agents_owner(world):
    """An agent owner's browser."""
    from orchestrator.access import Role

    return client_of(world.actor("keeper", Role.AGENT_OWNER))


def send(client, url, body):
    return client.post(url, json.dumps(body), content_type="application/json")


def actions():
    return list(AuditOutbox.objects.order_by("at", "id").values_list("action", flat=True))


def test_an_agents_step_is_called_once_through_the_door(world, fakes, owner, draft):
    body = {"definition": draft, "step": "a", "input": {"label": "a", "text": "hello"}}
    answer = send(owner, STEP_API, body)
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert (found["result"], found["port"], found["calls"]) == ("value", "next", 1)
    assert found["output"] == {"label": "a", "text": "hello"}
    assert [one["text"] for one in fakes.calls("a")] == ["hello"]
    assert not Run.objects.exists()
    assert actions()[-1] == "step.tried"


def test_an_agents_step_maps_its_input_from_values(world, fakes, owner, draft):
    body = {"definition": draft, "step": "a", "values": {"input": {"text": "mapped"}}}
    assert send(owner, STEP_API, body).json()["output"] == {"label": "a", "text": "mapped"}


def test_an_input_that_breaks_the_contract_is_not_sent(world, fakes, owner, draft):
    body = {"definition": draft, "step": "a", "input": {"text": "hello"}}
    found = send(owner, STEP_API, body).json()
    assert (found["result"], found["port"], found["calls"]) == ("failed", "failed", 0)
    assert found["violations"][0]["path"] == "/label"
    assert not fakes.calls()


def test_another_step_works_on_the_values(world, owner, draft):
    body = {"definition": draft, "step": "size", "values": {"input": {"text": "hello"}}}
    found = send(owner, STEP_API, body).json()
    assert (found["port"], found["calls"]) == ("long", 0)


def test_agents_that_change_things_are_not_tried(world, fakes, owner, agents_owner, draft):
    document = definition({"pay": agent("pay", uses="once")}, ["start.next-pay", "pay.next-done"])
    body = {"definition": document, "step": "pay", "input": {"label": "pay", "text": ""}}
    answer = send(owner, STEP_API, body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "not_triable"
    assert "changes things outside (write)" in answer.json()["detail"]
    assert (
        send(
            agents_owner, "/api/v1/agents/once/try/", {"version": 1, "input": {"label": "x"}}
        ).status_code
        == 422
    )
    assert not fakes.calls()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"step": "nobody"}, 422),
        ({"definition": {"format": "baton/1"}}, 422),
        ({"extra": 1}, 422),
        ({"definition": []}, 422),
    ],
)
def test_bad_requests_are_refused_in_words(world, owner, draft, change, code):
    answer = send(owner, STEP_API, {"definition": draft, "step": "a", **change})
    assert answer.status_code == code
    assert answer.headers["Content-Type"].startswith("application/problem+json")


def test_a_missing_agent_version_is_named(world, owner, draft):
    draft["steps"]["a"]["uses"]["version"] = 9
    answer = send(owner, STEP_API, {"definition": draft, "step": "a", "input": {}})
    assert answer.status_code == 422
    assert "version 9" in answer.json()["detail"]
    assert "version 9" in send(owner, FORM, {"definition": draft, "step": "a"}).content.decode()


def test_an_agent_is_tried_in_any_status_but_suspended(world, fakes, agents_owner):
    registry.register_agent_version(
        agent_slug="scripted",
        manifest=AgentVersion.objects.get(agent__slug="scripted").manifest,
        actor=system(),
        author_id=world.author.id,
        now=now(),
    )
    body = {"version": 2, "input": {"label": "a", "text": "x"}}
    found = send(agents_owner, AGENT_API, body).json()
    assert (found["result"], found["port"], found["calls"]) == ("value", None, 1)
    assert actions()[-1] == "agent.tried"
    first = AgentVersion.objects.get(agent__slug="scripted", number=1)
    registry.set_agent_version_status(
        version_id=first.id,
        event=AgentVersionEvent.SUSPEND,
        actor=world.operator,
        reason="why",
        now=now(),
    )
    found = send(agents_owner, AGENT_API, {**body, "version": 1}).json()
    assert (found["result"], found["calls"]) == ("refused", 0)


def system():
    from orchestrator.access import SYSTEM

    return SYSTEM


def test_what_an_agent_answers_beside_its_contract_is_a_failure_with_places(
    world, fakes, agents_owner
):
    fakes.script("a", {"type": "value", "output": {"label": "a"}})
    found = send(agents_owner, AGENT_API, {"version": 1, "input": {"label": "a"}}).json()
    assert found["result"] == "failed"
    assert found["violations"][0]["path"] == "/text"


def test_only_who_may_try_does(world, owner, operator, stranger, agents_owner, draft):
    body = {"definition": draft, "step": "a", "input": {"label": "a"}}
    assert send(operator, STEP_API, body).status_code == 403
    assert send(client_of(stranger), STEP_API, body).status_code in {403, 404}
    call = {"version": 1, "input": {"label": "a"}}
    assert send(client_of(world.reviewer), AGENT_API, call).status_code == 403
    assert send(agents_owner, AGENT_API, {**call, "version": 9}).status_code == 404


def test_a_file_that_the_person_may_not_read_is_not_handed_to_the_agent(world, fakes, agents_owner):
    sha = "a" * 64
    given = {"label": "a", "file": {"artefact": sha, "media": "text/plain", "name": "x.txt"}}
    found = send(agents_owner, AGENT_API, {"version": 1, "input": given}).json()
    assert (found["result"], found["calls"]) == ("failed", 0)
    assert "There is no file aaaaaaaaaaaa" in found["reason"]
    assert not fakes.calls()


def test_an_example_whose_file_is_not_there_fills_the_rest_of_the_form(world, agents_owner):
    shown = {"artefact": "b" * 64, "media": "text/plain", "name": "x.txt"}
    world.register(
        "reader", examples=[{"title": "One", "input": {"label": "shown", "file": shown}}]
    )
    page = agents_owner.get("/agents/reader/try/").content.decode()
    assert 'value="shown"' in page
    assert "b" * 64 not in page


def test_the_form_for_a_step_is_prefilled_and_its_answer_is_a_fragment(world, fakes, owner, draft):
    page = send(owner, FORM, {"definition": draft, "step": "a"})
    html = page.content.decode()
    assert page.status_code == 200
    assert "<html" not in html
    assert f'action="{RESULT}"' in html
    assert 'name="input.label"' in html
    assert 'style="' not in html
    answer = owner.post(
        RESULT,
        {
            "definition": json.dumps(draft),
            "step": "a",
            "input.label": "a",
            "input.text": "<b>hi</b>",
        },
    )
    shown = answer.content.decode()
    assert "Fits the contract" in shown
    assert "&lt;b&gt;hi&lt;/b&gt;" in shown
    assert "1 call" in text_of(answer)


def test_the_form_for_a_router_asks_for_what_it_reads(world, owner, draft):
    html = send(owner, FORM, {"definition": draft, "step": "size"}).content.decode()
    assert 'name="input.input.text"' in html
    answer = owner.post(
        RESULT, {"definition": json.dumps(draft), "step": "size", "input.input.text": "long text"}
    )
    assert "Leaves by long" in text_of(answer)


def test_values_that_do_not_fit_are_named_in_the_answer(world, fakes, owner, draft):
    answer = owner.post(RESULT, {"definition": json.dumps(draft), "step": "a"})
    assert "Breaks the contract" in text_of(answer)
    assert "/label" in text_of(answer)
    assert not fakes.calls()


def test_the_fragments_refuse_what_is_no_document(world, owner, draft):
    assert send(owner, FORM, {"definition": "x", "step": "a"}).status_code == 422
    assert owner.post(FORM, "no json", content_type="application/json").status_code == 422
    assert owner.post(RESULT, {"definition": "{", "step": "a"}).status_code == 422


def test_the_page_of_an_agent_tries_it(world, fakes, agents_owner):
    page = agents_owner.get("/agents/scripted/try/")
    assert "Call the agent" in text_of(page)
    answer = agents_owner.post("/agents/scripted/try/", {"input.label": "a", "input.text": "x"})
    assert answer.status_code == 200
    assert "What came of it" in text_of(answer)
    assert "Fits the contract" in text_of(answer)
    as_json = agents_owner.post("/agents/scripted/try/?as=json", {"input_json": '{"label": 1}'})
    assert as_json.status_code == 422
    refused = agents_owner.post("/agents/once/try/", {"input.label": "a"})
    assert refused.status_code == 422
    assert "changes things outside" in text_of(refused)
    assert agents_owner.get("/agents/scripted/try/?version=7").status_code == 404
    assert agents_owner.get("/agents/scripted/try/?version=x").status_code == 422


def test_a_trial_needs_a_harmless_agent_also_as_a_service(world, fakes):
    from orchestrator.access import Role

    keeper = world.actor("keeper", Role.AGENT_OWNER)
    with pytest.raises(NotTriableError):
        try_agent(slug="once", version=1, input={"label": "a"}, actor=keeper, now=now())
