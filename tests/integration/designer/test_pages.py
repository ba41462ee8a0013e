"""Pages and API of the designer and the registry, as people of each role get them."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orchestrator.access import Role
from registry import selectors as registry
from tests.integration.designer.test_services import create, install
from tests.integration.registry.world import RULES, World

pytestmark = pytest.mark.django_db


def with_published():
    """A world in which a workflow is published, which is its `published`."""
    world = World()
    world.agent("size", name="Size checker")
    world.published = create(world)
    install(world.published)
    return world


@pytest.fixture(scope="session")
def stock(stocked):
    return stocked(published=with_published, world=World)


@pytest.fixture
def published(world):
    return world.published


def client_of(world, role):
    client = Client()
    client.force_login(
        world.users[f"{role}-{world.workspace.slug}"],
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    return client


@pytest.fixture
def owner(world):
    return client_of(world, Role.BUSINESS_OWNER)


PAGES = [
    "/workflows/",
    "/workflows/size-check/design/",
    "/workflows/size-check/design/?tab=outline",
    "/workflows/size-check/design/?version=1",
    "/workflows/size-check/design/?tab=text",
    "/workflows/size-check/design/?tab=text&format=yaml",
    "/workflows/size-check/text/",
    "/workflows/size-check/handoffs/",
    "/workflows/size-check/handoffs/?version=1",
    "/workflows/size-check/handoffs/?format=csv",
    "/workflows/size-check/versions/",
    "/agents/",
    "/agents/size/",
    "/agents/size/?version=1",
]
ADDRESSES = [
    "/api/v1/workflows/",
    "/api/v1/workflows/size-check/",
    "/api/v1/workflow-versions/",
    "/api/v1/workflow-versions/?workflow=size-check&status=active",
    "/api/v1/agents/",
    "/api/v1/agents/size/",
    "/api/v1/agent-versions/",
    "/api/v1/domain-types/",
    "/api/v1/schemas/workflow.json",
]


@pytest.mark.parametrize("role", list(Role))
def test_all_six_roles_read_in_their_workspace(world, published, role):
    client = client_of(world, role)
    for address in [*PAGES, *ADDRESSES]:
        response = client.get(address)
        assert response.status_code == 200, (address, response.content[:2000])


def test_a_foreign_object_is_not_found(other, published):
    client = client_of(other, Role.OPERATOR)
    for address in [
        *(page for page in PAGES if page.count("/") > 2),
        "/agents/size/suspend/",
        "/agents/size/lift/",
        "/api/v1/workflows/size-check/",
        "/api/v1/agents/size/",
    ]:
        assert client.get(address).status_code == 404, address


def test_a_foreign_list_is_empty(other, published):
    client = client_of(other, Role.BUSINESS_OWNER)
    assert "size-check" not in client.get("/workflows/").content.decode()
    for address in ("workflows", "workflow-versions", "agents", "agent-versions"):
        assert client.get(f"/api/v1/{address}/").json()["results"] == []


def test_a_visitor_reads_nothing(published):
    for address in [*PAGES, *ADDRESSES]:
        response = Client().get(address)
        assert response.status_code in {302, 401}, address
        assert "Size" not in response.content.decode()


def test_the_list_shows_status_owner_and_change(published, owner):
    page = owner.get("/workflows/").content.decode()
    assert "Size check" in page
    assert "v1 active" in page
    assert "Business Owner Claims" in page


def test_the_canvas_gets_definition_agents_and_findings(published, owner):
    page = owner.get("/workflows/size-check/design/?version=1").content.decode()
    block = page.partition('id="canvas-data"')[2].partition(">")[2].partition("</script>")[0]
    data = json.loads(block)
    assert data["definition"]["name"] == "Size check"
    assert data["agents"]["size@1"]["name"] == "Size checker"
    assert 'id="canvas"' in page
    assert "style=" not in page


def test_the_outline_says_all_that_the_canvas_shows(published, owner):
    page = owner.get("/workflows/size-check/design/?tab=outline").content.decode()
    for words in (
        "Look at the size",
        "Size checker</bdi> v1",
        "input.amount",
        "steps.size.output.large",
        "exceptions inbox",
        "not found",
        "uncertain",
        "Could not be checked",
        "whole number, at least 0",
    ):
        assert words in page, words


def test_the_agent_page_says_what_it_is_and_who_calls_it(published, owner):
    page = owner.get("/agents/size/").content.decode()
    for words in (
        "Says whether an amount is large.",
        "It does not look at the currency.",
        "Agent Owner Claims",
        "Size check v1",
        "whole number, at least 0",
        "yes or no",
        "input.amount &gt; 1000",
        "A small one",
        "No side effect",
        "Decision table",
    ):
        assert words in page, words
    assert "Suspend" not in page


def test_text_from_outside_is_shown_as_text(world, owner):
    world.agent(
        "size",
        name="<b>x</b>\u202eevil",
        manifest={**RULES, "purpose": "<script>alert(1)</script>"},
    )
    for address in ("/agents/", "/agents/size/"):
        page = owner.get(address).content.decode()
        assert "<script>alert" not in page
        assert "<b>x</b>" not in page
        assert "\u202e" not in page


def test_the_kill_switch_asks_with_what_is_concerned_then_suspends(world, published):
    client = client_of(world, Role.OPERATOR)
    page = client.get("/agents/size/suspend/").content.decode()
    assert "Suspend 1 version" in page
    assert "Size check v1" in page
    refused = client.post("/agents/size/suspend/", {"reason": " "})
    assert refused.status_code == 422
    assert "Say why" in refused.content.decode()
    done = client.post("/agents/size/suspend/", {"reason": "It leaks"})
    assert done.status_code == 302
    page = client.get("/agents/size/").content.decode()
    assert "Lift suspension" in page
    assert "Runs that need a suspended version" in page
    assert client.get("/agents/size/lift/").status_code == 200
    client.post("/agents/size/lift/", {"reason": "Mended"})
    assert registry.get_agent_version("size", 1).status == "active"


def test_the_kill_switch_is_denied_to_others(world, published):
    for role in (Role.BUSINESS_OWNER, Role.REVIEWER, Role.COMPLIANCE, Role.ADMINISTRATOR):
        client = client_of(world, role)
        assert client.get("/agents/size/suspend/").status_code == 403
        assert client.post("/agents/size/suspend/", {"reason": "x"}).status_code == 403
        assert client.post("/api/v1/agents/size/suspend/", {"reason": "x"}).status_code == 403
    assert registry.get_agent_version("size", 1).status == "active"


def test_the_kill_switch_over_the_api(world, published):
    client = client_of(world, Role.OPERATOR)
    version = registry.get_agent_version("size", 1)
    post = {"content_type": "application/json"}
    assert client.post("/api/v1/agents/size/suspend/", {}, **post).status_code == 422
    answer = client.post("/api/v1/agents/size/suspend/", {"reason": "leak"}, **post)
    assert answer.json()["versions"][0]["status"] == "suspended"
    assert client.post("/api/v1/agents/size/suspend/", {"reason": "x"}, **post).status_code == 409
    one = f"/api/v1/agent-versions/{version.id}/"
    assert client.post(f"{one}lift/", {"reason": "ok"}, **post).json()["status"] == "active"
    assert client.post(f"{one}lift/", {"reason": "ok"}, **post).status_code == 409
    assert client.post(f"{one}suspend/", {"reason": "x", "force": 1}, **post).status_code == 422


def test_the_api_gives_definition_and_findings(published, owner):
    versions = owner.get("/api/v1/workflow-versions/?workflow=size-check").json()["results"]
    assert "definition" not in versions[0]
    one = owner.get(f"/api/v1/workflow-versions/{versions[0]['id']}/").json()
    assert one["definition"]["format"] == "baton/1"
    found = owner.get(f"/api/v1/workflow-versions/{versions[0]['id']}/findings/").json()
    assert {item["severity"] for item in found} <= {"info", "warning"}
    assert owner.get("/api/v1/workflow-versions/?nonsense=1").status_code == 422


def test_a_version_that_is_not_there_says_so(published, owner):
    for query in ("abc", "-1", "99", "9" * 40):
        for address in ("/workflows/size-check/design/", "/agents/size/"):
            assert owner.get(f"{address}?version={query}").status_code in {404, 422}


def test_pages_cost_the_same_whatever_the_number_of_rows(world, published, owner):
    def cost(address):
        owner.get(address)
        with CaptureQueriesContext(connection) as queries:
            assert owner.get(address).status_code == 200
        return len(queries)

    before = {
        one: cost(one)
        for one in ("/workflows/", "/agents/", "/api/v1/agents/", "/api/v1/workflows/")
    }
    for number in range(4):
        world.agent(f"more-{number}")
        install(create(world, slug=f"flow-{number}"))
    after = {one: cost(one) for one in before}
    assert after == before
    assert max(after.values()) <= 15


def test_searching_the_list_of_workflows_and_agents(published, owner):
    assert "Size check" in owner.get("/workflows/?q=size").content.decode()
    assert "No workflow matches" in owner.get("/workflows/?q=nothing").content.decode()
    assert (
        "Size checker"
        in owner.get("/agents/?q=amount+large&kind=rules&status=active").content.decode()
    )
    assert "No agent matches" in owner.get("/agents/?status=suspended").content.decode()
    found = owner.get("/palette/?q=size").json()["results"]
    assert {"Size check", "Size checker"} <= {one["title"] for one in found}


def test_the_handoff_map_lists_every_link_with_its_contract(published, owner):
    page = owner.get("/workflows/size-check/handoffs/").content.decode()
    assert page.count("<tr id=") == 2
    for words in ("Look at the size", "Size checker v1", "Agent Owner Claims", "whole number",
                  "3 tries of 30 s", "Fits"):  # fmt: skip
        assert words in page
    assert "style=" not in page


def test_the_handoff_map_is_searched_and_filtered(published, owner):
    def rows(query):
        return (
            owner.get(f"/workflows/size-check/handoffs/{query}").content.decode().count("<tr id=")
        )

    assert rows("?q=done") == 1
    assert rows("?q=done+look") == 1
    assert rows("?q=nothing") == 0
    assert rows("?verdict=fits") == 1
    assert rows("?verdict=cannot_tell") == 0


def test_the_handoff_map_is_downloaded_as_filtered(published, owner):
    answer = owner.get("/workflows/size-check/handoffs/?format=csv&q=done")
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("size.next-done,Look at the size,then,Done,")
    assert answer["Content-Disposition"] == ('attachment; filename="size-check-v1-handoffs.csv"')


def test_the_text_tab_shows_and_offers_the_document(published, owner):
    page = owner.get(
        "/workflows/size-check/design/?tab=text&format=yaml&version=1"
    ).content.decode()
    assert "format: baton/1" in page
    assert "/workflows/size-check/text/?version=1&amp;format=yaml" in page


def test_the_editor_opens_for_who_may_edit_and_a_picture_for_others(world, published, owner):
    assert 'data-view="edit"' in owner.get("/workflows/size-check/design/").content.decode()
    for address in ("/workflows/size-check/design/?version=1",):
        assert 'data-view="design"' in owner.get(address).content.decode()
    reader = client_of(world, Role.OPERATOR)
    assert 'data-view="design"' in reader.get("/workflows/size-check/design/").content.decode()


def test_the_editor_gets_all_that_the_contract_names(published, owner):
    page = owner.get("/workflows/size-check/design/").content.decode()
    block = page.partition('id="canvas-data"')[2].partition(">")[2].partition("</script>")[0]
    data = json.loads(block)
    assert data["workflow"] == {"slug": "size-check", "name": "Size check", "workspace": "claims"}
    assert (data["draft"]["number"], data["draft"]["revision"]) == (2, 0)
    assert data["agents"]["size@1"]["input"]["properties"]["amount"]["type"] == "integer"
    assert data["types"]["Money"]["title"] == "Money"
    assert data["can"] == {"edit": True, "submit": True, "test_run": True, "publish": True}
    assert data["workflow_status"] == [["active", "v1 active"]]
    assert data["me"]["name"] == "Business Owner Claims"
    assert set(data["urls"]) == {
        "draft", "check", "agent_cards", "presence", "text", "submit", "try_step", "try_form",
        "runs", "start_test", "versions", "sign_in",
    }  # fmt: skip


def test_while_a_version_waits_the_editor_is_a_picture_with_the_reason(world, owner):
    from designer import services
    from designer.lifecycle import WorkflowVersionEvent
    from tests.integration.registry.world import NOW

    world.agent("size", name="Size checker")
    workflow = create(world)
    services.set_workflow_version_status(
        version_id=workflow.versions.get().id,
        event=WorkflowVersionEvent.SUBMIT,
        actor=world.people[Role.BUSINESS_OWNER],
        now=NOW,
    )
    page = owner.get("/workflows/size-check/design/").content.decode()
    assert 'data-view="design"' in page
    assert "Version 1 waits for its sign-off." in page
